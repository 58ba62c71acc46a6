/* The harness: see harness.h. */
#include "harness.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- receiver ---------------------------------------------------------------------------------------------------------- */

static bool negotiate(void *ctx, dimse_negotiation *n, dimse_reject *reject) {
    receiver *r = ctx;
    if (r->refuse_all) {
        *reject = DIMSE_REJECT_CALLING_AE;
        return false;
    }
    pthread_mutex_lock(&r->lock);
    r->associations++;
    r->contexts += (unsigned)n->context_count;
    memcpy(r->last_calling, n->calling, sizeof r->last_calling);
    pthread_mutex_unlock(&r->lock);
    if (r->window) n->invoked = r->window;
    for (size_t i = 0; i < n->context_count; i++) {
        dimse_context *x = &n->context[i];
        x->result = DIMSE_CONTEXT_TRANSFER_UNSUPPORTED;
        x->scu_role = x->role_proposed ? x->proposed_scu : true;
        x->scp_role = x->role_proposed && x->proposed_scp;
        for (size_t k = 0; k < x->proposed_count && x->result != DIMSE_CONTEXT_ACCEPTED; k++) {
            if (r->only_implicit && strcmp(x->proposed[k], DICOM_TS_IMPLICIT_LE) != 0) continue;
            memcpy(x->transfer_syntax, x->proposed[k], sizeof x->transfer_syntax);
            x->result = DIMSE_CONTEXT_ACCEPTED;
        }
    }
    return true;
}

static int take_store(receiver *r, dimse_association *a, const dimse_message *m, unsigned *n) {
    gn_error e = GN_ERROR_INIT;
    gn_buf data = GN_BUF_INIT;
    if (dimse_read_dataset(a, 64u << 20, &data, &e)) return -1;
    pthread_mutex_lock(&r->lock);
    *n = r->stored++;
    r->bytes += data.n;
    memcpy(r->last_originator, m->move_originator, sizeof r->last_originator);
    r->last_originator_id = m->move_originator_id;
    memcpy(r->last_transfer_syntax, dimse_association_context(a, m->context_id)->transfer_syntax, sizeof r->last_transfer_syntax);
    pthread_mutex_unlock(&r->lock);
    gn_buf_done(&data);
    return 0;
}

static void serve(void *ctx, dimse_association *a) {
    receiver *r = ctx;
    gn_error e = GN_ERROR_INIT;
    dimse_message m;
    while (dimse_receive(a, &m, &e) == 0) {
        if (m.command == DIMSE_C_STORE_RQ) {
            unsigned n;
            if (take_store(r, a, &m, &n)) return;
            if (r->die_after && n + 1 >= r->die_after) {
                dimse_association_shutdown(a);
                return;
            }
            if (r->hang) {
                sleep(3);
                return;
            }
            if (dimse_respond(a, &m, r->status_every[n % 4], NULL, &e)) return;
        } else if (m.command == DIMSE_N_EVENT_REPORT_RQ) {
            pthread_mutex_lock(&r->lock);
            gn_buf_clear(&r->report);
            (void)dimse_read_dataset(a, 1u << 20, &r->report, &e);
            memcpy(r->report_syntax, dimse_association_context(a, m.context_id)->transfer_syntax, sizeof r->report_syntax);
            r->last_event = m.event_type;
            r->events++;
            uint16_t status = r->report_status;
            pthread_mutex_unlock(&r->lock);
            if (dimse_respond(a, &m, status, NULL, &e)) return;
        } else if (dimse_respond(a, &m, 0x0211, NULL, &e)) {
            return;
        }
    }
}

void receiver_start(receiver *r) {
    pthread_mutex_init(&r->lock, NULL);
    dimse_server_config c = { .negotiate = negotiate, .serve = serve, .ctx = r };
    gn_error e = GN_ERROR_INIT;
    r->server = dimse_server_start(&c, &e);
    CHECK(r->server != NULL);
    if (!r->server) abort();
}

uint16_t receiver_port(const receiver *r) { return dimse_server_port(r->server); }

void receiver_stop(receiver *r) {
    dimse_server_stop(&r->server, 0);
    gn_buf_done(&r->report);
    pthread_mutex_destroy(&r->lock);
}

/* ---- gateway and clients ----------------------------------------------------------------------------------------------- */

gateway *start_gateway(archive *a, const gateway_config *base) {
    gateway_config c = base ? *base : (gateway_config){ 0 };
    gn_error e = GN_ERROR_INIT;
    gn_log_setup(GN_LOG_ERROR, false);
    gateway *g = gateway_start(&c, a, &e);
    CHECK_STR(e.message, "");
    return g;
}

