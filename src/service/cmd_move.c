/* cmd_move: has a DICOM node send images to another one (C-MOVE, PS3.4 C.4.2), and shows how far it is. */
#include "progress.h"
#include "scu.h"

enum { OPT_LEVEL = SCU_OPTION_COUNT, OPT_KEY, OPT_TO };
static const cli_option options[] = {
    SCU_OPTIONS,
    { 'l', "level", "LEVEL", "patient, study, series or image [by the keys]" },
    { 'k', "key", "KEY=VALUE", "which images: StudyInstanceUID=1.2.3; several UIDs are joined by \\" },
    { 0, "to", "AET", "AE title of the receiver, known to PEER [our own]" },
};

typedef struct mover {
    scu scu;
    scu_keys keys;
    scu_level level;
    const char *to;
    progress progress;
    uint64_t told;
} mover;

static int on_response(void *ctx, const dimse_message *rsp, const void *bytes, size_t n) {
    mover *m = ctx;
    (void)bytes;
    (void)n;
    if (!rsp->has_counts) return 0;
    uint64_t done = (uint64_t)rsp->completed + rsp->failed + rsp->warning, total = done + rsp->remaining;
    if (total > atomic_load(&m->progress.total)) atomic_store(&m->progress.total, total);
    atomic_store(&m->progress.problems, rsp->failed);
    progress_add(&m->progress, done > m->told ? done - m->told : 0, 0, 0);
    m->told = done > m->told ? done : m->told;
    return 0;
}

static void print_result(const mover *m, const peer *p, const dimse_message *rsp, double seconds) {
    char status[80], took[24];
    if (!m->scu.json) {
        printf("%s: %s, %u sent, %u with a warning, %u failed, %s\n", p->name, scu_status_text(rsp->status, status),
               rsp->completed, rsp->warning, rsp->failed, progress_time(seconds, took));
        return;
    }
    gn_buf out = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &out);
    gn_json_open(&j, '{');
    gn_json_key(&j, "status");
    gn_json_uint(&j, rsp->status);
    gn_json_key(&j, "completed");
    gn_json_uint(&j, rsp->completed);
    gn_json_key(&j, "warnings");
    gn_json_uint(&j, rsp->warning);
    gn_json_key(&j, "failed");
    gn_json_uint(&j, rsp->failed);
    gn_json_key(&j, "comment");
    gn_json_string(&j, rsp->error_comment);
    gn_json_key(&j, "seconds");
    gn_json_double(&j, seconds);
    gn_json_close(&j, '}');
    gn_buf_putc(&out, '\n');
    cli_flush(&out);
    gn_buf_done(&out);
}

static int run(mover *m, const peer *p) {
    gn_error e = GN_ERROR_INIT;
    dimse_message rq = { .command = DIMSE_C_MOVE_RQ }, rsp = { 0 };
    const char *class = scu_query_class(m->level, 'M');
    dimse_proposal proposal = { class, scu_native_syntaxes, 2, false, NULL, 0 };
    dimse_association *a = scu_connect(&m->scu, p, &proposal, 1, 1, &e);
    if (!a) return scu_failed(&m->scu, p, &e);
    snprintf(rq.move_destination, sizeof rq.move_destination, "%s", m->to ? m->to : m->scu.aet);
    progress_begin(&m->progress, "move", 0, 0);
    dimse_exchange exchange = { .on_response = on_response, .ctx = m };
    int rc = scu_retrieve(&a, class, "move", &m->keys, m->level, &rq, &exchange, &rsp, &e);
    double seconds = progress_end(&m->progress);
    if (rc) return scu_failed(&m->scu, p, &e);
    print_result(m, p, &rsp, seconds);
    if (rsp.status && !m->scu.json && rsp.error_comment[0]) cli_complain("move", "%s", rsp.error_comment);
    return rsp.status || rsp.failed ? CLI_FAILED : CLI_OK;
}

int cmd_move(int argc, char **argv) {
    mover m = { .scu = { .command = "move" }, .level = SCU_WORKLIST };
    gn_error e = GN_ERROR_INIT;
    const char *operand = NULL;
    cli c;
    if (scu_keys_init(&m.keys, &e)) return cli_error("move", &e), CLI_FAILED;
    cli_init(&c, "move", argc, argv, options, GN_ARRAY_LEN(options));
    int rc = CLI_OK;
    for (int o; rc == CLI_OK && (o = cli_next(&c)) != CLI_END;) {
        if (scu_option(&m.scu, &c, o) < 0) rc = CLI_USAGE;
        else if (o == CLI_HELP) {
            command_usage(stdout, "move");
            cli_print_options(stdout, options, GN_ARRAY_LEN(options));
            scu_keys_done(&m.keys);
            return CLI_OK;
        } else if (o == OPT_KEY && scu_keys_add(&m.keys, c.value, &e)) rc = CLI_USAGE, cli_error("move", &e);
        else if (o == OPT_LEVEL && (!scu_level_parse(c.value, &m.level) || m.level == SCU_WORKLIST))
            rc = CLI_USAGE, cli_complain("move", "--level is patient, study, series or image");
        else if (o == OPT_TO && !peer_aet_valid(c.value))
            rc = CLI_USAGE, cli_complain("move", "--to is an AE title: 1 to 16 printable ASCII characters without \\");
        else if (o == OPT_TO) m.to = c.value;
        else if (o == CLI_OPERAND && operand)
            rc = CLI_USAGE, cli_complain("move", "one peer at a time; keys are given by -k");
        else if (o == CLI_OPERAND) operand = c.value;
    }
    if (rc == CLI_OK && !operand)
        rc = CLI_USAGE,
        cli_complain("move", "which peer? gantry move AET@HOST:PORT --to AET -k StudyInstanceUID=1.2.3");
    if (rc == CLI_OK && !m.keys.count) rc = CLI_USAGE, cli_complain("move", "which images? -k StudyInstanceUID=1.2.3");
    if (m.level == SCU_WORKLIST) m.level = scu_keys_level(&m.keys);
    peer p;
    if (rc == CLI_OK && (!scu_ready(&m.scu) || !cli_peer("move", m.scu.config, operand, &p))) rc = CLI_USAGE;
    if (rc == CLI_OK) rc = run(&m, &p);
    scu_done(&m.scu);
    scu_keys_done(&m.keys);
    return rc;
}
