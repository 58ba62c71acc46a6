/* schema: tables of the index and their versions; docs/index-schema.md explains them. */
#ifndef GANTRY_ARCHIVE_INDEX_SCHEMA_H
#define GANTRY_ARCHIVE_INDEX_SCHEMA_H

#include "dicom/dicom.h"

#include "db.h"

/* One database's tables: step i turns version i into i + 1. */
typedef struct schema {
    const char *what; /* "index": for messages */
    const char *const *steps;
    int version;      /* number of steps: what this program makes and knows */
} schema;
extern const schema index_schema;
/* Makes the tables in an empty database, or brings older ones up to date, each step in a transaction of its own, so that a stop in
 * between is taken up again. GN_E_REFUSED: somebody else's database, or a newer schema; the message says what to do. */
int schema_prepare(db *d, const schema *s, bool read_only, gn_error *e);

#endif
