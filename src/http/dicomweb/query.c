/* query: searches (QIDO-RS, PS3.18 §10.6): six resources, one handler.
 *
 * The path fixes keys, the query string adds some; both go to the archive's one compiler with relational matching. At most limits.query_results rows are
 * given, and a Warning header says when there are more. Who may see one study only searches within that study. */
#include "query.h"

static const http_offer offers[] = { { "application/dicom+json", NULL, NULL }, { "multipart/related", "application/dicom+xml", NULL }, { "application/json", NULL, NULL } };
enum { OFFER_XML = 1 };
#define ANSWER_MAX ((size_t)512 << 20)

typedef struct asked { search s; gn_error e; http_request *r; bool nothing; } asked;

static int take_parameter(void *ctx, const char *key, const char *value) {
    asked *a = ctx;
    return search_add(&a->s, key, value, &a->e);
}

/* Keys of the path, and of a principal's one study. */
static int add_path(asked *a, const char *study, const char *series) {
    const char *only = a->r->who.study_uid;
    int rc = 0;
    if (study) rc = search_add_path(&a->s, DICOM_TAG_StudyInstanceUID, study, &a->nothing, &a->e);
    else if (*only) rc = search_add_path(&a->s, DICOM_TAG_StudyInstanceUID, only, &a->nothing, &a->e);
    if (!rc && series) rc = search_add_path(&a->s, DICOM_TAG_SeriesInstanceUID, series, &a->nothing, &a->e);
    return rc;
}

/* The parameter whose value the archive found wrong: `where` has its tag. */
typedef struct blame { dicom_tag tag; const char *name; } blame;
static int find_blamed(void *ctx, const char *key, const char *value) {
    blame *b = ctx;
    dicom_tag tag;
    (void)value;
    if (!dicom_tag_parse(key, &tag) || tag != b->tag) return 0;
    b->name = key;
    return 1;
}

static void say_wrong(asked *a) {
    blame b = { 0, a->s.wrong };
    char text[12] = "";
    if (!b.name && a->e.where[0] == '(') {
        (void)snprintf(text, sizeof text, "%.11s", a->e.where);
        if (dicom_tag_parse(text, &b.tag)) (void)http_query_each(a->r, find_blamed, &b);
    }
    http_problem(a->r, a->e.code == GN_E_TOO_LARGE && b.name ? 400 : 0, &a->e, b.name);
}

/* ---- answers ----------------------------------------------------------------------------------------------------------- */

typedef struct answer { row_writer w; gn_buf body, one, document; bool xml; gn_arena *arena; uint64_t count; } answer;

static int put_row(answer *x, const archive_value *values, gn_error *e) {
    if (!x->xml) {
        gn_buf_putc(&x->body, x->count++ ? ',' : '[');
        return row_write(&x->w, values, &x->body, e);
    }
    gn_buf_clear(&x->one);
    gn_buf_clear(&x->document);
    x->count++;
    int rc = row_write(&x->w, values, &x->one, e);
    if (!rc) rc = xml_from_json(x->arena, (const char *)x->one.p, x->one.n, "", &x->document, e);
    if (!rc) xml_part(&x->body, &x->document);
    return rc;
}

/* All rows up to `most`. *more: there was another one. */
static int put_rows(asked *a, answer *x, uint64_t most, bool *more) {
    const http_limits *l = &a->r->ctx->limits;
    archive_query q = { .level = a->s.level, .flags = ARCHIVE_QUERY_RELATIONAL | (a->s.fuzzy ? ARCHIVE_QUERY_FUZZY_NAMES : 0u), .keys = a->s.keys, .wanted = x->w.asked,
                        .wanted_count = x->w.asked_count, .limit = most + 1, .offset = a->s.offset, .deadline_ms = l->query_deadline_ms };
    archive_cursor *cursor = NULL;
    const archive_value *values;
    int rc = archive_query_open(a->r->ctx->archive, &q, &cursor, &a->e);
    while (!rc && !(rc = archive_query_next(cursor, &values, NULL, &a->e))) {
        if (x->count == most) {
            *more = true;
            break;
        }
        rc = put_row(x, values, &a->e);
    }
    archive_query_close(&cursor);
    return rc == 1 ? 0 : rc;
}

