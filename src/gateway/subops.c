/* The sub-operations of C-MOVE and C-GET (PS3.4 C.4.2, C.4.3): sends a retrieval's objects by C-STORE and keeps count.
 *
 * As many are outstanding as the receiver's asynchronous window allows, usually one; the next object is opened while the answer is on
 * its way. An object that cannot be sent, a receiver that refuses or goes away is counted, never waited for: the final response tells the true
 * numbers and lists what failed. Pending responses go out at most every progress_ms; a cancel is looked for before each sub-operation. */
#include "internal.h"

typedef struct flight { uint16_t message_id; char sop_instance[65]; } flight;
typedef enum next_state { NEXT_READY, NEXT_NONE } next_state;

typedef struct subops {
    session *session;
    const dimse_message *request;
    archive_retrieval *retrieval;
    links *links;
    uint64_t total;
    subops_totals *totals;
    gn_buf failed;               /* UIDs, backslash between them */
    next_state state;
    archive_object next;
    lane *current;               /* where the flights are */
    flight flights[LINK_WINDOW_MAX];
    unsigned outstanding;
    uint64_t told_at;
    bool cancelled;
} subops;

/* ---- counting ---------------------------------------------------------------------------------------------------------- */

static void count_failed(subops *o, const char *sop_instance) {
    o->totals->failed++;
    gn_counter_add(&GATEWAY_COUNT.suboperations_failed, 1);
    if (o->failed.n) gn_buf_putc(&o->failed, '\\');
    gn_buf_puts(&o->failed, sop_instance);
}

static void count_answer(subops *o, const flight *f, uint16_t status) {
    bool warning = (status & 0xF000) == 0xB000 || status == 0x0001 || status == 0x0107 || status == 0x0116;
    if (status != DIMSE_SUCCESS && !warning) {
        gn_fail(&o->links->error, GN_E_REFUSED, "the receiver answered %04X", status);
        count_failed(o, f->sop_instance);
        return;
    }
    if (warning) o->totals->warning++;
    else o->totals->completed++;
    gn_counter_add(&GATEWAY_COUNT.suboperations, 1);
}

static uint16_t in_16_bits(uint64_t n) { return n > UINT16_MAX ? UINT16_MAX : (uint16_t)n; }

static void put_counts(const subops *o, dimse_message *r) {
    const subops_totals *t = o->totals;
    uint64_t done = t->completed + t->failed + t->warning;
    r->has_counts = true;
    r->remaining = in_16_bits(o->total > done ? o->total - done : 0);
    r->completed = in_16_bits(t->completed);
    r->failed = in_16_bits(t->failed);
    r->warning = in_16_bits(t->warning);
    r->sop_instance[0] = '\0';
}

/* ---- responses to the requester ---------------------------------------------------------------------------------------- */

static int tell_progress(subops *o, gn_error *e) {
    uint64_t now = gn_mono_ns();
    if (now - o->told_at < (uint64_t)o->session->gateway->config.progress_ms * 1000000u) return 0;
    o->told_at = now;
    dimse_message r = response_to(o->request, DIMSE_PENDING);
    put_counts(o, &r);
    return dimse_send(o->session->association, &r, NULL, e);
}

/* Failed SOP Instance UID List (0008,0058) as a data set of one element. In explicit VR the length has 16 bits: the list is cut. */
static int encode_failed(const subops *o, gn_buf *out) {
    const dimse_context *x = dimse_association_context(o->session->association, o->request->context_id);
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(x->transfer_syntax);
    size_t n = o->failed.n;
    if (!ts->implicit_vr && n > 65534) {
        for (n = 65534; n && o->failed.p[n] != '\\'; n--) {}
    }
    uint8_t header[8] = { 8, 0, 0x58, 0, 'U', 'I', 0, 0 };
    uint32_t even = (uint32_t)(n + (n & 1));
    if (ts->big_endian) {
        memcpy(header, "\0\10\0\130", 4);
        gn_store_be16(header + 6, (uint16_t)even);
    } else if (ts->implicit_vr) {
        gn_store_le32(header + 4, even);
    } else {
        gn_store_le16(header + 6, (uint16_t)even);
    }
    gn_buf_append(out, header, sizeof header);
    gn_buf_append(out, o->failed.p, n);
    if (n & 1) gn_buf_putc(out, '\0');
    return out->failed || o->failed.failed ? GN_E_NO_MEMORY : 0;
}

