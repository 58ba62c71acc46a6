/* worker_pool: the service's side of the workers: starts them, hands out frames, kills what hangs, starts a fresh one.
 *
 * Whatever a worker does costs one frame: the answer is compared with what was asked for, and the frame's bytes are read with
 * pread from a memfd whose size is sealed, so that no worker can make this process fault. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 256, WAIT_FACTOR = 4 };

typedef struct worker { pid_t pid; int fd; bool busy; } worker; /* pid 0: not started */

struct pixel_workers {
    pthread_mutex_t lock; /* guards `busy` of each worker; the rest of a worker belongs to whom it is busy for */
    pthread_cond_t released;
    unsigned count;
    uint64_t memory;
    uint32_t timeout_ms;
    char *program, *argument;
    worker worker[MAX_WORKERS];
};

/* ---- the pool ---------------------------------------------------------------------------------------------------------- */

static unsigned processors(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > MAX_WORKERS ? MAX_WORKERS : (unsigned)n;
}

pixel_workers *pixel_workers_new(const pixel_worker_config *c, gn_error *e) {
    static const pixel_worker_config defaults = { 0 };
    pthread_condattr_t attributes;
    pixel_workers *w = calloc(1, sizeof *w);
    if (!c) c = &defaults;
    if (w) {
        w->program = strdup(c->program ? c->program : "/proc/self/exe");
        w->argument = strdup(c->argument ? c->argument : PIXEL_WORKER_ARGUMENT);
    }
    if (!w || !w->program || !w->argument) {
        (void)gn_fail(e, GN_E_NO_MEMORY, "no memory for decoders");
        if (w) free(w->program), free(w->argument);
        free(w);
        return NULL;
    }
    w->count = c->workers == 0 ? processors() : c->workers > MAX_WORKERS ? MAX_WORKERS : c->workers;
    w->memory = c->memory ? c->memory : (uint64_t)2 << 30;
    w->timeout_ms = c->frame_timeout_ms ? c->frame_timeout_ms : 5000;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->released, &attributes);
    pthread_condattr_destroy(&attributes);
    return w;
}

/* Ends a worker for good; returns its wait status. */
static int stop(worker *k) {
    int status = 0;
    if (k->pid == 0) return 0;
    close(k->fd);
    kill(k->pid, SIGKILL);
    while (waitpid(k->pid, &status, 0) < 0 && errno == EINTR) {}
    k->pid = 0;
    k->fd = -1;
    return status;
}

void pixel_workers_free(pixel_workers **w) {
    if (!w || !*w) return;
    for (unsigned i = 0; i < (*w)->count; i++) (void)stop(&(*w)->worker[i]);
    pthread_cond_destroy(&(*w)->released);
    pthread_mutex_destroy(&(*w)->lock);
    free((*w)->program);
    free((*w)->argument);
    free(*w);
    *w = NULL;
}

