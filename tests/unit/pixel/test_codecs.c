/* test_codecs: every encoder against its decoder, and codestreams that do not agree with their data set (T10).
 *
 * Lossless syntaxes must give back the samples; truncated streams must fail, or give the whole frame where only an end marker
 * was cut off: never samples that are made up. */
#include "check.h"
#include "pixel/pixel.h"

#include <stdlib.h>

#define TS "1.2.840.10008.1.2"
static const char *const lossless[] = { TS ".5", TS ".4.80", TS ".4.90", TS ".4.201", TS ".4.202" };

static pixel_format format(uint32_t rows, uint32_t columns, uint16_t samples, uint16_t allocated, uint16_t stored, pixel_sample sample) {
    return (pixel_format){ .rows = rows, .columns = columns, .samples = samples, .allocated = allocated, .stored = stored,
                           .high_bit = (uint16_t)(stored - 1), .sample = sample,
                           .photometric = samples == 3 ? PIXEL_RGB : PIXEL_MONOCHROME2 };
}

/* A smooth picture with some noise, in range of `stored` bits and sign extended. */
static pixel_frame picture(pixel_format f) {
    size_t n = (size_t)f.rows * f.columns * f.samples, unit = f.allocated / 8u;
    pixel_frame frame = { f, malloc(n * unit), n * unit };
    uint32_t noise = 12345;
    for (size_t i = 0; i < n && frame.bytes; i++) {
        size_t x = i / f.samples % f.columns, y = i / f.samples / f.columns;
        noise = noise * 1664525u + 1013904223u;
        uint32_t v = (uint32_t)((x * 3 + y * 5 + i % f.samples * 40) << (f.stored > 8 ? f.stored - 9 : 0)) + (noise >> 28);
        v &= f.stored >= 32 ? UINT32_MAX : (1u << f.stored) - 1;
        if (f.sample == PIXEL_SIGNED && v >> (f.stored - 1) & 1) v |= ~((1u << f.stored) - 1);
        for (size_t b = 0; b < unit; b++) frame.bytes[i * unit + b] = (uint8_t)(v >> (8 * b));
    }
    return frame;
}

static int decode(const char *uid, const pixel_format *f, const void *p, size_t n, pixel_frame *out, gn_error *e) {
    return pixel_decode(dicom_transfer_syntax_find(uid), f, p, n, 0, NULL, out, e);
}

/* Are the stored bits equal? Bits above may have been the sign. */
static bool equal_values(const pixel_frame *a, const pixel_frame *b) {
    size_t unit = a->format.allocated / 8u;
    uint32_t mask = a->format.stored >= 32 ? UINT32_MAX : (1u << a->format.stored) - 1;
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i += unit) {
        uint32_t x = 0, y = 0;
        for (size_t k = 0; k < unit; k++) x |= (uint32_t)a->bytes[i + k] << (8 * k), y |= (uint32_t)b->bytes[i + k] << (8 * k);
        if ((x ^ y) & mask) return false;
    }
    return true;
}

static void round_trip(const char *uid, pixel_format f) {
    gn_error e = GN_ERROR_INIT;
    pixel_frame frame = picture(f), back = { 0 };
    gn_buf encoded = GN_BUF_INIT;
    int rc = pixel_encode(uid, &frame, NULL, &encoded, &e);
    if (!rc) rc = decode(uid, &f, encoded.p, encoded.n, &back, &e);
    if (rc || !equal_values(&frame, &back)) {
        fprintf(stderr, "%s %ux%u %u samples %u/%u %d: %s\n", uid, f.columns, f.rows, f.samples, f.allocated, f.stored, (int)f.sample, e.message);
        CHECK(!"samples come back");
    }
    gn_buf_done(&encoded);
    pixel_frame_done(&frame);
    pixel_frame_done(&back);
}

TEST(lossless_encoders_give_the_samples_back) {
    static const struct { uint16_t allocated, stored; } bits[] = { { 8, 8 }, { 8, 7 }, { 16, 8 }, { 16, 10 }, { 16, 12 }, { 16, 16 } };
    static const struct { uint32_t rows, columns; } sizes[] = { { 1, 1 }, { 1, 9 }, { 7, 1 }, { 33, 17 }, { 64, 64 }, { 130, 67 } };
    for (size_t u = 0; u < GN_ARRAY_LEN(lossless); u++)
        for (size_t b = 0; b < GN_ARRAY_LEN(bits); b++)
            for (size_t s = 0; s < GN_ARRAY_LEN(sizes); s++)
                for (int kind = 0; kind < 4; kind++)
                    round_trip(lossless[u], format(sizes[s].rows, sizes[s].columns, kind & 1 ? 3 : 1, bits[b].allocated, bits[b].stored,
                                                   kind & 2 ? PIXEL_SIGNED : PIXEL_UNSIGNED));
}

