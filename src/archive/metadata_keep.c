/* metadata_keep: makes the metadata of series ready before somebody asks.
 *
 * Once a second it looks which series got instances. One that has not grown for two seconds is compressed and kept. While much comes in, ingest
 * has the machine for itself: then only one series a second is made. What is missed here is made by the first request. */
#include "metadata.h"

#include <stdlib.h>

enum { PENDING_MAX = 1024, QUIET_TICKS = 2, BUSY_ROWS = 64, BEST_LEVEL = 6 };

typedef struct waiting { int64_t series; unsigned quiet; } waiting;
typedef struct keeper { archive *a; int64_t since; int64_t grown[PENDING_MAX]; waiting pending[PENDING_MAX]; size_t count; } keeper;

static void note(keeper *k, int64_t series) {
    for (size_t i = 0; i < k->count; i++) {
        if (k->pending[i].series != series) continue;
        k->pending[i].quiet = 0;
        return;
    }
    if (k->count < PENDING_MAX) k->pending[k->count++] = (waiting){ series, 0 };
}

static void make(archive *a, int64_t id) {
    index_series s;
    gn_buf bytes = { .limit = METADATA_KEEP_MAX };
    if (index_series_by_id(a->index, id, &s, NULL) || s.kept || s.n_instances < METADATA_KEEP_FROM) return;
    if (!metadata_pack(a, &s, BEST_LEVEL, &bytes, NULL)) (void)index_series_keep(a->index, &s, NULL);
    gn_buf_done(&bytes);
}

static bool is_stopping(archive *a) {
    (void)pthread_mutex_lock(&a->lock);
    bool stop = a->stop;
    (void)pthread_mutex_unlock(&a->lock);
    return stop;
}

static void make_quiet_ones(keeper *k, size_t most) {
    size_t left = 0;
    for (size_t i = 0; i < k->count; i++) {
        waiting w = k->pending[i];
        if (++w.quiet > QUIET_TICKS && most > 0 && !is_stopping(k->a)) {
            most--;
            make(k->a, w.series);
        } else {
            k->pending[left++] = w;
        }
    }
    k->count = left;
}

void metadata_keep(void *arg) {
    keeper *k = calloc(1, sizeof *k);
    if (!k) return; /* requests do without */
    k->a = arg;
    k->since = -1;
    do {
        size_t n = 0;
        int64_t before = k->since;
        if (index_series_grown(k->a->index, &k->since, k->grown, PENDING_MAX, &n, NULL)) continue;
        for (size_t i = 0; i < n; i++) note(k, k->grown[i]);
        make_quiet_ones(k, before >= 0 && k->since - before > BUSY_ROWS ? 1 : PENDING_MAX);
    } while (archive_wait_a_second(k->a));
    free(k);
}
