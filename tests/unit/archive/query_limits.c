/* Queries that mean harm or merely much (T15): SQL in keys, worst wildcards, deadlines, results of many chunks, slow readers. */
#include "index_rig.h"

#include <stdlib.h>

/* n studies, each of one instance, in large batches. Patient ID "P000000", name "Name^N". */
static void fill(index_rig *r, int n) {
    enum { BATCH = 500 };
    gn_arena *all = r->arena;
    for (int i = 0; i < n; i += BATCH) {
        index_instance *items[BATCH];
        int count = n - i < BATCH ? n - i : BATCH;
        r->arena = gn_arena_new((size_t)256 << 20);
        for (int k = 0; k < count; k++) {
            char spec[300];
            (void)snprintf(spec, sizeof spec, "PatientID=P%06d;PatientName=Name^N%d aaaaaaaaaaaaaaaaaaaaaaaa;StudyInstanceUID=1.%d;SeriesInstanceUID=1.%d.1;SOPInstanceUID=1.%d.1.1;StudyDate=20240101;AccessionNumber=%d", i + k, i + k,
                           i + k, i + k, i + k, (i + k) % 10);
            items[k] = rig_instance(r, spec, "x");
        }
        CHECK_INT(index_add_batch(r->x, items, (size_t)count, ARCHIVE_KEEP, NULL, &r->error), 0);
        gn_arena_free(&r->arena);
        r->arena = all;
    }
}

static int64_t count_rows(index_rig *r, const archive_query *q, bool *in_order) {
    archive_cursor *c = NULL;
    const archive_value *v;
    int64_t rows = 0, id, last = 0;
    int rc = index_query_open(r->x, q, &c, &r->error);
    *in_order = true;
    while (!rc && (rc = archive_query_next(c, &v, &id, &r->error)) == 0) {
        if (id <= last) *in_order = false;
        last = id;
        rows++;
    }
    archive_query_close(&c);
    return rc < 0 ? rc : rows;
}

TEST(sql_in_keys_is_text) {
    index_rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=x' OR '1'='1;PatientName=Robert'|drop table study^--"), ARCHIVE_STORED);
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "PatientID=x' OR '1'='1", "StudyInstanceUID"), "1.1");
    static const char *const evil[] = { "PatientID=' OR 1=1 --", "PatientName='| DROP TABLE study| --*", "AccessionNumber=\"|--", "StudyInstanceUID=1') OR ('1'='1\\2", "ModalitiesInStudy=C') OR ('1",
                                        "StudyDescription=$1", "StudyDescription=?1*", "PatientID=%", "PatientID=_'*", "SpecificCharacterSet=ISO_IR 192;PatientName=\xFF\xFE*\x01" };
    for (size_t i = 0; i < GN_ARRAY_LEN(evil); i++) CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, evil[i], "StudyInstanceUID"), "");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "", "PatientID"), "x' OR '1'='1");
    rig_done(&r);
}

TEST(worst_keys_are_answered_or_refused) {
    index_rig r;
    char spec[60000];
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P;PatientName=Doe^John"), ARCHIVE_STORED);
    size_t n = (size_t)snprintf(spec, sizeof spec, "PatientName=");
    for (int i = 0; i < 500; i++) n += (size_t)snprintf(spec + n, sizeof spec - n, "c%d^", i);
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, spec, "PatientID"), "");
    n = (size_t)snprintf(spec, sizeof spec, "PatientName=");
    for (int i = 0; i < 500; i++) n += (size_t)snprintf(spec + n, sizeof spec - n, "c%d*\\", i);
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, spec, "PatientID"), "!TOO_LARGE");
    n = (size_t)snprintf(spec, sizeof spec, "AccessionNumber=");
    for (int i = 0; i < 500; i++) n += (size_t)snprintf(spec + n, sizeof spec - n, "c%d*\\", i);
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, spec, "PatientID"), "!TOO_LARGE");
    n = (size_t)snprintf(spec, sizeof spec, "AccessionNumber=");
    for (int i = 0; i < 5000; i++) n += (size_t)snprintf(spec + n, sizeof spec - n, "c%d\\", i);
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, spec, "PatientID"), "");
    n = 0;
    for (int i = 0; i < 20; i++) n += (size_t)snprintf(spec + n, sizeof spec - n, "ProcedureCodeSequence=[");
    (void)snprintf(spec + n, sizeof spec - n, "CodeValue=x]]]]]]]]]]]]]]]]]]]]");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, spec, "PatientID"), "");
    rig_done(&r);
}

