/* check: registration, comparison, the runner and main of every suite. See check.h. */
#include "check.h"

#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static check_test *first, **last = &first;
static atomic_int failures; /* of the running test; checks may come from its threads */
static bool skipped;
static char temp_dirs[64][128];
static unsigned temp_count;

void check_register(check_test *test) {
    *last = test;
    last = &test->next;
}

bool check_true(bool ok, const char *file, int line, const char *text) {
    if (ok) return true;
    failures++;
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
    return false;
}

bool check_int(long long a, long long b, const char *file, int line, const char *text) {
    if (a == b) return true;
    failures++;
    fprintf(stderr, "%s:%d: failed: %s: %lld (0x%llx) and %lld (0x%llx)\n", file, line, text, a, (unsigned long long)a, b,
            (unsigned long long)b);
    return false;
}

static void print_quoted(const char *s) {
    if (!s) {
        fputs("NULL", stderr);
        return;
    }
    fputc('"', stderr);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') fprintf(stderr, "\\%c", c);
        else if (c == '\n') fputs("\\n", stderr);
        else if (c < 0x20 || c == 0x7f) fprintf(stderr, "\\x%02x", c);
        else fputc(c, stderr);
    }
    fputc('"', stderr);
}

bool check_str(const char *a, const char *b, const char *file, int line, const char *text) {
    if (a == b || (a && b && strcmp(a, b) == 0)) return true;
    failures++;
    fprintf(stderr, "%s:%d: failed: %s: ", file, line, text);
    print_quoted(a);
    fputs(" and ", stderr);
    print_quoted(b);
    fputc('\n', stderr);
    return false;
}

static void print_bytes(const uint8_t *p, size_t n, size_t from) {
    for (size_t i = from; i < n && i < from + 8; i++) fprintf(stderr, " %02x", p[i]);
    if (from >= n) fputs(" end", stderr);
}

bool check_mem(const void *a, size_t na, const void *b, size_t nb, const char *file, int line, const char *text) {
    const uint8_t *p = a, *q = b;
    if (na == nb && (na == 0 || (p && q && memcmp(p, q, na) == 0))) return true;
    failures++;
    fprintf(stderr, "%s:%d: failed: %s: ", file, line, text);
    if (!p || !q) {
        fputs("NULL\n", stderr);
        return false;
    }
    size_t i = 0;
    while (i < na && i < nb && p[i] == q[i]) i++;
    fprintf(stderr, "%zu and %zu bytes differ at %zu:", na, nb, i);
    print_bytes(p, na, i);
    fputs(" and", stderr);
    print_bytes(q, nb, i);
    fputc('\n', stderr);
    return false;
}

void check_skip(const char *file, int line, const char *why) {
    skipped = true;
    fprintf(stderr, "%s:%d: skipped: %s\n", file, line, why);
}

/* ---- failing allocations: the linker sends our calls here (--wrap) ------------------------------------------------------- */

static _Thread_local unsigned fail_at, failed_allocs;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

void check_fail_alloc(unsigned nth) {
    fail_at = nth;
    failed_allocs = 0;
}

unsigned check_failed_allocs(void) { return failed_allocs; }

static bool must_fail(void) {
    if (fail_at == 0) return false;
    if (fail_at > 1) {
        fail_at--;
        return false;
    }
    failed_allocs++;
    return true;
}

void *__wrap_malloc(size_t size) { return must_fail() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return must_fail() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *p, size_t size) { return must_fail() ? NULL : __real_realloc(p, size); }

/* ---- temporary folders ------------------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

char *check_temp_dir(char *buf, size_t size) {
    const char *base = getenv("TMPDIR");
    int n = snprintf(buf, size, "%s/gantry-test-XXXXXX", base && *base ? base : "/tmp");
    if (n < 0 || (size_t)n >= size || (size_t)n >= sizeof temp_dirs[0] || !mkdtemp(buf)) {
        perror("check_temp_dir");
        exit(2);
    }
    if (temp_count < sizeof temp_dirs / sizeof temp_dirs[0]) memcpy(temp_dirs[temp_count++], buf, (size_t)n + 1);
    return buf;
}

static void remove_temp_dirs(void) {
    while (temp_count) nftw(temp_dirs[--temp_count], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the runner --------------------------------------------------------------------------------------------------------- */

typedef enum { PASSED, FAILED, SKIPPED } outcome;

static outcome run_here(const check_test *t) {
    failures = 0;
    skipped = false;
    t->run();
    check_fail_alloc(0);
    return failures ? FAILED : skipped ? SKIPPED : PASSED;
}

static outcome run_forked(const check_test *t) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        temp_count = 0;
        outcome o = run_here(t);
        remove_temp_dirs();
        fflush(NULL);
        _exit((int)o);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return FAILED;
    if (WIFSIGNALED(status)) fprintf(stderr, "%s: killed by signal %d\n", t->name, WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) <= SKIPPED ? (outcome)WEXITSTATUS(status) : FAILED;
}

static bool is_chosen(const check_test *t, int argc, char **argv) {
    bool any = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') continue;
        any = true;
        if (strstr(t->name, argv[i])) return true;
    }
    return !any;
}

int main(int argc, char **argv) {
    bool forked = false, list = false;
    for (int i = 1; i < argc; i++) {
        forked |= strcmp(argv[i], "--fork") == 0;
        list |= strcmp(argv[i], "--list") == 0;
    }
    unsigned count[3] = { 0, 0, 0 };
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (const check_test *t = first; t; t = t->next) {
        if (!is_chosen(t, argc, argv)) continue;
        if (list) {
            puts(t->name);
            continue;
        }
        outcome o = forked ? run_forked(t) : run_here(t);
        count[o]++;
        if (o == FAILED) fprintf(stderr, "%s: %s failed\n", t->suite, t->name);
    }
    remove_temp_dirs();
    if (list) return 0;
    printf("%s: %u passed, %u failed", first ? first->suite : "empty", count[PASSED], count[FAILED]);
    if (count[SKIPPED]) printf(", %u skipped", count[SKIPPED]);
    putchar('\n');
    return count[FAILED] || !first ? 1 : 0;
}
