/* dimse: the DICOM network, upper layer (PS3.8) and message exchange (PS3.7), both sides.
 *
 * A server is a listener whose lobby thread reads A-ASSOCIATE-RQs of any number of silent or slow peers with bounded memory;
 * only a complete request gets an association slot and a thread. In that thread the owner's `serve` callback pulls messages
 * with dimse_receive. A client calls dimse_connect and uses the same functions. No global state, no logging: the observer
 * callbacks of the configuration tell the edge what happened.
 * Thread rule: an association belongs to one thread; dimse_association_shutdown may be called from any. */
#ifndef GANTRY_DIMSE_H
#define GANTRY_DIMSE_H

#include "base/base.h"
#include "dicom/dicom.h"

/* ---- limits (each named, each checked before memory is taken: T1, T4) --------------------------------------------------- */

#define DIMSE_MAX_REQUEST_PDU (64u * 1024u)     /* one A-ASSOCIATE-RQ / AC */
#define DIMSE_MAX_CONTEXTS 128
#define DIMSE_MAX_TRANSFER_SYNTAXES 64           /* of one presentation context; more are ignored */
#define DIMSE_MAX_COMMAND (16u * 1024u)          /* one command set */
#define DIMSE_DEFAULT_MAX_PDU (256u * 1024u)

/* ---- presentation contexts and negotiation (PS3.8 §9.3, PS3.7 Annex D) ------------------------------------------------- */

typedef enum dimse_context_result { DIMSE_CONTEXT_ACCEPTED = 0, DIMSE_CONTEXT_USER_REJECTED = 1, DIMSE_CONTEXT_NO_REASON = 2,
    DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED = 3, DIMSE_CONTEXT_TRANSFER_UNSUPPORTED = 4 } dimse_context_result;

typedef struct dimse_context {
    uint8_t id;                       /* odd, 1..255 */
    dimse_context_result result;
    char abstract_syntax[65];
    size_t proposed_count;
    char (*proposed)[65];             /* transfer syntaxes proposed, in order; arena of the association */
    char transfer_syntax[65];         /* the accepted one */
    bool scu_role, scp_role;          /* role selection: what the requestor may do after negotiation (default scu=1, scp=0) */
    bool role_proposed, proposed_scu, proposed_scp;
    uint8_t extended[16], extended_length; /* SOP class extended negotiation: application information, proposed / accepted */
} dimse_context;

typedef struct dimse_user_identity { uint8_t type; bool response_requested; const uint8_t *primary, *secondary; uint16_t primary_length, secondary_length; } dimse_user_identity; /* PS3.7 D.3.3.7: 1 name, 2 name+passcode, 3 Kerberos, 4 SAML, 5 JWT; type 0: none */

typedef struct dimse_negotiation {
    char called[17], calling[17];     /* AE titles without padding */
    char application_context[65];
    dimse_context context[DIMSE_MAX_CONTEXTS];
    size_t context_count;
    uint32_t peer_max_pdu;            /* 0: no limit stated */
    uint16_t invoked, performed;      /* asynchronous operations window, as the requestor put it; 0: unlimited; 1,1: not negotiated */
    char implementation_class[65], implementation_version[17];
    dimse_user_identity identity;
    char peer_address[64];            /* numeric "127.0.0.1:50312" */
    bool tls;
} dimse_negotiation;

/* A-ASSOCIATE-RJ (PS3.8 Table 9-21). */
typedef struct dimse_reject { uint8_t result, source, reason; } dimse_reject;
#define DIMSE_REJECT_CALLED_AE ((dimse_reject){ 1, 1, 7 })
#define DIMSE_REJECT_CALLING_AE ((dimse_reject){ 1, 1, 3 })
#define DIMSE_REJECT_APPLICATION_CONTEXT ((dimse_reject){ 1, 1, 2 })
#define DIMSE_REJECT_NO_REASON ((dimse_reject){ 1, 1, 1 })
#define DIMSE_REJECT_PROTOCOL_VERSION ((dimse_reject){ 1, 2, 2 })
#define DIMSE_REJECT_CONGESTION ((dimse_reject){ 2, 3, 1 })
#define DIMSE_REJECT_LOCAL_LIMIT ((dimse_reject){ 2, 3, 2 })
const char *dimse_reject_text(dimse_reject r);
/* A-ABORT source and reason (PS3.8 Table 9-26). */
const char *dimse_abort_text(uint8_t source, uint8_t reason);

