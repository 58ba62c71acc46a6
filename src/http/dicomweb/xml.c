/* xml: data sets as Native DICOM Model (PS3.19 §A.1), for the few clients that ask for application/dicom+xml.
 *
 * It is made from the JSON that all others get, so that both always say the same. Nesting costs no C stack. Characters that XML 1.0
 * cannot hold become U+FFFD. */
#include "query.h"

#include <math.h>

typedef struct level { const dicom_dataset *ds; size_t next; const dicom_item *item; unsigned items; bool inside; } level;

/* ---- text -------------------------------------------------------------------------------------------------------------- */

static void put_text(gn_buf *out, const char *p, size_t n) {
    for (size_t i = 0, from = 0; i <= n; i++) {
        const char *entity = NULL;
        if (i < n) {
            unsigned char c = (unsigned char)p[i];
            if (c == '&') entity = "&amp;";
            else if (c == '<') entity = "&lt;";
            else if (c == '>') entity = "&gt;";
            else if (c == '"') entity = "&quot;";
            else if (c == '\r') entity = "&#13;";
            else if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7F) entity = "\xEF\xBF\xBD";
            if (!entity) continue;
        }
        if (i > from) gn_buf_append(out, p + from, i - from);
        if (entity) gn_buf_puts(out, entity);
        from = i + 1;
    }
}

static void trim(const char **p, size_t *n) {
    while (*n && ((*p)[*n - 1] == ' ' || (*p)[*n - 1] == '\0')) --*n;
    while (*n && **p == ' ') ++*p, --*n;
}

static void put_component(gn_buf *out, const char *name, const char *p, size_t n) {
    trim(&p, &n);
    if (!n) return;
    gn_buf_printf(out, "<%s>", name);
    put_text(out, p, n);
    gn_buf_printf(out, "</%s>", name);
}

static void put_name(gn_buf *out, unsigned number, const char *p, size_t n) {
    static const char *const groups[] = { "Alphabetic", "Ideographic", "Phonetic" };
    static const char *const parts[] = { "FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix" };
    gn_buf_printf(out, "<PersonName number=\"%u\">", number);
    for (unsigned g = 0; g < 3; g++) {
        size_t length;
        const char *group = dicom_pn_group(p, n, g, &length);
        if (!group || !length) continue;
        gn_buf_printf(out, "<%s>", groups[g]);
        for (unsigned i = 0; i < GN_ARRAY_LEN(parts); i++) {
            const char *caret = memchr(group, '^', length);
            size_t part = caret ? (size_t)(caret - group) : length;
            put_component(out, parts[i], group, part);
            if (!caret) break;
            group += part + 1;
            length -= part + 1;
        }
        gn_buf_printf(out, "</%s>", groups[g]);
    }
    gn_buf_puts(out, "</PersonName>");
}

static void put_texts(const dicom_dataset *ds, const dicom_element *el, const dicom_vr_info *info, gn_buf *out) {
    size_t n;
    const char *p = dicom_element_text(el, &n);
    gn_buf room = GN_BUF_INIT;
    if (!p) return;
    if (info->charset) {
        dicom_charset cs = dicom_charset_of(ds);
        dicom_text_decode(&cs, el->vr, p, n, &room, NULL);
        p = room.n ? (const char *)room.p : "";
        n = room.n;
        if (room.failed) out->failed = true;
    }
    unsigned number = 1;
    for (const char *end = p + n;; number++) {
        const char *stop = info->multi ? memchr(p, '\\', (size_t)(end - p)) : NULL, *value = p;
        size_t length = (size_t)((stop ? stop : end) - p);
        if (info->multi) trim(&value, &length);
        if (length && el->vr == DICOM_VR_PN) {
            put_name(out, number, value, length);
        } else if (length) {
            gn_buf_printf(out, "<Value number=\"%u\">", number);
            put_text(out, value, length);
            gn_buf_puts(out, "</Value>");
        }
        if (!stop) break;
        p = stop + 1;
    }
    gn_buf_done(&room);
}

/* ---- numbers and bytes ------------------------------------------------------------------------------------------------- */

static void put_real(gn_buf *out, double real, bool single) {
    if (isnan(real)) gn_buf_puts(out, "NaN");
    else if (isinf(real)) gn_buf_puts(out, real > 0 ? "INF" : "-INF"); /* as XML Schema writes them */
    else gn_buf_printf(out, single ? "%.9g" : "%.17g", real);
}

static void put_numbers(const dicom_dataset *ds, const dicom_element *el, gn_buf *out) {
    size_t n = dicom_element_vm(el);
    for (size_t i = 0; i < n; i++) {
        int64_t whole;
        double real;
        gn_buf_printf(out, "<Value number=\"%zu\">", i + 1);
        if (el->vr == DICOM_VR_FL || el->vr == DICOM_VR_FD) {
            if (dicom_element_double(ds, el, i, &real)) put_real(out, real, el->vr == DICOM_VR_FL);
        } else if (dicom_element_int(ds, el, i, &whole)) {
            gn_buf_printf(out, el->vr == DICOM_VR_AT ? "%08llX" : "%lld", (long long)whole);
        } else if (el->vr == DICOM_VR_UV && el->value && 8 * (i + 1) <= el->length) {
            gn_buf_printf(out, "%llu", (unsigned long long)gn_load_le64(el->value + 8 * i));
        }
        gn_buf_puts(out, "</Value>");
    }
}

