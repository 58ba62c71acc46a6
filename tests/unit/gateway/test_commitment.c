/* Storage Commitment (PS3.4 Annex J): requests that are sound and not, reports on a new and on the same association, what fails and
 * why, retries, and jobs that outlive the gateway. */
#include "harness.h"

#include <stdlib.h>
#include <unistd.h>

/* The N-ACTION data set in implicit little endian for `count` instances 1.2.3.1 … of CT. */
static size_t request(uint8_t *out, const char *transaction, size_t count) {
    size_t n = transaction ? identifier(out, DICOM_TAG_TransactionUID, transaction, 0) : 0, at = n;
    if (!count) return n;
    memcpy(out + n, "\x08\0\x99\x11\0\0\0\0", 8);
    n += 8;
    for (size_t i = 1; i <= count; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "1.2.3.%zu", i);
        memcpy(out + n, "\xfe\xff\0\xe0\0\0\0\0", 8);
        size_t k = identifier(out + n + 8, DICOM_TAG_ReferencedSOPClassUID, CT, DICOM_TAG_ReferencedSOPInstanceUID, uid, 0);
        gn_store_le32(out + n + 4, (uint32_t)k);
        n += 8 + k;
    }
    gn_store_le32(out + at + 4, (uint32_t)(n - at - 8));
    return n;
}

static int act(dimse_association *c, const void *ds, size_t n, dimse_message *last, gn_error *e) {
    dimse_message m = { .context_id = 1, .command = DIMSE_N_ACTION_RQ, .sop_class = COMMITMENT, .sop_instance = COMMITMENT_INSTANCE, .action_type = 1 };
    dimse_payload p = { .bytes = ds, .n = n, .fd = -1 };
    return dimse_call(c, &m, ds ? &p : NULL, NULL, last, e);
}

static uint8_t bytes[8192];
static const char *const classes[] = { COMMITMENT };

static dicom_dataset *read_report(gn_arena *arena, const void *p, size_t n, const char *ts) {
    dicom_dataset *ds = NULL;
    dicom_read_options o = { .keep_everything = true };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(dicom_dataset_read(arena, dicom_transfer_syntax_find(ts), p, n, &o, &ds, &e), 0);
    return ds;
}

static size_t items_of(const dicom_dataset *ds, dicom_tag tag) {
    const dicom_element *el = dicom_dataset_find(ds, tag);
    return el ? dicom_element_vm(el) : 0;
}

static bool job_done(void *ctx) {
    archive *a = ctx;
    pthread_mutex_lock(&a->lock);
    bool done = a->job_count && a->job[0].done;
    pthread_mutex_unlock(&a->lock);
    return done;
}

static bool job_retried(void *ctx) {
    archive *a = ctx;
    pthread_mutex_lock(&a->lock);
    bool done = a->job_count && a->job[0].retries;
    pthread_mutex_unlock(&a->lock);
    return done;
}

TEST(requests_that_are_not_sound) {
    archive *a = fake_archive_new();
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = connect_to(g, classes, 1, NULL, false);
    REQUIRE(c != NULL);
    static const struct { const char *transaction; size_t count; uint16_t status; } table[] = { { NULL, 2, 0x0120 }, { "x", 2, 0x0115 }, { "1.2.3", 0, 0x0120 } };
    dimse_message last;
    gn_error e = GN_ERROR_INIT;
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++) {
        CHECK_INT(act(c, bytes, request(bytes, table[i].transaction, table[i].count), &last, &e), 0);
        CHECK_INT(last.status, table[i].status);
    }
    CHECK_INT(act(c, NULL, 0, &last, &e), 0);
    CHECK_INT(last.status, 0x0120);
    CHECK_INT(a->job_count, 0);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

typedef struct scene { archive *a; gateway *g; receiver r; } scene;

static void begin(scene *s, bool same_association, uint16_t status) {
    memset(s, 0, sizeof *s);
    s->r.report_status = status;
    s->a = fake_archive_new();
    receiver_start(&s->r);
    gateway_peer p = { .aet = "TESTER", .host = "127.0.0.1", .port = receiver_port(&s->r), .permissions = GATEWAY_MAY_ALL, .commitment_same_association = same_association };
    gateway_config config = { .peers = &p, .peer_count = 1, .commitment_retry_ms = 50 };
    s->g = start_gateway(s->a, &config);
    fake_archive_add(s->a, CT, "1.2.3.1", DICOM_TS_EXPLICIT_LE, "xx", 2);
    fake_archive_add(s->a, CT, "1.2.3.2", DICOM_TS_EXPLICIT_LE, "xx", 2);
    fake_archive_add(s->a, MR, "1.2.3.3", DICOM_TS_EXPLICIT_LE, "xx", 2);
    fake_archive_add(s->a, CT, "1.2.3.5", DICOM_TS_EXPLICIT_LE, "xx", 2);
    s->a->object[3].damaged = true;
}

static void end(scene *s) {
    gateway_stop(&s->g, 1000);
    receiver_stop(&s->r);
    fake_archive_free(&s->a);
}

static void ask_for(scene *s, size_t count) {
    dimse_association *c = connect_to(s->g, classes, 1, NULL, false);
    REQUIRE(c != NULL);
    dimse_message last;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(act(c, bytes, request(bytes, "1.2.840.1", count), &last, &e), 0);
    CHECK_INT(last.status, 0);
    CHECK_INT(last.action_type, 1);
    CHECK_STR(last.sop_instance, COMMITMENT_INSTANCE);
    dimse_close(&c);
}

