/* metadata: what viewers ask first: the attributes of all instances of a series, or study, as one JSON array.
 *
 * Kept of a series is a stretch of a raw deflate stream that ends on a byte and refers to nothing before itself: the objects with commas
 * between, without brackets. So a gzip of one series or of any number is made by copying: header, brackets and commas as stored
 * blocks between the stretches, and a checksum that is combined from theirs. */
#include "metadata.h"

#include <stdlib.h>

enum { CHUNK = 64, FAST_LEVEL = 3 };
#define OBJECT_MAX ((size_t)64 << 20)
static const char bulk_mark[] = "\"BulkDataURI\":\"bulk/"; /* cannot be inside a JSON string: quotes are escaped there */

/* ---- objects ----------------------------------------------------------------------------------------------------------- */

/* Puts the place of the instance into its BulkDataURIs. */
static void write_object(const char *study_uid, const char *series_uid, const char *sop_uid, const char *json, size_t n, gn_buf *out) {
    const size_t mark = sizeof bulk_mark - 1, word = mark - 5; /* up to and with the opening quote */
    const char *end = json + n, *at;
    while ((at = memmem(json, (size_t)(end - json), bulk_mark, mark))) {
        gn_buf_append(out, json, (size_t)(at - json) + word);
        gn_buf_printf(out, "/dicom-web/studies/%s/series/%s/instances/%s/bulkdata/", study_uid, series_uid, sop_uid);
        json = at + mark;
    }
    gn_buf_append(out, json, (size_t)(end - json));
}

typedef struct source { archive *a; const index_series *series; ZSTD_DCtx *zstd; gn_buf packed, plain, text; } source;

static void source_done(source *s) {
    gn_buf_done(&s->packed);
    gn_buf_done(&s->plain);
    gn_buf_done(&s->text);
    if (s->zstd) (void)ZSTD_freeDCtx(s->zstd);
}

/* One instance into s->text. Of one without metadata the UID is said. */
static int read_object(source *s, const index_member *m, const uint8_t *packed, size_t n, gn_error *e) {
    gn_buf_clear(&s->text);
    if (!n) {
        gn_buf_printf(&s->text, "{\"00080018\":{\"vr\":\"UI\",\"Value\":[\"%s\"]}}", m->sop_uid);
        return s->text.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata") : 0;
    }
    unsigned long long size = ZSTD_getFrameContentSize(packed, n);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > OBJECT_MAX) return gn_fail(e, GN_E_CORRUPT, "the metadata in the index is damaged");
    gn_buf_clear(&s->plain);
    uint8_t *room = gn_buf_reserve(&s->plain, (size_t)size + 1);
    if (!room || (!s->zstd && !(s->zstd = ZSTD_createDCtx()))) return gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata");
    if (ZSTD_decompressDCtx(s->zstd, room, (size_t)size, packed, n) != size) return gn_fail(e, GN_E_CORRUPT, "the metadata in the index is damaged");
    write_object(s->series->study_uid, s->series->series_uid, m->sop_uid, (const char *)room, (size_t)size, &s->text);
    return s->text.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata") : 0;
}

/* All objects of a series, each to `take`; the index is read some instances at a time. */
static int each_object(source *s, int (*take)(void *ctx, const gn_buf *object, bool first, gn_error *e), void *ctx, gn_error *e) {
    index_member *members = NULL;
    size_t count = 0, lengths[CHUNK];
    int rc = index_series_members(s->a->index, s->series->id, &members, &count, e);
    for (size_t from = 0; from < count && !rc; from += CHUNK) {
        size_t n = count - from < CHUNK ? count - from : CHUNK;
        gn_buf_clear(&s->packed);
        rc = index_members_metadata(s->a->index, members + from, n, &s->packed, lengths, e);
        size_t at = 0;
        for (size_t i = 0; i < n && !rc; i++) {
            rc = read_object(s, &members[from + i], s->packed.p + at, lengths[i], e);
            if (!rc) rc = take(ctx, &s->text, from + i == 0, e);
            at += lengths[i];
        }
    }
    free(members);
    return rc;
}

/* ---- stretches --------------------------------------------------------------------------------------------------------- */

typedef struct packer { z_stream z; gn_buf *out; uint64_t length; uint32_t crc; } packer;

