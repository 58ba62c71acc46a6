/* An established association: reading messages from P-DATA-TF PDUs, and its life's end (release, abort, closing).
 *
 * Payload bytes go from the socket straight into the caller's memory; only headers, and what happens to come along with them, pass through
 * the small `rx` buffer. No length from the peer ever causes an allocation. Sending lives in send.c. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- construction ------------------------------------------------------------------------------------------------------- */

dimse_timeouts dimse_timeouts_or_default(const dimse_timeouts *t) {
    dimse_timeouts d = t ? *t : (dimse_timeouts){ 0 };
    if (!d.artim_ms) d.artim_ms = 30000;
    if (!d.idle_ms) d.idle_ms = 300000;
    if (!d.dimse_ms) d.dimse_ms = 60000;
    if (!d.write_ms) d.write_ms = 60000;
    if (!d.connect_ms) d.connect_ms = 10000;
    return d;
}

dimse_association *dimse_association_new(int fd, const dimse_timeouts *t, uint32_t own_max_pdu, gn_error *e) {
    static _Atomic uint64_t serial;
    dimse_association *a = calloc(1, sizeof *a);
    if (a) {
        a->rx = malloc(DIMSE_READ_BUFFER);
        a->arena = gn_arena_new(1u << 20);
    }
    if (!a || !a->rx || !a->arena) {
        if (a) { free(a->rx); gn_arena_free(&a->arena); free(a); }
        gn_fail(e, GN_E_NO_MEMORY, "no memory for an association");
        return NULL;
    }
    a->fd = fd;
    a->timeouts = dimse_timeouts_or_default(t);
    a->own_max_pdu = own_max_pdu ? own_max_pdu : DIMSE_DEFAULT_MAX_PDU;
    a->id = atomic_fetch_add(&serial, 1) + 1;
    a->command.limit = DIMSE_MAX_COMMAND;
    a->state = STA1;
    return a;
}

void dimse_association_destroy(dimse_association **slot) {
    dimse_association *a = *slot;
    if (!a) return;
    if (a->fd >= 0) close(a->fd);
    gn_buf_done(&a->command);
    gn_buf_done(&a->out);
    gn_arena_free(&a->arena);
    free(a->rx);
    free(a);
    *slot = NULL;
}

void dimse_association_adopt(dimse_association *a) {
    dimse_negotiation *n = &a->negotiation;
    for (size_t i = 0; i < n->context_count; i++)
        if (n->context[i].result == DIMSE_CONTEXT_ACCEPTED) a->context_index[n->context[i].id] = (uint8_t)(i + 1);
    a->peer_max_pdu = n->peer_max_pdu;
    if (a->peer_max_pdu == 0 || a->peer_max_pdu > (1u << 20)) a->peer_max_pdu = 1u << 20;
    if (a->peer_max_pdu < 64) a->peer_max_pdu = 64; /* smaller ones could not even carry a PDV header and a byte */
    a->state = STA6;
}

const dimse_negotiation *dimse_association_negotiation(const dimse_association *a) { return &a->negotiation; }
uint64_t dimse_association_id(const dimse_association *a) { return a->id; }

const dimse_context *dimse_association_context(const dimse_association *a, uint8_t id) {
    return a->context_index[id] ? &a->negotiation.context[a->context_index[id] - 1] : NULL;
}

const dimse_context *dimse_association_find(const dimse_association *a, const char *abstract_syntax, const char *transfer_syntax) {
    for (size_t i = 0; i < a->negotiation.context_count; i++) {
        const dimse_context *c = &a->negotiation.context[i];
        if (c->result == DIMSE_CONTEXT_ACCEPTED && strcmp(c->abstract_syntax, abstract_syntax) == 0 && (!transfer_syntax || strcmp(c->transfer_syntax, transfer_syntax) == 0)) return c;
    }
    return NULL;
}

void dimse_association_shutdown(dimse_association *a) {
    atomic_store(&a->stop_after, true);
    shutdown(a->fd, SHUT_RDWR);
}

