/* connections: ends clients that are too slow to be meant well (T4, T20): a header that trickles, a body below the least rate. A connection
 * without any progress is ended by libmicrohttpd itself. */
#include "internal.h"

#include <sys/socket.h>

void connection_phase_set(connection *c, connection_phase phase) {
    if (!c) return;
    atomic_store(&c->bytes, 0);
    atomic_store(&c->since, gn_mono_ns());
    atomic_store(&c->phase, (int)phase);
}

#define NS_PER_MS UINT64_C(1000000)
static bool too_slow(const connection *c, const http_limits *l, uint64_t now) {
    uint64_t since = atomic_load(&c->since), ms = now > since ? (now - since) / NS_PER_MS : 0;
    switch ((connection_phase)atomic_load(&c->phase)) {
    case CONNECTION_HEADER: return ms > l->header_ms;
    case CONNECTION_BODY: return ms > 30000 && atomic_load(&c->bytes) < ms / 1000 * l->body_bytes_per_s;
    case CONNECTION_IDLE: return ms > (uint64_t)l->idle_ms + l->header_ms; /* a request line that trickles */
    case CONNECTION_ANSWER: break;
    }
    return false;
}

void connections_sweep(connections *all, const http_limits *limits) {
    static gn_counter slow = GN_COUNTER("gantry_http_slow_clients_total", "Connections ended because the client was too slow");
    uint64_t now = gn_mono_ns();
    gn_counter_register(&slow);
    (void)pthread_mutex_lock(&all->lock);
    for (connection *c = all->first; c; c = c->next) {
        if (!too_slow(c, limits, now)) continue;
        (void)shutdown(c->fd, SHUT_RDWR);
        atomic_store(&c->phase, CONNECTION_IDLE);
        gn_counter_add(&slow, 1);
    }
    (void)pthread_mutex_unlock(&all->lock);
}
