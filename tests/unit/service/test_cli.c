/* Command lines: options anywhere, groups, "--", mistakes; suggestions; text from outside made harmless. */
#include "check.h"
#include "cli.h"
#include "suggest.h"

static const cli_option options[] = { { 'k', "key", "VALUE", "" },
                                      { 'v', "verbose", NULL, "" },
                                      { 0, "only-long", "X", "" } };

static cli over(int argc, const char *const *argv) {
    cli c;
    cli_init(&c, "test", argc, (char **)(uintptr_t)argv, options, GN_ARRAY_LEN(options));
    return c;
}

TEST(options_and_operands_in_any_order) {
    const char *argv[] = { "test", "a", "-k", "1", "-vk2", "--key=3", "--only-long", "4", "b", "-", "--", "-k" };
    cli c = over(12, argv);
    static const struct {
        int option;
        const char *value;
    } expected[] = { { CLI_OPERAND, "a" }, { 0, "1" },           { 1, NULL },          { 0, "2" },           { 0, "3" },
                     { 2, "4" },           { CLI_OPERAND, "b" }, { CLI_OPERAND, "-" }, { CLI_OPERAND, "-k" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(expected); i++) {
        CHECK_INT(cli_next(&c), expected[i].option);
        if (expected[i].value) CHECK_STR(c.value, expected[i].value);
        else CHECK(!c.value);
    }
    CHECK_INT(cli_next(&c), CLI_END);
}

static int first(const char *arg, const char *next) {
    const char *argv[] = { "test", arg, next };
    cli c = over(next ? 3 : 2, argv);
    return cli_next(&c);
}

TEST(mistakes) {
    CHECK_INT(first("--kye", "x"), CLI_ERROR);
    CHECK_INT(first("--key", NULL), CLI_ERROR);
    CHECK_INT(first("-k", NULL), CLI_ERROR);
    CHECK_INT(first("--verbose=1", NULL), CLI_ERROR);
    CHECK_INT(first("-x", NULL), CLI_ERROR);
    CHECK_INT(first("--help", NULL), CLI_HELP);
    CHECK_INT(first("-h", NULL), CLI_HELP);
    CHECK_INT(first("--key=", NULL), 0);
}

TEST(numbers) {
    cli c = { .command = "test", .value = "12" };
    int64_t v = 0;
    CHECK(cli_number(&c, "n", 0, 12, &v));
    CHECK_INT(v, 12);
    static const char *const bad[] = { "", "13", "-1", "1x", "99999999999999999999999", "0x5" };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        c.value = bad[i];
        CHECK(!cli_number(&c, "n", 0, 12, &v));
    }
    CHECK_INT(v, 12);
}

TEST(distances) {
    CHECK_INT(suggest_distance("serve", "serve"), 0);
    CHECK_INT(suggest_distance("sreve", "serve"), 1);
    CHECK_INT(suggest_distance("SERVE", "serve"), 0);
    CHECK_INT(suggest_distance("serv", "serve"), 1);
    CHECK_INT(suggest_distance("", "abc"), 3);
    CHECK_INT(suggest_distance("kitten", "sitting"), 3);
    char lengthy[100];
    memset(lengthy, 'a', sizeof lengthy - 1);
    lengthy[99] = '\0';
    CHECK(suggest_distance(lengthy, "a") > 60);
}

TEST(the_best_suggestion_wins) {
    const char *best = NULL;
    unsigned distance = 0;
    suggest_consider("impotr", "export", &best, &distance);
    suggest_consider("impotr", "import", &best, &distance);
    CHECK_STR(best, "import");
    best = NULL;
    suggest_consider("xyz", "import", &best, &distance);
    CHECK(!best);
}

TEST(every_command_has_a_help) {
    for (size_t i = 0; i < command_count; i++) {
        CHECK(command_find(commands[i].name) == &commands[i]);
        CHECK(commands[i].run && commands[i].summary[0]);
    }
    CHECK(!command_find("nonsense"));
}

TEST(text_from_outside_is_made_harmless) {
    char buf[64];
    CHECK_STR(cli_clean("a\033[31mb\nc", buf, sizeof buf), "a [31mb c");
    CHECK_STR(cli_clean("\xE2\x80\xAEx\xC2\x85", buf, sizeof buf), " x ");
    CHECK_STR(cli_clean("M\xC3\xBCller\xFF", buf, sizeof buf), "M\xC3\xBCller?");
    CHECK_STR(cli_clean("abc\xC3\xA4", buf, 5), "abc"); /* not cut amid a character */
    CHECK_STR(cli_clean("abc", buf, 1), "");
}
