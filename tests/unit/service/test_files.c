/* Walking folders and writing into them: links are never followed, names never become paths (T12). */
#include "check.h"
#include "import.h"
#include "outdir.h"
#include "walk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[100];

static const char *in_base(const char *name) {
    static char path[4][400];
    static unsigned next;
    if (!base[0]) (void)check_temp_dir(base, sizeof base);
    char *p = path[next++ % 4];
    snprintf(p, 400, "%s/%s", base, name);
    return p;
}

static void write_file(const char *name, const char *text) {
    int fd = open(in_base(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && gn_write_all(fd, text, strlen(text), NULL) == 0);
    if (fd >= 0) close(fd);
}

typedef struct seen {
    char names[400];
    unsigned skipped;
    int stop_after;
} seen;

static int on_file(void *ctx, int fd, const char *path, const struct stat *st) {
    seen *s = ctx;
    size_t n = strlen(s->names);
    const char *slash = strrchr(path, '/');
    CHECK(st->st_size >= 0);
    snprintf(s->names + n, sizeof s->names - n, "%s ", slash ? slash + 1 : path);
    close(fd);
    return s->stop_after && --s->stop_after == 0 ? 7 : 0;
}

static void on_skip(void *ctx, const char *path, const char *why) {
    CHECK(path[0] && why[0]);
    ((seen *)ctx)->skipped++;
}

TEST(a_walk_is_in_order_and_follows_no_links) {
    (void)mkdir(in_base("w"), 0700);
    (void)mkdir(in_base("w/sub"), 0700);
    write_file("w/b10", "x");
    write_file("w/b9", "xy");
    write_file("w/sub/c", "xyz");
    write_file("outside", "secret");
    CHECK_INT(symlink("../outside", in_base("w/link")), 0);
    CHECK_INT(symlink("..", in_base("w/loop")), 0);
    CHECK_INT(mkfifo(in_base("w/pipe"), 0600), 0);
    seen s = { .stop_after = 0 };
    walk_counts counts = { 0 };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(walk_path(in_base("w"), on_file, on_skip, &s, &counts, &e), 0);
    CHECK_STR(s.names, "b9 b10 c ");
    CHECK_INT(s.skipped, 3);
    CHECK_INT(counts.files, 3);
    CHECK_INT(counts.bytes, 6);
    s = (seen){ .stop_after = 2 };
    CHECK_INT(walk_path(in_base("w"), on_file, on_skip, &s, &counts, &e), 7);
    CHECK_STR(s.names, "b9 b10 ");
}

TEST(a_walk_of_a_single_file_or_of_nothing) {
    write_file("one", "1");
    seen s = { .stop_after = 0 };
    walk_counts counts = { 0 };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(walk_path(in_base("one"), on_file, on_skip, &s, &counts, &e), 0);
    CHECK_STR(s.names, "one ");
    CHECK_INT(walk_path(in_base("nothing"), on_file, on_skip, &s, &counts, &e), GN_E_NOT_FOUND);
    gn_error_clear(&e);
    CHECK_INT(walk_path("", on_file, on_skip, &s, &counts, &e), GN_E_NOT_FOUND);
}

TEST(a_walk_has_a_bottom) {
    char path[800];
    snprintf(path, sizeof path, "%s", in_base("deep"));
    for (int i = 0; i < WALK_DEEPEST + 5; i++) {
        CHECK_INT(mkdir(path, 0700), 0);
        size_t n = strlen(path);
        snprintf(path + n, sizeof path - n, "/d");
    }
    seen s = { .stop_after = 0 };
    walk_counts counts = { 0 };
    CHECK_INT(walk_path(in_base("deep"), on_file, on_skip, &s, &counts, NULL), 0);
    CHECK_INT(s.skipped, 1);
}

TEST(files_are_named_by_checked_uids) {
    outdir d;
    outfile f;
    gn_error e = GN_ERROR_INIT;
    REQUIRE(outdir_open(&d, in_base("out"), ".dcm", &e) == 0);
    static const char *const bad[] = {
        "",         ".",
        "..",       "../1.2",
        "1.2/3",    "/1.2",
        "1.2\n",    ".1",
        "-rf",      "a b",
        "a\\b",     "a:b",
        "\xC3\xA4", "1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3"
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        gn_error_clear(&e);
        REQUIRE(outdir_create(&d, &f, &e) == 0);
        CHECK_INT(outdir_keep(&d, &f, bad[i], &e), GN_E_INVALID);
        CHECK_INT(f.fd, -1);
    }
    gn_error_clear(&e);
    REQUIRE(outdir_create(&d, &f, &e) == 0);
    CHECK_INT(gn_write_all(f.fd, "x", 1, &e), 0);
    CHECK_INT(outdir_keep(&d, &f, "1.2.3", &e), 0);
    CHECK_INT(access(in_base("out/1.2.3.dcm"), F_OK), 0);
    CHECK(outdir_can_name("1.2") && outdir_can_name("1..2.") &&
          outdir_can_name("2.25.x_Y-9")); /* archives keep sloppy ones */
    REQUIRE(outdir_create(&d, &f, &e) == 0);
    outdir_drop(&d, &f);
    seen s = { .stop_after = 0 };
    walk_counts counts = { 0 };
    CHECK_INT(walk_path(in_base("out"), on_file, on_skip, &s, &counts, NULL), 0);
    CHECK_STR(s.names, "1.2.3.dcm "); /* nothing else is left */
    outdir_close(&d);
}

TEST(a_link_of_the_name_is_replaced_not_followed) {
    outdir d;
    outfile f;
    write_file("victim", "precious");
    REQUIRE(outdir_open(&d, in_base("out2"), "", NULL) == 0);
    CHECK_INT(symlink("../victim", in_base("out2/1.2.3")), 0);
    REQUIRE(outdir_create(&d, &f, NULL) == 0);
    CHECK_INT(gn_write_all(f.fd, "new", 3, NULL), 0);
    CHECK_INT(outdir_keep(&d, &f, "1.2.3", NULL), 0);
    gn_buf b = GN_BUF_INIT;
    CHECK_INT(gn_file_load(in_base("victim"), 100, &b, NULL), 0);
    CHECK_STR((const char *)b.p, "precious");
    gn_buf_done(&b);
    outdir_close(&d);
}

TEST(suffixes) {
    CHECK(outdir_suffix_valid("") && outdir_suffix_valid(".dcm") && outdir_suffix_valid(".DCM2"));
    CHECK(!outdir_suffix_valid("dcm") && !outdir_suffix_valid(".") && !outdir_suffix_valid("./x") &&
          !outdir_suffix_valid("..") && !outdir_suffix_valid(".a.b") && !outdir_suffix_valid(".abcdefghijklmnopqrs"));
}

TEST(components_of_file_ids) {
    static const char *const good[] = { "DIR", "IM000001", "A_1", "img.dcm", "77654033" }, *const bad[] = {
        "", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a b", "a:b", "\x01", "\xC3\xA4"
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(good); i++) CHECK(import_component_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) CHECK(!import_component_valid(bad[i], strlen(bad[i])));
    char lengthy[100];
    memset(lengthy, 'A', sizeof lengthy);
    CHECK(!import_component_valid(lengthy, sizeof lengthy));
    CHECK(!import_component_valid("a\0b", 3));
}
