/* pack: appending batches of records, and making records void.
 *
 * The pack being written is open with O_DIRECT where the file system has it: a batch goes to disk without passing the page cache, which
 * halves its cost, and the one sync behind it has only metadata to write. Reading goes through other descriptors and the page
 * cache, which direct writes keep coherent. What a failed batch left is cut off; after a failed sync nothing is known of the
 * pages, so the pack is never written again (T30).
 *
 * A write that makes a file longer costs two or three more writes of metadata at the sync. So a small batch that does brings zeros with
 * it, over which the next ones are written at half the price. Zeros behind the last record are never taken for damage. */
#include "store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define AHEAD_BATCH ((uint64_t)64 << 10)  /* batches up to this size bring zeros … */
#define AHEAD_BYTES ((uint64_t)256 << 10) /* … of so many bytes */
#define ZEROS ((size_t)64 << 10)

void pack_name(int64_t pack, char out[32]) { (void)snprintf(out, 32, "%08" PRId64 ".pack", pack); }

bool pack_number(const char *name, int64_t *pack) {
    char expected[32];
    int64_t n = 0;
    size_t i = 0;
    for (; name[i] >= '0' && name[i] <= '9' && i < 18; i++) n = n * 10 + (name[i] - '0');
    if (i < 8 || n <= 0) return false;
    pack_name(n, expected);
    *pack = n;
    return strcmp(name, expected) == 0;
}

int pack_last(store *s, index_position *end, gn_error *e) {
    int fd = openat(s->packs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int errnum = errno;
        if (fd >= 0) (void)close(fd);
        return gn_fail_errno(e, errnum, "cannot read the folder of packs");
    }
    int64_t last = 0, pack;
    for (struct dirent *x; (x = readdir(d));)
        if (pack_number(x->d_name, &pack) && pack > last) last = pack;
    (void)closedir(d);
    *end = (index_position){ last, 0 };
    if (last == 0) return 0;
    struct stat st;
    char name[32];
    pack_name(last, name);
    if (fstatat(s->packs, name, &st, AT_SYMLINK_NOFOLLOW)) return gn_fail_errno(e, errno, "cannot look at pack %s", name);
    if (!S_ISREG(st.st_mode)) return gn_fail(e, GN_E_REFUSED, "pack %s is not a file", name);
    end->offset = (uint64_t)st.st_size;
    return 0;
}

index_position store_end(store *s) {
    pthread_mutex_lock(&s->end_lock);
    index_position end = s->end;
    pthread_mutex_unlock(&s->end_lock);
    return end;
}

static void set_end(store *s, int64_t pack, uint64_t offset) {
    pthread_mutex_lock(&s->end_lock);
    s->end = (index_position){ pack, offset };
    pthread_mutex_unlock(&s->end_lock);
}

void store_set_end(store *s, const index_position *end, bool fresh) {
    pack_close(s);
    s->pack_fresh = fresh || end->offset % STORE_ALIGN != 0;
    set_end(s, end->pack, end->offset);
}

/* ---- the pack being written -------------------------------------------------------------------------------------------- */

void pack_close(store *s) {
    if (s->pack_fd < 0) return;
    if (s->written > s->end.offset && ftruncate(s->pack_fd, (off_t)s->end.offset)) s->written = 0; /* zeros that were not needed may stay */
    (void)close(s->pack_fd);
    s->pack_fd = -1;
}

static int open_for_writing(store *s, const char *name, int flags) {
    int fd = openat(s->packs, name, O_WRONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0 && errno == EINVAL) fd = openat(s->packs, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (flags & ~O_EXCL), 0600); /* tmpfs and others */
    return fd;
}

static int begin_pack(store *s, gn_error *e) {
    char name[32];
    int64_t pack = s->end.pack + 1;
    pack_close(s);
    pack_name(pack, name);
    int fd = open_for_writing(s, name, O_CREAT | O_EXCL);
    if (fd < 0) return store_fail_errno(s, errno, e, "make pack", name);
    if (fsync(s->packs) && errno != EINVAL) {
        int rc = store_fail_errno(s, errno, e, "sync the folder of pack", name);
        (void)close(fd);
        (void)unlinkat(s->packs, name, 0);
        return rc;
    }
    s->pack_fd = fd;
    s->pack_fresh = false;
    s->written = 0;
    set_end(s, pack, 0);
    return 0;
}

