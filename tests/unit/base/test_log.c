/* Logging: one line an event whatever the values hold (T23), levels, both forms. stderr is read back through a file. */
#include "base/base.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[100], file[120];
static int kept = -1;
static gn_buf seen;

static void capture(void) {
    if (!dir[0]) (void)check_temp_dir(dir, sizeof dir);
    (void)snprintf(file, sizeof file, "%s/log", dir);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    kept = dup(STDERR_FILENO);
    if (fd < 0 || kept < 0 || dup2(fd, STDERR_FILENO) < 0) exit(2);
    close(fd);
}

static const char *captured(void) {
    (void)dup2(kept, STDERR_FILENO);
    close(kept);
    gn_buf_clear(&seen);
    CHECK_INT(gn_file_load(file, 1 << 20, &seen, NULL), GN_OK);
    return seen.p ? (const char *)seen.p : "";
}

/* The line without its time. */
static const char *after_time(const char *line) {
    CHECK(strlen(line) > 25 && line[10] == 'T' && line[23] == 'Z');
    return strlen(line) > 25 ? line + 25 : line;
}

TEST(text_lines) {
    gn_log_setup(GN_LOG_DEBUG, false);
    capture();
    gn_log(GN_LOG_INFO, "association.accepted", "peer", "127.0.0.1", "calling", "MY AE", "none", "", NULL);
    CHECK_STR(after_time(captured()), "info  association.accepted peer=127.0.0.1 calling=\"MY AE\" none=\"\"\n");
    capture();
    gn_log(GN_LOG_ERROR, "stop", NULL);
    CHECK_STR(after_time(captured()), "error stop\n");
    capture();
    gn_log(GN_LOG_WARN, "e", "k", (const char *)NULL, "utf8", "J\xC3\xA9r\xC3\xB4me", NULL);
    CHECK_STR(after_time(captured()), "warn  e k=- utf8=\"J\xC3\xA9r\xC3\xB4me\"\n");
    gn_buf_done(&seen);
}

static const char hostile[] = "a\n2026-01-01 fake\r\x1b[2J\x07\x7f \"q\" \\ \xC2\x9B \xE2\x80\xAE \xE2\x80\xA8 \xFF\t=";

TEST(hostile_values_stay_on_their_line) {
    gn_log_setup(GN_LOG_INFO, false);
    capture();
    gn_log(GN_LOG_INFO, "e", "v", hostile, NULL);
    CHECK_STR(after_time(captured()),
              "info  e v=\"a\\n2026-01-01 fake\\r\\x1b[2J\\x07\\x7f \\\"q\\\" \\\\ \\u009b \\u202e \\u2028 \\xff\\t=\"\n");
    capture();
    gn_log(GN_LOG_INFO, "ev\nil", "k\ney", "v", NULL);
    CHECK_STR(after_time(captured()), "info  ev\\nil k\\ney=v\n");
    gn_buf_done(&seen);
}

TEST(json_lines) {
    gn_log_setup(GN_LOG_INFO, true);
    capture();
    gn_log(GN_LOG_WARN, "object.refused", "peer", "::1", "none", (const char *)NULL, "empty", "", NULL);
    const char *line = captured();
    CHECK(strncmp(line, "{\"time\":\"", 9) == 0);
    CHECK_STR(strstr(line, ",\"level\""),
              ",\"level\":\"warn\",\"event\":\"object.refused\",\"peer\":\"::1\",\"none\":null,\"empty\":\"\"}\n");
    capture();
    gn_log(GN_LOG_WARN, "e", "v", hostile, NULL);
    line = captured();
    CHECK_STR(strstr(line, "\"v\":"), "\"v\":\"a\\n2026-01-01 fake\\r\\u001b[2J\\u0007\\u007f \\\"q\\\" \\\\ \\u009b <U+202E> "
                                      "<U+2028> \xEF\xBF\xBD\\t=\"}\n");
    gn_buf_done(&seen);
}

