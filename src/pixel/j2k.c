/* j2k: JPEG 2000 both ways and HTJ2K decoding (PS3.5 §8.2.4, §8.2.16), by OpenJPEG.
 *
 * The SIZ marker is read here first: size, components, precision and the number of tiles are checked before the library
 * allocates for them (T10: a tiny file with millions of tiles). The library's strict mode makes missing data an error, where
 * it would fill in otherwise. */
#include "j2k.h"

#include <inttypes.h>
#include <openjpeg.h>
#include <stdlib.h>

enum { MAX_TILES = 8192 };

/* ---- the header -------------------------------------------------------------------------------------------------------- */

/* DICOM asks for a bare codestream; JP2 boxes around one are met all the same. */
static const uint8_t *codestream_in(const uint8_t *p, size_t n, bool *boxed) {
    static const uint8_t box[12] = { 0, 0, 0, 12, 'j', 'P', ' ', ' ', 13, 10, 0x87, 10 }, start[4] = { 0xFF, 0x4F, 0xFF, 0x51 };
    *boxed = n >= sizeof box && memcmp(p, box, sizeof box) == 0;
    if (*boxed) return memmem(p, n, start, sizeof start);
    return n >= sizeof start && memcmp(p, start, sizeof start) == 0 ? p : NULL;
}

static int check_siz(const uint8_t *p, size_t n, pixel_stream_info *s, gn_error *e) {
    gn_reader r = gn_reader_of(p, n);
    uint32_t v[8]; /* Xsiz Ysiz XOsiz YOsiz XTsiz YTsiz XTOsiz YTOsiz */
    (void)gn_read_bytes(&r, 8); /* SOC, SIZ, Lsiz, Rsiz */
    for (size_t i = 0; i < 8; i++) v[i] = gn_read_be32(&r);
    s->components = gn_read_be16(&r);
    unsigned first = gn_read_u8(&r);
    s->precision = (first & 0x7Fu) + 1;
    bool subsampled = gn_read_be16(&r) != 0x0101; /* XRsiz, YRsiz */
    for (uint32_t i = 1; i < s->components && i < 4; i++) {
        if (gn_read_u8(&r) != first) return gn_fail(e, r.failed ? GN_E_TRUNCATED : GN_E_UNSUPPORTED, "the components of the JPEG 2000 stream differ in precision");
        subsampled |= gn_read_be16(&r) != 0x0101;
    }
    if (r.failed) return gn_fail(e, GN_E_TRUNCATED, "the JPEG 2000 header ends early");
    if (subsampled) return gn_fail(e, GN_E_UNSUPPORTED, "the components of the JPEG 2000 stream are subsampled");
    if (v[0] <= v[2] || v[1] <= v[3] || v[4] == 0 || v[5] == 0 || v[6] > v[2] || v[7] > v[3])
        return gn_fail(e, GN_E_INVALID, "the JPEG 2000 image area is not valid");
    uint64_t across = ((uint64_t)v[0] - v[6] + v[4] - 1) / v[4], down = ((uint64_t)v[1] - v[7] + v[5] - 1) / v[5];
    if (across * down > MAX_TILES) return gn_fail(e, GN_E_TOO_LARGE, "the JPEG 2000 stream has %" PRIu64 " tiles", across * down);
    s->columns = v[0] - v[2];
    s->rows = v[1] - v[3];
    return 0;
}

/* ---- a stream in memory ------------------------------------------------------------------------------------------------ */

typedef struct memory { const uint8_t *p; size_t n, at; } memory;

static OPJ_SIZE_T on_read(void *to, OPJ_SIZE_T n, void *ctx) {
    memory *m = ctx;
    size_t left = m->n - m->at;
    if (left == 0) return (OPJ_SIZE_T)-1;
    if (n > left) n = left;
    memcpy(to, m->p + m->at, n);
    m->at += n;
    return n;
}

static OPJ_OFF_T on_skip(OPJ_OFF_T n, void *ctx) {
    memory *m = ctx;
    size_t left = m->n - m->at;
    if (n < 0) return -1;
    size_t skip = (uint64_t)n > left ? left : (size_t)n;
    m->at += skip;
    return (OPJ_OFF_T)skip;
}

static OPJ_BOOL on_seek(OPJ_OFF_T at, void *ctx) {
    memory *m = ctx;
    if (at < 0 || (uint64_t)at > m->n) return OPJ_FALSE;
    m->at = (size_t)at;
    return OPJ_TRUE;
}

static opj_stream_t *input_stream(memory *m) {
    opj_stream_t *s = opj_stream_create(m->n < 65536 ? 65536 : 1u << 20, OPJ_TRUE);
    if (!s) return NULL;
    opj_stream_set_user_data(s, m, NULL);
    opj_stream_set_user_data_length(s, m->n);
    opj_stream_set_read_function(s, on_read);
    opj_stream_set_skip_function(s, on_skip);
    opj_stream_set_seek_function(s, on_seek);
    return s;
}

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