static void finish(asked *a, answer *x, int offer, bool more) {
    http_request *r = a->r;
    if (more) http_set(r, "Warning", "299 gantry \"There are additional results that can be requested\"");
    http_set(r, "Cache-Control", "private, no-cache");
    http_set(r, "Vary", "Accept");
    if (x->xml && x->count) {
        xml_end(&x->body);
    } else if (x->xml) {
        http_send(r, 204, NULL, &x->body); /* a multipart body cannot be empty */
        return;
    } else {
        gn_buf_puts(&x->body, x->count ? "]" : "[]");
    }
    const char *type = http_offer_content_type(r->arena, &offers[offer], x->xml ? XML_BOUNDARY : NULL, NULL);
    if (x->body.failed || !type) {
        gn_error e = GN_ERROR_INIT;
        (void)gn_fail(&e, GN_E_TOO_LARGE, "the answer is too large: ask for less with limit and includefield");
        http_problem(r, 0, &e, NULL);
        return;
    }
    http_send(r, 200, type, &x->body);
}

static int give(asked *a, int offer, const char *study, const char *series) {
    uint64_t cap = a->r->ctx->limits.query_results, most = a->s.limited && a->s.limit < cap ? a->s.limit : cap;
    answer x = { .body = { .limit = ANSWER_MAX }, .xml = offer == OFFER_XML };
    bool more = false;
    int rc = search_finish(&a->s, study != NULL, series != NULL, &a->e);
    const char *origin = http_origin(a->r), *root = gn_arena_printf(a->r->arena, "%s/dicom-web", origin ? origin : "");
    if (!rc && !root) rc = gn_fail(&a->e, GN_E_NO_MEMORY, "no memory for a search");
    if (!rc) rc = row_writer_init(&x.w, &a->s, root, &a->e);
    if (!rc && x.xml && !(x.arena = gn_arena_new(64u << 20))) rc = gn_fail(&a->e, GN_E_NO_MEMORY, "no memory for a search");
    x.w.study = study;
    x.w.series = series;
    if (!rc && most > 0 && !a->nothing) rc = put_rows(a, &x, most, &more);
    if (!rc) finish(a, &x, offer, more && most == cap);
    row_writer_done(&x.w);
    gn_arena_free(&x.arena);
    gn_buf_done(&x.body);
    gn_buf_done(&x.one);
    gn_buf_done(&x.document);
    return rc;
}

static void answer_search(http_request *r, archive_level level, const char *study, const char *series) {
    asked a = { .r = r };
    int offer = http_accept(r, offers, GN_ARRAY_LEN(offers), NULL);
    if (offer < 0) {
        http_not_acceptable(r, offers, GN_ARRAY_LEN(offers));
        return;
    }
    if (study && !http_may_see(r, SECURITY_IMAGES_FIND, study)) return;
    int rc = search_init(&a.s, r->arena, level, &a.e);
    if (!rc) rc = http_query_each(r, take_parameter, &a);
    if (!rc) rc = add_path(&a, study, series);
    if (!rc) rc = give(&a, offer, study, series);
    if (rc) say_wrong(&a);
    else http_audit(r, "images.find", study, series, SECURITY_DONE); /* names and ids were shown */
}

/* ---- resources --------------------------------------------------------------------------------------------------------- */

static void search_studies(http_request *r) { answer_search(r, ARCHIVE_STUDY, NULL, NULL); }
static void search_series(http_request *r) { answer_search(r, ARCHIVE_SERIES, r->arg[0], NULL); }
static void search_instances(http_request *r) { answer_search(r, ARCHIVE_IMAGE, r->arg[0], r->arg[0] ? r->arg[1] : NULL); }

#define QUERY(path, handler, text) { .method = HTTP_GET, .pattern = "/dicom-web" path, .needs = SECURITY_IMAGES_FIND, .shared = true, .handle = handler, .summary = text }
#define READ(path, handler, text) { .method = HTTP_GET, .pattern = "/dicom-web" path, .needs = SECURITY_IMAGES_READ, .shared = true, .handle = handler, .summary = text }
const http_route dicomweb_query_routes[] = {
    QUERY("/studies", search_studies, "Search for studies"),
    QUERY("/series", search_series, "Search for series"),
    QUERY("/instances", search_instances, "Search for instances"),
    QUERY("/studies/{study}/series", search_series, "Search for series of a study"),
    QUERY("/studies/{study}/instances", search_instances, "Search for instances of a study"),
    QUERY("/studies/{study}/series/{series}/instances", search_instances, "Search for instances of a series"),
    READ("/studies/{study}/metadata", metadata_of_study, "Attributes of all instances of a study"),
    READ("/studies/{study}/series/{series}/metadata", metadata_of_series, "Attributes of all instances of a series"),
    READ("/studies/{study}/series/{series}/instances/{instance}/metadata", metadata_of_instance, "Attributes of an instance"),
    { .pattern = NULL }
};
