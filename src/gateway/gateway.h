/* gateway: the DICOM services, bound to an archive: Verification, Storage, Query/Retrieve FIND, MOVE and GET (Patient Root, Study
 * Root, Patient/Study Only) and Storage Commitment Push Model, all as SCP; the sub-operations of MOVE and GET and the reports of
 * a commitment as SCU (PS3.4 Annexes A, B, C, J).
 *
 * This is an edge: it logs (gn_log) and counts (gn_counter), and it is where an error becomes a DIMSE status. It opens one listener
 * and a worker thread for commitment reports. In `gateway_config` a zero or NULL always means the default that is named.
 * Thread rule: every function may be called from any thread; gateway_stop once, when nobody else uses the gateway. */
#ifndef GANTRY_GATEWAY_H
#define GANTRY_GATEWAY_H

#include "archive/archive.h"
#include "base/base.h"
#include "dimse/dimse.h"

/* ---- who may do what (T18, T25) ---------------------------------------------------------------------------------------- */

/* What a calling AE may ask for. A service that is not allowed is refused at negotiation (presentation context: user rejection). */
typedef enum gateway_permission {
    GATEWAY_MAY_ECHO = 1,
    GATEWAY_MAY_STORE = 2,
    GATEWAY_MAY_FIND = 4,
    GATEWAY_MAY_GET = 8,
    GATEWAY_MAY_MOVE = 16,
    GATEWAY_MAY_COMMIT = 32,    /* Storage Commitment */
    GATEWAY_MAY_ALL = 63
} gateway_permission;
/* "echo" "store" "find" "get" "move" "commit" "all" -> its bits; 0: no such word. */
uint32_t gateway_permission_parse(const char *word);

/* A DICOM node we know: as caller its rights, as C-MOVE destination and receiver of commitment reports its address. */
typedef struct gateway_peer {
    const char *name;            /* the alias of the configuration file; NULL: the AE title */
    const char *aet;             /* 1..16 characters, compared exactly without padding */
    const char *host;            /* name or numeric address; NULL: a caller only, never a destination */
    uint16_t port;
    uint32_t permissions;        /* gateway_permission bits; 0 grants nothing */
    uint32_t max_pdu;            /* announced when we call it (0: default of dimse) */
    /* Transfer syntaxes for objects that it does not take as they are stored, best first; NULL: explicit, then implicit VR little
     * endian, which are also offered when the list has only compressed ones. Only such as lose nothing. */
    const char *const *transfer_syntaxes;
    size_t transfer_syntax_count;
    bool commitment_same_association; /* report a commitment on the association that asked for it, while it is open */
    bool any_address;            /* do not compare the caller's address with `host` */
} gateway_peer;

/* Which calling AE titles get an association at all. */
typedef enum gateway_calling_rule {
    GATEWAY_CALLING_BY_ADDRESS = 0, /* ANY while listening on a loopback address, else KNOWN */
    GATEWAY_CALLING_ANY,            /* unknown ones get `unknown_permissions` */
    GATEWAY_CALLING_KNOWN           /* only peers, from their address; others: A-ASSOCIATE-RJ, calling AE title not recognized */
} gateway_calling_rule;

/* ---- configuration ----------------------------------------------------------------------------------------------------- */

/* Which of the transfer syntaxes proposed for a presentation context is accepted. */
typedef enum gateway_order { GATEWAY_ORDER_PROPOSED = 0 /* the peer's first that we take */, GATEWAY_ORDER_CONFIGURED /* the first of ours that the peer offers */ } gateway_order;

