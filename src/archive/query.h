/* query: what the files of the query compiler share. Private to the archive room.
 *
 * query_keys.c turns each key into a condition, query_plan.c conditions and wanted attributes into statements, query_source.c finds
 * attributes that have no column, query_rows.c runs it all a chunk at a time. See docs/index-schema.md. */
#ifndef GANTRY_ARCHIVE_QUERY_H
#define GANTRY_ARCHIVE_QUERY_H

#include <zstd.h>

#include "index/attributes.h"
#include "index/engine.h"
#include "index/query_match.h"

/* ---- the plan ---------------------------------------------------------------------------------------------------------- */

/* Tables by their level, and as a set. Their aliases are p, s, r, i. */
#define QUERY_TABLE(level) (1u << (level))

typedef struct query_param {
    const char *p; /* text; NULL: a number */
    size_t n;
    int64_t number;
} query_param;

/* Where attributes without a column are looked up: study_attrs, series_attrs, metadata of an instance. */
typedef enum query_source { QUERY_FROM_STUDY, QUERY_FROM_SERIES, QUERY_FROM_INSTANCE, QUERY_SOURCES } query_source;

/* One wanted attribute. */
typedef struct query_output {
    dicom_tag tag;
    dicom_vr vr;
    const attribute *column; /* NULL: from a source */
    int place;               /* of the column in the row; -1: none */
    query_source source;
    const char *fixed;       /* text that every answer has; NULL: none */
} query_output;

enum { QUERY_LOOKUP = 32 }; /* rows looked up by one statement */

typedef struct query_plan {
    gn_arena *arena;         /* everything of the query but its answers */
    const db_class *class;
    archive_level level;
    uint32_t flags;
    gn_buf where;            /* conditions joined by AND; empty: none */
    query_param *param;
    size_t param_count, param_capacity;
    unsigned where_tables;
    const dicom_dataset *filter[QUERY_SOURCES]; /* keys without a column, UTF-8; NULL: none */
    bool filtered;           /* any of them */
    query_output *output;
    size_t output_count;
    bool needs[QUERY_SOURCES]; /* for filters or outputs */
    int place_study, place_series; /* of the ids of higher levels in the row; -1: not asked for */
    gn_buf ids, ids_after;   /* numbers of matching rows: all (limit), or behind a number in order (after, limit) */
    gn_buf pass;             /* number of the row that lies `offset` rows behind a number: (after, offset) */
    gn_buf scan, one, some;  /* rows: behind a number (after, limit), by one number, by QUERY_LOOKUP numbers */
} query_plan;

int query_plan_make(query_plan *p, const archive_query *q, gn_error *e);
void query_plan_done(query_plan *p);
/* Binds the plan's parameters; returns the number of the next one. */
int query_bind(const query_plan *p, db_stmt *s);

/* ---- conditions -------------------------------------------------------------------------------------------------------- */

/* All keys into conditions and filters. GN_E_INVALID names the key. */
int query_compile_keys(query_plan *p, const dicom_dataset *keys, gn_error *e);

/* Writing SQL: pieces of a condition in p->where. */
void query_text(query_plan *p, const char *text, size_t n);  /* a parameter "$7" */
void query_number(query_plan *p, int64_t number);
void query_puts(query_plan *p, const char *sql);
void query_column(query_plan *p, const attribute *a);        /* "s.accession"; notes the table */
void query_match_call(query_plan *p, query_match_kind kind, const char *key, size_t n, const char *column);

/* ---- attributes without a column --------------------------------------------------------------------------------------- */

/* Where an attribute without a column is found for rows of this level. What belongs to a lower level, or nobody knows where, is that
 * of the first instance. */
query_source query_source_of(const query_plan *p, dicom_tag tag);
/* Data sets of one row, loaded when first asked for; they last until the row of another study, series or instance comes. */
typedef struct query_sources {
    const query_plan *plan;
    struct { gn_arena *arena; int64_t id; const dicom_dataset *ds; } loaded[QUERY_SOURCES];
    gn_buf bytes;
    ZSTD_DCtx *zstd;
} query_sources;
typedef struct query_row { int64_t id, study, series; } query_row; /* study, series: 0 where not known */

/* *ds: NULL when nothing is kept. */
int query_source_load(query_sources *s, db *d, const query_row *row, query_source which, const dicom_dataset **ds, gn_error *e);
void query_sources_done(query_sources *s);
/* 1: all filters match, 0: one does not. */
int query_filters_match(query_sources *s, db *d, const query_row *row, gn_error *e);
/* Appends an element's value as archive_value has it. false: there is none to give. */
bool query_element_value(const dicom_dataset *ds, const dicom_element *el, gn_buf *out, bool *encoded);

#endif
