/* jpeg_turbo: the 8-bit DCT processes of JPEG (PS3.5 §8.2.1) by libjpeg-turbo: decoding, and baseline encoding.
 *
 * The slow integer DCT and smooth upsampling make the samples equal to those of the reference decoders. */
#include "jpeg.h"

#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

#define JPEG_DECODE jpeg_turbo_decode
#include "jpeg_decode_body.h"

/* ---- encoding ---------------------------------------------------------------------------------------------------------- */

typedef struct encoder {
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr errors;
    jmp_buf on_error;
    unsigned char *bytes; /* the library's, by malloc */
    unsigned long n;
    char message[JMSG_LENGTH_MAX];
} encoder;

static void on_encode_error(j_common_ptr cinfo) {
    encoder *c = cinfo->client_data;
    c->errors.format_message(cinfo, c->message);
    longjmp(c->on_error, 1);
}

static int encode_rows(encoder *c, const pixel_frame *frame, unsigned quality) {
    const pixel_format *f = &frame->format;
    if (setjmp(c->on_error)) return GN_E_INTERNAL;
    jpeg_create_compress(&c->cinfo);
    c->cinfo.client_data = c;
    jpeg_mem_dest(&c->cinfo, &c->bytes, &c->n);
    c->cinfo.image_width = f->columns;
    c->cinfo.image_height = f->rows;
    c->cinfo.input_components = f->samples;
    c->cinfo.in_color_space = f->samples == 1 ? JCS_GRAYSCALE : f->photometric == PIXEL_RGB ? JCS_RGB : JCS_YCbCr;
    jpeg_set_defaults(&c->cinfo); /* colour becomes YCbCr, 4:2:0 */
    if (f->samples == 3) c->cinfo.comp_info[0].v_samp_factor = 1; /* 4:2:2, as YBR_FULL_422 says */
    jpeg_set_quality(&c->cinfo, (int)quality, TRUE);
    c->cinfo.dct_method = JDCT_ISLOW;
    jpeg_start_compress(&c->cinfo, TRUE);
    size_t pitch = (size_t)f->columns * f->samples;
    while (c->cinfo.next_scanline < c->cinfo.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(frame->bytes + c->cinfo.next_scanline * pitch); /* the library only reads */
        jpeg_write_scanlines(&c->cinfo, &row, 1);
    }
    jpeg_finish_compress(&c->cinfo);
    return 0;
}

int pixel_jpeg_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e) {
    encoder c = { .bytes = NULL };
    int rc = pixel_encode_check(frame, 1, 8, "JPEG baseline", e);
    (void)uid;
    if (rc) return rc;
    if (frame->format.allocated != 8 || frame->format.sample != PIXEL_UNSIGNED || frame->format.samples > 3 || frame->format.photometric == PIXEL_PALETTE)
        return gn_fail(e, GN_E_UNSUPPORTED, "JPEG baseline holds unsigned samples of 8 bits, grey or colour");
    if (o->quality > 100) return gn_fail(e, GN_E_INVALID, "JPEG quality is %u, must be 1 to 100", o->quality);
    c.cinfo.err = jpeg_std_error(&c.errors);
    c.errors.error_exit = on_encode_error;
    c.errors.output_message = on_output;
    c.cinfo.client_data = &c;
    rc = encode_rows(&c, frame, o->quality ? o->quality : 90);
    if (rc) (void)gn_fail(e, rc, "JPEG: %s", c.message);
    else {
        gn_buf_append(out, c.bytes, c.n);
        if (out->failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for an encoded frame");
    }
    jpeg_destroy_compress(&c.cinfo);
    free(c.bytes);
    return rc;
}
