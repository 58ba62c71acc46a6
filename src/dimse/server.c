/* The acceptor's side: a listener whose lobby takes any number of silent or slow connections, and association threads.
 *
 * The lobby is one thread with epoll. It reads A-ASSOCIATE-RQs as they come, a few hundred bytes of memory each, under the ARTIM timer. Only
 * a complete request costs an association slot and a thread; at the limit it is answered with a transient rejection. So peers that
 * connect and say nothing never keep another one out (T4). */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

typedef struct guest {
    int fd;
    bool leaving;                  /* rejected or aborted: waiting for the peer's close (Sta13) */
    uint8_t head[PDU_HEADER];
    size_t have, need;             /* bytes of the PDU read so far, header included; need 0: header not complete */
    uint8_t *body;
    size_t capacity;
    uint64_t deadline;             /* ARTIM */
    char address[64];
    struct guest *prev, *next;     /* in the order of their deadlines: all timers are equally long */
} guest;

struct dimse_server {
    dimse_server_config config;
    char address[64];
    int listener, epoll, wake, spare; /* spare: a descriptor to give up when there are no others (T39) */
    uint16_t port;
    gn_thread lobby;
    guest *first, *last;           /* lobby thread only */
    unsigned guests;
    uint64_t pause_until;          /* accepting is paused while descriptors are short */
    _Atomic bool stopping;
    pthread_mutex_t lock;          /* guards associations, active */
    pthread_cond_t left;
    dimse_association *associations;
    unsigned active;
};

static void observe(dimse_server *s, const char *event, const dimse_negotiation *n, const char *address, const gn_error *e) {
    if (s->config.observe) s->config.observe(s->config.ctx, event, n, address, e);
}

/* ---- association threads ------------------------------------------------------------------------------------------------ */

static void link_association(dimse_server *s, dimse_association *a) {
    pthread_mutex_lock(&s->lock);
    a->next = s->associations;
    if (a->next) a->next->prev = a;
    s->associations = a;
    if (atomic_load(&s->stopping)) atomic_store(&a->stop_after, true);
    pthread_mutex_unlock(&s->lock);
}

static void unlink_association(dimse_server *s, dimse_association *a) {
    pthread_mutex_lock(&s->lock);
    if (a->prev) a->prev->next = a->next;
    else if (s->associations == a) s->associations = a->next;
    if (a->next) a->next->prev = a->prev;
    pthread_mutex_unlock(&s->lock);
}

static void leave(dimse_server *s) {
    pthread_mutex_lock(&s->lock);
    s->active--;
    pthread_cond_broadcast(&s->left);
    pthread_mutex_unlock(&s->lock);
}

/* Waits for the peer's close after our last word (Sta13, ARTIM), reading and dropping what still comes. */
static void drain(dimse_association *a) {
    uint32_t most = atomic_load(&a->server->stopping) ? 50 : 2000; /* a stop does not wait for a peer that keeps its side open */
    uint64_t deadline = dimse_deadline(a->timeouts.artim_ms < most ? a->timeouts.artim_ms : most);
    size_t budget = 16u << 20;
    shutdown(a->fd, SHUT_WR);
    while (budget) {
        struct iovec v = { a->rx, DIMSE_READ_BUFFER };
        int64_t got = dimse_socket_read(a->fd, &v, 1, deadline, NULL);
        if (got <= 0) break;
        budget -= (size_t)got < budget ? (size_t)got : budget;
    }
}

