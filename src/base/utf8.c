/* utf8: strict decoding and encoding (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "base/base.h"

#define REPLACEMENT 0xFFFDu

static bool is_continuation(uint8_t c) { return (c & 0xC0) == 0x80; }

size_t gn_utf8_decode(const uint8_t *p, size_t n, uint32_t *code_point) {
    uint8_t c = p[0];
    if (c < 0x80) {
        *code_point = c;
        return 1;
    }
    *code_point = REPLACEMENT;
    if (c < 0xC2 || c > 0xF4) return 1;
    if (n < 2 || !is_continuation(p[1])) return 1;
    if (c < 0xE0) {
        *code_point = (c & 0x1Fu) << 6 | (p[1] & 0x3Fu);
        return 2;
    }
    if (n < 3 || !is_continuation(p[2])) return 1;
    if (c < 0xF0) {
        uint32_t u = (c & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
        if (u < 0x800 || (u >= 0xD800 && u <= 0xDFFF)) return 1;
        *code_point = u;
        return 3;
    }
    if (n < 4 || !is_continuation(p[3])) return 1;
    uint32_t u = (c & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
    if (u < 0x10000 || u > 0x10FFFF) return 1;
    *code_point = u;
    return 4;
}

size_t gn_utf8_encode(uint32_t code_point, uint8_t out[4]) {
    uint32_t u = code_point;
    if (u > 0x10FFFF || (u >= 0xD800 && u <= 0xDFFF)) u = REPLACEMENT;
    if (u < 0x80) {
        out[0] = (uint8_t)u;
        return 1;
    }
    if (u < 0x800) {
        out[0] = (uint8_t)(0xC0 | u >> 6);
        out[1] = (uint8_t)(0x80 | (u & 0x3F));
        return 2;
    }
    if (u < 0x10000) {
        out[0] = (uint8_t)(0xE0 | u >> 12);
        out[1] = (uint8_t)(0x80 | (u >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (u & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | u >> 18);
    out[1] = (uint8_t)(0x80 | (u >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (u >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (u & 0x3F));
    return 4;
}

bool gn_utf8_valid(const uint8_t *p, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint64_t word;
        if (n - i >= sizeof word) {
            memcpy(&word, p + i, sizeof word);
            if ((word & 0x8080808080808080u) == 0) {
                i += sizeof word;
                continue;
            }
        }
        uint32_t u;
        size_t used = gn_utf8_decode(p + i, n - i, &u);
        if (used == 1 && p[i] >= 0x80) return false;
        i += used;
    }
    return true;
}
