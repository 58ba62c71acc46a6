/* query: what the files of QIDO-RS and metadata share: the parameters of a search, its answer, XML. Private to this part. */
#ifndef GANTRY_HTTP_DICOMWEB_QUERY_H
#define GANTRY_HTTP_DICOMWEB_QUERY_H

#include "accept.h"

/* ---- query_params.c ------------------------------------------------------------------------------------------------------ */

enum { SEARCH_FIELDS = 1024 }; /* attributes in an answer */

/* A search as its parameters say it (PS3.18 §8.3.4). */
typedef struct search {
    gn_arena *arena;
    archive_level level;
    dicom_dataset *keys;
    dicom_tag *wanted;         /* ascending, without duplicates once search_finish was called */
    size_t wanted_count;
    bool all, fuzzy, limited;  /* limited: the client said a limit */
    uint64_t limit, offset;
    const char *wrong;         /* the parameter that an error is about, as the client wrote it; NULL: none */
} search;

int search_init(search *s, gn_arena *arena, archive_level level, gn_error *e);
/* One parameter of the query string, decoded. INVALID: s->wrong names it. */
int search_add(search *s, const char *key, const char *value, gn_error *e);
/* A key that the path says; a parameter of the same attribute can only narrow it. *nothing: it excludes everything. */
int search_add_path(search *s, dicom_tag tag, const char *uid, bool *nothing, gn_error *e);
/* Adds the attributes that every answer of this level has (PS3.18 Tables 10.6.3-3 to -5). in_study, in_series: the path names them, so theirs are left out. */
int search_finish(search *s, bool in_study, bool in_series, gn_error *e);
/* Attributes that are said here and not by the archive. */
static inline bool search_is_ours(dicom_tag tag) { return tag == DICOM_TAG_RetrieveURL || tag == DICOM_TAG_SpecificCharacterSet; }

/* ---- query_answer.c ------------------------------------------------------------------------------------------------------ */

/* Writes rows as DICOM JSON without making data sets of them. */
typedef struct row_writer {
    const search *search;
    dicom_tag *asked;          /* of the archive, in this order */
    size_t asked_count;
    int at_study, at_series, at_instance; /* places of the UIDs in it; -1: none */
    const char *root;          /* "https://host/dicom-web": what RetrieveURL starts with */
    const char *study, *series; /* of the path; NULL: from the row */
    gn_arena *scratch;         /* for sequences; made when needed */
    gn_buf sequence;
} row_writer;

int row_writer_init(row_writer *w, const search *s, const char *root, gn_error *e);
void row_writer_done(row_writer *w);
/* One object, appended. */
int row_write(row_writer *w, const archive_value *values, gn_buf *out, gn_error *e);

/* ---- metadata.c ---------------------------------------------------------------------------------------------------------- */

void metadata_of_study(http_request *r);
void metadata_of_series(http_request *r);
void metadata_of_instance(http_request *r);

/* ---- xml.c ---------------------------------------------------------------------------------------------------------------- */

/* A data set as Native DICOM Model (PS3.19 §A.1), a whole document. Text of the data set is UTF-8 or says its character set. BulkDataURI of elements without
 * a value in memory: uri_prefix (may be "") and what dicom_json_read kept of it. */
int xml_write(const dicom_dataset *ds, const char *uri_prefix, gn_buf *out, gn_error *e);
/* The same from one object of DICOM JSON. The arena is reset first. */
int xml_from_json(gn_arena *arena, const char *json, size_t n, const char *uri_prefix, gn_buf *out, gn_error *e);

/* Parts of multipart/related; application/dicom+xml. */
#define XML_BOUNDARY "gantry-dicom-xml-7c1f0e9b52"
void xml_part(gn_buf *out, const gn_buf *document);
void xml_end(gn_buf *out);

#endif
