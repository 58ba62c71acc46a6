/* format: what the data set says about its samples (PS3.3 C.7.6.3.1), and how large a frame is.
 *
 * Everything here comes from outside: each attribute must have its VR and one value in range, and all sizes are computed in
 * checked 64 bits before memory is taken (T9, CVE-2026-5442). Nothing in this file looks at pixel data. */
#include "internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- attributes -------------------------------------------------------------------------------------------------------- */

/* One US value in [low, high]. `absent` < 0: the attribute is required. */
static int us_between(const dicom_dataset *ds, dicom_tag tag, const char *name, int64_t low, int64_t high, int64_t absent, uint16_t *value, gn_error *e) {
    const dicom_element *el = dicom_dataset_find(ds, tag);
    int64_t v;
    if (!el || el->length == 0) {
        if (absent < 0) return gn_fail(e, GN_E_INVALID, "%s is missing", name);
        *value = (uint16_t)absent;
        return 0;
    }
    if (el->vr != DICOM_VR_US || el->length != 2 || !dicom_element_int(ds, el, 0, &v))
        return gn_fail(e, GN_E_INVALID, "%s is not one value of VR US", name);
    if (v < low || v > high)
        return gn_fail(e, GN_E_INVALID, "%s is %" PRId64 ", must be %" PRId64 " to %" PRId64, name, v, low, high);
    *value = (uint16_t)v;
    return 0;
}

static pixel_photometric photometric_of(const dicom_dataset *ds) {
    static const struct { const char *text; pixel_photometric value; } names[] = {
        { "MONOCHROME1", PIXEL_MONOCHROME1 }, { "MONOCHROME2", PIXEL_MONOCHROME2 }, { "PALETTE COLOR", PIXEL_PALETTE },
        { "RGB", PIXEL_RGB }, { "YBR_FULL", PIXEL_YBR_FULL }, { "YBR_FULL_422", PIXEL_YBR_FULL_422 },
        { "YBR_PARTIAL_420", PIXEL_YBR_PARTIAL_420 }, { "YBR_ICT", PIXEL_YBR_ICT }, { "YBR_RCT", PIXEL_YBR_RCT } };
    char text[17];
    dicom_dataset_ascii_into(ds, DICOM_TAG_PhotometricInterpretation, text, sizeof text);
    for (size_t i = 0; i < GN_ARRAY_LEN(names); i++)
        if (strcmp(text, names[i].text) == 0) return names[i].value;
    return PIXEL_OTHER;
}

/* The element that holds pixels decides whether they are integers (PS3.3 C.7.6.24, C.7.6.25 for the others). */
static const dicom_element *pixel_element(const dicom_dataset *ds, pixel_sample *sample, uint16_t *bits) {
    const dicom_element *el = dicom_dataset_find(ds, DICOM_TAG_PixelData);
    *bits = 0;
    if (el) return el;
    if ((el = dicom_dataset_find(ds, DICOM_TAG_FloatPixelData)) != NULL) *bits = 32;
    else if ((el = dicom_dataset_find(ds, DICOM_TAG_DoubleFloatPixelData)) != NULL) *bits = 64;
    if (el) *sample = PIXEL_FLOAT;
    return el;
}

static int read_bits(const dicom_dataset *ds, pixel_format *f, gn_error *e) {
    uint16_t representation = 0;
    int rc = us_between(ds, DICOM_TAG_BitsAllocated, "Bits Allocated", 1, 64, -1, &f->allocated, e);
    if (!rc) rc = us_between(ds, DICOM_TAG_BitsStored, "Bits Stored", 1, f->allocated, f->allocated, &f->stored, e);
    if (!rc) rc = us_between(ds, DICOM_TAG_HighBit, "High Bit", 0, f->allocated - 1, f->stored - 1, &f->high_bit, e);
    if (!rc) rc = us_between(ds, DICOM_TAG_PixelRepresentation, "Pixel Representation", 0, 1, 0, &representation, e);
    if (rc) return rc;
    if (f->high_bit + 1 < f->stored) f->high_bit = (uint16_t)(f->stored - 1); /* seen in the field; the bits cannot begin below 0 */
    f->sample = representation ? PIXEL_SIGNED : PIXEL_UNSIGNED;
    return 0;
}

