/* cmd_verify: every stored object against its checksum, the index against the store and the store against the index.
 *
 * One line a problem; exit 1 when there is one. Without --repair nothing is changed, and a server may run meanwhile. */
#include "data.h"
#include "progress.h"

enum { OPT_REPAIR = DATA_OPTION_COUNT };
static const cli_option options[] = {
    DATA_OPTIONS,
    { 0, "repair", NULL, "index again what is whole but not known, mark what is damaged; no server may run" },
};

typedef struct verifier {
    data data;
    progress bar;
    archive_progress told;
    gn_buf list; /* JSON objects, comma between them */
    uint64_t problems;
} verifier;

static void on_problem(void *ctx, const char *kind, const char *object, const char *detail) {
    verifier *v = ctx;
    v->problems++;
    if (v->data.json) {
        gn_json j;
        if (v->list.n) gn_buf_putc(&v->list, ',');
        gn_json_init(&j, &v->list);
        gn_json_open(&j, '{');
        gn_json_key(&j, "kind");
        gn_json_string(&j, kind);
        gn_json_key(&j, "object");
        gn_json_string(&j, object);
        gn_json_key(&j, "detail");
        gn_json_string(&j, detail);
        gn_json_close(&j, '}');
        return;
    }
    char line[800], clean[800];
    snprintf(line, sizeof line, "%s  %s  %s", kind, object ? object : "", detail ? detail : "");
    cli_clean(line, clean, sizeof clean);
    if (v->bar.shown) fputs("\r\033[K", stderr);
    puts(clean);
    (void)fflush(stdout);
}

static bool on_progress(void *ctx, const archive_progress *p) {
    verifier *v = ctx;
    atomic_store(&v->bar.total, p->total);
    progress_add(&v->bar, p->done - v->told.done, p->bytes - v->told.bytes, p->problems - v->told.problems);
    v->told = *p;
    return true;
}

static int run(verifier *v, bool repair) {
    gn_error e = GN_ERROR_INIT;
    archive_verify_options o = { .repair = repair, .on_problem = on_problem, .on_progress = on_progress, .ctx = v };
    progress_begin(&v->bar, "verify", 0, 0);
    int64_t problems = archive_verify(v->data.archive, &o, &e);
    double seconds = progress_end(&v->bar);
    char size[24], took[24];
    if (problems < 0) return cli_error("verify", &e), CLI_FAILED;
    if (v->data.json) {
        printf("{\"objects\":%llu,\"bytes\":%llu,\"problems\":%lld,\"repair\":%s,\"seconds\":%.3f,\"list\":[%s]}\n",
               (unsigned long long)v->told.done, (unsigned long long)v->told.bytes, (long long)problems,
               repair ? "true" : "false", seconds, v->list.n ? (const char *)v->list.p : "");
    } else {
        printf("%llu objects, %s in %s: ", (unsigned long long)v->told.done,
               progress_bytes((double)v->told.bytes, size), progress_time(seconds, took));
        if (problems)
            printf("%lld problem%s%s\n", (long long)problems, problems == 1 ? "" : "s",
                   repair ? ", repaired where possible" : "");
        else puts("all as it was received");
    }
    return problems ? CLI_FAILED : CLI_OK;
}

int cmd_verify(int argc, char **argv) {
    verifier v = { .data = { .command = "verify" } };
    bool repair = false;
    cli c;
    cli_init(&c, "verify", argc, argv, options, GN_ARRAY_LEN(options));
    for (int o; (o = cli_next(&c)) != CLI_END;) {
        if (data_option(&v.data, &c, o) < 0) return CLI_USAGE;
        if (o == OPT_REPAIR) repair = true;
        if (o == CLI_HELP) {
            command_usage(stdout, "verify");
            cli_print_options(stdout, options, GN_ARRAY_LEN(options));
            return CLI_OK;
        }
        if (o == CLI_OPERAND)
            return cli_complain("verify", "\"%s\" is not expected here; the archive is named by --data", c.value),
                   CLI_USAGE;
    }
    int rc = data_open(&v.data, repair ? DATA_WRITE : DATA_READ);
    if (rc == CLI_OK) rc = run(&v, repair);
    data_close(&v.data);
    gn_buf_done(&v.list);
    return rc;
}
