/* Private to the gateway room: what its files share: the gateway itself, the list of peers, one association's session, the
 * counters, and the entry point of each service.
 *
 * A session lives on the stack of its association's thread; what it holds is freed when the association ends. Shared between
 * threads are only the list of peers (reference-counted, swapped under a lock), the list of outgoing associations (so that a stop
 * can end them) and atomics. */
#ifndef GATEWAY_INTERNAL_H
#define GATEWAY_INTERNAL_H

#include "gateway/gateway.h"
#include "pixel/pixel.h"

#include <pthread.h>

#define UID_VERIFICATION "1.2.840.10008.1.1"
#define UID_COMMITMENT_PUSH "1.2.840.10008.1.20.1"
#define UID_COMMITMENT_PUSH_INSTANCE "1.2.840.10008.1.20.1.1"
#define UID_APPLICATION_CONTEXT "1.2.840.10008.3.1.1.1"
#define COMMITMENT_JOB "commitment.report"

enum { GATEWAY_NO_SUCH_CLASS = 0x0122, GATEWAY_NO_SUCH_ACTION = 0x0123, GATEWAY_MISSING_ATTRIBUTE = 0x0120, GATEWAY_INVALID_INSTANCE = 0x0117 };

/* ---- peers (peers.c) --------------------------------------------------------------------------------------------------- */

typedef struct peer_list {
    atomic_uint references;
    gn_arena *arena;             /* holds the strings */
    gateway_peer *peer;
    size_t count;
} peer_list;

int peer_list_new(const gateway_peer *peers, size_t count, peer_list **out, gn_error *e); /* checks and copies */
void peer_list_unref(peer_list **list);
const gateway_peer *peer_by_aet(const peer_list *list, const char *aet);
/* The peer of this AE title that may call from "address:port"; *known: the title is a peer's, wherever it calls from. */
const gateway_peer *peer_calling(const peer_list *list, const char *aet, const char *address, bool *known);
bool peer_address_is_loopback(const char *address);
bool aet_valid(const char *aet); /* PS3.5: 1..16 characters of the default repertoire, no backslash, not only spaces */

/* ---- negotiation (negotiate.c) ----------------------------------------------------------------------------------------- */

typedef enum service_kind { SERVICE_NONE, SERVICE_VERIFICATION, SERVICE_STORAGE, SERVICE_FIND, SERVICE_MOVE, SERVICE_GET, SERVICE_COMMITMENT } service_kind;
typedef enum query_root { ROOT_PATIENT, ROOT_STUDY, ROOT_PATIENT_STUDY_ONLY } query_root;
typedef struct service { const char *uid; service_kind kind; query_root root; uint32_t permission; } service;

/* What we do for this SOP class; kind SERVICE_NONE: nothing. `unknown_storage`: unknown and private classes are taken as storage. */
service service_of(const char *sop_class, bool unknown_storage);
const service *service_table(size_t *count); /* all but the storage classes */
/* Extended negotiation, PS3.4 C.5.1.1 (FIND: relational, date-time, fuzzy, timezone, multi-frame), C.5.2.1, C.5.3.1. */
enum { EXTENDED_RELATIONAL = 0, EXTENDED_DATETIME = 1, EXTENDED_FUZZY = 2 };
bool gateway_negotiate(void *ctx, dimse_negotiation *n, dimse_reject *reject);
uint32_t gateway_rights(gateway *g, const char *calling, const char *address, bool *acceptable);

/* ---- the gateway (gateway.c) ------------------------------------------------------------------------------------------- */

typedef struct outgoing { dimse_association *association; struct outgoing *prev, *next; } outgoing;

struct gateway {
    gateway_config config;       /* strings in `arena`; zeros replaced by the defaults */
    gn_arena *arena;
    archive *archive;
    dimse_server *server;
    bool loopback;
    pthread_mutex_t peers_lock;  /* guards the pointer `peers` */
    peer_list *peers;
    pthread_mutex_t outgoing_lock; /* guards `outgoing` and `cut` */
    outgoing *outgoing;
    bool cut;                    /* no outgoing association may go on */
    _Atomic bool stopping;
    atomic_uint open;            /* associations being served */
    gn_thread reporter;          /* commitment reports */
    pthread_mutex_t work_lock;   /* guards `work` */
    pthread_cond_t work_ready;
    bool work;                   /* a job was added, or we are stopping */
};

