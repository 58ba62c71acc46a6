/* find: what the archive asks of single instances, the walk over all of them, and the index's own numbers. */
#include <stdlib.h>

#include "engine.h"

enum { KNOWN_SERIES_UID = 10, KNOWN_STUDY_UID, KNOWN_SOP_UID }; /* columns behind SQL_KNOWN */

void engine_read_known(db_stmt *s, index_known *k) {
    size_t n;
    memset(k, 0, sizeof *k);
    k->instance_id = db_int(s, 0);
    const void *hash = db_bytes(s, 1, &n);
    if (hash && n == sizeof k->hash) memcpy(k->hash, hash, n);
    k->length = (uint64_t)db_int(s, 2);
    k->location = (index_location){ db_int(s, 3), (uint64_t)db_int(s, 4), k->length, (uint64_t)db_int(s, 5) };
    db_copy_text(s, 6, k->sop_class, sizeof k->sop_class);
    db_copy_text(s, 7, k->transfer_syntax, sizeof k->transfer_syntax);
    k->findings = (uint32_t)db_int(s, 8);
    k->damaged = db_int(s, 9) != 0;
}

static void read_known_with_uids(db_stmt *s, index_known *k) {
    engine_read_known(s, k);
    db_copy_text(s, KNOWN_SERIES_UID, k->series_uid, sizeof k->series_uid);
    db_copy_text(s, KNOWN_STUDY_UID, k->study_uid, sizeof k->study_uid);
}

void engine_read_known_uids(db_stmt *s, index_known *k, char *sop_uid, size_t size) {
    read_known_with_uids(s, k);
    db_copy_text(s, KNOWN_SOP_UID, sop_uid, size);
}

int index_find_instance(index_engine *x, const char *sop_instance, index_known *known, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_INSTANCE_KNOWN, &s, e);
    if (!rc) {
        db_bind_string(s, 1, sop_instance);
        rc = db_step(s, e);
        if (rc == 1) read_known_with_uids(s, known);
        else if (rc == 0) rc = gn_fail(e, GN_E_NOT_FOUND, "no such instance");
        db_reset(s);
    }
    engine_read_end(x, &d);
    return rc < 0 ? rc : 0;
}

/* ---- state ------------------------------------------------------------------------------------------------------------- */

typedef struct state { int64_t sequence, pack, pack_end, patients, studies, series, instances, bytes, events; } state;

static int read_state(db *d, state *st, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(d, SQL_STATE_GET, &s, e);
    if (rc) return rc;
    rc = db_step(s, e);
    if (rc == 1)
        *st = (state){ db_int(s, 0), db_int(s, 1), db_int(s, 2), db_int(s, 3), db_int(s, 4), db_int(s, 5), db_int(s, 6), db_int(s, 7), db_int(s, 8) };
    db_reset(s);
    if (rc == 0) return gn_fail(e, GN_E_CORRUPT, "index: the row of its state is missing");
    return rc < 0 ? rc : 0;
}

int index_get_position(index_engine *x, index_position *p, gn_error *e) {
    db *d;
    state st;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = read_state(d, &st, e);
    if (!rc) *p = (index_position){ st.pack, (uint64_t)st.pack_end };
    engine_read_end(x, &d);
    return rc;
}

int index_get_rebuilding(index_engine *x, bool *yes, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = db_cached(d, "SELECT 1 FROM meta WHERE key = 'rebuilding'", &s, e);
    if (!rc) {
        rc = db_step(s, e);
        *yes = rc == 1;
        db_reset(s);
    }
    engine_read_end(x, &d);
    return rc < 0 ? rc : 0;
}

int index_set_rebuilding(index_engine *x, bool yes, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_write_begin(x, &d, e);
    if (rc) return rc;
    rc = db_cached(d, yes ? "INSERT INTO meta (key, value) VALUES ('rebuilding', 'yes') ON CONFLICT (key) DO NOTHING" : "DELETE FROM meta WHERE key = 'rebuilding'", &s, e);
    if (!rc) rc = db_run(s, e);
    return engine_write_end(x, rc, e);
}

static int read_count(db *d, sql_statement which, int64_t *count, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(d, which, &s, e);
    if (rc) return rc;
    rc = db_step(s, e);
    if (rc == 1) *count = db_int(s, 0);
    db_reset(s);
    return rc < 0 ? rc : 0;
}

