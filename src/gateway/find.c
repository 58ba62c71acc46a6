/* C-FIND as SCP (PS3.4 C.4.1): decodes the identifier, asks the archive, streams the answers.
 *
 * Answers are gathered and sent 64 KiB at a time, or when 10 ms have passed, so that a slow query shows its first answers early and
 * a fast one costs few system calls. A C-CANCEL is looked for every hundred answers and every 10 ms. */
#include "internal.h"

enum { CANCEL_EVERY = 100 };
#define PAUSE_NS 10000000u

typedef struct find {
    session *session;
    const dimse_message *request;
    answer_plan plan;
    archive_cursor *cursor;
    dimse_message pending;
    uint64_t answers;
    uint64_t checked_at; /* monotonic: when cancel was last looked for and answers were last sent */
} find;

static uint32_t query_flags(const session *s, const dimse_message *m, query_root root) {
    const dimse_context *x = dimse_association_context(s->association, m->context_id);
    uint32_t flags = root == ROOT_STUDY ? ARCHIVE_QUERY_STUDY_ROOT : 0;
    bool relational = x->extended_length > EXTENDED_RELATIONAL && x->extended[EXTENDED_RELATIONAL];
    if (relational || !s->gateway->config.strict_hierarchy) flags |= ARCHIVE_QUERY_RELATIONAL;
    if (x->extended_length > EXTENDED_DATETIME && x->extended[EXTENDED_DATETIME]) flags |= ARCHIVE_QUERY_COMBINED_DATETIME;
    if (x->extended_length > EXTENDED_FUZZY && x->extended[EXTENDED_FUZZY]) flags |= ARCHIVE_QUERY_FUZZY_NAMES;
    return flags;
}

/* 0: go on, 1: cancelled, <0: the association is over. */
static int pause_for_peer(find *f, gn_error *e) {
    uint64_t now = gn_mono_ns();
    if (f->answers % CANCEL_EVERY != 0 && now - f->checked_at < PAUSE_NS) return 0;
    bool late = now - f->checked_at >= PAUSE_NS;
    f->checked_at = now;
    int rc = dimse_cancelled(f->session->association, f->request->message_id, e);
    return rc ? rc : late ? dimse_flush(f->session->association, e) : 0;
}

/* Sends what matches. Result: the final status; *rc < 0: the association is over. */
static uint16_t stream_answers(find *f, gn_error *why, int *rc, gn_error *e) {
    const gateway_config *c = &f->session->gateway->config;
    for (;;) {
        const archive_value *values;
        int got = archive_query_next(f->cursor, &values, NULL, why);
        if (got == 1) return DIMSE_SUCCESS;
        if (got < 0) return got == GN_E_TIMEOUT ? DIMSE_OUT_OF_RESOURCES : gn_code_dimse_status(got) >= 0xA000 ? gn_code_dimse_status(got) : DIMSE_CANNOT_UNDERSTAND;
        if (f->answers == c->limits.find_results) {
            gn_fail(why, GN_E_TOO_LARGE, "more than %llu matches: narrow the query", (unsigned long long)c->limits.find_results);
            return DIMSE_OUT_OF_RESOURCES;
        }
        *rc = pause_for_peer(f, e);
        if (*rc == 1) { *rc = 0; return DIMSE_CANCEL; }
        if (*rc == 0 && answer_encode(&f->plan, values, why)) return DIMSE_OUT_OF_RESOURCES;
        if (*rc == 0) *rc = dimse_queue(f->session->association, &f->pending, f->plan.out.p, f->plan.out.n, e);
        if (*rc) return DIMSE_PROCESSING_FAILURE;
        f->answers++;
    }
}

static int send_final(find *f, uint16_t status, const gn_error *why, gn_error *e) {
    dimse_message r = response_to(f->request, status);
    r.sop_instance[0] = '\0';
    comment_set(&r, why->message);
    int rc = dimse_queue(f->session->association, &r, NULL, 0, e);
    return rc ? rc : dimse_flush(f->session->association, e);
}

static void log_find(const find *f, archive_level level, uint16_t status, const gn_error *why, uint64_t started) {
    if (!gn_log_enabled(GN_LOG_INFO)) return;
    gn_log(GN_LOG_INFO, "find", "association", gn_fmt("%llu", (unsigned long long)f->session->id), "message", gn_fmt("%u", f->request->message_id), "level",
           archive_level_text(level), "answers", gn_fmt("%llu", (unsigned long long)f->answers), "status", gn_fmt("%04X", status), "why", why->message, "ms",
           gn_fmt("%.3f", (double)(gn_mono_ns() - started) / 1e6), NULL);
}

/* Opens the query and answers it. The identifier is readable and its level valid. */
static int run_query(find *f, dicom_dataset *identifier, archive_level level, uint32_t flags, gn_error *e) {
    session *s = f->session;
    const gateway_config *c = &s->gateway->config;
    const dimse_context *x = dimse_association_context(s->association, f->request->context_id);
    gn_error why = GN_ERROR_INIT;
    int rc = answer_plan_make(&f->plan, identifier, level, c->aet, dicom_transfer_syntax_find(x->transfer_syntax), &why);
    archive_query q = { .level = level, .flags = flags, .keys = identifier, .wanted = f->plan.wanted, .wanted_count = f->plan.wanted_count,
                        .limit = c->limits.find_results + 1, .deadline_ms = c->limits.find_deadline_ms };
    uint64_t started = gn_mono_ns();
    f->checked_at = started;
    if (!rc) rc = archive_query_open(s->gateway->archive, &q, &f->cursor, &why);
    dimse_message answered = *f->request;
    answered.has_dataset = false;
    if (rc) return session_fail(s, &answered, rc == GN_E_INVALID || rc == GN_E_UNSUPPORTED ? DIMSE_IDENTIFIER_MISMATCH : 0, &why, tag_of_where(&why), e);
    f->pending = response_to(f->request, f->plan.unsupported_keys ? DIMSE_PENDING_WARNING : DIMSE_PENDING);
    f->pending.sop_instance[0] = '\0';
    f->pending.has_dataset = true;
    uint16_t status = stream_answers(f, &why, &rc, e);
    archive_query_close(&f->cursor);
    gn_counter_add(&GATEWAY_COUNT.answers, (int64_t)f->answers);
    log_find(f, level, status, &why, started);
    return rc ? rc : send_final(f, status, &why, e);
}

int serve_find(session *s, const dimse_message *m, gn_error *e) {
    gn_arena *arena = NULL;
    gn_buf bytes = GN_BUF_INIT;
    dicom_dataset *identifier = NULL;
    bool refused;
    gn_counter_add(&GATEWAY_COUNT.finds, 1);
    s->queries++;
    int rc = session_read_dataset(s, m, &arena, &bytes, &identifier, &refused, e);
    if (rc == 0 && !refused) {
        gn_error why = GN_ERROR_INIT;
        archive_level level;
        query_root root = s->context_service.root;
        dimse_message answered = *m;
        answered.has_dataset = false;
        find f = { .session = s, .request = m };
        if (identifier_level(identifier, root, &level, &why)) rc = session_fail(s, &answered, DIMSE_IDENTIFIER_MISMATCH, &why, DICOM_TAG_QueryRetrieveLevel, e);
        else rc = run_query(&f, identifier, level, query_flags(s, m, root), e);
        answer_plan_done(&f.plan);
    }
    gn_arena_free(&arena);
    gn_buf_done(&bytes);
    return rc;
}