peer_list *gateway_peers(gateway *g); /* a reference */
/* An association that we opened, known to gateway_stop until it is forgotten. false: the gateway is stopping, do not use it. */
bool outgoing_enter(gateway *g, outgoing *o, dimse_association *a);
void outgoing_leave(gateway *g, outgoing *o);
bool outgoing_is_cut(gateway *g); /* the grace of gateway_stop is over: long work may end now */

/* ---- sessions (serve.c) ------------------------------------------------------------------------------------------------ */

typedef struct session {
    gateway *gateway;
    dimse_association *association;
    const dimse_negotiation *negotiation;
    uint64_t id;
    uint32_t rights;
    archive_source source;
    const char *context_class;   /* cache: of the last message's presentation context */
    service context_service;
    uint64_t stores, stores_refused, bytes, queries, retrievals;
    struct { uint16_t message_id; int64_t job; } reports[8]; /* N-EVENT-REPORTs sent on this association and not answered yet; job 0: free */
} session;

void gateway_serve(void *ctx, dimse_association *a);
void gateway_observe(void *ctx, const char *event, const dimse_negotiation *n, const char *peer_address, const gn_error *e);
/* One request that was received; 0: go on, <0: the association is over. */
int session_dispatch(session *s, const dimse_message *m, gn_error *e);
/* Answers a request that is refused: drops its data set, responds with status, comment and (unless 0) offending element. */
int session_refuse(session *s, const dimse_message *m, uint16_t status, const char *comment, dicom_tag offending, gn_error *e);
/* The same for an error of ours: status by its code unless `status` says better. Logged here. */
int session_fail(session *s, const dimse_message *m, uint16_t status, const gn_error *why, dicom_tag offending, gn_error *e);
/* The identifier or other data set that came with m. 0, or <0: the association is over; *refused: it was answered already. */
int session_read_dataset(session *s, const dimse_message *m, gn_arena **arena, gn_buf *bytes, dicom_dataset **ds, bool *refused, gn_error *e);
/* The last tag named in e->where; 0: none. */
dicom_tag tag_of_where(const gn_error *e);
/* A response to m in preparation: context, message id, SOP class and instance echoed. */
dimse_message response_to(const dimse_message *m, uint16_t status);
void comment_set(dimse_message *r, const char *text);

/* ---- services ---------------------------------------------------------------------------------------------------------- */

int serve_store(session *s, const dimse_message *m, gn_error *e);
int serve_find(session *s, const dimse_message *m, gn_error *e);
int serve_retrieve(session *s, const dimse_message *m, gn_error *e); /* C-MOVE and C-GET */
int serve_commitment(session *s, const dimse_message *m, gn_error *e); /* N-ACTION */
int serve_report_response(session *s, const dimse_message *m, gn_error *e); /* N-EVENT-REPORT-RSP on the requester's association */

/* ---- identifiers (identifier.c, answer.c) ------------------------------------------------------------------------------ */

/* Query/Retrieve Level (0008,0052) of an identifier, allowed for this root? Otherwise the reason in e. */
int identifier_level(const dicom_dataset *ds, query_root root, archive_level *level, gn_error *e);

enum { ANSWER_CONSTANT = -1, ANSWER_CHARSET = -2, ANSWER_FROM_QUERY = -3 /* while the plan is made */ };
typedef struct answer_column {
    dicom_tag tag;
    dicom_vr vr;                 /* of the request or the dictionary, for absent values */
    int source;                  /* index into the values of the query, or ANSWER_… */
    uint32_t constant_length;
    const char *constant;
    size_t ready, ready_length;  /* of the row being written: its text in `scratch` or its element in `sequence` */
} answer_column;
/* How answers to one query are written: made once, used for each row. Memory in the arena of the identifier. */
typedef struct answer_plan {
    const dicom_transfer_syntax *ts;
    answer_column *column;       /* ascending tags */
    size_t column_count;
    dicom_tag *wanted;           /* for archive_query */
    size_t wanted_count;
    dicom_charset charset;       /* asked for; DICOM_CHARSET_UTF8 when there is none that we know */
    const char *charset_text;    /* its value as asked */
    bool charset_asked, utf8, has_sequences;
    bool unsupported_keys;       /* some keys are in no dictionary: answers are pending with a warning */
    gn_buf out;                  /* the answer last written */
    gn_buf scratch, sequence;    /* of the row being written */
    gn_arena *arena;             /* for sequences */
} answer_plan;
int answer_plan_make(answer_plan *p, dicom_dataset *identifier, archive_level level, const char *retrieve_aet, const dicom_transfer_syntax *ts, gn_error *e);
void answer_plan_done(answer_plan *p);
/* One answer's data set into p->out. */
int answer_encode(answer_plan *p, const archive_value *values, gn_error *e);

