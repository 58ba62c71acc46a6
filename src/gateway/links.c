/* Where sub-operations go, and in which presentation context.
 *
 * C-MOVE opens associations to the destination: each kind (SOP class and transfer syntax as stored) has a context of its own, and each
 * class with objects that can be re-encoded one more with native transfer syntaxes, and one with the compressed ones of the peer's list
 * if it has such. They are apart because the receiver picks one of a context, and what has no pixels cannot be compressed. More than
 * 128 contexts make several associations, opened when they are needed. C-GET uses the contexts of the requester in which it took the SCP role (PS3.4 C.4.3). */
#include "internal.h"

#include <limits.h>
#include <stdlib.h>

/* ---- batches of kinds -------------------------------------------------------------------------------------------------- */

static bool is_native(const char *ts_uid) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(ts_uid);
    return ts && !ts->encapsulated;
}

/* Can objects stored like this be sent in another form? Videos and what we do not know cannot. */
static bool has_other_forms(const archive_kind *k) { return is_native(k->transfer_syntax) || pixel_can_decode(k->transfer_syntax); }

static bool class_in_batch(const links *l, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (l->routes[k].batch == l->routes[i].batch && has_other_forms(&l->routes[k].kind) && strcmp(l->routes[k].kind.sop_class, l->routes[i].kind.sop_class) == 0) return true;
    return false;
}

static size_t contexts_of(const links *l, size_t i) {
    if (!has_other_forms(&l->routes[i].kind) || class_in_batch(l, i)) return 1;
    return 1u + (l->native_count ? 1u : 0u) + (l->compressed_count ? 1u : 0u);
}

/* Gives each kind its batch so that no batch needs more contexts than an association has. Returns the number of batches. */
static size_t make_batches(links *l) {
    unsigned batch = 0;
    size_t used = 0;
    for (size_t i = 0; i < l->route_count; i++) {
        l->routes[i].batch = batch;
        size_t wanted = contexts_of(l, i);
        if (used + wanted > DIMSE_MAX_CONTEXTS) {
            l->routes[i].batch = ++batch;
            used = 0;
            wanted = contexts_of(l, i);
        }
        used += wanted;
    }
    return batch + 1;
}

