/* json_read: the DICOM JSON model (PS3.18 Annex F) as data sets.
 *
 * jansson parses; before it does, the text is measured for size and nesting, so that its recursion cannot be driven deep (T7).
 * Types are strict: a number where a string belongs is an error that names its path, since what is stored from here on is
 * believed. Two liberties: a missing vr of a tag in the dictionary, and members that the standard does not know. Attributes
 * are sorted before they are put, so that no order of names costs more than another. */
#include "dicom/dicom.h"

#include <float.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#define MAX_TEXT ((size_t)64 << 20)
#define MAX_NESTING (3 * DICOM_MAX_DEPTH + 8) /* attribute, Value, item for a level */

typedef struct attribute {
    dicom_tag tag;
    const json_t *body;
} attribute;

typedef struct read_level {
    dicom_dataset *ds;
    attribute *attribute;
    size_t count, next;
    const json_t *items; /* of the sequence that is open; NULL: none */
    size_t item;
    dicom_tag sequence;
} read_level;

typedef struct json_reader {
    gn_arena *arena;
    gn_buf value; /* of one element */
    bool not_ascii;
    dicom_tag tag; /* being read, for messages; 0: none */
    unsigned depth;
    read_level level[DICOM_MAX_DEPTH + 1];
} json_reader;

/* ---- before the parser ------------------------------------------------------------------------------------------------- */

static int check_nesting(const char *text, size_t n, gn_error *e) {
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\') i++;
            else if (c == '"') quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_NESTING) {
                gn_error_at(e, "offset %zu", i);
                return gn_fail(e, GN_E_TOO_DEEP, "JSON is nested too deeply");
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return 0;
}

/* "00081115.Value[0].00081150"; the beginning of a long path is left out. */
static void locate(const json_reader *r, gn_error *e) {
    char path[112];
    size_t n = 0;
    if (!e || e->where[0]) return;
    path[0] = '\0';
    for (unsigned i = r->depth > 3 ? r->depth - 3 : 0; i < r->depth; i++) {
        int wrote = snprintf(path + n, sizeof path - n, "%s%08X.Value[%zu].", i && n == 0 ? "..." : "",
                             (unsigned)r->level[i].sequence, r->level[i].item - 1);
        if (wrote > 0 && (size_t)wrote < sizeof path - n) n += (size_t)wrote;
    }
    if (r->tag) (void)snprintf(path + n, sizeof path - n, "%08X", (unsigned)r->tag);
    else if (n) path[n - 1] = '\0';
    gn_error_at(e, "%s", path[0] ? path : "the first object");
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

static int wrong_type(gn_error *e, dicom_vr vr, const char *wanted) {
    return gn_fail(e, GN_E_INVALID, "a value of %c%c must be %s", vr >> 8, vr & 0xFF, wanted);
}

static void append_string(json_reader *r, const json_t *s) {
    const char *p = json_string_value(s);
    size_t n = json_string_length(s);
    for (size_t i = 0; i < n && !r->not_ascii; i++) r->not_ascii = (uint8_t)p[i] >= 0x80 || p[i] == 0x1B;
    gn_buf_append(&r->value, p, n);
}

static int read_name(json_reader *r, const json_t *v, gn_error *e) {
    static const char *const groups[] = { "Alphabetic", "Ideographic", "Phonetic" };
    size_t written = 0;
    if (!json_is_object(v)) return wrong_type(e, DICOM_VR_PN, "an object of component groups");
    for (size_t g = 0; g < GN_ARRAY_LEN(groups); g++) {
        const json_t *group = json_object_get(v, groups[g]);
        if (!group || json_is_null(group)) continue;
        if (!json_is_string(group)) return gn_fail(e, GN_E_INVALID, "%s must be a string", groups[g]);
        if (!json_string_length(group)) continue;
        for (; written < g; written++) gn_buf_putc(&r->value, '=');
        append_string(r, group);
    }
    return 0;
}

/* DS has at most 16 characters (PS3.5 §6.2): as many digits as fit. */
static void append_decimal(json_reader *r, double d) {
    char text[40] = "";
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, d);
        double back = strtod(text, NULL);
        if (back >= d && back <= d) break;
    }
    for (int digits = 15; n > 16 && digits > 0; digits--) n = snprintf(text, sizeof text, "%.*g", digits, d);
    gn_buf_puts(&r->value, text);
}

