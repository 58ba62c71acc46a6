/* The archive in memory: see fake_archive.h. */
#include "fake_archive.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

archive *fake_archive_new(void) {
    archive *a = calloc(1, sizeof *a);
    if (a) pthread_mutex_init(&a->lock, NULL);
    return a;
}

void fake_archive_free(archive **slot) {
    archive *a = *slot;
    for (size_t i = 0; i < a->count; i++) close(a->object[i].fd);
    for (size_t i = 0; i < a->job_count; i++) free(a->job[i].job.payload);
    pthread_mutex_destroy(&a->lock);
    free(a);
    *slot = NULL;
}

void fake_archive_add(archive *a, const char *sop_class, const char *sop_instance, const char *transfer_syntax, const void *bytes, size_t n) {
    fake_object o = { .fd = memfd_create("object", MFD_CLOEXEC), .length = n + FAKE_HEADER };
    snprintf(o.sop_class, sizeof o.sop_class, "%s", sop_class);
    snprintf(o.sop_instance, sizeof o.sop_instance, "%s", sop_instance);
    snprintf(o.transfer_syntax, sizeof o.transfer_syntax, "%s", transfer_syntax);
    (void)gn_pwrite_all(o.fd, "0123456789", FAKE_HEADER, 0, NULL);
    (void)gn_pwrite_all(o.fd, bytes, n, FAKE_HEADER, NULL);
    pthread_mutex_lock(&a->lock);
    if (a->count < GN_ARRAY_LEN(a->object)) a->object[a->count++] = o;
    pthread_mutex_unlock(&a->lock);
}

/* ---- ingest ------------------------------------------------------------------------------------------------------------ */

struct archive_ingest { archive *a; gn_buf bytes; char sop_class[65], sop_instance[65], transfer_syntax[65]; bool failed; };

int archive_ingest_begin(archive *a, const archive_ingest_request *q, archive_ingest **out, gn_error *e) {
    if (a->fail_begin) return gn_fail(e, a->fail_begin, "told to fail");
    archive_ingest *in = calloc(1, sizeof *in);
    if (!in) return gn_fail(e, GN_E_NO_MEMORY, "no memory");
    in->a = a;
    snprintf(in->sop_class, sizeof in->sop_class, "%s", q->sop_class);
    snprintf(in->sop_instance, sizeof in->sop_instance, "%s", q->sop_instance);
    snprintf(in->transfer_syntax, sizeof in->transfer_syntax, "%s", q->transfer_syntax);
    pthread_mutex_lock(&a->lock);
    a->last_source = *q->source;
    pthread_mutex_unlock(&a->lock);
    *out = in;
    return 0;
}

uint8_t *archive_ingest_space(archive_ingest *in, size_t *cap, gn_error *e) {
    (void)e;
    *cap = 65536;
    return gn_buf_reserve(&in->bytes, *cap);
}

int archive_ingest_advance(archive_ingest *in, size_t n, gn_error *e) {
    in->bytes.n += n;
    if (in->a->fail_after && in->bytes.n > in->a->fail_after) {
        in->failed = true;
        return gn_fail(e, GN_E_NO_SPACE, "the disk is full");
    }
    return 0;
}

int archive_ingest_finish(archive_ingest **slot, archive_result *r, gn_error *e) {
    archive_ingest *in = *slot;
    *slot = NULL;
    memset(r, 0, sizeof *r);
    int rc = 0;
    if (in->failed) {
        r->dimse_status = 0xA700;
        snprintf(r->comment, sizeof r->comment, "no space");
        rc = gn_fail(e, GN_E_NO_SPACE, "the disk is full");
    } else {
        bool named = dicom_uid_valid(in->sop_instance, strlen(in->sop_instance));
        r->dimse_status = named ? in->a->store_status : 0xA900;
        r->findings = in->a->store_findings;
        r->outcome = r->dimse_status >= 0xA000 && r->dimse_status < 0xB000 ? ARCHIVE_REFUSED : ARCHIVE_STORED;
        if (r->dimse_status) snprintf(r->comment, sizeof r->comment, "as told");
        if (r->outcome == ARCHIVE_STORED) fake_archive_add(in->a, in->sop_class, in->sop_instance, in->transfer_syntax, in->bytes.p, in->bytes.n);
    }
    gn_buf_done(&in->bytes);
    free(in);
    return rc;
}

