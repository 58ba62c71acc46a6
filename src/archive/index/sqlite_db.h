/* sqlite_db: what the SQLite driver's files share. */
#ifndef GANTRY_ARCHIVE_INDEX_SQLITE_DB_H
#define GANTRY_ARCHIVE_INDEX_SQLITE_DB_H

#include <sqlite3.h>

#include "db.h"

#define SQLITE_APPLICATION_ID 0x474E5452 /* "GNTR", in the header of the file */

typedef enum sqlite_control { SQLITE_BEGIN_READ, SQLITE_BEGIN_WRITE, SQLITE_COMMIT, SQLITE_CONTROLS } sqlite_control;

typedef struct sqlite_conn {
    db base;
    sqlite3 *handle;
    char *path;
    uint64_t deadline; /* monotonic ns; 0: none */
    bool read_only;
    sqlite3_stmt *control[SQLITE_CONTROLS];
} sqlite_conn;

extern const db_class sqlite_class;
/* Registers our way to files; its name, NULL: use the system's. Once a process. */
const char *sqlite_vfs_register(void);
int sqlite_fail(sqlite3 *handle, int rc, const char *what, gn_error *e);
int sqlite_execute(db *d, const char *sql, gn_error *e);

#endif
