/* The code tables of the character sets, place by place. */
#include "check.h"
#include "charset.h"

static const uint8_t singles[] = { CHARSET_LATIN1, CHARSET_LATIN2, CHARSET_LATIN3, CHARSET_LATIN4, CHARSET_CYRILLIC, CHARSET_ARABIC, CHARSET_GREEK,
    CHARSET_HEBREW, CHARSET_LATIN5, CHARSET_LATIN9, CHARSET_THAI, CHARSET_KATAKANA };
static const uint8_t doubles[] = { CHARSET_JISX0208, CHARSET_JISX0212, CHARSET_KSX1001, CHARSET_GB2312 };

/* ---- one byte ---------------------------------------------------------------------------------------------------------- */

TEST(every_byte_of_the_single_byte_sets_comes_back) {
    /* Places that are taken among A0 to FF. */
    static const unsigned taken[] = { 96, 96, 89, 96, 96, 51, 93, 60, 96, 96, 88, 63 };
    for (size_t i = 0; i < GN_ARRAY_LEN(singles); i++) {
        unsigned count = 0;
        for (unsigned byte = 0xA0; byte <= 0xFF; byte++) {
            uint32_t code_point = charset_single_decode(singles[i], (uint8_t)byte);
            if (!code_point) continue;
            count++;
            CHECK_INT(charset_single_encode(singles[i], code_point), byte);
        }
        CHECK_INT(count, taken[i]);
    }
}

TEST(control_characters_of_the_single_byte_sets) {
    for (size_t i = 0; i < GN_ARRAY_LEN(singles); i++)
        for (unsigned byte = 0x80; byte < 0xA0; byte++) {
            CHECK_INT(charset_single_decode(singles[i], (uint8_t)byte), byte);
            CHECK_INT(charset_single_encode(singles[i], byte), byte);
        }
}

TEST(places_that_differ_between_the_sets) {
    CHECK_INT(charset_single_decode(CHARSET_LATIN1, 0xA4), 0x00A4);
    CHECK_INT(charset_single_decode(CHARSET_LATIN9, 0xA4), 0x20AC);
    CHECK_INT(charset_single_decode(CHARSET_LATIN2, 0xA3), 0x0141);
    CHECK_INT(charset_single_decode(CHARSET_LATIN5, 0xDE), 0x015E);
    CHECK_INT(charset_single_decode(CHARSET_CYRILLIC, 0xF0), 0x2116);
    CHECK_INT(charset_single_decode(CHARSET_HEBREW, 0xE0), 0x05D0);
    CHECK_INT(charset_single_decode(CHARSET_ARABIC, 0xC1), 0x0621);
    CHECK_INT(charset_single_decode(CHARSET_THAI, 0xA1), 0x0E01);
    CHECK_INT(charset_single_decode(CHARSET_KATAKANA, 0xDF), 0xFF9F);
    CHECK_INT(charset_single_decode(CHARSET_GREEK, 0xD2), 0);
    CHECK_INT(charset_single_encode(CHARSET_LATIN9, 0x00A4), 0); /* the currency sign gave way to the euro */
}

TEST(what_single_byte_sets_do_not_have) {
    CHECK_INT(charset_single_decode(CHARSET_LATIN1, 'a'), 0);
    CHECK_INT(charset_single_decode(CHARSET_ASCII, 0xE9), 0);
    CHECK_INT(charset_single_decode(CHARSET_NONE, 0xE9), 0);
    CHECK_INT(charset_single_decode(CHARSET_JISX0208, 0xE9), 0);
    CHECK_INT(charset_single_encode(CHARSET_LATIN1, 'a'), 0);
    CHECK_INT(charset_single_encode(CHARSET_LATIN1, 0x1F600), 0);
    CHECK_INT(charset_single_encode(CHARSET_LATIN1, 0x100E9), 0);
    CHECK_INT(charset_single_encode(CHARSET_GREEK, 0x00E9), 0);
    CHECK_INT(charset_single_encode(CHARSET_UTF8, 0x00E9), 0);
}

/* ---- two bytes --------------------------------------------------------------------------------------------------------- */

TEST(every_pair_of_the_double_byte_sets_comes_back) {
    static const unsigned taken[] = { 6879, 6067, 8227, 7445 };
    for (size_t i = 0; i < GN_ARRAY_LEN(doubles); i++) {
        unsigned count = 0;
        for (unsigned lead = 0x21; lead <= 0x7E; lead++)
            for (unsigned trail = 0x21; trail <= 0x7E; trail++) {
                uint32_t code_point = charset_double_decode(doubles[i], (uint8_t)lead, (uint8_t)trail);
                if (!code_point) continue;
                count++;
                CHECK(code_point != '\\' && code_point != '^' && code_point != '='); /* must not become delimiters */
                if (code_point == '~') continue;                                    /* of JIS X 0212, written as ASCII */
                uint16_t pair = charset_double_encode(doubles[i], code_point);
                CHECK(pair != 0);
                CHECK_INT(charset_double_decode(doubles[i], (uint8_t)(pair >> 8), (uint8_t)pair), code_point);
            }
        CHECK_INT(count, taken[i]);
    }
}

