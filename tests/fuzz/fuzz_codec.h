/* fuzz_codec: what the targets of the decoders share. The input's first 8 bytes choose a format, the rest is the encoded frame.
 *
 * bytes 0, 1 rows and columns (1..256), 2 samples (1, 3, 4), 3 Bits Allocated, 4 Bits Stored, 5 flags (signed, planar, swapped,
 * photometric), 6 bit offset and transfer syntax, 7 must be 0 to keep seeds readable. */
#ifndef GANTRY_FUZZ_CODEC_H
#define GANTRY_FUZZ_CODEC_H

#include "pixel/pixel.h"

#include <stdlib.h>

#define FUZZ_HEADER 8

static inline pixel_format fuzz_format(const uint8_t *p) {
    static const uint16_t allocations[] = { 8, 16, 32, 1, 12, 64, 24, 16 };
    pixel_format f = { .rows = p[0] + 1u, .columns = p[1] + 1u, .samples = (uint16_t)(p[2] % 3 == 0 ? 1 : p[2] % 3 == 1 ? 3 : 4), .allocated = allocations[p[3] % 8] };
    f.stored = (uint16_t)(f.allocated - p[4] % f.allocated);
    f.high_bit = (uint16_t)(f.stored - 1);
    f.sample = p[5] & 1 ? PIXEL_SIGNED : PIXEL_UNSIGNED;
    f.planar = p[5] >> 1 & 1;
    f.swapped_bytes = (p[5] >> 2 & 1) && f.allocated <= 8;
    f.photometric = (pixel_photometric)((p[5] >> 3) % (PIXEL_OTHER + 1));
    if ((f.photometric == PIXEL_YBR_FULL_422 || f.photometric == PIXEL_YBR_PARTIAL_420) && (f.columns % 2 || f.samples != 3)) f.photometric = PIXEL_OTHER;
    return f;
}

/* Decodes; a frame that comes out must be whole, and every byte of it is looked at. */
static inline void fuzz_decode(const char *uid, const uint8_t *p, size_t n, unsigned bit_offset) {
    static const pixel_limits limits = { 1 << 24, 1 };
    volatile uint8_t sum = 0;
    pixel_frame out = { 0 };
    gn_error e = GN_ERROR_INIT;
    uint64_t bytes;
    if (n < FUZZ_HEADER) return;
    pixel_format f = fuzz_format(p);
    int rc = pixel_decode(dicom_transfer_syntax_find(uid), &f, p + FUZZ_HEADER, n - FUZZ_HEADER, bit_offset, &limits, &out, &e);
    if (rc) {
        if (out.bytes || !e.message[0] || e.code != rc) abort();
        return;
    }
    if (pixel_frame_bytes(&out.format, 0, &bytes, NULL) != 0 || bytes != out.n) abort();
    for (size_t i = 0; i < out.n; i++) sum = (uint8_t)(sum + out.bytes[i]);
    pixel_frame_done(&out);
}

#endif
