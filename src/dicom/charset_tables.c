/* charset_tables: code point of a place in a coded character set, and the way back.
 *
 * The tables come from the lists in data/charset, made into C by data/generate_charset.py, so that nothing depends on what
 * converters the machine has installed. Decoding is one array access. Encoding searches a sorted array, or, for sets of 96
 * characters, looks along the table. All are constants: any thread may ask. */
#include "charset.h"

#include "charset_table.inc"

/* ---- one byte ---------------------------------------------------------------------------------------------------------- */

static const uint16_t *const single_tables[] = {
    [CHARSET_LATIN1] = single_latin1, [CHARSET_LATIN2] = single_latin2, [CHARSET_LATIN3] = single_latin3, [CHARSET_LATIN4] = single_latin4,
    [CHARSET_CYRILLIC] = single_cyrillic, [CHARSET_ARABIC] = single_arabic, [CHARSET_GREEK] = single_greek, [CHARSET_HEBREW] = single_hebrew,
    [CHARSET_LATIN5] = single_latin5, [CHARSET_LATIN9] = single_latin9, [CHARSET_THAI] = single_thai, [CHARSET_KATAKANA] = single_katakana,
};

/* Bytes 0x80 to 0x9F are the C1 controls of all these sets: kept as they are, so that nothing gets lost on the way back. */
uint32_t charset_single_decode(uint8_t set, uint8_t byte) {
    if (byte < 0x80 || !charset_is_single(set)) return 0;
    return byte < 0xA0 ? byte : single_tables[set][byte - 0xA0];
}

uint8_t charset_single_encode(uint8_t set, uint32_t code_point) {
    if (code_point < 0x80 || code_point > 0xFFFF || !charset_is_single(set)) return 0;
    if (code_point < 0xA0) return (uint8_t)code_point;
    const uint16_t *table = single_tables[set];
    if (code_point <= 0xFF && table[code_point - 0xA0] == code_point) return (uint8_t)code_point;
    for (unsigned i = 0; i < 96; i++)
        if (table[i] == code_point) return (uint8_t)(0xA0 + i);
    return 0;
}

/* ---- two bytes --------------------------------------------------------------------------------------------------------- */

typedef struct double_set {
    const uint16_t *decode, *from, *to;
    size_t count;
} double_set;
#define DOUBLE_SET(name) { name, name##_from, name##_to, GN_ARRAY_LEN(name##_from) }

static const double_set double_sets[] = { DOUBLE_SET(jisx0208), DOUBLE_SET(jisx0212), DOUBLE_SET(ksx1001), DOUBLE_SET(gb2312) };

static uint16_t search(const uint16_t *from, const uint16_t *to, size_t count, uint32_t code_point) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (from[middle] < code_point) low = middle + 1;
        else high = middle;
    }
    return low < count && from[low] == code_point ? to[low] : 0;
}

uint32_t charset_double_decode(uint8_t set, uint8_t lead, uint8_t trail) {
    if (!charset_is_double(set) || lead < 0x21 || lead > 0x7E || trail < 0x21 || trail > 0x7E) return 0;
    return double_sets[set - CHARSET_JISX0208].decode[(lead - 0x21) * 94 + (trail - 0x21)];
}

/* Code points that some systems use for a character of JIS X 0208 which has another one in its table. */
static uint32_t japanese_alias(uint32_t code_point) {
    switch (code_point) {
    case 0x2225: return 0x2016; /* parallel to: double vertical line */
    case 0xFF0D: return 0x2212; /* full width hyphen: minus */
    case 0xFF5E: return 0x301C; /* full width tilde: wave dash */
    case 0xFFE0: return 0x00A2; /* full width cent, pound and not */
    case 0xFFE1: return 0x00A3;
    case 0xFFE2: return 0x00AC;
    default: return 0;
    }
}

uint16_t charset_double_encode(uint8_t set, uint32_t code_point) {
    if (!charset_is_double(set) || code_point < 0x80) return 0;
    const double_set *d = &double_sets[set - CHARSET_JISX0208];
    uint16_t code = search(d->from, d->to, d->count, code_point);
    uint32_t alias = code == 0 && set == CHARSET_JISX0208 ? japanese_alias(code_point) : 0;
    return alias ? search(d->from, d->to, d->count, alias) : code;
}

/* ---- GB 18030 ---------------------------------------------------------------------------------------------------------- */

#define GB_SUPPLEMENTARY 189000u /* number of 90308130, which is U+10000 */

uint32_t charset_gb_decode2(uint8_t lead, uint8_t trail) {
    if (lead < 0x81 || lead > 0xFE || trail < 0x40 || trail > 0xFE || trail == 0x7F) return 0;
    return gb18030[(lead - 0x81) * 190 + (trail - 0x40) - (trail > 0x7F)];
}

uint16_t charset_gb_encode2(uint32_t code_point) {
    return search(gb18030_from, gb18030_to, GN_ARRAY_LEN(gb18030_from), code_point);
}

uint32_t charset_gb_decode4(uint32_t number) {
    if (number >= GB_SUPPLEMENTARY) return number - GB_SUPPLEMENTARY <= 0xFFFFF ? number - GB_SUPPLEMENTARY + 0x10000 : 0;
    for (size_t i = GN_ARRAY_LEN(gb18030_run_number); i-- > 0;)
        if (number >= gb18030_run_number[i]) {
            uint32_t within = number - gb18030_run_number[i];
            return within < gb18030_run_length[i] ? gb18030_run_first[i] + within : 0;
        }
    return 0;
}

bool charset_gb_encode4(uint32_t code_point, uint32_t *number) {
    if (code_point >= 0x10000) {
        *number = code_point - 0x10000 + GB_SUPPLEMENTARY;
        return code_point <= 0x10FFFF;
    }
    for (size_t i = 0; i < GN_ARRAY_LEN(gb18030_run_first); i++)
        if (code_point >= gb18030_run_first[i] && code_point - gb18030_run_first[i] < gb18030_run_length[i]) {
            *number = gb18030_run_number[i] + (code_point - gb18030_run_first[i]);
            return true;
        }
    return false;
}
