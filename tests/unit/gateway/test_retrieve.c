/* C-MOVE and C-GET: counts, failed lists, cancel, destinations that refuse, hang or die, roles, re-encoding, many kinds of objects. */
#include "harness.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* An explicit little endian data set: some text and pixel data of `pixels` bytes. */
static size_t image(uint8_t *out, size_t pixels) {
    static const uint8_t head[] = "\x08\0\x16\0UI\x1a\0" "1.2.840.10008.5.1.4.1.1.2\0" "\x10\0\x10\0PN\x04\0Doe^" "\x28\0\x00\x01US\x02\0\x10\0\xe0\x7f\x10\0OW\0\0";
    memcpy(out, head, sizeof head - 1);
    gn_store_le32(out + sizeof head - 1, (uint32_t)pixels);
    for (size_t i = 0; i < pixels; i++) out[sizeof head + 3 + i] = (uint8_t)(i * 31);
    return sizeof head + 3 + pixels;
}

static void fill(archive *a, size_t count, size_t pixels) {
    uint8_t *bytes = malloc(pixels + 256);
    size_t n = image(bytes, pixels);
    for (size_t i = 0; i < count; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "1.2.3.%zu", i + 1);
        fake_archive_add(a, CT, uid, DICOM_TS_EXPLICIT_LE, bytes, n);
    }
    free(bytes);
}

static uint8_t keys[512];
static size_t study(void) { return identifier(keys, DICOM_TAG_QueryRetrieveLevel, "STUDY", DICOM_TAG_StudyInstanceUID, "1.2.3\\1.2.4", 0); }

typedef struct scene { archive *a; gateway *g; receiver r; dimse_association *c; outcome o; gn_error e; } scene;

static void open_scene(scene *s, const receiver *like) {
    memset(s, 0, sizeof *s);
    if (like) s->r = *like;
    s->a = fake_archive_new();
    receiver_start(&s->r);
    gateway_peer p = { .aet = "SINK", .host = "127.0.0.1", .port = receiver_port(&s->r), .permissions = GATEWAY_MAY_ALL };
    gateway_config config = { .peers = &p, .peer_count = 1, .timeouts = { .dimse_ms = 700 }, .progress_ms = 1 };
    s->g = start_gateway(s->a, &config);
    s->c = connect_to(s->g, (const char *const[]){ STUDY_MOVE }, 1, NULL, false);
}

static void move(scene *s) { CHECK_INT(ask(s->c, STUDY_MOVE, DIMSE_C_MOVE_RQ, "SINK", keys, study(), &s->o, &s->e), 0); }

static void close_scene(scene *s) {
    CHECK_STR(s->e.message, "");
    outcome_done(&s->o);
    dimse_close(&s->c);
    gateway_stop(&s->g, 1000);
    receiver_stop(&s->r);
    CHECK_INT(s->a->open_objects, 0);
    fake_archive_free(&s->a);
}

static void check_counts(const dimse_message *m, unsigned completed, unsigned warning, unsigned failed) {
    CHECK(m->has_counts);
    CHECK_INT(m->completed, completed);
    CHECK_INT(m->warning, warning);
    CHECK_INT(m->failed, failed);
}

/* ---- MOVE -------------------------------------------------------------------------------------------------------------- */

TEST(move_sends_everything) {
    scene s;
    open_scene(&s, NULL);
    fill(s.a, 50, 20000);
    move(&s);
    CHECK_INT(s.o.last.status, 0);
    check_counts(&s.o.last, 50, 0, 0);
    CHECK_INT(s.o.data.n, 0);
    CHECK_INT(s.r.stored, 50);
    CHECK_INT(s.r.bytes, 50 * (s.a->object[0].length - FAKE_HEADER));
    CHECK_STR(s.r.last_originator, "TESTER");
    CHECK_INT(s.r.last_originator_id, s.o.last.message_id);
    CHECK_STR(s.r.last_calling, "GANTRY");
    CHECK_STR(s.r.last_transfer_syntax, DICOM_TS_EXPLICIT_LE);
    CHECK_STR(s.a->seen_study, "1.2.3\\1.2.4");
    CHECK_INT(s.a->seen_selection.level, ARCHIVE_STUDY);
    CHECK_INT(s.r.associations, 1);
    if (s.o.pending) CHECK_INT(s.o.seen_pending.remaining + s.o.seen_pending.completed, 50);
    close_scene(&s);
}

TEST(move_of_nothing_is_a_success) {
    scene s;
    open_scene(&s, NULL);
    move(&s);
    CHECK_INT(s.o.last.status, 0);
    check_counts(&s.o.last, 0, 0, 0);
    CHECK_INT(s.r.associations, 0);
    close_scene(&s);
}

