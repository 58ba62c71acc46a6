/* import_state: remembers which files an import has done, so that one that was cut off goes on where it was.
 *
 * A file of 16-byte marks, one for each finished file, made of its device, number, size and time. It is a help, not a truth: a lost mark costs
 * a duplicate that the archive recognises. It is removed when an import ends with nothing left to do. */
#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MAGIC "GNIMPRT1"
#define NAME "import.state"
#define MOST ((uint64_t)64 * 1024 * 1024) /* marks */

typedef struct mark {
    uint64_t a, b;
} mark;

struct import_state {
    int fd, directory;
    mark *slot; /* open addressing; {0,0} is free */
    size_t slots, used;
    pthread_mutex_t lock; /* guards the file; the slots are only read after opening */
};

static uint64_t mixed(uint64_t h, const void *p, size_t n) {
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static mark mark_of(const struct stat *st) {
    uint64_t what[5] = { (uint64_t)st->st_dev, (uint64_t)st->st_ino, (uint64_t)st->st_size,
                         (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec };
    return (mark){ mixed(0xcbf29ce484222325u, what, sizeof what) | 1, mixed(0x9e3779b97f4a7c15u, what, sizeof what) };
}

static mark *slot_of(const import_state *s, mark m) {
    size_t i = (size_t)m.a & (s->slots - 1);
    while (s->slot[i].a && (s->slot[i].a != m.a || s->slot[i].b != m.b)) i = (i + 1) & (s->slots - 1);
    return &s->slot[i];
}

static int load(import_state *s, uint64_t size, gn_error *e) {
    uint64_t count = size > 8 ? (size - 8) / sizeof(mark) : 0;
    if (count > MOST) count = 0;
    for (s->slots = 64; s->slots < count * 2;) s->slots *= 2;
    s->slot = calloc(s->slots, sizeof *s->slot);
    mark *all = malloc((size_t)count * sizeof *all + 1);
    int rc = s->slot && all ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory for the state of the import");
    if (!rc && count) rc = gn_pread_all(s->fd, all, (size_t)count * sizeof *all, 8, e);
    for (uint64_t i = 0; !rc && i < count; i++) {
        mark *m = all[i].a ? slot_of(s, all[i]) : NULL;
        if (m && !m->a) {
            *m = all[i];
            s->used++;
        }
    }
    free(all);
    return rc;
}

/* A file of another kind, or one that ends amid a mark, begins anew. */
static int adopt(import_state *s, gn_error *e) {
    struct stat st;
    char magic[8] = "";
    if (fstat(s->fd, &st)) return gn_fail_errno(e, errno, "cannot read the state of the import");
    uint64_t size = (uint64_t)st.st_size;
    if (size >= 8 && !gn_pread_all(s->fd, magic, 8, 0, NULL) && memcmp(magic, MAGIC, 8) == 0) {
        uint64_t whole = 8 + (size - 8) / sizeof(mark) * sizeof(mark);
        if (whole != size && ftruncate(s->fd, (off_t)whole))
            return gn_fail_errno(e, errno, "cannot mend the state of the import");
        return load(s, whole, e);
    }
    if (ftruncate(s->fd, 0) || pwrite(s->fd, MAGIC, 8, 0) != 8)
        return gn_fail_errno(e, errno, "cannot write the state of the import");
    return load(s, 0, e);
}

import_state *import_state_open(const char *directory, gn_error *e) {
    import_state *s = calloc(1, sizeof *s);
    if (!s) {
        gn_fail(e, GN_E_NO_MEMORY, "no memory for the state of the import");
        return NULL;
    }
    s->fd = -1;
    (void)pthread_mutex_init(&s->lock, NULL);
    s->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->directory >= 0)
        s->fd = openat(s->directory, NAME, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc = s->fd < 0 ? gn_fail_errno(e, errno, "cannot open %.150s/" NAME, directory) : adopt(s, e);
    if (rc) import_state_close(&s, false);
    return s;
}

bool import_state_knows(const import_state *s, const struct stat *st) {
    return s && s->used && slot_of(s, mark_of(st))->a;
}

void import_state_done(import_state *s, const struct stat *st) {
    if (!s) return;
    mark m = mark_of(st);
    (void)pthread_mutex_lock(&s->lock);
    (void)gn_write_all(s->fd, &m, sizeof m, NULL);
    (void)pthread_mutex_unlock(&s->lock);
}

void import_state_close(import_state **slot, bool finished) {
    import_state *s = *slot;
    if (!s) return;
    if (finished && s->directory >= 0) (void)unlinkat(s->directory, NAME, 0);
    if (s->fd >= 0) close(s->fd);
    if (s->directory >= 0) close(s->directory);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->slot);
    free(s);
    *slot = NULL;
}