static int read_text_value(json_reader *r, dicom_vr vr, const json_t *v, gn_error *e) {
    bool number = vr == DICOM_VR_IS || vr == DICOM_VR_DS;
    if (json_is_null(v)) return 0;
    if (vr == DICOM_VR_PN) return read_name(r, v, e);
    if (json_is_string(v)) {
        append_string(r, v);
        return 0;
    }
    if (!number || !json_is_number(v)) return wrong_type(e, vr, number ? "a number or a string" : "a string");
    double d = json_number_value(v);
    if (json_is_integer(v)) gn_buf_printf(&r->value, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (vr == DICOM_VR_DS) append_decimal(r, d);
    else if (fabs(d) < 1e15 && trunc(d) >= d && trunc(d) <= d) gn_buf_printf(&r->value, "%.0f", d);
    else return wrong_type(e, vr, "an integer");
    return 0;
}

static int read_text(json_reader *r, dicom_vr vr, const dicom_vr_info *info, const json_t *values, gn_error *e) {
    size_t n = json_array_size(values);
    int rc = 0;
    if (n > 1 && !info->multi) return gn_fail(e, GN_E_INVALID, "%c%c has one value only", vr >> 8, vr & 0xFF);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (i) gn_buf_putc(&r->value, '\\');
        rc = read_text_value(r, vr, json_array_get(values, i), e);
    }
    return rc;
}

static const struct {
    dicom_vr vr;
    uint8_t bytes;
    int64_t low;
    uint64_t high;
} integers[] = {
    { DICOM_VR_US, 2, 0, UINT16_MAX }, { DICOM_VR_SS, 2, INT16_MIN, INT16_MAX },
    { DICOM_VR_UL, 4, 0, UINT32_MAX }, { DICOM_VR_SL, 4, INT32_MIN, INT32_MAX },
    { DICOM_VR_UV, 8, 0, UINT64_MAX }, { DICOM_VR_SV, 8, INT64_MIN, INT64_MAX },
};

/* A decimal integer in a string, of SV or UV. */
static bool parse_integer(const char *text, bool *negative, uint64_t *magnitude) {
    uint64_t v = 0;
    *negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || !gn_mul_u64(v, 10, &v) || !gn_add_u64(v, (uint64_t)(*text - '0'), &v))
            return false;
    }
    *magnitude = v;
    return true;
}

static bool integer_of(const json_t *v, bool strings, bool *negative, uint64_t *magnitude) {
    if (json_is_integer(v)) {
        json_int_t i = json_integer_value(v);
        *negative = i < 0;
        *magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
        return true;
    }
    if (json_is_real(v)) {
        double d = json_real_value(v);
        *negative = d < 0;
        *magnitude = (uint64_t)fmin(fabs(d), 9007199254740992.0);
        return fabs(d) < 9007199254740992.0 && trunc(d) >= d && trunc(d) <= d;
    }
    return strings && json_is_string(v) && parse_integer(json_string_value(v), negative, magnitude);
}

static int read_integer(json_reader *r, size_t kind, const json_t *v, gn_error *e) {
    bool negative, wide = integers[kind].bytes == 8;
    uint64_t magnitude, low = 0 - (uint64_t)integers[kind].low;
    uint8_t bytes[8];
    if (!integer_of(v, wide, &negative, &magnitude)) return wrong_type(e, integers[kind].vr, "an integer");
    if (negative ? magnitude > low : magnitude > integers[kind].high)
        return gn_fail(e, GN_E_INVALID, "a value of %c%c is out of range", integers[kind].vr >> 8,
                       integers[kind].vr & 0xFF);
    gn_store_le64(bytes, negative ? 0 - magnitude : magnitude);
    gn_buf_append(&r->value, bytes, integers[kind].bytes);
    return 0;
}

