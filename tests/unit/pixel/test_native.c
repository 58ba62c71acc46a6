/* test_native: byte order, packed bits, planes, and the refusal of sizes that are not there (T9). */
#include "check.h"
#include "pixel/pixel.h"

#include <stdlib.h>

static const dicom_transfer_syntax *ts(const char *uid) { return dicom_transfer_syntax_find(uid); }

static pixel_format grey(uint32_t rows, uint32_t columns, uint16_t allocated) {
    return (pixel_format){ .rows = rows, .columns = columns, .samples = 1, .allocated = allocated, .stored = allocated,
                           .high_bit = (uint16_t)(allocated - 1), .photometric = PIXEL_MONOCHROME2 };
}

static int decode(const char *uid, pixel_format f, const void *p, size_t n, unsigned bit, pixel_frame *out, gn_error *e) {
    return pixel_decode(ts(uid), &f, p, n, bit, NULL, out, e);
}

TEST(big_endian_16_and_32_bits_are_swapped) {
    gn_error e = GN_ERROR_INIT;
    pixel_frame f = { 0 };
    REQUIRE(decode(DICOM_TS_EXPLICIT_BE, grey(1, 2, 16), "\x01\x02\x03\x04", 4, 0, &f, &e) == 0);
    CHECK_MEM(f.bytes, "\x02\x01\x04\x03", 4);
    pixel_frame_done(&f);
    REQUIRE(decode(DICOM_TS_EXPLICIT_BE, grey(1, 1, 32), "\x01\x02\x03\x04", 4, 0, &f, &e) == 0);
    CHECK_MEM(f.bytes, "\x04\x03\x02\x01", 4);
    pixel_frame_done(&f);
}

TEST(big_endian_words_of_8_bit_samples) {
    pixel_format f = grey(2, 2, 8);
    pixel_frame out = { 0 };
    f.swapped_bytes = true;
    REQUIRE(decode(DICOM_TS_EXPLICIT_BE, f, "badc", 4, 0, &out, NULL) == 0);
    CHECK_MEM(out.bytes, "abcd", 4);
    CHECK(!out.format.swapped_bytes);
    pixel_frame_done(&out);
}

TEST(bits_unpack_from_any_offset) {
    pixel_frame out = { 0 };
    REQUIRE(decode(DICOM_TS_EXPLICIT_LE, grey(1, 6, 1), "\xA8\x01", 2, 3, &out, NULL) == 0);
    CHECK_MEM(out.bytes, "\1\0\1\0\1\1", 6);
    pixel_frame_done(&out);
}

TEST(planes_become_pixels) {
    pixel_format f = grey(1, 3, 8);
    pixel_frame out = { 0 };
    f.samples = 3, f.photometric = PIXEL_RGB, f.planar = true;
    REQUIRE(decode(DICOM_TS_EXPLICIT_LE, f, "rRxgGybBz", 9, 0, &out, NULL) == 0);
    CHECK_MEM(out.bytes, "rgbRGBxyz", 9);
    CHECK(!out.format.planar);
    pixel_frame_done(&out);
}

TEST(packed_12_bits_stay_packed_and_begin_on_a_byte) {
    pixel_frame out = { 0 };
    REQUIRE(decode(DICOM_TS_EXPLICIT_LE, grey(1, 1, 12), "\x12\x34\x56", 3, 4, &out, NULL) == 0);
    CHECK_INT(out.n, 2);
    CHECK_MEM(out.bytes, "\x41\x03", 2);
    pixel_frame_done(&out);
}

TEST(T9_short_pixel_data_is_an_error_at_each_length) {
    uint8_t bytes[32] = { 0 };
    for (size_t n = 0; n < 32; n++) {
        gn_error e = GN_ERROR_INIT;
        pixel_frame out = { 0 };
        CHECK_INT(decode(DICOM_TS_EXPLICIT_LE, grey(4, 4, 16), bytes, n, 0, &out, &e), GN_E_TRUNCATED);
        CHECK(out.bytes == NULL);
    }
}

TEST(T9_dimension_bombs_take_no_memory) {
    gn_error e = GN_ERROR_INIT;
    pixel_frame out = { 0 };
    uint8_t bytes[100] = { 0 };
    check_fail_alloc(1);
    CHECK_INT(decode(DICOM_TS_EXPLICIT_LE, grey(46341, 46341, 16), bytes, sizeof bytes, 0, &out, &e), GN_E_TOO_LARGE);
    CHECK_INT(decode(DICOM_TS_EXPLICIT_LE, grey(65535, 65535, 8), bytes, sizeof bytes, 0, &out, NULL), GN_E_TOO_LARGE);
    CHECK_INT(decode(DICOM_TS_EXPLICIT_LE, grey(16384, 16384, 16), bytes, sizeof bytes, 0, &out, NULL), GN_E_TRUNCATED);
    CHECK_INT(decode("1.2.840.10008.1.2.5", grey(16384, 16384, 8), bytes, sizeof bytes, 0, &out, NULL), GN_E_INVALID);
    CHECK_INT(check_failed_allocs(), 0);
    check_fail_alloc(0);
}

TEST(no_memory_is_an_error) {
    gn_error e = GN_ERROR_INIT;
    pixel_frame out = { 0 };
    check_fail_alloc(1);
    CHECK_INT(decode(DICOM_TS_EXPLICIT_LE, grey(1, 1, 8), "a", 1, 0, &out, &e), GN_E_NO_MEMORY);
    check_fail_alloc(0);
}

TEST(native_goes_round_in_both_byte_orders) {
    static const char *const uids[] = { DICOM_TS_IMPLICIT_LE, DICOM_TS_EXPLICIT_LE, DICOM_TS_EXPLICIT_BE };
    static const uint16_t bits[] = { 1, 8, 16, 32, 64 };
    uint8_t samples[8 * 15];
    for (size_t i = 0; i < sizeof samples; i++) samples[i] = (uint8_t)(i * 37);
    for (size_t u = 0; u < GN_ARRAY_LEN(uids); u++)
        for (size_t b = 0; b < GN_ARRAY_LEN(bits); b++) {
            pixel_format f = grey(3, 5, bits[b]);
            size_t n = bits[b] == 1 ? 15 : 15u * bits[b] / 8;
            uint8_t data[sizeof samples];
            for (size_t i = 0; i < n; i++) data[i] = bits[b] == 1 ? samples[i] & 1 : samples[i];
            pixel_frame frame = { f, data, n }, back = { 0 };
            gn_buf encoded = GN_BUF_INIT;
            REQUIRE(pixel_encode(uids[u], &frame, NULL, &encoded, NULL) == 0);
            REQUIRE(decode(uids[u], f, encoded.p, encoded.n, 0, &back, NULL) == 0);
            CHECK_MEM2(back.bytes, back.n, data, n);
            pixel_frame_done(&back);
            gn_buf_done(&encoded);
        }
}
