/* audit_files: the files of the audit log, one a month, and where the log ends. */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MONTHS_MOST = 12 * 200 };

unsigned audit_month_of(int64_t wall_us) {
    time_t s = (time_t)(wall_us / 1000000);
    struct tm t;
    if (!gmtime_r(&s, &t)) return 197001;
    return (unsigned)(t.tm_year + 1900) * 100 + (unsigned)t.tm_mon + 1;
}

void audit_file_path(const char *directory, unsigned month, char *path, size_t size) {
    (void)snprintf(path, size, "%s/audit-%06u.jsonl", directory, month);
}

/* 202611 of "audit-202611.jsonl"; 0: another name. */
static unsigned month_of_name(const char *name) {
    unsigned month = 0;
    if (strlen(name) != 18 || strncmp(name, "audit-", 6) != 0 || strcmp(name + 12, ".jsonl") != 0) return 0;
    for (int i = 6; i < 12; i++) {
        if (name[i] < '0' || name[i] > '9') return 0;
        month = month * 10 + (unsigned)(name[i] - '0');
    }
    return month % 100 >= 1 && month % 100 <= 12 ? month : 0;
}

static int by_value(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

int audit_files_list(const char *directory, unsigned **months, size_t *count, gn_error *e) {
    *months = NULL;
    *count = 0;
    DIR *d = opendir(directory);
    if (!d) return gn_fail_errno(e, errno, "cannot read %s", directory);
    unsigned *list = calloc(MONTHS_MOST, sizeof *list);
    size_t n = 0;
    for (struct dirent *entry; list && n < MONTHS_MOST && (entry = readdir(d));) {
        unsigned month = month_of_name(entry->d_name);
        if (month) list[n++] = month;
    }
    (void)closedir(d);
    if (!list) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the list of audit files");
    qsort(list, n, sizeof *list, by_value);
    *months = list;
    *count = n;
    return 0;
}

/* ---- the end of the log --------------------------------------------------------------------------------------------------- */

/* Is it whole JSON? Then no crash in the middle of a write left it so. */
static bool is_whole(const char *text, size_t n) {
    json_error_t problem;
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    bool whole = value != NULL;
    json_decref(value);
    return whole;
}

static int broken(const char *path, uint64_t offset, gn_error *e) {
    return gn_fail(e, GN_E_CORRUPT, "%s: the audit log's last line, at byte %llu, is damaged; `gantry audit verify` tells more", path, (unsigned long long)offset);
}

/* Looks at the last bytes of one file, `end` being its size. */
static int look_at(const char *path, const char *bytes, size_t n, uint64_t end, audit_tail *t, gn_error *e) {
    uint8_t prev[DIGEST_BYTES];
    const char *newline = n ? memrchr(bytes, '\n', n) : NULL;
    size_t rest = newline ? (size_t)(bytes + n - newline - 1) : n;
    t->size = end;
    if (rest && is_whole(bytes + n - rest, rest)) { /* only the newline is missing */
        if (!audit_line_check(bytes + n - rest, rest, &t->last, prev, t->hash)) return broken(path, end - rest, e);
        t->newline_missing = true;
        return 0;
    }
    t->torn = rest;
    t->size = end - rest;
    n -= rest;
    if (!n) return t->size ? broken(path, t->size, e) : 0; /* a line longer than any that is written */
    n--; /* the newline */
    const char *before = memrchr(bytes, '\n', n);
    const char *line = before ? before + 1 : bytes;
    size_t length = (size_t)(bytes + n - line);
    return audit_line_check(line, length, &t->last, prev, t->hash) ? 0 : broken(path, t->size - length - 1, e);
}

static int read_end(const char *path, audit_tail *t, gn_error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return gn_fail_errno(e, errno, "cannot open %s", path);
    struct stat st;
    char *bytes = malloc(2 * AUDIT_LINE_LARGEST);
    int rc = 0;
    if (!bytes) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory to read %s", path);
    else if (fstat(fd, &st)) rc = gn_fail_errno(e, errno, "cannot read %s", path);
    if (!rc) {
        uint64_t end = (uint64_t)st.st_size;
        size_t n = end < 2 * AUDIT_LINE_LARGEST ? (size_t)end : 2 * AUDIT_LINE_LARGEST;
        rc = gn_pread_all(fd, bytes, n, end - n, e);
        if (!rc) rc = look_at(path, bytes, n, end, t, e);
    }
    free(bytes);
    (void)close(fd);
    return rc;
}

int audit_tail_read(const char *directory, audit_tail *t, gn_error *e) {
    unsigned *months;
    size_t count;
    *t = (audit_tail){ 0 };
    int rc = audit_files_list(directory, &months, &count, e);
    if (rc) return rc;
    /* A file that a crash left empty is the newest, but the chain's head is in the one before. */
    for (size_t i = count; !rc && i > 0 && !t->last; i--) {
        char path[4200];
        audit_tail one = { .month = months[i - 1] };
        audit_file_path(directory, one.month, path, sizeof path);
        rc = read_end(path, &one, e);
        if (i == count) *t = one;
        else if (!rc && !one.torn && !one.newline_missing) {
            t->last = one.last;
            memcpy(t->hash, one.hash, DIGEST_BYTES);
        } else if (!rc) rc = gn_fail(e, GN_E_CORRUPT, "%s: the audit log ends in the middle of a line, but a newer file follows", path);
    }
    free(months);
    return rc;
}
