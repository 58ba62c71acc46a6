/* Two engines on one file, readers beside the writer, a process that is killed (T36). */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "index_rig.h"

enum { SHARED = 300, KILLS = 8 };

typedef struct racer {
    index_rig rig;
    const char *path;
    _Atomic int *stored, *duplicates;
} racer;

static index_instance *shared_instance(index_rig *r, int i) {
    char spec[200], content[16];
    (void)snprintf(spec, sizeof spec, "PatientID=P%d;StudyInstanceUID=1.%d;SeriesInstanceUID=1.%d.1;SOPInstanceUID=1.%d.1.%d;Modality=CT", i % 20, i % 20, i % 20, i % 20, i);
    (void)snprintf(content, sizeof content, "c%d", i);
    return rig_instance(r, spec, content);
}

static void race(void *arg) {
    racer *w = arg;
    for (int i = 0; i < SHARED; i += 3) {
        index_instance *items[3];
        for (int k = 0; k < 3; k++) items[k] = shared_instance(&w->rig, i + k);
        if (index_add_batch(w->rig.x, items, 3, ARCHIVE_KEEP, NULL, &w->rig.error)) {
            CHECK_STR(w->rig.error.message, "");
            return;
        }
        for (int k = 0; k < 3; k++) atomic_fetch_add(items[k]->outcome == ARCHIVE_STORED ? w->stored : w->duplicates, 1);
    }
}

TEST(two_engines_store_each_instance_once) {
    enum { RACERS = 4 };
    static racer w[RACERS];
    gn_thread thread[RACERS];
    _Atomic int stored = 0, duplicates = 0;
    REQUIRE(rig_init(&w[0].rig));
    for (int i = 0; i < RACERS; i++) {
        if (i) {
            memset(&w[i].rig, 0, sizeof w[i].rig);
            w[i].rig.arena = gn_arena_new((size_t)256 << 20);
            w[i].rig.x = i % 2 ? index_sqlite_open(w[0].rig.path, false, &w[i].rig.error) : w[0].rig.x;
            REQUIRE(w[i].rig.x != NULL);
        }
        w[i].stored = &stored;
        w[i].duplicates = &duplicates;
    }
    for (int i = 0; i < RACERS; i++) CHECK_INT(gn_thread_spawn(&thread[i], "racer", 1 << 20, race, &w[i], NULL), 0);
    for (int i = 0; i < RACERS; i++) gn_thread_join(&thread[i]);
    CHECK_INT(stored, SHARED);
    CHECK_INT(duplicates, SHARED * (RACERS - 1));
    archive_stats s = { 0 };
    CHECK_INT(index_stats(w[0].rig.x, &s, NULL), 0);
    CHECK_INT(s.instances, SHARED);
    CHECK_INT(s.studies, 20);
    CHECK_STR(rig_find(&w[0].rig, ARCHIVE_STUDY, STUDY_ROOT, "StudyInstanceUID=1.7", "NumberOfStudyRelatedInstances,ModalitiesInStudy"), "15|CT");
    for (int i = 1; i < RACERS; i++) {
        if (i % 2) index_close(&w[i].rig.x);
        gn_arena_free(&w[i].rig.arena);
    }
    rig_done(&w[0].rig);
}

typedef struct reader { index_engine *x; _Atomic bool *stop; _Atomic int *rows; } reader;

static void read_on(void *arg) {
    reader *w = arg;
    gn_error e = GN_ERROR_INIT;
    while (!atomic_load(w->stop)) {
        archive_cursor *c = NULL;
        const archive_value *v;
        archive_event events[32];
        size_t count;
        const dicom_tag wanted[] = { DICOM_TAG_StudyInstanceUID, DICOM_TAG_ModalitiesInStudy };
        archive_query q = { .level = ARCHIVE_STUDY, .flags = STUDY_ROOT, .wanted = wanted, .wanted_count = 2 };
        int rc = index_query_open(w->x, &q, &c, &e);
        while (!rc && (rc = archive_query_next(c, &v, NULL, &e)) == 0) atomic_fetch_add(w->rows, 1);
        archive_query_close(&c);
        if (rc >= 0) rc = index_events_read(w->x, 0, events, 32, &count, &e);
        if (rc < 0) {
            CHECK_STR(e.message, "");
            return;
        }
    }
}