static int send_final(subops *o, gn_error *e) {
    subops_totals *t = o->totals;
    bool any = t->completed + t->warning > 0;
    t->status = o->cancelled ? DIMSE_CANCEL : t->failed == 0 && t->warning == 0 ? DIMSE_SUCCESS : any || t->failed == 0 ? DIMSE_WARNING_SUBOPERATIONS : DIMSE_OUT_OF_RESOURCES_SUBOPERATIONS;
    dimse_message r = response_to(o->request, t->status);
    put_counts(o, &r);
    if (t->failed) comment_set(&r, o->links->error.message);
    gn_buf list = GN_BUF_INIT;
    bool with_list = t->failed && encode_failed(o, &list) == 0;
    dimse_payload payload = { .bytes = list.p, .n = list.n, .fd = -1 };
    int rc = dimse_send(o->session->association, &r, with_list ? &payload : NULL, e);
    gn_buf_done(&list);
    return rc;
}

/* ---- one sub-operation ------------------------------------------------------------------------------------------------- */

/* Opens the next object that can be opened; damaged ones are counted. */
static void fetch(subops *o) {
    for (;;) {
        gn_error why = GN_ERROR_INIT;
        int rc = archive_retrieve_next(o->retrieval, &o->next, &why);
        o->state = rc == 0 ? NEXT_READY : NEXT_NONE;
        if (rc >= 0) return;
        char text[400];
        gn_log(GN_LOG_ERROR, "retrieve.object", "association", gn_fmt("%llu", (unsigned long long)o->session->id), "instance", o->next.sop_instance, "why",
               gn_error_text(&why, text, sizeof text), NULL);
        if (!o->next.sop_instance[0]) return; /* the archive itself failed: what is left is counted by its number */
        gn_fail(&o->links->error, rc, "%s", why.message);
        count_failed(o, o->next.sop_instance);
    }
}

static void release_next(subops *o) {
    if (o->state == NEXT_READY) archive_object_release(o->session->gateway->archive, &o->next);
    o->state = NEXT_NONE;
}

/* The requester is told the first reason; the log names each object. */
static void log_recode_failure(const subops *o, const archive_object *x, const char *to, const gn_error *why) {
    char text[400];
    gn_log(GN_LOG_ERROR, "retrieve.transcode", "association", gn_fmt("%llu", (unsigned long long)o->session->id), "instance", x->sop_instance, "from",
           x->transfer_syntax, "to", to, "why", gn_error_text(why, text, sizeof text), NULL);
    gn_fail(&o->links->error, why->code, "%s%s%s", why->where, why->where[0] ? ": " : "", why->message);
}

static int send_object(subops *o, const route *r, lane *k, uint16_t message_id, gn_error *why) {
    const archive_object *x = &o->next;
    dimse_message m = { .context_id = r->context->id, .command = DIMSE_C_STORE_RQ, .message_id = message_id, .priority = o->request->priority, .has_dataset = true };
    memcpy(m.sop_class, x->sop_class, sizeof m.sop_class);
    memcpy(m.sop_instance, x->sop_instance, sizeof m.sop_instance);
    if (o->links->peer) { /* who asked for it (PS3.7 §9.1.1.1.5) */
        memcpy(m.move_originator, o->session->negotiation->calling, sizeof m.move_originator);
        m.move_originator_id = o->request->message_id;
    }
    if (r->way == RECODE_NONE) {
        dimse_payload p = { .fd = x->fd, .offset = x->offset + x->dataset_offset, .length = x->length - x->dataset_offset };
        o->totals->bytes += p.length;
        return dimse_send(k->association, &m, &p, why);
    }
    recoded c;
    int rc = recode(o->session->gateway, x, r->way, r->context->transfer_syntax, &c, why);
    if (!rc) {
        o->totals->bytes += c.payload.n + c.payload.length;
        rc = dimse_send(k->association, &m, &c.payload, why) ? GN_E_CLOSED : 0;
    } else {
        log_recode_failure(o, x, r->context->transfer_syntax, why);
        rc = 1; /* this object only */
    }
    recoded_done(&c);
    return rc;
}

/* The receiver is gone: what was on its way has failed. For GET that is the end of all. */
static int lost(subops *o, const gn_error *why, int rc, gn_error *e) {
    for (unsigned i = 0; i < o->outstanding; i++) count_failed(o, o->flights[i].sop_instance);
    o->outstanding = 0;
    lane_lost(o->links, o->current, why);
    if (o->links->peer) return 0;
    if (rc < 0) gn_fail(e, why->code ? why->code : GN_E_CLOSED, "%s", why->message);
    return rc ? rc : GN_E_CLOSED;
}

