/* json_write: data sets as the DICOM JSON model (PS3.18 Annex F).
 *
 * Every instance that comes in is written once by this, so it goes straight into the buffer behind the gn_json: an element is
 * a few copies. Order and uniqueness of names are made here when the data set lacks them. What JSON cannot say (NaN, numbers
 * that are none, integers beyond 2^53) becomes a string. Nesting costs no C stack. */
#include "charset.h"

#include <math.h>
#include <stdlib.h>

typedef struct json_level {
    const dicom_dataset *ds;
    const dicom_element **order; /* of a data set that is not sorted; else NULL */
    size_t next, count;
    const dicom_element *sequence; /* that is open; NULL: none */
    const dicom_item *item;        /* of it, to write next */
    uint32_t items;
    bool charset_known;
    dicom_charset charset;
} json_level;

typedef struct json_writer {
    const dicom_json_options *options;
    gn_buf *out;
    gn_buf text; /* of one element, decoded */
    unsigned depth;
    json_level level[DICOM_MAX_DEPTH + 1];
} json_writer;

/* ---- strings and numbers ----------------------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *w, const char *text, size_t n) {
    memcpy(w, text, n);
    return w + n;
}
#define PUT(w, literal) put(w, literal, sizeof(literal) - 1)

static void append_end(gn_buf *b, const uint8_t *w) {
    b->n = (size_t)(w - b->p);
    b->p[b->n] = '\0';
}

static const char hex_digits[] = "0123456789ABCDEF";

static uint8_t *put_escape(uint8_t *w, uint8_t c) {
    static const char short_form[32] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };
    *w++ = '\\';
    if (c == '"' || c == '\\') *w++ = c;
    else if (c < 32 && short_form[c]) *w++ = (uint8_t)short_form[c];
    else {
        w = PUT(w, "u00");
        *w++ = (uint8_t)hex_digits[c >> 4];
        *w++ = (uint8_t)hex_digits[c & 15];
    }
    return w;
}

/* UTF-8 text in quotes. Room for 6 bytes a byte must be there. */
static uint8_t *put_quoted(uint8_t *w, const char *text, size_t n) {
    *w++ = '"';
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) *w++ = c;
        else w = put_escape(w, c);
    }
    *w++ = '"';
    return w;
}

static void append_quoted(gn_buf *b, const char *text, size_t n) {
    const size_t step = 4096;
    uint8_t *w;
    if (n <= step) {
        w = gn_buf_reserve(b, 6 * n + 2);
        if (w) append_end(b, put_quoted(w, text, n));
        return;
    }
    gn_buf_putc(b, '"');
    for (size_t i = 0; i < n; i += step) {
        size_t part = n - i < step ? n - i : step;
        w = gn_buf_reserve(b, 6 * part + 2);
        if (!w) return;
        uint8_t *end = put_quoted(w, text + i, part);
        memmove(w, w + 1, (size_t)(end - w) - 2); /* without its quotes */
        append_end(b, end - 2);
    }
    gn_buf_putc(b, '"');
}

static uint8_t *put_u64(uint8_t *w, uint64_t v) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    return put(w, digits + at, sizeof digits - at);
}

