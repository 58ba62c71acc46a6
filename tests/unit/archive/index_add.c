/* Adding to the index: rows, counters, duplicates under each policy, conflicts of patients and series (T14). */
#include "index_rig.h"

#define FIRST "SOPInstanceUID=1.1.1.9;PatientID=P1;PatientName=Doe^John;Modality=CT;InstanceNumber=1"

static archive_stats stats_of(index_rig *r) {
    archive_stats s = { 0 };
    CHECK_INT(index_stats(r->x, &s, &r->error), 0);
    return s;
}

TEST(an_instance_is_found_again) {
    index_rig r;
    index_known k;
    index_position p;
    REQUIRE(rig_init(&r));
    CHECK_INT(index_get_position(r.x, &p, &r.error), 0);
    CHECK_INT(p.pack, 0);
    CHECK_INT(rig_add(&r, FIRST), ARCHIVE_STORED);
    REQUIRE(index_find_instance(r.x, "1.1.1.9", &k, &r.error) == 0);
    CHECK_STR(k.study_uid, "1.1");
    CHECK_STR(k.series_uid, "1.1.1");
    CHECK_STR(k.sop_class, "1.2.840.10008.5.1.4.1.1.2");
    CHECK_STR(k.transfer_syntax, DICOM_TS_EXPLICIT_LE);
    CHECK_INT(k.location.offset, 4096);
    CHECK_INT(k.location.dataset_offset, 800);
    CHECK_INT(k.length, 1001);
    CHECK_STR((const char *)k.hash, "0");
    CHECK_INT(index_get_position(r.x, &p, &r.error), 0);
    CHECK_INT(p.pack, 1);
    CHECK_INT(p.offset, 4096);
    CHECK_INT(index_find_instance(r.x, "1.1.1.8", &k, &r.error), GN_E_NOT_FOUND);
    rig_done(&r);
}

TEST(rows_and_counters_last) {
    index_rig r;
    REQUIRE(rig_init(&r));
    for (int i = 0; i < 3; i++) CHECK_INT(rig_add(&r, "PatientID=P1;Modality=CT"), ARCHIVE_STORED);
    CHECK_INT(rig_add(&r, "PatientID=P1;Modality=SR;SeriesInstanceUID=1.1.2;SOPClassUID=1.2.3"), ARCHIVE_STORED);
    CHECK_INT(rig_add(&r, "PatientID=P2;StudyInstanceUID=1.2;SeriesInstanceUID=1.2.1"), ARCHIVE_STORED);
    REQUIRE(rig_reopen(&r));
    archive_stats s = stats_of(&r);
    CHECK_INT(s.patients, 2);
    CHECK_INT(s.studies, 2);
    CHECK_INT(s.series, 3);
    CHECK_INT(s.instances, 5);
    CHECK_INT(s.bytes, 5015);
    CHECK_INT(s.events, 10);
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "", "StudyInstanceUID,NumberOfStudyRelatedSeries,NumberOfStudyRelatedInstances,ModalitiesInStudy,SOPClassesInStudy"),
              "1.1|2|4|CT\\SR|1.2.840.10008.5.1.4.1.1.2\\1.2.3 1.2|1|1||1.2.840.10008.5.1.4.1.1.2");
    rig_done(&r);
}

TEST(a_batch_is_one_transaction) {
    index_rig r;
    REQUIRE(rig_init(&r));
    index_instance *items[40];
    for (int i = 0; i < 40; i++) {
        char spec[80];
        (void)snprintf(spec, sizeof spec, "PatientID=P;SeriesInstanceUID=1.1.%d;Modality=%s", i % 7, i % 2 ? "CT" : "MR");
        items[i] = rig_instance(&r, spec, "x");
    }
    index_instance broken = *items[39];
    broken.sop_instance = NULL;
    index_instance *keep = items[39];
    items[39] = &broken;
    CHECK_INT(index_add_batch(r.x, items, 40, ARCHIVE_KEEP, NULL, &r.error), GN_E_INTERNAL);
    CHECK_INT(stats_of(&r).instances, 0);
    CHECK_INT(stats_of(&r).studies, 0);
    items[39] = keep;
    gn_error_clear(&r.error);
    CHECK_INT(index_add_batch(r.x, items, 40, ARCHIVE_KEEP, NULL, &r.error), 0);
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "", "NumberOfStudyRelatedSeries,NumberOfStudyRelatedInstances,ModalitiesInStudy"), "7|40|MR\\CT");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "", "NumberOfSeriesRelatedInstances"), "6 6 6 6 6 5 5");
    rig_done(&r);
}

