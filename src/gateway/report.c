/* Storage commitment reports (PS3.4 J.3.3): what is safe and what is not, and the worker that delivers it.
 *
 * The worker takes the jobs that commitment.c left, checks every instance by reading it back, and sends the N-EVENT-REPORT on a new
 * association to the requester, proposing itself as SCP. What cannot be delivered is tried again with growing pauses; jobs live in the
 * archive, so a restart loses none. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { LEASE_MS = 600000, POLL_MS = 5000, RETRY_MAX_MS = 3600000, CONNECT_MS = 5000, ABSENT_MS = 30000 };
typedef struct absent_nodes absent_nodes;
enum { REASON_PROCESSING_FAILURE = 0x0110, REASON_NO_SUCH_INSTANCE = 0x0112, REASON_CLASS_CONFLICT = 0x0119 };

/* ---- the report -------------------------------------------------------------------------------------------------------- */

static uint16_t failure_reason(int rc) {
    return rc == GN_E_NOT_FOUND ? REASON_NO_SUCH_INSTANCE : rc == GN_E_MISMATCH ? REASON_CLASS_CONFLICT : REASON_PROCESSING_FAILURE;
}

static int add_instance(gateway *g, dicom_dataset *report, const dicom_dataset *asked, bool *failed, gn_error *e) {
    char class_uid[65], instance[65];
    dicom_dataset_ascii_into(asked, DICOM_TAG_ReferencedSOPClassUID, class_uid, sizeof class_uid);
    dicom_dataset_ascii_into(asked, DICOM_TAG_ReferencedSOPInstanceUID, instance, sizeof instance);
    gn_error why = GN_ERROR_INIT;
    int bad = archive_check_instance(g->archive, class_uid, instance, true, &why);
    dicom_dataset *item;
    int rc = dicom_dataset_add_item(report, bad ? DICOM_TAG_FailedSOPSequence : DICOM_TAG_ReferencedSOPSequence, &item, e);
    if (!rc) rc = dicom_dataset_put_string(item, DICOM_TAG_ReferencedSOPClassUID, DICOM_VR_UI, class_uid, e);
    if (!rc) rc = dicom_dataset_put_string(item, DICOM_TAG_ReferencedSOPInstanceUID, DICOM_VR_UI, instance, e);
    if (!rc && bad) rc = dicom_dataset_put_u16(item, DICOM_TAG_FailureReason, failure_reason(bad), e);
    *failed = bad != 0;
    return rc;
}

int report_make(gateway *g, const dicom_dataset *request, dicom_dataset **out, uint16_t *event, gn_error *e) {
    dicom_dataset *report = dicom_dataset_new(request->arena, e);
    if (!report) return GN_E_NO_MEMORY;
    int rc = dicom_dataset_put_string(report, DICOM_TAG_TransactionUID, DICOM_VR_UI, dicom_dataset_ascii(request, DICOM_TAG_TransactionUID), e);
    if (!rc) rc = dicom_dataset_put_string(report, DICOM_TAG_RetrieveAETitle, DICOM_VR_AE, g->config.aet, e);
    const dicom_element *sequence = dicom_dataset_find(request, DICOM_TAG_ReferencedSOPSequence);
    *event = COMMITMENT_ALL_SAFE;
    for (const dicom_item *i = sequence ? sequence->items : NULL; i && !rc; i = i->next) {
        bool failed = false;
        rc = atomic_load(&g->stopping) ? gn_fail(e, GN_E_CLOSED, "the service is stopping") : add_instance(g, report, i->dataset, &failed, e);
        if (failed) *event = COMMITMENT_FAILURES;
    }
    *out = report;
    return rc;
}

int report_send(dimse_association *a, const dimse_context *x, uint16_t message_id, uint16_t event, const dicom_dataset *report, gn_error *e) {
    gn_buf bytes = GN_BUF_INIT;
    int rc = dicom_dataset_write(report, dicom_transfer_syntax_find(x->transfer_syntax), NULL, &bytes, e);
    dimse_message m = { .context_id = x->id, .command = DIMSE_N_EVENT_REPORT_RQ, .message_id = message_id, .sop_class = UID_COMMITMENT_PUSH,
                        .sop_instance = UID_COMMITMENT_PUSH_INSTANCE, .event_type = event, .has_dataset = true };
    dimse_payload p = { .bytes = bytes.p, .n = bytes.n, .fd = -1 };
    if (!rc) rc = dimse_send(a, &m, &p, e);
    gn_buf_done(&bytes);
    return rc;
}

/* ---- delivering -------------------------------------------------------------------------------------------------------- */

