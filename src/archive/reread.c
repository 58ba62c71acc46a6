/* reread: a stored object parsed again from its bytes, so that the index can be told what it was told at ingest.
 *
 * One pass in pieces, whatever the size: the bytes are hashed and compared with the record while they are parsed, so that nothing damaged gets
 * into the index. What the record says (source, time, findings) is taken from there. */
#include "internal.h"
#include "store/hash.h"

#include <stdlib.h>

#define PIECE ((size_t)256 << 10)

typedef struct bytes { int fd; uint64_t offset, length, dataset_offset; } bytes;

static int read_dataset(void *ctx, uint64_t offset, void *buf, size_t n) {
    const bytes *b = ctx;
    uint64_t size = b->length - b->dataset_offset;
    if (offset > size || n > size - offset) return GN_E_TRUNCATED;
    return gn_pread_all(b->fd, buf, n, b->offset + b->dataset_offset + offset, NULL);
}

/* The Part 10 header's hash needs that of the data set behind it: the header is read when that is known. */
static int check_header(const bytes *b, const store_record *r, gn_error *e) {
    uint8_t hash[8];
    if (b->dataset_offset > ((size_t)1 << 20)) return gn_fail(e, GN_E_CORRUPT, "the record's data set begins too far behind");
    size_t n = (size_t)b->dataset_offset;
    uint8_t *p = malloc(n + 1);
    if (!p) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a file header");
    int rc = gn_pread_all(b->fd, p, n, b->offset, e);
    if (!rc) store_object_hash(p, n, r->hash, hash);
    free(p);
    if (!rc && memcmp(hash, r->object_hash, 8) != 0) rc = gn_fail(e, GN_E_CORRUPT, "the stored file header is not what was written (checksum differs)");
    return rc;
}

static int push_all(const bytes *b, const store_record *r, scratch *s, dicom_stream *stream, gn_error *e) {
    uint8_t *p = malloc(PIECE);
    int rc = p ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory to read an object");
    if (!rc && XXH3_128bits_reset(s->hash) != XXH_OK) rc = gn_fail(e, GN_E_INTERNAL, "cannot begin a hash");
    for (uint64_t at = b->dataset_offset; !rc && at < b->length;) {
        size_t n = b->length - at < PIECE ? (size_t)(b->length - at) : PIECE;
        rc = gn_pread_all(b->fd, p, n, b->offset + at, e);
        if (rc) break;
        XXH3_128bits_update(s->hash, p, n);
        (void)dicom_stream_push(stream, p, n, NULL);
        at += n;
    }
    free(p);
    if (rc) return rc;
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(s->hash));
    if (memcmp(c.digest, r->hash, 16) != 0) return gn_fail(e, GN_E_CORRUPT, "the stored data set is not what was received (checksum differs)");
    return check_header(b, r, e);
}

static int describe(const bytes *b, dicom_stream *stream, reread *out, gn_error *e) {
    verdict v = { 0 };
    dicom_dataset *ds = NULL;
    index_instance *x = &out->x;
    int rc = dicom_stream_finish(stream, &ds, e);
    if (rc) return rc;
    validate_identity(ds, NULL, NULL, &v, &out->uids);
    if (v.code) return gn_fail(e, v.code, "%s", v.comment);
    describe_pixels(out->scratch, ds, x->transfer_syntax, read_dataset, (void *)(uintptr_t)b, &v, x);
    x->dataset = ds;
    x->study_uid = out->uids.study_uid;
    x->series_uid = out->uids.series_uid;
    x->sop_instance = out->uids.sop_instance;
    x->sop_class = out->uids.sop_class;
    return describe_metadata(out->scratch, ds, x, e);
}

int reread_object(archive *a, const store_record *r, const index_location *l, reread *out, gn_error *e) {
    bytes b = { .length = l->length, .dataset_offset = l->dataset_offset };
    void *hold = NULL;
    *out = (reread){ .record = *r };
    const dicom_transfer_syntax *ts = describe_transfer_syntax(out->record.transfer_syntax, &out->unknown);
    out->x = (index_instance){ .transfer_syntax = ts, .transfer_syntax_uid = out->record.transfer_syntax, .location = *l, .received_us = r->received_us,
                               .source = &out->record.source, .findings = r->findings };
    memcpy(out->x.hash, r->hash, 16);
    int rc = store_open_object(a->store, l, &b.fd, &b.offset, &hold, e);
    if (rc) return rc;
    gn_error why = GN_ERROR_INIT;
    out->scratch = pool_take_scratch(&a->pool, &why);
    dicom_stream *stream = out->scratch ? dicom_stream_new(out->scratch->arena, ts, &DESCRIBE_STREAM, &why) : NULL;
    rc = stream ? push_all(&b, r, out->scratch, stream, &why) : GN_E_NO_MEMORY;
    if (!rc) rc = describe(&b, stream, out, &why);
    dicom_stream_free(&stream);
    store_release(a->store, hold);
    return rc ? gn_fail(e, rc, "%s", why.message) : 0;
}

void reread_done(archive *a, reread *r) {
    pool_give_scratch(&a->pool, r->scratch);
    r->scratch = NULL;
}

int reread_quarantine(archive *a, const reread *r, const char *why, gn_error *e) {
    const index_location *l = &r->x.location;
    gn_buf text = GN_BUF_INIT;
    int64_t number;
    refusal reason = { .sop_instance = r->record.sop_instance, .transfer_syntax = r->record.transfer_syntax, .comment = why, .status = 0xB000, .findings = r->record.findings, .source = &r->record.source };
    refusal_json(&reason, &text);
    int rc = text.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a reason") : 0;
    if (!rc && l->pack <= 0) rc = store_quarantine_placed(a->store, l->offset, l->length, (const char *)text.p, quarantine_limit(a), &number, e);
    else if (!rc) {
        int fd;
        uint64_t offset;
        void *hold;
        uint8_t *p = malloc((size_t)l->length + 1);
        rc = p ? store_open_object(a->store, l, &fd, &offset, &hold, e) : gn_fail(e, GN_E_NO_MEMORY, "no memory to keep an object");
        if (!rc) {
            rc = gn_pread_all(fd, p, (size_t)l->length, offset, e);
            store_release(a->store, hold);
        }
        if (!rc) rc = store_quarantine(a->store, &(struct iovec){ p, (size_t)l->length }, 1, (const char *)text.p, quarantine_limit(a), &number, e);
        free(p);
    }
    gn_buf_done(&text);
    return rc;
}
