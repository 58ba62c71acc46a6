/* testdata: see testdata.h. */
#include "testdata.h"

#include <stdlib.h>
#include <sys/stat.h>

const char *testdata_dir(void) {
    static const char *const guesses[] = { TEST_ROOT "/../shared/testdata", TEST_ROOT "/tests/data" };
    const char *chosen = getenv("GANTRY_TESTDATA");
    struct stat st;
    if (chosen) return stat(chosen, &st) == 0 ? chosen : NULL;
    for (size_t i = 0; i < GN_ARRAY_LEN(guesses); i++)
        if (stat(guesses[i], &st) == 0) return guesses[i];
    return NULL;
}

/* Element offsets count from the start of the data set, which lies in the file as it is unless it was deflated. */
static int read_at(void *ctx, uint64_t offset, void *buf, size_t n) {
    const image *im = ctx;
    uint64_t from = im->file.dataset_offset + offset;
    if (im->file.transfer_syntax->deflated || from > im->bytes.n || n > im->bytes.n - from) return GN_E_TRUNCATED;
    memcpy(buf, im->bytes.p + from, n);
    return 0;
}

int image_take(image *im, gn_buf *bytes, gn_error *e) {
    dicom_read_options options = { .keep_everything = true, .accept_truncated = true };
    memset(im, 0, sizeof *im);
    im->bytes = *bytes;
    *bytes = (gn_buf)GN_BUF_INIT;
    im->arena = gn_arena_new((size_t)1 << 30);
    if (!im->arena) return gn_fail(e, GN_E_NO_MEMORY, "no arena");
    int rc = dicom_file_read(im->arena, im->bytes.p, im->bytes.n, &options, &im->file, e);
    if (!rc) rc = pixel_format_of(im->file.dataset, &im->format, e);
    if (rc) return rc;
    dicom_pixel_describe(im->file.dataset, im->file.transfer_syntax, &im->description);
    if (!im->description.present) return gn_fail(e, GN_E_NOT_FOUND, "no pixel data");
    rc = dicom_pixel_frames(im->file.dataset, &im->description, read_at, im, &im->frames, &im->count, e);
    return rc == GN_E_TRUNCATED ? 0 : rc; /* the frames that are there */
}

int image_load(image *im, const char *path, gn_error *e) {
    char full[4096];
    gn_buf bytes = GN_BUF_INIT;
    memset(im, 0, sizeof *im);
    int n = snprintf(full, sizeof full, "%s/%s", testdata_dir(), path);
    if (n < 0 || (size_t)n >= sizeof full) return gn_fail(e, GN_E_INVALID, "%s: long path", path);
    int rc = gn_file_load(full, (size_t)1 << 30, &bytes, e);
    return rc ? rc : image_take(im, &bytes, e);
}

void image_done(image *im) {
    gn_arena_free(&im->arena);
    gn_buf_done(&im->bytes);
}

/* Where the value at `offset` of the stream lies in memory: the pixel data element's own bytes. */
static const uint8_t *bytes_at(const image *im, uint64_t offset, uint64_t n) {
    const dicom_element *el = im->description.element;
    if (el->value && offset >= el->offset && im->file.transfer_syntax->deflated)
        return offset - el->offset + n <= el->length ? el->value + (offset - el->offset) : NULL;
    uint64_t from = im->file.dataset_offset + offset;
    return from <= im->bytes.n && n <= im->bytes.n - from ? im->bytes.p + from : NULL;
}

int image_encoded(image *im, size_t i, gn_buf *out, gn_error *e) {
    const dicom_frame *f = &im->frames[i];
    const dicom_fragments *fragments = im->description.element->fragments;
    dicom_extent one = { f->offset, f->length };
    const dicom_extent *extent = fragments ? fragments->extent + f->first_fragment : &one;
    uint64_t left = f->length;
    for (uint32_t k = 0; k < (fragments ? f->fragments : 1) && left; k++) {
        uint64_t take = extent[k].length < left ? extent[k].length : left;
        const uint8_t *p = bytes_at(im, extent[k].offset, take);
        if (!p) return gn_fail(e, GN_E_TRUNCATED, "frame %zu lies outside the file", i + 1);
        gn_buf_append(out, p, (size_t)take);
        left -= take;
    }
    return out->failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a frame") : 0;
}

const dicom_transfer_syntax *image_syntax(const image *im) {
    if (im->description.native && im->file.transfer_syntax->encapsulated) return dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE);
    return im->file.transfer_syntax;
}

int image_decode(image *im, size_t i, pixel_frame *out, gn_error *e) {
    gn_buf encoded = GN_BUF_INIT;
    int rc = image_encoded(im, i, &encoded, e);
    if (!rc) rc = pixel_decode(image_syntax(im), &im->format, encoded.p, encoded.n, im->frames[i].bit_offset, NULL, out, e);
    gn_buf_done(&encoded);
    return rc;
}