/* ---- messages (PS3.7 §9, §10, Annex E) --------------------------------------------------------------------------------- */

typedef enum dimse_command {
    DIMSE_C_STORE_RQ = 0x0001, DIMSE_C_STORE_RSP = 0x8001, DIMSE_C_GET_RQ = 0x0010, DIMSE_C_GET_RSP = 0x8010, DIMSE_C_FIND_RQ = 0x0020,
    DIMSE_C_FIND_RSP = 0x8020, DIMSE_C_MOVE_RQ = 0x0021, DIMSE_C_MOVE_RSP = 0x8021, DIMSE_C_ECHO_RQ = 0x0030, DIMSE_C_ECHO_RSP = 0x8030,
    DIMSE_N_EVENT_REPORT_RQ = 0x0100, DIMSE_N_EVENT_REPORT_RSP = 0x8100, DIMSE_N_GET_RQ = 0x0110, DIMSE_N_GET_RSP = 0x8110,
    DIMSE_N_SET_RQ = 0x0120, DIMSE_N_SET_RSP = 0x8120, DIMSE_N_ACTION_RQ = 0x0130, DIMSE_N_ACTION_RSP = 0x8130, DIMSE_N_CREATE_RQ = 0x0140,
    DIMSE_N_CREATE_RSP = 0x8140, DIMSE_N_DELETE_RQ = 0x0150, DIMSE_N_DELETE_RSP = 0x8150, DIMSE_C_CANCEL_RQ = 0x0FFF } dimse_command;
enum { DIMSE_SUCCESS = 0x0000, DIMSE_CANCEL = 0xFE00, DIMSE_PENDING = 0xFF00, DIMSE_PENDING_WARNING = 0xFF01, DIMSE_WARNING_SUBOPERATIONS = 0xB000,
       DIMSE_NO_SUCH_SOP_CLASS = 0x0118, DIMSE_UNRECOGNIZED_OPERATION = 0x0211, DIMSE_PROCESSING_FAILURE = 0x0110, DIMSE_DUPLICATE_INVOCATION = 0x0210,
       DIMSE_MISTYPED_ARGUMENT = 0x0212, DIMSE_NOT_AUTHORIZED = 0x0124, DIMSE_INVALID_ARGUMENT = 0x0115, DIMSE_NO_SUCH_INSTANCE = 0x0112,
       DIMSE_MOVE_DESTINATION_UNKNOWN = 0xA801, DIMSE_OUT_OF_RESOURCES = 0xA700, DIMSE_OUT_OF_RESOURCES_SUBOPERATIONS = 0xA702,
       DIMSE_IDENTIFIER_MISMATCH = 0xA900, DIMSE_CANNOT_UNDERSTAND = 0xC000 };

/* A decoded command set. Strings are without padding. Fields that were absent hold 0 / "" (has_* where that matters). */
typedef struct dimse_message {
    uint8_t context_id;
    uint16_t command;                 /* dimse_command */
    uint16_t message_id;              /* (0000,0110), in responses (0000,0120) */
    uint16_t priority, status;
    bool has_dataset;
    char sop_class[65], sop_instance[65];  /* affected or requested, whichever the message uses */
    char move_destination[17], move_originator[17];
    uint16_t move_originator_id, event_type, action_type, error_id;
    char error_comment[65];
    bool has_counts;                  /* sub-operation counts are present / to be sent */
    uint16_t remaining, completed, failed, warning;
    dicom_tag offending[8];           /* Offending Element */
    size_t offending_count;
    bool has_status, has_affected_instance; /* N-responses echo the instance */
} dimse_message;

