/* jpegls: JPEG-LS, lossless and near-lossless (PS3.5 §8.2.3, ISO 14495-1), by CharLS.
 *
 * Streams of one scan a component (interleave mode none) come out plane by plane and are put together here. Samples are bit
 * patterns: JPEG-LS knows no sign. CharLS refuses NEAR beyond MAXVAL / 2, and
 * streams that end early as long as they have an end marker. */
#include "internal.h"

#include <charls/charls.h>
#include <inttypes.h>
#include <stdlib.h>

static int failed(charls_jpegls_errc rc, gn_error *e) {
    int code = rc == CHARLS_JPEGLS_ERRC_SOURCE_BUFFER_TOO_SMALL ? GN_E_TRUNCATED : rc == CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY ? GN_E_NO_MEMORY : GN_E_INVALID;
    return gn_fail(e, code, "JPEG-LS: %s", charls_get_error_message(rc));
}

/* ---- decoding ---------------------------------------------------------------------------------------------------------- */

static charls_jpegls_errc read_header(charls_jpegls_decoder *d, const pixel_job *job, charls_frame_info *info, charls_interleave_mode *mode) {
    charls_jpegls_errc rc = charls_jpegls_decoder_set_source_buffer(d, job->bytes, job->n);
    if (!rc) rc = charls_jpegls_decoder_read_header(d);
    if (!rc) rc = charls_jpegls_decoder_get_frame_info(d, info);
    if (!rc) rc = charls_jpegls_decoder_get_interleave_mode(d, mode);
    return rc;
}

/* From samples as the library gives them (1 or 2 bytes) to those of the data set, planes put together. */
static void spread(const uint8_t *from, unsigned from_unit, bool planar, pixel_frame *out) {
    unsigned unit = pixel_sample_bytes(&out->format), samples = out->format.samples;
    size_t pixels = (size_t)out->format.rows * out->format.columns;
    for (size_t s = 0; s < samples; s++)
        for (size_t i = 0; i < pixels; i++) {
            size_t source = planar ? s * pixels + i : i * samples + s;
            memcpy(out->bytes + (i * samples + s) * unit, from + source * from_unit, from_unit); /* the rest is zero */
        }
}

static int decode_frame(charls_jpegls_decoder *d, unsigned from_unit, bool planar, pixel_frame *out, gn_error *e) {
    bool direct = from_unit == pixel_sample_bytes(&out->format) && !planar;
    size_t n = (size_t)pixel_sample_count(&out->format) * from_unit;
    uint8_t *to = direct ? out->bytes : calloc(1, n);
    if (!to) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a frame of %zu bytes", n);
    charls_jpegls_errc rc = charls_jpegls_decoder_decode_to_buffer(d, to, n, 0);
    if (!direct) {
        if (!rc) spread(to, from_unit, planar, out);
        free(to);
    }
    return rc ? failed(rc, e) : 0;
}

static int decode(charls_jpegls_decoder *d, const pixel_job *job, pixel_frame *out, gn_error *e) {
    charls_frame_info info;
    charls_interleave_mode mode;
    charls_jpegls_errc failure = read_header(d, job, &info, &mode);
    if (failure) return failed(failure, e);
    pixel_stream_info s = { "JPEG-LS", info.height, info.width, (uint32_t)info.component_count, (uint32_t)info.bits_per_sample };
    int rc = pixel_check_stream(job, &s, e);
    if (rc) return rc;
    pixel_format f = *job->format;
    f.planar = false;
    if (f.photometric == PIXEL_YBR_FULL_422 || f.photometric == PIXEL_YBR_PARTIAL_420) f.photometric = PIXEL_YBR_FULL;
    if ((rc = pixel_frame_new(&f, job->max_bytes, out, e)) != 0) return rc;
    bool planar = mode == CHARLS_INTERLEAVE_MODE_NONE && f.samples > 1;
    if ((rc = decode_frame(d, info.bits_per_sample <= 8 ? 1 : 2, planar, out, e)) != 0) pixel_frame_done(out);
    return rc;
}

/* Some encoders (met in files of NEMA's WG04) make the length even with a zero in front of the EOI, where the library wants the
 * marker. A copy without that zero; NULL: this stream is not such a one. */
static uint8_t *without_zero(const pixel_job *job, size_t *n) {
    size_t end = job->n;
    if (end > 0 && job->bytes[end - 1] == 0) end--;
    if (end < 5 || memcmp(job->bytes + end - 3, "\0\xFF\xD9", 3) != 0) return NULL;
    uint8_t *p = malloc(end - 1);
    if (!p) return NULL;
    memcpy(p, job->bytes, end - 3);
    p[end - 3] = 0xFF;
    p[end - 2] = 0xD9;
    *n = end - 1;
    return p;
}

/* The library can loop for ever in a stream without EOI. A copy with one; NULL with *n as it was: there is no memory. */
static uint8_t *with_end(const pixel_job *job, size_t *n) {
    uint8_t *p = malloc(job->n + 2);
    if (!p) return NULL;
    memcpy(p, job->bytes, job->n);
    p[job->n] = 0xFF;
    p[job->n + 1] = 0xD9;
    *n = job->n + 2;
    return p;
}

