/* Command sets: annotated bytes both ways, what peers really send, and what must be refused (T3). */
#include "dimse/dimse.h"

#include "check.h"

static void encode(const dimse_message *m, gn_buf *out) {
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(dimse_command_encode(m, out, &e), 0);
    CHECK_INT(gn_load_le32(out->p + 8), out->n - 12); /* group length counts what follows it */
}

TEST(c_echo_rq_is_these_bytes) {
    static const uint8_t want[] = {
        0x00, 0x00, 0x00, 0x00, 0x04, 0, 0, 0, 0x38, 0, 0, 0,                                  /* group length 56 */
        0x00, 0x00, 0x02, 0x00, 0x12, 0, 0, 0, '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '1', '.', '1', 0, /* 18 bytes, NUL padded */
        0x00, 0x00, 0x00, 0x01, 0x02, 0, 0, 0, 0x30, 0x00,                                     /* command field */
        0x00, 0x00, 0x10, 0x01, 0x02, 0, 0, 0, 0x07, 0x00,                                     /* message id */
        0x00, 0x00, 0x00, 0x08, 0x02, 0, 0, 0, 0x01, 0x01,                                     /* no data set */
    };
    dimse_message m = { .command = DIMSE_C_ECHO_RQ, .message_id = 7, .sop_class = "1.2.840.10008.1.1" };
    gn_buf b = GN_BUF_INIT;
    encode(&m, &b);
    CHECK_MEM2(b.p, b.n, want, sizeof want);
    gn_buf_done(&b);
}

static dimse_message round_trip(const dimse_message *m) {
    gn_buf b = GN_BUF_INIT;
    encode(m, &b);
    dimse_message out;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(dimse_command_decode(b.p, b.n, &out, &e), 0);
    gn_buf_done(&b);
    return out;
}

TEST(c_store_rq_with_move_originator) {
    dimse_message m = { .command = DIMSE_C_STORE_RQ, .message_id = 65535, .priority = 2, .has_dataset = true, .sop_class = "1.2.840.10008.5.1.4.1.1.2", .sop_instance = "1.2.3.4", .move_originator = "ORIGIN", .move_originator_id = 9 };
    dimse_message r = round_trip(&m);
    CHECK_INT(r.command, DIMSE_C_STORE_RQ);
    CHECK_INT(r.message_id, 65535);
    CHECK_INT(r.priority, 2);
    CHECK(r.has_dataset);
    CHECK_STR(r.sop_class, m.sop_class);
    CHECK_STR(r.sop_instance, "1.2.3.4");
    CHECK_STR(r.move_originator, "ORIGIN");
    CHECK_INT(r.move_originator_id, 9);
}

TEST(c_move_rsp_counts) {
    dimse_message m = { .command = DIMSE_C_MOVE_RSP, .message_id = 3, .status = DIMSE_PENDING, .has_counts = true, .remaining = 4, .completed = 5, .failed = 6, .warning = 7, .sop_class = "1.2" };
    dimse_message r = round_trip(&m);
    CHECK(r.has_counts && r.has_status);
    CHECK_INT(r.status, 0xFF00);
    CHECK_INT(r.remaining, 4);
    CHECK_INT(r.completed, 5);
    CHECK_INT(r.failed, 6);
    CHECK_INT(r.warning, 7);
    m.status = 0;
    CHECK_INT(round_trip(&m).remaining, 0); /* PS3.7 §9.3.4.2: not in a final response */
}

TEST(errors_carry_comment_offending_elements_and_id) {
    dimse_message m = { .command = DIMSE_C_FIND_RSP, .message_id = 1, .status = 0xA900, .offending = { 0x0020000D, 0x00100020 }, .offending_count = 2, .error_id = 77 };
    memset(m.error_comment, 'x', 64);
    dimse_message r = round_trip(&m);
    CHECK_INT(r.offending_count, 2);
    CHECK_INT(r.offending[0], 0x0020000D);
    CHECK_INT(r.offending[1], 0x00100020);
    CHECK_INT(strlen(r.error_comment), 64);
    CHECK_INT(r.error_id, 77);
}

