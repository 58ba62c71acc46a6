/* events: what happened, in the order in which it was committed.
 *
 * A stored instance is its own event: its row's number comes from the same sequence as the rows of the table event, so that reading
 * events is merging two ordered lists, and ingest writes no row for what it has written already. */
#include "engine.h"

static void fill_stored(db_stmt *s, archive_event *v) {
    memset(v, 0, sizeof *v);
    v->sequence = v->instance_id = db_int(s, 0);
    v->at_us = db_int(s, 1);
    v->series_id = db_int(s, 2);
    v->study_id = db_int(s, 3);
    (void)snprintf(v->type, sizeof v->type, "instance.stored");
    db_copy_text(s, 4, v->detail, sizeof v->detail);
}

static void fill_event(db_stmt *s, archive_event *v) {
    memset(v, 0, sizeof *v);
    v->sequence = db_int(s, 0);
    v->at_us = db_int(s, 1);
    db_copy_text(s, 2, v->type, sizeof v->type);
    v->instance_id = db_int(s, 3);
    v->series_id = db_int(s, 4);
    v->study_id = db_int(s, 5);
    db_copy_text(s, 6, v->detail, sizeof v->detail);
}

static int start(db *d, sql_statement which, int64_t since, size_t capacity, db_stmt **s, gn_error *e) {
    int rc = db_fixed(d, which, s, e);
    if (rc) return rc;
    db_bind_int(*s, 1, since);
    db_bind_int(*s, 2, (int64_t)capacity);
    return db_step(*s, e);
}

static int merge(db *d, int64_t since, archive_event *events, size_t capacity, size_t *count, gn_error *e) {
    db_stmt *stored = NULL, *others = NULL;
    int more_stored = start(d, SQL_EVENTS_STORED, since, capacity, &stored, e);
    int more_others = more_stored < 0 ? more_stored : start(d, SQL_EVENTS, since, capacity, &others, e);
    while (*count < capacity && more_stored >= 0 && more_others >= 0 && (more_stored || more_others)) {
        archive_event *v = &events[(*count)++];
        if (more_stored && (!more_others || db_int(stored, 0) < db_int(others, 0))) {
            fill_stored(stored, v);
            more_stored = db_step(stored, e);
        } else {
            fill_event(others, v);
            more_others = db_step(others, e);
        }
    }
    if (stored) db_reset(stored);
    if (others) db_reset(others);
    return more_stored < 0 ? more_stored : more_others < 0 ? more_others : 0;
}

int index_events_read(index_engine *x, int64_t since, archive_event *events, size_t capacity, size_t *count, gn_error *e) {
    db *d;
    *count = 0;
    if (!capacity) return 0;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = merge(d, since, events, capacity, count, e);
    engine_read_end(x, &d);
    return rc;
}
