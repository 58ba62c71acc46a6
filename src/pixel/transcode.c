/* transcode: a whole Part 10 object in another transfer syntax (PS3.5 §8.2, Annex A; PS3.10 §7), frame by frame.
 *
 * The data set without its pixels is parsed while the object is read once; each frame is then read, decoded, encoded and
 * written, so that memory is bounded by a frame. Only a lossy target must hold its (small) encoded frames, because the data
 * set in front of them states their ratio. Frames are one fragment each; the Basic Offset Table is empty but for one frame. */
#include "transcode.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

enum { PIECE = 256 * 1024, MAX_META = 1 << 20 };
#define MAX_HELD ((size_t)2 << 30)

typedef struct object {
    const pixel_source *in;
    gn_arena *arena;
    gn_buf whole; /* a deflated object is read as a whole */
    dicom_file file;
    dicom_pixel_description description;
    pixel_format format;
    dicom_frame *frames;
    size_t count;
    pixel_workers *workers; /* NULL: frames are decoded in this process */
} object;

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static int load(const pixel_source *in, uint64_t n, gn_buf *out, gn_error *e) {
    uint8_t *p = gn_buf_reserve(out, (size_t)n);
    if (!p) return gn_fail(e, GN_E_TOO_LARGE, "no memory for %" PRIu64 " bytes of the object", n);
    int rc = in->read_at(in->ctx, 0, p, (size_t)n, e);
    if (!rc) out->n = (size_t)n;
    return rc;
}

/* The meta group, from a growing prefix. Its strings live in the arena, the prefix may go. */
static int read_meta(object *o, gn_error *e) {
    for (uint64_t n = 4096;; n *= 8) {
        gn_error tried = GN_ERROR_INIT;
        gn_buf prefix = GN_BUF_INIT;
        uint64_t take = n < o->in->length ? n : o->in->length;
        int rc = load(o->in, take, &prefix, e);
        uint8_t *kept = rc ? NULL : gn_arena_memdup(o->arena, prefix.p, prefix.n);
        gn_buf_done(&prefix);
        if (rc) return rc;
        if (!kept) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the object's header");
        rc = dicom_file_read_meta(o->arena, kept, (size_t)take, &o->file, &tried);
        if (rc != GN_E_TRUNCATED || take == o->in->length || n > MAX_META) return rc ? gn_fail(e, rc, "%s", tried.message) : 0;
    }
}

static int stream_dataset(object *o, dicom_stream *s, gn_error *e) {
    uint8_t *piece = malloc(PIECE);
    int rc = piece ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory for the object");
    for (uint64_t at = o->file.dataset_offset; !rc && at < o->in->length;) {
        size_t n = o->in->length - at < PIECE ? (size_t)(o->in->length - at) : PIECE;
        rc = o->in->read_at(o->in->ctx, at, piece, n, e);
        if (!rc) rc = dicom_stream_push(s, piece, n, e);
        at += n;
    }
    free(piece);
    return rc ? rc : dicom_stream_finish(s, &o->file.dataset, e);
}

static int read_dataset(object *o, uint64_t max_bytes, gn_error *e) {
    if (o->file.transfer_syntax->deflated) {
        dicom_read_options all = { .keep_everything = true, .max_inflated = max_bytes };
        int rc = o->in->length > max_bytes ? gn_fail(e, GN_E_TOO_LARGE, "a deflated object of %" PRIu64 " bytes", o->in->length) : load(o->in, o->in->length, &o->whole, e);
        return rc ? rc : dicom_file_read(o->arena, o->whole.p, o->whole.n, &all, &o->file, e);
    }
    dicom_stream_options options = { .max_value = 1 << 20, .max_header = 256u << 20 };
    dicom_stream *s = dicom_stream_new(o->arena, o->file.transfer_syntax, &options, e);
    int rc = s ? stream_dataset(o, s, e) : GN_E_NO_MEMORY;
    dicom_stream_free(&s);
    return rc;
}

