/* test_lut: tables as files have them: packed, short, signed, segmented; and palettes that promise more than is there (T9). */
#include "check.h"
#include "display.h"

#include <stdlib.h>

static void put_words(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const uint16_t *words, size_t n) {
    uint8_t bytes[1024];
    for (size_t i = 0; i < n; i++) gn_store_le16(bytes + 2 * i, words[i]);
    dicom_dataset_put(ds, tag, vr, bytes, 2 * n, NULL);
}

static int read_lut(gn_arena *a, const uint16_t descriptor[3], dicom_vr vr, const void *data, size_t n, bool is_signed, pixel_lut *out) {
    dicom_dataset *ds = dicom_dataset_new(a, NULL);
    put_words(ds, DICOM_TAG_LUTDescriptor, vr, descriptor, 3);
    if (n) dicom_dataset_put(ds, DICOM_TAG_LUTData, DICOM_VR_OW, data, n, NULL);
    return pixel_lut_read(a, ds, DICOM_TAG_LUTDescriptor, DICOM_TAG_LUTData, is_signed, out, NULL);
}

TEST(entries_and_what_lies_beyond_them) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_lut l;
    REQUIRE(read_lut(a, (uint16_t[]){ 3, 10, 16 }, DICOM_VR_US, "\1\0\2\0\3\0", 6, false, &l) == 0);
    CHECK_INT(l.count, 3);
    CHECK_INT(pixel_lut_at(&l, 10), 1);
    CHECK_INT(pixel_lut_at(&l, 12), 3);
    CHECK_INT(pixel_lut_at(&l, -100000), 1);
    CHECK_INT(pixel_lut_at(&l, 13), 3);
    CHECK_INT(pixel_lut_at(&l, INT64_C(5000000000)), 3);
    gn_arena_free(&a);
}

TEST(the_first_value_may_be_signed) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_lut l;
    REQUIRE(read_lut(a, (uint16_t[]){ 2, 0xFFFE, 8 }, DICOM_VR_SS, "\1\0\2\0", 4, false, &l) == 0);
    CHECK_INT(l.first, -2);
    REQUIRE(read_lut(a, (uint16_t[]){ 2, 0xFFFE, 8 }, DICOM_VR_US, "\1\0\2\0", 4, false, &l) == 0);
    CHECK_INT(l.first, 65534);
    REQUIRE(read_lut(a, (uint16_t[]){ 2, 0xFFFE, 8 }, DICOM_VR_US, "\1\0\2\0", 4, true, &l) == 0);
    CHECK_INT(l.first, -2);
    gn_arena_free(&a);
}

TEST(bytes_packed_into_words) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_lut l;
    REQUIRE(read_lut(a, (uint16_t[]){ 4, 0, 8 }, DICOM_VR_US, "\1\2\3\4", 4, false, &l) == 0);
    CHECK_INT(l.count, 4);
    CHECK(l.entry[0] == 1 && l.entry[1] == 2 && l.entry[2] == 3 && l.entry[3] == 4);
    gn_arena_free(&a);
}

TEST(a_descriptor_that_understates_its_bits) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_lut l;
    REQUIRE(read_lut(a, (uint16_t[]){ 2, 0, 10 }, DICOM_VR_US, "\0\0\xFF\x0F", 4, false, &l) == 0);
    CHECK_INT(l.bits, 12);
    gn_arena_free(&a);
}

TEST(T9_more_entries_promised_than_there) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_lut l;
    REQUIRE(read_lut(a, (uint16_t[]){ 0, 0, 16 }, DICOM_VR_US, "\1\0\2\0\3\0\4\0", 8, false, &l) == 0); /* 0 means 65,536 */
    CHECK_INT(l.count, 4);
    CHECK_INT(pixel_lut_at(&l, 65535), 4);
    gn_arena_free(&a);
}

