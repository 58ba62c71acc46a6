/* test_rle: PS3.5 Annex G both ways, and streams that lie about their segments (T10). */
#include "check.h"
#include "pixel/pixel.h"

#include <stdlib.h>

#define RLE "1.2.840.10008.1.2.5"

static pixel_format format(uint32_t rows, uint32_t columns, uint16_t samples, uint16_t allocated) {
    return (pixel_format){ .rows = rows, .columns = columns, .samples = samples, .allocated = allocated, .stored = allocated,
                           .high_bit = (uint16_t)(allocated - 1), .photometric = samples == 3 ? PIXEL_RGB : PIXEL_MONOCHROME2 };
}

static int decode(pixel_format f, const void *p, size_t n, pixel_frame *out, gn_error *e) {
    return pixel_decode(dicom_transfer_syntax_find(RLE), &f, p, n, 0, NULL, out, e);
}

/* A header for up to three segments at the offsets given, and a body. */
static size_t stream(uint8_t *out, uint32_t count, const uint32_t offsets[3], const char *body, size_t n) {
    memset(out, 0, 64);
    gn_store_le32(out, count);
    for (size_t i = 0; i < 3; i++) gn_store_le32(out + 4 + 4 * i, offsets[i]);
    memcpy(out + 64, body, n);
    return 64 + n;
}

TEST(runs_literals_and_no_operations) {
    uint8_t s[128];
    pixel_frame out = { 0 };
    size_t n = stream(s, 1, (uint32_t[3]){ 64 }, "\x80\x02" "abc" "\xFE" "z", 7);
    REQUIRE(decode(format(2, 3, 1, 8), s, n, &out, NULL) == 0);
    CHECK_MEM(out.bytes, "abczzz", 6);
    pixel_frame_done(&out);
}

TEST(most_significant_byte_comes_first) {
    uint8_t s[128];
    pixel_frame out = { 0 };
    size_t n = stream(s, 2, (uint32_t[3]){ 64, 68 }, "\xFF\x12\0\0" "\x01\x34\x56", 7);
    REQUIRE(decode(format(1, 2, 1, 16), s, n, &out, NULL) == 0);
    CHECK_MEM(out.bytes, "\x34\x12\x56\x12", 4);
    pixel_frame_done(&out);
}

TEST(what_a_segment_has_too_much_is_passed_over) {
    uint8_t s[128];
    pixel_frame out = { 0 };
    size_t n = stream(s, 1, (uint32_t[3]){ 64 }, "\xF0" "a" "\x05" "bcdefg", 9);
    REQUIRE(decode(format(2, 3, 1, 8), s, n, &out, NULL) == 0);
    CHECK_MEM(out.bytes, "aaaaaa", 6);
    pixel_frame_done(&out);
}

TEST(T10_rle_with_0_or_16_segments) {
    static const uint32_t counts[] = { 0, 2, 15, 16, 17, 0x80000000u, UINT32_MAX };
    uint8_t s[128];
    for (size_t i = 0; i < GN_ARRAY_LEN(counts); i++) {
        gn_error e = GN_ERROR_INIT;
        pixel_frame out = { 0 };
        size_t n = stream(s, counts[i], (uint32_t[3]){ 64, 64, 64 }, "\xFB" "a", 2);
        CHECK_INT(decode(format(2, 3, 1, 8), s, n, &out, &e), GN_E_INVALID);
        CHECK(strstr(e.message, "segments") != NULL);
    }
}

TEST(T10_rle_segments_outside_the_frame) {
    static const uint32_t offsets[][3] = { { 0, 0, 0 }, { 63, 66, 68 }, { 64, 60, 68 }, { 64, 66, 0xFFFFFFFF }, { 0xFFFFFFFF, 66, 68 }, { 68, 66, 64 } };
    uint8_t s[128];
    for (size_t i = 0; i < GN_ARRAY_LEN(offsets); i++) {
        pixel_frame out = { 0 };
        size_t n = stream(s, 3, offsets[i], "\xFFr\xFFg\xFF" "b", 6);
        CHECK_INT(decode(format(1, 2, 3, 8), s, n, &out, NULL), GN_E_INVALID);
    }
}