TEST(long_values_are_cut_between_characters) {
    static const bool forms[] = { false, true };
    for (size_t f = 0; f < 2; f++) {
        gn_log_setup(GN_LOG_INFO, forms[f]);
        for (size_t shift = 0; shift < 4; shift++) {
            char value[5000];
            size_t n = shift;
            memset(value, 'x', shift);
            while (n + 4 < sizeof value) {
                memcpy(value + n, "\xF0\x9F\x98\x80", 4);
                n += 4;
            }
            value[n] = '\0';
            capture();
            gn_log(GN_LOG_INFO, "e", "v", value, "after", "1", NULL);
            const char *line = captured();
            CHECK(seen.n < 1300);
            CHECK(gn_utf8_valid(seen.p, seen.n));
            CHECK(strstr(line, "...\"") != NULL);
            CHECK(strstr(line, "\\x") == NULL && strstr(line, "\xEF\xBF\xBD") == NULL);
        }
    }
    gn_buf_done(&seen);
}

TEST(levels_filter) {
    gn_log_setup(GN_LOG_WARN, false);
    CHECK(!gn_log_enabled(GN_LOG_DEBUG));
    CHECK(!gn_log_enabled(GN_LOG_INFO));
    CHECK(gn_log_enabled(GN_LOG_WARN));
    CHECK(gn_log_enabled(GN_LOG_ERROR));
    capture();
    gn_log(GN_LOG_INFO, "quiet", NULL);
    CHECK_STR(captured(), "");
    gn_level level = GN_LOG_ERROR;
    CHECK(gn_log_level_parse("debug", &level));
    CHECK_INT(level, GN_LOG_DEBUG);
    CHECK(gn_log_level_parse("info", &level) && level == GN_LOG_INFO);
    CHECK(gn_log_level_parse("warn", &level) && level == GN_LOG_WARN);
    CHECK(gn_log_level_parse("error", &level) && level == GN_LOG_ERROR);
    CHECK(!gn_log_level_parse("INFO", &level));
    CHECK(!gn_log_level_parse("", &level));
    CHECK(!gn_log_level_parse(NULL, &level));
    CHECK_INT(level, GN_LOG_ERROR);
    gn_buf_done(&seen);
}

TEST(a_line_that_cannot_be_made_is_noted) {
    gn_log_setup(GN_LOG_INFO, false);
    capture();
    check_fail_alloc(1);
    errno = EAGAIN;
    gn_log(GN_LOG_INFO, "e", "k", "v", NULL);
    CHECK_INT(errno, EAGAIN);
    check_fail_alloc(0);
    CHECK_STR(captured(), "{\"level\":\"error\",\"event\":\"log.line_lost\"}\n");
    gn_buf_done(&seen);
}

static void log_many(void *arg) {
    for (int i = 0; i < 200; i++) gn_log(GN_LOG_INFO, "event", "who", arg, "n", gn_fmt("%d", i), NULL);
}

TEST(lines_of_threads_do_not_mix) {
    gn_log_setup(GN_LOG_INFO, false);
    capture();
    gn_thread threads[4];
    static char names[4][2] = { "a", "b", "c", "d" };
    for (size_t i = 0; i < 4; i++) REQUIRE(gn_thread_spawn(&threads[i], "log", 0, log_many, names[i], NULL) == GN_OK);
    for (size_t i = 0; i < 4; i++) gn_thread_join(&threads[i]);
    const char *line = captured();
    int lines = 0;
    for (; *line; line = strchr(line, '\n') + 1) {
        char who;
        int n;
        CHECK_INT(sscanf(line + 25, "info  event who=%c n=%d\n", &who, &n), 2);
        lines++;
    }
    CHECK_INT(lines, 800);
    gn_buf_done(&seen);
}

TEST(fmt_gives_eight_lasting_strings) {
    const char *s[8];
    for (int i = 0; i < 8; i++) s[i] = gn_fmt("value %d", i);
    for (int i = 0; i < 8; i++) {
        char want[16];
        (void)snprintf(want, sizeof want, "value %d", i);
        CHECK_STR(s[i], want);
    }
    CHECK_INT(strlen(gn_fmt("%0999d", 1)), 255);
}
