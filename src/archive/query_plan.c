/* query_plan: statements of a query, in words that every engine understands.
 *
 * A query runs in two steps, so that it neither depends on how an engine orders rows nor holds a transaction while a client reads:
 * first the numbers of all matching rows, then rows by their number, a chunk at a time. A query without conditions reads rows in the
 * order of their numbers at once. Only tables that conditions or wanted attributes need are joined. */
#include "query.h"

static const char *const alias[] = { "p", "s", "r", "i" };

/* ---- pieces of conditions ---------------------------------------------------------------------------------------------- */

void query_puts(query_plan *p, const char *sql) { gn_buf_puts(&p->where, sql); }

static query_param *add_param(query_plan *p) {
    if (p->param_count == p->param_capacity) {
        size_t capacity = p->param_capacity ? p->param_capacity * 2 : 8;
        query_param *grown = gn_arena_zalloc(p->arena, capacity, sizeof *grown);
        if (!grown) {
            p->where.failed = true;
            return NULL;
        }
        if (p->param_count) memcpy(grown, p->param, p->param_count * sizeof *grown);
        p->param = grown;
        p->param_capacity = capacity;
    }
    query_param *added = &p->param[p->param_count++];
    *added = (query_param){ NULL, 0, 0 };
    gn_buf_printf(&p->where, "$%zu", p->param_count);
    return added;
}

void query_text(query_plan *p, const char *text, size_t n) {
    query_param *added = add_param(p);
    if (!added) return;
    added->p = n ? gn_arena_memdup(p->arena, text, n) : "";
    added->n = n;
    if (!added->p) p->where.failed = true;
}

void query_number(query_plan *p, int64_t number) {
    query_param *added = add_param(p);
    if (added) added->number = number;
}

/* The table in which an attribute is found: those of the patient are repeated in the study. */
static archive_level table_of(const query_plan *p, const attribute *a) { return a->level == ARCHIVE_PATIENT && p->level != ARCHIVE_PATIENT ? ARCHIVE_STUDY : a->level; }

static void write_column(const query_plan *p, const attribute *a, gn_buf *out) {
    const char *t = alias[table_of(p, a)];
    if (a->kind != ATTRIBUTE_COUNT) {
        gn_buf_puts(out, t);
        gn_buf_putc(out, '.');
        gn_buf_puts(out, a->column);
        return;
    }
    const char *at = strchr(a->column, '@');
    gn_buf_append(out, a->column, (size_t)(at - a->column));
    gn_buf_puts(out, p->level == ARCHIVE_PATIENT ? "p.id" : "s.patient");
    gn_buf_puts(out, at + 1);
}

void query_column(query_plan *p, const attribute *a) {
    p->where_tables |= QUERY_TABLE(table_of(p, a));
    write_column(p, a, &p->where);
}

void query_match_call(query_plan *p, query_match_kind kind, const char *key, size_t n, const char *column) {
    gn_buf_printf(&p->where, "gantry_match(%d, ", (int)kind);
    query_text(p, key, n);
    gn_buf_printf(&p->where, ", %s)", column);
}

/* ---- statements -------------------------------------------------------------------------------------------------------- */

/* FROM clause with the table of the level and those above it that are needed. */
static void write_from(const query_plan *p, unsigned tables, gn_buf *out) {
    static const char *const base[] = { " FROM patient p", " FROM study s", " FROM series r", " FROM instance i" };
    gn_buf_puts(out, base[p->level]);
    bool study = tables & QUERY_TABLE(ARCHIVE_STUDY), series = tables & QUERY_TABLE(ARCHIVE_SERIES);
    if (p->level == ARCHIVE_IMAGE && (study || series)) gn_buf_puts(out, " JOIN series r ON r.id = i.series");
    if (p->level >= ARCHIVE_SERIES && study) gn_buf_puts(out, " JOIN study s ON s.id = r.study");
}

static void write_ids(query_plan *p) {
    const char *t = alias[p->level];
    size_t n = p->param_count;
    for (int after = 0; after < 2; after++) {
        gn_buf *out = after ? &p->ids_after : &p->ids;
        gn_buf_printf(out, "SELECT %s.id", t);
        write_from(p, p->where_tables, out);
        if (p->where.n || after) gn_buf_puts(out, " WHERE ");
        if (p->where.n) gn_buf_append(out, p->where.p, p->where.n);
        if (after) gn_buf_printf(out, "%s%s.id > $%zu ORDER BY %s.id LIMIT $%zu", p->where.n ? " AND " : "", t, n + 1, t, n + 2);
        else gn_buf_printf(out, " LIMIT $%zu", n + 1);
    }
}

/* The ids of higher levels, where sources need them. Adds to *tables. */
static void write_links(query_plan *p, gn_buf *out, int *place, unsigned *tables) {
    p->place_study = p->place_series = -1;
    if (p->level == ARCHIVE_IMAGE && (p->needs[QUERY_FROM_SERIES] || p->needs[QUERY_FROM_STUDY])) {
        gn_buf_puts(out, ", i.series");
        p->place_series = (*place)++;
    }
    if (p->level >= ARCHIVE_SERIES && p->needs[QUERY_FROM_STUDY]) {
        gn_buf_puts(out, ", r.study");
        p->place_study = (*place)++;
        *tables |= QUERY_TABLE(ARCHIVE_SERIES);
    }
}

