/* respond: what handlers give becomes a response of libmicrohttpd. Nothing is queued here but at the end of the exchange, when the request
 * has been read; `done` of pieces and streams is called when the exchange ends, before its arena goes. */
#include "internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 256 << 10, COMPRESS_FROM = 1024 };

/* ---- headers ------------------------------------------------------------------------------------------------------------ */

static bool printable(const char *v) {
    for (; *v; v++)
        if ((unsigned char)*v < 0x20 || *v == 0x7F) return false;
    return true;
}

void http_set(http_request *r, const char *name, const char *value) {
    http_exchange *x = r->exchange;
    if (!value || !printable(value) || !printable(name)) return;
    struct header *h = gn_arena_alloc(r->arena, sizeof *h);
    if (!h) return;
    *h = (struct header){ gn_arena_strdup(r->arena, name), gn_arena_strdup(r->arena, value), x->headers };
    if (h->name && h->value) x->headers = h;
}

static bool has_header(const http_exchange *x, const char *name) {
    for (const struct header *h = x->headers; h; h = h->next)
        if (strcasecmp(h->name, name) == 0) return true;
    return false;
}

/* What every response carries (T13, T23): no sniffing, no framing, nothing kept by caches on the way unless the handler said so. */
static void finish_headers(http_exchange *x, const char *type) {
    static const char *const always[][2] = { { "X-Content-Type-Options", "nosniff" }, { "X-Frame-Options", "SAMEORIGIN" }, { "Referrer-Policy", "no-referrer" },
        { "Content-Security-Policy", "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'" }, { "Cache-Control", "no-store" } };
    if (type) http_set(&x->request, "Content-Type", type);
    http_set(&x->request, "X-Request-Id", x->request.id);
    for (size_t i = 0; i < GN_ARRAY_LEN(always); i++)
        if (!has_header(x, always[i][0])) http_set(&x->request, always[i][0], always[i][1]);
    for (const struct header *h = x->headers; h; h = h->next) (void)MHD_add_response_header(x->response, h->name, h->value);
}

static void give(http_exchange *x, unsigned status, const char *type, struct MHD_Response *response) {
    if (x->status || !response) {
        if (response) MHD_destroy_response(response);
        return;
    }
    x->status = status;
    x->response = response;
    finish_headers(x, type);
}

enum MHD_Result respond_queue(http_exchange *x) {
    if (!x->response) http_problem_text(&x->request, 500, "Internal error", "the request was not answered");
    if (!x->response) return MHD_NO;
    x->queued = true;
    connection_phase_set(x->connection, CONNECTION_ANSWER);
    enum MHD_Result ok = MHD_queue_response(x->mhd, x->status, x->response);
    MHD_destroy_response(x->response);
    x->response = NULL;
    return ok;
}

void respond_drop(http_exchange *x) {
    if (x->response) MHD_destroy_response(x->response);
    x->response = NULL;
    if (x->done) x->done(x->done_ctx);
    x->done = NULL;
}

/* ---- from memory --------------------------------------------------------------------------------------------------------- */

static bool is_text(const char *type) {
    return type && (strncmp(type, "text/", 5) == 0 || strstr(type, "json") || strstr(type, "xml") || strstr(type, "javascript") || strstr(type, "svg"));
}

static bool compress_gzip(const gn_buf *in, gn_buf *out) {
    z_stream z = { 0 };
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return false;
    size_t bound = deflateBound(&z, in->n);
    uint8_t *p = gn_buf_reserve(out, bound);
    z.next_in = in->p, z.avail_in = (uInt)in->n;
    z.next_out = p, z.avail_out = (uInt)bound;
    bool ok = p && in->n < UINT32_MAX && deflate(&z, Z_FINISH) == Z_STREAM_END;
    if (ok) out->n += z.total_out;
    (void)deflateEnd(&z);
    return ok;
}

