/* dump: a data set as lines for people, in the form that users of dcmdump know.
 *
 * Text is UTF-8 whatever the file's character set is. Nothing from the file can move the cursor of a terminal: control
 * characters are shown as '.' (T23). Values that were left in the stream are named, not fetched. */
#include "dicom/dicom.h"

#include <stdlib.h>

#define VALUE_COLUMN 40 /* width of the value before the comment */
#define DEFAULT_WIDTH 66

typedef struct dump_level {
    const dicom_dataset *ds;
    size_t next;
    const dicom_element *sequence;
    const dicom_item *item;
    bool item_undefined;
} dump_level;

typedef struct dumper {
    void (*print)(void *ctx, const char *line);
    void *ctx;
    unsigned max_width, depth;
    gn_buf line, value;
    dump_level level[DICOM_MAX_DEPTH + 1];
} dumper;

/* ---- lines ------------------------------------------------------------------------------------------------------------- */

static const char *name_of(dicom_tag tag) {
    const dicom_dict_entry *entry = dicom_dict_find(tag);
    if (entry) return entry->keyword;
    if (dicom_tag_element(tag) == 0) return "GenericGroupLength";
    if (dicom_tag_is_private(tag) && dicom_tag_element(tag) >= 0x10 && dicom_tag_element(tag) <= 0xFF)
        return "PrivateCreator";
    return "Unknown Tag & Data";
}

/* Columns that UTF-8 text takes, near enough: its code points. */
static size_t columns(const gn_buf *b) {
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) n += (b->p[i] & 0xC0) != 0x80;
    return n;
}

/* "(gggg,eeee) VR value      # length, vm name"; the value is in d->value. */
static void print_line(dumper *d, unsigned indent, dicom_tag tag, const char *vr, uint32_t length, size_t vm,
                       const char *name) {
    char size[16];
    gn_buf_clear(&d->line);
    gn_buf_printf(&d->line, "%*s(%04x,%04x) %s ", (int)(2 * indent), "", dicom_tag_group(tag), dicom_tag_element(tag),
                  vr);
    gn_buf_append(&d->line, d->value.p, d->value.n);
    size_t width = columns(&d->value);
    if (length == DICOM_UNDEFINED_LENGTH) (void)snprintf(size, sizeof size, "u/l");
    else (void)snprintf(size, sizeof size, "%u", (unsigned)length);
    gn_buf_printf(&d->line, "%*s # %3s, %zu %s", width < VALUE_COLUMN ? (int)(VALUE_COLUMN - width) : 0, "", size, vm,
                  name);
    if (!d->line.failed) d->print(d->ctx, (const char *)d->line.p);
}

static void print_fixed(dumper *d, unsigned indent, dicom_tag tag, const char *vr, const char *value, uint32_t length,
                        size_t vm, const char *name) {
    gn_buf_clear(&d->value);
    gn_buf_puts(&d->value, value);
    print_line(d, indent, tag, vr, length, vm, name);
}

static void print_comment(dumper *d, const char *text, const char *more) {
    gn_buf_clear(&d->line);
    gn_buf_puts(&d->line, text);
    gn_buf_puts(&d->line, more);
    if (!d->line.failed) d->print(d->ctx, (const char *)d->line.p);
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

/* Shows control characters as '.', and cuts the value to the width asked for. */
static void tame(dumper *d) {
    size_t out = 0, shown = 0;
    for (size_t i = 0; i < d->value.n;) {
        uint32_t c;
        size_t used = gn_utf8_decode(d->value.p + i, d->value.n - i, &c);
        if (shown == d->max_width) {
            d->value.n = out;
            gn_buf_puts(&d->value, "...");
            return;
        }
        if (c < 0x20 || (c >= 0x7F && c < 0xA0)) d->value.p[out++] = '.';
        else
            for (size_t k = 0; k < used; k++) d->value.p[out++] = d->value.p[i + k];
        i += used;
        shown++;
    }
    d->value.n = out;
}

static void format_text(dumper *d, const dicom_dataset *ds, const dicom_element *el) {
    size_t n;
    char uid[65];
    const char *text = dicom_element_text(el, &n);
    if (text && el->vr == DICOM_VR_UI && n < sizeof uid) {
        memcpy(uid, text, n);
        uid[n] = '\0';
        const dicom_uid_entry *entry = dicom_uid_find(uid);
        if (entry) {
            gn_buf_printf(&d->value, "=%s", entry->keyword);
            return;
        }
    }
    dicom_charset cs = dicom_charset_of(ds);
    if (!text) {
        gn_buf_puts(&d->value, "(no value available)");
        return;
    }
    gn_buf_putc(&d->value, '[');
    /* More bytes than this cannot be shown, whatever the character set. */
    size_t enough = (size_t)d->max_width * 16 + 64;
    dicom_text_decode(&cs, el->vr, text, n < enough ? n : enough, &d->value, NULL);
    gn_buf_putc(&d->value, ']');
}

/* Shortest text that reads back equal. */
static void format_double(dumper *d, double f, int digits, int most) {
    char text[40];
    for (; digits <= most; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, f);
        double back = strtod(text, NULL);
        if (most == 9 ? (float)back <= (float)f && (float)back >= (float)f : back <= f && back >= f) break;
    }
    gn_buf_puts(&d->value, text);
}