typedef struct gateway_limits {
    unsigned associations;             /* at once (0: 512); beyond: A-ASSOCIATE-RJ, local limit exceeded */
    unsigned associations_per_peer;    /* per calling AE and address (0: no limit of its own) */
    unsigned lobby;                    /* connections that have not asked yet (0: 1024) */
    uint16_t operations;               /* asynchronous operations a peer may have outstanding (0: 16) */
    size_t identifier;                 /* bytes of an identifier or N-ACTION data set (0: 4 MiB); beyond: A700 */
    uint64_t find_results;             /* answers of one C-FIND (0: 1,000,000); beyond: A700 */
    uint32_t find_deadline_ms;         /* of one C-FIND (0: 60 s) */
    /* What may be held in memory to change the encoding of one object (0: 64 MiB): a whole object without compressed pixels, else
     * one frame, and what is ready until it goes to a file. Larger objects or frames fail. */
    uint64_t transcode_bytes;
} gateway_limits;

typedef struct gateway_config {
    const char *aet;                   /* ours (NULL: "GANTRY") */
    const char *const *extra_aets;     /* other called AE titles that are ours too */
    size_t extra_aet_count;
    bool check_called_aet;             /* refuse other called AE titles (Orthanc: DicomCheckCalledAet) */
    const char *address;               /* to listen on (NULL: "127.0.0.1") */
    uint16_t port;                     /* 0: any free one; see gateway_port */
    uint32_t max_pdu;                  /* announced (0: default of dimse) */

    gateway_calling_rule calling;
    uint32_t unknown_permissions;      /* of callers that are no peers (0: all on a loopback listener, else echo and store) */
    bool nobody_unknown;               /* unknown_permissions = 0 is meant: unknown callers may do nothing */
    const gateway_peer *peers;
    size_t peer_count;

    const char *const *transfer_syntaxes; /* accepted for Storage, best first; NULL: all of the dictionary */
    size_t transfer_syntax_count;
    gateway_order order;
    bool refuse_unknown_sop_classes;   /* of Storage: not in the dictionary, private ones (default: taken) */
    bool strict_hierarchy;             /* FIND/MOVE/GET: relational keys only where they were negotiated (default: always) */

    struct pixel_workers *workers;     /* (pixel.h) who decodes compressed frames; the caller's, must outlive the gateway. NULL: this process */
    const char *spool_directory;       /* for re-encoded objects on their way out, in files without a name (NULL: "/tmp") */

    gateway_limits limits;
    dimse_timeouts timeouts;           /* zeros: the defaults of dimse */
    uint32_t progress_ms;              /* pending responses of MOVE and GET at most this often (0: 100) */
    uint32_t commitment_retry_ms;      /* first pause before a report is tried again, doubled each time up to an hour (0: 10 s) */
    unsigned commitment_attempts;      /* 0: 20, about half a day */
} gateway_config;

/* ---- life -------------------------------------------------------------------------------------------------------------- */

typedef struct gateway gateway;
/* Copies the configuration, listens, starts the worker. The archive stays the caller's and must outlive the gateway.
 * GN_E_CONFIG: an AE title, peer or transfer syntax is wrong (the message names it); else what listening gave. */
gateway *gateway_start(const gateway_config *config, archive *a, gn_error *e);
/* Takes no new associations; what is in flight may finish for grace_ms, then it is aborted. NULL is fine; clears the pointer. */
void gateway_stop(gateway **g, uint32_t grace_ms);
/* Replaces the list of peers (copied) for associations and sub-operations that begin from now on; on error the old list stays. */
int gateway_reload_peers(gateway *g, const gateway_peer *peers, size_t count, gn_error *e);
uint16_t gateway_port(const gateway *g);

/* A moment's picture; the running totals are the gn_counters named gantry_dimse_*. */
typedef struct gateway_stats {
    unsigned associations;             /* open now */
    size_t peers;
    int64_t accepted, rejected, aborted;
    int64_t stored, duplicates, refused, failed; /* C-STORE by outcome */
    int64_t received_bytes, sent_bytes; /* of data sets */
    int64_t finds, answers, moves, gets, suboperations, suboperations_failed, commitments, reports;
} gateway_stats;
void gateway_get_stats(const gateway *g, gateway_stats *s);

#endif
