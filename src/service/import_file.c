/* import_file: one object on its way into the archive, from a file or from a member of a ZIP archive.
 *
 * The head is looked at to know what it is; then bytes are read straight into the archive's memory. The Part 10 header is kept as it
 * came. Whatever the file is called, only its content decides what is done with it. */
#include "import.h"

#include "part10.h"

#include <errno.h>
#include <unistd.h>

#define FIRST_LOOK ((size_t)16 * 1024)
#define LONGEST_LOOK ((size_t)8 * 1024 * 1024)

const char *const import_count_names[IMPORT_COUNTS] = { "stored",      "duplicates", "conflicts", "replaced",
                                                        "refused",     "warnings",   "failed",    "not_dicom",
                                                        "directories", "skipped",    "resumed" };

void import_problem(import *im, import_count kind, const char *path, const char *reason) {
    atomic_fetch_add(&im->count[kind], 1);
    if (!im->on_problem) return;
    (void)pthread_mutex_lock(&im->lock);
    im->on_problem(im->ctx, import_count_names[kind], path, reason);
    (void)pthread_mutex_unlock(&im->lock);
}

void import_fatal(import *im, const gn_error *e) {
    (void)pthread_mutex_lock(&im->lock);
    if (!im->fatal.code) im->fatal = *e;
    (void)pthread_mutex_unlock(&im->lock);
    atomic_store(&im->stop, true);
}

int import_read_fd(void *fd, void *buf, size_t cap, size_t *n, gn_error *e) {
    for (;;) {
        ssize_t k = read(*(int *)fd, buf, cap);
        if (k < 0 && errno == EINTR) continue;
        *n = k > 0 ? (size_t)k : 0;
        return k < 0 ? gn_fail_errno(e, errno, "cannot read") : 0;
    }
}

/* Reads until `want` bytes are in the head or the source ends. */
static int read_head(const import_source *s, gn_buf *head, size_t want, bool *all, gn_error *e) {
    while (head->n < want && !*all) {
        size_t n = 0;
        uint8_t *p = gn_buf_reserve(head, want - head->n);
        if (!p) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the head of a file");
        int rc = s->read(s->ctx, p, want - head->n, &n, e);
        if (rc) return rc;
        head->n += n;
        *all = n == 0;
    }
    return 0;
}

/* What came of the look: 0 an object, 1 something else, <0 a broken one. */
static int look(const import_source *s, gn_buf *head, bool *all, part10 *p, gn_error *e) {
    size_t want = s->size && s->size < FIRST_LOOK ? (size_t)s->size + 1 : FIRST_LOOK;
    for (;;) {
        gn_error why = GN_ERROR_INIT;
        int rc = read_head(s, head, want, all, e);
        if (rc) return rc;
        if (head->n < 8) return 1;
        rc = part10_look_at(head->p, head->n, *all, p, &why);
        if (rc >= 0 && (rc == 1 || p->dataset_offset <= head->n)) return rc;
        if ((rc == GN_E_TRUNCATED || rc == 0) && !*all && want < LONGEST_LOOK) {
            want *= 8;
            continue;
        }
        if (rc == 0) return gn_fail(e, GN_E_TOO_LARGE, "the file's meta header is longer than 8 MiB");
        if (!e->code) *e = why;
        return rc;
    }
}

static void count_result(import *im, const import_source *s, const archive_result *r) {
    static const import_count of[] = { [ARCHIVE_STORED] = IMPORT_STORED,
                                       [ARCHIVE_DUPLICATE] = IMPORT_DUPLICATE,
                                       [ARCHIVE_CONFLICT_KEPT] = IMPORT_CONFLICT,
                                       [ARCHIVE_REPLACED] = IMPORT_REPLACED,
                                       [ARCHIVE_REFUSED] = IMPORT_REFUSED };
    import_count kind = of[r->outcome];
    if (kind == IMPORT_REFUSED || kind == IMPORT_CONFLICT) {
        const char *standard = kind == IMPORT_CONFLICT
                                   ? "another object has this SOP Instance UID; it stays, this one is in quarantine"
                                   : "refused";
        import_problem(im, kind, s->path, r->comment[0] ? r->comment : standard);
        return;
    }
    atomic_fetch_add(&im->count[kind], 1);
    if (!r->findings) return;
    char text[400] = "";
    for (unsigned i = 0; i < ARCHIVE_FINDING_COUNT; i++) {
        if (!(r->findings & (1u << i))) continue;
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s%s", n ? "; " : "", archive_finding_text((archive_finding)i));
    }
    import_problem(im, IMPORT_WARNED, s->path, text);
}

/* The rest of the source behind what the head holds, straight into the archive's memory. */
static int stream(archive_ingest *in, const import_source *s, const gn_buf *head, uint64_t offset, bool all,
                  gn_error *e) {
    int rc = archive_ingest_write(in, head->p + offset, head->n - (size_t)offset, e);
    while (!rc && !all) {
        size_t cap = 0, n = 0;
        uint8_t *p = archive_ingest_space(in, &cap, e);
        if (!p) return e->code ? e->code : GN_E_NO_MEMORY;
        rc = s->read(s->ctx, p, cap, &n, e);
        all = n == 0;
        if (!rc && n) rc = archive_ingest_advance(in, n, e);
    }
    return rc;
}

static bool is_of_the_archive(int code) { return code == GN_E_NO_SPACE || code == GN_E_DATABASE || code == GN_E_BUSY; }

static void take_in(import *im, const import_source *s, const part10 *p, const gn_buf *head, bool all, gn_error *e) {
    archive_source from = { .origin = ARCHIVE_FROM_IMPORT };
    const char *slash = strrchr(s->path, '/');
    snprintf(from.address, sizeof from.address, "%s", slash ? slash + 1 : s->path);
    archive_ingest_request request = { .source = &from,
                                       .transfer_syntax = p->transfer_syntax,
                                       .file_header = p->has_meta ? head->p : NULL,
                                       .file_header_length = p->has_meta ? (size_t)p->dataset_offset : 0,
                                       .expected_length =
                                           s->size > p->dataset_offset ? s->size - p->dataset_offset : 0 };
    archive_ingest *in = NULL;
    archive_result result = { 0 };
    int rc = archive_ingest_begin(im->archive, &request, &in, e);
    if (!rc) rc = stream(in, s, head, p->dataset_offset, all, e);
    if (rc) archive_ingest_abort(&in);
    else rc = archive_ingest_finish(&in, &result, e);
    if (!rc) count_result(im, s, &result);
    else if (is_of_the_archive(rc)) import_fatal(im, e);
}

import_kind import_object(import *im, const import_source *s, gn_buf *head) {
    gn_error e = GN_ERROR_INIT;
    part10 p;
    bool all = false;
    char text[400];
    int rc = look(s, head, &all, &p, &e);
    if (rc == 1 && head->n >= 4 && memcmp(head->p, "PK\3\4", 4) == 0) return IMPORT_IS_ZIP;
    if (rc == 1) {
        atomic_fetch_add(&im->count[IMPORT_NOT_DICOM], 1);
        return IMPORT_IS_OTHER;
    }
    if (rc == 0 && p.directory) {
        atomic_fetch_add(&im->count[IMPORT_DIRECTORIES], 1);
        return IMPORT_IS_OTHER;
    }
    if (rc == 0) take_in(im, s, &p, head, all, &e);
    if (e.code) import_problem(im, IMPORT_FAILED, s->path, gn_error_text(&e, text, sizeof text));
    return IMPORT_IS_OBJECT;
}
