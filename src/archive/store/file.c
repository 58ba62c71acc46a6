/* file: large objects, each a file of its own.
 *
 * A file is received under incoming/ and named by the next number. Its bytes are synced, then the record in the pack that names it is appended
 * and synced, and only then it is linked into its place under objects/, whose folder is synced before success is reported. So a
 * file that a crash left in incoming/ either has a record, then recovery puts it into place, or nobody was promised anything,
 * then it goes: there is nothing to search for at a start, whatever the number of files. Folders hold 4,096 files each, in order
 * of number, so that files of one batch share one sync of their folder. */
#include "store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct store_file {
    store *store;
    uint64_t number, length;
    int fd, direct; /* direct: a second descriptor with O_DIRECT, or -1 */
    int failed;
    uint64_t early; /* write-back of buffered bytes was started up to here */
};

/* ---- names ------------------------------------------------------------------------------------------------------------- */

static void folder_name(uint64_t folder, char out[16]) { (void)snprintf(out, 16, "%08" PRIx64, folder); }

void file_name(uint64_t number, char out[64]) { (void)snprintf(out, 64, "%08" PRIx64 "/%016" PRIx64 ".dcm", number >> FILES_PER_FOLDER, number); }

static void incoming_name(uint64_t number, char out[32]) { (void)snprintf(out, 32, "%016" PRIx64 ".part", number); }

static bool parse_hex(const char *p, size_t n, uint64_t *v) {
    *v = 0;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (c >= '0' && c <= '9') *v = *v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f') *v = *v << 4 | (uint64_t)(c - 'a' + 10);
        else return false;
    }
    return true;
}

bool file_number_of(const char *name, const char *suffix, uint64_t *number) {
    return strlen(name) == 16 + strlen(suffix) && strcmp(name + 16, suffix) == 0 && parse_hex(name, 16, number) && *number > 0 && *number <= INT64_MAX;
}

/* The greatest of the names in a folder that are numbers. */
static int greatest(int at, const char *folder, bool (*parse)(const char *name, uint64_t *number), uint64_t *most, gn_error *e) {
    int fd = openat(at, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int errnum = errno;
        if (fd >= 0) (void)close(fd);
        return gn_fail_errno(e, errnum, "cannot read the folder %s of large objects", folder);
    }
    uint64_t n;
    *most = 0;
    for (struct dirent *x; (x = readdir(d));)
        if (parse(x->d_name, &n) && n > *most) *most = n;
    (void)closedir(d);
    return 0;
}

static bool parse_folder(const char *name, uint64_t *n) { return strlen(name) == 8 && parse_hex(name, 8, n); }
static bool parse_file(const char *name, uint64_t *n) { return file_number_of(name, ".dcm", n); }
static bool parse_part(const char *name, uint64_t *n) { return file_number_of(name, ".part", n); }

int file_next_number(store *s, gn_error *e) {
    uint64_t folder, last = 0, part;
    char name[16];
    int rc = greatest(s->objects, ".", parse_folder, &folder, e);
    folder_name(folder, name);
    if (!rc && faccessat(s->objects, name, F_OK, 0) == 0) rc = greatest(s->objects, name, parse_file, &last, e);
    if (!rc) rc = greatest(s->incoming, ".", parse_part, &part, e);
    if (rc) return rc;
    if (last < folder << FILES_PER_FOLDER) last = folder << FILES_PER_FOLDER; /* an emptied folder */
    s->made_folder = UINT64_MAX;
    atomic_store(&s->next_file, (last > part ? last : part) + 1);
    return 0;
}

/* ---- receiving --------------------------------------------------------------------------------------------------------- */

int store_file_create(store *s, store_file **out, gn_error *e) {
    char name[32];
    store_file *f = malloc(sizeof *f);
    if (!f) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a file");
    *f = (store_file){ .store = s, .direct = -1, .number = atomic_fetch_add(&s->next_file, 1) };
    incoming_name(f->number, name);
    f->fd = openat(s->incoming, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0) {
        int rc = store_fail_errno(s, errno, e, "make", name);
        free(f);
        return rc;
    }
    f->direct = openat(s->incoming, name, O_WRONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
    *out = f;
    return 0;
}

static int write_at(store_file *f, int fd, const uint8_t *p, size_t n, gn_error *e) {
    while (n > 0) {
        ssize_t k = pwrite(fd, p, n, (off_t)f->length);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 && errno == EINVAL && fd == f->direct && fd >= 0) { /* larger blocks than ours: go on through the page cache */
            (void)close(f->direct);
            f->direct = -1;
            fd = f->fd;
            continue;
        }
        if (k <= 0) return store_fail_errno(f->store, k < 0 ? errno : ENOSPC, e, "write", "a large object");
        p += k;
        n -= (size_t)k;
        f->length += (uint64_t)k;
    }
    return 0;
}

int store_file_write(store_file *f, const void *p, size_t n, gn_error *e) {
    const uint8_t *q = p;
    if (f->failed) return gn_fail(e, f->failed, "an earlier write of this object failed");
    bool direct = f->direct >= 0 && (uintptr_t)p % STORE_ALIGN == 0 && f->length % STORE_ALIGN == 0;
    size_t whole = direct ? n & ~(size_t)(STORE_ALIGN - 1) : 0;
    int rc = whole ? write_at(f, f->direct, q, whole, e) : 0;
    if (!rc && n > whole) rc = write_at(f, f->fd, q + whole, n - whole, e);
    if (!rc && f->direct < 0 && f->length - f->early >= READ_CHUNK) { /* start write-back, so that the sync at the end finds little to do */
        (void)sync_file_range(f->fd, (off_t)f->early, (off_t)(f->length - f->early), SYNC_FILE_RANGE_WRITE);
        f->early = f->length;
    }
    f->failed = rc;
    store_took(f->store, n);
    return rc;
}

