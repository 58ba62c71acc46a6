/* cmd_echo: asks DICOM nodes whether they are there (C-ECHO, PS3.4 Annex A), and tells how long the answer took. */
#include "scu.h"

#include <unistd.h>

#define VERIFICATION "1.2.840.10008.1.1"

static const cli_option options[] = { SCU_OPTIONS };

typedef struct answer {
    uint16_t status;
    double connect_ms, echo_ms;
    char implementation[17];
    uint32_t max_pdu;
} answer;

static int ask(const scu *s, const peer *p, answer *out, gn_error *e) {
    dimse_proposal proposal = { VERIFICATION, scu_native_syntaxes, 2, false, NULL, 0 };
    uint64_t began = gn_mono_ns();
    dimse_association *a = scu_connect(s, p, &proposal, 1, 1, e);
    if (!a) return e->code;
    uint64_t connected = gn_mono_ns();
    const dimse_context *x = dimse_association_find(a, VERIFICATION, NULL);
    dimse_message rq = { .command = DIMSE_C_ECHO_RQ, .sop_class = VERIFICATION }, rsp = { 0 };
    int rc = x ? 0 : gn_fail(e, GN_E_REFUSED, "the peer took the association, but not Verification");
    if (x) {
        rq.context_id = x->id;
        rc = dimse_call(a, &rq, NULL, NULL, &rsp, e);
    }
    out->connect_ms = (double)(connected - began) / 1e6;
    out->echo_ms = (double)(gn_mono_ns() - connected) / 1e6;
    out->status = rsp.status;
    const dimse_negotiation *n = dimse_association_negotiation(a);
    snprintf(out->implementation, sizeof out->implementation, "%s", n->implementation_version);
    out->max_pdu = n->peer_max_pdu;
    dimse_close(&a);
    return rc;
}

static void print_json(const peer *p, const answer *r, const gn_error *e) {
    gn_buf out = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &out);
    gn_json_open(&j, '{');
    gn_json_key(&j, "peer");
    gn_json_string(&j, p->name);
    gn_json_key(&j, "ok");
    gn_json_bool(&j, !e->code && r->status == 0);
    if (e->code) {
        gn_json_key(&j, "error");
        gn_json_string(&j, e->message);
    } else {
        gn_json_key(&j, "status");
        gn_json_uint(&j, r->status);
        gn_json_key(&j, "connect_ms");
        gn_json_double(&j, r->connect_ms);
        gn_json_key(&j, "echo_ms");
        gn_json_double(&j, r->echo_ms);
        gn_json_key(&j, "implementation");
        gn_json_string(&j, r->implementation);
        gn_json_key(&j, "max_pdu");
        gn_json_uint(&j, r->max_pdu);
    }
    gn_json_close(&j, '}');
    gn_buf_putc(&out, '\n');
    cli_flush(&out);
    gn_buf_done(&out);
}

static int echo_one(const scu *s, const char *operand) {
    peer p;
    answer r = { 0 };
    gn_error e = GN_ERROR_INIT;
    char status[80], implementation[64];
    if (!cli_peer(s->command, s->config, operand, &p)) return CLI_USAGE;
    int rc = ask(s, &p, &r, &e);
    if (s->json) print_json(&p, &r, &e);
    if (rc) return s->json ? CLI_PEER : scu_failed(s, &p, &e);
    if (!s->json)
        printf("%s: %s, association %.1f ms, answer %.1f ms, %s\n", p.name, scu_status_text(r.status, status),
               r.connect_ms, r.echo_ms, cli_clean(r.implementation, implementation, sizeof implementation));
    return r.status ? CLI_FAILED : CLI_OK;
}

int cmd_echo(int argc, char **argv) {
    scu s = { .command = "echo" };
    char *operands[64];
    size_t count = 0;
    cli c;
    cli_init(&c, s.command, argc, argv, options, GN_ARRAY_LEN(options));
    for (int o; (o = cli_next(&c)) != CLI_END;) {
        int taken = scu_option(&s, &c, o);
        if (taken < 0) return CLI_USAGE;
        if (o == CLI_HELP) {
            command_usage(stdout, s.command);
            cli_print_options(stdout, options, GN_ARRAY_LEN(options));
            return CLI_OK;
        }
        if (o == CLI_OPERAND && count < GN_ARRAY_LEN(operands)) operands[count++] = argv[c.next - 1];
    }
    if (!count) return cli_complain(s.command, "which peer? gantry echo AET@HOST:PORT"), CLI_USAGE;
    if (!scu_ready(&s)) return CLI_USAGE;
    int worst = CLI_OK;
    for (size_t i = 0; i < count; i++) {
        int rc = echo_one(&s, operands[i]);
        if (rc > worst) worst = rc;
    }
    scu_done(&s);
    return worst;
}
