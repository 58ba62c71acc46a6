/* test_transcode: real objects into every syntax that can be written: frames stay equal, or the object says what was lost
 * (PS3.3 C.7.6.1.1.5); everything but the pixels and what describes them stays as it was. */
#include "check.h"
#include "testdata.h"

#include <stdlib.h>

#define TS "1.2.840.10008.1.2"

typedef struct bytes_at { const uint8_t *p; size_t n; } bytes_at;

static int read_bytes(void *ctx, uint64_t offset, void *buf, size_t n, gn_error *e) {
    const bytes_at *b = ctx;
    if (offset > b->n || n > b->n - offset) return gn_fail(e, GN_E_TRUNCATED, "read behind the end");
    memcpy(buf, b->p + offset, n);
    return 0;
}

static int write_bytes(void *ctx, const void *p, size_t n, gn_error *e) {
    gn_buf *b = ctx;
    gn_buf_append(b, p, n);
    return b->failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory") : 0;
}

static int transcode(const gn_buf *in, const char *to, const pixel_encode_options *o, gn_buf *out, gn_error *e) {
    bytes_at b = { in->p, in->n };
    pixel_source source = { read_bytes, &b, in->n };
    pixel_sink sink = { write_bytes, out };
    return pixel_transcode(&source, to, o, NULL, &sink, e);
}

/* Equal in the stored bits; halved colour may have been spread out. */
static bool equal_frames(const pixel_frame *a, const pixel_frame *b) {
    const pixel_format *f = &a->format;
    if (a->n != b->n) return a->format.photometric == PIXEL_YBR_FULL_422 && b->n == a->n / 2 * 3;
    if (memcmp(a->bytes, b->bytes, a->n) == 0) return true;
    size_t unit = f->allocated / 8u;
    uint32_t mask = f->stored >= 32 ? UINT32_MAX : ((1u << f->stored) - 1) << (f->high_bit + 1u - f->stored);
    if (f->allocated % 8 || unit > 4) return false;
    for (size_t i = 0; i < a->n; i += unit) {
        uint32_t x = 0, y = 0;
        for (size_t k = 0; k < unit; k++) x |= (uint32_t)a->bytes[i + k] << (8 * k), y |= (uint32_t)b->bytes[i + k] << (8 * k);
        if ((x ^ y) & mask) return false;
    }
    return true;
}

static bool equal_images(image *a, image *b, char *why, size_t size) {
    if (a->count != b->count) return snprintf(why, size, "%zu frames, %zu after", a->count, b->count) < 0;
    bool ok = true;
    for (size_t i = 0; i < a->count && ok; i += i < 3 ? 1 : a->count / 3 + 1) {
        gn_error e = GN_ERROR_INIT;
        pixel_frame x = { 0 }, y = { 0 };
        ok = image_decode(a, i, &x, &e) == 0 && image_decode(b, i, &y, &e) == 0 && equal_frames(&x, &y);
        if (!ok) snprintf(why, size, "frame %zu differs, %zu and %zu bytes: %s", i + 1, x.n, y.n, e.message);
        pixel_frame_done(&x);
        pixel_frame_done(&y);
    }
    return ok;
}

static const char *const lossless[] = { TS, TS ".1", TS ".2", TS ".1.99", TS ".5", TS ".4.80", TS ".4.90", TS ".4.201", TS ".4.202" };

typedef struct counts { unsigned done, unsupported; } counts;

static void check_one(image *im, const char *path, const char *to, counts *c) {
    gn_error e = GN_ERROR_INIT;
    gn_buf out = GN_BUF_INIT;
    image after = { 0 };
    char why[400] = "";
    int rc = transcode(&im->bytes, to, NULL, &out, &e);
    if (rc == GN_E_UNSUPPORTED) c->unsupported++;
    else if (rc) {
        fprintf(stderr, "%s to %s: %s (%s)\n", path, to, e.message, e.where);
        CHECK(!"transcoded");
    } else {
        rc = image_take(&after, &out, &e);
        bool ok = rc == 0 && strcmp(after.file.transfer_syntax_uid, to) == 0 && equal_images(im, &after, why, sizeof why);
        if (!ok) {
            fprintf(stderr, "%s to %s: %s %s\n", path, to, e.message, why);
            CHECK(!"equal frames");
        }
        c->done++;
        image_done(&after);
    }
    gn_buf_done(&out);
}

