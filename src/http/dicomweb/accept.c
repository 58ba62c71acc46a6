/* Accept headers of DICOMweb: read without complaint, decided by RFC 9110 §12.5.1 with the parameters of PS3.18 §8.7.
 *
 * Clients disagree on quoting: dicomweb-client quotes `type="application/dicom+xml"`, OHIF does not, and a browser accepts all. A
 * range without `type` or `transfer-syntax` takes any; the more a range says about an offer, the more its q counts. */
#include "accept.h"

enum { MAX_RANGES = 64, QUALITY_ONE = 1000 };

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool same_word(const char *a, size_t n, const char *b) {
    for (size_t i = 0; i < n; i++)
        if (!b[i] || lower(a[i]) != lower(b[i])) return false;
    return b[n] == '\0';
}

/* Lower-case copy without spaces at its ends. */
static const char *word(gn_arena *arena, const char *p, size_t n) {
    while (n && is_space(*p)) p++, n--;
    while (n && is_space(p[n - 1])) n--;
    char *s = gn_arena_strndup(arena, p, n);
    for (size_t i = 0; s && i < n; i++) s[i] = lower(s[i]);
    return s;
}

/* "0.75" as 750; what is no number counts as 1, as if it were not there. */
static unsigned quality(const char *s) {
    if (s[0] == '1') return QUALITY_ONE;
    if (s[0] != '0') return QUALITY_ONE;
    if (s[1] != '.') return 0;
    unsigned q = 0, scale = 100;
    for (const char *p = s + 2; *p >= '0' && *p <= '9' && scale; p++, scale /= 10) q += (unsigned)(*p - '0') * scale;
    return q;
}

/* The end of a piece that reaches to one of `stops`, outside quotes. */
static const char *piece_end(const char *p, const char *stops) {
    bool quoted = false;
    for (; *p; p++) {
        if (*p == '"') quoted = !quoted;
        else if (quoted && *p == '\\' && p[1]) p++;
        else if (!quoted && strchr(stops, *p)) break;
    }
    return p;
}

/* A parameter's value: quotes and their escapes undone. */
static const char *value_of(gn_arena *arena, const char *p, const char *end) {
    while (p < end && is_space(*p)) p++;
    while (end > p && is_space(end[-1])) end--;
    char *s = gn_arena_strndup(arena, p, (size_t)(end - p));
    if (!s || s[0] != '"') return s;
    size_t n = 0;
    for (const char *q = s + 1; *q && *q != '"'; q++) {
        if (*q == '\\' && q[1]) q++;
        s[n++] = *q;
    }
    s[n] = '\0';
    return s;
}

static void take_parameter(gn_arena *arena, http_range *x, const char *p, const char *end) {
    while (p < end && is_space(*p)) p++;
    const char *equals = memchr(p, '=', (size_t)(end - p));
    if (!equals) return;
    size_t n = (size_t)(equals - p);
    while (n && is_space(p[n - 1])) n--;
    const char *value = value_of(arena, equals + 1, end);
    if (!value) return;
    if (same_word(p, n, "type")) x->part = word(arena, value, strlen(value));
    else if (same_word(p, n, "transfer-syntax")) x->transfer_syntax = value;
    else if (same_word(p, n, "charset")) x->charset = word(arena, value, strlen(value));
    else if (same_word(p, n, "q")) x->q = quality(value);
}

/* One range between commas; false: it names no media type. */
static bool take_range(gn_arena *arena, http_range *x, const char *p, const char *end) {
    *x = (http_range){ .q = QUALITY_ONE };
    const char *stop = piece_end(p, ";,");
    x->type = word(arena, p, (size_t)(stop - p));
    if (!x->type || !strchr(x->type, '/')) return false;
    while (stop < end) {
        const char *from = stop + 1;
        stop = piece_end(from, ";,");
        take_parameter(arena, x, from, stop);
    }
    return true;
}

size_t http_ranges_parse(gn_arena *arena, const char *text, http_range *ranges, size_t capacity) {
    size_t count = 0;
    for (const char *p = text; p && *p && count < capacity;) {
        const char *end = piece_end(p, ",");
        if (take_range(arena, &ranges[count], p, end)) count++;
        p = *end ? end + 1 : end;
    }
    return count;
}

