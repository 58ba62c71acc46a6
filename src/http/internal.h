/* internal: what the files of the server itself share; handlers see server.h only. Here libmicrohttpd shows. */
#ifndef GANTRY_HTTP_INTERNAL_H
#define GANTRY_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>

#include "server.h"

/* ---- connections.c: how long each connection has been at what ---------------------------------------------------------- */

typedef enum connection_phase { CONNECTION_IDLE, CONNECTION_HEADER, CONNECTION_BODY, CONNECTION_ANSWER } connection_phase;
typedef struct connection {
    struct connection *next, **from;
    int fd;
    _Atomic int phase;
    _Atomic uint64_t since, bytes; /* of this phase: monotonic ns, body bytes so far */
} connection;
typedef struct connections {
    pthread_mutex_t lock; /* guards the list */
    connection *first;
    unsigned count;
} connections;
void connection_phase_set(connection *c, connection_phase phase);
/* Ends those that are too slow: shuts their sockets, their threads do the rest. */
void connections_sweep(connections *all, const http_limits *limits);

/* ---- exchange: one request and its response ----------------------------------------------------------------------------- */

typedef struct http_exchange {
    http_request request;
    struct http_service *service;
    struct MHD_Connection *mhd;
    connection *connection;
    const http_route *route;
    struct header { const char *name, *value; struct header *next; } *headers; /* of the response */
    uint64_t started, body_length, unwanted_from;
    unsigned status;        /* of the response given; 0: none yet */
    struct MHD_Response *response; /* made, not yet queued */
    void (*done)(void *ctx);       /* of pieces or a stream: when the exchange ends */
    void *done_ctx;
    bool queued, handled, begun, admitted;
    char problem[160];      /* for the log line */
} http_exchange;

struct http_service {
    http_context ctx;
    http_config config; /* strings are our own */
    char *address, *name_copy, *public_url, *certificate_path, *key_path;
    struct MHD_Daemon *daemon;
    connections connections;
    gn_thread sweeper;
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t wake;
    bool stop;
    _Atomic bool draining;
    char *certificate, *key; /* PEM texts */
    _Atomic unsigned in_flight;
    uint16_t port;
};

/* routes.c: the route, or NULL: *allowed is then a set of bits of the methods that the path knows. Fills request->arg. */
const http_route *routes_find(http_request *r, unsigned *allowed);
/* identity.c: who asks. 0, or the response was given (401, 429). */
int identity_of(http_exchange *x);
/* May the asker use this route at all, and did the browser mean it (CSRF)? 0, or the response was given. */
int identity_allows(http_exchange *x);
/* respond.c: queues what a handler gave. */
enum MHD_Result respond_queue(http_exchange *x);
void respond_drop(http_exchange *x);
/* openapi.c */
void openapi_handle(http_request *r);
/* request.c */
const char *request_decode(gn_arena *a, const char *s, size_t n, bool plus); /* percent-decoded; NULL: malformed or NUL inside */
bool request_smuggles(const http_exchange *x); /* doubtful framing (T20) */

#endif
