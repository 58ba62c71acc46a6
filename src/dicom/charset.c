/* charset: Specific Character Set (0008,0005), and text to and from UTF-8 (PS3.3 C.12.1.1.2, PS3.5 §6.1).
 *
 * Inside the program all text is UTF-8; this is where it is made. Nearly all text is plain ASCII, which means the same in
 * every set here, so that is looked for first. Bad bytes never fail: they become U+FFFD and are counted. Data without a
 * declared set, or with one that nobody defined, is read as UTF-8 if it is valid UTF-8 and as Latin-1 if not.
 * Terms are compared without case, blanks, '_' and '-', since "ISO-IR 100", "ISO_IR_100" and the like are common. */
#include "charset.h"

const dicom_charset DICOM_CHARSET_UTF8 = { .count = 1, .term = { CHARSET_UTF8 }, .unknown = false };

/* ---- output ------------------------------------------------------------------------------------------------------------ */

void charset_sink_flush(charset_sink *s) {
    gn_buf_append(s->out, s->bytes, s->n);
    s->n = 0;
}

void charset_sink_bytes(charset_sink *s, const void *p, size_t n) {
    for (size_t i = 0; i < n; i++) charset_sink_byte(s, ((const uint8_t *)p)[i]);
}

void charset_sink_code_point(charset_sink *s, uint32_t code_point) {
    if (code_point == 0) {
        code_point = CHARSET_REPLACEMENT;
        s->bad++;
    }
    if (s->n + 4 > sizeof s->bytes) charset_sink_flush(s);
    s->n += gn_utf8_encode(code_point, s->bytes + s->n);
}

/* ---- terms ------------------------------------------------------------------------------------------------------------- */

typedef struct term {
    const char *name; /* upper case letters and digits only */
    uint8_t set;
} term;

/* By the number of the international register: after "ISO_IR", "ISO 2022 IR" or "IR". */
static const term register_terms[] = {
    { "6", CHARSET_ASCII },     { "100", CHARSET_LATIN1 },   { "101", CHARSET_LATIN2 },   { "109", CHARSET_LATIN3 },   { "110", CHARSET_LATIN4 },
    { "144", CHARSET_CYRILLIC }, { "127", CHARSET_ARABIC },  { "126", CHARSET_GREEK },    { "138", CHARSET_HEBREW },   { "148", CHARSET_LATIN5 },
    { "203", CHARSET_LATIN9 },  { "13", CHARSET_KATAKANA },  { "14", CHARSET_KATAKANA },  { "166", CHARSET_THAI },     { "87", CHARSET_JISX0208 },
    { "159", CHARSET_JISX0212 }, { "149", CHARSET_KSX1001 }, { "58", CHARSET_GB2312 },    { "192", CHARSET_UTF8 },
};
/* Defined terms without a number, and names from elsewhere that people write. */
static const term other_terms[] = {
    { "GB18030", CHARSET_GB18030 },    { "GBK", CHARSET_GBK },            { "UTF8", CHARSET_UTF8 },          { "ASCII", CHARSET_ASCII },
    { "USASCII", CHARSET_ASCII },      { "ISO646", CHARSET_ASCII },       { "LATIN1", CHARSET_LATIN1 },      { "LATIN2", CHARSET_LATIN2 },
    { "LATIN3", CHARSET_LATIN3 },      { "LATIN4", CHARSET_LATIN4 },      { "LATIN5", CHARSET_LATIN5 },      { "LATIN9", CHARSET_LATIN9 },
    { "ISO88591", CHARSET_LATIN1 },    { "ISO88592", CHARSET_LATIN2 },    { "ISO88593", CHARSET_LATIN3 },    { "ISO88594", CHARSET_LATIN4 },
    { "ISO88595", CHARSET_CYRILLIC },  { "ISO88596", CHARSET_ARABIC },    { "ISO88597", CHARSET_GREEK },     { "ISO88598", CHARSET_HEBREW },
    { "ISO88599", CHARSET_LATIN5 },    { "ISO885911", CHARSET_THAI },     { "ISO885915", CHARSET_LATIN9 },   { "TIS620", CHARSET_THAI },
    { "EUCKR", CHARSET_KSX1001 },      { "KSX1001", CHARSET_KSX1001 },    { "GB2312", CHARSET_GB2312 },      { "EUCCN", CHARSET_GB2312 },
    { "ISO2022GB18030", CHARSET_GB18030 }, { "ISO2022GBK", CHARSET_GBK },
};

