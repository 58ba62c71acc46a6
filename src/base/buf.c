/* buf: growing byte buffers with a limit. The first failure sticks until gn_buf_clear, so that a writer of many pieces
 * checks once; what was appended before it stays as it was. */
#include "base/base.h"

#include <stdlib.h>

#define DEFAULT_LIMIT ((size_t)1 << 30)
#define SMALLEST ((size_t)64)

void gn_buf_done(gn_buf *b) {
    free(b->p);
    b->p = NULL;
    b->n = b->cap = 0;
    b->failed = false;
}

void gn_buf_clear(gn_buf *b) {
    b->n = 0;
    b->failed = false;
    if (b->p) b->p[0] = '\0';
}

/* Makes room for n more bytes and a NUL. */
static bool grow(gn_buf *b, size_t n) {
    size_t limit = b->limit ? b->limit : DEFAULT_LIMIT;
    if (limit == SIZE_MAX) limit--;
    if (b->failed || b->n > limit || n > limit - b->n) return false;
    size_t need = b->n + n + 1, cap = b->cap < SMALLEST ? SMALLEST : b->cap;
    while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap > limit + 1) cap = limit + 1;
    uint8_t *p = realloc(b->p, cap);
    if (!p) return false;
    b->p = p;
    b->cap = cap;
    return true;
}

static inline bool ensure(gn_buf *b, size_t n) {
    if (!b->failed && n < b->cap - b->n) return true; /* cap is 0 or more than n: the NUL has its place */
    if (grow(b, n)) return true;
    b->failed = true;
    return false;
}

uint8_t *gn_buf_reserve(gn_buf *b, size_t n) {
    if (!ensure(b, n)) return NULL;
    b->p[b->n] = '\0';
    b->p[b->n + n] = '\0'; /* behind the last byte when the caller fills all of it */
    return b->p + b->n;
}

void gn_buf_append(gn_buf *b, const void *p, size_t n) {
    if (!ensure(b, n)) return;
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void gn_buf_puts(gn_buf *b, const char *s) { gn_buf_append(b, s, strlen(s)); }

void gn_buf_putc(gn_buf *b, char c) {
    if (!ensure(b, 1)) return;
    b->p[b->n++] = (uint8_t)c;
    b->p[b->n] = '\0';
}

void gn_buf_printf(gn_buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = b->failed ? 0 : b->cap - b->n;
    int n = vsnprintf(room ? (char *)b->p + b->n : NULL, room, format, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < room) {
        b->n += (size_t)n;
    } else if (ensure(b, (size_t)n)) {
        (void)vsnprintf((char *)b->p + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    if (b->failed && b->p) b->p[b->n] = '\0'; /* what did not fit was cut off where it began */
    va_end(again);
}

void gn_buf_le16(gn_buf *b, uint16_t v) {
    uint8_t q[2];
    gn_store_le16(q, v);
    gn_buf_append(b, q, sizeof q);
}

void gn_buf_le32(gn_buf *b, uint32_t v) {
    uint8_t q[4];
    gn_store_le32(q, v);
    gn_buf_append(b, q, sizeof q);
}

void gn_buf_be16(gn_buf *b, uint16_t v) {
    uint8_t q[2];
    gn_store_be16(q, v);
    gn_buf_append(b, q, sizeof q);
}

void gn_buf_be32(gn_buf *b, uint32_t v) {
    uint8_t q[4];
    gn_store_be32(q, v);
    gn_buf_append(b, q, sizeof q);
}
