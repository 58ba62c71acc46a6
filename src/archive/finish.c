/* finish: what becomes of an object that was received: refused, known already, or committed.
 *
 * The order is: parse and validate; ask the index whether it is a duplicate, so that the common resend costs no write; describe; commit. The
 * question is only a short cut: two senders may ask at once, and what counts is the unique key in the index (T36). An object that
 * lost there lies in a pack already: its record is made void, and under the policy `keep` it goes to quarantine before its
 * sender hears of it (T14). */
#include "ingest.h"

#include <stdlib.h>

#define STATUS_WARNING 0xB000

/* ---- answers ----------------------------------------------------------------------------------------------------------- */

static void comment(archive_result *r, const char *text) { (void)snprintf(r->comment, sizeof r->comment, "%.64s", text); }

static void answer(archive_result *r, archive_outcome outcome, uint16_t status, const char *text) {
    r->outcome = outcome;
    r->dimse_status = status;
    comment(r, text);
}

/* Stored, perhaps with a warning; the validation's comment is kept when it has one. */
static void answer_stored(archive_result *r, archive_outcome outcome, uint32_t added, const char *said) {
    r->findings |= added;
    if (!finding_warns(r->findings)) {
        answer(r, outcome, 0, "");
        return;
    }
    for (unsigned i = 0; i < ARCHIVE_FINDING_COUNT && !said[0]; i++)
        if (finding_warns(r->findings & 1u << i)) said = archive_finding_text((archive_finding)i);
    answer(r, outcome, STATUS_WARNING, said);
}

static void answer_failure(archive_result *r, int code, const gn_error *e) {
    r->instance_id = 0;
    answer(r, ARCHIVE_REFUSED, gn_code_dimse_status(code), e->message);
}

/* ---- quarantine -------------------------------------------------------------------------------------------------------- */

uint64_t quarantine_limit(const archive *a) { return a->config.quarantine_bytes; }

void refusal_json(const refusal *r, gn_buf *out) {
    static const char *const origins[] = { "", "dimse", "stow", "upload", "import", "self" };
    gn_json j;
    char when[32], status[8];
    (void)snprintf(status, sizeof status, "%04X", r->status);
    gn_json_init(&j, out);
    gn_json_open(&j, '{');
    gn_json_key(&j, "reason"), gn_json_string(&j, r->comment);
    gn_json_key(&j, "status"), gn_json_string(&j, status);
    gn_json_key(&j, "at"), gn_json_string(&j, gn_time_iso(gn_wall_us(), when));
    gn_json_key(&j, "sopInstance"), gn_json_string(&j, r->sop_instance);
    gn_json_key(&j, "transferSyntax"), gn_json_string(&j, r->transfer_syntax);
    gn_json_key(&j, "origin"), gn_json_string(&j, (unsigned)r->source->origin < GN_ARRAY_LEN(origins) ? origins[r->source->origin] : "");
    gn_json_key(&j, "callingAe"), gn_json_string(&j, r->source->calling_ae);
    gn_json_key(&j, "address"), gn_json_string(&j, r->source->address);
    gn_json_key(&j, "findings"), gn_json_open(&j, '[');
    for (unsigned i = 0; i < ARCHIVE_FINDING_COUNT; i++)
        if (r->findings & 1u << i) gn_json_string(&j, archive_finding_text((archive_finding)i));
    gn_json_close(&j, ']');
    gn_json_close(&j, '}');
}

