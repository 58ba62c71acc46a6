/* Disks that fail (T30) or fill up (T31). The suite is linked so that its calls of fdatasync and pwritev come here first. */
#include "rig.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <unistd.h>

static rig R;

/* ---- the faults -------------------------------------------------------------------------------------------------------- */

static atomic_int sync_fails, write_fails; /* the nth call from now on: 1 is the next; 0: none */
static atomic_int write_error = EIO;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __real_pwritev64(int fd, const struct iovec *v, int n, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *v, int n, off_t offset);

static bool due(atomic_int *counter) { return atomic_load(counter) > 0 && atomic_fetch_sub(counter, 1) == 1; }

int __wrap_fdatasync(int fd) {
    if (!due(&sync_fails)) return __real_fdatasync(fd);
    errno = EIO;
    return -1;
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *v, int n, off_t offset) {
    if (!due(&write_fails)) return __real_pwritev64(fd, v, n, offset);
    (void)__real_pwritev64(fd, v, 1, offset); /* a part of it gets through */
    errno = atomic_load(&write_error);
    return -1;
}

static void start(void) {
    rig_init(&R);
    (void)check_true(rig_open(&R), __FILE__, __LINE__, R.error.message);
}

static int add(const char *sop, archive_result *result) { return rig_send(&R, &(synth){ .sop = sop, .rows = 30, .columns = 30 }, result); }

static bool there(const char *sop) {
    archive_object o;
    if (archive_object_open(R.archive, sop, &o, NULL)) return false;
    archive_object_release(R.archive, &o);
    return true;
}

static void sound(void) {
    char kinds[300];
    CHECK_INT(rig_verify(&R, false, kinds, sizeof kinds), 0);
    CHECK_STR(kinds, "");
}

/* ---- T30 --------------------------------------------------------------------------------------------------------------- */

