/* lut: look-up tables of the data set: modality and VOI (PS3.3 C.11.1, C.11.2), palettes (C.7.6.3.1.5, .6, C.7.9.2).
 *
 * A descriptor is a promise: number of entries (0 means 65,536), first value mapped, bits of an entry. The data decide how
 * many entries there are. 8-bit tables are met packed two to a word and one to a word; 16-bit palettes whose values never
 * leave 0..255 are taken for 8-bit ones, which is what their makers meant. */
#include "display.h"

#include <inttypes.h>

typedef struct raw { const uint8_t *p; size_t bytes; bool big_endian; } raw;

static uint16_t raw_word(const raw *r, size_t i) { return r->big_endian ? gn_load_be16(r->p + 2 * i) : gn_load_le16(r->p + 2 * i); }

/* The value of an element as bytes. Absent and empty give no bytes. */
static int raw_of(const dicom_dataset *ds, dicom_tag tag, raw *out, gn_error *e) {
    const dicom_element *el = dicom_dataset_find(ds, tag);
    char text[12];
    *out = (raw){ NULL, 0, ds->big_endian };
    if (!el || el->length == 0) return 0;
    if (!el->value || (el->flags & DICOM_ELEMENT_BULK)) return gn_fail(e, GN_E_UNSUPPORTED, "the look-up table %s was left out when reading", dicom_tag_text(tag, text));
    if (el->length % 2) return gn_fail(e, GN_E_INVALID, "the look-up table %s has an odd length", dicom_tag_text(tag, text));
    *out = (raw){ el->value, el->length, ds->big_endian };
    return 0;
}

typedef struct descriptor { uint32_t count; int32_t first; unsigned bits; } descriptor;

static int read_descriptor(const dicom_dataset *ds, dicom_tag tag, bool is_signed, descriptor *out, gn_error *e) {
    const dicom_element *el = dicom_dataset_find(ds, tag);
    char text[12];
    raw r;
    int rc = raw_of(ds, tag, &r, e);
    if (rc) return rc;
    if (r.bytes != 6 || (el->vr != DICOM_VR_US && el->vr != DICOM_VR_SS && el->vr != DICOM_VR_OW && el->vr != DICOM_VR_UN))
        return gn_fail(e, GN_E_INVALID, "the look-up table descriptor %s does not have three values", dicom_tag_text(tag, text));
    uint16_t count = raw_word(&r, 0), first = raw_word(&r, 1), bits = raw_word(&r, 2);
    *out = (descriptor){ count ? count : 65536u, is_signed || el->vr == DICOM_VR_SS ? (int16_t)first : first, bits };
    if (bits < 1 || bits > 16) return gn_fail(e, GN_E_INVALID, "the look-up table %s has entries of %u bits", dicom_tag_text(tag, text), bits);
    return 0;
}

/* Up to d->count entries, as many as there are. */
static int read_entries(gn_arena *arena, const raw *r, const descriptor *d, pixel_lut *out, gn_error *e) {
    bool packed = d->bits <= 8 && r->bytes < (size_t)d->count * 2;
    size_t there = packed ? r->bytes : r->bytes / 2, count = there < d->count ? there : d->count;
    if (count == 0) return gn_fail(e, GN_E_INVALID, "a look-up table has no entries");
    uint16_t *entry = gn_arena_alloc(arena, count * sizeof *entry);
    if (!entry) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a look-up table");
    for (size_t i = 0; i < count; i++) {
        if (!packed) entry[i] = raw_word(r, i);
        else {
            uint16_t word = (i | 1) < r->bytes ? raw_word(r, i / 2) : r->p[i];
            entry[i] = i & 1 ? word >> 8 : word & 0xFF;
        }
    }
    *out = (pixel_lut){ d->first, (uint32_t)count, d->bits, entry };
    return 0;
}

int pixel_lut_read(gn_arena *arena, const dicom_dataset *ds, dicom_tag descriptor_tag, dicom_tag data_tag, bool is_signed, pixel_lut *out, gn_error *e) {
    descriptor d = { 0 };
    raw r = { 0 };
    int rc = read_descriptor(ds, descriptor_tag, is_signed, &d, e);
    if (!rc) rc = raw_of(ds, data_tag, &r, e);
    if (!rc) rc = read_entries(arena, &r, &d, out, e);
    if (rc) return rc;
    uint16_t highest = 0;
    for (uint32_t i = 0; i < out->count; i++) highest = out->entry[i] > highest ? out->entry[i] : highest;
    while (out->bits < 16 && highest > pixel_mask(out->bits)) out->bits++; /* the descriptor understates */
    return 0;
}

/* ---- palettes ---------------------------------------------------------------------------------------------------------- */

