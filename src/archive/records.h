/* records: small documents of the upper rooms (users, sessions, orders, reports, …), kept beside the images and as durably.
 *
 * One table for all of them: a collection's name, an id, a body (JSON text), and up to eight texts and two numbers by which a
 * record is found; what each means is the collection's own business. Engines: SQLite (DIR/records.db) now, PostgreSQL as the index.
 * A write returns after it is on stable storage; writers that wait at the same time share one sync.
 * Thread rule: any number of threads. */
#ifndef GANTRY_ARCHIVE_RECORDS_H
#define GANTRY_ARCHIVE_RECORDS_H

#include "archive/archive.h"

enum { ARCHIVE_RECORD_KEYS = 8, ARCHIVE_RECORD_NUMBERS = 2, ARCHIVE_RECORD_LARGEST = 16 << 20 };

/* What is written; all borrowed. A NULL key is not kept (and matches nothing). */
typedef struct archive_record {
    const char *collection;            /* "order": 1..31 characters */
    const char *id;                    /* unique within the collection, 1..127 bytes */
    const char *key[ARCHIVE_RECORD_KEYS];
    int64_t number[ARCHIVE_RECORD_NUMBERS];
    const char *body; size_t body_length; /* 0: strlen */
} archive_record;

/* What the record must be for the write to happen. */
typedef enum archive_record_expect {
    ARCHIVE_RECORD_ANY = -1,           /* whatever there is */
    ARCHIVE_RECORD_NEW = 0             /* none: else GN_E_EXISTS */
} archive_record_expect;               /* or a version (1, 2, …): another one there, or none, is GN_E_MISMATCH */
typedef enum archive_record_action { ARCHIVE_RECORD_PUT, ARCHIVE_RECORD_DELETE } archive_record_action;
typedef struct archive_record_write {
    archive_record_action action;
    archive_record record;             /* DELETE: collection and id only */
    int64_t expect;                    /* archive_record_expect or a version */
    int64_t version;                   /* result of PUT: 1 for a new one, else one more than before */
} archive_record_write;
/* All of them or none, in order, in one transaction. On failure `e` names the record. DELETE of none: GN_E_NOT_FOUND unless ANY. */
int archive_records_write(archive *a, archive_record_write *writes, size_t n, gn_error *e);
/* The one-record case. *version may be NULL. */
int archive_record_put(archive *a, const archive_record *r, int64_t expect, int64_t *version, gn_error *e);
int archive_record_delete(archive *a, const char *collection, const char *id, gn_error *e); /* none there: success */

/* What is read. Strings are valid during the visit only. */
typedef struct archive_record_found {
    const char *id;
    int64_t version, created_us, updated_us;
    const char *key[ARCHIVE_RECORD_KEYS]; /* NULL: none */
    int64_t number[ARCHIVE_RECORD_NUMBERS];
    const char *body; size_t body_length;
} archive_record_found;
/* Non-zero stops; a negative value is what the search then returns. */
typedef int (*archive_record_visit)(void *ctx, const archive_record_found *r, gn_error *e);

/* One record. GN_E_NOT_FOUND. */
int archive_record_get(archive *a, const char *collection, const char *id, archive_record_visit visit, void *ctx, gn_error *e);

typedef enum archive_record_test { ARCHIVE_RECORD_EQUALS, ARCHIVE_RECORD_PREFIX, ARCHIVE_RECORD_AT_LEAST, ARCHIVE_RECORD_AT_MOST,
    ARCHIVE_RECORD_ONE_OF /* text: values separated by '\n' */ } archive_record_test;
/* Fields by number: 0..7 the keys, 8 and 9 the numbers, 10 created_us, 11 updated_us, 12 the id. */
enum { ARCHIVE_RECORD_FIELD_NUMBER = ARCHIVE_RECORD_KEYS, ARCHIVE_RECORD_FIELD_CREATED = 10, ARCHIVE_RECORD_FIELD_UPDATED, ARCHIVE_RECORD_FIELD_ID };
typedef struct archive_record_condition { int field; archive_record_test test; const char *text; int64_t number; } archive_record_condition;
typedef struct archive_record_query {
    const char *collection;
    const archive_record_condition *conditions; size_t condition_count; /* all must hold, at most 16 */
    int order;                         /* field to sort by, then by id */
    bool descending;
    /* Paging: only what comes behind this place in the order. after_id NULL: from the start. */
    const char *after_id, *after_text; int64_t after_number;
    uint64_t limit;                    /* 0: no limit */
} archive_record_query;
int archive_records_find(archive *a, const archive_record_query *q, archive_record_visit visit, void *ctx, gn_error *e);
/* How many match (order, paging and limit do not count). */
int archive_records_count(archive *a, const archive_record_query *q, int64_t *count, gn_error *e);

#endif