/* The child has nothing but the socket, which is its descriptor 3, and null for the standard three. */
static int start(const pixel_workers *w, worker *k, gn_error *e) {
    char *argv[] = { w->program, w->argument, NULL }, *env[] = { NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return gn_fail_errno(e, errno, "socketpair");
    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++) posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pair[1], PIXEL_WORKER_FD);
    posix_spawn_file_actions_addclosefrom_np(&actions, PIXEL_WORKER_FD + 1);
    posix_spawnattr_init(&attributes);
    sigemptyset(&none);
    sigfillset(&defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(&k->pid, w->program, &actions, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    if (rc) {
        close(pair[0]);
        k->pid = 0;
        return gn_fail_errno(e, rc, "starting a decoder");
    }
    k->fd = pair[0];
    return 0;
}

static worker *free_worker(pixel_workers *w) {
    worker *idle = NULL;
    for (unsigned i = 0; i < w->count; i++) {
        if (w->worker[i].busy) continue;
        if (w->worker[i].pid) return &w->worker[i]; /* one that runs is warm */
        if (!idle) idle = &w->worker[i];
    }
    return idle;
}

static worker *acquire(pixel_workers *w, gn_error *e) {
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(w->timeout_ms / 1000 + 1) * WAIT_FACTOR;
    pthread_mutex_lock(&w->lock);
    worker *k;
    while ((k = free_worker(w)) == NULL && rc == 0) rc = pthread_cond_timedwait(&w->released, &w->lock, &until);
    if (k) k->busy = true;
    pthread_mutex_unlock(&w->lock);
    if (!k) (void)gn_fail(e, GN_E_BUSY, "all %u decoders are busy", w->count);
    return k;
}

static void release(pixel_workers *w, worker *k) {
    pthread_mutex_lock(&w->lock);
    k->busy = false;
    pthread_cond_signal(&w->released);
    pthread_mutex_unlock(&w->lock);
}

/* ---- one frame --------------------------------------------------------------------------------------------------------- */

/* A memfd of fixed size with these bytes, or with none. */
static int memory_file(const char *name, const void *p, size_t n, uint64_t size, gn_error *e) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return gn_fail_errno(e, errno, "memfd_create");
    int rc = ftruncate(fd, (off_t)size) == 0 ? 0 : gn_fail_errno(e, errno, "memory for a frame");
    if (!rc && n) rc = gn_pwrite_all(fd, p, n, 0, e);
    if (!rc && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) rc = gn_fail_errno(e, errno, "sealing");
    if (!rc) return fd;
    close(fd);
    return rc;
}

static bool send_request(int fd, const worker_request *q, const int fds[2]) {
    union { struct cmsghdr align; char space[CMSG_SPACE(2 * sizeof(int))]; } control;
    struct iovec iov = { (void *)(uintptr_t)q, sizeof *q };
    memset(&control, 0, sizeof control);
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(c), fds, 2 * sizeof(int));
    return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)sizeof *q;
}

/* Waits for the answer. 1: there; 0: the worker is gone; -1: time is up. */
static int await(int fd, worker_answer *a, uint32_t timeout_ms) {
    uint64_t until = gn_mono_ns() + (uint64_t)timeout_ms * 1000000u;
    for (;;) {
        uint64_t now = gn_mono_ns();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int ready = now < until ? poll(&p, 1, (int)((until - now) / 1000000u) + 1) : 0;
        if (ready == 0) return -1;
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return 0;
        ssize_t n = recv(fd, a, sizeof *a, 0);
        if (n < 0 && errno == EINTR) continue;
        return n == (ssize_t)sizeof *a && a->magic == WORKER_MAGIC;
    }
}

/* The answer's format may differ only where decoding changes it. */
static bool plausible(const worker_request *q, const worker_answer *a) {
    const pixel_format *f = &a->format, *g = &q->format;
    uint64_t n = 0;
    bool planar = *(const uint8_t *)&f->planar != 0, swapped = *(const uint8_t *)&f->swapped_bytes != 0;
    return f->rows == g->rows && f->columns == g->columns && f->samples == g->samples && f->allocated == g->allocated && f->stored == g->stored &&
           f->high_bit == g->high_bit && f->sample == g->sample && (unsigned)f->photometric <= PIXEL_OTHER && !planar && !swapped &&
           a->decoded <= q->room && pixel_frame_bytes(f, q->room, &n, NULL) == 0 && n == a->decoded;
}

static int take_frame(const worker_answer *a, int room, pixel_frame *out, gn_error *e) {
    uint8_t *bytes = malloc((size_t)a->decoded);
    if (!bytes) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a frame of %" PRIu64 " bytes", a->decoded);
    int rc = gn_pread_all(room, bytes, (size_t)a->decoded, 0, e);
    if (rc) {
        free(bytes);
        return rc;
    }
    *out = (pixel_frame){ a->format, bytes, (size_t)a->decoded };
    return 0;
}

