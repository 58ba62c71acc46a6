/* exchange: one request from its first line to the end of its response: libmicrohttpd calls, the handler answers.
 *
 * The order is the promise of T16: doubtful framing, method, route, who asks, whether they may, size; only then the body. A response that is
 * given while the body still comes waits for the body's end, because libmicrohttpd takes it only then; a body that is not wanted
 * any more is thrown away up to a limit, and beyond it the connection is cut. */
#include "exchange.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

enum { ARENA_BYTES = 16 << 20, UNWANTED_BODY = 1 << 20, NO_BODY = 64 << 10 };

static gn_counter requests = GN_COUNTER("gantry_http_requests_total", "HTTP requests answered"), client_errors = GN_COUNTER("gantry_http_client_errors_total", "HTTP answers 4xx"),
    server_errors = GN_COUNTER("gantry_http_server_errors_total", "HTTP answers 5xx"), busy_us = GN_COUNTER("gantry_http_busy_microseconds_total", "Time from request to the end of its answer");

void exchange_register_counters(void) {
    gn_counter_register(&requests);
    gn_counter_register(&client_errors);
    gn_counter_register(&server_errors);
    gn_counter_register(&busy_us);
}

/* ---- begin and end ------------------------------------------------------------------------------------------------------- */

static const char *address_of(gn_arena *a, struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[INET6_ADDRSTRLEN] = "?";
    if (i && i->client_addr->sa_family == AF_INET) (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)i->client_addr)->sin_addr, text, sizeof text);
    if (i && i->client_addr->sa_family == AF_INET6) (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)i->client_addr)->sin6_addr, text, sizeof text);
    const char *copy = gn_arena_strdup(a, text);
    return copy ? copy : "?";
}

void *exchange_begin(void *cls, const char *uri, struct MHD_Connection *c) {
    http_service *s = cls;
    static _Atomic uint64_t next;
    gn_arena *arena = gn_arena_new(ARENA_BYTES);
    http_exchange *x = arena ? gn_arena_zalloc(arena, 1, sizeof *x) : NULL;
    if (!x) {
        gn_arena_free(&arena);
        return NULL;
    }
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    x->connection = i ? i->socket_context : NULL;
    x->service = s;
    x->mhd = c;
    x->started = gn_mono_ns();
    x->request = (http_request){ .ctx = &s->ctx, .arena = arena, .exchange = x, .address = address_of(arena, c), .body = { .limit = s->ctx.limits.document } };
    x->request.path = gn_arena_strndup(arena, uri, strcspn(uri, "?#"));
    (void)snprintf(x->request.id, sizeof x->request.id, "%08llx%08llx", (unsigned long long)(gn_wall_us() / 1000000) & 0xFFFFFFFF, (unsigned long long)atomic_fetch_add(&next, 1) & 0xFFFFFFFF);
    connection_phase_set(x->connection, CONNECTION_HEADER);
    atomic_fetch_add(&s->in_flight, 1);
    return x;
}

static void count_and_log(http_exchange *x) {
    uint64_t us = (gn_mono_ns() - x->started) / 1000;
    http_request *r = &x->request;
    gn_counter_add(&requests, 1);
    gn_counter_add(&busy_us, (int64_t)us);
    if (x->status >= 400) gn_counter_add(x->status >= 500 ? &server_errors : &client_errors, 1);
    gn_level level = x->status >= 500 && x->status != 501 ? GN_LOG_ERROR : GN_LOG_DEBUG;
    if (!gn_log_enabled(level)) return;
    gn_log(level, "http.request", "status", gn_fmt("%u", x->status), "route", x->route ? x->route->pattern : "-", "client", r->address, "who", r->who.name, "ms", gn_fmt("%.1f", (double)us / 1000),
           "request", r->id, x->problem[0] ? "why" : NULL, x->problem, NULL);
}

void exchange_end(void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code) {
    http_service *s = cls;
    http_exchange *x = *state;
    (void)c;
    (void)code;
    if (!x) return;
    *state = NULL;
    if (x->begun && !x->handled && x->route->drop) x->route->drop(&x->request);
    respond_drop(x);
    count_and_log(x);
    gn_buf_done(&x->request.body);
    connection_phase_set(x->connection, CONNECTION_IDLE);
    gn_arena *arena = x->request.arena; /* holds x too */
    gn_arena_free(&arena);
    atomic_fetch_sub(&s->in_flight, 1);
}

/* ---- before the body ----------------------------------------------------------------------------------------------------- */

static bool read_method(http_exchange *x, const char *method) {
    static const char *const names[HTTP_METHODS] = { "GET", "POST", "PUT", "PATCH", "DELETE" };
    x->request.head = strcmp(method, "HEAD") == 0;
    for (unsigned i = 0; i < HTTP_METHODS; i++) {
        if (strcmp(method, names[i]) != 0 && !(i == HTTP_GET && x->request.head)) continue;
        x->request.method = (http_method)i;
        return true;
    }
    return false;
}

