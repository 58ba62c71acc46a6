/* server: the listener on libmicrohttpd: options, limits, certificates, the sweeper of slow connections, start and stop. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "exchange.h"

enum { CONNECTION_MEMORY = 48 << 10, STACK = 512 << 10 };

/* ---- configuration --------------------------------------------------------------------------------------------------------- */

static http_limits with_defaults(http_limits l) {
    if (!l.connections) l.connections = 2048;
    if (!l.idle_ms) l.idle_ms = 30000;
    if (!l.header_ms) l.header_ms = 20000;
    if (!l.body_bytes_per_s) l.body_bytes_per_s = 256;
    if (!l.body) l.body = UINT64_C(16) << 30;
    if (!l.document) l.document = (size_t)4 << 20;
    if (!l.query_results) l.query_results = 10000;
    if (!l.query_deadline_ms) l.query_deadline_ms = 30000;
    if (!l.megapixels) l.megapixels = 100;
    return l;
}

static bool copy_text(const char *from, char **to) { return !from || (*to = strdup(from)); }

static int load_pem(const char *path, char **out, gn_error *e) {
    gn_buf b = GN_BUF_INIT;
    int rc = gn_file_load(path, (size_t)1 << 20, &b, e);
    if (!rc && !(*out = strndup(b.p ? (char *)b.p : "", b.n))) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for a certificate");
    gn_buf_done(&b);
    return rc;
}

static bool is_loopback(const char *address) { return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 || strcmp(address, "localhost") == 0; }

static int copy_config(http_service *s, const http_config *c, gn_error *e) {
    s->config = *c;
    s->ctx.limits = with_defaults(c->limits);
    bool ok = copy_text(c->address ? c->address : "127.0.0.1", &s->address) && copy_text(c->name ? c->name : "Gantry", &s->name_copy) && copy_text(c->public_url, &s->public_url) &&
              copy_text(c->certificate, &s->certificate_path) && copy_text(c->key, &s->key_path);
    if (!ok) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the HTTP service");
    s->ctx.name = s->name_copy;
    bool loopback = is_loopback(s->address);
    if (c->open && !loopback) return gn_fail(e, GN_E_CONFIG, "HTTP without authentication is only possible on a loopback address, not on %s", s->address);
    if (!c->certificate && !loopback && !c->plain_elsewhere)
        return gn_fail(e, GN_E_CONFIG, "HTTP on %s needs TLS: give a certificate and key, or listen on 127.0.0.1 behind a proxy that does TLS", s->address);
    if (!c->certificate != !c->key) return gn_fail(e, GN_E_CONFIG, "TLS needs both a certificate and its key");
    int rc = c->certificate ? load_pem(s->certificate_path, &s->certificate, e) : 0;
    return rc || !c->key ? rc : load_pem(s->key_path, &s->key, e);
}

/* ---- connections ------------------------------------------------------------------------------------------------------------- */

static void connection_came(http_service *s, struct MHD_Connection *m, void **context) {
    connection *c = calloc(1, sizeof *c);
    *context = c;
    if (!c) return;
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(m, MHD_CONNECTION_INFO_CONNECTION_FD);
    c->fd = i ? i->connect_fd : -1;
    connection_phase_set(c, CONNECTION_HEADER);
    (void)pthread_mutex_lock(&s->connections.lock);
    c->next = s->connections.first;
    c->from = &s->connections.first;
    if (c->next) c->next->from = &c->next;
    s->connections.first = c;
    s->connections.count++;
    (void)pthread_mutex_unlock(&s->connections.lock);
}

static void connection_went(http_service *s, void **context) {
    connection *c = *context;
    if (!c) return;
    (void)pthread_mutex_lock(&s->connections.lock);
    *c->from = c->next;
    if (c->next) c->next->from = c->from;
    s->connections.count--;
    (void)pthread_mutex_unlock(&s->connections.lock);
    free(c);
    *context = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *m, void **context, enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) connection_came(cls, m, context);
    else connection_went(cls, context);
}

static void sweep(void *arg) {
    http_service *s = arg;
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        (void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
        (void)pthread_mutex_unlock(&s->lock);
        connections_sweep(&s->connections, &s->ctx.limits);
        (void)pthread_mutex_lock(&s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- start -------------------------------------------------------------------------------------------------------------------- */

static int listen_on(const char *address, uint16_t port, gn_error *e) {
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list = NULL;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    int rc = getaddrinfo(address, service, &hints, &list);
    if (rc) return gn_fail(e, GN_E_CONFIG, "HTTP: %s is no address to listen on: %s", address, gai_strerror(rc));
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd >= 0) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, 1024)) {
        rc = gn_fail_errno(e, errno, "HTTP: cannot listen on %s port %u", address, port);
        if (fd >= 0) (void)close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    return fd < 0 ? rc : fd;
}

static uint16_t port_of(int fd) {
    struct sockaddr_storage a = { 0 };
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n)) return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&a)->sin6_port : ((struct sockaddr_in *)(void *)&a)->sin_port);
}

