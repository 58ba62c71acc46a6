/* value: what the bytes of an element say: text, numbers, number of values (PS3.5 §6.2 to §6.4).
 *
 * The length of the value decides, never the VR alone: a US of one byte has no value, an OW of three bytes one word. Text is
 * handed out as it lies in the data set, not NUL-terminated and in its own character set; charset.c makes UTF-8 of it. */
#include "dicom/dicom.h"

#include <stdlib.h>

/* ---- text -------------------------------------------------------------------------------------------------------------- */

static bool keeps_leading_spaces(dicom_vr vr) {
    return vr == DICOM_VR_LT || vr == DICOM_VR_ST || vr == DICOM_VR_UT || vr == DICOM_VR_UC;
}

static const char *trim(dicom_vr vr, const char *p, size_t *n) {
    size_t length = *n;
    while (length > 0 && (p[length - 1] == ' ' || p[length - 1] == '\0')) length--;
    while (length > 0 && *p == ' ' && !keeps_leading_spaces(vr)) {
        p++;
        length--;
    }
    *n = length;
    return length ? p : NULL;
}

static bool has_bytes(const dicom_element *el) {
    return el && el->value && el->length && el->length != DICOM_UNDEFINED_LENGTH && !(el->flags & DICOM_ELEMENT_BULK);
}

const char *dicom_element_text(const dicom_element *el, size_t *n) {
    *n = 0;
    if (!has_bytes(el)) return NULL;
    *n = el->length;
    return trim(el->vr, (const char *)el->value, n);
}

const char *dicom_dataset_ascii(const dicom_dataset *ds, dicom_tag tag) {
    size_t n;
    const char *text = dicom_element_text(dicom_dataset_find(ds, tag), &n);
    const char *copy = text ? gn_arena_strndup(ds->arena, text, n) : NULL;
    return copy ? copy : "";
}

size_t dicom_dataset_ascii_into(const dicom_dataset *ds, dicom_tag tag, char *buf, size_t size) {
    size_t n;
    const char *text = dicom_element_text(dicom_dataset_find(ds, tag), &n);
    if (size == 0) return 0;
    if (n >= size) n = size - 1;
    if (n) memcpy(buf, text, n);
    buf[n] = '\0';
    return n;
}

static bool splits(dicom_vr vr) {
    const dicom_vr_info *info = dicom_vr_find(vr);
    return info && info->text && info->multi;
}

const char *dicom_element_value(const dicom_element *el, size_t i, size_t *n) {
    *n = 0;
    if (!has_bytes(el)) return NULL;
    const char *p = (const char *)el->value, *end = p + el->length;
    if (!splits(el->vr)) {
        if (i > 0) return NULL;
        *n = el->length;
        return trim(el->vr, p, n);
    }
    for (; i > 0; i--) {
        p = memchr(p, '\\', (size_t)(end - p));
        if (!p) return NULL;
        p++;
    }
    const char *stop = memchr(p, '\\', (size_t)(end - p));
    *n = (size_t)((stop ? stop : end) - p);
    const char *text = trim(el->vr, p, n);
    return text ? text : p; /* an empty value between others: there, with no bytes */
}

/* Bytes of one value of a binary VR; 0: the whole is one value. */
static size_t unit_of(dicom_vr vr) {
    switch (vr) {
    case DICOM_VR_US:
    case DICOM_VR_SS: return 2;
    case DICOM_VR_UL:
    case DICOM_VR_SL:
    case DICOM_VR_FL:
    case DICOM_VR_AT: return 4;
    case DICOM_VR_FD:
    case DICOM_VR_UV:
    case DICOM_VR_SV: return 8;
    default: return 0;
    }
}

