/* verify: everything that is stored against everything that is known, in one pass (T38).
 *
 * Index and packs are both walked in the order of places, side by side, so that nothing has to be remembered: what the index names and the
 * packs do not hold is missing, what the packs hold and the index does not name is not indexed, and what both have is read and
 * compared with its checksums. Large objects are few: they are remembered by number, found again when their records come, and what
 * else lies in the folders is unknown. Objects that arrive meanwhile are left for the next time. */
#include "internal.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct large { uint64_t number; int64_t id; index_location location; uint8_t hash[16]; char sop[65]; bool seen; } large;

typedef struct checking {
    archive *a;
    const archive_verify_options *o;
    archive_progress progress;
    index_position until;
    uint64_t next_file;
    store_walker *walker;
    store_visit v;
    bool have, ended;   /* v is a visit not dealt with; the walk is over */
    bool stretch_named; /* the damaged stretch v was reported by the object that lies there */
    large *large;
    size_t large_count, large_room;
    uint64_t *spare;    /* numbers of large objects that have a record but no row */
    size_t spare_count, spare_room;
    int failed;         /* the check itself */
    gn_error *e;
} checking;

/* ---- reporting --------------------------------------------------------------------------------------------------------- */

static void problem(checking *c, const char *kind, const char *object, const char *detail) {
    c->progress.problems++;
    if (c->o->on_problem) c->o->on_problem(c->o->ctx, kind, object, detail);
}

static void bad_object(checking *c, const char *kind, int64_t id, const char *sop, const char *detail) {
    problem(c, kind, sop, detail);
    if (c->o->repair && id) (void)index_mark_damaged(c->a->index, id, NULL);
}

static const char *place_text(const index_position *at, char buf[64]) {
    (void)snprintf(buf, 64, "packs/%08" PRId64 ".pack offset %" PRIu64, at->pack, at->offset);
    return buf;
}

/* One more object looked at. false: the caller wants to stop. */
static bool step(checking *c, uint64_t bytes) {
    c->progress.done++;
    c->progress.bytes += bytes;
    if (!c->o->on_progress || c->o->on_progress(c->o->ctx, &c->progress)) return true;
    c->failed = gn_fail(c->e, GN_E_CANCELLED, "the check was stopped");
    return false;
}

static const char *kind_of(int code) { return code == GN_E_NOT_FOUND ? "missing" : "damaged"; }

/* ---- what the packs hold and the index does not name ------------------------------------------------------------------- */

static void reindex(checking *c, const store_record *r, const index_location *l, const char *object) {
    archive *a = c->a;
    gn_error why = GN_ERROR_INIT;
    reread *x = calloc(1, sizeof *x);
    int rc = x ? reread_object(a, r, l, x, &why) : gn_fail(&why, GN_E_NO_MEMORY, "no memory to read an object");
    if (!rc) rc = commit_rows(a, &(index_instance *){ &x->x }, 1, r->policy, &why);
    problem(c, "not-indexed", object, rc ? why.message : "whole; put back into the index");
    if (x) reread_done(a, x);
    free(x);
}

static bool same_place(const index_location *a, const index_location *b) { return a->pack == b->pack && a->offset == b->offset; }

static void remember_spare(checking *c, uint64_t number) {
    if (c->spare_count == c->spare_room) {
        size_t room = c->spare_room ? 2 * c->spare_room : 64;
        uint64_t *p = realloc(c->spare, room * sizeof *p);
        if (!p) {
            c->failed = gn_fail(c->e, GN_E_NO_MEMORY, "no memory to verify");
            return;
        }
        c->spare = p;
        c->spare_room = room;
    }
    c->spare[c->spare_count++] = number;
}

/* Repair: a stretch that belongs to nothing known goes to quarantine and becomes void, so that it is told only once. */
static void discard(checking *c, const store_visit *v, const char *why) {
    if (c->o->repair) (void)store_void_stretch(c->a->store, &v->at, v->next.offset - v->at.offset, why, quarantine_limit(c->a), NULL);
}

