/* scu: the shared ground of echo, send, find, move and get: one way to name a peer, to connect, and to say what went wrong. */
#include "scu.h"

#include <stdlib.h>

const char *const scu_native_syntaxes[2] = { DICOM_TS_EXPLICIT_LE, DICOM_TS_IMPLICIT_LE };

int scu_option(scu *s, const cli *c, int option) {
    switch (option) {
    case SCU_CONFIG: s->config_file = c->value; return 1;
    case SCU_AET:
        if (!peer_aet_valid(c->value))
            return cli_complain(s->command, "--aet is 1 to 16 printable ASCII characters without \\"), -1;
        s->aet = c->value;
        return 1;
    case SCU_TIMEOUT: return cli_number(c, "timeout", 1, 86400, &s->timeout) ? 1 : -1;
    case SCU_JSON: s->json = true; return 1;
    case CLI_ERROR: return -1;
    default: return 0;
    }
}

bool scu_ready(scu *s) {
    s->config = cli_config(s->command, s->config_file);
    if (s->config && !s->aet) s->aet = config_text(s->config, CONFIG_DicomAet);
    return s->config != NULL;
}

void scu_done(scu *s) { config_free(&s->config); }

dimse_association *scu_connect(const scu *s, const peer *p, const dimse_proposal *proposals, size_t count,
                               uint16_t window, gn_error *e) {
    uint32_t wait = s->timeout ? (uint32_t)s->timeout * 1000 : 60000;
    dimse_client_config c = {
        .host = p->host,
        .port = p->port,
        .called = p->aet,
        .calling = s->aet,
        .proposals = proposals,
        .proposal_count = count,
        .invoked = window,
        .performed = 1,
        .max_pdu = (uint32_t)config_int(s->config, CONFIG_MaximumPduLength),
        .timeouts = { .artim_ms = 10000,
                      .idle_ms = wait,
                      .dimse_ms = wait,
                      .write_ms = wait,
                      .connect_ms = (uint32_t)config_int(s->config, CONFIG_DicomScuTimeout) * 1000 },
    };
    if (c.timeouts.connect_ms > wait) c.timeouts.connect_ms = wait;
    return dimse_connect(&c, e);
}

int scu_failed(const scu *s, const peer *p, const gn_error *e) {
    char text[400];
    cli_complain(s->command, "%s (%s@%s:%u): %s", p->name, p->aet, p->host, p->port,
                 gn_error_text(e, text, sizeof text));
    switch (e->code) {
    case GN_E_IO:
    case GN_E_CLOSED:
    case GN_E_TIMEOUT:
    case GN_E_PROTOCOL:
    case GN_E_REJECTED:
    case GN_E_ABORTED:
    case GN_E_NOT_FOUND: return CLI_PEER;
    default: return CLI_FAILED;
    }
}

char *scu_status_text(uint16_t status, char *buf) {
    static const struct {
        uint16_t from, to;
        const char *text;
    } table[] = {
        { 0x0000, 0x0000, "success" },
        { 0x0107, 0x0107, "warning: attribute list error" },
        { 0x0110, 0x0110, "failed: processing failure" },
        { 0x0111, 0x0111, "refused: another object has this SOP Instance UID" },
        { 0x0112, 0x0112, "failed: no such object" },
        { 0x0116, 0x0116, "warning: attribute value out of range" },
        { 0x0117, 0x0117, "refused: invalid SOP Instance UID" },
        { 0x0118, 0x0118, "refused: no such SOP class" },
        { 0x0122, 0x0122, "refused: SOP class not supported" },
        { 0x0124, 0x0124, "refused: not authorized" },
        { 0x0210, 0x0212, "failed: request not understood" },
        { 0xA700, 0xA7FF, "refused: out of resources" },
        { 0xA801, 0xA801, "refused: move destination unknown" },
        { 0xA900, 0xA9FF, "failed: data set does not match SOP class" },
        { 0xB000, 0xBFFF, "warning" },
        { 0xC000, 0xCFFF, "failed: cannot understand" },
        { 0xFE00, 0xFE00, "cancelled" },
        { 0xFF00, 0xFF01, "pending" },
    };
    const char *text = "failed";
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++)
        if (status >= table[i].from && status <= table[i].to) text = table[i].text;
    if (status) snprintf(buf, 80, "%s (%04X)", text, status);
    else snprintf(buf, 80, "%s", text);
    return buf;
}

const char *scu_query_class(scu_level level, char which) {
    bool patient = level == SCU_PATIENT;
    if (level == SCU_WORKLIST) return "1.2.840.10008.5.1.4.31";
    switch (which) {
    case 'M': return patient ? "1.2.840.10008.5.1.4.1.2.1.2" : "1.2.840.10008.5.1.4.1.2.2.2";
    case 'G': return patient ? "1.2.840.10008.5.1.4.1.2.1.3" : "1.2.840.10008.5.1.4.1.2.2.3";
    default: return patient ? "1.2.840.10008.5.1.4.1.2.1.1" : "1.2.840.10008.5.1.4.1.2.2.1";
    }
}

int scu_retrieve(dimse_association **a, const char *class, const char *verb, scu_keys *k, scu_level level,
                 dimse_message *rq, const dimse_exchange *exchange, dimse_message *last, gn_error *e) {
    gn_buf identifier = GN_BUF_INIT;
    const dimse_context *x = dimse_association_find(*a, class, NULL);
    int rc = x ? 0 : gn_fail(e, GN_E_REFUSED, "the peer does not let us %s images (%s)", verb, class);
    if (!rc) rc = scu_keys_encode(k, level, x, &identifier, e);
    if (!rc) {
        rq->context_id = x->id;
        snprintf(rq->sop_class, sizeof rq->sop_class, "%s", class);
        dimse_payload payload = { .bytes = identifier.p, .n = identifier.n, .fd = -1 };
        rc = dimse_call(*a, rq, &payload, exchange, last, e);
        if (rc && !e->code) gn_fail(e, rc, "the association broke while waiting for the answer");
    }
    gn_buf_done(&identifier);
    if (rc) dimse_abort(a);
    else dimse_close(a);
    return rc;
}
