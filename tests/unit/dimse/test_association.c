/* Messages over an established association: every legal split gives the same bytes, every illegal order is aborted (T1, T2, T3, T4). */
#include "pair.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static const dimse_timeouts quick = { .artim_ms = 200, .idle_ms = 200, .dimse_ms = 200, .write_ms = 200, .connect_ms = 200 };
static const dimse_message echo = { .context_id = 1, .command = DIMSE_C_ECHO_RQ, .message_id = 5, .sop_class = "1.2.840.10008.1.1" };
static const dimse_message store = { .context_id = 3, .command = DIMSE_C_STORE_RQ, .message_id = 6, .has_dataset = true, .sop_class = "1.2.840.10008.5.1.4.1.1.2", .sop_instance = "1.2.3" };

TEST(a_command_without_data_set_is_received_and_answered_in_one_pdu) {
    pair p = pair_open(&quick, 0, 0);
    pair_put_command(&p, &echo);
    dimse_message m;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(dimse_receive(p.a, &m, &e), 0);
    CHECK_INT(m.command, DIMSE_C_ECHO_RQ);
    CHECK_INT(m.context_id, 1);
    CHECK_INT(dimse_respond(p.a, &m, 0, NULL, &e), 0);
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(pair_get(&p, &b), PDU_P_DATA_TF);
    dimse_message r;
    CHECK_INT(dimse_command_decode(b.p + 6, b.n - 6, &r, &e), 0);
    CHECK_INT(r.command, DIMSE_C_ECHO_RSP);
    CHECK_INT(r.message_id, 5);
    CHECK_INT(r.status, 0);
    gn_buf_done(&b);
    pair_close(&p);
}

TEST(T2_any_legal_split_gives_the_same_bytes) {
    enum { SIZE = 3000 };
    uint8_t data[SIZE];
    for (int i = 0; i < SIZE; i++) data[i] = (uint8_t)(i * 7 + i / 256);
    srand(2);
    for (int round = 0; round < 60; round++) {
        pair p = pair_open(NULL, 0, 0);
        gn_buf cmd = GN_BUF_INIT, pdus = GN_BUF_INIT;
        dimse_command_encode(&store, &cmd, NULL);
        size_t pdu_at = 0;
        for (int part = 0; part < 2; part++) {
            const uint8_t *src = part ? data : cmd.p;
            size_t n = part ? SIZE : cmd.n, o = 0;
            do {
                size_t k = round == 0 ? 1 : (size_t)(rand() % (round * 9 + 1));
                if (k > n - o) k = n - o;
                if (pdus.n == 0 || rand() % 3 == 0) { /* a new PDU */
                    pdu_at = pdus.n;
                    gn_buf_putc(&pdus, PDU_P_DATA_TF);
                    gn_buf_putc(&pdus, 0);
                    gn_buf_be32(&pdus, 0);
                }
                gn_buf_be32(&pdus, (uint32_t)k + 2);
                gn_buf_putc(&pdus, 3);
                gn_buf_putc(&pdus, (char)((part ? 0 : PDV_COMMAND) | (o + k == n ? PDV_LAST : 0)));
                gn_buf_append(&pdus, src + o, k);
                gn_store_be32(pdus.p + pdu_at + 2, (uint32_t)(pdus.n - pdu_at - 6));
                o += k;
                if (o == n) break;
            } while (true);
        }
        pair_put(&p, pdus.p, pdus.n);
        dimse_message m;
        gn_error e = GN_ERROR_INIT;
        CHECK_INT(dimse_receive(p.a, &m, &e), 0);
        CHECK_STR(e.message, "");
        gn_buf out = GN_BUF_INIT;
        for (bool last = false; !last;) {
            uint8_t piece[700];
            size_t n = 0;
            if (dimse_read_into(p.a, piece, (size_t)(rand() % 699) + 1, &n, &last, &e)) { CHECK_STR(e.message, ""); break; }
            gn_buf_append(&out, piece, n);
        }
        CHECK_MEM2(out.p, out.n, data, SIZE);
        gn_buf_done(&out);
        gn_buf_done(&cmd);
        gn_buf_done(&pdus);
        pair_close(&p);
    }
}

