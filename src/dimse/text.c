/* The words behind the numbers of A-ASSOCIATE-RJ (PS3.8 Table 9-21) and A-ABORT (Table 9-26), for error messages and logs. */
#include "internal.h"

const char *dimse_reject_text(dimse_reject r) {
    static const struct { dimse_reject r; const char *text; } words[] = {
        { { 0, 1, 1 }, "no reason given" }, { { 0, 1, 2 }, "application context name not supported" }, { { 0, 1, 3 }, "calling AE title not recognized" },
        { { 0, 1, 7 }, "called AE title not recognized" }, { { 0, 2, 1 }, "no reason given (ACSE)" }, { { 0, 2, 2 }, "protocol version not supported" },
        { { 0, 3, 0 }, "reserved reason" }, { { 0, 3, 1 }, "temporary congestion" }, { { 0, 3, 2 }, "local limit exceeded" },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(words); i++)
        if (words[i].r.source == r.source && words[i].r.reason == r.reason) return words[i].text;
    return "unknown reason";
}

const char *dimse_abort_text(uint8_t source, uint8_t reason) {
    static const char *const reasons[] = { "reason not specified", "unrecognized PDU", "unexpected PDU", "reserved reason", "unrecognized PDU parameter", "unexpected PDU parameter", "invalid PDU parameter value" };
    if (source == ABORT_SOURCE_USER) return "aborted by the peer's application";
    if (source != ABORT_SOURCE_PROVIDER) return "aborted, unknown source";
    return reason < GN_ARRAY_LEN(reasons) ? reasons[reason] : "unknown reason";
}
