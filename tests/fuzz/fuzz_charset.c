/* fuzz_charset: character sets and matching.
 *
 * Input: a byte that chooses how, the value of Specific Character Set up to a newline, then the text; for matching its first
 * half is the key and its second the value. What must hold: decoding gives valid UTF-8, whatever the bytes; text that was
 * encoded once reads back as the same text again and again; folding twice changes nothing; everything matches itself. */
#include "dicom/dicom.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

static bool same(const gn_buf *a, const gn_buf *b) { return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0); }

static const dicom_vr vrs[] = { DICOM_VR_PN, DICOM_VR_LO, DICOM_VR_LT, DICOM_VR_UT, DICOM_VR_SH, DICOM_VR_DA, DICOM_VR_TM, DICOM_VR_DT, DICOM_VR_UI, DICOM_VR_CS };

static void try_text(const dicom_charset *cs, dicom_vr vr, const char *text, size_t n) {
    gn_buf first = GN_BUF_INIT, bytes = GN_BUF_INIT, second = GN_BUF_INIT, again = GN_BUF_INIT, third = GN_BUF_INIT;
    size_t bad = 0;
    dicom_text_decode(cs, vr, text, n, &first, NULL);
    require(gn_utf8_valid(first.p, first.n));
    dicom_text_encode(cs, vr, (const char *)first.p, first.n, &bytes, NULL);
    dicom_text_decode(cs, vr, (const char *)bytes.p, bytes.n, &second, &bad);
    require(bad == 0 || cs->unknown); /* what we write is right */
    dicom_text_encode(cs, vr, (const char *)second.p, second.n, &again, &bad);
    dicom_text_decode(cs, vr, (const char *)again.p, again.n, &third, NULL);
    require(same(&bytes, &again) && same(&second, &third));
    gn_buf_done(&first);
    gn_buf_done(&bytes);
    gn_buf_done(&second);
    gn_buf_done(&again);
    gn_buf_done(&third);
}

static void try_fold(const char *text, size_t n, bool accents) {
    gn_buf once = GN_BUF_INIT, twice = GN_BUF_INIT;
    dicom_text_fold(text, n, accents, &once);
    require(gn_utf8_valid(once.p, once.n));
    dicom_text_fold((const char *)once.p, once.n, accents, &twice);
    require(same(&once, &twice));
    gn_buf_done(&once);
    gn_buf_done(&twice);
}

static void try_match(dicom_vr vr, const char *key, size_t kn, const char *value, size_t vn) {
    bool plain = memchr(key, '*', kn) == NULL && memchr(key, '?', kn) == NULL;
    bool match = dicom_match_wildcard(key, kn, value, vn, false);
    if (plain && gn_utf8_valid((const uint8_t *)key, kn) && gn_utf8_valid((const uint8_t *)value, vn))
        require(match == (kn == vn && memcmp(key, value, kn) == 0));
    require(dicom_match_wildcard(key, kn, key, kn, true));
    require(!match || dicom_match_wildcard(key, kn, value, vn, true));
    require(dicom_match_name(key, kn, key, kn));
    (void)dicom_match_name(key, kn, value, vn);
    (void)dicom_match_name_fuzzy(key, kn, value, vn);
    require((unsigned)dicom_match_classify(vr, key, kn) <= DICOM_MATCH_EMPTY);
}

static void try_dataset(const char *terms, size_t tn, dicom_vr vr, const char *key, size_t kn, const char *value, size_t vn) {
    gn_arena *arena = gn_arena_new(1 << 20);
    dicom_dataset *keys = dicom_dataset_new(arena, NULL), *ds = dicom_dataset_new(arena, NULL);
    if (keys && ds) {
        dicom_dataset_put(keys, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, terms, tn, NULL);
        dicom_dataset_put(ds, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, terms, tn, NULL);
        dicom_dataset_put(keys, DICOM_TAG_StudyDate, vr, key, kn, NULL);
        dicom_dataset_put(keys, DICOM_TAG_StudyTime, DICOM_VR_TM, key, kn, NULL);
        dicom_dataset_put(ds, DICOM_TAG_StudyDate, vr, value, vn, NULL);
        dicom_dataset_put(ds, DICOM_TAG_StudyTime, DICOM_VR_TM, value, vn, NULL);
        (void)dicom_match_dataset(keys, ds, true);
        (void)dicom_dataset_utf8(ds, DICOM_TAG_StudyDate);
    }
    gn_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > 4096) return 0;
    dicom_vr vr = vrs[data[0] % GN_ARRAY_LEN(vrs)];
    const char *terms = (const char *)data + 1, *end = memchr(terms, '\n', size - 1);
    if (!end) return 0;
    size_t tn = (size_t)(end - terms), n = size - 2 - tn;
    const char *text = end + 1;
    dicom_charset cs = dicom_charset_parse(terms, tn);
    require(cs.count <= 8);
    try_text(&cs, vr, text, n);
    try_fold(text, n, data[0] & 0x80);
    try_match(vr, text, n / 2, text + n / 2, n - n / 2);
    try_dataset(terms, tn, vr, text, n / 2, text + n / 2, n - n / 2);
    return 0;
}