typedef struct dimse_association dimse_association;

/* Waits for the next command set (idle timer). 0: *m is filled; if m->has_dataset the caller must read it to its end before the
 * next call. 1: the peer asked to release; it has been answered and the association is over. <0: aborted, closed, timed out or
 * protocol error; an A-ABORT was sent where PS3.8 asks for it, and e tells which. A command set that cannot be understood but is framed well
 * gives 0 with m->command as received: the caller answers 0211H. */
int dimse_receive(dimse_association *a, dimse_message *m, gn_error *e);
/* The next piece of the data set, straight from the socket into the caller's memory: *n <= cap bytes, *last true with the final
 * piece (then *n may be 0). No copy is made for bytes not yet received. */
int dimse_read_into(dimse_association *a, void *dst, size_t cap, size_t *n, bool *last, gn_error *e);
/* A whole data set of at most `limit` bytes (identifiers, N-service data) appended to out. Longer: GN_E_TOO_LARGE, the rest is
 * read and thrown away. */
int dimse_read_dataset(dimse_association *a, size_t limit, gn_buf *out, gn_error *e);
int dimse_skip_dataset(dimse_association *a, gn_error *e);

/* What a message's data set is sent from: memory and/or a file slice, in this order; fragments are cut to the peer's maximum. */
typedef struct dimse_payload {
    const void *bytes; size_t n;
    int fd; uint64_t offset, length;  /* fd < 0: none. Sent by sendfile or mapped pages, not copied through a buffer */
} dimse_payload;
/* Encodes and sends command and data set in as few writes as possible (one for small ones). NULL payload: no data set.
 * Write timeout: GN_E_TIMEOUT and the association is aborted. */
int dimse_send(dimse_association *a, const dimse_message *m, const dimse_payload *payload, gn_error *e);
/* Collects small messages and sends them together when 64 KiB are there or on dimse_flush. For floods of pending responses. */
int dimse_queue(dimse_association *a, const dimse_message *m, const void *dataset, size_t n, gn_error *e);
int dimse_flush(dimse_association *a, gn_error *e);
/* Has a C-CANCEL-RQ for message_id arrived? Looks at what is there without waiting. Other messages that arrive meanwhile are kept
 * for dimse_receive (at most the asynchronous window; beyond it: A-ABORT). 1 yes, 0 no, <0 broken. */
int dimse_cancelled(dimse_association *a, uint16_t message_id, gn_error *e);
/* Answers m with `status` (command | 0x8000, message id and SOP class/instance echoed, no data set). comment: NULL or <= 64 characters. */
int dimse_respond(dimse_association *a, const dimse_message *m, uint16_t status, const char *comment, gn_error *e);

const dimse_negotiation *dimse_association_negotiation(const dimse_association *a);
const dimse_context *dimse_association_context(const dimse_association *a, uint8_t id); /* NULL: not accepted */
/* First accepted context with this abstract syntax and (unless NULL) transfer syntax. */
const dimse_context *dimse_association_find(const dimse_association *a, const char *abstract_syntax, const char *transfer_syntax);
uint64_t dimse_association_id(const dimse_association *a); /* for logs */
void dimse_association_shutdown(dimse_association *a); /* any thread: makes blocked calls return GN_E_CLOSED soon */

/* Command sets alone, for tests and tools: implicit VR little endian with group length (PS3.7 §6.3.1). */
int dimse_command_encode(const dimse_message *m, gn_buf *out, gn_error *e);
int dimse_command_decode(const void *bytes, size_t n, dimse_message *m, gn_error *e);
/* A-ASSOCIATE-RQ/AC bodies (what follows the 6-byte PDU header); memory from arena. */
int dimse_associate_decode(gn_arena *arena, bool is_request, const void *body, size_t n, dimse_negotiation *out, gn_error *e);
int dimse_associate_encode(bool is_request, const dimse_negotiation *in, gn_buf *out, gn_error *e);

/* ---- server ------------------------------------------------------------------------------------------------------------ */

