/* select: the instances that a retrieval names, in the order in which they are sent: study, series number, instance number. */
#include "engine.h"

/* A backslash list as a JSON array for the engine's list function. */
static void json_list(const char *list, gn_buf *out) {
    gn_json j;
    gn_json_init(&j, out);
    gn_json_open(&j, '[');
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, "\\");
        if (n) gn_json_string_n(&j, p, n);
        p += n + (p[n] == '\\');
    }
    gn_json_close(&j, ']');
}

typedef struct condition { const char *column, *value; gn_buf list; } condition;

static void compose(index_engine *x, condition *c, size_t n, gn_buf *sql) {
    int parameter = 0;
    gn_buf_puts(sql, "SELECT " SQL_KNOWN ", r.series_uid, s.study_uid, i.sop_uid FROM instance i JOIN series r ON r.id = i.series JOIN study s ON s.id = r.study WHERE 1 = 1");
    for (size_t i = 0; i < n; i++) {
        if (!c[i].value) continue;
        parameter++;
        if (strchr(c[i].value, '\\')) {
            json_list(c[i].value, &c[i].list);
            gn_buf_printf(sql, " AND %s IN (%s($%d))", c[i].column, x->class->list, parameter);
        } else {
            gn_buf_printf(sql, " AND %s = $%d", c[i].column, parameter);
        }
    }
    gn_buf_puts(sql, " ORDER BY s.id, r.number, r.id, i.number, i.id");
}

int index_select(index_engine *x, const archive_selection *sel, int (*visit)(void *ctx, const index_known *k, const char *sop_instance), void *ctx, gn_error *e) {
    condition c[] = { { "s.patient_id", sel->patient_id, GN_BUF_INIT }, { "s.study_uid", sel->study_uids, GN_BUF_INIT }, { "r.series_uid", sel->series_uids, GN_BUF_INIT }, { "i.sop_uid", sel->sop_uids, GN_BUF_INIT } };
    gn_buf sql = GN_BUF_INIT;
    db *d;
    db_stmt *s = NULL;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    compose(x, c, GN_ARRAY_LEN(c), &sql);
    rc = sql.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a selection") : db_cached(d, (const char *)sql.p, &s, e);
    int parameter = 0;
    for (size_t i = 0; !rc && i < GN_ARRAY_LEN(c); i++) {
        if (!c[i].value) continue;
        if (c[i].list.p) db_bind_text(s, ++parameter, (const char *)c[i].list.p, c[i].list.n);
        else db_bind_string(s, ++parameter, c[i].value);
    }
    while (!rc && (rc = db_step(s, e)) == 1) {
        index_known k;
        char sop_uid[129];
        engine_read_known(s, &k);
        db_copy_text(s, 10, k.series_uid, sizeof k.series_uid);
        db_copy_text(s, 11, k.study_uid, sizeof k.study_uid);
        db_copy_text(s, 12, sop_uid, sizeof sop_uid);
        rc = visit(ctx, &k, sop_uid);
    }
    if (s) db_reset(s);
    engine_read_end(x, &d);
    for (size_t i = 0; i < GN_ARRAY_LEN(c); i++) gn_buf_done(&c[i].list);
    gn_buf_done(&sql);
    return rc;
}