static void format_number(dumper *d, const dicom_dataset *ds, const dicom_element *el, size_t i) {
    int64_t v;
    double f;
    if (el->vr == DICOM_VR_FL || el->vr == DICOM_VR_FD) {
        if (dicom_element_double(ds, el, i, &f))
            format_double(d, f, el->vr == DICOM_VR_FL ? 6 : 15, el->vr == DICOM_VR_FL ? 9 : 17);
    } else if (el->vr == DICOM_VR_AT) {
        if (dicom_element_int(ds, el, i, &v))
            gn_buf_printf(&d->value, "(%04x,%04x)", (unsigned)(v >> 16 & 0xFFFF), (unsigned)(v & 0xFFFF));
    } else if (dicom_element_int(ds, el, i, &v)) {
        gn_buf_printf(&d->value, "%lld", (long long)v);
    } else {
        const uint8_t *p = el->value + 8 * i; /* UV beyond int64_t */
        gn_buf_printf(&d->value, "%llu", (unsigned long long)(ds->big_endian ? gn_load_be64(p) : gn_load_le64(p)));
    }
}

static void format_bytes(dumper *d, const uint8_t *p, size_t n, size_t unit, bool big_endian) {
    size_t shown = d->max_width / (2 * unit + 1) + 2;
    for (size_t i = 0; i + unit <= n && shown-- > 0; i += unit) {
        if (i) gn_buf_putc(&d->value, '\\');
        for (size_t b = 0; b < unit; b++) gn_buf_printf(&d->value, "%02x", p[big_endian ? i + b : i + unit - 1 - b]);
    }
}

/* Numbers of a known size; OF and OD are shown like FL and FD. */
static bool format_numbers(dumper *d, const dicom_dataset *ds, const dicom_element *el) {
    dicom_element as = *el;
    if (el->vr == DICOM_VR_OF) as.vr = DICOM_VR_FL;
    if (el->vr == DICOM_VR_OD) as.vr = DICOM_VR_FD;
    const dicom_vr_info *info = dicom_vr_find(as.vr);
    if (!info || (info->long_length && as.vr != DICOM_VR_SV && as.vr != DICOM_VR_UV)) return false;
    size_t vm = dicom_element_vm(&as), shown = d->max_width / 2 + 2;
    for (size_t i = 0; i < vm && i < shown; i++) {
        if (i) gn_buf_putc(&d->value, '\\');
        format_number(d, ds, &as, i);
    }
    return true;
}

static void format_value(dumper *d, const dicom_dataset *ds, const dicom_element *el) {
    const dicom_vr_info *info = dicom_vr_find(el->vr);
    gn_buf_clear(&d->value);
    if (el->flags & DICOM_ELEMENT_BULK) gn_buf_puts(&d->value, "(not loaded)");
    else if (!el->length || !el->value) gn_buf_puts(&d->value, "(no value available)");
    else if (info && info->text) format_text(d, ds, el);
    else if (!format_numbers(d, ds, el))
        format_bytes(d, el->value, el->length, info && info->unit ? info->unit : 1, ds->big_endian);
    tame(d);
}

/* ---- structure --------------------------------------------------------------------------------------------------------- */

static void dump_fragments(dumper *d, const dicom_dataset *ds, const dicom_element *el) {
    const dicom_fragments *f = el->fragments;
    char vr[3] = { (char)(el->vr >> 8), (char)(el->vr & 0xFF), '\0' }, text[48];
    (void)ds;
    (void)snprintf(text, sizeof text, "(PixelSequence #=%zu)", f->count + 1);
    print_fixed(d, d->depth * 2, el->tag, vr, text, DICOM_UNDEFINED_LENGTH, 1, name_of(el->tag));
    for (size_t i = 0; i <= f->count; i++) {
        dicom_extent x = i ? f->extent[i - 1] : f->offset_table;
        gn_buf_clear(&d->value);
        if (!x.length) gn_buf_puts(&d->value, "(no value available)");
        else if (!el->value || (el->flags & DICOM_ELEMENT_BULK)) gn_buf_puts(&d->value, "(not loaded)");
        else format_bytes(d, el->value + (x.offset - el->offset), (size_t)x.length, 1, false);
        tame(d);
        print_line(d, d->depth * 2 + 1, DICOM_TAG(0xFFFE, 0xE000), "pi", (uint32_t)x.length, 1, "Item");
    }
    print_fixed(d, d->depth * 2, DICOM_TAG(0xFFFE, 0xE0DD), "na", "(SequenceDelimitationItem)", 0, 0,
                "SequenceDelimitationItem");
}

