/* audit_read: lines of the log, newest first, without reading what is not asked for.
 *
 * Files are walked from their ends in blocks. Filters compare bytes: the writer spells a member in one way only, and a quote within a
 * value is escaped, so that `"study":"1.2.3"` can stand in a line only as the member that it looks like (T23). */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, NEAR = 64 << 10 };

typedef struct search {
    const security_audit_query *q;
    void (*visit)(void *ctx, int64_t sequence, const char *json, size_t n);
    void *ctx;
    size_t left;
    gn_buf who, name, study, action; /* what a line must hold; empty: anything */
    char *block;
    int fd;
    uint64_t end;                    /* only what lies before is still to be read */
} search;

static void needle(gn_buf *out, const char *key, const char *value) {
    if (!value) return;
    gn_json j;
    gn_json_init(&j, out);
    gn_buf_printf(out, ",\"%s\":", key);
    gn_json_string(&j, value);
}

static bool holds(const char *line, size_t n, const gn_buf *what) { return !what->n || memmem(line, n, what->p, what->n); }

static void consider(search *s, const char *line, size_t n) {
    int64_t number = audit_line_number(line, n);
    if (number <= 0 || (s->q->before > 0 && number >= s->q->before)) return;
    if (!holds(line, n, &s->study) || !holds(line, n, &s->action)) return;
    if (!holds(line, n, &s->who) && !holds(line, n, &s->name)) return;
    s->left--;
    s->visit(s->ctx, number, line, n);
}

/* The lines of one block, last first; moves `end` to the start of the first whole one. */
static int walk_block(search *s, gn_error *e) {
    size_t n = s->end < BLOCK ? (size_t)s->end : BLOCK;
    int rc = gn_pread_all(s->fd, s->block, n, s->end - n, e);
    if (rc) return rc;
    size_t stop = n;
    const char *last = memrchr(s->block, '\n', n);
    if (last) stop = (size_t)(last - s->block) + 1; /* behind it: a line being written, or one cut in two by an earlier look */
    while (last && s->left) {
        const char *before = stop > 1 ? memrchr(s->block, '\n', stop - 1) : NULL;
        size_t start = before ? (size_t)(before - s->block) + 1 : 0;
        if (!before && n < s->end) break; /* begins in the block before */
        consider(s, s->block + start, stop - 1 - start);
        stop = start;
        if (!before) break;
    }
    if (n == s->end && stop == 0) s->end = 0;
    else if (stop == n || !last) return n == s->end ? (s->end = 0, 0) : gn_fail(e, GN_E_CORRUPT, "the audit log has a line that is too long; `gantry audit verify` tells more");
    else s->end -= n - stop;
    return 0;
}

/* The number of the first whole line at or behind an offset; 0: none near. */
static int64_t number_near(search *s, uint64_t offset, uint64_t size) {
    size_t n = size - offset < NEAR ? (size_t)(size - offset) : NEAR;
    if (gn_pread_all(s->fd, s->block, n, offset, NULL)) return 0;
    const char *at = s->block;
    if (offset) {
        at = memchr(s->block, '\n', n);
        if (!at++) return 0;
    }
    return audit_line_number(at, n - (size_t)(at - s->block));
}

/* Numbers rise: the place behind the last line below `before` is found by halving, so that a far page costs what a near one does. */
static void seek_before(search *s, uint64_t size) {
    uint64_t low = 0, high = size;
    while (s->q->before > 0 && high - low > NEAR) {
        uint64_t middle = low + (high - low) / 2;
        int64_t number = number_near(s, middle, size);
        if (number && number < s->q->before) low = middle;
        else if (number) high = middle;
        else break;
    }
    /* The line across `high` may still be wanted. */
    s->end = size - high < NEAR ? size : high + NEAR;
}

static int walk_file(search *s, const char *path, gn_error *e) {
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) return gn_fail_errno(e, errno, "cannot open %s", path);
    struct stat st;
    int rc = fstat(s->fd, &st) ? gn_fail_errno(e, errno, "cannot read %s", path) : 0;
    if (!rc) seek_before(s, (uint64_t)st.st_size);
    while (!rc && s->left && s->end) rc = walk_block(s, e);
    (void)close(s->fd);
    return rc;
}

static int walk_files(search *s, const char *directory, gn_error *e) {
    unsigned *months;
    size_t count;
    char path[4200];
    int rc = audit_files_list(directory, &months, &count, e);
    for (size_t i = rc ? 0 : count; !rc && i > 0 && s->left; i--) {
        audit_file_path(directory, months[i - 1], path, sizeof path);
        rc = walk_file(s, path, e);
    }
    free(months);
    return rc;
}

int audit_read(audit *a, const security_audit_query *q, void (*visit)(void *ctx, int64_t sequence, const char *json, size_t n), void *ctx, gn_error *e) {
    search s = { .q = q, .visit = visit, .ctx = ctx, .left = q->limit, .who = GN_BUF_INIT, .name = GN_BUF_INIT, .study = GN_BUF_INIT, .action = GN_BUF_INIT };
    needle(&s.who, "who", q->who);
    needle(&s.name, "name", q->who);
    needle(&s.study, "study", q->study_uid);
    needle(&s.action, "action", q->action);
    s.block = malloc(BLOCK);
    int rc = 0;
    if (!s.block || s.who.failed || s.name.failed || s.study.failed || s.action.failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory to read the audit log");
    if (!rc) { /* who asks sees what happened before; counts go on */
        (void)pthread_mutex_lock(&a->lock);
        rc = a->taken > a->finished ? audit_wait(a, a->taken, a->failures, e) : 0;
        (void)pthread_mutex_unlock(&a->lock);
    }
    if (!rc) rc = walk_files(&s, a->directory, e);
    free(s.block);
    gn_buf_done(&s.who);
    gn_buf_done(&s.name);
    gn_buf_done(&s.study);
    gn_buf_done(&s.action);
    return rc;
}
