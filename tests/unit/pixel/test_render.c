/* test_render: pictures from small data sets made here: polarity, tables, colour, overlays, parts and sizes, limits (T9, T11). */
#include "check.h"
#include "pixel/pixel.h"

#include <math.h>
#include <stdlib.h>

typedef struct scene { gn_arena *arena; dicom_dataset *ds; pixel_frame frame; uint8_t bytes[1024]; } scene;

/* 8-bit grey, `columns` x `rows`, values 0, 1, 2, … */
static void scene_init(scene *s, uint32_t rows, uint32_t columns) {
    memset(s, 0, sizeof *s);
    s->arena = gn_arena_new(1 << 22);
    s->ds = dicom_dataset_new(s->arena, NULL);
    for (size_t i = 0; i < sizeof s->bytes; i++) s->bytes[i] = (uint8_t)i;
    s->frame = (pixel_frame){ { .rows = rows, .columns = columns, .samples = 1, .allocated = 8, .stored = 8, .high_bit = 7, .photometric = PIXEL_MONOCHROME2 },
                              s->bytes, (size_t)rows * columns };
}

static int render(scene *s, const pixel_render_options *o, pixel_image *out, gn_error *e) {
    pixel_presentation *p = pixel_presentation_of(s->arena, s->ds, NULL, 0, e);
    return p ? pixel_render(p, &s->frame, o, NULL, out, e) : -1;
}

static void expect(scene *s, const pixel_render_options *o, const uint8_t *want, size_t n) {
    gn_error e = GN_ERROR_INIT;
    pixel_image image = { 0 };
    int rc = render(s, o, &image, &e);
    CHECK_INT(rc, 0);
    if (rc) fprintf(stderr, "%s\n", e.message);
    else CHECK_MEM2(image.bytes, (size_t)image.width * image.height * image.channels, want, n);
    pixel_image_done(&image);
}

static void string(scene *s, dicom_tag tag, dicom_vr vr, const char *text) { dicom_dataset_put_string(s->ds, tag, vr, text, NULL); }

TEST(without_a_window_the_frame_spans_black_to_white) {
    scene s;
    scene_init(&s, 1, 3);
    expect(&s, NULL, (const uint8_t[]){ 0, 128, 255 }, 3);
    gn_arena_free(&s.arena);
}

TEST(padding_is_left_out_of_the_span) {
    scene s;
    scene_init(&s, 1, 4);
    s.bytes[0] = 200;
    dicom_dataset_put_u16(s.ds, DICOM_TAG_PixelPaddingValue, 200, NULL);
    expect(&s, NULL, (const uint8_t[]){ 255, 0, 128, 255 }, 4);
    gn_arena_free(&s.arena);
}

TEST(window_rescale_and_polarity) {
    scene s;
    scene_init(&s, 1, 3);
    string(&s, DICOM_TAG_RescaleSlope, DICOM_VR_DS, "2");
    string(&s, DICOM_TAG_RescaleIntercept, DICOM_VR_DS, "-2"); /* -2 0 2 */
    string(&s, DICOM_TAG_WindowCenter, DICOM_VR_DS, "0.5\\10");
    string(&s, DICOM_TAG_WindowWidth, DICOM_VR_DS, "5\\20"); /* -2 .. 2 */
    expect(&s, NULL, (const uint8_t[]){ 0, 128, 255 }, 3);
    expect(&s, &(pixel_render_options){ .invert = true }, (const uint8_t[]){ 255, 128, 0 }, 3);
    string(&s, DICOM_TAG_PhotometricInterpretation, DICOM_VR_CS, "MONOCHROME1");
    expect(&s, NULL, (const uint8_t[]){ 255, 128, 0 }, 3);
    string(&s, DICOM_TAG_PresentationLUTShape, DICOM_VR_CS, "INVERSE"); /* says the same thing */
    expect(&s, NULL, (const uint8_t[]){ 255, 128, 0 }, 3);
    pixel_window w = { 0, 1, PIXEL_VOI_LINEAR };
    expect(&s, &(pixel_render_options){ .window = &w, .invert = true }, (const uint8_t[]){ 0, 255, 255 }, 3);
    gn_arena_free(&s.arena);
}

