/* import_work: the workers of an import, and what they do with ZIP archives.
 *
 * Many objects are on their way at once, because the archive makes many safe with one sync. A ZIP archive is shared out: each worker
 * walks its directory and takes the members that no other has taken. An archive inside an archive is unpacked into an unnamed file first;
 * all that is unpacked counts against one budget (T6). */
#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { QUEUE = 128, MOST_JOBS = 64 };

/* An archive that several workers read. The last one closes it. */
typedef struct shared_zip {
    int fd;
    char *path;
    struct stat st;
    zip_budget budget;
    _Atomic uint64_t next; /* member that nobody has taken */
    _Atomic unsigned users;
    _Atomic bool cut_off; /* stopped before its end */
} shared_zip;

typedef struct task {
    int fd;
    char *path;
    struct stat st;
    shared_zip *zip; /* NULL: a file */
} task;

struct import_pool {
    import *im;
    unsigned jobs;
    gn_thread thread[MOST_JOBS];
    pthread_mutex_t lock; /* guards the queue */
    pthread_cond_t filled, taken;
    task queue[QUEUE];
    size_t head, count;
    unsigned busy; /* workers amid a task */
    bool closing;
};

/* ---- queue --------------------------------------------------------------------------------------------------------------- */

static void put(import_pool *p, const task *t, bool wait) {
    (void)pthread_mutex_lock(&p->lock);
    while (wait && p->count >= QUEUE / 2) (void)pthread_cond_wait(&p->taken, &p->lock);
    if (p->count < QUEUE) p->queue[(p->head + p->count++) % QUEUE] = *t;
    (void)pthread_cond_signal(&p->filled);
    (void)pthread_mutex_unlock(&p->lock);
}

static bool get(import_pool *p, task *t) {
    (void)pthread_mutex_lock(&p->lock);
    while (!p->count && !(p->closing && !p->busy)) (void)pthread_cond_wait(&p->filled, &p->lock);
    bool got = p->count > 0;
    if (got) {
        *t = p->queue[p->head];
        p->head = (p->head + 1) % QUEUE;
        p->count--;
        p->busy++;
        (void)pthread_cond_signal(&p->taken);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return got;
}

static void finished(import_pool *p) {
    (void)pthread_mutex_lock(&p->lock);
    p->busy--;
    if (p->closing && !p->busy) (void)pthread_cond_broadcast(&p->filled);
    (void)pthread_mutex_unlock(&p->lock);
}

/* ---- ZIP --------------------------------------------------------------------------------------------------------------------- */

static int read_member(void *z, void *buf, size_t cap, size_t *n, gn_error *e) { return zip_read(z, buf, cap, n, e); }

static void zip_problem(import *im, const char *path, const char *name, const gn_error *e) {
    char where[1024], text[400];
    snprintf(where, sizeof where, "%s%s%s", path, *name ? "/" : "", name);
    import_problem(im, IMPORT_FAILED, where, gn_error_text(e, text, sizeof text));
}

static void read_archive(import *im, int fd, uint64_t size, const char *path, zip_budget *budget,
                         _Atomic uint64_t *next, unsigned depth);

/* A file without a name for an archive inside an archive. */
static int unnamed_file(gn_error *e) {
    const char *dir = getenv("TMPDIR");
    int fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) (void)gn_fail_errno(e, errno, "no room for an archive inside an archive");
    return fd;
}

static void read_nested(import *im, zip_reader *z, const gn_buf *head, const char *path, zip_budget *budget,
                        unsigned depth) {
    gn_error e = GN_ERROR_INIT;
    uint64_t size = head->n;
    if (depth >= IMPORT_NESTED) gn_fail(&e, GN_E_TOO_DEEP, "archives are nested more than %d deep", IMPORT_NESTED);
    int fd = e.code ? -1 : unnamed_file(&e);
    int rc = fd < 0 ? e.code : gn_write_all(fd, head->p, head->n, &e);
    uint8_t *chunk = malloc(65536);
    if (!chunk && !rc) rc = gn_fail(&e, GN_E_NO_MEMORY, "no memory to unpack");
    for (size_t n = 1; !rc && n && !atomic_load(&im->stop);) {
        rc = zip_read(z, chunk, 65536, &n, &e);
        if (!rc && n) rc = gn_write_all(fd, chunk, n, &e);
        size += n;
    }
    free(chunk);
    _Atomic uint64_t next = 0;
    if (rc) zip_problem(im, path, "", &e);
    else read_archive(im, fd, size, path, budget, &next, depth + 1);
    if (fd >= 0) close(fd);
}

static void read_one(import *im, zip_reader *z, const zip_entry *entry, const char *path, zip_budget *budget,
                     unsigned depth) {
    gn_error e = GN_ERROR_INIT;
    gn_buf head = GN_BUF_INIT;
    char name[1024];
    snprintf(name, sizeof name, "%s/%s", path, entry->name);
    import_source s = { read_member, z, entry->claimed, name };
    if (zip_begin(z, entry, &e)) zip_problem(im, path, entry->name, &e);
    else if (import_object(im, &s, &head) == IMPORT_IS_ZIP) read_nested(im, z, &head, name, budget, depth);
    gn_buf_done(&head);
    progress_add(&im->bar, 1, entry->compressed, 0);
}