/* Bytes of the data set's stream: from memory when deflated, else from the source. */
static int fetch(const object *o, uint64_t offset, void *to, size_t n, gn_error *e) {
    const dicom_element *el = o->description.element;
    if (o->file.transfer_syntax->deflated) {
        if (!el || !el->value || offset < el->offset || offset - el->offset > el->length || n > el->length - (offset - el->offset))
            return gn_fail(e, GN_E_TRUNCATED, "the pixel data end early");
        memcpy(to, el->value + (offset - el->offset), n);
        return 0;
    }
    uint64_t from;
    if (!gn_add_u64(o->file.dataset_offset, offset, &from) || from > o->in->length || n > o->in->length - from)
        return gn_fail(e, GN_E_TRUNCATED, "the pixel data end early");
    return o->in->read_at(o->in->ctx, from, to, n, e);
}

static int read_at(void *ctx, uint64_t offset, void *buf, size_t n) { return fetch(ctx, offset, buf, n, NULL); }

static int read_object(object *o, uint64_t max_bytes, gn_error *e) {
    int rc = read_meta(o, e);
    if (!rc && !o->file.transfer_syntax) return gn_fail(e, GN_E_INTERNAL, "no transfer syntax");
    if (!rc) rc = read_dataset(o, max_bytes, e);
    if (rc) return rc;
    dicom_pixel_describe(o->file.dataset, o->file.transfer_syntax, &o->description);
    if (!o->description.present) return 0;
    rc = pixel_format_of(o->file.dataset, &o->format, e);
    return rc ? rc : dicom_pixel_frames(o->file.dataset, &o->description, read_at, o, &o->frames, &o->count, e);
}

static int append_range(const object *o, uint64_t offset, uint64_t n, gn_buf *out, gn_error *e) {
    uint8_t *p = n <= SIZE_MAX ? gn_buf_reserve(out, (size_t)n) : NULL;
    if (!p) return gn_fail(e, GN_E_TOO_LARGE, "no memory for a frame of %" PRIu64 " bytes", n);
    int rc = fetch(o, offset, p, (size_t)n, e);
    if (!rc) out->n += (size_t)n;
    return rc;
}

static int read_frame(const object *o, size_t i, const pixel_limits *limits, pixel_frame *out, gn_error *e) {
    const dicom_frame *f = &o->frames[i];
    const dicom_fragments *fragments = o->description.element->fragments;
    const dicom_transfer_syntax *ts = o->file.transfer_syntax;
    gn_buf encoded = GN_BUF_INIT;
    uint64_t left = f->length;
    int rc = 0;
    if (!fragments) rc = append_range(o, f->offset, f->length, &encoded, e);
    for (uint32_t k = 0; fragments && !rc && k < f->fragments && left > 0; k++) {
        const dicom_extent *x = &fragments->extent[f->first_fragment + k];
        uint64_t take = x->length < left ? x->length : left;
        rc = append_range(o, x->offset, take, &encoded, e);
        left -= take;
    }
    if (o->description.native && ts->encapsulated) ts = dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE);
    if (!rc && o->workers && ts->encapsulated) rc = pixel_workers_decode(o->workers, ts, &o->format, encoded.p, encoded.n, f->bit_offset, limits, out, e);
    else if (!rc) rc = pixel_decode(ts, &o->format, encoded.p, encoded.n, f->bit_offset, limits, out, e);
    if (rc) gn_error_at(e, "frame %zu", i + 1);
    gn_buf_done(&encoded);
    return rc;
}

/* ---- writing ----------------------------------------------------------------------------------------------------------- */

typedef struct writer {
    pixel_sink *sink;
    bool deflated;
    z_stream z;
    uint64_t written; /* bytes behind the meta group, for the even length of deflated ones */
    uint8_t carry;    /* bits of 1-bit frames that do not fill a byte yet */
    unsigned carried;
} writer;