TEST(one_character_in_four_sets) { /* mountain */
    CHECK_INT(charset_double_encode(CHARSET_JISX0208, 0x5C71), 0x3B33);
    CHECK_INT(charset_double_encode(CHARSET_KSX1001, 0x5C71), 0x5F23);
    CHECK_INT(charset_double_encode(CHARSET_GB2312, 0x5C71), 0x493D);
    CHECK_INT(charset_double_encode(CHARSET_JISX0212, 0x5C71), 0);
}

TEST(what_double_byte_sets_do_not_have) {
    for (size_t i = 0; i < GN_ARRAY_LEN(doubles); i++) {
        CHECK_INT(charset_double_decode(doubles[i], 0x20, 0x21), 0);
        CHECK_INT(charset_double_decode(doubles[i], 0x21, 0x20), 0);
        CHECK_INT(charset_double_decode(doubles[i], 0x7F, 0x21), 0);
        CHECK_INT(charset_double_decode(doubles[i], 0x21, 0x7F), 0);
        CHECK_INT(charset_double_encode(doubles[i], 'a'), 0);
        CHECK_INT(charset_double_encode(doubles[i], 0x1F600), 0);
        CHECK_INT(charset_double_encode(doubles[i], 0xFFFF), 0);
    }
    CHECK_INT(charset_double_decode(CHARSET_LATIN1, 0x30, 0x30), 0);
    CHECK_INT(charset_double_encode(CHARSET_LATIN1, 0x5C71), 0);
    CHECK_INT(charset_double_encode(CHARSET_JISX0208, 0x2225), charset_double_encode(CHARSET_JISX0208, 0x2016)); /* an alias */
    CHECK_INT(charset_double_encode(CHARSET_JISX0212, 0x2225), 0);
}

TEST(kinds_of_sets) {
    for (size_t i = 0; i < GN_ARRAY_LEN(singles); i++) CHECK(charset_is_single(singles[i]) && !charset_is_double(singles[i]));
    for (size_t i = 0; i < GN_ARRAY_LEN(doubles); i++) CHECK(!charset_is_single(doubles[i]) && charset_is_double(doubles[i]));
    CHECK(charset_is_double_g0(CHARSET_JISX0208) && charset_is_double_g0(CHARSET_JISX0212));
    CHECK(!charset_is_double_g0(CHARSET_KSX1001) && !charset_is_double_g0(CHARSET_GB2312));
    CHECK(!charset_is_single(CHARSET_ROMAN) && !charset_is_single(CHARSET_ASCII) && !charset_is_double(CHARSET_GBK));
}

/* ---- GB 18030 ---------------------------------------------------------------------------------------------------------- */

TEST(every_pair_of_gb18030_comes_back) {
    unsigned count = 0;
    for (unsigned lead = 0; lead <= 0xFF; lead++)
        for (unsigned trail = 0; trail <= 0xFF; trail++) {
            uint32_t code_point = charset_gb_decode2((uint8_t)lead, (uint8_t)trail);
            if (!code_point) continue;
            count++;
            CHECK_INT(charset_gb_encode2(code_point), lead << 8 | trail);
        }
    CHECK_INT(count, 126 * 190);
}

TEST(gb2312_is_a_part_of_gb18030) {
    unsigned different = 0;
    for (unsigned lead = 0x21; lead <= 0x7E; lead++)
        for (unsigned trail = 0x21; trail <= 0x7E; trail++) {
            uint32_t one = charset_double_decode(CHARSET_GB2312, (uint8_t)lead, (uint8_t)trail);
            different += one && one != charset_gb_decode2((uint8_t)(lead | 0x80), (uint8_t)(trail | 0x80));
        }
    CHECK(different <= 2); /* a dot and a dash that Unicode has twice */
}

TEST(four_bytes_of_gb18030) {
    uint32_t number = 0;
    CHECK_INT(charset_gb_decode4(0), 0x80);
    CHECK_INT(charset_gb_decode4(39419), 0xFFFF);
    CHECK_INT(charset_gb_decode4(39420), 0);
    CHECK_INT(charset_gb_decode4(188999), 0);
    CHECK_INT(charset_gb_decode4(189000), 0x10000);
    CHECK_INT(charset_gb_decode4(1237575), 0x10FFFF);
    CHECK_INT(charset_gb_decode4(1237576), 0);
    CHECK(charset_gb_encode4(0x10FFFF, &number) && number == 1237575);
    CHECK(!charset_gb_encode4(0x110000, &number));
    CHECK(!charset_gb_encode4(0x4E00, &number)); /* has two bytes */
    for (uint32_t i = 0; i < 39420; i++)
        if (charset_gb_decode4(i)) CHECK(charset_gb_encode4(charset_gb_decode4(i), &number) && number == i);
}
