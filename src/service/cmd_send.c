/* cmd_send: sends files and folders to a DICOM node (C-STORE), each in the transfer syntax it is stored in. */
#include "send.h"

#include <stdlib.h>

enum { OPT_ASSOCIATIONS = SCU_OPTION_COUNT, OPT_WINDOW, OPT_RETRIES, OPT_VERBOSE };
static const cli_option options[] = {
    SCU_OPTIONS,
    { 'n', "associations", "N", "associations at once, 1 to 32 [1]" },
    { 'w', "window", "N", "requests that may wait for an answer, where the peer allows it, 1 to 64 [16]" },
    { 'r', "retries", "N", "attempts after a rejection for the moment or a broken connection [5]" },
    { 'v', "verbose", NULL, "name every file that was not sent" },
};

enum { SHOWN = 20, LISTED = 10000 };

typedef struct sender {
    scu scu;
    send_list list;
    progress bar;
    bool started, verbose;
    uint64_t shown, hidden;
    gn_buf failures; /* JSON objects, comma between them */
    uint64_t failure_count;
} sender;

static void say(sender *s, const char *path, const char *why) {
    char line[1024], clean[1024];
    if (!s->verbose && s->shown >= SHOWN) {
        s->hidden++;
        return;
    }
    s->shown++;
    snprintf(line, sizeof line, "%s: %s", path, why);
    cli_clean(line, clean, sizeof clean);
    if (s->started) progress_say(&s->bar, clean);
    else fprintf(stderr, "%s\n", clean);
}

static void on_failure(void *ctx, const char *path, const char *why) {
    sender *s = ctx;
    if (!s->scu.json) {
        say(s, path, why);
        return;
    }
    gn_json j;
    if (s->failure_count++ >= LISTED) return; /* the counts tell the rest */
    if (s->failures.n) gn_buf_putc(&s->failures, ',');
    gn_json_init(&j, &s->failures);
    gn_json_open(&j, '{');
    gn_json_key(&j, "file");
    gn_json_string(&j, path);
    gn_json_key(&j, "reason");
    gn_json_string(&j, why);
    gn_json_close(&j, '}');
}

static void print_json(const sender *s, const peer *p, const send_result *r, const gn_error *e) {
    gn_buf out = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &out);
    gn_json_open(&j, '{');
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = { { "sent", r->sent },
                    { "warnings", r->warnings },
                    { "failed", r->failed + s->list.unreadable },
                    { "not_dicom", s->list.not_dicom },
                    { "bytes", r->bytes } };
    gn_json_key(&j, "peer");
    gn_json_string(&j, p->name);
    for (size_t i = 0; i < GN_ARRAY_LEN(numbers); i++) {
        gn_json_key(&j, numbers[i].key);
        gn_json_uint(&j, numbers[i].value);
    }
    gn_json_key(&j, "seconds");
    gn_json_double(&j, r->seconds);
    gn_json_key(&j, "error");
    gn_json_string(&j, e->code ? e->message : NULL);
    gn_json_key(&j, "failures");
    gn_json_open(&j, '[');
    if (s->failures.n) gn_json_raw(&j, (const char *)s->failures.p, s->failures.n);
    gn_json_close(&j, ']');
    gn_json_close(&j, '}');
    gn_buf_putc(&out, '\n');
    cli_flush(&out);
    gn_buf_done(&out);
}

static void print_text(const sender *s, const peer *p, const send_result *r) {
    char size[24], rate[24], took[24];
    if (s->hidden) fprintf(stderr, "… and %llu more; --verbose names them all\n", (unsigned long long)s->hidden);
    printf("%s: %llu sent, %s in %s, %s/s", p->name, (unsigned long long)r->sent,
           progress_bytes((double)r->bytes, size), progress_time(r->seconds, took),
           progress_bytes(r->seconds > 0 ? (double)r->bytes / r->seconds : 0, rate));
    if (r->warnings) printf(", %llu with a warning", (unsigned long long)r->warnings);
    if (r->failed + s->list.unreadable) printf(", %llu failed", (unsigned long long)(r->failed + s->list.unreadable));
    if (s->list.not_dicom) printf(", %llu files are not DICOM images", (unsigned long long)s->list.not_dicom);
    putchar('\n');
}

static int run(sender *s, const peer *p, const send_options *o) {
    gn_error e = GN_ERROR_INIT;
    send_result r = { 0 };
    send_list_group(&s->list);
    if (!s->list.count) {
        cli_complain("send", "no DICOM images there (%llu other files)",
                     (unsigned long long)(s->list.not_dicom + s->list.unreadable));
        return CLI_FAILED;
    }
    progress_begin(&s->bar, "send", s->list.count, s->list.bytes);
    s->started = true;
    int rc = send_all(&s->scu, p, &s->list, o, &s->bar, &r, &e);
    (void)progress_end(&s->bar);
    s->started = false;
    int code = rc || e.code                     ? (s->scu.json ? CLI_PEER : scu_failed(&s->scu, p, &e))
               : r.failed || s->list.unreadable ? CLI_FAILED
                                                : CLI_OK;
    if (s->scu.json) print_json(s, p, &r, &e);
    else if (!rc) print_text(s, p, &r);
    return code;
}

int cmd_send(int argc, char **argv) {
    sender s = { .scu = { .command = "send" } };
    send_options o = { .on_failure = on_failure, .ctx = &s };
    int64_t associations = 1, window = 16, retries = 5;
    gn_error e = GN_ERROR_INIT;
    const char *operand = NULL;
    cli c;
    s.list.complain = on_failure;
    s.list.ctx = &s;
    int rc = CLI_OK;
    size_t paths = 0;
    for (int pass = 0; rc == CLI_OK && pass < 2; pass++) {
        operand = NULL;
        cli_init(&c, "send", argc, argv, options, GN_ARRAY_LEN(options));
        for (int opt; rc == CLI_OK && (opt = cli_next(&c)) != CLI_END;) {
            if (scu_option(&s.scu, &c, opt) < 0) rc = CLI_USAGE;
            else if (opt == CLI_HELP) {
                command_usage(stdout, "send");
                cli_print_options(stdout, options, GN_ARRAY_LEN(options));
                return CLI_OK;
            } else if (opt == OPT_ASSOCIATIONS && !cli_number(&c, "associations", 1, 32, &associations)) rc = CLI_USAGE;
            else if (opt == OPT_WINDOW && !cli_number(&c, "window", 1, 64, &window)) rc = CLI_USAGE;
            else if (opt == OPT_RETRIES && !cli_number(&c, "retries", 0, 100, &retries)) rc = CLI_USAGE;
            else if (opt == OPT_VERBOSE) s.verbose = true;
            else if (opt == CLI_OPERAND && !operand) operand = c.value;
            else if (opt == CLI_OPERAND && !pass) paths++;
            else if (opt == CLI_OPERAND && send_list_add(&s.list, c.value, &e)) rc = CLI_USAGE, cli_error("send", &e);
        }
        if (rc == CLI_OK && !pass && !paths)
            rc = CLI_USAGE, cli_complain("send", "what to whom? gantry send AET@HOST:PORT PATH…");
    }
    peer p;
    o.associations = (unsigned)associations;
    o.window = (unsigned)window;
    o.retries = (unsigned)retries;
    if (rc == CLI_OK && (!scu_ready(&s.scu) || !cli_peer("send", s.scu.config, operand, &p))) rc = CLI_USAGE;
    if (rc == CLI_OK) rc = run(&s, &p, &o);
    scu_done(&s.scu);
    send_list_done(&s.list);
    gn_buf_done(&s.failures);
    return rc;
}