int store_file_read(store_file *f, void *p, size_t n, uint64_t offset, gn_error *e) { return gn_pread_all(f->fd, p, n, offset, e); }
uint64_t store_file_length(const store_file *f) { return f->length; }
uint64_t store_file_next(store *s) { return atomic_load(&s->next_file); }
uint64_t store_file_number(const store_file *f) { return f->number; }

int store_file_sync(store_file *f, gn_error *e) {
    if (f->failed) return gn_fail(e, f->failed, "an earlier write of this object failed");
    if (fdatasync(f->fd) == 0) return 0;
    f->failed = store_fail_errno(f->store, errno, e, "sync", "a large object");
    if (f->failed != GN_E_NO_SPACE) atomic_fetch_add(&f->store->sync_failures, 1); /* T30 */
    return f->failed;
}

static void free_file(store_file *f) {
    if (f->direct >= 0) (void)close(f->direct);
    (void)close(f->fd);
    free(f);
}

void store_file_discard(store_file **fp) {
    if (!fp || !*fp) return;
    char name[32];
    incoming_name((*fp)->number, name);
    (void)unlinkat((*fp)->store->incoming, name, 0);
    free_file(*fp);
    *fp = NULL;
}

/* ---- into place -------------------------------------------------------------------------------------------------------- */

static int make_folder(store *s, uint64_t folder, gn_error *e) {
    char name[16];
    int rc = 0;
    pthread_mutex_lock(&s->folder_lock);
    if (s->made_folder != folder) {
        folder_name(folder, name);
        if (mkdirat(s->objects, name, 0700) && errno != EEXIST) rc = store_fail_errno(s, errno, e, "make the folder", name);
        if (!rc && fsync(s->objects) && errno != EINVAL) rc = store_fail_errno(s, errno, e, "sync", "the folder of large objects");
        if (!rc) s->made_folder = folder;
    }
    pthread_mutex_unlock(&s->folder_lock);
    return rc;
}

static int move_into_place(store *s, uint64_t number, gn_error *e) {
    char from[32], to[64];
    int rc = make_folder(s, number >> FILES_PER_FOLDER, e);
    if (rc) return rc;
    incoming_name(number, from);
    file_name(number, to);
    return renameat(s->incoming, from, s->objects, to) ? store_fail_errno(s, errno, e, "put into place", to) : 0;
}

static int sync_folder(store *s, uint64_t folder, gn_error *e) {
    char name[16];
    folder_name(folder, name);
    int fd = openat(s->objects, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return store_fail_errno(s, errno, e, "open the folder", name);
    int rc = fsync(fd) && errno != EINVAL ? store_fail_errno(s, errno, e, "sync the folder", name) : 0;
    (void)close(fd);
    if (rc && rc != GN_E_NO_SPACE) atomic_fetch_add(&s->sync_failures, 1);
    return rc;
}

void store_file_place(store *s, store_file **files, int *codes, size_t n, gn_error *e) {
    for (size_t i = 0; i < n; i++) codes[i] = files[i] ? move_into_place(s, files[i]->number, e) : 0;
    uint64_t synced = UINT64_MAX;
    int code = 0;
    for (size_t i = 0; i < n; i++) { /* one sync for each run of the same folder; a failed one is not tried again */
        if (!files[i] || codes[i]) continue;
        uint64_t folder = files[i]->number >> FILES_PER_FOLDER;
        if (folder != synced) code = sync_folder(s, folder, e);
        synced = folder;
        codes[i] = code;
    }
    for (size_t i = 0; i < n; i++) {
        if (!files[i]) continue;
        if (codes[i]) {
            (void)store_file_remove(s, files[i]->number, NULL);
            store_file_discard(&files[i]);
            continue;
        }
        free_file(files[i]);
        files[i] = NULL;
    }
}

int store_file_remove(store *s, uint64_t number, gn_error *e) {
    char name[64];
    file_name(number, name);
    return unlinkat(s->objects, name, 0) && errno != ENOENT ? gn_fail_errno(e, errno, "cannot remove %s", name) : 0;
}

int store_file_recover(store *s, uint64_t number, uint64_t length, gn_error *e) {
    struct stat st;
    char name[64], part[32];
    file_name(number, name);
    incoming_name(number, part);
    if (fstatat(s->objects, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISREG(st.st_mode) && (uint64_t)st.st_size == length ? 0 : gn_fail(e, GN_E_CORRUPT, "objects/%s has not the size it should have", name);
    if (fstatat(s->incoming, part, &st, AT_SYMLINK_NOFOLLOW)) return gn_fail(e, GN_E_NOT_FOUND, "objects/%s is missing", name);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != length) return gn_fail(e, GN_E_CORRUPT, "incoming/%s has not the size it should have", part);
    int rc = move_into_place(s, number, e);
    return rc ? rc : sync_folder(s, number >> FILES_PER_FOLDER, e);
}

int file_open_read(store *s, uint64_t number) {
    char name[64];
    file_name(number, name);
    return openat(s->objects, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

int store_sweep(store *s, gn_error *e) {
    int fd = openat(s->incoming, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int errnum = errno;
        if (fd >= 0) (void)close(fd);
        return gn_fail_errno(e, errnum, "cannot read the folder incoming");
    }
    for (struct dirent *x; (x = readdir(d));)
        if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0) (void)unlinkat(s->incoming, x->d_name, 0);
    (void)closedir(d);
    return 0;
}
