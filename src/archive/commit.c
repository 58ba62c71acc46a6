/* commit: many objects, one sync (group commit).
 *
 * Two stages, each with one leader at a time. Appending: the leader takes what is queued, writes it to the pack and syncs; then another
 * thread whose object came meanwhile leads the next batch, while this one goes on to indexing: there too one leader takes all batches
 * that are appended by then, in their order, into one transaction of the index. So the disk works on one batch while the index
 * works on those before it, a lonely sender waits for nobody, and nobody waits on purpose.
 *
 * Threads wait on a word of their own item (a futex): a batch wakes those it is about, not everybody. */
#include "internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH_BYTES ((size_t)16 << 20)

enum { WAITING, LEAD_APPEND, LEAD_INDEX, DONE };

/* ---- waiting ----------------------------------------------------------------------------------------------------------- */

static uint32_t wait_for_turn(commit_item *item) {
    uint32_t state;
    while ((state = atomic_load_explicit(&item->state, memory_order_acquire)) == WAITING) (void)syscall(SYS_futex, &item->state, FUTEX_WAIT_PRIVATE, WAITING, NULL, NULL, 0);
    return state;
}

/* After this with DONE the item may be gone. */
static void tell(commit_item *item, uint32_t state) {
    atomic_store_explicit(&item->state, state, memory_order_release);
    (void)syscall(SYS_futex, &item->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- queues ------------------------------------------------------------------------------------------------------------ */

static void queue_init(commit_queue *q) { *q = (commit_queue){ NULL, &q->first }; }

static void push(commit_queue *q, commit_item *item) {
    item->next = NULL;
    *q->last = item;
    q->last = &item->next;
}

static commit_item *pop(commit_queue *q) {
    commit_item *item = q->first;
    q->first = item->next;
    if (!q->first) q->last = &q->first;
    return item;
}

/* What one batch may hold, in order. */
static size_t take_batch(commit_queue *q, commit_item **items, bool bounded) {
    size_t n = 0, bytes = 0;
    while (q->first && n < STORE_BATCH_MAX) {
        bytes += q->first->append.length;
        if (bounded && n > 0 && bytes > BATCH_BYTES) break;
        items[n++] = pop(q);
    }
    return n;
}

void commit_init(archive *a) {
    committer *c = &a->commit;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->index_turn, NULL);
    queue_init(&c->to_append);
    queue_init(&c->to_index);
}

void commit_done(archive *a) {
    pthread_mutex_destroy(&a->commit.lock);
    pthread_mutex_destroy(&a->commit.index_turn);
}

/* ---- appending --------------------------------------------------------------------------------------------------------- */

static void fail(commit_item *item, int code, const gn_error *why) {
    item->code = code;
    item->error = *why;
}

/* Large objects of an appended batch go into place; those that cannot fail alone. */
static void place_files(archive *a, commit_item **items, size_t n) {
    store_file *files[STORE_BATCH_MAX];
    int codes[STORE_BATCH_MAX];
    bool any = false;
    for (size_t i = 0; i < n; i++) any = (files[i] = items[i]->file) != NULL || any;
    if (!any) return;
    gn_error why = GN_ERROR_INIT;
    store_file_place(a->store, files, codes, n, &why);
    for (size_t i = 0; i < n; i++) {
        items[i]->file = NULL;
        if (!codes[i]) continue;
        fail(items[i], codes[i], &why);
        (void)store_void_record(a->store, &items[i]->append.location, NULL);
    }
}

static void append(archive *a, commit_item **items, size_t n) {
    store_append records[STORE_BATCH_MAX];
    index_position end = { 0, 0 };
    gn_error why = GN_ERROR_INIT;
    for (size_t i = 0; i < n; i++) records[i] = items[i]->append;
    int rc = store_append_batch(a->store, records, n, &end, &why);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        items[i]->append = records[i];
        items[i]->end = end;
        bytes += records[i].length;
        if (!rc && !items[i]->file) items[i]->instance->location = records[i].location;
        if (!rc) continue;
        fail(items[i], rc, &why);
        store_file_discard(&items[i]->file);
    }
    if (rc) return;
    place_files(a, items, n);
    atomic_fetch_add_explicit(&a->commit.committed_bytes, bytes, memory_order_relaxed);
}