static int answer_accept(dimse_association *a, gn_error *e) {
    dimse_negotiation *n = &a->negotiation;
    uint32_t peer_max = n->peer_max_pdu;
    gn_buf pdu = GN_BUF_INIT;
    const uint8_t header[PDU_HEADER] = { PDU_ASSOCIATE_AC };
    char class_uid[65], version[17];
    memcpy(class_uid, n->implementation_class, sizeof class_uid);
    memcpy(version, n->implementation_version, sizeof version);
    snprintf(n->implementation_class, sizeof n->implementation_class, "%s", DICOM_IMPLEMENTATION_CLASS_UID);
    snprintf(n->implementation_version, sizeof n->implementation_version, "%s", DICOM_IMPLEMENTATION_VERSION);
    n->peer_max_pdu = a->own_max_pdu;
    gn_buf_append(&pdu, header, sizeof header);
    int rc = dimse_associate_encode(false, n, &pdu, e);
    n->peer_max_pdu = peer_max;
    memcpy(n->implementation_class, class_uid, sizeof class_uid);
    memcpy(n->implementation_version, version, sizeof version);
    if (!rc) {
        gn_store_be32(pdu.p + 2, (uint32_t)(pdu.n - PDU_HEADER));
        rc = dimse_association_write(a, pdu.p, pdu.n, e);
    }
    gn_buf_done(&pdu);
    return rc;
}

/* The asynchronous window as we grant it: requests are served in the order they come, so any number up to the limit may be waiting. */
static void grant_window(const dimse_server *s, dimse_negotiation *n) {
    uint16_t most = s->config.max_operations ? s->config.max_operations : 16;
    n->invoked = n->invoked == 0 || n->invoked > most ? most : n->invoked;
    n->performed = 1;
}

static bool settle(dimse_server *s, dimse_association *a, const uint8_t *body, size_t n) {
    gn_error e = GN_ERROR_INIT;
    a->state = STA2;
    int rc = dimse_associate_decode(a->arena, true, body, n, &a->negotiation, &e);
    a->state = STA3;
    dimse_reject reject = DIMSE_REJECT_NO_REASON;
    bool accepted = false;
    if (rc == GN_E_UNSUPPORTED) reject = DIMSE_REJECT_PROTOCOL_VERSION;
    else if (rc) {
        dimse_association_send_abort(a, ABORT_SOURCE_PROVIDER, ABORT_INVALID_PARAMETER);
        observe(s, "protocol-error", NULL, a->peer_address, &e);
        return false;
    } else {
        memcpy(a->negotiation.peer_address, a->peer_address, sizeof a->negotiation.peer_address);
        grant_window(s, &a->negotiation);
        accepted = s->config.negotiate(s->config.ctx, &a->negotiation, &reject);
    }
    if (!accepted) {
        uint8_t pdu[10];
        dimse_reject_encode(reject, pdu);
        gn_fail(&e, GN_E_REJECTED, "%s", dimse_reject_text(reject));
        observe(s, "rejected", &a->negotiation, a->peer_address, &e);
        (void)dimse_association_write(a, pdu, sizeof pdu, NULL);
        a->state = STA13;
        return false;
    }
    if (answer_accept(a, &e)) {
        observe(s, "closed", &a->negotiation, a->peer_address, &e);
        return false;
    }
    dimse_association_adopt(a);
    return true;
}

typedef struct arrival { dimse_server *server; guest *guest; } arrival;

static void guest_free(guest *g) {
    if (g->fd >= 0) close(g->fd);
    free(g->body);
    free(g);
}

static void association_thread(void *arg) {
    arrival *in = arg;
    dimse_server *s = in->server;
    guest *g = in->guest;
    free(in);
    gn_error e = GN_ERROR_INIT;
    dimse_association *a = dimse_association_new(g->fd, &s->config.timeouts, s->config.max_pdu, &e);
    if (!a) {
        observe(s, "closed", NULL, g->address, &e);
        guest_free(g);
        leave(s);
        return;
    }
    g->fd = -1;
    a->server = s;
    atomic_store(&a->activity, ACTIVITY_BUSY);
    memcpy(a->peer_address, g->address, sizeof a->peer_address);
    bool open = settle(s, a, g->body, g->need - PDU_HEADER);
    guest_free(g);
    if (open) {
        link_association(s, a);
        observe(s, "accepted", &a->negotiation, a->peer_address, NULL);
        s->config.serve(s->config.ctx, a);
        unlink_association(s, a);
        if (a->state == STA6) dimse_association_send_abort(a, ABORT_SOURCE_USER, 0);
    }
    if (a->state == STA13) drain(a);
    dimse_association_destroy(&a);
    leave(s);
}

