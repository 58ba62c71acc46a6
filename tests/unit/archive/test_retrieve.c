/* Giving back: what a selection names, in its order, slice by slice; what is damaged is named and passed over. */
#include "rig.h"

#include <stdlib.h>
#include <unistd.h>

static rig R;

/* Two studies: 1.2.1 with series .1 (3 images) and .2 (2), 1.2.2 with series .1 (2, large). Sent out of order. */
static void start(void) {
    static const struct { const char *study, *series, *sop; unsigned number; bool large; } sent[] = {
        { "1.2.1", "1.2.1.1", "1.2.1.1.30", 3, false }, { "1.2.1", "1.2.1.1", "1.2.1.1.10", 1, false }, { "1.2.2", "1.2.2.1", "1.2.2.1.20", 2, true },
        { "1.2.1", "1.2.1.2", "1.2.1.2.10", 1, false }, { "1.2.1", "1.2.1.1", "1.2.1.1.20", 2, false }, { "1.2.2", "1.2.2.1", "1.2.2.1.10", 1, true },
        { "1.2.1", "1.2.1.2", "1.2.1.2.20", 2, false } };
    archive_result result;
    rig_init(&R);
    R.config.pack_limit = 64 << 10;
    REQUIRE(rig_open(&R));
    for (size_t i = 0; i < GN_ARRAY_LEN(sent); i++) {
        synth s = { .study = sent[i].study, .series = sent[i].series, .sop = sent[i].sop, .number = sent[i].number, .rows = sent[i].large ? 300 : 20, .columns = 200,
                    .patient = strcmp(sent[i].study, "1.2.1") == 0 ? "A" : "B", .seed = (uint32_t)i, .sop_class = sent[i].large ? "1.2.840.10008.5.1.4.1.1.4" : SYNTH_CT };
        CHECK_INT(rig_send(&R, &s, &result), 0);
        CHECK_INT(result.dimse_status, 0);
    }
}

/* Takes all of a selection: the last parts of the UIDs of what came, '!' before one that could not be opened. */
static void take(const archive_selection *s, size_t expected, const char *order) {
    archive_retrieval *r = NULL;
    archive_object o;
    size_t count = 0;
    char got[400] = "";
    int rc;
    REQUIRE(archive_retrieve_open(R.archive, s, &r, &count, &R.error) == 0);
    CHECK_INT(count, expected);
    while ((rc = archive_retrieve_next(r, &o, NULL)) != 1) {
        size_t n = strlen(got);
        (void)snprintf(got + n, sizeof got - n, "%s%s ", rc ? "!" : "", o.sop_instance + 4);
        if (rc) continue;
        uint8_t byte;
        CHECK_INT(gn_pread_all(o.fd, &byte, 1, o.offset + o.length - 1, NULL), 0);
        CHECK(o.dataset_offset > 132 && o.dataset_offset < o.length);
        archive_object_release(R.archive, &o);
    }
    CHECK_STR(got, order);
    archive_retrieve_close(&r);
    CHECK(r == NULL);
}

TEST(levels_and_order) {
    start();
    take(&(archive_selection){ .level = ARCHIVE_STUDY, .study_uids = "1.2.1" }, 5, "1.1.10 1.1.20 1.1.30 1.2.10 1.2.20 ");
    take(&(archive_selection){ .level = ARCHIVE_SERIES, .study_uids = "1.2.1", .series_uids = "1.2.1.2" }, 2, "1.2.10 1.2.20 ");
    take(&(archive_selection){ .level = ARCHIVE_IMAGE, .study_uids = "1.2.1", .series_uids = "1.2.1.1", .sop_uids = "1.2.1.1.30\\1.2.1.1.10\\1.2.9" }, 2, "1.1.10 1.1.30 ");
    take(&(archive_selection){ .level = ARCHIVE_PATIENT, .patient_id = "B" }, 2, "2.1.10 2.1.20 ");
    take(&(archive_selection){ .level = ARCHIVE_STUDY, .study_uids = "1.2.1\\1.2.2" }, 7, "1.1.10 1.1.20 1.1.30 1.2.10 1.2.20 2.1.10 2.1.20 ");
    take(&(archive_selection){ .level = ARCHIVE_STUDY, .study_uids = "1.2.77" }, 0, "");
    take(&(archive_selection){ .level = ARCHIVE_PATIENT, .everything = true }, 7, "2.1.20 2.1.10 1.1.30 1.1.10 1.2.10 1.1.20 1.2.20 "); /* everything, for export */
    rig_close(&R);
}

