/* scan: the walk over an encoded data set: element and item headers, nesting, encapsulated pixel data (PS3.5 §7, §A.4).
 *
 * Each step looks at one thing: an element's header with its value, an item's header, a fragment's header, a stretch of a
 * value. A step consumes bytes or ends a level, so the walk is linear in the input. What real writers get wrong and common
 * readers forgive is forgiven here too, in one place: unknown VRs, implicit VR inside explicit VR, missing item delimiters,
 * item delimiters in place of sequence delimiters. Everything else ends in an error with offset and path. */
#include "scan.h"

#include <inttypes.h>
#include <stdlib.h>

#define TAG_ITEM DICOM_TAG(0xFFFE, 0xE000)
#define TAG_ITEM_END DICOM_TAG(0xFFFE, 0xE00D)
#define TAG_SEQUENCE_END DICOM_TAG(0xFFFE, 0xE0DD)
#define MORE 1 /* result of a step: the bytes at hand do not suffice */

typedef struct header {
    dicom_tag tag;
    dicom_vr vr, wire_vr;
    uint16_t reserved;
    uint8_t size, flags;
    uint32_t length;
} header;

/* ---- beginning, ending, errors ----------------------------------------------------------------------------------------- */

int scan_init(scan *s, dicom_dataset *root, const dicom_transfer_syntax *ts, const scan_options *options, gn_error *e) {
    memset(s, 0, offsetof(scan, level) + sizeof s->level[0]);
    s->arena = root->arena;
    s->options = *options;
    s->syntax_implicit = ts->implicit_vr;
    root->big_endian = ts->big_endian;
    s->level[0] = (scan_level){
        .ds = root, .limit = SCAN_NO_END, .undefined = true, .implicit = ts->implicit_vr, .is_signed = -1
    };
    s->capacity = 192;
    s->element = malloc(s->capacity * sizeof *s->element);
    return s->element ? 0 : gn_fail(e, GN_E_NO_MEMORY, "memory for a data set is exhausted");
}

void scan_done(scan *s) {
    free(s->element);
    free(s->extent);
    s->element = NULL;
    s->extent = NULL;
}

static int no_memory(gn_error *e) { return gn_fail(e, GN_E_NO_MEMORY, "memory for a data set is exhausted"); }

/* "offset 1234, (0040,A730)[3].(0008,1199)"; the middle of a long path is left out. Items count from 0. */
static void locate(const scan *s, gn_error *e) {
    char path[96], tag[12];
    size_t n = 0;
    bool in_value = s->state == SCAN_VALUE || (s->state == SCAN_SKIP && s->after == SCAN_ELEMENT);
    bool in_fragment = s->state == SCAN_FRAGMENT || (s->state == SCAN_SKIP && s->after == SCAN_FRAGMENT);
    if (!e || e->where[0]) return;
    path[0] = '\0';
    for (unsigned i = 0; i <= s->depth; i++) {
        const scan_level *l = &s->level[i];
        bool inside = i < s->depth || ((s->state == SCAN_ITEM || in_fragment) && l->seq_tag != 0);
        int wrote = 0;
        if (s->depth > 3 && i == 2) wrote = snprintf(path + n, sizeof path - n, ".."); /* behind the dot before it */
        if (s->depth > 3 && i >= 2 && i + 1 < s->depth) {
            n += (size_t)wrote;
            continue;
        }
        if (inside)
            wrote = snprintf(path + n, sizeof path - n, "%s[%" PRIu32 "].", dicom_tag_text(l->seq_tag, tag),
                             l->seq_items ? l->seq_items - 1 : 0);
        if (wrote > 0 && (size_t)wrote < sizeof path - n) n += (size_t)wrote;
    }
    if (s->tag && (s->state == SCAN_ELEMENT || in_value))
        snprintf(path + n, sizeof path - n, "%s", dicom_tag_text(s->tag, tag));
    else if (n > 0 && path[n - 1] == '.') path[n - 1] = '\0';
    gn_error_at(e, "offset %" PRIu64 "%s%s", in_value ? s->tag_offset : s->offset, path[0] ? ", " : "", path);
}

/* ---- element headers --------------------------------------------------------------------------------------------------- */

