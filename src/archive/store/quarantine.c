/* quarantine: what was refused, with the reason, for a person to look at.
 *
 * N.dcm holds the object behind a Part 10 header (or what came of it), N.json says why; N counts up. Both are synced before the sender is told,
 * since "the first copy stays, the new one is in quarantine" is a promise too. The oldest give way when the folder grows beyond its
 * limit, so that a sender of rubbish cannot fill the disk. */
#include "store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void q_name(int64_t number, const char *suffix, char out[40]) { (void)snprintf(out, 40, "%" PRId64 "%s", number, suffix); }

static bool q_number(const char *name, int64_t *number) {
    char expected[40];
    int64_t n = 0;
    size_t i = 0;
    for (; name[i] >= '0' && name[i] <= '9' && i < 18; i++) n = n * 10 + (name[i] - '0');
    *number = n;
    q_name(n, ".dcm", expected);
    return n > 0 && strcmp(name, expected) == 0;
}

/* ---- the list ---------------------------------------------------------------------------------------------------------- */

static int list_add(store *s, int64_t number, uint64_t bytes, gn_error *e) {
    if (s->q_count == s->q_room) {
        size_t room = s->q_room ? 2 * s->q_room : 64;
        quarantined *q = realloc(s->q, room * sizeof *q);
        if (!q) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the list of quarantined objects");
        s->q = q;
        s->q_room = room;
    }
    s->q[s->q_count++] = (quarantined){ number, bytes };
    s->q_bytes += bytes;
    return 0;
}

static int by_number(const void *a, const void *b) {
    int64_t x = ((const quarantined *)a)->number, y = ((const quarantined *)b)->number;
    return x < y ? -1 : x > y;
}

int quarantine_load(store *s, gn_error *e) {
    int fd = openat(s->quarantine, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int errnum = errno;
        if (fd >= 0) (void)close(fd);
        return gn_fail_errno(e, errnum, "cannot read the folder quarantine");
    }
    int rc = 0;
    int64_t number;
    for (struct dirent *x; !rc && (x = readdir(d));) {
        struct stat st;
        if (!q_number(x->d_name, &number) || fstatat(s->quarantine, x->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        rc = list_add(s, number, (uint64_t)st.st_size, e);
        if (number > s->q_next) s->q_next = number;
    }
    (void)closedir(d);
    if (s->q_count > 1) qsort(s->q, s->q_count, sizeof *s->q, by_number);
    return rc;
}

void quarantine_done(store *s) {
    free(s->q);
    s->q = NULL;
}

/* Makes room for one of `bytes`. Called with quarantine_lock. */
static void drop_oldest(store *s, uint64_t bytes, uint64_t limit) {
    while (s->q_first < s->q_count && (s->q_bytes + bytes > limit || s->q_count - s->q_first >= QUARANTINE_MAX)) {
        char name[40];
        quarantined *q = &s->q[s->q_first++];
        q_name(q->number, ".dcm", name);
        (void)unlinkat(s->quarantine, name, 0);
        q_name(q->number, ".json", name);
        (void)unlinkat(s->quarantine, name, 0);
        s->q_bytes -= q->bytes;
    }
    if (s->q_first > s->q_count / 2) { /* close the gap at the front */
        memmove(s->q, s->q + s->q_first, (s->q_count - s->q_first) * sizeof *s->q);
        s->q_count -= s->q_first;
        s->q_first = 0;
    }
}

/* ---- keeping ----------------------------------------------------------------------------------------------------------- */

static int write_file(store *s, const char *name, const struct iovec *parts, int n, gn_error *e) {
    int fd = openat(s->quarantine, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return store_fail_errno(s, errno, e, "make quarantine file", name);
    int rc = 0;
    for (int i = 0; i < n && !rc; i++) rc = gn_write_all(fd, parts[i].iov_base, parts[i].iov_len, e);
    if (!rc && fdatasync(fd)) rc = store_fail_errno(s, errno, e, "sync quarantine file", name);
    (void)close(fd);
    if (rc) (void)unlinkat(s->quarantine, name, 0);
    return rc;
}

/* Reserves a number and makes room. */
static int64_t begin(store *s, uint64_t bytes, uint64_t limit) {
    pthread_mutex_lock(&s->quarantine_lock);
    drop_oldest(s, bytes, limit);
    int64_t number = ++s->q_next;
    pthread_mutex_unlock(&s->quarantine_lock);
    return number;
}

/* The reason, then the folder; the object is there already. */
static int finish(store *s, int64_t number, uint64_t bytes, const char *reason, int64_t *out, gn_error *e) {
    char name[40];
    q_name(number, ".json", name);
    int rc = write_file(s, name, &(struct iovec){ (void *)(uintptr_t)reason, strlen(reason) }, 1, e);
    if (!rc && fsync(s->quarantine) && errno != EINVAL) rc = store_fail_errno(s, errno, e, "sync", "the folder quarantine");
    if (!rc) {
        pthread_mutex_lock(&s->quarantine_lock);
        rc = list_add(s, number, bytes, e);
        pthread_mutex_unlock(&s->quarantine_lock);
    }
    if (rc) {
        (void)unlinkat(s->quarantine, name, 0);
        q_name(number, ".dcm", name);
        (void)unlinkat(s->quarantine, name, 0);
        return rc;
    }
    *out = number;
    return 0;
}

int store_quarantine(store *s, const struct iovec *parts, int n, const char *reason_json, uint64_t limit_bytes, int64_t *number, gn_error *e) {
    uint64_t bytes = 0;
    char name[40];
    for (int i = 0; i < n; i++) bytes += parts[i].iov_len;
    int64_t mine = begin(s, bytes, limit_bytes);
    q_name(mine, ".dcm", name);
    int rc = write_file(s, name, parts, n, e);
    if (rc) return rc;
    store_took(s, bytes);
    return finish(s, mine, bytes, reason_json, number, e);
}

/* Takes over a file by its name in another folder of the store. */
static int take_over(store *s, int folder, const char *from, uint64_t bytes, const char *reason, uint64_t limit, int64_t *number, gn_error *e) {
    char name[40];
    int64_t mine = begin(s, bytes, limit);
    q_name(mine, ".dcm", name);
    if (renameat(folder, from, s->quarantine, name)) return store_fail_errno(s, errno, e, "move into quarantine", from);
    return finish(s, mine, bytes, reason, number, e);
}

int store_quarantine_file(store *s, store_file **f, const char *reason_json, uint64_t limit_bytes, int64_t *number, gn_error *e) {
    char part[40];
    (void)snprintf(part, sizeof part, "%016" PRIx64 ".part", store_file_number(*f));
    int rc = store_file_sync(*f, e);
    if (!rc) rc = take_over(s, s->incoming, part, store_file_length(*f), reason_json, limit_bytes, number, e);
    store_file_discard(f); /* its name in incoming/ is gone already when all went well */
    return rc;
}

int store_quarantine_placed(store *s, uint64_t file_number, uint64_t length, const char *reason_json, uint64_t limit_bytes, int64_t *number, gn_error *e) {
    char name[64];
    file_name(file_number, name);
    return take_over(s, s->objects, name, length, reason_json, limit_bytes, number, e);
}