void archive_ingest_abort(archive_ingest **slot) {
    if (!*slot) return;
    pthread_mutex_lock(&(*slot)->a->lock);
    (*slot)->a->aborted++;
    pthread_mutex_unlock(&(*slot)->a->lock);
    gn_buf_done(&(*slot)->bytes);
    free(*slot);
    *slot = NULL;
}

/* ---- query ------------------------------------------------------------------------------------------------------------- */

struct archive_cursor { archive *a; archive_value value[16]; size_t wanted; uint64_t given; };

const char *archive_level_text(archive_level l) {
    static const char *const text[] = { "PATIENT", "STUDY", "SERIES", "IMAGE" };
    return text[l];
}

int archive_query_open(archive *a, const archive_query *q, archive_cursor **out, gn_error *e) {
    pthread_mutex_lock(&a->lock);
    a->seen_flags = q->flags;
    a->seen_level = q->level;
    a->seen_keys = q->keys->count;
    a->seen_wanted_count = q->wanted_count < 16 ? q->wanted_count : 16;
    memcpy(a->seen_wanted, q->wanted, a->seen_wanted_count * sizeof *q->wanted);
    pthread_mutex_unlock(&a->lock);
    if (a->query_error) {
        gn_error_at(e, "(0008,0020)");
        return gn_fail(e, a->query_error, "told to fail");
    }
    archive_cursor *c = calloc(1, sizeof *c);
    if (!c) return gn_fail(e, GN_E_NO_MEMORY, "no memory");
    c->a = a;
    c->wanted = q->wanted_count;
    memcpy(c->value, a->value, sizeof a->value);
    *out = c;
    return 0;
}

int archive_query_next(archive_cursor *c, const archive_value **values, int64_t *row, gn_error *e) {
    (void)row;
    (void)e;
    if (c->given == c->a->rows) return 1;
    c->given++;
    if (c->a->row_pause_us) usleep(c->a->row_pause_us);
    *values = c->value;
    return 0;
}

void archive_query_close(archive_cursor **c) {
    free(*c);
    *c = NULL;
}

/* ---- giving back ------------------------------------------------------------------------------------------------------- */

struct archive_retrieval { archive *a; size_t next, limit; };

int archive_retrieve_open(archive *a, const archive_selection *s, archive_retrieval **out, size_t *count, gn_error *e) {
    archive_retrieval *r = calloc(1, sizeof *r);
    if (!r) return gn_fail(e, GN_E_NO_MEMORY, "no memory");
    pthread_mutex_lock(&a->lock);
    a->seen_selection = *s;
    snprintf(a->seen_study, sizeof a->seen_study, "%s", s->study_uids ? s->study_uids : "");
    snprintf(a->seen_patient, sizeof a->seen_patient, "%s", s->patient_id ? s->patient_id : "");
    *r = (archive_retrieval){ a, 0, a->count };
    pthread_mutex_unlock(&a->lock);
    *count = r->limit;
    *out = r;
    return 0;
}

static void open_object(archive *a, size_t i, archive_object *o) {
    fake_object *x = &a->object[i];
    memset(o, 0, sizeof *o);
    memcpy(o->sop_class, x->sop_class, sizeof o->sop_class);
    memcpy(o->sop_instance, x->sop_instance, sizeof o->sop_instance);
    memcpy(o->transfer_syntax, x->transfer_syntax, sizeof o->transfer_syntax);
    o->fd = x->fd;
    o->length = x->length;
    o->dataset_offset = FAKE_HEADER;
}

int archive_retrieve_next(archive_retrieval *r, archive_object *o, gn_error *e) {
    if (r->next == r->limit) return 1;
    open_object(r->a, r->next, o);
    if (r->a->object[r->next++].damaged) return gn_fail(e, GN_E_CORRUPT, "the checksum differs");
    pthread_mutex_lock(&r->a->lock);
    r->a->open_objects++;
    pthread_mutex_unlock(&r->a->lock);
    return 0;
}

