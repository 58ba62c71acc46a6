/* fold: case folding and removal of diacritics, for comparing and indexing names.
 *
 * Latin, Greek and Cyrillic letters become small; with `accents`, combining marks are dropped and letters lose their
 * diacritics: é e, ß ss, ø o, æ ae, ł l, ά α, ё е. The Cyrillic й (and ў) stays, since it is a letter of its own, also when it
 * is written with a combining breve. Other scripts stay as they are. Names are mostly ASCII, which is done in runs. The
 * tables are made from data/fold.tsv. */
#include "match.h"

#include "fold_table.inc"

/* Place in the tables, or -1. */
static int table_place(uint32_t code_point) {
    if (code_point >= FOLD_FIRST_0 && code_point < FOLD_BEHIND_0) return (int)(code_point - FOLD_FIRST_0);
    if (code_point >= FOLD_FIRST_1 && code_point < FOLD_BEHIND_1) return (int)(code_point - FOLD_FIRST_1 + FOLD_BEHIND_0 - FOLD_FIRST_0);
    return -1;
}

uint32_t fold_small_letter(uint32_t code_point) {
    if (code_point < 0x80) return code_point >= 'A' && code_point <= 'Z' ? code_point + 32 : code_point;
    int place = table_place(code_point);
    if (place >= 0) return fold_small[place];
    return code_point >= 0xFF21 && code_point <= 0xFF3A ? code_point + 32 : code_point; /* full width A to Z */
}

static bool is_combining(uint32_t c) {
    return (c >= 0x0300 && c <= 0x036F) || (c >= 0x1AB0 && c <= 0x1AFF) || (c >= 0x1DC0 && c <= 0x1DFF) || (c >= 0x20D0 && c <= 0x20FF) ||
           (c >= 0xFE20 && c <= 0xFE2F);
}

/* Appended through a small buffer, so that the caller's buffer is not asked for every letter. */
typedef struct writer {
    gn_buf *out;
    size_t n;
    uint8_t bytes[200];
} writer;

static void flush(writer *w) {
    gn_buf_append(w->out, w->bytes, w->n);
    w->n = 0;
}

static void put(writer *w, uint32_t code_point) {
    if (w->n + 4 > sizeof w->bytes) flush(w);
    w->n += gn_utf8_encode(code_point, w->bytes + w->n);
}

/* A letter without its diacritics, which may become two. */
static void put_plain(writer *w, uint32_t code_point) {
    int place = table_place(code_point);
    if (place < 0) {
        put(w, code_point >= 0xFF21 && code_point <= 0xFF5A ? fold_small_letter(code_point) : code_point);
        return;
    }
    uint32_t plain = fold_plain[place];
    put(w, plain & 0xFFFF);
    if (plain >> 16) put(w, plain >> 16);
}

void dicom_text_fold(const char *utf8, size_t n, bool accents, gn_buf *out) {
    const uint8_t *p = (const uint8_t *)utf8;
    writer w = { .out = out, .n = 0 };
    uint32_t last = 0; /* the letter just read, small; for the breve */
    for (size_t i = 0; i < n;) {
        uint32_t code_point;
        if (p[i] < 0x80) {
            if (w.n == sizeof w.bytes) flush(&w);
            last = fold_small_letter(p[i++]);
            w.bytes[w.n++] = (uint8_t)last;
            continue;
        }
        i += gn_utf8_decode(p + i, n - i, &code_point);
        if (!accents) {
            put(&w, fold_small_letter(code_point));
        } else if (!is_combining(code_point)) {
            last = fold_small_letter(code_point);
            put_plain(&w, code_point);
        } else if (code_point == 0x0306 && (last == 0x0438 || last == 0x0443) && w.n >= 2) {
            w.n -= 2; /* и or у, both two bytes, just put */
            put(&w, last == 0x0438 ? 0x0439 : 0x045E);
            last = 0;
        }
    }
    flush(&w);
}
