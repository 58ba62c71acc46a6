/* audit_verify: walks the whole audit log and says where its chain is broken (T38).
 *
 * What it finds: a changed byte, a line removed, added or moved, a month's file missing in the middle. What no chain can show is that
 * lines at the very end were removed; for that an administrator keeps the last hash elsewhere (docs/security.md). The oldest months may
 * be gone (kept elsewhere or past their time): each file begins with a line of its own that says so. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

typedef struct walk {
    int64_t lines, last;
    uint8_t hash[DIGEST_BYTES];
    bool started;
} walk;

static int check_line(walk *w, const char *path, int64_t row, const char *line, size_t n, gn_error *e) {
    int64_t number;
    uint8_t prev[DIGEST_BYTES], hash[DIGEST_BYTES];
    if (!audit_line_check(line, n, &number, prev, hash)) return gn_fail(e, GN_E_CORRUPT, "%s, line %lld: its words do not have the hash that it states", path, (long long)row);
    if (row == 1 && !audit_line_begins(line, n)) return gn_fail(e, GN_E_CORRUPT, "%s, line 1: lines before it are missing", path);
    static const uint8_t none[DIGEST_BYTES];
    if (!w->started && number == 1 && memcmp(prev, none, sizeof none) != 0) return gn_fail(e, GN_E_CORRUPT, "%s, line 1: it is the log's first and names one before", path);
    if (w->started && number != w->last + 1)
        return gn_fail(e, GN_E_CORRUPT, "%s, line %lld: it is number %lld, but %lld comes next", path, (long long)row, (long long)number, (long long)w->last + 1);
    if (w->started && memcmp(prev, w->hash, sizeof prev) != 0) return gn_fail(e, GN_E_CORRUPT, "%s, line %lld: it follows another line than the one before it", path, (long long)row);
    memcpy(w->hash, hash, sizeof hash);
    w->last = number;
    w->started = true;
    w->lines++;
    return 0;
}

static int check_file(walk *w, const char *path, bool newest, char *line, gn_error *e) {
    FILE *f = fopen(path, "re");
    if (!f) return gn_fail_errno(e, errno, "cannot open %s", path);
    int rc = 0;
    for (int64_t row = 1; !rc && fgets(line, AUDIT_LINE_LARGEST, f); row++) {
        size_t n = strlen(line);
        bool whole = n && line[n - 1] == '\n';
        if (whole) n--;
        /* The newest file's last line may be in the middle of being written. */
        bool end = !whole && feof(f);
        uint8_t prev[DIGEST_BYTES], hash[DIGEST_BYTES];
        int64_t number;
        if (end && newest && !audit_line_check(line, n, &number, prev, hash) && line[n ? n - 1 : 0] != '}') break;
        rc = whole || end ? check_line(w, path, row, line, n, e)
                          : gn_fail(e, GN_E_CORRUPT, "%s, line %lld: not a line of the log", path, (long long)row);
    }
    if (!rc && ferror(f)) rc = gn_fail_errno(e, errno, "cannot read %s", path);
    (void)fclose(f);
    return rc;
}

int64_t security_audit_verify(const char *directory, gn_error *e) {
    char folder[4096], path[4200];
    unsigned *months;
    size_t count;
    walk w = { 0 };
    if (snprintf(folder, sizeof folder, "%s/audit", directory) >= (int)sizeof folder) return gn_fail(e, GN_E_INVALID, "the folder's name is too long");
    int rc = audit_files_list(folder, &months, &count, e);
    if (rc) return rc;
    char *line = malloc(AUDIT_LINE_LARGEST);
    if (!line) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory to verify the audit log");
    for (size_t i = 0; !rc && i < count; i++) {
        audit_file_path(folder, months[i], path, sizeof path);
        rc = check_file(&w, path, i + 1 == count, line, e);
    }
    free(line);
    free(months);
    return rc ? rc : w.lines;
}
