/* records_internal: what the files behind archive/records.h share. Private to the archive room. */
#ifndef GANTRY_ARCHIVE_RECORDS_INTERNAL_H
#define GANTRY_ARCHIVE_RECORDS_INTERNAL_H

#include <pthread.h>

#include "archive/records.h"
#include "index/engine.h"

extern const schema records_schema;

typedef struct record_base {
    index_engine *engine;
    pthread_mutex_t syncing; /* guards `synced`, and one sync at a time */
    _Atomic uint64_t committed; /* transactions */
    uint64_t synced;
} record_base;

/* Opens DIR/records.db. Read-only and none there: GN_E_NOT_FOUND. */
int records_open(const char *directory, bool read_only, record_base **out, gn_error *e);
void records_close(record_base **r);
int records_checkpoint(record_base *r, gn_error *e);

int records_write(record_base *r, archive_record_write *writes, size_t n, gn_error *e);
int records_get(record_base *r, const char *collection, const char *id, archive_record_visit visit, void *ctx, gn_error *e);
int records_find(record_base *r, const archive_record_query *q, archive_record_visit visit, void *ctx, gn_error *e);
int records_count(record_base *r, const archive_record_query *q, int64_t *count, gn_error *e);

#endif
