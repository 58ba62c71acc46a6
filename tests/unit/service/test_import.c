/* What an import remembers when it is cut off. Whole imports are tested through the program, see tests/integration. */
#include "check.h"
#include "import.h"

#include <fcntl.h>
#include <unistd.h>

static char base[100];

static const char *folder(void) {
    if (!base[0]) (void)check_temp_dir(base, sizeof base);
    return base;
}

static struct stat file(uint64_t number) {
    struct stat st = { .st_dev = 1, .st_ino = number, .st_size = 100, .st_mtim = { .tv_sec = 5, .tv_nsec = 7 } };
    return st;
}

TEST(marks_are_there_after_a_restart) {
    gn_error e = GN_ERROR_INIT;
    import_state *s = import_state_open(folder(), &e);
    REQUIRE(s);
    for (uint64_t i = 0; i < 1000; i++) {
        struct stat st = file(i);
        CHECK(!import_state_knows(s, &st));
        import_state_done(s, &st);
    }
    import_state_close(&s, false);
    s = import_state_open(folder(), &e);
    REQUIRE(s);
    for (uint64_t i = 0; i < 1000; i++) {
        struct stat st = file(i);
        CHECK(import_state_knows(s, &st));
        st.st_size++;
        CHECK(!import_state_knows(s, &st));
        st = file(i);
        st.st_mtim.tv_nsec++;
        CHECK(!import_state_knows(s, &st));
    }
    import_state_close(&s, true); /* all is done: forgotten */
    s = import_state_open(folder(), &e);
    REQUIRE(s);
    struct stat st = file(1);
    CHECK(!import_state_knows(s, &st));
    import_state_close(&s, true);
}

TEST(a_mark_that_was_cut_off_is_dropped) {
    gn_error e = GN_ERROR_INIT;
    char path[200];
    import_state *s = import_state_open(folder(), &e);
    REQUIRE(s);
    struct stat one = file(1), two = file(2);
    import_state_done(s, &one);
    import_state_done(s, &two);
    import_state_close(&s, false);
    snprintf(path, sizeof path, "%s/import.state", folder());
    CHECK_INT(truncate(path, 8 + 16 + 5), 0);
    s = import_state_open(folder(), &e);
    REQUIRE(s);
    CHECK(import_state_knows(s, &one));
    CHECK(!import_state_knows(s, &two));
    import_state_done(s, &two);
    import_state_close(&s, false);
    s = import_state_open(folder(), &e);
    REQUIRE(s);
    CHECK(import_state_knows(s, &one) && import_state_knows(s, &two));
    import_state_close(&s, true);
}

TEST(a_foreign_file_begins_anew) {
    char path[200];
    snprintf(path, sizeof path, "%s/import.state", folder());
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    CHECK_INT(gn_write_all(fd, "something of another program", 28, NULL), 0);
    close(fd);
    import_state *s = import_state_open(folder(), NULL);
    REQUIRE(s);
    struct stat one = file(1);
    CHECK(!import_state_knows(s, &one));
    import_state_close(&s, true);
}

TEST(a_state_that_cannot_be_kept) {
    gn_error e = GN_ERROR_INIT;
    CHECK(!import_state_open("/nonexistent", &e));
    CHECK(e.code < 0);
    import_state_done(NULL, NULL); /* an import without one */
    struct stat st = file(1);
    CHECK(!import_state_knows(NULL, &st));
}
