/* frames: what the data set says about its pixels (PS3.3 C.7.6.3), and where each frame lies (PS3.5 §8, §A.4).
 *
 * Numbers come from outside: all sizes are computed in checked 64 bits and compared with the pixel data that is really there
 * before anything of that size is allocated (T9). Offset tables are hints (T8): one that does not hit the starts of fragments
 * is not used, and the frames are found by the number of fragments or by the markers with which codestreams begin. */
#include "scan.h"

#include <inttypes.h>

typedef int (*read_at_fn)(void *ctx, uint64_t offset, void *buf, size_t n);

/* ---- description ------------------------------------------------------------------------------------------------------- */

/* An attribute of type US. Any other VR, or a length that is not one value, counts as absent (CVE-2026-5442). */
static int64_t us_or(const dicom_dataset *ds, dicom_tag tag, int64_t absent) {
    const dicom_element *el = dicom_dataset_find(ds, tag);
    int64_t value;
    if (!el) return absent;
    return el->vr == DICOM_VR_US && el->length == 2 && dicom_element_int(ds, el, 0, &value) ? value : 0;
}

static bool in_range(int64_t v, int64_t low, int64_t high) { return v >= low && v <= high; }

static uint64_t bits_of_frame(const dicom_pixel_description *d) {
    uint64_t bits;
    if (!in_range(d->rows, 1, 65535) || !in_range(d->columns, 1, 65535) || !in_range(d->samples, 1, 65535) ||
        !in_range(d->bits_allocated, 1, 64))
        return 0;
    bits = (uint64_t)d->rows * (uint64_t)d->columns;
    if (!gn_mul_u64(bits, (uint64_t)d->samples, &bits) || !gn_mul_u64(bits, (uint64_t)d->bits_allocated, &bits))
        return 0;
    if (!d->native || d->samples != 3) return bits;
    /* PS3.3 C.7.6.3.1.2: native YBR_FULL_422 has two luminance samples to one pair of the others */
    if (strcmp(d->photometric, "YBR_FULL_422") == 0 || strcmp(d->photometric, "YBR_PARTIAL_422") == 0)
        return bits / 3 * 2;
    if (strcmp(d->photometric, "YBR_PARTIAL_420") == 0) return bits / 2;
    return bits;
}

void dicom_pixel_describe(const dicom_dataset *ds, const dicom_transfer_syntax *ts, dicom_pixel_description *out) {
    static const struct {
        dicom_tag tag;
        int bits;
    } kinds[] = { { DICOM_TAG_PixelData, 0 },
                  { DICOM_TAG_FloatPixelData, 32 },
                  { DICOM_TAG_DoubleFloatPixelData, 64 } };
    dicom_pixel_description d = { 0 };
    (void)ts; /* the element tells better: an icon is native amid an encapsulated transfer syntax */
    d.rows = us_or(ds, DICOM_TAG_Rows, 0);
    d.columns = us_or(ds, DICOM_TAG_Columns, 0);
    d.samples = us_or(ds, DICOM_TAG_SamplesPerPixel, 1); /* ACR-NEMA has none */
    d.bits_allocated = us_or(ds, DICOM_TAG_BitsAllocated, 0);
    d.bits_stored = us_or(ds, DICOM_TAG_BitsStored, 0);
    d.high_bit = us_or(ds, DICOM_TAG_HighBit, 0);
    d.pixel_representation = us_or(ds, DICOM_TAG_PixelRepresentation, 0);
    d.planar = us_or(ds, DICOM_TAG_PlanarConfiguration, 0);
    dicom_dataset_ascii_into(ds, DICOM_TAG_PhotometricInterpretation, d.photometric, sizeof d.photometric);
    const dicom_element *frames = dicom_dataset_find(ds, DICOM_TAG_NumberOfFrames);
    size_t n;
    d.frames = 1;
    if (dicom_element_text(frames, &n) && (frames->vr != DICOM_VR_IS || !dicom_element_int(ds, frames, 0, &d.frames)))
        d.frames = 0;
    for (size_t i = 0; i < GN_ARRAY_LEN(kinds) && !d.element; i++) {
        d.element = dicom_dataset_find(ds, kinds[i].tag);
        if (d.element && kinds[i].bits) d.bits_allocated = d.bits_stored = kinds[i].bits;
    }
    d.present = d.element != NULL;
    d.native = d.present && !d.element->fragments && !(d.element->flags & DICOM_ELEMENT_UNDEFINED);
    uint64_t bits = bits_of_frame(&d);
    d.frame_bytes = bits / 8 + (bits % 8 != 0);
    *out = d;
}

