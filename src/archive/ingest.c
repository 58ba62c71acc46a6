/* ingest: one object from the first byte to the answer. The only way into the archive, for DIMSE, STOW, upload and import alike.
 *
 * Bytes land where they will be written from: in a block of the pool, behind room for the record's header and behind the Part 10 header, so
 * that nothing is copied again. While they pass they are hashed and parsed. An object that outgrows what a pack takes, or that finds
 * the pool exhausted, goes on to a file, and its block becomes the buffer before it. finish.c decides what becomes of it.
 *
 *   block:  | record header 512 | Part 10 header | data set …            while it is in memory
 *           | tail of what was received, from a multiple of 4096 on …   when it went to a file
 */
#include "ingest.h"

#include <stdlib.h>

#define CHARGE_STEP ((size_t)256 << 10)
#define SPACE_MIN STORE_ALIGN
#define FILE_HEADER_MAX ((size_t)256 << 10)
#define HEADER_ROOM ((size_t)1024) /* for a Part 10 header that is made later: it has less than 600 bytes */

/* ---- begin ------------------------------------------------------------------------------------------------------------- */

static int copy_uid(char out[65], const char *uid, const char *what, gn_error *e) {
    size_t n = uid ? strlen(uid) : 0;
    if (n > DICOM_UID_MAX) return gn_fail(e, GN_E_MISMATCH, "%s is longer than 64 characters", what);
    memcpy(out, uid ? uid : "", n + 1);
    return 0;
}

static int copy_request(archive_ingest *in, const archive_ingest_request *r, gn_error *e) {
    int rc = copy_uid(in->syntax, r->transfer_syntax, "the transfer syntax", e);
    if (!rc) rc = copy_uid(in->sop_class, r->sop_class, "the SOP Class UID", e);
    if (!rc) rc = copy_uid(in->sop_instance, r->sop_instance, "the SOP Instance UID", e);
    if (!rc && !in->syntax[0]) rc = gn_fail(e, GN_E_INVALID, "an object without a transfer syntax");
    if (!rc && r->file_header && r->file_header_length > FILE_HEADER_MAX) rc = gn_fail(e, GN_E_TOO_LARGE, "the file header is longer than %zu bytes", FILE_HEADER_MAX);
    if (rc) return rc;
    if (r->source) in->source = *r->source;
    in->ts = describe_transfer_syntax(in->syntax, &in->unknown_syntax);
    return 0;
}

static int get_resources(archive_ingest *in, gn_error *e) {
    in->scratch = pool_take_scratch(&in->archive->pool, e);
    in->block = in->scratch ? pool_take(&in->archive->pool, e) : NULL;
    in->stream = in->block ? dicom_stream_new(in->scratch->arena, in->ts, &DESCRIBE_STREAM, e) : NULL;
    if (!in->stream) return e && e->code ? e->code : GN_E_NO_MEMORY;
    if (XXH3_128bits_reset(in->scratch->hash) != XXH_OK) return gn_fail(e, GN_E_INTERNAL, "cannot begin a hash");
    in->n = STORE_RECORD_HEADER;
    return 0;
}

/* The Part 10 header, when what it needs is known already. */
static int begin_header(archive_ingest *in, const archive_ingest_request *r, gn_error *e) {
    if (r->file_header) return ingest_set_header(in, r->file_header, r->file_header_length, e);
    if (in->sop_class[0] && in->sop_instance[0]) return ingest_make_header(in, in->sop_class, in->sop_instance, e);
    in->n += HEADER_ROOM;
    in->dataset_at = in->n;
    return 0;
}

void ingest_free(archive_ingest **inp) {
    archive_ingest *in = *inp;
    if (!in) return;
    dicom_stream_free(&in->stream);
    store_file_discard(&in->file);
    if (in->block) pool_give(&in->archive->pool, in->block);
    pool_give_scratch(&in->archive->pool, in->scratch);
    free(in);
    *inp = NULL;
}

