/* Client and server together over loopback: negotiation, limits, exchanges, stops. */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define ECHO "1.2.840.10008.1.1"
#define FIND "1.2.840.10008.5.1.4.1.2.2.1"

typedef struct fixture {
    dimse_server *server;
    _Atomic int accepted, rejected, violations, lobby_full, lobby_timeouts, served;
    bool reject;
    _Atomic size_t bytes;
} fixture;

static bool negotiate(void *ctx, dimse_negotiation *n, dimse_reject *reject) {
    fixture *f = ctx;
    if (f->reject) { *reject = DIMSE_REJECT_CALLED_AE; return false; }
    for (size_t i = 0; i < n->context_count; i++) {
        dimse_context *c = &n->context[i];
        bool known = strcmp(c->abstract_syntax, "9.9.9") != 0;
        c->result = known ? DIMSE_CONTEXT_ACCEPTED : DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED;
        if (known) snprintf(c->transfer_syntax, sizeof c->transfer_syntax, "%s", c->proposed[0]);
        c->scp_role = c->role_proposed && c->proposed_scp;
    }
    return true;
}

static void answer(fixture *f, dimse_association *a, const dimse_message *m) {
    if (m->command == DIMSE_C_FIND_RQ) {
        dimse_message r = { .context_id = m->context_id, .command = DIMSE_C_FIND_RSP, .message_id = m->message_id, .status = DIMSE_PENDING };
        dimse_skip_dataset(a, NULL);
        for (int i = 0; i < 1000; i++) {
            if (dimse_cancelled(a, m->message_id, NULL) == 1) { dimse_respond(a, m, DIMSE_CANCEL, NULL, NULL); return; }
            dimse_queue(a, &r, "answer", 6, NULL);
            if (i % 50 == 0) { dimse_flush(a, NULL); usleep(1000); }
        }
        dimse_respond(a, m, 0, NULL, NULL);
        return;
    }
    if (m->command == DIMSE_C_GET_RQ) { /* two sub-operations, then the end */
        dimse_skip_dataset(a, NULL);
        for (int i = 0; i < 2; i++) {
            dimse_message s = { .context_id = dimse_association_find(a, CT, NULL)->id, .command = DIMSE_C_STORE_RQ, .message_id = dimse_next_message_id(a), .sop_class = CT, .sop_instance = "1.2.3" }, r;
            dimse_payload p = { .bytes = "pixels", .n = 6, .fd = -1 };
            if (dimse_call(a, &s, &p, NULL, &r, NULL)) return;
        }
        dimse_respond(a, m, 0, NULL, NULL);
        return;
    }
    for (bool last = !m->has_dataset; !last;) {
        uint8_t piece[10000];
        size_t n;
        if (dimse_read_into(a, piece, sizeof piece, &n, &last, NULL)) return;
        f->bytes += n;
    }
    dimse_respond(a, m, 0, NULL, NULL);
}

static void serve(void *ctx, dimse_association *a) {
    fixture *f = ctx;
    dimse_message m;
    gn_error e = GN_ERROR_INIT;
    while (dimse_receive(a, &m, &e) == 0) answer(f, a, &m);
    f->served++;
}

static void observe(void *ctx, const char *event, const dimse_negotiation *n, const char *address, const gn_error *e) {
    fixture *f = ctx;
    (void)n; (void)address; (void)e;
    if (!strcmp(event, "accepted")) f->accepted++;
    if (!strcmp(event, "rejected")) f->rejected++;
    if (!strcmp(event, "protocol-error")) f->violations++;
    if (!strcmp(event, "lobby-full")) f->lobby_full++;
    if (!strcmp(event, "lobby-timeout")) f->lobby_timeouts++;
}

static void start(fixture *f, dimse_server_config *c) {
    memset(f, 0, sizeof *f);
    c->address = "127.0.0.1";
    c->negotiate = negotiate;
    c->serve = serve;
    c->observe = observe;
    c->ctx = f;
    gn_error e = GN_ERROR_INIT;
    f->server = dimse_server_start(c, &e);
    CHECK_STR(e.message, "");
}

