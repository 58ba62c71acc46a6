#include "pair.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

pair pair_open(const dimse_timeouts *t, uint32_t own_max, uint32_t peer_max) {
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd)) abort();
    dimse_socket_prepare(fd[0]);
    pair p = { dimse_association_new(fd[0], t, own_max, NULL), fd[1] };
    if (!p.a) abort();
    dimse_negotiation *n = &p.a->negotiation;
    n->context_count = 2;
    n->peer_max_pdu = peer_max;
    n->context[0] = (dimse_context){ .id = 1, .result = DIMSE_CONTEXT_ACCEPTED, .abstract_syntax = "1.2.840.10008.1.1", .transfer_syntax = DICOM_TS_IMPLICIT_LE };
    n->context[1] = (dimse_context){ .id = 3, .result = DIMSE_CONTEXT_ACCEPTED, .abstract_syntax = "1.2.840.10008.5.1.4.1.1.2", .transfer_syntax = DICOM_TS_EXPLICIT_LE };
    dimse_association_adopt(p.a);
    return p;
}

void pair_close(pair *p) {
    dimse_association_destroy(&p->a);
    close(p->raw);
}

void pair_put(pair *p, const void *bytes, size_t n) {
    const uint8_t *b = bytes;
    while (n) {
        ssize_t k = send(p->raw, b, n, MSG_NOSIGNAL);
        if (k <= 0) return;
        b += k;
        n -= (size_t)k;
    }
}

void pair_put_pdv(pair *p, uint8_t context, uint8_t control, const void *bytes, size_t n) {
    uint8_t h[12] = { PDU_P_DATA_TF };
    gn_store_be32(h + 2, (uint32_t)n + 6);
    gn_store_be32(h + 6, (uint32_t)n + 2);
    h[10] = context;
    h[11] = control;
    pair_put(p, h, sizeof h);
    pair_put(p, bytes, n);
}

void pair_put_command(pair *p, const dimse_message *m) {
    gn_buf b = GN_BUF_INIT;
    dimse_command_encode(m, &b, NULL);
    pair_put_pdv(p, m->context_id, PDV_COMMAND | PDV_LAST, b.p, b.n);
    gn_buf_done(&b);
}

static bool get(pair *p, uint8_t *b, size_t n) {
    while (n) {
        struct pollfd f = { p->raw, POLLIN, 0 };
        if (poll(&f, 1, 5000) <= 0) return false;
        ssize_t k = recv(p->raw, b, n, 0);
        if (k <= 0) return false;
        b += k;
        n -= (size_t)k;
    }
    return true;
}

uint8_t pair_get(pair *p, gn_buf *out) {
    uint8_t h[6];
    if (!get(p, h, 6)) return 0;
    size_t n = gn_load_be32(h + 2);
    uint8_t *room = gn_buf_reserve(out, n ? n : 1);
    if (!get(p, room, n)) return 0;
    out->n += n;
    return h[0];
}

int pair_get_abort(pair *p) {
    gn_buf b = GN_BUF_INIT;
    int result = -1;
    for (uint8_t type; result < 0 && (type = pair_get(p, &b)) != 0; gn_buf_clear(&b))
        if (type == PDU_ABORT && b.n == 4) result = b.p[2] << 8 | b.p[3];
    gn_buf_done(&b);
    return result;
}
