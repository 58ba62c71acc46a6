/* records_open: the database of the records. What is kept here cannot be made again from the images, so unlike the index every write is
 * synced before it is answered; writers that come while a sync runs share the next one. */
#include "records_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "index/sqlite_db.h"

/* Makes the engine's log and its name in the directory durable: from here on syncing the log is enough. */
static int settle(record_base *r, const char *directory, gn_error *e) {
    db *d;
    db_stmt *s;
    int rc = engine_write_begin(r->engine, &d, e);
    if (rc) return rc;
    rc = db_cached(d, "INSERT INTO meta (key, value) VALUES ('opened', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value", &s, e);
    if (!rc) {
        char now[32];
        gn_time_iso(gn_wall_us(), now);
        db_bind_string(s, 1, now);
        rc = db_run(s, e);
    }
    rc = engine_write_end(r->engine, rc, e);
    if (!rc) rc = d->class->sync(d, e);
    return rc ? rc : gn_fsync_dir(directory, e);
}

int records_open(const char *directory, bool read_only, record_base **out, gn_error *e) {
    gn_buf path = GN_BUF_INIT;
    gn_buf_printf(&path, "%s/records.db", directory);
    record_base *r = calloc(1, sizeof *r);
    int rc = 0;
    if (!r || path.failed) {
        rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for the records");
    } else {
        (void)pthread_mutex_init(&r->syncing, NULL);
        if (read_only && access((const char *)path.p, F_OK)) rc = gn_fail(e, GN_E_NOT_FOUND, "no records are kept in %s", directory);
        if (!rc) rc = engine_open(&sqlite_class, &records_schema, (const char *)path.p, read_only, &r->engine, e);
        if (!rc && !read_only) rc = settle(r, directory, e);
    }
    gn_buf_done(&path);
    if (rc) records_close(&r);
    else *out = r;
    return rc;
}

void records_close(record_base **rp) {
    record_base *r = *rp;
    if (!r) return;
    if (r->engine && !r->engine->read_only) (void)index_checkpoint(r->engine, NULL);
    index_close(&r->engine);
    (void)pthread_mutex_destroy(&r->syncing);
    free(r);
    *rp = NULL;
}

int records_checkpoint(record_base *r, gn_error *e) { return index_checkpoint(r->engine, e); }
