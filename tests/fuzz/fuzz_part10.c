/* fuzz_part10: any bytes as a DICOM file (T5 to T8).
 *
 * What can be read can be written; what was written reads again, and writes the same bytes. The streaming reader, fed with
 * pieces whose sizes depend on the input, comes to the same verdict as the reader of memory, and to the same data set. The
 * JSON writer, the frame finder and the dump must cope with whatever was read. */
#include "dicom/dicom.h"

#include <stdlib.h>

#define ASSERT(x)                                                         \
    do {                                                                  \
        if (!(x)) {                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
            abort();                                                      \
        }                                                                 \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_dataset(const dicom_dataset *a, const dicom_dataset *b);

static bool same_element(const dicom_element *x, const dicom_element *y) {
    if (x->tag != y->tag || x->vr != y->vr || x->length != y->length || x->offset != y->offset ||
        x->wire_vr != y->wire_vr)
        return false;
    if ((x->flags | DICOM_ELEMENT_BULK) != (y->flags | DICOM_ELEMENT_BULK) || !x->fragments != !y->fragments)
        return false;
    if (x->fragments) {
        if (x->fragments->count != y->fragments->count) return false;
        for (size_t i = 0; i < x->fragments->count; i++)
            if (memcmp(&x->fragments->extent[i], &y->fragments->extent[i], sizeof(dicom_extent)) != 0) return false;
    } else if (x->value && y->value && x->length != DICOM_UNDEFINED_LENGTH &&
               memcmp(x->value, y->value, x->length) != 0) {
        return false;
    } else if (!x->value != !y->value) {
        return false;
    }
    const dicom_item *i = x->items, *k = y->items;
    for (; i && k; i = i->next, k = k->next)
        if (i->undefined != k->undefined || i->offset != k->offset || !same_dataset(i->dataset, k->dataset))
            return false;
    return !i && !k;
}

/* Recursion is bounded: what was read is at most DICOM_MAX_DEPTH deep. */
static bool same_dataset(const dicom_dataset *a, const dicom_dataset *b) {
    if (a->count != b->count || a->sorted != b->sorted || a->big_endian != b->big_endian) return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_element(&a->element[i], &b->element[i])) return false;
    return true;
}

static void check_stream(const dicom_transfer_syntax *ts, const uint8_t *p, size_t n, unsigned seed) {
    gn_error e = GN_ERROR_INIT, es = GN_ERROR_INIT;
    gn_arena *a = gn_arena_new((size_t)256 << 20);
    dicom_dataset *whole = NULL, *pieces = NULL;
    dicom_read_options options = { .max_value = 1 << 16, .max_inflated = 8 << 20 };
    dicom_stream_options stream_options = { .max_value = 1 << 16,
                                            .max_header = (size_t)1 << 30,
                                            .max_inflated = 8 << 20 };
    int rc = dicom_dataset_read(a, ts, p, n, &options, &whole, &e);
    dicom_stream *s = dicom_stream_new(a, ts, &stream_options, &es);
    ASSERT(s);
    for (size_t at = 0; at < n;) {
        seed = seed * 1103515245u + 12345u;
        size_t part = 1 + (seed >> 16) % (seed & 0x100 ? 7 : 300);
        if (part > n - at) part = n - at;
        uint8_t *copy = malloc(part); /* so that a value that points into the piece is seen */
        ASSERT(copy);
        memcpy(copy, p + at, part);
        (void)dicom_stream_push(s, copy, part, NULL);
        free(copy);
        at += part;
    }
    int rcs = dicom_stream_finish(s, &pieces, &es);
    dicom_stream_free(&s);
    ASSERT(rc == rcs);
    if (rc == 0) ASSERT(same_dataset(whole, pieces));
    gn_arena_free(&a);
}

static void no_line(void *ctx, const char *line) {
    (void)ctx;
    ASSERT(!strpbrk(line, "\n\r\033"));
}

static void use(const dicom_file *f) {
    gn_error e = GN_ERROR_INIT;
    gn_buf text = { .limit = (size_t)64 << 20 };
    gn_json json;
    dicom_pixel_description d;
    dicom_frame *frames;
    size_t count;
    gn_json_init(&json, &text);
    (void)dicom_json_write(f->dataset, NULL, &json, &e);
    gn_buf_done(&text);
    (void)dicom_dump(f, 0, no_line, NULL, &e);
    dicom_pixel_describe(f->dataset, f->transfer_syntax, &d);
    (void)dicom_pixel_frames(f->dataset, &d, NULL, NULL, &frames, &count, &e);
}

static void check_write(gn_arena *a, const dicom_file *f) {
    gn_error e = GN_ERROR_INIT;
    gn_buf once = GN_BUF_INIT, twice = GN_BUF_INIT;
    dicom_dataset *again;
    dicom_read_options options = { .keep_everything = true };
    bool stated_wrongly = f->transfer_syntax->implicit_vr && f->dataset->count && f->dataset->element[0].wire_vr;
    if (stated_wrongly) return; /* explicit VR read as implicit VR is written as stated: other bytes */
    ASSERT(dicom_dataset_write(f->dataset, f->transfer_syntax, NULL, &once, &e) == 0);
    ASSERT(dicom_dataset_read(a, f->transfer_syntax, once.p ? once.p : (const uint8_t *)"", once.n, &options, &again,
                              &e) == 0);
    ASSERT(dicom_dataset_write(again, f->transfer_syntax, NULL, &twice, &e) == 0);
    ASSERT(once.n == twice.n && (once.n == 0 || memcmp(once.p, twice.p, once.n) == 0));
    gn_buf_done(&once);
    gn_buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gn_error e = GN_ERROR_INIT;
    gn_arena *a = gn_arena_new((size_t)256 << 20);
    dicom_file f;
    dicom_read_options options = { .keep_everything = true, .max_inflated = 8 << 20 };
    if (dicom_file_read(a, data, size, &options, &f, &e) == 0) {
        use(&f);
        check_write(a, &f);
    } else {
        ASSERT(e.code < 0 && e.message[0]);
        options.accept_truncated = true;
        e = (gn_error)GN_ERROR_INIT;
        if (dicom_file_read(a, data, size, &options, &f, &e) == 0) use(&f);
    }
    if (dicom_file_read_meta(a, data, size, &f, NULL) == 0) {
        unsigned seed = 0;
        for (size_t i = 0; i < size && i < 64; i++) seed = seed * 31 + data[size - 1 - i];
        check_stream(f.transfer_syntax, data + f.dataset_offset, size - (size_t)f.dataset_offset, seed);
    }
    gn_arena_free(&a);
    return 0;
}