/* ---- native ------------------------------------------------------------------------------------------------------------ */

static dicom_frame *new_frames(const dicom_dataset *ds, uint64_t count, gn_error *e) {
    dicom_frame *frames = count <= SIZE_MAX ? gn_arena_zalloc(ds->arena, (size_t)count, sizeof *frames) : NULL;
    if (!frames) gn_fail(e, GN_E_NO_MEMORY, "no memory for a table of %" PRIu64 " frames", count);
    return frames;
}

static int native_frames(const dicom_dataset *ds, const dicom_pixel_description *d, dicom_frame **out, size_t *count,
                         gn_error *e) {
    uint64_t bits = bits_of_frame(d), there = (uint64_t)d->element->length * 8;
    if (bits == 0) return gn_fail(e, GN_E_INVALID, "the size of a frame cannot be computed");
    uint64_t whole = there / bits, frames = whole < (uint64_t)d->frames ? whole : (uint64_t)d->frames;
    dicom_frame *f = frames ? new_frames(ds, frames, e) : NULL;
    if (frames && !f) return GN_E_NO_MEMORY;
    for (uint64_t i = 0; i < frames; i++) {
        uint64_t start = i * bits; /* cannot overflow: below `there` */
        f[i].offset = d->element->offset + start / 8;
        f[i].bit_offset = (uint8_t)(start % 8);
        f[i].length = (f[i].bit_offset + bits + 7) / 8;
    }
    *out = f;
    *count = (size_t)frames;
    if (frames == (uint64_t)d->frames) return 0;
    return gn_fail(e, GN_E_TRUNCATED, "pixel data of %" PRIu32 " bytes holds %" PRIu64 " of %" PRId64 " frames",
                   d->element->length, whole, d->frames);
}

/* ---- encapsulated ------------------------------------------------------------------------------------------------------ */

typedef struct source {
    const dicom_element *el;
    read_at_fn read_at;
    void *ctx;
    int failure; /* of read_at */
} source;

/* Bytes of an element (or of one of its fragments): from memory, or read. */
static bool fetch(source *s, const dicom_element *el, uint64_t offset, void *buf, size_t n) {
    if (el->value && !(el->flags & DICOM_ELEMENT_BULK)) {
        memcpy(buf, el->value + (offset - el->offset), n);
        return true;
    }
    if (!s->read_at) return false;
    int rc = s->read_at(s->ctx, offset, buf, n);
    if (rc) s->failure = rc;
    return rc == 0;
}

/* The fragment whose item begins at this offset from the first fragment's item; SIZE_MAX: none does. */
static size_t fragment_at(const dicom_fragments *f, uint64_t offset) {
    size_t low = 0, n = f->count;
    uint64_t base = f->extent[0].offset;
    while (n > 0) {
        size_t half = n / 2;
        if (f->extent[low + half].offset - base < offset) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low < f->count && f->extent[low].offset - base == offset ? low : SIZE_MAX;
}

/* Completes a table whose first_fragment values ascend: each frame goes on until the next one. */
static void fill_frames(const dicom_fragments *f, dicom_frame *frames, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t first = frames[i].first_fragment, behind = i + 1 < count ? frames[i + 1].first_fragment : f->count;
        uint64_t sum = 0;
        for (size_t k = first; k < behind; k++) sum += f->extent[k].length;
        frames[i].fragments = (uint32_t)(behind - first);
        frames[i].offset = f->extent[first].offset;
        frames[i].length = sum;
    }
}