TEST(the_same_bytes_are_a_duplicate_under_every_policy) {
    index_rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add_item(&r, rig_instance(&r, FIRST, "same"), ARCHIVE_KEEP), ARCHIVE_STORED);
    for (int policy = ARCHIVE_KEEP; policy <= ARCHIVE_REJECT; policy++) {
        index_instance *again = rig_instance(&r, FIRST, "same");
        CHECK_INT(rig_add_item(&r, again, (archive_duplicate_policy)policy), ARCHIVE_DUPLICATE);
        CHECK_INT(again->superseded.offset, 4096);
        CHECK(again->instance_id > 0);
    }
    index_instance *elsewhere = rig_instance(&r, FIRST ";StudyInstanceUID=9.9;SeriesInstanceUID=9.9.9", "same");
    CHECK_INT(rig_add_item(&r, elsewhere, ARCHIVE_KEEP), ARCHIVE_DUPLICATE);
    CHECK_INT(stats_of(&r).instances, 1);
    CHECK_INT(stats_of(&r).studies, 1); /* a duplicate makes no study */
    CHECK_INT(stats_of(&r).events, 3);
    rig_done(&r);
}

TEST(other_bytes_are_kept_out) {
    index_rig r;
    index_known k;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add_item(&r, rig_instance(&r, FIRST, "old"), ARCHIVE_KEEP), ARCHIVE_STORED);
    index_instance *other = rig_instance(&r, FIRST ";StudyInstanceUID=9.9", "new");
    CHECK_INT(rig_add_item(&r, other, ARCHIVE_KEEP), ARCHIVE_CONFLICT_KEPT);
    CHECK_INT(other->superseded.offset, 4096);
    CHECK_INT(rig_add_item(&r, rig_instance(&r, FIRST, "new"), ARCHIVE_REJECT), ARCHIVE_REFUSED);
    CHECK_INT(index_find_instance(r.x, "1.1.1.9", &k, &r.error), 0);
    CHECK_STR((const char *)k.hash, "old");
    CHECK_INT(stats_of(&r).studies, 1);
    archive_event events[8];
    size_t count;
    CHECK_INT(index_events_read(r.x, 0, events, 8, &count, &r.error), 0);
    REQUIRE(count == 5);
    CHECK_STR(events[3].type, "instance.conflict");
    CHECK_STR(events[3].detail, "1.1.1.9");
    CHECK_STR(events[4].type, "instance.refused");
    rig_done(&r);
}

TEST(another_transfer_syntax_is_no_duplicate) {
    index_rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add_item(&r, rig_instance(&r, FIRST, "same"), ARCHIVE_KEEP), ARCHIVE_STORED);
    index_instance *again = rig_instance(&r, FIRST, "same");
    again->transfer_syntax_uid = DICOM_TS_IMPLICIT_LE;
    CHECK_INT(rig_add_item(&r, again, ARCHIVE_KEEP), ARCHIVE_CONFLICT_KEPT);
    rig_done(&r);
}