static bool not_finite(const json_t *v, double *d) {
    static const struct {
        const char *text;
        double value;
    } words[] = { { "NaN", (double)NAN },           { "nan", (double)NAN },
                  { "Infinity", (double)INFINITY }, { "-Infinity", -(double)INFINITY },
                  { "inf", (double)INFINITY },      { "-inf", -(double)INFINITY } };
    if (!json_is_string(v)) return false;
    for (size_t i = 0; i < GN_ARRAY_LEN(words); i++)
        if (strcmp(json_string_value(v), words[i].text) == 0) {
            *d = words[i].value;
            return true;
        }
    return false;
}

static int read_float(json_reader *r, dicom_vr vr, const json_t *v, gn_error *e) {
    uint8_t bytes[8];
    double d;
    if (json_is_number(v)) d = json_number_value(v);
    else if (!not_finite(v, &d)) return wrong_type(e, vr, "a number");
    if (vr == DICOM_VR_FD) {
        uint64_t bits;
        memcpy(&bits, &d, sizeof bits);
        gn_store_le64(bytes, bits);
        gn_buf_append(&r->value, bytes, 8);
        return 0;
    }
    if (isfinite(d) && fabs(d) > (double)FLT_MAX) return gn_fail(e, GN_E_INVALID, "a value of FL is out of range");
    float f = (float)d;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    gn_store_le32(bytes, bits);
    gn_buf_append(&r->value, bytes, 4);
    return 0;
}

/* Eight hexadecimal digits. */
static bool parse_tag(const char *text, size_t n, dicom_tag *tag) {
    uint32_t v = 0;
    if (n != 8) return false;
    for (size_t i = 0; i < 8; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : -1;
        if (digit < 0) return false;
        v = v << 4 | (uint32_t)digit;
    }
    *tag = v;
    return true;
}

static int read_tag_value(json_reader *r, const json_t *v, gn_error *e) {
    dicom_tag tag;
    if (!json_is_string(v) || !parse_tag(json_string_value(v), json_string_length(v), &tag))
        return wrong_type(e, DICOM_VR_AT, "a string of eight hexadecimal digits");
    gn_buf_le16(&r->value, dicom_tag_group(tag));
    gn_buf_le16(&r->value, dicom_tag_element(tag));
    return 0;
}

static int read_numbers(json_reader *r, dicom_vr vr, const json_t *values, gn_error *e) {
    size_t n = json_array_size(values), kind = 0;
    int rc = 0;
    while (n > 0 && json_is_null(json_array_get(values, n - 1)))
        n--; /* binary values cannot be empty; writers are known that end with null */
    while (kind < GN_ARRAY_LEN(integers) && integers[kind].vr != vr) kind++;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const json_t *v = json_array_get(values, i);
        if (kind < GN_ARRAY_LEN(integers)) rc = read_integer(r, kind, v, e);
        else if (vr == DICOM_VR_AT) rc = read_tag_value(r, v, e);
        else if (vr == DICOM_VR_FL || vr == DICOM_VR_FD) rc = read_float(r, vr, v, e);
        else rc = gn_fail(e, GN_E_INVALID, "%c%c has InlineBinary or BulkDataURI, no Value", vr >> 8, vr & 0xFF);
    }
    return rc;
}

static int digit64(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 §4; the padding may be missing. */
static int read_base64(json_reader *r, const json_t *v, gn_error *e) {
    if (!json_is_string(v)) return gn_fail(e, GN_E_INVALID, "InlineBinary must be a string");
    const char *p = json_string_value(v);
    size_t n = json_string_length(v);
    for (int pad = 0; pad < 2 && n > 0 && p[n - 1] == '='; pad++) n--;
    uint8_t *out = gn_buf_reserve(&r->value, n / 4 * 3 + 3);
    if (!out) return gn_fail(e, GN_E_TOO_LARGE, "InlineBinary is too large");
    uint32_t bits = 0;
    size_t made = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = digit64(p[i]);
        if (digit < 0 || n % 4 == 1) return gn_fail(e, GN_E_INVALID, "InlineBinary is not base64");
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 0) continue;
        out[made++] = (uint8_t)(bits >> (i % 4 == 1 ? 4 : i % 4 == 2 ? 2 : 0));
    }
    r->value.n += made;
    return 0;
}

