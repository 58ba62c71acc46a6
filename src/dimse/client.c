/* The requestor's side: connecting, negotiating, one request and its answers, ending. */
#include "internal.h"

#include <stdlib.h>

uint16_t dimse_next_message_id(dimse_association *a) {
    if (++a->next_message_id == 0) a->next_message_id = 1;
    return a->next_message_id;
}

static int propose(dimse_association *a, const dimse_client_config *c, gn_error *e) {
    dimse_negotiation *n = &a->negotiation;
    if (c->proposal_count == 0 || c->proposal_count > DIMSE_MAX_CONTEXTS) return gn_fail(e, GN_E_INVALID, "1 to 128 presentation contexts can be proposed, not %zu", c->proposal_count);
    snprintf(n->called, sizeof n->called, "%s", c->called ? c->called : "ANY-SCP");
    snprintf(n->calling, sizeof n->calling, "%s", c->calling ? c->calling : "GANTRY");
    snprintf(n->implementation_class, sizeof n->implementation_class, "%s", DICOM_IMPLEMENTATION_CLASS_UID);
    snprintf(n->implementation_version, sizeof n->implementation_version, "%s", DICOM_IMPLEMENTATION_VERSION);
    n->peer_max_pdu = a->own_max_pdu; /* encoded as our own announcement */
    n->invoked = c->invoked ? c->invoked : 1;
    n->performed = c->performed ? c->performed : 1;
    n->identity = c->identity;
    for (size_t i = 0; i < c->proposal_count; i++) {
        const dimse_proposal *p = &c->proposals[i];
        dimse_context *x = &n->context[n->context_count++];
        x->id = (uint8_t)(2 * i + 1);
        snprintf(x->abstract_syntax, sizeof x->abstract_syntax, "%s", p->abstract_syntax);
        x->proposed_count = p->count < DIMSE_MAX_TRANSFER_SYNTAXES ? p->count : DIMSE_MAX_TRANSFER_SYNTAXES;
        x->proposed = gn_arena_zalloc(a->arena, x->proposed_count + 1, sizeof *x->proposed);
        if (!x->proposed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for presentation contexts");
        for (size_t k = 0; k < x->proposed_count; k++) snprintf(x->proposed[k], sizeof x->proposed[k], "%s", p->transfer_syntaxes[k]);
        x->role_proposed = x->proposed_scu = p->scp_role;
        x->proposed_scp = p->scp_role;
        x->extended_length = p->extended_length < sizeof x->extended ? p->extended_length : (uint8_t)sizeof x->extended;
        if (x->extended_length) memcpy(x->extended, p->extended, x->extended_length);
    }
    return 0;
}

static int send_request(dimse_association *a, gn_error *e) {
    gn_buf pdu = GN_BUF_INIT;
    const uint8_t header[PDU_HEADER] = { PDU_ASSOCIATE_RQ, 0, 0, 0, 0, 0 };
    gn_buf_append(&pdu, header, sizeof header);
    int rc = dimse_associate_encode(true, &a->negotiation, &pdu, e);
    if (!rc) {
        gn_store_be32(pdu.p + 2, (uint32_t)(pdu.n - PDU_HEADER));
        rc = dimse_association_write(a, pdu.p, pdu.n, e);
    }
    gn_buf_done(&pdu);
    return rc;
}

/* Takes the acceptor's word on each proposed context. An answer does not repeat abstract syntaxes, so it is decoded over a copy of what
 * was proposed; contexts it does not mention are not accepted, roles it does not mention are the defaults. */
static int accept_answer(dimse_association *a, const uint8_t *body, size_t n, gn_error *e) {
    dimse_negotiation *answer = gn_arena_memdup(a->arena, &a->negotiation, sizeof a->negotiation);
    if (!answer) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the answer");
    for (size_t k = 0; k < answer->context_count; k++) {
        answer->context[k].result = DIMSE_CONTEXT_NO_REASON;
        answer->context[k].scu_role = true;
        answer->context[k].scp_role = false;
        answer->context[k].extended_length = 0;
    }
    answer->peer_max_pdu = 0;
    int rc = dimse_associate_decode(a->arena, false, body, n, answer, e);
    if (rc) return rc;
    answer->context_count = a->negotiation.context_count; /* ids that were never proposed are dropped */
    memcpy(answer->peer_address, a->negotiation.peer_address, sizeof answer->peer_address);
    a->negotiation = *answer;
    return 0;
}

static int negotiate(dimse_association *a, gn_error *e) {
    uint8_t type;
    const uint8_t *body;
    size_t n;
    int rc = send_request(a, e);
    a->state = STA5;
    if (rc) return rc;
    gn_error reading = GN_ERROR_INIT;
    rc = dimse_association_read_pdu(a, DIMSE_MAX_REQUEST_PDU, dimse_deadline(a->timeouts.dimse_ms), &type, &body, &n, &reading);
    if (rc == GN_E_CLOSED) return gn_fail(e, rc, "the peer closed the connection instead of answering the association request");
    if (rc) {
        if (e && !e->code) *e = reading;
        return rc;
    }
    dimse_transition t = dimse_fsm(a->state, dimse_fsm_pdu_event(type));
    if (t.action == AE_3) {
        rc = accept_answer(a, body, n, e);
        if (!rc) dimse_association_adopt(a);
        return rc;
    }
    if (t.action == AE_4 && n >= 4) {
        dimse_reject r = { body[1], body[2], body[3] };
        a->state = STA1;
        gn_fail(e, GN_E_REJECTED, "association rejected (%s): %s", r.result == 2 ? "transient" : "permanent", dimse_reject_text(r));
        gn_error_at(e, "result %u, source %u, reason %u", r.result, r.source, r.reason);
        return GN_E_REJECTED;
    }
    if (t.action == AA_3 && n >= 4) {
        a->state = STA1;
        return gn_fail(e, GN_E_ABORTED, "the peer aborted: %s", dimse_abort_text(body[2], body[3]));
    }
    dimse_association_send_abort(a, ABORT_SOURCE_PROVIDER, ABORT_UNEXPECTED_PDU);
    return gn_fail(e, GN_E_PROTOCOL, "PDU type %02X is no answer to an association request", type);
}

dimse_association *dimse_connect(const dimse_client_config *config, gn_error *e) {
    dimse_timeouts t = dimse_timeouts_or_default(&config->timeouts);
    int fd = dimse_socket_connect(config->host ? config->host : "127.0.0.1", config->port, t.connect_ms, e);
    if (fd < 0) return NULL;
    dimse_association *a = dimse_association_new(fd, &t, config->max_pdu, e);
    if (!a) return NULL;
    a->requestor = true;
    atomic_store(&a->activity, ACTIVITY_BUSY);
    snprintf(a->negotiation.peer_address, sizeof a->negotiation.peer_address, "%s:%u", config->host ? config->host : "127.0.0.1", config->port);
    a->state = STA4;
    if (propose(a, config, e) || negotiate(a, e)) {
        dimse_association_send_abort(a, ABORT_SOURCE_USER, 0);
        dimse_association_destroy(&a);
        return NULL;
    }
    return a;
}

void dimse_close(dimse_association **slot) {
    if (!*slot) return;
    gn_error ignored = GN_ERROR_INIT;
    if ((*slot)->state == STA6) (void)dimse_association_release(*slot, &ignored);
    dimse_association_destroy(slot);
}

void dimse_abort(dimse_association **slot) {
    if (!*slot) return;
    dimse_association_send_abort(*slot, ABORT_SOURCE_USER, 0);
    dimse_association_destroy(slot);
}

static int send_cancel(dimse_association *a, const dimse_message *rq, gn_error *e) {
    dimse_message c = { .context_id = rq->context_id, .command = DIMSE_C_CANCEL_RQ, .message_id = rq->message_id };
    return dimse_send(a, &c, NULL, e);
}

static bool is_pending(const dimse_message *m) { return m->status == DIMSE_PENDING || m->status == DIMSE_PENDING_WARNING; }

int dimse_call(dimse_association *a, dimse_message *rq, const dimse_payload *payload, const dimse_exchange *x, dimse_message *last, gn_error *e) {
    if (!rq->message_id) rq->message_id = dimse_next_message_id(a);
    int rc = dimse_send(a, rq, payload, e);
    gn_buf data = GN_BUF_INIT;
    bool cancelled = false;
    while (!rc) {
        dimse_message m;
        rc = dimse_receive(a, &m, e);
        if (rc == 1) rc = gn_fail(e, GN_E_CLOSED, "the peer released before it answered");
        if (rc) break;
        if (m.command == DIMSE_C_STORE_RQ && x && x->on_store) {
            rc = x->on_store(x->ctx, a, &m);
            continue;
        }
        if (!(m.command & 0x8000)) {
            rc = dimse_respond(a, &m, DIMSE_UNRECOGNIZED_OPERATION, "not expected here", e);
            continue;
        }
        gn_buf_clear(&data);
        if (m.has_dataset) rc = dimse_read_dataset(a, x && x->max_dataset ? x->max_dataset : 16u << 20, &data, e);
        if (rc) break;
        if (m.command != (rq->command | 0x8000) || m.message_id != rq->message_id) {
            dimse_association_send_abort(a, ABORT_SOURCE_USER, 0);
            rc = gn_fail(e, GN_E_PROTOCOL, "an answer (%04X, message %u) to something that was not asked", m.command, m.message_id);
            break;
        }
        if (x && x->on_response && x->on_response(x->ctx, &m, m.has_dataset ? data.p : NULL, data.n) && is_pending(&m) && !cancelled) {
            cancelled = true;
            rc = send_cancel(a, rq, e);
        }
        if (last) *last = m;
        if (!is_pending(&m)) break;
    }
    gn_buf_done(&data);
    return rc;
}