static uint8_t *put_i64(uint8_t *w, int64_t v) {
    if (v < 0) *w++ = '-';
    return put_u64(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* Decimal fractions with few digits, nearly all that occur: d * 10^k is a whole number t, and t / 10^k gives d again. Both are
 * exact doubles, so that the division is correctly rounded and equal to what a reader makes of the text. */
static uint8_t *put_short_decimal(uint8_t *w, double d, bool single) {
    double power = 1, magnitude = fabs(d);
    for (unsigned k = 0; k <= 9; k++, power *= 10) {
        double t = nearbyint(magnitude * power);
        if (!(t < 9007199254740992.0)) return NULL;
        if (single ? (float)(t / power) != (float)magnitude : t / power != magnitude) continue;
        uint64_t whole = (uint64_t)t, scale = (uint64_t)power;
        if (signbit(d)) *w++ = '-';
        w = put_u64(w, whole / scale);
        if (k == 0) return w;
        *w++ = '.';
        for (uint64_t rest = whole % scale, digit = scale / 10; digit; digit /= 10)
            *w++ = (uint8_t)('0' + rest / digit % 10);
        return w;
    }
    return NULL;
}

/* Shortest text that reads back equal; for FL as a float. At most 32 bytes. */
static uint8_t *put_double(uint8_t *w, double d, bool single) {
    char text[40];
    if (isnan(d)) return PUT(w, "\"NaN\"");
    if (isinf(d)) return d > 0 ? PUT(w, "\"Infinity\"") : PUT(w, "\"-Infinity\"");
    if (d == 0) return signbit(d) ? PUT(w, "-0.0") : PUT(w, "0");
    uint8_t *end = fabs(d) < 1e-4 ? NULL : put_short_decimal(w, d, single);
    if (end) return end;
    int n = 0;
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, d);
        double back = strtod(text, NULL);
        if (single ? (float)back == (float)d : back == d) break;
    }
    return put(w, text, (size_t)n);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* IS and DS: the text itself, as far as JSON (RFC 8259 §6) writes numbers like that: no '+', no leading zeros, digits around
 * the point. What is no number, or one that readers might not hold, gives NULL. */
static uint8_t *put_number_text(uint8_t *w, const char *p, size_t n, bool integer) {
    const char *end = p + n;
    uint8_t *start = w;
    if (n > 24 || n == 0) return NULL;
    if (*p == '-') *w++ = '-';
    if (*p == '-' || *p == '+') p++;
    const char *digits = p;
    while (p < end && is_digit(*p)) p++;
    size_t whole = (size_t)(p - digits), fraction = 0;
    while (whole > 1 && *digits == '0') {
        digits++;
        whole--;
    }
    if (p < end ? integer : whole > 15) return NULL; /* beyond 2^53 */
    w = whole ? put(w, digits, whole) : PUT(w, "0");
    if (p < end && *p == '.') {
        const char *point = p++;
        while (p < end && is_digit(*p)) p++;
        fraction = (size_t)(p - point) - 1;
        if (fraction) w = put(w, point, fraction + 1);
    }
    if (whole + fraction == 0) return NULL;
    if (p == end && *start == '-' && whole <= 1 && !fraction &&
        (!whole || *digits == '0')) { /* JSON readers make 0 of -0 */
        *start = '0';
        return start + 1;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *exponent = p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        const char *first = p;
        while (p < end && is_digit(*p)) p++;
        if (p == first || p - first > 2) return NULL;
        w = put(w, exponent, (size_t)(p - exponent));
    }
    return p == end ? w : NULL;
}

/* ---- text values ------------------------------------------------------------------------------------------------------- */

static const char *trim(const char *p, size_t *n, bool leading) {
    size_t length = *n;
    while (length > 0 && (p[length - 1] == ' ' || p[length - 1] == '\0')) length--;
    while (leading && length > 0 && *p == ' ') {
        p++;
        length--;
    }
    *n = length;
    return p;
}

static void append_name(gn_buf *b, const char *p, size_t n) {
    static const char *const groups[] = { "Alphabetic", "Ideographic", "Phonetic" };
    bool first = true;
    gn_buf_putc(b, '{');
    for (unsigned g = 0; g < 3; g++) {
        size_t length;
        const char *group = dicom_pn_group(p, n, g, &length);
        if (!group) break;
        group = trim(group, &length, true);
        if (!length) continue;
        uint8_t *w = gn_buf_reserve(b, 20);
        if (!w) return;
        if (!first) *w++ = ',';
        first = false;
        *w++ = '"';
        w = put(w, groups[g], strlen(groups[g]));
        w = PUT(w, "\":");
        append_end(b, w);
        append_quoted(b, group, length);
    }
    gn_buf_putc(b, '}');
}

/* Has a name any component at all? "^^^^" and "==" have none. */
static bool name_is_empty(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != '=' && p[i] != ' ' && p[i] != '^') return false;
    return true;
}

static void append_text_value(gn_buf *b, dicom_vr vr, const char *p, size_t n) {
    bool number = vr == DICOM_VR_IS || vr == DICOM_VR_DS;
    if (n == 0 || (vr == DICOM_VR_PN && name_is_empty(p, n))) {
        gn_buf_append(b, "null", 4);
        return;
    }
    if (vr == DICOM_VR_PN) {
        append_name(b, p, n);
        return;
    }
    uint8_t *w = number ? gn_buf_reserve(b, 40) : NULL, *end = w ? put_number_text(w, p, n, vr == DICOM_VR_IS) : NULL;
    if (end) append_end(b, end);
    else append_quoted(b, p, n);
}

