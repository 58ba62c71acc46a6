/* Many senders at once: the same UID (T14, T36), different ones, readers and the keeper beside them. For ThreadSanitizer above all. */
#include "rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static rig R;
static pthread_barrier_t gate;
static atomic_uint outcomes[ARCHIVE_REFUSED + 1], failures;

static void start(archive_duplicate_policy policy) {
    rig_init(&R);
    R.config.duplicates = policy;
    (void)check_true(rig_open(&R), __FILE__, __LINE__, R.error.message);
    for (size_t i = 0; i < GN_ARRAY_LEN(outcomes); i++) atomic_store(&outcomes[i], 0);
    atomic_store(&failures, 0);
}

/* rig_send keeps the last error in the rig, which threads must not share. */
static int send(const synth *s, archive_result *result) {
    rig mine = { .archive = R.archive };
    return rig_send(&mine, s, result);
}

typedef struct runner { pthread_t thread; unsigned id, rounds; bool same_bytes; } runner;

static void *race(void *arg) {
    runner *x = arg;
    for (unsigned i = 0; i < x->rounds; i++) {
        archive_result result;
        char sop[32];
        (void)snprintf(sop, sizeof sop, "1.2.3.%u", i);
        (void)pthread_barrier_wait(&gate);
        if (send(&(synth){ .sop = sop, .rows = 8, .columns = 8, .seed = x->same_bytes ? 1 : x->id }, &result)) atomic_fetch_add(&failures, 1);
        else atomic_fetch_add(&outcomes[result.outcome], 1);
    }
    return NULL;
}

static void run(archive_duplicate_policy policy, bool same_bytes, unsigned rounds, archive_outcome second) {
    runner x[2];
    char kinds[300];
    start(policy);
    CHECK_INT(pthread_barrier_init(&gate, NULL, 2), 0);
    for (unsigned i = 0; i < 2; i++) {
        x[i] = (runner){ .id = i + 1, .rounds = rounds, .same_bytes = same_bytes };
        REQUIRE(pthread_create(&x[i].thread, NULL, race, &x[i]) == 0);
    }
    for (unsigned i = 0; i < 2; i++) (void)pthread_join(x[i].thread, NULL);
    CHECK_INT(atomic_load(&failures), 0);
    CHECK_INT(atomic_load(&outcomes[ARCHIVE_STORED]), rounds);
    CHECK_INT(atomic_load(&outcomes[second]), rounds);
    archive_stats s;
    CHECK_INT(archive_get_stats(R.archive, &s, NULL), 0);
    CHECK_INT(s.instances, rounds);
    CHECK_INT(s.quarantined, second == ARCHIVE_CONFLICT_KEPT || second == ARCHIVE_REFUSED ? rounds : 0);
    CHECK_INT(rig_verify(&R, false, kinds, sizeof kinds), 0);
    rig_close(&R);
    REQUIRE(rig_open(&R));
    CHECK_INT(archive_get_stats(R.archive, &s, NULL), 0);
    CHECK_INT(s.instances, rounds);
    rig_close(&R);
    (void)pthread_barrier_destroy(&gate);
}

TEST(T36_two_senders_of_the_same_bytes_both_succeed) { run(ARCHIVE_KEEP, true, 1000, ARCHIVE_DUPLICATE); }
TEST(T14_two_senders_of_other_bytes_keep) { run(ARCHIVE_KEEP, false, 300, ARCHIVE_CONFLICT_KEPT); }
TEST(T14_two_senders_of_other_bytes_replace) { run(ARCHIVE_REPLACE, false, 300, ARCHIVE_REPLACED); }
TEST(T14_two_senders_of_other_bytes_reject) { run(ARCHIVE_REJECT, false, 100, ARCHIVE_REFUSED); }

/* ---- everything at once ------------------------------------------------------------------------------------------------ */

static atomic_bool stop;

static void *send_many(void *arg) {
    runner *x = arg;
    for (unsigned i = 0; i < x->rounds; i++) {
        archive_result result;
        char sop[32];
        (void)snprintf(sop, sizeof sop, "1.2.%u.%u", x->id, i + 1);
        bool large = i % 40 == 7;
        if (send(&(synth){ .sop = sop, .rows = large ? 800 : 20, .columns = large ? 700 : 20 + i % 9, .seed = i }, &result) || result.outcome != ARCHIVE_STORED) atomic_fetch_add(&failures, 1);
    }
    return NULL;
}

static void *read_many(void *arg) {
    (void)arg;
    rig mine = { .archive = R.archive };
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        char sop[32];
        gn_buf b = GN_BUF_INIT;
        (void)snprintf(sop, sizeof sop, "1.2.%u.%u", 1 + i % 4, 1 + i % 50);
        (void)rig_fetch(&mine, sop, &b);
        gn_buf_done(&b);
        (void)archive_events_wait(R.archive, i, 1);
    }
    return NULL;
}

TEST(many_senders_and_readers_at_once) {
    runner x[6];
    pthread_t reader;
    char kinds[300];
    start(ARCHIVE_KEEP);
    atomic_store(&stop, false);
    REQUIRE(pthread_create(&reader, NULL, read_many, NULL) == 0);
    for (unsigned i = 0; i < GN_ARRAY_LEN(x); i++) {
        x[i] = (runner){ .id = i + 1, .rounds = 100 };
        REQUIRE(pthread_create(&x[i].thread, NULL, send_many, &x[i]) == 0);
    }
    CHECK_INT(rig_verify(&R, false, kinds, sizeof kinds), 0); /* objects that arrive meanwhile are no problem */
    CHECK_STR(kinds, "");
    for (unsigned i = 0; i < GN_ARRAY_LEN(x); i++) (void)pthread_join(x[i].thread, NULL);
    atomic_store(&stop, true);
    (void)pthread_join(reader, NULL);
    CHECK_INT(atomic_load(&failures), 0);
    archive_stats s;
    CHECK_INT(archive_get_stats(R.archive, &s, NULL), 0);
    CHECK_INT(s.instances, 600);
    CHECK_INT(rig_verify(&R, false, kinds, sizeof kinds), 0);
    CHECK_STR(kinds, "");
    rig_close(&R);
}