/* Sends bytes after an optional C-STORE command and expects this A-ABORT. */
static void expect_abort(const void *bytes, size_t n, bool after_command, int reason) {
    pair p = pair_open(&quick, 4096, 0);
    dimse_message m;
    gn_error e = GN_ERROR_INIT;
    if (after_command) pair_put_command(&p, &store);
    pair_put(&p, bytes, n);
    int rc = dimse_receive(p.a, &m, &e);
    if (after_command && rc == 0) {
        gn_buf b = GN_BUF_INIT;
        rc = dimse_read_dataset(p.a, 1000, &b, &e);
        gn_buf_done(&b);
    }
    CHECK_INT(rc, GN_E_PROTOCOL);
    CHECK(e.message[0] != '\0');
    CHECK_INT(pair_get_abort(&p), 0x200 | reason);
    CHECK_INT(dimse_receive(p.a, &m, NULL) != 0, 1);
    pair_close(&p);
}

#define ABORT_CASE(after, reason, ...)                    \
    do {                                                  \
        static const uint8_t bytes[] = { __VA_ARGS__ };   \
        expect_abort(bytes, sizeof bytes, after, reason); \
    } while (0)

TEST(T1_lengths_that_cannot_be_are_aborted) {
    ABORT_CASE(false, ABORT_INVALID_PARAMETER, 4, 0, 0, 0, 0, 0);                             /* PDU of length 0 */
    ABORT_CASE(false, ABORT_INVALID_PARAMETER, 4, 0, 0, 0, 0, 5, 0, 0, 0, 1, 1);              /* no room for a PDV header */
    ABORT_CASE(false, ABORT_INVALID_PARAMETER, 4, 0, 0xff, 0xff, 0xff, 0xff);                 /* 4 GiB */
    ABORT_CASE(false, ABORT_INVALID_PARAMETER, 4, 0, 0, 0, 0x10, 1);                          /* one more than announced */
    ABORT_CASE(false, ABORT_INVALID_PARAMETER, 4, 0, 0, 0, 0, 7, 0, 0, 0, 99, 1, 3, 0);       /* PDV longer than its PDU */
    ABORT_CASE(false, ABORT_INVALID_PARAMETER, 4, 0, 0, 0, 0, 7, 0, 0, 0, 1, 1, 3, 0);        /* PDV of length 1 */
    ABORT_CASE(true, ABORT_INVALID_PARAMETER, 4, 0, 0, 0, 0, 8, 0, 0, 0, 2, 3, 0, 0, 0);      /* second PDV header cut by the PDU's end */
}

TEST(T1_T2_pdus_and_fragments_out_of_place_are_aborted) {
    ABORT_CASE(false, ABORT_UNRECOGNIZED_PDU, 99, 0, 0, 0, 0, 4, 0, 0, 0, 0);
    ABORT_CASE(false, ABORT_UNEXPECTED_PDU, 1, 0, 0, 0, 0, 4, 0, 0, 0, 0);
    ABORT_CASE(false, ABORT_UNEXPECTED_PDU, 6, 0, 0, 0, 0, 4, 0, 0, 0, 0);
    ABORT_CASE(false, ABORT_INVALID_PARAMETER, 4, 0, 0, 0, 0, 7, 0, 0, 0, 3, 99, 3, 0);       /* context 99 was never accepted */
    ABORT_CASE(false, ABORT_UNEXPECTED_PARAMETER, 4, 0, 0, 0, 0, 7, 0, 0, 0, 3, 3, 0, 0);     /* data before a command */
    ABORT_CASE(true, ABORT_UNEXPECTED_PARAMETER, 4, 0, 0, 0, 0, 7, 0, 0, 0, 3, 3, 1, 0);      /* command inside the data set */
    ABORT_CASE(true, ABORT_UNEXPECTED_PARAMETER, 4, 0, 0, 0, 0, 7, 0, 0, 0, 3, 1, 0, 0);      /* another context's data */
    ABORT_CASE(false, ABORT_UNEXPECTED_PARAMETER, 4, 0, 0, 0, 0, 7, 0, 0, 0, 3, 3, 1, 0, 4, 0, 0, 0, 0, 7, 0, 0, 0, 3, 1, 3, 0);
    ABORT_CASE(false, ABORT_INVALID_PARAMETER, 4, 0, 0, 0, 0, 10, 0, 0, 0, 6, 1, 3, 0xff, 0xff, 0xff, 0xff); /* no command set */
}

TEST(T3_a_command_longer_than_the_limit_is_aborted) {
    pair p = pair_open(&quick, 0, 0);
    uint8_t block[4000] = { 0 };
    for (int i = 0; i < 5; i++) pair_put_pdv(&p, 1, PDV_COMMAND, block, sizeof block);
    dimse_message m;
    CHECK_INT(dimse_receive(p.a, &m, NULL), GN_E_PROTOCOL);
    CHECK_INT(pair_get_abort(&p), 0x206);
    pair_close(&p);
}

