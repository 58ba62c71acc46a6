/* render: a picture for people from a decoded frame: modality, VOI and polarity for grey, palette or colour, overlays, and the
 * part and size that were asked for (PS3.3 C.11, PS3.4 N.2, PS3.18 §8.3.5.1).
 *
 * Grey of up to 16 bits goes through a table made for the values that occur; wider samples are computed one by one. The size
 * of the picture is checked before anything is computed (T11). */
#include "display.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- grey -------------------------------------------------------------------------------------------------------------- */

/* From the modality's value to 0..1. */
typedef struct voi {
    const pixel_window *window; /* or */
    const pixel_lut *table;     /* or */
    double low, range;          /* minimum and extent of the frame */
    bool inverse;
} voi;

static uint8_t grey_of(const voi *v, double value) {
    double y;
    if (v->window) y = pixel_window_apply(v->window, value);
    else if (v->table) {
        double clamped = value < INT32_MIN ? INT32_MIN : value > INT32_MAX ? INT32_MAX : value;
        y = (double)pixel_lut_at(v->table, isnan(value) ? INT32_MIN : (int64_t)floor(clamped + 0.5)) / pixel_mask(v->table->bits);
    } else y = v->range > 0 ? (value - v->low) / v->range : 0;
    if (!(y > 0)) y = 0;
    if (y > 1) y = 1;
    if (v->inverse) y = 1 - y;
    return (uint8_t)(y * 255 + 0.5);
}

typedef struct extent { double low, high; bool any; } extent;

static void widen(extent *x, double v) {
    if (!x->any || v < x->low) x->low = v;
    if (!x->any || v > x->high) x->high = v;
    x->any = true;
}

static bool is_padding(const pixel_presentation *p, double stored) {
    return p->has_padding && stored >= p->padding_low && stored <= p->padding_high;
}

/* The extent of the frame's modality values, padding left out; one bit always spans 0..1. */
static void set_extent(voi *v, const pixel_presentation *p, const extent *stored, const pixel_format *f) {
    double a = pixel_modality_value(p, f->allocated == 1 ? 0 : stored->low), b = pixel_modality_value(p, f->allocated == 1 ? 1 : stored->high);
    v->low = a < b ? a : b;
    v->range = a < b ? b - a : a - b;
}

static extent extent_of_values(const pixel_frame *frame, const pixel_presentation *p, size_t pixels) {
    extent x = { 0, 0, false };
    for (size_t i = 0; i < pixels; i++) {
        double v = pixel_stored_value(frame, i);
        if (isfinite(v) && !is_padding(p, v)) widen(&x, v);
    }
    return x;
}

static void render_wide(const pixel_frame *frame, const pixel_presentation *p, voi *v, uint8_t *out, size_t pixels) {
    if (!v->window && !v->table) {
        extent x = extent_of_values(frame, p, pixels);
        set_extent(v, p, &x, &frame->format);
    }
    for (size_t i = 0; i < pixels; i++) out[i] = grey_of(v, pixel_modality_value(p, pixel_stored_value(frame, i)));
}

/* The smallest and largest stored value, all and without padding. */
static void integer_extents(const int32_t *values, size_t n, const pixel_presentation *p, int32_t *low, int32_t *high, extent *shown) {
    int32_t a = values[0], b = values[0];
    for (size_t i = 0; i < n; i++) {
        a = values[i] < a ? values[i] : a;
        b = values[i] > b ? values[i] : b;
    }
    *low = a;
    *high = b;
    if (p->has_padding) {
        for (size_t i = 0; i < n; i++)
            if (!is_padding(p, values[i])) widen(shown, values[i]);
    }
    if (!shown->any) *shown = (extent){ a, b, true };
}

static int render_narrow(const pixel_frame *frame, const pixel_presentation *p, voi *v, uint8_t *out, size_t pixels, gn_error *e) {
    uint8_t table[65536];
    int32_t low, high;
    extent shown = { 0, 0, false };
    int32_t *values = malloc(pixels * sizeof *values);
    if (!values) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a picture");
    pixel_stored_integers(frame, 0, pixels, values);
    integer_extents(values, pixels, p, &low, &high, &shown);
    set_extent(v, p, &shown, &frame->format);
    for (int32_t k = low; k <= high; k++) table[k - low] = grey_of(v, pixel_modality_value(p, k));
    for (size_t i = 0; i < pixels; i++) out[i] = table[values[i] - low];
    free(values);
    return 0;
}

static int render_grey(const pixel_presentation *p, const pixel_frame *frame, const pixel_render_options *o, pixel_image *out, gn_error *e) {
    const pixel_format *f = &frame->format;
    voi v = { .window = o->window ? o->window : p->windows ? &p->window[0] : NULL, .inverse = p->inverse != o->invert };
    if (!v.window && p->voi.count) v.table = &p->voi;
    int rc = v.window ? pixel_window_check(v.window, e) : 0;
    if (!rc) rc = pixel_image_new(f->columns, f->rows, 1, out, e);
    if (rc) return rc;
    size_t pixels = (size_t)f->rows * f->columns;
    if (f->sample != PIXEL_FLOAT && f->stored <= 16) return render_narrow(frame, p, &v, out->bytes, pixels, e);
    render_wide(frame, p, &v, out->bytes, pixels);
    return 0;
}

/* ---- colour ------------------------------------------------------------------------------------------------------------ */

static void invert(pixel_image *i) {
    size_t n = (size_t)i->width * i->height * i->channels;
    for (size_t k = 0; k < n; k++) i->bytes[k] = (uint8_t)~i->bytes[k];
}

