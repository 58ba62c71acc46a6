/* Private to the dimse room: the association's inside, the transport under it, the state machine, PDU constants. */
#ifndef DIMSE_INTERNAL_H
#define DIMSE_INTERNAL_H

#include "dimse/dimse.h"

#include <pthread.h>

/* ---- PDUs (PS3.8 §9.3) -------------------------------------------------------------------------------------------------- */

enum { PDU_ASSOCIATE_RQ = 1, PDU_ASSOCIATE_AC = 2, PDU_ASSOCIATE_RJ = 3, PDU_P_DATA_TF = 4, PDU_RELEASE_RQ = 5, PDU_RELEASE_RP = 6, PDU_ABORT = 7 };
enum { PDU_HEADER = 6, PDV_HEADER = 6, PDATA_HEADER = PDU_HEADER + PDV_HEADER };
enum { PDV_COMMAND = 1, PDV_LAST = 2 };
enum { ABORT_SOURCE_USER = 0, ABORT_SOURCE_PROVIDER = 2 };
enum { ABORT_NOT_SPECIFIED = 0, ABORT_UNRECOGNIZED_PDU = 1, ABORT_UNEXPECTED_PDU = 2, ABORT_UNRECOGNIZED_PARAMETER = 4, ABORT_UNEXPECTED_PARAMETER = 5, ABORT_INVALID_PARAMETER = 6 };

/* ---- state machine (PS3.8 §9.2, Table 9-10) ----------------------------------------------------------------------------- */

#define DIMSE_FSM_STATES 13
#define DIMSE_FSM_EVENTS 19
typedef enum dimse_state { STA1 = 1, STA2, STA3, STA4, STA5, STA6, STA7, STA8, STA9, STA10, STA11, STA12, STA13 } dimse_state;
typedef enum dimse_event { EVT1 = 1, EVT2, EVT3, EVT4, EVT5, EVT6, EVT7, EVT8, EVT9, EVT10, EVT11, EVT12, EVT13, EVT14, EVT15, EVT16, EVT17, EVT18, EVT19 } dimse_event;
typedef enum dimse_action { NO_ACTION, AE_1, AE_2, AE_3, AE_4, AE_5, AE_6, AE_7, AE_8, DT_1, DT_2, AR_1, AR_2, AR_3, AR_4, AR_5, AR_6, AR_7, AR_8, AR_9, AR_10,
    AA_1, AA_2, AA_3, AA_4, AA_5, AA_6, AA_7, AA_8 } dimse_action;
typedef struct dimse_transition { uint8_t action, next; } dimse_transition; /* action NO_ACTION: the event cannot happen in this state */
dimse_transition dimse_fsm(dimse_state state, dimse_event event);
dimse_event dimse_fsm_pdu_event(uint8_t pdu_type); /* EVT19 for an unknown type */

/* ---- transport ---------------------------------------------------------------------------------------------------------- */

/* A socket whose every wait has a deadline (monotonic nanoseconds). Non-blocking underneath. */
struct iovec;
void dimse_socket_prepare(int fd); /* non-blocking, TCP_NODELAY, keep-alive */
/* Bytes read into the vector (>= 1). GN_E_CLOSED at end of stream, GN_E_TIMEOUT at the deadline. */
int64_t dimse_socket_read(int fd, const struct iovec *v, int n, uint64_t deadline, gn_error *e);
int64_t dimse_socket_read_now(int fd, void *p, size_t n); /* without waiting: 0 nothing there, -1 closed or broken */
/* Writes everything; each piece of progress restarts the timer of `timeout_ms`. The vector is consumed. */
int dimse_socket_write(int fd, struct iovec *v, int n, uint32_t timeout_ms, int more, gn_error *e);
int dimse_socket_sendfile(int fd, int file, uint64_t offset, uint64_t n, uint32_t timeout_ms, gn_error *e);
int dimse_socket_connect(const char *host, uint16_t port, uint32_t timeout_ms, gn_error *e); /* fd or code */

/* ---- association -------------------------------------------------------------------------------------------------------- */

enum { DIMSE_READ_BUFFER = 8192, DIMSE_WRITE_BUFFER = 65536 };
enum { ACTIVITY_IDLE, ACTIVITY_BUSY, ACTIVITY_STOPPED };

struct dimse_association {
    int fd;
    dimse_state state;
    bool requestor;
    uint64_t id;
    gn_arena *arena;
    dimse_negotiation negotiation;
    uint8_t context_index[256];    /* id -> index + 1 of accepted contexts */
    uint32_t own_max_pdu, peer_max_pdu;
    dimse_timeouts timeouts;
    uint16_t next_message_id;
    _Atomic int activity;          /* ACTIVITY_…: lets dimse_server_stop end idle associations without racing a message that begins */
    _Atomic bool stop_after;       /* end at the next message boundary */

    /* reading: bytes that came along with headers, and where in PDU and PDV the stream stands */
    uint8_t *rx;
    size_t rx_off, rx_len;
    uint32_t pdu_left, pdv_left;
    uint8_t pdv_context, pdv_control;
    bool dataset_open;             /* a command announced a data set that is not read to its end */
    uint8_t dataset_context;
    uint64_t deadline;             /* of the message being read */
    uint64_t progress;             /* payload bytes since the deadline was set */
    gn_buf command;                /* command set being gathered */

    gn_buf out;                    /* dimse_queue */

    struct dimse_server *server;   /* owner, or NULL for a client */
    dimse_association *prev, *next;
    char peer_address[64];
};

dimse_association *dimse_association_new(int fd, const dimse_timeouts *t, uint32_t own_max_pdu, gn_error *e);
void dimse_association_destroy(dimse_association **a); /* closes the socket */
void dimse_association_adopt(dimse_association *a); /* negotiation is final: builds the context index, takes the peer's maximum */
int dimse_association_write(dimse_association *a, const void *p, size_t n, gn_error *e);
/* Sends A-ABORT, closes for writing, state Sta13/Sta1. */
void dimse_association_send_abort(dimse_association *a, uint8_t source, uint8_t reason);
/* Reads one whole PDU of at most `limit` bytes of body (association phase only). type and body (arena). */
int dimse_association_read_pdu(dimse_association *a, uint32_t limit, uint64_t deadline, uint8_t *type, const uint8_t **body, size_t *n, gn_error *e);
int dimse_association_release(dimse_association *a, gn_error *e); /* requestor: A-RELEASE and its answer */
dimse_timeouts dimse_timeouts_or_default(const dimse_timeouts *t);
uint64_t dimse_deadline(uint32_t ms);

/* Presentation context and user item helpers shared by encode and decode. */
int dimse_reject_encode(dimse_reject r, uint8_t out[10]);

#endif
