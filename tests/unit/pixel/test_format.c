/* test_format: what a data set may say about its samples, and each attribute that must be refused by name (T5, T9). */
#include "check.h"
#include "pixel/pixel.h"

static dicom_dataset *image(gn_arena *a) {
    dicom_dataset *ds = dicom_dataset_new(a, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_Rows, 4, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_Columns, 6, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_SamplesPerPixel, 1, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_BitsAllocated, 16, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_BitsStored, 12, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_HighBit, 11, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_PixelRepresentation, 1, NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_PhotometricInterpretation, DICOM_VR_CS, "MONOCHROME2", NULL);
    return ds;
}

TEST(an_ordinary_image) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_format f;
    uint64_t n;
    REQUIRE(pixel_format_of(image(a), &f, NULL) == 0);
    CHECK(f.rows == 4 && f.columns == 6 && f.samples == 1 && f.allocated == 16 && f.stored == 12 && f.high_bit == 11);
    CHECK(f.sample == PIXEL_SIGNED && !f.planar && f.photometric == PIXEL_MONOCHROME2);
    REQUIRE(pixel_frame_bytes(&f, 0, &n, NULL) == 0);
    CHECK_INT(n, 48);
    gn_arena_free(&a);
}

TEST(T9_bad_values_are_refused_by_name) {
    static const struct { dicom_tag tag; uint16_t value; const char *name; } bad[] = {
        { DICOM_TAG_Rows, 0, "Rows" }, { DICOM_TAG_Columns, 0, "Columns" }, { DICOM_TAG_SamplesPerPixel, 255, "Samples per Pixel" },
        { DICOM_TAG_SamplesPerPixel, 0, "Samples per Pixel" }, { DICOM_TAG_SamplesPerPixel, 2, "Samples per Pixel" },
        { DICOM_TAG_SamplesPerPixel, 3, "Samples per Pixel" }, { DICOM_TAG_BitsAllocated, 0, "Bits Allocated" },
        { DICOM_TAG_BitsAllocated, 65, "Bits Allocated" }, { DICOM_TAG_BitsAllocated, 8, "Bits Stored" }, { DICOM_TAG_BitsStored, 17, "Bits Stored" },
        { DICOM_TAG_BitsStored, 0, "Bits Stored" }, { DICOM_TAG_HighBit, 255, "High Bit" }, { DICOM_TAG_HighBit, 16, "High Bit" },
        { DICOM_TAG_PixelRepresentation, 2, "Pixel Representation" }, { DICOM_TAG_PlanarConfiguration, 7, "Planar Configuration" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        gn_arena *a = gn_arena_new(1 << 20);
        gn_error e = GN_ERROR_INIT;
        pixel_format f;
        dicom_dataset *ds = image(a);
        dicom_dataset_put_u16(ds, bad[i].tag, bad[i].value, NULL);
        CHECK_INT(pixel_format_of(ds, &f, &e), GN_E_INVALID);
        CHECK(strncmp(e.message, bad[i].name, strlen(bad[i].name)) == 0);
        gn_arena_free(&a);
    }
}

TEST(T9_rows_as_UL_are_refused) { /* CVE-2026-5442 */
    gn_arena *a = gn_arena_new(1 << 20);
    gn_error e = GN_ERROR_INIT;
    pixel_format f;
    dicom_dataset *ds = image(a);
    dicom_dataset_put_u32(ds, DICOM_TAG_Rows, 0x10001, NULL);
    CHECK_INT(pixel_format_of(ds, &f, &e), GN_E_INVALID);
    CHECK_STR(e.message, "Rows is not one value of VR US");
    gn_arena_free(&a);
}

TEST(missing_attributes) {
    static const dicom_tag required[] = { DICOM_TAG_Rows, DICOM_TAG_Columns, DICOM_TAG_BitsAllocated };
    static const dicom_tag optional[] = { DICOM_TAG_BitsStored, DICOM_TAG_HighBit, DICOM_TAG_SamplesPerPixel, DICOM_TAG_PixelRepresentation };
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_format f;
    for (size_t i = 0; i < GN_ARRAY_LEN(required); i++) {
        dicom_dataset *ds = image(a);
        dicom_dataset_remove(ds, required[i]);
        CHECK_INT(pixel_format_of(ds, &f, NULL), GN_E_INVALID);
    }
    for (size_t i = 0; i < GN_ARRAY_LEN(optional); i++) {
        dicom_dataset *ds = image(a);
        dicom_dataset_remove(ds, optional[i]);
        CHECK_INT(pixel_format_of(ds, &f, NULL), 0);
    }
    gn_arena_free(&a);
}

TEST(photometric_interpretations_and_their_sizes) {
    static const struct { const char *text; uint16_t samples; pixel_photometric value; uint64_t bytes; } all[] = {
        { "MONOCHROME1", 1, PIXEL_MONOCHROME1, 24 }, { "PALETTE COLOR", 1, PIXEL_PALETTE, 24 }, { "RGB", 3, PIXEL_RGB, 72 },
        { "YBR_FULL", 3, PIXEL_YBR_FULL, 72 }, { "YBR_FULL_422", 3, PIXEL_YBR_FULL_422, 48 }, { "YBR_PARTIAL_420", 3, PIXEL_YBR_PARTIAL_420, 36 },
        { "YBR_ICT", 3, PIXEL_YBR_ICT, 72 }, { "YBR_RCT", 3, PIXEL_YBR_RCT, 72 }, { "CMYK", 4, PIXEL_OTHER, 96 }, { "", 1, PIXEL_OTHER, 24 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(all); i++) {
        gn_arena *a = gn_arena_new(1 << 20);
        pixel_format f = { 0 };
        uint64_t n = 0;
        dicom_dataset *ds = image(a);
        dicom_dataset_put_string(ds, DICOM_TAG_PhotometricInterpretation, DICOM_VR_CS, all[i].text, NULL);
        dicom_dataset_put_u16(ds, DICOM_TAG_SamplesPerPixel, all[i].samples, NULL);
        dicom_dataset_put_u16(ds, DICOM_TAG_BitsAllocated, 8, NULL);
        dicom_dataset_put_u16(ds, DICOM_TAG_BitsStored, 8, NULL);
        dicom_dataset_put_u16(ds, DICOM_TAG_HighBit, 7, NULL);
        CHECK_INT(pixel_format_of(ds, &f, NULL), 0);
        CHECK_INT(f.photometric, all[i].value);
        CHECK_INT(pixel_frame_bytes(&f, 0, &n, NULL), 0);
        CHECK_INT(n, all[i].bytes);
        gn_arena_free(&a);
    }
}

TEST(halved_colour_needs_even_columns) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_format f;
    dicom_dataset *ds = image(a);
    dicom_dataset_put_string(ds, DICOM_TAG_PhotometricInterpretation, DICOM_VR_CS, "YBR_FULL_422", NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_SamplesPerPixel, 3, NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_Columns, 7, NULL);
    CHECK_INT(pixel_format_of(ds, &f, NULL), GN_E_INVALID);
    gn_arena_free(&a);
}

TEST(T9_frame_sizes_do_not_wrap) {
    pixel_format f = { .rows = 65535, .columns = 65535, .samples = 4, .allocated = 64, .stored = 64, .high_bit = 63 };
    uint64_t n = 0;
    CHECK_INT(pixel_frame_bytes(&f, 0, &n, NULL), GN_E_TOO_LARGE);
    REQUIRE(pixel_frame_bytes(&f, UINT64_MAX, &n, NULL) == 0);
    CHECK(n == 65535ull * 65535 * 32);
    f.rows = f.columns = UINT32_MAX;
    CHECK_INT(pixel_frame_bytes(&f, UINT64_MAX, &n, NULL), GN_E_TOO_LARGE);
    f.allocated = 0;
    CHECK_INT(pixel_frame_bytes(&f, 0, &n, NULL), GN_E_INVALID);
}

TEST(float_pixel_data) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_format f;
    dicom_dataset *ds = image(a);
    dicom_dataset_put(ds, DICOM_TAG_FloatPixelData, DICOM_VR_OF, "\0\0\0\0", 4, NULL);
    REQUIRE(pixel_format_of(ds, &f, NULL) == 0);
    CHECK(f.sample == PIXEL_FLOAT && f.allocated == 32 && f.stored == 32 && f.high_bit == 31);
    gn_arena_free(&a);
}
