/* retrieve: giving stored objects back.
 *
 * A retrieval is a list of places, taken from the index once, so that no statement of it stays open while a slow peer takes its objects.
 * Objects are slices of files: nothing is read here but ahead. What was marked as damaged is named and not given (T38). */
#include "internal.h"

#include <stdlib.h>

typedef struct chosen { int64_t id; index_location location; size_t sop; uint32_t kind; bool damaged; } chosen; /* sop: offset in names */

struct archive_retrieval {
    archive *archive;
    chosen *list;
    size_t count, room, next;
    gn_buf names; /* SOP Instance UIDs, each with its NUL */
    archive_kind *kinds;
    size_t kind_count, kind_room;
    int failed;
};

/* ---- choosing ---------------------------------------------------------------------------------------------------------- */

static bool grow(void **list, size_t *room, size_t count, size_t size) {
    if (count < *room) return true;
    size_t more = *room ? 2 * *room : 64;
    void *p = realloc(*list, more * size);
    if (!p) return false;
    *list = p;
    *room = more;
    return true;
}

/* Instances come in series, so the kind is nearly always that of the one before. */
static bool kind_of(archive_retrieval *r, const index_known *k, uint32_t *kind) {
    for (size_t i = r->kind_count; i-- > 0;) {
        if (strcmp(r->kinds[i].sop_class, k->sop_class) != 0 || strcmp(r->kinds[i].transfer_syntax, k->transfer_syntax) != 0) continue;
        *kind = (uint32_t)i;
        return true;
    }
    void *p = r->kinds;
    if (!grow(&p, &r->kind_room, r->kind_count, sizeof *r->kinds)) return false;
    r->kinds = p;
    archive_kind *new = &r->kinds[r->kind_count];
    memcpy(new->sop_class, k->sop_class, sizeof new->sop_class);
    memcpy(new->transfer_syntax, k->transfer_syntax, sizeof new->transfer_syntax);
    *kind = (uint32_t)r->kind_count++;
    return true;
}

static int choose(void *ctx, const index_known *k, const char *sop_instance) {
    archive_retrieval *r = ctx;
    chosen c = { .id = k->instance_id, .location = k->location, .sop = r->names.n, .damaged = k->damaged };
    void *p = r->list;
    gn_buf_append(&r->names, sop_instance, strnlen(sop_instance, 64) + 1);
    bool ok = !r->names.failed && grow(&p, &r->room, r->count, sizeof *r->list);
    if (ok) {
        r->list = p;
        ok = kind_of(r, k, &c.kind);
    }
    if (!ok) return r->failed = GN_E_NO_MEMORY;
    r->list[r->count++] = c;
    return 0;
}

int archive_retrieve_open(archive *a, const archive_selection *s, archive_retrieval **out, size_t *count, gn_error *e) {
    gn_error why = GN_ERROR_INIT;
    archive_retrieval *r = calloc(1, sizeof *r);
    if (!r) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a retrieval");
    r->archive = a;
    bool everything = s->everything && !s->patient_id && !s->study_uids && !s->series_uids && !s->sop_uids; /* read as it lies */
    int rc = everything ? index_walk(a->index, choose, r, &why) : index_select(a->index, s, choose, r, &why);
    if (r->failed) rc = gn_fail(&why, r->failed, "no memory for a retrieval");
    if (rc) {
        archive_retrieve_close(&r);
        gn_error_at(e, "%s", why.where);
        return gn_fail(e, rc, "%s", why.message);
    }
    *out = r;
    *count = r->count;
    return 0;
}

void archive_retrieve_close(archive_retrieval **rp) {
    if (!rp || !*rp) return;
    free((*rp)->list);
    free((*rp)->kinds);
    gn_buf_done(&(*rp)->names);
    free(*rp);
    *rp = NULL;
}

