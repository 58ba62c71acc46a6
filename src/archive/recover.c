/* recover: makes the index know what the packs hold.
 *
 * The index says up to which position it knows the packs; it is not synced with each commit, so a power cut may have taken its last rows, while
 * a kill takes nothing. What lies behind the position is read again, decided as it was decided at ingest (each record says by which
 * policy) and added. So a start reads the tail only, and an archive whose index is gone is rebuilt from its packs alone.
 *
 * Behind the position nothing damaged was ever acknowledged: such a stretch is what a crash left in the middle of a write. It is
 * kept in quarantine and made void. In a rebuild a damaged stretch may be an old object gone bad: it is left for `verify`. The index
 * remembers that it is being rebuilt until that is done, so that one which was interrupted goes on as a rebuild. */
#include "internal.h"

#include <stdlib.h>

#define BATCH 32u
#define TELL_NS UINT64_C(1000000000)

typedef struct recovery {
    archive *a;
    bool rebuild;     /* the index was lost */
    bool broken_tail; /* the last pack cannot be continued */
    index_position next;
    reread *items[BATCH];
    size_t n;
    archive_progress progress;
    uint64_t tell_at; /* when on_recovery is next due */
} recovery;

/* ---- how far it is ----------------------------------------------------------------------------------------------------- */

typedef struct extent { index_position from; uint64_t bytes; bool files; } extent;

static int add_extent(void *ctx, bool pack, uint64_t number, uint64_t size, const char *name) {
    extent *x = ctx;
    (void)name;
    uint64_t from = (uint64_t)x->from.pack, passed = pack && number == from ? x->from.offset : 0;
    if (pack ? number >= from && size > passed : x->files && number) x->bytes += size - passed;
    return 0;
}

/* A rebuild reads all large objects too; behind a known position it is not known which, they are added as they come. */
static void expect(recovery *r, const index_position *from) {
    extent x = { .from = *from, .files = r->rebuild };
    if (!r->a->config.on_recovery) return;
    if (store_list(r->a->store, add_extent, &x, NULL) == 0) r->progress.total = x.bytes;
    r->tell_at = r->rebuild ? 0 : gn_mono_ns() + TELL_NS;
}

static void passed(recovery *r, const store_visit *v) {
    archive_progress *p = &r->progress;
    uint64_t start = v->next.pack == v->at.pack ? v->at.offset : 0, file = 0;
    if (v->record && v->record->kind == STORE_FILE) file = v->record->object_length;
    p->done += v->next.offset - start + file;
    if (!r->rebuild) p->total += file;
    if (v->record && v->record->kind != STORE_VOID) p->bytes += v->record->object_length;
    if (p->total < p->done) p->total = p->done;
}

static void tell(recovery *r) {
    uint64_t now = gn_mono_ns();
    if (!r->a->config.on_recovery || now < r->tell_at) return;
    r->a->config.on_recovery(r->a->config.recovery_ctx, &r->progress);
    r->tell_at = now + TELL_NS;
}

/* ---- what the index decided -------------------------------------------------------------------------------------------- */

static bool same_place(const index_location *a, const index_location *b) { return a->pack == b->pack && a->offset == b->offset; }

static void make_void(recovery *r, const index_position *at) {
    index_location l = { at->pack, at->offset + STORE_RECORD_HEADER, 0, 0 };
    if (!r->rebuild) (void)store_void_record(r->a->store, &l, NULL);
}

/* A whole record that lost: as settle() in finish.c would have done. */
static int lost(recovery *r, const reread *x, gn_error *e) {
    if (r->rebuild || same_place(&x->x.superseded, &x->x.location)) return 0; /* known already: it is that very one */
    if (x->x.outcome != ARCHIVE_DUPLICATE && !r->a->config.without_quarantine) {
        int rc = reread_quarantine(r->a, x, "SOP Instance UID is known with other content", e);
        if (rc) return rc;
    }
    if (x->x.location.pack <= 0) (void)store_file_remove(r->a->store, x->x.location.offset, NULL);
    make_void(r, &x->at);
    return 0;
}

static int add_batch(recovery *r, gn_error *e) {
    index_instance *rows[BATCH];
    for (size_t i = 0; i < r->n; i++) rows[i] = &r->items[i]->x;
    archive_duplicate_policy policy = r->n ? r->items[0]->record.policy : ARCHIVE_KEEP;
    int rc = index_add_batch(r->a->index, rows, r->n, policy, &r->next, e);
    for (size_t i = 0; i < r->n; i++) {
        const index_instance *x = &r->items[i]->x;
        if (!rc && x->outcome != ARCHIVE_STORED && x->outcome != ARCHIVE_REPLACED) rc = lost(r, r->items[i], e);
        reread_done(r->a, r->items[i]);
        free(r->items[i]);
    }
    r->n = 0;
    return rc;
}

/* ---- the walk ---------------------------------------------------------------------------------------------------------- */

static int damaged(recovery *r, const store_visit *v, const char *why) {
    gn_error ignored = GN_ERROR_INIT;
    r->progress.problems++;
    uint64_t length = v->next.offset - v->at.offset;
    if (!r->rebuild && store_void_stretch(r->a->store, &v->at, length, why, quarantine_limit(r->a), &ignored) == 0) {
        r->next.offset = v->at.offset + store_align_up((size_t)length);
        return 0;
    }
    index_position end = store_end(r->a->store);
    if (v->next.pack == end.pack && v->next.offset >= end.offset) r->broken_tail = true;
    return 0;
}

