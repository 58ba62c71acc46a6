/* display: what the files behind pixel_render share: look-up tables, windows, overlays and the presentation as a whole. */
#ifndef GANTRY_PIXEL_DISPLAY_H
#define GANTRY_PIXEL_DISPLAY_H

#include "internal.h"

/* ---- look-up tables (lut.c) -------------------------------------------------------------------------------------------- */

/* Entries of 8 or 16 bits in the arena, first mapped value, as C.11.1, C.11.2 and C.7.9 have them. */
typedef struct pixel_lut {
    int32_t first;
    uint32_t count; /* 0: there is none */
    unsigned bits;  /* of an entry: its largest value is 2^bits - 1 */
    const uint16_t *entry;
} pixel_lut;
/* `is_signed`: how the first mapped value is to be read where its VR does not tell. The table holds as many entries as are
 * really there; an index beyond either end gives the nearest (T9: 65,536 entries promised, 4 present). */
int pixel_lut_read(gn_arena *arena, const dicom_dataset *ds, dicom_tag descriptor, dicom_tag data, bool is_signed, pixel_lut *out, gn_error *e);
/* The same of a palette, whose data may be segmented (C.7.9.2). */
int pixel_palette_read(gn_arena *arena, const dicom_dataset *ds, bool is_signed, pixel_lut out[3], gn_error *e);
static inline uint16_t pixel_lut_at(const pixel_lut *l, int64_t value) {
    int64_t i = value - l->first;
    return l->entry[i < 0 ? 0 : i >= l->count ? l->count - 1 : (uint32_t)i];
}

/* ---- windows (voi.c) --------------------------------------------------------------------------------------------------- */

/* NaN, infinity, or a width that the function does not allow: GN_E_INVALID (T11). */
int pixel_window_check(const pixel_window *w, gn_error *e);
/* 0..1 */
double pixel_window_apply(const pixel_window *w, double value);

/* ---- overlays (overlay.c) ---------------------------------------------------------------------------------------------- */

typedef struct pixel_overlay {
    uint16_t rows, columns;
    int32_t top, left;      /* of its first pixel in the image, from 0; may lie outside */
    bool region;            /* type R */
    bool embedded;          /* in a bit of the pixel data */
    bool swapped;           /* bytes of words, big endian OW */
    unsigned bit;           /* embedded: which */
    const uint8_t *bits;    /* of all frames, packed */
    uint64_t first_bit, bit_count;
} pixel_overlay;
enum { PIXEL_MAX_OVERLAYS = 16, PIXEL_MAX_WINDOWS = 64 };
int pixel_overlays_read(const dicom_dataset *ds, unsigned frame_index, pixel_overlay *out, size_t *count, gn_error *e);
/* Draws into a picture of the frame's size, before it is resampled. */
void pixel_overlay_draw(const pixel_overlay *o, const pixel_frame *frame, pixel_image *image);

/* ---- the presentation (presentation.c) --------------------------------------------------------------------------------- */

struct pixel_presentation {
    double slope, intercept;
    pixel_lut modality, voi, palette[3];
    size_t windows;
    pixel_window window[PIXEL_MAX_WINDOWS];
    const char *explanation[PIXEL_MAX_WINDOWS];
    bool inverse;
    bool has_padding;
    double padding_low, padding_high; /* stored values */
    double aspect;                    /* height of a pixel by its width */
    size_t overlays;
    pixel_overlay overlay[PIXEL_MAX_OVERLAYS];
};

/* ---- samples of a frame (samples.c) ------------------------------------------------------------------------------------ */

/* The stored value of sample i: shifted down to bit 0, sign extended, or a floating number. */
double pixel_stored_value(const pixel_frame *frame, size_t i);
/* `count` integer samples of up to 32 bits from sample i on. */
void pixel_stored_integers(const pixel_frame *frame, size_t i, size_t count, int32_t *out);
/* Any colour to 8-bit RGB, `frame` of three samples. */
int pixel_to_rgb(const pixel_frame *frame, uint8_t *rgb, gn_error *e);

/* ---- pictures (resample.c) --------------------------------------------------------------------------------------------- */

int pixel_image_new(uint32_t width, uint32_t height, uint16_t channels, pixel_image *out, gn_error *e);
/* The part x, y, width, height of `in` (floating, inside it) scaled to the size of `out`. */
int pixel_resample(const pixel_image *in, double x, double y, double width, double height, pixel_image *out, gn_error *e);
void pixel_mirror(pixel_image *i, bool across, bool down);

#endif