static void write_pass(query_plan *p) {
    const char *t = alias[p->level];
    gn_buf_printf(&p->pass, "SELECT %s.id", t);
    write_from(p, 0, &p->pass);
    gn_buf_printf(&p->pass, " WHERE %s.id > $1 ORDER BY %s.id LIMIT 1 OFFSET $2", t, t);
}

static void write_rows(query_plan *p) {
    const char *t = alias[p->level];
    gn_buf head = GN_BUF_INIT;
    unsigned tables = 0;
    int place = 1;
    gn_buf_printf(&head, "SELECT %s.id", t);
    write_links(p, &head, &place, &tables);
    for (size_t i = 0; i < p->output_count; i++) {
        query_output *o = &p->output[i];
        if (!o->column || o->fixed) continue;
        gn_buf_puts(&head, ", ");
        write_column(p, o->column, &head);
        if (o->column->kind == ATTRIBUTE_TIME) gn_buf_puts(&head, "_text");
        tables |= QUERY_TABLE(table_of(p, o->column));
        o->place = place++;
    }
    write_from(p, tables, &head);
    gn_buf *const all[] = { &p->scan, &p->one, &p->some };
    for (size_t i = 0; i < GN_ARRAY_LEN(all); i++) {
        if (head.n) gn_buf_append(all[i], head.p, head.n);
        if (head.failed) all[i]->failed = true;
        gn_buf_printf(all[i], " WHERE %s.id ", t);
    }
    gn_buf_printf(&p->scan, "> $1 ORDER BY %s.id LIMIT $2", t);
    gn_buf_puts(&p->one, "= $1");
    gn_buf_puts(&p->some, "IN ($1");
    for (int i = 2; i <= QUERY_LOOKUP; i++) gn_buf_printf(&p->some, ", $%d", i);
    gn_buf_printf(&p->some, ") ORDER BY %s.id", t);
    gn_buf_done(&head);
}

int query_bind(const query_plan *p, db_stmt *s) {
    int i = 1;
    for (size_t k = 0; k < p->param_count; k++, i++) {
        if (p->param[k].p) db_bind_text(s, i, p->param[k].p, p->param[k].n);
        else db_bind_int(s, i, p->param[k].number);
    }
    return i;
}

/* ---- wanted attributes ------------------------------------------------------------------------------------------------- */

static const char level_texts[][8] = { "PATIENT", "STUDY", "SERIES", "IMAGE" };


query_source query_source_of(const query_plan *p, dicom_tag tag) {
    archive_level level = dicom_tag_is_private(tag) ? ARCHIVE_IMAGE : attribute_level(tag);
    if (level == ARCHIVE_STUDY) return QUERY_FROM_STUDY;
    return level == ARCHIVE_SERIES && p->level >= ARCHIVE_SERIES ? QUERY_FROM_SERIES : QUERY_FROM_INSTANCE;
}

static bool is_never_stored(dicom_tag tag) {
    switch (tag) {
    case DICOM_TAG_SpecificCharacterSet: case DICOM_TAG_RetrieveAETitle: case DICOM_TAG_RetrieveURL: case DICOM_TAG_QueryRetrieveView: return true;
    default: return dicom_tag_element(tag) == 0;
    }
}

static void plan_output(query_plan *p, dicom_tag tag, query_output *o) {
    const dicom_dict_entry *entry = dicom_dict_find(tag);
    *o = (query_output){ .tag = tag, .vr = entry ? entry->vr : DICOM_VR_UN, .column = attribute_find(tag), .place = -1 };
    if (tag == DICOM_TAG_QueryRetrieveLevel) {
        o->fixed = level_texts[p->level];
    } else if (o->column) {
        o->vr = o->column->vr;
        if (o->column->kind == ATTRIBUTE_FIXED) o->fixed = o->column->column;
        else if (o->column->level > p->level) o->fixed = ""; /* has no one value at this level */
    } else if (is_never_stored(tag)) {
        o->fixed = "";
    } else {
        o->source = query_source_of(p, tag);
        p->needs[o->source] = true;
    }
}

/* ---- making ------------------------------------------------------------------------------------------------------------ */

void query_plan_done(query_plan *p) {
    gn_buf *const all[] = { &p->where, &p->ids, &p->ids_after, &p->pass, &p->scan, &p->one, &p->some };
    for (size_t i = 0; i < GN_ARRAY_LEN(all); i++) gn_buf_done(all[i]);
    gn_arena_free(&p->arena);
}

int query_plan_make(query_plan *p, const archive_query *q, gn_error *e) {
    p->level = q->level;
    p->flags = q->flags;
    p->output_count = q->wanted_count;
    p->output = gn_arena_zalloc(p->arena, q->wanted_count ? q->wanted_count : 1, sizeof *p->output);
    if (!p->output) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a query");
    for (size_t i = 0; i < q->wanted_count; i++) plan_output(p, q->wanted[i], &p->output[i]);
    int rc = query_compile_keys(p, q->keys, e);
    if (rc) return rc;
    for (int i = 0; i < QUERY_SOURCES; i++) {
        if (!p->filter[i]) continue;
        p->needs[i] = p->filtered = true;
    }
    write_ids(p);
    write_pass(p);
    write_rows(p);
    if (p->pass.failed || p->where.failed || p->ids.failed || p->ids_after.failed || p->scan.failed || p->one.failed || p->some.failed)
        return gn_fail(e, GN_E_NO_MEMORY, "no memory for a query");
    return 0;
}