static const char *const syntaxes[] = { DICOM_TS_EXPLICIT_LE, DICOM_TS_IMPLICIT_LE };

static dimse_association *connect_to(fixture *f, gn_error *e) {
    static const dimse_proposal p[] = { { ECHO, syntaxes, 2, false, NULL, 0 }, { CT, syntaxes, 1, true, NULL, 0 }, { FIND, syntaxes, 2, false, (const uint8_t *)"\1\1", 2 }, { "9.9.9", syntaxes, 1, false, NULL, 0 } };
    dimse_client_config c = { .host = "127.0.0.1", .port = dimse_server_port(f->server), .called = "GANTRY", .calling = "TEST", .proposals = p, .proposal_count = 4, .invoked = 100 };
    return dimse_connect(&c, e);
}

static int echo_on(dimse_association *a) {
    dimse_message rq = { .context_id = dimse_association_find(a, ECHO, NULL)->id, .command = DIMSE_C_ECHO_RQ, .sop_class = ECHO }, rsp = { 0 };
    gn_error e = GN_ERROR_INIT;
    int rc = dimse_call(a, &rq, NULL, NULL, &rsp, &e);
    return rc ? rc : rsp.status;
}

static int raw_connect(fixture *f) {
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(dimse_server_port(f->server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval t = { 3, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    CHECK_INT(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    return fd;
}

static void wait_for(_Atomic int *counter, int value) {
    for (int i = 0; i < 300 && *counter < value; i++) usleep(10000);
    CHECK_INT(*counter, value);
}

TEST(negotiation_echo_store_and_release) {
    fixture f;
    dimse_server_config c = { 0 };
    start(&f, &c);
    gn_error e = GN_ERROR_INIT;
    dimse_association *a = connect_to(&f, &e);
    CHECK_STR(e.message, "");
    REQUIRE(a != NULL);
    const dimse_negotiation *n = dimse_association_negotiation(a);
    CHECK_INT(n->context[3].result, DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED);
    CHECK(n->context[1].scp_role);
    CHECK(!n->context[0].scp_role);
    CHECK_INT(n->invoked, 16);
    CHECK_INT(n->context[2].extended_length, 2);
    CHECK_STR(n->implementation_version, DICOM_IMPLEMENTATION_VERSION);
    CHECK_INT(echo_on(a), 0);
    uint8_t *data = malloc(600000);
    memset(data, 7, 600000);
    dimse_message rq = { .context_id = dimse_association_find(a, CT, NULL)->id, .command = DIMSE_C_STORE_RQ, .sop_class = CT, .sop_instance = "1.2" }, rsp;
    dimse_payload p = { .bytes = data, .n = 600000, .fd = -1 };
    CHECK_INT(dimse_call(a, &rq, &p, NULL, &rsp, &e), 0);
    CHECK_INT(rsp.status, 0);
    CHECK_STR(rsp.sop_instance, "1.2");
    CHECK_INT(f.bytes, 600000);
    CHECK_INT(dimse_server_active(f.server), 1);
    dimse_close(&a);
    CHECK(a == NULL);
    wait_for(&f.served, 1);
    free(data);
    dimse_server_stop(&f.server, 1000);
    CHECK(f.server == NULL);
    CHECK_INT(f.accepted, 1);
}

typedef struct answers { int n, stop_at, stores; } answers;
static int count_answer(void *ctx, const dimse_message *rsp, const void *dataset, size_t n) {
    answers *x = ctx;
    if (rsp->status == DIMSE_PENDING) { CHECK_MEM2(dataset, n, "answer", 6); x->n++; }
    return x->stop_at && x->n >= x->stop_at;
}
static int take_store(void *ctx, dimse_association *a, const dimse_message *rq) {
    answers *x = ctx;
    x->stores++;
    gn_buf b = GN_BUF_INIT;
    int rc = dimse_read_dataset(a, 100, &b, NULL);
    CHECK_MEM2(b.p, b.n, "pixels", 6);
    gn_buf_done(&b);
    return rc ? rc : dimse_respond(a, rq, 0, NULL, NULL);
}

TEST(pending_answers_cancel_and_incoming_stores) {
    fixture f;
    dimse_server_config c = { 0 };
    start(&f, &c);
    dimse_association *a = connect_to(&f, NULL);
    REQUIRE(a != NULL);
    answers x = { 0, 0, 0 };
    dimse_exchange ex = { .on_response = count_answer, .on_store = take_store, .ctx = &x };
    dimse_message rq = { .context_id = dimse_association_find(a, FIND, NULL)->id, .command = DIMSE_C_FIND_RQ, .sop_class = FIND }, rsp;
    dimse_payload p = { .bytes = "key", .n = 3, .fd = -1 };
    CHECK_INT(dimse_call(a, &rq, &p, &ex, &rsp, NULL), 0);
    CHECK_INT(x.n, 1000);
    x = (answers){ 0, 10, 0 };
    rq.message_id = 0;
    CHECK_INT(dimse_call(a, &rq, &p, &ex, &rsp, NULL), 0);
    CHECK_INT(rsp.status, DIMSE_CANCEL);
    CHECK(x.n >= 10 && x.n < 1000);
    x = (answers){ 0, 0, 0 };
    rq = (dimse_message){ .context_id = rq.context_id, .command = DIMSE_C_GET_RQ, .sop_class = FIND };
    CHECK_INT(dimse_call(a, &rq, &p, &ex, &rsp, NULL), 0);
    CHECK_INT(x.stores, 2);
    CHECK_INT(echo_on(a), 0);
    dimse_abort(&a);
    dimse_server_stop(&f.server, 1000);
}

TEST(rejections_name_their_reason) {
    fixture f;
    dimse_server_config c = { 0 };
    start(&f, &c);
    f.reject = true;
    gn_error e = GN_ERROR_INIT;
    CHECK(connect_to(&f, &e) == NULL);
    CHECK_INT(e.code, GN_E_REJECTED);
    CHECK(strstr(e.message, "called AE title not recognized") != NULL);
    CHECK_INT(f.rejected, 1);
    dimse_server_stop(&f.server, 1000);
}

TEST(T4_the_limit_answers_with_a_transient_rejection) {
    fixture f;
    dimse_server_config c = { .max_associations = 2 };
    start(&f, &c);
    dimse_association *a = connect_to(&f, NULL), *b = connect_to(&f, NULL);
    gn_error e = GN_ERROR_INIT;
    CHECK(connect_to(&f, &e) == NULL);
    CHECK_STR(e.message, "association rejected (transient): local limit exceeded");
    dimse_close(&a);
    wait_for(&f.served, 1);
    for (int i = 0; i < 100 && dimse_server_active(f.server) > 1; i++) usleep(10000);
    a = connect_to(&f, NULL);
    CHECK(a != NULL);
    dimse_close(&a);
    dimse_close(&b);
    dimse_server_stop(&f.server, 1000);
    c = (dimse_server_config){ .max_associations_per_peer = 1 };
    start(&f, &c);
    a = connect_to(&f, NULL);
    CHECK_INT(echo_on(a), 0);
    CHECK(connect_to(&f, NULL) == NULL);
    dimse_close(&a);
    dimse_server_stop(&f.server, 1000);
}

TEST(T4_silent_connections_time_out_or_make_room) {
    fixture f;
    dimse_server_config c = { .max_lobby = 4, .timeouts = { .artim_ms = 300 } };
    start(&f, &c);
    int fd[8];
    for (int i = 0; i < 8; i++) fd[i] = raw_connect(&f);
    wait_for(&f.lobby_full, 4);
    dimse_association *a = connect_to(&f, NULL);
    CHECK(a != NULL && echo_on(a) == 0);
    dimse_close(&a);
    for (int i = 0; i < 100 && f.lobby_timeouts < 3; i++) usleep(10000);
    CHECK(f.lobby_timeouts >= 3);
    char byte;
    for (int i = 0; i < 8; i++) { CHECK(recv(fd[i], &byte, 1, 0) <= 0); close(fd[i]); }
    dimse_server_stop(&f.server, 1000);
}

static int lobby_says(fixture *f, const void *bytes, size_t n) {
    int fd = raw_connect(f);
    for (size_t i = 0; i < n; i++) (void)!send(fd, (const char *)bytes + i, 1, MSG_NOSIGNAL);
    uint8_t pdu[10] = { 0 };
    ssize_t got = recv(fd, pdu, 10, MSG_WAITALL);
    close(fd);
    return got == 10 ? pdu[0] << 16 | pdu[8] << 8 | pdu[9] : -1;
}

TEST(T1_the_lobby_aborts_what_is_no_request) {
    fixture f;
    dimse_server_config c = { 0 };
    start(&f, &c);
    CHECK_INT(lobby_says(&f, "\x16\x03\x01\x02\x00\x01", 6), 0x70201);
    CHECK_INT(lobby_says(&f, "GET / ", 6), 0x70201);
    CHECK_INT(lobby_says(&f, "\0\0\0\0\0\0", 6), 0x70201);
    CHECK_INT(lobby_says(&f, "\4\0\0\0\0\4", 6), 0x70202);
    CHECK_INT(lobby_says(&f, "\1\0\0\0\0\4", 6), 0x70206);
    CHECK_INT(lobby_says(&f, "\1\0\xff\xff\xff\xff", 6), 0x70206);
    CHECK_INT(lobby_says(&f, "\7\0\0\0\0\4", 6), -1); /* an abort is simply over */
    uint8_t rq[6 + 72] = { 1, 0, 0, 0, 0, 72, 0, 1 };
    memset(rq + 6 + 68, 0xff, 4);                      /* an item longer than the PDU */
    CHECK_INT(lobby_says(&f, rq, sizeof rq), 0x70206);
    rq[7] = 2;
    CHECK_INT(lobby_says(&f, rq, sizeof rq), 0x30202); /* rejected: protocol version */
    wait_for(&f.violations, 7);
    dimse_server_stop(&f.server, 1000);
}

static void *late_stop(void *arg) {
    usleep(50000);
    dimse_server_stop(arg, 2000);
    return NULL;
}

TEST(a_stop_ends_idle_associations_at_once_and_lets_a_message_finish) {
    fixture f;
    dimse_server_config c = { 0 };
    start(&f, &c);
    dimse_association *idle = connect_to(&f, NULL), *busy = connect_to(&f, NULL);
    CHECK_INT(echo_on(idle), 0);
    dimse_message rq = { .context_id = dimse_association_find(busy, FIND, NULL)->id, .command = DIMSE_C_FIND_RQ, .sop_class = FIND }, rsp;
    dimse_payload p = { .bytes = "key", .n = 3, .fd = -1 };
    pthread_t t;
    pthread_create(&t, NULL, late_stop, &f.server);
    answers x = { 0, 0, 0 };
    dimse_exchange ex = { .on_response = count_answer, .ctx = &x };
    CHECK_INT(dimse_call(busy, &rq, &p, &ex, &rsp, NULL), 0);
    CHECK_INT(x.n, 1000);
    dimse_message m;
    CHECK(dimse_receive(idle, &m, NULL) < 0);
    CHECK(dimse_receive(busy, &m, NULL) < 0);
    pthread_join(t, NULL);
    CHECK(f.server == NULL);
    dimse_close(&idle);
    dimse_close(&busy);
}

TEST(a_stop_with_many_idle_associations_is_quick) {
    fixture f;
    dimse_server_config c = { 0 };
    start(&f, &c);
    dimse_association *a[40];
    for (int i = 0; i < 40; i++) { a[i] = connect_to(&f, NULL); CHECK_INT(echo_on(a[i]), 0); }
    uint64_t t = gn_mono_ns();
    int silent = raw_connect(&f);
    for (int i = 0; i < 40; i++) dimse_association_shutdown(a[i]);
    dimse_server_stop(&f.server, 3000);
    CHECK((gn_mono_ns() - t) / 1000000 < 1500);
    for (int i = 0; i < 40; i++) dimse_abort(&a[i]);
    close(silent);
}

/* A peer of our own that answers an association request with given bytes. */
typedef struct liar { int listener; uint16_t port; const uint8_t *bytes; size_t n; } liar;
static void *lie(void *arg) {
    liar *l = arg;
    int fd = accept(l->listener, NULL, NULL);
    uint8_t waste[4096];
    (void)!recv(fd, waste, sizeof waste, 0);
    (void)!send(fd, l->bytes, l->n, MSG_NOSIGNAL);
    usleep(50000);
    close(fd);
    return NULL;
}

static void expect_connect_error(const void *bytes, size_t n, int code, const char *words) {
    liar l = { .bytes = bytes, .n = n };
    l.listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof in;
    CHECK_INT(bind(l.listener, (struct sockaddr *)&in, sizeof in), 0);
    listen(l.listener, 1);
    getsockname(l.listener, (struct sockaddr *)&in, &len);
    pthread_t t;
    pthread_create(&t, NULL, lie, &l);
    static const dimse_proposal p[] = { { ECHO, syntaxes, 1, false, NULL, 0 } };
    dimse_client_config c = { .host = "localhost", .port = ntohs(in.sin_port), .proposals = p, .proposal_count = 1, .timeouts = { .dimse_ms = 2000 } };
    gn_error e = GN_ERROR_INIT;
    CHECK(dimse_connect(&c, &e) == NULL);
    CHECK_INT(e.code, code);
    CHECK(strstr(e.message, words) != NULL);
    if (!strstr(e.message, words)) CHECK_STR(e.message, words);
    pthread_join(t, NULL);
    close(l.listener);
}

TEST(answers_that_are_none_are_named) {
    expect_connect_error("", 0, GN_E_CLOSED, "instead of answering");
    expect_connect_error("\x15\x03\x03\0\2\2", 6, GN_E_PROTOCOL, "TLS");
    expect_connect_error("HTTP/1", 6, GN_E_PROTOCOL, "does not speak DICOM");
    expect_connect_error("\7\0\0\0\0\4\0\0\2\1", 10, GN_E_ABORTED, "unrecognized PDU");
    expect_connect_error("\4\0\0\0\0\4\0\0\0\0", 10, GN_E_PROTOCOL, "no answer");
    expect_connect_error("\2\0\x7f\0\0\0", 6, GN_E_PROTOCOL, "at most");
    expect_connect_error("\2\0\0\0\0\4aaaa", 10, GN_E_PROTOCOL, "too short");
    expect_connect_error("\3\0\0\0\0\4\0\2\3\1", 10, GN_E_REJECTED, "temporary congestion");
}

TEST(connecting_to_nobody_and_nowhere) {
    static const dimse_proposal p[] = { { ECHO, syntaxes, 1, false, NULL, 0 } };
    dimse_client_config c = { .host = "127.0.0.1", .port = 1, .proposals = p, .proposal_count = 1 };
    gn_error e = GN_ERROR_INIT;
    CHECK(dimse_connect(&c, &e) == NULL);
    CHECK(strstr(e.message, "refused") != NULL);
    e = (gn_error)GN_ERROR_INIT;
    c.host = "no.such.host.invalid";
    CHECK(dimse_connect(&c, &e) == NULL);
    CHECK_INT(e.code, GN_E_NOT_FOUND);
    fixture f;
    dimse_server_config s = { 0 };
    start(&f, &s);
    c.host = "127.0.0.1";
    c.port = dimse_server_port(f.server);
    c.proposal_count = 0;
    e = (gn_error)GN_ERROR_INIT;
    CHECK(dimse_connect(&c, &e) == NULL);
    CHECK_INT(e.code, GN_E_INVALID);
    s.port = dimse_server_port(f.server);
    e = (gn_error)GN_ERROR_INIT;
    CHECK(dimse_server_start(&s, &e) == NULL);
    CHECK(strstr(e.message, "cannot listen") != NULL);
    dimse_server_stop(&f.server, 100);
    s.address = "nonsense";
    e = (gn_error)GN_ERROR_INIT;
    CHECK(dimse_server_start(&s, &e) == NULL);
    CHECK_INT(e.code, GN_E_CONFIG);
    dimse_server_stop(&f.server, 100); /* NULL is fine */
}

TEST(user_identity_is_answered_when_asked) {
    fixture f;
    dimse_server_config c = { 0 };
    start(&f, &c);
    static const dimse_proposal p[] = { { ECHO, syntaxes, 1, false, NULL, 0 } };
    dimse_client_config k = { .host = "127.0.0.1", .port = dimse_server_port(f.server), .proposals = p, .proposal_count = 1,
        .identity = { .type = 1, .response_requested = true, .primary = (const uint8_t *)"me", .primary_length = 2 } };
    dimse_association *a = dimse_connect(&k, NULL);
    CHECK(a != NULL && echo_on(a) == 0);
    dimse_close(&a);
    dimse_server_stop(&f.server, 1000);
}

/* ---- calls of the system that fail (T39); the suite is linked so that these come here first ------------------------------ */

static atomic_int adds_fail, removals_fail, accepts_fail, wakes_fail; /* so many from now on */

int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev);
int __real_accept4(int fd, struct sockaddr *from, socklen_t *n, int flags);
int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *n, int flags);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);

static bool due(atomic_int *counter, int error) {
    if (atomic_load(counter) <= 0) return false;
    atomic_fetch_sub(counter, 1);
    errno = error;
    return true;
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev) {
    if (op == EPOLL_CTL_ADD && due(&adds_fail, ENOMEM)) return -1;
    if (op == EPOLL_CTL_DEL && due(&removals_fail, ENOMEM)) return -1;
    return __real_epoll_ctl(epoll, op, fd, ev);
}

int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *n, int flags) { return due(&accepts_fail, EMFILE) ? -1 : __real_accept4(fd, from, n, flags); }