static void append_values(gn_buf *b, dicom_vr vr, bool multi, bool leading, const char *p, size_t n) {
    gn_buf_append(b, ",\"Value\":[", 10);
    for (const char *end = p + n;;) {
        const char *stop = multi ? memchr(p, '\\', (size_t)(end - p)) : NULL;
        size_t length = (size_t)((stop ? stop : end) - p);
        const char *value = trim(p, &length, leading);
        append_text_value(b, vr, value, length);
        if (!stop) break;
        gn_buf_putc(b, ',');
        p = stop + 1;
    }
    gn_buf_putc(b, ']');
}

/* Numbers that are binary in a data set, and come as text here. */
static bool is_binary_number(dicom_vr vr) {
    switch (vr) {
    case DICOM_VR_US: case DICOM_VR_SS: case DICOM_VR_UL: case DICOM_VR_SL: case DICOM_VR_UV: case DICOM_VR_SV: case DICOM_VR_FL: case DICOM_VR_FD: return true;
    default: return false;
    }
}

void dicom_json_text(dicom_vr vr, const char *utf8, size_t n, gn_buf *out) {
    const dicom_vr_info *info = dicom_vr_find(vr);
    bool multi = (info && info->multi) || is_binary_number(vr) || vr == DICOM_VR_AT, leading = multi && vr != DICOM_VR_UC;
    utf8 = trim(utf8, &n, leading);
    if (n == 0 || (vr == DICOM_VR_PN && name_is_empty(utf8, n))) return;
    if (is_binary_number(vr)) vr = vr == DICOM_VR_FL || vr == DICOM_VR_FD ? DICOM_VR_DS : DICOM_VR_IS;
    append_values(out, vr, multi, leading, utf8, n);
}

static const dicom_charset *charset_of(json_level *l) {
    if (!l->charset_known) l->charset = dicom_charset_of(l->ds);
    l->charset_known = true;
    return &l->charset;
}

static void append_text(json_writer *w, json_level *l, const dicom_element *el, const dicom_vr_info *info) {
    const char *p = (const char *)el->value;
    size_t n = el->length;
    bool leading = info->multi && el->vr != DICOM_VR_UC;
    if (charset_ascii_run(el->value, n) < n) {
        gn_buf_clear(&w->text);
        dicom_text_decode(charset_of(l), el->vr, p, n, &w->text, NULL);
        p = (const char *)w->text.p;
        n = w->text.n;
        if (w->text.failed) w->out->failed = true;
    }
    p = trim(p, &n, leading);
    if (n == 0 || (el->vr == DICOM_VR_PN && name_is_empty(p, n))) return; /* §F.2.5: no Value at all */
    append_values(w->out, el->vr, info->multi, leading, p, n);
}

/* ---- binary values ----------------------------------------------------------------------------------------------------- */

static uint8_t *put_integer(uint8_t *w, int64_t v) {
    if (v <= 9007199254740992 && v >= -9007199254740992) return put_i64(w, v);
    *w++ = '"';
    w = put_i64(w, v);
    *w++ = '"';
    return w;
}

static uint8_t *put_binary_value(uint8_t *w, const dicom_dataset *ds, const dicom_element *el, size_t i) {
    int64_t v;
    double d;
    if (el->vr == DICOM_VR_FL || el->vr == DICOM_VR_FD)
        return dicom_element_double(ds, el, i, &d) ? put_double(w, d, el->vr == DICOM_VR_FL) : w;
    if (el->vr == DICOM_VR_UV && !dicom_element_int(ds, el, i, &v)) { /* beyond int64_t */
        const uint8_t *p = el->value + 8 * i;
        *w++ = '"';
        w = put_u64(w, ds->big_endian ? gn_load_be64(p) : gn_load_le64(p));
        *w++ = '"';
        return w;
    }
    if (!dicom_element_int(ds, el, i, &v)) return w;
    if (el->vr != DICOM_VR_AT) return put_integer(w, v);
    *w++ = '"';
    for (int shift = 28; shift >= 0; shift -= 4) *w++ = (uint8_t)hex_digits[v >> shift & 15];
    *w++ = '"';
    return w;
}

static void append_numbers(json_writer *w, const dicom_dataset *ds, const dicom_element *el) {
    size_t vm = dicom_element_vm(el);
    if (!vm) return;
    gn_buf_append(w->out, ",\"Value\":[", 10);
    for (size_t i = 0; i < vm; i++) {
        uint8_t *p = gn_buf_reserve(w->out, 48);
        if (!p) return;
        if (i) *p++ = ',';
        append_end(w->out, put_binary_value(p, ds, el, i));
    }
    gn_buf_putc(w->out, ']');
}

