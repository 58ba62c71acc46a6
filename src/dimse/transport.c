/* The socket under an association: non-blocking, every wait has a monotonic deadline, nothing raises SIGPIPE.
 *
 * The one place that calls recv, sendmsg and sendfile, so that TLS can be put under it without touching the rest. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

void dimse_socket_prepare(int fd) {
    int one = 1, idle = 60, interval = 15, count = 4;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

uint64_t dimse_deadline(uint32_t ms) { return gn_mono_ns() + (uint64_t)ms * 1000000u; }

/* 0 when fd is ready for `events`, GN_E_TIMEOUT at the deadline. */
static int wait_ready(int fd, short events, uint64_t deadline, gn_error *e) {
    for (;;) {
        uint64_t now = gn_mono_ns();
        if (now >= deadline) return gn_fail(e, GN_E_TIMEOUT, events == POLLIN ? "the peer sent nothing in time" : "the peer does not take data");
        uint64_t ms = (deadline - now) / 1000000u + 1;
        struct pollfd p = { fd, events, 0 };
        int n = poll(&p, 1, ms > 1000000 ? 1000000 : (int)ms);
        if (n > 0) return 0;
        if (n < 0 && errno != EINTR) return gn_fail_errno(e, errno, "waiting for the network");
    }
}

static int closed(gn_error *e, int errnum) {
    if (errnum == ECONNRESET || errnum == EPIPE || errnum == ENOTCONN || errnum == ECONNABORTED) return gn_fail(e, GN_E_CLOSED, "the peer closed the connection");
    if (errnum == ETIMEDOUT) return gn_fail(e, GN_E_TIMEOUT, "the peer does not answer any more");
    return gn_fail_errno(e, errnum, "network");
}

int64_t dimse_socket_read(int fd, const struct iovec *v, int n, uint64_t deadline, gn_error *e) {
    for (;;) {
        ssize_t got = readv(fd, v, n);
        if (got > 0) return got;
        if (got == 0) return gn_fail(e, GN_E_CLOSED, "the peer closed the connection");
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return closed(e, errno);
        int rc = wait_ready(fd, POLLIN, deadline, e);
        if (rc) return rc;
    }
}

int64_t dimse_socket_read_now(int fd, void *p, size_t n) {
    for (;;) {
        ssize_t got = recv(fd, p, n, MSG_DONTWAIT);
        if (got > 0) return got;
        if (got == 0) return -1;
        if (errno == EINTR) continue;
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    }
}

int dimse_socket_write(int fd, struct iovec *v, int n, uint32_t timeout_ms, int more, gn_error *e) {
    uint64_t deadline = 0;
    while (n > 0) {
        struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)(n > 1024 ? 1024 : n) };
        ssize_t put = sendmsg(fd, &m, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
        if (put < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) return closed(e, errno);
            if (!deadline) deadline = dimse_deadline(timeout_ms);
            int rc = wait_ready(fd, POLLOUT, deadline, e);
            if (rc) return rc;
            continue;
        }
        deadline = 0;
        size_t left = (size_t)put;
        while (n > 0 && left >= v->iov_len) { left -= v->iov_len; v++; n--; }
        if (n > 0) { v->iov_base = (char *)v->iov_base + left; v->iov_len -= left; }
    }
    return 0;
}

/* sendfile knows no MSG_NOSIGNAL: a peer that has gone must not end a program that does not ignore SIGPIPE. */
static void hold_sigpipe(sigset_t *before) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, before);
}

static void release_sigpipe(const sigset_t *before, bool raised) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    const struct timespec now = { 0, 0 };
    if (raised && !sigismember(before, SIGPIPE)) (void)sigtimedwait(&pipe, NULL, &now);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static int send_from_file(int fd, int file, uint64_t offset, uint64_t n, uint32_t timeout_ms, gn_error *e) {
    uint64_t deadline = 0;
    off_t at = (off_t)offset;
    while (n > 0) {
        ssize_t put = sendfile(fd, file, &at, n > 0x7ffff000 ? 0x7ffff000 : (size_t)n);
        if (put == 0) return gn_fail(e, GN_E_CORRUPT, "the stored object ends too early");
        if (put < 0) {
            if (errno == EINTR) continue;
            if (errno == EIO) return gn_fail_errno(e, errno, "reading the stored object");
            if (errno != EAGAIN && errno != EWOULDBLOCK) return closed(e, errno);
            if (!deadline) deadline = dimse_deadline(timeout_ms);
            int rc = wait_ready(fd, POLLOUT, deadline, e);
            if (rc) return rc;
            continue;
        }
        deadline = 0;
        n -= (uint64_t)put;
    }
    return 0;
}

int dimse_socket_sendfile(int fd, int file, uint64_t offset, uint64_t n, uint32_t timeout_ms, gn_error *e) {
    sigset_t before;
    hold_sigpipe(&before);
    int rc = send_from_file(fd, file, offset, n, timeout_ms, e);
    release_sigpipe(&before, rc == GN_E_CLOSED);
    return rc;
}

static int connect_one(const struct addrinfo *ai, uint64_t deadline, gn_error *e) {
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol);
    if (fd < 0) return gn_fail_errno(e, errno, "socket");
    dimse_socket_prepare(fd);
    int rc = connect(fd, ai->ai_addr, ai->ai_addrlen) ? errno : 0;
    if (rc == EINPROGRESS) {
        rc = 0;
        if (wait_ready(fd, POLLOUT, deadline, NULL)) rc = ETIMEDOUT;
        socklen_t len = sizeof rc;
        if (!rc) getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &len);
    }
    if (!rc) return fd;
    close(fd);
    if (rc == ECONNREFUSED) return gn_fail(e, GN_E_CLOSED, "connection refused: nothing listens there");
    if (rc == ETIMEDOUT) return gn_fail(e, GN_E_TIMEOUT, "no answer to the connection attempt");
    return gn_fail_errno(e, rc, "connecting");
}

int dimse_socket_connect(const char *host, uint16_t port, uint32_t timeout_ms, gn_error *e) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *list = NULL;
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc) return gn_fail(e, GN_E_NOT_FOUND, "host %s: %s", host, gai_strerror(rc));
    uint64_t deadline = dimse_deadline(timeout_ms);
    int fd = GN_E_CLOSED;
    for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        gn_error attempt = GN_ERROR_INIT;
        fd = connect_one(ai, deadline, &attempt);
        if (fd >= 0) break;
        if (!ai->ai_next) { gn_fail(e, fd, "%s", attempt.message); gn_error_at(e, "%s:%u", host, port); }
    }
    freeaddrinfo(list);
    return fd;
}