int index_stats(index_engine *x, archive_stats *out, gn_error *e) {
    db *d;
    state st;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = read_state(d, &st, e);
    if (!rc) rc = read_count(d, SQL_SUPERSEDED_COUNT, &out->superseded, e);
    if (!rc) rc = read_count(d, SQL_JOBS_OPEN, &out->jobs_open, e);
    engine_read_end(x, &d);
    if (rc) return rc;
    out->patients = st.patients;
    out->studies = st.studies;
    out->series = st.series;
    out->instances = st.instances;
    out->bytes = st.bytes;
    out->events = st.events + st.instances + st.series + st.studies; /* what is new is an event too */
    return 0;
}

/* ---- single instances -------------------------------------------------------------------------------------------------- */

int index_mark_damaged(index_engine *x, int64_t instance_id, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_write_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_INSTANCE_DAMAGED, &s, e);
    if (!rc) {
        db_bind_int(s, 1, instance_id);
        rc = db_run(s, e);
        if (!rc && d->class->changes(d) == 0) rc = gn_fail(e, GN_E_NOT_FOUND, "no such instance");
    }
    return engine_write_end(x, rc, e);
}

static int read_detail(index_engine *x, sql_statement which, int64_t instance_id, gn_buf *out, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, which, &s, e);
    if (!rc) {
        size_t n = 0;
        db_bind_int(s, 1, instance_id);
        rc = db_step(s, e);
        const void *p = rc == 1 ? db_bytes(s, 0, &n) : NULL;
        if (p) gn_buf_append(out, p, n);
        else if (rc >= 0) rc = gn_fail(e, GN_E_NOT_FOUND, "nothing is kept of this instance");
        if (out->failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata");
        db_reset(s);
    }
    engine_read_end(x, &d);
    return rc < 0 ? rc : 0;
}

int index_instance_metadata(index_engine *x, int64_t instance_id, gn_buf *zstd, gn_error *e) { return read_detail(x, SQL_DETAIL_METADATA, instance_id, zstd, e); }
int index_instance_frames(index_engine *x, int64_t instance_id, gn_buf *frames, gn_error *e) { return read_detail(x, SQL_DETAIL_FRAMES, instance_id, frames, e); }

/* ---- the walk ---------------------------------------------------------------------------------------------------------- */

/* The order is worked out once, into a temporary table on disk, so that a walk of hours holds neither memory nor a transaction: numbers
 * are then read a chunk at a time, and each instance is looked up when its turn comes. */
enum { WALK_CHUNK = 1024 };
static const char walk_prepare[] = "CREATE TEMPORARY TABLE walk AS SELECT id FROM instance ORDER BY pack, location;";

typedef struct walk {
    db *d;
    int (*visit)(void *ctx, const index_known *k, const char *sop_instance);
    void *ctx;
} walk;

static int visit_one(walk *w, int64_t id, gn_error *e) {
    db_stmt *s;
    index_known k;
    char sop_uid[129];
    int rc = db_fixed(w->d, SQL_INSTANCE_KNOWN_BY_ID, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, id);
    rc = db_step(s, e);
    if (rc == 1) engine_read_known_uids(s, &k, sop_uid, sizeof sop_uid);
    db_reset(s);
    return rc == 1 ? w->visit(w->ctx, &k, sop_uid) : rc; /* gone meanwhile: nothing to visit */
}

/* *ids and *count: the chunk behind row `*last` of the temporary table. */
static int walk_chunk(walk *w, int64_t *last, int64_t *ids, size_t *count, gn_error *e) {
    db_stmt *s;
    int rc = db_cached(w->d, "SELECT rowid, id FROM temp.walk WHERE rowid > $1 ORDER BY rowid LIMIT $2", &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, *last);
    db_bind_int(s, 2, WALK_CHUNK);
    *count = 0;
    while (*count < WALK_CHUNK && (rc = db_step(s, e)) == 1) {
        *last = db_int(s, 0);
        ids[(*count)++] = db_int(s, 1);
    }
    db_reset(s);
    return rc < 0 ? rc : 0;
}

int index_walk(index_engine *x, int (*visit)(void *ctx, const index_known *k, const char *sop_instance), void *ctx, gn_error *e) {
    walk w = { .visit = visit, .ctx = ctx };
    int64_t *ids = malloc(WALK_CHUNK * sizeof *ids), last = 0;
    size_t count = 0;
    if (!ids) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a walk");
    int rc = x->class->connect(x->target, DB_CARE, x->read_only, &w.d, e);
    if (!rc) rc = x->class->execute(w.d, walk_prepare, e);
    do {
        if (!rc) rc = walk_chunk(&w, &last, ids, &count, e);
        for (size_t i = 0; i < count && !rc; i++) rc = visit_one(&w, ids[i], e);
    } while (!rc && count > 0);
    if (w.d) x->class->disconnect(&w.d);
    free(ids);
    return rc;
}
