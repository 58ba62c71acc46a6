/* statements: their texts, and the small helpers that every user of a database connection needs. */
#include "db.h"

#include <stdlib.h>

const char *sql_text(sql_statement which) {
    static const char *const texts[SQL_COUNT] = {
#define X(name, text) text,
        SQL_TABLE(X)
#undef X
    };
    return texts[which];
}

int db_fixed(db *d, sql_statement which, db_stmt **out, gn_error *e) {
    if (!d->fixed[which]) {
        int rc = d->class->prepare(d, sql_text(which), &d->fixed[which], e);
        if (rc) return rc;
    }
    *out = d->fixed[which];
    return 0;
}

int db_cached(db *d, const char *sql, db_stmt **out, gn_error *e) {
    struct db_cached *place = &d->cached[0];
    d->clock++;
    for (size_t i = 0; i < DB_CACHED; i++) {
        struct db_cached *c = &d->cached[i];
        if (c->sql && strcmp(c->sql, sql) == 0) {
            c->used = d->clock;
            *out = c->stmt;
            return 0;
        }
        if (c->used < place->used) place = c;
    }
    db_stmt *stmt;
    char *copy = strdup(sql);
    if (!copy) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a statement");
    int rc = d->class->prepare(d, sql, &stmt, e);
    if (rc) {
        free(copy);
        return rc;
    }
    d->class->finalize(place->stmt);
    free(place->sql);
    *place = (struct db_cached){ copy, d->clock, stmt };
    *out = stmt;
    return 0;
}

void db_drop_statements(db *d) {
    for (size_t i = 0; i < SQL_COUNT; i++) d->class->finalize(d->fixed[i]);
    for (size_t i = 0; i < DB_CACHED; i++) {
        d->class->finalize(d->cached[i].stmt);
        free(d->cached[i].sql);
    }
}

void db_copy_text(db_stmt *s, int column, char *buf, size_t size) {
    size_t n = 0;
    const char *text = db_text(s, column, &n);
    if (n >= size) n = size - 1;
    if (n) memcpy(buf, text, n);
    buf[n] = '\0';
}

int db_run(db_stmt *s, gn_error *e) {
    int rc = db_step(s, e);
    db_reset(s);
    return rc < 0 ? rc : 0;
}