/* A pack to append `length` bytes to, at s->end. */
static int ensure_pack(store *s, uint64_t length, gn_error *e) {
    bool full = s->end.offset > 0 && s->end.offset + length > PACK_BYTES;
    if (s->end.pack == 0 || s->pack_fresh || full) return begin_pack(s, e);
    if (s->pack_fd >= 0) return 0;
    char name[32];
    pack_name(s->end.pack, name);
    s->pack_fd = open_for_writing(s, name, 0);
    s->written = 0; /* counts as longer at the first write, whatever it is */
    return s->pack_fd < 0 ? store_fail_errno(s, errno, e, "open pack", name) : 0;
}

/* Zeros to write behind a batch that ends at `end`: buffers appended to v. */
static int add_zeros(store *s, struct iovec *v, uint64_t total, uint64_t end) {
    if (end <= s->written || total > AHEAD_BATCH || end + AHEAD_BYTES > PACK_BYTES) return 0;
    if (!s->zeros && !(s->zeros = aligned_alloc(STORE_ALIGN, ZEROS))) return 0;
    memset(s->zeros, 0, ZEROS);
    int n = 0;
    for (uint64_t bytes = 0; bytes < AHEAD_BYTES; bytes += ZEROS) v[n++] = (struct iovec){ s->zeros, ZEROS };
    return n;
}

/* Writes all buffers at an offset; short writes go on behind what was taken, which stays aligned. */
static int write_vector(store *s, struct iovec *v, int n, uint64_t offset, gn_error *e) {
    while (n > 0) {
        ssize_t k = pwritev(s->pack_fd, v, n, (off_t)offset);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return store_fail_errno(s, errno, e, "write", "to the pack");
        if (k == 0 || k % STORE_ALIGN) return store_fail_errno(s, ENOSPC, e, "write", "to the pack"); /* room for a part of a block */
        offset += (uint64_t)k;
        for (size_t left = (size_t)k; left > 0;) {
            size_t part = left < v->iov_len ? left : v->iov_len;
            v->iov_base = (uint8_t *)v->iov_base + part;
            v->iov_len -= part;
            left -= part;
            if (v->iov_len == 0) v++, n--;
        }
    }
    return 0;
}

/* Nothing of the batch counts: cut it off, or leave the pack alone for good. */
static void undo(store *s, uint64_t start, bool abandon) {
    s->written = start;
    if (ftruncate(s->pack_fd, (off_t)start)) abandon = true;
    if (!abandon) return;
    pack_close(s);
    s->pack_fresh = true;
}

int store_append_batch(store *s, store_append *items, size_t n, index_position *end, gn_error *e) {
    struct iovec v[STORE_BATCH_MAX + AHEAD_BYTES / ZEROS];
    uint64_t total = 0;
    if (n == 0 || n > STORE_BATCH_MAX) return gn_fail(e, GN_E_INTERNAL, "a batch of %zu records", n);
    for (size_t i = 0; i < n; i++) total += items[i].length;
    int rc = ensure_pack(s, total, e);
    if (rc) return rc;
    const int64_t pack = s->end.pack;
    const uint64_t start = s->end.offset;
    uint64_t at = start;
    for (size_t i = 0; i < n; i++) {
        record_seal_write(items[i].image, s->id, (uint64_t)pack, at);
        items[i].location = (index_location){ pack, at + STORE_RECORD_HEADER, items[i].object_length, items[i].dataset_offset };
        v[i] = (struct iovec){ items[i].image, items[i].length };
        at += items[i].length;
    }
    int zeros = add_zeros(s, v + n, total, at);
    rc = write_vector(s, v, (int)n + zeros, start, e);
    if (rc) {
        if (rc != GN_E_NO_SPACE) atomic_fetch_add(&s->sync_failures, 1);
        undo(s, start, rc != GN_E_NO_SPACE);
        return rc;
    }
    if (fdatasync(s->pack_fd)) {
        rc = store_fail_errno(s, errno, e, "sync", "the pack");
        if (rc != GN_E_NO_SPACE) atomic_fetch_add(&s->sync_failures, 1);
        undo(s, start, true);
        return rc;
    }
    store_took(s, total);
    if (at + (uint64_t)zeros * ZEROS > s->written) s->written = at + (uint64_t)zeros * ZEROS;
    set_end(s, pack, at);
    *end = (index_position){ pack, at };
    return 0;
}