/* A record that no row names: an older copy of a known instance (replaced, or a duplicate that was not made void) is in order. */
static void unnamed_record(checking *c, const store_visit *v) {
    const store_record *r = v->record;
    index_known k;
    gn_error why = GN_ERROR_INIT;
    if (r->kind == STORE_FILE) remember_spare(c, r->file_number);
    int absent = index_find_instance(c->a->index, r->sop_instance, &k, &why); /* GN_E_NOT_FOUND */
    if (absent && absent != GN_E_NOT_FOUND) {
        c->failed = gn_fail(c->e, absent, "%s", why.message);
        return;
    }
    bool current = !absent && same_place(&k.location, &v->location); /* it moved there while we walked */
    gn_error_clear(&why);
    int rc = store_check_object(c->a->store, &v->location, r, &why);
    if (rc == GN_E_NOT_FOUND && r->kind == STORE_FILE && !current && !absent) return; /* a copy that lost; its file went */
    if (rc) {
        bad_object(c, kind_of(rc), current ? k.instance_id : 0, r->sop_instance, why.message);
        if (!current) discard(c, v, why.message);
    } else if (absent && c->o->repair) reindex(c, r, &v->location, r->sop_instance);
    else if (absent) problem(c, "not-indexed", r->sop_instance, "whole, but the index does not know it");
}

static int by_number(const void *a, const void *b) {
    uint64_t x = ((const large *)a)->number, y = ((const large *)b)->number;
    return x < y ? -1 : x > y;
}

static void check_large(checking *c, large *l, const store_record *r) {
    gn_error why = GN_ERROR_INIT;
    l->seen = true;
    int rc = store_check_object(c->a->store, &l->location, r, &why);
    if (!rc && memcmp(r->hash, l->hash, 16) != 0) rc = gn_fail(&why, GN_E_CORRUPT, "index and record disagree about its checksum");
    if (rc) bad_object(c, kind_of(rc), l->id, l->sop, why.message);
    (void)step(c, l->location.length);
}

/* The visit at hand has no row in the index at its place. */
static void deal_with_unnamed(checking *c) {
    store_visit *v = &c->v;
    char place[64];
    c->have = false;
    if (!v->record) {
        if (!c->stretch_named) {
            problem(c, "damaged", place_text(&v->at, place), v->damage);
            discard(c, v, v->damage);
        }
        return;
    }
    if (v->record->kind == STORE_VOID) return;
    large *l = v->record->kind == STORE_FILE && c->large_count ? bsearch(&(large){ .number = v->record->file_number }, c->large, c->large_count, sizeof *c->large, by_number) : NULL;
    if (l) check_large(c, l, v->record);
    else unnamed_record(c, v);
}

static bool fetch(checking *c) {
    if (c->have || c->ended || c->failed) return c->have;
    int rc = store_walk_next(c->walker, &c->v, c->e);
    c->have = rc == 0;
    c->ended = rc == 1;
    c->stretch_named = false;
    if (rc < 0) c->failed = rc;
    return c->have;
}

/* ---- what the index names ---------------------------------------------------------------------------------------------- */

static bool before(int64_t pack, uint64_t offset, const index_position *p) { return pack < p->pack || (pack == p->pack && offset < p->offset); }

static int remember_large(checking *c, const index_known *k, const char *sop) {
    if (k->location.offset >= c->next_file) return 0; /* arrived meanwhile */
    if (c->large_count == c->large_room) {
        size_t room = c->large_room ? 2 * c->large_room : 64;
        large *p = realloc(c->large, room * sizeof *p);
        if (!p) return c->failed = gn_fail(c->e, GN_E_NO_MEMORY, "no memory to verify");
        c->large = p;
        c->large_room = room;
    }
    large *l = &c->large[c->large_count++];
    *l = (large){ .number = k->location.offset, .id = k->instance_id, .location = k->location };
    memcpy(l->hash, k->hash, 16);
    (void)snprintf(l->sop, sizeof l->sop, "%s", sop);
    return 0;
}

/* Why this instance, whose record is the visit at hand, is not in order; 0: it is. */
static int check_named(checking *c, const index_known *k, const char *sop, gn_error *why) {
    const store_record *r = c->v.record;
    if (r->kind != STORE_OBJECT || strcmp(r->sop_instance, sop) != 0 || memcmp(r->hash, k->hash, 16) != 0)
        return gn_fail(why, GN_E_CORRUPT, "index and record disagree about what lies there");
    return store_check_object(c->a->store, &c->v.location, r, why);
}