TEST(every_real_image_into_every_lossless_syntax) {
    char path[4096];
    counts c = { 0, 0 };
    gn_buf csv = GN_BUF_INIT;
    if (!testdata_dir()) SKIP("no test data");
    snprintf(path, sizeof path, "%s/MANIFEST.csv", testdata_dir());
    REQUIRE(gn_file_load(path, 1 << 24, &csv, NULL) == 0);
    char *line = strchr((char *)csv.p, '\n');
    while (line && line[1]) {
        image im;
        pixel_frame first = { 0 };
        char *name = line + 1;
        line = strchr(name, '\n');
        snprintf(path, sizeof path, "%.*s", (int)strcspn(name, ","), name);
        bool fits = strncmp(path, "broken/", 7) != 0 && image_load(&im, path, NULL) == 0 && im.count > 0 && image_decode(&im, 0, &first, NULL) == 0 &&
                    first.n * im.count < (1u << 20);
        for (size_t i = 0; fits && i < GN_ARRAY_LEN(lossless); i++)
            if (strcmp(lossless[i], TS ".4.90") != 0 || first.n * im.count < (1u << 18)) check_one(&im, path, lossless[i], &c);
        pixel_frame_done(&first);
        image_done(&im);
    }
    gn_buf_done(&csv);
    printf("%u objects transcoded, %u not possible\n", c.done, c.unsupported);
    CHECK(c.done > 900);
}

/* ---- a small object of our own ----------------------------------------------------------------------------------------- */

static void small_object(gn_buf *out, uint16_t samples, uint16_t bits, uint32_t frames) {
    gn_arena *a = gn_arena_new(1 << 20);
    dicom_dataset *ds = dicom_dataset_new(a, NULL);
    uint8_t pixels[4096];
    size_t n = bits == 1 ? (15u * frames + 7) / 8 : (size_t)16 * 16 * samples * frames * bits / 8;
    char text[12];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i / samples / 3 + i % samples * 9);
    snprintf(text, sizeof text, "%u", frames);
    dicom_dataset_put_string(ds, DICOM_TAG_ImageType, DICOM_VR_CS, "ORIGINAL\\PRIMARY\\AXIAL", NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_SOPClassUID, DICOM_VR_UI, "1.2.840.10008.5.1.4.1.1.7", NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_SOPInstanceUID, DICOM_VR_UI, "1.2.3.4", NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_SamplesPerPixel, samples, NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_PhotometricInterpretation, DICOM_VR_CS, samples == 3 ? "RGB" : "MONOCHROME2", NULL);
    if (samples == 3) dicom_dataset_put_u16(ds, DICOM_TAG_PlanarConfiguration, 1, NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_NumberOfFrames, DICOM_VR_IS, text, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_Rows, bits == 1 ? 3 : 16, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_Columns, bits == 1 ? 5 : 16, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_BitsAllocated, bits, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_BitsStored, bits, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_HighBit, (uint16_t)(bits - 1), NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_PixelRepresentation, 0, NULL);
    dicom_dataset_put(ds, DICOM_TAG_PixelData, bits > 8 ? DICOM_VR_OW : DICOM_VR_OB, pixels, n, NULL);
    dicom_dataset_put(ds, DICOM_TAG(0xFFFC, 0xFFFC), DICOM_VR_OB, "\1\2", 2, NULL);
    dicom_file_header_write("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4", DICOM_TS_EXPLICIT_LE, NULL, out, NULL);
    dicom_dataset_write(ds, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), NULL, out, NULL);
    gn_arena_free(&a);
}

static void expect_text(const image *im, dicom_tag tag, const char *want) { CHECK_STR(dicom_dataset_ascii(im->file.dataset, tag), want); }