/* The object with its reason; durable when 0. `placed`: a large object lies under objects/ already. */
static int quarantine(archive_ingest *in, const char *why, uint16_t status, uint32_t findings, uint64_t placed, gn_error *e) {
    archive *a = in->archive;
    gn_buf text = GN_BUF_INIT;
    int64_t number;
    refusal r = { .sop_instance = in->sop_instance, .transfer_syntax = in->syntax, .comment = why, .status = status, .findings = findings, .source = &in->source };
    refusal_json(&r, &text);
    int rc;
    if (text.failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for a reason");
    else if (in->file) rc = store_quarantine_file(a->store, &in->file, (const char *)text.p, quarantine_limit(a), &number, e);
    else if (placed) rc = store_quarantine_placed(a->store, placed, in->header_length + in->dataset_length, (const char *)text.p, quarantine_limit(a), &number, e);
    else {
        size_t from = in->header_made ? STORE_RECORD_HEADER : in->dataset_at;
        size_t n = in->dataset_at + (size_t)in->dataset_length - from;
        rc = store_quarantine(a->store, &(struct iovec){ in->block->p + from, n }, 1, (const char *)text.p, quarantine_limit(a), &number, e);
    }
    gn_buf_done(&text);
    return rc;
}

static void refuse_object(archive_ingest *in, const verdict *v, archive_result *r) {
    archive *a = in->archive;
    char detail[256];
    r->findings = v->findings;
    answer(r, ARCHIVE_REFUSED, v->status, v->comment);
    if (!a->config.without_quarantine) (void)quarantine(in, v->comment, v->status, v->findings, 0, NULL); /* a full disk changes nothing for the sender */
    (void)snprintf(detail, sizeof detail, "%.64s: %.65s from %.16s %.47s", v->comment, in->sop_instance, in->source.calling_ae, in->source.address);
    (void)index_add_event(a->index, "instance.refused", 0, detail, NULL);
    archive_news(a);
}

/* ---- other bytes under a known UID (T14) ------------------------------------------------------------------------------- */

static int conflict(archive_ingest *in, archive_duplicate_policy policy, uint64_t placed, archive_result *r, gn_error *e) {
    static const char kept[] = "first copy kept, new one quarantined", rejected[] = "SOP Instance UID is known with other content";
    bool keep = policy == ARCHIVE_KEEP && !in->archive->config.without_quarantine; /* without quarantine the new one would be lost silently */
    int rc = in->archive->config.without_quarantine ? 0 : quarantine(in, rejected, keep ? STATUS_WARNING : gn_code_dimse_status(GN_E_EXISTS), r->findings, placed, e);
    if (rc && keep) return rc;
    if (keep) answer(r, ARCHIVE_CONFLICT_KEPT, STATUS_WARNING, kept);
    else answer(r, ARCHIVE_REFUSED, gn_code_dimse_status(GN_E_EXISTS), rejected);
    if (!keep) r->instance_id = 0;
    return 0;
}

static bool same_object(const archive_ingest *in, const index_known *k, const uint8_t hash[16]) {
    return memcmp(k->hash, hash, 16) == 0 && k->location.length - k->location.dataset_offset == in->dataset_length && strcmp(k->transfer_syntax, in->syntax) == 0;
}

/* 1: answered without a write; 0: to be committed. */
static int ask_index(archive_ingest *in, const uint8_t hash[16], archive_result *r, gn_error *e) {
    archive *a = in->archive;
    index_known known;
    gn_error why = GN_ERROR_INIT;
    int rc = index_find_instance(a->index, r->sop_instance, &known, &why);
    if (rc == GN_E_NOT_FOUND) return 0;
    if (rc) return gn_fail(e, rc, "%s", why.message);
    if (known.damaged) { /* whatever comes is better: the index replaces it */
        in->heals = same_object(in, &known, hash);
        return 0;
    }
    r->instance_id = known.instance_id;
    if (same_object(in, &known, hash)) {
        answer(r, ARCHIVE_DUPLICATE, 0, "");
        return 1;
    }
    if (a->config.duplicates == ARCHIVE_REPLACE) return 0;
    const int64_t id = known.instance_id;
    rc = conflict(in, a->config.duplicates, 0, r, e);
    if (rc) return rc;
    (void)index_add_event(a->index, r->outcome == ARCHIVE_CONFLICT_KEPT ? "instance.conflict" : "instance.refused", id, r->sop_instance, NULL);
    archive_news(a);
    return 1;
}

/* ---- commit ------------------------------------------------------------------------------------------------------------ */

static void make_record(const archive_ingest *in, const index_instance *x, const archive_result *r, store_record *rec) {
    *rec = (store_record){ .kind = in->file ? STORE_FILE : STORE_OBJECT, .policy = in->archive->config.duplicates, .source = in->source, .received_us = x->received_us,
                           .findings = x->findings, .object_length = in->header_length + in->dataset_length, .dataset_offset = in->header_length,
                           .file_number = in->file ? store_file_number(in->file) : 0 };
    memcpy(rec->sop_instance, r->sop_instance, sizeof rec->sop_instance);
    memcpy(rec->transfer_syntax, in->syntax, sizeof rec->transfer_syntax);
    memcpy(rec->hash, x->hash, 16);
    store_object_hash(in->header, in->header_length, x->hash, rec->object_hash);
}

/* The damaged copy that this object replaced, byte for byte the same once, is of no use to anybody any more. */
static void forget_damaged(archive *a, const index_location *l) {
    if (l->pack <= 0) (void)store_file_remove(a->store, l->offset, NULL);
    else if (store_void_record(a->store, l, NULL) != 0) { /* its header is what was damaged */
        index_position at = { l->pack, l->offset - STORE_RECORD_HEADER };
        (void)store_void_stretch(a->store, &at, store_align_up((size_t)l->length + STORE_RECORD_HEADER), "replaced by a sound copy", quarantine_limit(a), NULL);
    }
}

/* After the commit: an object that lost leaves no trace but, perhaps, in quarantine. */
static int settle(archive_ingest *in, const commit_item *item, const char *said, archive_result *r, gn_error *e) {
    archive *a = in->archive;
    const index_instance *x = item->instance;
    int rc = 0;
    r->instance_id = x->instance_id;
    if (x->outcome == ARCHIVE_STORED || x->outcome == ARCHIVE_REPLACED) {
        if (x->outcome == ARCHIVE_REPLACED && in->heals) forget_damaged(a, &x->superseded);
        answer_stored(r, x->outcome, x->added_findings, said);
        return 0;
    }
    if (x->outcome == ARCHIVE_DUPLICATE) answer(r, ARCHIVE_DUPLICATE, 0, "");
    else rc = conflict(in, x->outcome == ARCHIVE_REFUSED ? ARCHIVE_REJECT : ARCHIVE_KEEP, item->file_number, r, e);
    if (item->file_number) (void)store_file_remove(a->store, item->file_number, NULL);
    (void)store_void_record(a->store, &item->append.location, NULL); /* if not now, the next replay decides the same */
    return rc;
}

static int commit(archive_ingest *in, index_instance *x, const char *said, archive_result *r, gn_error *e) {
    store_record rec;
    make_record(in, x, r, &rec);
    size_t length = in->file ? STORE_ALIGN : store_align_up(in->n);
    commit_item item = { .append = { .image = in->block->p, .length = length, .object_length = rec.object_length, .dataset_offset = rec.dataset_offset },
                         .file_number = rec.file_number, .instance = x, .policy = rec.policy };
    if (in->file) { /* the bytes first, then the record that names them */
        int rc = store_file_sync(in->file, e);
        if (rc) return rc;
        memset(in->block->p, 0, STORE_ALIGN);
        item.file = in->file;
        in->file = NULL;
        x->location = (index_location){ 0, rec.file_number, rec.object_length, rec.dataset_offset };
    }
    store_record_encode(&rec, length, in->block->p);
    int rc = commit_run(in->archive, &item);
    if (rc) return gn_fail(e, rc, "%s", item.error.message);
    return settle(in, &item, said, r, e);
}

/* ---- finish ------------------------------------------------------------------------------------------------------------ */

static void digest(archive_ingest *in, uint8_t hash[16]) {
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(in->scratch->hash));
    memcpy(hash, c.digest, 16);
}

