/* worker_main: the child's side of the workers: takes a request, decodes, answers, until the socket is closed.
 *
 * It trusts the headers of its parent but nothing else. What a decoder leaves behind in memory can reach only later frames of
 * the same worker. An interval timer ends the process when a frame takes too long and nobody is there to kill it. */
#include "worker.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* One header and its two descriptors. 1: a request; 0: closed; -1: not a request. */
static int receive(int fd, worker_request *q, int fds[2]) {
    union { struct cmsghdr align; char space[CMSG_SPACE(2 * sizeof(int))]; } control;
    struct iovec iov = { q, sizeof *q };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    ssize_t n;
    fds[0] = fds[1] = -1;
    while ((n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {}
    if (n <= 0) return 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(2 * sizeof(int))) memcpy(fds, CMSG_DATA(c), 2 * sizeof(int));
    q->syntax[sizeof q->syntax - 1] = '\0';
    return (size_t)n == sizeof *q && q->magic == WORKER_MAGIC && fds[1] >= 0 ? 1 : -1;
}

static void set_timer(uint32_t ms) {
    struct itimerval t = { .it_value = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 } };
    (void)setitimer(ITIMER_REAL, &t, NULL);
}

static int decode_into(const worker_request *q, const uint8_t *encoded, uint8_t *room, worker_answer *a, gn_error *e) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(q->syntax);
    pixel_frame frame = { 0 };
    if (!ts) return gn_fail(e, GN_E_UNSUPPORTED, "pixel data of transfer syntax %s", q->syntax);
    int rc = pixel_decode(ts, &q->format, encoded, (size_t)q->encoded, q->bit_offset, &q->limits, &frame, e);
    if (!rc && frame.n > q->room) rc = gn_fail(e, GN_E_TOO_LARGE, "a decoded frame of %zu bytes", frame.n);
    if (!rc) {
        memcpy(room, frame.bytes, frame.n);
        a->format = frame.format;
        a->decoded = frame.n;
    }
    pixel_frame_done(&frame);
    return rc;
}

static void serve(const worker_request *q, const int fds[2], worker_answer *a) {
    gn_error e = GN_ERROR_INIT;
    void *encoded = q->encoded ? mmap(NULL, (size_t)q->encoded, PROT_READ, MAP_PRIVATE, fds[0], 0) : NULL;
    void *room = mmap(NULL, (size_t)q->room, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    memset(a, 0, sizeof *a);
    a->magic = WORKER_MAGIC;
    if (encoded == MAP_FAILED || room == MAP_FAILED) a->code = gn_fail(&e, GN_E_NO_MEMORY, "no memory for a frame");
    else a->code = decode_into(q, encoded, room, a, &e);
    memcpy(a->message, e.message, sizeof a->message);
    if (encoded && encoded != MAP_FAILED) munmap(encoded, (size_t)q->encoded);
    if (room != MAP_FAILED) munmap(room, (size_t)q->room);
}

static bool answer(int fd, const worker_answer *a) {
    struct iovec iov = { (void *)(uintptr_t)a, sizeof *a };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)sizeof *a;
}

int pixel_worker_main(int fd) {
    worker_request q = { 0 };
    worker_answer a;
    int fds[2], got;
    bool confined = false;
    while ((got = receive(fd, &q, fds)) > 0) {
        if (!confined && worker_confine(q.memory, fd, NULL) != 0) return 1;
        confined = true;
        set_timer(q.timeout_ms + 1000);
        serve(&q, fds, &a);
        set_timer(0);
        close(fds[0]);
        close(fds[1]);
        if (!answer(fd, &a)) return 1;
    }
    return got < 0;
}
