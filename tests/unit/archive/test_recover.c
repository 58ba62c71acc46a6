/* What is there after a crash (T28, T29), a lost index, a torn tail, a second process, a wrong folder (T32). */
#include "rig.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static rig R;

static void start(void) {
    rig_init(&R);
    (void)check_true(rig_open(&R), __FILE__, __LINE__, R.error.message);
}

static void add(unsigned from, unsigned to) {
    archive_result result;
    char sop[32];
    for (unsigned i = from; i < to; i++) {
        (void)snprintf(sop, sizeof sop, "1.2.3.%u", i);
        CHECK_INT(rig_send(&R, &(synth){ .sop = sop, .rows = 40, .columns = 50, .seed = i }, &result), 0);
        CHECK_INT(result.outcome, ARCHIVE_STORED);
    }
}

static bool holds(unsigned i) {
    char sop[32];
    (void)snprintf(sop, sizeof sop, "1.2.3.%u", i);
    return rig_holds(&R, &(synth){ .sop = sop, .rows = 40, .columns = 50, .seed = i });
}

static unsigned held(unsigned to) {
    unsigned n = 0;
    for (unsigned i = 0; i < to; i++) n += holds(i);
    return n;
}

static void remove_index(void) {
    static const char *const names[] = { "index.sqlite", "index.sqlite-wal", "index.sqlite-shm" };
    char path[700];
    for (size_t i = 0; i < GN_ARRAY_LEN(names); i++) (void)unlink(rig_path(&R, names[i], path));
}

static void sound(void) {
    char kinds[300];
    CHECK_INT(rig_verify(&R, false, kinds, sizeof kinds), 0);
    CHECK_STR(kinds, "");
}

/* ---- kill -9 (T28) ----------------------------------------------------------------------------------------------------- */

typedef struct sending { int acknowledged; unsigned id, round; } sending;

static const synth *object_of(unsigned sender, unsigned round, unsigned i, char sop[48], synth *s) {
    (void)snprintf(sop, 48, "1.2.%u.%u.%u", sender + 1, round + 1, i + 1);
    bool large = i % 7 == 3;
    *s = (synth){ .sop = sop, .rows = large ? 300 : 30, .columns = 40 + i % 5, .seed = sender * 1000 + i };
    return s;
}

static void *send_until_killed(void *arg) {
    sending *x = arg;
    for (unsigned i = 0;; i++) {
        archive_result result;
        char sop[48], line[64];
        synth s;
        if (rig_send(&R, object_of(x->id, x->round, i, sop, &s), &result) || result.dimse_status) _exit(3);
        int n = snprintf(line, sizeof line, "%u %u\n", x->id, i);
        if (write(x->acknowledged, line, (size_t)n) != n) _exit(4);
    }
    return NULL;
}

static void child(int acknowledged, unsigned round) {
    sending x[3];
    pthread_t t;
    if (!rig_open(&R)) _exit(2);
    for (unsigned i = 0; i < 3; i++) {
        x[i] = (sending){ acknowledged, i, round };
        if (pthread_create(&t, NULL, send_until_killed, &x[i])) _exit(2);
    }
    for (;;) (void)pause();
}

/* Each thread acknowledges in order: the pipe's lines say how many of each. */
static unsigned read_acknowledged(FILE *f, unsigned counts[3]) {
    unsigned id, i, all = 0;
    while (fscanf(f, "%u %u\n", &id, &i) == 2) {
        if (id > 2) break;
        counts[id] = i + 1;
        all++;
    }
    return all;
}

