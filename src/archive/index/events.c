/* events: what happened, in the order in which it was committed.
 *
 * A new study, series or instance is its own event: the numbers of their rows come from the same sequence as those of the table
 * event, so that reading events is merging four lists that are in order, and ingest writes nothing twice. The table has
 * what is no row of its own: replacements, conflicts, refusals. */
#include "engine.h"

/* All give: sequence, time, instance, series, study, detail; the table also the type. */
static const struct { sql_statement which; const char *type; } lists[] = {
    { SQL_EVENTS, NULL }, { SQL_EVENTS_STUDY, "study.new" }, { SQL_EVENTS_SERIES, "series.new" }, { SQL_EVENTS_INSTANCE, "instance.stored" }
};
enum { LISTS = GN_ARRAY_LEN(lists) };

typedef struct list { db_stmt *s; int more; } list;

static void fill_event(db_stmt *s, const char *type, archive_event *v) {
    memset(v, 0, sizeof *v);
    v->sequence = db_int(s, 0);
    v->at_us = db_int(s, 1);
    v->instance_id = db_int(s, 2);
    v->series_id = db_int(s, 3);
    v->study_id = db_int(s, 4);
    db_copy_text(s, 5, v->detail, sizeof v->detail);
    if (type) (void)snprintf(v->type, sizeof v->type, "%s", type);
    else db_copy_text(s, 6, v->type, sizeof v->type);
}

static int start(db *d, sql_statement which, int64_t since, size_t capacity, list *l, gn_error *e) {
    int rc = db_fixed(d, which, &l->s, e);
    if (rc) return rc;
    db_bind_int(l->s, 1, since);
    db_bind_int(l->s, 2, (int64_t)capacity);
    l->more = db_step(l->s, e);
    return l->more < 0 ? l->more : 0;
}

static list *next_list(list *l) {
    list *first = NULL;
    for (size_t i = 0; i < LISTS; i++)
        if (l[i].more == 1 && (!first || db_int(l[i].s, 0) < db_int(first->s, 0))) first = &l[i];
    return first;
}

static int merge(db *d, int64_t since, archive_event *events, size_t capacity, size_t *count, gn_error *e) {
    list l[LISTS] = { { NULL, 0 } };
    int rc = 0;
    for (size_t i = 0; i < LISTS && !rc; i++) rc = start(d, lists[i].which, since, capacity, &l[i], e);
    while (!rc && *count < capacity) {
        list *next = next_list(l);
        if (!next) break;
        fill_event(next->s, lists[next - l].type, &events[(*count)++]);
        next->more = db_step(next->s, e);
        if (next->more < 0) rc = next->more;
    }
    for (size_t i = 0; i < LISTS; i++)
        if (l[i].s) db_reset(l[i].s);
    return rc;
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
