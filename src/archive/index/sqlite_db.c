/* sqlite_db: SQLite as an engine of the index: connections, statements, errors.
 *
 * WAL, so that readers and the writer do not wait for each other. Commits are not synced (synchronous=NORMAL): what a power
 * cut takes from the end is put back from the packs. Where a commit must last (`sync`), the WAL is synced through a descriptor of
 * our own, outside of all locks: frames that a checkpoint has moved away are on stable storage by then. Automatic checkpoints
 * are off; the archive asks for them. Every connection has its page cache of known size and is used by one thread at a time
 * (SQLITE_OPEN_NOMUTEX). */
#include "sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "query_match.h"

enum { BUSY_MS = 15000, PROGRESS_STEPS = 2000 };
#define WAL_RESTART_BYTES (8 << 20)
#define WAL_TRUNCATE_BYTES (256 << 20) /* the file is cut when it has grown beyond this; else its blocks are used again */

typedef struct sqlite_stmt {
    db_stmt base;
    sqlite3_stmt *stmt;
} sqlite_stmt;

static sqlite_conn *conn_of(db *d) { return (sqlite_conn *)d; }
static sqlite3_stmt *raw(db_stmt *s) { return ((sqlite_stmt *)s)->stmt; }

/* ---- errors ------------------------------------------------------------------------------------------------------------ */

static int code_of(int rc) {
    switch (rc & 0xFF) {
    case SQLITE_BUSY: case SQLITE_LOCKED: return GN_E_BUSY;
    case SQLITE_NOMEM: return GN_E_NO_MEMORY;
    case SQLITE_FULL: return GN_E_NO_SPACE;
    case SQLITE_IOERR: return GN_E_IO;
    case SQLITE_CORRUPT: return GN_E_CORRUPT;
    case SQLITE_NOTADB: case SQLITE_READONLY: case SQLITE_PERM: case SQLITE_AUTH: return GN_E_REFUSED;
    case SQLITE_CANTOPEN: return GN_E_IO;
    case SQLITE_INTERRUPT: return GN_E_TIMEOUT;
    case SQLITE_TOOBIG: return GN_E_TOO_LARGE;
    default: return GN_E_DATABASE;
    }
}

int sqlite_fail(sqlite3 *handle, int rc, const char *what, gn_error *e) {
    int code = code_of(rc);
    if (code == GN_E_TIMEOUT) return gn_fail(e, code, "the query took longer than allowed");
    return gn_fail(e, code, "index: %s: %s", what, handle ? sqlite3_errmsg(handle) : sqlite3_errstr(rc));
}

/* ---- connections ------------------------------------------------------------------------------------------------------- */

static const char *vfs; /* set once, before any connection */

static void sqlite_setup(void) {
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* its counters share one lock among all connections */
    (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1); /* else each transaction takes 64 KiB for what it may undo */
    (void)sqlite3_initialize();
    vfs = sqlite_vfs_register();
}