TEST(T28_kill_at_any_time_loses_nothing_acknowledged) {
    unsigned total = 0;
    uint64_t slowest = 0;
    rig_init(&R);
    R.config.pack_limit = 16 << 10; /* so that one in seven is a large object */
    for (unsigned round = 0; round < 40; round++) {
        int ends[2], status;
        unsigned counts[3] = { 0 };
        REQUIRE(pipe(ends) == 0);
        pid_t pid = fork();
        if (pid == 0) child(ends[1], round);
        REQUIRE(pid > 0);
        (void)close(ends[1]);
        if (round % 4) (void)poll(&(struct pollfd){ .fd = ends[0], .events = POLLIN }, 1, 20000); /* else perhaps while it opens */
        (void)usleep((round * 7919) % 40000);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        CHECK(WIFSIGNALED(status));
        FILE *f = fdopen(ends[0], "r");
        total += read_acknowledged(f, counts);
        (void)fclose(f);
        uint64_t t = gn_mono_ns();
        REQUIRE(rig_open(&R));
        t = gn_mono_ns() - t;
        if (t > slowest) slowest = t;
        unsigned lost = 0;
        for (unsigned k = 0; k < 3; k++)
            for (unsigned i = 0; i < counts[k]; i++) {
                char sop[48];
                synth s;
                lost += !rig_holds(&R, object_of(k, round, i, sop, &s));
            }
        CHECK_INT(lost, 0);
        CHECK_INT(rig_count(&R, "incoming", ""), 0);
        if (round % 10 == 9) sound();
        rig_close(&R);
    }
    CHECK(total > 40);
    CHECK(slowest < UINT64_C(3000000000));
}

/* ---- power loss: the index is behind, the tail is torn (T29) ----------------------------------------------------------- */

static void copy_file(const char *from, const char *to) {
    gn_buf b = GN_BUF_INIT;
    if (gn_file_load(from, (size_t)1 << 30, &b, NULL) == 0) {
        int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        CHECK_INT(gn_write_all(fd, b.p, b.n, NULL), 0);
        (void)close(fd);
    }
    gn_buf_done(&b);
}