static int visit_row(void *ctx, const index_known *k, const char *sop) {
    checking *c = ctx;
    gn_error why = GN_ERROR_INIT;
    const index_location *l = &k->location;
    if (l->pack <= 0) return remember_large(c, k, sop);
    if (l->offset < STORE_RECORD_HEADER || !before(l->pack, l->offset - STORE_RECORD_HEADER, &c->until)) {
        /* behind the position that the packs were asked for: new, unless the packs end before it */
        index_position end = store_end(c->a->store);
        if (before(l->pack, l->offset, &end)) return 0;
        bad_object(c, "missing", k->instance_id, sop, "the packs end before it");
        return step(c, 0) ? 0 : c->failed;
    }
    uint64_t at = l->offset - STORE_RECORD_HEADER;
    while (fetch(c) && !before(l->pack, at, &c->v.next)) deal_with_unnamed(c);
    if (c->failed) return c->failed;
    index_position mine = { l->pack, at };
    int rc;
    if (c->have && c->v.record && c->v.at.pack == mine.pack && c->v.at.offset == mine.offset) {
        rc = check_named(c, k, sop, &why);
        c->have = false;
    } else if (c->have && !c->v.record && c->v.at.pack == mine.pack && c->v.at.offset <= at) {
        rc = gn_fail(&why, GN_E_CORRUPT, "%s", c->v.damage);
        c->stretch_named = true;
    } else {
        rc = store_check_object(c->a->store, l, NULL, &why); /* no such record, or one that we passed before it was replaced */
    }
    if (rc) bad_object(c, kind_of(rc), k->instance_id, sop, why.message);
    return step(c, l->length) ? 0 : c->failed;
}

/* ---- the folders ------------------------------------------------------------------------------------------------------- */

static int visit_file(void *ctx, bool pack, uint64_t number, uint64_t size, const char *name) {
    checking *c = ctx;
    char object[320];
    (void)size;
    bool ours = number > 0 && (pack || number >= c->next_file);
    if (!ours && number > 0) ours = c->large_count && bsearch(&(large){ .number = number }, c->large, c->large_count, sizeof *c->large, by_number);
    for (size_t i = 0; i < c->spare_count && !ours && number > 0; i++) ours = c->spare[i] == number;
    if (ours) return 0;
    (void)snprintf(object, sizeof object, "%s/%s", pack ? "packs" : "objects", name);
    problem(c, "unknown", object, "no record names this file");
    return 0;
}

static int check_all(checking *c) {
    archive_stats stats = { 0 };
    int rc = index_stats(c->a->index, &stats, c->e);
    c->progress.total = (uint64_t)stats.instances;
    c->next_file = store_file_next(c->a->store);
    if (!rc) rc = index_get_position(c->a->index, &c->until, c->e);
    if (!rc) rc = store_walk_open(c->a->store, NULL, &c->until, &c->walker, c->e);
    if (!rc) rc = index_walk(c->a->index, visit_row, c, c->e);
    while (!rc && !c->failed && fetch(c)) deal_with_unnamed(c);
    for (size_t i = 0; i < c->large_count && !rc && !c->failed; i++)
        if (!c->large[i].seen) bad_object(c, "missing", c->large[i].id, c->large[i].sop, "no record in the packs names this object");
    if (!rc && !c->failed) rc = store_list(c->a->store, visit_file, c, c->e);
    return c->failed ? c->failed : rc;
}

int64_t archive_verify(archive *a, const archive_verify_options *o, gn_error *e) {
    static const archive_verify_options defaults = { 0 };
    gn_error why = GN_ERROR_INIT;
    checking c = { .a = a, .o = o ? o : &defaults, .e = &why };
    if (c.o->repair && a->config.read_only) return gn_fail(e, GN_E_REFUSED, "an archive that is open for reading only cannot be repaired");
    int rc = check_all(&c);
    store_walk_close(&c.walker);
    free(c.large);
    free(c.spare);
    if (rc) return gn_fail(e, rc, "%s", why.message);
    return (int64_t)c.progress.problems;
}