static bool printable(uint8_t c) { return c >= 0x20 && c < 0x7F; }
static bool capital(uint8_t c) { return c >= 'A' && c <= 'Z'; }

/* A header whose two VR characters are no VR. Two capitals are a VR of the future, which has the 12-byte header (PS3.5 §7.1.2),
 * unless its reserved bytes are in use; other characters come from writers that use the 8-byte header; bytes that are no
 * characters are the length of an element without VR. */
static size_t decode_unknown(const uint8_t *p, size_t n, bool big_endian, header *h) {
    h->vr = DICOM_VR_UN;
    if (capital(p[4]) && capital(p[5]) && p[6] == 0 && p[7] == 0) {
        if (n < 12) return 12;
        h->length = big_endian ? gn_load_be32(p + 8) : gn_load_le32(p + 8);
        h->size = 12;
        return 0;
    }
    if (big_endian || (printable(p[4]) && printable(p[5])) || (p[4] == 0 && p[5] == 0)) {
        h->length = big_endian ? gn_load_be16(p + 6) : gn_load_le16(p + 6);
        h->flags = DICOM_ELEMENT_SHORT_HEADER;
        return 0;
    }
    h->flags = DICOM_ELEMENT_IMPLICIT_HEADER;
    h->wire_vr = 0;
    h->vr = DICOM_VR_NONE;
    h->length = gn_load_le32(p + 4);
    return 0;
}

/* 0, or how many bytes are needed. In implicit VR and for the tags of PS3.5 §7.5 the VR is left open. */
static size_t decode_header(const scan_level *l, const uint8_t *p, size_t n, header *h) {
    if (n < 8) return 8;
    bool be = l->ds->big_endian;
    uint32_t group = be ? gn_load_be16(p) : gn_load_le16(p), number = be ? gn_load_be16(p + 2) : gn_load_le16(p + 2);
    *h = (header){ .tag = group << 16 | number, .size = 8 };
    if (group == 0xFFFE || l->implicit) {
        h->length = be ? gn_load_be32(p + 4) : gn_load_le32(p + 4);
        h->flags = l->implicit_flag;
        return 0;
    }
    h->wire_vr = DICOM_VR(p[4], p[5]);
    const dicom_vr_info *info = dicom_vr_find(h->wire_vr);
    if (!info) return decode_unknown(p, n, be, h);
    h->vr = h->wire_vr;
    if (!info->long_length) {
        h->length = be ? gn_load_be16(p + 6) : gn_load_le16(p + 6);
        return 0;
    }
    if (n < 12) return 12;
    h->reserved = gn_load_le16(p + 6);
    h->length = be ? gn_load_be32(p + 8) : gn_load_le32(p + 8);
    h->size = 12;
    return 0;
}

/* PS3.5 §A.1: what the VR of an element is when the data set does not say. */
static dicom_vr resolve_vr(const scan_level *l, dicom_tag tag, uint32_t length) {
    if (dicom_is_pixel_data(tag) && length == DICOM_UNDEFINED_LENGTH) return DICOM_VR_OB;
    if (length == DICOM_UNDEFINED_LENGTH) return DICOM_VR_SQ;
    dicom_vr vr = dicom_implicit_vr(tag);
    if (vr != DICOM_VR_US && vr != DICOM_VR_OB) return vr;
    const dicom_dict_entry *entry = dicom_dict_find(tag);
    if (!entry || entry->vr2 == DICOM_VR_NONE) return vr;
    if (entry->vr2 == DICOM_VR_OW || entry->vr3 == DICOM_VR_OW) return DICOM_VR_OW;
    return entry->vr2 == DICOM_VR_SS && l->is_signed == 1 ? DICOM_VR_SS : vr;
}

/* Could these be the tag and explicit VR of an element? */
static bool looks_explicit(const uint8_t *p) {
    dicom_vr vr = DICOM_VR(p[4], p[5]);
    if (!dicom_vr_find(vr)) return false;
    const dicom_dict_entry *entry = dicom_dict_find(DICOM_TAG(gn_load_le16(p), gn_load_le16(p + 2)));
    return !entry || vr == DICOM_VR_UN || vr == entry->vr || vr == entry->vr2 || vr == entry->vr3;
}

