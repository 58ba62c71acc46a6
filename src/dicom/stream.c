/* stream: the streaming reader: bytes of a data set are pushed as they come off the network; what is not bulk is kept.
 *
 * It is the scan of scan.c with two things in front: a carry of at most SCAN_MAX_HEADER bytes, for a header that was cut by
 * the end of a piece, and the inflater of the deflated transfer syntax (PS3.5 §A.5). Pixel data is only counted: no byte of it
 * is copied. A compressed data set is inflated through one small window, whatever it grows to (T6). */
#include "stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW ((size_t)64 << 10)
/* Deflate cannot exceed 1:1032. Data beyond RATIO_FROM bytes that grows by more than RATIO is taken for a bomb; masks of
 * segmentations, the best compressible data there is in earnest, stay below. */
#define RATIO_FROM (UINT64_C(256) << 20)
#define RATIO 500

struct dicom_stream {
    scan scan;
    dicom_dataset *root;
    gn_error error; /* the first one, once there was one */
    uint8_t carry[2 * SCAN_MAX_HEADER];
    size_t carried;
    bool deflated, inflater_ready, inflater_done;
    uint8_t head[2]; /* the first bytes of deflated data */
    size_t heads;
    uint64_t max_inflated, in, out;
    z_stream z;
    uint8_t *window;
};

/* ---- the scan, fed with pieces ----------------------------------------------------------------------------------------- */

/* Fills the carry from the piece, one byte at a time as the header asks for them, and scans it away. */
static int scan_carry(dicom_stream *s, const uint8_t **p, size_t *n, gn_error *e) {
    while (s->carried > 0 && *n > 0) {
        size_t used, part = sizeof s->carry - s->carried;
        if (part > *n) part = *n;
        memcpy(s->carry + s->carried, *p, part);
        int rc = scan_run(&s->scan, s->carry, s->carried + part, &used, e);
        if (rc) return rc;
        if (used >= s->carried) { /* the rest of the piece goes on where the carry ended */
            *p += used - s->carried;
            *n -= used - s->carried;
            s->carried = 0;
            return 0;
        }
        s->carried += part - used;
        memmove(s->carry, s->carry + used, s->carried);
        *p += part;
        *n -= part;
    }
    return 0;
}

static int scan_piece(dicom_stream *s, const uint8_t *p, size_t n, gn_error *e) {
    size_t used;
    int rc = scan_carry(s, &p, &n, e);
    if (rc || n == 0) return rc;
    rc = scan_run(&s->scan, p, n, &used, e);
    if (rc) return rc;
    s->carried = n - used;
    if (s->carried > sizeof s->carry) return gn_fail(e, GN_E_INTERNAL, "the scan left %zu bytes", s->carried);
    memcpy(s->carry, p + used, s->carried);
    return 0;
}

/* ---- inflating --------------------------------------------------------------------------------------------------------- */

/* Deflated data has no zlib header; some writers add one, which cannot begin raw deflate of a sane encoder. */
static int start_inflater(dicom_stream *s, gn_error *e) {
    bool wrapped = s->heads == 2 && s->head[0] == 0x78 && ((unsigned)s->head[0] << 8 | s->head[1]) % 31 == 0;
    if (!s->window) s->window = malloc(WINDOW);
    if (!s->window || inflateInit2(&s->z, wrapped ? MAX_WBITS : -MAX_WBITS) != Z_OK)
        return gn_fail(e, GN_E_NO_MEMORY, "no memory to inflate");
    s->inflater_ready = true;
    return 0;
}

static int check_growth(dicom_stream *s, gn_error *e) {
    if (s->out > s->max_inflated)
        return gn_fail(e, GN_E_TOO_LARGE, "the deflated data set grows beyond %" PRIu64 " bytes", s->max_inflated);
    if (s->out > RATIO_FROM && s->out / RATIO > s->in)
        return gn_fail(e, GN_E_TOO_LARGE, "the deflated data set grows more than %d times", RATIO);
    return 0;
}

static int inflate_piece(dicom_stream *s, const uint8_t *p, size_t n, gn_error *e) {
    s->z.next_in = (Bytef *)(uintptr_t)p;
    s->z.avail_in = (uInt)n;
    for (;;) {
        s->z.next_out = s->window;
        s->z.avail_out = (uInt)WINDOW;
        uInt before = s->z.avail_in;
        int zrc = inflate(&s->z, Z_NO_FLUSH);
        if (zrc == Z_MEM_ERROR) return gn_fail(e, GN_E_NO_MEMORY, "no memory to inflate");
        if (zrc != Z_OK && zrc != Z_STREAM_END && zrc != Z_BUF_ERROR)
            return gn_fail(e, GN_E_INVALID, "deflated data is damaged");
        size_t made = WINDOW - s->z.avail_out;
        s->in += before - s->z.avail_in;
        s->out += made;
        int rc = check_growth(s, e);
        if (rc == 0) rc = scan_piece(s, s->window, made, e);
        if (rc) return rc;
        s->inflater_done = zrc == Z_STREAM_END;
        if (s->inflater_done || (s->z.avail_in == 0 && s->z.avail_out > 0) || (made == 0 && before == s->z.avail_in))
            return 0;
    }
}

