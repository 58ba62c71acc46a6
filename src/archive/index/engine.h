/* engine: an open index: its connections, who may use them when, and what the writer remembers. Private to the archive room.
 *
 * One writer connection behind `writing`; every change goes through it. Readers come from a pool of at most READERS_MAX
 * connections that are opened when needed; a caller keeps one only for a short transaction (a chunk of a query), so that a slow
 * client holds none and the writer's log can always be shortened. */
#ifndef GANTRY_ARCHIVE_INDEX_ENGINE_H
#define GANTRY_ARCHIVE_INDEX_ENGINE_H

#include <pthread.h>

#include "db.h"
#include "index.h"
#include "schema.h"
#include "uid_cache.h"

enum { READERS_MAX = 8, READERS_KEPT = 4 };

struct index_engine {
    const db_class *class;
    char *target; /* path or connection string */
    bool read_only;
    pthread_mutex_t writing; /* guards writer and what it remembers */
    db *writer;              /* NULL when read-only */
    uid_cache studies, series;
    gn_arena *scratch;       /* of one batch */
    gn_buf blob;             /* of one row */
    pthread_mutex_t pool;    /* guards what follows */
    pthread_cond_t given_back;
    db *idle[READERS_MAX];
    unsigned idle_count, open_count;
    pthread_mutex_t caring;  /* guards care */
    db *care;                /* for checkpoints, opened when first needed */
};

int engine_open(const db_class *class, const schema *tables, const char *target, bool read_only, index_engine **out, gn_error *e);
/* A reader inside a read transaction; waits while all are in use. Give it back with engine_read_end. */
int engine_read_begin(index_engine *x, db **d, gn_error *e);
void engine_read_end(index_engine *x, db **d);
/* The writer, locked, inside a transaction. End: commits when rc is 0, else rolls back; returns rc or the commit's error. */
int engine_write_begin(index_engine *x, db **d, gn_error *e);
int engine_write_end(index_engine *x, int rc, gn_error *e);
/* The columns of SQL_KNOWN, without the UIDs of study and series. */
void engine_read_known(db_stmt *s, index_known *k);
/* The same with the UIDs of series, study and instance behind. */
void engine_read_known_uids(db_stmt *s, index_known *k, char *sop_uid, size_t size);

#endif
