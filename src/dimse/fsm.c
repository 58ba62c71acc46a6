/* The upper layer state machine of PS3.8 §9.2 as a table: 13 states × 19 events, with the standard's names.
 *
 * A cell holds the action and the next state. Where the standard names two next states (AE-6: Sta3 or Sta13; AR-8: Sta9 or Sta10)
 * the table has the first and the code that performs the action decides. */
#include "internal.h"

#define ROW(e) [e - 1]

/* Table 9-10, one line an event, columns Sta1 … Sta13; {0,0} where the standard leaves the cell empty. */
#define N { NO_ACTION, 0 }
#define A1 { AA_1, STA13 }
#define A8 { AA_8, STA13 }
static const dimse_transition table[DIMSE_FSM_EVENTS][DIMSE_FSM_STATES] = {
    /* A-ASSOCIATE request (local) */
    ROW(EVT1) = { { AE_1, STA4 }, N, N, N, N, N, N, N, N, N, N, N, N },
    /* transport connection confirmed */
    ROW(EVT2) = { N, N, N, { AE_2, STA5 }, N, N, N, N, N, N, N, N, N },
    /* A-ASSOCIATE-AC received */
    ROW(EVT3) = { N, A1, A8, N, { AE_3, STA6 }, A8, A8, A8, A8, A8, A8, A8, { AA_6, STA13 } },
    /* A-ASSOCIATE-RJ received */
    ROW(EVT4) = { N, A1, A8, N, { AE_4, STA1 }, A8, A8, A8, A8, A8, A8, A8, { AA_6, STA13 } },
    /* transport connection indication */
    ROW(EVT5) = { { AE_5, STA2 }, N, N, N, N, N, N, N, N, N, N, N, N },
    /* A-ASSOCIATE-RQ received */
    ROW(EVT6) = { N, { AE_6, STA3 }, A8, N, A8, A8, A8, A8, A8, A8, A8, A8, { AA_7, STA13 } },
    /* A-ASSOCIATE response, accept */
    ROW(EVT7) = { N, N, { AE_7, STA6 }, N, N, N, N, N, N, N, N, N, N },
    /* A-ASSOCIATE response, reject */
    ROW(EVT8) = { N, N, { AE_8, STA13 }, N, N, N, N, N, N, N, N, N, N },
    /* P-DATA request */
    ROW(EVT9) = { N, N, N, N, N, { DT_1, STA6 }, N, { AR_7, STA8 }, N, N, N, N, N },
    /* P-DATA-TF received */
    ROW(EVT10) = { N, A1, A8, N, A8, { DT_2, STA6 }, { AR_6, STA7 }, A8, A8, A8, A8, A8, { AA_6, STA13 } },
    /* A-RELEASE request */
    ROW(EVT11) = { N, N, N, N, N, { AR_1, STA7 }, N, N, N, N, N, N, N },
    /* A-RELEASE-RQ received */
    ROW(EVT12) = { N, A1, A8, N, A8, { AR_2, STA8 }, { AR_8, STA9 }, A8, A8, A8, A8, A8, { AA_6, STA13 } },
    /* A-RELEASE-RP received */
    ROW(EVT13) = { N, A1, A8, N, A8, A8, { AR_3, STA1 }, A8, A8, { AR_10, STA12 }, { AR_3, STA1 }, A8, { AA_6, STA13 } },
    /* A-RELEASE response */
    ROW(EVT14) = { N, N, N, N, N, N, N, { AR_4, STA13 }, { AR_9, STA11 }, N, N, { AR_4, STA13 }, N },
    /* A-ABORT request */
    ROW(EVT15) = { N, N, A1, { AA_2, STA1 }, A1, A1, A1, A1, A1, A1, A1, A1, N },
    /* A-ABORT received */
    ROW(EVT16) = { N, { AA_2, STA1 }, { AA_3, STA1 }, N, { AA_3, STA1 }, { AA_3, STA1 }, { AA_3, STA1 }, { AA_3, STA1 }, { AA_3, STA1 }, { AA_3, STA1 }, { AA_3, STA1 }, { AA_3, STA1 }, { AA_2, STA1 } },
    /* transport connection closed */
    ROW(EVT17) = { N, { AA_5, STA1 }, { AA_4, STA1 }, { AA_4, STA1 }, { AA_4, STA1 }, { AA_4, STA1 }, { AA_4, STA1 }, { AA_4, STA1 }, { AA_4, STA1 }, { AA_4, STA1 }, { AA_4, STA1 }, { AA_4, STA1 }, { AR_5, STA1 } },
    /* ARTIM timer expired */
    ROW(EVT18) = { N, { AA_2, STA1 }, N, N, N, N, N, N, N, N, N, N, { AA_2, STA1 } },
    /* unrecognized or invalid PDU received */
    ROW(EVT19) = { N, A1, A8, N, A8, A8, A8, A8, A8, A8, A8, A8, { AA_7, STA13 } },
};

dimse_transition dimse_fsm(dimse_state state, dimse_event event) {
    if (state < STA1 || state > STA13 || event < EVT1 || event > EVT19) return (dimse_transition){ NO_ACTION, 0 };
    return table[event - 1][state - 1];
}

dimse_event dimse_fsm_pdu_event(uint8_t type) {
    static const uint8_t events[8] = { EVT19, EVT6, EVT3, EVT4, EVT10, EVT12, EVT13, EVT16 };
    return (dimse_event)(type < sizeof events ? events[type] : EVT19);
}