static int push_deflated(dicom_stream *s, const uint8_t *p, size_t n, gn_error *e) {
    int rc = 0;
    while (s->heads < 2 && n > 0) {
        s->head[s->heads++] = *p++;
        n--;
        if (s->heads < 2) continue;
        rc = start_inflater(s, e);
        if (rc == 0) rc = inflate_piece(s, s->head, 2, e);
        if (rc) return rc;
    }
    while (rc == 0 && n > 0 && !s->inflater_done) { /* what follows the end of deflated data is padding */
        size_t part = n < ((size_t)1 << 30) ? n : (size_t)1 << 30;
        rc = inflate_piece(s, p, part, e);
        p += part;
        n -= part;
    }
    return rc;
}

/* ---- the public face --------------------------------------------------------------------------------------------------- */

dicom_stream *dicom_stream_open(gn_arena *arena, const dicom_transfer_syntax *ts, const scan_options *options,
                                uint64_t max_inflated, gn_error *e) {
    dicom_dataset *root = dicom_dataset_new(arena, e);
    if (!root) return NULL;
    dicom_stream *s = malloc(sizeof *s);
    if (!s) {
        gn_fail(e, GN_E_NO_MEMORY, "no memory for a stream");
        return NULL;
    }
    memset((char *)s + offsetof(dicom_stream, root), 0, sizeof *s - offsetof(dicom_stream, root));
    s->root = root;
    s->deflated = ts->deflated;
    s->max_inflated = max_inflated;
    if (scan_init(&s->scan, root, ts, options, e)) {
        free(s);
        return NULL;
    }
    return s;
}

dicom_stream *dicom_stream_new(gn_arena *arena, const dicom_transfer_syntax *ts, const dicom_stream_options *options,
                               gn_error *e) {
    static const dicom_stream_options defaults = { 0 };
    const dicom_stream_options *o = options ? options : &defaults;
    scan_options limits = {
        .max_value = o->max_value ? o->max_value : DICOM_DEFAULT_MAX_VALUE,
        .max_kept = o->max_header ? o->max_header : DICOM_DEFAULT_MAX_HEADER,
        .max_fragments = o->max_fragments ? o->max_fragments : DICOM_DEFAULT_MAX_FRAGMENTS,
        .accept_cut_pixels = o->accept_cut_pixel_data,
    };
    return dicom_stream_open(arena, ts, &limits, o->max_inflated ? o->max_inflated : DICOM_DEFAULT_MAX_INFLATED, e);
}

/* Tells a caller the error that the stream has, with its place. */
static int report(const dicom_stream *s, gn_error *e) {
    if (e && e->code == 0) *e = s->error;
    return s->error.code;
}

int dicom_stream_push(dicom_stream *s, const void *bytes, size_t n, gn_error *e) {
    if (s->error.code) return report(s, e);
    if (n == 0) return 0;
    int rc = s->deflated ? push_deflated(s, bytes, n, &s->error) : scan_piece(s, bytes, n, &s->error);
    return rc ? report(s, e) : 0;
}

int dicom_stream_finish(dicom_stream *s, dicom_dataset **out, gn_error *e) {
    size_t used = 0;
    if (s->error.code) return report(s, e);
    int rc = 0;
    if (s->deflated && s->heads == 1) { /* one byte is no deflated data at all, but it is for the inflater to say so */
        rc = start_inflater(s, &s->error);
        if (rc == 0) rc = inflate_piece(s, s->head, 1, &s->error);
    }
    if (rc == 0)
        rc = scan_run(&s->scan, s->carry, s->carried, &used, &s->error); /* closes what ends here by its length */
    bool cut = s->deflated && s->heads > 0 && !s->inflater_done && !s->scan.options.accept_truncated &&
               s->scan.state != SCAN_END;
    if (rc == 0 && cut) rc = gn_fail(&s->error, GN_E_TRUNCATED, "deflated data ends too early");
    if (rc == 0) rc = scan_finish(&s->scan, s->carry + used, s->carried - used, &s->error);
    if (rc) return report(s, e);
    *out = s->root;
    return 0;
}

void dicom_stream_free(dicom_stream **s) {
    if (!s || !*s) return;
    if ((*s)->inflater_ready) inflateEnd(&(*s)->z);
    scan_done(&(*s)->scan);
    free((*s)->window);
    free(*s);
    *s = NULL;
}