/* We call under the title that the requester called, if it is one of ours. */
static const char *own_title(const gateway *g, const char *called) {
    for (size_t i = 0; i < g->config.extra_aet_count; i++)
        if (strcmp(g->config.extra_aets[i], called) == 0) return called;
    return g->config.aet;
}

/* Sends on an open association and waits for the answer. */
static int exchange(dimse_association *a, uint16_t event, const dicom_dataset *report, gn_error *e) {
    const dimse_context *x = dimse_association_find(a, UID_COMMITMENT_PUSH, NULL);
    if (!x) return gn_fail(e, GN_E_UNSUPPORTED, "the requester does not accept Storage Commitment");
    uint16_t id = dimse_next_message_id(a);
    int rc = report_send(a, x, id, event, report, e);
    while (!rc) {
        dimse_message m;
        rc = dimse_receive(a, &m, e);
        if (rc) return rc == 1 ? gn_fail(e, GN_E_CLOSED, "the requester released before it answered") : rc;
        if (m.has_dataset) rc = dimse_skip_dataset(a, e);
        if (!rc && m.command == DIMSE_N_EVENT_REPORT_RSP && m.message_id == id)
            return m.status == DIMSE_SUCCESS ? 0 : gn_fail(e, GN_E_REFUSED, "the requester answered %04X", m.status);
        if (!rc && !(m.command & 0x8000)) rc = dimse_respond(a, &m, DIMSE_UNRECOGNIZED_OPERATION, NULL, e);
    }
    return rc;
}

/* Nodes that could not be reached a moment ago, by address: a powered-off one must not cost every job of its a connection timeout
 * while the others wait. Used by the worker's thread only. */
typedef struct unreachable { char host[128]; uint16_t port; uint64_t until; } unreachable;
struct absent_nodes { unreachable node[32]; size_t next; };

static bool is_absent(const absent_nodes *t, const gateway_peer *p) {
    for (size_t i = 0; i < GN_ARRAY_LEN(t->node); i++)
        if (t->node[i].port == p->port && t->node[i].until > gn_mono_ns() && strcmp(t->node[i].host, p->host) == 0) return true;
    return false;
}

static void note_absent(gateway *g, absent_nodes *t, const gateway_peer *p) {
    unreachable *u = &t->node[t->next++ % GN_ARRAY_LEN(t->node)];
    uint32_t ms = g->config.commitment_retry_ms < ABSENT_MS ? g->config.commitment_retry_ms : ABSENT_MS;
    snprintf(u->host, sizeof u->host, "%s", p->host);
    u->port = p->port;
    u->until = gn_mono_ns() + (uint64_t)ms * 1000000u;
}

typedef struct delivery { gateway *gateway; const gateway_peer *peer; dimse_association *association; outgoing entry; } delivery;

static int delivery_open(delivery *d, const char *called, absent_nodes *absent, gn_error *e) {
    static const char *const syntaxes[] = { DICOM_TS_IMPLICIT_LE, DICOM_TS_EXPLICIT_LE };
    gateway *g = d->gateway;
    if (d->association) return 0;
    if (is_absent(absent, d->peer)) return gn_fail(e, GN_E_TIMEOUT, "%s could not be reached a moment ago", d->peer->aet);
    dimse_proposal proposal = { .abstract_syntax = UID_COMMITMENT_PUSH, .transfer_syntaxes = syntaxes, .count = GN_ARRAY_LEN(syntaxes), .scp_role = true };
    dimse_client_config client = { .host = d->peer->host, .port = d->peer->port, .called = d->peer->aet, .calling = own_title(g, called), .proposals = &proposal,
                                   .proposal_count = 1, .max_pdu = d->peer->max_pdu, .timeouts = g->config.timeouts };
    if (!client.timeouts.connect_ms || client.timeouts.connect_ms > CONNECT_MS) client.timeouts.connect_ms = CONNECT_MS;
    d->association = dimse_connect(&client, e);
    if (!d->association) {
        note_absent(g, absent, d->peer);
        return e && e->code ? e->code : GN_E_CLOSED;
    }
    if (outgoing_enter(g, &d->entry, d->association)) return 0;
    dimse_abort(&d->association);
    return gn_fail(e, GN_E_CLOSED, "the service is stopping");
}

static void delivery_close(delivery *d, int rc) {
    if (!d->association) return;
    outgoing_leave(d->gateway, &d->entry);
    if (rc) dimse_abort(&d->association);
    else dimse_close(&d->association);
}

/* Reading everything back takes time that an open association would wait, so the report is made first; not so once an attempt has
 * failed: then the requester must be there before its instances are read once more. */
