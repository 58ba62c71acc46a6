/* encode: data sets as bytes, made in a test element by element, right or wrong as the test needs it.
 *
 * Independent of the writer under test: every length is what the test says or what the value has. */
#ifndef GANTRY_TEST_ENCODE_H
#define GANTRY_TEST_ENCODE_H

#include "check.h"
#include "dicom/dicom.h"

#include <stdlib.h>
#include <time.h>

#define UNDEFINED DICOM_UNDEFINED_LENGTH
#define ITEM DICOM_TAG(0xFFFE, 0xE000)
#define ITEM_END DICOM_TAG(0xFFFE, 0xE00D)
#define SEQUENCE_END DICOM_TAG(0xFFFE, 0xE0DD)

typedef struct enc {
    gn_buf b;
    bool implicit, big;
} enc;

GN_UNUSED static void enc16(enc *e, unsigned v) {
    if (e->big) gn_buf_be16(&e->b, (uint16_t)v);
    else gn_buf_le16(&e->b, (uint16_t)v);
}

GN_UNUSED static void enc32(enc *e, uint32_t v) {
    if (e->big) gn_buf_be32(&e->b, v);
    else gn_buf_le32(&e->b, v);
}

/* A tag and a length of 32 bits: an item, a delimiter, or an element of implicit VR. */
GN_UNUSED static void enc_tag(enc *e, dicom_tag tag, uint32_t length) {
    enc16(e, dicom_tag_group(tag));
    enc16(e, dicom_tag_element(tag));
    enc32(e, length);
}

GN_UNUSED static bool enc_is_long(const char *vr) {
    static const char *const names[] = { "OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                         "SV", "UC", "UN", "UR", "UT", "UV", "XX" };
    for (size_t i = 0; i < GN_ARRAY_LEN(names); i++)
        if (memcmp(names[i], vr, 2) == 0) return true;
    return false;
}

GN_UNUSED static void enc_head(enc *e, dicom_tag tag, const char *vr, uint32_t length) {
    if (e->implicit) {
        enc_tag(e, tag, length);
        return;
    }
    enc16(e, dicom_tag_group(tag));
    enc16(e, dicom_tag_element(tag));
    gn_buf_append(&e->b, vr, 2);
    if (enc_is_long(vr)) {
        enc16(e, 0);
        enc32(e, length);
    } else {
        enc16(e, length);
    }
}

GN_UNUSED static void enc_bytes(enc *e, dicom_tag tag, const char *vr, const void *value, size_t n) {
    enc_head(e, tag, vr, (uint32_t)n);
    gn_buf_append(&e->b, value, n);
}

/* The text as it is, without padding. */
GN_UNUSED static void enc_text(enc *e, dicom_tag tag, const char *vr, const char *text) {
    enc_bytes(e, tag, vr, text, strlen(text));
}

GN_UNUSED static void enc_us(enc *e, dicom_tag tag, const char *vr, unsigned v) {
    enc_head(e, tag, vr, 2);
    enc16(e, v);
}

GN_UNUSED static void enc_ul(enc *e, dicom_tag tag, const char *vr, uint32_t v) {
    enc_head(e, tag, vr, 4);
    enc32(e, v);
}

GN_UNUSED static void enc_zeros(enc *e, size_t n) {
    while (n-- > 0) gn_buf_putc(&e->b, '\0');
}

/* Processor time of this thread: a busy machine does not make a test of linear time fail. */
GN_UNUSED static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* What most tests need around them. */
typedef struct fixture {
    gn_arena *a;
    gn_error e;
    dicom_dataset *ds;
    enc in;
} fixture;

GN_UNUSED static fixture setup(void) { return (fixture){ .a = gn_arena_new((size_t)256 << 20), .e = GN_ERROR_INIT }; }

GN_UNUSED static void teardown(fixture *f) {
    gn_arena_free(&f->a);
    gn_buf_done(&f->in.b);
}

GN_UNUSED static const dicom_transfer_syntax *syntax_of(const enc *in) {
    return dicom_transfer_syntax_find(in->implicit ? DICOM_TS_IMPLICIT_LE
                                      : in->big    ? DICOM_TS_EXPLICIT_BE
                                                   : DICOM_TS_EXPLICIT_LE);
}

/* Reads f->in into f->ds, in a copy of exactly its size, so that a sanitizer sees the first byte read beyond it. The copy
 * lives in the arena. */
GN_UNUSED static int read_with(fixture *f, const dicom_transfer_syntax *ts, const dicom_read_options *options) {
    size_t n = f->in.b.n;
    uint8_t *bytes = malloc(n ? n : 1);
    if (n) memcpy(bytes, f->in.b.p, n);
    gn_error_clear(&f->e);
    f->ds = NULL;
    dicom_dataset *probe = NULL;
    int rc = dicom_dataset_read(f->a, ts, bytes, n, options, &probe, &f->e);
    free(bytes);
    if (rc) return rc;
    void *kept = gn_arena_memdup(f->a, n ? f->in.b.p : (const uint8_t *)"", n ? n : 1);
    return dicom_dataset_read(f->a, ts, kept, n, options, &f->ds, &f->e);
}

GN_UNUSED static int read_in(fixture *f) { return read_with(f, syntax_of(&f->in), NULL); }

/* An element's value equals this text. */
GN_UNUSED static bool has_text(const dicom_dataset *ds, dicom_tag tag, const char *text) {
    size_t n;
    const dicom_element *el = dicom_dataset_find(ds, tag);
    const char *p = el ? dicom_element_text(el, &n) : NULL;
    return p ? n == strlen(text) && memcmp(p, text, n) == 0 : el && !*text;
}

#endif