/* ---- ends --------------------------------------------------------------------------------------------------------------- */

int dimse_association_write(dimse_association *a, const void *p, size_t n, gn_error *e) {
    struct iovec v = { (void *)(uintptr_t)p, n };
    return dimse_socket_write(a->fd, &v, 1, a->timeouts.write_ms, 0, e);
}

void dimse_association_send_abort(dimse_association *a, uint8_t source, uint8_t reason) {
    const uint8_t pdu[10] = { PDU_ABORT, 0, 0, 0, 0, 4, 0, 0, source, reason };
    if (a->state == STA1 || a->state == STA13) return;
    struct iovec v = { (void *)(uintptr_t)pdu, sizeof pdu };
    gn_error ignored = GN_ERROR_INIT;
    (void)dimse_socket_write(a->fd, &v, 1, 1000, 0, &ignored);
    shutdown(a->fd, SHUT_WR);
    a->state = STA13;
}

/* A protocol error: AA-8 of the state machine, and the caller's error. */
static int violate(dimse_association *a, uint8_t reason, gn_error *e, const char *what) {
    dimse_association_send_abort(a, ABORT_SOURCE_PROVIDER, reason);
    return gn_fail(e, GN_E_PROTOCOL, "%s", what);
}

/* A timeout or closed connection ends the association; a timeout is told to the peer. */
static int broken(dimse_association *a, int rc) {
    if (rc == GN_E_TIMEOUT) dimse_association_send_abort(a, ABORT_SOURCE_PROVIDER, ABORT_NOT_SPECIFIED);
    a->state = STA1;
    return rc;
}

/* ---- bytes -------------------------------------------------------------------------------------------------------------- */

/* Payload arrived: the message's deadline moves on once a fair amount has come, so that a byte a second is no progress (T4). */
static void made_progress(dimse_association *a, size_t n) {
    a->progress += n;
    if (a->progress >= 4096) {
        a->progress = 0;
        a->deadline = dimse_deadline(a->timeouts.dimse_ms);
    }
}

/* At least n (<= DIMSE_READ_BUFFER) unread bytes in rx. */
static int need_bytes(dimse_association *a, size_t n, uint64_t deadline, gn_error *e) {
    if (a->rx_len - a->rx_off >= n) return 0;
    memmove(a->rx, a->rx + a->rx_off, a->rx_len - a->rx_off);
    a->rx_len -= a->rx_off;
    a->rx_off = 0;
    while (a->rx_len < n) {
        struct iovec v = { a->rx + a->rx_len, DIMSE_READ_BUFFER - a->rx_len };
        int64_t got = dimse_socket_read(a->fd, &v, 1, deadline, e);
        if (got < 0) return (int)got;
        a->rx_len += (size_t)got;
    }
    return 0;
}

/* ---- PDUs --------------------------------------------------------------------------------------------------------------- */

static int peer_aborted(dimse_association *a, gn_error *e) {
    uint8_t body[4] = { 0 };
    if (need_bytes(a, 4, dimse_deadline(1000), NULL) == 0) memcpy(body, a->rx + a->rx_off, 4);
    a->state = STA1;
    return gn_fail(e, GN_E_ABORTED, "the peer aborted: %s", dimse_abort_text(body[2], body[3]));
}

/* A-RELEASE-RQ in Sta6: AR-2, AR-4 (a message in progress is given up). In Sta7 (release collision): AR-8. */
static int peer_releases(dimse_association *a, gn_error *e) {
    static const uint8_t rp[10] = { PDU_RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0 };
    gn_error ignored = GN_ERROR_INIT;
    (void)dimse_association_write(a, rp, sizeof rp, &ignored);
    (void)e;
    a->state = STA13;
    return 1;
}

