/* Verification, Storage and FIND through a real listener and client, over the archive in memory: statuses, comments, limits, cancel, and
 * what T3 lists: messages with the expected answer. */
#include "harness.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define VERIFICATION "1.2.840.10008.1.1"

TEST(echo) {
    archive *a = fake_archive_new();
    gateway *g = start_gateway(a, NULL);
    REQUIRE(g != NULL);
    dimse_association *c = connect_to(g, (const char *const[]){ VERIFICATION }, 1, NULL, false);
    REQUIRE(c != NULL);
    outcome o = { 0 };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(ask(c, VERIFICATION, DIMSE_C_ECHO_RQ, NULL, NULL, 0, &o, &e), 0);
    CHECK_INT(o.last.status, 0);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    CHECK(g == NULL);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

TEST(a_store_reaches_the_archive_byte_for_byte) {
    archive *a = fake_archive_new();
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = connect_to(g, (const char *const[]){ CT, MR }, 2, DICOM_TS_EXPLICIT_LE, false);
    REQUIRE(c != NULL);
    static const size_t sizes[] = { 0, 2, 4096, 65536, 65538, 526336, 3000000 };
    gateway_stats before, after;
    gateway_get_stats(g, &before);
    size_t total = 0;
    for (size_t i = 0; i < GN_ARRAY_LEN(sizes); i++) {
        uint8_t *bytes = malloc(sizes[i] + 1), *back = malloc(sizes[i] + 1);
        REQUIRE(bytes && back);
        for (size_t k = 0; k < sizes[i]; k++) bytes[k] = (uint8_t)(k * 7 + i);
        char uid[32];
        snprintf(uid, sizeof uid, "1.2.3.%zu", i);
        dimse_message last;
        gn_error e = GN_ERROR_INIT;
        CHECK_INT(store(c, CT, uid, bytes, sizes[i], &last, &e), 0);
        CHECK_INT(last.status, 0);
        CHECK_STR(last.sop_instance, uid);
        CHECK_INT(a->object[i].length, sizes[i] + FAKE_HEADER);
        CHECK_INT(gn_pread_all(a->object[i].fd, back, sizes[i], FAKE_HEADER, &e), 0);
        CHECK(memcmp(bytes, back, sizes[i]) == 0);
        total += sizes[i];
        free(bytes);
        free(back);
    }
    CHECK_STR(a->object[0].transfer_syntax, DICOM_TS_EXPLICIT_LE);
    CHECK_STR(a->last_source.calling_ae, "TESTER");
    CHECK_STR(a->last_source.called_ae, "GANTRY");
    CHECK_STR(a->last_source.address, "127.0.0.1");
    gateway_get_stats(g, &after);
    CHECK_INT(after.stored - before.stored, GN_ARRAY_LEN(sizes));
    CHECK_INT(after.received_bytes - before.received_bytes, total);
    CHECK_INT(after.associations, 1);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

/* Stores `n` bytes under what the archive was told; the association must still work afterwards. */
static void store_expect(archive *a, gateway *g, size_t n, uint16_t status, const char *comment, dicom_tag offending) {
    dimse_association *c = connect_to(g, (const char *const[]){ CT, VERIFICATION }, 2, NULL, false);
    REQUIRE(c != NULL);
    uint8_t *bytes = calloc(1, n);
    dimse_message last = { 0 };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(store(c, CT, "1.2.3", bytes, n, &last, &e), 0);
    CHECK_INT(last.status, status);
    CHECK_STR(last.error_comment, comment);
    CHECK_INT(last.offending_count ? last.offending[0] : 0, offending);
    outcome o = { 0 };
    CHECK_INT(ask(c, VERIFICATION, DIMSE_C_ECHO_RQ, NULL, NULL, 0, &o, &e), 0);
    free(bytes);
    dimse_close(&c);
    (void)a;
}

TEST(the_archive_fails_before_during_and_after) {
    archive *a = fake_archive_new();
    gateway *g = start_gateway(a, NULL);
    a->fail_begin = GN_E_NO_SPACE;
    store_expect(a, g, 2000000, 0xA700, "told to fail", 0);
    a->fail_begin = 0;
    a->fail_after = 100000;
    store_expect(a, g, 2000000, 0xA700, "no space", 0);
    a->fail_after = 1999998;
    store_expect(a, g, 2000000, 0xA700, "no space", 0);
    a->fail_after = 0;
    a->store_status = 0xA900;
    a->store_findings = ARCHIVE_FINDING(COMMAND_MISMATCH);
    store_expect(a, g, 1000, 0xA900, "as told", DICOM_TAG_SOPInstanceUID);
    a->store_status = 0xB000;
    a->store_findings = ARCHIVE_FINDING(PIXEL_DATA_SHORT);
    store_expect(a, g, 1000, 0xB000, "as told", DICOM_TAG_PixelData);
    CHECK_INT(a->count, 1);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

TEST(a_sender_that_vanishes_leaves_nothing) {
    archive *a = fake_archive_new();
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = connect_to(g, (const char *const[]){ CT }, 1, NULL, false);
    REQUIRE(c != NULL);
    int fd = memfd_create("short", 0);
    dimse_message m = { .context_id = 1, .command = DIMSE_C_STORE_RQ, .message_id = 1, .sop_class = CT, .sop_instance = "1.2.3" };
    dimse_payload p = { .fd = fd, .length = 1000000 }; /* promises more than the file has: the client aborts in the middle */
    gn_error e = GN_ERROR_INIT;
    CHECK(dimse_send(c, &m, &p, &e) < 0);
    dimse_abort(&c);
    close(fd);
    usleep(50000);
    gateway_stop(&g, 1000);
    CHECK_INT(a->count, 0);
    CHECK_INT(a->aborted, 1);
    fake_archive_free(&a);
}

TEST(messages_that_do_not_fit) {
    archive *a = fake_archive_new();
    gateway *g = start_gateway(a, NULL);
    static const char *const classes[] = { CT, VERIFICATION, STUDY_FIND, STUDY_MOVE, STUDY_GET, COMMITMENT };
    static const struct { const char *context, *sop_class, *instance; uint16_t command; bool data; uint16_t status; } table[] = {
        { CT, CT, "", DIMSE_C_STORE_RQ, true, 0xA900 },
        { CT, CT, "../../x", DIMSE_C_STORE_RQ, true, 0xA900 },
        { CT, CT, "1..2", DIMSE_C_STORE_RQ, true, 0xA900 },
        { CT, MR, "1.2.3", DIMSE_C_STORE_RQ, true, 0x0122 },
        { CT, CT, "1.2.3", DIMSE_C_STORE_RQ, false, 0xC000 },
        { CT, CT, "1.2.3", DIMSE_C_FIND_RQ, true, 0x0211 },
        { CT, CT, "1.2.3", DIMSE_N_CREATE_RQ, true, 0x0211 },
        { CT, CT, "1.2.3", 0x0777, false, 0x0211 },
        { VERIFICATION, VERIFICATION, "", DIMSE_C_STORE_RQ, true, 0x0211 },
        { VERIFICATION, VERIFICATION, "", DIMSE_C_ECHO_RQ, true, 0x0000 },
        { VERIFICATION, CT, "", DIMSE_C_ECHO_RQ, false, 0x0122 },
        { STUDY_FIND, STUDY_FIND, "", DIMSE_C_FIND_RQ, false, 0xA900 },
        { STUDY_FIND, STUDY_FIND, "", DIMSE_C_MOVE_RQ, false, 0x0211 },
        { STUDY_GET, STUDY_GET, "", DIMSE_C_GET_RQ, false, 0xA900 },
        { STUDY_MOVE, STUDY_MOVE, "", DIMSE_C_MOVE_RQ, true, 0xC000 },
        { COMMITMENT, COMMITMENT, COMMITMENT_INSTANCE, DIMSE_N_GET_RQ, false, 0x0211 },
        { COMMITMENT, COMMITMENT, "1.2.3", DIMSE_N_ACTION_RQ, true, 0x0112 },
        { COMMITMENT, COMMITMENT, COMMITMENT_INSTANCE, DIMSE_N_ACTION_RQ, true, 0x0123 },
        { COMMITMENT, COMMITMENT, COMMITMENT_INSTANCE, DIMSE_N_DELETE_RQ, false, 0x0211 },
    };
    dimse_association *c = connect_to(g, classes, GN_ARRAY_LEN(classes), NULL, false);
    REQUIRE(c != NULL);
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++) {
        const dimse_context *x = dimse_association_find(c, table[i].context, NULL);
        REQUIRE(x != NULL);
        dimse_message m = { .context_id = x->id, .command = table[i].command, .message_id = (uint16_t)(100 + i), .priority = 99 }, last = { 0 };
        snprintf(m.sop_class, sizeof m.sop_class, "%s", table[i].sop_class);
        snprintf(m.sop_instance, sizeof m.sop_instance, "%s", table[i].instance);
        dimse_payload p = { .bytes = "\x10\0\x10\0\xff\xff\0\0xx", .n = 10, .fd = -1 };
        gn_error e = GN_ERROR_INIT;
        CHECK_INT(dimse_call(c, &m, table[i].data ? &p : NULL, NULL, &last, &e), 0);
        if (last.status != table[i].status) printf("# row %zu\n", i);
        CHECK_INT(last.status, table[i].status);
    }
    /* A cancel for nothing and an answer to nothing are passed over. */
    gn_error e = GN_ERROR_INIT;
    dimse_message cancel = { .context_id = 1, .command = DIMSE_C_CANCEL_RQ, .message_id = 77 }, answer = { .context_id = 1, .command = DIMSE_C_STORE_RSP, .message_id = 5 };
    CHECK_INT(dimse_send(c, &cancel, NULL, &e), 0);
    CHECK_INT(dimse_send(c, &answer, NULL, &e), 0);
    outcome o = { 0 };
    CHECK_INT(ask(c, VERIFICATION, DIMSE_C_ECHO_RQ, NULL, NULL, 0, &o, &e), 0);
    CHECK_INT(a->count, 0);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

/* ---- FIND -------------------------------------------------------------------------------------------------------------- */

static uint8_t keys[512];
static size_t study_keys(void) {
    return identifier(keys, DICOM_TAG_QueryRetrieveLevel, "STUDY", DICOM_TAG_PatientName, "", DICOM_TAG_PatientID, "A*", DICOM_TAG_StudyInstanceUID, "", 0);
}

TEST(find_streams_its_answers) {
    archive *a = fake_archive_new();
    a->rows = 2500;
    a->value[0] = (archive_value){ .text = "Doe^John", .n = 8, .present = true, .vr = DICOM_VR_PN };
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = connect_to(g, (const char *const[]){ STUDY_FIND }, 1, NULL, false);
    REQUIRE(c != NULL);
    for (int round = 0; round < 2; round++) {
        outcome o = { 0 };
        gn_error e = GN_ERROR_INIT;
        CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, keys, study_keys(), &o, &e), 0);
        CHECK_INT(o.last.status, 0);
        CHECK_INT(o.pending, 2500);
        CHECK_INT(o.seen_pending.status, 0xFF00);
        static const char expected[] = "\x08\0\x52\0\x06\0\0\0STUDY \x08\0\x54\0\x06\0\0\0GANTRY\x10\0\x10\0\x08\0\0\0Doe^John\x10\0\x20\0\0\0\0\0\x20\0\x0d\0\0\0\0\0";
        CHECK_MEM2(o.first.p, o.first.n, expected, sizeof expected - 1);
        outcome_done(&o);
    }
    CHECK_INT(a->seen_level, ARCHIVE_STUDY);
    CHECK_INT(a->seen_flags, ARCHIVE_QUERY_STUDY_ROOT | ARCHIVE_QUERY_RELATIONAL);
    CHECK_INT(a->seen_wanted_count, 3);
    CHECK_INT(a->seen_keys, 3);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

TEST(find_errors_and_limits) {
    archive *a = fake_archive_new();
    gateway_config config = { .limits = { .find_results = 50, .identifier = 1000 } };
    gateway *g = start_gateway(a, &config);
    dimse_association *c = connect_to(g, (const char *const[]){ STUDY_FIND }, 1, NULL, false);
    REQUIRE(c != NULL);
    outcome o = { 0 };
    gn_error e = GN_ERROR_INIT;
    a->rows = 50;
    CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, keys, study_keys(), &o, &e), 0);
    CHECK_INT(o.last.status, 0);
    outcome_done(&o);
    a->rows = 51;
    o = (outcome){ 0 };
    CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, keys, study_keys(), &o, &e), 0);
    CHECK_INT(o.last.status, 0xA700);
    CHECK_INT(o.pending, 50);
    CHECK_STR(o.last.error_comment, "more than 50 matches: narrow the query");
    outcome_done(&o);
    a->query_error = GN_E_INVALID;
    o = (outcome){ 0 };
    CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, keys, study_keys(), &o, &e), 0);
    CHECK_INT(o.last.status, 0xA900);
    CHECK_INT(o.last.offending[0], 0x00080020);
    a->query_error = GN_E_DATABASE;
    CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, keys, study_keys(), &o, &e), 0);
    CHECK_INT(o.last.status, 0xA700);
    a->query_error = 0;
    size_t n = identifier(keys, DICOM_TAG_QueryRetrieveLevel, "PATIENT", DICOM_TAG_PatientID, "", 0);
    CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, keys, n, &o, &e), 0);
    CHECK_INT(o.last.status, 0xA900);
    CHECK_INT(o.last.offending[0], DICOM_TAG_QueryRetrieveLevel);
    uint8_t *large = calloc(1, 5000);
    CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, large, 5000, &o, &e), 0);
    CHECK_INT(o.last.status, 0xA700);
    free(large);
    outcome_done(&o);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