size_t dicom_element_vm(const dicom_element *el) {
    size_t vm = 0;
    if (!el) return 0;
    if (el->vr == DICOM_VR_SQ || el->items) {
        for (const dicom_item *item = el->items; item; item = item->next) vm++;
        return vm;
    }
    if (!el->length) return 0;
    size_t unit = unit_of(el->vr);
    if (unit && el->length != DICOM_UNDEFINED_LENGTH) return el->length / unit;
    if (!has_bytes(el) || !splits(el->vr)) return 1;
    const char *p = (const char *)el->value, *end = p + el->length;
    for (vm = 1; (p = memchr(p, '\\', (size_t)(end - p))) != NULL; p++) vm++;
    return vm;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------------- */

/* PS3.5 §6.2: DS is a decimal number, IS an integer; no hexadecimal, no names of infinity. */
static bool parse_decimal(const char *text, size_t n, double *value) {
    char copy[64], *end;
    while (n > 0 && *text == ' ') {
        text++;
        n--;
    }
    if (n == 0 || n >= sizeof copy) return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if ((c < '0' || c > '9') && c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E') return false;
        copy[i] = c;
    }
    copy[n] = '\0';
    *value = strtod(copy, &end);
    return *end == '\0';
}

static bool parse_integer(const char *text, size_t n, int64_t *value) {
    bool negative = n > 0 && *text == '-';
    size_t i = n > 0 && (*text == '-' || *text == '+');
    int64_t v = 0;
    if (i == n) return false;
    for (; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        int digit = text[i] - '0';
        if (__builtin_mul_overflow(v, 10, &v) ||
            (negative ? __builtin_sub_overflow(v, digit, &v) : __builtin_add_overflow(v, digit, &v)))
            return false;
    }
    *value = v;
    return true;
}

static bool integral(double d, int64_t *value) {
    if (!(d >= -9007199254740992.0 && d <= 9007199254740992.0)) return false;
    *value = (int64_t)d;
    return (double)*value == d;
}

/* Binary value i as raw bits, in the order of the machine. */
static bool load(const dicom_dataset *ds, const dicom_element *el, size_t i, uint64_t *bits) {
    size_t unit = unit_of(el->vr);
    if (!unit || !has_bytes(el) || i >= el->length / unit) return false;
    const uint8_t *p = el->value + i * unit;
    bool be = ds->big_endian;
    if (el->vr == DICOM_VR_AT)
        *bits = be ? DICOM_TAG(gn_load_be16(p), gn_load_be16(p + 2)) : DICOM_TAG(gn_load_le16(p), gn_load_le16(p + 2));
    else if (unit == 2) *bits = be ? gn_load_be16(p) : gn_load_le16(p);
    else if (unit == 4) *bits = be ? gn_load_be32(p) : gn_load_le32(p);
    else *bits = be ? gn_load_be64(p) : gn_load_le64(p);
    return true;
}

static double float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static double double_of(uint64_t bits) {
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

bool dicom_element_int(const dicom_dataset *ds, const dicom_element *el, size_t i, int64_t *value) {
    uint64_t bits;
    size_t n;
    double d;
    if (!ds || !el) return false;
    if (el->vr == DICOM_VR_IS || el->vr == DICOM_VR_DS) {
        const char *text = dicom_element_value(el, i, &n);
        if (!text || !n) return false;
        return parse_integer(text, n, value) ||
               (el->vr == DICOM_VR_DS && parse_decimal(text, n, &d) && integral(d, value));
    }
    if (!load(ds, el, i, &bits)) return false;
    switch (el->vr) {
    case DICOM_VR_SS: *value = (int16_t)bits; return true;
    case DICOM_VR_SL: *value = (int32_t)bits; return true;
    case DICOM_VR_SV: *value = (int64_t)bits; return true;
    case DICOM_VR_FL: return integral(float_of((uint32_t)bits), value);
    case DICOM_VR_FD: return integral(double_of(bits), value);
    case DICOM_VR_UV:
        if (bits > INT64_MAX) return false;
        break;
    default: break;
    }
    *value = (int64_t)bits;
    return true;
}

bool dicom_element_double(const dicom_dataset *ds, const dicom_element *el, size_t i, double *value) {
    uint64_t bits;
    int64_t whole;
    size_t n;
    if (!ds || !el) return false;
    if (el->vr == DICOM_VR_IS || el->vr == DICOM_VR_DS) {
        const char *text = dicom_element_value(el, i, &n);
        return text && parse_decimal(text, n, value);
    }
    if (el->vr == DICOM_VR_FL || el->vr == DICOM_VR_FD || el->vr == DICOM_VR_UV) {
        if (!load(ds, el, i, &bits)) return false;
        *value = el->vr == DICOM_VR_UV   ? (double)bits
                 : el->vr == DICOM_VR_FD ? double_of(bits)
                                         : float_of((uint32_t)bits);
        return true;
    }
    if (!dicom_element_int(ds, el, i, &whole)) return false;
    *value = (double)whole;
    return true;
}

bool dicom_dataset_int(const dicom_dataset *ds, dicom_tag tag, int64_t *value) {
    const dicom_element *el = dicom_dataset_find(ds, tag);
    return el && dicom_element_int(ds, el, 0, value);
}
