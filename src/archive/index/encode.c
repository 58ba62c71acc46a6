/* encode: writes data sets as explicit VR little endian with UTF-8 text; see the header.
 *
 * Sequences are walked with a stack of our own, DICOM_MAX_DEPTH deep; what is deeper is written empty. Lengths are defined: they
 * are patched when an item or a sequence ends. */
#include "encode.h"

typedef struct frame {
    const dicom_dataset *ds;
    size_t next;
    const dicom_item *item; /* whose data set this is; NULL at the top */
    size_t sequence_at, item_at; /* where the bytes of the sequence and of the item begin in out; their length lies before */
} frame;

typedef struct encoder {
    gn_buf *out;
    bool unicode; /* some text was not ASCII */
    unsigned depth;
    frame stack[DICOM_MAX_DEPTH];
} encoder;

static void put_header(gn_buf *out, dicom_tag tag, dicom_vr vr, uint32_t length) {
    const dicom_vr_info *info = dicom_vr_find(vr);
    gn_buf_le16(out, dicom_tag_group(tag));
    gn_buf_le16(out, dicom_tag_element(tag));
    gn_buf_putc(out, (char)(vr >> 8));
    gn_buf_putc(out, (char)(vr & 0xFF));
    if (!info || !info->long_length) {
        gn_buf_le16(out, (uint16_t)length);
        return;
    }
    gn_buf_le16(out, 0);
    gn_buf_le32(out, length);
}

static bool is_plain(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] >= 0x80 || p[i] == 0x1B) return false;
    return true;
}

static void patch_length(encoder *w, size_t at) {
    if (!w->out->failed) gn_store_le32(w->out->p + at - 4, (uint32_t)(w->out->n - at));
}

/* Values of binary VRs in the order of little endian. */
static void put_swapped(gn_buf *out, const uint8_t *p, size_t n, size_t unit) {
    for (size_t i = 0; i + unit <= n; i += unit)
        for (size_t k = unit; k-- > 0;) gn_buf_putc(out, (char)p[i + k]);
}

static void put_text(encoder *w, const dicom_dataset *ds, const dicom_element *el, const dicom_vr_info *info) {
    gn_buf utf8 = GN_BUF_INIT;
    dicom_charset cs = dicom_charset_of(ds);
    size_t n;
    const char *text = dicom_element_text(el, &n);
    if (text) dicom_text_decode(&cs, el->vr, text, n, &utf8, NULL);
    if (!info->long_length && utf8.n > 65534) utf8.n = 65534;
    if (!is_plain(utf8.p, utf8.n)) w->unicode = true;
    put_header(w->out, el->tag, el->vr, (uint32_t)(utf8.n + (utf8.n & 1)));
    if (utf8.n) gn_buf_append(w->out, utf8.p, utf8.n);
    if (utf8.n & 1) gn_buf_putc(w->out, ' ');
    gn_buf_done(&utf8);
}

static void put_value(encoder *w, const dicom_dataset *ds, const dicom_element *el) {
    const dicom_vr_info *info = dicom_vr_find(el->vr);
    uint32_t n = el->value ? el->length : 0;
    if (!info) return;
    if (info->charset && !is_plain(el->value, n)) {
        put_text(w, ds, el, info);
        return;
    }
    put_header(w->out, el->tag, el->vr, n + (n & 1));
    if (ds->big_endian && info->unit > 1) put_swapped(w->out, el->value, n, info->unit);
    else if (n) gn_buf_append(w->out, el->value, n);
    if (n & 1) gn_buf_putc(w->out, info->pad);
}

static bool is_sequence(const dicom_element *el) { return el->vr == DICOM_VR_SQ || el->items; }

/* Elements that are never kept. */
static bool is_left_out(const dicom_element *el) {
    if (el->tag == DICOM_TAG_SpecificCharacterSet || dicom_tag_element(el->tag) == 0) return true;
    if (is_sequence(el)) return false;
    return (el->flags & DICOM_ELEMENT_BULK) || el->fragments;
}

static void open_item(encoder *w, frame *f, const dicom_item *item) {
    gn_buf_le16(w->out, 0xFFFE);
    gn_buf_le16(w->out, 0xE000);
    gn_buf_le32(w->out, 0);
    f->ds = item->dataset;
    f->item = item;
    f->next = 0;
    f->item_at = w->out->n;
}

/* Starts with the first item of `el`, whose header has been written, and goes until all are. */
static void put_items(encoder *w, const dicom_element *el, size_t sequence_at) {
    if (!el->items) return;
    w->depth = 1;
    w->stack[0].sequence_at = sequence_at;
    open_item(w, &w->stack[0], el->items);
    while (w->depth > 0 && !w->out->failed) {
        frame *f = &w->stack[w->depth - 1];
        if (f->next == f->ds->count) {
            patch_length(w, f->item_at);
            if (f->item->next) {
                open_item(w, f, f->item->next);
            } else {
                if (f->sequence_at) patch_length(w, f->sequence_at);
                w->depth--;
            }
            continue;
        }
        const dicom_element *inner = &f->ds->element[f->next++];
        if (is_left_out(inner)) continue;
        if (!is_sequence(inner)) {
            put_value(w, f->ds, inner);
            continue;
        }
        put_header(w->out, inner->tag, DICOM_VR_SQ, 0);
        if (!inner->items || w->depth == DICOM_MAX_DEPTH) continue;
        w->stack[w->depth].sequence_at = w->out->n;
        open_item(w, &w->stack[w->depth++], inner->items);
    }
}

void encode_items(const dicom_element *sequence, gn_buf *out) {
    encoder w = { .out = out };
    put_items(&w, sequence, 0);
}

static void put_charset(gn_buf *out, size_t start) {
    uint8_t head[18] = { 0x08, 0x00, 0x05, 0x00, 'C', 'S', 10, 0, 'I', 'S', 'O', '_', 'I', 'R', ' ', '1', '9', '2' };
    if (!gn_buf_reserve(out, sizeof head)) return;
    memmove(out->p + start + sizeof head, out->p + start, out->n - start);
    memcpy(out->p + start, head, sizeof head);
    out->n += sizeof head;
}

void encode_dataset(const dicom_dataset *ds, bool (*accept)(const void *ctx, dicom_tag tag), const void *ctx, size_t limit, gn_buf *out) {
    encoder w = { .out = out };
    size_t start = out->n;
    for (size_t i = 0; i < ds->count; i++) {
        const dicom_element *el = &ds->element[i];
        size_t before = out->n;
        if (is_left_out(el) || !accept(ctx, el->tag)) continue;
        if (!is_sequence(el) && el->length > limit / 4) continue;
        if (is_sequence(el)) {
            put_header(out, el->tag, DICOM_VR_SQ, 0);
            size_t at = out->n;
            put_items(&w, el, at);
        } else {
            put_value(&w, ds, el);
        }
        if (out->n - before > limit / 4 || out->n - start > limit) out->n = before;
    }
    if (w.unicode && out->n > start && !out->failed) put_charset(out, start);
}
