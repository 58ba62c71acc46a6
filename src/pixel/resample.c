/* resample: pictures of another size: each output pixel is the mean of the area that it covers when shrinking, and a linear
 * mix of its neighbours when growing. Both directions are done one after the other with weights made once. */
#include "display.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

int pixel_image_new(uint32_t width, uint32_t height, uint16_t channels, pixel_image *out, gn_error *e) {
    uint64_t n = (uint64_t)width * height;
    if (width < 1 || height < 1 || !gn_mul_u64(n, channels, &n) || n > SIZE_MAX / 2) return gn_fail(e, GN_E_TOO_LARGE, "a picture of that size");
    uint8_t *bytes = malloc((size_t)n);
    if (!bytes) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a picture of %" PRIu32 " x %" PRIu32, width, height);
    out->width = width;
    out->height = height;
    out->channels = channels;
    out->bytes = bytes;
    return 0;
}

void pixel_image_done(pixel_image *i) {
    if (!i) return;
    free(i->bytes);
    i->bytes = NULL;
}

/* For each output position the input positions from `first` on and their weights, `stride` at most. */
typedef struct taps {
    uint32_t stride, *first, *count;
    float *weight;
} taps;

static void taps_done(taps *t) {
    free(t->first);
    free(t->count);
    free(t->weight);
}

static void taps_mean(taps *t, uint32_t i, double from, double to, uint32_t size) {
    uint32_t first = (uint32_t)from, end = (uint32_t)ceil(to);
    float *w = t->weight + (size_t)i * t->stride;
    if (end > size) end = size;
    if (first >= end) first = end - 1;
    t->first[i] = first;
    t->count[i] = end - first < t->stride ? end - first : t->stride;
    for (uint32_t k = 0; k < t->count[i]; k++) {
        double low = first + k > from ? first + k : from, high = first + k + 1 < to ? first + k + 1 : to;
        w[k] = (float)((high - low) / (to - from));
    }
}

static void taps_mix(taps *t, uint32_t i, double at, uint32_t size) {
    double clamped = at < 0 ? 0 : at > size - 1 ? size - 1 : at;
    uint32_t first = (uint32_t)clamped;
    float part = (float)(clamped - first), *w = t->weight + (size_t)i * t->stride;
    t->first[i] = first;
    t->count[i] = first + 1 < size ? 2 : 1;
    w[0] = t->count[i] == 2 ? 1 - part : 1;
    w[1] = part;
}

static int taps_init(taps *t, double from, double length, uint32_t size, uint32_t out, gn_error *e) {
    double step = length / out;
    t->stride = step > 1 ? (uint32_t)ceil(step) + 1 : 2;
    t->first = calloc(out, sizeof *t->first);
    t->count = calloc(out, sizeof *t->count);
    t->weight = calloc((size_t)out * t->stride, sizeof *t->weight);
    if (!t->first || !t->count || !t->weight) return gn_fail(e, GN_E_NO_MEMORY, "no memory for scaling");
    for (uint32_t i = 0; i < out; i++) {
        if (step > 1) taps_mean(t, i, from + i * step, from + (i + 1) * step, size);
        else taps_mix(t, i, from + (i + 0.5) * step - 0.5, size);
    }
    return 0;
}

static void across(const pixel_image *in, uint32_t row, const taps *t, uint32_t width, float *to) {
    const uint8_t *p = in->bytes + (size_t)row * in->width * in->channels;
    for (uint32_t x = 0; x < width; x++) {
        const float *w = t->weight + (size_t)x * t->stride;
        for (uint32_t c = 0; c < in->channels; c++) {
            const uint8_t *q = p + (size_t)t->first[x] * in->channels + c;
            float sum = 0;
            for (uint32_t k = 0; k < t->count[x]; k++) sum += w[k] * (float)q[(size_t)k * in->channels];
            *to++ = sum;
        }
    }
}

/* Rows first..first+count of `lines` hold input rows that are scaled across already. */
static void down(const float *lines, size_t pitch, const taps *t, uint32_t y, uint32_t base, uint8_t *to) {
    const float *w = t->weight + (size_t)y * t->stride;
    for (size_t i = 0; i < pitch; i++) {
        const float *q = lines + (size_t)(t->first[y] - base) * pitch + i;
        float sum = 0.5f;
        for (uint32_t k = 0; k < t->count[y]; k++) sum += w[k] * q[k * pitch];
        to[i] = (uint8_t)(sum > 255 ? 255 : sum);
    }
}

/* Keeps only the input rows of one output row: the memory is a strip, whatever the picture's height. */
static int strips(const pixel_image *in, const taps *h, const taps *v, pixel_image *out, gn_error *e) {
    size_t pitch = (size_t)out->width * out->channels;
    float *lines = malloc((size_t)v->stride * pitch * sizeof *lines);
    uint32_t base = 0, have = 0; /* rows base .. base + have are in `lines` */
    if (!lines) return gn_fail(e, GN_E_NO_MEMORY, "no memory for scaling");
    for (uint32_t y = 0; y < out->height; y++) {
        uint32_t first = v->first[y], end = first + v->count[y], keep = base + have > first && first >= base ? base + have - first : 0;
        if (keep && first != base) memmove(lines, lines + (size_t)(first - base) * pitch, keep * pitch * sizeof *lines);
        base = first;
        have = keep;
        for (; base + have < end; have++) across(in, base + have, h, out->width, lines + have * pitch);
        down(lines, pitch, v, y, base, out->bytes + y * pitch);
    }
    free(lines);
    return 0;
}

int pixel_resample(const pixel_image *in, double x, double y, double width, double height, pixel_image *out, gn_error *e) {
    taps h = { 0 }, v = { 0 };
    int rc = taps_init(&h, x, width, in->width, out->width, e);
    if (!rc) rc = taps_init(&v, y, height, in->height, out->height, e);
    if (!rc) rc = strips(in, &h, &v, out, e);
    taps_done(&h);
    taps_done(&v);
    return rc;
}

void pixel_mirror(pixel_image *i, bool left_right, bool up_down) {
    size_t pitch = (size_t)i->width * i->channels;
    for (uint32_t y = 0; left_right && y < i->height; y++)
        for (uint32_t a = 0, b = i->width - 1; a < b; a++, b--)
            for (uint32_t c = 0; c < i->channels; c++) {
                uint8_t *p = i->bytes + y * pitch + (size_t)a * i->channels + c, *q = i->bytes + y * pitch + (size_t)b * i->channels + c, t = *p;
                *p = *q;
                *q = t;
            }
    for (uint32_t a = 0, b = i->height - 1; up_down && a < b; a++, b--)
        for (size_t k = 0; k < pitch; k++) {
            uint8_t *p = i->bytes + a * pitch + k, *q = i->bytes + b * pitch + k, t = *p;
            *p = *q;
            *q = t;
        }
}
