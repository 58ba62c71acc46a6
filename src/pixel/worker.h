/* worker: what the two ends of a worker's socket say to each other (worker_pool.c in the service, worker_main.c in the child).
 *
 * One request at a time: a fixed header on a SOCK_SEQPACKET socket with the file descriptors of two memfds: the encoded frame (sealed
 * by size) and room for the decoded one. The answer is a fixed header. Both ends are of one build, so structs go as they are. */
#ifndef GANTRY_PIXEL_WORKER_H
#define GANTRY_PIXEL_WORKER_H

#include "internal.h"

#define WORKER_MAGIC UINT32_C(0x67707831)

typedef struct worker_request {
    uint32_t magic, bit_offset;
    char syntax[65];
    pixel_format format;
    uint64_t encoded, room; /* bytes in the first memfd, bytes that fit into the second */
    uint64_t memory;        /* address space the worker may have; counts with the first request */
    uint32_t timeout_ms;    /* after which the worker ends itself, should its parent not */
    pixel_limits limits;
} worker_request;

typedef struct worker_answer {
    uint32_t magic;
    int32_t code;
    pixel_format format;
    uint64_t decoded;
    char message[240];
} worker_answer;

/* Takes away what a decoder does not need: memory beyond `memory`, core files, files, network, all but a few system calls. `fd` is
 * the one socket left. Builds with a sanitizer, which needs more than that, keep only part of it. 0 or a code. */
int worker_confine(uint64_t memory, int fd, gn_error *e);

#endif