TEST(find_is_cancelled) {
    archive *a = fake_archive_new();
    a->rows = UINT64_MAX;
    a->row_pause_us = 200;
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = connect_to(g, (const char *const[]){ STUDY_FIND }, 1, NULL, false);
    REQUIRE(c != NULL);
    outcome o = { .cancel_after = 3 };
    gn_error e = GN_ERROR_INIT;
    uint64_t t = gn_mono_ns();
    CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, keys, study_keys(), &o, &e), 0);
    CHECK_INT(o.last.status, 0xFE00);
    CHECK(gn_mono_ns() - t < 1000000000u);
    outcome_done(&o);
    o = (outcome){ 0 };
    a->rows = 1;
    CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, keys, study_keys(), &o, &e), 0);
    CHECK_INT(o.last.status, 0);
    outcome_done(&o);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

TEST(extended_negotiation_reaches_the_query) {
    archive *a = fake_archive_new();
    gateway_config config = { .strict_hierarchy = true };
    gateway *g = start_gateway(a, &config);
    static const char *const ts[] = { DICOM_TS_EXPLICIT_LE };
    static const uint8_t all[] = { 1, 1, 1 };
    for (uint8_t n = 0; n <= 3; n++) {
        dimse_proposal p = { .abstract_syntax = STUDY_FIND, .transfer_syntaxes = ts, .count = 1, .extended = all, .extended_length = n };
        dimse_client_config cc = { .port = gateway_port(g), .called = "ANY", .calling = "T", .proposals = &p, .proposal_count = 1 };
        gn_error e = GN_ERROR_INIT;
        dimse_association *c = dimse_connect(&cc, &e);
        REQUIRE(c != NULL);
        outcome o = { 0 };
        static const char ds[] = "\x08\0\x52\0CS\x06\0STUDY ";
        CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, ds, sizeof ds - 1, &o, &e), 0);
        CHECK_INT(o.last.status, 0);
        static const uint32_t flags[] = { 0, ARCHIVE_QUERY_RELATIONAL, ARCHIVE_QUERY_RELATIONAL | ARCHIVE_QUERY_COMBINED_DATETIME,
                                          ARCHIVE_QUERY_RELATIONAL | ARCHIVE_QUERY_COMBINED_DATETIME | ARCHIVE_QUERY_FUZZY_NAMES };
        CHECK_INT(a->seen_flags, ARCHIVE_QUERY_STUDY_ROOT | flags[n]);
        outcome_done(&o);
        dimse_close(&c);
    }
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