TEST(T4_silence_and_single_bytes_run_into_timers) {
    dimse_message m;
    gn_error e = GN_ERROR_INIT;
    pair p = pair_open(&quick, 0, 0);
    uint64_t t = gn_mono_ns();
    CHECK_INT(dimse_receive(p.a, &m, &e), GN_E_TIMEOUT); /* idle */
    CHECK((gn_mono_ns() - t) / 1000000 < 1500);
    CHECK_INT(pair_get_abort(&p), 0x200);
    pair_close(&p);
    p = pair_open(&quick, 0, 0);
    pair_put_command(&p, &store);
    CHECK_INT(dimse_receive(p.a, &m, NULL), 0);
    for (int i = 0; i < 100; i++) pair_put_pdv(&p, 3, 0, "", 0); /* no progress */
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(dimse_read_dataset(p.a, 1000, &b, NULL), GN_E_TIMEOUT);
    gn_buf_done(&b);
    pair_close(&p);
}

TEST(T4_a_peer_that_does_not_read_runs_into_the_write_timer) {
    pair p = pair_open(&quick, 0, 16384);
    size_t n = 8 << 20;
    void *big = calloc(1, n);
    gn_error e = GN_ERROR_INIT;
    dimse_payload payload = { .bytes = big, .n = n, .fd = -1 };
    CHECK_INT(dimse_send(p.a, &store, &payload, &e), GN_E_TIMEOUT);
    CHECK_INT(dimse_send(p.a, &store, &payload, NULL), GN_E_CLOSED);
    free(big);
    pair_close(&p);
}

TEST(release_abort_and_close_by_the_peer) {
    static const uint8_t release[10] = { 5, 0, 0, 0, 0, 4 }, abort_pdu[10] = { 7, 0, 0, 0, 0, 4, 0, 0, 2, 1 };
    dimse_message m;
    gn_error e = GN_ERROR_INIT;
    pair p = pair_open(&quick, 0, 0);
    pair_put(&p, release, 10);
    CHECK_INT(dimse_receive(p.a, &m, &e), 1);
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(pair_get(&p, &b), PDU_RELEASE_RP);
    CHECK_INT(dimse_receive(p.a, &m, &e), 1);
    pair_close(&p);
    p = pair_open(&quick, 0, 0);
    pair_put(&p, abort_pdu, 10);
    CHECK_INT(dimse_receive(p.a, &m, &e), GN_E_ABORTED);
    CHECK(strstr(e.message, "unrecognized PDU") != NULL);
    pair_close(&p);
    p = pair_open(&quick, 0, 0);
    shutdown(p.raw, SHUT_WR);
    e = (gn_error)GN_ERROR_INIT;
    CHECK_INT(dimse_receive(p.a, &m, &e), GN_E_CLOSED);
    pair_close(&p);
    p = pair_open(&quick, 0, 0);
    pair_put_command(&p, &store);
    pair_put(&p, release, 10); /* in the middle of a message */
    CHECK_INT(dimse_receive(p.a, &m, NULL), 0);
    CHECK_INT(dimse_read_dataset(p.a, 100, &b, NULL), GN_E_CLOSED);
    gn_buf_done(&b);
    pair_close(&p);
}

TEST(a_data_set_over_the_limit_is_read_away_and_the_association_lives) {
    pair p = pair_open(&quick, 0, 0);
    uint8_t block[5000] = { 1 };
    pair_put_command(&p, &store);
    for (int i = 0; i < 4; i++) pair_put_pdv(&p, 3, i == 3 ? PDV_LAST : 0, block, sizeof block);
    pair_put_command(&p, &store);
    pair_put_pdv(&p, 3, PDV_LAST, "ab", 2);
    pair_put_command(&p, &echo);
    dimse_message m;
    gn_buf b = GN_BUF_INIT;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(dimse_receive(p.a, &m, NULL), 0);
    CHECK_INT(dimse_read_dataset(p.a, 6000, &b, &e), GN_E_TOO_LARGE);
    CHECK_INT(dimse_receive(p.a, &m, NULL), 0);
    CHECK_INT(m.command, DIMSE_C_STORE_RQ);
    CHECK_INT(dimse_receive(p.a, &m, NULL), 0); /* the unread data set is skipped */
    CHECK_INT(m.command, DIMSE_C_ECHO_RQ);
    size_t n;
    bool last;
    CHECK_INT(dimse_read_into(p.a, block, 10, &n, &last, NULL), GN_E_INTERNAL);
    gn_buf_done(&b);
    pair_close(&p);
}

