/* image: pictures as files for a browser: JPEG (JFIF) and PNG (ISO 15948).
 *
 * The PNG writer is made for speed on one thread: a fast zlib level, and for each row the better of two filters, which is what
 * medical pictures gain most from. */
#include "display.h"

#include <stdlib.h>
#include <zlib.h>

int pixel_image_jpeg(const pixel_image *i, unsigned quality, gn_buf *out, gn_error *e) {
    pixel_frame frame = { { .rows = i->height, .columns = i->width, .samples = i->channels, .allocated = 8, .stored = 8, .high_bit = 7,
                            .photometric = i->channels == 3 ? PIXEL_RGB : PIXEL_MONOCHROME2 },
                          i->bytes, (size_t)i->width * i->height * i->channels };
    pixel_encode_options o = { .quality = quality };
    if (i->width > 65500 || i->height > 65500) return gn_fail(e, GN_E_TOO_LARGE, "JPEG pictures have at most 65,500 pixels a side");
    return pixel_encode("1.2.840.10008.1.2.4.50", &frame, &o, out, e);
}

/* ---- PNG --------------------------------------------------------------------------------------------------------------- */

static void put_chunk(gn_buf *out, const char *type, const uint8_t *p, size_t n) {
    gn_buf_be32(out, (uint32_t)n);
    size_t start = out->n;
    gn_buf_append(out, type, 4);
    gn_buf_append(out, p, n);
    if (!out->failed) gn_buf_be32(out, (uint32_t)crc32(0, out->p + start, (uInt)(n + 4)));
}

/* Filters Sub (1) and Up (2) of one row; the one with the smaller sum of differences is taken. Returns the row with its type. */
static const uint8_t *filter_row(const uint8_t *row, const uint8_t *above, size_t n, unsigned step, uint8_t *sub, uint8_t *up) {
    unsigned long long sum_sub = 0, sum_up = 0;
    sub[0] = 1;
    up[0] = 2;
    for (size_t i = 0; i < n; i++) {
        uint8_t a = (uint8_t)(row[i] - (i >= step ? row[i - step] : 0)), b = (uint8_t)(row[i] - (above ? above[i] : 0));
        sub[i + 1] = a;
        up[i + 1] = b;
        sum_sub += (unsigned)abs((int8_t)a);
        sum_up += (unsigned)abs((int8_t)b);
    }
    return sum_sub <= sum_up ? sub : up;
}

static int deflate_rows(const pixel_image *i, z_stream *z, uint8_t *scratch, gn_buf *to) {
    size_t pitch = (size_t)i->width * i->channels;
    const uint8_t *above = NULL;
    for (uint32_t y = 0; y < i->height; y++) {
        const uint8_t *row = i->bytes + y * pitch;
        z->next_in = (Bytef *)(uintptr_t)filter_row(row, above, pitch, i->channels, scratch, scratch + pitch + 1);
        z->avail_in = (uInt)(pitch + 1);
        above = row;
        int flush = y + 1 == i->height ? Z_FINISH : Z_NO_FLUSH, rc;
        do {
            uint8_t *room = gn_buf_reserve(to, 65536);
            if (!room) return GN_E_NO_MEMORY;
            z->next_out = room;
            z->avail_out = 65536;
            rc = deflate(z, flush);
            to->n += 65536 - z->avail_out;
            if (rc == Z_STREAM_ERROR) return GN_E_INTERNAL;
        } while (z->avail_out == 0 || (flush == Z_FINISH && rc != Z_STREAM_END));
    }
    return 0;
}

static int compress_image(const pixel_image *i, gn_buf *to, gn_error *e) {
    z_stream z = { 0 };
    size_t pitch = (size_t)i->width * i->channels;
    uint8_t *scratch = malloc(2 * (pitch + 1));
    if (!scratch || deflateInit2(&z, 1, Z_DEFLATED, 15, 8, Z_FILTERED) != Z_OK) {
        free(scratch);
        return gn_fail(e, GN_E_NO_MEMORY, "no memory for a PNG picture");
    }
    int rc = deflate_rows(i, &z, scratch, to);
    deflateEnd(&z);
    free(scratch);
    return rc ? gn_fail(e, rc, "the PNG picture cannot be compressed") : 0;
}

int pixel_image_png(const pixel_image *i, gn_buf *out, gn_error *e) {
    uint8_t header[13] = { 0 };
    gn_buf data = GN_BUF_INIT;
    if (i->width < 1 || i->height < 1 || (i->channels != 1 && i->channels != 3)) return gn_fail(e, GN_E_INVALID, "a picture of that shape");
    int rc = compress_image(i, &data, e);
    if (!rc) {
        header[0] = (uint8_t)(i->width >> 24), header[1] = (uint8_t)(i->width >> 16), header[2] = (uint8_t)(i->width >> 8), header[3] = (uint8_t)i->width;
        header[4] = (uint8_t)(i->height >> 24), header[5] = (uint8_t)(i->height >> 16), header[6] = (uint8_t)(i->height >> 8), header[7] = (uint8_t)i->height;
        header[8] = 8;
        header[9] = i->channels == 3 ? 2 : 0;
        gn_buf_append(out, "\x89PNG\r\n\x1a\n", 8);
        put_chunk(out, "IHDR", header, sizeof header);
        put_chunk(out, "IDAT", data.p, data.n);
        put_chunk(out, "IEND", NULL, 0);
        if (out->failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for a PNG picture");
    }
    gn_buf_done(&data);
    return rc;
}