/* Sends the next object, if its turn has come. 0: sent or counted; 1: the lane must be drained first; <0 (as `*end`): over. */
static bool launch(subops *o, int *end, gn_error *e) {
    lane *k = NULL;
    const route *r = links_route(o->links, &o->next, &k);
    if (!r) {
        count_failed(o, o->next.sop_instance);
        release_next(o);
        fetch(o);
        return true;
    }
    if (o->outstanding && (k != o->current || o->outstanding >= k->window)) return false;
    o->current = k;
    flight f = { .message_id = dimse_next_message_id(k->association) };
    memcpy(f.sop_instance, o->next.sop_instance, sizeof f.sop_instance);
    gn_error why = GN_ERROR_INIT;
    int rc = send_object(o, r, k, f.message_id, &why);
    if (rc == 0) o->flights[o->outstanding++] = f;
    else count_failed(o, f.sop_instance);
    release_next(o);
    if (rc < 0) *end = lost(o, &why, rc, e);
    fetch(o);
    return true;
}

/* ---- answers of the receiver ------------------------------------------------------------------------------------------- */

/* A request that comes while we wait for answers (GET: the requester has an asynchronous window; MOVE: nothing is expected). */
static int aside(subops *o, const dimse_message *m, gn_error *e) {
    if (m->command == DIMSE_C_CANCEL_RQ) {
        if (!o->links->peer && m->message_id == o->request->message_id) o->cancelled = true;
        return 0;
    }
    dimse_association *a = o->current->association;
    int rc = m->has_dataset ? dimse_skip_dataset(a, e) : 0;
    if (rc || (m->command & 0x8000)) return rc;
    bool echo = m->command == DIMSE_C_ECHO_RQ;
    return dimse_respond(a, m, echo ? DIMSE_SUCCESS : DIMSE_OUT_OF_RESOURCES, echo ? NULL : "a retrieval is in progress", e);
}

/* Waits for one answer. */
static int await(subops *o, gn_error *e) {
    gn_error why = GN_ERROR_INIT;
    dimse_message m;
    int rc = dimse_receive(o->current->association, &m, &why);
    if (rc == 1) gn_fail(&why, GN_E_CLOSED, "the receiver released before it answered");
    if (rc == 0 && m.command != DIMSE_C_STORE_RSP) rc = aside(o, &m, &why);
    else if (rc == 0) {
        if (m.has_dataset) rc = dimse_skip_dataset(o->current->association, &why);
        for (unsigned i = 0; i < o->outstanding && rc == 0; i++) {
            if (o->flights[i].message_id != m.message_id) continue;
            count_answer(o, &o->flights[i], m.status);
            o->flights[i] = o->flights[--o->outstanding];
            break;
        }
    }
    return rc ? lost(o, &why, rc, e) : 0;
}

/* Cancelled? Only the requester can say so. */
static int look_for_cancel(subops *o, gn_error *e) {
    int rc = dimse_cancelled(o->session->association, o->request->message_id, e);
    if (rc == 1) o->cancelled = true;
    return rc < 0 ? rc : 0;
}

int subops_run(session *s, const dimse_message *m, archive_retrieval *r, size_t total, links *l, subops_totals *totals, gn_error *e) {
    subops o = { .session = s, .request = m, .retrieval = r, .links = l, .total = total, .totals = totals, .told_at = gn_mono_ns() };
    *totals = (subops_totals){ 0 };
    o.failed.limit = 64u << 20;
    int rc = 0;
    fetch(&o);
    while (rc == 0) {
        while (rc == 0 && !o.cancelled && o.state == NEXT_READY) {
            rc = look_for_cancel(&o, e);
            if (rc || o.cancelled || !launch(&o, &rc, e)) break;
            if (rc == 0) rc = tell_progress(&o, e);
        }
        if (rc || o.outstanding == 0) {
            if (rc || o.cancelled || o.state == NEXT_NONE) break;
            continue;
        }
        rc = await(&o, e);
        if (rc == 0) rc = tell_progress(&o, e);
    }
    release_next(&o);
    uint64_t done = totals->completed + totals->failed + totals->warning;
    if (!o.cancelled && done < total) totals->failed += total - done; /* the archive could not name them any more */
    gn_counter_add(&GATEWAY_COUNT.sent_bytes, (int64_t)totals->bytes);
    if (rc == 0) rc = send_final(&o, e);
    gn_buf_done(&o.failed);
    return rc;
}
