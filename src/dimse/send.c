/* Sending messages: command and data set cut into P-DATA-TF PDUs of the peer's maximum, in as few writes as possible.
 *
 * A response leaves in one write (two small ones would wait 40 ms for the peer's delayed acknowledgement). A file slice goes by
 * sendfile: its pages are never copied through this process. */
#include "internal.h"

#include <stdlib.h>
#include <sys/uio.h>

static void pdata_header(uint8_t h[PDATA_HEADER], uint8_t context, uint8_t control, uint32_t n) {
    h[0] = PDU_P_DATA_TF;
    h[1] = 0;
    gn_store_be32(h + 2, n + PDV_HEADER);
    gn_store_be32(h + 6, n + 2);
    h[10] = context;
    h[11] = control;
}

/* Even, as every fragment must be: some peers abort on odd ones. */
static uint32_t max_fragment(const dimse_association *a) { return (a->peer_max_pdu - PDV_HEADER) & ~1u; }

/* What the last fragment of an odd data set (a deflated one) is padded with: PS3.5 §A.5. */
static const uint8_t padding[1];

/* After a failed write the stream is broken in the middle of a PDU: nothing can be saved. */
static int write_failed(dimse_association *a, int rc) {
    a->state = STA1;
    return rc;
}

/* Appends the PDUs of one in-memory part to a buffer. */
static void put_fragments(dimse_association *a, gn_buf *b, uint8_t context, uint8_t kind, const uint8_t *p, size_t n) {
    do {
        uint32_t k = n < max_fragment(a) ? (uint32_t)n : max_fragment(a);
        uint8_t h[PDATA_HEADER];
        pdata_header(h, context, (uint8_t)(kind | (k == n ? PDV_LAST : 0)), k);
        gn_buf_append(b, h, sizeof h);
        gn_buf_append(b, p, k);
        p += k;
        n -= k;
    } while (n);
}

/* A command set with its PDU header(s), appended to b. */
static int put_command(dimse_association *a, gn_buf *b, const dimse_message *m, gn_error *e) {
    size_t at = b->n;
    if (!gn_buf_reserve(b, PDATA_HEADER + 1100)) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a command set");
    b->n += PDATA_HEADER;
    int rc = dimse_command_encode(m, b, e);
    if (rc) { b->n = at; return rc; }
    uint32_t n = (uint32_t)(b->n - at - PDATA_HEADER);
    if (n <= max_fragment(a)) {
        pdata_header(b->p + at, m->context_id, PDV_COMMAND | PDV_LAST, n);
        return 0;
    }
    uint8_t copy[1100];
    memcpy(copy, b->p + at + PDATA_HEADER, n);
    b->n = at;
    put_fragments(a, b, m->context_id, PDV_COMMAND, copy, n);
    return b->failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a command set") : 0;
}

static int check_open(const dimse_association *a, gn_error *e) {
    return a->state == STA6 ? 0 : gn_fail(e, GN_E_CLOSED, "the association has ended");
}

int dimse_flush(dimse_association *a, gn_error *e) {
    if (!a->out.n) return 0;
    int rc = check_open(a, e);
    if (!rc) rc = dimse_association_write(a, a->out.p, a->out.n, e);
    gn_buf_clear(&a->out);
    if (a->out.cap > DIMSE_WRITE_BUFFER * 2) gn_buf_done(&a->out);
    return rc ? write_failed(a, rc) : 0;
}