typedef struct expansion { uint16_t *entry; uint32_t count, capacity; } expansion;

static bool add(expansion *x, uint16_t value) {
    if (x->count == x->capacity) return false;
    x->entry[x->count++] = value;
    return true;
}

/* A linear segment runs from the last entry, not repeated, to `end`. */
static bool add_ramp(expansion *x, uint16_t length, uint16_t end) {
    if (x->count == 0 || length == 0) return length == 0;
    int32_t start = x->entry[x->count - 1], rise = (int32_t)end - start;
    for (uint32_t i = 1; i <= length; i++) {
        int64_t twice = (int64_t)rise * i * 2;
        if (!add(x, (uint16_t)(start + (twice + (twice < 0 ? -(int64_t)length : length)) / (2 * (int64_t)length)))) return false;
    }
    return true;
}

/* One discrete (0) or linear (1) segment at word *at. */
static bool add_segment(expansion *x, const raw *r, size_t *at, size_t words) {
    if (*at + 2 > words) return false;
    uint16_t kind = raw_word(r, *at), length = raw_word(r, *at + 1);
    *at += 2;
    if (kind == 0) {
        if (length > words - *at) return false;
        for (uint16_t i = 0; i < length; i++)
            if (!add(x, raw_word(r, (*at)++))) return false;
        return true;
    }
    if (kind != 1 || *at >= words) return false;
    return add_ramp(x, length, raw_word(r, (*at)++));
}

/* C.7.9.2: an indirect segment (2) repeats segments that begin at a byte offset; those may not be indirect themselves. */
static bool expand(const raw *r, expansion *x) {
    size_t words = r->bytes / 2, at = 0;
    while (at < words) {
        if (raw_word(r, at) != 2) {
            if (!add_segment(x, r, &at, words)) return false;
            continue;
        }
        if (words - at < 4) return false;
        uint16_t times = raw_word(r, at + 1);
        size_t from = (raw_word(r, at + 2) | (size_t)raw_word(r, at + 3) << 16) / 2;
        for (at += 4; times > 0; times--) {
            if (from >= words || raw_word(r, from) == 2 || !add_segment(x, r, &from, words)) return false;
        }
    }
    return true;
}

static int read_segmented(gn_arena *arena, const raw *r, const descriptor *d, pixel_lut *out, gn_error *e) {
    expansion x = { gn_arena_alloc(arena, d->count * sizeof *x.entry), 0, d->count };
    if (!x.entry) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a palette");
    if (!expand(r, &x) || x.count == 0) return gn_fail(e, GN_E_INVALID, "the segmented palette is not valid");
    *out = (pixel_lut){ d->first, x.count, d->bits, x.entry };
    return 0;
}

int pixel_palette_read(gn_arena *arena, const dicom_dataset *ds, bool is_signed, pixel_lut out[3], gn_error *e) {
    static const dicom_tag descriptors[] = { DICOM_TAG_RedPaletteColorLookupTableDescriptor, DICOM_TAG_GreenPaletteColorLookupTableDescriptor,
        DICOM_TAG_BluePaletteColorLookupTableDescriptor };
    static const dicom_tag plain[] = { DICOM_TAG_RedPaletteColorLookupTableData, DICOM_TAG_GreenPaletteColorLookupTableData, DICOM_TAG_BluePaletteColorLookupTableData };
    static const dicom_tag segmented[] = { DICOM_TAG_SegmentedRedPaletteColorLookupTableData, DICOM_TAG_SegmentedGreenPaletteColorLookupTableData,
        DICOM_TAG_SegmentedBluePaletteColorLookupTableData };
    uint16_t highest = 0;
    for (size_t c = 0; c < 3; c++) {
        descriptor d = { 0 };
        raw r = { 0 };
        int rc = read_descriptor(ds, descriptors[c], is_signed, &d, e);
        if (!rc) rc = raw_of(ds, plain[c], &r, e);
        if (!rc && r.bytes) rc = read_entries(arena, &r, &d, &out[c], e);
        else if (!rc && (rc = raw_of(ds, segmented[c], &r, e)) == 0)
            rc = r.bytes ? read_segmented(arena, &r, &d, &out[c], e) : gn_fail(e, GN_E_INVALID, "the palette has no data");
        if (rc) return rc;
        for (uint32_t i = 0; i < out[c].count; i++) highest = out[c].entry[i] > highest ? out[c].entry[i] : highest;
    }
    for (size_t c = 0; c < 3; c++)
        if (out[c].bits > 8 && highest <= 0xFF) out[c].bits = 8;
        else if (out[c].bits <= 8 && highest > 0xFF) out[c].bits = 16;
    return 0;
}