TEST(T10_rle_truncated_at_each_byte) {
    uint8_t samples[60], copy[512];
    for (size_t i = 0; i < sizeof samples; i++) samples[i] = (uint8_t)(i * i / 7);
    pixel_format f = format(5, 6, 1, 16);
    pixel_frame frame = { f, samples, sizeof samples };
    gn_buf encoded = GN_BUF_INIT;
    REQUIRE(pixel_encode(RLE, &frame, NULL, &encoded, NULL) == 0 && encoded.n < sizeof copy);
    unsigned failed = 0;
    for (size_t n = 0; n < encoded.n; n++) {
        pixel_frame out = { 0 };
        uint8_t *exact = malloc(n ? n : 1); /* the sanitizer sees a read behind it */
        REQUIRE(exact != NULL);
        memcpy(exact, encoded.p, n);
        if (decode(f, exact, n, &out, NULL) == 0) CHECK_MEM2(out.bytes, out.n, samples, sizeof samples); /* padding was cut off */
        else failed++;
        pixel_frame_done(&out);
        free(exact);
    }
    CHECK(failed >= encoded.n - 1);
    gn_buf_done(&encoded);
}

TEST(samples_that_need_16_segments_are_refused) {
    uint8_t s[128] = { 0 };
    pixel_frame out = { 0 };
    CHECK_INT(decode(format(1, 1, 4, 32), s, sizeof s, &out, NULL), GN_E_INVALID);
    CHECK_INT(decode(format(1, 1, 3, 64), s, sizeof s, &out, NULL), GN_E_INVALID);
    CHECK_INT(decode(format(1, 1, 1, 12), s, sizeof s, &out, NULL), GN_E_UNSUPPORTED);
}

/* Patterns with runs and literals of every length near the limits of 128. */
static uint8_t pattern(unsigned kind, size_t i) {
    if (kind == 0) return 7;
    if (kind == 1) return (uint8_t)i;
    if (kind == 2) return (uint8_t)(i / 2);
    if (kind == 3) return (uint8_t)(i / 129);
    return (uint8_t)((i * 2654435761u) >> 13 & (kind == 4 ? 1u : 255u));
}

TEST(rle_goes_round_for_all_shapes) {
    static const uint32_t columns[] = { 1, 2, 3, 127, 128, 129, 130, 257, 512 };
    static const struct { uint16_t samples, allocated; } shapes[] = { { 1, 8 }, { 1, 16 }, { 3, 8 }, { 3, 16 }, { 1, 32 }, { 3, 32 } };
    for (size_t c = 0; c < GN_ARRAY_LEN(columns); c++)
        for (size_t s = 0; s < GN_ARRAY_LEN(shapes); s++)
            for (unsigned kind = 0; kind < 6; kind++) {
                pixel_format f = format(3, columns[c], shapes[s].samples, shapes[s].allocated);
                size_t n = (size_t)3 * columns[c] * f.samples * f.allocated / 8;
                uint8_t *samples = malloc(n);
                REQUIRE(samples != NULL);
                for (size_t i = 0; i < n; i++) samples[i] = pattern(kind, i);
                pixel_frame frame = { f, samples, n }, back = { 0 };
                gn_buf encoded = GN_BUF_INIT;
                REQUIRE(pixel_encode(RLE, &frame, NULL, &encoded, NULL) == 0);
                CHECK_INT(encoded.n % 2, 0);
                REQUIRE(decode(f, encoded.p, encoded.n, &back, NULL) == 0);
                CHECK_MEM2(back.bytes, back.n, samples, n);
                pixel_frame_done(&back);
                gn_buf_done(&encoded);
                free(samples);
            }
}