/* The next P-DATA-TF header. 0: pdu_left is set; 1: released; <0. `deadline` covers the wait for its first byte. */
static int next_pdu(dimse_association *a, uint64_t deadline, gn_error *e) {
    int rc = need_bytes(a, PDU_HEADER, deadline, e);
    if (rc) return broken(a, rc);
    uint8_t type = a->rx[a->rx_off];
    uint32_t n = gn_load_be32(a->rx + a->rx_off + 2);
    dimse_transition t = dimse_fsm(a->state, dimse_fsm_pdu_event(type));
    if (t.action == DT_2) {
        if (n < PDV_HEADER || n > a->own_max_pdu) {
            gn_error_at(e, "P-DATA-TF of length %u", n);
            return violate(a, ABORT_INVALID_PARAMETER, e, n < PDV_HEADER ? "a P-DATA-TF PDU too short to hold a PDV" : "a P-DATA-TF PDU longer than the announced maximum");
        }
        a->rx_off += PDU_HEADER;
        a->pdu_left = n;
        return 0;
    }
    if (t.action == AR_2) { a->rx_off += PDU_HEADER; return peer_releases(a, e); }
    if (t.action == AA_3) { a->rx_off += PDU_HEADER; return peer_aborted(a, e); }
    gn_error_at(e, "PDU type %02X, length %u", type, n);
    bool known = type >= PDU_ASSOCIATE_RQ && type <= PDU_ABORT;
    return violate(a, known ? ABORT_UNEXPECTED_PDU : ABORT_UNRECOGNIZED_PDU, e, known ? "a PDU that does not belong here" : "an unrecognized PDU");
}

/* The next PDV header, opening a new PDU when the last one is used up. 0: pdv_* are set; 1: released; <0. */
static int next_pdv(dimse_association *a, uint64_t deadline, gn_error *e) {
    if (a->pdu_left == 0) {
        int rc = next_pdu(a, deadline, e);
        if (rc) return rc;
    }
    if (a->pdu_left < PDV_HEADER) return violate(a, ABORT_INVALID_PARAMETER, e, "a PDU ends inside a PDV header");
    int rc = need_bytes(a, PDV_HEADER, a->deadline, e);
    if (rc) return broken(a, rc);
    uint32_t n = gn_load_be32(a->rx + a->rx_off);
    a->pdv_context = a->rx[a->rx_off + 4];
    a->pdv_control = a->rx[a->rx_off + 5];
    a->rx_off += PDV_HEADER;
    if (n < 2 || n - 2 > a->pdu_left - PDV_HEADER) {
        gn_error_at(e, "PDV of length %u in a PDU with %u bytes left", n, a->pdu_left);
        return violate(a, ABORT_INVALID_PARAMETER, e, "a PDV that does not fit its PDU");
    }
    a->pdv_left = n - 2;
    a->pdu_left -= PDV_HEADER + a->pdv_left;
    if (!a->context_index[a->pdv_context]) {
        gn_error_at(e, "presentation context %u", a->pdv_context);
        return violate(a, ABORT_INVALID_PARAMETER, e, "a PDV for a presentation context that was not accepted");
    }
    return 0;
}

/* ---- messages ----------------------------------------------------------------------------------------------------------- */

/* The wait between messages: idle, so that a stopping server may end the association here and nowhere else. */
static int await_message(dimse_association *a, gn_error *e) {
    if (atomic_load(&a->stop_after)) {
        dimse_association_send_abort(a, ABORT_SOURCE_USER, ABORT_NOT_SPECIFIED);
        return gn_fail(e, GN_E_CLOSED, "the service is stopping");
    }
    if (a->rx_len == a->rx_off && a->pdu_left == 0) {
        int busy = ACTIVITY_BUSY;
        atomic_compare_exchange_strong(&a->activity, &busy, ACTIVITY_IDLE);
        int rc = need_bytes(a, 1, dimse_deadline(a->requestor ? a->timeouts.dimse_ms : a->timeouts.idle_ms), e);
        int idle = ACTIVITY_IDLE;
        if (!atomic_compare_exchange_strong(&a->activity, &idle, ACTIVITY_BUSY)) {
            dimse_association_send_abort(a, ABORT_SOURCE_USER, ABORT_NOT_SPECIFIED);
            gn_error_clear(e ? e : &(gn_error)GN_ERROR_INIT);
            return gn_fail(e, GN_E_CLOSED, "the service is stopping");
        }
        if (rc) return broken(a, rc);
    }
    return 0;
}

