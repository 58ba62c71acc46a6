/* fuzz_codec_render: a native frame with a data set around it that comes from outside too: look-up tables, windows, overlays,
 * functional groups. The input is one data set in explicit little endian; whatever it says must render or be refused. */
#include "pixel/pixel.h"

#include <stdlib.h>

static void render(gn_arena *arena, const dicom_dataset *ds, const pixel_frame *frame, unsigned index) {
    static const pixel_limits limits = { 1 << 24, 1 };
    static const pixel_render_options all[] = { { 0 }, { .viewport_width = 50, .viewport_height = 70, .source_x = 0, .source_width = -1, .source_height = 1 } };
    pixel_presentation *p = pixel_presentation_of(arena, ds, NULL, index, NULL);
    for (size_t i = 0; p && i < GN_ARRAY_LEN(all); i++) {
        pixel_image image = { 0 };
        gn_buf png = GN_BUF_INIT;
        if (pixel_render(p, frame, &all[i], &limits, &image, NULL) == 0 && image.width < 2000 && image.height < 2000) (void)pixel_image_png(&image, &png, NULL);
        gn_buf_done(&png);
        pixel_image_done(&image);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const pixel_limits limits = { 1 << 22, 1 };
    dicom_read_options options = { .keep_everything = true, .accept_truncated = true };
    gn_arena *arena = gn_arena_new(64 << 20);
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE);
    dicom_dataset *ds;
    pixel_format f;
    pixel_frame frame = { 0 };
    if (arena && dicom_dataset_read(arena, ts, data, size, &options, &ds, NULL) == 0 && pixel_format_of(ds, &f, NULL) == 0) {
        const dicom_element *el = dicom_dataset_find(ds, DICOM_TAG_PixelData);
        if (el && el->value && !el->fragments && pixel_decode(ts, &f, el->value, el->length, 0, &limits, &frame, NULL) == 0) {
            render(arena, ds, &frame, 0);
            render(arena, ds, &frame, 1);
        }
        pixel_frame_done(&frame);
    }
    gn_arena_free(&arena);
    return 0;
}