/* ---- rights and life --------------------------------------------------------------------------------------------------- */

TEST(peers_are_swapped_while_running) {
    archive *a = fake_archive_new();
    gateway_config config = { .calling = GATEWAY_CALLING_KNOWN };
    gateway *g = start_gateway(a, &config);
    gn_error e = GN_ERROR_INIT;
    static const char *const classes[] = { VERIFICATION };
    CHECK(connect_as(gateway_port(g), "MODALITY", "GANTRY", classes, 1, NULL, false, &e) == NULL);
    CHECK_INT(e.code, GN_E_REJECTED);
    gateway_peer p = { .aet = "MODALITY", .host = "localhost", .port = 104, .permissions = GATEWAY_MAY_ECHO };
    gn_error none = GN_ERROR_INIT;
    CHECK_INT(gateway_reload_peers(g, &p, 1, &none), 0);
    dimse_association *c = connect_as(gateway_port(g), "MODALITY", "GANTRY", classes, 1, NULL, false, &none);
    CHECK_STR(none.message, "");
    gateway_stats s;
    gateway_get_stats(g, &s);
    CHECK_INT(s.peers, 1);
    p.aet = "";
    CHECK_INT(gateway_reload_peers(g, &p, 1, NULL), GN_E_CONFIG);
    gateway_get_stats(g, &s);
    CHECK_INT(s.peers, 1);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}