static void put_base64(const uint8_t *p, size_t n, gn_buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    gn_buf_puts(out, "<InlineBinary>");
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        char four[] = { digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63], digits[v & 63] };
        if (i + 1 >= n) four[2] = '=';
        if (i + 2 >= n) four[3] = '=';
        gn_buf_append(out, four, sizeof four);
    }
    gn_buf_puts(out, "</InlineBinary>");
}

static bool is_number(dicom_vr vr) {
    switch (vr) {
    case DICOM_VR_US: case DICOM_VR_SS: case DICOM_VR_UL: case DICOM_VR_SL: case DICOM_VR_UV: case DICOM_VR_SV: case DICOM_VR_FL: case DICOM_VR_FD: case DICOM_VR_AT: return true;
    default: return false;
    }
}

static void put_value(const dicom_dataset *ds, const dicom_element *el, const char *uri_prefix, gn_buf *out) {
    const dicom_vr_info *info = dicom_vr_find(el->vr);
    if (el->flags & DICOM_ELEMENT_BULK) {
        if (!el->value || el->length) return;
        gn_buf_puts(out, "<BulkData uri=\"");
        put_text(out, uri_prefix, strlen(uri_prefix));
        put_text(out, (const char *)el->value, strlen((const char *)el->value));
        gn_buf_puts(out, "\"/>");
    } else if (!el->length || !el->value) {
        return;
    } else if (is_number(el->vr)) {
        put_numbers(ds, el, out);
    } else if (info && info->text) {
        put_texts(ds, el, info, out);
    } else {
        put_base64(el->value, el->length, out);
    }
}

/* ---- structure --------------------------------------------------------------------------------------------------------- */

/* Who reserved the block of a private element (PS3.5 §7.8.1). */
static void put_creator(const dicom_dataset *ds, dicom_tag tag, gn_buf *out) {
    size_t n;
    if (!dicom_tag_is_private(tag) || dicom_tag_element(tag) < 0x1000) return;
    const dicom_element *el = dicom_dataset_find(ds, DICOM_TAG(dicom_tag_group(tag), dicom_tag_element(tag) >> 8));
    const char *creator = dicom_element_text(el, &n);
    if (!creator || !n || !gn_utf8_valid((const uint8_t *)creator, n)) return;
    gn_buf_puts(out, " privateCreator=\"");
    put_text(out, creator, n);
    gn_buf_putc(out, '"');
}

static void open_attribute(const dicom_dataset *ds, const dicom_element *el, gn_buf *out) {
    const dicom_dict_entry *entry = dicom_dict_find(el->tag);
    dicom_vr vr = el->items ? DICOM_VR_SQ : dicom_vr_find(el->vr) ? el->vr : DICOM_VR_UN;
    gn_buf_printf(out, "<DicomAttribute tag=\"%08X\" vr=\"%c%c\"", (unsigned)el->tag, (char)(vr >> 8), (char)vr);
    if (entry && entry->keyword) gn_buf_printf(out, " keyword=\"%s\"", entry->keyword);
    put_creator(ds, el->tag, out);
    gn_buf_putc(out, '>');
}

static int write_all(const dicom_dataset *top, const char *uri_prefix, gn_buf *out, gn_error *e) {
    level stack[DICOM_MAX_DEPTH + 1] = { { .ds = top } };
    unsigned depth = 0;
    for (;;) {
        level *l = &stack[depth];
        if (l->item) {
            if (depth == DICOM_MAX_DEPTH) return gn_fail(e, GN_E_TOO_DEEP, "sequences are nested deeper than %d levels", DICOM_MAX_DEPTH);
            gn_buf_printf(out, "<Item number=\"%u\">", ++l->items);
            stack[++depth] = (level){ .ds = l->item->dataset };
            l->item = l->item->next;
        } else if (l->inside) {
            gn_buf_puts(out, "</DicomAttribute>");
            l->inside = false;
        } else if (l->next < l->ds->count) {
            const dicom_element *el = &l->ds->element[l->next++];
            if (dicom_tag_element(el->tag) == 0) continue;
            open_attribute(l->ds, el, out);
            l->inside = true;
            l->items = 0;
            l->item = el->items;
            if (!el->items) put_value(l->ds, el, uri_prefix, out);
        } else {
            if (depth == 0) return 0;
            gn_buf_puts(out, "</Item>");
            depth--;
        }
        if (out->failed) return gn_fail(e, GN_E_TOO_LARGE, "the XML does not fit");
    }
}

int xml_write(const dicom_dataset *ds, const char *uri_prefix, gn_buf *out, gn_error *e) {
    gn_buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\" xml:space=\"preserve\">");
    int rc = write_all(ds, uri_prefix, out, e);
    gn_buf_puts(out, "</NativeDicomModel>\n");
    return rc ? rc : out->failed ? gn_fail(e, GN_E_TOO_LARGE, "the XML does not fit") : 0;
}

int xml_from_json(gn_arena *arena, const char *json, size_t n, const char *uri_prefix, gn_buf *out, gn_error *e) {
    dicom_dataset *ds;
    gn_arena_reset(arena);
    int rc = dicom_json_read(arena, json, n, &ds, e);
    return rc ? rc : xml_write(ds, uri_prefix, out, e);
}

void xml_part(gn_buf *out, const gn_buf *document) {
    gn_buf_puts(out, "--" XML_BOUNDARY "\r\nContent-Type: application/dicom+xml\r\n\r\n");
    gn_buf_append(out, document->p, document->n);
    gn_buf_puts(out, "\r\n");
}

void xml_end(gn_buf *out) { gn_buf_puts(out, "--" XML_BOUNDARY "--\r\n"); }
