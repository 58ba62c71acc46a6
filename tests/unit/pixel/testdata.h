/* testdata: real files for the suites of this room: a Part 10 file in memory, its frames, and each frame decoded.
 *
 * The files lie in a folder beside the repository, or where GANTRY_TESTDATA says; suites skip by name without them. */
#ifndef GANTRY_TEST_PIXEL_TESTDATA_H
#define GANTRY_TEST_PIXEL_TESTDATA_H

#include "pixel/pixel.h"

const char *testdata_dir(void); /* NULL: not there */

typedef struct image {
    gn_arena *arena;
    gn_buf bytes;
    dicom_file file;
    dicom_pixel_description description;
    pixel_format format;
    dicom_frame *frames;
    size_t count;
} image;
/* `path` is relative to the folder. Fails with the first thing that is wrong; image_done is due in any case. */
int image_load(image *im, const char *path, gn_error *e);
/* The same from bytes in memory, which are taken over. */
int image_take(image *im, gn_buf *bytes, gn_error *e);
void image_done(image *im);
/* The encoded bytes of frame i (from 0), its fragments joined. */
int image_encoded(image *im, size_t i, gn_buf *out, gn_error *e);
int image_decode(image *im, size_t i, pixel_frame *out, gn_error *e);
/* The transfer syntax of the frames: native where the element says so. */
const dicom_transfer_syntax *image_syntax(const image *im);

#endif