TEST(other_bytes_replace_and_the_old_ones_are_remembered) {
    index_rig r;
    index_known k;
    gn_buf zstd = GN_BUF_INIT;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add_item(&r, rig_instance(&r, FIRST, "old"), ARCHIVE_REPLACE), ARCHIVE_STORED);
    index_instance *other = rig_instance(&r, FIRST ";SeriesInstanceUID=1.1.2;Rows=7", "new");
    CHECK_INT(rig_add_item(&r, other, ARCHIVE_REPLACE), ARCHIVE_REPLACED);
    CHECK_INT(other->superseded.offset, 4096);
    CHECK_INT(index_find_instance(r.x, "1.1.1.9", &k, &r.error), 0);
    CHECK_STR((const char *)k.hash, "new");
    CHECK_STR(k.series_uid, "1.1.2");
    CHECK_INT(k.location.offset, 8192);
    CHECK_INT(k.instance_id, other->instance_id);
    CHECK_INT(stats_of(&r).superseded, 1);
    CHECK_INT(stats_of(&r).instances, 1);
    CHECK_INT(stats_of(&r).bytes, 1002);
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "", "SeriesInstanceUID,NumberOfSeriesRelatedInstances"), "1.1.1|0 1.1.2|1");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "", "NumberOfStudyRelatedInstances"), "1");
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, RELATIONAL, "", "Rows"), "7");
    CHECK_INT(index_instance_metadata(r.x, k.instance_id, &zstd, &r.error), 0);
    CHECK_MEM2(zstd.p, zstd.n, other->metadata, other->metadata_length);
    gn_buf_done(&zstd);
    rig_done(&r);
}

TEST(a_damaged_instance_is_healed_by_its_own_bytes) {
    index_rig r;
    index_known k;
    REQUIRE(rig_init(&r));
    index_instance *first = rig_instance(&r, FIRST, "same");
    CHECK_INT(rig_add_item(&r, first, ARCHIVE_KEEP), ARCHIVE_STORED);
    CHECK_INT(index_mark_damaged(r.x, first->instance_id, &r.error), 0);
    CHECK_INT(index_mark_damaged(r.x, first->instance_id + 5, &r.error), GN_E_NOT_FOUND);
    gn_error_clear(&r.error);
    CHECK_INT(rig_add_item(&r, rig_instance(&r, FIRST, "same"), ARCHIVE_KEEP), ARCHIVE_REPLACED);
    CHECK_INT(index_find_instance(r.x, "1.1.1.9", &k, &r.error), 0);
    CHECK_INT(k.location.offset, 8192);
    CHECK_INT(rig_add_item(&r, rig_instance(&r, FIRST, "same"), ARCHIVE_KEEP), ARCHIVE_DUPLICATE);
    rig_done(&r);
}

TEST(a_study_under_another_patient_is_noted) {
    index_rig r;
    index_known k;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P1;PatientName=Doe^John"), ARCHIVE_STORED);
    index_instance *other = rig_instance(&r, "PatientID=P2;PatientName=Roe^Jane;SOPInstanceUID=5.5", "x");
    CHECK_INT(rig_add_item(&r, other, ARCHIVE_KEEP), ARCHIVE_STORED);
    CHECK_INT(other->added_findings, ARCHIVE_FINDING(PATIENT_CONFLICT));
    CHECK_INT(index_find_instance(r.x, "5.5", &k, &r.error), 0);
    CHECK_INT(k.findings, ARCHIVE_FINDING(PATIENT_CONFLICT));
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "", "PatientID,PatientName,NumberOfStudyRelatedInstances"), "P1|Doe^John|2");
    REQUIRE(rig_reopen(&r)); /* the same with an empty cache */
    other = rig_instance(&r, "PatientID=P2", "x");
    CHECK_INT(rig_add_item(&r, other, ARCHIVE_KEEP), ARCHIVE_STORED);
    CHECK_INT(other->added_findings, ARCHIVE_FINDING(PATIENT_CONFLICT));
    CHECK_INT(stats_of(&r).patients, 1);
    rig_done(&r);
}

TEST(an_issuer_is_part_of_the_patient_but_may_be_left_out) {
    index_rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P1;IssuerOfPatientID=NORTH"), ARCHIVE_STORED);
    CHECK_INT(rig_add(&r, "PatientID=P1;IssuerOfPatientID=SOUTH;StudyInstanceUID=1.2;SeriesInstanceUID=1.2.1"), ARCHIVE_STORED);
    CHECK_INT(stats_of(&r).patients, 2);
    index_instance *silent = rig_instance(&r, "PatientID=P1", "x"), *other = rig_instance(&r, "PatientID=P1;IssuerOfPatientID=SOUTH", "y");
    CHECK_INT(rig_add_item(&r, silent, ARCHIVE_KEEP), ARCHIVE_STORED);
    CHECK_INT(silent->added_findings, 0);
    CHECK_INT(rig_add_item(&r, other, ARCHIVE_KEEP), ARCHIVE_STORED);
    CHECK_INT(other->added_findings, ARCHIVE_FINDING(PATIENT_CONFLICT));
    CHECK_STR(rig_find(&r, ARCHIVE_PATIENT, 0, "IssuerOfPatientID=SOUTH", "PatientID,IssuerOfPatientID"), "P1|SOUTH");
    rig_done(&r);
}

