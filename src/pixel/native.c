/* native: pixel data that is not compressed (PS3.5 §8.1, Annex D): byte order, packed bits, planes.
 *
 * A frame comes out little endian, row by row, colour interleaved. 1-bit samples become one byte 0 or 1 each; other
 * allocations that are not whole bytes stay packed, little end first, but begin on a byte.
 * Nothing is masked or extended. */
#include "internal.h"

#include <inttypes.h>

/* The source byte i, where big endian words swap pairs. */
static inline uint8_t byte_at(const pixel_job *job, uint64_t i) {
    if (job->format->swapped_bytes && (i ^ 1) < job->n) i ^= 1;
    return job->bytes[i];
}

static void unpack_bits(const pixel_job *job, uint8_t *out, size_t count) {
    uint64_t bit = job->bit_offset;
    for (size_t i = 0; i < count; i++, bit++) out[i] = (uint8_t)(((unsigned)byte_at(job, bit / 8) >> (bit % 8)) & 1u);
}

static void copy_packed(const pixel_job *job, uint8_t *out, size_t n, uint64_t bits) {
    unsigned shift = job->bit_offset % 8;
    uint64_t first = job->bit_offset / 8, last = (job->bit_offset + bits - 1) / 8;
    for (size_t i = 0; i < n; i++) {
        unsigned low = byte_at(job, first + i), high = first + i < last ? byte_at(job, first + i + 1) : 0;
        out[i] = (uint8_t)((low | high << 8) >> shift);
    }
    if (bits % 8) out[n - 1] &= (uint8_t)pixel_mask((unsigned)(bits % 8)); /* the next frame's bits are not ours */
}

static void swap_units(uint8_t *p, size_t n, unsigned unit) {
    for (size_t i = 0; i + unit <= n; i += unit)
        for (unsigned a = 0, b = unit - 1; a < b; a++, b--) {
            uint8_t t = p[i + a];
            p[i + a] = p[i + b];
            p[i + b] = t;
        }
}

static void swap16(uint8_t *p, size_t n) {
    for (size_t i = 0; i + 2 <= n; i += 2) gn_store_le16(p + i, gn_load_be16(p + i));
}

/* Whole bytes: straight, or plane by plane. Subsampled colour lies in its own order and is left in it. */
static void copy_bytes(const pixel_job *job, pixel_frame *out) {
    const pixel_format *f = job->format;
    unsigned unit = f->allocated / 8u;
    bool subsampled = f->photometric == PIXEL_YBR_FULL_422 || f->photometric == PIXEL_YBR_PARTIAL_420;
    bool planar = f->planar && !subsampled;
    size_t count = (size_t)f->rows * f->columns;
    if (f->swapped_bytes) {
        for (size_t i = 0; i < out->n; i++) {
            size_t to = planar ? i % count * f->samples + i / count : i; /* swapped bytes are 8-bit samples */
            out->bytes[to] = byte_at(job, i);
        }
    } else if (planar) {
        pixel_interleave(job->bytes, out->bytes, count, f->samples, unit);
    } else {
        memcpy(out->bytes, job->bytes, out->n);
    }
    if (job->syntax->big_endian && unit == 2) swap16(out->bytes, out->n);
    else if (job->syntax->big_endian && unit > 2) swap_units(out->bytes, out->n, unit);
}

int pixel_native_decode(const pixel_job *job, pixel_frame *out, gn_error *e) {
    const pixel_format *f = job->format;
    uint64_t n, bits, need;
    int rc = pixel_frame_bytes(f, job->max_bytes, &n, e);
    if (rc) return rc;
    bits = f->allocated % 8 ? pixel_sample_count(f) * f->allocated : n * 8;
    need = (bits + job->bit_offset + 7) / 8;
    if (need > job->n)
        return gn_fail(e, GN_E_TRUNCATED, "the frame needs %" PRIu64 " bytes of pixel data, %zu are there", need, job->n);
    if (f->allocated % 8 == 0 && job->bit_offset) return gn_fail(e, GN_E_INVALID, "a bit offset with whole bytes");
    if (f->allocated % 8 && f->allocated != 1 && (job->syntax->big_endian || f->samples > 1))
        return gn_fail(e, GN_E_UNSUPPORTED, "Bits Allocated %u in this encoding", f->allocated);
    if ((rc = pixel_frame_new(f, job->max_bytes, out, e)) != 0) return rc;
    if (f->allocated == 1 && f->planar) {
        pixel_frame_done(out);
        return gn_fail(e, GN_E_UNSUPPORTED, "colour planes of one bit");
    }
    if (f->allocated == 1) unpack_bits(job, out->bytes, out->n);
    else if (f->allocated % 8) copy_packed(job, out->bytes, out->n, bits);
    else copy_bytes(job, out);
    out->format.planar = false;
    out->format.swapped_bytes = false;
    return 0;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------------- */

/* 1-bit samples are packed again, the last byte filled with zero bits. Big endian is OB for up to 8 bits, swapped above. */
int pixel_native_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e) {
    const pixel_format *f = &frame->format;
    uint64_t n = 0;
    int rc = pixel_frame_bytes(f, UINT64_MAX, &n, e);
    (void)o;
    if (rc) return rc;
    if (n != frame->n) return gn_fail(e, GN_E_INVALID, "the frame has %zu bytes, its format says %" PRIu64, frame->n, n);
    if (f->allocated == 1) {
        size_t packed = frame->n / 8 + (frame->n % 8 != 0);
        uint8_t *p = gn_buf_reserve(out, packed);
        if (!p) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an encoded frame");
        memset(p, 0, packed);
        for (size_t i = 0; i < frame->n; i++) p[i / 8] |= (uint8_t)((frame->bytes[i] & 1u) << (i % 8));
        out->n += packed;
        return 0;
    }
    size_t start = out->n;
    gn_buf_append(out, frame->bytes, frame->n);
    if (out->failed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an encoded frame");
    if (strcmp(uid, DICOM_TS_EXPLICIT_BE) == 0) swap_units(out->p + start, frame->n, f->allocated % 8 ? 1 : f->allocated / 8u);
    return 0;
}
