/* write: encoding data sets (PS3.5 §7) and the header of Part 10 files (PS3.10 §7.1).
 *
 * A data set that was read comes out byte for byte, if it is written in the syntax it was read from: defined and undefined
 * lengths, padding, order and even unknown VRs are as they were. Lengths of sequences and items are never copied but
 * filled in when their end is reached, so that a changed data set is right too. Nesting costs no C stack. */
#include "scan.h"

#include <zlib.h>

#define NO_PATCH SIZE_MAX

typedef struct write_level {
    const dicom_dataset *ds;
    size_t next;                       /* element to write */
    const dicom_element *sequence;     /* that is open; NULL: none */
    const dicom_item *item;            /* of it, to write next */
    size_t item_patch, sequence_patch; /* where their lengths go; NO_PATCH: undefined */
    bool implicit, big_endian;         /* of what is written */
    bool seq_big_endian;
} write_level;

typedef struct writer {
    const dicom_write_options *options;
    gn_buf *out;
    unsigned depth;
    write_level level[DICOM_MAX_DEPTH + 1];
} writer;

/* ---- numbers and headers ----------------------------------------------------------------------------------------------- */

static void put16(gn_buf *out, bool big_endian, uint16_t v) {
    if (big_endian) gn_buf_be16(out, v);
    else gn_buf_le16(out, v);
}

static void put32(gn_buf *out, bool big_endian, uint32_t v) {
    if (big_endian) gn_buf_be32(out, v);
    else gn_buf_le32(out, v);
}

static void put_tag(gn_buf *out, bool big_endian, dicom_tag tag) {
    put16(out, big_endian, dicom_tag_group(tag));
    put16(out, big_endian, dicom_tag_element(tag));
}

/* Fills in the length of what began behind the four bytes at `patch`. */
static int patch_length(gn_buf *out, bool big_endian, size_t patch, gn_error *e) {
    size_t length = out->n - patch - 4;
    if (out->failed) return 0; /* said at the end */
    if (length >= DICOM_UNDEFINED_LENGTH)
        return gn_fail(e, GN_E_TOO_LARGE, "a sequence of %zu bytes needs undefined length", length);
    if (big_endian) gn_store_be32(out->p + patch, (uint32_t)length);
    else gn_store_le32(out->p + patch, (uint32_t)length);
    return 0;
}

