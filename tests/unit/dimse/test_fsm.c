/* All 13 × 19 cells of PS3.8 Table 9-10, written down a second time in another shape: rows by event as the standard prints them. */
#include "internal.h"

#include "check.h"

static const char *const action_names[] = { "-", "AE-1", "AE-2", "AE-3", "AE-4", "AE-5", "AE-6", "AE-7", "AE-8", "DT-1", "DT-2", "AR-1", "AR-2", "AR-3", "AR-4", "AR-5", "AR-6", "AR-7", "AR-8",
    "AR-9", "AR-10", "AA-1", "AA-2", "AA-3", "AA-4", "AA-5", "AA-6", "AA-7", "AA-8" };

/* One string an event: "action/next" for Sta1 … Sta13, "-" for an empty cell. */
static const char *const expected[19] = {
    "AE-1/4 - - - - - - - - - - - -",
    "- - - AE-2/5 - - - - - - - - -",
    "- AA-1/13 AA-8/13 - AE-3/6 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13",
    "- AA-1/13 AA-8/13 - AE-4/1 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13",
    "AE-5/2 - - - - - - - - - - - -",
    "- AE-6/3 AA-8/13 - AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-7/13",
    "- - AE-7/6 - - - - - - - - - -",
    "- - AE-8/13 - - - - - - - - - -",
    "- - - - - DT-1/6 - AR-7/8 - - - - -",
    "- AA-1/13 AA-8/13 - AA-8/13 DT-2/6 AR-6/7 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13",
    "- - - - - AR-1/7 - - - - - - -",
    "- AA-1/13 AA-8/13 - AA-8/13 AR-2/8 AR-8/9 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13",
    "- AA-1/13 AA-8/13 - AA-8/13 AA-8/13 AR-3/1 AA-8/13 AA-8/13 AR-10/12 AR-3/1 AA-8/13 AA-6/13",
    "- - - - - - - AR-4/13 AR-9/11 - - AR-4/13 -",
    "- - AA-1/13 AA-2/1 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 -",
    "- AA-2/1 AA-3/1 - AA-3/1 AA-3/1 AA-3/1 AA-3/1 AA-3/1 AA-3/1 AA-3/1 AA-3/1 AA-2/1",
    "- AA-5/1 AA-4/1 AA-4/1 AA-4/1 AA-4/1 AA-4/1 AA-4/1 AA-4/1 AA-4/1 AA-4/1 AA-4/1 AR-5/1",
    "- AA-2/1 - - - - - - - - - - AA-2/1",
    "- AA-1/13 AA-8/13 - AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-7/13",
};

TEST(every_cell_is_what_the_standard_says) {
    for (int ev = 1; ev <= 19; ev++) {
        char row[400] = "";
        size_t n = 0;
        for (int st = 1; st <= 13; st++) {
            dimse_transition t = dimse_fsm((dimse_state)st, (dimse_event)ev);
            n += (size_t)snprintf(row + n, sizeof row - n, st > 1 ? " %s" : "%s", action_names[t.action]);
            if (t.action != NO_ACTION) n += (size_t)snprintf(row + n, sizeof row - n, "/%d", t.next);
        }
        CHECK_STR(row, expected[ev - 1]);
    }
}

TEST(states_and_events_outside_the_table_do_nothing) {
    CHECK_INT(dimse_fsm((dimse_state)0, EVT1).action, NO_ACTION);
    CHECK_INT(dimse_fsm((dimse_state)14, EVT1).action, NO_ACTION);
    CHECK_INT(dimse_fsm(STA6, (dimse_event)0).action, NO_ACTION);
    CHECK_INT(dimse_fsm(STA6, (dimse_event)20).action, NO_ACTION);
}

TEST(pdu_types_name_their_events) {
    CHECK_INT(dimse_fsm_pdu_event(PDU_ASSOCIATE_RQ), EVT6);
    CHECK_INT(dimse_fsm_pdu_event(PDU_ASSOCIATE_AC), EVT3);
    CHECK_INT(dimse_fsm_pdu_event(PDU_ASSOCIATE_RJ), EVT4);
    CHECK_INT(dimse_fsm_pdu_event(PDU_P_DATA_TF), EVT10);
    CHECK_INT(dimse_fsm_pdu_event(PDU_RELEASE_RQ), EVT12);
    CHECK_INT(dimse_fsm_pdu_event(PDU_RELEASE_RP), EVT13);
    CHECK_INT(dimse_fsm_pdu_event(PDU_ABORT), EVT16);
    CHECK_INT(dimse_fsm_pdu_event(0), EVT19);
    CHECK_INT(dimse_fsm_pdu_event(8), EVT19);
    CHECK_INT(dimse_fsm_pdu_event(255), EVT19);
}

TEST(reject_and_abort_words) {
    CHECK_STR(dimse_reject_text(DIMSE_REJECT_CALLED_AE), "called AE title not recognized");
    CHECK_STR(dimse_reject_text(DIMSE_REJECT_CALLING_AE), "calling AE title not recognized");
    CHECK_STR(dimse_reject_text(DIMSE_REJECT_LOCAL_LIMIT), "local limit exceeded");
    CHECK_STR(dimse_reject_text(DIMSE_REJECT_CONGESTION), "temporary congestion");
    CHECK_STR(dimse_reject_text(DIMSE_REJECT_PROTOCOL_VERSION), "protocol version not supported");
    CHECK_STR(dimse_reject_text(DIMSE_REJECT_APPLICATION_CONTEXT), "application context name not supported");
    CHECK_STR(dimse_reject_text(DIMSE_REJECT_NO_REASON), "no reason given");
    CHECK_STR(dimse_reject_text((dimse_reject){ 1, 9, 9 }), "unknown reason");
    CHECK_STR(dimse_abort_text(0, 3), "aborted by the peer's application");
    CHECK_STR(dimse_abort_text(2, 1), "unrecognized PDU");
    CHECK_STR(dimse_abort_text(2, 6), "invalid PDU parameter value");
    CHECK_STR(dimse_abort_text(2, 99), "unknown reason");
    CHECK_STR(dimse_abort_text(1, 0), "aborted, unknown source");
}