int archive_retrieve_kinds(archive_retrieval *r, archive_kind *kinds, size_t capacity, size_t *count, gn_error *e) {
    (void)e;
    *count = 0;
    for (size_t i = 0; i < r->limit; i++) {
        size_t k = 0;
        const fake_object *o = &r->a->object[i];
        while (k < *count && (strcmp(kinds[k].sop_class, o->sop_class) != 0 || strcmp(kinds[k].transfer_syntax, o->transfer_syntax) != 0)) k++;
        if (k < *count || k == capacity) continue;
        memcpy(kinds[k].sop_class, o->sop_class, sizeof kinds[k].sop_class);
        memcpy(kinds[k].transfer_syntax, o->transfer_syntax, sizeof kinds[k].transfer_syntax);
        ++*count;
    }
    return 0;
}

void archive_retrieve_close(archive_retrieval **r) {
    free(*r);
    *r = NULL;
}

void archive_object_release(archive *a, archive_object *o) {
    (void)o;
    pthread_mutex_lock(&a->lock);
    a->open_objects--;
    pthread_mutex_unlock(&a->lock);
}

int archive_check_instance(archive *a, const char *sop_class, const char *sop_instance, bool read_back, gn_error *e) {
    (void)read_back;
    int rc = GN_E_NOT_FOUND;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->object[i].sop_instance, sop_instance) != 0) continue;
        rc = strcmp(a->object[i].sop_class, sop_class) != 0 ? GN_E_MISMATCH : a->object[i].damaged ? GN_E_CORRUPT : 0;
    }
    pthread_mutex_unlock(&a->lock);
    return rc ? gn_fail(e, rc, "not safe") : 0;
}

/* ---- jobs -------------------------------------------------------------------------------------------------------------- */

int archive_job_add(archive *a, const char *kind, int priority, const char *payload, int64_t not_before, int64_t *id, gn_error *e) {
    pthread_mutex_lock(&a->lock);
    bool full = a->job_count == GN_ARRAY_LEN(a->job);
    if (!full) {
        fake_job *j = &a->job[a->job_count++];
        *j = (fake_job){ .job = { .id = (int64_t)a->job_count, .priority = priority, .payload = strdup(payload) }, .not_before = not_before };
        snprintf(j->job.kind, sizeof j->job.kind, "%s", kind);
        *id = j->job.id;
    }
    pthread_mutex_unlock(&a->lock);
    return full ? gn_fail(e, GN_E_NO_SPACE, "no room for jobs") : 0;
}

int archive_job_take(archive *a, const char *kind, uint32_t lease_ms, archive_job *job, gn_error *e) {
    (void)lease_ms;
    (void)e;
    int rc = 1;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->job_count && rc; i++) {
        fake_job *j = &a->job[i];
        if (j->done || j->taken || j->not_before > gn_wall_us() || strcmp(j->job.kind, kind) != 0) continue;
        j->taken = true;
        j->job.attempts++;
        *job = j->job;
        job->payload = strdup(j->job.payload);
        rc = 0;
    }
    pthread_mutex_unlock(&a->lock);
    return rc;
}

int archive_job_done(archive *a, int64_t id, const char *result, gn_error *e) {
    (void)e;
    pthread_mutex_lock(&a->lock);
    fake_job *j = &a->job[id - 1];
    j->done = true;
    snprintf(j->note, sizeof j->note, "%s", result ? result : "");
    pthread_mutex_unlock(&a->lock);
    return 0;
}

int archive_job_retry(archive *a, int64_t id, uint32_t retry_ms, const char *why, gn_error *e) {
    (void)e;
    pthread_mutex_lock(&a->lock);
    fake_job *j = &a->job[id - 1];
    j->taken = false;
    j->retries++;
    j->not_before = gn_wall_us() + (int64_t)retry_ms * 1000;
    snprintf(j->note, sizeof j->note, "%s", why);
    pthread_mutex_unlock(&a->lock);
    return 0;
}