TEST(n_services_use_requested_uids_and_types) {
    dimse_message m = { .command = DIMSE_N_ACTION_RQ, .message_id = 1, .sop_class = "1.2.840.10008.1.20.1", .sop_instance = "1.2.840.10008.1.20.1.1", .action_type = 1, .has_dataset = true };
    gn_buf b = GN_BUF_INIT;
    encode(&m, &b);
    CHECK_INT(gn_load_le16(b.p + 12 + 2), 0x0003); /* Requested SOP Class UID */
    gn_buf_done(&b);
    dimse_message r = round_trip(&m);
    CHECK_INT(r.action_type, 1);
    CHECK_STR(r.sop_instance, m.sop_instance);
    m = (dimse_message){ .command = DIMSE_N_EVENT_REPORT_RQ, .message_id = 1, .sop_class = "1.2.840.10008.1.20.1", .sop_instance = "1.2", .event_type = 2 };
    encode(&m, &b);
    CHECK_INT(gn_load_le16(b.p + 12 + 2), 0x0002); /* Affected */
    gn_buf_done(&b);
    CHECK_INT(round_trip(&m).event_type, 2);
}

TEST(c_move_rq_and_cancel) {
    dimse_message m = { .command = DIMSE_C_MOVE_RQ, .message_id = 8, .move_destination = "ABCDEFGHIJKLMNOP", .has_dataset = true, .sop_class = "1.2" };
    CHECK_STR(round_trip(&m).move_destination, "ABCDEFGHIJKLMNOP");
    m = (dimse_message){ .command = DIMSE_C_CANCEL_RQ, .message_id = 8 };
    gn_buf b = GN_BUF_INIT;
    encode(&m, &b);
    CHECK_INT(gn_load_le16(b.p + 12 + 10 + 2), 0x0120); /* Message ID Being Responded To */
    gn_buf_done(&b);
    CHECK_INT(round_trip(&m).message_id, 8);
}

#define EL(tag, ...) 0, 0, (tag) & 0xff, (tag) >> 8, __VA_ARGS__

TEST(T3_peers_that_forget_the_group_length_or_pad_with_spaces_are_understood) {
    static const uint8_t in[] = { EL(0x0002, 6, 0, 0, 0, '1', '.', '2', ' ', ' ', ' '), EL(0x0100, 2, 0, 0, 0, 0x30, 0), EL(0x0110, 2, 0, 0, 0, 1, 0), EL(0x0800, 2, 0, 0, 0, 1, 1), EL(0x9999, 3, 0, 0, 0, 'a', 'b', 'c') };
    dimse_message m;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(dimse_command_decode(in, sizeof in, &m, &e), 0);
    CHECK_STR(m.sop_class, "1.2");
    CHECK(!m.has_dataset);
}

TEST(T3_what_is_no_command_set_is_refused_with_the_place) {
    dimse_message m;
    gn_error e = GN_ERROR_INIT;
    static const uint8_t overrun[] = { EL(0x0100, 200, 0, 0, 0, 0x30, 0) };
    CHECK_INT(dimse_command_decode(overrun, sizeof overrun, &m, &e), GN_E_PROTOCOL);
    CHECK(strstr(e.where, "offset 0, (0000,0100)") != NULL);
    static const uint8_t foreign[] = { 8, 0, 0x18, 0, 0, 0, 0, 0 };
    e = (gn_error)GN_ERROR_INIT;
    CHECK_INT(dimse_command_decode(foreign, sizeof foreign, &m, &e), GN_E_PROTOCOL);
    CHECK(strstr(e.message, "group 0008") != NULL);
    e = (gn_error)GN_ERROR_INIT;
    CHECK_INT(dimse_command_decode(NULL, 0, &m, &e), GN_E_PROTOCOL);
    CHECK(strstr(e.message, "Command Field") != NULL);
    static const uint8_t no_value[] = { EL(0x0100, 0, 0, 0, 0) };
    CHECK_INT(dimse_command_decode(no_value, sizeof no_value, &m, NULL), GN_E_PROTOCOL);
    for (size_t cut = 1; cut < sizeof overrun; cut++) CHECK(dimse_command_decode(overrun, cut, &m, NULL) < 0);
}

TEST(long_values_are_cut_not_overrun) {
    uint8_t in[400];
    memset(in, '9', sizeof in);
    static const uint8_t head[] = { EL(0x0100, 2, 0, 0, 0, 1, 0), EL(0x0002, 0x50, 1, 0, 0) };
    memcpy(in, head, sizeof head);
    dimse_message m;
    CHECK_INT(dimse_command_decode(in, sizeof head + 0x150, &m, NULL), 0);
    CHECK_INT(strlen(m.sop_class), 64);
}

TEST(a_full_buffer_is_an_error) {
    gn_buf b = GN_BUF_INIT;
    b.limit = 100;
    dimse_message m = { .command = DIMSE_C_ECHO_RQ };
    CHECK_INT(dimse_command_encode(&m, &b, NULL), GN_E_NO_MEMORY);
    gn_buf_done(&b);
}