/* Gathers one command fragment. */
static int take_command_fragment(dimse_association *a, gn_error *e) {
    if (a->command.n + a->pdv_left > DIMSE_MAX_COMMAND) return violate(a, ABORT_INVALID_PARAMETER, e, "a command set longer than the limit");
    while (a->pdv_left) {
        int rc = need_bytes(a, 1, a->deadline, e);
        if (rc) return broken(a, rc);
        size_t k = a->rx_len - a->rx_off;
        if (k > a->pdv_left) k = a->pdv_left;
        gn_buf_append(&a->command, a->rx + a->rx_off, k);
        a->rx_off += k;
        a->pdv_left -= (uint32_t)k;
        made_progress(a, k);
    }
    return a->command.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a command set") : 0;
}

int dimse_receive(dimse_association *a, dimse_message *m, gn_error *e) {
    int rc = a->out.n ? dimse_flush(a, e) : 0;
    if (rc) return rc;
    if (a->state == STA13) return 1;
    if (a->state != STA6) return gn_fail(e, GN_E_CLOSED, "the association has ended");
    if (a->dataset_open && (rc = dimse_skip_dataset(a, e))) return rc;
    if ((rc = await_message(a, e))) return rc;
    a->deadline = dimse_deadline(a->timeouts.dimse_ms);
    a->progress = 0;
    gn_buf_clear(&a->command);
    uint8_t context = 0;
    for (bool first = true;; first = false) {
        rc = next_pdv(a, a->deadline, e);
        if (rc) return rc;
        if (!(a->pdv_control & PDV_COMMAND)) return violate(a, ABORT_UNEXPECTED_PARAMETER, e, "a data set fragment where a command was expected");
        if (!first && a->pdv_context != context) return violate(a, ABORT_UNEXPECTED_PARAMETER, e, "a command set in fragments of two presentation contexts");
        context = a->pdv_context;
        bool last = a->pdv_control & PDV_LAST;
        if ((rc = take_command_fragment(a, e))) return rc;
        if (last) break;
    }
    rc = dimse_command_decode(a->command.p, a->command.n, m, e);
    if (rc) {
        dimse_association_send_abort(a, ABORT_SOURCE_PROVIDER, ABORT_INVALID_PARAMETER);
        return rc;
    }
    m->context_id = context;
    a->dataset_open = m->has_dataset;
    a->dataset_context = context;
    return 0;
}

/* A data set PDV with bytes (or the last flag) to give; 0, or an error. A release inside a message is an abort in disguise. */
static int next_data_pdv(dimse_association *a, gn_error *e) {
    int rc = next_pdv(a, a->deadline, e);
    if (rc == 1) return gn_fail(e, GN_E_CLOSED, "the peer released in the middle of a message");
    if (rc) return rc;
    if ((a->pdv_control & PDV_COMMAND) || a->pdv_context != a->dataset_context)
        return violate(a, ABORT_UNEXPECTED_PARAMETER, e, "a command or another context's fragment inside a data set");
    return 0;
}

/* Reads into dst what the socket has, and into rx what follows the PDV: one system call for payload and next headers. */
static int64_t read_payload(dimse_association *a, uint8_t *dst, size_t want, gn_error *e) {
    struct iovec v[2] = { { dst, want }, { a->rx, 64 } };
    int64_t got = dimse_socket_read(a->fd, v, want == a->pdv_left ? 2 : 1, a->deadline, e);
    if (got < 0) return broken(a, (int)got);
    size_t payload = (size_t)got < want ? (size_t)got : want;
    a->rx_off = 0;
    a->rx_len = (size_t)got - payload;
    return (int64_t)payload;
}

