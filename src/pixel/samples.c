/* samples: from the bytes of a decoded frame to values: stored integers and floats, and colour as 8-bit RGB (C.7.6.3.1.2).
 *
 * Stored values lie in Bits Stored bits below High Bit; what lies above or below is no part of them. */
#include "display.h"

static inline int32_t stored_of(const pixel_format *f, uint32_t raw) {
    unsigned shift = f->high_bit + 1u - f->stored;
    uint32_t v = (raw >> shift) & pixel_mask(f->stored);
    if (f->sample == PIXEL_SIGNED && f->stored < 32) {
        uint32_t sign = 1u << (f->stored - 1);
        v = (v ^ sign) - sign;
    }
    return (int32_t)v;
}

/* An odd allocation is packed, little end first. */
static uint32_t packed_at(const pixel_frame *frame, size_t i) {
    uint64_t bit = (uint64_t)i * frame->format.allocated, v = 0;
    size_t first = (size_t)(bit / 8);
    for (size_t k = 0; k < 5 && first + k < frame->n; k++) v |= (uint64_t)frame->bytes[first + k] << (8 * k);
    return (uint32_t)(v >> (bit % 8)) & pixel_mask(frame->format.allocated);
}

void pixel_stored_integers(const pixel_frame *frame, size_t i, size_t count, int32_t *out) {
    const pixel_format *f = &frame->format;
    unsigned unit = pixel_sample_bytes(f);
    const uint8_t *p = frame->bytes + i * unit;
    bool plain = f->stored == f->allocated;
    if (unit == 0)
        for (size_t k = 0; k < count; k++) out[k] = stored_of(f, packed_at(frame, i + k));
    else if (f->allocated == 1)
        for (size_t k = 0; k < count; k++) out[k] = p[k];
    else if (unit == 2 && plain && f->sample == PIXEL_SIGNED)
        for (size_t k = 0; k < count; k++) out[k] = (int16_t)gn_load_le16(p + 2 * k);
    else if (unit == 2)
        for (size_t k = 0; k < count; k++) out[k] = stored_of(f, gn_load_le16(p + 2 * k));
    else
        for (size_t k = 0; k < count; k++) out[k] = stored_of(f, pixel_load(p + k * unit, unit));
}

static double wide_integer(const pixel_format *f, uint64_t raw) {
    uint64_t mask = f->stored >= 64 ? UINT64_MAX : ((uint64_t)1 << f->stored) - 1, v = (raw >> (f->high_bit + 1u - f->stored)) & mask;
    if (f->sample != PIXEL_SIGNED) return (double)v;
    uint64_t sign = (uint64_t)1 << (f->stored - 1);
    return (double)(int64_t)((v ^ sign) - sign);
}

double pixel_stored_value(const pixel_frame *frame, size_t i) {
    const pixel_format *f = &frame->format;
    unsigned unit = pixel_sample_bytes(f);
    int32_t integer;
    if (f->sample == PIXEL_FLOAT && unit == 4) {
        uint32_t bits = gn_load_le32(frame->bytes + i * 4);
        float v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    if (unit == 8) {
        uint64_t bits = gn_load_le64(frame->bytes + i * 8);
        double v;
        memcpy(&v, &bits, sizeof v);
        return f->sample == PIXEL_FLOAT ? v : wide_integer(f, bits);
    }
    pixel_stored_integers(frame, i, 1, &integer);
    return f->stored == 32 && f->sample == PIXEL_UNSIGNED ? (double)(uint32_t)integer : integer;
}

/* ---- colour ------------------------------------------------------------------------------------------------------------ */

static inline uint8_t clamp8(int32_t v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

/* C.7.6.3.1.2, full range, in 16 fraction bits. */
static inline void ybr_to_rgb(int32_t y, int32_t cb, int32_t cr, uint8_t *rgb) {
    enum { HALF = 1 << 15 };
    cb -= 128, cr -= 128;
    rgb[0] = clamp8(y + ((91881 * cr + HALF) >> 16));
    rgb[1] = clamp8(y + ((-22554 * cb - 46802 * cr + HALF) >> 16));
    rgb[2] = clamp8(y + ((116130 * cb + HALF) >> 16));
}

/* Two luminance samples, then what both share: Y Y Cb Cr. */
static void from_422(const pixel_frame *frame, uint8_t *rgb) {
    const uint8_t *p = frame->bytes;
    for (size_t i = 0; i + 4 <= frame->n; i += 4, rgb += 6) {
        ybr_to_rgb(p[i], p[i + 2], p[i + 3], rgb);
        ybr_to_rgb(p[i + 1], p[i + 2], p[i + 3], rgb + 3);
    }
}

/* Samples as 8 bits, the most significant ones. */
static void to_8_bits(const pixel_frame *frame, uint8_t *out, size_t count) {
    const pixel_format *f = &frame->format;
    if (f->allocated == 8 && f->stored == 8) {
        memcpy(out, frame->bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        double v = pixel_stored_value(frame, i), top = (double)pixel_mask(f->stored);
        if (f->sample == PIXEL_SIGNED) v += (top + 1) / 2;
        out[i] = (uint8_t)(f->stored > 8 ? v / (top + 1) * 256 : v / top * 255 + 0.5);
    }
}

int pixel_to_rgb(const pixel_frame *frame, uint8_t *rgb, gn_error *e) {
    const pixel_format *f = &frame->format;
    size_t pixels = (size_t)f->rows * f->columns;
    bool ybr = f->photometric == PIXEL_YBR_FULL || f->photometric == PIXEL_YBR_ICT;
    if (f->samples != 3 || f->sample == PIXEL_FLOAT || f->allocated > 32 || (f->allocated % 8 && f->allocated != 1))
        return gn_fail(e, GN_E_UNSUPPORTED, "rendering colour of %u samples with %u bits", f->samples, f->allocated);
    if (f->photometric == PIXEL_YBR_FULL_422 && f->allocated == 8 && f->stored == 8) {
        from_422(frame, rgb);
        return 0;
    }
    if (!ybr && f->photometric != PIXEL_RGB) return gn_fail(e, GN_E_UNSUPPORTED, "rendering this Photometric Interpretation");
    to_8_bits(frame, rgb, pixels * 3);
    if (ybr)
        for (size_t i = 0; i < pixels; i++) ybr_to_rgb(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2], rgb + 3 * i);
    return 0;
}