TEST(T30_failed_sync_fails_the_object_and_closes_the_pack) {
    archive_result result;
    char path[700];
    start();
    CHECK_INT(add("1.2.1", &result), 0);
    atomic_store(&sync_fails, 1);
    CHECK_INT(add("1.2.2", &result), GN_E_IO);
    CHECK_INT(result.dimse_status, 0xA700);
    CHECK(!there("1.2.2"));
    CHECK_INT(archive_writable(R.archive, NULL), 0); /* once is an accident */
    CHECK_INT(add("1.2.2", &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
    CHECK(access(rig_path(&R, "packs/00000002.pack", path), F_OK) == 0); /* the pack that failed is not written again */
    sound();
    rig_close(&R);
    REQUIRE(rig_open(&R));
    CHECK(there("1.2.1") && there("1.2.2"));
    sound();
    rig_close(&R);
}

TEST(T30_second_failure_makes_the_store_suspect) {
    archive_result result;
    start();
    for (int i = 0; i < 2; i++) {
        atomic_store(&sync_fails, 1);
        CHECK_INT(add("1.2.1", &result), GN_E_IO);
    }
    CHECK_INT(archive_writable(R.archive, NULL), GN_E_IO);
    CHECK(add("1.2.1", &result) < 0);
    rig_close(&R);
    REQUIRE(rig_open(&R)); /* a restart is a person's decision */
    CHECK_INT(add("1.2.1", &result), 0);
    rig_close(&R);
}

TEST(T30_failed_sync_of_a_large_object_leaves_nothing) {
    archive_result result;
    start();
    atomic_store(&sync_fails, 1);
    CHECK_INT(rig_send(&R, &(synth){ .rows = 900, .columns = 900 }, &result), GN_E_IO);
    atomic_store(&sync_fails, 2); /* its record */
    CHECK_INT(rig_send(&R, &(synth){ .rows = 900, .columns = 900 }, &result), GN_E_IO);
    CHECK_INT(rig_count(&R, "objects", ".dcm"), 0);
    CHECK_INT(rig_count(&R, "incoming", ""), 0);
    sound();
    rig_close(&R);
}

TEST(T30_failed_write_cuts_the_batch_off) {
    archive_result result;
    start();
    CHECK_INT(add("1.2.1", &result), 0);
    atomic_store(&write_fails, 1);
    CHECK_INT(add("1.2.2", &result), GN_E_IO);
    CHECK_INT(add("1.2.3", &result), 0);
    CHECK(!there("1.2.2") && there("1.2.3"));
    sound();
    rig_close(&R);
}

/* ---- T31 --------------------------------------------------------------------------------------------------------------- */

TEST(T31_no_space_is_told_as_such_and_passes) {
    archive_result result;
    start();
    CHECK_INT(add("1.2.1", &result), 0);
    atomic_store(&write_error, ENOSPC);
    atomic_store(&write_fails, 1);
    CHECK_INT(add("1.2.2", &result), GN_E_NO_SPACE);
    CHECK_INT(result.dimse_status, 0xA700);
    atomic_store(&write_error, EIO);
    CHECK_INT(archive_writable(R.archive, NULL), GN_E_NO_SPACE); /* until the disk is looked at again */
    for (int i = 0; i < 300 && archive_writable(R.archive, NULL); i++) (void)usleep(10000);
    CHECK_INT(add("1.2.2", &result), 0);
    CHECK(rig_count(&R, "packs", ".pack") == 1);
    sound();
    rig_close(&R);
}

TEST(T31_reserve_refuses_before_the_disk_is_full) {
    archive_result result;
    rig_init(&R);
    R.config.reserve_bytes = UINT64_MAX / 4; /* taken as 5 % of the disk */
    REQUIRE(rig_open(&R));
    archive_stats s;
    CHECK_INT(archive_get_stats(R.archive, &s, NULL), 0);
    CHECK(s.free_bytes > 0 && s.disk_bytes > 0);
    int rc = add("1.2.1", &result);
    CHECK(rc == 0 || rc == GN_E_NO_SPACE); /* as full as the disk of the test may be */
    rig_close(&R);
}

static bool mount_small(const char *path, const char *options) {
    if (gn_mkdirs(path, NULL)) return false;
    return mount("tmpfs", path, "tmpfs", 0, options) == 0;
}

TEST(T31_full_disk_refuses_and_recovers) {
    archive_result result;
    char sop[32], ballast[700];
    unsigned stored = 0, refused = 0;
    rig_init(&R);
    if (!mount_small(R.directory, "size=24m")) SKIP("no right to mount a small disk");
    REQUIRE(rig_open(&R));
    FILE *f = fopen(rig_path(&R, "quarantine/ballast", ballast), "w");
    for (int i = 0; f && i < 10 << 10; i++) (void)fprintf(f, "%01023d\n", i);
    REQUIRE(f && fclose(f) == 0);
    for (unsigned i = 0; i < 400; i++) {
        (void)snprintf(sop, sizeof sop, "1.2.3.%u", i);
        bool large = i % 50 == 49;
        int rc = rig_send(&R, &(synth){ .sop = sop, .rows = large ? 900 : 100, .columns = large ? 900 : 200, .seed = i }, &result);
        if (rc == 0 && result.dimse_status == 0) stored++;
        else {
            refused++;
            CHECK_INT(result.dimse_status ? result.dimse_status : 0xA700, 0xA700);
            CHECK(!there(sop));
        }
    }
    CHECK(stored > 100 && refused > 10);
    CHECK_INT(archive_writable(R.archive, NULL), GN_E_NO_SPACE);
    CHECK(there("1.2.3.0")); /* reading goes on */
    CHECK_INT(rig_count(&R, "incoming", ""), 0);
    CHECK_INT(unlink(ballast), 0);
    for (int i = 0; i < 300 && archive_writable(R.archive, NULL); i++) (void)usleep(10000);
    CHECK_INT(add("1.2.4", &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
    sound();
    rig_close(&R);
    REQUIRE(rig_open(&R));
    archive_stats s;
    CHECK_INT(archive_get_stats(R.archive, &s, NULL), 0);
    CHECK_INT(s.instances, stored + 1);
    rig_close(&R);
    CHECK_INT(umount2(R.directory, MNT_DETACH), 0);
}
