/* pixel: frames and what is done with them: decoding every transfer syntax in use, encoding, photometric conversion, look-up tables, rendering.
 *
 * Works on one frame at a time, in memory that the caller's limit bounds. No network, no database, no files, no logging. Every size is computed in
 * checked 64-bit arithmetic and compared with the bytes really there before memory is taken (T9); a codestream's own header is compared with the
 * data set before it is decoded (T10). Hostile bytes are meant to be decoded in a worker process: pixel_worker_* does that.
 * Thread rule: functions are reentrant; a worker pool may be used by many threads. */
#ifndef GANTRY_PIXEL_H
#define GANTRY_PIXEL_H

#include "base/base.h"
#include "dicom/dicom.h"

/* ---- samples ------------------------------------------------------------------------------------------------------------ */

typedef enum pixel_photometric { PIXEL_MONOCHROME1, PIXEL_MONOCHROME2, PIXEL_PALETTE, PIXEL_RGB, PIXEL_YBR_FULL, PIXEL_YBR_FULL_422, PIXEL_YBR_PARTIAL_420,
    PIXEL_YBR_ICT, PIXEL_YBR_RCT, PIXEL_OTHER } pixel_photometric;
typedef enum pixel_sample { PIXEL_UNSIGNED, PIXEL_SIGNED, PIXEL_FLOAT } pixel_sample;

/* How a frame's samples lie: what the data set says (PS3.3 C.7.6.3). */
typedef struct pixel_format {
    uint32_t rows, columns;
    uint16_t samples;                /* 1, 3 or 4 */
    uint16_t allocated, stored, high_bit; /* bits; allocated 1, 8, 16, 32, 64 (and odd ones as encoded) */
    pixel_sample sample;
    bool planar;                     /* Planar Configuration 1 */
    pixel_photometric photometric;
    bool swapped_bytes;              /* big endian OW of 8 bits or less: the bytes of each word lie swapped (PS3.5 §8.1.2) */
} pixel_format;
/* From the data set; refuses with the attribute's name what cannot be rendered: wrong VR, zero, bits beyond allocated, … (T5, T9). */
int pixel_format_of(const dicom_dataset *ds, pixel_format *f, gn_error *e);
/* Bytes of one decoded frame as pixel_decode returns it. GN_E_TOO_LARGE beyond `limit`. */
int pixel_frame_bytes(const pixel_format *f, uint64_t limit, uint64_t *bytes, gn_error *e);

/* A decoded frame: little endian, row by row, colour interleaved, full `allocated` bits a sample (1-bit data: one byte 0/1 a pixel), no rescale,
 * no padding. YBR_FULL_422 native keeps its two thirds; JPEG baseline YBR is converted to RGB (format.photometric tells). */
typedef struct pixel_frame { pixel_format format; uint8_t *bytes; size_t n; } pixel_frame;
void pixel_frame_done(pixel_frame *f);

typedef struct pixel_limits { uint64_t max_frame_bytes; /* 0: 1 GiB */ uint32_t max_megapixels; /* 0: 500 */ } pixel_limits;
/* One frame from its encoded bytes (all fragments joined). `transfer_syntax` decides the codec: native, RLE, JPEG baseline/extended 8 and 12 bit, JPEG lossless
 * (process 14, SV1, to 16 bit), JPEG-LS, JPEG 2000 (.90 .91 .92 .93), HTJ2K (.201 .202 .203). Bit-exact for lossless syntaxes. */
int pixel_decode(const dicom_transfer_syntax *ts, const pixel_format *f, const void *encoded, size_t n, unsigned bit_offset, const pixel_limits *limits, pixel_frame *out, gn_error *e);
bool pixel_can_decode(const char *transfer_syntax_uid);
bool pixel_can_encode(const char *transfer_syntax_uid); /* native, RLE, JPEG baseline, JPEG-LS lossless and near-lossless, J2K (both), HTJ2K lossless (.201), RPCL (.202) */
typedef struct pixel_encode_options { unsigned quality; /* JPEG 1..100 (0: 90) */ unsigned near; /* JPEG-LS NEAR */ double ratio; /* J2K lossy target, 0: lossless */
    bool new_instance; /* pixel_transcode: a lossy result is a new SOP instance, derived from the old one */
    struct pixel_workers *workers; /* pixel_transcode: who decodes compressed frames; NULL: this process */ } pixel_encode_options;
int pixel_encode(const char *transfer_syntax_uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e);

/* ---- display (PS3.3 C.7.6.3.1.2, C.11; PS3.4 N) ---------------------------------------------------------------------------- */