TEST(tables_that_are_none) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_lut l;
    CHECK_INT(read_lut(a, (uint16_t[]){ 2, 0, 16 }, DICOM_VR_US, "", 0, false, &l), GN_E_INVALID);
    CHECK_INT(read_lut(a, (uint16_t[]){ 2, 0, 0 }, DICOM_VR_US, "\1\0\2\0", 4, false, &l), GN_E_INVALID);
    CHECK_INT(read_lut(a, (uint16_t[]){ 2, 0, 17 }, DICOM_VR_US, "\1\0\2\0", 4, false, &l), GN_E_INVALID);
    CHECK_INT(read_lut(a, (uint16_t[]){ 2, 0, 16 }, DICOM_VR_UL, "\1\0\2\0", 4, false, &l), GN_E_INVALID);
    gn_arena_free(&a);
}

static dicom_dataset *palette(gn_arena *a, uint16_t count, uint16_t bits, const uint16_t *words, size_t n, bool segmented) {
    static const dicom_tag descriptors[] = { DICOM_TAG_RedPaletteColorLookupTableDescriptor, DICOM_TAG_GreenPaletteColorLookupTableDescriptor,
        DICOM_TAG_BluePaletteColorLookupTableDescriptor };
    static const dicom_tag plain[] = { DICOM_TAG_RedPaletteColorLookupTableData, DICOM_TAG_GreenPaletteColorLookupTableData, DICOM_TAG_BluePaletteColorLookupTableData };
    static const dicom_tag seg[] = { DICOM_TAG_SegmentedRedPaletteColorLookupTableData, DICOM_TAG_SegmentedGreenPaletteColorLookupTableData,
        DICOM_TAG_SegmentedBluePaletteColorLookupTableData };
    dicom_dataset *ds = dicom_dataset_new(a, NULL);
    for (size_t c = 0; c < 3; c++) {
        put_words(ds, descriptors[c], DICOM_VR_US, (uint16_t[]){ count, 0, bits }, 3);
        put_words(ds, segmented ? seg[c] : plain[c], DICOM_VR_OW, words, n);
    }
    return ds;
}

TEST(a_16_bit_palette_of_small_values_has_8_bits) {
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_lut l[3];
    REQUIRE(pixel_palette_read(a, palette(a, 3, 16, (uint16_t[]){ 0, 128, 255 }, 3, false), false, l, NULL) == 0);
    CHECK_INT(l[2].bits, 8);
    REQUIRE(pixel_palette_read(a, palette(a, 3, 16, (uint16_t[]){ 0, 0x8000, 0xFFFF }, 3, false), false, l, NULL) == 0);
    CHECK_INT(l[0].bits, 16);
    gn_arena_free(&a);
}

TEST(segments_discrete_linear_and_indirect) {
    static const uint16_t words[] = { 0, 2, 100, 200, 1, 4, 600, 2, 1, 0, 0 }; /* indirect: one segment at byte 0 */
    gn_arena *a = gn_arena_new(1 << 20);
    pixel_lut l[3];
    REQUIRE(pixel_palette_read(a, palette(a, 16, 16, words, GN_ARRAY_LEN(words), true), false, l, NULL) == 0);
    CHECK_INT(l[0].count, 8);
    static const uint16_t want[] = { 100, 200, 300, 400, 500, 600, 100, 200 };
    for (size_t i = 0; i < 8; i++) CHECK_INT(l[1].entry[i], want[i]);
    gn_arena_free(&a);
}

TEST(T9_segments_that_lead_nowhere) {
    static const struct { uint16_t words[8]; size_t n; } bad[] = {
        { { 0, 9, 1, 2 }, 4 },               /* discrete, longer than the data */
        { { 1, 4, 600 }, 3 },                /* a ramp from nothing */
        { { 0, 1, 5, 1, 0xFFFF, 7 }, 6 },    /* more entries than the descriptor has */
        { { 2, 0xFFFF, 0, 0 }, 4 },          /* indirect to itself */
        { { 0, 1, 5, 2, 1, 0xFFFF, 0xFFFF }, 7 },
        { { 3, 1, 5 }, 3 }, { { 0 }, 1 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        gn_arena *a = gn_arena_new(1 << 20);
        pixel_lut l[3];
        CHECK_INT(pixel_palette_read(a, palette(a, 16, 16, bad[i].words, bad[i].n, true), false, l, NULL), GN_E_INVALID);
        gn_arena_free(&a);
    }
}
