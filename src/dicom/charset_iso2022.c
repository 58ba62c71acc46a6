/* charset_iso2022: text with single-byte sets and with code extensions by escape sequences (PS3.5 §6.1.2.4, §6.1.2.5).
 *
 * The state is what is designated to G0 (bytes 21 to 7E) and to G1 (A0 to FF). It starts from the first value of Specific
 * Character Set and returns there at every control character, at the delimiters '^' and '=' of a PN and at '\' where that
 * separates values. Escapes are honoured even when their set is not among the declared terms, as real files have them.
 * While a set of 94 x 94 characters is in G0 (Japanese), '\', '^' and '=' are halves of characters, not delimiters. */
#include "charset.h"

typedef struct state {
    uint8_t g0, g1;
} state;

static state initial_state(const dicom_charset *cs) {
    uint8_t first = cs->count ? cs->term[0] : CHARSET_ASCII;
    if (first == CHARSET_KATAKANA) return (state){ CHARSET_ROMAN, CHARSET_KATAKANA };
    bool in_g1 = charset_is_single(first) || (charset_is_double(first) && !charset_is_double_g0(first));
    return (state){ CHARSET_ASCII, in_g1 ? first : CHARSET_NONE };
}

static bool resets(uint8_t byte, dicom_vr vr) {
    if (byte < 0x20) return byte != CHARSET_ESC;
    if (byte == '^' || byte == '=') return vr == DICOM_VR_PN;
    return byte == '\\' && vr != DICOM_VR_LT && vr != DICOM_VR_ST && vr != DICOM_VR_UT;
}

/* ---- escapes ----------------------------------------------------------------------------------------------------------- */

typedef struct escape {
    char sequence[4]; /* behind ESC */
    uint8_t length, set;
    bool to_g1;
    bool written; /* the one to write when there are several */
} escape;

/* PS3.3 Tables C.12-3 and C.12-4; those not to be written are of older or wider use than DICOM's. */
static const escape escapes[] = {
    { "(B", 2, CHARSET_ASCII, false, true },      { "(J", 2, CHARSET_ROMAN, false, true },      { ")I", 2, CHARSET_KATAKANA, true, true },
    { "-A", 2, CHARSET_LATIN1, true, true },      { "-B", 2, CHARSET_LATIN2, true, true },      { "-C", 2, CHARSET_LATIN3, true, true },
    { "-D", 2, CHARSET_LATIN4, true, true },      { "-L", 2, CHARSET_CYRILLIC, true, true },    { "-G", 2, CHARSET_ARABIC, true, true },
    { "-F", 2, CHARSET_GREEK, true, true },       { "-H", 2, CHARSET_HEBREW, true, true },      { "-M", 2, CHARSET_LATIN5, true, true },
    { "-b", 2, CHARSET_LATIN9, true, true },      { "-T", 2, CHARSET_THAI, true, true },        { "$B", 2, CHARSET_JISX0208, false, true },
    { "$(D", 3, CHARSET_JISX0212, false, true },  { "$)C", 3, CHARSET_KSX1001, true, true },    { "$)A", 3, CHARSET_GB2312, true, true },
    { "$@", 2, CHARSET_JISX0208, false, false },  { "$(B", 3, CHARSET_JISX0208, false, false }, { "(I", 2, CHARSET_KATAKANA, false, false },
};

/* Length of any escape sequence at p (which is ESC): intermediate bytes 20 to 2F and one final byte. */
static size_t escape_length(const uint8_t *p, size_t n) {
    size_t i = 1;
    while (i < n && i < 4 && p[i] >= 0x20 && p[i] <= 0x2F) i++;
    return i < n && i > 1 && p[i] >= 0x30 && p[i] <= 0x7E ? i + 1 : 1;
}

/* Follows the escape at p; returns its length. One that says nothing to us becomes U+FFFD. */
static size_t follow_escape(state *st, const uint8_t *p, size_t n, charset_sink *s) {
    size_t length = escape_length(p, n);
    for (size_t i = 0; i < GN_ARRAY_LEN(escapes); i++) {
        const escape *e = &escapes[i];
        if (length != e->length + 1u || memcmp(p + 1, e->sequence, e->length) != 0) continue;
        if (e->to_g1) st->g1 = e->set;
        else st->g0 = e->set;
        return length;
    }
    charset_sink_code_point(s, 0);
    return length;
}

static void write_escape(uint8_t set, charset_sink *s) {
    for (size_t i = 0; i < GN_ARRAY_LEN(escapes); i++)
        if (escapes[i].set == set && escapes[i].written) {
            charset_sink_byte(s, CHARSET_ESC);
            charset_sink_bytes(s, escapes[i].sequence, escapes[i].length);
            return;
        }
}

/* ---- decoding ---------------------------------------------------------------------------------------------------------- */

/* What is meant by bytes with the high bit when nothing is in G1: many systems leave out the escape, or declare nothing and
 * write Latin-1. Such bytes count as bad but are read. */
static uint8_t implied_g1(const dicom_charset *cs) {
    for (size_t i = 0; i < cs->count && i < GN_ARRAY_LEN(cs->term); i++)
        if (charset_is_single(cs->term[i]) || cs->term[i] == CHARSET_KSX1001 || cs->term[i] == CHARSET_GB2312) return cs->term[i];
    return cs->count <= 1 ? CHARSET_LATIN1 : CHARSET_NONE;
}

