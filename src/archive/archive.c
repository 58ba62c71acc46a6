/* archive: opening, closing, and the thread that looks after an open archive.
 *
 * A second process that would write is kept out by a lock on gantry.lock, which the system gives back however the holder ends. After the lock:
 * store, index, recovery. The keeper makes the index durable now and then (between, the packs can replay it), gives idle memory
 * back, and looks at the disk once a second. Questions about the index are passed on as they are. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PACK_LIMIT ((size_t)1 << 20)
#define PACK_LIMIT_MIN ((size_t)4 << 10)
#define PACK_LIMIT_MAX ((size_t)64 << 20)
#define BLOCK_MIN ((size_t)512 << 10)
#define BLOCK_HEADROOM ((size_t)68 << 10) /* Part 10 header, padding, and room behind a full object */
#define DEFAULT_MEMORY ((size_t)64 << 20)
#define DEFAULT_QUARANTINE (UINT64_C(1) << 30)
#define CHECKPOINT_NS UINT64_C(2000000000)
#define CHECKPOINT_BYTES (UINT64_C(64) << 20)
#define CHECKPOINT_ROWS 4000u

const char *archive_level_text(archive_level l) {
    static const char *const text[] = { "PATIENT", "STUDY", "SERIES", "IMAGE" };
    return (unsigned)l < GN_ARRAY_LEN(text) ? text[l] : "";
}

/* ---- the keeper -------------------------------------------------------------------------------------------------------- */

bool archive_wait_a_second(archive *a) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&a->lock);
    while (!a->stop && pthread_cond_timedwait(&a->wake, &a->lock, &until) == 0) {}
    bool stop = a->stop;
    pthread_mutex_unlock(&a->lock);
    return !stop;
}

static void checkpoint(archive *a) {
    atomic_store(&a->commit.committed_bytes, 0);
    atomic_store(&a->commit.committed, 0);
    (void)index_checkpoint(a->index, NULL); /* failing is no loss: the packs still replay what it knows */
}

static void checkpoint_records(archive *a, uint64_t *seen) {
    (void)pthread_mutex_lock(&a->records_lock);
    record_base *r = a->records;
    (void)pthread_mutex_unlock(&a->records_lock);
    uint64_t now = r ? atomic_load(&r->committed) : 0;
    if (now != *seen) (void)records_checkpoint(r, NULL); /* failing is no loss: its log is synced */
    *seen = now;
}

static void keep(void *arg) {
    archive *a = arg;
    uint64_t last = gn_mono_ns(), last_records = last, seen = 0;
    while (archive_wait_a_second(a)) {
        uint64_t now = gn_mono_ns();
        store_refresh(a->store);
        pool_trim(&a->pool, now);
        uint64_t rows = atomic_load(&a->commit.committed);
        bool much = rows >= CHECKPOINT_ROWS || atomic_load(&a->commit.committed_bytes) >= CHECKPOINT_BYTES;
        if (rows > 0 && (much || now - last >= CHECKPOINT_NS)) {
            checkpoint(a);
            last = gn_mono_ns();
        }
        if (now - last_records >= CHECKPOINT_NS) {
            checkpoint_records(a, &seen);
            last_records = now;
        }
    }
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static char *join(const char *a, const char *b) {
    size_t n = strlen(a) + strlen(b) + 2;
    char *p = malloc(n);
    if (p) (void)snprintf(p, n, "%s/%s", a, b);
    return p;
}

static int copy_config(archive *a, const archive_config *c, gn_error *e) {
    a->config = *c;
    a->directory = strdup(c->directory);
    a->index_path = join(c->directory, "index.sqlite");
    if (!a->directory || !a->index_path) return gn_fail(e, GN_E_NO_MEMORY, "no memory to open an archive");
    a->config.directory = a->directory;
    size_t limit = c->pack_limit ? c->pack_limit : DEFAULT_PACK_LIMIT;
    a->config.pack_limit = limit < PACK_LIMIT_MIN ? PACK_LIMIT_MIN : limit > PACK_LIMIT_MAX ? PACK_LIMIT_MAX : limit;
    if (!c->memory) a->config.memory = DEFAULT_MEMORY;
    if (!c->quarantine_bytes) a->config.quarantine_bytes = DEFAULT_QUARANTINE;
    return 0;
}

/* Before the lock is made: nothing at all is left on the empty mount point of a missing disk (T32). */
static int expect_archive(const archive *a, gn_error *e) {
    char *path = join(a->directory, STORE_MARKER);
    if (!path) return gn_fail(e, GN_E_NO_MEMORY, "no memory to open an archive");
    bool missing = access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
    free(path);
    if (!missing) return 0;
    return gn_fail(e, GN_E_REFUSED, "there is no archive in %s (no %s), but one was expected there: is the disk mounted?", a->directory, STORE_MARKER);
}

static int take_lock(archive *a, gn_error *e) {
    if (a->config.read_only) return 0;
    int rc = a->config.must_exist ? expect_archive(a, e) : gn_mkdirs(a->directory, e);
    if (rc) return rc;
    char *path = join(a->directory, "gantry.lock");
    if (!path) return gn_fail(e, GN_E_NO_MEMORY, "no memory to open an archive");
    a->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int errnum = errno;
    free(path);
    if (a->lock_fd < 0) return gn_fail_errno(e, errnum, "cannot open the lock of the archive in %s", a->directory);
    if (flock(a->lock_fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno == EWOULDBLOCK) return gn_fail(e, GN_E_BUSY, "another process has the archive in %s open", a->directory);
    return gn_fail_errno(e, errno, "cannot lock the archive in %s", a->directory);
}

static int open_parts(archive *a, gn_error *e) {
    int rc = take_lock(a, e);
    if (rc) return rc;
    a->store = store_open(a->directory, a->config.read_only, a->config.must_exist, a->config.reserve_bytes, e);
    if (!a->store) return GN_E_IO;
    a->index = index_sqlite_open(a->index_path, a->config.read_only, e);
    if (!a->index) return GN_E_DATABASE;
    if (a->config.read_only) return 0;
    rc = recover(a, e);
    if (!rc) rc = gn_thread_spawn(&a->keeper, "archive-keeper", 0, keep, a, e);
    return rc ? rc : gn_thread_spawn(&a->metadata_keeper, "archive-meta", 0, metadata_keep, a, e);
}

static int init_locks(archive *a, gn_error *e) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&a->lock, NULL);
    pthread_mutex_init(&a->records_lock, NULL);
    pthread_cond_init(&a->wake, &attr);
    pthread_cond_init(&a->news, &attr);
    pthread_condattr_destroy(&attr);
    commit_init(a);
    size_t block = a->config.pack_limit > BLOCK_MIN ? a->config.pack_limit : BLOCK_MIN;
    return pool_init(&a->pool, block + BLOCK_HEADROOM, a->config.memory, e);
}