int dimse_queue(dimse_association *a, const dimse_message *m, const void *dataset, size_t n, gn_error *e) {
    int rc = check_open(a, e);
    if (rc) return rc;
    dimse_message copy;
    if (m->has_dataset != (dataset != NULL)) {
        copy = *m;
        copy.has_dataset = dataset != NULL;
        m = &copy;
    }
    if ((rc = put_command(a, &a->out, m, e))) return rc;
    if (dataset) put_fragments(a, &a->out, m->context_id, 0, dataset, n);
    if (a->out.failed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for answers");
    return a->out.n >= DIMSE_WRITE_BUFFER ? dimse_flush(a, e) : 0;
}

int dimse_respond(dimse_association *a, const dimse_message *m, uint16_t status, const char *comment, gn_error *e) {
    dimse_message r = { .context_id = m->context_id, .command = m->command | 0x8000, .message_id = m->message_id, .status = status };
    memcpy(r.sop_class, m->sop_class, sizeof r.sop_class);
    memcpy(r.sop_instance, m->sop_instance, sizeof r.sop_instance);
    if (comment) snprintf(r.error_comment, sizeof r.error_comment, "%s", comment);
    int rc = dimse_queue(a, &r, NULL, 0, e);
    if (!rc) rc = dimse_flush(a, e);
    if (a->out.cap > 4096) gn_buf_done(&a->out); /* idle associations hold little */
    return rc;
}

/* Command and an in-memory data set in one gathered write: headers in an array, payload from where it lies. */
static int send_memory(dimse_association *a, const dimse_message *m, const uint8_t *p, size_t n, int more, gn_error *e) {
    size_t fragments = n / max_fragment(a) + 1;
    struct iovec *v = malloc((2 * fragments + 2) * sizeof *v);
    uint8_t(*h)[PDATA_HEADER] = malloc(fragments * sizeof *h);
    gn_buf cmd = GN_BUF_INIT;
    int rc = v && h ? put_command(a, &cmd, m, e) : gn_fail(e, GN_E_NO_MEMORY, "no memory for sending");
    if (!rc && v && h) {
        int count = 0;
        size_t used = 0;
        v[count++] = (struct iovec){ cmd.p, cmd.n };
        for (size_t left = n; p;) {
            uint32_t k = left < max_fragment(a) ? (uint32_t)left : max_fragment(a);
            bool pad = left == k && !more && (k & 1);
            pdata_header(h[used], m->context_id, left == k && !more ? PDV_LAST : 0, k + pad);
            v[count++] = (struct iovec){ h[used++], PDATA_HEADER };
            v[count++] = (struct iovec){ (void *)(uintptr_t)p, k };
            if (pad) v[count++] = (struct iovec){ (void *)(uintptr_t)padding, 1 };
            p += k;
            left -= k;
            if (!left) break;
        }
        rc = dimse_socket_write(a->fd, v, count, a->timeouts.write_ms, more, e);
        if (rc) write_failed(a, rc);
    }
    gn_buf_done(&cmd);
    free(v);
    free(h);
    return rc;
}

static int send_slice(dimse_association *a, uint8_t context, int fd, uint64_t offset, uint64_t n, uint32_t odd, gn_error *e) {
    while (n) {
        uint32_t k = n < max_fragment(a) ? (uint32_t)n : max_fragment(a);
        uint8_t h[PDATA_HEADER];
        uint32_t pad = k == n ? odd : 0;
        pdata_header(h, context, k == n ? PDV_LAST : 0, k + pad);
        struct iovec v = { h, sizeof h };
        int rc = dimse_socket_write(a->fd, &v, 1, a->timeouts.write_ms, 1, e);
        if (!rc) rc = dimse_socket_sendfile(a->fd, fd, offset, k, a->timeouts.write_ms, e);
        if (!rc && pad) rc = dimse_association_write(a, padding, 1, e);
        if (rc) {
            if (rc == GN_E_CORRUPT || rc == GN_E_IO) dimse_association_send_abort(a, ABORT_SOURCE_USER, 0); /* a promised fragment cannot be delivered */
            return write_failed(a, rc);
        }
        offset += k;
        n -= k;
    }
    return 0;
}

int dimse_send(dimse_association *a, const dimse_message *m, const dimse_payload *payload, gn_error *e) {
    int rc = check_open(a, e);
    if (!rc && a->out.n) rc = dimse_flush(a, e);
    if (rc) return rc;
    dimse_message copy = *m;
    copy.has_dataset = payload != NULL;
    bool slice = payload && payload->fd >= 0 && payload->length > 0;
    bool bytes = payload && (payload->bytes || !slice);
    static const uint8_t nothing[1];
    const uint8_t *p = bytes ? (payload->bytes ? payload->bytes : nothing) : NULL;
    if (payload && payload->bytes && payload->n == 0 && slice) p = NULL;
    rc = send_memory(a, &copy, p, p && payload->bytes ? payload->n : 0, slice, e);
    return rc || !slice ? rc : send_slice(a, m->context_id, payload->fd, payload->offset, payload->length, (uint32_t)((payload->length + (p ? payload->n : 0)) & 1), e);
}
