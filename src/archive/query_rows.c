/* query_rows: a query that runs: finds rows, filters what has no column, hands out values.
 *
 * Rows are read in order of their numbers, a chunk at a time, each chunk in a short transaction of its own; between two chunks the
 * cursor holds memory only, so that a slow client keeps no reader. An answer that is committed while a query runs may be in it or
 * not. At most IDS_MAX numbers are held: when more rows match, their numbers are fetched piece by piece in order. The deadline
 * counts the time spent in here, not that of the client. */
#include <stdlib.h>

#include "query.h"

enum { IDS_MAX = 50000, CHUNK_ROWS = 512, CHUNK_BYTES = 256 << 10, DEADLINE_MS = 60000 };
#define CHUNK_NS 50000000u /* a chunk that filters ends after this much time, so that the reader is given back */
#define ARENA_BYTES (64u << 20)

typedef enum cell_form { CELL_ABSENT, CELL_TEXT, CELL_ENCODED } cell_form;
typedef struct cell { uint32_t at, n; dicom_vr vr; uint16_t form; } cell;

struct archive_cursor {
    index_engine *x;
    query_plan plan;
    query_sources sources;
    uint64_t limit, skip;    /* answers still to give, to pass over */
    uint64_t budget_ns, spent_ns;
    int64_t last;            /* highest number that was looked at */
    int64_t *ids;            /* numbers still to look up, from next_id on */
    size_t id_count, next_id;
    bool scanning, searched, more_ids, finished;
    gn_buf text;             /* of the chunk */
    cell *cells;             /* rows × outputs */
    int64_t row_ids[CHUNK_ROWS];
    size_t rows, row;
    archive_value *values;
};

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static int start(archive_cursor *c, const archive_query *q, gn_error *e) {
    c->plan.class = c->x->class;
    c->plan.arena = gn_arena_new(ARENA_BYTES);
    if (!c->plan.arena) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a query");
    int rc = query_plan_make(&c->plan, q, e);
    if (rc) return rc;
    size_t n = c->plan.output_count ? c->plan.output_count : 1;
    c->values = gn_arena_zalloc(c->plan.arena, n, sizeof *c->values);
    if (!c->values) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a query");
    c->sources.plan = &c->plan;
    c->limit = q->limit ? q->limit : UINT64_MAX;
    c->skip = q->offset;
    c->budget_ns = (uint64_t)(q->deadline_ms ? q->deadline_ms : DEADLINE_MS) * 1000000u;
    c->scanning = c->plan.where.n == 0;
    c->last = q->after;
    c->searched = c->more_ids = q->after > 0; /* in order at once */
    return 0;
}

int index_query_open(index_engine *x, const archive_query *q, archive_cursor **out, gn_error *e) {
    archive_cursor *c = calloc(1, sizeof *c);
    if (!c) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a query");
    c->x = x;
    int rc = start(c, q, e);
    if (rc) archive_query_close(&c);
    else *out = c;
    return rc;
}

void archive_query_close(archive_cursor **cursor) {
    archive_cursor *c = *cursor;
    if (!c) return;
    query_sources_done(&c->sources);
    query_plan_done(&c->plan);
    gn_buf_done(&c->text);
    free(c->ids);
    free(c->cells);
    free(c);
    *cursor = NULL;
}

/* ---- values of a row --------------------------------------------------------------------------------------------------- */

static size_t put_decimal(char *out, int64_t v) {
    char digits[24];
    size_t n = 0, k = 0;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do digits[n++] = (char)('0' + u % 10);
    while ((u /= 10) != 0);
    if (v < 0) out[k++] = '-';
    while (n > 0) out[k++] = digits[--n];
    return k;
}

static void append(archive_cursor *c, cell *out, const char *p, size_t n) {
    out->at = (uint32_t)c->text.n;
    out->n = (uint32_t)n;
    out->form = CELL_TEXT;
    if (n) gn_buf_append(&c->text, p, n);
}

static void put_column(archive_cursor *c, const query_output *o, db_stmt *s, cell *out) {
    char digits[24];
    size_t n;
    if (o->column->kind == ATTRIBUTE_DATE || o->column->kind == ATTRIBUTE_INT || o->column->kind == ATTRIBUTE_COUNT) {
        if (!db_is_null(s, o->place)) append(c, out, digits, put_decimal(digits, db_int(s, o->place)));
        return;
    }
    const char *text = db_text(s, o->place, &n);
    if (!text) return;
    if (o->column->kind == ATTRIBUTE_SET && n >= 2) append(c, out, text + 1, n - 2);
    else append(c, out, text, n);
}

static int put_source(archive_cursor *c, const query_output *o, db *d, const query_row *row, cell *out, gn_error *e) {
    const dicom_dataset *ds;
    bool encoded;
    int rc = query_source_load(&c->sources, d, row, o->source, &ds, e);
    const dicom_element *el = ds ? dicom_dataset_find(ds, o->tag) : NULL;
    if (rc || !el) return rc;
    size_t before = c->text.n;
    if (!query_element_value(ds, el, &c->text, &encoded)) {
        c->text.n = before;
        return 0;
    }
    *out = (cell){ (uint32_t)before, (uint32_t)(c->text.n - before), el->vr, encoded ? CELL_ENCODED : CELL_TEXT };
    return 0;
}