/* ---- lobby -------------------------------------------------------------------------------------------------------------- */

/* false: its descriptor is still watched, and until it is closed an event may come that names the guest. */
static bool lobby_remove(dimse_server *s, guest *g) {
    if (g->prev) g->prev->next = g->next;
    else s->first = g->next;
    if (g->next) g->next->prev = g->prev;
    else s->last = g->prev;
    g->prev = g->next = NULL;
    s->guests--;
    return epoll_ctl(s->epoll, EPOLL_CTL_DEL, g->fd, NULL) == 0 || errno == ENOENT;
}

static void lobby_append(dimse_server *s, guest *g) {
    g->prev = s->last;
    g->next = NULL;
    if (s->last) s->last->next = g;
    else s->first = g;
    s->last = g;
    s->guests++;
}

static void lobby_close(dimse_server *s, guest *g, const char *event, const gn_error *e) {
    if (event) observe(s, event, NULL, g->address, e);
    (void)lobby_remove(s, g); /* closing does it too */
    guest_free(g);
}

/* Says the last word and waits for the peer's close. */
static void lobby_dismiss(dimse_server *s, guest *g, const uint8_t *pdu, size_t n) {
    (void)!send(g->fd, pdu, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(g->fd, SHUT_WR);
    g->leaving = true;
    free(g->body);
    g->body = NULL;
    (void)lobby_remove(s, g); /* to the end of the list; it stays a guest */
    g->deadline = dimse_deadline(dimse_timeouts_or_default(&s->config.timeouts).artim_ms);
    lobby_append(s, g);
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = g };
    epoll_ctl(s->epoll, EPOLL_CTL_ADD, g->fd, &ev);
}

static void lobby_violation(dimse_server *s, guest *g, uint8_t reason, const char *what) {
    gn_error e = GN_ERROR_INIT;
    gn_error_at(&e, "first bytes %02X %02X %02X %02X %02X %02X", g->head[0], g->head[1], g->head[2], g->head[3], g->head[4], g->head[5]);
    gn_fail(&e, GN_E_PROTOCOL, "%s", what);
    observe(s, "protocol-error", NULL, g->address, &e);
    const uint8_t pdu[10] = { PDU_ABORT, 0, 0, 0, 0, 4, 0, 0, ABORT_SOURCE_PROVIDER, reason };
    lobby_dismiss(s, g, pdu, sizeof pdu);
}

static bool same_peer(const dimse_association *a, const guest *g) {
    size_t host = (size_t)(strrchr(g->address, ':') - g->address);
    char calling[17];
    memcpy(calling, g->body + 20, 16);
    calling[16] = '\0';
    for (int i = 15; i >= 0 && calling[i] == ' '; i--) calling[i] = '\0';
    return strncmp(a->peer_address, g->address, host + 1) == 0 && strcmp(a->negotiation.calling, calling) == 0;
}

/* A slot for a complete request, or why not. */
static bool take_slot(dimse_server *s, const guest *g) {
    unsigned limit = s->config.max_associations ? s->config.max_associations : 512, mine = 0;
    pthread_mutex_lock(&s->lock);
    if (s->config.max_associations_per_peer && g->need - PDU_HEADER >= 36)
        for (const dimse_association *a = s->associations; a; a = a->next) mine += same_peer(a, g);
    bool ok = s->active < limit && !atomic_load(&s->stopping) && (!s->config.max_associations_per_peer || mine < s->config.max_associations_per_peer);
    if (ok) s->active++;
    pthread_mutex_unlock(&s->lock);
    return ok;
}

