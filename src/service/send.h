/* send: objects of a list over some associations to one peer. */
#ifndef GANTRY_SERVICE_SEND_H
#define GANTRY_SERVICE_SEND_H

#include "progress.h"
#include "scu.h"
#include "send_list.h"

typedef struct send_result { uint64_t sent, warnings, failed, bytes; double seconds; } send_result;
typedef struct send_options {
    unsigned associations;  /* at once */
    unsigned window;        /* asynchronous operations to ask for; the peer may allow fewer */
    unsigned retries;       /* of a connection that is rejected for the moment or breaks */
    /* Each object that failed, from any thread, one at a time. */
    void (*on_failure)(void *ctx, const char *path, const char *why);
    void *ctx;
} send_options;
/* 0, or the error when no association could be made: then *result says how far it came. */
int send_all(const scu *s, const peer *p, const send_list *l, const send_options *o, progress *bar, send_result *result, gn_error *e);

#endif