static uint8_t *put_base64(uint8_t *w, const uint8_t *p, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (; n >= 3; n -= 3, p += 3) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        *w++ = (uint8_t)digits[v >> 18];
        *w++ = (uint8_t)digits[v >> 12 & 63];
        *w++ = (uint8_t)digits[v >> 6 & 63];
        *w++ = (uint8_t)digits[v & 63];
    }
    if (n == 0) return w;
    uint32_t v = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
    *w++ = (uint8_t)digits[v >> 18];
    *w++ = (uint8_t)digits[v >> 12 & 63];
    *w++ = n == 2 ? (uint8_t)digits[v >> 6 & 63] : (uint8_t)'=';
    *w++ = '=';
    return w;
}

/* §F.2.7: little endian, whatever the data set is. */
static void append_inline(json_writer *w, const dicom_dataset *ds, const dicom_element *el, const dicom_vr_info *info) {
    uint8_t part[3 * 256];
    size_t unit = ds->big_endian && info->unit > 1 ? info->unit : 1;
    gn_buf_puts(w->out, ",\"InlineBinary\":\"");
    for (size_t i = 0; i < el->length; i += sizeof part) {
        size_t n = el->length - i < sizeof part ? el->length - i : sizeof part;
        uint8_t *p = gn_buf_reserve(w->out, n / 3 * 4 + 4);
        if (!p) return;
        memcpy(part, el->value + i, n);
        if (unit > 1)
            for (size_t k = 0; k + unit <= n; k += unit)
                for (size_t b = 0; b < unit; b++) part[k + b] = el->value[i + k + unit - 1 - b];
        append_end(w->out, put_base64(p, part, n));
    }
    gn_buf_putc(w->out, '"');
}

static void append_uri(json_writer *w, const dicom_element *el) {
    char path[DICOM_MAX_DEPTH * 21 + 16];
    size_t at = 0;
    gn_buf uri = GN_BUF_INIT;
    if (!w->options->bulk_uri) {
        if (!(el->flags & DICOM_ELEMENT_BULK) || !el->value || el->length) return;
        gn_buf_puts(w->out, ",\"BulkDataURI\":"); /* as dicom_json_read found it */
        append_quoted(w->out, (const char *)el->value, strlen((const char *)el->value));
        return;
    }
    for (unsigned i = 0; i < w->depth; i++)
        at += (size_t)snprintf(path + at, sizeof path - at, "%08X/%u/", (unsigned)w->level[i].sequence->tag,
                               (unsigned)w->level[i].items - 1);
    (void)snprintf(path + at, sizeof path - at, "%08X", (unsigned)el->tag);
    if (w->options->bulk_uri(w->options->ctx, el, path, &uri) && uri.n) {
        gn_buf_puts(w->out, ",\"BulkDataURI\":");
        append_quoted(w->out, (const char *)uri.p, uri.n);
    }
    if (uri.failed) w->out->failed = true;
    gn_buf_done(&uri);
}

/* ---- elements and structure -------------------------------------------------------------------------------------------- */

static bool is_binary(dicom_vr vr, const dicom_vr_info *info) {
    return !info->text && (info->long_length || vr == DICOM_VR_UN) && vr != DICOM_VR_SV && vr != DICOM_VR_UV;
}

static void append_value(json_writer *w, json_level *l, const dicom_element *el, const dicom_vr_info *info) {
    bool binary = is_binary(el->vr, info);
    bool large = binary && w->options->max_inline && el->length > w->options->max_inline;
    if (el->tag == DICOM_TAG_SpecificCharacterSet)
        gn_buf_puts(w->out, ",\"Value\":[\"ISO_IR 192\"]"); /* it is, from here on */
    else if (el->flags & DICOM_ELEMENT_BULK || el->fragments || large) append_uri(w, el);
    else if (el->length == 0 || !el->value) return;
    else if (binary) append_inline(w, l->ds, el, info);
    else if (info->text) append_text(w, l, el, info);
    else append_numbers(w, l->ds, el);
}