static int put(writer *w, const void *p, size_t n, gn_error *e) {
    if (!w->deflated) return n ? w->sink->write(w->sink->ctx, p, n, e) : 0;
    uint8_t room[16384];
    w->z.next_in = (Bytef *)(uintptr_t)p;
    while (n > 0 || w->z.avail_in > 0) {
        uInt take = n > 1u << 30 ? 1u << 30 : (uInt)n;
        if (w->z.avail_in == 0) w->z.avail_in = take, n -= take;
        w->z.next_out = room, w->z.avail_out = sizeof room;
        if (deflate(&w->z, Z_NO_FLUSH) == Z_STREAM_ERROR) return gn_fail(e, GN_E_INTERNAL, "deflate");
        w->written += sizeof room - w->z.avail_out;
        int rc = w->z.avail_out < sizeof room ? w->sink->write(w->sink->ctx, room, sizeof room - w->z.avail_out, e) : 0;
        if (rc) return rc;
    }
    return 0;
}

static int finish(writer *w, gn_error *e) {
    uint8_t room[16384];
    int zrc = Z_OK, rc = 0;
    if (!w->deflated) return 0;
    w->z.avail_in = 0;
    while (zrc != Z_STREAM_END && !rc) {
        w->z.next_out = room, w->z.avail_out = sizeof room;
        zrc = deflate(&w->z, Z_FINISH);
        if (zrc == Z_STREAM_ERROR) return gn_fail(e, GN_E_INTERNAL, "deflate");
        w->written += sizeof room - w->z.avail_out;
        rc = w->sink->write(w->sink->ctx, room, sizeof room - w->z.avail_out, e);
    }
    return rc || w->written % 2 == 0 ? rc : w->sink->write(w->sink->ctx, "", 1, e);
}

static int fetch_bulk(void *ctx, const dicom_element *el, gn_buf *out, gn_error *e) { return append_range(ctx, el->offset, el->length, out, e); }

/* Elements `first` to `end` of the data set. */
static int put_elements(writer *w, const object *o, const transcode_plan *plan, size_t first, size_t end, gn_error *e) {
    dicom_dataset part = *o->file.dataset;
    dicom_write_options options = { .bulk = fetch_bulk, .ctx = (void *)(uintptr_t)o, .without_group_lengths = true };
    const dicom_transfer_syntax *ts = plan->to->deflated ? dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE) : plan->to;
    gn_buf bytes = GN_BUF_INIT;
    part.element += first;
    part.count = end - first;
    int rc = part.count ? dicom_dataset_write(&part, ts, &options, &bytes, e) : 0;
    if (!rc) rc = put(w, bytes.p, bytes.n, e);
    gn_buf_done(&bytes);
    return rc;
}

static int put_meta(const object *o, const transcode_plan *plan, pixel_sink *sink, gn_error *e) {
    char sop_class[65], sop_instance[65];
    gn_buf header = GN_BUF_INIT;
    dicom_dataset_ascii_into(o->file.dataset, DICOM_TAG_SOPClassUID, sop_class, sizeof sop_class);
    dicom_dataset_ascii_into(o->file.dataset, DICOM_TAG_SOPInstanceUID, sop_instance, sizeof sop_instance);
    int rc = dicom_file_header_write(sop_class, sop_instance, plan->to_uid, NULL, &header, e);
    if (!rc) rc = sink->write(sink->ctx, header.p, header.n, e);
    gn_buf_done(&header);
    return rc;
}

static void put16(gn_buf *b, bool big_endian, uint16_t v) {
    if (big_endian) gn_buf_be16(b, v);
    else gn_buf_le16(b, v);
}

/* Tag, VR and length of the pixel data. */
static int put_pixel_header(writer *w, const transcode_plan *plan, dicom_tag tag, uint32_t length, gn_error *e) {
    bool big = plan->to->big_endian;
    gn_buf b = GN_BUF_INIT;
    dicom_vr vr = tag == DICOM_TAG_FloatPixelData ? DICOM_VR_OF : tag == DICOM_TAG_DoubleFloatPixelData ? DICOM_VR_OD
                  : plan->to->encapsulated || plan->format.allocated <= 8 ? DICOM_VR_OB : DICOM_VR_OW;
    put16(&b, big, dicom_tag_group(tag));
    put16(&b, big, dicom_tag_element(tag));
    if (!plan->to->implicit_vr) {
        gn_buf_putc(&b, (char)(vr >> 8));
        gn_buf_putc(&b, (char)vr);
        put16(&b, big, 0);
    }
    put16(&b, big, (uint16_t)(big ? length >> 16 : length));
    put16(&b, big, (uint16_t)(big ? length : length >> 16));
    int rc = b.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for the object") : put(w, b.p, b.n, e);
    gn_buf_done(&b);
    return rc;
}

