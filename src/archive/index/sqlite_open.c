/* sqlite_open: the index in one SQLite file, as index.h asks for it. */
#include "engine.h"
#include "sqlite_db.h"

index_engine *index_sqlite_open(const char *path, bool read_only, gn_error *e) {
    index_engine *x = NULL;
    (void)engine_open(&sqlite_class, &index_schema, path, read_only, &x, e);
    return x;
}
