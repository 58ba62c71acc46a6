/* C-STORE as SCP (PS3.4 Annex B, PS3.7 §9.1.1): from the socket straight into the archive's ingest.
 *
 * This is the hot path: bytes are read into the ingest's own memory and announced to it, nothing else happens here. When the archive
 * fails midway the rest is read and dropped, so that the peer hears why instead of losing its association. */
#include "internal.h"

/* Which element a finding is about: for Offending Element (PS3.7 §9.1.5.1.9 note: of a failure or warning). */
static void name_offending(dimse_message *r, uint32_t findings) {
    static const struct { uint32_t finding; dicom_tag tag; } table[] = {
        { ARCHIVE_FINDING(COMMAND_MISMATCH), DICOM_TAG_SOPInstanceUID }, { ARCHIVE_FINDING(UID_MISSING), DICOM_TAG_StudyInstanceUID },
        { ARCHIVE_FINDING(PIXEL_DATA_SHORT), DICOM_TAG_PixelData }, { ARCHIVE_FINDING(DIMENSIONS_IMPOSSIBLE), DICOM_TAG_Rows },
        { ARCHIVE_FINDING(PATIENT_CONFLICT), DICOM_TAG_PatientID }, { ARCHIVE_FINDING(CHARSET_UNKNOWN), DICOM_TAG_SpecificCharacterSet },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++)
        if ((findings & table[i].finding) && r->offending_count < GN_ARRAY_LEN(r->offending)) r->offending[r->offending_count++] = table[i].tag;
}

static void count_outcome(session *s, const archive_result *result, int rc) {
    if (rc) gn_counter_add(&GATEWAY_COUNT.failed, 1);
    else if (result->outcome == ARCHIVE_REFUSED) gn_counter_add(&GATEWAY_COUNT.refused, 1);
    else if (result->outcome == ARCHIVE_DUPLICATE) gn_counter_add(&GATEWAY_COUNT.duplicates, 1);
    else gn_counter_add(&GATEWAY_COUNT.stored, 1);
    if (rc || result->outcome == ARCHIVE_REFUSED) s->stores_refused++;
    else s->stores++;
}

static void log_store(const session *s, const dimse_message *m, const archive_result *result, int rc, const gn_error *why) {
    gn_level level = rc ? GN_LOG_ERROR : result->dimse_status ? GN_LOG_WARN : GN_LOG_DEBUG;
    if (!gn_log_enabled(level)) return;
    char text[400];
    gn_log(level, "store", "association", gn_fmt("%llu", (unsigned long long)s->id), "message", gn_fmt("%u", m->message_id), "instance", m->sop_instance, "status",
           gn_fmt("%04X", result->dimse_status), "comment", result->comment, "why", rc ? gn_error_text(why, text, sizeof text) : "", NULL);
}

/* Reads the data set into the ingest. 0: complete, whatever the ingest thinks of it; <0: the association is over. *why keeps the
 * archive's first failure. */
static int receive_object(session *s, archive_ingest *in, gn_error *why, gn_error *e) {
    uint64_t total = 0;
    for (bool last = false; !last;) {
        size_t cap, n;
        uint8_t *space = archive_ingest_space(in, &cap, why);
        if (!space) return dimse_skip_dataset(s->association, e);
        int rc = dimse_read_into(s->association, space, cap, &n, &last, e);
        if (rc) return rc;
        total += n;
        if (archive_ingest_advance(in, n, why)) return last ? 0 : dimse_skip_dataset(s->association, e);
    }
    s->bytes += total;
    gn_counter_add(&GATEWAY_COUNT.received_bytes, (int64_t)total);
    return 0;
}

static int respond(session *s, const dimse_message *m, const archive_result *result, gn_error *e) {
    if (result->dimse_status == DIMSE_SUCCESS) return dimse_respond(s->association, m, DIMSE_SUCCESS, NULL, e);
    dimse_message r = response_to(m, result->dimse_status);
    comment_set(&r, result->comment);
    name_offending(&r, result->findings);
    int rc = dimse_queue(s->association, &r, NULL, 0, e);
    return rc ? rc : dimse_flush(s->association, e);
}

int serve_store(session *s, const dimse_message *m, gn_error *e) {
    if (!m->has_dataset) return session_refuse(s, m, DIMSE_CANNOT_UNDERSTAND, "C-STORE without a data set", 0, e);
    if (!(s->rights & GATEWAY_MAY_STORE)) return session_refuse(s, m, DIMSE_NOT_AUTHORIZED, "storing is not allowed for this AE", 0, e);

    const dimse_context *context = dimse_association_context(s->association, m->context_id);
    archive_ingest_request request = { .source = &s->source, .transfer_syntax = context->transfer_syntax, .sop_class = m->sop_class, .sop_instance = m->sop_instance };
    archive_ingest *in = NULL;
    archive_result result = { .outcome = ARCHIVE_REFUSED, .dimse_status = DIMSE_OUT_OF_RESOURCES };
    gn_error why = GN_ERROR_INIT;
    int rc = archive_ingest_begin(s->gateway->archive, &request, &in, &why);
    if (rc) {
        gn_counter_add(&GATEWAY_COUNT.failed, 1);
        s->stores_refused++;
        return session_fail(s, m, 0, &why, 0, e);
    }
    rc = receive_object(s, in, &why, e);
    if (rc) {
        archive_ingest_abort(&in);
        return rc;
    }
    rc = archive_ingest_finish(&in, &result, &why);
    if (rc && result.dimse_status < 0xA000) result.dimse_status = DIMSE_OUT_OF_RESOURCES; /* a failure never looks like success */
    if (rc && !result.comment[0]) snprintf(result.comment, sizeof result.comment, "%.64s", why.message);
    count_outcome(s, &result, rc);
    log_store(s, m, &result, rc, &why);
    return respond(s, m, &result, e);
}