int archive_ingest_begin(archive *a, const archive_ingest_request *request, archive_ingest **out, gn_error *e) {
    gn_error why = GN_ERROR_INIT;
    int rc = store_writable(a->store, &why);
    archive_ingest *in = rc ? NULL : calloc(1, sizeof *in);
    if (!rc && !in) rc = gn_fail(&why, GN_E_NO_MEMORY, "no memory to receive an object");
    if (in) in->archive = a;
    if (!rc) rc = copy_request(in, request, &why);
    if (!rc) rc = get_resources(in, &why);
    if (!rc) rc = begin_header(in, request, &why);
    /* What is known to be too large for a pack needs no detour through memory. */
    if (!rc && request->expected_length > a->config.pack_limit && in->header_made) rc = ingest_spill(in, &why);
    if (rc) {
        ingest_free(&in);
        return gn_fail(e, rc, "%s", why.message);
    }
    *out = in;
    return 0;
}

/* ---- the Part 10 header ------------------------------------------------------------------------------------------------ */

/* Puts the header between record header and data set, which moves when it had to guess. */
int ingest_set_header(archive_ingest *in, const void *p, size_t n, gn_error *e) {
    archive *a = in->archive;
    size_t dataset = in->dataset_at ? in->n - in->dataset_at : 0;
    in->header = gn_arena_memdup(in->scratch->arena, p, n);
    if (!in->header || STORE_RECORD_HEADER + n + SPACE_MIN > a->pool.block_size || !pool_charge(&a->pool, in->block, STORE_RECORD_HEADER + n + dataset))
        return gn_fail(e, GN_E_NO_MEMORY, "no memory for a file header");
    if (dataset) memmove(in->block->p + STORE_RECORD_HEADER + n, in->block->p + in->dataset_at, dataset);
    memcpy(in->block->p + STORE_RECORD_HEADER, p, n);
    in->header_length = n;
    in->header_made = true;
    in->dataset_at = STORE_RECORD_HEADER + n;
    in->n = in->dataset_at + dataset;
    return 0;
}