/* A removed icon or an added attribute moves the pixels within the data set: both forms of them were written then. */
TEST(pixels_move_when_an_icon_goes) {
    image im, after = { 0 };
    gn_buf out = GN_BUF_INIT;
    gn_error e = GN_ERROR_INIT;
    char why[400] = "";
    if (!testdata_dir()) SKIP("no test data");
    REQUIRE(image_load(&im, "modality/MG_GH133.dcm", &e) == 0);
    CHECK_INT(transcode(&im.bytes, TS ".1", NULL, &out, &e), 0);
    CHECK(out.n < 15u << 20); /* 14,660,856 bytes of pixels and a header, not also the 3 MB of before */
    REQUIRE(image_take(&after, &out, &e) == 0);
    CHECK(equal_images(&im, &after, why, sizeof why));
    CHECK_STR(why, "");
    image_done(&after);
    image_done(&im);
    gn_buf_done(&out);
}

TEST(frames_of_one_bit_share_bytes) {
    gn_buf in = GN_BUF_INIT, out = GN_BUF_INIT;
    image a = { 0 }, b = { 0 };
    char why[200] = "";
    small_object(&in, 1, 1, 5);
    REQUIRE(transcode(&in, TS, NULL, &out, NULL) == 0);
    REQUIRE(image_take(&a, &in, NULL) == 0 && image_take(&b, &out, NULL) == 0);
    CHECK_INT(b.description.element->length, 10);
    CHECK(equal_images(&a, &b, why, sizeof why));
    image_done(&a);
    image_done(&b);
}

