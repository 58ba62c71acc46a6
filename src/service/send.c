/* send: C-STORE of a list of files (PS3.4 Annex B), on several associations, with as many requests unanswered as the peer allows.
 *
 * A file goes out from the page cache as it lies on disk. Where the peer takes a native object only in another native encoding, it
 * is written anew in memory. A rejection for the moment and a broken connection are tried again, with growing pauses; what was not
 * answered then is sent again, which a peer must take (same bytes). */
#include "send.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW_MOST = 64 };
#define RECODE_LIMIT ((uint64_t)1 << 30)

typedef struct job {
    const scu *scu;
    const peer *peer;
    const send_list *list;
    const send_options *options;
    progress *bar;
    unsigned group;
    _Atomic size_t next;
    pthread_mutex_t lock; /* guards result, error and the failure callback */
    send_result result;
    gn_error error;
} job;

typedef struct lane {
    job *job;
    dimse_association *association;
    unsigned window, outstanding, retries;
    uint16_t message[WINDOW_MOST];
    size_t item[WINDOW_MOST];
    size_t again[WINDOW_MOST]; /* items to send anew after a broken connection */
    size_t again_count;
    size_t suspect; /* item that was on its way when the connection broke; SIZE_MAX: none */
} lane;

/* ---- results ------------------------------------------------------------------------------------------------------------- */

static void failed(job *j, size_t i, const char *why) {
    (void)pthread_mutex_lock(&j->lock);
    j->result.failed++;
    if (j->options->on_failure) j->options->on_failure(j->options->ctx, j->list->item[i].path, why);
    (void)pthread_mutex_unlock(&j->lock);
    progress_add(j->bar, 1, j->list->item[i].size, 1);
}

/* Nobody is left who could send it: the reason is told once, not for each. */
static void left_over(job *j, size_t i) {
    (void)pthread_mutex_lock(&j->lock);
    j->result.failed++;
    (void)pthread_mutex_unlock(&j->lock);
    progress_add(j->bar, 1, j->list->item[i].size, 1);
}

static void answered(job *j, size_t i, const dimse_message *rsp) {
    bool warning =
        (rsp->status & 0xF000) == 0xB000 || rsp->status == 0x0107 || rsp->status == 0x0116 || rsp->status == 1;
    if (rsp->status && !warning) {
        char status[80], why[160];
        snprintf(why, sizeof why, "%s%s%s", scu_status_text(rsp->status, status), rsp->error_comment[0] ? ": " : "",
                 rsp->error_comment);
        failed(j, i, why);
        return;
    }
    (void)pthread_mutex_lock(&j->lock);
    j->result.sent++;
    j->result.warnings += warning;
    j->result.bytes += j->list->item[i].size - j->list->item[i].dataset_offset;
    (void)pthread_mutex_unlock(&j->lock);
    progress_add(j->bar, 1, j->list->item[i].size, 0);
}

/* ---- one object ------------------------------------------------------------------------------------------------------------- */

/* Writes a native object in another native transfer syntax. */
static int recode(int fd, const send_item *x, const char *from_uid, const char *to_uid, gn_buf *out, gn_error *e) {
    const dicom_transfer_syntax *from = dicom_transfer_syntax_find(from_uid), *to = dicom_transfer_syntax_find(to_uid);
    if (x->size > RECODE_LIMIT)
        return gn_fail(e, GN_E_TOO_LARGE,
                       "too large to change its transfer syntax, and the peer does not take it as it is");
    void *map = mmap(NULL, (size_t)x->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) return gn_fail_errno(e, errno, "cannot map the file");
    gn_arena *arena = gn_arena_new((size_t)2 << 30);
    dicom_dataset *ds = NULL;
    dicom_read_options ro = { .keep_everything = true, .max_inflated = RECODE_LIMIT };
    int rc = arena ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory for the object");
    if (!rc)
        rc = dicom_dataset_read(arena, from, (const uint8_t *)map + x->dataset_offset,
                                (size_t)(x->size - x->dataset_offset), &ro, &ds, e);
    if (!rc) rc = dicom_dataset_write(ds, to, NULL, out, e);
    gn_arena_free(&arena);
    munmap(map, (size_t)x->size);
    return rc;
}

/* A deflated data set of odd length is padded (PS3.5 §A.5); some writers forget it, and PDVs must be even. */
static int pad(int fd, const send_item *x, gn_buf *out, gn_error *e) {
    size_t n = (size_t)(x->size - x->dataset_offset);
    uint8_t *p = gn_buf_reserve(out, n + 1);
    if (!p) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the object");
    int rc = gn_pread_all(fd, p, n, x->dataset_offset, e);
    p[n] = 0;
    out->n += n + 1;
    return rc;
}

static bool needs_padding(const send_item *x, const send_kind *k) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(k->transfer_syntax);
    return ts && ts->deflated && ((x->size - x->dataset_offset) & 1);
}