/* ---- attributes -------------------------------------------------------------------------------------------------------- */

static int read_vr(const json_t *body, dicom_tag tag, dicom_vr *vr, gn_error *e) {
    const json_t *v = json_object_get(body, "vr");
    if (!v) {
        *vr = dicom_implicit_vr(tag);
        return *vr != DICOM_VR_UN ? 0 : gn_fail(e, GN_E_INVALID, "vr is missing");
    }
    const char *text = json_string_value(v);
    *vr = DICOM_VR_NONE;
    if (text && json_string_length(v) == 2) *vr = DICOM_VR((uint8_t)text[0], (uint8_t)text[1]);
    return dicom_vr_find(*vr) ? 0 : gn_fail(e, GN_E_INVALID, "vr is no value representation");
}

static int put_bulk(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const json_t *uri, gn_error *e) {
    if (!json_is_string(uri) || memchr(json_string_value(uri), '\0', json_string_length(uri)))
        return gn_fail(e, GN_E_INVALID, "BulkDataURI must be a string");
    char *copy = gn_arena_strndup(ds->arena, json_string_value(uri), json_string_length(uri));
    int rc = copy ? dicom_dataset_put(ds, tag, vr == DICOM_VR_SQ ? DICOM_VR_UN : vr, NULL, 0, e)
                  : gn_fail(e, GN_E_NO_MEMORY, "no memory for a URI");
    if (rc) return rc;
    dicom_element *el = &ds->element[ds->count - 1]; /* attributes come sorted */
    el->flags = DICOM_ELEMENT_BULK;
    el->value = (const uint8_t *)copy;
    return 0;
}

static int open_sequence(json_reader *r, read_level *l, dicom_tag tag, const json_t *values, gn_error *e) {
    int rc = dicom_dataset_put_sequence(l->ds, tag, e);
    if (rc || json_array_size(values) == 0) return rc;
    l->items = values;
    l->item = 0;
    l->sequence = tag;
    r->tag = 0;
    return 0;
}

static int read_attribute(json_reader *r, read_level *l, const attribute *a, gn_error *e) {
    dicom_vr vr;
    r->tag = a->tag;
    if (!json_is_object(a->body)) return gn_fail(e, GN_E_INVALID, "an attribute must be an object");
    const json_t *values = json_object_get(a->body, "Value"), *uri = json_object_get(a->body, "BulkDataURI"),
                 *binary = json_object_get(a->body, "InlineBinary");
    if (!!values + !!uri + !!binary > 1)
        return gn_fail(e, GN_E_INVALID, "more than one of Value, BulkDataURI and InlineBinary");
    int rc = read_vr(a->body, a->tag, &vr, e);
    if (rc) return rc;
    const dicom_vr_info *info = dicom_vr_find(vr);
    if (values && !json_is_array(values)) return gn_fail(e, GN_E_INVALID, "Value must be an array");
    if (uri) return put_bulk(l->ds, a->tag, vr, uri, e);
    if (vr == DICOM_VR_SQ)
        return binary ? gn_fail(e, GN_E_INVALID, "a sequence has no InlineBinary")
                      : open_sequence(r, l, a->tag, values, e);
    gn_buf_clear(&r->value);
    if (binary)
        rc = info->text ? gn_fail(e, GN_E_INVALID, "%c%c is text and has no InlineBinary", vr >> 8, vr & 0xFF)
                        : read_base64(r, binary, e);
    else if (a->tag == DICOM_TAG_SpecificCharacterSet) gn_buf_puts(&r->value, "ISO_IR 192");
    else if (values) rc = info->text ? read_text(r, vr, info, values, e) : read_numbers(r, vr, values, e);
    if (rc == 0 && r->value.failed) rc = gn_fail(e, GN_E_TOO_LARGE, "a value is too large");
    return rc ? rc : dicom_dataset_put(l->ds, a->tag, vr, r->value.p, r->value.n, e);
}

