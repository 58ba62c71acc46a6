/* exchange: the callbacks that server.c gives to libmicrohttpd. */
#ifndef GANTRY_HTTP_EXCHANGE_H
#define GANTRY_HTTP_EXCHANGE_H

#include "internal.h"

void exchange_register_counters(void);
void *exchange_begin(void *cls, const char *uri, struct MHD_Connection *c);
void exchange_end(void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code);
enum MHD_Result exchange_call(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *data, size_t *n, void **state);

#endif