/* Sets first_fragment of every frame from a table of offsets of `width` bytes; false: the table is not sound. */
static bool apply_offsets(const dicom_fragments *f, const uint8_t *table, size_t width, dicom_frame *frames,
                          size_t count) {
    size_t last = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t offset = width == 8 ? gn_load_le64(table + i * 8) : gn_load_le32(table + i * 4);
        size_t k = fragment_at(f, offset);
        if (k == SIZE_MAX || (i == 0 ? k != 0 : k <= last)) return false;
        frames[i].first_fragment = (uint32_t)k;
        last = k;
    }
    return true;
}

/* PS3.5 §A.4, (7FE0,0001) and (7FE0,0002). Big endian is no matter: encapsulated syntaxes are little endian. */
static bool by_extended_table(source *s, const dicom_dataset *ds, const dicom_fragments *f, dicom_frame *frames,
                              size_t count) {
    const dicom_element *offsets = dicom_dataset_find(ds, DICOM_TAG_ExtendedOffsetTable);
    const dicom_element *lengths = dicom_dataset_find(ds, DICOM_TAG_ExtendedOffsetTableLengths);
    if (!offsets || count > UINT32_MAX / 8 || offsets->length != count * 8) return false;
    uint8_t *table = gn_arena_alloc(ds->arena, count * 8);
    if (!table || !fetch(s, offsets, offsets->offset, table, count * 8) || !apply_offsets(f, table, 8, frames, count))
        return false;
    fill_frames(f, frames, count);
    if (!lengths || lengths->length != count * 8 || !fetch(s, lengths, lengths->offset, table, count * 8)) return true;
    for (size_t i = 0; i < count; i++) {
        uint64_t length = gn_load_le64(table + i * 8);
        if (length > 0 && length <= frames[i].length) frames[i].length = length;
    }
    return true;
}

static bool by_basic_table(source *s, const dicom_dataset *ds, const dicom_fragments *f, dicom_frame *frames,
                           size_t count) {
    if (f->offset_table.length == 0 || count > UINT32_MAX / 4 || f->offset_table.length != count * 4) return false;
    uint8_t *table = gn_arena_alloc(ds->arena, count * 4);
    if (!table || !fetch(s, s->el, f->offset_table.offset, table, count * 4) ||
        !apply_offsets(f, table, 4, frames, count))
        return false;
    fill_frames(f, frames, count);
    return true;
}

/* Does a codestream begin here: JPEG and JPEG-LS (SOI), JPEG 2000 (SOC SIZ), JP2 and JPEG XL boxes or codestream? */
static bool begins_codestream(const uint8_t *p, size_t n) {
    static const struct {
        uint8_t n, bytes[8];
    } starts[] = { { 3, { 0xFF, 0xD8, 0xFF } },
                   { 4, { 0xFF, 0x4F, 0xFF, 0x51 } },
                   { 2, { 0xFF, 0x0A } },
                   { 8, { 0, 0, 0, 0x0C, 'j', 'P', ' ', ' ' } },
                   { 8, { 0, 0, 0, 0x0C, 'J', 'X', 'L', ' ' } } };
    for (size_t i = 0; i < GN_ARRAY_LEN(starts); i++)
        if (n >= starts[i].n && memcmp(p, starts[i].bytes, starts[i].n) == 0) return true;
    return false;
}

typedef enum marker_result { MARKERS_FIT, MARKERS_DIFFER, MARKERS_NONE, MARKERS_UNREADABLE } marker_result;

