/* Life of the gateway: checks and copies the configuration, starts listener and reporter, swaps the list of peers, stops in order.
 *
 * Stopping: the listener takes nothing new and lets what is in flight finish; when the grace is over the associations that we opened
 * ourselves (sub-operations, reports) are cut too, so that no thread waits for a peer that does not answer. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define COUNTER(name, help) .name = GN_COUNTER("gantry_dimse_" #name "_total", help)
gateway_counters GATEWAY_COUNT = {
    COUNTER(accepted, "Associations accepted"),
    COUNTER(rejected, "Associations rejected"),
    COUNTER(aborted, "Associations that ended without a release"),
    COUNTER(stored, "C-STORE: instances stored"),
    COUNTER(duplicates, "C-STORE: instances that were there already"),
    COUNTER(refused, "C-STORE: instances refused"),
    COUNTER(failed, "C-STORE: instances that the archive could not take"),
    COUNTER(received_bytes, "Bytes of data sets received"),
    COUNTER(sent_bytes, "Bytes of data sets sent"),
    COUNTER(finds, "C-FIND requests"),
    COUNTER(answers, "Answers to C-FIND requests"),
    COUNTER(moves, "C-MOVE requests"),
    COUNTER(gets, "C-GET requests"),
    COUNTER(suboperations, "Sub-operations completed"),
    COUNTER(suboperations_failed, "Sub-operations failed"),
    COUNTER(commitments, "Storage commitment requests"),
    COUNTER(reports, "Storage commitment reports delivered"),
    COUNTER(echoes, "C-ECHO requests"),
};
#undef COUNTER

void gateway_counters_register(void) {
    gn_counter *all = (gn_counter *)(void *)&GATEWAY_COUNT;
    for (size_t i = 0; i < sizeof GATEWAY_COUNT / sizeof *all; i++) gn_counter_register(&all[i]);
}

/* ---- configuration ----------------------------------------------------------------------------------------------------- */

static bool copy_list(gn_arena *arena, const char *const **list, size_t count) {
    if (!*list) return true;
    const char **copy = gn_arena_zalloc(arena, count ? count : 1, sizeof *copy);
    if (!copy) return false;
    for (size_t i = 0; i < count; i++)
        if (!(copy[i] = gn_arena_strdup(arena, (*list)[i]))) return false;
    *list = copy;
    return true;
}

static int check_config(const gateway_config *c, gn_error *e) {
    if (!aet_valid(c->aet)) return gn_fail(e, GN_E_CONFIG, "our AE title must have 1 to 16 printable characters and no backslash");
    for (size_t i = 0; i < c->extra_aet_count; i++)
        if (!aet_valid(c->extra_aets[i])) return gn_fail(e, GN_E_CONFIG, "an additional AE title must have 1 to 16 printable characters and no backslash");
    for (size_t i = 0; i < c->transfer_syntax_count; i++)
        if (!dicom_uid_valid(c->transfer_syntaxes[i], strlen(c->transfer_syntaxes[i]))) return gn_fail(e, GN_E_CONFIG, "%s is no transfer syntax", c->transfer_syntaxes[i]);
    if (c->unknown_permissions & ~(uint32_t)GATEWAY_MAY_ALL) return gn_fail(e, GN_E_CONFIG, "unknown permission for unknown callers");
    return 0;
}

static void set_defaults(gateway *g) {
    gateway_config *c = &g->config;
    gateway_limits *l = &c->limits;
    g->loopback = peer_address_is_loopback(c->address);
    if (c->calling == GATEWAY_CALLING_BY_ADDRESS) c->calling = g->loopback ? GATEWAY_CALLING_ANY : GATEWAY_CALLING_KNOWN;
    if (!c->unknown_permissions && !c->nobody_unknown) c->unknown_permissions = g->loopback ? GATEWAY_MAY_ALL : GATEWAY_MAY_ECHO | GATEWAY_MAY_STORE;
    if (!l->identifier) l->identifier = 4u << 20;
    if (!l->find_results) l->find_results = 1000000;
    if (!l->find_deadline_ms) l->find_deadline_ms = 60000;
    if (!l->transcode_bytes) l->transcode_bytes = 64u << 20;
    if (!c->progress_ms) c->progress_ms = 100;
    if (!c->commitment_retry_ms) c->commitment_retry_ms = 10000;
    if (!c->commitment_attempts) c->commitment_attempts = 20;
}