static uint8_t look_up(const term *terms, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(terms[i].name, name) == 0) return terms[i].set;
    return CHARSET_NONE;
}

/* The set of one value; an empty one means the default repertoire. NONE: not a term. */
static uint8_t parse_term(const char *text, size_t n) {
    char name[24];
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == ' ' || c == '_' || c == '-' || c == '\0') continue;
        if (length == sizeof name - 1) return CHARSET_NONE;
        name[length++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    name[length] = '\0';
    if (length == 0) return CHARSET_ASCII;
    static const char *const prefixes[] = { "ISO2022IR", "ISOIR", "IR" };
    for (size_t i = 0; i < GN_ARRAY_LEN(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return look_up(register_terms, GN_ARRAY_LEN(register_terms), name + strlen(prefixes[i]));
    return look_up(other_terms, GN_ARRAY_LEN(other_terms), name);
}

static bool stands_alone(uint8_t set) { return set == CHARSET_UTF8 || set == CHARSET_GB18030 || set == CHARSET_GBK; }

/* Sets without code extensions are complete alone: as the first value they make the others meaningless, and as a later one
 * they are themselves. */
dicom_charset dicom_charset_parse(const char *text, size_t n) {
    dicom_charset cs = { 0, { 0 }, false };
    if (!text || n == 0) return cs;
    for (size_t start = 0; start <= n && cs.count < GN_ARRAY_LEN(cs.term);) {
        const char *end = memchr(text + start, '\\', n - start);
        size_t length = end ? (size_t)(end - (text + start)) : n - start;
        uint8_t set = parse_term(text + start, length);
        start += length + 1;
        if (set == CHARSET_NONE) {
            cs.unknown = true;
            if (cs.count == 0) cs.term[cs.count++] = CHARSET_LATIN1;
        } else if (stands_alone(set)) {
            if (cs.count > 0) continue;
            cs.term[cs.count++] = set;
            return cs;
        } else {
            cs.term[cs.count++] = set;
        }
    }
    return cs;
}

dicom_charset dicom_charset_of(const dicom_dataset *ds) {
    for (; ds; ds = ds->parent) {
        const dicom_element *el = dicom_dataset_find(ds, DICOM_TAG_SpecificCharacterSet);
        if (!el) continue;
        size_t n;
        const char *text = dicom_element_text(el, &n);
        return dicom_charset_parse(text, n);
    }
    return dicom_charset_parse(NULL, 0);
}

/* ---- text -------------------------------------------------------------------------------------------------------------- */

size_t charset_ascii_run(const uint8_t *p, size_t n) {
    const uint64_t high = 0x8080808080808080u, low = 0x0101010101010101u, escape = low * CHARSET_ESC;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w;
        memcpy(&w, p + i, 8);
        uint64_t x = w ^ escape; /* a zero byte where an ESC is */
        if ((w | ((x - low) & ~x)) & high) break;
    }
    while (i < n && p[i] < 0x80 && p[i] != CHARSET_ESC) i++;
    return i;
}

static void decode_utf8(const uint8_t *p, size_t n, charset_sink *s) {
    if (gn_utf8_valid(p, n)) {
        charset_sink_flush(s);
        gn_buf_append(s->out, p, n);
        return;
    }
    for (size_t i = 0; i < n;) {
        uint32_t code_point;
        size_t used = gn_utf8_decode(p + i, n - i, &code_point);
        if (p[i] < 0x80) charset_sink_byte(s, p[i]);
        else charset_sink_code_point(s, used == 1 ? 0 : code_point);
        i += used;
    }
}

/* Is it UTF-8 although the declared set, or none, says otherwise? Only asked where high bytes would have no meaning. */
static bool looks_like_utf8(const dicom_charset *cs, const uint8_t *p, size_t n) {
    if (!cs->unknown && !(cs->count == 0 || (cs->count == 1 && cs->term[0] == CHARSET_ASCII))) return false;
    return !memchr(p, CHARSET_ESC, n) && gn_utf8_valid(p, n);
}

static void decode_other(const dicom_charset *cs, dicom_vr vr, const uint8_t *p, size_t n, charset_sink *s) {
    uint8_t first = cs->count ? cs->term[0] : CHARSET_ASCII;
    if (first == CHARSET_UTF8) {
        decode_utf8(p, n, s);
    } else if (first == CHARSET_GB18030 || first == CHARSET_GBK) {
        charset_gb18030_decode(p, n, s);
    } else if (looks_like_utf8(cs, p, n)) {
        decode_utf8(p, n, s);
        for (size_t i = 0; i < n && !cs->unknown; i++) s->bad += p[i] >= 0x80;
    } else {
        charset_iso2022_decode(cs, vr, p, n, s);
    }
}

void dicom_text_decode(const dicom_charset *cs, dicom_vr vr, const char *text, size_t n, gn_buf *out, size_t *bad) {
    const uint8_t *p = (const uint8_t *)text;
    size_t plain = n ? charset_ascii_run(p, n) : 0;
    if (plain < n) {
        charset_sink s = { .out = out };
        gn_buf_append(out, p, plain);
        decode_other(cs, vr, p + plain, n - plain, &s);
        charset_sink_flush(&s);
        if (bad) *bad += s.bad;
        return;
    }
    gn_buf_append(out, n ? text : "", n);
}

static void encode_utf8(const uint8_t *p, size_t n, charset_sink *s) {
    for (size_t i = 0; i < n;) {
        uint32_t code_point;
        size_t used = gn_utf8_decode(p + i, n - i, &code_point);
        if (used == 1 && p[i] >= 0x80) {
            charset_sink_byte(s, '?');
            s->bad++;
        } else {
            charset_sink_bytes(s, p + i, used);
        }
        i += used;
    }
}

void dicom_text_encode(const dicom_charset *cs, dicom_vr vr, const char *utf8, size_t n, gn_buf *out, size_t *bad) {
    const uint8_t *p = (const uint8_t *)utf8;
    uint8_t first = cs->count ? cs->term[0] : CHARSET_ASCII;
    if (n == 0 || charset_ascii_run(p, n) == n) {
        gn_buf_append(out, n ? utf8 : "", n);
        return;
    }
    charset_sink s = { .out = out };
    if (first == CHARSET_UTF8 || cs->unknown) encode_utf8(p, n, &s);
    else if (first == CHARSET_GB18030 || first == CHARSET_GBK) charset_gb18030_encode(first, p, n, &s);
    else charset_iso2022_encode(cs, vr, p, n, &s);
    charset_sink_flush(&s);
    if (bad) *bad += s.bad;
}

/* ---- data sets --------------------------------------------------------------------------------------------------------- */

const char *dicom_dataset_utf8(const dicom_dataset *ds, dicom_tag tag) {
    const dicom_element *el = ds ? dicom_dataset_find(ds, tag) : NULL;
    const dicom_vr_info *vr = el ? dicom_vr_find(el->vr) : NULL;
    size_t n;
    const char *text = vr && (vr->text || vr->vr == DICOM_VR_UN) ? dicom_element_text(el, &n) : NULL, *copy;
    if (!text || n == 0) return "";
    if (charset_ascii_run((const uint8_t *)text, n) == n) {
        copy = gn_arena_strndup(ds->arena, text, n);
        return copy ? copy : "";
    }
    gn_buf out = GN_BUF_INIT;
    dicom_charset cs = vr->charset || vr->vr == DICOM_VR_UN ? dicom_charset_of(ds) : dicom_charset_parse(NULL, 0);
    dicom_text_decode(&cs, el->vr, text, n, &out, NULL);
    copy = out.failed ? NULL : gn_arena_strndup(ds->arena, (const char *)out.p, out.n);
    gn_buf_done(&out);
    return copy ? copy : "";
}

const char *dicom_pn_group(const char *utf8, size_t n, unsigned g, size_t *group_length) {
    *group_length = 0;
    for (const char *p = utf8, *end = utf8 ? utf8 + n : NULL; p;) {
        const char *equals = memchr(p, '=', (size_t)(end - p));
        if (g-- == 0) {
            *group_length = (size_t)((equals ? equals : end) - p);
            return p;
        }
        p = equals ? equals + 1 : NULL;
    }
    return NULL;
}
