/* http: the HTTP face of an archive: DICOMweb under /dicom-web, the imaging API under /api/v1/imaging, health, metrics, documentation.
 *
 * This is an edge: it logs (gn_log) and counts (gn_counter), and here an error becomes a problem document (RFC 9457). One listener; a
 * thread for each connection, so that a slow client holds nothing but its own. HTTP/1.1, TLS by configuration; HTTP/2 by a proxy in
 * front. In `http_config` a zero or NULL always means the default that is named.
 * Thread rule: http_start and http_stop once; the rest from any thread. */
#ifndef GANTRY_HTTP_H
#define GANTRY_HTTP_H

#include "archive/archive.h"
#include "base/base.h"
#include "pixel/pixel.h"
#include "security/security.h"

typedef struct http_limits {
    unsigned connections;            /* at once (0: 2048) */
    unsigned connections_per_address;/* 0: no limit of its own (a proxy in front is one address) */
    uint32_t idle_ms;                /* a connection without progress (0: 30 s) */
    uint32_t header_ms;              /* from the first byte of a request to the end of its header (0: 20 s) */
    uint32_t body_bytes_per_s;       /* a body that comes slower than this over 30 s is given up (0: 256) */
    uint64_t body;                   /* of a stored request body: STOW, upload (0: 16 GiB) */
    size_t document;                 /* of a JSON request body (0: 4 MiB) */
    uint64_t query_results;          /* rows of one answer (0: 10,000); more are said to be more by a Warning header and a next page */
    uint32_t query_deadline_ms;      /* 0: 30 s */
    uint32_t megapixels;             /* of a rendered picture (0: 100) */
} http_limits;

typedef struct http_config {
    const char *address;             /* NULL: "127.0.0.1" */
    uint16_t port;                   /* 0: any free one; see http_port */
    bool open;                       /* no authentication: everybody may do everything. Only on a loopback address, else GN_E_CONFIG (T16) */
    const char *certificate, *key;   /* PEM files: TLS 1.2 and later */
    bool plain_elsewhere;            /* without TLS on an address that is not loopback: a proxy on a trusted network does TLS */
    const char *name;                /* of the service, for people (NULL: "Gantry") */
    const char *public_url;          /* as clients reach us ("https://images.example"); NULL: from the request */
    pixel_workers *workers;          /* decoders; NULL: in this process */
    http_limits limits;
} http_config;

typedef struct http_service http_service;
/* Copies the configuration and listens. Archive, security and workers stay the caller's and must outlive the service.
 * GN_E_CONFIG: what cannot be as configured; else what listening gave. */
http_service *http_start(const http_config *config, archive *a, security *s, gn_error *e);
/* Takes no new requests; those in flight may finish for grace_ms. NULL is fine; clears the pointer. */
void http_stop(http_service **h, uint32_t grace_ms);
uint16_t http_port(const http_service *h);
/* Before stopping, for balancers: /readyz says 503 from now on. */
void http_drain(http_service *h);

#endif