typedef enum pixel_voi_function { PIXEL_VOI_LINEAR, PIXEL_VOI_LINEAR_EXACT, PIXEL_VOI_SIGMOID } pixel_voi_function;
typedef struct pixel_window { double center, width; pixel_voi_function function; } pixel_window;
/* What the data set (and its functional groups for frame `index`) says about display; LUT and overlay data must be in memory (read with a max_value of
 * at least 256 KiB and more for large overlays, or keep_everything; else GN_E_UNSUPPORTED) and outlive it. NULL: failed. `ts` may be NULL. */
typedef struct pixel_presentation pixel_presentation;
pixel_presentation *pixel_presentation_of(gn_arena *arena, const dicom_dataset *ds, const dicom_transfer_syntax *ts, unsigned frame_index, gn_error *e);
size_t pixel_presentation_windows(const pixel_presentation *p, pixel_window *windows, size_t capacity, const char **explanations); /* number there are */
/* Modality LUT / rescale applied to one stored value: the modality's unit (HU, …). */
double pixel_modality_value(const pixel_presentation *p, double stored);

typedef struct pixel_render_options {
    const pixel_window *window;      /* NULL: first of the data set, else its VOI LUT, else minimum..maximum of the frame */
    uint32_t viewport_width, viewport_height; /* 0: as stored; the image is fitted, aspect kept (Pixel Aspect Ratio honoured) */
    double source_x, source_y, source_width, source_height; /* part of the image (0 width: all); negative width/height mirror, PS3.18 §8.3.5.1.3 */
    bool without_overlays, invert;
} pixel_render_options;
typedef struct pixel_image { uint32_t width, height; uint16_t channels; /* 1 grey, 3 RGB */ uint8_t *bytes; } pixel_image;
void pixel_image_done(pixel_image *i);
/* 8-bit picture for people: photometric conversion, palette, modality LUT, VOI, presentation LUT shape, overlays, resampling (area when shrinking, bilinear when growing). */
int pixel_render(const pixel_presentation *p, const pixel_frame *frame, const pixel_render_options *o, const pixel_limits *limits, pixel_image *out, gn_error *e);
int pixel_image_jpeg(const pixel_image *i, unsigned quality, gn_buf *out, gn_error *e);
int pixel_image_png(const pixel_image *i, gn_buf *out, gn_error *e);

/* ---- transcoding ---------------------------------------------------------------------------------------------------------- */

/* Rewrites a whole Part 10 object for another transfer syntax. `read_at` reads the stored object. The pixel values stay equal, or (lossy target) Lossy Image
 * Compression, Ratio and Method of PS3.3 C.7.6.1.1.5, a new SOP Instance UID when asked, and Derivation Description are set. Output goes to `write`, frame by frame. */
typedef struct pixel_source { int (*read_at)(void *ctx, uint64_t offset, void *buf, size_t n, gn_error *e); void *ctx; uint64_t length; } pixel_source;
typedef struct pixel_sink { int (*write)(void *ctx, const void *p, size_t n, gn_error *e); void *ctx; } pixel_sink;
int pixel_transcode(const pixel_source *in, const char *to_transfer_syntax, const pixel_encode_options *o, const pixel_limits *limits, pixel_sink *out, gn_error *e);

/* ---- workers (design: hostile bytes are decoded elsewhere) ------------------------------------------------------------------ */

typedef struct pixel_worker_config {
    unsigned workers;          /* 0: processors */
    uint64_t memory;           /* of each, 0: 2 GiB */
    uint32_t frame_timeout_ms; /* 0: 5000 */
    const char *program;       /* what is started as a worker; NULL: this program again (/proc/self/exe) */
    const char *argument;      /* its one argument; NULL: "__pixel-worker". The program must then call pixel_worker_main */
} pixel_worker_config;
typedef struct pixel_workers pixel_workers;
/* Children (started, not only forked: the service has threads) without network, files or privileges (seccomp, Landlock where there is one,
 * rlimits); each is started on first use. Frames are passed by memfd. Strings of the configuration are copied. */
pixel_workers *pixel_workers_new(const pixel_worker_config *c, gn_error *e);
void pixel_workers_free(pixel_workers **w);
/* As pixel_decode, in a worker. A crash, hang or memory excess there is GN_E_INVALID for this frame ("the decoder …"), and a fresh worker for the next. */
int pixel_workers_decode(pixel_workers *w, const dicom_transfer_syntax *ts, const pixel_format *f, const void *encoded, size_t n, unsigned bit_offset, const pixel_limits *limits, pixel_frame *out, gn_error *e);
/* The worker's side: serves requests on this socket until it is closed. Returns the exit status of the program. */
#define PIXEL_WORKER_ARGUMENT "__pixel-worker"
#define PIXEL_WORKER_FD 3
int pixel_worker_main(int fd);

#endif