TEST(windows_are_listed_with_their_explanations) {
    scene s;
    pixel_window w[4];
    const char *why[4];
    scene_init(&s, 1, 3);
    string(&s, DICOM_TAG_WindowCenter, DICOM_VR_DS, "40\\1\\-600");
    string(&s, DICOM_TAG_WindowWidth, DICOM_VR_DS, "400\\0\\1500"); /* the second is none */
    string(&s, DICOM_TAG_WindowCenterWidthExplanation, DICOM_VR_LO, "SOFT\\NONE\\LUNG");
    string(&s, DICOM_TAG_VOILUTFunction, DICOM_VR_CS, "SIGMOID");
    pixel_presentation *p = pixel_presentation_of(s.arena, s.ds, NULL, 0, NULL);
    REQUIRE(p != NULL);
    CHECK_INT(pixel_presentation_windows(p, w, 4, why), 2);
    CHECK(w[1].width > 1499 && w[1].function == PIXEL_VOI_SIGMOID);
    CHECK_STR(why[0], "SOFT");
    CHECK_STR(why[1], "LUNG");
    CHECK_INT(pixel_presentation_windows(p, NULL, 0, NULL), 2);
    gn_arena_free(&s.arena);
}

TEST(functional_groups_of_the_frame_come_first) {
    scene s;
    dicom_dataset *shared, *frame, *item;
    pixel_window w[2];
    scene_init(&s, 1, 3);
    string(&s, DICOM_TAG_WindowCenter, DICOM_VR_DS, "1");
    string(&s, DICOM_TAG_WindowWidth, DICOM_VR_DS, "1");
    REQUIRE(dicom_dataset_add_item(s.ds, DICOM_TAG_SharedFunctionalGroupsSequence, &shared, NULL) == 0);
    REQUIRE(dicom_dataset_add_item(shared, DICOM_TAG_PixelValueTransformationSequence, &item, NULL) == 0);
    dicom_dataset_put_string(item, DICOM_TAG_RescaleSlope, DICOM_VR_DS, "3", NULL);
    for (int i = 0; i < 2; i++) {
        REQUIRE(dicom_dataset_add_item(s.ds, DICOM_TAG_PerFrameFunctionalGroupsSequence, &frame, NULL) == 0);
        REQUIRE(dicom_dataset_add_item(frame, DICOM_TAG_FrameVOILUTSequence, &item, NULL) == 0);
        dicom_dataset_put_string(item, DICOM_TAG_WindowCenter, DICOM_VR_DS, i ? "20" : "10", NULL);
        dicom_dataset_put_string(item, DICOM_TAG_WindowWidth, DICOM_VR_DS, "5", NULL);
    }
    pixel_presentation *p = pixel_presentation_of(s.arena, s.ds, NULL, 1, NULL);
    REQUIRE(p != NULL);
    CHECK_INT(pixel_presentation_windows(p, w, 2, NULL), 1);
    CHECK(w[0].center > 19 && w[0].center < 21);
    CHECK(fabs(pixel_modality_value(p, 2) - 6) < 1e-9);
    gn_arena_free(&s.arena);
}

TEST(modality_and_voi_tables) {
    scene s;
    dicom_dataset *item;
    scene_init(&s, 1, 4);
    REQUIRE(dicom_dataset_add_item(s.ds, DICOM_TAG_ModalityLUTSequence, &item, NULL) == 0);
    dicom_dataset_put(item, DICOM_TAG_LUTDescriptor, DICOM_VR_US, "\3\0\1\0\x08\0", 6, NULL); /* 1..3 -> 10 20 30 */
    dicom_dataset_put(item, DICOM_TAG_LUTData, DICOM_VR_OW, "\x0A\0\x14\0\x1E\0", 6, NULL);
    REQUIRE(dicom_dataset_add_item(s.ds, DICOM_TAG_VOILUTSequence, &item, NULL) == 0);
    dicom_dataset_put(item, DICOM_TAG_LUTDescriptor, DICOM_VR_US, "\x02\0\x13\0\x08\0", 6, NULL); /* 19 -> 255, 20 -> 51 */
    dicom_dataset_put(item, DICOM_TAG_LUTData, DICOM_VR_OW, "\xFF\0\x33\0", 4, NULL);
    expect(&s, NULL, (const uint8_t[]){ 255, 255, 51, 51 }, 4);
    gn_arena_free(&s.arena);
}

