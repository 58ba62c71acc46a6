/* Queries: each kind of matching of PS3.4 C.2.2.2 on columns. */
#include "index_rig.h"

/* Four studies, told by their Patient ID. */
static bool open_corpus(index_rig *r) {
    if (!rig_init(r)) return false;
    static const char *const specs[] = {
        "PatientID=A1;PatientName=Doe^John;PatientBirthDate=19500101;PatientSex=M;StudyDate=20240110;StudyTime=101500;AccessionNumber=ACC1;StudyID=S1;"
        "StudyDescription=CHEST PA;ReferringPhysicianName=House^Gregory;StudyInstanceUID=1.1;SeriesInstanceUID=1.1.1;Modality=CT;SeriesNumber=3",
        "PatientID=A2;PatientName=Doe;PatientSex=F;StudyDate=20240111;StudyTime=235959.5;AccessionNumber=ACC2;StudyInstanceUID=1.2;SeriesInstanceUID=1.2.1;Modality=MR",
        "SpecificCharacterSet=ISO_IR 100;PatientID=B1;PatientName=M\xFCller^J\xFCrgen;PatientSex=M;StudyDate=20240112;StudyTime=080000;StudyDescription=Sch\xE4" "del;"
        "StudyInstanceUID=1.3;SeriesInstanceUID=1.3.1;Modality=CT",
        "SpecificCharacterSet=ISO_IR 192;PatientID=B2;PatientName=Yamada^Tarou=\xE5\xB1\xB1\xE7\x94\xB0^\xE5\xA4\xAA\xE9\x83\x8E=\xE3\x82\x84\xE3\x81\xBE\xE3\x81\xA0^\xE3\x81\x9F\xE3\x82\x8D\xE3\x81\x86;"
        "StudyInstanceUID=1.4;SeriesInstanceUID=1.4.1;Modality=CR",
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(specs); i++) CHECK_INT(rig_add(r, specs[i]), ARCHIVE_STORED);
    CHECK_INT(rig_add(r, "PatientID=A1;StudyInstanceUID=1.1;SeriesInstanceUID=1.1.2;Modality=SR;SOPClassUID=1.2.840.10008.5.1.4.1.1.88.11"), ARCHIVE_STORED);
    return true;
}

#define STUDY(keys, answer) CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, keys, "PatientID"), answer)

TEST(single_values) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    STUDY("PatientID=A1", "A1");
    STUDY("PatientID=a1", "");
    STUDY("PatientID= A1 ", "A1");
    STUDY("AccessionNumber=ACC2", "A2");
    STUDY("AccessionNumber=acc2", "");
    STUDY("StudyInstanceUID=1.3", "B1");
    STUDY("StudyID=S1", "A1");
    STUDY("StudyDescription=CHEST PA", "A1");
    STUDY("SpecificCharacterSet=ISO_IR 192;StudyDescription=Sch\xC3\xA4" "del", "B1");
    STUDY("PatientSex=M;StudyDate=20240112", "B1");
    STUDY("PatientBirthDate=19500101", "A1");
    STUDY("PatientID=A1;AccessionNumber=ACC2", "");
    STUDY("PatientID=A1\\B2", "A1 B2");
    rig_done(&r);
}

TEST(universal_and_empty) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    STUDY("", "A1 A2 B1 B2");
    STUDY("PatientID=;PatientName=*;StudyDate=;AccessionNumber=**", "A1 A2 B1 B2");
    STUDY("AccessionNumber=\"\"", "B1 B2");
    STUDY("StudyDate=\"\"", "B2");
    STUDY("PatientName=\"\"", "");
    STUDY("AccessionNumber=\"\"\\ACC1", "A1 B1 B2");
    STUDY("PatientID=\"\"", "");
    rig_done(&r);
}

TEST(wildcards_in_text_mind_case) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    STUDY("PatientID=A*", "A1 A2");
    STUDY("PatientID=?1", "A1 B1");
    STUDY("PatientID=a*", "");
    STUDY("AccessionNumber=ACC?", "A1 A2");
    STUDY("AccessionNumber=A*2", "A2");
    STUDY("AccessionNumber=A*\\x*", "A1 A2");
    STUDY("StudyDescription=*EST*", "A1");
    STUDY("StudyDescription=*est*", "");
    STUDY("SpecificCharacterSet=ISO_IR 100;StudyDescription=Sch?del", "B1");
    rig_done(&r);
}

TEST(names_do_not_mind_case_but_accents) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    STUDY("PatientName=doe^john", "A1");
    STUDY("PatientName=DOE^JOHN^^^", "A1");
    STUDY("PatientName=DOE*", "A1 A2");
    STUDY("PatientName=doe^*", "A1 A2"); /* a Doe without a given name is one too */
    STUDY("PatientName=doe^j*", "A1");
    STUDY("PatientName=*john", "A1");
    STUDY("PatientName=d?e^john", "A1");
    STUDY("PatientName=doe", "A2");
    STUDY("SpecificCharacterSet=ISO_IR 192;PatientName=M\xC3\x9CLLER*", "B1");
    STUDY("SpecificCharacterSet=ISO_IR 100;PatientName=m\xFCller^j\xFCrgen", "B1");
    STUDY("PatientName=muller*", "");
    STUDY("ReferringPhysicianName=HOUSE*", "A1");
    STUDY("ReferringPhysicianName=house^gregory", "A1");
    rig_done(&r);
}