/* Takes the members that `next` says nobody has taken. */
static void read_archive(import *im, int fd, uint64_t size, const char *path, zip_budget *budget,
                         _Atomic uint64_t *next, unsigned depth) {
    gn_error e = GN_ERROR_INIT;
    zip_reader *z = zip_open(fd, size, budget, &e);
    zip_entry entry;
    uint64_t mine = atomic_fetch_add(next, 1), at = 0;
    int rc = z ? 0 : e.code;
    while (!rc && !atomic_load(&im->stop)) {
        rc = zip_next(z, &entry, &e);
        if (rc || at++ != mine) continue;
        mine = atomic_fetch_add(next, 1);
        if (entry.folder) continue;
        read_one(im, z, &entry, path, budget, depth);
        if (zip_exhausted(z)) break;
    }
    if (rc < 0 && atomic_fetch_add(next, (uint64_t)1 << 40) < (uint64_t)1 << 40)
        zip_problem(im, path, "", &e); /* once for all workers */
    zip_close(&z);
}

static void release_zip(import *im, shared_zip *s) {
    if (atomic_fetch_sub(&s->users, 1) != 1) return;
    if (!atomic_load(&im->stop)) import_state_done(im->state, &s->st);
    close(s->fd);
    free(s->path);
    free(s);
}

/* Every worker gets a share; this one begins at once. */
static void share_out(import_pool *p, task *t) {
    shared_zip *s = calloc(1, sizeof *s);
    if (!s) return;
    s->fd = t->fd;
    s->path = t->path;
    s->st = t->st;
    zip_budget_init(&s->budget, (uint64_t)t->st.st_size, p->im->unpack_limit);
    atomic_store(&s->users, p->jobs);
    task share = { .fd = -1, .zip = s };
    for (unsigned i = 1; i < p->jobs; i++) {
        (void)pthread_mutex_lock(&p->lock);
        bool room = p->count < QUEUE;
        if (room) p->queue[(p->head + p->count++) % QUEUE] = share;
        (void)pthread_cond_signal(&p->filled);
        (void)pthread_mutex_unlock(&p->lock);
        if (!room) atomic_fetch_sub(&s->users, 1);
    }
    read_archive(p->im, s->fd, (uint64_t)s->st.st_size, s->path, &s->budget, &s->next, 0);
    release_zip(p->im, s);
}

/* ---- workers -------------------------------------------------------------------------------------------------------------------- */

static void do_task(import_pool *p, task *t) {
    import *im = p->im;
    if (t->zip) {
        if (!atomic_load(&im->stop))
            read_archive(im, t->zip->fd, (uint64_t)t->zip->st.st_size, t->zip->path, &t->zip->budget, &t->zip->next, 0);
        release_zip(im, t->zip);
        return;
    }
    gn_buf head = GN_BUF_INIT;
    import_source s = { import_read_fd, &t->fd, (uint64_t)t->st.st_size, t->path };
    import_kind kind = atomic_load(&im->stop) ? IMPORT_IS_OTHER : import_object(im, &s, &head);
    gn_buf_done(&head);
    if (kind == IMPORT_IS_ZIP) {
        share_out(p, t);
        return;
    }
    if (!atomic_load(&im->stop)) import_state_done(im->state, &t->st);
    progress_add(&im->bar, 1, (uint64_t)t->st.st_size, 0);
    close(t->fd);
    free(t->path);
}

static void work(void *arg) {
    import_pool *p = arg;
    task t;
    while (get(p, &t)) {
        do_task(p, &t);
        finished(p);
    }
}

import_pool *import_pool_new(import *im, unsigned jobs, gn_error *e) {
    import_pool *p = calloc(1, sizeof *p);
    if (!p) {
        gn_fail(e, GN_E_NO_MEMORY, "no memory for the workers");
        return NULL;
    }
    p->im = im;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->filled, NULL);
    (void)pthread_cond_init(&p->taken, NULL);
    if (jobs > MOST_JOBS) jobs = MOST_JOBS;
    while (p->jobs < jobs && !gn_thread_spawn(&p->thread[p->jobs], "import", 0, work, p, e)) p->jobs++;
    if (!p->jobs) import_pool_free(&p);
    return p;
}

int import_pool_add(import_pool *p, int fd, const char *path, const struct stat *st) {
    task t = { .fd = fd, .path = strdup(path), .st = *st };
    if (!t.path) {
        close(fd);
        return GN_E_NO_MEMORY;
    }
    put(p, &t, true);
    return 0;
}

void import_pool_free(import_pool **slot) {
    import_pool *p = *slot;
    if (!p) return;
    (void)pthread_mutex_lock(&p->lock);
    p->closing = true;
    (void)pthread_cond_broadcast(&p->filled);
    (void)pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->jobs; i++) gn_thread_join(&p->thread[i]);
    (void)pthread_cond_destroy(&p->filled);
    (void)pthread_cond_destroy(&p->taken);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
    *slot = NULL;
}
