/* test_image: the picture files that a browser gets: PNG read back by a small reader here, JPEG by the decoder. */
#include "check.h"
#include "pixel/pixel.h"

#include <stdlib.h>
#include <zlib.h>

/* Undoes the filters None, Sub and Up; false: not a PNG of this shape. */
static bool read_png(const gn_buf *b, const pixel_image *like, uint8_t *pixels) {
    gn_reader r = gn_reader_of(b->p, b->n);
    size_t pitch = (size_t)like->width * like->channels, raw_size = (pitch + 1) * like->height;
    uLongf size = raw_size;
    uint8_t *raw = malloc(raw_size);
    const uint8_t *magic = gn_read_bytes(&r, 8);
    bool ok = raw && magic && memcmp(magic, "\x89PNG\r\n\x1a\n", 8) == 0, end = false;
    while (ok && !end && !r.failed) {
        uint32_t n = gn_read_be32(&r);
        const uint8_t *type = gn_read_bytes(&r, 4), *data = gn_read_bytes(&r, n);
        uint32_t crc = gn_read_be32(&r);
        ok = type && data && crc == crc32(0, type, n + 4);
        if (ok && memcmp(type, "IHDR", 4) == 0) ok = gn_load_be32(data) == like->width && gn_load_be32(data + 4) == like->height && data[8] == 8 && data[9] == (like->channels == 3 ? 2 : 0);
        if (ok && memcmp(type, "IDAT", 4) == 0) ok = uncompress(raw, &size, data, n) == Z_OK && size == raw_size;
        end = ok && memcmp(type, "IEND", 4) == 0;
    }
    ok = ok && end && gn_reader_left(&r) == 0;
    for (size_t y = 0; ok && y < like->height; y++)
        for (size_t x = 0; x < pitch; x++) {
            const uint8_t *row = raw + y * (pitch + 1);
            uint8_t add = row[0] == 1 ? (x >= like->channels ? pixels[y * pitch + x - like->channels] : 0) : row[0] == 2 ? (y ? pixels[(y - 1) * pitch + x] : 0) : 0;
            pixels[y * pitch + x] = (uint8_t)(row[1 + x] + add);
        }
    free(raw);
    return ok;
}

static pixel_image picture(uint32_t width, uint32_t height, uint16_t channels) {
    pixel_image i = { width, height, channels, malloc((size_t)width * height * channels) };
    for (size_t k = 0; i.bytes && k < (size_t)width * height * channels; k++) i.bytes[k] = (uint8_t)(k / channels % width + k / channels / width + k % channels * 60);
    return i;
}

TEST(png_gives_the_picture_back) {
    static const struct { uint32_t width, height; uint16_t channels; } shapes[] = { { 1, 1, 1 }, { 3, 2, 3 }, { 640, 480, 1 }, { 300, 500, 3 }, { 1, 2000, 1 }, { 2000, 1, 3 } };
    for (size_t s = 0; s < GN_ARRAY_LEN(shapes); s++) {
        pixel_image i = picture(shapes[s].width, shapes[s].height, shapes[s].channels);
        gn_buf b = GN_BUF_INIT;
        size_t n = (size_t)i.width * i.height * i.channels;
        uint8_t *back = malloc(n);
        REQUIRE(pixel_image_png(&i, &b, NULL) == 0 && back);
        CHECK(read_png(&b, &i, back));
        CHECK_MEM(back, i.bytes, n);
        free(back);
        gn_buf_done(&b);
        pixel_image_done(&i);
    }
}

TEST(jpeg_stays_near) {
    for (uint16_t channels = 1; channels <= 3; channels += 2) {
        pixel_image i = picture(64, 48, channels);
        gn_buf b = GN_BUF_INIT;
        pixel_frame back = { 0 };
        pixel_format f = { .rows = 48, .columns = 64, .samples = channels, .allocated = 8, .stored = 8, .high_bit = 7, .photometric = channels == 3 ? PIXEL_RGB : PIXEL_MONOCHROME2 };
        REQUIRE(pixel_image_jpeg(&i, 95, &b, NULL) == 0);
        CHECK(memcmp(b.p + 6, "JFIF", 4) == 0);
        REQUIRE(pixel_decode(dicom_transfer_syntax_find("1.2.840.10008.1.2.4.50"), &f, b.p, b.n, 0, NULL, &back, NULL) == 0);
        int most = 0;
        for (size_t k = 0; k < back.n; k++) most = abs(back.bytes[k] - i.bytes[k]) > most ? abs(back.bytes[k] - i.bytes[k]) : most;
        CHECK(most < 20);
        pixel_frame_done(&back);
        gn_buf_done(&b);
        pixel_image_done(&i);
    }
}

TEST(T11_quality_and_shapes_that_are_refused) {
    pixel_image i = picture(4, 4, 1);
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(pixel_image_jpeg(&i, 101, &b, NULL), GN_E_INVALID);
    CHECK_INT(pixel_image_jpeg(&i, (unsigned)-1, &b, NULL), GN_E_INVALID);
    i.channels = 2;
    CHECK_INT(pixel_image_png(&i, &b, NULL), GN_E_INVALID);
    CHECK_INT(b.n, 0);
    pixel_image_done(&i);
    i = (pixel_image){ 70000, 1, 1, NULL };
    CHECK_INT(pixel_image_jpeg(&i, 90, &b, NULL), GN_E_TOO_LARGE);
    gn_buf_done(&b);
}

TEST(no_memory_for_a_png) {
    pixel_image i = picture(40, 40, 1);
    for (unsigned nth = 1; nth < 4; nth++) {
        gn_buf b = GN_BUF_INIT;
        check_fail_alloc(nth);
        int rc = pixel_image_png(&i, &b, NULL);
        unsigned failed = check_failed_allocs();
        check_fail_alloc(0);
        CHECK(failed ? rc == GN_E_NO_MEMORY : rc == 0);
        gn_buf_done(&b);
    }
    pixel_image_done(&i);
}