static void dump_element(dumper *d, dump_level *l, const dicom_element *el) {
    dicom_vr shown = el->items ? DICOM_VR_SQ : el->vr;
    char vr[3] = { (char)(shown >> 8), (char)(shown & 0xFF), '\0' }, text[64];
    bool undefined = (el->flags & DICOM_ELEMENT_UNDEFINED) != 0;
    if (el->fragments) {
        dump_fragments(d, l->ds, el);
        return;
    }
    if (el->vr != DICOM_VR_SQ && !el->items) {
        format_value(d, l->ds, el);
        print_line(d, d->depth * 2, el->tag, vr, undefined ? DICOM_UNDEFINED_LENGTH : el->length, dicom_element_vm(el),
                   name_of(el->tag));
        return;
    }
    (void)snprintf(text, sizeof text, "(Sequence with %s length #=%zu)", undefined ? "undefined" : "explicit",
                   dicom_element_vm(el));
    print_fixed(d, d->depth * 2, el->tag, vr, text, undefined ? DICOM_UNDEFINED_LENGTH : el->length, 1,
                name_of(el->tag));
    l->sequence = el;
    l->item = el->items;
}

static void open_item(dumper *d, dump_level *l) {
    const dicom_item *item = l->item;
    char text[64];
    l->item = item->next;
    (void)snprintf(text, sizeof text, "(Item with %s length #=%zu)", item->undefined ? "undefined" : "explicit",
                   item->dataset->count);
    print_fixed(d, d->depth * 2 + 1, DICOM_TAG(0xFFFE, 0xE000), "na", text,
                item->undefined ? DICOM_UNDEFINED_LENGTH : item->length, 1, "Item");
    d->level[++d->depth] = (dump_level){ .ds = item->dataset, .item_undefined = item->undefined };
}

static void close_sequence(dumper *d, dump_level *l) {
    bool undefined = (l->sequence->flags & DICOM_ELEMENT_UNDEFINED) != 0;
    l->sequence = NULL;
    print_fixed(d, d->depth * 2, DICOM_TAG(0xFFFE, 0xE0DD), "na",
                undefined ? "(SequenceDelimitationItem)" : "(SequenceDelimitationItem for re-encod.)", 0, 0,
                "SequenceDelimitationItem");
}

static void close_item(dumper *d) {
    bool undefined = d->level[d->depth].item_undefined;
    d->depth--;
    print_fixed(d, d->depth * 2 + 1, DICOM_TAG(0xFFFE, 0xE00D), "na",
                undefined ? "(ItemDelimitationItem)" : "(ItemDelimitationItem for re-encoding)", 0, 0,
                "ItemDelimitationItem");
}

static int dump_dataset(dumper *d, const dicom_dataset *ds, gn_error *e) {
    d->depth = 0;
    d->level[0] = (dump_level){ .ds = ds };
    while (!d->line.failed && !d->value.failed) {
        dump_level *l = &d->level[d->depth];
        if (l->sequence && l->item && d->depth >= DICOM_MAX_DEPTH)
            return gn_fail(e, GN_E_TOO_DEEP, "sequences are nested deeper than %d levels", DICOM_MAX_DEPTH);
        if (l->sequence && l->item) open_item(d, l);
        else if (l->sequence) close_sequence(d, l);
        else if (l->next < l->ds->count) dump_element(d, l, &l->ds->element[l->next++]);
        else if (d->depth == 0) return 0;
        else close_item(d);
    }
    return gn_fail(e, GN_E_NO_MEMORY, "no memory for a line");
}

int dicom_dump(const dicom_file *f, unsigned max_width, void (*print)(void *ctx, const char *line), void *ctx,
               gn_error *e) {
    dumper d;
    int rc = 0;
    d.print = print;
    d.ctx = ctx;
    d.max_width = max_width ? max_width : DEFAULT_WIDTH;
    d.line = d.value = (gn_buf)GN_BUF_INIT;
    print_comment(&d, "# Dicom-File-Format", "");
    if (f->meta) {
        print_comment(&d, "", "");
        print_comment(&d, "# Dicom-Meta-Information-Header", "");
        print_comment(&d, "# Used TransferSyntax: ", "Little Endian Explicit");
        rc = dump_dataset(&d, f->meta, e);
    }
    if (rc == 0 && f->dataset) {
        print_comment(&d, "", "");
        print_comment(&d, "# Dicom-Data-Set", "");
        print_comment(&d, "# Used TransferSyntax: ", f->transfer_syntax->name);
        rc = dump_dataset(&d, f->dataset, e);
    }
    gn_buf_done(&d.line);
    gn_buf_done(&d.value);
    return rc;
}
