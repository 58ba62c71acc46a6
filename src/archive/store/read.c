/* read: giving out slices of packs and large objects, and hashing them.
 *
 * Descriptors of packs are shared: a small table keeps the most recently used ones, each with the number of those who hold it. A large
 * object has a descriptor of its own for each holder. A hold is therefore either an entry of the table or an allocated entry that nobody
 * else knows (`orphan`), which also serves when the table is full of held packs. */
#include "store_private.h"

#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_pack(store *s, int64_t pack, gn_error *e) {
    char name[32];
    pack_name(pack, name);
    int fd = openat(s->packs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (errno == ENOENT) gn_fail(e, GN_E_NOT_FOUND, "pack %s is missing", name);
        else gn_fail_errno(e, errno, "cannot open pack %s", name);
    }
    return fd;
}

static pack_fd *orphan(int fd, gn_error *e) {
    pack_fd *h = malloc(sizeof *h);
    if (!h) {
        (void)close(fd);
        gn_fail(e, GN_E_NO_MEMORY, "no memory to open an object");
        return NULL;
    }
    *h = (pack_fd){ .fd = fd, .users = 1, .orphan = true };
    return h;
}

/* An entry of the table for this pack, or the best one to reuse; NULL: all are held. Called with read_lock. */
static pack_fd *find_entry(store *s, int64_t pack) {
    pack_fd *best = NULL;
    for (unsigned i = 0; i < PACK_FDS; i++) {
        pack_fd *h = &s->reading[i];
        if (h->fd >= 0 && h->pack == pack) return h;
        if (h->users > 0) continue;
        if (!best || (best->fd >= 0 && (h->fd < 0 || h->used_at < best->used_at))) best = h;
    }
    return best;
}

static pack_fd *hold_pack(store *s, int64_t pack, gn_error *e) {
    pthread_mutex_lock(&s->read_lock);
    pack_fd *h = find_entry(s, pack);
    if (h && (h->fd < 0 || h->pack != pack)) { /* opening under the lock is rare: once a GiB */
        int fd = open_pack(s, pack, e);
        if (fd < 0) {
            pthread_mutex_unlock(&s->read_lock);
            return NULL;
        }
        if (h->fd >= 0) (void)close(h->fd);
        *h = (pack_fd){ .pack = pack, .fd = fd };
    }
    if (h) {
        h->users++;
        h->used_at = ++s->clock;
    }
    pthread_mutex_unlock(&s->read_lock);
    if (h) return h;
    int fd = open_pack(s, pack, e);
    return fd < 0 ? NULL : orphan(fd, e);
}

static pack_fd *hold_file(store *s, uint64_t number, gn_error *e) {
    char name[64];
    int fd = file_open_read(s, number);
    if (fd >= 0) return orphan(fd, e);
    file_name(number, name);
    if (errno == ENOENT) gn_fail(e, GN_E_NOT_FOUND, "objects/%s is missing", name);
    else gn_fail_errno(e, errno, "cannot open objects/%s", name);
    return NULL;
}

static int hold_failed(const gn_error *e) { return e && e->code ? e->code : GN_E_IO; }

int store_open_object(store *s, const index_location *l, int *fd, uint64_t *offset, void **hold, gn_error *e) {
    gn_error why = GN_ERROR_INIT;
    struct stat st;
    pack_fd *h = l->pack > 0 ? hold_pack(s, l->pack, &why) : hold_file(s, l->offset, &why);
    int rc = h ? 0 : hold_failed(&why);
    uint64_t from = l->pack > 0 ? l->offset : 0, end;
    if (!rc && fstat(h->fd, &st)) rc = gn_fail_errno(&why, errno, "cannot look at an object");
    if (!rc && (!gn_add_u64(from, l->length, &end) || end > (uint64_t)st.st_size)) rc = gn_fail(&why, GN_E_CORRUPT, "the stored object is cut off");
    if (!rc && l->pack <= 0 && (uint64_t)st.st_size != l->length) rc = gn_fail(&why, GN_E_CORRUPT, "the stored object has another size than it had");
    if (rc) {
        if (h) store_release(s, h);
        return gn_fail(e, rc, "%s", why.message);
    }
    *fd = h->fd;
    *offset = from;
    *hold = h;
    return 0;
}

void store_release(store *s, void *hold) {
    pack_fd *h = hold;
    if (!h) return;
    if (h->orphan) {
        (void)close(h->fd);
        free(h);
        return;
    }
    pthread_mutex_lock(&s->read_lock);
    h->users--;
    pthread_mutex_unlock(&s->read_lock);
}

void reading_done(store *s) {
    for (unsigned i = 0; i < PACK_FDS; i++)
        if (s->reading[i].fd >= 0) (void)close(s->reading[i].fd);
}