static const dimse_context *context_for(const lane *l, const send_kind *k, bool *as_stored) {
    const dimse_context *x = dimse_association_find(l->association, k->sop_class, k->transfer_syntax);
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(k->transfer_syntax);
    *as_stored = x != NULL;
    if (x || !ts || ts->encapsulated) return x;
    x = dimse_association_find(l->association, k->sop_class, DICOM_TS_EXPLICIT_LE);
    return x ? x : dimse_association_find(l->association, k->sop_class, DICOM_TS_IMPLICIT_LE);
}

/* 0 sent; 1 this object cannot be sent (counted); <0 the association is broken. */
static int send_one(lane *l, size_t i, gn_error *e) {
    const send_item *x = &l->job->list->item[i];
    const send_kind *k = &l->job->list->kind[x->kind];
    bool as_stored;
    const dimse_context *context = context_for(l, k, &as_stored);
    char text[400];
    if (!context) {
        const dicom_uid_entry *u = dicom_uid_find(k->sop_class);
        const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(k->transfer_syntax);
        snprintf(text, sizeof text, "the peer does not take %s as %s", u ? u->name : k->sop_class,
                 ts ? ts->name : k->transfer_syntax);
        return failed(l->job, i, text), 1;
    }
    gn_error why = GN_ERROR_INIT;
    gn_buf recoded = GN_BUF_INIT;
    struct stat st;
    int fd = open(x->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int rc = fd < 0 || fstat(fd, &st) ? gn_fail_errno(&why, errno, "cannot open") : 0;
    if (!rc && (uint64_t)st.st_size != x->size) rc = gn_fail(&why, GN_E_IO, "the file has changed");
    bool padded = as_stored && needs_padding(x, k);
    if (!rc && padded) rc = pad(fd, x, &recoded, &why);
    if (!rc && !as_stored) rc = recode(fd, x, k->transfer_syntax, context->transfer_syntax, &recoded, &why);
    if (rc) failed(l->job, i, gn_error_text(&why, text, sizeof text));
    int sent = 1;
    if (!rc) {
        dimse_message rq = { .command = DIMSE_C_STORE_RQ,
                             .context_id = context->id,
                             .message_id = dimse_next_message_id(l->association),
                             .has_dataset = true };
        snprintf(rq.sop_class, sizeof rq.sop_class, "%s", k->sop_class);
        snprintf(rq.sop_instance, sizeof rq.sop_instance, "%s", x->sop_instance);
        dimse_payload file = { .fd = fd, .offset = x->dataset_offset, .length = x->size - x->dataset_offset };
        dimse_payload memory = { .bytes = recoded.p, .n = recoded.n, .fd = -1 };
        l->message[l->outstanding] = rq.message_id;
        l->item[l->outstanding++] = i;
        sent = dimse_send(l->association, &rq, as_stored && !padded ? &file : &memory, e);
    }
    if (fd >= 0) close(fd);
    gn_buf_done(&recoded);
    return sent;
}

/* One answer; answers may come in any order. */
static int take_answer(lane *l, gn_error *e) {
    dimse_message rsp;
    int rc = dimse_receive(l->association, &rsp, e);
    if (rc == 1) return gn_fail(e, GN_E_CLOSED, "the peer released the association before it answered");
    if (!rc && rsp.has_dataset) rc = dimse_skip_dataset(l->association, e);
    if (rc) return rc;
    for (unsigned k = 0; k < l->outstanding; k++) {
        if (l->message[k] != rsp.message_id || rsp.command != DIMSE_C_STORE_RSP) continue;
        answered(l->job, l->item[k], &rsp);
        l->retries = 0;
        l->outstanding--;
        memmove(&l->message[k], &l->message[k + 1], (l->outstanding - k) * sizeof *l->message);
        memmove(&l->item[k], &l->item[k + 1], (l->outstanding - k) * sizeof *l->item);
        return 0;
    }
    return gn_fail(e, GN_E_PROTOCOL, "the peer answered something that was not asked");
}

/* ---- one association ---------------------------------------------------------------------------------------------------------- */

static bool next_item(lane *l, size_t *i) {
    job *j = l->job;
    if (l->again_count) {
        *i = l->again[--l->again_count];
        return true;
    }
    for (;;) {
        *i = atomic_fetch_add(&j->next, 1);
        if (*i >= j->list->count) return false;
        if (j->list->kind[j->list->item[*i].kind].group == j->group) return true;
    }
}

static bool worth_retrying(const gn_error *e) {
    return e->code == GN_E_REJECTED
               ? strstr(e->message, "transient") != NULL
               : e->code == GN_E_CLOSED || e->code == GN_E_ABORTED || e->code == GN_E_TIMEOUT || e->code == GN_E_IO;
}

static void pause_before(unsigned attempt) {
    unsigned ms = 250u << (attempt < 6 ? attempt : 6);
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    while (nanosleep(&t, &t) && errno == EINTR) {}
}

static int connect_lane(lane *l, gn_error *e) {
    job *j = l->job;
    send_proposals *proposals = calloc(1, sizeof *proposals);
    if (!proposals) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the association");
    send_list_propose(j->list, j->group, proposals);
    for (;; l->retries++) {
        gn_error why = GN_ERROR_INIT;
        l->association =
            scu_connect(j->scu, j->peer, proposals->proposal, proposals->count, (uint16_t)j->options->window, &why);
        if (l->association || l->retries >= j->options->retries || !worth_retrying(&why) ||
            (why.code == GN_E_IO && l->retries == 0 && !l->again_count)) {
            if (!l->association && e && !e->code) *e = why;
            break;
        }
        pause_before(l->retries);
    }
    free(proposals);
    if (!l->association) return e && e->code ? e->code : GN_E_INTERNAL;
    unsigned granted = dimse_association_negotiation(l->association)->invoked;
    l->window = granted == 0 || granted > j->options->window ? j->options->window : granted;
    if (l->window > WINDOW_MOST) l->window = WINDOW_MOST;
    return 0;
}

/* Sends until nothing is left or the association breaks. */
static int pump(lane *l, gn_error *e) {
    size_t i;
    int rc = 0;
    while (rc >= 0 && next_item(l, &i)) {
        rc = send_one(l, i, e);
        if (rc == 0 && l->outstanding >= l->window) rc = take_answer(l, e);
    }
    while (rc >= 0 && l->outstanding) rc = take_answer(l, e);
    return rc < 0 ? rc : 0;
}

/* The connection broke: what was not answered is sent again. The object that was on its way both last time and now is what
 * the peer cannot bear: it fails, the others go on. */
static void take_back(lane *l, const gn_error *e) {
    char text[400];
    size_t last = l->outstanding ? l->item[l->outstanding - 1] : SIZE_MAX;
    for (unsigned k = 0; k < l->outstanding; k++) {
        if (l->item[k] == last && last == l->suspect) failed(l->job, last, gn_error_text(e, text, sizeof text));
        else l->again[l->again_count++] = l->item[k];
    }
    if (last == l->suspect) l->retries = 0;
    l->suspect = last == l->suspect ? SIZE_MAX : last;
    l->outstanding = 0;
}

static void run_lane(void *arg) {
    lane *l = arg;
    gn_error e = GN_ERROR_INIT;
    bool careful = false; /* one by one, so that the guilty object is known */
    l->suspect = SIZE_MAX;
    for (;;) {
        gn_error_clear(&e);
        int rc = connect_lane(l, &e);
        if (rc) break;
        if (careful) l->window = 1;
        rc = pump(l, &e);
        if (!rc) {
            dimse_close(&l->association);
            return;
        }
        dimse_abort(&l->association);
        careful = true;
        take_back(l, &e);
        if (!worth_retrying(&e) || l->retries++ >= l->job->options->retries) break;
        pause_before(l->retries - 1);
    }
    char text[400];
    while (l->again_count) failed(l->job, l->again[--l->again_count], gn_error_text(&e, text, sizeof text));
    (void)pthread_mutex_lock(&l->job->lock);
    if (!l->job->error.code) l->job->error = e;
    (void)pthread_mutex_unlock(&l->job->lock);
}

/* ---- all ------------------------------------------------------------------------------------------------------------------------- */

static void run_group(job *j, unsigned lanes) {
    enum { MOST = 32 };
    lane *l = calloc(MOST, sizeof *l);
    gn_thread thread[MOST] = { 0 };
    if (lanes > MOST) lanes = MOST;
    if (!l) {
        gn_fail(&j->error, GN_E_NO_MEMORY, "no memory for the associations");
        return;
    }
    for (unsigned i = 0; i < lanes; i++) l[i].job = j;
    for (unsigned i = 1; i < lanes; i++) (void)gn_thread_spawn(&thread[i], "send", 0, run_lane, &l[i], NULL);
    run_lane(&l[0]);
    for (unsigned i = 1; i < lanes; i++) gn_thread_join(&thread[i]);
    free(l);
}

int send_all(const scu *s, const peer *p, const send_list *l, const send_options *o, progress *bar, send_result *result,
             gn_error *e) {
    job j = { .scu = s, .peer = p, .list = l, .options = o, .bar = bar };
    uint64_t began = gn_mono_ns();
    (void)pthread_mutex_init(&j.lock, NULL);
    for (j.group = 0; j.group < l->groups; j.group++) {
        atomic_store(&j.next, 0);
        run_group(&j, o->associations);
        size_t i;
        lane left = { .job = &j };
        if (j.error.code) /* no association is left: what nobody took was not sent */
            while (next_item(&left, &i)) left_over(&j, i);
        gn_error first = j.error;
        if (e && first.code && !e->code) *e = first;
        gn_error_clear(&j.error);
    }
    (void)pthread_mutex_destroy(&j.lock);
    j.result.seconds = (double)(gn_mono_ns() - began) / 1e9;
    *result = j.result;
    return e && e->code && !j.result.sent ? e->code : 0;
}