TEST(move_with_an_asynchronous_window) {
    receiver like = { .window = 5 };
    scene s;
    open_scene(&s, &like);
    fill(s.a, 200, 5000);
    move(&s);
    check_counts(&s.o.last, 200, 0, 0);
    CHECK_INT(s.r.stored, 200);
    close_scene(&s);
}

TEST(move_counts_failures_and_warnings) {
    receiver like = { .status_every = { 0, 0xB007, 0xA700, 0 } };
    scene s;
    open_scene(&s, &like);
    fill(s.a, 8, 100);
    s.a->object[7].damaged = true;
    move(&s);
    CHECK_INT(s.o.last.status, 0xB000);
    check_counts(&s.o.last, 3, 2, 3);
    static const char list[] = "\x08\0\x58\0\x12\0\0\0" "1.2.3.8\\1.2.3.3\\1.2.3.7";
    CHECK_INT(s.o.data.n, 8 + 24);
    CHECK(strstr((const char *)s.o.data.p + 8, "1.2.3.8") && strstr((const char *)s.o.data.p + 8, "1.2.3.3") && strstr((const char *)s.o.data.p + 8, "1.2.3.7"));
    CHECK_MEM(s.o.data.p, list, 4);
    close_scene(&s);
}

TEST(move_where_all_fail) {
    receiver like = { .status_every = { 0xA900, 0xA900, 0xA900, 0xA900 } };
    scene s;
    open_scene(&s, &like);
    fill(s.a, 5, 100);
    move(&s);
    CHECK_INT(s.o.last.status, 0xA702);
    check_counts(&s.o.last, 0, 0, 5);
    CHECK_STR(s.o.last.error_comment, "the receiver answered A900");
    close_scene(&s);
}

TEST(a_destination_that_dies_midway) {
    receiver like = { .die_after = 3, .window = 1 }; /* each is answered before the next is sent */
    scene s;
    open_scene(&s, &like);
    fill(s.a, 20, 100000);
    uint64_t t = gn_mono_ns();
    move(&s);
    CHECK(gn_mono_ns() - t < 3000000000u);
    CHECK_INT(s.o.last.status, 0xB000);
    check_counts(&s.o.last, 2, 0, 18);
    CHECK_INT(s.r.associations, 1);
    close_scene(&s);
}

/* With many on their way, answers may come too late to be read: what is not known to be there counts as failed, never the other way. */
TEST(a_destination_that_dies_with_many_on_their_way) {
    receiver like = { .die_after = 3, .window = 16 };
    scene s;
    open_scene(&s, &like);
    fill(s.a, 20, 100000);
    uint64_t t = gn_mono_ns();
    move(&s);
    CHECK(gn_mono_ns() - t < 3000000000u);
    const dimse_message *m = &s.o.last;
    CHECK(m->completed <= 2);
    CHECK_INT(m->completed + m->failed, 20);
    CHECK_INT(m->status, m->completed ? 0xB000 : 0xA702);
    CHECK_INT(s.r.associations, 1);
    close_scene(&s);
}

TEST(a_destination_that_never_answers) {
    receiver like = { .hang = true };
    scene s;
    open_scene(&s, &like);
    fill(s.a, 5, 100);
    uint64_t t = gn_mono_ns();
    move(&s);
    CHECK(gn_mono_ns() - t < 2500000000u);
    CHECK_INT(s.o.last.status, 0xA702);
    check_counts(&s.o.last, 0, 0, 5);
    close_scene(&s);
}

TEST(a_destination_that_rejects_or_is_not_there) {
    receiver like = { .refuse_all = true };
    scene s;
    open_scene(&s, &like);
    fill(s.a, 3, 100);
    move(&s);
    CHECK_INT(s.o.last.status, 0xA702);
    check_counts(&s.o.last, 0, 0, 3);
    CHECK(strstr(s.o.last.error_comment, "rejected") != NULL);
    gateway_peer p = { .aet = "SINK", .host = "127.0.0.1", .port = 1, .permissions = 0 };
    CHECK_INT(gateway_reload_peers(s.g, &p, 1, NULL), 0);
    outcome_done(&s.o);
    s.o = (outcome){ 0 };
    move(&s);
    CHECK_INT(s.o.last.status, 0xA702);
    CHECK(s.o.last.error_comment[0] != 0);
    close_scene(&s);
}

