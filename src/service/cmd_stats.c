/* cmd_stats: what an archive holds and how much room is left. */
#include "data.h"
#include "progress.h"

static const cli_option options[] = { DATA_OPTIONS };

static void print_json(const archive_stats *s) {
    gn_buf out = GN_BUF_INIT;
    gn_json j;
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = { { "patients", s->patients },     { "studies", s->studies },
                    { "series", s->series },         { "instances", s->instances },
                    { "bytes", s->bytes },           { "disk_bytes", s->disk_bytes },
                    { "free_bytes", s->free_bytes }, { "quarantined", s->quarantined },
                    { "superseded", s->superseded }, { "events", s->events },
                    { "jobs_open", s->jobs_open } };
    gn_json_init(&j, &out);
    gn_json_open(&j, '{');
    for (size_t i = 0; i < GN_ARRAY_LEN(numbers); i++) {
        gn_json_key(&j, numbers[i].key);
        gn_json_int(&j, numbers[i].value);
    }
    gn_json_close(&j, '}');
    gn_buf_putc(&out, '\n');
    cli_flush(&out);
    gn_buf_done(&out);
}

static void print_text(const archive_stats *s) {
    const struct {
        const char *text;
        int64_t value;
        bool always;
    } counts[] = { { "patients", s->patients, true },
                   { "studies", s->studies, true },
                   { "series", s->series, true },
                   { "instances", s->instances, true },
                   { "in quarantine", s->quarantined, false },
                   { "superseded, kept", s->superseded, false },
                   { "events", s->events, false },
                   { "jobs open", s->jobs_open, false } };
    const struct {
        const char *text;
        int64_t value;
    } sizes[] = { { "of objects", s->bytes }, { "on disk", s->disk_bytes }, { "free", s->free_bytes } };
    char size[24];
    for (size_t i = 0; i < GN_ARRAY_LEN(counts); i++)
        if (counts[i].always || counts[i].value) printf("%12lld  %s\n", (long long)counts[i].value, counts[i].text);
    for (size_t i = 0; i < GN_ARRAY_LEN(sizes); i++)
        printf("%12s  %s\n", progress_bytes((double)sizes[i].value, size), sizes[i].text);
}

int cmd_stats(int argc, char **argv) {
    data d = { .command = "stats" };
    cli c;
    cli_init(&c, "stats", argc, argv, options, GN_ARRAY_LEN(options));
    for (int o; (o = cli_next(&c)) != CLI_END;) {
        if (data_option(&d, &c, o) < 0) return CLI_USAGE;
        if (o == CLI_HELP) {
            command_usage(stdout, "stats");
            cli_print_options(stdout, options, GN_ARRAY_LEN(options));
            return CLI_OK;
        }
        if (o == CLI_OPERAND)
            return cli_complain("stats", "\"%s\" is not expected here; the archive is named by --data", c.value),
                   CLI_USAGE;
    }
    int rc = data_open(&d, DATA_READ);
    archive_stats s = { 0 };
    gn_error e = GN_ERROR_INIT;
    if (rc == CLI_OK && archive_get_stats(d.archive, &s, &e)) rc = (cli_error("stats", &e), CLI_FAILED);
    if (rc == CLI_OK && d.json) print_json(&s);
    else if (rc == CLI_OK) print_text(&s);
    data_close(&d);
    return rc;
}
