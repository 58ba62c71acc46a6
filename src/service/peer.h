/* peer: one DICOM node as people write it: AET@HOST:PORT, or NAME=AET@HOST:PORT. */
#ifndef GANTRY_SERVICE_PEER_H
#define GANTRY_SERVICE_PEER_H

#include "base/base.h"

typedef struct peer {
    char name[64];         /* alias; the AE title when none is given */
    char aet[17];
    char host[256];        /* without the brackets of an IPv6 address; "" when it only calls us */
    uint16_t port;
    uint32_t permissions;  /* bits of gateway_permission */
} peer;

/* Parses "[NAME=]AET@HOST:PORT" with all permissions. HOST may be [::1]. GN_E_INVALID says which part is wrong. */
int peer_parse(const char *text, peer *out, gn_error *e);
/* PS3.5 §6.2, AE: 1 to 16 characters of the default repertoire, no backslash, not only spaces. */
bool peer_aet_valid(const char *aet);
int peer_check_name(const char *name, gn_error *e);

#endif
