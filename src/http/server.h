/* server: what the handlers of this room see of HTTP: routes, requests, responses. Nothing of libmicrohttpd shows here.
 *
 * A route names a method, a path pattern, the permission it needs, and how its body comes. Before any byte of a body is looked at, the
 * server has found the route, who asks, and whether they may (T16). Handlers run in the connection's own thread and may block.
 * Everything allocated from request->arena lives until the response is sent. A handler gives exactly one response. */
#ifndef GANTRY_HTTP_SERVER_H
#define GANTRY_HTTP_SERVER_H

#include "http/http.h"

typedef enum http_method { HTTP_GET /* HEAD too */, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_METHODS } http_method;
typedef struct http_request http_request;

/* ---- what a handler may use -------------------------------------------------------------------------------------------- */

typedef struct http_context {        /* of the whole service; read-only after start */
    archive *archive;
    security *security;
    pixel_workers *workers;
    http_limits limits;              /* defaults filled in */
    const char *name;
} http_context;

struct http_request {
    const http_context *ctx;
    http_method method;
    bool head;                       /* HEAD: the response's body is left out by the server */
    const char *path;                /* decoded, without query */
    const char *arg[8];              /* what the pattern's {…} matched, decoded; NULL behind the last */
    gn_arena *arena;                 /* 16 MiB at most */
    security_principal who;
    const char *address;             /* of the client; X-Forwarded-For is believed from loopback only */
    char id[17];                     /* of the request: in the log, in problem documents and X-Request-Id */
    gn_buf body;                     /* HTTP_BODY_DOCUMENT: whole; else empty */
    void *state;                     /* HTTP_BODY_STREAM: the handler's own */
    struct http_exchange *exchange;  /* the server's own */
};
/* First value of a header, without regard to case; NULL: none. */
const char *http_header(const http_request *r, const char *name);
/* Query parameters, decoded, in the order of the request. `visit` non-zero stops and is returned. */
int http_query_each(const http_request *r, int (*visit)(void *ctx, const char *key, const char *value), void *ctx);
const char *http_query(const http_request *r, const char *key); /* the first one; NULL: none */
/* "scheme://host" as the client sees us (public_url, or Host and how it came); from the arena. */
const char *http_origin(const http_request *r);
/* Is the token ("gzip", "zstd") acceptable by Accept-Encoding (RFC 9110 §12.5.3)? */
bool http_accepts_encoding(const http_request *r, const char *coding);

/* ---- responses: exactly one per request -------------------------------------------------------------------------------- */

/* A header of the response to come; call before sending. Values with control characters are dropped (T23). */
void http_set(http_request *r, const char *name, const char *value);
/* The whole body, taken over (cleared); content_type NULL: none. Compressed by the server when it is text, larger than 1 KiB and the client takes it. */
void http_send(http_request *r, unsigned status, const char *content_type, gn_buf *take);
void http_send_text(http_request *r, unsigned status, const char *content_type, const char *text);
/* Pieces one behind the other: memory and stretches of files, sent without holding them. */
typedef struct http_piece { const void *bytes; /* NULL: from fd */ int fd; uint64_t offset, length; } http_piece;
/* `pieces` (array and memory pieces) must live in the arena or until `done`, which is called once, always (also when the client went away). Range requests
 * (RFC 9110 §14, one range) are answered when it is a GET of status 200. */
void http_send_pieces(http_request *r, unsigned status, const char *content_type, const http_piece *pieces, size_t count, void (*done)(void *ctx), void *ctx);
/* Pulled while it is sent: `read` puts up to n bytes at p; returns how many, 0 at the end, <0: the connection is cut so that the client
 * notices. length -1: unknown (chunked). `done` once, always. */
void http_send_stream(http_request *r, unsigned status, const char *content_type, int64_t length, int64_t (*read)(void *ctx, uint8_t *p, size_t n), void (*done)(void *ctx), void *ctx);
/* Problem document (RFC 9457). status 0: that of e->code. `field` NULL: none; else the name of the wrong field or parameter. Logged by the server when it is 5xx. */
void http_problem(http_request *r, unsigned status, const gn_error *e, const char *field);
void http_problem_text(http_request *r, unsigned status, const char *title, const char *detail); /* without a gn_error */
/* ETag ("\"…\"", or weak "W/\"…\""), and unless the handler has set another the Cache-Control of what never changes. true: the client has it already and 304 was
 * sent. */
bool http_not_modified(http_request *r, const char *etag);

/* May the asker do this to this study? Else answers 404 as if it did not exist (T19), writes the audit line and returns false. */
bool http_may_see(http_request *r, security_permission p, const char *study_uid);
/* An audit line about this request (who and from where are filled in). */
void http_audit(http_request *r, const char *action, const char *study_uid, const char *object, security_outcome outcome);

/* ---- routes ------------------------------------------------------------------------------------------------------------ */

typedef enum http_body { HTTP_BODY_NONE /* read and thrown away, at most 64 KiB */, HTTP_BODY_DOCUMENT /* gathered up to limits.document */, HTTP_BODY_STREAM } http_body;
typedef struct http_route {
    http_method method;
    const char *pattern;             /* "/dicom-web/studies/{study}/metadata": {…} matches one segment; "/docs/{*}" at the end the rest */
    security_permission needs;
    bool shared;                     /* principals that may see one study may come in: the handler asks http_may_see */
    http_body body;
    void (*handle)(http_request *r); /* NONE, DOCUMENT: with the body; STREAM: after its last byte */
    /* STREAM only. begin: 0 go on, else a response was given. chunk likewise; after a response the rest of the body is not wanted. `drop`: the client went away
     * or something else failed before `handle` was called: free the state. */
    int (*begin)(http_request *r);
    int (*chunk)(http_request *r, const uint8_t *p, size_t n);
    void (*drop)(http_request *r);
    const char *summary;             /* for the OpenAPI description and docs */
} http_route;
/* Tables of the parts; each ends with a route whose pattern is NULL. */
extern const http_route dicomweb_query_routes[], dicomweb_retrieve_routes[], dicomweb_rendered_routes[], dicomweb_store_routes[], dicomweb_uri_routes[];
extern const http_route api_study_routes[], api_upload_routes[], api_access_routes[], api_event_routes[], service_routes[];
/* All of them: NULL-terminated list of tables. For the server, the OpenAPI description and the tests that walk them. */
extern const http_route *const http_all_routes[];

#endif
