/* j2k: what the two JPEG 2000 encoders share, and the C face of the C++ library behind one of them. */
#ifndef GANTRY_PIXEL_J2K_H
#define GANTRY_PIXEL_J2K_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef __cplusplus
#include "internal.h"

/* Wavelet levels: as many as wanted while the smaller side stays at least one pixel. */
unsigned j2k_decompositions(const pixel_format *f, unsigned wanted);
/* Is the reversible or irreversible component transform applied on encoding? Only to RGB. */
bool j2k_transforms_colour(const pixel_format *f);
#else
extern "C" {
#endif

typedef struct htj2k_job {
    uint32_t rows, columns, components, bits, levels;
    bool is_signed, transform_colour;
    /* Row y of component c, `columns` values. */
    void (*row)(void *ctx, uint32_t c, uint32_t y, int32_t *to);
    /* Takes bytes of the stream; false: no memory. */
    bool (*write)(void *ctx, const void *p, size_t n);
    void *ctx;
} htj2k_job;
/* Lossless HTJ2K in the progression order RPCL. 0, or -1 with a message. */
int htj2k_encode(const htj2k_job *job, char *message, size_t size);

#ifdef __cplusplus
}
#endif
#endif