TEST(names_match_by_component_groups) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    STUDY("SpecificCharacterSet=ISO_IR 192;PatientName=\xE5\xB1\xB1\xE7\x94\xB0*", "B2"); /* one group is looked for in all three */
    STUDY("SpecificCharacterSet=ISO_IR 192;PatientName==\xE5\xB1\xB1\xE7\x94\xB0^\xE5\xA4\xAA\xE9\x83\x8E", "B2");
    STUDY("SpecificCharacterSet=ISO_IR 192;PatientName=yamada*=\xE5\xB1\xB1\xE7\x94\xB0*", "B2");
    STUDY("SpecificCharacterSet=ISO_IR 192;PatientName===\xE3\x82\x84*", "B2");
    STUDY("SpecificCharacterSet=ISO_IR 192;PatientName=doe*=\xE5\xB1\xB1\xE7\x94\xB0*", "");
    STUDY("PatientName=yamada^tarou", "B2");
    rig_done(&r);
}

TEST(fuzzy_names_sound_alike) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT | ARCHIVE_QUERY_FUZZY_NAMES, "PatientName=mueller", "PatientID"), "B1");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT | ARCHIVE_QUERY_FUZZY_NAMES, "PatientName=john", "PatientID"), "A1");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "PatientName=mueller", "PatientID"), "");
    rig_done(&r);
}

TEST(dates_and_times_by_range) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    STUDY("StudyDate=20240110-20240111", "A1 A2");
    STUDY("StudyDate=-20240110", "A1");
    STUDY("StudyDate=20240111-", "A2 B1");
    STUDY("StudyDate=2024.01.11", "A2");
    STUDY("StudyDate=20240110\\20240112", "A1 B1");
    STUDY("StudyDate=202401*", "A1 A2 B1");
    STUDY("StudyDate=2024011?", "A1 A2 B1");
    STUDY("StudyTime=10", "A1");
    STUDY("StudyTime=1015", "A1");
    STUDY("StudyTime=101500.1", "");
    STUDY("StudyTime=235959.5", "A2");
    STUDY("StudyTime=0800-1200", "A1 B1");
    STUDY("StudyTime=-0800", "B1");
    STUDY("StudyTime=235959-", "A2");
    STUDY("StudyDate=20240110-20240112;StudyTime=09-11", "A1"); /* each for itself */
    rig_done(&r);
}

TEST(date_and_time_as_one_moment) {
    index_rig r;
    uint32_t combined = STUDY_ROOT | ARCHIVE_QUERY_COMBINED_DATETIME;
    REQUIRE(open_corpus(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, combined, "StudyDate=20240110-20240112;StudyTime=11-09", "PatientID"), "A2 B1");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, combined, "StudyDate=20240110-20240112;StudyTime=1015-0759", "PatientID"), "A1 A2");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, combined, "StudyDate=20240111-;StudyTime=12-", "PatientID"), "A2 B1");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, combined, "StudyDate=20240110;StudyTime=10-11", "PatientID"), "A1"); /* no range: each for itself */
    rig_done(&r);
}

TEST(lists_of_uids) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    STUDY("StudyInstanceUID=1.1\\1.4\\7.7", "A1 B2");
    STUDY("StudyInstanceUID=1.1\\", "A1");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "SeriesInstanceUID=1.2.1\\1.1.2", "SeriesInstanceUID"), "1.2.1 1.1.2");
    gn_buf keys = GN_BUF_INIT;
    gn_buf_puts(&keys, "StudyInstanceUID=");
    for (int i = 0; i < 10000; i++) gn_buf_printf(&keys, "1.2.3.4.%d\\", i);
    gn_buf_puts(&keys, "1.3");
    STUDY((const char *)keys.p, "B1");
    gn_buf_done(&keys);
    rig_done(&r);
}

TEST(sets_of_modalities_and_classes) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    STUDY("ModalitiesInStudy=CT", "A1 B1");
    STUDY("ModalitiesInStudy=SR", "A1");
    STUDY("ModalitiesInStudy=C", "");
    STUDY("ModalitiesInStudy=C?", "A1 B1 B2");
    STUDY("ModalitiesInStudy=MR\\CR", "A2 B2");
    STUDY("ModalitiesInStudy=ct", "");
    STUDY("SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.88.11", "A1");
    STUDY("SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.88", "");
    STUDY("Modality=SR", "A1"); /* asked one level too high, and meant so */
    STUDY("StudyDate=20240101-20240131;ModalitiesInStudy=CT", "A1 B1");
    rig_done(&r);
}

TEST(numbers_and_counts) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "SeriesNumber=3", "SeriesInstanceUID"), "1.1.1");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "SeriesNumber=003", "SeriesInstanceUID"), "1.1.1");
    STUDY("NumberOfStudyRelatedSeries=2", "A1");
    CHECK_STR(rig_find(&r, ARCHIVE_PATIENT, 0, "NumberOfPatientRelatedInstances=2", "PatientID,NumberOfPatientRelatedStudies,NumberOfPatientRelatedSeries"), "A1|1|2");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "SeriesNumber=three", "SeriesInstanceUID"), "!INVALID");
    rig_done(&r);
}

TEST(malformed_keys_are_named) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    STUDY("StudyDate=-", "!INVALID");
    CHECK(strstr(r.error.message, "StudyDate (0008,0020)") != NULL);
    CHECK_STR(r.error.where, "(0008,0020)");
    STUDY("StudyDate=yesterday", "!INVALID");
    STUDY("StudyTime=9999", "!INVALID");
    STUDY("SeriesDescription=x", "!INVALID");
    CHECK_STR(r.error.where, "(0008,103E)");
    rig_done(&r);
}