/* The element's header; a length of 32 bits is the last thing of it whenever it is that long. */
static void put_header(const write_level *l, const dicom_element *el, uint32_t length, gn_buf *out) {
    bool be = l->big_endian, was_read = el->wire_vr != 0 && (el->vr == el->wire_vr || el->vr == DICOM_VR_UN);
    put_tag(out, be, el->tag);
    if (l->implicit || ((el->flags & DICOM_ELEMENT_IMPLICIT_HEADER) && !be)) {
        put32(out, be, length);
        return;
    }
    dicom_vr vr = was_read ? el->wire_vr : el->vr;
    const dicom_vr_info *info = dicom_vr_find(vr);
    bool short_header = (was_read && (el->flags & DICOM_ELEMENT_SHORT_HEADER)) || (info && !info->long_length);
    if (short_header && length > 0xFFFF) { /* PS3.5 §6.2.2: does not fit its VR */
        short_header = false;
        vr = DICOM_VR_UN;
    }
    gn_buf_putc(out, (char)(vr >> 8));
    gn_buf_putc(out, (char)(vr & 0xFF));
    if (short_header) {
        put16(out, be, (uint16_t)length);
        return;
    }
    gn_buf_le16(out, was_read ? el->wire_reserved : 0);
    put32(out, be, length);
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

static void swap_units(uint8_t *p, size_t n, size_t unit) {
    for (size_t i = 0; i + unit <= n; i += unit)
        for (size_t a = i, b = i + unit - 1; a < b; a++, b--) {
            uint8_t t = p[a];
            p[a] = p[b];
            p[b] = t;
        }
}

static int fetch_bulk(const writer *w, const dicom_element *el, gn_error *e) {
    size_t before = w->out->n;
    char tag[12];
    if (!w->options || !w->options->bulk || el->length == DICOM_UNDEFINED_LENGTH)
        return gn_fail(e, GN_E_UNSUPPORTED, "the value of %s is not in memory", dicom_tag_text(el->tag, tag));
    int rc = w->options->bulk(w->options->ctx, el, w->out, e);
    if (rc == 0 && !w->out->failed && w->out->n - before != el->length)
        rc = gn_fail(e, GN_E_CORRUPT, "the value of %s was fetched with another length", dicom_tag_text(el->tag, tag));
    return rc;
}

static int put_value(const writer *w, const write_level *l, const dicom_element *el, gn_error *e) {
    put_header(l, el, el->length, w->out);
    size_t start = w->out->n;
    if (el->flags & DICOM_ELEMENT_BULK) {
        int rc = fetch_bulk(w, el, e);
        if (rc) return rc;
    } else if (el->length) {
        gn_buf_append(w->out, el->value, el->length);
    }
    const dicom_vr_info *info = l->ds->big_endian != l->big_endian ? dicom_vr_find(el->vr) : NULL;
    if (info && info->unit > 1 && !w->out->failed) swap_units(w->out->p + start, w->out->n - start, info->unit);
    return 0;
}

static int put_fragments(const writer *w, const write_level *l, const dicom_element *el, gn_error *e) {
    const dicom_fragments *f = el->fragments;
    bool be = l->big_endian;
    put_header(l, el, DICOM_UNDEFINED_LENGTH, w->out);
    size_t first = f->offset_table.offset ? 0 : 1; /* without any item there is no offset table either */
    for (size_t i = first; i <= f->count; i++) {
        dicom_extent x = i ? f->extent[i - 1] : f->offset_table;
        put_tag(w->out, be, DICOM_TAG(0xFFFE, 0xE000));
        put32(w->out, be, (uint32_t)x.length);
        if (!(el->flags & DICOM_ELEMENT_BULK)) {
            gn_buf_append(w->out, el->value + (x.offset - el->offset), (size_t)x.length);
            continue;
        }
        if (x.length == 0) continue;
        dicom_element part = {
            .tag = el->tag, .vr = el->vr, .flags = DICOM_ELEMENT_BULK, .offset = x.offset, .length = (uint32_t)x.length
        };
        int rc = fetch_bulk(w, &part, e);
        if (rc) return rc;
    }
    put_tag(w->out, be, DICOM_TAG(0xFFFE, 0xE0DD));
    put32(w->out, be, 0);
    return 0;
}

/* ---- structure --------------------------------------------------------------------------------------------------------- */

static void open_sequence(writer *w, write_level *l, const dicom_element *el) {
    bool undefined = (el->flags & DICOM_ELEMENT_UNDEFINED) != 0;
    put_header(l, el, undefined ? DICOM_UNDEFINED_LENGTH : 0, w->out);
    l->sequence = el;
    l->item = el->items;
    l->sequence_patch = undefined ? NO_PATCH : w->out->n - 4;
    l->seq_big_endian = l->big_endian && !(el->flags & DICOM_ELEMENT_IMPLICIT_INSIDE);
}

static int close_sequence(writer *w, write_level *l, gn_error *e) {
    l->sequence = NULL;
    if (l->sequence_patch != NO_PATCH) return patch_length(w->out, l->big_endian, l->sequence_patch, e);
    put_tag(w->out, l->seq_big_endian, DICOM_TAG(0xFFFE, 0xE0DD));
    put32(w->out, l->seq_big_endian, 0);
    return 0;
}

static int open_item(writer *w, write_level *l, gn_error *e) {
    const dicom_item *item = l->item;
    bool be = l->seq_big_endian;
    if (w->depth >= DICOM_MAX_DEPTH)
        return gn_fail(e, GN_E_TOO_DEEP, "sequences are nested deeper than %d levels", DICOM_MAX_DEPTH);
    put_tag(w->out, be, DICOM_TAG(0xFFFE, 0xE000));
    put32(w->out, be, item->undefined ? DICOM_UNDEFINED_LENGTH : 0);
    l->item = item->next;
    w->level[++w->depth] = (write_level){
        .ds = item->dataset,
        .item_patch = item->undefined ? NO_PATCH : w->out->n - 4,
        .big_endian = be,
        .implicit = l->implicit || (l->sequence->flags & DICOM_ELEMENT_IMPLICIT_INSIDE),
    };
    return 0;
}

static int close_item(writer *w, gn_error *e) {
    write_level *l = &w->level[w->depth--];
    if (l->item_patch != NO_PATCH) return patch_length(w->out, l->big_endian, l->item_patch, e);
    put_tag(w->out, l->big_endian, DICOM_TAG(0xFFFE, 0xE00D));
    put32(w->out, l->big_endian, 0);
    return 0;
}

static bool is_sequence(const dicom_element *el) {
    return el->vr == DICOM_VR_SQ || el->items || (el->vr == DICOM_VR_UN && (el->flags & DICOM_ELEMENT_UNDEFINED));
}

static int put_element(writer *w, write_level *l, const dicom_element *el, gn_error *e) {
    bool group_length = dicom_tag_element(el->tag) == 0 && dicom_tag_group(el->tag) > 2;
    if (group_length && w->options && w->options->without_group_lengths) return 0;
    if (el->fragments) return put_fragments(w, l, el, e);
    if (!is_sequence(el)) return put_value(w, l, el, e);
    open_sequence(w, l, el);
    return 0;
}

static int write_all(writer *w, const dicom_dataset *ds, const dicom_transfer_syntax *ts, gn_error *e) {
    int rc = 0;
    w->depth = 0;
    w->level[0] =
        (write_level){ .ds = ds, .implicit = ts->implicit_vr, .big_endian = ts->big_endian, .item_patch = NO_PATCH };
    while (rc == 0) {
        write_level *l = &w->level[w->depth];
        if (l->sequence) rc = l->item ? open_item(w, l, e) : close_sequence(w, l, e);
        else if (l->next < l->ds->count) rc = put_element(w, l, &l->ds->element[l->next++], e);
        else if (w->depth == 0) break;
        else rc = close_item(w, e);
    }
    if (rc == 0 && w->out->failed) rc = gn_fail(e, GN_E_TOO_LARGE, "the encoded data set does not fit the buffer");
    return rc;
}

/* ---- deflating --------------------------------------------------------------------------------------------------------- */

/* PS3.5 §A.5: raw deflate, one zero byte behind it when its length is odd. */
static int deflate_into(gn_buf *in, gn_buf *out, gn_error *e) {
    z_stream z = { 0 };
    size_t start = out->n, given = 0;
    int zrc = Z_OK;
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return gn_fail(e, GN_E_NO_MEMORY, "no memory to deflate");
    while (zrc == Z_OK) {
        const size_t step = (size_t)64 << 10;
        uint8_t *room = gn_buf_reserve(out, step);
        if (!room) break;
        if (z.avail_in == 0 && given < in->n) {
            size_t part = in->n - given < ((size_t)1 << 30) ? in->n - given : (size_t)1 << 30;
            z.next_in = in->p + given;
            z.avail_in = (uInt)part;
            given += part;
        }
        z.next_out = room;
        z.avail_out = (uInt)step;
        zrc = deflate(&z, given == in->n ? Z_FINISH : Z_NO_FLUSH);
        out->n += step - z.avail_out;
    }
    deflateEnd(&z);
    if ((out->n - start) & 1) gn_buf_putc(out, '\0');
    return out->failed ? gn_fail(e, GN_E_TOO_LARGE, "the encoded data set does not fit the buffer") : 0;
}

int dicom_dataset_write(const dicom_dataset *ds, const dicom_transfer_syntax *ts, const dicom_write_options *options,
                        gn_buf *out, gn_error *e) {
    gn_buf plain = GN_BUF_INIT;
    writer w;
    w.options = options;
    w.out = ts->deflated ? &plain : out;
    int rc = write_all(&w, ds, ts, e);
    if (rc == 0 && ts->deflated) rc = deflate_into(&plain, out, e);
    gn_buf_done(&plain);
    return rc;
}

/* ---- the header of a file ---------------------------------------------------------------------------------------------- */

static void put_meta(gn_buf *out, uint16_t element, dicom_vr vr, const char *text) {
    size_t n = strlen(text);
    gn_buf_le16(out, 2);
    gn_buf_le16(out, element);
    gn_buf_putc(out, (char)(vr >> 8));
    gn_buf_putc(out, (char)(vr & 0xFF));
    gn_buf_le16(out, (uint16_t)(n + (n & 1)));
    gn_buf_append(out, text, n);
    if (n & 1) gn_buf_putc(out, vr == DICOM_VR_UI ? '\0' : ' ');
}

int dicom_file_header_write(const char *sop_class, const char *sop_instance, const char *transfer_syntax,
                            const char *source_ae, gn_buf *out, gn_error *e) {
    static const uint8_t preamble[128] = { 0 };
    static const uint8_t group_length[] = { 2, 0, 0, 0, 'U', 'L', 4, 0, 0, 0, 0, 0 };
    static const uint8_t version[] = { 2, 0, 1, 0, 'O', 'B', 0, 0, 2, 0, 0, 0, 0, 1 };
    if (strlen(sop_class) > DICOM_UID_MAX || strlen(sop_instance) > DICOM_UID_MAX ||
        strlen(transfer_syntax) > DICOM_UID_MAX || (source_ae && strlen(source_ae) > 16))
        return gn_fail(e, GN_E_INVALID, "a UID or application entity title is too long for a file header");
    gn_buf_append(out, preamble, sizeof preamble);
    gn_buf_append(out, "DICM", 4);
    size_t patch = out->n + 8;
    gn_buf_append(out, group_length, sizeof group_length);
    gn_buf_append(out, version, sizeof version);
    put_meta(out, 0x0002, DICOM_VR_UI, sop_class);
    put_meta(out, 0x0003, DICOM_VR_UI, sop_instance);
    put_meta(out, 0x0010, DICOM_VR_UI, transfer_syntax);
    put_meta(out, 0x0012, DICOM_VR_UI, DICOM_IMPLEMENTATION_CLASS_UID);
    put_meta(out, 0x0013, DICOM_VR_SH, DICOM_IMPLEMENTATION_VERSION);
    if (source_ae && *source_ae) put_meta(out, 0x0016, DICOM_VR_AE, source_ae);
    if (out->failed) return gn_fail(e, GN_E_TOO_LARGE, "the file header does not fit the buffer");
    return patch_length(out, false, patch, e);
}