int ingest_make_header(archive_ingest *in, const char *sop_class, const char *sop_instance, gn_error *e) {
    gn_buf *b = &in->scratch->json; /* free until the object is described */
    gn_buf_clear(b);
    b->limit = 0;
    int rc = dicom_file_header_write(sop_class, sop_instance, in->syntax, in->source.calling_ae[0] ? in->source.calling_ae : NULL, b, e);
    if (!rc && b->failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for a file header");
    return rc ? rc : ingest_set_header(in, b->p, b->n, e);
}

/* A large object whose UIDs nobody told: they are near its start, which is still in memory. */
static int guess_header(archive_ingest *in, gn_error *e) {
    dicom_read_options options = { .max_value = 1024, .stop_at_pixel_data = true, .accept_truncated = true };
    dicom_dataset *ds = NULL;
    char sop_class[65] = "", sop_instance[65] = "";
    gn_arena *arena = gn_arena_new((size_t)16 << 20);
    int rc = arena ? dicom_dataset_read(arena, in->ts, in->block->p + in->dataset_at, in->n - in->dataset_at, &options, &ds, NULL) : GN_E_NO_MEMORY;
    if (!rc) {
        dicom_dataset_ascii_into(ds, DICOM_TAG_SOPClassUID, sop_class, sizeof sop_class);
        dicom_dataset_ascii_into(ds, DICOM_TAG_SOPInstanceUID, sop_instance, sizeof sop_instance);
    }
    gn_arena_free(&arena);
    if (!sop_class[0] || !sop_instance[0]) return gn_fail(e, GN_E_INVALID, "a large object without UIDs at its start");
    return ingest_make_header(in, sop_class, sop_instance, e);
}

/* ---- space and advance ------------------------------------------------------------------------------------------------- */

/* Writes what is whole blocks, keeps the rest at the front. */
static int flush(archive_ingest *in, gn_error *e) {
    size_t whole = in->n & ~(size_t)(STORE_ALIGN - 1);
    int rc = store_file_write(in->file, in->block->p, whole, e);
    if (rc) return rc;
    memmove(in->block->p, in->block->p + whole, in->n - whole);
    in->n -= whole;
    return 0;
}

int ingest_spill(archive_ingest *in, gn_error *e) {
    int rc = in->header_made ? 0 : guess_header(in, e);
    if (!rc) rc = store_file_create(in->archive->store, &in->file, e);
    if (rc) return rc;
    in->n -= STORE_RECORD_HEADER;
    memmove(in->block->p, in->block->p + STORE_RECORD_HEADER, in->n);
    return flush(in, e);
}

static int fail_ingest(archive_ingest *in, int rc, gn_error *e) {
    if (!in->error.code) gn_fail(&in->error, rc, "the object could not be kept");
    store_file_discard(&in->file);
    return gn_fail(e, in->error.code, "%s", in->error.message);
}

/* Makes at least SPACE_MIN bytes of room behind in->n. */
static int make_room(archive_ingest *in, gn_error *e) {
    pool *p = &in->archive->pool;
    size_t want = in->n + CHARGE_STEP < p->block_size ? in->n + CHARGE_STEP : p->block_size;
    if (!in->file && in->n - STORE_RECORD_HEADER >= in->archive->config.pack_limit) return ingest_spill(in, e);
    (void)pool_charge(p, in->block, want);
    if (in->block->charged >= in->n + SPACE_MIN && !(in->file && in->n >= CHARGE_STEP && in->block->charged - in->n < CHARGE_STEP / 4)) return 0;
    return in->file ? flush(in, e) : ingest_spill(in, e);
}

uint8_t *archive_ingest_space(archive_ingest *in, size_t *cap, gn_error *e) {
    if (in->error.code) { /* drained: nothing of it is kept */
        *cap = in->block->charged;
        return in->block->p;
    }
    int rc = make_room(in, &in->error);
    if (rc) {
        fail_ingest(in, rc, e);
        return NULL;
    }
    *cap = in->block->charged - in->n;
    return in->block->p + in->n;
}

int archive_ingest_advance(archive_ingest *in, size_t n, gn_error *e) {
    if (in->error.code) return gn_fail(e, in->error.code, "%s", in->error.message);
    const uint8_t *p = in->block->p + in->n;
    XXH3_128bits_update(in->scratch->hash, p, n);
    (void)dicom_stream_push(in->stream, p, n, NULL); /* what cannot be read is stored all the same, or refused at the end */
    in->n += n;
    in->dataset_length += n;
    return 0;
}

int archive_ingest_write(archive_ingest *in, const void *bytes, size_t n, gn_error *e) {
    const uint8_t *p = bytes;
    while (n > 0) {
        size_t cap = 0;
        uint8_t *q = archive_ingest_space(in, &cap, e);
        if (!q) return in->error.code;
        if (cap > n) cap = n;
        memcpy(q, p, cap);
        int rc = archive_ingest_advance(in, cap, e);
        if (rc) return rc;
        p += cap;
        n -= cap;
    }
    return 0;
}

void archive_ingest_abort(archive_ingest **in) {
    if (in) ingest_free(in);
}

/* The whole object is where it will be read from: all of it in the file, or in the block with its padding. */
int ingest_close(archive_ingest *in, gn_error *e) {
    if (in->file) {
        int rc = store_file_write(in->file, in->block->p, in->n, e);
        in->n = 0;
        return rc;
    }
    size_t padded = store_align_up(in->n);
    memset(in->block->p + in->n, 0, padded - in->n);
    return 0;
}

/* Bytes of the data set, after ingest_close. */
int ingest_read(void *ctx, uint64_t offset, void *buf, size_t n) {
    archive_ingest *in = ctx;
    if (offset > in->dataset_length || n > in->dataset_length - offset) return GN_E_TRUNCATED;
    if (in->file) return store_file_read(in->file, buf, n, in->header_length + offset, NULL);
    memcpy(buf, in->block->p + in->dataset_at + offset, n);
    return 0;
}
