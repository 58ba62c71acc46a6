/* jpeg: what jpeg.c learns from the markers of a stream, and the decoders of the four IJG-shaped libraries behind it.
 *
 * libjpeg-turbo decodes 8-bit DCT processes; the IJG libraries of GDCM, built for 8, 12 and 16 bits, the rest. All four have
 * the same interface under names of their own, so jpeg_decode_body.h is compiled once for each. */
#ifndef GANTRY_PIXEL_JPEG_H
#define GANTRY_PIXEL_JPEG_H

#include "internal.h"

#include <setjmp.h>

typedef enum jpeg_colour { JPEG_AS_IT_IS, JPEG_YBR_TO_RGB } jpeg_colour;

typedef struct jpeg_header {
    pixel_stream_info info;
    unsigned process;    /* n of SOFn: 0 baseline, 1 extended, 2 progressive, 3 lossless */
    unsigned scans;      /* SOS markers in the stream */
    uint8_t ids[4];      /* component identifiers */
    bool subsampled, jfif, adobe;
    uint8_t adobe_transform;
} jpeg_header;

int jpeg_parse(const uint8_t *p, size_t n, jpeg_header *out, gn_error *e);
jpeg_colour jpeg_colour_of(const jpeg_header *h, const pixel_format *f);

/* A decoder writes rows of `unit` bytes a sample, little endian. */
typedef int (*jpeg_decoder)(const pixel_job *job, const jpeg_header *h, jpeg_colour colour, pixel_frame *out, gn_error *e);
int jpeg_turbo_decode(const pixel_job *job, const jpeg_header *h, jpeg_colour colour, pixel_frame *out, gn_error *e);
int jpeg_ijg8_decode(const pixel_job *job, const jpeg_header *h, jpeg_colour colour, pixel_frame *out, gn_error *e);
int jpeg_ijg12_decode(const pixel_job *job, const jpeg_header *h, jpeg_colour colour, pixel_frame *out, gn_error *e);
int jpeg_ijg16_decode(const pixel_job *job, const jpeg_header *h, jpeg_colour colour, pixel_frame *out, gn_error *e);

#endif
