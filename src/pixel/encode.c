/* encode: what the encoders share: how many bits of each sample carry something, and samples as 32-bit values.
 *
 * Codestreams state one precision. Bits above High Bit may hold the sign, zeros, or (retired) overlays: only in the last case
 * must they be kept, and then the precision is all of Bits Allocated, so that no encoder here ever loses a bit that means
 * something. */
#include "internal.h"

#include <inttypes.h>

uint32_t pixel_load(const uint8_t *p, unsigned unit) {
    return unit == 1 ? p[0] : unit == 2 ? gn_load_le16(p) : unit == 4 ? gn_load_le32(p) : (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static inline uint32_t extend(uint32_t v, unsigned bits) {
    uint32_t sign = 1u << (bits - 1);
    return (v ^ sign) - sign;
}

unsigned pixel_precision(const pixel_frame *frame) {
    const pixel_format *f = &frame->format;
    unsigned unit = pixel_sample_bytes(f), bits = f->high_bit + 1u;
    uint32_t low_mask = pixel_mask(bits), all_mask = pixel_mask(f->allocated);
    if (bits >= f->allocated) return f->allocated;
    for (size_t at = 0; at + unit <= frame->n; at += unit) {
        uint32_t v = pixel_load(frame->bytes + at, unit), low = v & low_mask;
        if (v != low && (f->sample != PIXEL_SIGNED || v != (extend(low, bits) & all_mask))) return f->allocated;
    }
    return bits;
}

/* Sample values of `bits` bits in pixel order, sign extended where samples are signed. */
void pixel_values(const pixel_frame *frame, unsigned bits, size_t first, size_t step, size_t count, int32_t *out) {
    const pixel_format *f = &frame->format;
    unsigned unit = pixel_sample_bytes(f);
    const uint8_t *p = frame->bytes + first * unit;
    uint32_t mask = pixel_mask(bits);
    if (unit == 2 && f->sample == PIXEL_SIGNED && bits == 16)
        for (size_t i = 0; i < count; i++, p += step * 2) out[i] = (int16_t)gn_load_le16(p);
    else if (f->sample == PIXEL_SIGNED)
        for (size_t i = 0; i < count; i++, p += step * unit) out[i] = (int32_t)extend(pixel_load(p, unit) & mask, bits);
    else
        for (size_t i = 0; i < count; i++, p += step * unit) out[i] = (int32_t)(pixel_load(p, unit) & mask);
}