static void refuse(dimse_server *s, guest *g, dimse_reject r) {
    uint8_t pdu[10];
    dimse_reject_encode(r, pdu);
    gn_error e = GN_ERROR_INIT;
    gn_fail(&e, GN_E_REJECTED, "%s", dimse_reject_text(r));
    observe(s, "rejected", NULL, g->address, &e);
    lobby_dismiss(s, g, pdu, sizeof pdu);
}

/* The request is whole: hand it to a thread of its own. */
static void admit(dimse_server *s, guest *g) {
    if (!take_slot(s, g)) {
        refuse(s, g, DIMSE_REJECT_LOCAL_LIMIT);
        return;
    }
    arrival *in = malloc(sizeof *in);
    gn_error e = GN_ERROR_INIT;
    if (!lobby_remove(s, g)) { /* a thread must not have a guest that the lobby may be told of (T39) */
        gn_fail_errno(&e, errno, "the connection cannot be handed over");
        observe(s, "closed", NULL, g->address, &e);
        free(in);
        leave(s);
        guest_free(g);
        return;
    }
    if (in) {
        *in = (arrival){ s, g };
        if (gn_thread_start("association", 0, association_thread, in, &e) == 0) return;
    }
    free(in);
    leave(s);
    lobby_append(s, g); /* no thread to be had: the peer may try again */
    refuse(s, g, DIMSE_REJECT_CONGESTION);
}

/* true: the rest of the request is awaited. Otherwise the guest is leaving or gone. */
static bool header_complete(dimse_server *s, guest *g) {
    uint32_t n = gn_load_be32(g->head + 2);
    if (g->head[0] == 0x16) lobby_violation(s, g, ABORT_UNRECOGNIZED_PDU, "the peer speaks TLS, this port does not");
    else if (g->head[0] == PDU_ABORT) lobby_close(s, g, NULL, NULL);
    else if (g->head[0] > PDU_ABORT || g->head[0] == 0) lobby_violation(s, g, ABORT_UNRECOGNIZED_PDU, "the peer does not speak DICOM");
    else if (g->head[0] != PDU_ASSOCIATE_RQ) lobby_violation(s, g, ABORT_UNEXPECTED_PDU, "the first PDU is not an association request");
    else if (n < 68 || n > DIMSE_MAX_REQUEST_PDU) lobby_violation(s, g, ABORT_INVALID_PARAMETER, "an association request of impossible length");
    else {
        g->need = PDU_HEADER + n;
        return true;
    }
    return false;
}

/* Memory grows with the bytes that arrived, not with the length that was promised. */
static bool make_room(guest *g) {
    size_t used = g->have - PDU_HEADER;
    if (used < g->capacity) return true;
    size_t grown = g->capacity ? g->capacity * 2 : 1024;
    uint8_t *p = realloc(g->body, grown);
    if (!p) return false;
    g->body = p;
    g->capacity = grown;
    return true;
}

static void lobby_read(dimse_server *s, guest *g) {
    uint8_t waste[512];
    for (;;) {
        int64_t got;
        if (g->leaving) {
            got = dimse_socket_read_now(g->fd, waste, sizeof waste);
            if (got > 0) continue;
            if (got < 0) lobby_close(s, g, NULL, NULL);
            return;
        }
        if (g->have < PDU_HEADER) {
            got = dimse_socket_read_now(g->fd, g->head + g->have, PDU_HEADER - g->have);
        } else {
            if (!make_room(g)) { lobby_close(s, g, "closed", NULL); return; }
            size_t room = g->capacity - (g->have - PDU_HEADER), want = g->need - g->have;
            got = dimse_socket_read_now(g->fd, g->body + (g->have - PDU_HEADER), want < room ? want : room);
        }
        if (got < 0) { lobby_close(s, g, NULL, NULL); return; }
        if (got == 0) return;
        g->have += (size_t)got;
        if (g->have == PDU_HEADER && !g->need && !header_complete(s, g)) return;
        if (g->need && g->have == g->need) { admit(s, g); return; }
    }
}