/* Looks at the first element of a data set: is it encoded as it should be? Writers are known that put implicit VR items into
 * explicit VR (mostly private ones copied as they were), and that state the wrong one of the two for the whole data set. */
static void begin_level(scan *s, scan_level *l, const uint8_t *p) {
    l->begun = true;
    if (l->ds->big_endian || gn_load_le16(p) == 0xFFFE) return;
    if (!l->implicit) {
        bool no_vr = !printable(p[4]) || !printable(p[5]);
        bool zero_vr = p[4] == 0 && p[5] == 0 && (p[6] || p[7]);
        if (!no_vr || zero_vr) return;
        l->implicit = true;
        l->implicit_flag = DICOM_ELEMENT_IMPLICIT_HEADER;
        return;
    }
    scan_level *above = s->depth ? l - 1 : NULL;
    dicom_element *sequence = above ? &s->element[above->seq_place] : NULL;
    bool may_switch = !above || ((sequence->flags & DICOM_ELEMENT_IMPLICIT_INSIDE) && above->seq_items == 1 &&
                                 !above->ds->big_endian);
    if (!may_switch || !looks_explicit(p)) return;
    l->implicit = false;
    if (!above) return;
    sequence->flags &= (uint8_t)~DICOM_ELEMENT_IMPLICIT_INSIDE;
    above->seq_implicit = false;
}

/* ---- adding elements and items ----------------------------------------------------------------------------------------- */

/* An element of nothing costs its sender 8 bytes and us some 60: a stream of them is a bomb (T6), real headers have up to some 100,000. */
enum { MAX_STREAMED_ELEMENTS = 1000000 };

static dicom_element *push_element(scan *s, scan_level *l, const header *h, gn_error *e) {
    if (!s->options.borrow && s->count == MAX_STREAMED_ELEMENTS) {
        gn_fail(e, GN_E_TOO_LARGE, "the data set has more than %d elements", MAX_STREAMED_ELEMENTS);
        return NULL;
    }
    if (s->count == s->capacity) {
        size_t capacity = s->capacity * 2;
        dicom_element *grown = realloc(s->element, capacity * sizeof *grown);
        if (!grown) {
            no_memory(e);
            return NULL;
        }
        s->element = grown;
        s->capacity = capacity;
    }
    if (h->tag <= l->last_tag && s->count > l->base) l->ds->sorted = false;
    l->last_tag = h->tag;
    dicom_element *el = &s->element[s->count++];
    *el = (dicom_element){ .tag = h->tag,
                           .vr = h->vr,
                           .flags = h->flags,
                           .length = h->length,
                           .wire_vr = h->wire_vr,
                           .wire_reserved = h->reserved,
                           .offset = s->offset + h->size };
    return el;
}

static int keep(scan *s, uint64_t n, gn_error *e) {
    s->kept += n;
    return s->kept <= s->options.max_kept
               ? 0
               : gn_fail(e, GN_E_TOO_LARGE, "the data set without bulk data exceeds %" PRIu64 " bytes",
                         s->options.max_kept);
}

/* Moves the elements of the innermost data set from the stack to their place in the arena. */
static int settle(scan *s, gn_error *e) {
    scan_level *l = &s->level[s->depth];
    size_t n = s->count - l->base;
    if (n) {
        l->ds->element = gn_arena_memdup(s->arena, &s->element[l->base], n * sizeof *s->element);
        if (!l->ds->element) return no_memory(e);
        l->ds->count = l->ds->capacity = n;
        s->count = l->base;
    }
    return 0;
}

static int close_item(scan *s, gn_error *e) {
    int rc = settle(s, e);
    if (rc) return rc;
    s->depth--;
    s->state = SCAN_ITEM;
    return 0;
}

static void close_sequence(scan *s, scan_level *l) {
    l->seq_tag = 0;
    s->state = SCAN_ELEMENT;
}

/* An item may be longer than a sequence of defined length says, as in directories whose writers did not mend the length; but
 * not longer than the item that the sequence is in. */