TEST(a_series_in_two_studies_is_noted_and_found_in_both) {
    index_rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P1"), ARCHIVE_STORED);
    index_instance *other = rig_instance(&r, "PatientID=P1;StudyInstanceUID=1.2;SOPInstanceUID=5.5", "x");
    CHECK_INT(rig_add_item(&r, other, ARCHIVE_KEEP), ARCHIVE_STORED);
    CHECK_INT(other->added_findings, ARCHIVE_FINDING(PATIENT_CONFLICT));
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, STUDY_ROOT, "StudyInstanceUID=1.2;SeriesInstanceUID=1.1.1", "SOPInstanceUID"), "5.5");
    REQUIRE(rig_reopen(&r));
    other = rig_instance(&r, "PatientID=P1;StudyInstanceUID=1.2", "y");
    CHECK_INT(rig_add_item(&r, other, ARCHIVE_KEEP), ARCHIVE_STORED);
    CHECK_INT(other->added_findings, ARCHIVE_FINDING(PATIENT_CONFLICT));
    rig_done(&r);
}

TEST(missing_and_monstrous_values_do_no_harm) {
    index_rig r;
    char spec[70100];
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "StudyInstanceUID=;SeriesInstanceUID=;SOPInstanceUID=1"), ARCHIVE_STORED);
    CHECK_INT(rig_add(&r, "StudyInstanceUID=;SeriesInstanceUID=;SOPInstanceUID=2;StudyDate=yesterday;StudyTime=noon;InstanceNumber=one"), ARCHIVE_STORED);
    int n = snprintf(spec, sizeof spec, "StudyInstanceUID=3;PatientID=P;StudyDate=20240230;StudyTime=256161;PatientName=");
    memset(spec + n, 'x', 70000);
    spec[n + 60000] = 0;
    CHECK_INT(rig_add(&r, spec), ARCHIVE_STORED);
    n = snprintf(spec, sizeof spec, "StudyInstanceUID=");
    memset(spec + n, '7', 80);
    spec[n + 80] = 0; /* longer than a UID may be: two that share their beginning are two */
    CHECK_INT(rig_add(&r, spec), ARCHIVE_STORED);
    spec[n + 79] = '8';
    CHECK_INT(rig_add(&r, spec), ARCHIVE_STORED);
    CHECK_INT(stats_of(&r).studies, 4);
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "StudyInstanceUID=3", "StudyDate,StudyTime"), "|256161");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "PatientName=xxx*", "PatientID"), "P");
    rig_done(&r);
}

TEST(an_engine_that_runs_out_of_memory_adds_nothing) {
    index_rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P0;StudyInstanceUID=0.1;SeriesInstanceUID=0.1.1"), ARCHIVE_STORED);
    index_instance *it = rig_instance(&r, "PatientID=P1;PatientName=M\xC3\xBCller=\xE5=x;SpecificCharacterSet=ISO_IR 192;InstitutionName=x", "x");
    for (unsigned nth = 1; nth < 200; nth++) {
        check_fail_alloc(nth);
        int rc = rig_add_item(&r, it, ARCHIVE_KEEP);
        bool failed = check_failed_allocs() > 0;
        check_fail_alloc(0);
        if (!failed) {
            CHECK(rc == ARCHIVE_STORED || rc == ARCHIVE_DUPLICATE);
            break;
        }
        if (rc < 0) CHECK_INT(rc, GN_E_NO_MEMORY);
    }
    CHECK(stats_of(&r).instances <= 2);
    rig_done(&r);
}