typedef struct messages { char text[160]; } messages;

static void keep(messages *m, const char *text) {
    if (m->text[0]) return;
    snprintf(m->text, sizeof m->text, "%.*s", (int)strcspn(text, "\n"), text);
}
static void on_error(const char *text, void *ctx) { keep(ctx, text); }
static void on_warning(const char *text, void *ctx) { (void)text, (void)ctx; }

/* ---- decoding ---------------------------------------------------------------------------------------------------------- */

static int store(const opj_image_t *image, pixel_frame *out, gn_error *e) {
    const pixel_format *f = &out->format;
    unsigned unit = pixel_sample_bytes(f), samples = f->samples;
    size_t pixels = (size_t)f->rows * f->columns;
    if (image->numcomps != samples) return gn_fail(e, GN_E_INVALID, "the JPEG 2000 decoder gave %u components", image->numcomps);
    for (unsigned c = 0; c < samples; c++) {
        const opj_image_comp_t *comp = &image->comps[c];
        const OPJ_INT32 *v = comp->data;
        uint8_t *to = out->bytes + (size_t)c * unit;
        if (!v || comp->w != f->columns || comp->h != f->rows || comp->prec > f->allocated)
            return gn_fail(e, GN_E_INVALID, "the JPEG 2000 decoder gave another size");
        if (unit == 1)
            for (size_t i = 0; i < pixels; i++) to[i * samples] = (uint8_t)v[i];
        else if (unit == 2)
            for (size_t i = 0; i < pixels; i++) gn_store_le16(to + 2 * i * samples, (uint16_t)v[i]);
        else
            for (size_t i = 0; i < pixels; i++)
                for (unsigned b = 0; b < unit; b++) to[i * samples * unit + b] = (uint8_t)(b < 4 ? (uint32_t)v[i] >> (8 * b) : v[i] < 0 ? 0xFFu : 0);
    }
    return 0;
}

static int decode(opj_codec_t *codec, opj_stream_t *stream, opj_image_t **image, const messages *m, gn_error *e) {
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE)) return gn_fail(e, GN_E_NO_MEMORY, "no JPEG 2000 decoder");
    if (!opj_read_header(stream, codec, image) || !opj_decode(codec, stream, *image) || !opj_end_decompress(codec, stream))
        return gn_fail(e, GN_E_INVALID, "JPEG 2000: %s", m->text[0] ? m->text : "cannot be decoded");
    return 0;
}

static int decode_into(const pixel_job *job, bool boxed, pixel_frame *out, gn_error *e) {
    memory m = { job->bytes, job->n, 0 };
    messages said = { "" };
    opj_image_t *image = NULL;
    opj_stream_t *stream = input_stream(&m);
    opj_codec_t *codec = opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    int rc = stream && codec ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory for a JPEG 2000 decoder");
    if (!rc) {
        opj_set_error_handler(codec, on_error, &said);
        opj_set_warning_handler(codec, on_warning, &said);
        rc = decode(codec, stream, &image, &said, e);
    }
    if (!rc) rc = store(image, out, e);
    opj_image_destroy(image);
    opj_destroy_codec(codec);
    opj_stream_destroy(stream);
    return rc;
}

