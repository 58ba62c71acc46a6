/* decode: transfer syntaxes and their codecs (PS3.5 §10, Annex A), and the checks that all codecs have in common.
 *
 * pixel_decode is the one way from encoded bytes to samples, whether in this process or in a worker. Before a codec sees the
 * bytes, the size that the data set claims is compared with the caller's limits (T9). */
#include "internal.h"

#include <inttypes.h>

typedef struct codec {
    const char *uid;
    pixel_decoder decode;
    pixel_encoder encode; /* NULL: read only */
} codec;

#define TS "1.2.840.10008.1.2"
static const codec codecs[] = {
    { TS, pixel_native_decode, pixel_native_encode },
    { TS ".1", pixel_native_decode, pixel_native_encode },
    { TS ".1.99", pixel_native_decode, pixel_native_encode },
    { TS ".2", pixel_native_decode, pixel_native_encode },
    { TS ".5", pixel_rle_decode, pixel_rle_encode },
    { TS ".4.50", pixel_jpeg_decode, pixel_jpeg_encode },
    { TS ".4.51", pixel_jpeg_decode, NULL },
    { TS ".4.53", pixel_jpeg_decode, NULL }, /* retired processes, still met */
    { TS ".4.55", pixel_jpeg_decode, NULL },
    { TS ".4.57", pixel_jpeg_decode, NULL },
    { TS ".4.70", pixel_jpeg_decode, NULL },
    { TS ".4.80", pixel_jpegls_decode, pixel_jpegls_encode },
    { TS ".4.81", pixel_jpegls_decode, pixel_jpegls_encode },
    { TS ".4.90", pixel_j2k_decode, pixel_j2k_encode },
    { TS ".4.91", pixel_j2k_decode, pixel_j2k_encode },
    { TS ".4.92", pixel_j2k_decode, NULL },
    { TS ".4.93", pixel_j2k_decode, NULL },
    { TS ".4.201", pixel_j2k_decode, pixel_htj2k_encode },
    { TS ".4.202", pixel_j2k_decode, pixel_htj2k_encode },
    { TS ".4.203", pixel_j2k_decode, NULL },

};
#undef TS

static const codec *find(const char *uid) {
    for (size_t i = 0; i < GN_ARRAY_LEN(codecs); i++)
        if (strcmp(codecs[i].uid, uid) == 0) return &codecs[i];
    return NULL;
}

bool pixel_can_decode(const char *uid) { return find(uid) != NULL; }

bool pixel_can_encode(const char *uid) {
    const codec *c = find(uid);
    return c && c->encode;
}

static int check_limits(const pixel_format *f, const pixel_limits *limits, uint64_t *max_bytes, gn_error *e) {
    uint32_t megapixels = limits && limits->max_megapixels ? limits->max_megapixels : 500;
    uint64_t pixels = (uint64_t)f->rows * f->columns, bytes;
    *max_bytes = limits && limits->max_frame_bytes ? limits->max_frame_bytes : (uint64_t)1 << 30;
    if (f->samples < 1 || f->samples > 4 || f->stored < 1 || f->stored > f->allocated || f->high_bit >= f->allocated)
        return gn_fail(e, GN_E_INVALID, "the format of the frame is not valid");
    if (pixels > (uint64_t)megapixels * 1000000u)
        return gn_fail(e, GN_E_TOO_LARGE, "a frame of %" PRIu32 " x %" PRIu32 " is above the limit of %" PRIu32 " megapixels", f->columns, f->rows, megapixels);
    return pixel_frame_bytes(f, *max_bytes, &bytes, e);
}

/* Pixel data of native encoding stands in implicit little endian whatever the syntax is called; a private syntax is unknown. */
int pixel_decode(const dicom_transfer_syntax *ts, const pixel_format *f, const void *encoded, size_t n, unsigned bit_offset,
                 const pixel_limits *limits, pixel_frame *out, gn_error *e) {
    pixel_job job = { encoded, n, bit_offset, f, ts, 0 };
    const codec *c = find(ts->uid);
    if (!c) return gn_fail(e, GN_E_UNSUPPORTED, "pixel data of transfer syntax %s", ts->uid);
    int rc = check_limits(f, limits, &job.max_bytes, e);
    if (rc) return rc;
    if (n == 0) return gn_fail(e, GN_E_TRUNCATED, "the frame is empty");
    if (c->decode != pixel_native_decode && bit_offset) return gn_fail(e, GN_E_INVALID, "a bit offset in compressed data");
    pixel_frame frame = { 0 };
    if ((rc = c->decode(&job, &frame, e)) != 0) return rc;
    *out = frame;
    return 0;
}

int pixel_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e) {
    static const pixel_encode_options defaults = { 0 };
    const codec *c = find(uid);
    if (!c || !c->encode) return gn_fail(e, GN_E_UNSUPPORTED, "encoding as transfer syntax %s", uid);
    size_t start = out->n;
    int rc = c->encode(uid, frame, o ? o : &defaults, out, e);
    if (rc) {
        out->n = start;
        return rc;
    }
    return 0;
}