static int put_item(writer *w, uint16_t element, uint32_t length, gn_error *e) {
    uint8_t item[8];
    gn_store_le16(item, 0xFFFE);
    gn_store_le16(item + 2, element);
    gn_store_le32(item + 4, length);
    return put(w, item, sizeof item, e);
}

static int put_fragment(writer *w, const uint8_t *p, size_t n, gn_error *e) {
    if (n > UINT32_MAX - 2) return gn_fail(e, GN_E_TOO_LARGE, "an encoded frame of %zu bytes", n);
    int rc = put_item(w, 0xE000, (uint32_t)(n + n % 2), e);
    if (!rc) rc = put(w, p, n, e);
    return rc || n % 2 == 0 ? rc : put(w, "", 1, e);
}

/* ---- native frames ----------------------------------------------------------------------------------------------------- */

/* Frames of one bit follow each other without filling up to a byte (PS3.5 §8.1.1). */
static int put_bits(writer *w, const pixel_frame *frame, gn_error *e) {
    uint8_t bytes[4096];
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < frame->n && !rc; i++) {
        w->carry |= (uint8_t)((frame->bytes[i] & 1u) << w->carried++);
        if (w->carried < 8) continue;
        bytes[n++] = w->carry;
        w->carry = 0, w->carried = 0;
        if (n == sizeof bytes) rc = put(w, bytes, n, e), n = 0;
    }
    return rc ? rc : put(w, bytes, n, e);
}

static int native_length(const object *o, const pixel_format *f, uint64_t *length, gn_error *e) {
    uint64_t frame, total;
    int rc = pixel_frame_bytes(f, UINT64_MAX, &frame, e);
    if (rc) return rc;
    if (!gn_mul_u64(frame, o->count, &total)) total = UINT64_MAX;
    else if (f->allocated == 1) total = (total + 7) / 8;
    if (f->allocated % 8 && f->allocated != 1 && o->count > 1 && pixel_sample_count(f) * f->allocated % 8)
        return gn_fail(e, GN_E_UNSUPPORTED, "frames of %u-bit samples that share bytes", f->allocated);
    if (total > UINT32_MAX - 2) return gn_fail(e, GN_E_TOO_LARGE, "uncompressed pixel data of %" PRIu64 " bytes do not fit into one object", total);
    *length = total;
    return 0;
}

static int put_native(writer *w, const object *o, const transcode_plan *plan, pixel_frame *first, const pixel_limits *limits, gn_error *e) {
    uint64_t length = 0;
    int rc = native_length(o, &plan->format, &length, e);
    if (!rc) rc = put_pixel_header(w, plan, o->description.element->tag, (uint32_t)(length + length % 2), e);
    for (size_t i = 0; i < o->count && !rc; i++) {
        pixel_frame frame = { 0 };
        gn_buf bytes = GN_BUF_INIT;
        if (i == 0) frame = *first, *first = (pixel_frame){ 0 };
        else rc = read_frame(o, i, limits, &frame, e);
        if (!rc && frame.format.allocated == 1) rc = put_bits(w, &frame, e);
        else if (!rc) rc = pixel_encode(plan->to_uid, &frame, NULL, &bytes, e);
        if (!rc) rc = put(w, bytes.p, bytes.n, e);
        gn_buf_done(&bytes);
        pixel_frame_done(&frame);
    }
    if (!rc && w->carried) rc = put(w, &w->carry, 1, e);
    return rc || length % 2 == 0 ? rc : put(w, "", 1, e);
}

/* ---- encapsulated frames ----------------------------------------------------------------------------------------------- */