static void write_element(json_writer *w, json_level *l, const dicom_element *el, bool comma) {
    const dicom_vr_info *info = dicom_vr_find(el->vr);
    dicom_vr vr = info ? el->vr : DICOM_VR_UN;
    bool sequence =
        vr == DICOM_VR_SQ || el->items || (vr == DICOM_VR_UN && (el->flags & DICOM_ELEMENT_IMPLICIT_INSIDE));
    uint8_t *p = gn_buf_reserve(w->out, 32);
    if (!p) return;
    if (sequence) vr = DICOM_VR_SQ; /* §F.2.1: also what was UN */
    if (comma) *p++ = ',';
    *p++ = '"';
    for (int shift = 28; shift >= 0; shift -= 4) *p++ = (uint8_t)hex_digits[el->tag >> shift & 15];
    p = PUT(p, "\":{\"vr\":\"");
    *p++ = (uint8_t)(vr >> 8);
    *p++ = (uint8_t)(vr & 0xFF);
    *p++ = '"';
    append_end(w->out, p);
    if (sequence && el->items) {
        l->sequence = el;
        l->item = el->items;
        l->items = 0;
        gn_buf_append(w->out, ",\"Value\":[", 10);
        return;
    }
    if (info && !sequence) append_value(w, l, el, info);
    gn_buf_putc(w->out, '}');
}

static int by_tag(const void *a, const void *b) {
    const dicom_element *x = *(const dicom_element *const *)a, *y = *(const dicom_element *const *)b;
    if (x->tag != y->tag) return x->tag < y->tag ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Sorts what is not sorted; of two elements with one tag the first counts. */
static int enter(json_level *l, const dicom_dataset *ds, gn_error *e) {
    memset(l, 0, offsetof(json_level, charset));
    l->ds = ds;
    l->count = ds->count;
    if (ds->sorted || ds->count < 2) return 0;
    l->order = gn_arena_alloc(ds->arena, ds->count * sizeof *l->order);
    if (!l->order) return gn_fail(e, GN_E_NO_MEMORY, "no memory to sort a data set");
    for (size_t i = 0; i < ds->count; i++) l->order[i] = &ds->element[i];
    qsort(l->order, ds->count, sizeof *l->order, by_tag);
    size_t kept = 0;
    for (size_t i = 0; i < ds->count; i++)
        if (i == 0 || l->order[i]->tag != l->order[kept - 1]->tag) l->order[kept++] = l->order[i];
    l->count = kept;
    return 0;
}

static int write_item(json_writer *w, json_level *l, gn_error *e) {
    const dicom_item *item = l->item;
    if (w->depth >= DICOM_MAX_DEPTH)
        return gn_fail(e, GN_E_TOO_DEEP, "sequences are nested deeper than %d levels", DICOM_MAX_DEPTH);
    if (l->items++) gn_buf_putc(w->out, ',');
    gn_buf_putc(w->out, '{');
    l->item = item->next;
    return enter(&w->level[++w->depth], item->dataset, e);
}

static int write_all(json_writer *w, const dicom_dataset *ds, gn_error *e) {
    w->depth = 0;
    int rc = enter(&w->level[0], ds, e);
    bool comma = false; /* is there an attribute before the next one? */
    while (rc == 0 && !w->out->failed) {
        json_level *l = &w->level[w->depth];
        if (l->sequence && l->item) {
            rc = write_item(w, l, e);
            comma = false;
        } else if (l->sequence) {
            gn_buf_append(w->out, "]}", 2);
            l->sequence = NULL;
            comma = true;
        } else if (l->next < l->count) {
            const dicom_element *el = l->order ? l->order[l->next] : &l->ds->element[l->next];
            l->next++;
            if (dicom_tag_element(el->tag) == 0 && !w->options->with_group_lengths) continue;
            write_element(w, l, el, comma);
            comma = true;
        } else {
            gn_buf_putc(w->out, '}');
            if (w->depth == 0) break;
            w->depth--;
        }
    }
    return rc;
}

int dicom_json_write(const dicom_dataset *ds, const dicom_json_options *options, gn_json *out, gn_error *e) {
    static const dicom_json_options defaults = { 0 };
    json_writer w;
    w.options = options ? options : &defaults;
    w.out = out->out;
    w.text = (gn_buf)GN_BUF_INIT;
    gn_json_raw(out, "{", 1); /* places the comma before this value; what follows is part of it */
    int rc = write_all(&w, ds, e);
    gn_buf_done(&w.text);
    if (rc == 0 && out->out->failed) rc = gn_fail(e, GN_E_TOO_LARGE, "the JSON text does not fit the buffer");
    return rc;
}
