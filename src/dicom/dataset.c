/* dataset: data sets in memory: finding, putting and removing elements, sequences and their items (PS3.5 §7.1, §7.5, §7.8).
 *
 * A data set is one array of elements, in tag order unless it was read from input that was not (`sorted` is false then and
 * lookups walk the array; the first of two equal tags wins). All memory comes from the data set's arena and is never given
 * back: replacing a value leaves the old one in the arena, which dies with the request. Pointers to elements are valid until
 * the next put or remove on the same data set; data sets of items never move. */
#include "dicom/dicom.h"
#include "scan.h"

/* ---- making and finding ------------------------------------------------------------------------------------------------ */

static int no_memory(gn_error *e) { return gn_fail(e, GN_E_NO_MEMORY, "memory for a data set is exhausted"); }

dicom_dataset *dicom_dataset_new(gn_arena *arena, gn_error *e) {
    dicom_dataset *ds = gn_arena_zalloc(arena, 1, sizeof *ds);
    if (!ds) {
        no_memory(e);
        return NULL;
    }
    ds->arena = arena;
    ds->sorted = true;
    return ds;
}

/* First place in a sorted data set whose tag is not below `tag`. */
static size_t lower_bound(const dicom_dataset *ds, dicom_tag tag) {
    size_t low = 0, n = ds->count;
    while (n > 0) {
        size_t half = n / 2;
        if (ds->element[low + half].tag < tag) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

/* Place of the element with this tag; else `count`, and where it belongs in *insert (may be NULL). */
static size_t place_of(const dicom_dataset *ds, dicom_tag tag, size_t *insert) {
    size_t at;
    if (ds->sorted) {
        at = lower_bound(ds, tag);
        if (insert) *insert = at;
        return at < ds->count && ds->element[at].tag == tag ? at : ds->count;
    }
    for (at = 0; at < ds->count; at++)
        if (ds->element[at].tag == tag) return at;
    if (!insert) return ds->count;
    for (at = 0; at < ds->count && ds->element[at].tag < tag; at++) continue;
    *insert = at;
    return ds->count;
}

const dicom_element *dicom_dataset_find(const dicom_dataset *ds, dicom_tag tag) {
    if (!ds) return NULL;
    size_t at = place_of(ds, tag, NULL);
    return at < ds->count ? &ds->element[at] : NULL;
}

/* PS3.5 §7.8.1: (gggg,0010-00FF) names who owns (gggg,xx00-xxFF). A creator may own several blocks: the first that has the
 * element is taken. */
const dicom_element *dicom_dataset_find_private(const dicom_dataset *ds, uint16_t group, const char *creator,
                                                uint8_t element) {
    if (!ds || !creator) return NULL;
    size_t want = strlen(creator), from = ds->sorted ? lower_bound(ds, DICOM_TAG(group, 0x10)) : 0;
    for (size_t i = from; i < ds->count; i++) {
        const dicom_element *el = &ds->element[i];
        uint16_t number = dicom_tag_element(el->tag);
        if (dicom_tag_group(el->tag) != group || number > 0xFF) {
            if (ds->sorted) break;
            continue;
        }
        if (number < 0x10) continue;
        size_t n;
        const char *text = dicom_element_text(el, &n);
        if (!text || n != want || memcmp(text, creator, n) != 0) continue;
        const dicom_element *found = dicom_dataset_find(ds, DICOM_TAG(group, (uint32_t)number << 8 | element));
        if (found) return found;
    }
    return NULL;
}

/* ---- putting ----------------------------------------------------------------------------------------------------------- */

/* Makes room for one element at `at`, zeroed but for its tag. */
static dicom_element *insert_at(dicom_dataset *ds, size_t at, dicom_tag tag, gn_error *e) {
    if (ds->count >= ds->capacity) {
        size_t capacity = ds->count < 8 ? 16 : ds->count * 2;
        dicom_element *grown = gn_arena_zalloc(ds->arena, capacity, sizeof *grown);
        if (!grown) {
            no_memory(e);
            return NULL;
        }
        if (ds->count) memcpy(grown, ds->element, ds->count * sizeof *grown);
        ds->element = grown;
        ds->capacity = capacity;
    }
    dicom_element *el = &ds->element[at];
    memmove(el + 1, el, (ds->count - at) * sizeof *el);
    memset(el, 0, sizeof *el);
    el->tag = tag;
    ds->count++;
    return el;
}

static dicom_element *find_or_insert(dicom_dataset *ds, dicom_tag tag, gn_error *e) {
    size_t insert = 0, at = place_of(ds, tag, &insert);
    return at < ds->count ? &ds->element[at] : insert_at(ds, insert, tag, e);
}

int dicom_dataset_put(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const void *value, size_t length, gn_error *e) {
    if (length >= DICOM_UNDEFINED_LENGTH - 1)
        return gn_fail(e, GN_E_TOO_LARGE, "value of %zu bytes does not fit an element", length);
    const dicom_vr_info *info = dicom_vr_find(vr);
    if (!info || vr == DICOM_VR_SQ) return gn_fail(e, GN_E_INVALID, "no value representation for a value");
    size_t padded = length + (length & 1);
    uint8_t *copy = NULL;
    if (padded) {
        copy = gn_arena_alloc(ds->arena, padded);
        if (!copy) return no_memory(e);
        memcpy(copy, value, length);
        if (padded > length) copy[length] = (uint8_t)info->pad;
    }
    dicom_element *el = find_or_insert(ds, tag, e);
    if (!el) return GN_E_NO_MEMORY;
    *el = (dicom_element){ .tag = tag, .vr = vr, .length = (uint32_t)padded, .value = copy };
    return 0;
}

int dicom_dataset_put_string(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const char *text, gn_error *e) {
    return dicom_dataset_put(ds, tag, vr, text, text ? strlen(text) : 0, e);
}

int dicom_dataset_put_u16(dicom_dataset *ds, dicom_tag tag, uint16_t value, gn_error *e) {
    uint8_t bytes[2];
    if (ds->big_endian) gn_store_be16(bytes, value);
    else gn_store_le16(bytes, value);
    return dicom_dataset_put(ds, tag, DICOM_VR_US, bytes, sizeof bytes, e);
}

int dicom_dataset_put_u32(dicom_dataset *ds, dicom_tag tag, uint32_t value, gn_error *e) {
    uint8_t bytes[4];
    if (ds->big_endian) gn_store_be32(bytes, value);
    else gn_store_le32(bytes, value);
    return dicom_dataset_put(ds, tag, DICOM_VR_UL, bytes, sizeof bytes, e);
}

/* ---- sequences --------------------------------------------------------------------------------------------------------- */

int dicom_dataset_put_sequence(dicom_dataset *ds, dicom_tag tag, gn_error *e) {
    dicom_element *el = find_or_insert(ds, tag, e);
    if (!el) return GN_E_NO_MEMORY;
    *el = (dicom_element){ .tag = tag, .vr = DICOM_VR_SQ };
    return 0;
}

dicom_item *dicom_item_append(dicom_element *el, dicom_dataset *parent) {
    struct {
        dicom_item item;
        dicom_dataset ds;
    } *block = gn_arena_alloc(parent->arena, sizeof *block);
    if (!block) return NULL;
    memset(block, 0, sizeof *block);
    block->ds =
        (dicom_dataset){ .arena = parent->arena, .big_endian = parent->big_endian, .sorted = true, .parent = parent };
    block->item.dataset = &block->ds;
    if (el->items) el->items->last->next = &block->item;
    else el->items = &block->item;
    el->items->last = &block->item;
    return &block->item;
}

static unsigned depth_of(const dicom_dataset *ds) {
    unsigned depth = 0;
    while ((ds = ds->parent) != NULL) depth++;
    return depth;
}

int dicom_dataset_add_item(dicom_dataset *ds, dicom_tag tag, dicom_dataset **item, gn_error *e) {
    if (depth_of(ds) >= DICOM_MAX_DEPTH)
        return gn_fail(e, GN_E_TOO_DEEP, "sequences are nested deeper than %d levels", DICOM_MAX_DEPTH);
    size_t at = place_of(ds, tag, NULL);
    bool is_sequence =
        at < ds->count && !ds->element[at].value && (ds->element[at].vr == DICOM_VR_SQ || ds->element[at].items);
    if (!is_sequence) {
        int rc = dicom_dataset_put_sequence(ds, tag, e);
        if (rc) return rc;
        at = place_of(ds, tag, NULL);
    }
    dicom_element *el = &ds->element[at];
    dicom_item *added = dicom_item_append(el, ds);
    if (!added) return no_memory(e);
    if (el->flags & DICOM_ELEMENT_IMPLICIT_INSIDE) added->dataset->big_endian = false;
    added->undefined = (el->flags & DICOM_ELEMENT_UNDEFINED) != 0;
    *item = added->dataset;
    return 0;
}

int dicom_dataset_remove(dicom_dataset *ds, dicom_tag tag) {
    size_t at = place_of(ds, tag, NULL);
    if (at >= ds->count) return GN_E_NOT_FOUND;
    memmove(&ds->element[at], &ds->element[at + 1], (ds->count - at - 1) * sizeof *ds->element);
    ds->count--;
    return 0;
}