/* Codecs have no halved colour: each pair of pixels gets its own copy. */
static int expand_422(pixel_frame *f, gn_error *e) {
    pixel_frame full = { 0 };
    pixel_format format = f->format;
    if (format.photometric != PIXEL_YBR_FULL_422) return 0;
    if (format.allocated != 8) return gn_fail(e, GN_E_UNSUPPORTED, "halved colour of %u bits", format.allocated);
    format.photometric = PIXEL_YBR_FULL;
    int rc = pixel_frame_new(&format, UINT64_MAX, &full, e);
    if (rc) return rc;
    for (size_t i = 0, k = 0; i + 4 <= f->n; i += 4, k += 6) {
        const uint8_t *p = f->bytes + i;
        memcpy(full.bytes + k, (uint8_t[]){ p[0], p[2], p[3], p[1], p[2], p[3] }, 6);
    }
    pixel_frame_done(f);
    *f = full;
    return 0;
}

static int encode_frame(const object *o, const transcode_plan *plan, size_t i, pixel_frame *first, const pixel_limits *limits, gn_buf *out, gn_error *e) {
    pixel_frame frame = { 0 };
    int rc = 0;
    if (i == 0) frame = *first, *first = (pixel_frame){ 0 };
    else rc = read_frame(o, i, limits, &frame, e);
    if (!rc) rc = expand_422(&frame, e);
    if (!rc) rc = pixel_encode(plan->to_uid, &frame, plan->options, out, e);
    if (rc) gn_error_at(e, "frame %zu", i + 1);
    pixel_frame_done(&frame);
    return rc;
}

/* The encoded frames of a lossy target, one behind the other. */
typedef struct held { gn_buf bytes; size_t *length; } held;

static int hold_frames(const object *o, transcode_plan *plan, pixel_frame *first, const pixel_limits *limits, held *h, gn_error *e) {
    uint64_t raw;
    int rc = pixel_frame_bytes(&plan->format, UINT64_MAX, &raw, e);
    h->bytes.limit = MAX_HELD;
    h->length = calloc(o->count, sizeof *h->length);
    if (!h->length) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the frames");
    for (size_t i = 0; i < o->count && !rc; i++) {
        size_t start = h->bytes.n;
        rc = encode_frame(o, plan, i, first, limits, &h->bytes, e);
        h->length[i] = h->bytes.n - start;
    }
    if (!rc) plan->ratio = (double)raw * (double)o->count / (double)h->bytes.n;
    return rc;
}

static int put_encapsulated(writer *w, const object *o, const transcode_plan *plan, pixel_frame *first, const held *h, const pixel_limits *limits, gn_error *e) {
    size_t at = 0;
    int rc = put_pixel_header(w, plan, o->description.element->tag, DICOM_UNDEFINED_LENGTH, e);
    if (!rc) rc = put_item(w, 0xE000, o->count == 1 ? 4 : 0, e);
    if (!rc && o->count == 1) rc = put(w, "\0\0\0\0", 4, e);
    for (size_t i = 0; i < o->count && !rc; i++) {
        gn_buf bytes = GN_BUF_INIT;
        if (h->length) rc = put_fragment(w, h->bytes.p + at, h->length[i], e), at += h->length[i];
        else if ((rc = encode_frame(o, plan, i, first, limits, &bytes, e)) == 0) rc = put_fragment(w, bytes.p, bytes.n, e);
        gn_buf_done(&bytes);
    }
    return rc ? rc : put_item(w, 0xE0DD, 0, e);
}

/* ---- the whole --------------------------------------------------------------------------------------------------------- */