ssize_t __wrap_write(int fd, const void *p, size_t n) { return n == sizeof(uint64_t) && due(&wakes_fail, EIO) ? -1 : __real_write(fd, p, n); }

static void still_serves(fixture *f) {
    gn_error e = GN_ERROR_INIT;
    dimse_association *a = connect_to(f, &e);
    CHECK_STR(e.message, "");
    CHECK(a != NULL && echo_on(a) == 0);
    dimse_close(&a);
}

TEST(T39_a_guest_that_cannot_be_unwatched_is_not_handled_twice) {
    fixture f;
    dimse_server_config c = { 0 };
    gn_error e = GN_ERROR_INIT;
    start(&f, &c);
    atomic_store(&removals_fail, 1);
    dimse_association *a = connect_to(&f, &e);
    CHECK(a == NULL && e.code != 0);
    CHECK_INT(atomic_load(&removals_fail), 0);
    for (int i = 0; i < 5; i++) still_serves(&f);
    dimse_server_stop(&f.server, 1000);
}

TEST(T39_a_listener_that_cannot_be_watched_again_at_once_is_later) {
    fixture f;
    dimse_server_config c = { 0 };
    start(&f, &c);
    atomic_store(&accepts_fail, 1); /* no descriptors: the listener rests a moment … */
    int fd = raw_connect(&f);
    for (int i = 0; i < 300 && atomic_load(&accepts_fail); i++) usleep(1000);
    atomic_store(&adds_fail, 1); /* … and cannot be taken back when that is over */
    for (int i = 0; i < 300 && atomic_load(&adds_fail); i++) usleep(1000);
    CHECK_INT(atomic_load(&adds_fail), 0);
    still_serves(&f);
    close(fd);
    dimse_server_stop(&f.server, 1000);
}

TEST(T39_a_stop_does_not_depend_on_the_wake) {
    fixture f;
    dimse_server_config c = { 0 };
    start(&f, &c);
    atomic_store(&wakes_fail, 1);
    dimse_server_stop(&f.server, 1000);
    CHECK_INT(atomic_load(&wakes_fail), 0);
}