static int open_item(scan *s, scan_level *l, uint32_t length, gn_error *e) {
    if (length != DICOM_UNDEFINED_LENGTH && length > l->limit - s->offset - 8)
        return gn_fail(e, GN_E_INVALID, "an item of %" PRIu32 " bytes is longer than what is around it", length);
    int rc = keep(s, 8, e);
    if (rc) return rc;
    dicom_item *item = dicom_item_append(&s->element[l->seq_place], l->ds);
    if (!item) return no_memory(e);
    item->undefined = length == DICOM_UNDEFINED_LENGTH;
    item->length = length;
    item->offset = s->offset;
    item->dataset->big_endian = l->seq_big_endian;
    l->seq_items++;
    l->seq_maybe_over = false;
    s->depth++;
    s->level[s->depth] = (scan_level){ .ds = item->dataset,
                                       .limit = item->undefined ? l->limit : s->offset + 8 + length,
                                       .base = s->count,
                                       .undefined = item->undefined,
                                       .implicit = l->seq_implicit,
                                       .implicit_flag = l->seq_implicit ? l->implicit_flag : 0,
                                       .is_signed = l->is_signed };
    s->state = SCAN_ELEMENT;
    s->tag = 0;
    return 0;
}

static int open_sequence(scan *s, scan_level *l, dicom_element *el, gn_error *e) {
    if (s->depth >= DICOM_MAX_DEPTH)
        return gn_fail(e, GN_E_TOO_DEEP, "sequences are nested deeper than %d levels", DICOM_MAX_DEPTH);
    bool foreign = el->vr == DICOM_VR_UN; /* PS3.5 §6.2.2 note: content is implicit VR little endian */
    if (el->length == DICOM_UNDEFINED_LENGTH) el->flags |= DICOM_ELEMENT_UNDEFINED;
    if (foreign) el->flags |= DICOM_ELEMENT_IMPLICIT_INSIDE;
    l->seq_undefined = el->length == DICOM_UNDEFINED_LENGTH;
    l->seq_implicit = foreign || l->implicit;
    l->seq_big_endian = !foreign && l->ds->big_endian;
    l->seq_maybe_over = false;
    l->seq_limit = l->seq_undefined ? l->limit : el->offset + el->length;
    l->seq_place = (size_t)(el - s->element);
    l->seq_tag = el->tag;
    l->seq_items = 0;
    s->state = SCAN_ITEM;
    return 0;
}

/* ---- steps ------------------------------------------------------------------------------------------------------------- */

/* A tag of group FFFE where an element was expected. */
static int step_delimiter(scan *s, scan_level *l, dicom_tag tag, size_t *took, gn_error *e) {
    bool in_undefined = s->depth > 0 && l->undefined;
    if (tag == TAG_ITEM_END && s->depth > 0) {
        *took = 8;
        return in_undefined ? close_item(s, e) : 0; /* a defined length and a delimiter too: harmless */
    }
    /* The delimiter of this item is missing: what is here belongs to the sequence around it. */
    if (in_undefined && (tag == TAG_SEQUENCE_END || tag == TAG_ITEM)) return close_item(s, e);
    char text[12];
    return gn_fail(e, GN_E_INVALID, "%s outside of a sequence", dicom_tag_text(tag, text));
}

/* The value of el: kept, or passed over. */
static int take_value(scan *s, dicom_element *el, const uint8_t *p, size_t n, size_t *took, gn_error *e) {
    uint32_t length = el->length;
    if (length > s->options.max_value) {
        el->flags |= DICOM_ELEMENT_BULK;
        s->left = length;
        s->state = SCAN_SKIP;
        s->after = SCAN_ELEMENT;
        return 0;
    }
    int rc = keep(s, length, e);
    if (rc || length == 0) return rc;
    if (s->options.borrow) {
        el->value = p;
        *took += length;
        return 0;
    }
    uint8_t *copy = gn_arena_alloc(s->arena, length);
    if (!copy) return no_memory(e);
    el->value = copy;
    if (n >= length) {
        memcpy(copy, p, length);
        *took += length;
        return 0;
    }
    s->copy = copy;
    s->left = length;
    s->state = SCAN_VALUE;
    return 0;
}

static int open_fragments(scan *s, scan_level *l, dicom_element *el) {
    el->flags |= DICOM_ELEMENT_UNDEFINED;
    l->seq_tag = el->tag;
    l->seq_place = (size_t)(el - s->element);
    l->seq_items = 0;
    s->extents = 0;
    s->state = SCAN_FRAGMENT;
    return 0;
}