TEST(a_report_on_a_new_association) {
    scene s;
    begin(&s, false, 0);
    ask_for(&s, 2);
    CHECK(wait_until(job_done, s.a, 3000));
    CHECK_INT(s.r.events, 1);
    CHECK_INT(s.r.last_event, 1);
    CHECK_STR(s.r.report_syntax, DICOM_TS_IMPLICIT_LE);
    gn_arena *arena = gn_arena_new(1u << 20);
    dicom_dataset *ds = read_report(arena, s.r.report.p, s.r.report.n, s.r.report_syntax);
    REQUIRE(ds != NULL);
    CHECK_STR(dicom_dataset_ascii(ds, DICOM_TAG_TransactionUID), "1.2.840.1");
    CHECK_STR(dicom_dataset_ascii(ds, DICOM_TAG_RetrieveAETitle), "GANTRY");
    CHECK_INT(items_of(ds, DICOM_TAG_ReferencedSOPSequence), 2);
    CHECK_INT(items_of(ds, DICOM_TAG_FailedSOPSequence), 0);
    gn_arena_free(&arena);
    end(&s);
}

TEST(what_is_not_safe_is_named_with_the_reason) {
    scene s;
    begin(&s, false, 0);
    ask_for(&s, 5);
    CHECK(wait_until(job_done, s.a, 3000));
    CHECK_INT(s.r.last_event, 2);
    gn_arena *arena = gn_arena_new(1u << 20);
    dicom_dataset *ds = read_report(arena, s.r.report.p, s.r.report.n, s.r.report_syntax);
    REQUIRE(ds != NULL);
    CHECK_INT(items_of(ds, DICOM_TAG_ReferencedSOPSequence), 2);
    CHECK_INT(items_of(ds, DICOM_TAG_FailedSOPSequence), 3);
    static const struct { const char *uid; int64_t reason; } expected[] = { { "1.2.3.3", 0x0119 }, { "1.2.3.4", 0x0112 }, { "1.2.3.5", 0x0110 } };
    size_t k = 0;
    const dicom_element *failed = dicom_dataset_find(ds, DICOM_TAG_FailedSOPSequence);
    for (const dicom_item *i = failed ? failed->items : NULL; i && k < 3; i = i->next, k++) {
        int64_t reason = 0;
        CHECK_STR(dicom_dataset_ascii(i->dataset, DICOM_TAG_ReferencedSOPInstanceUID), expected[k].uid);
        CHECK(dicom_dataset_int(i->dataset, DICOM_TAG_FailureReason, &reason) && reason == expected[k].reason);
    }
    gn_arena_free(&arena);
    end(&s);
}

TEST(a_report_on_the_same_association) {
    scene s;
    begin(&s, true, 0);
    dimse_association *c = connect_to(s.g, classes, 1, NULL, false);
    REQUIRE(c != NULL);
    dimse_message m;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(act(c, bytes, request(bytes, "1.2.840.1", 2), &m, &e), 0);
    CHECK_INT(m.status, 0);
    CHECK_INT(dimse_receive(c, &m, &e), 0);
    CHECK_INT(m.command, DIMSE_N_EVENT_REPORT_RQ);
    CHECK_INT(m.event_type, 1);
    gn_buf data = GN_BUF_INIT;
    CHECK_INT(dimse_read_dataset(c, 65536, &data, &e), 0);
    CHECK(!s.a->job[0].done);
    CHECK_INT(dimse_respond(c, &m, 0, NULL, &e), 0);
    CHECK(wait_until(job_done, s.a, 3000));
    CHECK_INT(s.r.events, 0);
    gn_buf_done(&data);
    dimse_close(&c);
    end(&s);
}

TEST(a_requester_that_cannot_be_reached_is_tried_again) {
    scene s;
    begin(&s, false, 0x0110);
    ask_for(&s, 1);
    CHECK(wait_until(job_retried, s.a, 3000));
    CHECK(!s.a->job[0].done);
    CHECK_STR(s.a->job[0].note, "the requester answered 0110");
    pthread_mutex_lock(&s.r.lock);
    s.r.report_status = 0;
    pthread_mutex_unlock(&s.r.lock);
    CHECK(wait_until(job_done, s.a, 5000));
    CHECK(s.r.events >= 2);
    end(&s);
}

TEST(jobs_outlive_the_gateway) {
    scene s;
    begin(&s, false, 0);
    CHECK_INT(gateway_reload_peers(s.g, NULL, 0, NULL), 0);
    gateway_peer caller = { .aet = "TESTER", .host = "127.0.0.1", .port = 1, .permissions = GATEWAY_MAY_ALL };
    CHECK_INT(gateway_reload_peers(s.g, &caller, 1, NULL), 0);
    ask_for(&s, 1);
    CHECK(wait_until(job_retried, s.a, 3000));
    gateway_stop(&s.g, 1000);
    CHECK(!s.a->job[0].done);
    caller.port = receiver_port(&s.r);
    gateway_config config = { .peers = &caller, .peer_count = 1, .commitment_retry_ms = 50 };
    s.g = start_gateway(s.a, &config);
    CHECK(wait_until(job_done, s.a, 5000));
    CHECK_INT(s.r.events, 1);
    end(&s);
}