TEST(T29_index_that_is_behind_is_brought_up_to_date) {
    char path[700], saved[700];
    archive_result result;
    rig_init(&R);
    R.config.pack_limit = 64 << 10;
    REQUIRE(rig_open(&R));
    add(0, 10);
    rig_close(&R); /* the index as it was durable at a checkpoint … */
    copy_file(rig_path(&R, "index.sqlite", path), rig_path(&R, "saved", saved));
    REQUIRE(rig_open(&R));
    add(10, 40);
    synth large = { .sop = "1.2.9", .rows = 300, .columns = 300 };
    CHECK_INT(rig_send(&R, &large, &result), 0);
    CHECK_INT(rig_send(&R, &(synth){ .sop = "1.2.3.5", .rows = 9, .columns = 9, .seed = 77 }, &result), 0); /* a conflict, decided before the crash */
    CHECK_INT(result.outcome, ARCHIVE_CONFLICT_KEPT);
    rig_close(&R);
    remove_index();
    copy_file(saved, path); /* … and nothing since then */
    (void)unlink(saved);
    REQUIRE(rig_open(&R));
    CHECK_INT(held(40), 40);
    CHECK(rig_holds(&R, &large));
    CHECK_INT(rig_send(&R, &large, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_DUPLICATE);
    add(40, 45);
    sound();
    rig_close(&R);
}

static void torn(size_t cut, bool flip) {
    char path[700];
    struct stat st;
    start();
    add(0, 5);
    rig_close(&R);
    char index[700], saved[700];
    copy_file(rig_path(&R, "index.sqlite", index), rig_path(&R, "saved", saved));
    REQUIRE(stat(rig_path(&R, "packs/00000001.pack", path), &st) == 0);
    off_t known = st.st_size;
    REQUIRE(rig_open(&R));
    add(5, 8);
    rig_close(&R);
    remove_index();
    copy_file(saved, index);
    (void)unlink(saved);
    REQUIRE(stat(path, &st) == 0);
    if (flip) { /* a block of the second of three never reached the disk */
        int fd = open(path, O_WRONLY);
        uint8_t zeros[4096] = { 0 };
        CHECK_INT(pwrite(fd, zeros, sizeof zeros, known + (st.st_size - known) / 3 + 4096), 4096);
        (void)close(fd);
    } else {
        CHECK_INT(truncate(path, st.st_size - (off_t)cut), 0);
    }
    REQUIRE(rig_open(&R));
    CHECK_INT(held(5), 5);
    CHECK(holds(5));
    CHECK_INT(holds(6), !flip);
    CHECK_INT(holds(7), flip);
    CHECK_INT(rig_count(&R, "quarantine", ".dcm"), 1); /* what a crash left is kept for a person */
    unsigned lost = flip ? 6 : 7;
    add(lost, lost + 1); /* a resend */
    add(8, 12);
    CHECK_INT(held(12), 12);
    sound();
    rig_close(&R);
    REQUIRE(rig_open(&R));
    CHECK_INT(held(12), 12);
    sound();
    rig_close(&R);
    remove_index();
    REQUIRE(rig_open(&R));
    CHECK_INT(held(12), 12);
    sound();
    rig_close(&R);
}

TEST(T29_torn_tail_is_passed_over) { torn(4096, false); }
TEST(T29_tail_torn_within_a_block_is_passed_over) { torn(777, false); }
TEST(T29_tail_torn_within_a_header_is_passed_over) { torn(4096 + 3700, false); }
TEST(T29_record_torn_in_the_middle_is_passed_over) { torn(0, true); }

/* A cut before the index was ever brought to disk by the keeper: it must not be taken for a lost one, in which nothing is thrown away. */
TEST(T29_torn_tail_of_the_first_objects_of_all_is_passed_over) {
    char path[700], saved[700];
    struct stat st;
    start();
    copy_file(rig_path(&R, "index.sqlite", path), rig_path(&R, "saved", saved)); /* without its log: what is durable */
    add(0, 3);
    rig_close(&R);
    remove_index();
    copy_file(saved, path);
    (void)unlink(saved);
    REQUIRE(stat(rig_path(&R, "packs/00000001.pack", path), &st) == 0);
    CHECK_INT(truncate(path, st.st_size - 4096), 0);
    REQUIRE(rig_open(&R));
    CHECK_INT(held(3), 2);
    CHECK_INT(rig_count(&R, "quarantine", ".dcm"), 1);
    sound();
    add(2, 5);
    rig_close(&R);
    remove_index(); /* and this one is lost */
    REQUIRE(rig_open(&R));
    CHECK_INT(held(5), 5);
    sound();
    rig_close(&R);
}

TEST(zeros_behind_the_last_record_are_written_over) {
    char path[700];
    struct stat st;
    start();
    add(0, 3);
    rig_close(&R);
    REQUIRE(stat(rig_path(&R, "packs/00000001.pack", path), &st) == 0);
    CHECK_INT(truncate(path, st.st_size + 20000), 0);
    REQUIRE(rig_open(&R));
    add(3, 5);
    CHECK_INT(held(5), 5);
    CHECK_INT(rig_count(&R, "quarantine", ""), 0);
    sound();
    rig_close(&R);
}

/* ---- the index is gone ------------------------------------------------------------------------------------------------- */

TEST(lost_index_is_rebuilt_from_the_packs) {
    archive_result result;
    synth large = { .sop = "1.2.9", .rows = 800, .columns = 800 }, second = { .sop = "1.2.3.3", .rows = 9, .columns = 9, .seed = 4 };
    rig_init(&R);
    R.config.duplicates = ARCHIVE_REPLACE;
    REQUIRE(rig_open(&R));
    add(0, 70);
    CHECK_INT(rig_send(&R, &large, &result), 0);
    CHECK_INT(rig_send(&R, &second, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_REPLACED);
    rig_close(&R);
    remove_index();
    R.config.duplicates = ARCHIVE_KEEP; /* the records say how it was decided then */
    REQUIRE(rig_open(&R));
    CHECK_INT(held(70), 69);
    CHECK(rig_holds(&R, &second));
    CHECK(rig_holds(&R, &large));
    archive_stats s;
    CHECK_INT(archive_get_stats(R.archive, &s, NULL), 0);
    CHECK_INT(s.instances, 71);
    CHECK_INT(s.superseded, 1);
    sound();
    add(100, 105);
    rig_close(&R);
}

/* index_add_batch fails from the nth call on (0: never), as when the disk is full or the power goes. Its own header is private: opaque here. */
static unsigned batches, fail_from;
int __real_index_add_batch(void *x, void *items, size_t n, int policy, const void *position, gn_error *e);
int __wrap_index_add_batch(void *x, void *items, size_t n, int policy, const void *position, gn_error *e);
int __wrap_index_add_batch(void *x, void *items, size_t n, int policy, const void *position, gn_error *e) {
    if (fail_from && ++batches >= fail_from) return gn_fail(e, GN_E_NO_SPACE, "made to fail");
    return __real_index_add_batch(x, items, n, policy, position, e);
}

/* A bit of the pixels of an object that lies in a pack turns over. */
static void spoil(const char *sop) {
    archive_object o;
    char path[64], byte;
    REQUIRE(archive_object_open(R.archive, sop, &o, &R.error) == 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", o.fd);
    int fd = open(path, O_RDWR);
    off_t at = (off_t)(o.offset + o.length - 100);
    CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte = (char)(byte ^ 4);
    CHECK(pwrite(fd, &byte, 1, at) == 1);
    (void)close(fd);
    archive_object_release(R.archive, &o);
}

/* An old object gone bad is left to `verify` by a rebuild, also by one that goes on where another was interrupted. */
static void rebuilt(unsigned fail) {
    char kinds[300];
    start();
    add(0, 150);
    spoil("1.2.3.120");
    rig_close(&R);
    remove_index();
    batches = 0;
    fail_from = fail;
    CHECK_INT(rig_open(&R), fail == 0);
    fail_from = 0;
    if (fail) REQUIRE(rig_open(&R));
    CHECK_INT(held(150), 149);
    CHECK_INT(rig_count(&R, "quarantine", ""), 0);
    CHECK_INT(rig_verify(&R, false, kinds, sizeof kinds), 1);
    CHECK_STR(kinds, "damaged ");
    add(200, 210);
    rig_close(&R);
    REQUIRE(rig_open(&R)); /* what came after the rebuild is recovered as usual */
    CHECK_INT(held(210), 159);
    rig_close(&R);
}

TEST(rebuild_leaves_an_old_object_gone_bad_to_verify) { rebuilt(0); }
TEST(rebuild_interrupted_at_once_still_does) { rebuilt(1); }
TEST(rebuild_interrupted_in_the_middle_still_does) { rebuilt(3); }

typedef struct told { unsigned times, sleeps; uint64_t last_ns, shortest_ns; archive_progress first, last; } told;

static void on_recovery(void *ctx, const archive_progress *p) {
    told *t = ctx;
    uint64_t now = gn_mono_ns();
    if (t->times == 0) t->first = *p;
    else if (now - t->last_ns < t->shortest_ns) t->shortest_ns = now - t->last_ns;
    CHECK(p->done >= t->last.done && p->done <= p->total);
    t->last = *p;
    t->last_ns = now;
    if (t->times++ < t->sleeps) (void)usleep(1050000); /* so that the next one is due, however fast the disk is */
}

TEST(rebuild_of_a_lost_index_tells_how_far_it_is) {
    archive_result result;
    char path[700];
    struct stat st;
    told t = { .sleeps = 2, .shortest_ns = UINT64_MAX };
    synth large = { .sop = "1.2.9", .rows = 1200, .columns = 1000 };
    rig_init(&R);
    R.config.on_recovery = on_recovery;
    R.config.recovery_ctx = &t;
    REQUIRE(rig_open(&R));
    add(0, 20);
    CHECK_INT(rig_send(&R, &large, &result), 0);
    add(20, 200);
    rig_close(&R);
    CHECK_INT(t.times, 0); /* nothing was there to recover */
    remove_index();
    REQUIRE(rig_open(&R));
    REQUIRE(stat(rig_path(&R, "packs/00000001.pack", path), &st) == 0);
    CHECK(t.times >= 3 && t.times <= 4);
    CHECK(t.shortest_ns >= UINT64_C(1000000000));
    CHECK_INT(t.first.done, 0);
    CHECK(t.first.total > (uint64_t)st.st_size + 1200000); /* the large object's file too */
    CHECK(t.last.done > 0 && t.last.bytes > 0 && t.last.bytes < t.last.done);
    CHECK_INT(t.last.problems, 0);
    CHECK_INT(t.last.total, t.first.total);
    CHECK_INT(held(200), 200);
    rig_close(&R);
    t.times = 0;
    REQUIRE(rig_open(&R)); /* a usual start says nothing */
    CHECK_INT(t.times, 0);
    rig_close(&R);
}

TEST(start_reads_only_the_tail) {
    start();
    add(0, 400);
    rig_close(&R);
    uint64_t t = gn_mono_ns();
    REQUIRE(rig_open(&R));
    CHECK(gn_mono_ns() - t < UINT64_C(1000000000));
    t = gn_mono_ns();
    rig_close(&R);
    CHECK(gn_mono_ns() - t < UINT64_C(1000000000));
}

TEST(packs_older_than_the_index_are_never_written_over) {
    char path[700];
    struct stat st;
    char kinds[300];
    start();
    add(0, 4);
    rig_close(&R);
    REQUIRE(stat(rig_path(&R, "packs/00000001.pack", path), &st) == 0);
    CHECK_INT(truncate(path, st.st_size / 2), 0); /* a restore of yesterday's packs under today's index (T40) */
    REQUIRE(rig_open(&R));
    add(10, 12);
    CHECK(access(rig_path(&R, "packs/00000002.pack", path), F_OK) == 0);
    CHECK_INT(held(2), 2);
    CHECK_INT(rig_verify(&R, false, kinds, sizeof kinds), 2);
    rig_close(&R);
}

/* ---- the folder (T32) -------------------------------------------------------------------------------------------------- */

TEST(second_process_is_kept_out) {
    start();
    gn_error e = GN_ERROR_INIT;
    archive *second = archive_open(&R.config, &e);
    CHECK(second == NULL);
    CHECK_INT(e.code, GN_E_BUSY);
    rig_close(&R);
    CHECK(rig_open(&R));
    rig_close(&R);
}

TEST(T32_folder_without_a_marker_is_refused) {
    char path[700];
    start();
    add(0, 1);
    rig_close(&R);
    REQUIRE(unlink(rig_path(&R, "gantry.marker", path)) == 0);
    CHECK(!rig_open(&R));
    CHECK_INT(R.error.code, GN_E_REFUSED);
}

TEST(T32_empty_mount_point_is_refused_when_an_archive_must_exist) {
    rig_init(&R);
    REQUIRE(gn_mkdirs(R.directory, NULL) == 0);
    R.config.must_exist = true;
    CHECK(!rig_open(&R));
    CHECK_INT(R.error.code, GN_E_REFUSED);
    CHECK_INT(rig_count(&R, ".", ""), 0); /* nothing at all was left there, not even the lock */
    R.config.must_exist = false;
    CHECK(rig_open(&R));
    rig_close(&R);
    R.config.must_exist = true;
    CHECK(rig_open(&R));
    rig_close(&R);
}

TEST(T32_marker_of_a_newer_version_is_refused) {
    char path[700];
    start();
    rig_close(&R);
    int fd = open(rig_path(&R, "gantry.marker", path), O_WRONLY | O_TRUNC);
    CHECK_INT(gn_write_all(fd, "gantry archive 2\nid 00\n", 23, NULL), 0);
    (void)close(fd);
    CHECK(!rig_open(&R));
    CHECK_INT(R.error.code, GN_E_REFUSED);
}

TEST(T32_vanished_folder_stops_the_taking_of_objects) {
    char away[700];
    archive_result result;
    start();
    add(0, 1);
    (void)snprintf(away, sizeof away, "%s.away", R.directory);
    REQUIRE(rename(R.directory, away) == 0);
    REQUIRE(mkdir(R.directory, 0700) == 0); /* an empty folder where the disk was */
    for (int i = 0; i < 300 && archive_writable(R.archive, NULL) == 0; i++) (void)usleep(10000);
    CHECK(archive_writable(R.archive, NULL) != 0);
    CHECK(rig_send(&R, &(synth){ .sop = "1.2.8" }, &result) < 0);
    CHECK(holds(0)); /* reading goes on */
    CHECK_INT(rig_count(&R, ".", ""), 0);
    CHECK_INT(rmdir(R.directory), 0);
    REQUIRE(rename(away, R.directory) == 0);
    for (int i = 0; i < 300 && archive_writable(R.archive, NULL) != 0; i++) (void)usleep(10000);
    add(1, 2);
    rig_close(&R);
}

TEST(T32_read_only_archive_gives_and_takes_nothing) {
    archive_result result;
    start();
    add(0, 3);
    rig_close(&R);
    R.config.read_only = true;
    REQUIRE(rig_open(&R));
    CHECK_INT(held(3), 3);
    CHECK(archive_writable(R.archive, NULL) != 0);
    CHECK(rig_send(&R, &(synth){ .sop = "1.2.8" }, &result) < 0);
    sound();
    rig_close(&R);
}
