/* records_find: reading records: one by its id, or many by conditions, in order, a page at a time. Rows are copied out in chunks, so that no
 * connection is held while a visitor works. */
#include "records_internal.h"

#include <stdlib.h>

enum { FIELDS = ARCHIVE_RECORD_FIELD_ID + 1, CONDITIONS_MOST = 16, CHUNK = 64, COLUMNS = 15 };
static const char *const field_column[FIELDS] = { "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "n0", "n1", "created_us", "updated_us", "id" };
#define SELECT_ROW "SELECT id, version, created_us, updated_us, k0, k1, k2, k3, k4, k5, k6, k7, n0, n1, body FROM record"

static bool is_number(int field) { return field >= ARCHIVE_RECORD_FIELD_NUMBER && field <= ARCHIVE_RECORD_FIELD_UPDATED; }

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

/* Copies of the rows of one chunk. */
typedef struct chunk { gn_arena *arena; archive_record_found row[CHUNK]; size_t count; } chunk;

static const char *copy_text(gn_arena *a, db_stmt *s, int column, bool *failed) {
    size_t n;
    const char *text = db_text(s, column, &n);
    if (!text) return NULL;
    const char *copy = gn_arena_strndup(a, text, n);
    if (!copy) *failed = true;
    return copy;
}

static int copy_row(gn_arena *a, db_stmt *s, archive_record_found *r, gn_error *e) {
    bool failed = false;
    *r = (archive_record_found){ .version = db_int(s, 1), .created_us = db_int(s, 2), .updated_us = db_int(s, 3) };
    r->id = copy_text(a, s, 0, &failed);
    for (int i = 0; i < ARCHIVE_RECORD_KEYS; i++) r->key[i] = copy_text(a, s, 4 + i, &failed);
    for (int i = 0; i < ARCHIVE_RECORD_NUMBERS; i++) r->number[i] = db_int(s, 12 + i);
    const void *body = db_bytes(s, 14, &r->body_length);
    r->body = gn_arena_strndup(a, body ? body : "", r->body_length);
    return failed || !r->body ? gn_fail(e, GN_E_NO_MEMORY, "no memory for records") : 0;
}

static gn_arena *row_arena(gn_error *e) {
    gn_arena *a = gn_arena_new((size_t)CHUNK * 2 * ARCHIVE_RECORD_LARGEST);
    if (!a) (void)gn_fail(e, GN_E_NO_MEMORY, "no memory for records");
    return a;
}

int records_get(record_base *r, const char *collection, const char *id, archive_record_visit visit, void *ctx, gn_error *e) {
    db *d;
    db_stmt *s;
    archive_record_found row;
    gn_arena *arena = row_arena(e);
    if (!arena) return GN_E_NO_MEMORY;
    int rc = engine_read_begin(r->engine, &d, e);
    if (!rc) {
        rc = db_cached(d, SELECT_ROW " WHERE collection = $1 AND id = $2", &s, e);
        if (!rc) {
            db_bind_string(s, 1, collection);
            db_bind_string(s, 2, id);
            rc = db_step(s, e);
            if (rc == 1) rc = copy_row(arena, s, &row, e);
            else if (rc == 0) rc = gn_fail(e, GN_E_NOT_FOUND, "there is no %s \"%.100s\"", collection, id);
            db_reset(s);
        }
        engine_read_end(r->engine, &d);
    }
    if (!rc) rc = visit(ctx, &row, e);
    gn_arena_free(&arena);
    return rc < 0 ? rc : 0;
}

/* ---- conditions ---------------------------------------------------------------------------------------------------------- */

typedef struct search { gn_buf sql; const char *text[64]; int64_t number[64]; size_t length[64]; int params; } search;

static void text_param(search *q, const char *p, size_t n) {
    if (q->params >= 60) return;
    q->text[q->params] = p ? p : "";
    q->length[q->params++] = n;
    gn_buf_printf(&q->sql, "$%d", q->params);
}

static void number_param(search *q, int64_t v) {
    if (q->params >= 60) return;
    q->text[q->params] = NULL;
    q->number[q->params++] = v;
    gn_buf_printf(&q->sql, "$%d", q->params);
}

static void value_param(search *q, const archive_record_condition *c) {
    if (is_number(c->field)) number_param(q, c->number);
    else text_param(q, c->text, c->text ? strlen(c->text) : 0);
}

static int one_of(search *q, const archive_record_condition *c, gn_error *e) {
    const char *p = c->text ? c->text : "";
    gn_buf_printf(&q->sql, "%s IN (", field_column[c->field]);
    for (int i = 0;; i++) {
        size_t n = strcspn(p, "\n");
        if (i >= 32) return gn_fail(e, GN_E_TOO_LARGE, "a search names more than 32 values of one key");
        if (i) gn_buf_putc(&q->sql, ',');
        text_param(q, p, n);
        p += n;
        if (!*p++) break;
    }
    gn_buf_putc(&q->sql, ')');
    return 0;
}

static int condition(search *q, const archive_record_condition *c, gn_error *e) {
    if (c->field < 0 || c->field >= FIELDS) return gn_fail(e, GN_E_INVALID, "records have no field %d", c->field);
    const char *column = field_column[c->field];
    gn_buf_puts(&q->sql, " AND ");
    switch (c->test) {
    case ARCHIVE_RECORD_EQUALS: gn_buf_printf(&q->sql, "%s = ", column); value_param(q, c); return 0;
    case ARCHIVE_RECORD_AT_LEAST: gn_buf_printf(&q->sql, "%s >= ", column); value_param(q, c); return 0;
    case ARCHIVE_RECORD_AT_MOST: gn_buf_printf(&q->sql, "%s <= ", column); value_param(q, c); return 0;
    case ARCHIVE_RECORD_PREFIX: /* U+10FFFF sorts behind whatever may follow */
        gn_buf_printf(&q->sql, "%s >= ", column);
        value_param(q, c);
        gn_buf_printf(&q->sql, " AND %s <= (", column);
        value_param(q, c);
        gn_buf_puts(&q->sql, " || '\xF4\x8F\xBF\xBF')");
        return 0;
    case ARCHIVE_RECORD_ONE_OF: return one_of(q, c, e);
    }
    return gn_fail(e, GN_E_INVALID, "unknown test of a record");
}

static int compose(search *q, const archive_record_query *query, const char *what, gn_error *e) {
    if (query->condition_count > CONDITIONS_MOST) return gn_fail(e, GN_E_TOO_LARGE, "a search has more than %d conditions", CONDITIONS_MOST);
    q->params = 0;
    gn_buf_clear(&q->sql);
    gn_buf_puts(&q->sql, what);
    gn_buf_puts(&q->sql, " WHERE collection = ");
    text_param(q, query->collection, strlen(query->collection));
    int rc = 0;
    for (size_t i = 0; i < query->condition_count && !rc; i++) rc = condition(q, &query->conditions[i], e);
    return rc;
}

/* ---- pages --------------------------------------------------------------------------------------------------------------- */

/* Where the next chunk begins. */
typedef struct place { bool set; char id[128]; gn_buf text; int64_t number; } place;

static void order_and_page(search *q, const archive_record_query *query, const place *at, uint64_t limit) {
    const char *column = field_column[query->order], *than = query->descending ? "<" : ">", *way = query->descending ? " DESC" : "";
    if (at->set) {
        gn_buf_printf(&q->sql, " AND (%s, id) %s (", column, than);
        if (is_number(query->order)) number_param(q, at->number);
        else text_param(q, (const char *)at->text.p, at->text.n);
        gn_buf_putc(&q->sql, ',');
        text_param(q, at->id, strlen(at->id));
        gn_buf_putc(&q->sql, ')');
    }
    if (!is_number(query->order) && query->order != ARCHIVE_RECORD_FIELD_ID) gn_buf_printf(&q->sql, " AND %s IS NOT NULL", column);
    gn_buf_printf(&q->sql, " ORDER BY %s%s, id%s LIMIT ", column, way, way);
    number_param(q, (int64_t)limit);
}

static int bind(search *q, db *d, db_stmt **s, gn_error *e) {
    if (q->sql.failed || q->params >= 60) return gn_fail(e, GN_E_TOO_LARGE, "the search for records is too long");
    int rc = db_cached(d, (const char *)q->sql.p, s, e);
    for (int i = 0; i < q->params && !rc; i++) {
        if (q->text[i]) db_bind_text(*s, i + 1, q->text[i], q->length[i]);
        else db_bind_int(*s, i + 1, q->number[i]);
    }
    return rc;
}

static void set_place(place *at, const archive_record_query *q, const char *id, const char *text, int64_t number) {
    at->set = true;
    (void)snprintf(at->id, sizeof at->id, "%s", id);
    at->number = number;
    gn_buf_clear(&at->text);
    gn_buf_puts(&at->text, q->order == ARCHIVE_RECORD_FIELD_ID ? id : text ? text : "");
}

static void place_of(place *at, const archive_record_query *q, const archive_record_found *r) {
    int64_t number = q->order == ARCHIVE_RECORD_FIELD_CREATED ? r->created_us : q->order == ARCHIVE_RECORD_FIELD_UPDATED ? r->updated_us
                     : is_number(q->order) ? r->number[q->order - ARCHIVE_RECORD_FIELD_NUMBER] : 0;
    set_place(at, q, r->id, q->order < ARCHIVE_RECORD_KEYS ? r->key[q->order] : NULL, number);
}

static int read_chunk(record_base *r, search *s, const archive_record_query *q, const place *at, uint64_t limit, chunk *c, gn_error *e) {
    db *d;
    db_stmt *stmt = NULL;
    int rc = compose(s, q, SELECT_ROW, e);
    if (rc) return rc;
    order_and_page(s, q, at, limit);
    if ((rc = engine_read_begin(r->engine, &d, e))) return rc;
    rc = bind(s, d, &stmt, e);
    for (c->count = 0; !rc && c->count < CHUNK; c->count++) {
        rc = db_step(stmt, e);
        if (rc != 1) break;
        rc = copy_row(c->arena, stmt, &c->row[c->count], e);
    }
    if (stmt) db_reset(stmt);
    engine_read_end(r->engine, &d);
    return rc < 0 ? rc : 0;
}

int records_find(record_base *r, const archive_record_query *q, archive_record_visit visit, void *ctx, gn_error *e) {
    if (q->order < 0 || q->order >= FIELDS) return gn_fail(e, GN_E_INVALID, "records have no field %d to sort by", q->order);
    search s = { .sql = GN_BUF_INIT };
    place at = { .text = GN_BUF_INIT };
    chunk c = { .arena = row_arena(e) };
    if (!c.arena) return GN_E_NO_MEMORY;
    if (q->after_id) set_place(&at, q, q->after_id, q->after_text, q->after_number);
    uint64_t left = q->limit ? q->limit : UINT64_MAX;
    int rc = 0;
    while (!rc && left) {
        uint64_t want = left < CHUNK ? left : CHUNK;
        gn_arena_reset(c.arena);
        rc = read_chunk(r, &s, q, &at, want, &c, e);
        if (rc || !c.count) break;
        place_of(&at, q, &c.row[c.count - 1]);
        for (size_t i = 0; i < c.count && !rc; i++) rc = visit(ctx, &c.row[i], e);
        if (c.count < want) break;
        left -= c.count;
    }
    gn_buf_done(&s.sql);
    gn_buf_done(&at.text);
    gn_arena_free(&c.arena);
    return rc < 0 ? rc : 0;
}

int records_count(record_base *r, const archive_record_query *q, int64_t *count, gn_error *e) {
    search s = { .sql = GN_BUF_INIT };
    db *d;
    db_stmt *stmt = NULL;
    int rc = compose(&s, q, "SELECT count(*) FROM record", e);
    if (!rc) rc = engine_read_begin(r->engine, &d, e);
    if (!rc) {
        rc = bind(&s, d, &stmt, e);
        if (!rc) rc = db_step(stmt, e);
        if (rc == 1) *count = db_int(stmt, 0);
        if (stmt) db_reset(stmt);
        engine_read_end(r->engine, &d);
    }
    gn_buf_done(&s.sql);
    return rc < 0 ? rc : 0;
}
