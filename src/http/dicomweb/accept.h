/* accept: which of the media types that we can give does a client want (PS3.18 §8.7.4, RFC 9110 §12.5.1).
 *
 * For all DICOMweb handlers. Lenient in what is read: parameters quoted or not, any case, any spaces, rubbish between commas is skipped.
 * The one thing to know: several offers of equal quality are decided by the order of the offers, so put first what costs us least. */
#ifndef GANTRY_HTTP_DICOMWEB_ACCEPT_H
#define GANTRY_HTTP_DICOMWEB_ACCEPT_H

#include "../server.h"

/* One media range of an Accept header or `accept` parameter. Strings live in the arena. */
typedef struct http_range {
    const char *type;            /* lower case: "multipart/related", "image/ *", "* / *" (without spaces) */
    const char *part;            /* parameter `type`, lower case: of the parts of multipart/related; NULL: not said */
    const char *transfer_syntax; /* UID or "*"; NULL: not said */
    const char *charset;         /* lower case; NULL: not said */
    unsigned q;                  /* 0..1000; 0: not wanted */
} http_range;

/* What a handler can give. */
typedef struct http_offer {
    const char *type;            /* "application/dicom+json", or "multipart/related" */
    const char *part;            /* of multipart/related: the type of its parts; NULL else */
    const char *transfer_syntax; /* NULL: whatever the client names (see `chosen`) */
} http_offer;

/* Reads ranges, at most `capacity` of them (more are not looked at). Returns how many. NULL or empty text: none. */
size_t http_ranges_parse(gn_arena *arena, const char *text, http_range *ranges, size_t capacity);
/* The index of the best offer, or -1: none is acceptable. No ranges: everything is. *chosen (may be NULL) is the range that won, NULL when there were none:
 * ask it for the transfer syntax when the offer leaves that open. */
int http_ranges_choose(const http_range *ranges, size_t count, const http_offer *offers, size_t offer_count, const http_range **chosen);

/* Both at once for a request: its `accept` query parameter if there is one (PS3.18 §8.3.3.1), else its Accept header. -1: none; the handler then answers
 * with http_not_acceptable. *chosen lives in the arena. */
int http_accept(const http_request *r, const http_offer *offers, size_t count, const http_range **chosen);
/* 406 with a problem document that lists what there is. */
void http_not_acceptable(http_request *r, const http_offer *offers, size_t count);
/* The Content-Type of an offer: "multipart/related; type=\"application/dicom+xml\"; boundary=…" with boundary, transfer syntax NULL: without. Arena; NULL: no memory. */
const char *http_offer_content_type(gn_arena *arena, const http_offer *offer, const char *boundary, const char *transfer_syntax);

#endif
