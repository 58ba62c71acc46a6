/* dict: the data dictionary (PS3.6 §6 to §8, PS3.7 Annex E) and the table of value representations (PS3.5 §6.2).
 *
 * The tables are made by data/generate.py and never change: every function here is safe from any thread. A tag is found by
 * one multiplication and, nearly always, one compare, since a reader of implicit VR asks for every element; that path reads
 * two small arrays and not the entries with their strings. Repeating groups (50xx, 60xx, (0020,31xx), …) are entries with a
 * mask, found by trying each of the few masks there are. Private tags (odd groups) are never in the dictionary. */
#include "dicom/dicom.h"

#include "dict_table.inc"

#define NOT_FOUND SIZE_MAX

/* ---- value representations --------------------------------------------------------------------------------------------- */

static const dicom_vr_info vr_table[] = {
    /* vr            unit long   text   chars  multi  pad  max */
    { DICOM_VR_AE, 1, false, true, false, true, ' ', 16 },
    { DICOM_VR_AS, 1, false, true, false, true, ' ', 4 },
    { DICOM_VR_AT, 2, false, false, false, false, '\0', 0 },
    { DICOM_VR_CS, 1, false, true, false, true, ' ', 16 },
    { DICOM_VR_DA, 1, false, true, false, true, ' ', 8 },
    { DICOM_VR_DS, 1, false, true, false, true, ' ', 16 },
    { DICOM_VR_DT, 1, false, true, false, true, ' ', 26 },
    { DICOM_VR_FD, 8, false, false, false, false, '\0', 0 },
    { DICOM_VR_FL, 4, false, false, false, false, '\0', 0 },
    { DICOM_VR_IS, 1, false, true, false, true, ' ', 12 },
    { DICOM_VR_LO, 1, false, true, true, true, ' ', 64 },
    { DICOM_VR_LT, 1, false, true, true, false, ' ', 10240 },
    { DICOM_VR_OB, 1, true, false, false, false, '\0', 0 },
    { DICOM_VR_OD, 8, true, false, false, false, '\0', 0 },
    { DICOM_VR_OF, 4, true, false, false, false, '\0', 0 },
    { DICOM_VR_OL, 4, true, false, false, false, '\0', 0 },
    { DICOM_VR_OV, 8, true, false, false, false, '\0', 0 },
    { DICOM_VR_OW, 2, true, false, false, false, '\0', 0 },
    { DICOM_VR_PN, 1, false, true, true, true, ' ', 64 }, /* of each component group */
    { DICOM_VR_SH, 1, false, true, true, true, ' ', 16 },
    { DICOM_VR_SL, 4, false, false, false, false, '\0', 0 },
    { DICOM_VR_SQ, 0, true, false, false, false, '\0', 0 },
    { DICOM_VR_SS, 2, false, false, false, false, '\0', 0 },
    { DICOM_VR_ST, 1, false, true, true, false, ' ', 1024 },
    { DICOM_VR_SV, 8, true, false, false, false, '\0', 0 },
    { DICOM_VR_TM, 1, false, true, false, true, ' ', 14 },
    { DICOM_VR_UC, 1, true, true, true, true, ' ', 0 },
    { DICOM_VR_UI, 1, false, true, false, true, '\0', 64 },
    { DICOM_VR_UL, 4, false, false, false, false, '\0', 0 },
    { DICOM_VR_UN, 1, true, false, false, false, '\0', 0 },
    { DICOM_VR_UR, 1, true, true, false, false, ' ', 0 },
    { DICOM_VR_US, 2, false, false, false, false, '\0', 0 },
    { DICOM_VR_UT, 1, true, true, true, false, ' ', 0 },
    { DICOM_VR_UV, 8, true, false, false, false, '\0', 0 },
};

/* Place + 1 in vr_table by the two letters less 'A'; a row for each first letter that any VR has. */
#define ROW_OF(a) ((a) == 'A' ? 0 : (a) == 'C' ? 1 : (a) == 'D' ? 2 : (a) == 'F' ? 3 : (a) == 'I' ? 4 : (a) == 'L' ? 5 : (a) == 'O' ? 6 : \
                   (a) == 'P' ? 7 : (a) == 'S' ? 8 : (a) == 'T' ? 9 : 10)
#define AT_LETTERS(a, b, place) [ROW_OF(a)][(b) - 'A'] = (place) + 1
static const uint8_t vr_place[11][26] = {
    AT_LETTERS('A', 'E', 0), AT_LETTERS('A', 'S', 1), AT_LETTERS('A', 'T', 2), AT_LETTERS('C', 'S', 3), AT_LETTERS('D', 'A', 4),
    AT_LETTERS('D', 'S', 5), AT_LETTERS('D', 'T', 6), AT_LETTERS('F', 'D', 7), AT_LETTERS('F', 'L', 8), AT_LETTERS('I', 'S', 9),
    AT_LETTERS('L', 'O', 10), AT_LETTERS('L', 'T', 11), AT_LETTERS('O', 'B', 12), AT_LETTERS('O', 'D', 13), AT_LETTERS('O', 'F', 14),
    AT_LETTERS('O', 'L', 15), AT_LETTERS('O', 'V', 16), AT_LETTERS('O', 'W', 17), AT_LETTERS('P', 'N', 18), AT_LETTERS('S', 'H', 19),
    AT_LETTERS('S', 'L', 20), AT_LETTERS('S', 'Q', 21), AT_LETTERS('S', 'S', 22), AT_LETTERS('S', 'T', 23), AT_LETTERS('S', 'V', 24),
    AT_LETTERS('T', 'M', 25), AT_LETTERS('U', 'C', 26), AT_LETTERS('U', 'I', 27), AT_LETTERS('U', 'L', 28), AT_LETTERS('U', 'N', 29),
    AT_LETTERS('U', 'R', 30), AT_LETTERS('U', 'S', 31), AT_LETTERS('U', 'T', 32), AT_LETTERS('U', 'V', 33),
};
static const int8_t vr_row[26] = { 0, -1, 1, 2, -1, 3, -1, -1, 4, -1, -1, 5, -1, -1, 6, 7, -1, -1, 8, 9, 10, -1, -1, -1, -1, -1 };