static int by_tag(const void *a, const void *b) {
    dicom_tag x = ((const attribute *)a)->tag, y = ((const attribute *)b)->tag;
    return x < y ? -1 : x > y;
}

/* The attributes of an object, sorted by tag. */
static int enter(json_reader *r, read_level *l, dicom_dataset *ds, json_t *object, gn_error *e) {
    const char *key;
    json_t *body;
    if (!json_is_object(object)) return gn_fail(e, GN_E_INVALID, "a data set must be an object");
    *l = (read_level){ .ds = ds };
    if (json_object_size(object) == 0) return 0;
    l->attribute = gn_arena_alloc(r->arena, json_object_size(object) * sizeof *l->attribute);
    if (!l->attribute) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a data set");
    json_object_foreach(object, key, body) {
        dicom_tag tag;
        if (!parse_tag(key, strlen(key), &tag) || dicom_tag_group(tag) == 0xFFFE)
            return gn_fail(e, GN_E_INVALID, "the name of an attribute must be a tag of eight hexadecimal digits");
        l->attribute[l->count++] = (attribute){ tag, body };
    }
    qsort(l->attribute, l->count, sizeof *l->attribute, by_tag);
    for (size_t i = 1; i < l->count; i++) {
        if (l->attribute[i].tag != l->attribute[i - 1].tag) continue;
        r->tag = l->attribute[i].tag;
        return gn_fail(e, GN_E_INVALID, "an attribute is there twice");
    }
    return 0;
}

static int read_item(json_reader *r, read_level *l, gn_error *e) {
    dicom_dataset *item;
    int rc = dicom_dataset_add_item(l->ds, l->sequence, &item, e);
    if (rc) return rc;
    json_t *object = json_array_get(l->items, l->item++);
    r->depth++;
    r->tag = 0;
    return enter(r, &r->level[r->depth], item, object, e);
}

static int read_all(json_reader *r, dicom_dataset *root, json_t *object, gn_error *e) {
    int rc = enter(r, &r->level[0], root, object, e);
    while (rc == 0) {
        read_level *l = &r->level[r->depth];
        if (l->items && l->item < json_array_size(l->items)) rc = read_item(r, l, e);
        else if (l->items) l->items = NULL;
        else if (l->next < l->count) rc = read_attribute(r, l, &l->attribute[l->next++], e);
        else if (r->depth == 0) break;
        else r->depth--;
    }
    if (rc) locate(r, e);
    else if (r->not_ascii)
        rc = dicom_dataset_put_string(root, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, "ISO_IR 192", e);
    return rc;
}

int dicom_json_read(gn_arena *arena, const char *text, size_t n, dicom_dataset **out, gn_error *e) {
    json_error_t trouble;
    json_reader r;
    if (n > MAX_TEXT) return gn_fail(e, GN_E_TOO_LARGE, "JSON text of %zu bytes is too large", n);
    int rc = check_nesting(text, n, e);
    if (rc) return rc;
    json_t *whole = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &trouble);
    if (!whole) {
        gn_error_at(e, "line %d, column %d", trouble.line, trouble.column);
        return gn_fail(e, GN_E_INVALID, "not JSON: %s", trouble.text);
    }
    dicom_dataset *root = dicom_dataset_new(arena, e);
    r.arena = arena;
    r.value = (gn_buf)GN_BUF_INIT;
    r.not_ascii = false;
    r.tag = 0;
    r.depth = 0;
    json_t *first = json_is_array(whole) ? json_array_get(whole, 0) : whole;
    if (!root) {
        rc = GN_E_NO_MEMORY;
    } else if (!first) {
        gn_error_at(e, "offset 0");
        rc = gn_fail(e, GN_E_INVALID, "an empty array holds no data set");
    } else {
        rc = read_all(&r, root, first, e);
    }
    gn_buf_done(&r.value);
    json_decref(whole);
    if (rc) return rc;
    *out = root;
    return 0;
}
