/* outdir: files named by a UID that was checked, opened relative to the folder's descriptor, never through a link.
 *
 * A UID has only digits and dots (PS3.5 §9.1). Archives keep objects whose UID is not quite one, with a warning, and they must come out
 * again: letters, - and _ are let through too. What is let through can be neither a path nor "." nor "..". */
#include "outdir.h"

#include "dicom/dicom.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool outdir_suffix_valid(const char *suffix) {
    if (!*suffix) return true;
    if (suffix[0] != '.' || strlen(suffix) > 16 || !suffix[1]) return false;
    return strspn(suffix + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == strlen(suffix + 1);
}

int outdir_open(outdir *d, const char *path, const char *suffix, gn_error *e) {
    *d = (outdir){ .fd = -1, .suffix = suffix };
    if (mkdir(path, 0777) && errno != EEXIST) return gn_fail_errno(e, errno, "cannot make %.180s", path);
    d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return d->fd < 0 ? gn_fail_errno(e, errno, "cannot open %.180s", path) : 0;
}

void outdir_close(outdir *d) {
    if (d->fd >= 0) close(d->fd);
    d->fd = -1;
}

int outdir_create(outdir *d, outfile *f, gn_error *e) {
    for (int i = 0; i < 100; i++) {
        snprintf(f->name, sizeof f->name, ".part-%ld-%llu", (long)getpid(),
                 (unsigned long long)atomic_fetch_add(&d->number, 1));
        f->fd = openat(d->fd, f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (f->fd >= 0) return 0;
        if (errno != EEXIST) break;
    }
    return gn_fail_errno(e, errno, "cannot make a file");
}

void outdir_drop(outdir *d, outfile *f) {
    if (f->fd < 0) return;
    close(f->fd);
    f->fd = -1;
    (void)unlinkat(d->fd, f->name, 0);
}

bool outdir_can_name(const char *uid) {
    static const char allowed[] = "0123456789.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
    size_t n = strnlen(uid, DICOM_UID_MAX + 1);
    return n > 0 && n <= DICOM_UID_MAX && *uid != '.' && *uid != '-' && strspn(uid, allowed) == n;
}

int outdir_keep(outdir *d, outfile *f, const char *uid, gn_error *e) {
    char name[96];
    if (!outdir_can_name(uid)) {
        outdir_drop(d, f);
        return gn_fail(e, GN_E_INVALID, "the SOP Instance UID has characters that no file is named by");
    }
    snprintf(name, sizeof name, "%s%s", uid, d->suffix);
    int rc = close(f->fd) ? gn_fail_errno(e, errno, "cannot write the file") : 0;
    f->fd = -1;
    if (!rc && renameat(d->fd, f->name, d->fd, name)) rc = gn_fail_errno(e, errno, "cannot name the file");
    if (rc) (void)unlinkat(d->fd, f->name, 0);
    return rc;
}