void store_will_need(store *s, const index_location *l) {
    int fd;
    uint64_t offset;
    void *hold;
    uint64_t most = UINT64_C(8) << 20;
    if (store_open_object(s, l, &fd, &offset, &hold, NULL)) return;
    (void)posix_fadvise(fd, (off_t)offset, (off_t)(l->length < most ? l->length : most), POSIX_FADV_WILLNEED);
    store_release(s, hold);
}

/* ---- hashing ----------------------------------------------------------------------------------------------------------- */

typedef struct reading {
    XXH3_state_t dataset, header;
    uint64_t at, dataset_offset; /* within the object */
} reading;

static void take(reading *r, const uint8_t *p, size_t n) {
    if (r->at < r->dataset_offset) {
        size_t part = r->dataset_offset - r->at < n ? (size_t)(r->dataset_offset - r->at) : n;
        XXH3_64bits_update(&r->header, p, part);
        p += part;
        n -= part;
        r->at += part;
    }
    XXH3_128bits_update(&r->dataset, p, n);
    r->at += n;
}

int store_hash_object(store *s, const index_location *l, store_hashes *out, gn_error *e) {
    int fd;
    uint64_t offset;
    void *hold;
    int rc = store_open_object(s, l, &fd, &offset, &hold, e);
    if (rc) return rc;
    size_t chunk = l->length < READ_CHUNK ? (size_t)l->length + 1 : READ_CHUNK;
    uint8_t *p = malloc(chunk);
    reading *r = aligned_alloc(_Alignof(reading), sizeof *r); /* a hash's state wants more than malloc's alignment */
    if (!p || !r) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory to check an object");
    if (!rc) {
        XXH3_64bits_reset(&r->header);
        XXH3_128bits_reset(&r->dataset);
        r->at = 0;
        r->dataset_offset = l->dataset_offset;
        (void)posix_fadvise(fd, (off_t)offset, (off_t)l->length, POSIX_FADV_WILLNEED);
    }
    while (!rc && r->at < l->length) {
        size_t n = l->length - r->at < chunk ? (size_t)(l->length - r->at) : chunk;
        rc = gn_pread_all(fd, p, n, offset + r->at, e);
        if (!rc) take(r, p, n);
    }
    if (!rc) {
        XXH128_canonical_t c;
        XXH128_canonicalFromHash(&c, XXH3_128bits_digest(&r->dataset));
        memcpy(out->hash, c.digest, 16);
        XXH3_64bits_update(&r->header, out->hash, 16);
        gn_store_le64(out->object_hash, XXH3_64bits_digest(&r->header));
    }
    free(r);
    free(p);
    store_release(s, hold);
    return rc;
}

/* The record before an object in its pack. */
static int read_record(store *s, const index_location *l, store_record *r, gn_error *e) {
    uint8_t header[STORE_RECORD_HEADER];
    uint64_t image;
    record_seal seal;
    if (l->offset < STORE_RECORD_HEADER) return gn_fail(e, GN_E_CORRUPT, "no record lies there");
    pack_fd *h = hold_pack(s, l->pack, e);
    if (!h) return hold_failed(e);
    int rc = gn_pread_all(h->fd, header, sizeof header, l->offset - STORE_RECORD_HEADER, e);
    store_release(s, h);
    if (rc) return rc;
    record_seal_read(header, &seal);
    if (!store_record_decode(header, r, &image) || memcmp(seal.id, s->id, 16) != 0 || seal.pack != (uint64_t)l->pack || seal.offset != l->offset - STORE_RECORD_HEADER)
        return gn_fail(e, GN_E_CORRUPT, "the record before the object is damaged or from elsewhere");
    if (r->kind != STORE_OBJECT || r->object_length != l->length || r->dataset_offset != l->dataset_offset)
        return gn_fail(e, GN_E_CORRUPT, "the record before the object is that of another one");
    return 0;
}

int store_check_object(store *s, const index_location *l, const store_record *expected, gn_error *e) {
    store_record record;
    store_hashes h;
    int rc = 0;
    if (!expected && l->pack > 0) rc = read_record(s, l, &record, e);
    if (!rc) rc = store_hash_object(s, l, &h, e);
    if (rc) return rc;
    const store_record *r = expected ? expected : &record;
    if (!expected && l->pack <= 0) return 0; /* its size was right; the hash is for those who know it */
    if (memcmp(h.hash, r->hash, 16) != 0) return gn_fail(e, GN_E_CORRUPT, "the stored data set is not what was received (checksum differs)");
    if (memcmp(h.object_hash, r->object_hash, 8) != 0) return gn_fail(e, GN_E_CORRUPT, "the stored file header is not what was written (checksum differs)");
    return 0;
}