TEST(colour_says_how_it_is_encoded) {
    static const struct { const char *uid; pixel_encode_options o; const char *photometric; } cases[] = {
        { TS ".2", { 0 }, "RGB" }, { TS ".5", { 0 }, "RGB" }, { TS ".4.50", { 0 }, "YBR_FULL_422" }, { TS ".4.80", { 0 }, "RGB" }, { TS ".4.90", { 0 }, "YBR_RCT" },
        { TS ".4.91", { .ratio = 3 }, "YBR_ICT" }, { TS ".4.91", { 0 }, "YBR_RCT" }, { TS ".4.201", { 0 }, "YBR_RCT" }, { TS ".4.202", { 0 }, "YBR_RCT" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        gn_buf in = GN_BUF_INIT, out = GN_BUF_INIT;
        image after = { 0 };
        int64_t planar = 9;
        small_object(&in, 3, 8, 2);
        CHECK_INT(transcode(&in, cases[i].uid, &cases[i].o, &out, NULL), 0);
        CHECK_INT(image_take(&after, &out, NULL), 0);
        expect_text(&after, DICOM_TAG_PhotometricInterpretation, cases[i].photometric);
        CHECK(dicom_dataset_int(after.file.dataset, DICOM_TAG_PlanarConfiguration, &planar) && planar == 0);
        CHECK(dicom_dataset_find(after.file.dataset, DICOM_TAG(0xFFFC, 0xFFFC)) != NULL);
        CHECK_INT(after.count, 2);
        image_done(&after);
        gn_buf_done(&in);
    }
}

TEST(a_lossy_object_says_so) {
    static const struct { const char *uid; pixel_encode_options o; const char *method; } cases[] = {
        { TS ".4.50", { .quality = 50 }, "ISO_10918_1" }, { TS ".4.81", { .near = 3 }, "ISO_14495_1" }, { TS ".4.91", { .ratio = 4, .new_instance = true }, "ISO_15444_1" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        gn_buf in = GN_BUF_INIT, out = GN_BUF_INIT, again = GN_BUF_INIT;
        image after = { 0 };
        double ratio = 0;
        char two[64];
        small_object(&in, 1, 8, 3);
        REQUIRE(transcode(&in, cases[i].uid, &cases[i].o, &out, NULL) == 0);
        REQUIRE(transcode(&out, TS ".4.50", NULL, &again, NULL) == 0); /* lossy once more */
        REQUIRE(image_take(&after, &out, NULL) == 0);
        expect_text(&after, DICOM_TAG_LossyImageCompression, "01");
        expect_text(&after, DICOM_TAG_LossyImageCompressionMethod, cases[i].method);
        expect_text(&after, DICOM_TAG_ImageType, "DERIVED\\PRIMARY\\AXIAL");
        CHECK(dicom_element_double(after.file.dataset, dicom_dataset_find(after.file.dataset, DICOM_TAG_LossyImageCompressionRatio), 0, &ratio) && ratio > 0.2 && ratio < 100);
        bool renamed = strcmp(dicom_dataset_ascii(after.file.dataset, DICOM_TAG_SOPInstanceUID), "1.2.3.4") != 0;
        CHECK(renamed == cases[i].o.new_instance);
        CHECK(renamed == (dicom_dataset_find(after.file.dataset, DICOM_TAG_SourceImageSequence) != NULL));
        CHECK_STR(dicom_dataset_ascii(after.file.meta, DICOM_TAG_MediaStorageSOPInstanceUID), dicom_dataset_ascii(after.file.dataset, DICOM_TAG_SOPInstanceUID));
        image_done(&after);
        REQUIRE(image_take(&after, &again, NULL) == 0);
        snprintf(two, sizeof two, "%s\\ISO_10918_1", cases[i].method);
        expect_text(&after, DICOM_TAG_LossyImageCompressionMethod, i == 0 ? "ISO_10918_1\\ISO_10918_1" : two);
        image_done(&after);
        gn_buf_done(&in);
    }
}

TEST(lossless_targets_do_not_claim_a_loss) {
    gn_buf in = GN_BUF_INIT, out = GN_BUF_INIT;
    image after = { 0 };
    small_object(&in, 1, 16, 1);
    REQUIRE(transcode(&in, TS ".4.81", NULL, &out, NULL) == 0); /* NEAR 0 */
    REQUIRE(image_take(&after, &out, NULL) == 0);
    CHECK(dicom_dataset_find(after.file.dataset, DICOM_TAG_LossyImageCompression) == NULL);
    expect_text(&after, DICOM_TAG_SOPInstanceUID, "1.2.3.4");
    image_done(&after);
    gn_buf_done(&in);
}

TEST(the_same_syntax_is_copied_byte_by_byte) {
    gn_buf in = GN_BUF_INIT, out = GN_BUF_INIT;
    small_object(&in, 1, 16, 2);
    REQUIRE(transcode(&in, DICOM_TS_EXPLICIT_LE, NULL, &out, NULL) == 0);
    CHECK_MEM2(in.p, in.n, out.p, out.n);
    gn_buf_done(&in);
    gn_buf_done(&out);
}

TEST(what_cannot_be_written_is_refused) {
    gn_buf in = GN_BUF_INIT, out = GN_BUF_INIT;
    small_object(&in, 1, 16, 1);
    CHECK_INT(transcode(&in, TS ".4.50", NULL, &out, NULL), GN_E_UNSUPPORTED); /* 16 bits */
    CHECK_INT(transcode(&in, TS ".4.70", NULL, &out, NULL), GN_E_UNSUPPORTED);
    CHECK_INT(transcode(&in, "1.2.3", NULL, &out, NULL), GN_E_UNSUPPORTED);
    CHECK_INT(out.n, 0);
    gn_buf_done(&in);
}

TEST(T10_a_cut_object_at_each_byte) {
    gn_buf in = GN_BUF_INIT;
    small_object(&in, 1, 8, 1);
    size_t whole = in.n;
    for (in.n = 0; in.n < whole - 14; in.n++) { /* the last element is behind the pixels */
        gn_buf out = GN_BUF_INIT;
        CHECK(transcode(&in, TS ".5", NULL, &out, NULL) != 0);
        gn_buf_done(&out);
    }
    gn_buf_done(&in);
}

static int full(void *ctx, const void *p, size_t n, gn_error *e) {
    size_t *left = ctx;
    (void)p;
    if (n > *left) return gn_fail(e, GN_E_NO_SPACE, "full");
    *left -= n;
    return 0;
}

TEST(an_error_of_the_sink_is_passed_on) {
    static const char *const all[] = { TS, TS ".1.99", TS ".5", TS ".4.50" };
    for (size_t u = 0; u < GN_ARRAY_LEN(all); u++)
        for (size_t room = 0; room < 600; room += 37) {
            gn_buf in = GN_BUF_INIT;
            gn_error e = GN_ERROR_INIT;
            small_object(&in, 1, 8, 3);
            bytes_at b = { in.p, in.n };
            pixel_source source = { read_bytes, &b, in.n };
            pixel_sink sink = { full, &room };
            size_t before = room;
            CHECK_INT(pixel_transcode(&source, all[u], NULL, NULL, &sink, &e), GN_E_NO_SPACE);
            room = before;
            gn_buf_done(&in);
        }
}
