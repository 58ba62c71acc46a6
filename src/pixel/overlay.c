/* overlay: overlay planes (PS3.3 C.9.2): reading the groups 60xx and drawing them into the picture.
 *
 * An overlay lies anywhere relative to its image; only what falls inside is drawn. Bits that are promised but not there count
 * as not set (T9). Planes in unused bits of the pixel data (retired) are drawn from the frame's samples. */
#include "display.h"

#include <inttypes.h>

static bool us_of(const dicom_dataset *ds, dicom_tag tag, uint16_t *out) {
    int64_t v;
    if (!dicom_dataset_int(ds, tag, &v) || v < 0 || v > 65535) return false;
    *out = (uint16_t)v;
    return true;
}

/* Which frame of the overlay belongs to the image's frame; false: none. */
static bool overlay_frame(const dicom_dataset *ds, dicom_tag group, unsigned frame_index, uint64_t *frame) {
    int64_t frames = 1, origin = 1;
    *frame = 0;
    if (!dicom_dataset_int(ds, group | DICOM_TAG(0, 0x0015), &frames)) return true; /* one plane for all frames */
    (void)dicom_dataset_int(ds, group | DICOM_TAG(0, 0x0051), &origin);
    int64_t i = (int64_t)frame_index + 1 - origin;
    if (frames < 1 || i < 0 || i >= frames) return false;
    *frame = (uint64_t)i;
    return true;
}

static int read_origin(const dicom_dataset *ds, dicom_tag group, pixel_overlay *o, gn_error *e) {
    const dicom_element *el = dicom_dataset_find(ds, group | DICOM_TAG(0, 0x0050));
    int64_t top = 1, left = 1;
    if (el && el->length && (!dicom_element_int(ds, el, 0, &top) || !dicom_element_int(ds, el, 1, &left)))
        return gn_fail(e, GN_E_INVALID, "Overlay Origin does not have two values");
    if (top < -65535 || top > 65535 || left < -65535 || left > 65535) return gn_fail(e, GN_E_INVALID, "Overlay Origin is out of range");
    o->top = (int32_t)top - 1;
    o->left = (int32_t)left - 1;
    return 0;
}

static int read_one(const dicom_dataset *ds, dicom_tag group, unsigned frame_index, pixel_overlay *o, bool *drawn, gn_error *e) {
    uint16_t allocated = 1, position = 0;
    uint64_t frame;
    const dicom_element *data = dicom_dataset_find(ds, group | DICOM_TAG(0, 0x3000));
    char type[17];
    *drawn = false;
    memset(o, 0, sizeof *o);
    if (!us_of(ds, group | DICOM_TAG(0, 0x0010), &o->rows) || !us_of(ds, group | DICOM_TAG(0, 0x0011), &o->columns) || !o->rows || !o->columns)
        return 0; /* a curve or a group left empty */
    if (!overlay_frame(ds, group, frame_index, &frame)) return 0;
    int rc = read_origin(ds, group, o, e);
    if (rc) return rc;
    (void)us_of(ds, group | DICOM_TAG(0, 0x0100), &allocated);
    (void)us_of(ds, group | DICOM_TAG(0, 0x0102), &position);
    dicom_dataset_ascii_into(ds, group | DICOM_TAG(0, 0x0040), type, sizeof type);
    o->region = strcmp(type, "R") == 0;
    o->embedded = !data && allocated > 1;
    o->bit = position;
    if (!data && !o->embedded) return 0;
    if (data && data->length && (!data->value || (data->flags & DICOM_ELEMENT_BULK)))
        return gn_fail(e, GN_E_UNSUPPORTED, "overlay %04X was left out when reading", dicom_tag_group(group));
    *drawn = true;
    if (!data) return 0;
    o->bits = data->value;
    o->bit_count = data->value ? (uint64_t)data->length * 8 : 0;
    o->first_bit = frame * o->rows * o->columns;
    o->swapped = ds->big_endian && data->vr == DICOM_VR_OW;
    return 0;
}

int pixel_overlays_read(const dicom_dataset *ds, unsigned frame_index, pixel_overlay *out, size_t *count, gn_error *e) {
    *count = 0;
    for (unsigned i = 0; i < PIXEL_MAX_OVERLAYS; i++) {
        bool drawn;
        int rc = read_one(ds, DICOM_TAG(0x6000 + 2 * i, 0), frame_index, &out[*count], &drawn, e);
        if (rc) return rc;
        *count += drawn;
    }
    return 0;
}

static bool is_set(const pixel_overlay *o, const pixel_frame *frame, uint64_t i, size_t pixel) {
    if (o->embedded) {
        unsigned unit = pixel_sample_bytes(&frame->format), byte = o->bit / 8;
        return unit && frame->format.allocated > 8 && byte < unit && frame->bytes[pixel * unit + byte] >> (o->bit % 8) & 1;
    }
    uint64_t bit = o->first_bit + i, at = bit / 8;
    if (bit >= o->bit_count) return false;
    if (o->swapped && (at ^ 1) < o->bit_count / 8) at ^= 1;
    return o->bits[at] >> (bit % 8) & 1;
}

void pixel_overlay_draw(const pixel_overlay *o, const pixel_frame *frame, pixel_image *image) {
    if (o->embedded && frame->format.samples != 1) return;
    int64_t first = o->left < 0 ? -(int64_t)o->left : 0, end = (int64_t)image->width - o->left;
    if (end > o->columns) end = o->columns;
    for (int64_t row = 0; row < o->rows; row++) {
        int64_t y = row + o->top;
        if (y < 0 || y >= image->height) continue;
        for (int64_t column = first; column < end; column++) {
            size_t pixel = (size_t)y * image->width + (size_t)(column + o->left);
            if (!is_set(o, frame, (uint64_t)row * o->columns + (uint64_t)column, pixel)) continue;
            uint8_t *p = image->bytes + pixel * image->channels;
            memset(p, o->region && p[0] > 127 ? 0 : 255, image->channels); /* a region must show on white too */
        }
    }
}
