/* request: reading what a request brought: headers, query, where it came from. */
#include "internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

const char *http_header(const http_request *r, const char *name) { return MHD_lookup_connection_value(r->exchange->mhd, MHD_HEADER_KIND, name); }

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *request_decode(gn_arena *a, const char *s, size_t n, bool plus) {
    char *out = gn_arena_alloc(a, n + 1), *p = out;
    if (!out) return NULL;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '+' && plus) c = ' ';
        if (c == '%') {
            int high = i + 2 < n ? hex_digit(s[i + 1]) : -1, low = i + 2 < n ? hex_digit(s[i + 2]) : -1;
            if (high < 0 || low < 0) return NULL;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (!c) return NULL;
        *p++ = c;
    }
    *p = '\0';
    return out;
}

/* ---- query: libmicrohttpd splits and decodes it ------------------------------------------------------------------------- */

typedef struct each { int (*visit)(void *ctx, const char *key, const char *value); void *ctx; int rc; } each;
static enum MHD_Result each_argument(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    each *x = cls;
    (void)kind;
    x->rc = x->visit(x->ctx, key, value ? value : "");
    return x->rc ? MHD_NO : MHD_YES;
}

int http_query_each(const http_request *r, int (*visit)(void *ctx, const char *key, const char *value), void *ctx) {
    each x = { visit, ctx, 0 };
    (void)MHD_get_connection_values(r->exchange->mhd, MHD_GET_ARGUMENT_KIND, each_argument, &x);
    return x.rc;
}

const char *http_query(const http_request *r, const char *key) { return MHD_lookup_connection_value(r->exchange->mhd, MHD_GET_ARGUMENT_KIND, key); }

/* ---- where we are -------------------------------------------------------------------------------------------------------- */

/* A Host that could break out of a header or a URL is not repeated. */
static bool plain_host(const char *h) {
    size_t n = strlen(h);
    return n > 0 && n < 256 && strspn(h, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_") == n;
}

const char *http_origin(const http_request *r) {
    const struct http_service *s = r->exchange->service;
    if (s->public_url) return s->public_url;
    const char *host = http_header(r, "Host"), *proto = http_header(r, "X-Forwarded-Proto");
    bool tls = s->certificate || (proto && strcasecmp(proto, "https") == 0);
    const char *text = host && plain_host(host) ? gn_arena_printf(r->arena, "%s://%s", tls ? "https" : "http", host)
                                                : gn_arena_printf(r->arena, "%s://127.0.0.1:%u", tls ? "https" : "http", s->port);
    return text ? text : "";
}

/* ---- content coding ------------------------------------------------------------------------------------------------------ */

/* One item of a list as "gzip;q=0.5": does it name the coding, and with which weight (in thousandths)? */
static int weight_of(const char *item, size_t n, const char *coding) {
    size_t name = 0;
    while (name < n && !strchr("; \t", item[name])) name++;
    if (name != strlen(coding) || strncasecmp(item, coding, name) != 0) return -1;
    for (size_t i = name; i + 2 < n; i++)
        if ((item[i] == 'q' || item[i] == 'Q') && item[i + 1] == '=') return (int)(strtod(item + i + 2, NULL) * 1000);
    return 1000;
}

bool http_accepts_encoding(const http_request *r, const char *coding) {
    const char *p = http_header(r, "Accept-Encoding");
    int named = -1, any = -1;
    while (p && *p) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ",");
        int w = weight_of(p, n, coding), star = weight_of(p, n, "*");
        if (w >= 0) named = w;
        if (star >= 0) any = star;
        p += n;
    }
    return named >= 0 ? named > 0 : any > 0;
}

/* ---- framing (T20) ------------------------------------------------------------------------------------------------------- */

typedef struct framing { unsigned lengths, chunked, hosts; bool bad; } framing;
static enum MHD_Result count_framing(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    framing *f = cls;
    (void)kind;
    const char *v = value ? value : "";
    if (strcasecmp(key, "Content-Length") == 0) {
        f->lengths++;
        if (!*v || strspn(v, "0123456789") != strlen(v) || strlen(v) > 18) f->bad = true;
    }
    if (strcasecmp(key, "Transfer-Encoding") == 0) {
        f->chunked++;
        if (strcasecmp(v, "chunked") != 0) f->bad = true;
    }
    if (strcasecmp(key, "Host") == 0) f->hosts++;
    return MHD_YES;
}

bool request_smuggles(const http_exchange *x) {
    framing f = { 0 };
    (void)MHD_get_connection_values(x->mhd, MHD_HEADER_KIND, count_framing, &f);
    return f.bad || f.lengths > 1 || f.chunked > 1 || f.hosts > 1 || (f.lengths && f.chunked);
}