archive *archive_open(const archive_config *config, gn_error *e) {
    archive *a = calloc(1, sizeof *a);
    if (!a) {
        gn_fail(e, GN_E_NO_MEMORY, "no memory to open an archive");
        return NULL;
    }
    a->lock_fd = -1;
    int rc = copy_config(a, config, e);
    int locks = init_locks(a, e); /* always, since archive_close ends them */
    if (!rc) rc = locks;
    if (!rc) rc = open_parts(a, e);
    if (rc) archive_close(&a);
    return a;
}

void archive_close(archive **ap) {
    if (!ap || !*ap) return;
    archive *a = *ap;
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    pthread_cond_broadcast(&a->wake);
    pthread_cond_broadcast(&a->news);
    pthread_mutex_unlock(&a->lock);
    bool ran = a->keeper.running;
    gn_thread_join(&a->keeper);
    gn_thread_join(&a->metadata_keeper);
    if (ran && atomic_load(&a->commit.committed) > 0) checkpoint(a);
    records_close(&a->records);
    if (a->index) index_close(&a->index);
    store_close(&a->store);
    pool_done(&a->pool);
    commit_done(a);
    if (a->lock_fd >= 0) (void)close(a->lock_fd);
    pthread_cond_destroy(&a->wake);
    pthread_cond_destroy(&a->news);
    pthread_mutex_destroy(&a->lock);
    pthread_mutex_destroy(&a->records_lock);
    free(a->directory);
    free(a->index_path);
    free(a);
    *ap = NULL;
}

int archive_writable(archive *a, gn_error *e) { return store_writable(a->store, e); }

/* ---- events ------------------------------------------------------------------------------------------------------------ */

void archive_news(archive *a) {
    if (atomic_load(&a->event_waiters) == 0) return;
    pthread_mutex_lock(&a->lock);
    pthread_cond_broadcast(&a->news);
    pthread_mutex_unlock(&a->lock);
}

int archive_events_wait(archive *a, int64_t since, uint32_t timeout_ms) {
    archive_event event;
    size_t count = 0;
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    /* The lock is held while looking, so that news between looking and waiting are not missed. */
    atomic_fetch_add(&a->event_waiters, 1);
    pthread_mutex_lock(&a->lock);
    while (rc == 0 && !a->stop && index_events_read(a->index, since, &event, 1, &count, NULL) == 0 && count == 0)
        rc = pthread_cond_timedwait(&a->news, &a->lock, &until);
    pthread_mutex_unlock(&a->lock);
    atomic_fetch_sub(&a->event_waiters, 1);
    return count > 0;
}

/* ---- passed on to the index -------------------------------------------------------------------------------------------- */

int archive_events_read(archive *a, int64_t since, archive_event *events, size_t capacity, size_t *count, gn_error *e) { return index_events_read(a->index, since, events, capacity, count, e); }

int archive_query_open(archive *a, const archive_query *q, archive_cursor **out, gn_error *e) { return index_query_open(a->index, q, out, e); }

int archive_job_add(archive *a, const char *kind, int priority, const char *payload, int64_t not_before_us, int64_t *id, gn_error *e) {
    return index_job_add(a->index, kind, priority, payload, not_before_us, id, e);
}

int archive_job_take(archive *a, const char *kind, uint32_t lease_ms, archive_job *job, gn_error *e) { return index_job_take(a->index, kind, lease_ms, job, e); }

int archive_job_done(archive *a, int64_t id, const char *result, gn_error *e) { return index_job_done(a->index, id, result, e); }

int archive_job_retry(archive *a, int64_t id, uint32_t retry_ms, const char *why, gn_error *e) { return index_job_retry(a->index, id, retry_ms, why, e); }

int archive_get_stats(archive *a, archive_stats *s, gn_error *e) {
    uint64_t disk, available;
    *s = (archive_stats){ 0 };
    int rc = index_stats(a->index, s, e);
    if (!rc) rc = store_usage(a->store, &disk, &available, &s->quarantined, e);
    if (rc) return rc;
    struct stat st;
    if (stat(a->index_path, &st) == 0) disk += (uint64_t)st.st_size;
    s->disk_bytes = (int64_t)disk;
    s->free_bytes = (int64_t)available;
    return 0;
}
