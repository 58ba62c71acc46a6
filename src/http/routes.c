/* routes: which route a request means. A pattern's {name} takes one segment, {*} at its end the rest. Segments are compared after
 * percent-decoding, so that %2e%2e or an escaped slash stays inside its segment (T12). */
#include "internal.h"

const http_route *const http_all_routes[] = { service_routes, dicomweb_query_routes, NULL };

enum { SEGMENTS_MOST = 24 };
typedef struct segments { const char *text[SEGMENTS_MOST]; size_t count; } segments;

static bool split(const char *path, segments *s) {
    s->count = 0;
    for (const char *p = path; *p == '/';) {
        const char *start = ++p;
        if (s->count == SEGMENTS_MOST) return false;
        s->text[s->count++] = start;
        p += strcspn(p, "/");
    }
    return true;
}

static size_t length_of(const char *segment) { return strcspn(segment, "/"); }

static bool match(http_request *r, const char *pattern, const segments *path) {
    segments want;
    size_t args = 0;
    if (!split(pattern, &want)) return false;
    memset(r->arg, 0, sizeof r->arg);
    for (size_t i = 0; i < want.count; i++) {
        const char *w = want.text[i];
        size_t n = length_of(w);
        if (n == 3 && strncmp(w, "{*}", 3) == 0) {
            r->arg[args] = i < path->count ? request_decode(r->arena, path->text[i], strlen(path->text[i]), false) : "";
            return r->arg[args] != NULL;
        }
        if (i >= path->count) return false;
        const char *have = request_decode(r->arena, path->text[i], length_of(path->text[i]), false);
        if (!have) return false;
        if (*w != '{') {
            if (strlen(have) != n || strncmp(have, w, n) != 0) return false;
        } else {
            if (!*have || args >= GN_ARRAY_LEN(r->arg) - 1) return false;
            r->arg[args++] = have;
        }
    }
    return want.count == path->count;
}

const http_route *routes_find(http_request *r, unsigned *allowed) {
    segments path;
    *allowed = 0;
    if (r->path[0] != '/' || !split(r->path, &path)) return NULL;
    if (path.count > 1 && !path.text[path.count - 1][0]) path.count--; /* "/studies/" is "/studies" */
    for (size_t t = 0; http_all_routes[t]; t++) {
        for (const http_route *o = http_all_routes[t]; o->pattern; o++) {
            if ((*allowed & 1u << o->method) && o->method != r->method) continue;
            if (!match(r, o->pattern, &path)) continue;
            if (o->method == r->method) return o;
            *allowed |= 1u << o->method;
        }
    }
    return NULL;
}