/* An element whose header is whole: adds it and goes on with its value. */
static int add_element(scan *s, scan_level *l, const header *h, const uint8_t *p, size_t n, size_t *took, gn_error *e) {
    bool undefined = h->length == DICOM_UNDEFINED_LENGTH, pixel_data = dicom_is_pixel_data(h->tag);
    bool fragments = undefined && (pixel_data || h->vr == DICOM_VR_OB || h->vr == DICOM_VR_OW);
    if (undefined && !fragments && h->vr != DICOM_VR_SQ && h->vr != DICOM_VR_UN)
        return gn_fail(e, GN_E_INVALID, "undefined length is not allowed for %c%c", h->vr >> 8, h->vr & 0xFF);
    int rc = keep(s, h->size, e);
    if (rc) return rc;
    dicom_element *el = push_element(s, l, h, e);
    if (!el) return GN_E_NO_MEMORY;
    *took = h->size;
    if (pixel_data && s->depth == 0 && s->options.stop_at_pixel_data) {
        el->flags |= (uint8_t)(DICOM_ELEMENT_BULK | (undefined ? DICOM_ELEMENT_UNDEFINED : 0));
        s->state = SCAN_END;
        return 0;
    }
    if (fragments) return open_fragments(s, l, el);
    if (undefined || h->vr == DICOM_VR_SQ) return open_sequence(s, l, el, e);
    if (h->tag == DICOM_TAG_PixelRepresentation && h->length == 2)
        l->is_signed = (l->ds->big_endian ? gn_load_be16(p + h->size) : gn_load_le16(p + h->size)) == 1;
    return take_value(s, el, p + h->size, n - h->size, took, e);
}

static int step_element(scan *s, const uint8_t *p, size_t n, size_t *took, gn_error *e) {
    scan_level *l = &s->level[s->depth];
    uint64_t room = l->limit - s->offset;
    if (room == 0) {
        if (!l->undefined) return close_item(s, e);
        s->tag = 0;
        return gn_fail(e, GN_E_INVALID, "the delimiter of an item is missing");
    }
    size_t view = n < room ? n : (size_t)room, need = 8;
    header h;
    if (view >= 8) {
        if (!l->begun) begin_level(s, l, p);
        need = decode_header(l, p, view, &h);
    }
    if (need) {
        s->tag = 0;
        return need > room ? gn_fail(e, GN_E_INVALID, "an element crosses the end of its item") : MORE;
    }
    if (s->options.only_meta && dicom_tag_group(h.tag) != 2) {
        s->state = SCAN_END;
        return 0;
    }
    s->tag = h.tag;
    s->tag_offset = s->offset;
    if (dicom_tag_group(h.tag) == 0xFFFE) return step_delimiter(s, l, h.tag, took, e);
    if (h.vr == DICOM_VR_NONE) h.vr = resolve_vr(l, h.tag, h.length);
    if (h.length != DICOM_UNDEFINED_LENGTH) {
        if (h.length > room - h.size)
            return gn_fail(e, GN_E_INVALID, "a value of %" PRIu32 " bytes reaches beyond the end of its item",
                           h.length);
        bool stop = s->options.stop_at_pixel_data && s->depth == 0 && dicom_is_pixel_data(h.tag);
        bool whole = s->options.borrow && h.vr != DICOM_VR_SQ && h.length <= s->options.max_value;
        if (((whole && !stop) || (h.tag == DICOM_TAG_PixelRepresentation && h.length == 2)) && h.length > n - h.size)
            return MORE;
    }
    return add_element(s, l, &h, p, n, took, e);
}