typedef struct dimse_timeouts { uint32_t artim_ms, idle_ms, dimse_ms, write_ms, connect_ms; } dimse_timeouts; /* 0: 30 s, 300 s, 60 s, 60 s, 10 s. idle: between messages; dimse: within one */

typedef struct dimse_server_config {
    const char *address; uint16_t port;  /* "127.0.0.1"; 0: any free port */
    uint32_t max_pdu;                    /* announced (0: default) */
    unsigned max_associations;           /* 0: 512; beyond: A-ASSOCIATE-RJ local limit exceeded, transient */
    unsigned max_associations_per_peer;  /* per calling AE + address; 0: no limit of its own */
    unsigned max_lobby;                  /* connections without a complete request; 0: 1024; beyond: the oldest silent one is closed */
    uint16_t max_operations;             /* asynchronous operations performed we accept (0: 16); invoked: 1 */
    dimse_timeouts timeouts;
    /* Called in the association's thread with the decoded request: decide every context's result and transfer_syntax, roles, extended
     * negotiation. true: accept; false: *reject says why. */
    bool (*negotiate)(void *ctx, dimse_negotiation *n, dimse_reject *reject);
    /* The association's life: pull messages until dimse_receive says it is over. */
    void (*serve)(void *ctx, dimse_association *a);
    /* For logs and counters: event is "accepted" "rejected" "released" "aborted" "closed" "lobby-timeout" "lobby-full" "protocol-error"; n may be NULL. */
    void (*observe)(void *ctx, const char *event, const dimse_negotiation *n, const char *peer_address, const gn_error *e);
    void *ctx;
    void *tls;                           /* reserved for a TLS context; NULL: plain */
} dimse_server_config;
typedef struct dimse_server dimse_server;
dimse_server *dimse_server_start(const dimse_server_config *config, gn_error *e);
uint16_t dimse_server_port(const dimse_server *s);
unsigned dimse_server_active(const dimse_server *s);
/* Stops accepting; idle associations are released by A-ABORT at once, busy ones may finish their current message for grace_ms. */
void dimse_server_stop(dimse_server **s, uint32_t grace_ms);

/* ---- client ------------------------------------------------------------------------------------------------------------ */

typedef struct dimse_proposal { const char *abstract_syntax; const char *const *transfer_syntaxes; size_t count; bool scp_role; const uint8_t *extended; uint8_t extended_length; } dimse_proposal;
typedef struct dimse_client_config {
    const char *host; uint16_t port;
    const char *called, *calling;
    const dimse_proposal *proposals; size_t proposal_count; /* at most 128 */
    uint32_t max_pdu; uint16_t invoked, performed;          /* 0: default, 1, 1 */
    dimse_timeouts timeouts;
    dimse_user_identity identity;
} dimse_client_config;
/* Connects and negotiates. GN_E_REJECTED with the reason in words; GN_E_PROTOCOL names a TLS answer when it looks like one. */
dimse_association *dimse_connect(const dimse_client_config *config, gn_error *e);
/* Release (waits for the answer, at most the dimse timeout) or abort, and free. */
void dimse_close(dimse_association **a);
void dimse_abort(dimse_association **a);
/* One request and its final response: sends, then calls on_response for each response (pending ones with their data set) until a
 * final status; NULL on_response: only the last is returned in *last. For C-GET, incoming C-STORE-RQs go to on_store. */
typedef struct dimse_exchange {
    int (*on_response)(void *ctx, const dimse_message *rsp, const void *dataset, size_t n); /* non-zero: send C-CANCEL */
    int (*on_store)(void *ctx, dimse_association *a, const dimse_message *rq);             /* must read the data set and respond */
    void *ctx;
    size_t max_dataset;
} dimse_exchange;
int dimse_call(dimse_association *a, dimse_message *rq, const dimse_payload *payload, const dimse_exchange *x, dimse_message *last, gn_error *e);
uint16_t dimse_next_message_id(dimse_association *a);

#endif