static int configure(sqlite_conn *c, db_role role, bool read_only, gn_error *e) {
    /* Negative sizes are KiB. The writer's cache holds the leaves of the unique keys that random UIDs hit. */
    const char *cache = role == DB_WRITER ? "PRAGMA cache_size=-6144" : role == DB_READER ? "PRAGMA cache_size=-1536" : "PRAGMA cache_size=-256";
    static const char *const always[] = { "PRAGMA mmap_size=0", "PRAGMA temp_store=FILE", "PRAGMA foreign_keys=OFF", "PRAGMA trusted_schema=OFF" };
    static const char *const writing[] = { "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "PRAGMA wal_autocheckpoint=0", "PRAGMA secure_delete=OFF" };
    int rc = sqlite_execute(&c->base, cache, e);
    for (size_t i = 0; i < GN_ARRAY_LEN(always) && !rc; i++) rc = sqlite_execute(&c->base, always[i], e);
    for (size_t i = 0; i < GN_ARRAY_LEN(writing) && !rc && !read_only; i++) rc = sqlite_execute(&c->base, writing[i], e);
    return rc;
}

/* A directory that cannot be written has no place for the WAL's index; then the file is read as it is, if nothing waits in a WAL. */
static int open_immutable(const char *path, sqlite3 **handle) {
    struct stat st;
    gn_buf uri = GN_BUF_INIT;
    gn_buf_printf(&uri, "%s-wal", path);
    if (uri.failed || (stat((const char *)uri.p, &st) == 0 && st.st_size > 0)) {
        gn_buf_done(&uri);
        return SQLITE_CANTOPEN;
    }
    gn_buf_clear(&uri);
    gn_buf_puts(&uri, "file:");
    for (const char *p = path; *p; p++) {
        if (*p == '?' || *p == '#' || *p == '%') gn_buf_printf(&uri, "%%%02X", (unsigned char)*p);
        else gn_buf_putc(&uri, *p);
    }
    gn_buf_puts(&uri, "?immutable=1");
    int rc = uri.failed ? SQLITE_NOMEM : sqlite3_open_v2((const char *)uri.p, handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, vfs);
    gn_buf_done(&uri);
    return rc;
}

static int open_handle(const char *path, bool read_only, sqlite3 **handle) {
    if (!read_only) return sqlite3_open_v2(path, handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs);
    int rc = sqlite3_open_v2(path, handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, vfs);
    if (rc == SQLITE_OK) rc = sqlite3_exec(*handle, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (rc != SQLITE_CANTOPEN && (rc & 0xFF) != SQLITE_READONLY) return rc;
    (void)sqlite3_close(*handle);
    *handle = NULL;
    return open_immutable(path, handle);
}

/* gantry_match(kind, key, text): see query_match.h. */
static void sql_match(sqlite3_context *x, int argc, sqlite3_value **argv) {
    (void)argc;
    const char *text = (const char *)sqlite3_value_text(argv[2]);
    if (!text) {
        sqlite3_result_int(x, 0);
        return;
    }
    const char *key = (const char *)sqlite3_value_text(argv[1]);
    bool yes = key && query_match_text((query_match_kind)sqlite3_value_int(argv[0]), key, (size_t)sqlite3_value_bytes(argv[1]), text, (size_t)sqlite3_value_bytes(argv[2]));
    sqlite3_result_int(x, yes);
}

static void sqlite_disconnect(db **d) {
    if (!*d) return;
    sqlite_conn *c = conn_of(*d);
    db_drop_statements(&c->base);
    for (size_t i = 0; i < GN_ARRAY_LEN(c->control); i++) (void)sqlite3_finalize(c->control[i]);
    (void)sqlite3_close(c->handle);
    free(c->path);
    free(c);
    *d = NULL;
}

static int sqlite_connect(const char *path, db_role role, bool read_only, db **out, gn_error *e) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, sqlite_setup);
    sqlite_conn *c = calloc(1, sizeof *c);
    if (!c || !(c->path = strdup(path))) {
        free(c);
        return gn_fail(e, GN_E_NO_MEMORY, "no memory for a connection to the index");
    }
    c->base.class = &sqlite_class;
    c->read_only = read_only;
    int rc = open_handle(path, read_only, &c->handle);
    if (rc) rc = (rc & 0xFF) == SQLITE_CANTOPEN ? gn_fail(e, GN_E_NOT_FOUND, "index: cannot open %s", path) : sqlite_fail(c->handle, rc, "open", e);
    if (!rc) {
        (void)sqlite3_extended_result_codes(c->handle, 1);
        (void)sqlite3_busy_timeout(c->handle, BUSY_MS);
        rc = configure(c, role, read_only, e);
    }
    if (!rc && sqlite3_create_function_v2(c->handle, "gantry_match", 3, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL, sql_match, NULL, NULL, NULL))
        rc = gn_fail(e, GN_E_NO_MEMORY, "index: no memory for its functions");
    db *d = &c->base;
    if (rc) sqlite_disconnect(&d);
    else *out = d;
    return rc;
}

int sqlite_execute(db *d, const char *sql, gn_error *e) {
    sqlite3 *handle = conn_of(d)->handle;
    int rc = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    return rc ? sqlite_fail(handle, rc, "execute", e) : 0;
}

/* ---- statements -------------------------------------------------------------------------------------------------------- */