TEST(bits_above_high_bit_are_kept_when_they_mean_something) {
    for (size_t u = 0; u < GN_ARRAY_LEN(lossless); u++) {
        pixel_format f = format(8, 8, 1, 16, 12, PIXEL_UNSIGNED);
        pixel_frame frame = picture(f), back = { 0 };
        gn_buf encoded = GN_BUF_INIT;
        frame.bytes[11] |= 0x80; /* an overlay in bit 15 */
        REQUIRE(pixel_encode(lossless[u], &frame, NULL, &encoded, NULL) == 0);
        REQUIRE(decode(lossless[u], &f, encoded.p, encoded.n, &back, NULL) == 0);
        CHECK_MEM2(back.bytes, back.n, frame.bytes, frame.n);
        gn_buf_done(&encoded);
        pixel_frame_done(&frame);
        pixel_frame_done(&back);
    }
}

TEST(ycbcr_samples_are_not_transformed) {
    for (size_t u = 0; u < GN_ARRAY_LEN(lossless); u++) {
        pixel_format f = format(20, 20, 3, 8, 8, PIXEL_UNSIGNED);
        f.photometric = PIXEL_YBR_FULL;
        round_trip(lossless[u], f);
    }
}

static int largest_difference(const pixel_frame *a, const pixel_frame *b) {
    int most = 0;
    for (size_t i = 0; i < a->n && i < b->n; i++) most = abs(a->bytes[i] - b->bytes[i]) > most ? abs(a->bytes[i] - b->bytes[i]) : most;
    return most;
}

TEST(lossy_encoders_stay_near) {
    static const struct { const char *uid; pixel_encode_options o; int within; } cases[] = {
        { TS ".4.50", { .quality = 95 }, 24 }, { TS ".4.81", { .near = 2 }, 2 }, { TS ".4.91", { .ratio = 5 }, 24 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        pixel_format f = format(64, 48, 1, 8, 8, PIXEL_UNSIGNED);
        pixel_frame frame = picture(f), back = { 0 };
        gn_buf encoded = GN_BUF_INIT;
        REQUIRE(pixel_encode(cases[i].uid, &frame, &cases[i].o, &encoded, NULL) == 0);
        CHECK(encoded.n < frame.n);
        REQUIRE(decode(cases[i].uid, &f, encoded.p, encoded.n, &back, NULL) == 0);
        CHECK(back.n == frame.n && largest_difference(&frame, &back) <= cases[i].within);
        gn_buf_done(&encoded);
        pixel_frame_done(&frame);
        pixel_frame_done(&back);
    }
}

TEST(options_out_of_range_are_refused) {
    static const struct { const char *uid; pixel_encode_options o; } bad[] = {
        { TS ".4.50", { .quality = 101 } }, { TS ".4.81", { .near = 128 } }, { TS ".4.81", { .near = 256 } }, { TS ".4.91", { .ratio = -1 } } };
    pixel_frame frame = picture(format(8, 8, 1, 8, 8, PIXEL_UNSIGNED));
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        gn_buf encoded = GN_BUF_INIT;
        CHECK_INT(pixel_encode(bad[i].uid, &frame, &bad[i].o, &encoded, NULL), GN_E_INVALID);
        CHECK_INT(encoded.n, 0);
        gn_buf_done(&encoded);
    }
    pixel_frame_done(&frame);
}

TEST(what_cannot_be_encoded_is_refused) {
    static const char *const all[] = { TS ".5", TS ".4.50", TS ".4.80", TS ".4.81", TS ".4.90", TS ".4.91", TS ".4.201", TS ".4.202" };
    for (size_t u = 0; u < GN_ARRAY_LEN(all); u++) {
        gn_buf encoded = GN_BUF_INIT;
        pixel_frame frame = picture(format(4, 4, 1, 32, 32, PIXEL_UNSIGNED));
        CHECK(pixel_can_encode(all[u]));
        frame.format.sample = PIXEL_FLOAT;
        CHECK_INT(pixel_encode(all[u], &frame, NULL, &encoded, NULL), GN_E_UNSUPPORTED);
        frame.format.sample = PIXEL_UNSIGNED;
        frame.n -= 4; /* less than the format says */
        CHECK_INT(pixel_encode(all[u], &frame, NULL, &encoded, NULL), GN_E_INVALID);
        gn_buf_done(&encoded);
        pixel_frame_done(&frame);
    }
    CHECK(!pixel_can_encode(TS ".4.51") && !pixel_can_encode(TS ".4.70") && !pixel_can_encode("1.2.3"));
    CHECK(pixel_can_decode(TS ".4.51") && pixel_can_decode(TS ".4.203") && !pixel_can_decode(TS ".4.100"));
}