GN_PRINTF(2, 0) static void log_library(void *cls, const char *format, va_list args) {
    char text[200];
    (void)cls;
    if (!gn_log_enabled(GN_LOG_DEBUG)) return;
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    gn_log(GN_LOG_DEBUG, "http.library", "text", text, NULL);
}

/* The library found itself in a state that it cannot leave (its own wake-up failed: T39). All that was acknowledged is on stable storage, so to
 * end at once is safe; the service manager starts us again. */
static void on_panic(void *cls, const char *file, unsigned line, const char *reason) {
    (void)cls;
    gn_log(GN_LOG_ERROR, "http.library_failed", "where", gn_fmt("%s:%u", file, line), "why", reason ? reason : "", NULL);
    _exit(EXIT_FAILURE);
}

static int start_daemon(http_service *s, int fd, gn_error *e) {
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, s->certificate }, { MHD_OPTION_HTTPS_MEM_KEY, 0, s->key },
        { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE" }, { MHD_OPTION_END, 0, NULL } };
    struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
    if (s->certificate) flags |= MHD_USE_TLS;
    MHD_set_panic_func(on_panic, NULL);
    s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, exchange_call, s, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, s,
                                 MHD_OPTION_NOTIFY_COMPLETED, exchange_end, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT, s->ctx.limits.connections,
                                 MHD_OPTION_PER_IP_CONNECTION_LIMIT, s->ctx.limits.connections_per_address, MHD_OPTION_CONNECTION_TIMEOUT, s->ctx.limits.idle_ms / 1000,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                 MHD_OPTION_ARRAY, s->certificate ? tls : none, MHD_OPTION_END);
    if (s->daemon) return 0;
    (void)close(fd);
    return gn_fail(e, s->certificate ? GN_E_CONFIG : GN_E_IO, "HTTP: the listener did not start%s", s->certificate ? ": are certificate and key a pair of PEM files?" : "");
}

http_service *http_start(const http_config *config, archive *a, security *sec, gn_error *e) {
    http_service *s = calloc(1, sizeof *s);
    if (!s) {
        (void)gn_fail(e, GN_E_NO_MEMORY, "no memory for the HTTP service");
        return NULL;
    }
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->connections.lock, NULL);
    (void)pthread_cond_init(&s->wake, NULL);
    exchange_register_counters();
    s->ctx.archive = a;
    s->ctx.security = sec;
    s->ctx.workers = config->workers;
    int rc = copy_config(s, config, e), fd = rc ? -1 : listen_on(s->address, config->port, e);
    if (fd >= 0) {
        s->port = port_of(fd);
        rc = start_daemon(s, fd, e);
        if (!rc) rc = gn_thread_spawn(&s->sweeper, "http-sweeper", 0, sweep, s, e);
    }
    if (fd < 0 || rc) http_stop(&s, 0);
    return s;
}

/* ---- stop --------------------------------------------------------------------------------------------------------------------- */

static void finish_requests(http_service *s, uint32_t grace_ms) {
    uint64_t until = gn_mono_ns() + (uint64_t)grace_ms * 1000000;
    struct timespec pause = { .tv_nsec = 2000000 };
    while (atomic_load(&s->in_flight) && gn_mono_ns() < until) (void)nanosleep(&pause, NULL);
}

void http_stop(http_service **sp, uint32_t grace_ms) {
    http_service *s = *sp;
    if (!s) return;
    http_drain(s);
    if (s->daemon) {
        int fd = MHD_quiesce_daemon(s->daemon);
        if (fd >= 0) (void)close(fd);
        finish_requests(s, grace_ms);
        (void)pthread_mutex_lock(&s->lock);
        s->stop = true;
        (void)pthread_cond_broadcast(&s->wake);
        (void)pthread_mutex_unlock(&s->lock);
        gn_thread_join(&s->sweeper);
        MHD_stop_daemon(s->daemon);
    }
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&s->connections.lock);
    (void)pthread_cond_destroy(&s->wake);
    free(s->address);
    free(s->name_copy);
    free(s->public_url);
    free(s->certificate_path);
    free(s->key_path);
    free(s->certificate);
    free(s->key);
    free(s);
    *sp = NULL;
}

uint16_t http_port(const http_service *s) { return s->port; }
void http_drain(http_service *s) { atomic_store(&s->draining, true); }
