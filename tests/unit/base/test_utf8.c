/* UTF-8 (RFC 3629): every code point there and back, and each kind of invalid sequence. */
#include "base/base.h"
#include "check.h"

TEST(every_code_point_round_trips) {
    for (uint32_t u = 0; u <= 0x10FFFF; u++) {
        if (u >= 0xD800 && u <= 0xDFFF) continue;
        uint8_t q[4];
        size_t n = gn_utf8_encode(u, q);
        uint32_t back = 0;
        if (gn_utf8_decode(q, n, &back) != n || back != u || !gn_utf8_valid(q, n)) {
            CHECK_INT(back, u);
            return;
        }
        /* cut short it is invalid, and one byte is used */
        for (size_t k = 1; k < n; k++) {
            if (gn_utf8_decode(q, k, &back) != 1 || back != 0xFFFD || gn_utf8_valid(q, k)) {
                CHECK_INT(u, -1);
                return;
            }
        }
    }
}

TEST(what_cannot_be_encoded_is_replaced) {
    uint8_t q[4];
    CHECK_INT(gn_utf8_encode(0xD800, q), 3);
    CHECK_MEM(q, "\xEF\xBF\xBD", 3);
    CHECK_INT(gn_utf8_encode(0x110000, q), 3);
    CHECK_MEM(q, "\xEF\xBF\xBD", 3);
}

TEST(invalid_sequences_use_one_byte) {
    static const char *const bad[] = {
        "\x80",             "\xBF",             "\xC0\x80",         "\xC1\xBF",         "\xC3(",
        "\xE0\x80\x80",     "\xE0\x9F\xBF",     "\xED\xA0\x80",     "\xED\xBF\xBF",     "\xE1\x80(",
        "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF1\x80\x80(",
        "\xFE",             "\xFF",
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        uint32_t u = 0;
        const uint8_t *p = (const uint8_t *)bad[i];
        CHECK_INT(gn_utf8_decode(p, strlen(bad[i]), &u), 1);
        CHECK_INT(u, 0xFFFD);
        CHECK(!gn_utf8_valid(p, strlen(bad[i])));
    }
}

TEST(validity_at_every_place_of_a_word) {
    for (size_t at = 0; at < 30; at++) {
        uint8_t s[30];
        memset(s, 'a', sizeof s);
        CHECK(gn_utf8_valid(s, sizeof s));
        s[at] = 0x80;
        CHECK(!gn_utf8_valid(s, sizeof s));
    }
    CHECK(gn_utf8_valid(NULL, 0));
    const char *mixed = "abcdefg\xC3\xA9hijklmnop\xE5\xB1\xB1 and more text";
    CHECK(gn_utf8_valid((const uint8_t *)mixed, strlen(mixed)));
}