/* ---- retrieving (links.c, transcode.c, recode_pixels.c, subops.c) ----------------------------------------------------------------------- */

enum { LINK_WINDOW_MAX = 16 };

/* One association that sub-operations go through. */
typedef struct lane {
    dimse_association *association; /* NULL: not open (yet, or any more) */
    outgoing entry;
    bool tried;
    unsigned window;             /* sub-operations that may be outstanding */
} lane;

/* How an object gets from one transfer syntax to another: as it is, native to native, or by way of its frames. */
typedef enum recoding { RECODE_IMPOSSIBLE, RECODE_NONE, RECODE_NATIVE, RECODE_PIXELS } recoding;
recoding recode_way(const char *from, const char *to);
bool recode_lossless_target(const char *transfer_syntax); /* native (but not deflated), or an encoder without loss */

/* How objects of one kind travel. */
typedef struct route {
    archive_kind kind;
    unsigned batch;              /* index of its lane */
    bool resolved;
    recoding way;                /* from how they are stored to what `context` takes */
    const dimse_context *context; /* NULL: the receiver takes it in no form that we can send */
} route;

/* Where sub-operations go: for MOVE associations that we open, one for each batch of kinds; for GET the requester's own. */
typedef struct links {
    gateway *gateway;
    const gateway_peer *peer;    /* NULL: GET */
    route *routes;
    size_t route_count, last;    /* last: the route used last */
    const char **native, **compressed; /* MOVE: what is offered beside the stored form, best first */
    size_t native_count, compressed_count;
    lane *lane;
    size_t count;
    gn_error error;              /* the first reason why something could not be sent */
} links;
/* How good it is to send objects of this kind in this transfer syntax; 0: impossible, UINT_MAX: as they are stored. `peer` as in links. */
unsigned route_fitness(const gateway_peer *peer, const archive_kind *kind, const char *transfer_syntax);
int links_init(links *l, gateway *g, const gateway_peer *peer, const archive_kind *kinds, size_t count, dimse_association *requester, gn_error *e);
void links_done(links *l);
/* The route of this object and its open lane. NULL: cannot be sent; l->error says why. */
const route *links_route(links *l, const archive_object *o, lane **through);
void lane_lost(links *l, lane *k, const gn_error *why); /* ends one that failed */

/* What is sent: the stored data set as it lies, or re-encoded. */
typedef struct recoded { gn_buf bytes; dimse_payload payload; void *map; size_t map_length; gn_arena *arena; int spool; /* -1: none */ } recoded;
int recode_native(const archive_object *o, const char *to, uint64_t limit, recoded *out, gn_error *e);
int recode_pixels(gateway *g, const archive_object *o, const char *to, recoded *out, gn_error *e);
int recode(gateway *g, const archive_object *o, recoding way, const char *to, recoded *out, gn_error *e); /* one of the two */
void recoded_done(recoded *r);

typedef struct subops_totals { uint64_t completed, failed, warning, bytes; uint16_t status; } subops_totals;
/* Sends everything of the retrieval; pending and final responses to m go to the session. 0; else the requester is gone (1: released). */
int subops_run(session *s, const dimse_message *m, archive_retrieval *r, size_t total, links *l, subops_totals *totals, gn_error *e);

/* ---- commitment (commitment.c, report.c) ------------------------------------------------------------------------------- */

enum { COMMITMENT_ALL_SAFE = 1, COMMITMENT_FAILURES = 2, COMMITMENT_REQUEST = 1 };
/* The data set of the N-EVENT-REPORT that answers `request`, each instance checked now, in the arena of the request; *event is one of the two above. */
int report_make(gateway *g, const dicom_dataset *request, dicom_dataset **report, uint16_t *event, gn_error *e);
/* Sends it: message and encoding for this context. The caller waits for the answer. */
int report_send(dimse_association *a, const dimse_context *x, uint16_t message_id, uint16_t event, const dicom_dataset *report, gn_error *e);
void reporter_run(void *gateway_);
void reporter_wake(gateway *g);

/* ---- counters ---------------------------------------------------------------------------------------------------------- */

typedef struct gateway_counters {
    gn_counter accepted, rejected, aborted, stored, duplicates, refused, failed, received_bytes, sent_bytes, finds, answers, moves, gets, suboperations,
        suboperations_failed, commitments, reports, echoes;
} gateway_counters;
extern gateway_counters GATEWAY_COUNT;
void gateway_counters_register(void);

#endif