TEST(an_unknown_destination) {
    scene s;
    open_scene(&s, NULL);
    fill(s.a, 3, 100);
    gateway_peer p[] = { { .aet = "CALLER", .permissions = GATEWAY_MAY_ALL } };
    CHECK_INT(gateway_reload_peers(s.g, p, 1, NULL), 0);
    static const char *const titles[] = { "SINK", "CALLER", "", "../../x" };
    for (size_t i = 0; i < GN_ARRAY_LEN(titles); i++) {
        CHECK_INT(ask(s.c, STUDY_MOVE, DIMSE_C_MOVE_RQ, titles[i], keys, study(), &s.o, &s.e), 0);
        CHECK_INT(s.o.last.status, 0xA801);
    }
    CHECK_INT(s.r.stored, 0);
    close_scene(&s);
}

TEST(move_is_cancelled) {
    scene s;
    open_scene(&s, NULL);
    fill(s.a, 2000, 20000);
    s.o.cancel_after = 1;
    move(&s);
    CHECK_INT(s.o.last.status, 0xFE00);
    CHECK(s.o.last.has_counts);
    CHECK(s.o.last.remaining > 0);
    CHECK_INT(s.o.last.remaining + s.o.last.completed, 2000);
    close_scene(&s);
}

TEST(identifiers_that_select_nothing) {
    scene s;
    open_scene(&s, NULL);
    static const struct { const char *level; unsigned tag; const char *value; unsigned offending; } table[] = {
        { "STUDY", DICOM_TAG_StudyInstanceUID, "", DICOM_TAG_StudyInstanceUID },    { "STUDY", DICOM_TAG_StudyInstanceUID, "*", DICOM_TAG_StudyInstanceUID },
        { "STUDY", DICOM_TAG_StudyInstanceUID, "1.2\\x", DICOM_TAG_StudyInstanceUID }, { "SERIES", DICOM_TAG_StudyInstanceUID, "1.2", DICOM_TAG_SeriesInstanceUID },
        { "IMAGE", DICOM_TAG_SeriesInstanceUID, "1.2", DICOM_TAG_SOPInstanceUID },  { "PATIENT", DICOM_TAG_PatientID, "1", DICOM_TAG_QueryRetrieveLevel },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++) {
        size_t n = identifier(keys, DICOM_TAG_QueryRetrieveLevel, table[i].level, table[i].tag, table[i].value, 0);
        CHECK_INT(ask(s.c, STUDY_MOVE, DIMSE_C_MOVE_RQ, "SINK", keys, n, &s.o, &s.e), 0);
        CHECK_INT(s.o.last.status, 0xA900);
        CHECK_INT(s.o.last.offending[0], table[i].offending);
    }
    close_scene(&s);
}

TEST(more_kinds_than_an_association_has_contexts) {
    scene s;
    open_scene(&s, NULL);
    uint8_t bytes[512];
    size_t n = image(bytes, 100), added = 0;
    for (size_t i = 0; i < dicom_uid_count() && added < 150; i++) {
        if (!dicom_uid_at(i)->storage) continue;
        char uid[32];
        snprintf(uid, sizeof uid, "1.2.3.%zu", ++added);
        fake_archive_add(s.a, dicom_uid_at(i)->uid, uid, DICOM_TS_EXPLICIT_LE, bytes, n);
    }
    move(&s);
    CHECK_INT(s.o.last.status, 0);
    check_counts(&s.o.last, 150, 0, 0);
    CHECK_INT(s.r.associations, 3);
    CHECK_INT(s.r.contexts, 300);
    close_scene(&s);
}

TEST(stopping_in_the_middle_of_a_move) {
    receiver like = { .hang = true };
    scene s;
    open_scene(&s, &like);
    fill(s.a, 5, 100);
    const dimse_context *x = dimse_association_find(s.c, STUDY_MOVE, NULL);
    dimse_message m = { .context_id = x->id, .command = DIMSE_C_MOVE_RQ, .message_id = 1, .sop_class = STUDY_MOVE, .move_destination = "SINK" };
    dimse_payload p = { .bytes = keys, .n = study(), .fd = -1 };
    CHECK_INT(dimse_send(s.c, &m, &p, &s.e), 0);
    usleep(100000);
    uint64_t t = gn_mono_ns();
    gateway_stop(&s.g, 50);
    CHECK(gn_mono_ns() - t < 600000000u);
    close_scene(&s);
}

/* ---- re-encoding ------------------------------------------------------------------------------------------------------- */

