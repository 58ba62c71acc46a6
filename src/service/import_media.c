/* import_media: DICOM media: finds the files that a DICOMDIR names (PS3.3 Annex F, PS3.10 §8).
 *
 * A file ID is a list of components; each is opened relative to the folder before it, without following links, and none may be able to
 * leave the folder of the DICOMDIR (T12). Media that were copied from a CD often have lower-case names: those are tried too. */
#include "import.h"

#include "dicom/dicom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DEEPEST = 16, LONGEST = 64 };

bool import_component_valid(const char *component, size_t n) {
    if (n == 0 || n > LONGEST || component[0] == '.') return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)component[i];
        if (c <= ' ' || c >= 0x7F || c == '/' || c == '\\' || c == ':') return false;
    }
    return true;
}

static void lower(char *s) {
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z') *s = (char)(*s + 32);
}

static int open_component(int dir, char *name, int flags) {
    int fd = openat(dir, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT) return fd;
    lower(name);
    return openat(dir, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* The file ID as a path, for messages only. */
static void name_of(const dicom_element *id, char *path, size_t size) {
    size_t count = dicom_element_vm(id), used = 0;
    path[0] = '\0';
    for (size_t i = 0; i < count && used + 1 < size; i++) {
        size_t n = 0;
        const char *part = dicom_element_value(id, i, &n);
        int k = snprintf(path + used, size - used, "%s%.*s", i ? "/" : "", (int)(n < 256 ? n : 256), part ? part : "");
        used += k > 0 ? (size_t)k : 0;
    }
}

/* Opens the file of a file ID below `base`. -1: e says why. */
static int open_file(int base, const dicom_element *id, gn_error *e) {
    size_t count = dicom_element_vm(id);
    int dir = fcntl(base, F_DUPFD_CLOEXEC, 0);
    if (count > DEEPEST) gn_fail(e, GN_E_INVALID, "the file ID has more than %d parts", DEEPEST);
    for (size_t i = 0; i < count && dir >= 0 && !e->code; i++) {
        char name[LONGEST + 1];
        size_t n;
        const char *part = dicom_element_value(id, i, &n);
        if (!part || !import_component_valid(part, n)) {
            gn_fail(e, GN_E_INVALID, "the file ID has a part that cannot be a file's name");
            break;
        }
        memcpy(name, part, n);
        name[n] = '\0';
        int next = open_component(dir, name, i + 1 < count ? O_DIRECTORY : 0);
        if (next < 0) gn_fail_errno(e, errno, "the DICOMDIR names it, but it cannot be opened");
        close(dir);
        dir = next;
    }
    if (e->code && dir >= 0) {
        close(dir);
        dir = -1;
    }
    if (dir < 0) gn_fail_errno(e, errno, "the DICOMDIR names it, but it cannot be opened");
    return dir;
}

static int add_record(import *im, import_pool *pool, int base, const char *folder, const dicom_dataset *record) {
    const dicom_element *id = dicom_dataset_find(record, DICOM_TAG_ReferencedFileID);
    if (!id || !id->length || !id->value) return 0;
    gn_error e = GN_ERROR_INIT;
    struct stat st;
    char below[512], path[1024], text[400];
    name_of(id, below, sizeof below);
    int fd = open_file(base, id, &e);
    snprintf(path, sizeof path, "%s%s", folder, below);
    if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
        close(fd);
        fd = gn_fail(&e, GN_E_INVALID, "it is no file");
    }
    if (fd < 0) {
        import_problem(im, IMPORT_FAILED, path, gn_error_text(&e, text, sizeof text));
        return 0;
    }
    progress_grow(&im->bar, 1, (uint64_t)st.st_size);
    if (import_state_knows(im->state, &st)) {
        atomic_fetch_add(&im->count[IMPORT_RESUMED], 1);
        progress_add(&im->bar, 1, (uint64_t)st.st_size, 0);
        close(fd);
        return 0;
    }
    return import_pool_add(pool, fd, path, &st);
}

static int add_records(import *im, import_pool *pool, int base, const char *folder, const dicom_dataset *ds,
                       gn_error *e) {
    const dicom_element *sequence = dicom_dataset_find(ds, DICOM_TAG_DirectoryRecordSequence);
    if (!sequence) return gn_fail(e, GN_E_INVALID, "the DICOMDIR has no Directory Record Sequence");
    int rc = 0;
    for (const dicom_item *i = sequence->items; !rc && i && !atomic_load(&im->stop); i = i->next)
        rc = add_record(im, pool, base, folder, i->dataset);
    return rc ? gn_fail(e, rc, "no memory for the files of the DICOMDIR") : 0;
}

int import_media(import *im, import_pool *pool, int fd, const char *path, const struct stat *st, gn_error *e) {
    size_t n = (size_t)st->st_size;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup("");
    int base = folder ? open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    void *map = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    gn_arena *arena = gn_arena_new((size_t)256 * 1024 * 1024);
    int rc = folder && arena ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory for a DICOMDIR");
    if (!rc && (base < 0 || map == MAP_FAILED)) rc = gn_fail_errno(e, errno, "cannot read the DICOMDIR");
    dicom_file f;
    dicom_read_options ro = { .accept_truncated = true };
    if (!rc) rc = dicom_file_read(arena, map, n, &ro, &f, e);
    if (!rc) rc = add_records(im, pool, base, folder, f.dataset, e);
    if (map != MAP_FAILED) munmap(map, n);
    if (base >= 0) close(base);
    gn_arena_free(&arena);
    free(folder);
    return rc;
}