static int deflate_all(packer *p, const void *bytes, size_t n, int flush, gn_error *e) {
    union { const void *in; Bytef *out; } in = { bytes }; /* zlib does not write there */
    p->z.next_in = in.out;
    p->z.avail_in = (uInt)n;
    p->length += n;
    p->crc = (uint32_t)crc32(p->crc, in.out, (uInt)n);
    do {
        uint8_t *room = gn_buf_reserve(p->out, 16384);
        if (!room) return gn_fail(e, GN_E_TOO_LARGE, "the metadata does not fit");
        p->z.next_out = room;
        p->z.avail_out = 16384;
        if (deflate(&p->z, flush) == Z_STREAM_ERROR) return gn_fail(e, GN_E_INTERNAL, "cannot compress metadata");
        p->out->n += 16384 - p->z.avail_out;
    } while (p->z.avail_in > 0 || p->z.avail_out == 0);
    return 0;
}

static int pack_object(void *ctx, const gn_buf *object, bool first, gn_error *e) {
    int rc = first ? 0 : deflate_all(ctx, ",", 1, Z_NO_FLUSH, e);
    return rc ? rc : deflate_all(ctx, object->p, object->n, Z_NO_FLUSH, e);
}

int metadata_pack(archive *a, index_series *series, int level, gn_buf *out, gn_error *e) {
    packer p = { .out = out };
    source s = { .a = a, .series = series };
    size_t before = out->n;
    if (deflateInit2(&p.z, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) return gn_fail(e, GN_E_NO_MEMORY, "no memory to compress metadata");
    int rc = each_object(&s, pack_object, &p, e);
    if (!rc) rc = deflate_all(&p, "", 0, Z_SYNC_FLUSH, e);
    (void)deflateEnd(&p.z);
    source_done(&s);
    if (rc) return rc;
    series->length = p.length;
    series->crc = p.crc;
    series->kept = out->p + before;
    series->kept_length = out->n - before;
    return 0;
}

static int unpack(const index_series *s, gn_buf *out, gn_error *e) {
    z_stream z = { 0 };
    union { const void *in; Bytef *out; } in = { s->kept };
    uint8_t *room = s->length < UINT32_MAX ? gn_buf_reserve(out, (size_t)s->length) : NULL;
    if (!room) return gn_fail(e, GN_E_TOO_LARGE, "the metadata is too large to be sent uncompressed as one");
    if (inflateInit2(&z, -15) != Z_OK) return gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata");
    z.next_in = in.out;
    z.avail_in = (uInt)s->kept_length;
    z.next_out = room;
    z.avail_out = (uInt)s->length;
    (void)inflate(&z, Z_SYNC_FLUSH);
    bool whole = z.avail_out == 0 && (uint32_t)crc32(0, room, (uInt)s->length) == s->crc;
    (void)inflateEnd(&z);
    if (!whole) return gn_fail(e, GN_E_CORRUPT, "the metadata kept of a series is damaged");
    out->n += (size_t)s->length;
    out->p[out->n] = '\0';
    return 0;
}

/* ---- answers ----------------------------------------------------------------------------------------------------------- */

typedef struct answer { archive *a; bool gzip; gn_buf *out; uint64_t length; uint32_t crc; gn_error *e; } answer;

/* One character between stretches: a stored block of one byte (RFC 1951 §3.2.4). */
static void put_char(answer *w, char c, bool last) {
    const uint8_t block[] = { last, 1, 0, 0xFE, 0xFF };
    if (w->gzip) gn_buf_append(w->out, block, sizeof block);
    gn_buf_putc(w->out, c);
    w->crc = (uint32_t)crc32(w->crc, (const Bytef *)&c, 1);
    w->length++;
}

static void put_head(answer *w) {
    static const uint8_t head[] = { 0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF }; /* RFC 1952 §2.3; no time */
    if (w->gzip) gn_buf_append(w->out, head, sizeof head);
    put_char(w, '[', false);
}

static void put_tail(answer *w) {
    put_char(w, ']', true);
    if (!w->gzip) return;
    gn_buf_le32(w->out, w->crc);
    gn_buf_le32(w->out, (uint32_t)w->length);
}

static int append_object(void *ctx, const gn_buf *object, bool first, gn_error *e) {
    gn_buf *out = ctx;
    if (!first) gn_buf_putc(out, ',');
    gn_buf_append(out, object->p, object->n);
    return out->failed ? gn_fail(e, GN_E_TOO_LARGE, "the metadata is too large to be sent uncompressed as one") : 0;
}

/* A series of which nothing is kept. */
static int put_made(answer *w, index_series *s) {
    if (w->gzip) {
        int rc = metadata_pack(w->a, s, FAST_LEVEL, w->out, w->e);
        if (!rc && metadata_worth_keeping(s)) (void)index_series_keep(w->a->index, s, NULL); /* else it is made again next time */
        return rc;
    }
    source from = { .a = w->a, .series = s };
    int rc = each_object(&from, append_object, w->out, w->e);
    source_done(&from);
    return rc;
}

static int put_series(answer *w, index_series *s) {
    size_t before = w->out->n;
    int rc = 0;
    if (!s->kept) rc = put_made(w, s);
    else if (w->gzip) gn_buf_append(w->out, s->kept, s->kept_length);
    else rc = unpack(s, w->out, w->e);
    if (rc) return rc;
    w->length += w->gzip ? s->length : w->out->n - before;
    if (w->gzip) w->crc = (uint32_t)crc32_combine(w->crc, s->crc, (z_off_t)s->length);
    return 0;
}

/* Series are gathered first, so that nothing is made while a transaction is open. */
typedef struct gathered { index_series *list; size_t count, room; gn_buf bytes; } gathered;

static int gather(void *ctx, const index_series *s) {
    gathered *g = ctx;
    if (s->n_instances <= 0) return 0;
    if (g->count == g->room) {
        size_t room = g->room ? 4 * g->room : 4;
        index_series *grown = realloc(g->list, room * sizeof *grown);
        if (!grown) return GN_E_NO_MEMORY;
        g->list = grown;
        g->room = room;
    }
    g->list[g->count++] = *s;
    if (s->kept) gn_buf_append(&g->bytes, s->kept, s->kept_length);
    return g->bytes.failed ? GN_E_NO_MEMORY : 0;
}

int archive_series_metadata(archive *a, const char *study_uid, const char *series_uid, bool gzip, gn_buf *out, gn_error *e) {
    gathered g = { 0 };
    answer w = { .a = a, .gzip = gzip, .out = out, .e = e };
    int rc = index_series_each(a->index, study_uid, series_uid, gather, &g, e);
    if (rc == GN_E_NO_MEMORY) (void)gn_fail(e, rc, "no memory for metadata");
    if (!rc && g.count == 0) rc = gn_fail(e, GN_E_NOT_FOUND, series_uid ? "no such series" : "no such study");
    if (!rc) put_head(&w);
    size_t at = 0;
    for (size_t i = 0; i < g.count && !rc; i++) {
        index_series *s = &g.list[i];
        if (s->kept) {
            s->kept = g.bytes.p + at;
            at += s->kept_length;
        }
        if (i) put_char(&w, ',', false);
        rc = put_series(&w, s);
    }
    if (!rc) put_tail(&w);
    if (!rc && out->failed) rc = gn_fail(e, GN_E_TOO_LARGE, "the metadata is too large to be sent as one");
    free(g.list);
    gn_buf_done(&g.bytes);
    return rc;
}

int archive_instance_metadata(archive *a, const char *study_uid, const char *series_uid, const char *sop_instance, gn_buf *out, gn_error *e) {
    index_known k;
    int rc = index_find_instance(a->index, sop_instance, &k, e);
    if (rc) return rc;
    if (strcmp(k.study_uid, study_uid) != 0 || strcmp(k.series_uid, series_uid) != 0) return gn_fail(e, GN_E_NOT_FOUND, "no such instance in this series");
    index_series series = { 0 };
    source s = { .a = a, .series = &series };
    index_member m = { .id = k.instance_id };
    size_t length = 0;
    (void)snprintf(series.study_uid, sizeof series.study_uid, "%s", study_uid);
    (void)snprintf(series.series_uid, sizeof series.series_uid, "%s", series_uid);
    (void)snprintf(m.sop_uid, sizeof m.sop_uid, "%s", sop_instance);
    rc = index_members_metadata(a->index, &m, 1, &s.packed, &length, e);
    if (!rc) rc = read_object(&s, &m, s.packed.p, length, e);
    if (!rc) {
        gn_buf_putc(out, '[');
        gn_buf_append(out, s.text.p, s.text.n);
        gn_buf_putc(out, ']');
        if (out->failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata");
    }
    source_done(&s);
    return rc;
}
