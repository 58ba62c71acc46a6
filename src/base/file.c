/* file: whole reads and writes, folders and their syncs. Interrupted calls are tried again. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int gn_write_all(int fd, const void *p, size_t n, gn_error *e) {
    const uint8_t *q = p;
    while (n) {
        ssize_t k = write(fd, q, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return gn_fail_errno(e, errno, "cannot write");
        if (k == 0) return gn_fail(e, GN_E_IO, "cannot write: nothing was taken");
        q += k;
        n -= (size_t)k;
    }
    return GN_OK;
}

int gn_pwrite_all(int fd, const void *p, size_t n, uint64_t offset, gn_error *e) {
    const uint8_t *q = p;
    if (offset > INT64_MAX || n > INT64_MAX - offset) return gn_fail(e, GN_E_TOO_LARGE, "cannot write: offset too large");
    while (n) {
        ssize_t k = pwrite(fd, q, n, (off_t)offset);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return gn_fail_errno(e, errno, "cannot write");
        if (k == 0) return gn_fail(e, GN_E_IO, "cannot write: nothing was taken");
        q += k;
        n -= (size_t)k;
        offset += (uint64_t)k;
    }
    return GN_OK;
}

int gn_pread_all(int fd, void *p, size_t n, uint64_t offset, gn_error *e) {
    uint8_t *q = p;
    if (offset > INT64_MAX || n > INT64_MAX - offset) return gn_fail(e, GN_E_TOO_LARGE, "cannot read: offset too large");
    while (n) {
        ssize_t k = pread(fd, q, n, (off_t)offset);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return gn_fail_errno(e, errno, "cannot read");
        if (k == 0) return gn_fail(e, GN_E_TRUNCATED, "the file ends %zu bytes too early", n);
        q += k;
        n -= (size_t)k;
        offset += (uint64_t)k;
    }
    return GN_OK;
}

static int make_dir(const char *path, gn_error *e) {
    if (mkdir(path, 0700) == 0) return GN_OK;
    int errnum = errno;
    struct stat st;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) return GN_OK;
        errnum = ENOTDIR;
    }
    return gn_fail_errno(e, errnum, "cannot make the folder %s", path);
}

int gn_mkdirs(const char *path, gn_error *e) {
    size_t n = strlen(path);
    char copy[PATH_MAX];
    if (n == 0) return gn_fail(e, GN_E_INVALID, "cannot make a folder without a name");
    if (n >= sizeof copy) return gn_fail(e, GN_E_TOO_LARGE, "cannot make a folder: its path is too long");
    memcpy(copy, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (copy[i] != '/' || copy[i - 1] == '/') continue;
        copy[i] = '\0';
        int rc = make_dir(copy, e);
        if (rc != GN_OK) return rc;
        copy[i] = '/';
    }
    return make_dir(copy, e);
}

int gn_fsync_dir(const char *path, gn_error *e) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return gn_fail_errno(e, errno, "cannot open the folder %s", path);
    int rc = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    /* EINVAL: a file system that has no such thing as syncing a folder */
    return rc == 0 || rc == EINVAL ? GN_OK : gn_fail_errno(e, rc, "cannot sync the folder %s", path);
}

/* Reads to the end, growing `out`; one byte more than the limit tells a file that is too large. */
static int load(int fd, const char *path, size_t limit, gn_buf *out, gn_error *e) {
    struct stat st;
    size_t guess = 4096, total = 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        if ((uint64_t)st.st_size > limit) return gn_fail(e, GN_E_TOO_LARGE, "%s is larger than %zu bytes", path, limit);
        guess = (size_t)st.st_size + 1;
    }
    for (;;) {
        size_t most = limit - total < SIZE_MAX ? limit - total + 1 : limit - total;
        size_t chunk = guess < most ? guess : most;
        uint8_t *q = gn_buf_reserve(out, chunk);
        if (!q) return gn_fail(e, GN_E_NO_MEMORY, "no room to load %s", path);
        ssize_t k = read(fd, q, chunk);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return gn_fail_errno(e, errno, "cannot read %s", path);
        if (k == 0) return GN_OK;
        total += (size_t)k;
        out->n += (size_t)k;
        if (total > limit) return gn_fail(e, GN_E_TOO_LARGE, "%s is larger than %zu bytes", path, limit);
        guess = guess > (size_t)k ? guess - (size_t)k : 65536;
    }
}

int gn_file_load(const char *path, size_t limit, gn_buf *out, gn_error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return gn_fail(e, GN_E_NOT_FOUND, "%s does not exist", path);
    if (fd < 0) return gn_fail_errno(e, errno, "cannot open %s", path);
    size_t before = out->n;
    int rc = load(fd, path, limit, out, e);
    (void)close(fd);
    if (rc != GN_OK) out->n = before;
    if (out->p) out->p[out->n] = '\0';
    return rc;
}
