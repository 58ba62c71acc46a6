/* Queries: levels and what they answer, hierarchical and relational; attributes without a column; limits and offsets. */
#include "index_rig.h"

static bool open_corpus(index_rig *r) {
    if (!rig_init(r)) return false;
    for (int patient = 1; patient <= 2; patient++)
        for (int study = 1; study <= 2; study++)
            for (int image = 1; image <= 4; image++) {
                char spec[900];
                int series = image > 2 ? 2 : 1;
                (void)snprintf(spec, sizeof spec,
                               "SpecificCharacterSet=ISO_IR 100;PatientID=P%d;PatientName=Name%d;PatientAge=04%dY;PatientComments=R\xF6ntgen;StudyInstanceUID=%d.%d;StudyDate=2024010%d;StudyTime=12;"
                               "ProcedureCodeSequence=[CodeValue=C%d%d;CodingSchemeDesignator=99X;CodeMeaning=K\xF6pf];InstitutionName=Hospital %d;OperatorsName=Op^%d;"
                               "SeriesInstanceUID=%d.%d.%d;SeriesNumber=%d;Modality=%s;SeriesDescription=s%d;RequestAttributesSequence=[ScheduledProcedureStepID=SPS%d];"
                               "SOPInstanceUID=%d.%d.%d.%d;InstanceNumber=%d;Rows=%d;Columns=16;ImageType=ORIGINAL\\PRIMARY\\%s;ContentDate=20240203;ContentTime=0%d;SliceThickness=1.5;"
                               "00091001LO=private%d;00090010LO=ACME",
                               patient, patient, patient, patient, study, study, patient, study, study, series, patient, study, series, series, series == 1 ? "CT" : "MR", series, series, patient, study, series, image,
                               image, image * 16, image == 1 ? "LOCALIZER" : "AXIAL", image, image);
                CHECK_INT(rig_add(r, spec), ARCHIVE_STORED);
            }
    return true;
}

TEST(every_level_answers_its_own_and_what_is_above) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_PATIENT, 0, "PatientID=P1", "PatientID,PatientName,NumberOfPatientRelatedStudies,NumberOfPatientRelatedSeries,NumberOfPatientRelatedInstances"), "P1|Name1|2|4|8");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, 0, "PatientID=P1", "StudyInstanceUID,PatientName,ModalitiesInStudy,NumberOfStudyRelatedSeries,NumberOfStudyRelatedInstances,NumberOfPatientRelatedStudies"),
              "1.1|Name1|CT\\MR|2|4|2 1.2|Name1|CT\\MR|2|4|2");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, 0, "StudyInstanceUID=1.1", "SeriesInstanceUID,Modality,SeriesNumber,NumberOfSeriesRelatedInstances,StudyDate,PatientID"),
              "1.1.1|CT|1|2|20240101|P1 1.1.2|MR|2|2|20240101|P1");
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, 0, "StudyInstanceUID=2.1;SeriesInstanceUID=2.1.2", "SOPInstanceUID,InstanceNumber,Rows,ContentTime,Modality,StudyInstanceUID,PatientID"),
              "2.1.2.3|3|48|03|MR|2.1|P2 2.1.2.4|4|64|04|MR|2.1|P2");
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, 0, "StudyInstanceUID=2.1;SeriesInstanceUID=2.1.2;SOPInstanceUID=2.1.2.4", "InstanceAvailability,QueryRetrieveLevel,AvailableTransferSyntaxUID,RetrieveAETitle"),
              "ONLINE|IMAGE|1.2.840.10008.1.2.1|");
    rig_done(&r);
}

TEST(hierarchical_queries_need_the_keys_above) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, STUDY_ROOT, "Modality=CT", "SeriesInstanceUID"), "!INVALID");
    CHECK_STR(r.error.where, "(0020,000D)");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, STUDY_ROOT, "StudyInstanceUID=1.1\\1.2", "SeriesInstanceUID"), "!INVALID");
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, STUDY_ROOT, "StudyInstanceUID=1.1", "SOPInstanceUID"), "!INVALID");
    CHECK_STR(r.error.where, "(0020,000E)");
    CHECK_STR(rig_find(&r, ARCHIVE_PATIENT, STUDY_ROOT, "", "PatientID"), "!INVALID");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, STUDY_ROOT, "StudyInstanceUID=1.1;PatientID=P1;StudyDate=20240101", "SeriesInstanceUID"), "1.1.1 1.1.2");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, STUDY_ROOT, "StudyInstanceUID=1.1;PatientID=P2", "SeriesInstanceUID"), "");
    rig_done(&r);
}

