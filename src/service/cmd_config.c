/* cmd_config: checks a configuration and prints what is in effect, or the documentation of all keys. */
#include "cli.h"

#include <stdlib.h>

enum { OPT_CONFIG, OPT_PRINT, OPT_MARKDOWN };
static const cli_option options[] = {
    { 'c', "config", "FILE", "the file to check [$GANTRY_CONFIG]" },
    { 0, "print", NULL, "print the values in effect as a file (the default)" },
    { 0, "markdown", NULL, "print docs/configuration.md" },
};

static void print_notes(const config *c) {
    static const char *const words[] = { "note", "note", "warning", "error" };
    size_t count;
    const config_note *n = config_notes(c, &count);
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s: ", words[n[i].level]);
        if (n[i].line) fprintf(stderr, "%s:%u: ", config_file(c), n[i].line);
        fprintf(stderr, "%s: %s\n", n[i].key, n[i].text);
    }
}

static int print_config(const char *file) {
    gn_error e = GN_ERROR_INIT;
    gn_buf out = GN_BUF_INIT;
    config *c = cli_config("config", file);
    if (!c) return CLI_USAGE;
    int rc = config_finish(c, &e);
    print_notes(c);
    if (rc) cli_error("config", &e);
    else config_print_json(c, &out);
    cli_flush(&out);
    gn_buf_done(&out);
    config_free(&c);
    return rc ? CLI_USAGE : CLI_OK;
}

int cmd_config(int argc, char **argv) {
    const char *file = NULL;
    bool markdown = false;
    cli c;
    cli_init(&c, "config", argc, argv, options, GN_ARRAY_LEN(options));
    for (int o; (o = cli_next(&c)) != CLI_END;) {
        if (o == OPT_CONFIG) file = c.value;
        else if (o == OPT_MARKDOWN) markdown = true;
        else if (o == CLI_HELP) {
            command_usage(stdout, "config");
            cli_print_options(stdout, options, GN_ARRAY_LEN(options));
            return CLI_OK;
        } else if (o == CLI_OPERAND) file = c.value;
        else if (o == CLI_ERROR) return CLI_USAGE;
    }
    if (!markdown) return print_config(file);
    gn_buf out = GN_BUF_INIT;
    config_print_markdown(&out);
    cli_flush(&out);
    gn_buf_done(&out);
    return CLI_OK;
}