static int render_palette(const pixel_presentation *p, const pixel_frame *frame, pixel_image *out, gn_error *e) {
    const pixel_format *f = &frame->format;
    size_t pixels = (size_t)f->rows * f->columns;
    if (!p->palette[0].count) return gn_fail(e, GN_E_INVALID, "the palette is missing");
    if (f->sample == PIXEL_FLOAT || f->stored > 16) return gn_fail(e, GN_E_UNSUPPORTED, "a palette with %u bits", f->stored);
    int rc = pixel_image_new(f->columns, f->rows, 3, out, e);
    if (rc) return rc;
    for (size_t i = 0; i < pixels; i++) {
        int32_t v;
        pixel_stored_integers(frame, i, 1, &v);
        for (size_t c = 0; c < 3; c++) {
            const pixel_lut *l = &p->palette[c];
            uint16_t entry = pixel_lut_at(l, v);
            out->bytes[3 * i + c] = (uint8_t)(l->bits > 8 ? entry >> (l->bits - 8) : entry);
        }
    }
    return 0;
}

static int render_colour(const pixel_frame *frame, pixel_image *out, gn_error *e) {
    int rc = pixel_image_new(frame->format.columns, frame->format.rows, 3, out, e);
    return rc ? rc : pixel_to_rgb(frame, out->bytes, e);
}

/* ---- the part and the size --------------------------------------------------------------------------------------------- */

typedef struct view { double x, y, width, height; bool mirror_x, mirror_y; uint32_t out_width, out_height; } view;

static int check_source(const pixel_format *f, const pixel_render_options *o, view *v, gn_error *e) {
    bool all = !(o->source_width < 0) && !(o->source_width > 0) && !isnan(o->source_width);
    *v = (view){ 0, 0, f->columns, f->rows, false, false, 0, 0 };
    if (all) return 0;
    v->x = o->source_x, v->y = o->source_y;
    v->width = fabs(o->source_width), v->height = fabs(o->source_height);
    v->mirror_x = o->source_width < 0, v->mirror_y = o->source_height < 0;
    if (!(v->x >= 0) || !(v->y >= 0) || !(v->width > 0) || !(v->height > 0) || !(v->x + v->width <= f->columns) || !(v->y + v->height <= f->rows))
        return gn_fail(e, GN_E_INVALID, "the part of the image that was asked for lies outside it");
    return 0;
}

static uint32_t whole(double v) { return v < 1 ? 1 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)(v + 0.5); }

/* Fits into the viewport; with one side given the other is free. */
static int plan_view(const pixel_presentation *p, const pixel_format *f, const pixel_render_options *o, const pixel_limits *limits, view *v, gn_error *e) {
    uint64_t megapixels = limits && limits->max_megapixels ? limits->max_megapixels : 500;
    int rc = check_source(f, o, v, e);
    if (rc) return rc;
    if (o->viewport_width || o->viewport_height) {
        double width = v->width, height = v->height * p->aspect;
        double across = o->viewport_width ? o->viewport_width / width : HUGE_VAL, down = o->viewport_height ? o->viewport_height / height : HUGE_VAL;
        double scale = across < down ? across : down;
        v->out_width = whole(width * scale);
        v->out_height = whole(height * scale);
    } else {
        v->out_width = whole(v->width);
        v->out_height = whole(v->height);
    }
    if ((uint64_t)v->out_width * v->out_height > megapixels * 1000000u || (uint64_t)f->rows * f->columns > megapixels * 1000000u)
        return gn_fail(e, GN_E_TOO_LARGE, "a picture of %" PRIu32 " x %" PRIu32 " is above the limit", v->out_width, v->out_height);
    return 0;
}

static int apply_view(const view *v, pixel_image *i, gn_error *e) {
    bool same = v->out_width == i->width && v->out_height == i->height && v->width >= i->width && v->height >= i->height;
    if (!same) {
        pixel_image scaled = { 0 };
        int rc = pixel_image_new(v->out_width, v->out_height, i->channels, &scaled, e);
        if (!rc) rc = pixel_resample(i, v->x, v->y, v->width, v->height, &scaled, e);
        if (rc) {
            pixel_image_done(&scaled);
            return rc;
        }
        pixel_image_done(i);
        *i = scaled;
    }
    pixel_mirror(i, v->mirror_x, v->mirror_y);
    return 0;
}

int pixel_render(const pixel_presentation *p, const pixel_frame *frame, const pixel_render_options *o, const pixel_limits *limits, pixel_image *out, gn_error *e) {
    static const pixel_render_options defaults = { 0 };
    const pixel_format *f = &frame->format;
    pixel_image image = { 0 };
    uint64_t n = 0;
    view v;
    if (!o) o = &defaults;
    int rc = pixel_frame_bytes(f, UINT64_MAX, &n, e);
    if (!rc && n != frame->n) rc = gn_fail(e, GN_E_INVALID, "the frame has %zu bytes, its format says %" PRIu64, frame->n, n);
    if (!rc) rc = plan_view(p, f, o, limits, &v, e);
    if (rc) return rc;
    bool grey = f->samples == 1 && f->photometric != PIXEL_PALETTE;
    if (grey) rc = render_grey(p, frame, o, &image, e);
    else if (f->photometric == PIXEL_PALETTE) rc = render_palette(p, frame, &image, e);
    else rc = render_colour(frame, &image, e);
    if (!rc && !grey && o->invert) invert(&image);
    for (size_t i = 0; !rc && !o->without_overlays && i < p->overlays; i++) pixel_overlay_draw(&p->overlay[i], frame, &image);
    if (!rc) rc = apply_view(&v, &image, e);
    if (rc) {
        pixel_image_done(&image);
        return rc;
    }
    *out = image;
    return 0;
}
