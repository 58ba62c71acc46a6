/* internal: what the files of this room share: the decoding job, the codecs by name, and memory for frames.
 *
 * A codec gets a pixel_job that has been checked (sizes, limits) and gives a whole frame or an error; it never keeps anything
 * between calls. Before it decodes it compares the header of the codestream with the data set through pixel_check_stream. */
#ifndef GANTRY_PIXEL_INTERNAL_H
#define GANTRY_PIXEL_INTERNAL_H

#include "pixel.h"

typedef struct pixel_job {
    const uint8_t *bytes;
    size_t n;
    unsigned bit_offset;               /* native 1-bit and odd allocations only */
    const pixel_format *format;        /* what the data set says */
    const dicom_transfer_syntax *syntax;
    uint64_t max_bytes;
} pixel_job;

typedef int (*pixel_decoder)(const pixel_job *job, pixel_frame *out, gn_error *e);
typedef int (*pixel_encoder)(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e);

int pixel_native_decode(const pixel_job *job, pixel_frame *out, gn_error *e);
int pixel_rle_decode(const pixel_job *job, pixel_frame *out, gn_error *e);
int pixel_jpeg_decode(const pixel_job *job, pixel_frame *out, gn_error *e);   /* any JPEG process of 10918-1: looks at the SOF */
int pixel_jpegls_decode(const pixel_job *job, pixel_frame *out, gn_error *e);
int pixel_j2k_decode(const pixel_job *job, pixel_frame *out, gn_error *e);    /* JPEG 2000 and HTJ2K */

int pixel_native_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e);
int pixel_rle_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e);
int pixel_jpeg_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e);
int pixel_jpegls_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e);
int pixel_j2k_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e);
int pixel_htj2k_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e);

/* What the header of a codestream says. */
typedef struct pixel_stream_info {
    const char *codec; /* for messages: "JPEG" */
    uint32_t rows, columns, components, precision;
} pixel_stream_info;
/* T10: a codestream must have the size and components of the data set and fit into its Bits Allocated. */
int pixel_check_stream(const pixel_job *job, const pixel_stream_info *s, gn_error *e);

/* Takes memory for a frame of `format` (zeroed), after comparing it with the limit. */
int pixel_frame_new(const pixel_format *format, uint64_t limit, pixel_frame *out, gn_error *e);
/* Bytes of one sample of the frame in memory; 0 for packed odd allocations. */
unsigned pixel_sample_bytes(const pixel_format *f);
/* Samples of a frame: rows × columns × samples. Cannot overflow for a checked format. */
static inline uint64_t pixel_sample_count(const pixel_format *f) { return (uint64_t)f->rows * f->columns * f->samples; }
/* Largest of `stored` bits as unsigned: 2^bits - 1, bits 1..32. */
static inline uint32_t pixel_mask(unsigned bits) { return bits >= 32 ? UINT32_MAX : (1u << bits) - 1u; }
/* PLANE by PLANE to pixel by pixel; `unit` bytes a sample, `planes` planes of `count` samples. */
void pixel_interleave(const uint8_t *planar, uint8_t *interleaved, size_t count, unsigned planes, unsigned unit);
void pixel_deinterleave(const uint8_t *interleaved, uint8_t *planar, size_t count, unsigned planes, unsigned unit);
/* One little endian sample of `unit` bytes, 1 to 4. */
uint32_t pixel_load(const uint8_t *p, unsigned unit);
/* Bits of a sample that an encoder must keep: High Bit + 1, or all allocated where bits above are neither zero nor the sign. */
unsigned pixel_precision(const pixel_frame *frame);
/* Samples first, first + step, … as values; signed ones are extended from `bits` bits. */
void pixel_values(const pixel_frame *frame, unsigned bits, size_t first, size_t step, size_t count, int32_t *out);
/* Refuses a frame that does not fit its format, float and packed samples, and Bits Stored outside the codec's range. */
int pixel_encode_check(const pixel_frame *frame, unsigned min_bits, unsigned max_bits, const char *codec, gn_error *e);

#endif
