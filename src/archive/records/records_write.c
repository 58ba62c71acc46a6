/* records_write: writes in one transaction, and the sync that they share. */
#include "records_internal.h"

static int check(const archive_record_write *w, gn_error *e) {
    const archive_record *r = &w->record;
    size_t name = r->collection ? strlen(r->collection) : 0, id = r->id ? strlen(r->id) : 0;
    if (name < 1 || name > 31) return gn_fail(e, GN_E_INVALID, "a collection's name has 1 to 31 characters");
    if (id < 1 || id > 127) return gn_fail(e, GN_E_INVALID, "the id of a record in \"%s\" has 1 to 127 bytes", r->collection);
    if (w->action == ARCHIVE_RECORD_DELETE) return 0;
    if (!r->body) return gn_fail(e, GN_E_INVALID, "record %s \"%s\" has no body", r->collection, r->id);
    size_t n = r->body_length ? r->body_length : strlen(r->body);
    if (n > ARCHIVE_RECORD_LARGEST) return gn_fail(e, GN_E_TOO_LARGE, "record %s \"%s\" has %zu bytes; at most %d are kept", r->collection, r->id, n, ARCHIVE_RECORD_LARGEST);
    return 0;
}

/* The version there is; 0: none. */
static int version_of(db *d, const archive_record *r, int64_t *version, gn_error *e) {
    db_stmt *s;
    int rc = db_cached(d, "SELECT version FROM record WHERE collection = $1 AND id = $2", &s, e);
    if (rc) return rc;
    db_bind_string(s, 1, r->collection);
    db_bind_string(s, 2, r->id);
    rc = db_step(s, e);
    *version = rc == 1 ? db_int(s, 0) : 0;
    db_reset(s);
    return rc < 0 ? rc : 0;
}

static int expected(const archive_record_write *w, int64_t version, gn_error *e) {
    const archive_record *r = &w->record;
    if (w->expect == ARCHIVE_RECORD_ANY) return 0;
    if (w->expect == ARCHIVE_RECORD_NEW && w->action == ARCHIVE_RECORD_PUT)
        return version ? gn_fail(e, GN_E_EXISTS, "there is a %s \"%s\" already", r->collection, r->id) : 0;
    if (!version) return gn_fail(e, GN_E_NOT_FOUND, "there is no %s \"%s\"", r->collection, r->id);
    if (w->expect > 0 && version != w->expect)
        return gn_fail(e, GN_E_MISMATCH, "%s \"%s\" was changed meanwhile: it is at version %lld, not %lld", r->collection, r->id, (long long)version, (long long)w->expect);
    return 0;
}

static int put(db *d, archive_record_write *w, int64_t version, gn_error *e) {
    static const char sql[] =
        "INSERT INTO record (collection, id, version, created_us, updated_us, k0, k1, k2, k3, k4, k5, k6, k7, n0, n1, body)"
        " VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (collection, id) DO UPDATE SET version = excluded.version,"
        " updated_us = excluded.updated_us, k0 = excluded.k0, k1 = excluded.k1, k2 = excluded.k2, k3 = excluded.k3, k4 = excluded.k4, k5 = excluded.k5,"
        " k6 = excluded.k6, k7 = excluded.k7, n0 = excluded.n0, n1 = excluded.n1, body = excluded.body";
    const archive_record *r = &w->record;
    db_stmt *s;
    int rc = db_cached(d, sql, &s, e);
    if (rc) return rc;
    w->version = version + 1;
    db_bind_string(s, 1, r->collection);
    db_bind_string(s, 2, r->id);
    db_bind_int(s, 3, w->version);
    db_bind_int(s, 4, gn_wall_us());
    for (int i = 0; i < ARCHIVE_RECORD_KEYS; i++) db_bind_string(s, 5 + i, r->key[i]);
    for (int i = 0; i < ARCHIVE_RECORD_NUMBERS; i++) db_bind_int(s, 13 + i, r->number[i]);
    db_bind_bytes(s, 15, r->body, r->body_length ? r->body_length : strlen(r->body));
    return db_run(s, e);
}

static int remove_record(db *d, const archive_record *r, gn_error *e) {
    db_stmt *s;
    int rc = db_cached(d, "DELETE FROM record WHERE collection = $1 AND id = $2", &s, e);
    if (rc) return rc;
    db_bind_string(s, 1, r->collection);
    db_bind_string(s, 2, r->id);
    return db_run(s, e);
}

static int write_one(db *d, archive_record_write *w, gn_error *e) {
    int64_t version;
    int rc = check(w, e);
    if (!rc) rc = version_of(d, &w->record, &version, e);
    if (!rc) rc = expected(w, version, e);
    if (rc) return rc;
    return w->action == ARCHIVE_RECORD_DELETE ? remove_record(d, &w->record, e) : put(d, w, version, e);
}

/* Whoever finds transaction `mine` synced already goes on at once: one sync serves all that were committed before it began. */
static int share_sync(record_base *r, db *d, uint64_t mine, gn_error *e) {
    (void)pthread_mutex_lock(&r->syncing);
    int rc = 0;
    if (r->synced < mine) {
        uint64_t reached = atomic_load(&r->committed);
        rc = d->class->sync(d, e);
        if (!rc) r->synced = reached;
    }
    (void)pthread_mutex_unlock(&r->syncing);
    return rc;
}

int records_write(record_base *r, archive_record_write *writes, size_t n, gn_error *e) {
    db *d;
    int rc = engine_write_begin(r->engine, &d, e);
    if (rc) return rc;
    for (size_t i = 0; i < n && !rc; i++) rc = write_one(d, &writes[i], e);
    uint64_t mine = rc ? 0 : atomic_load(&r->committed) + 1; /* the writer's lock is held */
    if (!rc) rc = d->class->commit(d, e);
    if (!rc) atomic_store(&r->committed, mine);
    else d->class->rollback(d);
    (void)pthread_mutex_unlock(&r->engine->writing);
    return rc ? rc : share_sync(r, d, mine, e);
}