/* Leads one batch through appending. true: this thread leads the indexing next. */
static void lead_append(archive *a, commit_item *mine, bool *lead_index) {
    committer *c = &a->commit;
    commit_item *items[STORE_BATCH_MAX], *failed = NULL;
    pthread_mutex_lock(&c->lock);
    size_t n = take_batch(&c->to_append, items, true);
    pthread_mutex_unlock(&c->lock);
    append(a, items, n);
    pthread_mutex_lock(&c->lock);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (items[i]->code == 0) {
            push(&c->to_index, items[i]);
            any = true;
        } else if (items[i] != mine) {
            items[i]->next = failed;
            failed = items[i];
        }
    }
    if (any && !c->indexing) {
        c->indexing = true;
        *lead_index = true;
    }
    commit_item *next = c->to_append.first;
    if (!next) c->appending = false;
    pthread_mutex_unlock(&c->lock);
    if (next) tell(next, LEAD_APPEND);
    while (failed) {
        commit_item *item = failed;
        failed = item->next;
        tell(item, DONE);
    }
}

/* ---- indexing ---------------------------------------------------------------------------------------------------------- */

static void forget(archive *a, commit_item *item) {
    if (item->file_number) (void)store_file_remove(a->store, item->file_number, NULL);
    (void)store_void_record(a->store, &item->append.location, NULL);
}

static void write_index(archive *a, commit_item **items, size_t n) {
    committer *c = &a->commit;
    index_instance *rows[STORE_BATCH_MAX];
    gn_error why = GN_ERROR_INIT;
    for (size_t i = 0; i < n; i++) rows[i] = items[i]->instance;
    pthread_mutex_lock(&c->index_turn);
    const index_position end = items[n - 1]->end;
    int rc = index_add_batch(a->index, rows, n, items[0]->policy, &end, &why);
    if (!rc) c->position = end;
    pthread_mutex_unlock(&c->index_turn);
    atomic_fetch_add_explicit(&c->committed, n, memory_order_relaxed);
    for (size_t i = 0; rc && i < n; i++) { /* nobody is promised anything: their bytes go again */
        fail(items[i], rc, &why);
        forget(a, items[i]);
    }
}

static void lead_index(archive *a, commit_item *mine) {
    committer *c = &a->commit;
    commit_item *items[STORE_BATCH_MAX];
    pthread_mutex_lock(&c->lock);
    size_t n = take_batch(&c->to_index, items, false);
    pthread_mutex_unlock(&c->lock);
    write_index(a, items, n);
    pthread_mutex_lock(&c->lock);
    commit_item *next = c->to_index.first;
    if (!next) c->indexing = false;
    pthread_mutex_unlock(&c->lock);
    if (next) tell(next, LEAD_INDEX);
    for (size_t i = 0; i < n; i++)
        if (items[i] != mine) tell(items[i], DONE);
    archive_news(a);
}

/* ---- the way through --------------------------------------------------------------------------------------------------- */

int commit_run(archive *a, commit_item *item) {
    committer *c = &a->commit;
    atomic_store_explicit(&item->state, WAITING, memory_order_relaxed);
    pthread_mutex_lock(&c->lock);
    push(&c->to_append, item);
    bool lead = !c->appending, indexes = false;
    c->appending = true;
    pthread_mutex_unlock(&c->lock);
    uint32_t state = lead ? LEAD_APPEND : wait_for_turn(item);
    if (state == LEAD_APPEND) {
        atomic_store_explicit(&item->state, WAITING, memory_order_relaxed);
        lead_append(a, item, &indexes);
        if (indexes) state = LEAD_INDEX;
        else state = item->code ? DONE : wait_for_turn(item);
    }
    if (state == LEAD_INDEX) lead_index(a, item);
    return item->code;
}

int commit_rows(archive *a, index_instance *const *items, size_t n, archive_duplicate_policy policy, gn_error *e) {
    pthread_mutex_lock(&a->commit.index_turn);
    int rc = index_add_batch(a->index, items, n, policy, NULL, e);
    pthread_mutex_unlock(&a->commit.index_turn);
    return rc;
}
