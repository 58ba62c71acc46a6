/* wiring: from the configuration to what the archive and the gateway are started with. */
#ifndef GANTRY_SERVICE_WIRING_H
#define GANTRY_SERVICE_WIRING_H

#include "archive/archive.h"
#include "config.h"
#include "gateway/gateway.h"
#include "http/http.h"
#include "pixel/pixel.h"

void wire_archive(const config *c, archive_config *out); /* texts are borrowed from c */
void wire_workers(const config *c, pixel_worker_config *out);

/* Memory behind a gateway_config; free with wire_gateway_done. Texts are borrowed from the config. */
typedef struct wired_gateway {
    gateway_config config;
    gateway_peer *peers;
    const char **transfer_syntaxes;
} wired_gateway;
int wire_gateway(const config *c, wired_gateway *out, gn_error *e);
void wire_gateway_done(wired_gateway *w);
/* The rights of callers that are no peers. */
uint32_t wire_unknown_permissions(const config *c);

/* Who may reach HTTP, and how. Borrows from the configuration. */
void wire_http(const config *c, http_config *out);

#endif
