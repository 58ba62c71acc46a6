/* add: what the files that add instances share: one batch in its transaction. Private to the index. */
#ifndef GANTRY_ARCHIVE_INDEX_ADD_H
#define GANTRY_ARCHIVE_INDEX_ADD_H

#include "engine.h"
#include "row.h"

typedef struct touched { int64_t study, series, n_series, n_instances; } touched;

typedef struct batch {
    index_engine *x;
    db *d;
    gn_arena *arena;
    archive_duplicate_policy policy;
    int64_t sequence; /* last number used, by a row or an event */
    int64_t patients, studies, series, instances, bytes, events; /* added */
    touched *touched; /* series whose counters change; study 0: none yet */
    size_t touched_count, touched_capacity;
} batch;

/* The rows of an instance, found or made. *findings: PATIENT_CONFLICT when they are known under another patient or study. */
typedef struct place { int64_t study, series; uint32_t findings; bool fresh; /* the study is new and says all of this instance already */ } place;
int add_place(batch *b, const index_instance *it, place *p, gn_error *e);
/* Are both rows known without asking the database? They are there then. */
bool add_place_known(batch *b, const index_instance *it);
/* Counts for a series and its study, written at the end of the batch. */
int add_touch(batch *b, int64_t study, int64_t series, int64_t n_series, int64_t n_instances, gn_error *e);
int add_event(batch *b, const char *type, int64_t at_us, int64_t instance, int64_t series, int64_t study, const char *detail, gn_error *e);

#endif