TEST(T9_an_index_beyond_the_palette) {
    scene s;
    static const dicom_tag tags[][2] = { { DICOM_TAG_RedPaletteColorLookupTableDescriptor, DICOM_TAG_RedPaletteColorLookupTableData },
        { DICOM_TAG_GreenPaletteColorLookupTableDescriptor, DICOM_TAG_GreenPaletteColorLookupTableData },
        { DICOM_TAG_BluePaletteColorLookupTableDescriptor, DICOM_TAG_BluePaletteColorLookupTableData } };
    scene_init(&s, 1, 3);
    s.frame.format.photometric = PIXEL_PALETTE;
    s.bytes[2] = 255;
    string(&s, DICOM_TAG_PhotometricInterpretation, DICOM_VR_CS, "PALETTE COLOR");
    for (size_t c = 0; c < 3; c++) {
        dicom_dataset_put(s.ds, tags[c][0], DICOM_VR_US, "\0\0\0\0\x10\0", 6, NULL);
        dicom_dataset_put(s.ds, tags[c][1], DICOM_VR_OW, c == 0 ? "\0\x10\0\x20" : c == 1 ? "\0\x30\0\x40" : "\0\x50\0\x60", 4, NULL);
    }
    expect(&s, NULL, (const uint8_t[]){ 0x10, 0x30, 0x50, 0x20, 0x40, 0x60, 0x20, 0x40, 0x60 }, 9);
    gn_arena_free(&s.arena);
}

TEST(a_palette_that_is_missing) {
    scene s;
    gn_error e = GN_ERROR_INIT;
    pixel_image out = { 0 };
    scene_init(&s, 1, 3);
    s.frame.format.photometric = PIXEL_PALETTE;
    CHECK_INT(render(&s, NULL, &out, &e), GN_E_INVALID);
    gn_arena_free(&s.arena);
}

TEST(colour_in_all_its_forms) {
    scene s;
    scene_init(&s, 1, 2);
    s.frame.format.samples = 3, s.frame.format.photometric = PIXEL_RGB, s.frame.n = 6;
    memcpy(s.bytes, "\1\2\3\4\5\6", 6);
    expect(&s, NULL, (const uint8_t[]){ 1, 2, 3, 4, 5, 6 }, 6);
    s.frame.format.photometric = PIXEL_YBR_FULL;
    memcpy(s.bytes, "\x4C\x55\xFF\x64\x80\x80", 6); /* red, grey */
    expect(&s, NULL, (const uint8_t[]){ 254, 0, 0, 100, 100, 100 }, 6);
    s.frame.format.photometric = PIXEL_YBR_FULL_422, s.frame.n = 4;
    memcpy(s.bytes, "\x4C\x64\x80\x80", 4);
    expect(&s, NULL, (const uint8_t[]){ 76, 76, 76, 100, 100, 100 }, 6);
    s.frame.format.photometric = PIXEL_RGB, s.frame.format.allocated = s.frame.format.stored = 16, s.frame.format.high_bit = 15, s.frame.n = 12;
    memcpy(s.bytes, "\0\1\0\2\0\3\0\4\0\5\xFF\xFF", 12);
    expect(&s, NULL, (const uint8_t[]){ 1, 2, 3, 4, 5, 255 }, 6);
    gn_arena_free(&s.arena);
}

TEST(float_and_wide_integers) {
    scene s;
    scene_init(&s, 1, 3);
    const float values[3] = { -1.5f, 0, 1.5f };
    memcpy(s.bytes, values, sizeof values);
    s.frame.format.allocated = s.frame.format.stored = 32, s.frame.format.high_bit = 31, s.frame.n = 12, s.frame.format.sample = PIXEL_FLOAT;
    expect(&s, NULL, (const uint8_t[]){ 0, 128, 255 }, 3);
    const float nan_values[3] = { NAN, 0, 1 };
    memcpy(s.bytes, nan_values, sizeof nan_values);
    expect(&s, NULL, (const uint8_t[]){ 0, 0, 255 }, 3);
    s.frame.format.sample = PIXEL_UNSIGNED;
    const uint32_t wide[3] = { 0, 0x80000000u, 0xFFFFFFFFu };
    memcpy(s.bytes, wide, sizeof wide);
    expect(&s, NULL, (const uint8_t[]){ 0, 128, 255 }, 3);
    gn_arena_free(&s.arena);
}