int dimse_read_into(dimse_association *a, void *dst, size_t cap, size_t *n, bool *last, gn_error *e) {
    uint8_t *p = dst;
    *n = 0;
    *last = false;
    if (!a->dataset_open) return gn_fail(e, GN_E_INTERNAL, "no data set is being received");
    while (*n < cap || a->pdv_left == 0) {
        if (a->pdv_left == 0) {
            if (*n > 0 && a->rx_len == a->rx_off && *n >= 65536) return 0; /* enough to work on while more arrives */
            int rc = next_data_pdv(a, e);
            if (rc) return rc;
        }
        size_t want = cap - *n < a->pdv_left ? cap - *n : a->pdv_left;
        if (want) {
            size_t have = a->rx_len - a->rx_off;
            int64_t got;
            if (have) {
                got = (int64_t)(have < want ? have : want);
                memcpy(p + *n, a->rx + a->rx_off, (size_t)got);
                a->rx_off += (size_t)got;
            } else {
                got = read_payload(a, p + *n, want, e);
                if (got < 0) return (int)got;
            }
            *n += (size_t)got;
            a->pdv_left -= (uint32_t)got;
            made_progress(a, (size_t)got);
        }
        if (a->pdv_left == 0 && (a->pdv_control & PDV_LAST)) {
            a->dataset_open = false;
            a->pdv_control = 0;
            *last = true;
            return 0;
        }
        if (*n == cap) return 0;
    }
    return 0;
}

int dimse_read_dataset(dimse_association *a, size_t limit, gn_buf *out, gn_error *e) {
    size_t start = out->n;
    for (bool last = false; !last;) {
        uint8_t *p = gn_buf_reserve(out, 4096);
        if (!p) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a data set");
        size_t n;
        int rc = dimse_read_into(a, p, 4096, &n, &last, e);
        if (rc) return rc;
        out->n += n;
        if (out->n - start > limit) {
            if (!last && (rc = dimse_skip_dataset(a, e))) return rc;
            return gn_fail(e, GN_E_TOO_LARGE, "the data set is larger than %zu bytes", limit);
        }
    }
    return 0;
}

int dimse_skip_dataset(dimse_association *a, gn_error *e) {
    uint8_t waste[8192];
    for (bool last = !a->dataset_open; !last;) {
        size_t n;
        int rc = dimse_read_into(a, waste, sizeof waste, &n, &last, e);
        if (rc) return rc;
    }
    return 0;
}

/* ---- cancel ------------------------------------------------------------------------------------------------------------- */

/* One whole C-CANCEL-RQ in a single PDU at the front of rx? 1 yes and consumed (*id), 0 no. */
static int take_cancel(dimse_association *a, uint16_t *id) {
    const uint8_t *p = a->rx + a->rx_off;
    size_t have = a->rx_len - a->rx_off;
    if (a->pdu_left || have < PDATA_HEADER || p[0] != PDU_P_DATA_TF) return 0;
    uint32_t n = gn_load_be32(p + 2), pdv = gn_load_be32(p + 6);
    if (n > have - PDU_HEADER || pdv + 4 != n || pdv < 2 || p[11] != (PDV_COMMAND | PDV_LAST)) return 0;
    dimse_message m;
    if (dimse_command_decode(p + PDATA_HEADER, pdv - 2, &m, NULL) || m.command != DIMSE_C_CANCEL_RQ) return 0;
    *id = m.message_id;
    a->rx_off += PDU_HEADER + n;
    return 1;
}

int dimse_cancelled(dimse_association *a, uint16_t message_id, gn_error *e) {
    if (a->state != STA6) return gn_fail(e, GN_E_CLOSED, "the association has ended");
    for (;;) {
        uint16_t id;
        while (take_cancel(a, &id))
            if (id == message_id) return 1;
        if (a->rx_off) {
            memmove(a->rx, a->rx + a->rx_off, a->rx_len - a->rx_off);
            a->rx_len -= a->rx_off;
            a->rx_off = 0;
        }
        if (a->rx_len == DIMSE_READ_BUFFER) return 0;
        int64_t got = dimse_socket_read_now(a->fd, a->rx + a->rx_len, DIMSE_READ_BUFFER - a->rx_len);
        if (got < 0) { a->state = STA1; return gn_fail(e, GN_E_CLOSED, "the peer closed the connection"); }
        if (got == 0) return 0;
        a->rx_len += (size_t)got;
        if (a->rx[0] == PDU_ABORT && a->rx_len >= 10) { a->rx_off = PDU_HEADER; return peer_aborted(a, e); }
    }
}