/* How exactly the range means the offer: 0 not at all, else the higher the more it says. */
static unsigned specificity(const http_range *x, const http_offer *o) {
    const char *slash = strchr(o->type, '/');
    size_t major = slash ? (size_t)(slash - o->type) + 1 : 0;
    unsigned score;
    if (!strcmp(x->type, o->type)) score = 12;
    else if (!strcmp(x->type, "*/*")) score = 4;
    else if (!strncmp(x->type, o->type, major) && !strcmp(x->type + major, "*")) score = 8;
    else return 0;
    if (x->part && score == 12) {
        const char *part = o->part ? o->part : "";
        size_t n = strlen(x->part);
        bool any = n >= 2 && !strcmp(x->part + n - 2, "/*");
        if (!strcmp(x->part, part)) score += 2;
        else if (!strcmp(x->part, "*/*") || (any && !strncmp(x->part, part, n - 1))) score += 1;
        else return 0;
    }
    if (x->transfer_syntax && o->transfer_syntax && strcmp(x->transfer_syntax, "*") != 0) {
        if (strcmp(x->transfer_syntax, o->transfer_syntax) != 0) return 0;
        score += 16; /* says more than anything else */
    }
    return score;
}

int http_ranges_choose(const http_range *ranges, size_t count, const http_offer *offers, size_t offer_count, const http_range **chosen) {
    int best = -1;
    unsigned best_q = 0;
    if (chosen) *chosen = NULL;
    if (!count) return offer_count ? 0 : -1;
    for (size_t i = 0; i < offer_count; i++) {
        const http_range *closest = NULL;
        unsigned closest_score = 0;
        for (size_t k = 0; k < count; k++) {
            unsigned score = specificity(&ranges[k], &offers[i]);
            /* Of ranges that say equally much the one the client likes most: they differ in a transfer syntax that the offer leaves open. */
            if (score > closest_score || (score && score == closest_score && ranges[k].q > closest->q)) { closest = &ranges[k]; closest_score = score; }
        }
        if (!closest || closest->q <= best_q) continue;
        best_q = closest->q;
        best = (int)i;
        if (chosen) *chosen = closest;
    }
    return best;
}

int http_accept(const http_request *r, const http_offer *offers, size_t count, const http_range **chosen) {
    const char *text = http_query(r, "accept");
    if (!text || !*text) text = http_header(r, "Accept");
    http_range *ranges = gn_arena_alloc(r->arena, MAX_RANGES * sizeof *ranges);
    size_t n = ranges ? http_ranges_parse(r->arena, text, ranges, MAX_RANGES) : 0;
    return http_ranges_choose(ranges, n, offers, count, chosen);
}

void http_not_acceptable(http_request *r, const http_offer *offers, size_t count) {
    gn_buf list = { .limit = 4096 };
    gn_buf_puts(&list, "This resource comes as ");
    for (size_t i = 0; i < count; i++) {
        gn_buf_printf(&list, "%s%s", i ? ", " : "", offers[i].type);
        if (offers[i].part) gn_buf_printf(&list, "; type=\"%s\"", offers[i].part);
        if (offers[i].transfer_syntax) gn_buf_printf(&list, "; transfer-syntax=%s", offers[i].transfer_syntax);
    }
    http_problem_text(r, 406, "Not acceptable", list.p ? (const char *)list.p : "This resource does not come in that form.");
    gn_buf_done(&list);
}

const char *http_offer_content_type(gn_arena *arena, const http_offer *offer, const char *boundary, const char *transfer_syntax) {
    const char *s = offer->part ? gn_arena_printf(arena, "%s; type=\"%s\"", offer->type, offer->part) : offer->type;
    if (s && boundary) s = gn_arena_printf(arena, "%s; boundary=%s", s, boundary);
    if (s && transfer_syntax) s = gn_arena_printf(arena, "%s; transfer-syntax=%s", s, transfer_syntax);
    return s;
}