dimse_association *connect_as(uint16_t port, const char *calling, const char *called, const char *const *classes, size_t count, const char *transfer_syntax, bool scp_role, gn_error *e) {
    const char *syntax = transfer_syntax ? transfer_syntax : DICOM_TS_IMPLICIT_LE;
    dimse_proposal p[16];
    for (size_t i = 0; i < count; i++) p[i] = (dimse_proposal){ .abstract_syntax = classes[i], .transfer_syntaxes = &syntax, .count = 1, .scp_role = scp_role };
    dimse_client_config c = { .host = "127.0.0.1", .port = port, .called = called, .calling = calling, .proposals = p, .proposal_count = count };
    return dimse_connect(&c, e);
}

dimse_association *connect_to(gateway *g, const char *const *classes, size_t count, const char *transfer_syntax, bool scp_role) {
    gn_error e = GN_ERROR_INIT;
    dimse_association *a = connect_as(gateway_port(g), "TESTER", "GANTRY", classes, count, transfer_syntax, scp_role, &e);
    CHECK_STR(e.message, "");
    return a;
}

size_t identifier(uint8_t *out, ...) {
    va_list args;
    va_start(args, out);
    uint8_t *q = out;
    for (unsigned tag; (tag = va_arg(args, unsigned)) != 0;) {
        const char *text = va_arg(args, const char *);
        size_t n = strlen(text), even = n + (n & 1);
        gn_store_le16(q, (uint16_t)(tag >> 16));
        gn_store_le16(q + 2, (uint16_t)tag);
        gn_store_le32(q + 4, (uint32_t)even);
        memcpy(q + 8, text, n);
        if (n & 1) q[8 + n] = ' ';
        q += 8 + even;
    }
    va_end(args);
    return (size_t)(q - out);
}

static int on_response(void *ctx, const dimse_message *m, const void *data, size_t n) {
    outcome *o = ctx;
    bool pending = (m->status & 0xFF00) == 0xFF00;
    gn_buf_clear(&o->data);
    if (data) gn_buf_append(&o->data, data, n);
    if (pending && o->pending == 0 && data) gn_buf_append(&o->first, data, n);
    if (pending) {
        o->pending++;
        o->seen_pending = *m;
    }
    return pending && o->cancel_after && o->pending == o->cancel_after;
}

static int on_store(void *ctx, dimse_association *a, const dimse_message *m) {
    outcome *o = ctx;
    gn_error e = GN_ERROR_INIT;
    gn_buf data = GN_BUF_INIT;
    int rc = dimse_read_dataset(a, 64u << 20, &data, &e);
    o->stores++;
    o->store_bytes += data.n;
    gn_buf_done(&data);
    return rc ? rc : dimse_respond(a, m, o->store_status, NULL, &e);
}

int ask(dimse_association *a, const char *sop_class, uint16_t command, const char *destination, const void *ds, size_t n, outcome *o, gn_error *e) {
    const dimse_context *x = dimse_association_find(a, sop_class, NULL);
    if (!x) return gn_fail(e, GN_E_UNSUPPORTED, "%s was not accepted", sop_class);
    dimse_message m = { .context_id = x->id, .command = command };
    snprintf(m.sop_class, sizeof m.sop_class, "%s", sop_class);
    snprintf(m.move_destination, sizeof m.move_destination, "%s", destination ? destination : "");
    dimse_payload p = { .bytes = ds, .n = n, .fd = -1 };
    dimse_exchange exchange = { .on_response = on_response, .on_store = on_store, .ctx = o };
    return dimse_call(a, &m, ds ? &p : NULL, &exchange, &o->last, e);
}

void outcome_done(outcome *o) {
    gn_buf_done(&o->data);
    gn_buf_done(&o->first);
}

int store(dimse_association *a, const char *sop_class, const char *sop_instance, const void *ds, size_t n, dimse_message *last, gn_error *e) {
    const dimse_context *x = dimse_association_find(a, sop_class, NULL);
    if (!x) return gn_fail(e, GN_E_UNSUPPORTED, "%s was not accepted", sop_class);
    dimse_message m = { .context_id = x->id, .command = DIMSE_C_STORE_RQ };
    snprintf(m.sop_class, sizeof m.sop_class, "%s", sop_class);
    snprintf(m.sop_instance, sizeof m.sop_instance, "%s", sop_instance);
    dimse_payload p = { .bytes = ds, .n = n, .fd = -1 };
    return dimse_call(a, &m, ds ? &p : NULL, NULL, last, e);
}

bool wait_until(bool (*condition)(void *), void *ctx, unsigned ms) {
    for (unsigned i = 0; i < ms; i += 5) {
        if (condition(ctx)) return true;
        usleep(5000);
    }
    return condition(ctx);
}