/* Joins command and data PDVs of what the association sent; checks that no PDU exceeds peer_max. */
static void collect(pair *p, uint32_t peer_max, gn_buf *cmd, gn_buf *data) {
    gn_buf pdu = GN_BUF_INIT;
    for (bool last = false; !last;) {
        gn_buf_clear(&pdu);
        if (pair_get(p, &pdu) != PDU_P_DATA_TF) { CHECK(!"P-DATA-TF"); break; }
        CHECK(pdu.n <= peer_max);
        CHECK_INT(gn_load_be32(pdu.p) + 4, pdu.n);
        bool command = pdu.p[5] & PDV_COMMAND;
        gn_buf_append(command ? cmd : data, pdu.p + 6, pdu.n - 6);
        dimse_message m;
        if (command && (pdu.p[5] & PDV_LAST) && dimse_command_decode(cmd->p, cmd->n, &m, NULL) == 0 && !m.has_dataset) break;
        last = !command && (pdu.p[5] & PDV_LAST);
    }
    gn_buf_done(&pdu);
}

TEST(payloads_from_memory_and_file_are_cut_to_the_peers_maximum) {
    static const uint32_t maxima[] = { 64, 128, 1000, 16384, 131072, 0 };
    enum { SIZE = 50000 };
    uint8_t *bytes = malloc(SIZE);
    for (int i = 0; i < SIZE; i++) bytes[i] = (uint8_t)(i * 31 + i / 251);
    int fd = memfd_create("object", 0);
    CHECK_INT(write(fd, bytes, SIZE), SIZE);
    for (size_t i = 0; i < GN_ARRAY_LEN(maxima); i++)
        for (int how = 0; how < 4; how++) { /* memory, file, both, empty */
            pair p = pair_open(NULL, 0, maxima[i]);
            int size = 4 << 20;
            setsockopt(p.a->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
            dimse_payload payload = { .bytes = how == 1 ? NULL : bytes, .n = how == 0 ? SIZE : how == 2 ? 777 : 0, .fd = how == 1 || how == 2 ? fd : -1, .offset = 777, .length = SIZE - 777 };
            if (how == 1) payload.offset = 0, payload.length = SIZE;
            size_t n = maxima[i] == 64 && how != 3 ? 3000 : SIZE;
            if (maxima[i] == 64 && how == 0) payload.n = n;
            if (maxima[i] == 64 && how == 1) payload.length = n;
            if (maxima[i] == 64 && how == 2) payload.length = n - 777;
            gn_error e = GN_ERROR_INIT;
            CHECK_INT(dimse_send(p.a, &store, &payload, &e), 0);
            CHECK_STR(e.message, "");
            gn_buf cmd = GN_BUF_INIT, data = GN_BUF_INIT;
            collect(&p, maxima[i] ? maxima[i] : 1u << 20, &cmd, &data);
            CHECK_MEM2(data.p, data.n, bytes, how == 3 ? 0 : n);
            gn_buf_done(&cmd);
            gn_buf_done(&data);
            pair_close(&p);
        }
    close(fd);
    free(bytes);
}

TEST(odd_data_sets_are_padded_and_no_fragment_is_odd) {
    int fd = memfd_create("odd", 0);
    CHECK_INT(write(fd, "abcdefg", 7), 7);
    for (int how = 0; how < 2; how++) {
        pair p = pair_open(NULL, 0, 71); /* an odd maximum */
        dimse_payload payload = { .bytes = how ? NULL : "abcdefg", .n = how ? 0 : 7, .fd = how ? fd : -1, .length = how ? 7 : 0 };
        CHECK_INT(dimse_send(p.a, &store, &payload, NULL), 0);
        gn_buf cmd = GN_BUF_INIT, data = GN_BUF_INIT;
        collect(&p, 71, &cmd, &data);
        CHECK_MEM2(data.p, data.n, "abcdefg\0", 8);
        gn_buf_done(&cmd);
        gn_buf_done(&data);
        pair_close(&p);
    }
    close(fd);
}

TEST(a_stored_object_that_is_too_short_aborts_the_association) {
    pair p = pair_open(&quick, 0, 0);
    int fd = memfd_create("short", 0);
    CHECK_INT(write(fd, "abc", 3), 3);
    dimse_payload payload = { .fd = fd, .length = 100 };
    CHECK_INT(dimse_send(p.a, &store, &payload, NULL), GN_E_CORRUPT);
    CHECK(p.a->state != STA6);
    close(fd);
    pair_close(&p);
}

TEST(queued_answers_leave_together_and_in_order) {
    pair p = pair_open(NULL, 0, 0);
    dimse_message m = { .context_id = 1, .command = DIMSE_C_FIND_RSP, .message_id = 1, .status = DIMSE_PENDING };
    for (uint16_t i = 0; i < 50; i++) {
        char text[32];
        snprintf(text, sizeof text, "answer %u", i);
        CHECK_INT(dimse_queue(p.a, &m, text, strlen(text), NULL), 0);
    }
    m.status = 0;
    CHECK_INT(dimse_queue(p.a, &m, NULL, 0, NULL), 0);
    CHECK_INT(dimse_flush(p.a, NULL), 0);
    for (int i = 0; i < 50; i++) {
        gn_buf cmd = GN_BUF_INIT, data = GN_BUF_INIT;
        char text[32];
        snprintf(text, sizeof text, "answer %d", i);
        collect(&p, 1 << 20, &cmd, &data);
        CHECK_MEM2(data.p, data.n, text, strlen(text));
        gn_buf_done(&cmd);
        gn_buf_done(&data);
    }
    CHECK_INT(dimse_flush(p.a, NULL), 0);
    uint8_t big[70000] = { 0 };
    m.status = DIMSE_PENDING;
    CHECK_INT(dimse_queue(p.a, &m, big, sizeof big, NULL), 0); /* flushes by itself */
    CHECK_INT(p.a->out.n, 0);
    pair_close(&p);
}

TEST(T15_cancel_is_seen_among_other_traffic) {
    pair p = pair_open(&quick, 0, 0);
    CHECK_INT(dimse_cancelled(p.a, 9, NULL), 0);
    dimse_message cancel = { .context_id = 1, .command = DIMSE_C_CANCEL_RQ, .message_id = 8 };
    pair_put_command(&p, &cancel);
    CHECK_INT(dimse_cancelled(p.a, 9, NULL), 0); /* of something else */
    cancel.message_id = 9;
    pair_put_command(&p, &cancel);
    pair_put_command(&p, &echo);
    CHECK_INT(dimse_cancelled(p.a, 9, NULL), 1);
    CHECK_INT(dimse_cancelled(p.a, 9, NULL), 0);
    dimse_message m;
    CHECK_INT(dimse_receive(p.a, &m, NULL), 0); /* what followed is still there */
    CHECK_INT(m.command, DIMSE_C_ECHO_RQ);
    shutdown(p.raw, SHUT_WR);
    CHECK(dimse_cancelled(p.a, 9, NULL) < 0);
    CHECK(dimse_cancelled(p.a, 9, NULL) < 0);
    pair_close(&p);
    p = pair_open(&quick, 0, 0);
    static const uint8_t abort_pdu[10] = { 7, 0, 0, 0, 0, 4, 0, 0, 0, 0 };
    pair_put(&p, abort_pdu, 10);
    CHECK_INT(dimse_cancelled(p.a, 9, NULL), GN_E_ABORTED);
    pair_close(&p);
    p = pair_open(&quick, 0, 0);
    uint8_t flood[20000] = { 4 };
    pair_put(&p, flood, sizeof flood);
    CHECK_INT(dimse_cancelled(p.a, 9, NULL), 0); /* more than can be looked at: not cancelled, not broken */
    pair_close(&p);
}

TEST(contexts_are_found_by_id_and_by_syntax) {
    pair p = pair_open(&quick, 0, 10);
    CHECK(dimse_association_context(p.a, 1) != NULL);
    CHECK(dimse_association_context(p.a, 5) == NULL);
    CHECK_INT(dimse_association_find(p.a, "1.2.840.10008.5.1.4.1.1.2", NULL)->id, 3);
    CHECK(dimse_association_find(p.a, "1.2.840.10008.5.1.4.1.1.2", DICOM_TS_IMPLICIT_LE) == NULL);
    CHECK(dimse_association_find(p.a, "1.2", NULL) == NULL);
    CHECK_INT(p.a->peer_max_pdu, 64);
    CHECK(dimse_association_id(p.a) > 0);
    CHECK_INT(dimse_association_negotiation(p.a)->context_count, 2);
    pair_close(&p);
}
