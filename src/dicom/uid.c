/* uid: registered UIDs (PS3.6 Annex A), transfer syntaxes (PS3.5 §10, Annex A), and what a UID may look like (PS3.5 §9.1).
 *
 * The tables are made by data/generate.py from data/uids.tsv and data/transfer_syntaxes.tsv and never change, so that every
 * function is safe from any thread. UIDs that are not registered (private SOP classes and transfer syntaxes) are not found;
 * what to do with them is the caller's choice. dicom_uid_make is the only source of new UIDs in the program. */
#include "dicom/dicom.h"

#include <stdlib.h>
#include <sys/random.h>

#include "uid_table.inc"

/* ---- lookups ----------------------------------------------------------------------------------------------------------- */

static uint32_t hash_text(const char *text) {
    uint32_t h = 0x811C9DC5u;
    for (const char *p = text; *p; p++) h = (h ^ (uint8_t)*p) * 0x01000193u;
    return h ^ h >> 15;
}

static const uint32_t slot_mask = (1u << UID_BITS) - 1;

const dicom_uid_entry *dicom_uid_find(const char *uid) {
    if (!uid) return NULL;
    uint32_t slot = hash_text(uid) & slot_mask;
    for (unsigned entry; (entry = uid_slots[slot]) != 0; slot = (slot + 1) & slot_mask)
        if (strcmp(uid_entries[entry - 1].uid, uid) == 0) return &uid_entries[entry - 1];
    return NULL;
}

const dicom_uid_entry *dicom_uid_by_keyword(const char *keyword) {
    if (!keyword || !*keyword) return NULL;
    uint32_t slot = hash_text(keyword) & slot_mask;
    for (unsigned entry; (entry = uid_keyword_slots[slot]) != 0; slot = (slot + 1) & slot_mask)
        if (strcmp(uid_entries[entry - 1].keyword, keyword) == 0) return &uid_entries[entry - 1];
    return NULL;
}

size_t dicom_uid_count(void) { return UID_COUNT; }

const dicom_uid_entry *dicom_uid_at(size_t i) { return i < UID_COUNT ? &uid_entries[i] : NULL; }

const dicom_transfer_syntax *dicom_transfer_syntax_find(const char *uid) {
    const dicom_uid_entry *entry = dicom_uid_find(uid);
    if (!entry) return NULL;
    unsigned place = uid_syntax[entry - uid_entries];
    return place ? &syntaxes[place - 1] : NULL;
}

size_t dicom_transfer_syntax_count(void) { return SYNTAX_COUNT; }

const dicom_transfer_syntax *dicom_transfer_syntax_at(size_t i) { return i < SYNTAX_COUNT ? &syntaxes[i] : NULL; }

/* ---- form -------------------------------------------------------------------------------------------------------------- */

/* Shared walk over the components; `strict` also refuses a component of more than one digit that begins with 0. */
static bool valid(const char *uid, size_t n, bool strict) {
    size_t digits = 0;
    if (!uid || n == 0 || n > DICOM_UID_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        if (uid[i] == '.') {
            if (digits == 0) return false;
            digits = 0;
        } else if (uid[i] >= '0' && uid[i] <= '9') {
            if (strict && digits == 1 && uid[i - 1] == '0') return false;
            digits++;
        } else {
            return false;
        }
    }
    return digits > 0;
}

bool dicom_uid_valid(const char *uid, size_t n) { return valid(uid, n, false); }

/* X.660: the first arc is 0, 1 or 2, and there are at least two arcs; PS3.5 §9.1 has neither rule in its list, but no UID
 * without them can be registered. */
bool dicom_uid_valid_strict(const char *uid, size_t n) {
    return valid(uid, n, true) && uid[0] <= '2' && n >= 3 && uid[1] == '.';
}

/* ---- making ------------------------------------------------------------------------------------------------------------ */

/* Writes the decimal digits of a 128-bit number (PS3.5 §B.2 takes the UUID as one integer); at most 39 of them. */
static size_t write_decimal(const uint8_t big_endian[16], char *out) {
    uint32_t word[4];
    char reversed[40];
    size_t n = 0;
    for (int i = 0; i < 4; i++) word[i] = gn_load_be32(big_endian + 4 * i);
    do {
        uint64_t rest = 0;
        for (int i = 0; i < 4; i++) {
            rest = rest << 32 | word[i];
            word[i] = (uint32_t)(rest / 10);
            rest %= 10;
        }
        reversed[n++] = (char)('0' + rest);
    } while (word[0] | word[1] | word[2] | word[3]);
    for (size_t i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
    return n;
}

void dicom_uid_make(char out[65]) {
    uint8_t bytes[16];
    /* Up to 256 bytes getrandom is never cut short once the pool is ready; it fails only without the system call at all. */
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) abort();
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40); /* a version 4 UUID (RFC 9562 §5.4) */
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    memcpy(out, "2.25.", 5);
    out[5 + write_decimal(bytes, out + 5)] = '\0';
}