int archive_retrieve_kinds(archive_retrieval *r, archive_kind *kinds, size_t capacity, size_t *count, gn_error *e) {
    if (r->kind_count > capacity) return gn_fail(e, GN_E_TOO_LARGE, "%zu kinds of objects are selected", r->kind_count);
    if (r->kind_count) memcpy(kinds, r->kinds, r->kind_count * sizeof *kinds);
    *count = r->kind_count;
    return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static int open_slice(archive *a, const index_location *l, bool damaged, archive_object *o, gn_error *e) {
    o->length = l->length;
    o->dataset_offset = l->dataset_offset;
    if (damaged) return gn_fail(e, GN_E_CORRUPT, "the stored object is marked as damaged");
    return store_open_object(a->store, l, &o->fd, &o->offset, &o->hold, e);
}

int archive_retrieve_next(archive_retrieval *r, archive_object *o, gn_error *e) {
    *o = (archive_object){ .fd = -1 };
    if (r->next >= r->count) return 1;
    const chosen *c = &r->list[r->next++];
    const archive_kind *kind = &r->kinds[c->kind];
    o->instance_id = c->id;
    (void)snprintf(o->sop_instance, sizeof o->sop_instance, "%s", (const char *)r->names.p + c->sop);
    memcpy(o->sop_class, kind->sop_class, sizeof o->sop_class);
    memcpy(o->transfer_syntax, kind->transfer_syntax, sizeof o->transfer_syntax);
    int rc = open_slice(r->archive, &c->location, c->damaged, o, e);
    if (r->next < r->count) store_will_need(r->archive->store, &r->list[r->next].location);
    return rc;
}

int archive_object_open(archive *a, const char *sop_instance, archive_object *o, gn_error *e) {
    index_known k;
    *o = (archive_object){ .fd = -1 };
    int rc = index_find_instance(a->index, sop_instance, &k, e);
    if (rc) return rc;
    o->instance_id = k.instance_id;
    (void)snprintf(o->sop_instance, sizeof o->sop_instance, "%s", sop_instance);
    memcpy(o->sop_class, k.sop_class, sizeof o->sop_class);
    memcpy(o->transfer_syntax, k.transfer_syntax, sizeof o->transfer_syntax);
    return open_slice(a, &k.location, k.damaged, o, e);
}

void archive_object_release(archive *a, archive_object *o) {
    store_release(a->store, o->hold);
    o->hold = NULL;
    o->fd = -1;
}

/* ---- what is known of one ---------------------------------------------------------------------------------------------- */

int archive_instance_json(archive *a, int64_t instance_id, gn_buf *out, gn_error *e) {
    gn_buf packed = GN_BUF_INIT;
    int rc = index_instance_metadata(a->index, instance_id, &packed, e);
    unsigned long long size = rc ? 0 : ZSTD_getFrameContentSize(packed.p, packed.n);
    if (!rc && (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > ((size_t)64 << 20))) rc = gn_fail(e, GN_E_CORRUPT, "the metadata in the index is damaged");
    uint8_t *p = rc ? NULL : gn_buf_reserve(out, (size_t)size);
    if (!rc && !p) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata");
    if (!rc && ZSTD_decompress(p, (size_t)size, packed.p, packed.n) != size) rc = gn_fail(e, GN_E_CORRUPT, "the metadata in the index is damaged");
    if (!rc) {
        out->n += (size_t)size;
        out->p[out->n] = '\0';
    }
    gn_buf_done(&packed);
    return rc;
}

int archive_check_instance(archive *a, const char *sop_class, const char *sop_instance, bool read_back, gn_error *e) {
    index_known k;
    store_hashes h;
    archive_object o;
    int rc = index_find_instance(a->index, sop_instance, &k, e);
    if (rc) return rc;
    if (sop_class && strcmp(sop_class, k.sop_class) != 0) return gn_fail(e, GN_E_MISMATCH, "the instance is of another SOP class");
    if (!read_back) {
        rc = open_slice(a, &k.location, k.damaged, &o, e);
        if (!rc) store_release(a->store, o.hold);
    } else {
        rc = store_hash_object(a->store, &k.location, &h, e);
        if (!rc && memcmp(h.hash, k.hash, 16) != 0) rc = gn_fail(e, GN_E_CORRUPT, "the stored data set is not what was received (checksum differs)");
        if (!rc && k.location.pack > 0) rc = store_check_object(a->store, &k.location, NULL, e);
    }
    /* What is missing is not unknown: it was acknowledged once. */
    if (rc == GN_E_NOT_FOUND) {
        rc = GN_E_CORRUPT;
        if (e) e->code = rc;
    }
    return rc;
}
