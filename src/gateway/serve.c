/* One association's life: pulls messages, sends each to its service, answers what nobody serves, logs once at both ends.
 *
 * Every request gets exactly one final answer or ends the association; a request that cannot be served costs its peer that request only
 * (T3). Which service a message belongs to is decided by its presentation context, and the command must be one of that service. */
#include "internal.h"

#include <stdlib.h>

/* ---- answers ----------------------------------------------------------------------------------------------------------- */

dimse_message response_to(const dimse_message *m, uint16_t status) {
    dimse_message r = { .context_id = m->context_id, .command = m->command | 0x8000, .message_id = m->message_id, .status = status };
    memcpy(r.sop_class, m->sop_class, sizeof r.sop_class);
    memcpy(r.sop_instance, m->sop_instance, sizeof r.sop_instance);
    if (m->command == DIMSE_N_ACTION_RQ) r.action_type = m->action_type;
    return r;
}

/* Error Comment is LO: 64 characters, no backslash, and of the default repertoire since a command set has no other. */
void comment_set(dimse_message *r, const char *text) {
    size_t n = 0;
    for (; text && *text && n < sizeof r->error_comment - 1; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x80 && c < 0xC0) continue; /* one mark for a character, not for each byte */
        r->error_comment[n++] = c == '\\' ? '/' : c < 32 || c > 126 ? '?' : (char)c;
    }
    r->error_comment[n] = '\0';
}

int session_refuse(session *s, const dimse_message *m, uint16_t status, const char *comment, dicom_tag offending, gn_error *e) {
    int rc = m->has_dataset ? dimse_skip_dataset(s->association, e) : 0;
    if (rc) return rc;
    dimse_message r = response_to(m, status);
    comment_set(&r, comment);
    if (offending) r.offending[r.offending_count++] = offending;
    gn_log(GN_LOG_INFO, "request.refused", "association", gn_fmt("%llu", (unsigned long long)s->id), "command", gn_fmt("%04X", m->command), "message",
           gn_fmt("%u", m->message_id), "status", gn_fmt("%04X", status), "why", r.error_comment, NULL);
    rc = dimse_queue(s->association, &r, NULL, 0, e);
    return rc ? rc : dimse_flush(s->association, e);
}

int session_fail(session *s, const dimse_message *m, uint16_t status, const gn_error *why, dicom_tag offending, gn_error *e) {
    return session_refuse(s, m, status ? status : gn_code_dimse_status(why->code), why->message, offending, e);
}

/* A data set that makes no sense: its tag path is in e->where; the offending element is the last tag named there. */
dicom_tag tag_of_where(const gn_error *e) {
    dicom_tag tag = 0;
    for (const char *p = strchr(e->where, '('); p; p = strchr(p + 1, '(')) {
        unsigned group, element;
        if (sscanf(p, "(%4x,%4x)", &group, &element) == 2) tag = DICOM_TAG(group, element);
    }
    return tag;
}