TEST(configuration_is_checked) {
    archive *a = fake_archive_new();
    static const char *const bad_title[] = { "A\\B" }, *const bad_syntax[] = { "x" };
    const gateway_config bad[] = {
        { .aet = "MUCH_TOO_LONG_TITLE" }, { .extra_aets = bad_title, .extra_aet_count = 1 }, { .transfer_syntaxes = bad_syntax, .transfer_syntax_count = 1 },
        { .unknown_permissions = 1u << 30 }, { .address = "not an address" },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        gn_error e = GN_ERROR_INIT;
        CHECK(gateway_start(&bad[i], a, &e) == NULL);
        CHECK_INT(e.code, GN_E_CONFIG);
    }
    fake_archive_free(&a);
}

TEST(starting_without_memory) {
    archive *a = fake_archive_new();
    gateway_peer p = { .aet = "MODALITY", .host = "10.0.0.1", .port = 104, .permissions = GATEWAY_MAY_ALL };
    gateway_config config = { .peers = &p, .peer_count = 1 };
    unsigned failed = 1, n = 0;
    while (failed && n < 1000) {
        gn_error e = GN_ERROR_INIT;
        check_fail_alloc(++n);
        gateway *g = gateway_start(&config, a, &e);
        failed = check_failed_allocs();
        check_fail_alloc(0);
        CHECK(g != NULL || e.code != 0);
        gateway_stop(&g, 100);
    }
    CHECK(n > 5 && n < 1000);
    fake_archive_free(&a);
}