/* One character of a byte below 0x80; returns bytes used. */
static size_t decode_g0(state *st, const uint8_t *p, size_t n, charset_sink *s) {
    if (p[0] <= 0x20 || p[0] == 0x7F || st->g0 == CHARSET_ASCII || st->g0 == CHARSET_ROMAN) {
        charset_sink_byte(s, p[0]);
        return 1;
    }
    if (st->g0 == CHARSET_KATAKANA) {
        charset_sink_code_point(s, charset_single_decode(CHARSET_KATAKANA, p[0] | 0x80));
        return 1;
    }
    uint32_t code_point = n > 1 ? charset_double_decode(st->g0, p[0], p[1]) : 0;
    charset_sink_code_point(s, code_point);
    /* A pair without a character is one mistake; half a pair leaves what follows alone, which may be an escape. */
    return n > 1 && p[1] >= 0x21 && p[1] <= 0x7E ? 2 : 1;
}

/* One character of a byte from 0x80 on. */
static size_t decode_g1(uint8_t set, const uint8_t *p, size_t n, charset_sink *s) {
    if (!charset_is_double(set)) {
        charset_sink_code_point(s, charset_single_decode(set, p[0]));
        return 1;
    }
    uint32_t code_point = n > 1 && p[0] > 0xA0 && p[1] > 0xA0 ? charset_double_decode(set, p[0] & 0x7F, p[1] & 0x7F) : 0;
    charset_sink_code_point(s, code_point);
    return code_point ? 2 : 1;
}

void charset_iso2022_decode(const dicom_charset *cs, dicom_vr vr, const uint8_t *p, size_t n, charset_sink *s) {
    const state start = initial_state(cs);
    const uint8_t implied = start.g1 ? CHARSET_NONE : implied_g1(cs);
    state st = start;
    for (size_t i = 0; i < n;) {
        if (p[i] == CHARSET_ESC) {
            i += follow_escape(&st, p + i, n - i, s);
        } else if (p[i] < 0x80) {
            if (resets(p[i], vr) && (p[i] < 0x20 || !charset_is_double_g0(st.g0))) st = start;
            i += decode_g0(&st, p + i, n - i, s);
        } else if (st.g1 == CHARSET_NONE && implied != CHARSET_NONE) {
            size_t before = s->bad;
            i += decode_g1(implied, p + i, n - i, s);
            if (s->bad == before) s->bad++;
        } else {
            i += decode_g1(st.g1, p + i, n - i, s);
        }
    }
}

/* ---- encoding ---------------------------------------------------------------------------------------------------------- */

/* Back to the state of the first value, as must be before a delimiter and at the end. Nothing can be written for a G1 that
 * starts empty: the reader forgets it by itself. */
static void write_return(state *st, state start, charset_sink *s) {
    if (st->g0 != start.g0) write_escape(start.g0, s);
    if (st->g1 != start.g1 && start.g1 != CHARSET_NONE) write_escape(start.g1, s);
    *st = start;
}

static void encode_ascii(state *st, state start, dicom_vr vr, uint8_t byte, charset_sink *s) {
    if (byte == CHARSET_ESC) { /* never let text make an escape */
        charset_sink_byte(s, '?');
        s->bad++;
        return;
    }
    if (resets(byte, vr)) {
        write_return(st, start, s);
    } else if (st->g0 != start.g0) {
        write_escape(start.g0, s);
        st->g0 = start.g0;
    }
    charset_sink_byte(s, byte);
}

/* A character of one set, whose designation is made first if need be. false: the set does not have it. */
static bool encode_in(state *st, uint8_t set, uint32_t code_point, charset_sink *s) {
    if (charset_is_single(set)) {
        uint8_t byte = charset_single_encode(set, code_point);
        if (!byte) return false;
        if (st->g1 != set) write_escape(set, s);
        st->g1 = set;
        charset_sink_byte(s, byte);
        return true;
    }
    uint16_t pair = charset_double_encode(set, code_point);
    if (!pair) return false;
    bool in_g0 = charset_is_double_g0(set);
    uint8_t *place = in_g0 ? &st->g0 : &st->g1;
    if (*place != set) write_escape(set, s);
    *place = set;
    charset_sink_byte(s, (uint8_t)(pair >> 8 | (in_g0 ? 0 : 0x80)));
    charset_sink_byte(s, (uint8_t)(pair | (in_g0 ? 0 : 0x80)));
    return true;
}

static bool encode_wide(state *st, state start, const dicom_charset *cs, dicom_vr vr, uint32_t code_point, charset_sink *s) {
    if (code_point == CHARSET_REPLACEMENT) return false;
    if (st->g1 != CHARSET_NONE && encode_in(st, st->g1, code_point, s)) return true;
    if (charset_is_double_g0(st->g0) && encode_in(st, st->g0, code_point, s)) return true;
    for (size_t i = 0; i < cs->count && i < GN_ARRAY_LEN(cs->term); i++)
        if (encode_in(st, cs->term[i], code_point, s)) return true;
    if (start.g0 != CHARSET_ROMAN) return false;
    /* JIS X 0201 has an overline for '~' and a yen sign for '\'; the latter must not come to separate values. */
    uint8_t roman = code_point == 0x203E ? '~' : code_point == 0xA5 && !resets('\\', vr) ? '\\' : 0;
    if (roman) encode_ascii(st, start, vr, roman, s);
    return roman != 0;
}

void charset_iso2022_encode(const dicom_charset *cs, dicom_vr vr, const uint8_t *p, size_t n, charset_sink *s) {
    const state start = initial_state(cs);
    state st = start;
    for (size_t i = 0; i < n;) {
        uint32_t code_point;
        i += gn_utf8_decode(p + i, n - i, &code_point);
        if (code_point < 0x80) {
            encode_ascii(&st, start, vr, (uint8_t)code_point, s);
        } else if (!encode_wide(&st, start, cs, vr, code_point, s)) {
            encode_ascii(&st, start, vr, '?', s);
            s->bad++;
        }
    }
    write_return(&st, start, s);
}