/* Only what a decoder has reason to say. */
static int code_of(const worker_answer *a) {
    static const int codes[] = { GN_E_TRUNCATED, GN_E_TOO_LARGE, GN_E_UNSUPPORTED, GN_E_NO_MEMORY };
    for (size_t i = 0; i < GN_ARRAY_LEN(codes); i++)
        if (a->code == codes[i]) return a->code;
    return GN_E_INVALID;
}

static int gone(worker *k, gn_error *e) {
    int status = stop(k);
    if (WIFSIGNALED(status)) return gn_fail(e, GN_E_INVALID, "the decoder was ended by signal %d", WTERMSIG(status));
    return gn_fail(e, GN_E_INVALID, "the decoder ended");
}

/* A worker that was running may have died since its last frame: then a fresh one gets this frame. */
static int exchange(pixel_workers *w, worker *k, const worker_request *q, const int fds[2], pixel_frame *out, gn_error *e) {
    worker_answer a = { 0 };
    bool sent = k->pid && send_request(k->fd, q, fds);
    int rc = 0;
    if (!sent) {
        (void)stop(k);
        if ((rc = start(w, k, e)) != 0) return rc;
        if (!send_request(k->fd, q, fds)) return gone(k, e);
    }
    int got = await(k->fd, &a, w->timeout_ms);
    if (got < 0) {
        (void)stop(k);
        return gn_fail(e, GN_E_INVALID, "the decoder did not finish within %" PRIu32 " ms", w->timeout_ms);
    }
    if (got == 0) return gone(k, e);
    a.message[sizeof a.message - 1] = '\0';
    if (a.code) return gn_fail(e, code_of(&a), "%s", a.message);
    if (!plausible(q, &a)) {
        (void)stop(k);
        return gn_fail(e, GN_E_INVALID, "the decoder gave an answer that does not fit");
    }
    return take_frame(&a, fds[1], out, e);
}

/* Room for the decoded frame: halved colour may come back whole. */
static int request_of(const pixel_workers *w, const dicom_transfer_syntax *ts, const pixel_format *f, size_t n, unsigned bit_offset, const pixel_limits *limits,
                      worker_request *q, gn_error *e) {
    pixel_format widest = *f;
    memset(q, 0, sizeof *q);
    q->magic = WORKER_MAGIC;
    q->bit_offset = bit_offset;
    q->format = *f;
    q->encoded = n;
    q->memory = w->memory;
    q->timeout_ms = w->timeout_ms;
    if (limits) q->limits = *limits;
    snprintf(q->syntax, sizeof q->syntax, "%s", ts->uid);
    if (widest.photometric == PIXEL_YBR_FULL_422 || widest.photometric == PIXEL_YBR_PARTIAL_420) widest.photometric = PIXEL_RGB;
    return pixel_frame_bytes(&widest, limits ? limits->max_frame_bytes : 0, &q->room, e);
}

int pixel_workers_decode(pixel_workers *w, const dicom_transfer_syntax *ts, const pixel_format *f, const void *encoded, size_t n, unsigned bit_offset,
                         const pixel_limits *limits, pixel_frame *out, gn_error *e) {
    worker_request q;
    int fds[2] = { -1, -1 };
    if (!pixel_can_decode(ts->uid)) return gn_fail(e, GN_E_UNSUPPORTED, "pixel data of transfer syntax %s", ts->uid);
    if (n == 0) return gn_fail(e, GN_E_TRUNCATED, "the frame is empty");
    int rc = request_of(w, ts, f, n, bit_offset, limits, &q, e);
    if (rc) return rc;
    if ((fds[0] = memory_file("frame", encoded, n, n, e)) < 0) return fds[0];
    if ((fds[1] = memory_file("decoded", NULL, 0, q.room, e)) < 0) rc = fds[1];
    worker *k = rc ? NULL : acquire(w, e);
    if (!rc && !k) rc = GN_E_BUSY;
    if (k) {
        rc = exchange(w, k, &q, fds, out, e);
        release(w, k);
    }
    close(fds[0]);
    if (fds[1] >= 0) close(fds[1]);
    return rc;
}
