/* Two ends of one connection for tests: our association on one side, raw bytes under the test's control on the other. */
#ifndef DIMSE_TEST_PAIR_H
#define DIMSE_TEST_PAIR_H

#include "internal.h"

typedef struct pair { dimse_association *a; int raw; } pair;
/* An established association (Sta6) with context 1 (Verification) and 3 (CT) accepted. */
pair pair_open(const dimse_timeouts *t, uint32_t own_max, uint32_t peer_max);
void pair_close(pair *p);
void pair_put(pair *p, const void *bytes, size_t n);
/* One P-DATA-TF holding one PDV. */
void pair_put_pdv(pair *p, uint8_t context, uint8_t control, const void *bytes, size_t n);
void pair_put_command(pair *p, const dimse_message *m);
/* Reads one PDU; its type, body appended to out. 0: closed. */
uint8_t pair_get(pair *p, gn_buf *out);
/* Reads until the association's A-ABORT: source << 8 | reason, or -1. */
int pair_get_abort(pair *p);
#endif
