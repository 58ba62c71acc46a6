/* series_metadata: the ready-made metadata of whole series, and what it is made of.
 *
 * What is kept holds as long as the series has the same number of instances and the same revision, which counts replacements. Both are
 * compared where they are read, and once more by the statement that keeps, so that nothing stale can be kept or given. */
#include "engine.h"

#include <stdlib.h>

/* Columns of SQL_KEPT. Text is copied, the bytes stay those of the row. */
static void read_series(db_stmt *s, index_series *out) {
    *out = (index_series){ .id = db_int(s, 0), .n_instances = db_int(s, 3), .revision = db_int(s, 4) };
    db_copy_text(s, 1, out->study_uid, sizeof out->study_uid);
    db_copy_text(s, 2, out->series_uid, sizeof out->series_uid);
    if (db_is_null(s, 7)) return;
    out->length = (uint64_t)db_int(s, 5);
    out->crc = (uint32_t)db_int(s, 6);
    out->kept = db_bytes(s, 7, &out->kept_length);
}

int index_series_each(index_engine *x, const char *study_uid, const char *series_uid, int (*visit)(void *ctx, const index_series *s), void *ctx, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, series_uid ? SQL_KEPT_SERIES : SQL_KEPT_STUDY, &s, e);
    if (!rc) {
        index_series row;
        int stop = 0;
        db_bind_string(s, 1, study_uid);
        if (series_uid) db_bind_string(s, 2, series_uid);
        while (!stop && (rc = db_step(s, e)) == 1) {
            read_series(s, &row);
            stop = visit(ctx, &row);
        }
        db_reset(s);
        if (stop) rc = stop;
    }
    engine_read_end(x, &d);
    return rc;
}

int index_series_by_id(index_engine *x, int64_t id, index_series *out, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_KEPT_BY_ID, &s, e);
    if (!rc) {
        db_bind_int(s, 1, id);
        rc = db_step(s, e);
        if (rc == 1) read_series(s, out);
        else if (rc == 0) rc = gn_fail(e, GN_E_NOT_FOUND, "no such series");
        if (rc == 1 && out->kept) out->kept = "";
        db_reset(s);
    }
    engine_read_end(x, &d);
    return rc < 0 ? rc : 0;
}

int index_series_keep(index_engine *x, const index_series *series, gn_error *e) {
    db *d;
    db_stmt *s;
    if (x->read_only) return 0;
    int rc = engine_write_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_KEPT_PUT, &s, e);
    if (!rc) {
        db_bind_int(s, 1, (int64_t)series->length);
        db_bind_int(s, 2, series->crc);
        db_bind_bytes(s, 3, series->kept, series->kept_length);
        db_bind_int(s, 4, series->id);
        db_bind_int(s, 5, series->n_instances);
        db_bind_int(s, 6, series->revision);
        rc = db_run(s, e);
    }
    return engine_write_end(x, rc, e);
}

/* ---- what it is made of ------------------------------------------------------------------------------------------------ */

static int take_members(db_stmt *s, index_member **list, size_t *count, gn_error *e) {
    size_t room = 0;
    int rc;
    while ((rc = db_step(s, e)) == 1) {
        if (*count == room) {
            room = room ? 4 * room : 64;
            index_member *grown = realloc(*list, room * sizeof *grown);
            if (!grown) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the instances of a series");
            *list = grown;
        }
        index_member *m = &(*list)[(*count)++];
        m->id = db_int(s, 0);
        db_copy_text(s, 1, m->sop_uid, sizeof m->sop_uid);
    }
    return rc;
}

int index_series_members(index_engine *x, int64_t series_id, index_member **list, size_t *count, gn_error *e) {
    db *d;
    db_stmt *s;
    *list = NULL;
    *count = 0;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_SERIES_MEMBERS, &s, e);
    if (!rc) {
        db_bind_int(s, 1, series_id);
        rc = take_members(s, list, count, e);
        db_reset(s);
    }
    engine_read_end(x, &d);
    if (rc) {
        free(*list);
        *list = NULL;
    }
    return rc;
}

int index_members_metadata(index_engine *x, const index_member *members, size_t n, gn_buf *packed, size_t *lengths, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_DETAIL_METADATA, &s, e);
    for (size_t i = 0; i < n && rc >= 0; i++) {
        lengths[i] = 0;
        db_bind_int(s, 1, members[i].id);
        rc = db_step(s, e);
        const void *p = rc == 1 ? db_bytes(s, 0, &lengths[i]) : NULL;
        if (p) gn_buf_append(packed, p, lengths[i]);
        else lengths[i] = 0;
        db_reset(s);
    }
    engine_read_end(x, &d);
    if (rc >= 0 && packed->failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata");
    return rc < 0 ? rc : 0;
}

/* ---- what grew --------------------------------------------------------------------------------------------------------- */

static int last_sequence(db *d, int64_t *since, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(d, SQL_STATE_GET, &s, e);
    if (rc) return rc;
    rc = db_step(s, e);
    if (rc == 1) *since = db_int(s, 0);
    db_reset(s);
    return rc < 0 ? rc : 0;
}

static int grown(db *d, int64_t *since, int64_t *series, size_t capacity, size_t *count, gn_error *e) {
    db_stmt *s;
    int64_t last = *since;
    int rc = db_fixed(d, SQL_SERIES_GROWN, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, *since);
    db_bind_int(s, 2, (int64_t)capacity);
    while (*count < capacity && (rc = db_step(s, e)) == 1) {
        series[(*count)++] = db_int(s, 0);
        if (db_int(s, 1) > last) last = db_int(s, 1);
    }
    db_reset(s);
    *since = last; /* of more than `capacity` at once some are left to whoever asks for them first */
    return rc < 0 ? rc : 0;
}

int index_series_grown(index_engine *x, int64_t *since, int64_t *series, size_t capacity, size_t *count, gn_error *e) {
    db *d;
    *count = 0;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = *since >= 0 ? grown(d, since, series, capacity, count, e) : last_sequence(d, since, e);
    engine_read_end(x, &d);
    return rc;
}