TEST(many_answers_come_in_order_and_worst_wildcards_in_time) {
    index_rig r;
    bool in_order;
    REQUIRE(rig_init(&r));
    fill(&r, 100000);
    const dicom_tag wanted[] = { DICOM_TAG_PatientID, DICOM_TAG_PatientName, DICOM_TAG_NumberOfStudyRelatedInstances };
    archive_query q = { .level = ARCHIVE_STUDY, .flags = STUDY_ROOT, .keys = rig_dataset(r.arena, ""), .wanted = wanted, .wanted_count = 3 };
    CHECK_INT(count_rows(&r, &q, &in_order), 100000);
    CHECK(in_order);
    q.keys = rig_dataset(r.arena, "StudyDate=20240101"); /* more than the numbers that are held at once */
    CHECK_INT(count_rows(&r, &q, &in_order), 100000);
    CHECK(in_order);
    q.keys = rig_dataset(r.arena, "AccessionNumber=7");
    CHECK_INT(count_rows(&r, &q, &in_order), 10000);
    CHECK(in_order);
    q.keys = rig_dataset(r.arena, "PatientName=*?*?*?*?x");
    uint64_t started = gn_mono_ns();
    CHECK_INT(count_rows(&r, &q, &in_order), 0);
    CHECK((gn_mono_ns() - started) / 1000000u < 20000);
    q.keys = rig_dataset(r.arena, "PatientName=*?*a?*a?*a?*?x");
    q.deadline_ms = 5;
    CHECK_INT(count_rows(&r, &q, &in_order), GN_E_TIMEOUT);
    gn_error_clear(&r.error);
    q.keys = rig_dataset(r.arena, "00091001LO=nothing"); /* nothing but metadata to look at */
    q.deadline_ms = 300;
    CHECK_INT(count_rows(&r, &q, &in_order), GN_E_TIMEOUT);
    gn_error_clear(&r.error);
    rig_done(&r);
}

/* A cursor between two chunks holds no reader: many of them do not keep each other or the writer out. */
TEST(open_cursors_hold_nothing) {
    index_rig r;
    enum { CURSORS = 50 };
    archive_cursor *c[CURSORS];
    const archive_value *v;
    REQUIRE(rig_init(&r));
    fill(&r, 2000);
    archive_query q = { .level = ARCHIVE_STUDY, .flags = STUDY_ROOT };
    for (int i = 0; i < CURSORS; i++) {
        REQUIRE(index_query_open(r.x, &q, &c[i], &r.error) == 0);
        CHECK_INT(archive_query_next(c[i], &v, NULL, &r.error), 0);
    }
    CHECK_INT(rig_add(&r, "PatientID=late;StudyInstanceUID=9.9;SeriesInstanceUID=9.9.1;SOPInstanceUID=9.9.1.1"), ARCHIVE_STORED);
    CHECK_INT(index_checkpoint(r.x, &r.error), 0);
    for (int i = 0; i < CURSORS; i++) {
        int rows = 1;
        while (archive_query_next(c[i], &v, NULL, &r.error) == 0) rows++;
        CHECK_INT(rows, 2001);
        archive_query_close(&c[i]);
    }
    rig_done(&r);
}

TEST(a_query_that_runs_out_of_memory_says_so) {
    index_rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P1;PatientName=Doe^John;InstitutionName=x;00091001LO=y"), ARCHIVE_STORED);
    archive_query q = { .level = ARCHIVE_STUDY, .flags = STUDY_ROOT,
                        .keys = rig_dataset(r.arena, "PatientName=d*n;PatientID=P1\\P2;InstitutionName=x;00091001LO=y;StudyInstanceUID=1.1\\1.2") };
    const dicom_tag wanted[] = { DICOM_TAG_PatientID, DICOM_TAG_InstitutionName };
    q.wanted = wanted;
    q.wanted_count = 2;
    for (unsigned nth = 1; nth < 400; nth++) {
        bool in_order;
        gn_error_clear(&r.error);
        check_fail_alloc(nth);
        int64_t rows = count_rows(&r, &q, &in_order);
        bool failed = check_failed_allocs() > 0;
        check_fail_alloc(0);
        if (!failed) {
            CHECK_INT(rows, 1);
            break;
        }
        if (rows != 1 && rows != 0 && rows != GN_E_TOO_LARGE /* the JSON reader says so */) CHECK_STR(gn_code_name((int)rows), "NO_MEMORY");
    }
    rig_done(&r);
}
