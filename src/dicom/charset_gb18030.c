/* charset_gb18030: the Chinese multi-byte sets GB18030 and GBK, which stand alone (PS3.3 C.12.1.1.2, PS3.5 §6.1.2.4).
 *
 * One byte is ASCII, two bytes are GBK, four bytes (of GB 18030 only) are the rest of Unicode. The second byte of a pair may
 * be '\\' or '^': text must be decoded before it is split into values or components. GBK is read as GB 18030, of which it
 * is a part; only two-byte characters are written for it. Escapes have no meaning here. */
#include "charset.h"

/* Bytes used of p (n > 0), and the code point, 0 when there is none. */
static size_t decode_one(const uint8_t *p, size_t n, uint32_t *code_point) {
    *code_point = 0;
    if (p[0] == 0x80) { /* Microsoft's code page 936 */
        *code_point = 0x20AC;
        return 1;
    }
    if (p[0] == 0xFF || n < 2) return 1;
    if (p[1] < 0x30 || p[1] > 0x39) {
        *code_point = charset_gb_decode2(p[0], p[1]);
        return *code_point ? 2 : 1;
    }
    if (n < 4 || p[2] < 0x81 || p[2] == 0xFF || p[3] < 0x30 || p[3] > 0x39) return 1;
    uint32_t number = ((((uint32_t)p[0] - 0x81) * 10 + (p[1] - 0x30u)) * 126 + (p[2] - 0x81u)) * 10 + (p[3] - 0x30u);
    *code_point = charset_gb_decode4(number);
    return *code_point ? 4 : 1;
}

void charset_gb18030_decode(const uint8_t *p, size_t n, charset_sink *s) {
    for (size_t i = 0; i < n;) {
        if (p[i] < 0x80) {
            charset_sink_byte(s, p[i++]);
            continue;
        }
        uint32_t code_point;
        i += decode_one(p + i, n - i, &code_point);
        charset_sink_code_point(s, code_point);
    }
}

void charset_gb18030_encode(uint8_t set, const uint8_t *p, size_t n, charset_sink *s) {
    for (size_t i = 0; i < n;) {
        uint32_t code_point, number;
        i += gn_utf8_decode(p + i, n - i, &code_point);
        uint16_t pair = code_point < 0x80 || code_point == CHARSET_REPLACEMENT ? 0 : charset_gb_encode2(code_point);
        if (code_point < 0x80) {
            charset_sink_byte(s, (uint8_t)code_point);
        } else if (pair) {
            charset_sink_byte(s, (uint8_t)(pair >> 8));
            charset_sink_byte(s, (uint8_t)pair);
        } else if (set == CHARSET_GB18030 && code_point != CHARSET_REPLACEMENT && charset_gb_encode4(code_point, &number)) {
            charset_sink_byte(s, (uint8_t)(0x81 + number / 12600));
            charset_sink_byte(s, (uint8_t)(0x30 + number / 1260 % 10));
            charset_sink_byte(s, (uint8_t)(0x81 + number / 10 % 126));
            charset_sink_byte(s, (uint8_t)(0x30 + number % 10));
        } else {
            charset_sink_byte(s, '?');
            s->bad++;
        }
    }
}