/* Looks for codestreams at the starts of fragments. *found: how many there are. */
static marker_result by_markers(source *s, const dicom_fragments *f, dicom_frame *frames, size_t count, size_t *found) {
    size_t n = 0;
    for (size_t i = 0; i < f->count; i++) {
        uint8_t head[8];
        size_t part = f->extent[i].length < sizeof head ? (size_t)f->extent[i].length : sizeof head;
        if (part && !fetch(s, s->el, f->extent[i].offset, head, part)) return MARKERS_UNREADABLE;
        if (!begins_codestream(head, part)) {
            if (i == 0) return MARKERS_NONE;
            continue;
        }
        if (n < count) frames[n].first_fragment = (uint32_t)i;
        n++;
    }
    *found = n;
    if (n > count) return MARKERS_DIFFER;
    fill_frames(f, frames, n);
    return n == count ? MARKERS_FIT : MARKERS_DIFFER;
}

static int find_by_markers(source *s, const dicom_fragments *f, dicom_frame *frames, size_t described, size_t *count,
                           gn_error *e) {
    size_t found = 0;
    switch (by_markers(s, f, frames, described, &found)) {
    case MARKERS_FIT: *count = described; return 0;
    case MARKERS_UNREADABLE:
        if (s->failure) return gn_fail(e, s->failure, "the starts of fragments cannot be read");
        return gn_fail(
            e, GN_E_UNSUPPORTED,
            "%zu fragments for %zu frames and no offset table: the frames can only be told apart by reading them",
            f->count, described);
    case MARKERS_NONE: /* no still images: a video, cut as its writer liked, is one stream */
        if (f->count > described) break;
        *count = 1;
        frames[0].first_fragment = 0;
        fill_frames(f, frames, 1);
        return 0;
    case MARKERS_DIFFER:
        if (found > described) break;
        *count = found;
        return gn_fail(e, GN_E_TRUNCATED, "encapsulated pixel data holds %zu of %zu frames", found, described);
    }
    return gn_fail(e, GN_E_INVALID, "%zu fragments cannot be divided into %zu frames", f->count, described);
}

static int encapsulated_frames(const dicom_dataset *ds, const dicom_pixel_description *d, source *s, dicom_frame **out,
                               size_t *count, gn_error *e) {
    const dicom_fragments *f = d->element->fragments;
    if (!f) return gn_fail(e, GN_E_UNSUPPORTED, "encapsulated pixel data was not read");
    if (f->count == 0) return gn_fail(e, GN_E_TRUNCATED, "encapsulated pixel data has no fragment");
    if (f->count > UINT32_MAX) return gn_fail(e, GN_E_TOO_LARGE, "encapsulated pixel data has too many fragments");
    /* More frames than fragments need no entries: there cannot be more starts than fragments. */
    size_t n = (uint64_t)d->frames < f->count ? (size_t)d->frames : f->count;
    dicom_frame *frames = new_frames(ds, n, e);
    if (!frames) return GN_E_NO_MEMORY;
    *out = frames;
    *count = n;
    if (n == (uint64_t)d->frames && (by_extended_table(s, ds, f, frames, n) || by_basic_table(s, ds, f, frames, n)))
        return 0;
    if ((uint64_t)d->frames == 1 || f->count == 1) { /* one frame, or a video in one piece */
        *count = 1;
        frames[0].first_fragment = 0;
        fill_frames(f, frames, 1);
        return 0;
    }
    if ((uint64_t)d->frames == f->count) {
        for (size_t i = 0; i < n; i++) frames[i].first_fragment = (uint32_t)i;
        fill_frames(f, frames, n);
        return 0;
    }
    *count = 0;
    return find_by_markers(s, f, frames, (size_t)d->frames, count, e);
}

int dicom_pixel_frames(const dicom_dataset *ds, const dicom_pixel_description *d, read_at_fn read_at, void *ctx,
                       dicom_frame **frames, size_t *count, gn_error *e) {
    source s = { d->element, read_at, ctx, 0 };
    *frames = NULL;
    *count = 0;
    if (!d->present) return gn_fail(e, GN_E_NOT_FOUND, "the data set has no pixel data");
    if (d->frames < 1 || d->frames > INT32_MAX)
        return gn_fail(e, GN_E_INVALID, "Number of Frames is not a number of frames");
    return d->native ? native_frames(ds, d, frames, count, e) : encapsulated_frames(ds, d, &s, frames, count, e);
}
