/* jpeg_decode_body: decoding through the interface of the IJG library, for one build of it.
 *
 * Included by a C file that has included the library's jpeglib.h and jerror.h and defined JPEG_DECODE (the function's name).
 * The library reports through longjmp. A warning that tells of missing or damaged data is an error here: the library would
 * fill in samples of its own, and nobody could tell them from the patient's. */

typedef struct decoder {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    jmp_buf on_error;
    int code;
    char message[JMSG_LENGTH_MAX];
} decoder;

static void fail(decoder *d, int code) {
    d->code = code;
    d->errors.format_message((j_common_ptr)&d->cinfo, d->message);
    longjmp(d->on_error, 1);
}

static void on_error_exit(j_common_ptr cinfo) { fail(cinfo->client_data, GN_E_INVALID); }

static void on_message(j_common_ptr cinfo, int level) {
    int code = cinfo->err->msg_code;
    if (level >= 0) return;
    if (code == JWRN_HIT_MARKER || code == JWRN_JPEG_EOF) fail(cinfo->client_data, GN_E_TRUNCATED);
    if (code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC) fail(cinfo->client_data, GN_E_INVALID);
}

static void on_output(j_common_ptr cinfo) { (void)cinfo; }
static void source_nothing(j_decompress_ptr cinfo) { (void)cinfo; }

/* A stream may lack its EOI; one is given, and samples that are missing then make the library warn (see above). */
static boolean source_fill(j_decompress_ptr cinfo) {
    static const JOCTET end[2] = { 0xFF, JPEG_EOI };
    cinfo->src->next_input_byte = end;
    cinfo->src->bytes_in_buffer = 2;
    return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long n) {
    struct jpeg_source_mgr *s = cinfo->src;
    size_t skip = n > 0 ? (size_t)n : 0;
    if (skip > s->bytes_in_buffer) skip = s->bytes_in_buffer;
    s->next_input_byte += skip;
    s->bytes_in_buffer -= skip;
}

static void start(decoder *d, const pixel_job *job, jpeg_colour colour) {
    jpeg_create_decompress(&d->cinfo);
    d->cinfo.client_data = d;
    d->source = (struct jpeg_source_mgr){ .next_input_byte = job->bytes, .bytes_in_buffer = job->n, .init_source = source_nothing,
        .fill_input_buffer = source_fill, .skip_input_data = source_skip, .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nothing };
    d->cinfo.src = &d->source;
    jpeg_read_header(&d->cinfo, TRUE);
    if (colour == JPEG_YBR_TO_RGB) {
        d->cinfo.jpeg_color_space = JCS_YCbCr;
        d->cinfo.out_color_space = JCS_RGB;
    } else {
        d->cinfo.jpeg_color_space = d->cinfo.num_components == 1 ? JCS_GRAYSCALE : JCS_UNKNOWN;
        d->cinfo.out_color_space = d->cinfo.jpeg_color_space;
    }
    d->cinfo.dct_method = JDCT_ISLOW;
    d->cinfo.do_fancy_upsampling = TRUE;
    jpeg_start_decompress(&d->cinfo);
}

static void store_row(const JSAMPLE *from, uint8_t *to, size_t count, unsigned unit) {
#if BITS_IN_JSAMPLE == 8
    if (unit == 1) {
        memcpy(to, from, count);
        return;
    }
#endif
    if (unit == 1)
        for (size_t i = 0; i < count; i++) to[i] = (uint8_t)from[i];
    else if (unit == 2)
        for (size_t i = 0; i < count; i++) gn_store_le16(to + 2 * i, (uint16_t)from[i]);
    else
        for (size_t i = 0; i < count; i++) {
            memset(to + i * unit, 0, unit);
            gn_store_le16(to + i * unit, (uint16_t)from[i]);
        }
}

static void read_rows(decoder *d, pixel_frame *out) {
    struct jpeg_decompress_struct *c = &d->cinfo;
    unsigned unit = pixel_sample_bytes(&out->format);
    size_t count = (size_t)out->format.columns * out->format.samples, pitch = count * unit;
    if (c->output_width != out->format.columns || c->output_height != out->format.rows || c->output_components != out->format.samples)
        ERREXIT(c, JERR_CONVERSION_NOTIMPL);
    JSAMPARRAY row = c->mem->alloc_sarray((j_common_ptr)c, JPOOL_IMAGE, (JDIMENSION)count, 1);
    while (c->output_scanline < c->output_height) {
        uint8_t *to = out->bytes + c->output_scanline * pitch;
        if (jpeg_read_scanlines(c, row, 1) != 1) ERREXIT(c, JERR_INPUT_EMPTY);
        store_row(row[0], to, count, unit);
    }
}

static int run(decoder *d, const pixel_job *job, jpeg_colour colour, pixel_frame *out) {
    if (setjmp(d->on_error)) return d->code;
    start(d, job, colour);
    read_rows(d, out);
    return 0;
}

int JPEG_DECODE(const pixel_job *job, const jpeg_header *h, jpeg_colour colour, pixel_frame *out, gn_error *e) {
    decoder d = { .code = 0 };
    (void)h;
    d.cinfo.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = on_error_exit;
    d.errors.emit_message = on_message;
    d.errors.output_message = on_output;
    d.cinfo.client_data = &d;
    int rc = run(&d, job, colour, out);
    jpeg_destroy_decompress(&d.cinfo);
    if (rc) return gn_fail(e, rc, "JPEG: %s", d.message);
    return 0;
}
