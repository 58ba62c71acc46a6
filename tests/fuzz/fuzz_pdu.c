/* The upper layer's input. First byte 0: the rest is an A-ASSOCIATE-RQ body, 1: an -AC body; what decodes must encode and decode to the same.
 * Anything else: the rest is what a peer sends on an established association; it is read as the service would read it. */
#include "internal.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void associate(bool request, const uint8_t *data, size_t size) {
    gn_arena *arena = gn_arena_new(4u << 20);
    dimse_negotiation *n = gn_arena_zalloc(arena, 1, sizeof *n), *again = gn_arena_zalloc(arena, 1, sizeof *again);
    gn_error e = GN_ERROR_INIT;
    gn_buf b = GN_BUF_INIT;
    if (dimse_associate_decode(arena, request, data, size, n, &e) == 0) {
        if (dimse_associate_encode(request, n, &b, NULL)) abort();
        if (dimse_associate_decode(arena, request, b.p, b.n, again, NULL)) abort();
        if (again->context_count != n->context_count || strcmp(again->called, n->called) != 0 || strcmp(again->calling, n->calling) != 0) abort();
        for (size_t i = 0; i < n->context_count; i++) {
            if (again->context[i].id != n->context[i].id) abort();
            if (request && (again->context[i].proposed_count != n->context[i].proposed_count || strcmp(again->context[i].abstract_syntax, n->context[i].abstract_syntax) != 0)) abort();
        }
    } else if (!e.message[0]) abort();
    gn_buf_done(&b);
    gn_arena_free(&arena);
}

static void conversation(const uint8_t *data, size_t size) {
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd)) return;
    int room = 1 << 20;
    setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    dimse_socket_prepare(fd[0]);
    dimse_timeouts t = { 50, 50, 50, 50, 50 };
    dimse_association *a = dimse_association_new(fd[0], &t, 16384, NULL);
    if (!a) abort();
    a->negotiation.context_count = 1;
    a->negotiation.context[0] = (dimse_context){ .id = 1, .result = DIMSE_CONTEXT_ACCEPTED, .abstract_syntax = "1.2.840.10008.1.1", .transfer_syntax = DICOM_TS_IMPLICIT_LE };
    dimse_association_adopt(a);
    (void)!send(fd[1], data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd[1], SHUT_WR);
    dimse_message m;
    gn_error e = GN_ERROR_INIT;
    gn_buf b = GN_BUF_INIT;
    for (int rounds = 0; rounds < 1000 && dimse_receive(a, &m, &e) == 0; rounds++) {
        if (m.has_dataset && rounds % 2 == 0) {
            gn_buf_clear(&b);
            if (dimse_read_dataset(a, 4096, &b, &e)) break;
            if (b.n > 4096 + 4096) abort();
        }
        if (dimse_cancelled(a, m.message_id, NULL) < 0) break;
    }
    gn_buf_done(&b);
    dimse_association_destroy(&a);
    close(fd[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size || size > 200000) return 0;
    if (data[0] <= 1) associate(data[0] == 0, data + 1, size - 1);
    else conversation(data + 1, size - 1);
    return 0;
}
