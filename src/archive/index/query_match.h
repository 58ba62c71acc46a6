/* query_match: how a text in the index is compared with a key where plain SQL cannot say it.
 *
 * SQLite calls it inside its statements as gantry_match(kind, key, text); another engine offers a function of the same name and
 * meaning. NULL text never matches. Keys and texts are UTF-8. */
#ifndef GANTRY_ARCHIVE_INDEX_QUERY_MATCH_H
#define GANTRY_ARCHIVE_INDEX_QUERY_MATCH_H

#include "dicom/dicom.h"

typedef enum query_match_kind {
    QUERY_MATCH_WILDCARD = 1, /* '*' and '?', with regard to case */
    QUERY_MATCH_NAME,         /* a person name, or one group of it: dicom_match_name */
    QUERY_MATCH_FUZZY,        /* as above, or one that sounds alike */
    QUERY_MATCH_SET           /* a wildcard against the members of a set "\CT\MR\" */
} query_match_kind;

static inline bool query_match_set(const char *key, size_t kn, const char *text, size_t tn) {
    for (size_t at = 0; at < tn;) {
        const char *stop = memchr(text + at, '\\', tn - at);
        size_t n = stop ? (size_t)(stop - text) - at : tn - at;
        if (n && dicom_match_wildcard(key, kn, text + at, n, false)) return true;
        at += n + 1;
    }
    return false;
}

static inline bool query_match_text(query_match_kind kind, const char *key, size_t kn, const char *text, size_t tn) {
    switch (kind) {
    case QUERY_MATCH_WILDCARD: return dicom_match_wildcard(key, kn, text, tn, false);
    case QUERY_MATCH_NAME: return dicom_match_name(key, kn, text, tn);
    case QUERY_MATCH_FUZZY: return dicom_match_name(key, kn, text, tn) || dicom_match_name_fuzzy(key, kn, text, tn);
    case QUERY_MATCH_SET: return query_match_set(key, kn, text, tn);
    default: return false;
    }
}

#endif