/* ---- void records ------------------------------------------------------------------------------------------------------ */

static int open_void(store *s, int64_t pack, gn_error *e) {
    char name[32];
    pack_name(pack, name);
    int fd = openat(s->packs, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) gn_fail_errno(e, errno, "cannot open pack %s", name);
    return fd;
}

/* Writes the header over the first block, then gives the rest back to the file system. */
static int write_void(store *s, int fd, store_record *r, int64_t pack, uint64_t at, uint64_t length, gn_error *e) {
    uint8_t block[STORE_ALIGN] = { 0 };
    r->kind = STORE_VOID;
    store_record_encode(r, (size_t)length, block);
    record_seal_write(block, s->id, (uint64_t)pack, at);
    int rc = gn_pwrite_all(fd, block, sizeof block, at, e);
    if (!rc && length > sizeof block) (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(at + sizeof block), (off_t)(length - sizeof block));
    return rc;
}

int store_void_record(store *s, const index_location *l, gn_error *e) {
    uint8_t header[STORE_RECORD_HEADER];
    store_record r;
    uint64_t length;
    if (l->pack <= 0 || l->offset < STORE_RECORD_HEADER) return gn_fail(e, GN_E_INTERNAL, "no record lies there");
    uint64_t at = l->offset - STORE_RECORD_HEADER;
    int fd = open_void(s, l->pack, e);
    if (fd < 0) return GN_E_IO;
    int rc = gn_pread_all(fd, header, sizeof header, at, e);
    if (!rc && !store_record_decode(header, &r, &length)) rc = gn_fail(e, GN_E_CORRUPT, "the record to make void is damaged");
    if (!rc) rc = write_void(s, fd, &r, l->pack, at, length, e);
    (void)close(fd);
    return rc;
}

#define STRETCH_MAX (UINT64_C(256) << 20) /* no crash leaves more than a batch */

static bool all_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

/* Keeps the bytes of a stretch in quarantine, unless they are zeros. */
static int keep_stretch(store *s, int fd, const index_position *at, uint64_t length, const char *why, uint64_t limit, gn_error *e) {
    uint8_t *p = malloc((size_t)length);
    char reason[320];
    int64_t number;
    if (!p) return gn_fail(e, GN_E_NO_MEMORY, "no memory for %" PRIu64 " bytes of a pack", length);
    int rc = gn_pread_all(fd, p, (size_t)length, at->offset, e);
    if (!rc && !all_zero(p, (size_t)length)) {
        (void)snprintf(reason, sizeof reason, "{\"reason\":\"left by a crash: %.100s\",\"pack\":%" PRId64 ",\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", why, at->pack, at->offset, length);
        rc = store_quarantine(s, &(struct iovec){ p, (size_t)length }, 1, reason, limit, &number, e);
    }
    free(p);
    return rc;
}

int store_void_stretch(store *s, const index_position *at, uint64_t length, const char *why, uint64_t quarantine_limit, gn_error *e) {
    store_record r = { .kind = STORE_VOID };
    struct stat st;
    if (length > STRETCH_MAX || at->offset % STORE_ALIGN) return gn_fail(e, GN_E_CORRUPT, "%" PRIu64 " damaged bytes are too many to be a crash's", length);
    int fd = open_void(s, at->pack, e);
    if (fd < 0) return GN_E_IO;
    int rc = keep_stretch(s, fd, at, length, why, quarantine_limit, e);
    uint64_t rounded = store_align_up((size_t)length);
    if (!rc && fstat(fd, &st)) rc = gn_fail_errno(e, errno, "cannot look at a pack");
    if (!rc && (uint64_t)st.st_size < at->offset + rounded && ftruncate(fd, (off_t)(at->offset + rounded))) rc = store_fail_errno(s, errno, e, "lengthen", "a pack");
    if (!rc) rc = write_void(s, fd, &r, at->pack, at->offset, rounded, e);
    if (!rc && fdatasync(fd)) rc = store_fail_errno(s, errno, e, "sync", "a pack");
    (void)close(fd);
    return rc;
}