static const char *const compressed[] = { TS ".5", TS ".4.50", TS ".4.80", TS ".4.90", TS ".4.201", TS ".4.202" };

TEST(T10_codestream_of_another_size_or_depth) {
    static const struct { int rows, columns, samples, allocated; } change[] = {
        { 1, 0, 0, 0 }, { -1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, -1, 0, 0 }, { 0, 0, 2, 0 }, { 30000, 30000, 0, 0 }, { -15, -15, 0, 0 } };
    for (size_t u = 1; u < GN_ARRAY_LEN(compressed); u++) /* RLE has no header to compare; its segments tell, see test_rle.c */
        for (size_t c = 0; c < GN_ARRAY_LEN(change); c++) {
            gn_error e = GN_ERROR_INIT;
            pixel_format f = format(16, 16, 1, 8, 8, PIXEL_UNSIGNED);
            pixel_frame frame = picture(f), back = { 0 };
            gn_buf encoded = GN_BUF_INIT;
            REQUIRE(pixel_encode(compressed[u], &frame, NULL, &encoded, NULL) == 0);
            f.rows = (uint32_t)((int)f.rows + change[c].rows), f.columns = (uint32_t)((int)f.columns + change[c].columns);
            f.samples = (uint16_t)(f.samples + change[c].samples);
            int rc = decode(compressed[u], &f, encoded.p, encoded.n, &back, &e);
            CHECK(rc == GN_E_INVALID || rc == GN_E_TOO_LARGE);
            CHECK(back.bytes == NULL);
            gn_buf_done(&encoded);
            pixel_frame_done(&frame);
        }
}

TEST(T10_codestream_deeper_than_bits_allocated) {
    static const char *const uids[] = { TS ".4.80", TS ".4.90", TS ".4.201" };
    for (size_t u = 0; u < GN_ARRAY_LEN(uids); u++) {
        gn_error e = GN_ERROR_INIT;
        pixel_frame frame = picture(format(16, 16, 1, 16, 12, PIXEL_UNSIGNED)), back = { 0 };
        pixel_format shallow = format(16, 16, 1, 8, 8, PIXEL_UNSIGNED);
        gn_buf encoded = GN_BUF_INIT;
        REQUIRE(pixel_encode(uids[u], &frame, NULL, &encoded, NULL) == 0);
        CHECK_INT(decode(uids[u], &shallow, encoded.p, encoded.n, &back, &e), GN_E_INVALID);
        CHECK(strstr(e.message, "12 bits") != NULL);
        gn_buf_done(&encoded);
        pixel_frame_done(&frame);
    }
}

TEST(T10_truncation_at_each_byte) {
    for (size_t u = 0; u < GN_ARRAY_LEN(compressed); u++) {
        pixel_format f = format(24, 20, 1, 8, 8, PIXEL_UNSIGNED);
        pixel_frame frame = picture(f), whole = { 0 };
        gn_buf encoded = GN_BUF_INIT;
        unsigned same = 0, other = 0;
        REQUIRE(pixel_encode(compressed[u], &frame, NULL, &encoded, NULL) == 0);
        REQUIRE(decode(compressed[u], &f, encoded.p, encoded.n, &whole, NULL) == 0);
        for (size_t n = 0; n < encoded.n; n++) {
            pixel_frame back = { 0 };
            uint8_t *exact = malloc(n ? n : 1);
            REQUIRE(exact != NULL);
            memcpy(exact, encoded.p, n);
            if (decode(compressed[u], &f, exact, n, &back, NULL) == 0) {
                if (back.n == whole.n && memcmp(back.bytes, whole.bytes, whole.n) == 0) same++;
                else other++;
            }
            pixel_frame_done(&back);
            free(exact);
        }
        if (same > 3 || other) fprintf(stderr, "%s: %zu bytes, %u whole, %u other\n", compressed[u], encoded.n, same, other);
        CHECK_INT(other, 0);
        gn_buf_done(&encoded);
        pixel_frame_done(&frame);
        pixel_frame_done(&whole);
    }
}

TEST(T10_other_streams_under_a_wrong_syntax) {
    for (size_t a = 0; a < GN_ARRAY_LEN(compressed); a++)
        for (size_t b = 0; b < GN_ARRAY_LEN(compressed); b++) {
            pixel_format f = format(16, 16, 1, 8, 8, PIXEL_UNSIGNED);
            pixel_frame frame = picture(f), back = { 0 };
            gn_buf encoded = GN_BUF_INIT;
            bool related = a == b || (a >= 3 && b >= 3); /* HTJ2K and JPEG 2000 tell themselves apart */
            REQUIRE(pixel_encode(compressed[a], &frame, NULL, &encoded, NULL) == 0);
            CHECK((decode(compressed[b], &f, encoded.p, encoded.n, &back, NULL) == 0) == related);
            gn_buf_done(&encoded);
            pixel_frame_done(&frame);
            pixel_frame_done(&back);
        }
}