static int step_item(scan *s, const uint8_t *p, size_t n, size_t *took, gn_error *e) {
    scan_level *l = &s->level[s->depth];
    uint64_t room = s->offset < l->seq_limit ? l->seq_limit - s->offset : 0;
    if (room == 0 && (!l->seq_undefined || l->seq_maybe_over)) {
        close_sequence(s, l);
        return 0;
    }
    if (room < 8)
        return gn_fail(e, GN_E_INVALID,
                       room ? "an item crosses the end of its sequence" : "the delimiter of a sequence is missing");
    if (n < 8) return MORE;
    bool be = l->seq_big_endian;
    dicom_tag tag =
        be ? DICOM_TAG(gn_load_be16(p), gn_load_be16(p + 2)) : DICOM_TAG(gn_load_le16(p), gn_load_le16(p + 2));
    if (tag == TAG_ITEM) {
        *took = 8;
        return open_item(s, l, be ? gn_load_be32(p + 4) : gn_load_le32(p + 4), e);
    }
    if (l->seq_maybe_over && tag != TAG_SEQUENCE_END) {
        close_sequence(s, l);
        return 0;
    }
    if (tag == TAG_SEQUENCE_END || tag == TAG_ITEM_END) {
        *took = 8;
        if (l->seq_undefined && tag == TAG_SEQUENCE_END) close_sequence(s, l);
        else if (l->seq_undefined) l->seq_maybe_over = true;
        return 0; /* in a sequence of defined length: superfluous */
    }
    char text[12];
    return gn_fail(e, GN_E_INVALID, "%s where an item of a sequence belongs", dicom_tag_text(tag, text));
}

/* p: the bytes at s->offset. */
static int close_fragments(scan *s, scan_level *l, const uint8_t *p, gn_error *e) {
    dicom_element *el = &s->element[l->seq_place];
    dicom_fragments *f = gn_arena_zalloc(s->arena, 1, sizeof *f);
    if (!f) return no_memory(e);
    if (s->extents) f->offset_table = s->extent[0];
    f->count = s->extents ? s->extents - 1 : 0;
    if (f->count) {
        f->extent = gn_arena_memdup(s->arena, s->extent + 1, f->count * sizeof *f->extent);
        if (!f->extent) return no_memory(e);
    }
    el->fragments = f;
    if (s->options.borrow && s->offset - el->offset <= s->options.max_value) el->value = p - (s->offset - el->offset);
    else el->flags |= DICOM_ELEMENT_BULK;
    close_sequence(s, l);
    return 0;
}

static int add_extent(scan *s, uint64_t offset, uint32_t length, gn_error *e) {
    if (s->extents >= s->options.max_fragments)
        return gn_fail(e, GN_E_TOO_LARGE, "more than %zu fragments of pixel data", s->options.max_fragments);
    if (s->extents == s->extent_capacity) {
        size_t capacity = s->extent_capacity ? s->extent_capacity * 2 : 64;
        dicom_extent *grown = realloc(s->extent, capacity * sizeof *grown);
        if (!grown) return no_memory(e);
        s->extent = grown;
        s->extent_capacity = capacity;
    }
    s->extent[s->extents++] = (dicom_extent){ offset, length };
    return 0;
}

/* PS3.5 §A.4: items of defined length, the first one the Basic Offset Table; then the sequence delimiter. */
static int step_fragment(scan *s, const uint8_t *p, size_t n, size_t *took, gn_error *e) {
    scan_level *l = &s->level[s->depth];
    uint64_t room = l->limit - s->offset;
    if (room < 8) return gn_fail(e, GN_E_INVALID, "the delimiter of encapsulated pixel data is missing");
    if (n < 8) return MORE;
    bool be = l->ds->big_endian;
    dicom_tag tag =
        be ? DICOM_TAG(gn_load_be16(p), gn_load_be16(p + 2)) : DICOM_TAG(gn_load_le16(p), gn_load_le16(p + 2));
    uint32_t length = be ? gn_load_be32(p + 4) : gn_load_le32(p + 4);
    char text[12];
    if (tag == TAG_SEQUENCE_END) {
        *took = 8;
        return close_fragments(s, l, p, e);
    }
    if (tag != TAG_ITEM)
        return gn_fail(e, GN_E_INVALID, "%s where a fragment of pixel data belongs", dicom_tag_text(tag, text));
    if (length == DICOM_UNDEFINED_LENGTH)
        return gn_fail(e, GN_E_INVALID, "a fragment of pixel data has undefined length");
    if (length > room - 8)
        return gn_fail(e, GN_E_INVALID, "a fragment of %" PRIu32 " bytes reaches beyond the end of its item", length);
    int rc = add_extent(s, s->offset + 8, length, e);
    if (rc) return rc;
    l->seq_items++;
    *took = 8;
    s->left = length;
    s->state = SCAN_SKIP;
    s->after = SCAN_FRAGMENT;
    return 0;
}