static const char *given(const char *uid) { return uid[0] ? uid : NULL; }

/* Everything about the object itself. */
static void judge(archive_ingest *in, dicom_dataset **ds, index_instance *x, verdict *v, archive_result *r) {
    gn_error why = GN_ERROR_INIT;
    validate_header(in->header, in->header_length, v);
    if (dicom_stream_finish(in->stream, ds, &why)) {
        validate_parse_error(&why, v);
        return;
    }
    validate_identity(*ds, given(in->sop_class), given(in->sop_instance), v, r);
    if (v->code) return;
    describe_pixels(in->scratch, *ds, in->ts, ingest_read, in, v, x);
    if (in->archive->config.refuse_invalid && finding_warns(v->findings)) refuse(v, GN_E_INVALID, 0xC000, "%.64s", v->comment);
}

static int finish(archive_ingest *in, archive_result *r, gn_error *e) {
    if (in->error.code) return gn_fail(e, in->error.code, "%s", in->error.message);
    verdict v = { 0 };
    dicom_dataset *ds = NULL;
    index_instance x = { .transfer_syntax = in->ts, .transfer_syntax_uid = in->syntax, .source = &in->source, .received_us = gn_wall_us() };
    int rc = in->file ? ingest_close(in, e) : 0;
    if (rc) return rc;
    judge(in, &ds, &x, &v, r);
    if (!in->sop_instance[0]) memcpy(in->sop_instance, r->sop_instance, sizeof in->sop_instance); /* for the reason of a refusal */
    if (v.code) {
        refuse_object(in, &v, r);
        return 0;
    }
    if (!in->header_made) rc = ingest_make_header(in, r->sop_class, r->sop_instance, e);
    if (!rc && !in->file) rc = ingest_close(in, e);
    if (rc) return rc;
    x.dataset = ds;
    x.study_uid = r->study_uid;
    x.series_uid = r->series_uid;
    x.sop_instance = r->sop_instance;
    x.sop_class = r->sop_class;
    x.findings = r->findings = v.findings;
    digest(in, x.hash);
    rc = ask_index(in, x.hash, r, e);
    if (rc) return rc < 0 ? rc : 0;
    rc = describe_metadata(in->scratch, ds, &x, e);
    return rc ? rc : commit(in, &x, v.comment, r, e);
}

int archive_ingest_finish(archive_ingest **in, archive_result *result, gn_error *e) {
    gn_error why = GN_ERROR_INIT;
    *result = (archive_result){ .outcome = ARCHIVE_REFUSED };
    int rc = finish(*in, result, &why);
    if (rc) {
        answer_failure(result, rc, &why);
        gn_fail(e, rc, "%s", why.message);
        gn_error_at(e, "%s", why.where);
    }
    ingest_free(in);
    return rc;
}