static void lobby_full(dimse_server *s) {
    for (guest *g = s->first; g; g = g->next) {
        if (g->leaving && s->first->next) continue;
        lobby_close(s, g, "lobby-full", NULL);
        return;
    }
}

static void out_of_descriptors(dimse_server *s) {
    if (s->spare >= 0) { /* take one connection with the spare descriptor and close it, so that the backlog does not spin */
        close(s->spare);
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) close(fd);
        s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (s->guests) lobby_full(s);
    s->pause_until = dimse_deadline(50);
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL);
}

static void format_address(const struct sockaddr_storage *from, char out[64]) {
    char host[INET6_ADDRSTRLEN] = "?";
    uint16_t port = 0;
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)from;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)from;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        port = ntohs(in->sin6_port);
    }
    snprintf(out, 64, "%s:%u", host, port);
}

static void lobby_accept(dimse_server *s) {
    for (int i = 0; i < 64; i++) {
        struct sockaddr_storage from = { 0 };
        socklen_t n = sizeof from;
        int fd = accept4(s->listener, (struct sockaddr *)&from, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) out_of_descriptors(s);
            return;
        }
        dimse_socket_prepare(fd);
        if (s->guests >= (s->config.max_lobby ? s->config.max_lobby : 1024)) lobby_full(s);
        guest *g = calloc(1, sizeof *g);
        if (!g) { close(fd); return; }
        g->fd = fd;
        g->deadline = dimse_deadline(dimse_timeouts_or_default(&s->config.timeouts).artim_ms);
        format_address(&from, g->address);
        struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = g };
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev)) { guest_free(g); return; }
        lobby_append(s, g);
        lobby_read(s, g); /* the request is often here already */
    }
}

static int lobby_timers(dimse_server *s) {
    uint64_t now = gn_mono_ns();
    while (s->first && s->first->deadline <= now) lobby_close(s, s->first, s->first->leaving ? NULL : "lobby-timeout", NULL);
    if (s->pause_until && s->pause_until <= now) {
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &s->listener };
        bool watched = epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &ev) == 0 || errno == EEXIST;
        s->pause_until = watched ? 0 : dimse_deadline(50); /* without it nobody would ever come in again */
    }
    uint64_t next = s->first ? s->first->deadline : UINT64_MAX;
    if (s->pause_until && s->pause_until < next) next = s->pause_until;
    if (next == UINT64_MAX) return -1;
    uint64_t ms = (next - now) / 1000000u + 1;
    return ms > 60000 ? 60000 : (int)ms;
}

static void lobby_run(void *arg) {
    dimse_server *s = arg;
    while (!atomic_load(&s->stopping)) {
        /* One event at a time where guests may vanish: an event for a freed guest must never be handled. */
        struct epoll_event ev;
        int n = epoll_wait(s->epoll, &ev, 1, lobby_timers(s));
        if (n <= 0) continue;
        if (ev.data.ptr == &s->listener) lobby_accept(s);
        else if (ev.data.ptr == &s->wake) continue;
        else lobby_read(s, ev.data.ptr);
    }
    while (s->first) lobby_close(s, s->first, NULL, NULL);
}

/* ---- start and stop ----------------------------------------------------------------------------------------------------- */

static int open_listener(dimse_server *s, gn_error *e) {
    struct sockaddr_storage at = { 0 };
    socklen_t n;
    struct sockaddr_in *in = (void *)&at;
    struct sockaddr_in6 *in6 = (void *)&at;
    if (inet_pton(AF_INET, s->address, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(s->config.port);
        n = sizeof *in;
    } else if (inet_pton(AF_INET6, s->address, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(s->config.port);
        n = sizeof *in6;
    } else {
        return gn_fail(e, GN_E_CONFIG, "%s is not a numeric address to listen on", s->address);
    }
    int one = 1;
    s->listener = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0) return gn_fail_errno(e, errno, "socket");
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s->listener, (struct sockaddr *)&at, n) || listen(s->listener, 1024)) return gn_fail_errno(e, errno, "cannot listen for DICOM on %s port %u", s->address, s->config.port);
    n = sizeof at;
    getsockname(s->listener, (struct sockaddr *)&at, &n);
    s->port = ntohs(at.ss_family == AF_INET ? in->sin_port : in6->sin6_port);
    return 0;
}