/* Bytes of a value that is copied (VALUE) or passed over (SKIP). */
static int step_value(scan *s, const uint8_t *p, size_t n, size_t *took) {
    size_t part = n < s->left ? n : (size_t)s->left;
    if (s->state == SCAN_VALUE && part) {
        memcpy(s->copy, p, part);
        s->copy += part;
    }
    *took = part;
    s->left -= part;
    if (s->left) return MORE;
    s->state = s->state == SCAN_VALUE ? SCAN_ELEMENT : s->after;
    return 0;
}

int scan_run(scan *s, const uint8_t *p, size_t n, size_t *used, gn_error *e) {
    size_t at = 0;
    int rc = 0;
    while (rc == 0) {
        size_t took = 0;
        switch (s->state) {
        case SCAN_ELEMENT: rc = step_element(s, p + at, n - at, &took, e); break;
        case SCAN_ITEM: rc = step_item(s, p + at, n - at, &took, e); break;
        case SCAN_FRAGMENT: rc = step_fragment(s, p + at, n - at, &took, e); break;
        case SCAN_VALUE:
        case SCAN_SKIP: rc = step_value(s, p + at, n - at, &took); break;
        case SCAN_END:
            took = s->options.only_meta ? 0 : n - at;
            rc = MORE;
            break;
        }
        if (rc < 0) locate(s, e);
        at += took;
        s->offset += took;
    }
    *used = at;
    return rc < 0 ? rc : 0;
}

/* ---- the end of the input ---------------------------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

/* Keeps what was there of the value that the input ends in. */
static int cut_value(scan *s, const uint8_t *p, size_t rest, gn_error *e) {
    dicom_element *el = s->count ? &s->element[s->count - 1] : NULL;
    header h;
    if (s->state == SCAN_ELEMENT && s->options.borrow && decode_header(&s->level[s->depth], p, rest, &h) == 0) {
        if (h.vr == DICOM_VR_NONE) h.vr = resolve_vr(&s->level[s->depth], h.tag, h.length);
        el = push_element(s, &s->level[s->depth], &h, e);
        if (!el) return GN_E_NO_MEMORY;
        el->length = (uint32_t)(rest - h.size);
        el->value = el->length ? p + h.size : NULL;
    } else if (el && (s->state == SCAN_VALUE || (s->state == SCAN_SKIP && s->after == SCAN_ELEMENT))) {
        el->length -= (uint32_t)s->left;
        if (!el->length) el->value = NULL;
    } else if (s->state == SCAN_FRAGMENT || s->state == SCAN_SKIP) {
        if (s->state == SCAN_SKIP) s->extent[s->extents - 1].length -= s->left;
        return close_fragments(s, &s->level[s->depth], p, e);
    }
    return 0;
}

/* Does the input end inside the pixel data of the top level? */
static bool cut_in_pixels(const scan *s) {
    bool inside = s->state == SCAN_VALUE || s->state == SCAN_SKIP || s->state == SCAN_FRAGMENT;
    return inside && s->depth == 0 && s->count && dicom_is_pixel_data(s->element[s->count - 1].tag);
}

int scan_finish(scan *s, const uint8_t *p, size_t rest, gn_error *e) {
    scan_level *l = &s->level[s->depth];
    if (s->state == SCAN_ITEM && l->seq_maybe_over && s->depth == 0 && rest == 0) close_sequence(s, l);
    bool complete =
        s->state == SCAN_END || (s->state == SCAN_ELEMENT && s->depth == 0 && rest < 8 && all_zero(p, rest));
    int rc = 0;
    if (!complete && !s->options.accept_truncated && !(s->options.accept_cut_pixels && cut_in_pixels(s))) {
        rc = gn_fail(e, GN_E_TRUNCATED, "the data set ends too early");
        locate(s, e);
        return rc;
    }
    if (!complete) rc = cut_value(s, p, rest, e);
    while (rc == 0 && s->depth > 0) rc = close_item(s, e);
    return rc ? rc : settle(s, e);
}