/* The peer's list, native and compressed apart. */
static int sort_syntaxes(links *l, gn_error *e) {
    static const char *const usual[] = { DICOM_TS_EXPLICIT_LE, DICOM_TS_IMPLICIT_LE };
    size_t n = l->peer->transfer_syntax_count;
    l->native = calloc(n + GN_ARRAY_LEN(usual), sizeof *l->native);
    l->compressed = calloc(n + 1, sizeof *l->compressed);
    if (!l->native || !l->compressed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the transfer syntaxes");
    for (size_t i = 0; i < n; i++) {
        const char *uid = l->peer->transfer_syntaxes[i];
        if (is_native(uid)) l->native[l->native_count++] = uid;
        else l->compressed[l->compressed_count++] = uid;
    }
    for (size_t i = 0; l->native_count == i && i < GN_ARRAY_LEN(usual); i++) l->native[l->native_count++] = usual[i]; /* the list names none */
    return 0;
}

int links_init(links *l, gateway *g, const gateway_peer *peer, const archive_kind *kinds, size_t count, dimse_association *requester, gn_error *e) {
    *l = (links){ .gateway = g, .peer = peer };
    l->routes = calloc(count ? count : 1, sizeof *l->routes);
    if (!l->routes) return gn_fail(e, GN_E_NO_MEMORY, "no memory for %zu kinds of objects", count);
    l->route_count = count;
    for (size_t i = 0; i < count; i++) l->routes[i].kind = kinds[i];
    int rc = requester ? 0 : sort_syntaxes(l, e);
    if (rc) return rc;
    l->count = requester ? 1 : make_batches(l);
    l->lane = calloc(l->count, sizeof *l->lane);
    if (!l->lane) return gn_fail(e, GN_E_NO_MEMORY, "no memory for %zu associations", l->count);
    if (requester) {
        uint16_t performed = dimse_association_negotiation(requester)->performed;
        l->lane[0] = (lane){ .association = requester, .tried = true, .window = performed == 0 || performed > LINK_WINDOW_MAX ? LINK_WINDOW_MAX : performed };
    }
    return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

/* Proposals for one batch; the caller's arrays hold DIMSE_MAX_CONTEXTS entries. */
static size_t propose(const links *l, unsigned batch, dimse_proposal *proposals, const char **single) {
    size_t n = 0;
    for (size_t i = 0; i < l->route_count; i++) {
        const route *r = &l->routes[i];
        if (r->batch != batch) continue;
        single[n] = r->kind.transfer_syntax;
        proposals[n] = (dimse_proposal){ .abstract_syntax = r->kind.sop_class, .transfer_syntaxes = &single[n], .count = 1 };
        n++;
        if (!has_other_forms(&r->kind) || class_in_batch(l, i)) continue;
        proposals[n++] = (dimse_proposal){ .abstract_syntax = r->kind.sop_class, .transfer_syntaxes = l->native, .count = l->native_count };
        if (l->compressed_count) proposals[n++] = (dimse_proposal){ .abstract_syntax = r->kind.sop_class, .transfer_syntaxes = l->compressed, .count = l->compressed_count };
    }
    return n;
}

static void open_lane(links *l, unsigned batch) {
    lane *k = &l->lane[batch];
    dimse_proposal proposals[DIMSE_MAX_CONTEXTS];
    const char *single[DIMSE_MAX_CONTEXTS];
    const gateway_config *c = &l->gateway->config;
    k->tried = true;
    dimse_client_config client = {
        .host = l->peer->host, .port = l->peer->port, .called = l->peer->aet, .calling = c->aet, .proposals = proposals,
        .proposal_count = propose(l, batch, proposals, single), .max_pdu = l->peer->max_pdu, .invoked = LINK_WINDOW_MAX, .performed = 1, .timeouts = c->timeouts,
    };
    k->association = dimse_connect(&client, &l->error);
    if (!k->association) return;
    if (!outgoing_enter(l->gateway, &k->entry, k->association)) {
        dimse_abort(&k->association);
        gn_fail(&l->error, GN_E_CLOSED, "the service is stopping");
        return;
    }
    uint16_t invoked = dimse_association_negotiation(k->association)->invoked;
    k->window = invoked == 0 || invoked > LINK_WINDOW_MAX ? LINK_WINDOW_MAX : invoked;
}

void lane_lost(links *l, lane *k, const gn_error *why) {
    gn_fail(&l->error, why->code ? why->code : GN_E_CLOSED, "%s", why->message);
    if (!l->peer || !k->association) return;
    outgoing_leave(l->gateway, &k->entry);
    dimse_abort(&k->association);
}

void links_done(links *l) {
    for (size_t i = 0; l->peer && i < l->count && l->lane; i++) {
        if (!l->lane[i].association) continue;
        outgoing_leave(l->gateway, &l->lane[i].entry);
        dimse_close(&l->lane[i].association);
    }
    free(l->lane);
    free(l->routes);
    free(l->native);
    free(l->compressed);
    l->lane = NULL;
    l->routes = NULL;
    l->native = l->compressed = NULL;
}

/* ---- routes ------------------------------------------------------------------------------------------------------------ */

/* May we be SCU of this context towards the peer? */
static bool usable(const links *l, const dimse_context *x, const char *sop_class) {
    return x->result == DIMSE_CONTEXT_ACCEPTED && (l->peer ? x->scu_role : x->scp_role) && strcmp(x->abstract_syntax, sop_class) == 0;
}

/* What is native stays native if it can: it may have no pixels, and it costs no encoding. Then the peer's order counts. Without
 * one explicit little endian is best (no VR is lost), and compressing the last resort. */
unsigned route_fitness(const gateway_peer *peer, const archive_kind *kind, const char *transfer_syntax) {
    enum { NATIVE_TO_NATIVE = 1000, LISTED = 500, EXPLICIT = 3, NATIVE = 2, COMPRESSED = 1 };
    recoding way = recode_way(kind->transfer_syntax, transfer_syntax);
    if (way == RECODE_NONE) return UINT_MAX;
    if (way == RECODE_IMPOSSIBLE) return 0;
    unsigned fit = way == RECODE_NATIVE ? NATIVE_TO_NATIVE : 0;
    for (size_t i = 0; peer && i < peer->transfer_syntax_count && i < LISTED / 2; i++)
        if (strcmp(peer->transfer_syntaxes[i], transfer_syntax) == 0) return fit + LISTED - (unsigned)i;
    if (strcmp(transfer_syntax, DICOM_TS_EXPLICIT_LE) == 0) return fit + EXPLICIT;
    return fit + (is_native(transfer_syntax) ? NATIVE : COMPRESSED);
}

static void resolve(links *l, route *r, const lane *k) {
    const dimse_negotiation *n = dimse_association_negotiation(k->association);
    unsigned best = 0;
    r->resolved = true;
    for (size_t i = 0; i < n->context_count; i++) {
        const dimse_context *x = &n->context[i];
        unsigned fit = usable(l, x, r->kind.sop_class) ? route_fitness(l->peer, &r->kind, x->transfer_syntax) : 0;
        if (fit <= best) continue;
        best = fit;
        r->context = x;
        r->way = recode_way(r->kind.transfer_syntax, x->transfer_syntax);
    }
}

static bool is_kind(const route *r, const archive_object *o) { return strcmp(r->kind.sop_class, o->sop_class) == 0 && strcmp(r->kind.transfer_syntax, o->transfer_syntax) == 0; }

const route *links_route(links *l, const archive_object *o, lane **through) {
    if (l->route_count == 0 || !is_kind(&l->routes[l->last], o)) {
        for (l->last = 0; l->last < l->route_count && !is_kind(&l->routes[l->last], o); l->last++) {}
        if (l->last == l->route_count) {
            l->last = 0;
            gn_fail(&l->error, GN_E_UNSUPPORTED, "too many kinds of objects in one request");
            return NULL;
        }
    }
    route *r = &l->routes[l->last];
    lane *k = &l->lane[r->batch];
    if (!k->association && !k->tried) open_lane(l, r->batch);
    if (!k->association) return NULL;
    if (!r->resolved) resolve(l, r, k);
    if (!r->context) {
        gn_fail(&l->error, GN_E_UNSUPPORTED, "the receiver does not take %.64s in %.64s", o->sop_class, o->transfer_syntax);
        return NULL;
    }
    *through = k;
    return r;
}