static int sqlite_prepare(db *d, const char *sql, db_stmt **out, gn_error *e) {
    sqlite_conn *c = conn_of(d);
    sqlite_stmt *s = calloc(1, sizeof *s);
    if (!s) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a statement");
    s->base.db = d;
    int rc = sqlite3_prepare_v3(c->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
    if (rc) {
        free(s);
        return sqlite_fail(c->handle, rc, "prepare", e);
    }
    *out = &s->base;
    return 0;
}

static void sqlite_finalize(db_stmt *s) {
    if (!s) return;
    (void)sqlite3_finalize(raw(s));
    free(s);
}

static void sqlite_reset(db_stmt *s) { (void)sqlite3_reset(raw(s)); }
/* A binding can only fail for a wrong number or length, both our own bugs; the statement then sees NULL. */
static void sqlite_bind_int(db_stmt *s, int i, int64_t v) { (void)sqlite3_bind_int64(raw(s), i, v); }
static void sqlite_bind_text(db_stmt *s, int i, const char *p, size_t n) {
    if (p) (void)sqlite3_bind_text64(raw(s), i, p, n, SQLITE_STATIC, SQLITE_UTF8);
    else (void)sqlite3_bind_null(raw(s), i);
}
static void sqlite_bind_bytes(db_stmt *s, int i, const void *p, size_t n) {
    if (p) (void)sqlite3_bind_blob64(raw(s), i, p, n, SQLITE_STATIC);
    else (void)sqlite3_bind_null(raw(s), i);
}

static int sqlite_step(db_stmt *s, gn_error *e) {
    int rc = sqlite3_step(raw(s));
    if (rc == SQLITE_ROW) return 1;
    if (rc == SQLITE_DONE) return 0;
    return sqlite_fail(conn_of(s->db)->handle, rc, "statement", e);
}

static bool sqlite_is_null(db_stmt *s, int column) { return sqlite3_column_type(raw(s), column) == SQLITE_NULL; }
static int64_t sqlite_get_int(db_stmt *s, int column) { return sqlite3_column_int64(raw(s), column); }
static const char *sqlite_get_text(db_stmt *s, int column, size_t *n) {
    const char *text = (const char *)sqlite3_column_text(raw(s), column);
    *n = text ? (size_t)sqlite3_column_bytes(raw(s), column) : 0;
    return text;
}
static const void *sqlite_get_bytes(db_stmt *s, int column, size_t *n) {
    const void *p = sqlite3_column_blob(raw(s), column);
    *n = p ? (size_t)sqlite3_column_bytes(raw(s), column) : 0;
    return p;
}
static int64_t sqlite_changes(db *d) { return sqlite3_changes64(conn_of(d)->handle); }

/* ---- transactions ------------------------------------------------------------------------------------------------------ */

static int control(sqlite_conn *c, sqlite_control which, gn_error *e) {
    static const char *const texts[SQLITE_CONTROLS] = { "BEGIN", "BEGIN IMMEDIATE", "COMMIT" };
    sqlite3_stmt **s = &c->control[which];
    int rc = *s ? 0 : sqlite3_prepare_v3(c->handle, texts[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL);
    if (!rc) {
        rc = sqlite3_step(*s);
        if (rc == SQLITE_DONE) rc = 0;
        (void)sqlite3_reset(*s);
    }
    return rc ? sqlite_fail(c->handle, rc, texts[which], e) : 0;
}

static int sqlite_begin(db *d, db_access access, gn_error *e) { return control(conn_of(d), access == DB_WRITE ? SQLITE_BEGIN_WRITE : SQLITE_BEGIN_READ, e); }
static int sqlite_commit(db *d, gn_error *e) { return control(conn_of(d), SQLITE_COMMIT, e); }
static void sqlite_rollback(db *d) {
    sqlite3 *handle = conn_of(d)->handle;
    if (!sqlite3_get_autocommit(handle)) (void)sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
}

static int past_deadline(void *arg) {
    const sqlite_conn *c = arg;
    return c->deadline && gn_mono_ns() > c->deadline;
}

static void sqlite_deadline(db *d, uint64_t mono_ns) {
    sqlite_conn *c = conn_of(d);
    if (!c->deadline != !mono_ns) sqlite3_progress_handler(c->handle, mono_ns ? PROGRESS_STEPS : 0, mono_ns ? past_deadline : NULL, c);
    c->deadline = mono_ns;
}

/* ---- stable storage ---------------------------------------------------------------------------------------------------- */

static int sqlite_sync(db *d, gn_error *e) {
    gn_buf path = GN_BUF_INIT;
    gn_buf_printf(&path, "%s-wal", conn_of(d)->path);
    if (path.failed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a path");
    int rc = 0, fd = open((const char *)path.p, O_RDONLY | O_CLOEXEC);
    if (fd < 0) rc = gn_fail_errno(e, errno, "index: open %s", (const char *)path.p);
    else if (fdatasync(fd)) rc = gn_fail_errno(e, errno, "index: sync %s", (const char *)path.p);
    if (fd >= 0) (void)close(fd);
    gn_buf_done(&path);
    return rc;
}

static int64_t wal_size(const sqlite_conn *c) {
    struct stat st;
    gn_buf path = GN_BUF_INIT;
    gn_buf_printf(&path, "%s-wal", c->path);
    int64_t size = !path.failed && stat((const char *)path.p, &st) == 0 ? (int64_t)st.st_size : 0;
    gn_buf_done(&path);
    return size;
}

/* PASSIVE moves what is there without waiting for anyone, but a writer that goes on meanwhile leaves a rest, and a log with a rest only
 * grows. So when it has grown, a second pass takes what came during the first, and RESTART, which keeps the writer out for the
 * little that then remains, lets the next commit begin at the start of the file again. Readers hold it for moments only: when one is
 * in the way, the next time will do. */
static int sqlite_checkpoint(db *d, gn_error *e) {
    sqlite_conn *c = conn_of(d);
    int64_t size = wal_size(c);
    int rc = sqlite3_wal_checkpoint_v2(c->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc == SQLITE_OK && size > WAL_RESTART_BYTES) rc = sqlite3_wal_checkpoint_v2(c->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc == SQLITE_OK && size > WAL_RESTART_BYTES) {
        (void)sqlite3_busy_timeout(c->handle, 20);
        rc = sqlite3_wal_checkpoint_v2(c->handle, NULL, size > WAL_TRUNCATE_BYTES ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        (void)sqlite3_busy_timeout(c->handle, BUSY_MS);
    }
    if ((rc & 0xFF) == SQLITE_BUSY || (rc & 0xFF) == SQLITE_LOCKED) return sqlite_sync(d, e);
    return rc ? sqlite_fail(c->handle, rc, "checkpoint", e) : 0;
}

/* ---- whose file is it? ------------------------------------------------------------------------------------------------- */

static int64_t number_of(sqlite3 *handle, const char *sql, int *rc) {
    sqlite3_stmt *s = NULL;
    int64_t value = 0;
    *rc = sqlite3_prepare_v2(handle, sql, -1, &s, NULL);
    if (!*rc && (*rc = sqlite3_step(s)) == SQLITE_ROW) {
        value = sqlite3_column_int64(s, 0);
        *rc = 0;
    }
    (void)sqlite3_finalize(s);
    return value;
}

static int sqlite_foreign(db *d, gn_error *e) {
    sqlite3 *handle = conn_of(d)->handle;
    int rc;
    int64_t tables = number_of(handle, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'", &rc);
    if (rc) return sqlite_fail(handle, rc, "read", e);
    int64_t id = number_of(handle, "PRAGMA application_id", &rc);
    if (rc) return sqlite_fail(handle, rc, "read", e);
    return tables > 0 && id != SQLITE_APPLICATION_ID;
}

const db_class sqlite_class = {
    .name = "sqlite", .key_type = "INTEGER PRIMARY KEY", .id_type = "INTEGER PRIMARY KEY", .text_type = "TEXT", .bytes_type = "BLOB",
    .list = "SELECT value FROM json_each", .position = "instr", .skip_locked = "", .mark = "PRAGMA application_id = 1196315730",
    .connect = sqlite_connect, .disconnect = sqlite_disconnect, .execute = sqlite_execute,
    .prepare = sqlite_prepare, .finalize = sqlite_finalize, .reset = sqlite_reset,
    .bind_int = sqlite_bind_int, .bind_text = sqlite_bind_text, .bind_bytes = sqlite_bind_bytes,
    .step = sqlite_step, .is_null = sqlite_is_null, .get_int = sqlite_get_int, .get_text = sqlite_get_text, .get_bytes = sqlite_get_bytes,
    .changes = sqlite_changes, .begin = sqlite_begin, .commit = sqlite_commit, .rollback = sqlite_rollback,
    .deadline = sqlite_deadline, .sync = sqlite_sync, .checkpoint = sqlite_checkpoint, .foreign = sqlite_foreign,
};
