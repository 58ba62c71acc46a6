/* harness: a gateway on a free loopback port over the archive in memory, clients for it, and a scripted receiver for C-MOVE and
 * commitment reports. */
#ifndef GATEWAY_HARNESS_H
#define GATEWAY_HARNESS_H

#include "check.h"
#include "dimse/dimse.h"
#include "fake_archive.h"
#include "gateway/gateway.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define MR "1.2.840.10008.5.1.4.1.1.4"
#define STUDY_FIND "1.2.840.10008.5.1.4.1.2.2.1"
#define STUDY_MOVE "1.2.840.10008.5.1.4.1.2.2.2"
#define STUDY_GET "1.2.840.10008.5.1.4.1.2.2.3"
#define COMMITMENT "1.2.840.10008.1.20.1"
#define COMMITMENT_INSTANCE "1.2.840.10008.1.20.1.1"

/* A DICOM node that takes everything: what it received, and how it behaves. */
typedef struct receiver {
    dimse_server *server;
    pthread_mutex_t lock;
    unsigned stored, associations, contexts, events;
    uint64_t bytes;
    uint16_t last_event, last_originator_id;
    char last_originator[17], last_calling[17], last_transfer_syntax[65];
    uint16_t status_every[4];     /* answer to the n-th store: status_every[n % 4] */
    unsigned die_after;           /* abort after so many stores; 0: never */
    bool only_implicit, refuse_all, hang;
    uint16_t window;              /* asynchronous operations granted */
    gn_buf report;                /* last N-EVENT-REPORT data set */
    char report_syntax[65];
    uint16_t report_status;
} receiver;
void receiver_start(receiver *r);
uint16_t receiver_port(const receiver *r);
void receiver_stop(receiver *r);

gateway *start_gateway(archive *a, const gateway_config *base); /* base may be NULL */
/* Proposes one context for each class, each with this transfer syntax (NULL: implicit little endian). */
dimse_association *connect_to(gateway *g, const char *const *classes, size_t count, const char *transfer_syntax, bool scp_role);
dimse_association *connect_as(uint16_t port, const char *calling, const char *called, const char *const *classes, size_t count, const char *transfer_syntax, bool scp_role, gn_error *e);
/* An identifier in implicit little endian from pairs of tag and text, ended by 0. */
size_t identifier(uint8_t *out, ...);
/* One request on the first accepted context of `sop_class`. Collects. */
typedef struct outcome {
    dimse_message last;
    unsigned pending, stores;
    uint64_t store_bytes;
    gn_buf data;                  /* data set of the last response */
    gn_buf first;                 /* of the first pending one */
    unsigned cancel_after;        /* pending responses; 0: never */
    uint16_t store_status;
    dimse_message seen_pending;
} outcome;
int ask(dimse_association *a, const char *sop_class, uint16_t command, const char *destination, const void *ds, size_t n, outcome *o, gn_error *e);
void outcome_done(outcome *o);
int store(dimse_association *a, const char *sop_class, const char *sop_instance, const void *ds, size_t n, dimse_message *last, gn_error *e);
bool wait_until(bool (*condition)(void *), void *ctx, unsigned ms);

#endif