/* ---- association phase -------------------------------------------------------------------------------------------------- */

int dimse_association_read_pdu(dimse_association *a, uint32_t limit, uint64_t deadline, uint8_t *type, const uint8_t **body, size_t *n, gn_error *e) {
    int rc = need_bytes(a, PDU_HEADER, deadline, e);
    if (rc) return rc;
    *type = a->rx[a->rx_off];
    uint32_t length = gn_load_be32(a->rx + a->rx_off + 2);
    a->rx_off += PDU_HEADER;
    if (*type < PDU_ASSOCIATE_RQ || *type > PDU_ABORT) {
        gn_error_at(e, "first bytes %02X %02X %02X", a->rx[a->rx_off - 6], a->rx[a->rx_off - 5], a->rx[a->rx_off - 4]);
        if (*type == 0x15 || *type == 0x16) return gn_fail(e, GN_E_PROTOCOL, "the peer answers in TLS: this port wants a secure connection");
        return gn_fail(e, GN_E_PROTOCOL, "the peer does not speak DICOM");
    }
    if (length > limit) return gn_fail(e, GN_E_PROTOCOL, "a PDU of %u bytes where at most %u make sense", length, limit);
    uint8_t *copy = gn_arena_alloc(a->arena, length ? length : 1);
    if (!copy) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a PDU");
    for (size_t have = 0; have < length;) {
        if ((rc = need_bytes(a, 1, deadline, e))) return rc;
        size_t k = a->rx_len - a->rx_off < length - have ? a->rx_len - a->rx_off : length - have;
        memcpy(copy + have, a->rx + a->rx_off, k);
        a->rx_off += k;
        have += k;
    }
    *body = copy;
    *n = length;
    return 0;
}

int dimse_association_release(dimse_association *a, gn_error *e) {
    static const uint8_t rq[10] = { PDU_RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0 }, rp[10] = { PDU_RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0 };
    if (dimse_fsm(a->state, EVT11).action != AR_1) return gn_fail(e, GN_E_CLOSED, "the association has ended");
    int rc = dimse_association_write(a, rq, sizeof rq, e);
    if (rc) return rc;
    a->state = STA7;
    uint64_t deadline = dimse_deadline(a->timeouts.dimse_ms < 10000 ? a->timeouts.dimse_ms : 10000);
    size_t budget = 64u << 20; /* P-DATA still on its way (AR-6) is read and dropped, within reason */
    while (a->state != STA1) {
        if ((rc = need_bytes(a, PDU_HEADER, deadline, e))) return broken(a, rc);
        uint8_t type = a->rx[a->rx_off];
        uint32_t n = gn_load_be32(a->rx + a->rx_off + 2);
        a->rx_off += PDU_HEADER;
        dimse_transition t = dimse_fsm(a->state, dimse_fsm_pdu_event(type));
        if (t.action == AA_8 || n > budget) return violate(a, ABORT_UNEXPECTED_PDU, e, "an unexpected PDU while releasing");
        budget -= n;
        for (uint32_t left = n; left;) {
            if ((rc = need_bytes(a, 1, deadline, e))) return broken(a, rc);
            size_t k = a->rx_len - a->rx_off < left ? a->rx_len - a->rx_off : left;
            a->rx_off += k;
            left -= (uint32_t)k;
        }
        if (t.action == AR_8) { /* collision: as requestor answer and wait on (AR-9, Sta11) */
            if ((rc = dimse_association_write(a, rp, sizeof rp, e))) return rc;
            a->state = STA11;
        } else {
            a->state = (dimse_state)t.next;
        }
    }
    return 0;
}
