/* metadata: the attributes of all instances of a study, series or instance (PS3.18 §10.4.1.1.2).
 *
 * A series is kept by the archive as it is sent to a client that takes gzip, which all browsers do: finding and copying it is all there
 * is to do. An ETag made of the compressed bytes lets a client that has it already ask for nothing. XML is made from the JSON. */
#include "query.h"

static const http_offer offers[] = { { "application/dicom+json", NULL, NULL }, { "multipart/related", "application/dicom+xml", NULL }, { "application/json", NULL, NULL } };
enum { OFFER_XML = 1 };
#define METADATA_MAX ((size_t)768 << 20)
#define XML_MAX ((size_t)512 << 20)

/* The next object of an array, from *p on; NULL: none. Our own JSON: no need to check it, only to find where an object ends. */
static const char *next_object(const char **p, const char *end, size_t *n) {
    const char *q = *p;
    unsigned depth = 0;
    bool quoted = false;
    while (q < end && *q != '{') q++;
    const char *start = q;
    for (; q < end; q++) {
        if (quoted) {
            if (*q == '\\') q++;
            else if (*q == '"') quoted = false;
        } else if (*q == '"') {
            quoted = true;
        } else if (*q == '{') {
            depth++;
        } else if (*q == '}' && --depth == 0) {
            *n = (size_t)(++q - start);
            *p = q;
            return start;
        }
    }
    return NULL;
}

static int write_xml(const gn_buf *json, gn_buf *out, gn_error *e) {
    gn_arena *arena = gn_arena_new(128u << 20);
    gn_buf document = { .limit = XML_MAX };
    const char *p = (const char *)json->p, *end = p + json->n, *object;
    size_t n;
    int rc = arena ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata");
    while (!rc && (object = next_object(&p, end, &n))) {
        gn_buf_clear(&document);
        rc = xml_from_json(arena, object, n, "", &document, e);
        if (!rc) xml_part(out, &document);
        if (!rc && out->failed) rc = gn_fail(e, GN_E_TOO_LARGE, "the metadata is too large to be sent as XML: ask for one series");
    }
    xml_end(out);
    gn_buf_done(&document);
    gn_arena_free(&arena);
    return rc;
}

/* Of the bytes as they are here. Ready-made gzip is sent like that; anything else may still be compressed on its way, so its tag is a
 * weak one (RFC 9110 §8.8.3). */
static bool has_it_already(http_request *r, const gn_buf *body, bool as_it_is) {
    uint64_t h = UINT64_C(1469598103934665603);
    for (size_t i = 0; i < body->n; i++) h = (h ^ body->p[i]) * UINT64_C(1099511628211);
    const char *etag = gn_arena_printf(r->arena, "%s\"%016llx\"", as_it_is ? "" : "W/", (unsigned long long)h);
    http_set(r, "Cache-Control", "private, no-cache");
    return etag && http_not_modified(r, etag);
}

static void give(http_request *r, const char *series, const char *instance) {
    const char *study = r->arg[0];
    gn_error e = GN_ERROR_INIT;
    gn_buf body = { .limit = METADATA_MAX }, xml = { .limit = XML_MAX };
    int offer = http_accept(r, offers, GN_ARRAY_LEN(offers), NULL);
    if (offer < 0) {
        http_not_acceptable(r, offers, GN_ARRAY_LEN(offers));
        return;
    }
    if (!http_may_see(r, SECURITY_IMAGES_READ, study)) return;
    bool gzip = offer != OFFER_XML && !instance && http_accepts_encoding(r, "gzip");
    int rc = instance ? archive_instance_metadata(r->ctx->archive, study, series, instance, &body, &e) : archive_series_metadata(r->ctx->archive, study, series, gzip, &body, &e);
    if (!rc && offer == OFFER_XML) {
        rc = write_xml(&body, &xml, &e);
        gn_buf_done(&body);
        body = xml;
        xml = (gn_buf)GN_BUF_INIT;
    }
    const char *type = http_offer_content_type(r->arena, &offers[offer], offer == OFFER_XML ? XML_BOUNDARY : NULL, NULL);
    if (!rc) http_audit(r, "metadata.read", study, instance ? instance : series, SECURITY_DONE);
    if (rc) http_problem(r, 0, &e, NULL);
    else if (!has_it_already(r, &body, gzip)) {
        http_set(r, "Vary", "Accept");
        if (gzip) http_set(r, "Content-Encoding", "gzip"), http_set(r, "Vary", "Accept-Encoding");
        http_send(r, 200, type, &body);
    }
    gn_buf_done(&body);
    gn_buf_done(&xml);
}

void metadata_of_study(http_request *r) { give(r, NULL, NULL); }
void metadata_of_series(http_request *r) { give(r, r->arg[1], NULL); }
void metadata_of_instance(http_request *r) { give(r, r->arg[1], r->arg[2]); }
