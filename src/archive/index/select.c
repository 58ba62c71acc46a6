/* select: which instances a retrieval means, in the order in which they are sent: by study, series number, instance number, then UIDs.
 *
 * Each list of UIDs is one parameter, a JSON array, so that a list of thousands is the same statement as one of two. The rows are visited
 * while a reader is held: a visitor that sends would hold it for a peer, so visitors only take notes. */
#include "engine.h"

#define SELECT_HEAD                                                                                                      \
    "SELECT " SQL_KNOWN ", r.series_uid, s.study_uid, i.sop_uid FROM instance i JOIN series r ON r.id = i.series "        \
    "JOIN study s ON s.id = r.study WHERE "
/* Without a number: behind those that have one. */
#define SELECT_TAIL                                                                                                      \
    " ORDER BY s.id, coalesce(r.number, 9223372036854775807), r.series_uid, coalesce(i.number, 9223372036854775807), i.sop_uid"

enum { LISTS = 3 };

typedef struct selection {
    const char *patient_id;
    gn_buf list[LISTS]; /* JSON arrays of study, series and instance UIDs */
    gn_buf sql;
} selection;

/* Cuts at backslashes, without spaces and empty pieces. */
static void list_to_json(const char *uids, gn_buf *out) {
    gn_json j;
    gn_json_init(&j, out);
    gn_json_open(&j, '[');
    for (const char *p = uids; *p; p += *p == '\\') {
        size_t n = strcspn(p, "\\"), from = 0, to = n;
        while (to > from && p[to - 1] == ' ') to--;
        while (from < to && p[from] == ' ') from++;
        if (to > from) gn_json_string_n(&j, p + from, to - from);
        p += n;
    }
    gn_json_close(&j, ']');
}

static int compose(index_engine *x, const archive_selection *s, selection *c, gn_error *e) {
    static const char *const columns[LISTS] = { "s.study_uid", "r.series_uid", "i.sop_uid" };
    const char *const uids[LISTS] = { s->study_uids, s->series_uids, s->sop_uids };
    int n = 0;
    gn_buf_puts(&c->sql, SELECT_HEAD);
    if (s->patient_id && *s->patient_id) {
        c->patient_id = s->patient_id;
        gn_buf_printf(&c->sql, "s.patient IN (SELECT id FROM patient WHERE patient_id = $%d)", ++n);
    }
    for (size_t i = 0; i < LISTS; i++) {
        if (!uids[i] || !*uids[i]) continue;
        gn_buf_puts(&c->sql, n ? " AND " : "");
        gn_buf_printf(&c->sql, "%s IN (%s($%d))", columns[i], x->class->list, ++n);
        list_to_json(uids[i], &c->list[i]);
        if (c->list[i].failed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a list of UIDs");
    }
    if (!n && s->everything) gn_buf_puts(&c->sql, "1 = 1");
    gn_buf_puts(&c->sql, SELECT_TAIL);
    if (!n && !s->everything) return gn_fail(e, GN_E_INVALID, "a retrieval must name a patient, study, series or instance");
    return c->sql.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a selection") : 0;
}

static int run(db *d, const selection *c, int (*visit)(void *ctx, const index_known *k, const char *sop_instance), void *ctx, gn_error *e) {
    db_stmt *s;
    int rc = db_cached(d, (const char *)c->sql.p, &s, e), i = 1;
    if (rc) return rc;
    if (c->patient_id) db_bind_string(s, i++, c->patient_id);
    for (size_t k = 0; k < LISTS; k++)
        if (c->list[k].n) db_bind_text(s, i++, (const char *)c->list[k].p, c->list[k].n);
    while ((rc = db_step(s, e)) == 1) {
        index_known k;
        char sop_uid[129];
        engine_read_known_uids(s, &k, sop_uid, sizeof sop_uid);
        if ((rc = visit(ctx, &k, sop_uid)) != 0) break;
    }
    db_reset(s);
    return rc;
}

int index_select(index_engine *x, const archive_selection *s, int (*visit)(void *ctx, const index_known *k, const char *sop_instance), void *ctx, gn_error *e) {
    selection c = { .patient_id = NULL };
    db *d;
    int rc = compose(x, s, &c, e);
    if (!rc) rc = engine_read_begin(x, &d, e);
    if (!rc) {
        rc = run(d, &c, visit, ctx, e);
        engine_read_end(x, &d);
    }
    for (size_t i = 0; i < LISTS; i++) gn_buf_done(&c.list[i]);
    gn_buf_done(&c.sql);
    return rc;
}
