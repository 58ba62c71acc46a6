/* sqlite_vfs: SQLite's own way to files, but for the write-ahead log: what a transaction appends goes out in one piece.
 *
 * SQLite writes each page of a commit with two calls, a frame header of 24 bytes and the page. Here writes that follow each other are
 * gathered and written when the frame that ends a transaction is complete (its header says the size of the database, others 0),
 * when the buffer is full, and before anything else happens to the file, so that nobody ever sees the log other than SQLite means
 * it: other connections look at a frame only after the commit was announced in shared memory, which follows the last write. */
#include <stdlib.h>

#include "sqlite_db.h"

/* Not more than 128 KiB at once: the system part of SQLite takes the length of a write modulo that. */
enum { FRAME_HEADER = 24, GATHER_BYTES = 100 << 10 };

typedef struct log_file {
    sqlite3_file base;
    uint8_t *pending;
    size_t n;
    sqlite3_int64 offset;   /* of pending[0] in the file */
    bool in_frame, commits; /* a frame header came last; its frame ends a transaction */
} log_file;

static sqlite3_vfs *system_vfs;

/* The file of the system lies behind ours. */
static sqlite3_file *real(sqlite3_file *f) { return (sqlite3_file *)((log_file *)f + 1); }

static int put_out(sqlite3_file *f) {
    log_file *l = (log_file *)f;
    size_t n = l->n;
    l->n = 0;
    return n ? real(f)->pMethods->xWrite(real(f), l->pending, (int)n, l->offset) : SQLITE_OK;
}

static int log_write(sqlite3_file *f, const void *p, int size, sqlite3_int64 offset) {
    log_file *l = (log_file *)f;
    size_t n = (size_t)size;
    int rc = SQLITE_OK;
    if (!l->pending && !(l->pending = malloc(GATHER_BYTES))) return real(f)->pMethods->xWrite(real(f), p, size, offset);
    if (l->n && (offset != l->offset + (sqlite3_int64)l->n || n > GATHER_BYTES - l->n)) rc = put_out(f);
    bool header = n == FRAME_HEADER, ends = l->in_frame && l->commits;
    bool alone = !header && !l->in_frame; /* the header of the log, or a stretch that we do not know */
    l->in_frame = header;
    if (header) l->commits = gn_load_be32((const uint8_t *)p + 4) != 0;
    if (rc) return rc;
    if (alone || n > GATHER_BYTES) {
        rc = put_out(f);
        return rc ? rc : real(f)->pMethods->xWrite(real(f), p, size, offset);
    }
    if (!l->n) l->offset = offset;
    memcpy(l->pending + l->n, p, n);
    l->n += n;
    return ends ? put_out(f) : SQLITE_OK;
}

static int log_close(sqlite3_file *f) {
    int rc = put_out(f), closed = real(f)->pMethods->xClose(real(f));
    free(((log_file *)f)->pending);
    ((log_file *)f)->pending = NULL;
    return rc ? rc : closed;
}

static int log_read(sqlite3_file *f, void *p, int n, sqlite3_int64 offset) {
    int rc = put_out(f);
    return rc ? rc : real(f)->pMethods->xRead(real(f), p, n, offset);
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size) {
    int rc = put_out(f);
    return rc ? rc : real(f)->pMethods->xTruncate(real(f), size);
}

static int log_sync(sqlite3_file *f, int flags) {
    int rc = put_out(f);
    return rc ? rc : real(f)->pMethods->xSync(real(f), flags);
}

static int log_size(sqlite3_file *f, sqlite3_int64 *size) {
    int rc = put_out(f);
    return rc ? rc : real(f)->pMethods->xFileSize(real(f), size);
}

static int log_lock(sqlite3_file *f, int level) { return real(f)->pMethods->xLock(real(f), level); }
static int log_unlock(sqlite3_file *f, int level) { return real(f)->pMethods->xUnlock(real(f), level); }
static int log_reserved(sqlite3_file *f, int *result) { return real(f)->pMethods->xCheckReservedLock(real(f), result); }
static int log_control(sqlite3_file *f, int what, void *arg) { return real(f)->pMethods->xFileControl(real(f), what, arg); }
static int log_sector(sqlite3_file *f) { return real(f)->pMethods->xSectorSize(real(f)); }
static int log_device(sqlite3_file *f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }

static const sqlite3_io_methods log_methods = {
    .iVersion = 1, .xClose = log_close, .xRead = log_read, .xWrite = log_write, .xTruncate = log_truncate, .xSync = log_sync, .xFileSize = log_size,
    .xLock = log_lock, .xUnlock = log_unlock, .xCheckReservedLock = log_reserved, .xFileControl = log_control, .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_device,
};

/* Only the log is ours; every other file is the system's from the start. */
static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *out_flags) {
    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL)) return system_vfs->xOpen(system_vfs, name, f, flags, out_flags);
    memset(f, 0, sizeof(log_file));
    int rc = system_vfs->xOpen(system_vfs, name, real(f), flags, out_flags);
    if (real(f)->pMethods) f->pMethods = &log_methods;
    return rc;
}

const char *sqlite_vfs_register(void) {
    static sqlite3_vfs ours;
    system_vfs = sqlite3_vfs_find(NULL);
    if (!system_vfs) return NULL;
    ours = *system_vfs;
    ours.zName = "gantry";
    ours.pNext = NULL;
    ours.szOsFile = system_vfs->szOsFile + (int)sizeof(log_file);
    ours.xOpen = vfs_open;
    return sqlite3_vfs_register(&ours, 0) ? NULL : ours.zName;
}