TEST(readers_and_checkpoints_go_on_beside_the_writer) {
    enum { READERS = 12 };
    static index_rig r;
    reader w;
    gn_thread thread[READERS];
    _Atomic bool stop = false;
    _Atomic int rows = 0;
    REQUIRE(rig_init(&r));
    w = (reader){ r.x, &stop, &rows };
    for (int i = 0; i < READERS; i++) CHECK_INT(gn_thread_spawn(&thread[i], "reader", 1 << 20, read_on, &w, NULL), 0);
    for (int i = 0; i < SHARED; i++) {
        CHECK_INT(rig_add_item(&r, shared_instance(&r, i), ARCHIVE_KEEP), ARCHIVE_STORED);
        if (i % 50 == 0) CHECK_INT(index_checkpoint(r.x, &r.error), 0);
    }
    while (atomic_load(&rows) == 0) (void)usleep(1000);
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) gn_thread_join(&thread[i]);
    CHECK(rows > 0);
    rig_done(&r);
}

typedef struct worker { index_engine *x; _Atomic int *taken; } worker;

static void work(void *arg) {
    worker *w = arg;
    archive_job job;
    gn_error e = GN_ERROR_INIT;
    while (index_job_take(w->x, "send", 60000, &job, &e) == 0) {
        atomic_fetch_add(w->taken, 1);
        free(job.payload);
    }
    CHECK_STR(e.message, "");
}

TEST(no_job_is_taken_twice) {
    enum { WORKERS = 4, JOBS = 60 };
    index_rig r;
    gn_thread thread[WORKERS];
    worker w[WORKERS];
    _Atomic int taken = 0;
    REQUIRE(rig_init(&r));
    for (int i = 0; i < JOBS; i++) CHECK_INT(index_job_add(r.x, "send", i % 3, "x", 0, NULL, &r.error), 0);
    index_engine *other = index_sqlite_open(r.path, false, &r.error);
    REQUIRE(other != NULL);
    for (int i = 0; i < WORKERS; i++) {
        w[i] = (worker){ i % 2 ? other : r.x, &taken };
        CHECK_INT(gn_thread_spawn(&thread[i], "worker", 1 << 20, work, &w[i], NULL), 0);
    }
    for (int i = 0; i < WORKERS; i++) gn_thread_join(&thread[i]);
    CHECK_INT(taken, JOBS);
    index_close(&other);
    rig_done(&r);
}

/* The child says which batches are in; all of them, and whole, must be there afterwards. */
static void add_until_killed(const char *path, int said) {
    index_rig r = { .x = index_sqlite_open(path, false, NULL) };
    for (int i = 0; r.x; i++) {
        r.arena = gn_arena_new((size_t)64 << 20);
        index_instance *items[5];
        for (int k = 0; k < 5; k++) items[k] = shared_instance(&r, i * 5 + k);
        index_position position = { 1, (uint64_t)i + 1 };
        if (index_add_batch(r.x, items, 5, ARCHIVE_REPLACE, &position, NULL)) break;
        if (i % 20 == 0) (void)index_checkpoint(r.x, NULL);
        if (write(said, &i, sizeof i) != sizeof i) break;
        gn_arena_free(&r.arena);
    }
    _exit(1);
}

TEST(a_killed_process_leaves_whole_batches) {
    index_rig r;
    index_position p;
    REQUIRE(rig_init(&r));
    int64_t before = 0;
    for (int round = 0; round < KILLS; round++) {
        int said[2], batch, last = -1;
        index_close(&r.x);
        REQUIRE(pipe(said) == 0);
        pid_t child = fork();
        if (child == 0) add_until_killed(r.path, said[1]);
        (void)close(said[1]);
        int wanted = 5 + round * 7;
        while (last < wanted && read(said[0], &batch, sizeof batch) == sizeof batch) last = batch;
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        while (read(said[0], &batch, sizeof batch) == sizeof batch) last = batch;
        (void)close(said[0]);
        CHECK(last >= wanted);
        REQUIRE(rig_reopen(&r));
        archive_stats s = { 0 };
        CHECK_INT(index_stats(r.x, &s, &r.error), 0);
        CHECK(s.instances >= (last + 1) * 5);
        CHECK(s.instances >= before);
        before = s.instances;
        CHECK_INT(s.instances % 5, 0);
        CHECK_INT(index_get_position(r.x, &p, &r.error), 0);
        CHECK(p.offset == (uint64_t)last + 1 || p.offset == (uint64_t)last + 2); /* the last batch may be in without a word */
        int64_t counted = 0;
        const char *rows = rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "", "NumberOfStudyRelatedInstances");
        for (char *at = (char *)rows; *at; at += strspn(at, " ")) counted += strtol(at, &at, 10);
        CHECK_INT(counted, s.instances);
    }
    rig_done(&r);
}