static bool is_objects_fault(int code) { return code == GN_E_CORRUPT || code == GN_E_NOT_FOUND || code == GN_E_INVALID || code == GN_E_TRUNCATED || code == GN_E_MISMATCH || code == GN_E_TOO_LARGE || code == GN_E_TOO_DEEP; }

static int whole(recovery *r, const store_visit *v, gn_error *e) {
    gn_error why = GN_ERROR_INIT;
    archive *a = r->a;
    if (r->n && (r->n == BATCH || r->items[0]->record.policy != v->record->policy)) {
        index_position after = r->next;
        r->next = v->at; /* this one is not in yet */
        int rc = add_batch(r, e);
        r->next = after;
        if (rc) return rc;
    }
    reread *x = malloc(sizeof *x);
    if (!x) return gn_fail(e, GN_E_NO_MEMORY, "no memory to read an object");
    x->scratch = NULL;
    int rc = v->record->kind == STORE_FILE ? store_file_recover(a->store, v->record->file_number, v->record->object_length, &why) : 0;
    if (!rc) rc = reread_object(a, v->record, &v->location, x, &why);
    if (rc == 0) {
        x->at = v->at;
        r->items[r->n++] = x;
        return 0;
    }
    reread_done(a, x);
    free(x);
    if (!is_objects_fault(rc)) return gn_fail(e, rc, "%s", why.message);
    if (v->record->kind == STORE_FILE) make_void(r, &v->at); /* its file never came into place: nobody was told that it is stored */
    else return damaged(r, v, why.message);
    return 0;
}

static int walk(recovery *r, const index_position *from, gn_error *e) {
    store_walker *w;
    store_visit v;
    int rc = store_walk_open(r->a->store, from, NULL, &w, e);
    if (rc) return rc;
    expect(r, from);
    while ((rc = store_walk_next(w, &v, e)) == 0) {
        tell(r);
        r->next = v.next;
        if (!v.record) rc = damaged(r, &v, v.damage);
        else if (v.record->kind != STORE_VOID) rc = whole(r, &v, e);
        if (rc) break;
        passed(r, &v);
    }
    store_walk_close(&w);
    if (rc == 1) rc = add_batch(r, e);
    for (size_t i = 0; i < r->n; i++) { /* after a failure */
        reread_done(r->a, r->items[i]);
        free(r->items[i]);
    }
    r->n = 0;
    return rc;
}

static bool before(const index_position *a, const index_position *b) { return a->pack < b->pack || (a->pack == b->pack && a->offset < b->offset); }

/* An index that was made before the first pack, and knows that. One that knows nothing while there are packs was lost. */
static const index_position NEWBORN = { 0, 1 };

/* On disk at once: else a power cut before the first checkpoint would leave what looks like a lost index. Failing is no loss: then it does. */
static void begin_index(archive *a) {
    if (index_add_batch(a->index, NULL, 0, ARCHIVE_KEEP, &NEWBORN, NULL) == 0 && index_checkpoint(a->index, NULL) == 0) (void)gn_fsync_dir(a->directory, NULL);
}

/* On stable storage before anything new is taken: else a power cut could bring the mark back, and the torn tail of then would be taken for an old object. */
static int end_rebuild(archive *a, gn_error *e) {
    int rc = index_set_rebuilding(a->index, false, e);
    return rc ? rc : index_checkpoint(a->index, e);
}

static int catch_up(recovery *r, const index_position *known, bool marked, gn_error *e) {
    index_position end = store_end(r->a->store);
    bool behind = end.pack > 0 && before(known, &end);
    int rc = behind && r->rebuild && !marked ? index_set_rebuilding(r->a->index, true, e) : 0;
    if (!rc && behind) rc = walk(r, known, e);
    if (!rc && (marked || (behind && r->rebuild))) rc = end_rebuild(r->a, e);
    return rc;
}

int recover(archive *a, gn_error *e) {
    index_position known, end = store_end(a->store);
    bool marked = false;
    int rc = index_get_position(a->index, &known, e);
    if (!rc) rc = index_get_rebuilding(a->index, &marked, e);
    if (rc) return rc;
    bool newborn = known.pack == 0 && end.pack == 0, index_lost = known.pack == 0 && known.offset == 0;
    recovery r = { .a = a, .rebuild = index_lost || marked, .next = known };
    if (newborn && index_lost) begin_index(a);
    rc = catch_up(&r, &known, marked, e);
    if (rc) return rc;
    if (newborn) {
        store_set_end(a->store, &end, false);
    } else if (before(&end, &known)) { /* older packs than the index: what is missing is for `verify` to say; never write where something was */
        store_set_end(a->store, &known, true);
    } else {
        /* The next record goes behind the last one; room made ahead is written over. */
        index_position at = r.broken_tail ? end : r.next.pack == end.pack ? r.next : (index_position){ end.pack, 0 };
        store_set_end(a->store, &at, r.broken_tail);
    }
    a->commit.position = r.next;
    return store_sweep(a->store, e);
}
