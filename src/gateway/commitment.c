/* Storage Commitment Push Model as SCP (PS3.4 Annex J): takes an N-ACTION, keeps it as a durable job, answers.
 *
 * The answer says only that the request is safe with us; the report comes later, from report.c's worker on an association of its own.
 * Where the requester is configured so, or is nobody that we could call, it is also tried at once on the requester's association; the job
 * stays until the report was confirmed. The job's payload is the request itself in the DICOM JSON model, with the AE titles of the association
 * as Source and Receiving Application Entity Title. */
#include "internal.h"

#define SAME_ASSOCIATION_HEAD_START_US 60000000

/* Checks the request (PS3.4 Table J.3-1). 0, or the status to answer; *what names the culprit. */
static uint16_t check_request(const dicom_dataset *ds, size_t *count, const char **what, dicom_tag *offending) {
    char uid[65];
    *offending = DICOM_TAG_TransactionUID;
    *what = "Transaction UID is missing or no UID";
    size_t n = dicom_dataset_ascii_into(ds, DICOM_TAG_TransactionUID, uid, sizeof uid);
    if (!n) return GATEWAY_MISSING_ATTRIBUTE;
    if (!dicom_uid_valid(uid, n)) return DIMSE_INVALID_ARGUMENT;
    *offending = DICOM_TAG_ReferencedSOPSequence;
    *what = "Referenced SOP Sequence is missing or empty";
    const dicom_element *sequence = dicom_dataset_find(ds, DICOM_TAG_ReferencedSOPSequence);
    if (!sequence || !sequence->items) return GATEWAY_MISSING_ATTRIBUTE;
    *what = "an item lacks a SOP Class or Instance UID";
    *count = 0;
    for (const dicom_item *i = sequence->items; i; i = i->next, ++*count) {
        if (!dicom_dataset_ascii_into(i->dataset, DICOM_TAG_ReferencedSOPClassUID, uid, sizeof uid)) return GATEWAY_MISSING_ATTRIBUTE;
        if (!dicom_dataset_ascii_into(i->dataset, DICOM_TAG_ReferencedSOPInstanceUID, uid, sizeof uid)) return GATEWAY_MISSING_ATTRIBUTE;
    }
    return DIMSE_SUCCESS;
}

static int keep_job(session *s, dicom_dataset *ds, int64_t not_before_us, int64_t *id, gn_error *e) {
    gn_buf text = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &text);
    int rc = dicom_dataset_put_string(ds, DICOM_TAG_SourceApplicationEntityTitle, DICOM_VR_AE, s->negotiation->calling, e);
    if (!rc) rc = dicom_dataset_put_string(ds, DICOM_TAG_ReceivingApplicationEntityTitle, DICOM_VR_AE, s->negotiation->called, e);
    if (!rc) rc = dicom_json_write(ds, NULL, &j, e);
    if (!rc && text.failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for the request");
    if (!rc) rc = archive_job_add(s->gateway->archive, COMMITMENT_JOB, 0, (const char *)text.p, not_before_us, id, e);
    gn_buf_done(&text);
    return rc;
}

/* Is the report to be tried on the requester's own association? */
static bool wants_same_association(session *s) {
    bool known;
    peer_list *list = gateway_peers(s->gateway);
    const gateway_peer *p = peer_calling(list, s->negotiation->calling, s->negotiation->peer_address, &known);
    bool same = p ? p->commitment_same_association || !p->host : !known;
    peer_list_unref(&list);
    return same;
}

/* Reports right away; whatever goes wrong is left to the worker. <0: the association is over. */
static int report_here(session *s, const dimse_message *m, const dicom_dataset *request, int64_t job, gn_error *e) {
    size_t slot = 0;
    while (slot < GN_ARRAY_LEN(s->reports) && s->reports[slot].job) slot++;
    if (slot == GN_ARRAY_LEN(s->reports)) return 0;
    gn_error why = GN_ERROR_INIT;
    dicom_dataset *report;
    uint16_t event;
    if (report_make(s->gateway, request, &report, &event, &why)) return 0;
    uint16_t id = dimse_next_message_id(s->association);
    s->reports[slot].message_id = id;
    s->reports[slot].job = job;
    return report_send(s->association, dimse_association_context(s->association, m->context_id), id, event, report, e);
}

/* The request is sound: keep it, answer, perhaps report. */
static int accept_request(session *s, const dimse_message *m, dicom_dataset *ds, size_t count, gn_error *e) {
    gn_error why = GN_ERROR_INIT;
    int64_t job = 0;
    bool here = wants_same_association(s);
    int rc = keep_job(s, ds, here ? gn_wall_us() + SAME_ASSOCIATION_HEAD_START_US : 0, &job, &why);
    if (rc) return session_fail(s, m, DIMSE_PROCESSING_FAILURE, &why, 0, e);
    gn_counter_add(&GATEWAY_COUNT.commitments, 1);
    gn_log(GN_LOG_INFO, "commitment.requested", "association", gn_fmt("%llu", (unsigned long long)s->id), "calling", s->negotiation->calling, "instances",
           gn_fmt("%zu", count), "job", gn_fmt("%lld", (long long)job), NULL);
    dimse_message r = response_to(m, DIMSE_SUCCESS);
    rc = dimse_queue(s->association, &r, NULL, 0, e);
    if (!rc) rc = dimse_flush(s->association, e);
    if (!here) reporter_wake(s->gateway);
    return rc || !here ? rc : report_here(s, m, ds, job, e);
}

int serve_commitment(session *s, const dimse_message *m, gn_error *e) {
    if (strcmp(m->sop_instance, UID_COMMITMENT_PUSH_INSTANCE) != 0) return session_refuse(s, m, DIMSE_NO_SUCH_INSTANCE, "not the well-known SOP Instance", DICOM_TAG_RequestedSOPInstanceUID, e);
    if (m->action_type != COMMITMENT_REQUEST) return session_refuse(s, m, GATEWAY_NO_SUCH_ACTION, "no such action type", DICOM_TAG_ActionTypeID, e);
    if (!m->has_dataset) return session_refuse(s, m, GATEWAY_MISSING_ATTRIBUTE, "the request has no data set", DICOM_TAG_TransactionUID, e);
    gn_arena *arena = NULL;
    gn_buf bytes = GN_BUF_INIT;
    dicom_dataset *ds = NULL;
    bool refused;
    int rc = session_read_dataset(s, m, &arena, &bytes, &ds, &refused, e);
    if (rc == 0 && !refused) {
        dimse_message answered = *m;
        answered.has_dataset = false;
        size_t count = 0;
        const char *what;
        dicom_tag offending;
        uint16_t status = check_request(ds, &count, &what, &offending);
        rc = status ? session_refuse(s, &answered, status, what, offending, e) : accept_request(s, &answered, ds, count, e);
    }
    gn_arena_free(&arena);
    gn_buf_done(&bytes);
    return rc;
}

int serve_report_response(session *s, const dimse_message *m, gn_error *e) {
    for (size_t i = 0; i < GN_ARRAY_LEN(s->reports); i++) {
        if (!s->reports[i].job || s->reports[i].message_id != m->message_id) continue;
        gn_error why = GN_ERROR_INIT;
        if (m->status == DIMSE_SUCCESS && archive_job_done(s->gateway->archive, s->reports[i].job, "reported on the same association", &why) == 0)
            gn_counter_add(&GATEWAY_COUNT.reports, 1);
        s->reports[i].job = 0; /* otherwise the worker takes it up when its time has come */
    }
    return m->has_dataset ? dimse_skip_dataset(s->association, e) : 0;
}