int pixel_j2k_decode(const pixel_job *job, pixel_frame *out, gn_error *e) {
    bool boxed;
    const uint8_t *p = codestream_in(job->bytes, job->n, &boxed);
    pixel_stream_info s = { .codec = "JPEG 2000" };
    if (!p) return gn_fail(e, GN_E_INVALID, "the frame does not begin as a JPEG 2000 stream");
    int rc = check_siz(p, job->n - (size_t)(p - job->bytes), &s, e);
    if (!rc) rc = pixel_check_stream(job, &s, e);
    if (rc) return rc;
    if (s.precision > 31) return gn_fail(e, GN_E_UNSUPPORTED, "JPEG 2000 with %" PRIu32 " bits", s.precision);
    pixel_format f = *job->format;
    f.planar = false;
    if (f.photometric == PIXEL_YBR_ICT || f.photometric == PIXEL_YBR_RCT) f.photometric = PIXEL_RGB; /* the transform is undone by the decoder */
    else if (f.photometric == PIXEL_YBR_FULL_422 || f.photometric == PIXEL_YBR_PARTIAL_420) f.photometric = PIXEL_YBR_FULL;
    if ((rc = pixel_frame_new(&f, job->max_bytes, out, e)) != 0) return rc;
    if ((rc = decode_into(job, boxed, out, e)) != 0) pixel_frame_done(out);
    return rc;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------------- */

typedef struct output { gn_buf *out; size_t start, at; } output;

static OPJ_SIZE_T on_write(void *from, OPJ_SIZE_T n, void *ctx) {
    output *o = ctx;
    size_t end = o->start + o->at + n;
    if (end > o->out->n && !gn_buf_reserve(o->out, end - o->out->n)) return (OPJ_SIZE_T)-1;
    memcpy(o->out->p + o->start + o->at, from, n);
    o->at += n;
    if (end > o->out->n) o->out->n = end;
    return n;
}

static OPJ_BOOL on_write_seek(OPJ_OFF_T at, void *ctx) {
    output *o = ctx;
    if (at < 0 || (uint64_t)at > o->out->n - o->start) return OPJ_FALSE;
    o->at = (size_t)at;
    return OPJ_TRUE;
}

static OPJ_OFF_T on_write_skip(OPJ_OFF_T n, void *ctx) {
    output *o = ctx;
    return n >= 0 && on_write_seek((OPJ_OFF_T)o->at + n, ctx) ? n : -1;
}

static opj_image_t *image_of(const pixel_frame *frame, unsigned bits) {
    const pixel_format *f = &frame->format;
    opj_image_cmptparm_t parts[4];
    memset(parts, 0, sizeof parts);
    for (unsigned i = 0; i < f->samples; i++) {
        parts[i].dx = parts[i].dy = 1;
        parts[i].w = f->columns;
        parts[i].h = f->rows;
        parts[i].prec = bits;
        parts[i].sgnd = f->sample == PIXEL_SIGNED;
    }
    opj_image_t *image = opj_image_create(f->samples, parts, f->samples == 1 ? OPJ_CLRSPC_GRAY : OPJ_CLRSPC_SRGB);
    if (!image) return NULL;
    image->x1 = f->columns;
    image->y1 = f->rows;
    for (unsigned i = 0; i < f->samples; i++)
        pixel_values(frame, bits, i, f->samples, (size_t)f->rows * f->columns, image->comps[i].data);
    return image;
}

unsigned j2k_decompositions(const pixel_format *f, unsigned wanted) {
    uint32_t least = f->rows < f->columns ? f->rows : f->columns;
    unsigned levels = 0;
    while (levels < wanted && least >> (levels + 1) > 0) levels++;
    return levels;
}

bool j2k_transforms_colour(const pixel_format *f) {
    return f->samples == 3 && (f->photometric == PIXEL_RGB || f->photometric == PIXEL_YBR_ICT || f->photometric == PIXEL_YBR_RCT);
}

static void set_parameters(const pixel_format *f, double ratio, opj_cparameters_t *p) {
    opj_set_default_encoder_parameters(p);
    p->tcp_numlayers = 1;
    p->cp_disto_alloc = 1;
    p->tcp_rates[0] = ratio > 1 ? (float)ratio : 0;
    p->irreversible = ratio > 1;
    p->numresolution = (int)j2k_decompositions(f, 5) + 1;
    p->tcp_mct = j2k_transforms_colour(f);
}

static int encode(const pixel_frame *frame, unsigned bits, double ratio, output *to, gn_error *e) {
    messages said = { "" };
    opj_cparameters_t parameters;
    opj_image_t *image = image_of(frame, bits);
    opj_codec_t *codec = opj_create_compress(OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_create(1u << 20, OPJ_FALSE);
    bool ok = image && codec && stream;
    int rc = ok ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory for a JPEG 2000 encoder");
    if (ok) {
        opj_stream_set_user_data(stream, to, NULL);
        opj_stream_set_write_function(stream, on_write);
        opj_stream_set_seek_function(stream, on_write_seek);
        opj_stream_set_skip_function(stream, on_write_skip);
        opj_set_error_handler(codec, on_error, &said);
        set_parameters(&frame->format, ratio, &parameters);
        ok = opj_setup_encoder(codec, &parameters, image) && opj_start_compress(codec, image, stream) && opj_encode(codec, stream) &&
             opj_end_compress(codec, stream);
        if (!ok) rc = gn_fail(e, to->out->failed ? GN_E_NO_MEMORY : GN_E_INTERNAL, "JPEG 2000: %s", said.text[0] ? said.text : "cannot be encoded");
    }
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    opj_image_destroy(image);
    return rc;
}

int pixel_j2k_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e) {
    bool lossless = strcmp(uid, "1.2.840.10008.1.2.4.90") == 0;
    int rc = pixel_encode_check(frame, 1, 24, "JPEG 2000", e);
    if (rc) return rc;
    unsigned bits = pixel_precision(frame);
    if (bits > 24) return gn_fail(e, GN_E_UNSUPPORTED, "JPEG 2000 of samples with %u bits", bits);
    if (!lossless && !(o->ratio >= 0 && o->ratio <= 1000)) return gn_fail(e, GN_E_INVALID, "the JPEG 2000 ratio must be 0 to 1000");
    output to = { out, out->n, 0 };
    return encode(frame, bits, lossless ? 0 : o->ratio, &to, e);
}
