/* jobs: durable work with priority, lease and attempts.
 *
 * A job is taken by one UPDATE that also leases it, so that two workers never get the same one; a lease that runs out makes it due
 * again, whatever became of its worker. Higher priority first, then the older one. Adding and ending are synced, because somebody
 * may have been told. A worker that polls asks a reader first and does not disturb the writer when nothing is due. */
#include <stdlib.h>

#include "engine.h"

#define TAKE                                                                                                          \
    "UPDATE job SET lease_us = $1, attempts = attempts + 1 WHERE id = (SELECT id FROM job WHERE state = 0 AND "        \
    "kind = $2 AND not_before_us <= $3 AND lease_us <= $3 ORDER BY priority DESC, id LIMIT 1%s) "                      \
    "RETURNING id, kind, priority, attempts, payload"

static int synced(index_engine *x, int rc, gn_error *e) { return rc ? rc : x->class->sync(x->writer, e); }

int index_job_add(index_engine *x, const char *kind, int priority, const char *payload, int64_t not_before_us, int64_t *id, gn_error *e) {
    db *d;
    db_stmt *s;
    int64_t made = 0;
    int rc = engine_write_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_JOB_ADD, &s, e);
    if (!rc) {
        db_bind_string(s, 1, kind);
        db_bind_int(s, 2, priority);
        db_bind_string(s, 3, payload);
        db_bind_int(s, 4, not_before_us);
        db_bind_int(s, 5, gn_wall_us());
        rc = db_step(s, e);
        if (rc == 1) made = db_int(s, 0);
        db_reset(s);
        if (rc >= 0) rc = rc == 1 ? 0 : gn_fail(e, GN_E_DATABASE, "index: a job was not added");
    }
    rc = synced(x, engine_write_end(x, rc, e), e);
    if (!rc && id) *id = made;
    return rc;
}

/* 1: something is due, 0: nothing. */
static int any_due(index_engine *x, const char *kind, int64_t now, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_read_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_JOB_DUE, &s, e);
    if (!rc) {
        db_bind_string(s, 1, kind);
        db_bind_int(s, 2, now);
        rc = db_step(s, e);
        db_reset(s);
    }
    engine_read_end(x, &d);
    return rc;
}

static int fill_job(db_stmt *s, archive_job *job, gn_error *e) {
    size_t n = 0;
    const char *payload = db_text(s, 4, &n);
    memset(job, 0, sizeof *job);
    job->id = db_int(s, 0);
    db_copy_text(s, 1, job->kind, sizeof job->kind);
    job->priority = (int)db_int(s, 2);
    job->attempts = (unsigned)db_int(s, 3);
    job->payload = calloc(1, n + 1);
    if (!job->payload) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a job");
    if (n) memcpy(job->payload, payload, n);
    return 0;
}

/* 0 taken, 1 none. */
static int take(db *d, const char *kind, int64_t now, uint32_t lease_ms, archive_job *job, gn_error *e) {
    db_stmt *s;
    char sql[512];
    (void)snprintf(sql, sizeof sql, TAKE, d->class->skip_locked);
    int rc = db_cached(d, sql, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, now + (int64_t)lease_ms * 1000);
    db_bind_string(s, 2, kind);
    db_bind_int(s, 3, now);
    rc = db_step(s, e);
    if (rc == 1) rc = fill_job(s, job, e);
    else if (rc == 0) rc = 1;
    db_reset(s);
    return rc;
}

int index_job_take(index_engine *x, const char *kind, uint32_t lease_ms, archive_job *job, gn_error *e) {
    db *d;
    int64_t now = gn_wall_us();
    memset(job, 0, sizeof *job);
    int rc = any_due(x, kind, now, e);
    if (rc <= 0) return rc < 0 ? rc : 1;
    if ((rc = engine_write_begin(x, &d, e))) return rc;
    int taken = take(d, kind, now, lease_ms, job, e);
    rc = engine_write_end(x, taken < 0 ? taken : 0, e);
    if (rc) {
        free(job->payload);
        job->payload = NULL;
    }
    return rc ? rc : taken;
}

/* Runs a statement about job `id` that has been bound; it must have been open. */
static int end_job(db *d, db_stmt *s, gn_error *e) {
    int rc = db_run(s, e);
    if (!rc && d->class->changes(d) == 0) rc = gn_fail(e, GN_E_NOT_FOUND, "no such open job");
    return rc;
}

int index_job_done(index_engine *x, int64_t id, const char *result, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_write_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_JOB_DONE, &s, e);
    if (!rc) {
        db_bind_string(s, 1, result);
        db_bind_int(s, 2, gn_wall_us());
        db_bind_int(s, 3, id);
        rc = end_job(d, s, e);
    }
    return synced(x, engine_write_end(x, rc, e), e);
}

int index_job_retry(index_engine *x, int64_t id, uint32_t retry_ms, const char *why, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_write_begin(x, &d, e);
    if (rc) return rc;
    rc = db_fixed(d, SQL_JOB_RETRY, &s, e);
    if (!rc) {
        db_bind_int(s, 1, gn_wall_us() + (int64_t)retry_ms * 1000);
        db_bind_string(s, 2, why);
        db_bind_int(s, 3, id);
        rc = end_job(d, s, e);
    }
    return engine_write_end(x, rc, e);
}