void http_send(http_request *r, unsigned status, const char *type, gn_buf *take) {
    http_exchange *x = r->exchange;
    if (x->status || take->failed) {
        bool failed = take->failed;
        gn_buf_done(take);
        if (failed) http_problem_text(r, 503, "Out of memory", "the answer was too large");
        return;
    }
    gn_buf packed = GN_BUF_INIT;
    if (is_text(type) && take->n > COMPRESS_FROM && !has_header(x, "Content-Encoding")) {
        http_set(r, "Vary", "Accept-Encoding");
        if (http_accepts_encoding(r, "gzip") && compress_gzip(take, &packed)) {
            http_set(r, "Content-Encoding", "gzip");
            gn_buf_done(take);
            *take = packed;
        } else {
            gn_buf_done(&packed);
        }
    }
    give(x, status, type, take->n ? MHD_create_response_from_buffer(take->n, take->p, MHD_RESPMEM_MUST_FREE) : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
    if (!take->n) gn_buf_done(take);
    *take = (gn_buf)GN_BUF_INIT;
}

void http_send_text(http_request *r, unsigned status, const char *type, const char *text) {
    gn_buf b = GN_BUF_INIT;
    gn_buf_puts(&b, text);
    http_send(r, status, type, &b);
}

/* ---- from pieces --------------------------------------------------------------------------------------------------------- */

typedef struct sending { const http_piece *pieces; size_t count, at; uint64_t start; /* of piece `at` */ uint64_t skip; /* where the range begins */ } sending;

static ssize_t send_more(void *cls, uint64_t position, char *buf, size_t max) {
    sending *s = cls;
    uint64_t want = position + s->skip;
    size_t n = 0;
    if (want < s->start) s->at = 0, s->start = 0;
    while (n < max && s->at < s->count) {
        const http_piece *p = &s->pieces[s->at];
        uint64_t inside = want + n - s->start;
        if (inside >= p->length) {
            s->start += p->length;
            s->at++;
            continue;
        }
        size_t m = p->length - inside < max - n ? (size_t)(p->length - inside) : max - n;
        if (p->bytes) memcpy(buf + n, (const char *)p->bytes + inside, m);
        else if (gn_pread_all(p->fd, buf + n, m, p->offset + inside, NULL)) return MHD_CONTENT_READER_END_WITH_ERROR;
        n += m;
    }
    return n ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

/* "bytes=a-b" of `total`: 1 usable, 0 to be ignored, -1 cannot be satisfied. */
static int parse_range(const char *h, uint64_t total, uint64_t *from, uint64_t *n) {
    char *end;
    if (!h || strncmp(h, "bytes=", 6) != 0 || strchr(h, ',')) return 0;
    const char *p = h + 6;
    if (*p == '-') {
        uint64_t last = strtoull(p + 1, &end, 10);
        if (end == p + 1 || *end) return 0;
        if (!last || !total) return -1;
        *n = last < total ? last : total;
        *from = total - *n;
        return 1;
    }
    if (*p < '0' || *p > '9') return 0;
    *from = strtoull(p, &end, 10);
    if (*end != '-') return 0;
    uint64_t to = total ? total - 1 : 0;
    if (end[1]) {
        const char *second = end + 1;
        to = strtoull(second, &end, 10);
        if (*end || end == second) return 0;
        if (to < *from) return 0;
    }
    if (*from >= total) return -1;
    if (to >= total) to = total - 1;
    *n = to - *from + 1;
    return 1;
}

static bool apply_range(http_request *r, unsigned *status, uint64_t total, uint64_t *from, uint64_t *n) {
    *from = 0, *n = total;
    if (*status != 200 || r->method != HTTP_GET) return true;
    http_set(r, "Accept-Ranges", "bytes");
    int range = parse_range(http_header(r, "Range"), total, from, n);
    if (range == 0) *from = 0, *n = total;
    if (range < 0) {
        http_set(r, "Content-Range", gn_fmt("bytes */%llu", (unsigned long long)total));
        http_problem_text(r, 416, "Range not satisfiable", "the range lies behind the end");
        return false;
    }
    if (range > 0) {
        *status = 206;
        http_set(r, "Content-Range", gn_fmt("bytes %llu-%llu/%llu", (unsigned long long)*from, (unsigned long long)(*from + *n - 1), (unsigned long long)total));
    }
    return true;
}

void http_send_pieces(http_request *r, unsigned status, const char *type, const http_piece *pieces, size_t count, void (*done)(void *ctx), void *ctx) {
    http_exchange *x = r->exchange;
    x->done = done;
    x->done_ctx = ctx;
    uint64_t total = 0, from, n;
    for (size_t i = 0; i < count; i++) total += pieces[i].length;
    if (!apply_range(r, &status, total, &from, &n)) return;
    struct MHD_Response *response = NULL;
    int fd = count == 1 && !pieces[0].bytes ? fcntl(pieces[0].fd, F_DUPFD_CLOEXEC, 3) : -1; /* one stretch of a file: sent by the kernel */
    if (fd >= 0) {
        response = MHD_create_response_from_fd_at_offset64(n, fd, pieces[0].offset + from);
        if (!response) (void)close(fd);
    } else {
        sending *s = gn_arena_zalloc(r->arena, 1, sizeof *s);
        if (s) {
            *s = (sending){ .pieces = pieces, .count = count, .skip = from };
            response = MHD_create_response_from_callback(n, n < BLOCK ? (size_t)n + 1 : BLOCK, send_more, s, NULL);
        }
    }
    if (response) give(x, status, type, response);
    else http_problem_text(r, 503, "Out of memory", "no memory for the answer");
}

/* ---- pulled -------------------------------------------------------------------------------------------------------------- */

typedef struct pulling { int64_t (*read)(void *ctx, uint8_t *p, size_t n); void *ctx; } pulling;
static ssize_t pull(void *cls, uint64_t position, char *buf, size_t max) {
    pulling *p = cls;
    (void)position;
    int64_t n = p->read(p->ctx, (uint8_t *)buf, max);
    return n > 0 ? (ssize_t)n : n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

void http_send_stream(http_request *r, unsigned status, const char *type, int64_t length, int64_t (*read)(void *ctx, uint8_t *p, size_t n), void (*done)(void *ctx), void *ctx) {
    http_exchange *x = r->exchange;
    x->done = done;
    x->done_ctx = ctx;
    pulling *p = gn_arena_alloc(r->arena, sizeof *p);
    struct MHD_Response *response = NULL;
    if (p) {
        *p = (pulling){ read, ctx };
        response = MHD_create_response_from_callback(length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)length, BLOCK, pull, p, NULL);
    }
    if (response) give(x, status, type, response);
    else http_problem_text(r, 503, "Out of memory", "no memory for the answer");
}

/* ---- problems (RFC 9457) and validators ------------------------------------------------------------------------------------ */

static void problem(http_request *r, unsigned status, const char *title, const char *detail, const char *where, const char *field) {
    gn_buf b = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &b);
    gn_json_open(&j, '{');
    gn_json_key(&j, "type");
    gn_json_string(&j, "about:blank");
    gn_json_key(&j, "title");
    gn_json_string(&j, title);
    gn_json_key(&j, "status");
    gn_json_uint(&j, status);
    gn_json_key(&j, "detail");
    gn_json_string(&j, detail);
    if (where && *where) gn_json_key(&j, "where"), gn_json_string(&j, where);
    if (field) gn_json_key(&j, "field"), gn_json_string(&j, field);
    gn_json_key(&j, "instance");
    gn_json_string(&j, gn_fmt("urn:request:%s", r->id));
    gn_json_close(&j, '}');
    (void)snprintf(r->exchange->problem, sizeof r->exchange->problem, "%s", detail);
    http_send(r, status, "application/problem+json", &b);
}

void http_problem(http_request *r, unsigned status, const gn_error *e, const char *field) {
    problem(r, status ? status : (unsigned)gn_code_http_status(e->code), gn_code_text(e->code), e->message, e->where, field);
}

void http_problem_text(http_request *r, unsigned status, const char *title, const char *detail) { problem(r, status, title, detail, NULL, NULL); }

static bool names_tag(const char *list, const char *etag) {
    size_t n = strlen(etag);
    for (const char *p = list; (p = strstr(p, etag)); p += n)
        if ((p == list || strchr(" ,/", p[-1])) && (!p[n] || p[n] == ',' || p[n] == ' ')) return true;
    return strcmp(list, "*") == 0;
}

bool http_not_modified(http_request *r, const char *etag) {
    const char *have = http_header(r, "If-None-Match");
    http_set(r, "ETag", etag);
    if (!has_header(r->exchange, "Cache-Control")) http_set(r, "Cache-Control", "private, max-age=31536000, immutable");
    if (!have || !names_tag(have, etag)) return false;
    gn_buf none = GN_BUF_INIT;
    http_send(r, 304, NULL, &none);
    return true;
}