static int adopt_config(gateway *g, const gateway_config *config, gn_error *e) {
    gateway_config *c = &g->config;
    *c = *config;
    if (!c->aet) c->aet = "GANTRY";
    if (!c->address) c->address = "127.0.0.1";
    if (!c->spool_directory) c->spool_directory = "/tmp";
    int rc = check_config(c, e);
    if (rc) return rc;
    c->aet = gn_arena_strdup(g->arena, c->aet);
    c->address = gn_arena_strdup(g->arena, c->address);
    c->spool_directory = gn_arena_strdup(g->arena, c->spool_directory);
    if (!c->aet || !c->address || !c->spool_directory || !copy_list(g->arena, &c->extra_aets, c->extra_aet_count) || !copy_list(g->arena, &c->transfer_syntaxes, c->transfer_syntax_count))
        return gn_fail(e, GN_E_NO_MEMORY, "no memory for the gateway");
    rc = peer_list_new(c->peers, c->peer_count, &g->peers, e);
    c->peers = NULL; /* the list is the truth from here on */
    c->peer_count = 0;
    set_defaults(g);
    return rc;
}

/* ---- start ------------------------------------------------------------------------------------------------------------- */

static int listen_and_serve(gateway *g, gn_error *e) {
    const gateway_config *c = &g->config;
    dimse_server_config server = {
        .address = c->address, .port = c->port, .max_pdu = c->max_pdu, .max_associations = c->limits.associations,
        .max_associations_per_peer = c->limits.associations_per_peer, .max_lobby = c->limits.lobby, .max_operations = c->limits.operations,
        .timeouts = c->timeouts, .negotiate = gateway_negotiate, .serve = gateway_serve, .observe = gateway_observe, .ctx = g,
    };
    int rc = gn_thread_spawn(&g->reporter, "commitment", 0, reporter_run, g, e);
    if (rc) return rc;
    g->server = dimse_server_start(&server, e);
    return g->server ? 0 : e && e->code ? e->code : GN_E_INTERNAL;
}

static void gateway_free(gateway *g) {
    peer_list_unref(&g->peers);
    pthread_mutex_destroy(&g->peers_lock);
    pthread_mutex_destroy(&g->outgoing_lock);
    pthread_mutex_destroy(&g->work_lock);
    pthread_cond_destroy(&g->work_ready);
    gn_arena_free(&g->arena);
    free(g);
}

gateway *gateway_start(const gateway_config *config, archive *a, gn_error *e) {
    gateway *g = calloc(1, sizeof *g);
    if (!g || !(g->arena = gn_arena_new(1u << 20))) {
        free(g);
        gn_fail(e, GN_E_NO_MEMORY, "no memory for the gateway");
        return NULL;
    }
    g->archive = a;
    pthread_mutex_init(&g->peers_lock, NULL);
    pthread_mutex_init(&g->outgoing_lock, NULL);
    pthread_mutex_init(&g->work_lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->work_ready, &attr);
    pthread_condattr_destroy(&attr);
    gateway_counters_register();
    int rc = adopt_config(g, config, e);
    if (!rc) rc = listen_and_serve(g, e);
    if (!rc) return g;
    atomic_store(&g->stopping, true);
    reporter_wake(g);
    gn_thread_join(&g->reporter);
    gateway_free(g);
    return NULL;
}

uint16_t gateway_port(const gateway *g) { return dimse_server_port(g->server); }

/* ---- peers ------------------------------------------------------------------------------------------------------------- */

peer_list *gateway_peers(gateway *g) {
    pthread_mutex_lock(&g->peers_lock);
    peer_list *list = g->peers;
    atomic_fetch_add(&list->references, 1);
    pthread_mutex_unlock(&g->peers_lock);
    return list;
}

int gateway_reload_peers(gateway *g, const gateway_peer *peers, size_t count, gn_error *e) {
    peer_list *fresh, *old;
    int rc = peer_list_new(peers, count, &fresh, e);
    if (rc) return rc;
    pthread_mutex_lock(&g->peers_lock);
    old = g->peers;
    g->peers = fresh;
    pthread_mutex_unlock(&g->peers_lock);
    peer_list_unref(&old);
    reporter_wake(g); /* a report may have waited for this peer */
    gn_log(GN_LOG_INFO, "peers.reloaded", "count", gn_fmt("%zu", count), NULL);
    return 0;
}

/* ---- associations that we opened --------------------------------------------------------------------------------------- */