static bool has_end(const pixel_job *job) {
    size_t n = job->n;
    while (n > 0 && job->bytes[n - 1] == 0) n--;
    return n >= 2 && job->bytes[n - 2] == 0xFF && job->bytes[n - 1] == 0xD9;
}

static int decode_once(const pixel_job *job, pixel_frame *out, gn_error *e) {
    charls_jpegls_decoder *d = charls_jpegls_decoder_create();
    if (!d) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a JPEG-LS decoder");
    int rc = decode(d, job, out, e);
    charls_jpegls_decoder_destroy(d);
    return rc;
}

int pixel_jpegls_decode(const pixel_job *job, pixel_frame *out, gn_error *e) {
    gn_error first = GN_ERROR_INIT;
    pixel_job again = *job;
    uint8_t *copy = NULL;
    int rc;
    if (!has_end(job)) {
        if (!(copy = with_end(job, &again.n))) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a JPEG-LS stream");
        again.bytes = copy;
        rc = decode_once(&again, out, &first);
    } else if ((rc = decode_once(job, out, &first)) == GN_E_INVALID && (copy = without_zero(job, &again.n)) != NULL) {
        again.bytes = copy;
        rc = decode_once(&again, out, NULL);
    }
    free(copy);
    return rc ? gn_fail(e, rc, "%s", first.message) : 0;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------------- */

/* Samples as the library takes them: masked to `bits`, in 1 or 2 bytes. */
static uint8_t *masked(const pixel_frame *frame, unsigned bits, size_t *n) {
    unsigned unit = pixel_sample_bytes(&frame->format), to_unit = bits <= 8 ? 1 : 2;
    size_t count = frame->n / unit;
    uint32_t mask = pixel_mask(bits);
    uint8_t *p = malloc(count * to_unit);
    if (!p) return NULL;
    for (size_t i = 0; i < count; i++) {
        uint32_t v = pixel_load(frame->bytes + i * unit, unit) & mask;
        if (to_unit == 1) p[i] = (uint8_t)v;
        else gn_store_le16(p + 2 * i, (uint16_t)v);
    }
    *n = count * to_unit;
    return p;
}

static charls_jpegls_errc encode(charls_jpegls_encoder *c, const pixel_format *f, unsigned bits, unsigned near, const uint8_t *samples, size_t n, gn_buf *out) {
    charls_frame_info info = { f->columns, f->rows, (int32_t)bits, f->samples };
    size_t room = 0, written = 0;
    charls_jpegls_errc rc = charls_jpegls_encoder_set_frame_info(c, &info);
    if (!rc) rc = charls_jpegls_encoder_set_near_lossless(c, (int32_t)near);
    if (!rc && f->samples > 1) rc = charls_jpegls_encoder_set_interleave_mode(c, CHARLS_INTERLEAVE_MODE_LINE);
    if (!rc) rc = charls_jpegls_encoder_get_estimated_destination_size(c, &room);
    if (rc) return rc;
    room += room / 2 + 1024; /* noise grows a little beyond the estimate */
    uint8_t *to = gn_buf_reserve(out, room);
    if (!to) return CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY;
    rc = charls_jpegls_encoder_set_destination_buffer(c, to, room);
    if (!rc) rc = charls_jpegls_encoder_encode_from_buffer(c, samples, n, 0);
    if (!rc) rc = charls_jpegls_encoder_get_bytes_written(c, &written);
    if (!rc) out->n += written;
    return rc;
}

int pixel_jpegls_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e) {
    bool lossless = strcmp(uid, "1.2.840.10008.1.2.4.80") == 0;
    int rc = pixel_encode_check(frame, 1, 16, "JPEG-LS", e);
    if (rc) return rc;
    unsigned bits = pixel_precision(frame), near = lossless ? 0 : o->near;
    if (bits < 2) bits = 2;
    if (bits > 16) return gn_fail(e, GN_E_UNSUPPORTED, "JPEG-LS cannot hold samples of %u bits", bits);
    if (near > 255 || near > pixel_mask(bits) / 2) return gn_fail(e, GN_E_INVALID, "JPEG-LS NEAR is %u, too large for %u bits", near, bits);
    /* a sign bit makes neighbours far apart, and NEAR would turn -1 into a large positive value */
    if (near && frame->format.sample == PIXEL_SIGNED) return gn_fail(e, GN_E_UNSUPPORTED, "near-lossless JPEG-LS of signed samples");
    size_t n;
    uint8_t *samples = masked(frame, bits, &n);
    charls_jpegls_encoder *c = samples ? charls_jpegls_encoder_create() : NULL;
    charls_jpegls_errc failure = c ? encode(c, &frame->format, bits, near, samples, n, out) : CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY;
    if (c) charls_jpegls_encoder_destroy(c);
    free(samples);
    return failure ? failed(failure, e) : 0;
}