TEST(relational_queries_take_keys_of_every_level_above) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "PatientID=P2;Modality=MR", "SeriesInstanceUID"), "2.1.2 2.2.2");
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, RELATIONAL, "PatientName=name2;StudyDate=20240102;InstanceNumber=1\\4", "SOPInstanceUID"), "2.2.1.1 2.2.2.4");
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, RELATIONAL, "ModalitiesInStudy=MR;SOPInstanceUID=1.1.1.1\\2.2.2.4", "SOPInstanceUID"), "1.1.1.1 2.2.2.4");
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, RELATIONAL, "Rows=16;ContentDate=20240201-20240229;ContentTime=-0130;StudyInstanceUID=1.1\\2.2", "SOPInstanceUID"), "1.1.1.1 2.2.1.1");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "StudyInstanceUID=1.2\\2.1;SeriesDescription=s?;SeriesNumber=2", "SeriesInstanceUID"), "1.2.2 2.1.2");
    rig_done(&r);
}

TEST(attributes_without_a_column_are_answered_and_matched) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "StudyInstanceUID=1.1", "PatientAge,PatientComments,InstitutionName,ProcedureCodeSequence"), "041Y|R\xC3\xB6ntgen|Hospital 1|<46>");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "PatientAge=042Y", "StudyInstanceUID"), "2.1 2.2");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "SpecificCharacterSet=ISO_IR 192;PatientComments=R?ntgen;InstitutionName=*2", "StudyInstanceUID"), "1.2 2.2");
    CHECK_STR(rig_find(&r, ARCHIVE_PATIENT, 0, "PatientAge=041Y", "PatientID,PatientAge"), "P1|041Y");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "OperatorsName=OP^2;PatientID=P1", "SeriesInstanceUID,OperatorsName,PatientAge"), "1.1.2|Op^2|041Y 1.2.2|Op^2|041Y");
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, RELATIONAL, "ImageType=LOCALIZER;PatientID=P1", "SOPInstanceUID,ImageType,SliceThickness,OperatorsName"),
              "1.1.1.1|ORIGINAL\\PRIMARY\\LOCALIZER|1.5|Op^1 1.2.1.1|ORIGINAL\\PRIMARY\\LOCALIZER|1.5|Op^1");
    CHECK_STR(rig_find(&r, ARCHIVE_IMAGE, RELATIONAL, "00091001LO=private3;StudyInstanceUID=1.1", "SOPInstanceUID,00091001LO"), "1.1.2.3|private3");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "00091001LO=private1", "StudyInstanceUID"), "1.1 1.2 2.1 2.2"); /* the first instance speaks for all */
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "00091001LO=private2", "StudyInstanceUID"), "");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "StudyInstanceUID=1.1", "Modality,SeriesDescription,StudyComments"), "||");
    rig_done(&r);
}

TEST(sequences_match_by_their_items) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "ProcedureCodeSequence=[CodeValue=C12;CodingSchemeDesignator=99X]", "StudyInstanceUID"), "1.2");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "ProcedureCodeSequence=[CodeValue=C1?;CodeMeaning=]", "StudyInstanceUID"), "1.1 1.2");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "ProcedureCodeSequence=[CodeValue=C12;CodingSchemeDesignator=DCM]", "StudyInstanceUID"), "");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "ProcedureCodeSequence=[CodeValue=]", "StudyInstanceUID"), "1.1 1.2 2.1 2.2");
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "SpecificCharacterSet=ISO_IR 192;ProcedureCodeSequence=[CodeMeaning=K\xC3\xB6pf];PatientID=P1", "StudyInstanceUID"), "1.1 1.2");
    CHECK_STR(rig_find(&r, ARCHIVE_SERIES, RELATIONAL, "RequestAttributesSequence=[ScheduledProcedureStepID=SPS2];PatientID=P1", "SeriesInstanceUID"), "1.1.2 1.2.2");
    rig_done(&r);
}