const dicom_vr_info *dicom_vr_find(dicom_vr vr) {
    unsigned first = (unsigned)(vr >> 8) - 'A', second = (unsigned)(vr & 0xFF) - 'A';
    if (first >= 26 || second >= 26 || vr_row[first] < 0) return NULL;
    uint8_t place = vr_place[vr_row[first]][second];
    return place ? &vr_table[place - 1] : NULL;
}

/* ---- by tag ------------------------------------------------------------------------------------------------------------ */

/* Place of the entry with this tag and mask. Only the first entry of a tag can have a mask of all ones (they are sorted so). */
static size_t find_exact(dicom_tag tag, uint32_t mask) {
    uint32_t slot = tag * DICT_MULTIPLIER >> (32 - DICT_BITS);
    for (unsigned entry; (entry = dict_slots[slot]) != 0; slot = (slot + 1) & ((1u << DICT_BITS) - 1))
        if (dict_tags[entry - 1] == tag && dict_entries[entry - 1].mask == mask) return entry - 1;
    return NOT_FOUND;
}

static size_t find(dicom_tag tag) {
    if (dicom_tag_is_private(tag)) return NOT_FOUND;
    size_t place = find_exact(tag, 0xFFFFFFFFu);
    for (size_t i = 0; place == NOT_FOUND && i < GN_ARRAY_LEN(dict_masks); i++)
        place = find_exact(tag & dict_masks[i], dict_masks[i]);
    return place;
}

const dicom_dict_entry *dicom_dict_find(dicom_tag tag) {
    size_t place = find(tag);
    return place == NOT_FOUND ? NULL : &dict_entries[place];
}

dicom_vr dicom_implicit_vr(dicom_tag tag) {
    uint16_t element = dicom_tag_element(tag);
    if (element == 0) return DICOM_VR_UL;
    if (dicom_tag_is_private(tag)) return element >= 0x10 && element <= 0xFF ? DICOM_VR_LO : DICOM_VR_UN;
    size_t place = find(tag);
    return place == NOT_FOUND || dict_vrs[place] == DICOM_VR_NONE ? DICOM_VR_UN : dict_vrs[place];
}

size_t dicom_dict_count(void) { return DICT_COUNT; }

const dicom_dict_entry *dicom_dict_at(size_t i) { return i < DICT_COUNT ? &dict_entries[i] : NULL; }

/* ---- by keyword, and tags as text -------------------------------------------------------------------------------------- */

const dicom_dict_entry *dicom_dict_by_keyword(const char *keyword) {
    uint32_t h = 0x811C9DC5u;
    if (!keyword || !*keyword) return NULL;
    for (const char *p = keyword; *p; p++) h = (h ^ (uint8_t)*p) * 0x01000193u;
    uint32_t slot = (h ^ h >> 15) & ((1u << DICT_BITS) - 1);
    for (unsigned entry; (entry = dict_keyword_slots[slot]) != 0; slot = (slot + 1) & ((1u << DICT_BITS) - 1))
        if (strcmp(dict_entries[entry - 1].keyword, keyword) == 0) return &dict_entries[entry - 1];
    return NULL;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Eight digits, after the fourth an optional comma, the whole in optional parentheses. */
static bool parse_digits(const char *text, dicom_tag *tag) {
    bool open = *text == '(';
    const char *p = text + open;
    uint32_t value = 0;
    for (int i = 0; i < 8; i++) {
        if (i == 4 && *p == ',') p++;
        int digit = hex_digit(*p);
        if (digit < 0) return false;
        value = value << 4 | (uint32_t)digit;
        p++;
    }
    if (open && *p++ != ')') return false;
    if (*p) return false;
    *tag = value;
    return true;
}

bool dicom_tag_parse(const char *text, dicom_tag *tag) {
    if (!text) return false;
    if (parse_digits(text, tag)) return true;
    const dicom_dict_entry *entry = dicom_dict_by_keyword(text);
    if (entry) *tag = entry->tag;
    return entry != NULL;
}

char *dicom_tag_text(dicom_tag tag, char *buf) {
    static const char digits[] = "0123456789ABCDEF";
    char *p = buf;
    *p++ = '(';
    for (int shift = 28; shift >= 0; shift -= 4) {
        *p++ = digits[tag >> shift & 15];
        if (shift == 16) *p++ = ',';
    }
    *p++ = ')';
    *p = '\0';
    return buf;
}