TEST(bits_beside_the_stored_ones_do_not_matter) {
    scene s;
    scene_init(&s, 1, 3);
    s.frame.format.allocated = 16, s.frame.format.stored = 4, s.frame.format.high_bit = 11, s.frame.format.sample = PIXEL_SIGNED, s.frame.n = 6;
    memcpy(s.bytes, "\xFF\xF8\x0A\x70\xFF\xE7", 6); /* bits 8..11: -8, 0, 7 */
    expect(&s, NULL, (const uint8_t[]){ 0, 136, 255 }, 3);
    gn_arena_free(&s.arena);
}

static void put_overlay(scene *s, const char *type, uint16_t rows, uint16_t columns, const char *origin, const void *bits, size_t n) {
    dicom_dataset_put_u16(s->ds, DICOM_TAG(0x6000, 0x0010), rows, NULL);
    dicom_dataset_put_u16(s->ds, DICOM_TAG(0x6000, 0x0011), columns, NULL);
    dicom_dataset_put_string(s->ds, DICOM_TAG(0x6000, 0x0040), DICOM_VR_CS, type, NULL);
    dicom_dataset_put(s->ds, DICOM_TAG(0x6000, 0x0050), DICOM_VR_SS, origin, 4, NULL);
    dicom_dataset_put_u16(s->ds, DICOM_TAG(0x6000, 0x0100), 1, NULL);
    dicom_dataset_put_u16(s->ds, DICOM_TAG(0x6000, 0x0102), 0, NULL);
    dicom_dataset_put(s->ds, DICOM_TAG(0x6000, 0x3000), DICOM_VR_OW, bits, n, NULL);
}

TEST(overlays_are_drawn_and_left_out) {
    scene s;
    scene_init(&s, 2, 2);
    memset(s.bytes, 0, 4);
    put_overlay(&s, "G", 2, 2, "\1\0\1\0", "\x09\0", 2);
    expect(&s, NULL, (const uint8_t[]){ 255, 0, 0, 255 }, 4);
    expect(&s, &(pixel_render_options){ .without_overlays = true }, (const uint8_t[]){ 0, 0, 0, 0 }, 4);
    gn_arena_free(&s.arena);
}

TEST(T9_overlays_outside_the_image_or_without_their_bits) {
    scene s;
    scene_init(&s, 2, 2);
    memset(s.bytes, 0, 4);
    put_overlay(&s, "G", 2, 2, "\0\0\0\0", "\x08\0", 2); /* begins one row and column before */
    expect(&s, NULL, (const uint8_t[]){ 255, 0, 0, 0 }, 4);
    put_overlay(&s, "G", 65535, 65535, "\1\0\1\0", "\x01\0", 2);
    expect(&s, NULL, (const uint8_t[]){ 255, 0, 0, 0 }, 4);
    put_overlay(&s, "G", 2, 2, "\xFF\x7F\xFF\x7F", "\x0F\0", 2);
    expect(&s, NULL, (const uint8_t[]){ 0, 0, 0, 0 }, 4);
    put_overlay(&s, "R", 2, 2, "\1\0\1\0", "\x0F\0", 2);
    s.bytes[1] = 9;
    expect(&s, NULL, (const uint8_t[]){ 255, 0, 255, 255 }, 4);
    gn_arena_free(&s.arena);
}

TEST(an_overlay_in_the_pixels) {
    scene s;
    scene_init(&s, 1, 2);
    s.frame.format.allocated = 16, s.frame.format.stored = 12, s.frame.format.high_bit = 11, s.frame.n = 4;
    memcpy(s.bytes, "\0\0\0\x80", 4);
    dicom_dataset_put_u16(s.ds, DICOM_TAG(0x6000, 0x0010), 1, NULL);
    dicom_dataset_put_u16(s.ds, DICOM_TAG(0x6000, 0x0011), 2, NULL);
    dicom_dataset_put_u16(s.ds, DICOM_TAG(0x6000, 0x0100), 16, NULL);
    dicom_dataset_put_u16(s.ds, DICOM_TAG(0x6000, 0x0102), 15, NULL);
    expect(&s, NULL, (const uint8_t[]){ 0, 255 }, 2);
    gn_arena_free(&s.arena);
}