static int check_photometric(const pixel_format *f, gn_error *e) {
    bool colour = f->photometric >= PIXEL_RGB && f->photometric <= PIXEL_YBR_RCT;
    if (f->photometric < PIXEL_RGB && f->samples != 1)
        return gn_fail(e, GN_E_INVALID, "Samples per Pixel is %u, but Photometric Interpretation has one", f->samples);
    if (colour && f->samples != 3)
        return gn_fail(e, GN_E_INVALID, "Samples per Pixel is %u, but Photometric Interpretation has three", f->samples);
    if ((f->photometric == PIXEL_YBR_FULL_422 && f->columns % 2) ||
        (f->photometric == PIXEL_YBR_PARTIAL_420 && (f->columns % 2 || f->rows % 2)))
        return gn_fail(e, GN_E_INVALID, "Columns is odd, but the Photometric Interpretation halves it");
    return 0;
}

int pixel_format_of(const dicom_dataset *ds, pixel_format *out, gn_error *e) {
    pixel_format f = { 0 };
    uint16_t rows = 0, columns = 0, planar = 0, real_bits;
    int rc = us_between(ds, DICOM_TAG_Rows, "Rows", 1, 65535, -1, &rows, e);
    if (!rc) rc = us_between(ds, DICOM_TAG_Columns, "Columns", 1, 65535, -1, &columns, e);
    if (!rc) rc = us_between(ds, DICOM_TAG_SamplesPerPixel, "Samples per Pixel", 1, 4, 1, &f.samples, e);
    if (!rc) rc = us_between(ds, DICOM_TAG_PlanarConfiguration, "Planar Configuration", 0, 1, 0, &planar, e);
    if (rc) return rc;
    const dicom_element *pixels = pixel_element(ds, &f.sample, &real_bits);
    if (real_bits) f.allocated = f.stored = real_bits;
    else rc = read_bits(ds, &f, e);
    if (rc) return rc;
    if (real_bits) f.high_bit = (uint16_t)(real_bits - 1);
    if (f.samples == 2) return gn_fail(e, GN_E_INVALID, "Samples per Pixel is 2, must be 1, 3 or 4");
    f.rows = rows;
    f.columns = columns;
    f.planar = planar && f.samples > 1;
    f.photometric = photometric_of(ds);
    f.swapped_bytes = ds->big_endian && pixels && pixels->vr == DICOM_VR_OW && f.allocated <= 8;
    if ((rc = check_photometric(&f, e)) != 0) return rc;
    *out = f;
    return 0;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------------- */

unsigned pixel_sample_bytes(const pixel_format *f) {
    if (f->allocated == 1) return 1;
    return f->allocated % 8 == 0 ? f->allocated / 8u : 0;
}

int pixel_frame_bytes(const pixel_format *f, uint64_t limit, uint64_t *bytes, gn_error *e) {
    uint64_t n = 0;
    if (f->rows < 1 || f->columns < 1 || f->samples < 1 || f->allocated < 1 || f->allocated > 64)
        return gn_fail(e, GN_E_INVALID, "the size of a frame cannot be computed");
    if (!gn_mul_u64(f->rows, f->columns, &n) || !gn_mul_u64(n, f->samples, &n) ||
        !gn_mul_u64(n, f->allocated == 1 ? 8 : f->allocated, &n))
        return gn_fail(e, GN_E_TOO_LARGE, "a frame is too large");
    if (f->photometric == PIXEL_YBR_FULL_422) n = n / 3 * 2;
    else if (f->photometric == PIXEL_YBR_PARTIAL_420) n = n / 2;
    n = n / 8 + (n % 8 != 0);
    if (n > (limit ? limit : (uint64_t)1 << 30) || n > SIZE_MAX)
        return gn_fail(e, GN_E_TOO_LARGE, "a frame of %" PRIu32 " x %" PRIu32 " has %" PRIu64 " bytes, above the limit", f->columns, f->rows, n);
    *bytes = n;
    return 0;
}

/* ---- frames ------------------------------------------------------------------------------------------------------------ */

int pixel_frame_new(const pixel_format *format, uint64_t limit, pixel_frame *out, gn_error *e) {
    uint64_t n = 0;
    int rc = pixel_frame_bytes(format, limit, &n, e);
    if (rc) return rc;
    if (n == 0) return gn_fail(e, GN_E_INVALID, "a frame without bytes");
    uint8_t *bytes = calloc(1, (size_t)n); /* zeroed: what a codec leaves out is never old memory */
    if (!bytes) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a frame of %" PRIu64 " bytes", n);
    out->format = *format;
    out->bytes = bytes;
    out->n = (size_t)n;
    return 0;
}

void pixel_frame_done(pixel_frame *f) {
    if (!f) return;
    free(f->bytes);
    f->bytes = NULL;
    f->n = 0;
}

int pixel_check_stream(const pixel_job *job, const pixel_stream_info *s, gn_error *e) {
    const pixel_format *f = job->format;
    if (s->rows != f->rows || s->columns != f->columns)
        return gn_fail(e, GN_E_INVALID, "the %s stream is %" PRIu32 " x %" PRIu32 ", the data set says %" PRIu32 " x %" PRIu32, s->codec,
                       s->columns, s->rows, f->columns, f->rows);
    if (s->components != f->samples)
        return gn_fail(e, GN_E_INVALID, "the %s stream has %" PRIu32 " components, the data set %u samples", s->codec, s->components, f->samples);
    if (f->sample == PIXEL_FLOAT) return gn_fail(e, GN_E_INVALID, "float samples cannot be %s", s->codec);
    if (f->allocated % 8) return gn_fail(e, GN_E_UNSUPPORTED, "Bits Allocated %u with %s", f->allocated, s->codec);
    if (s->precision < 1 || s->precision > f->allocated)
        return gn_fail(e, GN_E_INVALID, "the %s stream has %" PRIu32 " bits, Bits Allocated is %u", s->codec, s->precision, f->allocated);
    return 0;
}

void pixel_interleave(const uint8_t *planar, uint8_t *interleaved, size_t count, unsigned planes, unsigned unit) {
    for (unsigned p = 0; p < planes; p++) {
        const uint8_t *from = planar + (size_t)p * count * unit;
        uint8_t *to = interleaved + (size_t)p * unit;
        if (unit == 1)
            for (size_t i = 0; i < count; i++) to[i * planes] = from[i];
        else
            for (size_t i = 0; i < count; i++) memcpy(to + i * planes * unit, from + i * unit, unit);
    }
}

void pixel_deinterleave(const uint8_t *interleaved, uint8_t *planar, size_t count, unsigned planes, unsigned unit) {
    for (unsigned p = 0; p < planes; p++) {
        const uint8_t *from = interleaved + (size_t)p * unit;
        uint8_t *to = planar + (size_t)p * count * unit;
        for (size_t i = 0; i < count; i++) memcpy(to + i * unit, from + i * planes * unit, unit);
    }
}

int pixel_encode_check(const pixel_frame *frame, unsigned min_bits, unsigned max_bits, const char *codec, gn_error *e) {
    const pixel_format *f = &frame->format;
    uint64_t n = 0;
    int rc = pixel_frame_bytes(f, UINT64_MAX, &n, e);
    if (rc) return rc;
    if (n != frame->n) return gn_fail(e, GN_E_INVALID, "the frame has %zu bytes, its format says %" PRIu64, frame->n, n);
    if (f->sample == PIXEL_FLOAT || f->allocated % 8 || f->stored < min_bits || f->stored > max_bits || f->allocated > 32)
        return gn_fail(e, GN_E_UNSUPPORTED, "%s cannot hold samples of %u bits (%u allocated)", codec, f->stored, f->allocated);
    if (f->photometric == PIXEL_YBR_FULL_422 || f->photometric == PIXEL_YBR_PARTIAL_420)
        return gn_fail(e, GN_E_UNSUPPORTED, "%s of subsampled colour", codec);
    return 0;
}