/* A JPEG header for a progressive picture, and as many empty scans as asked for. */
TEST(T10_thousands_of_progressive_scans) {
    static const uint8_t head[] = { 0xFF, 0xD8, 0xFF, 0xC2, 0, 11, 8, 0x40, 0, 0x40, 0, 1, 1, 0x11, 0 }, scan[] = { 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0 };
    gn_error e = GN_ERROR_INIT;
    gn_buf b = GN_BUF_INIT;
    pixel_frame out = { 0 };
    pixel_format f = format(0x4000, 0x4000, 1, 8, 8, PIXEL_UNSIGNED);
    gn_buf_append(&b, head, sizeof head);
    for (int i = 0; i < 80000; i++) gn_buf_append(&b, scan, sizeof scan);
    CHECK_INT(decode(TS ".4.51", &f, b.p, b.n, &out, &e), GN_E_TOO_LARGE);
    CHECK(strstr(e.message, "scans") != NULL);
    gn_buf_done(&b);
}

TEST(T10_jpeg2000_with_millions_of_tiles) {
    gn_error e = GN_ERROR_INIT;
    uint8_t siz[64] = { 0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0 };
    uint32_t v[8] = { 4096, 4096, 0, 0, 1, 1, 0, 0 };
    pixel_frame out = { 0 };
    pixel_format f = format(4096, 4096, 1, 8, 8, PIXEL_UNSIGNED);
    for (size_t i = 0; i < 8; i++) siz[8 + 4 * i + 2] = (uint8_t)(v[i] >> 8), siz[8 + 4 * i + 3] = (uint8_t)v[i];
    siz[41] = 1, siz[42] = 7, siz[43] = 1, siz[44] = 1;
    CHECK_INT(decode(TS ".4.90", &f, siz, sizeof siz, &out, &e), GN_E_TOO_LARGE);
    CHECK(strstr(e.message, "tiles") != NULL);
}

TEST(htj2k_rpcl_has_a_tile_length_marker_and_a_small_first_resolution) {
    pixel_frame frame = picture(format(300, 4500, 1, 16, 12, PIXEL_UNSIGNED));
    gn_buf encoded = GN_BUF_INIT;
    bool tlm = false;
    REQUIRE(pixel_encode(TS ".4.202", &frame, NULL, &encoded, NULL) == 0);
    gn_reader r = gn_reader_of(encoded.p, encoded.n);
    (void)gn_read_be16(&r);
    for (uint16_t m; (m = gn_read_be16(&r)) != 0xFF90 && !r.failed;) {
        uint16_t length = gn_read_be16(&r);
        const uint8_t *p = gn_read_bytes(&r, length - 2u);
        REQUIRE(p != NULL);
        if (m == 0xFF55) {
            tlm = true;
            CHECK_INT(gn_load_be32(p + 3) + 2, encoded.n - (size_t)(p + 7 - encoded.p));
        }
        if (m == 0xFF52) {
            CHECK_INT(p[1], 2);            /* RPCL */
            CHECK(4500u >> p[5] <= 64);    /* number of decompositions */
        }
    }
    CHECK(tlm);
    gn_buf_done(&encoded);
    pixel_frame_done(&frame);
}

TEST(no_memory_is_an_error_in_every_codec) {
    for (size_t u = 0; u < GN_ARRAY_LEN(compressed); u++) {
        pixel_format f = format(16, 16, 1, 8, 8, PIXEL_UNSIGNED);
        pixel_frame frame = picture(f);
        gn_buf encoded = GN_BUF_INIT;
        REQUIRE(pixel_encode(compressed[u], &frame, NULL, &encoded, NULL) == 0);
        for (unsigned nth = 1; nth < 4; nth++) {
            gn_error e = GN_ERROR_INIT;
            pixel_frame back = { 0 };
            check_fail_alloc(nth);
            int rc = decode(compressed[u], &f, encoded.p, encoded.n, &back, &e);
            unsigned failures = check_failed_allocs();
            check_fail_alloc(0);
            CHECK(failures ? rc == GN_E_NO_MEMORY && back.bytes == NULL : rc == 0);
            pixel_frame_done(&back);
        }
        gn_buf_done(&encoded);
        pixel_frame_done(&frame);
    }
}
