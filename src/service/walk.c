/* walk: visits the files of a folder and its folders in the order of their names.
 *
 * Every step opens a name relative to the folder it was found in, without following links (T12): nobody who can write into the tree
 * can lead the walk out of it. Depth is bounded, so the recursion is too. */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct walker {
    walk_file file;
    walk_skip skip;
    void *ctx;
    walk_counts *counts;
    gn_error *e;
} walker;

static void skip(walker *w, const char *path, const char *why) {
    w->counts->skipped++;
    if (w->skip) w->skip(w->ctx, path, why);
}

typedef struct names {
    char **name;
    size_t count, room;
} names;

static bool names_add(names *n, const char *name) {
    if (n->count == n->room) {
        size_t room = n->room ? n->room * 2 : 64;
        char **more = realloc(n->name, room * sizeof *more);
        if (!more) return false;
        n->name = more;
        n->room = room;
    }
    n->name[n->count] = strdup(name);
    return n->name[n->count] && ++n->count;
}

static void names_done(names *n) {
    for (size_t i = 0; i < n->count; i++) free(n->name[i]);
    free(n->name);
}

static int by_name(const void *a, const void *b) { return strverscmp(*(char *const *)a, *(char *const *)b); }

/* All names of an open folder; takes the descriptor over. */
static int names_of(int fd, names *n, gn_error *e) {
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return gn_fail_errno(e, errno, "cannot read a folder");
    }
    int rc = 0;
    for (struct dirent *x; !rc && (x = readdir(d)) != NULL;) {
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0) continue;
        if (!names_add(n, x->d_name)) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for the names of a folder");
    }
    closedir(d);
    if (!rc && n->count) qsort(n->name, n->count, sizeof *n->name, by_name);
    return rc;
}

static int visit(walker *w, int fd, const char *path, unsigned depth);

static int visit_folder(walker *w, int fd, const char *path, unsigned depth) {
    int again = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* one to read names from, one to open them by */
    names n = { 0 };
    int rc = again < 0 ? gn_fail_errno(w->e, errno, "cannot read folder") : names_of(again, &n, w->e);
    for (size_t i = 0; !rc && i < n.count; i++) {
        size_t room = strlen(path) + strlen(n.name[i]) + 2;
        char *below = malloc(room);
        if (!below) {
            rc = gn_fail(w->e, GN_E_NO_MEMORY, "no memory for a path");
            break;
        }
        snprintf(below, room, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", n.name[i]);
        int child = openat(fd, n.name[i], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (child < 0) skip(w, below, errno == ELOOP ? "a symbolic link" : strerror(errno));
        else rc = visit(w, child, below, depth + 1);
        free(below);
    }
    names_done(&n);
    return rc;
}

/* A file or folder that is open; takes the descriptor over. */
static int visit(walker *w, int fd, const char *path, unsigned depth) {
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st)) {
        skip(w, path, strerror(errno));
        close(fd);
        return 0;
    }
    if (S_ISREG(st.st_mode)) {
        w->counts->files++;
        w->counts->bytes += (uint64_t)st.st_size;
        return w->file(w->ctx, fd, path, &st);
    }
    if (!S_ISDIR(st.st_mode)) skip(w, path, "neither a file nor a folder");
    else if (depth >= WALK_DEEPEST) skip(w, path, "too deep");
    else rc = visit_folder(w, fd, path, depth);
    close(fd);
    return rc;
}

int walk_path(const char *path, walk_file file, walk_skip on_skip, void *ctx, walk_counts *counts, gn_error *e) {
    walker w = { file, on_skip, ctx, counts, e };
    int fd = *path ? open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
    if (fd >= 0) return visit(&w, fd, path, 0);
    if (errno == ENOENT || !*path) return gn_fail(e, GN_E_NOT_FOUND, "there is no %.200s", path);
    return gn_fail_errno(e, errno, "cannot open %.180s", path);
}
