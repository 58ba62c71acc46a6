/* engine: opens and closes an index and hands out its connections; see the header. */
#include "engine.h"

#include <stdlib.h>

enum { CACHE_SETS = 512 };
#define SCRATCH_BYTES (64u << 20)

static index_engine *engine_alloc(const db_class *class, const char *target, bool read_only) {
    index_engine *x = calloc(1, sizeof *x);
    if (!x) return NULL;
    x->class = class;
    x->read_only = read_only;
    x->target = strdup(target);
    (void)pthread_mutex_init(&x->writing, NULL);
    (void)pthread_mutex_init(&x->pool, NULL);
    (void)pthread_mutex_init(&x->caring, NULL);
    (void)pthread_cond_init(&x->given_back, NULL);
    return x;
}

int engine_open(const db_class *class, const schema *tables, const char *target, bool read_only, index_engine **out, gn_error *e) {
    index_engine *x = engine_alloc(class, target, read_only);
    if (x) x->scratch = gn_arena_new(SCRATCH_BYTES);
    if (!x || !x->target || !x->scratch) {
        index_close(&x);
        return gn_fail(e, GN_E_NO_MEMORY, "no memory for the index");
    }
    db *first = NULL;
    int rc = class->connect(target, read_only ? DB_READER : DB_WRITER, read_only, &first, e);
    if (!rc) rc = schema_prepare(first, tables, read_only, e);
    if (!rc) rc = uid_cache_init(&x->studies, CACHE_SETS, e);
    if (!rc) rc = uid_cache_init(&x->series, CACHE_SETS, e);
    if (rc) {
        class->disconnect(&first);
        index_close(&x);
        return rc;
    }
    if (read_only) {
        x->idle[x->idle_count++] = first;
        x->open_count = 1;
    } else {
        x->writer = first;
    }
    *out = x;
    return 0;
}

void index_close(index_engine **x) {
    if (!*x) return;
    index_engine *c = *x;
    for (unsigned i = 0; i < c->idle_count; i++) c->class->disconnect(&c->idle[i]);
    if (c->care) c->class->disconnect(&c->care);
    if (c->writer) c->class->disconnect(&c->writer);
    uid_cache_done(&c->studies);
    uid_cache_done(&c->series);
    gn_arena_free(&c->scratch);
    gn_buf_done(&c->blob);
    (void)pthread_mutex_destroy(&c->writing);
    (void)pthread_mutex_destroy(&c->pool);
    (void)pthread_mutex_destroy(&c->caring);
    (void)pthread_cond_destroy(&c->given_back);
    free(c->target);
    free(c);
    *x = NULL;
}

/* ---- readers ----------------------------------------------------------------------------------------------------------- */

/* The one used last is taken first: its cache is warm, and the others may go. */
static int take_reader(index_engine *x, db **d, gn_error *e) {
    (void)pthread_mutex_lock(&x->pool);
    while (x->idle_count == 0 && x->open_count >= READERS_MAX) (void)pthread_cond_wait(&x->given_back, &x->pool);
    bool fresh = x->idle_count == 0;
    if (fresh) x->open_count++;
    else *d = x->idle[--x->idle_count];
    (void)pthread_mutex_unlock(&x->pool);
    if (!fresh) return 0;
    *d = NULL;
    int rc = x->class->connect(x->target, DB_READER, x->read_only, d, e);
    if (!rc) return 0;
    (void)pthread_mutex_lock(&x->pool);
    x->open_count--;
    (void)pthread_cond_signal(&x->given_back);
    (void)pthread_mutex_unlock(&x->pool);
    return rc;
}

static void give_reader(index_engine *x, db *d) {
    db *surplus = NULL;
    (void)pthread_mutex_lock(&x->pool);
    if (x->idle_count >= READERS_KEPT) {
        surplus = d;
        x->open_count--;
    } else {
        x->idle[x->idle_count++] = d;
    }
    (void)pthread_cond_signal(&x->given_back);
    (void)pthread_mutex_unlock(&x->pool);
    if (surplus) x->class->disconnect(&surplus);
}

int engine_read_begin(index_engine *x, db **d, gn_error *e) {
    int rc = take_reader(x, d, e);
    if (rc) return rc;
    rc = x->class->begin(*d, DB_READ, e);
    if (rc) {
        give_reader(x, *d);
        *d = NULL;
    }
    return rc;
}

void engine_read_end(index_engine *x, db **d) {
    if (!*d) return;
    x->class->deadline(*d, 0);
    if (x->class->commit(*d, NULL)) x->class->rollback(*d);
    give_reader(x, *d);
    *d = NULL;
}

/* ---- the writer -------------------------------------------------------------------------------------------------------- */

int engine_write_begin(index_engine *x, db **d, gn_error *e) {
    if (!x->writer) return gn_fail(e, GN_E_REFUSED, "the archive is opened read-only");
    (void)pthread_mutex_lock(&x->writing);
    int rc = x->class->begin(x->writer, DB_WRITE, e);
    if (rc) (void)pthread_mutex_unlock(&x->writing);
    else *d = x->writer;
    return rc;
}

int engine_write_end(index_engine *x, int rc, gn_error *e) {
    if (!rc) rc = x->class->commit(x->writer, e);
    if (rc) {
        x->class->rollback(x->writer);
        uid_cache_clear(&x->studies);
        uid_cache_clear(&x->series);
    }
    (void)pthread_mutex_unlock(&x->writing);
    return rc;
}

int index_checkpoint(index_engine *x, gn_error *e) {
    if (x->read_only) return 0;
    (void)pthread_mutex_lock(&x->caring);
    int rc = x->care ? 0 : x->class->connect(x->target, DB_CARE, false, &x->care, e);
    if (!rc) rc = x->class->checkpoint(x->care, e);
    (void)pthread_mutex_unlock(&x->caring);
    return rc;
}
