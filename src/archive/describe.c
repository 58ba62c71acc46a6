/* describe: what readers will ask for is made once, at ingest: where each frame lies, and the data set without bulk as compressed DICOM JSON.
 *
 * The frame table is text of our own, independent of where the object lies: offsets count from the start of the data set. All numbers
 * are varints (7 bits a byte, low first), signed ones zigzag:
 *   1 count offset length                  native frames of one length one behind the other
 *   2 count, then for each: offset - (end of the one before), length - (length of the one before), first fragment - (one before), fragments, bit offset
 */
#include "internal.h"

#define INLINE_MAX 4096u /* longer binary values are left to bulk retrieval */
/* Pixel data that was cut off is kept with a warning: its other frames are fine (T9). */
const dicom_stream_options DESCRIBE_STREAM = { .accept_cut_pixel_data = true };

#define METADATA_MAX ((size_t)64 << 20)

const dicom_transfer_syntax *describe_transfer_syntax(const char *uid, dicom_transfer_syntax *unknown) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(uid);
    if (ts) return ts;
    *unknown = (dicom_transfer_syntax){ .uid = uid, .name = "unknown", .encapsulated = true };
    return unknown;
}

/* ---- frames ------------------------------------------------------------------------------------------------------------ */

static void put_varint(gn_buf *b, uint64_t v) {
    while (v >= 0x80) {
        gn_buf_putc(b, (char)(v | 0x80));
        v >>= 7;
    }
    gn_buf_putc(b, (char)v);
}

static void put_signed(gn_buf *b, uint64_t difference) { put_varint(b, difference << 1 ^ (uint64_t)-(int64_t)(difference >> 63)); }

static bool regular(const dicom_frame *f, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (f[i].bit_offset || f[i].fragments || f[i].length != f[0].length || f[i].offset != f[0].offset + i * f[0].length) return false;
    return true;
}

static void encode_frames(const dicom_frame *f, size_t n, gn_buf *out) {
    if (regular(f, n)) {
        put_varint(out, 1);
        put_varint(out, n);
        put_varint(out, f[0].offset);
        put_varint(out, f[0].length);
        return;
    }
    dicom_frame before = { 0 };
    put_varint(out, 2);
    put_varint(out, n);
    for (size_t i = 0; i < n; i++) {
        put_signed(out, f[i].offset - (before.offset + before.length));
        put_signed(out, f[i].length - before.length);
        put_signed(out, (uint64_t)f[i].first_fragment - before.first_fragment);
        put_varint(out, f[i].fragments);
        put_varint(out, f[i].bit_offset);
        before = f[i];
    }
}

void describe_pixels(scratch *s, const dicom_dataset *ds, const dicom_transfer_syntax *ts, object_read read_at, void *ctx, verdict *v, index_instance *x) {
    dicom_pixel_description d;
    dicom_frame *frames = NULL;
    size_t count = 0;
    dicom_pixel_describe(ds, ts, &d);
    x->number_of_frames = d.present && d.frames > 0 ? d.frames : 0;
    if (!d.present) return;
    /* Offsets of a deflated data set count in what it inflates to: nothing can be read there. */
    int code = dicom_pixel_frames(ds, &d, ts->deflated ? NULL : read_at, ctx, &frames, &count, NULL);
    validate_pixels(&d, code, v);
    if (count == 0 || !frames) return;
    gn_buf_clear(&s->frames);
    encode_frames(frames, count, &s->frames);
    if (s->frames.failed) return; /* readers do without a table */
    x->frames = s->frames.p;
    x->frames_length = s->frames.n;
}

/* ---- metadata ---------------------------------------------------------------------------------------------------------- */

static bool bulk_uri(void *ctx, const dicom_element *el, const char *path, gn_buf *out) {
    (void)ctx, (void)el;
    gn_buf_puts(out, "bulk/");
    gn_buf_puts(out, path);
    return true;
}

int describe_metadata(scratch *s, const dicom_dataset *ds, index_instance *x, gn_error *e) {
    static const dicom_json_options options = { .bulk_uri = bulk_uri, .max_inline = INLINE_MAX };
    gn_json j;
    gn_buf_clear(&s->json);
    gn_buf_clear(&s->packed);
    s->json.limit = METADATA_MAX;
    gn_json_init(&j, &s->json);
    int rc = dicom_json_write(ds, &options, &j, e);
    if (rc) return rc;
    size_t room = ZSTD_compressBound(s->json.n);
    uint8_t *p = s->json.failed ? NULL : gn_buf_reserve(&s->packed, room);
    if (!p) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the metadata");
    size_t n = ZSTD_compressCCtx(s->zstd, p, room, s->json.p, s->json.n, 1);
    if (ZSTD_isError(n)) return gn_fail(e, GN_E_NO_MEMORY, "cannot compress the metadata: %s", ZSTD_getErrorName(n));
    s->packed.n += n;
    x->metadata = s->packed.p;
    x->metadata_length = s->packed.n;
    return 0;
}
