/* The progress line, and tables. */
#include "check.h"
#include "progress.h"
#include "table.h"

#include <locale.h>
#include <stdlib.h>

static const char *line(unsigned columns, progress_state s) {
    static char buf[256];
    return progress_format(buf, sizeof buf, columns, &s);
}

TEST(bytes_have_three_digits) {
    char b[24];
    CHECK_STR(progress_bytes(0, b), "0 B");
    CHECK_STR(progress_bytes(999, b), "999 B");
    CHECK_STR(progress_bytes(1000, b), "1.00 kB");
    CHECK_STR(progress_bytes(88100000, b), "88.1 MB");
    CHECK_STR(progress_bytes(999600000, b), "1.00 GB");
    CHECK_STR(progress_bytes(123456789012345, b), "123 TB");
    CHECK_STR(progress_bytes(-1, b), "0 B");
}

TEST(times) {
    char b[24];
    CHECK_STR(progress_time(0, b), "0.0 s");
    CHECK_STR(progress_time(59.4, b), "59 s");
    CHECK_STR(progress_time(65, b), "1:05");
    CHECK_STR(progress_time(7380, b), "2:03:00");
    CHECK_STR(progress_time(1e12, b), "99:59:59");
    CHECK_STR(progress_time(-5, b), "0.0 s");
}

TEST(lines) {
    CHECK_STR(line(79, (progress_state){ "send", 412, 1000, 88100000, 200000000, 2, 10 }),
              "send [##########..............] 412/1000  44%  8.81 MB/s  13 s left  2 problems");
    CHECK_STR(line(200, (progress_state){ "import", 5, 0, 0, 0, 0, 2 }), "import 5  2/s  2.0 s");
    CHECK_STR(line(200, (progress_state){ "move", 0, 0, 0, 0, 0, 0 }), "move 0");
    CHECK_STR(line(200, (progress_state){ "get", 10, 10, 1000000, 0, 1, 4 }),
              "get [##############################] 10/10 100%  250 kB/s  4.0 s  1 problem");
    CHECK_STR(line(200, (progress_state){ "x", 20, 10, 0, 0, 0, 0 }), "x [##############################] 20/10 100%");
}

TEST(lines_fit_the_terminal) {
    for (unsigned columns = 1; columns < 130; columns++) {
        progress_state s = { "import", 123456, 999999, 123456789012, 999999999999, 17, 4000 };
        CHECK(strlen(line(columns, s)) <= columns);
    }
}

static void add_many(void *p) {
    for (int i = 0; i < 1000; i++) progress_add(p, 1, 10, 0);
}

TEST(threads_add_up) {
    progress p;
    gn_thread t[4];
    progress_begin(&p, "test", 4000, 0);
    for (int i = 0; i < 4; i++) CHECK_INT(gn_thread_spawn(&t[i], "add", 0, add_many, &p, NULL), 0);
    for (int i = 0; i < 4; i++) gn_thread_join(&t[i]);
    CHECK_INT(atomic_load(&p.done), 4000);
    CHECK_INT(atomic_load(&p.bytes), 40000);
    CHECK(progress_end(&p) >= 0);
}

TEST(tables_are_aligned) {
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    REQUIRE(f);
    const char *heads[] = { "A", "Bcd", "E" }, *one[] = { "x", "y", "z" },
               *two[] = { "M\xC3\xBCller", "\xE5\xB1\xB1\xE7\x94\xB0", "" };
    table t;
    table_begin(&t, f, heads, 3);
    table_row(&t, one);
    table_row(&t, two);
    table_end(&t);
    (void)fclose(f);
    CHECK_STR(text, "A       Bcd   E\nx       y     z\nM\xC3\xBCller  \xE5\xB1\xB1\xE7\x94\xB0  \n");
    free(text);
}

TEST(tables_of_any_length) {
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    REQUIRE(f);
    const char *heads[] = { "A", "B" }, *row[] = { "1", "2" };
    table t;
    table_begin(&t, f, heads, 2);
    for (int i = 0; i < 3 * TABLE_FIRST_ROWS; i++) table_row(&t, row);
    table_end(&t);
    (void)fclose(f);
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    CHECK_INT(lines, 3 * TABLE_FIRST_ROWS + 1);
    free(text);
    f = open_memstream(&text, &n);
    REQUIRE(f);
    table_begin(&t, f, heads, 2);
    table_end(&t);
    (void)fclose(f);
    CHECK_STR(text, ""); /* no rows: no head */
    free(text);
}