TEST(kinds_are_told_once_each) {
    archive_retrieval *r = NULL;
    archive_kind kinds[4];
    size_t count = 0;
    start();
    REQUIRE(archive_retrieve_open(R.archive, &(archive_selection){ .level = ARCHIVE_STUDY, .study_uids = "1.2.1\\1.2.2" }, &r, &count, &R.error) == 0);
    CHECK_INT(archive_retrieve_kinds(r, kinds, GN_ARRAY_LEN(kinds), &count, NULL), 0);
    CHECK_INT(count, 2);
    CHECK_STR(kinds[0].sop_class, SYNTH_CT);
    CHECK_STR(kinds[0].transfer_syntax, DICOM_TS_EXPLICIT_LE);
    CHECK_STR(kinds[1].sop_class, "1.2.840.10008.5.1.4.1.1.4");
    CHECK_INT(archive_retrieve_kinds(r, kinds, 1, &count, NULL), GN_E_TOO_LARGE);
    archive_retrieve_close(&r);
    archive_retrieve_close(&r);
    rig_close(&R);
}

TEST(missing_and_damaged_objects_are_named_and_passed_over) {
    archive_object o;
    char link[64], path[700];
    start();
    REQUIRE(archive_object_open(R.archive, "1.2.2.1.10", &o, NULL) == 0);
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", o.fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    REQUIRE(n > 0);
    path[n] = '\0';
    archive_object_release(R.archive, &o);
    CHECK_INT(unlink(path), 0);
    take(&(archive_selection){ .level = ARCHIVE_STUDY, .study_uids = "1.2.2" }, 2, "!2.1.10 2.1.20 ");
    CHECK_INT(archive_check_instance(R.archive, NULL, "1.2.2.1.10", false, &R.error), GN_E_CORRUPT);
    CHECK_INT(R.error.code, GN_E_CORRUPT);
    rig_close(&R);
}

TEST(object_stays_readable_while_it_is_held) {
    archive_object o;
    archive_result result;
    uint8_t byte;
    rig_init(&R);
    R.config.duplicates = ARCHIVE_REPLACE;
    REQUIRE(rig_open(&R));
    CHECK_INT(rig_send(&R, &(synth){ .rows = 900, .columns = 900, .seed = 1 }, &result), 0);
    REQUIRE(archive_object_open(R.archive, "1.2.3.1.1.1", &o, NULL) == 0);
    CHECK_INT(rig_send(&R, &(synth){ .rows = 900, .columns = 900, .seed = 2 }, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_REPLACED);
    CHECK_INT(gn_pread_all(o.fd, &byte, 1, o.offset + o.length - 1, NULL), 0);
    archive_object_release(R.archive, &o);
    rig_close(&R);
}

TEST(memory_that_runs_out_is_an_error_and_nothing_else) {
    start();
    for (unsigned nth = 1; nth < 30; nth++) {
        archive_retrieval *r = NULL;
        size_t count = 0;
        gn_error e = GN_ERROR_INIT;
        check_fail_alloc(nth);
        int rc = archive_retrieve_open(R.archive, &(archive_selection){ .level = ARCHIVE_STUDY, .study_uids = "1.2.1\\1.2.2" }, &r, &count, &e);
        check_fail_alloc(0);
        CHECK(rc == 0 ? count == 7 : rc == GN_E_NO_MEMORY || rc == GN_E_DATABASE);
        archive_retrieve_close(&r);
    }
    take(&(archive_selection){ .level = ARCHIVE_PATIENT, .patient_id = "A" }, 5, "1.1.10 1.1.20 1.1.30 1.2.10 1.2.20 ");
    rig_close(&R);
}
