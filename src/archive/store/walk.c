/* walk: from record to record through the packs.
 *
 * Serves recovery (from the index's position to the end), verify and reindex (everything). Only headers are read; who wants bodies checked calls
 * store_check_object. Void records are visited too. What is no record of this place is a damaged stretch, up to the next block that is one; zeros up to the
 * end of a pack are no damage (room made ahead). A whole number of packs may lie between two records, some of them missing. */
#include "store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct store_walker {
    store *store;
    int64_t *packs; /* numbers, ascending */
    size_t count, i;
    int fd;
    uint64_t at, size; /* in packs[i] */
    index_position until;
    bool bounded;
    store_record record;
    char damage[160];
    uint8_t *chunk; /* READ_CHUNK bytes of the pack at chunk_at */
    uint64_t chunk_at;
    size_t chunk_n;
};

static int compare_packs(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int list_packs(store_walker *w, int64_t from, gn_error *e) {
    int fd = openat(w->store->packs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int errnum = errno;
        if (fd >= 0) (void)close(fd);
        return gn_fail_errno(e, errnum, "cannot read the folder of packs");
    }
    size_t room = 0;
    int rc = 0;
    int64_t pack;
    for (struct dirent *x; !rc && (x = readdir(d));) {
        if (!pack_number(x->d_name, &pack) || pack < from || (w->bounded && pack > w->until.pack)) continue;
        if (w->count == room) {
            room = room ? 2 * room : 64;
            int64_t *p = realloc(w->packs, room * sizeof *p);
            if (p) w->packs = p;
            else rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for a list of packs");
        }
        if (!rc) w->packs[w->count++] = pack;
    }
    (void)closedir(d);
    if (w->count > 1) qsort(w->packs, w->count, sizeof *w->packs, compare_packs);
    return rc;
}

int store_walk_open(store *s, const index_position *from, const index_position *until, store_walker **out, gn_error *e) {
    store_walker *w = calloc(1, sizeof *w);
    if (!w) return gn_fail(e, GN_E_NO_MEMORY, "no memory to walk the packs");
    w->store = s;
    w->fd = -1;
    w->bounded = until != NULL;
    if (until) w->until = *until;
    w->chunk = malloc(READ_CHUNK);
    int rc = w->chunk ? list_packs(w, from ? from->pack : 0, e) : gn_fail(e, GN_E_NO_MEMORY, "no memory to walk the packs");
    if (rc) {
        store_walk_close(&w);
        return rc;
    }
    if (from && w->count > 0 && w->packs[0] == from->pack) w->at = from->offset;
    *out = w;
    return 0;
}

void store_walk_close(store_walker **wp) {
    if (!wp || !*wp) return;
    if ((*wp)->fd >= 0) (void)close((*wp)->fd);
    free((*wp)->packs);
    free((*wp)->chunk);
    free(*wp);
    *wp = NULL;
}

static int open_next(store_walker *w, gn_error *e) {
    char name[32];
    struct stat st;
    pack_name(w->packs[w->i], name);
    w->fd = openat(w->store->packs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (w->fd < 0 || fstat(w->fd, &st)) return gn_fail_errno(e, errno, "cannot open pack %s", name);
    w->size = (uint64_t)st.st_size;
    if (w->bounded && w->packs[w->i] == w->until.pack && w->size > w->until.offset) w->size = w->until.offset;
    w->chunk_n = 0;
    return 0;
}

/* The block at `at`, or what the pack has of it. NULL: cannot be read (the medium has an error there, or memory). */
static const uint8_t *block_at(store_walker *w, uint64_t at, size_t *n, size_t ahead) {
    if (at < w->chunk_at || at + STORE_ALIGN > w->chunk_at + w->chunk_n || w->chunk_n == 0) {
        size_t want = w->size - at < ahead ? (size_t)(w->size - at) : ahead;
        w->chunk_at = at;
        w->chunk_n = 0;
        if (gn_pread_all(w->fd, w->chunk, want, at, NULL)) {
            if (want > STORE_ALIGN) return block_at(w, at, n, STORE_ALIGN); /* around the bad spot */
            return NULL;
        }
        w->chunk_n = want;
    }
    *n = w->size - at < STORE_ALIGN ? (size_t)(w->size - at) : STORE_ALIGN;
    return w->chunk + (at - w->chunk_at);
}

/* Why the block at `at` begins no record; NULL: it does, *r and *image are filled. */
static const char *look(store_walker *w, uint64_t at, store_record *r, uint64_t *image, size_t ahead) {
    size_t n;
    record_seal seal;
    const uint8_t *p = block_at(w, at, &n, ahead);
    if (!p) return "it cannot be read";
    if (n < STORE_RECORD_HEADER) return "the pack ends in a record's header";
    if (!store_record_decode(p, r, image)) return "a record's header is damaged";
    record_seal_read(p, &seal);
    if (memcmp(seal.id, w->store->id, 16) != 0) return "the record is from another archive";
    if (seal.pack != (uint64_t)w->packs[w->i] || seal.offset != at) return "the record belongs to another place";
    if (*image > w->size - at) return "the pack ends in a record";
    return NULL;
}

static bool zeros_to_end(store_walker *w, uint64_t at) {
    size_t n;
    for (; at < w->size; at += n) {
        const uint8_t *p = block_at(w, at, &n, READ_CHUNK);
        if (!p) return false;
        for (size_t i = 0; i < n; i++)
            if (p[i]) return false;
    }
    return true;
}

/* A stretch from w->at to the next record or the end. */
static int visit_damage(store_walker *w, store_visit *v, const char *why) {
    uint64_t to = w->at, image;
    store_record r;
    do to += STORE_ALIGN;
    while (to < w->size && look(w, to, &r, &image, READ_CHUNK));
    if (to > w->size) to = w->size;
    (void)snprintf(w->damage, sizeof w->damage, "%s", why);
    v->record = NULL;
    v->damage = w->damage;
    v->location = (index_location){ w->packs[w->i], w->at, to - w->at, 0 };
    v->at = (index_position){ w->packs[w->i], w->at };
    v->next = (index_position){ w->packs[w->i], to };
    w->at = to;
    return 0;
}

int store_walk_next(store_walker *w, store_visit *v, gn_error *e) {
    for (;;) {
        if (w->i >= w->count) return 1;
        if (w->fd < 0) {
            int rc = open_next(w, e);
            if (rc) return rc;
        }
        uint64_t image;
        const char *why = w->at < w->size ? look(w, w->at, &w->record, &image, STORE_ALIGN) : NULL;
        if (w->at >= w->size || (why && zeros_to_end(w, w->at))) { /* the next pack */
            (void)close(w->fd);
            w->fd = -1;
            w->at = 0;
            w->i++;
            continue;
        }
        if (why) return visit_damage(w, v, why);
        uint64_t at = w->at;
        w->at += image;
        v->record = &w->record;
        v->damage = NULL;
        v->location = w->record.kind == STORE_FILE ? (index_location){ 0, w->record.file_number, w->record.object_length, w->record.dataset_offset }
                                                   : (index_location){ w->packs[w->i], at + STORE_RECORD_HEADER, w->record.object_length, w->record.dataset_offset };
        v->at = (index_position){ w->packs[w->i], at };
        v->next = (index_position){ w->packs[w->i], w->at };
        return 0;
    }
}