TEST(a_receiver_that_takes_implicit_only) {
    receiver like = { .only_implicit = true };
    scene s;
    open_scene(&s, &like);
    fill(s.a, 2, 200000);                      /* pixels stay in the file */
    fill(s.a, 2, 1000);                        /* everything in memory */
    fake_archive_add(s.a, CT, "1.2.3.9", "1.2.840.10008.1.2.4.50", "x", 1); /* compressed: cannot */
    move(&s);
    CHECK_INT(s.o.last.status, 0xB000);
    check_counts(&s.o.last, 4, 0, 1);
    CHECK_STR(s.r.last_transfer_syntax, DICOM_TS_IMPLICIT_LE);
    uint64_t header = s.a->object[0].length - FAKE_HEADER - 200000;
    CHECK_INT(s.r.bytes, 2 * 200000 + 2 * 1000 + 4 * (header - 4)); /* the pixel element's header is 4 shorter, others are equal */
    close_scene(&s);
}

/* ---- GET --------------------------------------------------------------------------------------------------------------- */

static dimse_association *getter(gateway *g, const char *ts, bool role) {
    static const char *const implicit[] = { DICOM_TS_IMPLICIT_LE };
    dimse_proposal p[] = { { .abstract_syntax = STUDY_GET, .transfer_syntaxes = implicit, .count = 1 }, { .abstract_syntax = CT, .transfer_syntaxes = &ts, .count = 1, .scp_role = role } };
    dimse_client_config c = { .port = gateway_port(g), .called = "GANTRY", .calling = "GETTER", .proposals = p, .proposal_count = 2 };
    gn_error e = GN_ERROR_INIT;
    dimse_association *a = dimse_connect(&c, &e);
    CHECK_STR(e.message, "");
    return a;
}

static void get_case(const char *ts, bool role, uint16_t store_status, uint16_t status, unsigned completed, unsigned warning, unsigned failed) {
    archive *a = fake_archive_new();
    fill(a, 20, 100000);
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = getter(g, ts, role);
    REQUIRE(c != NULL);
    outcome o = { .store_status = store_status };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(ask(c, STUDY_GET, DIMSE_C_GET_RQ, NULL, keys, study(), &o, &e), 0);
    CHECK_INT(o.last.status, status);
    check_counts(&o.last, completed, warning, failed);
    CHECK_INT(o.stores, role ? 20 : 0);
    CHECK_INT(o.data.n > 0, failed > 0);
    outcome_done(&o);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    CHECK_INT(a->open_objects, 0);
    fake_archive_free(&a);
}

TEST(get_on_the_same_association) { get_case(DICOM_TS_EXPLICIT_LE, true, 0, 0, 20, 0, 0); }
TEST(get_re_encodes) { get_case(DICOM_TS_IMPLICIT_LE, true, 0, 0, 20, 0, 0); }
TEST(get_big_endian) { get_case(DICOM_TS_EXPLICIT_BE, true, 0, 0, 20, 0, 0); }
TEST(get_without_the_role) { get_case(DICOM_TS_EXPLICIT_LE, false, 0, 0xA702, 0, 0, 20); }
TEST(get_refused_by_the_requester) { get_case(DICOM_TS_EXPLICIT_LE, true, 0xA700, 0xA702, 0, 0, 20); }
TEST(get_with_warnings) { get_case(DICOM_TS_EXPLICIT_LE, true, 0xB000, 0xB000, 0, 20, 0); }

TEST(get_is_cancelled) {
    archive *a = fake_archive_new();
    fill(a, 3000, 20000);
    gateway_config config = { .progress_ms = 1 };
    gateway *g = start_gateway(a, &config);
    dimse_association *c = getter(g, DICOM_TS_EXPLICIT_LE, true);
    REQUIRE(c != NULL);
    outcome o = { .cancel_after = 1 };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(ask(c, STUDY_GET, DIMSE_C_GET_RQ, NULL, keys, study(), &o, &e), 0);
    CHECK_INT(o.last.status, 0xFE00);
    CHECK(o.stores < 3000);
    outcome_done(&o);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    CHECK_INT(a->open_objects, 0);
    fake_archive_free(&a);
}

TEST(a_getter_that_vanishes) {
    archive *a = fake_archive_new();
    fill(a, 2000, 100000);
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = getter(g, DICOM_TS_EXPLICIT_LE, true);
    REQUIRE(c != NULL);
    const dimse_context *x = dimse_association_find(c, STUDY_GET, NULL);
    dimse_message m = { .context_id = x->id, .command = DIMSE_C_GET_RQ, .message_id = 1, .sop_class = STUDY_GET }, rq;
    dimse_payload p = { .bytes = keys, .n = study(), .fd = -1 };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(dimse_send(c, &m, &p, &e), 0);
    CHECK_INT(dimse_receive(c, &rq, &e), 0);
    dimse_abort(&c);
    gateway_stop(&g, 2000);
    CHECK_INT(a->open_objects, 0);
    fake_archive_free(&a);
}
