/* check: the unit tests' framework. A test registers itself:
 *
 *     TEST(budget_is_kept) {
 *         CHECK(gn_arena_alloc(a, 9000) == NULL);
 *         CHECK_INT(gn_arena_used(a), 0);
 *     }
 *
 * A failed check prints one line with the place and both values and lets the test go on; REQUIRE leaves the test. The suite
 * ends with "suite: N passed, M failed" and a status that is not zero if anything failed. Arguments of the program choose
 * tests by a part of their names; --list prints the names; --fork runs every test in a process of its own. SKIP("why")
 * leaves a test that cannot run here. main is in check.c. */
#ifndef GANTRY_CHECK_H
#define GANTRY_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct check_test {
    const char *suite, *name;
    void (*run)(void);
    struct check_test *next;
} check_test;

void check_register(check_test *test);
bool check_true(bool ok, const char *file, int line, const char *text);
bool check_int(long long a, long long b, const char *file, int line, const char *text);
bool check_str(const char *a, const char *b, const char *file, int line, const char *text);
bool check_mem(const void *a, size_t na, const void *b, size_t nb, const char *file, int line, const char *text);
void check_skip(const char *file, int line, const char *why);
/* A fresh folder under $TMPDIR or /tmp, removed with all in it when the suite ends. Returns buf. */
char *check_temp_dir(char *buf, size_t size);
/* The nth allocation from now on (1: the next) that this thread makes fails, and every one after it; 0: none does. Only
 * calls of malloc, calloc and realloc in our own code count. check_failed_allocs tells how many failed since. */
void check_fail_alloc(unsigned nth);
unsigned check_failed_allocs(void);

#ifndef CHECK_SUITE
#define CHECK_SUITE "suite"
#endif

#define TEST(test_name)                                                                                   \
    static void test_##test_name(void);                                                                   \
    __attribute__((constructor)) static void register_##test_name(void) {                                 \
        static check_test t = { CHECK_SUITE, #test_name, test_##test_name, NULL };                        \
        check_register(&t);                                                                               \
    }                                                                                                     \
    static void test_##test_name(void)

#define CHECK(condition) ((void)check_true((condition), __FILE__, __LINE__, #condition))
/* Integers of any type that fits long long; values above INT64_MAX compare by their bits. */
#define CHECK_INT(a, b) ((void)check_int((long long)(a), (long long)(b), __FILE__, __LINE__, #a " == " #b))
#define CHECK_STR(a, b) ((void)check_str((a), (b), __FILE__, __LINE__, #a " == " #b))
/* Two memory areas with their lengths, or one length for both. */
#define CHECK_MEM(a, b, n) ((void)check_mem((a), (n), (b), (n), __FILE__, __LINE__, #a " == " #b))
#define CHECK_MEM2(a, na, b, nb) ((void)check_mem((a), (na), (b), (nb), __FILE__, __LINE__, #a " == " #b))
#define REQUIRE(condition)                                                     \
    do {                                                                       \
        if (!check_true((condition), __FILE__, __LINE__, #condition)) return; \
    } while (0)
#define SKIP(why)                               \
    do {                                        \
        check_skip(__FILE__, __LINE__, (why)); \
        return;                                 \
    } while (0)

#endif