static void server_free(dimse_server *s) {
    if (s->listener >= 0) close(s->listener);
    if (s->epoll >= 0) close(s->epoll);
    if (s->wake >= 0) close(s->wake);
    if (s->spare >= 0) close(s->spare);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->left);
    free(s);
}

dimse_server *dimse_server_start(const dimse_server_config *config, gn_error *e) {
    dimse_server *s = calloc(1, sizeof *s);
    if (!s) { gn_fail(e, GN_E_NO_MEMORY, "no memory for a server"); return NULL; }
    s->config = *config;
    snprintf(s->address, sizeof s->address, "%s", config->address ? config->address : "127.0.0.1");
    s->listener = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->left, &attr);
    pthread_condattr_destroy(&attr);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int rc = s->epoll < 0 || s->wake < 0 ? gn_fail_errno(e, errno, "epoll") : open_listener(s, e);
    if (!rc) {
        struct epoll_event listener = { .events = EPOLLIN, .data.ptr = &s->listener }, wake = { .events = EPOLLIN, .data.ptr = &s->wake };
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &listener) || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake, &wake)) rc = gn_fail_errno(e, errno, "epoll");
    }
    if (!rc) rc = gn_thread_spawn(&s->lobby, "lobby", 0, lobby_run, s, e);
    if (!rc) return s;
    server_free(s);
    return NULL;
}

uint16_t dimse_server_port(const dimse_server *s) { return s->port; }

unsigned dimse_server_active(const dimse_server *s) {
    dimse_server *w = (dimse_server *)(uintptr_t)s;
    pthread_mutex_lock(&w->lock);
    unsigned n = w->active;
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* Waits until all threads have left, at most until the deadline. */
static bool wait_empty(dimse_server *s, uint64_t deadline) {
    struct timespec t = { (time_t)(deadline / 1000000000u), (long)(deadline % 1000000000u) };
    pthread_mutex_lock(&s->lock);
    int rc = 0;
    while (s->active && rc == 0) rc = pthread_cond_timedwait(&s->left, &s->lock, &t);
    bool empty = s->active == 0;
    pthread_mutex_unlock(&s->lock);
    return empty;
}

void dimse_server_stop(dimse_server **slot, uint32_t grace_ms) {
    dimse_server *s = *slot;
    if (!s) return;
    atomic_store(&s->stopping, true);
    uint64_t one = 1;
    /* The lobby must not sleep on: where it cannot be woken (T39), a listener that is shut down is an event too. */
    if (write(s->wake, &one, sizeof one) != (ssize_t)sizeof one) (void)shutdown(s->listener, SHUT_RDWR);
    gn_thread_join(&s->lobby);
    pthread_mutex_lock(&s->lock);
    for (dimse_association *a = s->associations; a; a = a->next) {
        atomic_store(&a->stop_after, true);
        int idle = ACTIVITY_IDLE;
        if (atomic_compare_exchange_strong(&a->activity, &idle, ACTIVITY_STOPPED)) shutdown(a->fd, SHUT_RD);
    }
    pthread_mutex_unlock(&s->lock);
    if (!wait_empty(s, dimse_deadline(grace_ms))) {
        pthread_mutex_lock(&s->lock);
        for (dimse_association *a = s->associations; a; a = a->next) shutdown(a->fd, SHUT_RDWR);
        pthread_mutex_unlock(&s->lock);
        while (!wait_empty(s, dimse_deadline(1000))) {}
    }
    server_free(s);
    *slot = NULL;
}
