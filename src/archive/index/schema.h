/* schema: tables of the index and their versions; docs/index-schema.md explains them. */
#ifndef GANTRY_ARCHIVE_INDEX_SCHEMA_H
#define GANTRY_ARCHIVE_INDEX_SCHEMA_H

#include "dicom/dicom.h"

#include "db.h"

/* The version that this program makes and knows. */
int schema_version(void);
/* Makes the tables in an empty database, or brings older ones up to date, each step in a transaction of its own, so that a stop in
 * between is taken up again. GN_E_REFUSED: somebody else's database, or a newer schema; the message says what to do. */
int schema_prepare(db *d, bool read_only, gn_error *e);

#endif
