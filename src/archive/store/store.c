/* store: opening and closing, the marker, free space, usage.
 *
 * A directory is an archive when gantry.marker says so. One without marker becomes an archive only when it is empty (or absent): a folder
 * that holds anything else is refused, and with must_exist an empty one too, so that the empty mount point of a disk that is not
 * there is never filled (T32). After opening nothing is looked up by path any more, but once a second the path is compared with
 * what was opened, so that a disk vanished under a running service stops the taking of objects. */
#include "store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MARKER STORE_MARKER
#define MARKER_FORMAT "gantry archive 1"

/* ---- the marker -------------------------------------------------------------------------------------------------------- */

static bool parse_id(const char *hex, uint8_t id[16]) {
    for (unsigned i = 0; i < 16; i++) {
        unsigned v = 0;
        for (unsigned k = 0; k < 2; k++) {
            char c = hex[2 * i + k];
            if (c >= '0' && c <= '9') v = v * 16 + (unsigned)(c - '0');
            else if (c >= 'a' && c <= 'f') v = v * 16 + (unsigned)(c - 'a') + 10;
            else return false;
        }
        id[i] = (uint8_t)v;
    }
    return true;
}

/* 0: read; NOT_FOUND: there is none. */
static int marker_read(store *s, gn_error *e) {
    char text[256];
    int fd = openat(s->dir, MARKER, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return errno == ENOENT ? GN_E_NOT_FOUND : gn_fail_errno(e, errno, "cannot open %s in %s", MARKER, s->path);
    ssize_t n = read(fd, text, sizeof text - 1);
    int errnum = errno;
    (void)close(fd);
    if (n < 0) return gn_fail_errno(e, errnum, "cannot read %s in %s", MARKER, s->path);
    text[n] = '\0';
    const char *id = strstr(text, "\nid ");
    if (strncmp(text, "gantry archive ", 15) == 0 && strncmp(text, MARKER_FORMAT "\n", sizeof MARKER_FORMAT) != 0)
        return gn_fail(e, GN_E_REFUSED, "%s was written by a newer Gantry", s->path);
    if (strncmp(text, MARKER_FORMAT "\n", sizeof MARKER_FORMAT) != 0 || !id || strlen(id) < 4 + 32 || !parse_id(id + 4, s->id))
        return gn_fail(e, GN_E_REFUSED, "%s in %s is not a marker of an archive", MARKER, s->path);
    return 0;
}

static int marker_write(store *s, gn_error *e) {
    char text[128], hex[33];
    if (getrandom(s->id, sizeof s->id, 0) != (ssize_t)sizeof s->id) return gn_fail_errno(e, errno, "no random numbers");
    for (unsigned i = 0; i < 16; i++) (void)snprintf(hex + 2 * i, 3, "%02x", s->id[i]);
    (void)snprintf(text, sizeof text, MARKER_FORMAT "\nid %s\n", hex);
    int fd = openat(s->dir, MARKER ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return gn_fail_errno(e, errno, "cannot make %s in %s", MARKER, s->path);
    int rc = gn_write_all(fd, text, strlen(text), e);
    if (!rc && fsync(fd)) rc = gn_fail_errno(e, errno, "cannot sync %s in %s", MARKER, s->path);
    (void)close(fd);
    if (!rc && renameat(s->dir, MARKER ".new", s->dir, MARKER)) rc = gn_fail_errno(e, errno, "cannot make %s in %s", MARKER, s->path);
    if (!rc && fsync(s->dir) && errno != EINVAL) rc = gn_fail_errno(e, errno, "cannot sync %s", s->path);
    return rc;
}

/* Is there nothing in the directory but what a first start may leave (lost+found of a fresh disk, our lock, hidden files)? */
static int is_empty(store *s, bool *empty, gn_error *e) {
    int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int errnum = errno;
        if (fd >= 0) (void)close(fd);
        return gn_fail_errno(e, errnum, "cannot read %s", s->path);
    }
    *empty = true;
    for (struct dirent *x; (x = readdir(d));)
        if (x->d_name[0] != '.' && strcmp(x->d_name, "lost+found") != 0 && strcmp(x->d_name, "gantry.lock") != 0 && strcmp(x->d_name, MARKER ".new") != 0) *empty = false;
    (void)closedir(d);
    return 0;
}

static int find_marker(store *s, bool must_exist, gn_error *e) {
    int rc = marker_read(s, e);
    if (rc != GN_E_NOT_FOUND) return rc;
    bool empty = false;
    rc = is_empty(s, &empty, e);
    if (rc) return rc;
    if (!empty) return gn_fail(e, GN_E_REFUSED, "%s holds something that is no archive (there is no %s)", s->path, MARKER);
    if (must_exist || s->read_only) return gn_fail(e, GN_E_REFUSED, "%s is empty; an archive was expected there: is the disk mounted?", s->path);
    return marker_write(s, e);
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static int open_folder(store *s, const char *name, int *fd, gn_error *e) {
    if (!s->read_only && mkdirat(s->dir, name, 0700) && errno != EEXIST) return gn_fail_errno(e, errno, "cannot make the folder %s/%s", s->path, name);
    *fd = openat(s->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return *fd < 0 ? gn_fail_errno(e, errno, "cannot open the folder %s/%s", s->path, name) : 0;
}

static int open_folders(store *s, bool must_exist, gn_error *e) {
    struct stat st;
    if (!s->read_only && !must_exist) {
        int rc = gn_mkdirs(s->path, e);
        if (rc) return rc;
    }
    s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0) return gn_fail_errno(e, errno, "cannot open the folder %s", s->path);
    if (fstat(s->dir, &st)) return gn_fail_errno(e, errno, "cannot look at %s", s->path);
    s->dev = (uint64_t)st.st_dev;
    s->ino = (uint64_t)st.st_ino;
    int rc = find_marker(s, must_exist, e);
    if (!rc) rc = open_folder(s, "packs", &s->packs, e);
    if (!rc) rc = open_folder(s, "objects", &s->objects, e);
    if (!rc) rc = open_folder(s, "incoming", &s->incoming, e);
    if (!rc) rc = open_folder(s, "quarantine", &s->quarantine, e);
    if (!rc && !s->read_only && fsync(s->dir) && errno != EINVAL) rc = gn_fail_errno(e, errno, "cannot sync %s", s->path);
    return rc;
}

store *store_open(const char *directory, bool read_only, bool must_exist, uint64_t reserve_bytes, gn_error *e) {
    store *s = calloc(1, sizeof *s);
    char *path = s ? strdup(directory) : NULL;
    if (!path) {
        free(s);
        gn_fail(e, GN_E_NO_MEMORY, "no memory for a store");
        return NULL;
    }
    s->path = path;
    s->read_only = read_only;
    s->reserve = reserve_bytes;
    s->dir = s->packs = s->objects = s->incoming = s->quarantine = s->pack_fd = -1;
    for (unsigned i = 0; i < PACK_FDS; i++) s->reading[i].fd = -1;
    pthread_mutex_init(&s->end_lock, NULL);
    pthread_mutex_init(&s->read_lock, NULL);
    pthread_mutex_init(&s->folder_lock, NULL);
    pthread_mutex_init(&s->quarantine_lock, NULL);
    int rc = open_folders(s, must_exist, e);
    if (!rc) rc = pack_last(s, &s->end, e);
    if (!rc) rc = file_next_number(s, e);
    if (!rc) rc = quarantine_load(s, e);
    if (rc) {
        store_close(&s);
        return NULL;
    }
    store_refresh(s);
    return s;
}

static void close_fd(int fd) {
    if (fd >= 0) (void)close(fd);
}

void store_close(store **sp) {
    if (!sp || !*sp) return;
    store *s = *sp;
    pack_close(s);
    reading_done(s);
    quarantine_done(s);
    close_fd(s->packs);
    close_fd(s->objects);
    close_fd(s->incoming);
    close_fd(s->quarantine);
    close_fd(s->dir);
    pthread_mutex_destroy(&s->end_lock);
    pthread_mutex_destroy(&s->read_lock);
    pthread_mutex_destroy(&s->folder_lock);
    pthread_mutex_destroy(&s->quarantine_lock);
    free(s->zeros);
    free(s->path);
    free(s);
    *sp = NULL;
}

/* ---- space and health -------------------------------------------------------------------------------------------------- */

#define DEFAULT_RESERVE (UINT64_C(256) << 20)

void store_refresh(store *s) {
    struct stat st;
    struct statvfs v;
    bool there = stat(s->path, &st) == 0 && (uint64_t)st.st_dev == s->dev && (uint64_t)st.st_ino == s->ino && faccessat(s->dir, MARKER, F_OK, 0) == 0;
    atomic_store(&s->vanished, there ? 0 : 1);
    if (fstatvfs(s->dir, &v)) return;
    uint64_t bytes = (uint64_t)v.f_bavail * v.f_frsize, all = (uint64_t)v.f_blocks * v.f_frsize;
    uint64_t reserve = s->reserve ? s->reserve : DEFAULT_RESERVE;
    if (reserve > all / 20) reserve = all / 20; /* at most 5 % of the disk */
    if (v.f_files > 0 && v.f_favail == 0) bytes = 0; /* out of inodes is out of space */
    atomic_store(&s->free_bytes, (int64_t)bytes - (int64_t)reserve);
}

void store_took(store *s, uint64_t bytes) { atomic_fetch_sub_explicit(&s->free_bytes, (int64_t)bytes, memory_order_relaxed); }

int store_fail_errno(store *s, int errnum, gn_error *e, const char *what, const char *name) {
    if (errnum == ENOSPC || errnum == EDQUOT) atomic_store(&s->free_bytes, 0); /* until the next look */
    return gn_fail_errno(e, errnum, "cannot %s %s", what, name);
}

int store_writable(store *s, gn_error *e) {
    if (s->read_only) return gn_fail(e, GN_E_IO, "the archive is open for reading only");
    if (atomic_load_explicit(&s->vanished, memory_order_relaxed)) return gn_fail(e, GN_E_IO, "the archive's disk is gone: %s is another folder now", s->path);
    if (atomic_load_explicit(&s->sync_failures, memory_order_relaxed) >= 2) return gn_fail(e, GN_E_IO, "the disk failed to sync twice; nothing is taken until a restart");
    if (atomic_load_explicit(&s->free_bytes, memory_order_relaxed) <= 0) return gn_fail(e, GN_E_NO_SPACE, "the disk is full but for its reserve");
    return 0;
}

/* ---- what lies there --------------------------------------------------------------------------------------------------- */

typedef int (*list_visit)(void *ctx, bool pack, uint64_t number, uint64_t size, const char *name);

static DIR *open_list(int at, const char *name, gn_error *e) {
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        gn_fail_errno(e, errno, "cannot read the folder %s", name);
        close_fd(fd);
    }
    return d;
}

static int list_packs(store *s, list_visit visit, void *ctx, gn_error *e) {
    DIR *d = open_list(s->packs, ".", e);
    if (!d) return GN_E_IO;
    int rc = 0;
    for (struct dirent *x; rc == 0 && (x = readdir(d));) {
        struct stat st;
        int64_t pack = 0;
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0 || fstatat(s->packs, x->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        bool ours = pack_number(x->d_name, &pack) && S_ISREG(st.st_mode);
        rc = visit(ctx, true, ours ? (uint64_t)pack : 0, (uint64_t)st.st_blocks * 512, x->d_name);
    }
    (void)closedir(d);
    return rc;
}

static int list_folder(store *s, const char *folder, list_visit visit, void *ctx, gn_error *e) {
    DIR *d = open_list(s->objects, folder, e);
    if (!d) return GN_E_IO;
    int rc = 0;
    for (struct dirent *x; rc == 0 && (x = readdir(d));) {
        struct stat st;
        uint64_t number = 0;
        char name[300], expected[64] = "";
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0 || fstatat(dirfd(d), x->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        (void)snprintf(name, sizeof name, "%.32s/%.255s", folder, x->d_name);
        if (file_number_of(x->d_name, ".dcm", &number)) file_name(number, expected);
        if (strcmp(name, expected) != 0 || !S_ISREG(st.st_mode)) number = 0;
        rc = visit(ctx, false, number, (uint64_t)st.st_size, name);
    }
    (void)closedir(d);
    return rc;
}

int store_list(store *s, list_visit visit, void *ctx, gn_error *e) {
    int rc = list_packs(s, visit, ctx, e);
    if (rc) return rc;
    DIR *d = open_list(s->objects, ".", e);
    if (!d) return GN_E_IO;
    for (struct dirent *x; rc == 0 && (x = readdir(d));) {
        struct stat st;
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0 || fstatat(s->objects, x->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        rc = S_ISDIR(st.st_mode) && strlen(x->d_name) <= 32 ? list_folder(s, x->d_name, visit, ctx, e) : visit(ctx, false, 0, (uint64_t)st.st_size, x->d_name);
    }
    (void)closedir(d);
    return rc;
}

static int add_size(void *ctx, bool pack, uint64_t number, uint64_t size, const char *name) {
    (void)pack, (void)number, (void)name;
    *(uint64_t *)ctx += size;
    return 0;
}

int store_usage(store *s, uint64_t *disk_bytes, uint64_t *free_bytes, int64_t *quarantined_count, gn_error *e) {
    struct statvfs v;
    uint64_t used = 0;
    int rc = store_list(s, add_size, &used, e);
    if (rc) return rc;
    if (fstatvfs(s->dir, &v)) return gn_fail_errno(e, errno, "cannot look at the disk of %s", s->path);
    pthread_mutex_lock(&s->quarantine_lock);
    used += s->q_bytes;
    *quarantined_count = (int64_t)(s->q_count - s->q_first);
    pthread_mutex_unlock(&s->quarantine_lock);
    *disk_bytes = used;
    *free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    return 0;
}