TEST(parts_mirrors_and_sizes) {
    scene s;
    pixel_window w = { 127.5, 256, PIXEL_VOI_LINEAR_EXACT };
    scene_init(&s, 4, 4);
    for (size_t i = 0; i < 16; i++) s.bytes[i] = (uint8_t)(i * 16);
    expect(&s, &(pixel_render_options){ .window = &w, .source_x = 1, .source_y = 1, .source_width = 2, .source_height = 2 }, (const uint8_t[]){ 80, 96, 144, 160 }, 4);
    expect(&s, &(pixel_render_options){ .window = &w, .source_x = 1, .source_y = 1, .source_width = -2, .source_height = 2 }, (const uint8_t[]){ 96, 80, 160, 144 }, 4);
    expect(&s, &(pixel_render_options){ .window = &w, .source_x = 1, .source_y = 1, .source_width = 2, .source_height = -2 }, (const uint8_t[]){ 144, 160, 80, 96 }, 4);
    expect(&s, &(pixel_render_options){ .window = &w, .viewport_width = 2, .viewport_height = 9 }, (const uint8_t[]){ 40, 72, 168, 200 }, 4);
    expect(&s, &(pixel_render_options){ .window = &w, .viewport_width = 1 }, (const uint8_t[]){ 120 }, 1);
    gn_arena_free(&s.arena);
}

static void expect_size(scene *s, uint32_t width, uint32_t height, uint32_t want_width, uint32_t want_height) {
    pixel_image out = { 0 };
    CHECK_INT(render(s, &(pixel_render_options){ .viewport_width = width, .viewport_height = height }, &out, NULL), 0);
    CHECK_INT(out.width, want_width);
    CHECK_INT(out.height, want_height);
    pixel_image_done(&out);
}

TEST(pictures_fit_and_keep_their_aspect) {
    scene s;
    scene_init(&s, 10, 20);
    expect_size(&s, 100, 100, 100, 50);
    expect_size(&s, 100, 20, 40, 20);
    expect_size(&s, 0, 5, 10, 5);
    string(&s, DICOM_TAG_PixelAspectRatio, DICOM_VR_IS, "2\\1"); /* twice as high as wide */
    expect_size(&s, 100, 100, 100, 100);
    gn_arena_free(&s.arena);
}

TEST(T11_sizes_and_parts_that_are_refused) {
    scene s;
    pixel_window none = { 0, 0, PIXEL_VOI_LINEAR };
    static const pixel_render_options invalid[] = {
        { .source_width = 5, .source_height = 1 }, { .source_x = -1, .source_width = 2, .source_height = 2 }, { .source_width = 2, .source_height = 0 },
        { .source_width = NAN, .source_height = 1 }, { .source_x = NAN, .source_width = 1, .source_height = 1 }, { .source_width = INFINITY, .source_height = 1 } };
    pixel_image out = { 0 };
    scene_init(&s, 4, 4);
    for (size_t i = 0; i < GN_ARRAY_LEN(invalid); i++) CHECK_INT(render(&s, &invalid[i], &out, NULL), GN_E_INVALID);
    CHECK_INT(render(&s, &(pixel_render_options){ .window = &none }, &out, NULL), GN_E_INVALID);
    CHECK_INT(render(&s, &(pixel_render_options){ .viewport_width = 100000, .viewport_height = 100000 }, &out, NULL), GN_E_TOO_LARGE);
    CHECK_INT(render(&s, &(pixel_render_options){ .viewport_width = UINT32_MAX, .viewport_height = UINT32_MAX }, &out, NULL), GN_E_TOO_LARGE);
    s.frame.n--;
    CHECK_INT(render(&s, NULL, &out, NULL), GN_E_INVALID);
    gn_arena_free(&s.arena);
}

TEST(no_memory_is_an_error_at_every_step) {
    scene s;
    scene_init(&s, 4, 4);
    pixel_presentation *p = pixel_presentation_of(s.arena, s.ds, NULL, 0, NULL);
    pixel_render_options o = { .viewport_width = 7 };
    REQUIRE(p != NULL);
    for (unsigned nth = 1; nth < 20; nth++) {
        pixel_image out = { 0 };
        check_fail_alloc(nth);
        int rc = pixel_render(p, &s.frame, &o, NULL, &out, NULL);
        unsigned failed = check_failed_allocs();
        check_fail_alloc(0);
        CHECK(failed ? rc == GN_E_NO_MEMORY && !out.bytes : rc == 0);
        pixel_image_done(&out);
    }
    gn_arena_free(&s.arena);
}