TEST(stopping_with_an_idle_association_is_quick) {
    archive *a = fake_archive_new();
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = connect_to(g, (const char *const[]){ VERIFICATION }, 1, NULL, false);
    REQUIRE(c != NULL);
    usleep(20000);
    uint64_t t = gn_mono_ns();
    gateway_stop(&g, 5000);
    CHECK(gn_mono_ns() - t < 500000000u);
    dimse_abort(&c);
    fake_archive_free(&a);
}

TEST(many_associations_at_once) {
    archive *a = fake_archive_new();
    gateway_config config = { .limits = { .associations = 20 } };
    gateway *g = start_gateway(a, &config);
    dimse_association *c[20];
    gn_error e = GN_ERROR_INIT;
    for (size_t i = 0; i < 20; i++) {
        c[i] = connect_as(gateway_port(g), "T", "GANTRY", (const char *const[]){ VERIFICATION }, 1, NULL, false, &e);
        REQUIRE(c[i] != NULL);
    }
    CHECK(connect_as(gateway_port(g), "T", "GANTRY", (const char *const[]){ VERIFICATION }, 1, NULL, false, &e) == NULL);
    CHECK_INT(e.code, GN_E_REJECTED);
    for (size_t i = 0; i < 20; i++) dimse_close(&c[i]);
    gateway_stop(&g, 1000);
    fake_archive_free(&a);
}