int session_read_dataset(session *s, const dimse_message *m, gn_arena **arena, gn_buf *bytes, dicom_dataset **ds, bool *refused, gn_error *e) {
    size_t limit = s->gateway->config.limits.identifier;
    *refused = true;
    if (!m->has_dataset) return session_refuse(s, m, DIMSE_IDENTIFIER_MISMATCH, "the request has no data set", 0, e);
    gn_error why = GN_ERROR_INIT;
    int rc = dimse_read_dataset(s->association, limit, bytes, &why);
    dimse_message answered = *m;
    answered.has_dataset = false; /* it was read, in whatever way that went */
    if (rc == GN_E_TOO_LARGE) return session_fail(s, &answered, DIMSE_OUT_OF_RESOURCES, &why, 0, e);
    if (rc == GN_E_NO_MEMORY) return session_fail(s, m, DIMSE_OUT_OF_RESOURCES, &why, 0, e);
    if (rc) return gn_fail(e, rc, "%s", why.message);
    const dimse_context *context = dimse_association_context(s->association, m->context_id);
    const dicom_transfer_syntax *ts = context ? dicom_transfer_syntax_find(context->transfer_syntax) : NULL;
    dicom_read_options options = { .keep_everything = true };
    *arena = gn_arena_new(limit * 8 + (1u << 20));
    if (!*arena || !ts) return session_refuse(s, &answered, DIMSE_OUT_OF_RESOURCES, "no memory for the request", 0, e);
    rc = dicom_dataset_read(*arena, ts, bytes->p ? bytes->p : (const uint8_t *)"", bytes->n, &options, ds, &why);
    if (rc) return session_fail(s, &answered, DIMSE_CANNOT_UNDERSTAND, &why, tag_of_where(&why), e);
    *refused = false;
    return 0;
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------------- */

static int serve_echo(session *s, const dimse_message *m, gn_error *e) {
    int rc = m->has_dataset ? dimse_skip_dataset(s->association, e) : 0;
    gn_counter_add(&GATEWAY_COUNT.echoes, 1);
    return rc ? rc : dimse_respond(s->association, m, DIMSE_SUCCESS, NULL, e);
}

/* Answers that we did not wait for, cancels for what has ended: nothing to say (PS3.7 §9.3.2.3). */
static int serve_nothing(session *s, const dimse_message *m, gn_error *e) { return m->has_dataset ? dimse_skip_dataset(s->association, e) : 0; }

static int serve_unknown(session *s, const dimse_message *m, gn_error *e) {
    if (m->command & 0x8000) return serve_nothing(s, m, e);
    return session_refuse(s, m, DIMSE_UNRECOGNIZED_OPERATION, "this operation is not offered here", 0, e);
}

typedef int (*handler)(session *s, const dimse_message *m, gn_error *e);
static const struct { uint16_t command; service_kind kind; handler run; } HANDLERS[] = {
    { DIMSE_C_STORE_RQ, SERVICE_STORAGE, serve_store },
    { DIMSE_C_FIND_RQ, SERVICE_FIND, serve_find },
    { DIMSE_C_MOVE_RQ, SERVICE_MOVE, serve_retrieve },
    { DIMSE_C_GET_RQ, SERVICE_GET, serve_retrieve },
    { DIMSE_C_ECHO_RQ, SERVICE_VERIFICATION, serve_echo },
    { DIMSE_N_ACTION_RQ, SERVICE_COMMITMENT, serve_commitment },
    { DIMSE_N_EVENT_REPORT_RSP, SERVICE_COMMITMENT, serve_report_response },
    { DIMSE_C_CANCEL_RQ, SERVICE_NONE, serve_nothing },
};

static const service *service_for(session *s, const dimse_message *m, const dimse_context *context) {
    (void)m;
    if (s->context_class != context->abstract_syntax) {
        s->context_class = context->abstract_syntax;
        s->context_service = service_of(context->abstract_syntax, true);
    }
    return &s->context_service;
}

int session_dispatch(session *s, const dimse_message *m, gn_error *e) {
    const dimse_context *context = dimse_association_context(s->association, m->context_id);
    if (!context) return gn_fail(e, GN_E_INTERNAL, "a message without a presentation context");
    for (size_t i = 0; i < GN_ARRAY_LEN(HANDLERS); i++) {
        if (HANDLERS[i].command != m->command) continue;
        if (HANDLERS[i].kind == SERVICE_NONE) return HANDLERS[i].run(s, m, e);
        const service *v = service_for(s, m, context);
        if (m->command & 0x8000) return v->kind == HANDLERS[i].kind ? HANDLERS[i].run(s, m, e) : serve_nothing(s, m, e);
        if (v->kind != HANDLERS[i].kind) return serve_unknown(s, m, e);
        /* The SOP class of the operation must be that of the context (PS3.7 §9.1.1.1.9: 0122H); some omit it in N-services. */
        if (m->sop_class[0] && strcmp(m->sop_class, context->abstract_syntax) != 0)
            return session_refuse(s, m, GATEWAY_NO_SUCH_CLASS, "SOP class differs from the presentation context", DICOM_TAG_AffectedSOPClassUID, e);
        return HANDLERS[i].run(s, m, e);
    }
    return serve_unknown(s, m, e);
}

/* ---- life -------------------------------------------------------------------------------------------------------------- */

static void copy_cut(char *to, size_t size, const char *from, size_t n) {
    if (n >= size) n = size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

static void session_init(session *s, gateway *g, dimse_association *a) {
    const dimse_negotiation *n = dimse_association_negotiation(a);
    bool acceptable;
    *s = (session){ .gateway = g, .association = a, .negotiation = n, .id = dimse_association_id(a), .source = { .origin = ARCHIVE_FROM_DIMSE } };
    s->rights = gateway_rights(g, n->calling, n->peer_address, &acceptable);
    copy_cut(s->source.calling_ae, sizeof s->source.calling_ae, n->calling, strlen(n->calling));
    copy_cut(s->source.called_ae, sizeof s->source.called_ae, n->called, strlen(n->called));
    const char *port = strrchr(n->peer_address, ':');
    copy_cut(s->source.address, sizeof s->source.address, n->peer_address, port ? (size_t)(port - n->peer_address) : strlen(n->peer_address));
}

static void log_opened(const session *s) {
    if (!gn_log_enabled(GN_LOG_INFO)) return;
    const dimse_negotiation *n = s->negotiation;
    size_t accepted = 0;
    char user[65] = "";
    for (size_t i = 0; i < n->context_count; i++) accepted += n->context[i].result == DIMSE_CONTEXT_ACCEPTED;
    if (n->identity.type == 1 || n->identity.type == 2) copy_cut(user, sizeof user, (const char *)n->identity.primary, n->identity.primary ? n->identity.primary_length : 0);
    gn_log(GN_LOG_INFO, "association.opened", "association", gn_fmt("%llu", (unsigned long long)s->id), "peer", n->peer_address, "calling", n->calling, "called",
           n->called, "contexts", gn_fmt("%zu/%zu", accepted, n->context_count), "version", n->implementation_version, "user", user, NULL);
}

static void log_closed(const session *s, int rc, const gn_error *e, uint64_t started) {
    bool broken = rc < 0 && rc != GN_E_CLOSED && rc != GN_E_ABORTED;
    gn_level level = broken ? GN_LOG_WARN : GN_LOG_INFO;
    if (!gn_log_enabled(level)) return;
    char why[400];
    gn_log(level, rc == 1 ? "association.released" : "association.ended", "association", gn_fmt("%llu", (unsigned long long)s->id), "peer", s->negotiation->peer_address,
           "calling", s->negotiation->calling, "stored", gn_fmt("%llu", (unsigned long long)s->stores), "refused", gn_fmt("%llu", (unsigned long long)s->stores_refused),
           "bytes", gn_fmt("%llu", (unsigned long long)s->bytes), "queries", gn_fmt("%llu", (unsigned long long)s->queries), "retrievals",
           gn_fmt("%llu", (unsigned long long)s->retrievals), "seconds", gn_fmt("%.3f", (double)(gn_mono_ns() - started) / 1e9), "why",
           rc == 1 ? "" : gn_error_text(e, why, sizeof why), NULL);
}

void gateway_serve(void *ctx, dimse_association *a) {
    gateway *g = ctx;
    session s;
    uint64_t started = gn_mono_ns();
    atomic_fetch_add(&g->open, 1);
    session_init(&s, g, a);
    log_opened(&s);
    gn_error e = GN_ERROR_INIT;
    int rc;
    for (;;) {
        dimse_message m;
        rc = dimse_receive(a, &m, &e);
        if (rc == 0) rc = session_dispatch(&s, &m, &e);
        if (rc) break;
    }
    if (rc != 1) gn_counter_add(&GATEWAY_COUNT.aborted, 1);
    log_closed(&s, rc, &e, started);
    atomic_fetch_sub(&g->open, 1);
}

void gateway_observe(void *ctx, const char *event, const dimse_negotiation *n, const char *peer_address, const gn_error *e) {
    (void)ctx;
    if (strcmp(event, "accepted") == 0) {
        gn_counter_add(&GATEWAY_COUNT.accepted, 1);
        return; /* logged with its id when it is served */
    }
    if (strcmp(event, "rejected") == 0) gn_counter_add(&GATEWAY_COUNT.rejected, 1);
    char why[400] = "", name[48];
    snprintf(name, sizeof name, "association.%s", event);
    gn_log(GN_LOG_WARN, name, "peer", peer_address ? peer_address : "", "calling", n ? n->calling : "", "called", n ? n->called : "", "why",
           e ? gn_error_text(e, why, sizeof why) : "", NULL);
}