static int put_object(const object *o, const transcode_plan *plan, pixel_frame *first, const held *h, const pixel_limits *limits, pixel_sink *out, gn_error *e) {
    const dicom_dataset *ds = o->file.dataset;
    writer w = { .sink = out, .deflated = plan->to->deflated };
    size_t at = ds->count;
    for (size_t i = 0; o->description.present && i < ds->count; i++)
        if (ds->element[i].tag == o->description.element->tag) at = i < at ? i : at;
    if (w.deflated && deflateInit2(&w.z, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) return gn_fail(e, GN_E_NO_MEMORY, "no memory to deflate");
    int rc = put_meta(o, plan, out, e);
    if (!rc) rc = put_elements(&w, o, plan, 0, at, e);
    if (!rc && at < ds->count) {
        rc = plan->to->encapsulated ? put_encapsulated(&w, o, plan, first, h, limits, e) : put_native(&w, o, plan, first, limits, e);
        if (!rc) rc = put_elements(&w, o, plan, at + 1, ds->count, e);
    }
    if (!rc) rc = finish(&w, e);
    if (w.deflated) deflateEnd(&w.z);
    return rc;
}

static int copy(const pixel_source *in, pixel_sink *out, gn_error *e) {
    uint8_t *piece = malloc(PIECE);
    int rc = piece ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory to copy");
    for (uint64_t at = 0; at < in->length && !rc;) {
        size_t n = in->length - at < PIECE ? (size_t)(in->length - at) : PIECE;
        rc = in->read_at(in->ctx, at, piece, n, e);
        if (!rc) rc = out->write(out->ctx, piece, n, e);
        at += n;
    }
    free(piece);
    return rc;
}

/* Elements that come or go in front of the pixels move them: look again, by a tag that was read before. */
static int change_attributes(object *o, const transcode_plan *plan, gn_error *e) {
    dicom_tag tag = o->description.element->tag;
    int rc = transcode_attributes(o->file.dataset, plan, o->file.transfer_syntax, e);
    if (rc) return rc;
    o->description.element = dicom_dataset_find(o->file.dataset, tag);
    return o->description.element ? 0 : gn_fail(e, GN_E_INTERNAL, "the pixel data are lost");
}

static int transcode(object *o, transcode_plan *plan, const pixel_limits *limits, pixel_sink *out, gn_error *e) {
    pixel_frame first = { 0 };
    held h = { .bytes = GN_BUF_INIT, .length = NULL };
    int rc = 0;
    if (!o->description.present && plan->to->encapsulated) return gn_fail(e, GN_E_UNSUPPORTED, "an object without pixel data in a compressed syntax");
    if (o->description.present && o->count == 0) return gn_fail(e, GN_E_TRUNCATED, "the object has no whole frame");
    if (o->description.present) {
        rc = read_frame(o, 0, limits, &first, e);
        if (!rc && plan->to->encapsulated) rc = expand_422(&first, e);
        plan->format = first.format;
        if (!rc && plan->lossy) rc = hold_frames(o, plan, &first, limits, &h, e);
        if (!rc) rc = change_attributes(o, plan, e);
    }
    if (!rc) rc = put_object(o, plan, &first, &h, limits, out, e);
    free(h.length);
    gn_buf_done(&h.bytes);
    pixel_frame_done(&first);
    return rc;
}

int pixel_transcode(const pixel_source *in, const char *to_uid, const pixel_encode_options *options, const pixel_limits *limits, pixel_sink *out, gn_error *e) {
    static const pixel_encode_options defaults = { 0 };
    uint64_t max_bytes = limits && limits->max_frame_bytes ? limits->max_frame_bytes : (uint64_t)1 << 30;
    transcode_plan plan = { .to_uid = to_uid, .to = dicom_transfer_syntax_find(to_uid), .options = options ? options : &defaults };
    object o = { .in = in, .arena = gn_arena_new((size_t)2 << 30), .workers = plan.options->workers };
    if (!o.arena) return gn_fail(e, GN_E_NO_MEMORY, "no memory to transcode");
    int rc = plan.to && pixel_can_encode(to_uid) ? read_object(&o, max_bytes, e) : gn_fail(e, GN_E_UNSUPPORTED, "encoding as transfer syntax %s", to_uid);
    plan.lossy = !rc && transcode_is_lossy(to_uid, plan.options);
    bool same = !rc && o.file.transfer_syntax && strcmp(o.file.transfer_syntax->uid, to_uid) == 0 && o.file.has_preamble && !plan.lossy;
    if (same) rc = copy(in, out, e);
    else if (!rc && plan.to) rc = transcode(&o, &plan, limits, out, e);
    gn_buf_done(&o.whole);
    gn_arena_free(&o.arena);
    return rc;
}