static void no_route(http_exchange *x, unsigned allowed) {
    static const char *const names[HTTP_METHODS] = { "GET, HEAD", "POST", "PUT", "PATCH", "DELETE" };
    char allow[64] = "";
    if (!allowed) return http_problem_text(&x->request, 404, "Not found", "there is nothing at this path");
    for (unsigned i = 0; i < HTTP_METHODS; i++) {
        size_t n = strlen(allow);
        if (allowed & 1u << i) (void)snprintf(allow + n, sizeof allow - n, "%s%s", n ? ", " : "", names[i]);
    }
    http_set(&x->request, "Allow", allow);
    http_problem_text(&x->request, 405, "Method not allowed", gn_fmt("this path takes %s", allow));
}

static bool body_fits(http_exchange *x) {
    const char *text = http_header(&x->request, "Content-Length");
    uint64_t n = text ? strtoull(text, NULL, 10) : 0, limit = NO_BODY;
    if (x->route->body == HTTP_BODY_DOCUMENT) limit = x->service->ctx.limits.document;
    if (x->route->body == HTTP_BODY_STREAM) limit = x->service->ctx.limits.body;
    if (n <= limit) return true;
    http_problem_text(&x->request, 413, "Content too large", gn_fmt("the body has %llu bytes; at most %llu are taken here", (unsigned long long)n, (unsigned long long)limit));
    return false;
}

/* The client is who the proxy on this machine says. */
static void believe_proxy(http_request *r) {
    const char *forwarded = http_header(r, "X-Forwarded-For");
    if (!forwarded || (strncmp(r->address, "127.", 4) != 0 && strcmp(r->address, "::1") != 0)) return;
    const char *last = strrchr(forwarded, ',');
    last = last ? last + 1 : forwarded;
    last += strspn(last, " ");
    size_t n = strcspn(last, " ");
    if (n > 0 && n < INET6_ADDRSTRLEN && strspn(last, "0123456789abcdefABCDEF.:") == n) r->address = gn_arena_strndup(r->arena, last, n);
    if (!r->address) r->address = "?";
}

/* Status given: false. */
static bool admit(http_exchange *x, const char *method) {
    http_request *r = &x->request;
    unsigned allowed;
    if (!r->path || request_smuggles(x)) http_problem_text(r, 400, "Bad request", "the framing of the request is in doubt: one Content-Length or chunked, one Host");
    else if (!read_method(x, method)) http_problem_text(r, 501, "Not implemented", "this method is not known here");
    else if (!(x->route = routes_find(r, &allowed))) no_route(x, allowed);
    if (x->status) {
        http_set(r, "Connection", "close");
        return false;
    }
    believe_proxy(r);
    const char *coding = http_header(r, "Content-Encoding");
    if (identity_of(x) || identity_allows(x) || !body_fits(x)) return false;
    if (coding && strcasecmp(coding, "identity") != 0) { /* T6: nothing is inflated on request */
        http_problem_text(r, 415, "Unsupported coding", "bodies are taken without Content-Encoding");
        return false;
    }
    return true;
}

/* ---- the calls ------------------------------------------------------------------------------------------------------------ */

static enum MHD_Result first_call(http_exchange *x, const char *method) {
    x->handled = false;
    if (!admit(x, method)) return respond_queue(x);
    connection_phase_set(x->connection, CONNECTION_BODY);
    if (x->route->body == HTTP_BODY_STREAM) {
        x->begun = true;
        if (x->route->begin && x->route->begin(&x->request)) return respond_queue(x);
    }
    return MHD_YES;
}

static enum MHD_Result body_call(http_exchange *x, const char *data, size_t *n) {
    size_t have = *n;
    *n = 0;
    x->body_length += have;
    if (x->connection) atomic_fetch_add(&x->connection->bytes, have);
    if (x->status) return x->body_length > x->unwanted_from + UNWANTED_BODY ? MHD_NO : MHD_YES;
    http_request *r = &x->request;
    switch (x->route->body) {
    case HTTP_BODY_NONE:
        if (x->body_length > NO_BODY) http_problem_text(r, 413, "Content too large", "no body is expected here");
        break;
    case HTTP_BODY_DOCUMENT:
        gn_buf_append(&r->body, data, have);
        if (r->body.failed) http_problem_text(r, 413, "Content too large", gn_fmt("a document has at most %zu bytes here", r->body.limit));
        break;
    case HTTP_BODY_STREAM:
        if (x->body_length > x->service->ctx.limits.body) http_problem_text(r, 413, "Content too large", "the body exceeds the limit");
        else (void)x->route->chunk(r, (const uint8_t *)data, have);
        break;
    }
    if (x->status) x->unwanted_from = x->body_length;
    return MHD_YES;
}

enum MHD_Result exchange_call(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *data, size_t *n, void **state) {
    http_exchange *x = *state;
    (void)cls;
    (void)c;
    (void)url;
    (void)version;
    if (!x || x->queued) return x ? MHD_YES : MHD_NO;
    if (!x->admitted) {
        x->admitted = true;
        return first_call(x, method);
    }
    if (*n) return body_call(x, data, n);
    if (!x->status) {
        connection_phase_set(x->connection, CONNECTION_ANSWER);
        x->handled = true;
        x->route->handle(&x->request);
    }
    return respond_queue(x);
}