TEST(a_sequence_is_answered_as_items_in_utf8) {
    index_rig r;
    archive_cursor *c = NULL;
    const archive_value *v;
    const dicom_tag wanted[] = { DICOM_TAG_ProcedureCodeSequence };
    REQUIRE(open_corpus(&r));
    archive_query q = { .level = ARCHIVE_STUDY, .flags = STUDY_ROOT, .keys = rig_dataset(r.arena, "StudyInstanceUID=1.1"), .wanted = wanted, .wanted_count = 1 };
    REQUIRE(index_query_open(r.x, &q, &c, &r.error) == 0);
    REQUIRE(archive_query_next(c, &v, NULL, &r.error) == 0);
    CHECK(v[0].present);
    CHECK_INT(v[0].vr, DICOM_VR_SQ);
    static const char expected[] = "\xFE\xFF\x00\xE0\x26\x00\x00\x00\x08\x00\x00\x01SH\x04\x00"
                                   "C11 \x08\x00\x02\x01SH\x04\x00"
                                   "99X \x08\x00\x04\x01LO\x06\x00K\xC3\xB6pf ";
    CHECK_MEM2(v[0].encoded, v[0].encoded_length, expected, sizeof expected - 1);
    archive_query_close(&c);
    rig_done(&r);
}

static int64_t id_of(index_rig *r, const char *study) {
    archive_cursor *c = NULL;
    const archive_value *v;
    int64_t id = 0;
    char keys[80];
    (void)snprintf(keys, sizeof keys, "StudyInstanceUID=%s", study);
    archive_query q = { .level = ARCHIVE_STUDY, .flags = STUDY_ROOT, .keys = rig_dataset(r->arena, keys) };
    CHECK_INT(index_query_open(r->x, &q, &c, &r->error), 0);
    CHECK_INT(archive_query_next(c, &v, &id, &r->error), 0);
    archive_query_close(&c);
    return id;
}

TEST(limits_and_offsets) {
    index_rig r;
    REQUIRE(open_corpus(&r));
    const char *const same[] = { "", "StudyDate=20200101-", "InstitutionName=Hosp*" }; /* scanned, by number, filtered */
    for (size_t i = 0; i < GN_ARRAY_LEN(same); i++) {
        archive_query q = { .level = ARCHIVE_STUDY, .flags = STUDY_ROOT, .keys = rig_dataset(r.arena, same[i]), .limit = 2, .offset = 1 };
        CHECK_STR(rig_run(&r, &q, "StudyInstanceUID"), "1.2 2.1");
        q.limit = 0;
        q.offset = 3;
        CHECK_STR(rig_run(&r, &q, "StudyInstanceUID"), "2.2");
        q.offset = 4;
        CHECK_STR(rig_run(&r, &q, "StudyInstanceUID"), "");
        q.limit = 1;
        q.offset = 0;
        CHECK_STR(rig_run(&r, &q, "StudyInstanceUID"), "1.1");
        q.limit = 2;
        q.after = id_of(&r, "1.1");
        CHECK_STR(rig_run(&r, &q, "StudyInstanceUID"), "1.2 2.1");
        q.after = id_of(&r, "2.2");
        CHECK_STR(rig_run(&r, &q, "StudyInstanceUID"), "");
    }
    rig_done(&r);
}

TEST(a_query_without_wanted_attributes_gives_rows) {
    index_rig r;
    archive_cursor *c = NULL;
    const archive_value *v;
    int64_t id, last = 0;
    int rows = 0;
    REQUIRE(open_corpus(&r));
    archive_query q = { .level = ARCHIVE_STUDY, .flags = STUDY_ROOT };
    REQUIRE(index_query_open(r.x, &q, &c, &r.error) == 0);
    while (archive_query_next(c, &v, &id, &r.error) == 0) {
        CHECK(id > last);
        last = id;
        rows++;
    }
    CHECK_INT(rows, 4);
    CHECK_INT(archive_query_next(c, &v, &id, &r.error), 1);
    archive_query_close(&c);
    rig_done(&r);
}