bool outgoing_enter(gateway *g, outgoing *o, dimse_association *a) {
    pthread_mutex_lock(&g->outgoing_lock);
    bool ok = !g->cut;
    if (ok) {
        *o = (outgoing){ a, NULL, g->outgoing };
        if (g->outgoing) g->outgoing->prev = o;
        g->outgoing = o;
    }
    pthread_mutex_unlock(&g->outgoing_lock);
    return ok;
}

void outgoing_leave(gateway *g, outgoing *o) {
    pthread_mutex_lock(&g->outgoing_lock);
    if (o->prev) o->prev->next = o->next;
    else if (g->outgoing == o) g->outgoing = o->next;
    if (o->next) o->next->prev = o->prev;
    *o = (outgoing){ 0 };
    pthread_mutex_unlock(&g->outgoing_lock);
}

bool outgoing_is_cut(gateway *g) {
    pthread_mutex_lock(&g->outgoing_lock);
    bool cut = g->cut;
    pthread_mutex_unlock(&g->outgoing_lock);
    return cut;
}

static void cut_outgoing(gateway *g) {
    pthread_mutex_lock(&g->outgoing_lock);
    g->cut = true;
    for (outgoing *o = g->outgoing; o; o = o->next) dimse_association_shutdown(o->association);
    pthread_mutex_unlock(&g->outgoing_lock);
}

/* ---- stop -------------------------------------------------------------------------------------------------------------- */

/* Cuts our own associations when the grace is over, unless the server is down before. */
typedef struct cutter { gateway *gateway; pthread_mutex_t lock; pthread_cond_t done_changed; bool done; uint64_t deadline; } cutter;

static void cutter_run(void *arg) {
    cutter *c = arg;
    struct timespec until = { (time_t)(c->deadline / 1000000000u), (long)(c->deadline % 1000000000u) };
    pthread_mutex_lock(&c->lock);
    int rc = 0;
    while (!c->done && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&c->done_changed, &c->lock, &until);
    pthread_mutex_unlock(&c->lock);
    cut_outgoing(c->gateway);
}

static void stop_server(gateway *g, uint32_t grace_ms) {
    cutter c = { .gateway = g, .lock = PTHREAD_MUTEX_INITIALIZER, .deadline = gn_mono_ns() + (uint64_t)grace_ms * 1000000u };
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c.done_changed, &attr);
    pthread_condattr_destroy(&attr);
    gn_thread thread = { 0 };
    if (gn_thread_spawn(&thread, "gateway-stop", 0, cutter_run, &c, NULL)) cut_outgoing(g); /* without a thread there is no grace for them */
    dimse_server_stop(&g->server, grace_ms);
    pthread_mutex_lock(&c.lock);
    c.done = true;
    pthread_cond_signal(&c.done_changed);
    pthread_mutex_unlock(&c.lock);
    gn_thread_join(&thread);
    pthread_cond_destroy(&c.done_changed);
    pthread_mutex_destroy(&c.lock);
}

void gateway_stop(gateway **slot, uint32_t grace_ms) {
    gateway *g = *slot;
    if (!g) return;
    atomic_store(&g->stopping, true);
    reporter_wake(g);
    stop_server(g, grace_ms);
    gn_thread_join(&g->reporter);
    gateway_free(g);
    *slot = NULL;
}

void gateway_get_stats(const gateway *g, gateway_stats *s) {
    const gateway_counters *c = &GATEWAY_COUNT;
    peer_list *list = gateway_peers((gateway *)(uintptr_t)g);
    *s = (gateway_stats){
        .associations = dimse_server_active(g->server), .peers = list->count, .accepted = atomic_load(&c->accepted.value), .rejected = atomic_load(&c->rejected.value),
        .aborted = atomic_load(&c->aborted.value), .stored = atomic_load(&c->stored.value), .duplicates = atomic_load(&c->duplicates.value),
        .refused = atomic_load(&c->refused.value), .failed = atomic_load(&c->failed.value), .received_bytes = atomic_load(&c->received_bytes.value),
        .sent_bytes = atomic_load(&c->sent_bytes.value), .finds = atomic_load(&c->finds.value), .answers = atomic_load(&c->answers.value),
        .moves = atomic_load(&c->moves.value), .gets = atomic_load(&c->gets.value), .suboperations = atomic_load(&c->suboperations.value),
        .suboperations_failed = atomic_load(&c->suboperations_failed.value), .commitments = atomic_load(&c->commitments.value),
        .reports = atomic_load(&c->reports.value),
    };
    peer_list_unref(&list);
}
