/* Files: whole reads and writes, a full disk (/dev/full), folders, limits. */
#include "base/base.h"
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[100], path[300];

static const char *in_dir(const char *name) {
    if (!dir[0]) (void)check_temp_dir(dir, sizeof dir);
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int make_file(const char *name, const char *text) {
    int fd = open(in_dir(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && gn_write_all(fd, text, strlen(text), NULL) != GN_OK) {
        close(fd);
        return -1;
    }
    return fd;
}

TEST(write_then_read_at_offsets) {
    int fd = make_file("rw", "0123456789");
    REQUIRE(fd >= 0);
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(gn_pwrite_all(fd, "abc", 3, 8, &e), GN_OK);
    char q[12] = "";
    CHECK_INT(gn_pread_all(fd, q, 11, 0, &e), GN_OK);
    CHECK_STR(q, "01234567abc");
    CHECK_INT(gn_pread_all(fd, q, 0, 1000, &e), GN_OK);
    CHECK_INT(gn_pread_all(fd, q, 3, 9, &e), GN_E_TRUNCATED);
    CHECK_STR(e.message, "the file ends 1 bytes too early");
    close(fd);
}

TEST(bad_descriptors_and_offsets) {
    gn_error e = GN_ERROR_INIT;
    char q[4] = "";
    CHECK_INT(gn_write_all(-1, "x", 1, &e), GN_E_IO);
    CHECK_STR(e.message, "cannot write: Bad file descriptor");
    CHECK_INT(gn_pwrite_all(-1, "x", 1, 0, NULL), GN_E_IO);
    CHECK_INT(gn_pread_all(-1, q, 1, 0, NULL), GN_E_IO);
    CHECK_INT(gn_pwrite_all(-1, "x", 1, UINT64_MAX, NULL), GN_E_TOO_LARGE);
    CHECK_INT(gn_pwrite_all(-1, "x", 1, INT64_MAX, NULL), GN_E_TOO_LARGE);
    CHECK_INT(gn_pread_all(-1, q, 1, UINT64_MAX, NULL), GN_E_TOO_LARGE);
}

TEST(a_full_disk_has_its_own_code) {
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0) SKIP("/dev/full is not here");
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(gn_write_all(fd, "x", 1, &e), GN_E_NO_SPACE);
    CHECK_INT(gn_pwrite_all(fd, "x", 1, 0, NULL), GN_E_NO_SPACE);
    close(fd);
}

static void drain(void *arg) {
    char q[1000];
    size_t total = 0;
    for (ssize_t k; (k = read(*(int *)arg, q, sizeof q)) > 0;) total += (size_t)k;
    *(int *)arg = (int)total;
}

TEST(a_pipe_takes_everything_in_pieces) {
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    gn_thread t = { 0 };
    int shared = fds[0];
    REQUIRE(gn_thread_spawn(&t, "drain", 0, drain, &shared, NULL) == GN_OK);
    char *big = calloc(1, 300000);
    REQUIRE(big);
    CHECK_INT(gn_write_all(fds[1], big, 300000, NULL), GN_OK);
    close(fds[1]);
    gn_thread_join(&t);
    CHECK_INT(shared, 300000);
    close(fds[0]);
    free(big);
}

TEST(folders_are_made_with_their_parents) {
    gn_error e = GN_ERROR_INIT;
    struct stat st;
    CHECK_INT(gn_mkdirs(in_dir("a//b/c/"), &e), GN_OK);
    CHECK_INT(gn_mkdirs(in_dir("a/b/c"), &e), GN_OK);
    REQUIRE(stat(in_dir("a/b/c"), &st) == 0);
    CHECK(S_ISDIR(st.st_mode));
    CHECK_INT(st.st_mode & 0777, 0700);
    CHECK_INT(gn_mkdirs("/", &e), GN_OK);
    CHECK_INT(gn_fsync_dir(in_dir("a"), &e), GN_OK);
    CHECK_STR(e.message, "");
}

TEST(folders_that_cannot_be_made) {
    int fd = make_file("plain", "x");
    REQUIRE(fd >= 0);
    close(fd);
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(gn_mkdirs(in_dir("plain"), &e), GN_E_IO);
    CHECK(strstr(e.message, "Not a directory") != NULL);
    CHECK_INT(gn_mkdirs(in_dir("plain/sub"), NULL), GN_E_IO);
    CHECK_INT(gn_mkdirs("", NULL), GN_E_INVALID);
    char *longer = malloc(6000);
    REQUIRE(longer);
    memset(longer, 'x', 5999);
    longer[5999] = '\0';
    CHECK_INT(gn_mkdirs(longer, NULL), GN_E_TOO_LARGE);
    free(longer);
    CHECK_INT(gn_fsync_dir(in_dir("missing"), NULL), GN_E_IO);
    CHECK_INT(gn_fsync_dir(in_dir("plain"), NULL), GN_E_IO);
}

TEST(whole_files_are_loaded_up_to_the_limit) {
    int fd = make_file("load", "0123456789");
    REQUIRE(fd >= 0);
    close(fd);
    gn_buf b = GN_BUF_INIT;
    gn_error e = GN_ERROR_INIT;
    gn_buf_puts(&b, "before:");
    CHECK_INT(gn_file_load(in_dir("load"), 10, &b, &e), GN_OK);
    CHECK_STR((char *)b.p, "before:0123456789");
    CHECK_INT(gn_file_load(in_dir("load"), 9, &b, &e), GN_E_TOO_LARGE);
    CHECK_STR((char *)b.p, "before:0123456789");
    CHECK_INT(gn_file_load(in_dir("missing"), 9, &b, NULL), GN_E_NOT_FOUND);
    CHECK_INT(gn_file_load(dir, 9999, &b, NULL), GN_E_IO);
    CHECK_STR((char *)b.p, "before:0123456789");
    gn_buf_done(&b);
}

TEST(files_without_a_size_are_loaded) {
    gn_buf b = GN_BUF_INIT;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(gn_file_load("/proc/self/status", 1 << 20, &b, &e), GN_OK);
    CHECK(b.n > 100);
    gn_buf_clear(&b);
    CHECK_INT(gn_file_load("/proc/self/status", 50, &b, &e), GN_E_TOO_LARGE);
    CHECK_INT(b.n, 0);
    CHECK_INT(gn_file_load("/dev/zero", 100000, &b, NULL), GN_E_TOO_LARGE);
    int fd = make_file("empty", "");
    REQUIRE(fd >= 0);
    close(fd);
    CHECK_INT(gn_file_load(in_dir("empty"), 0, &b, NULL), GN_OK);
    CHECK_STR((char *)b.p, "");
    check_fail_alloc(1);
    gn_buf c = GN_BUF_INIT;
    CHECK_INT(gn_file_load(in_dir("empty"), 0, &c, NULL), GN_E_NO_MEMORY);
    check_fail_alloc(0);
    gn_buf_done(&b);
    gn_buf_done(&c);
}
