/* audit_write: the thread that appends to the audit log, many lines with one sync.
 *
 * It owns the file and the chain's head. A batch that cannot be written is taken back (the file is cut to where it was good), those who
 * wait for it get the reason, and the next line that can be written is preceded by one that says how many were lost. After a failed
 * sync nothing is known of the file, and nothing more is written to it. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_NS = 200000000, COUNT_NS_S = 60 };
static const uint64_t counted_for_ns = (uint64_t)COUNT_NS_S * 1000000000u;

/* ---- the file ------------------------------------------------------------------------------------------------------------ */

static int open_month(audit *a, unsigned month, gn_error *e) {
    char path[4200];
    audit_file_path(a->directory, month, path, sizeof path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return gn_fail_errno(e, errno, "cannot open the audit log %s", path);
    struct stat st;
    if (fstat(fd, &st) || (!a->no_sync && fsync(a->folder))) {
        int problem = errno;
        (void)close(fd);
        return gn_fail_errno(e, problem, "cannot use the audit log %s", path);
    }
    if (a->fd >= 0) (void)close(a->fd);
    a->fd = fd;
    a->month = month;
    a->size = (uint64_t)st.st_size;
    return 0;
}

static void add_own(gn_buf *out, int64_t *number, uint8_t hash[DIGEST_BYTES], int64_t at_us, const char *action, const char *detail) {
    gn_buf members = GN_BUF_INIT;
    audit_members(&(security_access){ .action = action, .detail = detail }, &members);
    if (members.failed) out->failed = true;
    else audit_line_write(out, ++*number, at_us, (const char *)members.p, 1, hash);
    gn_buf_done(&members);
}

static int append(audit *a, const gn_buf *text, gn_error *e) {
    int rc = gn_write_all(a->fd, text->p, text->n, e);
    if (rc) {
        if (ftruncate(a->fd, (off_t)a->size)) a->broken = true;
        return rc;
    }
    if (!a->no_sync && fdatasync(a->fd)) {
        rc = gn_fail_errno(e, errno, "the audit log cannot be synced");
        a->broken = true;
        return rc;
    }
    a->size += text->n;
    return 0;
}

/* Writes a batch; the chain moves on only when all of it is safe. */
static int write_batch(audit *a, const audit_waiting *first, int64_t now_us, uint64_t lost, gn_error *e) {
    unsigned month = audit_month_of(now_us);
    if (month < a->month) month = a->month; /* the clock was set back: the order of the files is the order of the chain */
    int rc = a->fd < 0 || month != a->month ? open_month(a, month, e) : 0;
    if (rc) return rc;
    gn_buf text = GN_BUF_INIT;
    int64_t number = a->number;
    uint8_t hash[DIGEST_BYTES];
    memcpy(hash, a->hash, sizeof hash);
    if (!a->size) add_own(&text, &number, hash, now_us, "log.begin", NULL);
    if (lost) {
        char detail[64];
        (void)snprintf(detail, sizeof detail, "%llu lines could not be written before", (unsigned long long)lost);
        add_own(&text, &number, hash, now_us, "log.lost", detail);
    }
    for (const audit_waiting *w = first; w; w = w->next) audit_line_write(&text, ++number, w->at_us, w->members, w->count, hash);
    rc = text.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory to write the audit log") : append(a, &text, e);
    if (!rc) {
        a->number = number;
        memcpy(a->hash, hash, sizeof hash);
    }
    gn_buf_done(&text);
    return rc;
}

/* ---- the thread ---------------------------------------------------------------------------------------------------------- */

static bool anything_counted(const audit *a) {
    for (size_t i = 0; i < AUDIT_COUNTED; i++)
        if (a->counted[i].since_ns) return true;
    return false;
}

/* Sleeps until there is something to write; at most a moment while lines wait for company or counts for their minute. */
static void wait_for_work(audit *a) {
    for (bool ripe = false; !a->stop && !a->urgent && !ripe;) {
        bool waiting = a->first != NULL;
        if (!waiting && !anything_counted(a)) {
            (void)pthread_cond_wait(&a->work, &a->lock);
            continue;
        }
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += BATCH_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        ripe = pthread_cond_timedwait(&a->work, &a->lock, &until) == ETIMEDOUT && waiting;
        uint64_t now = a->mono_ns();
        audit_counted_flush(a, now > counted_for_ns ? now - counted_for_ns : 0);
    }
}

static void finish_batch(audit *a, audit_waiting *first, size_t n, uint64_t said_lost, int rc, const gn_error *e) {
    while (first) {
        audit_waiting *next = first->next;
        a->finished = first->ticket;
        free(first);
        first = next;
    }
    if (rc) {
        a->failures++;
        a->failure = *e;
        a->lost += n;
    } else {
        a->lost -= said_lost;
    }
    (void)pthread_cond_broadcast(&a->done);
}

static void run(void *arg) {
    audit *a = arg;
    (void)pthread_mutex_lock(&a->lock);
    for (;;) {
        wait_for_work(a);
        if (a->stop) audit_counted_flush(a, UINT64_MAX);
        audit_waiting *batch = a->first;
        size_t n = a->waiting;
        int64_t now_us = a->wall_us();
        uint64_t lost = a->lost;
        bool broken = a->broken;
        a->first = NULL;
        a->last = &a->first;
        a->waiting = 0;
        a->urgent = false;
        if (!batch && a->stop) break;
        if (!batch) continue;
        (void)pthread_mutex_unlock(&a->lock);
        gn_error e = GN_ERROR_INIT;
        int rc = broken ? gn_fail(&e, GN_E_IO, "the audit log could not be synced before; nothing is written to it until a restart") : write_batch(a, batch, now_us, lost, &e);
        (void)pthread_mutex_lock(&a->lock);
        finish_batch(a, batch, n, lost, rc, &e);
    }
    (void)pthread_mutex_unlock(&a->lock);
}

/* ---- opening ------------------------------------------------------------------------------------------------------------- */

/* Takes off what a crash left unfinished. Nobody was told that it is safe: a line is acknowledged after its sync, newline and all. */
static int repair(audit *a, const audit_tail *t, gn_error *e) {
    int rc = open_month(a, t->month, e);
    if (rc) return rc;
    if (t->newline_missing) {
        rc = gn_write_all(a->fd, "\n", 1, e);
        if (!rc) a->size++;
    } else {
        if (ftruncate(a->fd, (off_t)t->size)) rc = gn_fail_errno(e, errno, "cannot repair the audit log");
        else a->size = t->size;
    }
    char detail[96];
    if (t->newline_missing) (void)snprintf(detail, sizeof detail, "the line before had lost its end");
    else (void)snprintf(detail, sizeof detail, "%llu bytes of an unfinished line were cut off", (unsigned long long)t->torn);
    gn_buf members = GN_BUF_INIT;
    audit_members(&(security_access){ .action = "log.repaired", .detail = detail }, &members);
    if (!rc && (members.failed || !audit_queue(a, (const char *)members.p, a->wall_us(), 1))) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for the audit log");
    gn_buf_done(&members);
    return rc;
}

static int open_files(audit *a, gn_error *e) {
    int rc = gn_mkdirs(a->directory, e);
    if (rc) return rc;
    a->folder = open(a->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->folder < 0) return gn_fail_errno(e, errno, "cannot open %s", a->directory);
    if (flock(a->folder, LOCK_EX | LOCK_NB)) return gn_fail(e, GN_E_BUSY, "%s is being written by another process", a->directory);
    audit_tail t;
    rc = audit_tail_read(a->directory, &t, e);
    if (rc) return rc;
    a->number = t.last;
    memcpy(a->hash, t.hash, sizeof a->hash);
    a->month = t.month;
    return t.torn || t.newline_missing ? repair(a, &t, e) : 0;
}

static void destroy(audit *a) {
    for (audit_waiting *w = a->first, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    for (size_t i = 0; i < AUDIT_COUNTED; i++) free(a->counted[i].members);
    if (a->fd >= 0) (void)close(a->fd);
    if (a->folder >= 0) (void)close(a->folder);
    (void)pthread_cond_destroy(&a->work);
    (void)pthread_cond_destroy(&a->done);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

int audit_open(const char *directory, bool no_sync, audit **out, gn_error *e) {
    audit *a = calloc(1, sizeof *a);
    if (!a) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the audit log");
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&a->lock, NULL);
    (void)pthread_cond_init(&a->work, &attr);
    (void)pthread_cond_init(&a->done, &attr);
    (void)pthread_condattr_destroy(&attr);
    a->fd = a->folder = -1;
    a->no_sync = no_sync;
    a->wall_us = gn_wall_us;
    a->mono_ns = gn_mono_ns;
    a->last = &a->first;
    int rc = snprintf(a->directory, sizeof a->directory, "%s/audit", directory) < (int)sizeof a->directory ? 0 : gn_fail(e, GN_E_INVALID, "the folder's name is too long");
    if (!rc) rc = open_files(a, e);
    if (!rc) rc = gn_thread_spawn(&a->writer, "audit", 0, run, a, e);
    if (rc) destroy(a);
    else *out = a;
    return rc;
}

void audit_close(audit **slot) {
    audit *a = *slot;
    *slot = NULL;
    if (!a) return;
    (void)pthread_mutex_lock(&a->lock);
    a->stop = true;
    (void)pthread_cond_broadcast(&a->work);
    (void)pthread_mutex_unlock(&a->lock);
    gn_thread_join(&a->writer);
    destroy(a);
}

void audit_set_clock(audit *a, int64_t (*wall_us)(void), uint64_t (*mono_ns)(void)) {
    (void)pthread_mutex_lock(&a->lock);
    if (wall_us) a->wall_us = wall_us;
    if (mono_ns) a->mono_ns = mono_ns;
    (void)pthread_cond_broadcast(&a->work);
    (void)pthread_mutex_unlock(&a->lock);
}