/* The row that s is at becomes an answer, if it passes the filters. */
static int take_row(archive_cursor *c, db *d, db_stmt *s, gn_error *e) {
    const query_plan *p = &c->plan;
    query_row row = { db_int(s, 0), p->place_study < 0 ? 0 : db_int(s, p->place_study), p->place_series < 0 ? 0 : db_int(s, p->place_series) };
    if (p->filtered) {
        int match = query_filters_match(&c->sources, d, &row, e);
        if (match <= 0) return match;
    }
    if (c->skip) {
        c->skip--;
        return 0;
    }
    cell *cells = c->cells + c->rows * p->output_count;
    for (size_t i = 0; i < p->output_count; i++) {
        const query_output *o = &p->output[i];
        cells[i] = (cell){ 0, 0, o->vr, CELL_ABSENT };
        int rc = 0;
        if (o->place >= 0) put_column(c, o, s, &cells[i]);
        else if (!o->fixed) rc = put_source(c, o, d, &row, &cells[i], e);
        if (rc) return rc;
    }
    c->row_ids[c->rows++] = row.id;
    c->limit--;
    return c->text.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for answers") : 0;
}

/* ---- numbers of matching rows ------------------------------------------------------------------------------------------ */

static int compare_ids(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int push_id(archive_cursor *c, size_t *capacity, int64_t id, gn_error *e) {
    if (c->id_count == *capacity) {
        size_t wider = *capacity ? *capacity * 4 : 64;
        int64_t *grown = realloc(c->ids, wider * sizeof *grown);
        if (!grown) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a query");
        c->ids = grown;
        *capacity = wider;
    }
    c->ids[c->id_count++] = id;
    return 0;
}

static int collect(archive_cursor *c, db_stmt *s, size_t *capacity, gn_error *e) {
    int rc, pushed = 0;
    c->id_count = c->next_id = 0;
    while ((rc = db_step(s, e)) == 1 && !pushed) pushed = push_id(c, capacity, db_int(s, 0), e);
    db_reset(s);
    return pushed ? pushed : rc < 0 ? rc : 0;
}

/* The next numbers, in order. None: c->id_count is 0. */
static int find_ids(archive_cursor *c, db *d, gn_error *e) {
    db_stmt *s;
    size_t capacity = 0;
    free(c->ids);
    c->ids = NULL;
    c->id_count = c->next_id = 0;
    if (!c->searched) {
        int rc = db_cached(d, (const char *)c->plan.ids.p, &s, e);
        if (rc) return rc;
        db_bind_int(s, query_bind(&c->plan, s), IDS_MAX + 1);
        rc = collect(c, s, &capacity, e);
        if (rc) return rc;
        c->searched = true;
        c->more_ids = c->id_count > IDS_MAX;
        if (!c->more_ids) {
            if (c->id_count > 1) qsort(c->ids, c->id_count, sizeof *c->ids, compare_ids);
            return 0;
        }
    } else if (!c->more_ids) {
        return 0;
    }
    int rc = db_cached(d, (const char *)c->plan.ids_after.p, &s, e);
    if (rc) return rc;
    int i = query_bind(&c->plan, s);
    db_bind_int(s, i, c->last);
    db_bind_int(s, i + 1, IDS_MAX);
    rc = collect(c, s, &capacity, e);
    c->more_ids = !rc && c->id_count == IDS_MAX;
    if (!rc && c->id_count) c->last = c->ids[c->id_count - 1];
    return rc;
}

/* ---- chunks ------------------------------------------------------------------------------------------------------------ */

static size_t room_left(const archive_cursor *c) {
    size_t room = CHUNK_ROWS - c->rows;
    if (c->text.n >= CHUNK_BYTES) room = 0;
    return c->limit < room ? (size_t)c->limit : room;
}

/* All rows that a bound statement gives, as long as there is room. 1: it ended by itself, 0: stopped. */
static int take_rows(archive_cursor *c, db *d, db_stmt *s, uint64_t stop_ns, gn_error *e) {
    int rc;
    while ((rc = db_step(s, e)) == 1) {
        c->last = db_int(s, 0) > c->last ? db_int(s, 0) : c->last;
        rc = take_row(c, d, s, e);
        if (rc < 0) break;
        if (room_left(c) == 0 || (c->plan.filtered && gn_mono_ns() > stop_ns)) {
            db_reset(s);
            return 0;
        }
    }
    db_reset(s);
    return rc < 0 ? rc : 1;
}

/* Passes over rows of a query without conditions, reading nothing but their numbers. */
static int pass_over(archive_cursor *c, db *d, gn_error *e) {
    db_stmt *s;
    int rc = db_cached(d, (const char *)c->plan.pass.p, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, c->last);
    db_bind_int(s, 2, c->skip > INT64_MAX ? INT64_MAX : (int64_t)c->skip - 1);
    rc = db_step(s, e);
    if (rc == 1) c->last = db_int(s, 0);
    else if (rc == 0) c->finished = true;
    db_reset(s);
    c->skip = 0;
    return rc < 0 ? rc : 0;
}

static int scan_chunk(archive_cursor *c, db *d, uint64_t stop_ns, gn_error *e) {
    db_stmt *s;
    int rc = c->skip && !c->plan.filtered ? pass_over(c, d, e) : 0;
    if (rc || c->finished) return rc;
    rc = db_cached(d, (const char *)c->plan.scan.p, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, c->last);
    db_bind_int(s, 2, INT64_MAX);
    rc = take_rows(c, d, s, stop_ns, e);
    if (rc == 1) c->finished = true;
    return rc < 0 ? rc : 0;
}

/* Looks up the next rows by their numbers, one or up to QUERY_LOOKUP at once. There is room for all. */
static int look_up(archive_cursor *c, db *d, gn_error *e) {
    size_t left = c->id_count - c->next_id, room = room_left(c);
    size_t n = left < QUERY_LOOKUP ? left : QUERY_LOOKUP;
    if (n > room) n = room;
    bool many = n > 3;
    db_stmt *s;
    int rc = db_cached(d, (const char *)(many ? c->plan.some.p : c->plan.one.p), &s, e);
    if (rc) return rc;
    if (!many) n = 1;
    for (size_t i = 0; i < (many ? (size_t)QUERY_LOOKUP : 1); i++) db_bind_int(s, (int)i + 1, c->ids[c->next_id + (i < n ? i : n - 1)]);
    c->next_id += n;
    while ((rc = db_step(s, e)) == 1)
        if ((rc = take_row(c, d, s, e)) < 0) break;
    db_reset(s);
    return rc < 0 ? rc : 0;
}

static int id_chunk(archive_cursor *c, db *d, uint64_t stop_ns, gn_error *e) {
    while (room_left(c) > 0) {
        if (c->next_id == c->id_count) {
            int rc = find_ids(c, d, e);
            if (rc) return rc;
            if (c->id_count == 0) {
                c->finished = true;
                return 0;
            }
        }
        if (!c->plan.filtered && c->skip) {
            size_t left = c->id_count - c->next_id, pass = c->skip < left ? (size_t)c->skip : left;
            c->skip -= pass;
            c->next_id += pass;
            if (c->next_id == c->id_count) continue;
        }
        int rc = look_up(c, d, e);
        if (rc) return rc;
        if (c->plan.filtered && gn_mono_ns() > stop_ns) return 0;
    }
    return 0;
}

static int fill(archive_cursor *c, gn_error *e) {
    db *d;
    uint64_t started = gn_mono_ns();
    if (!c->cells) {
        c->cells = calloc(CHUNK_ROWS * (c->plan.output_count ? c->plan.output_count : 1), sizeof *c->cells);
        if (!c->cells) return gn_fail(e, GN_E_NO_MEMORY, "no memory for answers");
    }
    c->rows = c->row = 0;
    gn_buf_clear(&c->text);
    int rc = engine_read_begin(c->x, &d, e);
    if (rc) return rc;
    c->x->class->deadline(d, started + (c->budget_ns - c->spent_ns));
    rc = c->scanning ? scan_chunk(c, d, started + CHUNK_NS, e) : id_chunk(c, d, started + CHUNK_NS, e);
    engine_read_end(c->x, &d);
    if (c->limit == 0) c->finished = true;
    c->spent_ns += gn_mono_ns() - started;
    if (!rc && c->spent_ns >= c->budget_ns && !c->finished) rc = gn_fail(e, GN_E_TIMEOUT, "the query took longer than allowed");
    return rc;
}

/* ---- handing out ------------------------------------------------------------------------------------------------------- */

static void give_row(archive_cursor *c) {
    const cell *cells = c->cells + c->row * c->plan.output_count;
    const char *text = c->text.p ? (const char *)c->text.p : "";
    for (size_t i = 0; i < c->plan.output_count; i++) {
        const char *fixed = c->plan.output[i].fixed;
        archive_value *v = &c->values[i];
        if (fixed) {
            *v = (archive_value){ .text = fixed, .n = strlen(fixed), .present = *fixed != 0, .vr = cells[i].vr };
        } else if (cells[i].form == CELL_ENCODED) {
            *v = (archive_value){ .text = "", .present = true, .vr = cells[i].vr, .encoded = (const uint8_t *)text + cells[i].at, .encoded_length = cells[i].n };
        } else {
            *v = (archive_value){ .text = text + cells[i].at, .n = cells[i].n, .present = cells[i].form == CELL_TEXT, .vr = cells[i].vr };
        }
    }
}

int archive_query_next(archive_cursor *c, const archive_value **values, int64_t *row_id, gn_error *e) {
    while (c->row == c->rows) {
        if (c->finished || c->limit == 0) return 1;
        int rc = fill(c, e);
        if (rc) {
            c->finished = true;
            c->row = c->rows = 0;
            return rc;
        }
    }
    give_row(c);
    *values = c->values;
    if (row_id) *row_id = c->row_ids[c->row];
    c->row++;
    return 0;
}
