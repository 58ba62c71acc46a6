/* db: what the index asks of a database engine: connections, prepared statements, transactions. Private to the index.
 *
 * One table of functions an engine (sqlite_db.c is the first). All SQL of the index is written so that SQLite and PostgreSQL
 * both understand it: parameters are $1, $2, … and appear for the first time in this order; the few words that differ stand in
 * db_class. An engine also offers one function inside SQL, gantry_match(kind, key, text): see query_match.h.
 * Thread rule: a connection belongs to one thread at a time; engine.c hands them out. Bound memory is borrowed until the next
 * db_reset; text and blobs that a row gives are valid until the next db_step or db_reset. */
#ifndef GANTRY_ARCHIVE_INDEX_DB_H
#define GANTRY_ARCHIVE_INDEX_DB_H

#include "base/base.h"
#include "statements.h"

typedef struct db db;
typedef struct db_stmt db_stmt;

typedef enum db_role {
    DB_WRITER, /* the only connection of this process that changes anything but jobs of care */
    DB_READER, /* short queries */
    DB_CARE    /* checkpoints, walks: little memory */
} db_role;
typedef enum db_access { DB_READ, DB_WRITE } db_access;

typedef struct db_class {
    const char *name;
    const char *key_type, *id_type, *text_type, *bytes_type; /* in CREATE TABLE: @KEY, @ID, @TEXT, @BYTES */
    const char *list;                             /* a JSON array of strings as rows: "SELECT value FROM json_each" */
    const char *position;                         /* place of a text in another, 0: not there: "instr" */
    const char *skip_locked;                      /* behind a SELECT that takes a job */
    const char *mark;                             /* run once in a new database: says whose it is */
    int (*connect)(const char *target, db_role role, bool read_only, db **out, gn_error *e);
    void (*disconnect)(db **d);
    int (*execute)(db *d, const char *sql, gn_error *e); /* one or more statements, no rows wanted */
    int (*prepare)(db *d, const char *sql, db_stmt **out, gn_error *e);
    void (*finalize)(db_stmt *s); /* NULL is fine; not needed for statements of db_fixed and db_cached */
    void (*reset)(db_stmt *s);
    void (*bind_int)(db_stmt *s, int i, int64_t v);
    void (*bind_text)(db_stmt *s, int i, const char *p, size_t n); /* p NULL: NULL */
    void (*bind_bytes)(db_stmt *s, int i, const void *p, size_t n);
    int (*step)(db_stmt *s, gn_error *e); /* 1: a row, 0: done, <0: error */
    bool (*is_null)(db_stmt *s, int column);
    int64_t (*get_int)(db_stmt *s, int column);
    const char *(*get_text)(db_stmt *s, int column, size_t *n); /* NULL: NULL */
    const void *(*get_bytes)(db_stmt *s, int column, size_t *n);
    int64_t (*changes)(db *d); /* rows changed by the last statement */
    int (*begin)(db *d, db_access access, gn_error *e);
    int (*commit)(db *d, gn_error *e);
    void (*rollback)(db *d);
    void (*deadline)(db *d, uint64_t mono_ns); /* statements fail with GN_E_TIMEOUT from then on; 0: never */
    int (*sync)(db *d, gn_error *e);           /* what was committed is on stable storage */
    int (*checkpoint)(db *d, gn_error *e);     /* sync, and keep the engine's own log short */
    int (*foreign)(db *d, gn_error *e);        /* 1: holds tables but is none of ours, 0: empty or ours */
} db_class;

enum { DB_CACHED = 20 };

/* Engines put their own data behind these. */
struct db {
    const db_class *class;
    db_stmt *fixed[SQL_COUNT]; /* statements of statements.h, prepared when first needed */
    struct db_cached { char *sql; uint64_t used; db_stmt *stmt; } cached[DB_CACHED]; /* composed ones, by their text */
    uint64_t clock;
};
struct db_stmt {
    db *db;
};

/* Statement `which` of statements.h, reset and ready to be bound. */
int db_fixed(db *d, sql_statement which, db_stmt **out, gn_error *e);

/* A composed statement, prepared once and kept while it is among the DB_CACHED last used ones. */
int db_cached(db *d, const char *sql, db_stmt **out, gn_error *e);
/* For `disconnect`: finalizes all of the above. */
void db_drop_statements(db *d);

static inline void db_reset(db_stmt *s) { s->db->class->reset(s); }
static inline void db_bind_int(db_stmt *s, int i, int64_t v) { s->db->class->bind_int(s, i, v); }
static inline void db_bind_text(db_stmt *s, int i, const char *p, size_t n) { s->db->class->bind_text(s, i, p, n); }
static inline void db_bind_string(db_stmt *s, int i, const char *p) { s->db->class->bind_text(s, i, p, p ? strlen(p) : 0); }
static inline void db_bind_bytes(db_stmt *s, int i, const void *p, size_t n) { s->db->class->bind_bytes(s, i, p, n); }
static inline int db_step(db_stmt *s, gn_error *e) { return s->db->class->step(s, e); }
static inline bool db_is_null(db_stmt *s, int column) { return s->db->class->is_null(s, column); }
static inline int64_t db_int(db_stmt *s, int column) { return s->db->class->get_int(s, column); }
static inline const char *db_text(db_stmt *s, int column, size_t *n) { return s->db->class->get_text(s, column, n); }
static inline const void *db_bytes(db_stmt *s, int column, size_t *n) { return s->db->class->get_bytes(s, column, n); }
/* Text of a column into a caller's buffer, cut to size. */
void db_copy_text(db_stmt *s, int column, char *buf, size_t size);
/* Runs a statement that gives no rows, and resets it. */
int db_run(db_stmt *s, gn_error *e);

#endif
