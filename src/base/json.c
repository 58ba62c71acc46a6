/* json: a streaming JSON writer over a buffer. It places the commas; the caller opens, closes and names.
 *
 * Strings come from outside: what is not UTF-8 becomes U+FFFD, and every control character (C0, DEL and C1) is written as
 * an escape, so that the text is safe in a log or a terminal too. Nesting deeper than the writer can follow, or a close
 * without its open, marks the buffer as failed. */
#include "base/base.h"

#include <math.h>
#include <stdlib.h>

void gn_json_init(gn_json *j, gn_buf *out) { *j = (gn_json){ .out = out }; }

static inline void before_value(gn_json *j) {
    if (j->need_comma[j->depth]) gn_buf_putc(j->out, ',');
    j->need_comma[j->depth] = true;
}

void gn_json_open(gn_json *j, char bracket) {
    before_value(j);
    if (j->depth + 1 >= GN_ARRAY_LEN(j->need_comma)) {
        j->out->failed = true;
        return;
    }
    j->need_comma[++j->depth] = false;
    gn_buf_putc(j->out, bracket);
}

void gn_json_close(gn_json *j, char bracket) {
    if (j->depth == 0) {
        j->out->failed = true;
        return;
    }
    j->depth--;
    gn_buf_putc(j->out, bracket);
}

/* Length of the run at p that needs no escape: printable ASCII but for quote and backslash. Eight bytes at a time. */
static size_t plain_run(const uint8_t *p, size_t n) {
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        uint64_t w;
        memcpy(&w, p + i, 8);
        uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\', del = w ^ ones * 0x7F;
        /* A byte's high bit is set where it is zero (or the word has a byte >= 0x80, which stops the run anyway). */
        uint64_t stop = (w - ones * 0x20) | (quote - ones) | (slash - ones) | (del - ones) | w;
        if (stop & high) break;
    }
    while (i < n && p[i] >= 0x20 && p[i] < 0x7F && p[i] != '"' && p[i] != '\\') i++;
    return i;
}

static void put_control(gn_buf *out, uint32_t u) {
    static const char hex[] = "0123456789abcdef";
    char text[6] = { '\\', 'u', '0', '0', hex[u >> 4 & 15], hex[u & 15] };
    gn_buf_append(out, text, sizeof text);
}

static void put_ascii_escape(gn_buf *out, uint8_t c) {
    switch (c) {
    case '"': gn_buf_append(out, "\\\"", 2); break;
    case '\\': gn_buf_append(out, "\\\\", 2); break;
    case '\n': gn_buf_append(out, "\\n", 2); break;
    case '\r': gn_buf_append(out, "\\r", 2); break;
    case '\t': gn_buf_append(out, "\\t", 2); break;
    case '\b': gn_buf_append(out, "\\b", 2); break;
    case '\f': gn_buf_append(out, "\\f", 2); break;
    default: put_control(out, c);
    }
}

static void put_string(gn_buf *out, const uint8_t *p, size_t n) {
    gn_buf_putc(out, '"');
    for (size_t i = 0; i < n;) {
        size_t run = plain_run(p + i, n - i);
        if (run) gn_buf_append(out, p + i, run);
        i += run;
        if (i == n) break;
        if (p[i] < 0x80) {
            put_ascii_escape(out, p[i++]);
            continue;
        }
        uint32_t u;
        size_t used = gn_utf8_decode(p + i, n - i, &u);
        if (used == 1) gn_buf_append(out, "\xEF\xBF\xBD", 3);
        else if (u < 0xA0) put_control(out, u);
        else gn_buf_append(out, p + i, used);
        i += used;
    }
    gn_buf_putc(out, '"');
}

void gn_json_key(gn_json *j, const char *key) {
    before_value(j);
    put_string(j->out, (const uint8_t *)key, strlen(key));
    gn_buf_putc(j->out, ':');
    j->need_comma[j->depth] = false;
}

void gn_json_string(gn_json *j, const char *s) {
    if (s) gn_json_string_n(j, s, strlen(s));
    else gn_json_null(j);
}

void gn_json_string_n(gn_json *j, const char *s, size_t n) {
    before_value(j);
    put_string(j->out, (const uint8_t *)s, n);
}

static void put_digits(gn_json *j, uint64_t v, bool negative) {
    char text[21];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    if (negative) text[--at] = '-';
    before_value(j);
    gn_buf_append(j->out, text + at, sizeof text - at);
}

void gn_json_int(gn_json *j, int64_t v) { put_digits(j, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0); }

void gn_json_uint(gn_json *j, uint64_t v) { put_digits(j, v, false); }

void gn_json_double(gn_json *j, double v) {
    if (!isfinite(v)) {
        gn_json_null(j);
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    char *comma = strchr(text, ','); /* a program that set a locale */
    if (comma) *comma = '.';
    before_value(j);
    gn_buf_puts(j->out, text);
}

void gn_json_bool(gn_json *j, bool v) {
    before_value(j);
    gn_buf_puts(j->out, v ? "true" : "false");
}

void gn_json_null(gn_json *j) {
    before_value(j);
    gn_buf_append(j->out, "null", 4);
}

void gn_json_raw(gn_json *j, const char *text, size_t n) {
    before_value(j);
    gn_buf_append(j->out, text, n);
}