static int deliver(gateway *g, const gateway_peer *peer, const dicom_dataset *request, bool first, absent_nodes *absent, gn_error *e) {
    delivery d = { .gateway = g, .peer = peer };
    const char *called = dicom_dataset_ascii(request, DICOM_TAG_ReceivingApplicationEntityTitle);
    dicom_dataset *report = NULL;
    uint16_t event = 0;
    int rc = first ? 0 : delivery_open(&d, called, absent, e);
    if (!rc) rc = report_make(g, request, &report, &event, e);
    if (!rc) rc = delivery_open(&d, called, absent, e);
    if (!rc) rc = exchange(d.association, event, report, e);
    delivery_close(&d, rc);
    return rc;
}

/* One attempt. 0: delivered; GN_E_INVALID: the job itself is broken. */
static int attempt(gateway *g, gn_arena *arena, const archive_job *job, absent_nodes *absent, gn_error *e) {
    dicom_dataset *request;
    if (dicom_json_read(arena, job->payload, strlen(job->payload), &request, e)) return GN_E_INVALID;
    const char *requester = dicom_dataset_ascii(request, DICOM_TAG_SourceApplicationEntityTitle);
    peer_list *list = gateway_peers(g);
    const gateway_peer *peer = peer_by_aet(list, requester);
    int rc = peer && peer->host ? deliver(g, peer, request, job->attempts <= 1, absent, e) : gn_fail(e, GN_E_NOT_FOUND, "%s is not a configured node", requester);
    gn_log(rc ? GN_LOG_WARN : GN_LOG_INFO, "commitment.report", "job", gn_fmt("%lld", (long long)job->id), "to", requester, "attempt", gn_fmt("%u", job->attempts),
           "why", rc && e ? e->message : "", NULL);
    peer_list_unref(&list);
    return rc;
}

static uint32_t retry_pause(const gateway *g, unsigned attempts) {
    uint64_t ms = g->config.commitment_retry_ms;
    for (unsigned i = 1; i < attempts && ms < RETRY_MAX_MS; i++) ms *= 2;
    return ms > RETRY_MAX_MS ? RETRY_MAX_MS : (uint32_t)ms;
}

static void work_on(gateway *g, const archive_job *job, absent_nodes *absent) {
    gn_error e = GN_ERROR_INIT, failed = GN_ERROR_INIT;
    gn_arena *arena = gn_arena_new(g->config.limits.identifier * 16 + (1u << 20));
    int rc = arena ? attempt(g, arena, job, absent, &e) : GN_E_NO_MEMORY;
    gn_arena_free(&arena);
    if (rc == 0) gn_counter_add(&GATEWAY_COUNT.reports, 1);
    bool give_up = rc == GN_E_INVALID || job->attempts >= g->config.commitment_attempts;
    int kept = rc == 0   ? archive_job_done(g->archive, job->id, "reported", &failed)
               : give_up ? archive_job_done(g->archive, job->id, e.message, &failed)
                         : archive_job_retry(g->archive, job->id, retry_pause(g, job->attempts), e.message, &failed);
    if (give_up && rc) gn_log(GN_LOG_ERROR, "commitment.given-up", "job", gn_fmt("%lld", (long long)job->id), "why", e.message, NULL);
    if (kept) gn_log(GN_LOG_ERROR, "commitment.job", "job", gn_fmt("%lld", (long long)job->id), "why", failed.message, NULL);
}

/* ---- the worker -------------------------------------------------------------------------------------------------------- */

void reporter_wake(gateway *g) {
    pthread_mutex_lock(&g->work_lock);
    g->work = true;
    pthread_cond_signal(&g->work_ready);
    pthread_mutex_unlock(&g->work_lock);
}

static void wait_for_work(gateway *g) {
    uint32_t ms = g->config.commitment_retry_ms < POLL_MS ? g->config.commitment_retry_ms : POLL_MS;
    uint64_t until = gn_mono_ns() + (uint64_t)ms * 1000000u;
    struct timespec t = { (time_t)(until / 1000000000u), (long)(until % 1000000000u) };
    pthread_mutex_lock(&g->work_lock);
    int rc = 0;
    while (!g->work && !atomic_load(&g->stopping) && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&g->work_ready, &g->work_lock, &t);
    g->work = false;
    pthread_mutex_unlock(&g->work_lock);
}

void reporter_run(void *arg) {
    gateway *g = arg;
    absent_nodes absent = { 0 };
    while (!atomic_load(&g->stopping)) {
        archive_job job = { 0 };
        gn_error e = GN_ERROR_INIT;
        int rc = archive_job_take(g->archive, COMMITMENT_JOB, LEASE_MS, &job, &e);
        if (rc == 0) {
            work_on(g, &job, &absent);
            free(job.payload);
            continue;
        }
        if (rc < 0) gn_log(GN_LOG_ERROR, "commitment.jobs", "why", e.message, NULL);
        wait_for_work(g);
    }
}
