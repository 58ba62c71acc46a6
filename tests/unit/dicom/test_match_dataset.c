/* A whole identifier against a data set (PS3.4 C.2.2.2). */
#include "check.h"
#include "dicom/dicom.h"

#include <stdlib.h>
#include <string.h>

/* ---- data sets from a line of text ------------------------------------------------------------------------------------- */

static gn_arena *arena;

/* "PatientID=4711;Modality=CT": VRs from the dictionary. Freed by done(). */
static dicom_dataset *dataset(const char *text) {
    if (!arena) arena = gn_arena_new(8 << 20);
    dicom_dataset *ds = dicom_dataset_new(arena, NULL);
    while (*text) {
        size_t length = strcspn(text, ";"), key = strcspn(text, "=");
        char word[64], value[512];
        snprintf(word, sizeof word, "%.*s", (int)key, text);
        snprintf(value, sizeof value, "%.*s", (int)(length - key - 1), text + key + 1);
        const dicom_dict_entry *entry = dicom_dict_by_keyword(word);
        CHECK(entry != NULL);
        if (entry && entry->vr == DICOM_VR_US && *value) dicom_dataset_put_u16(ds, entry->tag, (uint16_t)strtoul(value, NULL, 10), NULL);
        else if (entry) dicom_dataset_put_string(ds, entry->tag, entry->vr, value, NULL);
        text += length + (text[length] == ';');
    }
    return ds;
}

static void done(void) { gn_arena_free(&arena); }

static bool matches(const char *keys, const char *ds) {
    bool result = dicom_match_dataset(dataset(keys), dataset(ds), false);
    done();
    return result;
}

/* ---- text -------------------------------------------------------------------------------------------------------------- */

TEST(single_values) {
    CHECK(matches("PatientID=4711", "PatientID=4711"));
    CHECK(matches("PatientID= 4711", "PatientID=4711 "));
    CHECK(!matches("PatientID=4711", "PatientID=471"));
    CHECK(!matches("PatientID=abc", "PatientID=ABC"));
    CHECK(!matches("PatientID=4711", ""));
    CHECK(!matches("PatientID=4711", "PatientID="));
    CHECK(matches("PatientID=4711;StudyID=1", "PatientID=4711;StudyID=1"));
    CHECK(!matches("PatientID=4711;StudyID=1", "PatientID=4711;StudyID=2"));
    CHECK(matches("", ""));
}

TEST(universal_and_empty_keys) {
    CHECK(matches("PatientID=", "PatientID=4711"));
    CHECK(matches("PatientID=", ""));
    CHECK(matches("PatientID=*", ""));
    CHECK(matches("PatientID=\"\"", ""));
    CHECK(matches("PatientID=\"\"", "PatientID="));
    CHECK(!matches("PatientID=\"\"", "PatientID=4711"));
    CHECK(matches("StudyInstanceUID=\"\"", ""));
    CHECK(matches("SeriesNumber=\"\"", ""));
    CHECK(!matches("SeriesNumber=\"\"", "SeriesNumber=1"));
    CHECK(matches("Modality=CT\\\"\"", "Modality=\\MR")); /* among several values too */
}

TEST(wildcards) {
    CHECK(matches("PatientID=47*", "PatientID=4711"));
    CHECK(matches("PatientID=4?1?", "PatientID=4711"));
    CHECK(!matches("PatientID=4?1", "PatientID=4711"));
    CHECK(!matches("PatientID=a*", "PatientID=ABC"));
    CHECK(matches("StudyDate=2024*", "StudyDate=20240131"));
    CHECK(matches("ModalitiesInStudy=C?", "ModalitiesInStudy=MR\\CT"));
}

TEST(what_is_no_key) {
    CHECK(matches("QueryRetrieveLevel=STUDY;SpecificCharacterSet=ISO_IR 192;PatientID=1", "PatientID=1"));
    CHECK(matches("TimezoneOffsetFromUTC=+0100", ""));
}

TEST(several_values) {
    CHECK(matches("ModalitiesInStudy=CT", "ModalitiesInStudy=MR\\CT"));
    CHECK(!matches("ModalitiesInStudy=C", "ModalitiesInStudy=MR\\CT"));
    CHECK(matches("Modality=CT\\MR", "Modality=MR"));
    CHECK(!matches("Modality=CT\\MR", "Modality=US"));
    CHECK(matches("OtherPatientNames=doe*", "OtherPatientNames=Smith^A\\Doe^John"));
    CHECK(matches("ImageComments=a\\b", "ImageComments=a\\b")); /* LT: one value */
    CHECK(!matches("ImageComments=a", "ImageComments=a\\b"));
}

TEST(lists_of_uids) {
    CHECK(matches("StudyInstanceUID=1.2.3", "StudyInstanceUID=1.2.3"));
    CHECK(!matches("StudyInstanceUID=1.2.3", "StudyInstanceUID=1.2.30"));
    CHECK(matches("StudyInstanceUID=1.2.3\\1.2.4", "StudyInstanceUID=1.2.4"));
    CHECK(!matches("StudyInstanceUID=1.2.3\\1.2.4", "StudyInstanceUID=1.2.5"));
    CHECK(!matches("StudyInstanceUID=1.2.*", "StudyInstanceUID=1.2.5"));
}

/* ---- names and character sets ------------------------------------------------------------------------------------------ */

TEST(names) {
    CHECK(matches("PatientName=doe^john", "PatientName=DOE^JOHN^^"));
    CHECK(matches("PatientName=D*", "PatientName=Doe^John"));
    CHECK(!matches("PatientName=Doe", "PatientName=Doe^John"));
    CHECK(matches("PatientName=*", ""));
    CHECK(!matches("PatientName=Doe", ""));
    CHECK(!matches("PatientName=Maier", "PatientName=Meyer"));
    CHECK(dicom_match_dataset(dataset("PatientName=Maier"), dataset("PatientName=Meyer^Hans"), true));
    CHECK(!dicom_match_dataset(dataset("PatientName=Maier"), dataset("PatientName=Schulz^Hans"), true));
    done();
}

TEST(each_side_has_its_own_character_set) {
    CHECK(matches("SpecificCharacterSet=ISO_IR 192;PatientName=M\xC3\xBCller", "SpecificCharacterSet=ISO_IR 100;PatientName=M\xFCLLER"));
    CHECK(matches("SpecificCharacterSet=ISO_IR 192;PatientName=*太郎*", "SpecificCharacterSet=\\ISO 2022 IR 87;PatientName=Tarou=\x1B$BB@O:\x1B(B"));
    CHECK(matches("SpecificCharacterSet=ISO_IR 100;StudyDescription=Sch\xE4" "del", "SpecificCharacterSet=ISO_IR 192;StudyDescription=Schädel"));
    CHECK(!matches("StudyDescription=Sch\xE4" "del", "SpecificCharacterSet=ISO_IR 192;StudyDescription=Schadel"));
}

/* ---- dates and times --------------------------------------------------------------------------------------------------- */

TEST(dates) {
    CHECK(matches("StudyDate=20240131", "StudyDate=20240131"));
    CHECK(matches("StudyDate=20240131", "StudyDate=2024.01.31"));
    CHECK(!matches("StudyDate=20240131", "StudyDate=20240130"));
    CHECK(matches("StudyDate=20240101-20240131", "StudyDate=20240131"));
    CHECK(!matches("StudyDate=20240101-20240131", "StudyDate=20240201"));
    CHECK(matches("StudyDate=-20240131", "StudyDate=19990101"));
    CHECK(matches("StudyDate=20240131-", "StudyDate=20250101"));
    CHECK(!matches("StudyDate=20240131-", ""));
    CHECK(!matches("StudyDate=-", "StudyDate=20250101"));
    CHECK(!matches("StudyDate=20240131-", "StudyDate=yesterday"));
}

TEST(times) {
    CHECK(matches("StudyTime=103000", "StudyTime=103000"));
    CHECK(matches("StudyTime=1030", "StudyTime=103059.5"));
    CHECK(!matches("StudyTime=1030", "StudyTime=1031"));
    CHECK(matches("StudyTime=10-11", "StudyTime=115959"));
    CHECK(!matches("StudyTime=10-11", "StudyTime=12"));
    CHECK(!matches("StudyTime=10-11", "StudyTime=noon"));
}

TEST(moments) {
    CHECK(matches("AcquisitionDateTime=2024", "AcquisitionDateTime=20240131120000"));
    CHECK(matches("AcquisitionDateTime=20240131-202402", "AcquisitionDateTime=20240229235959"));
    CHECK(!matches("AcquisitionDateTime=20240131-202402", "AcquisitionDateTime=20240301"));
    CHECK(matches("AcquisitionDateTime=20240131120000+0100", "AcquisitionDateTime=20240131110000+0000"));
    CHECK(matches("TimezoneOffsetFromUTC=+0100;AcquisitionDateTime=20240131120000", "TimezoneOffsetFromUTC=-0500;AcquisitionDateTime=20240131060000"));
    CHECK(matches("TimezoneOffsetFromUTC=+x100;AcquisitionDateTime=20240131120000", "AcquisitionDateTime=20240131120000"));
    CHECK(!matches("AcquisitionDateTime=never", "AcquisitionDateTime=20240131"));
    CHECK(!matches("AcquisitionDateTime=2024", "AcquisitionDateTime=never"));
}

TEST(ranges_of_date_and_time_are_one) {
    static const char keys[] = "StudyDate=20240101-20240103;StudyTime=10-12";
    CHECK(matches(keys, "StudyDate=20240101;StudyTime=100000"));
    CHECK(!matches(keys, "StudyDate=20240101;StudyTime=0959"));
    CHECK(matches(keys, "StudyDate=20240102;StudyTime=0300")); /* between: any time */
    CHECK(matches(keys, "StudyDate=20240103;StudyTime=1230"));
    CHECK(!matches(keys, "StudyDate=20240103;StudyTime=13"));
    CHECK(matches(keys, "StudyDate=20240102"));
    CHECK(!matches(keys, "StudyTime=11"));
    CHECK(!matches(keys, "StudyDate=20240102;StudyTime=x"));
    CHECK(matches("StudyDate=20240101-;StudyTime=10-", "StudyDate=20240101;StudyTime=11"));
    CHECK(!matches("StudyDate=20240101-;StudyTime=10-", "StudyDate=20240101;StudyTime=09"));
    CHECK(matches("StudyDate=20240101-;StudyTime=10-", "StudyDate=20250101;StudyTime=09"));
    CHECK(!matches("StudyDate=20240101-;StudyTime=x-", "StudyDate=20250101;StudyTime=09"));
    /* One range alone is matched by itself. */
    CHECK(!matches("StudyDate=20240101;StudyTime=10-12", "StudyDate=20240101;StudyTime=09"));
    CHECK(matches("StudyDate=20240101-20240103;StudyTime=1000", "StudyDate=20240102;StudyTime=1000"));
}

TEST(every_pair_is_joined) {
    static const char *const pairs[] = { "Series", "Acquisition", "Content", "InstanceCreation", "PatientBirth", "ScheduledProcedureStepStart", "ScheduledProcedureStepEnd",
        "PerformedProcedureStepStart", "PerformedProcedureStepEnd" };
    for (size_t i = 0; i < GN_ARRAY_LEN(pairs); i++) {
        char keys[256], ds[256];
        snprintf(keys, sizeof keys, "%sDate=20240101-20240103;%sTime=10-12", pairs[i], pairs[i]);
        snprintf(ds, sizeof ds, "%sDate=20240102;%sTime=23", pairs[i], pairs[i]);
        CHECK(matches(keys, ds));
    }
}

/* ---- numbers and bytes ------------------------------------------------------------------------------------------------- */

TEST(numbers) {
    CHECK(matches("SeriesNumber=1", "SeriesNumber=01"));
    CHECK(matches("SeriesNumber=+1 ", "SeriesNumber=1"));
    CHECK(!matches("SeriesNumber=1", "SeriesNumber=2"));
    CHECK(!matches("SeriesNumber=1", ""));
    CHECK(!matches("SeriesNumber=x", "SeriesNumber=x"));
    CHECK(matches("SliceThickness=2.0", "SliceThickness=2"));
    CHECK(matches("SliceThickness=1.50", "SliceThickness=1.5"));
    CHECK(!matches("SliceThickness=1.5", "SliceThickness=1.6"));
    CHECK(matches("PixelSpacing=0.5", "PixelSpacing=0.4\\0.5"));
    CHECK(matches("Rows=512", "Rows=512"));
    CHECK(!matches("Rows=512", "Rows=256"));
    CHECK(matches("Rows=512;Columns=", "Rows=512"));
}

TEST(bytes_match_when_equal) {
    dicom_dataset *keys = dataset(""), *ds = dataset("");
    dicom_dataset_put(keys, DICOM_TAG_EncapsulatedDocument, DICOM_VR_OB, "abcd", 4, NULL);
    CHECK(!dicom_match_dataset(keys, ds, false));
    dicom_dataset_put(ds, DICOM_TAG_EncapsulatedDocument, DICOM_VR_OB, "abcd", 4, NULL);
    CHECK(dicom_match_dataset(keys, ds, false));
    dicom_dataset_put(ds, DICOM_TAG_EncapsulatedDocument, DICOM_VR_OB, "abce", 4, NULL);
    CHECK(!dicom_match_dataset(keys, ds, false));
    done();
}

TEST(a_key_of_unknown_vr_takes_that_of_the_data) {
    dicom_dataset *keys = dataset(""), *ds = dataset("PatientID=4711");
    dicom_dataset_put_string(keys, DICOM_TAG_PatientID, DICOM_VR_UN, "47*", NULL);
    CHECK(dicom_match_dataset(keys, ds, false));
    done();
}

TEST(values_left_in_the_stream_do_not_match) {
    dicom_dataset *keys = dataset("PatientID=4711"), *ds = dataset("PatientID=4711");
    keys->element[0].flags |= DICOM_ELEMENT_BULK;
    CHECK(!dicom_match_dataset(keys, ds, false));
    done();
    keys = dataset("SeriesNumber=1");
    ds = dataset("SeriesNumber=1");
    ds->element[0].flags |= DICOM_ELEMENT_BULK;
    CHECK(!dicom_match_dataset(keys, ds, false));
    done();
}

/* ---- sequences --------------------------------------------------------------------------------------------------------- */

static void put_item(dicom_dataset *ds, dicom_tag sequence, const char *text) {
    dicom_dataset *item = NULL, *content = dataset(text);
    REQUIRE(dicom_dataset_add_item(ds, sequence, &item, NULL) == 0);
    for (size_t i = 0; i < content->count; i++) {
        const dicom_element *el = &content->element[i];
        dicom_dataset_put(item, el->tag, el->vr, el->value, el->length, NULL);
    }
}

static bool sequence(const char *key, const char *first, const char *second) {
    dicom_dataset *keys = dataset(""), *ds = dataset("");
    put_item(keys, DICOM_TAG_ScheduledProcedureStepSequence, key);
    if (first) put_item(ds, DICOM_TAG_ScheduledProcedureStepSequence, first);
    if (second) put_item(ds, DICOM_TAG_ScheduledProcedureStepSequence, second);
    bool result = dicom_match_dataset(keys, ds, false);
    done();
    return result;
}

TEST(sequences) {
    CHECK(sequence("Modality=CT", "Modality=CT", NULL));
    CHECK(sequence("Modality=CT", "Modality=MR", "Modality=CT"));
    CHECK(!sequence("Modality=CT", "Modality=MR", "Modality=US"));
    CHECK(!sequence("Modality=CT;ScheduledStationAETitle=A", "Modality=CT;ScheduledStationAETitle=B", "Modality=MR;ScheduledStationAETitle=A"));
    CHECK(!sequence("Modality=CT", NULL, NULL));
    CHECK(sequence("Modality=", NULL, NULL));
    CHECK(sequence("Modality=\"\"", NULL, NULL));
    CHECK(sequence("", "Modality=CT", NULL));
    CHECK(sequence("", NULL, NULL));
    CHECK(sequence("ScheduledProcedureStepStartDate=20240101-20240103;ScheduledProcedureStepStartTime=10-12",
                   "ScheduledProcedureStepStartDate=20240102;ScheduledProcedureStepStartTime=09", NULL));
    CHECK(!sequence("ScheduledProcedureStepStartDate=20240101-20240103;ScheduledProcedureStepStartTime=10-12", NULL, NULL));
}

TEST(a_sequence_without_items_is_universal) {
    dicom_dataset *keys = dataset("");
    dicom_dataset_put_sequence(keys, DICOM_TAG_ScheduledProcedureStepSequence, NULL);
    CHECK(dicom_match_dataset(keys, dataset(""), false));
    done();
}

TEST(every_item_of_a_key_must_match) {
    dicom_dataset *keys = dataset(""), *ds = dataset("");
    put_item(keys, DICOM_TAG_ScheduledProcedureStepSequence, "Modality=CT");
    put_item(keys, DICOM_TAG_ScheduledProcedureStepSequence, "Modality=MR");
    put_item(ds, DICOM_TAG_ScheduledProcedureStepSequence, "Modality=MR");
    CHECK(!dicom_match_dataset(keys, ds, false));
    put_item(ds, DICOM_TAG_ScheduledProcedureStepSequence, "Modality=CT");
    CHECK(dicom_match_dataset(keys, ds, false));
    done();
}

/* By hand, since dicom_dataset_add_item refuses to go too deep. */
static dicom_dataset *nested(unsigned depth) {
    dicom_dataset *top = dataset(""), *ds = top;
    for (unsigned i = 0; i < depth; i++) {
        dicom_item *item = gn_arena_zalloc(arena, 1, sizeof *item);
        CHECK_INT(dicom_dataset_put_sequence(ds, DICOM_TAG_ContentSequence, NULL), 0);
        ds->element[0].items = item;
        item->dataset = dataset("");
        item->dataset->parent = ds;
        ds = item->dataset;
    }
    dicom_dataset_put_string(ds, DICOM_TAG_TextValue, DICOM_VR_UT, "deep", NULL);
    return top;
}

TEST(depth_is_limited) { /* T15 */
    CHECK(dicom_match_dataset(nested(20), nested(20), false));
    CHECK(!dicom_match_dataset(nested(20), nested(21), false));
    CHECK(dicom_match_dataset(nested(DICOM_MAX_DEPTH - 1), nested(DICOM_MAX_DEPTH - 1), false));
    CHECK(!dicom_match_dataset(nested(DICOM_MAX_DEPTH), nested(DICOM_MAX_DEPTH), false));
    CHECK(!dicom_match_dataset(nested(1000), nested(1000), false));
    done();
}

TEST(ten_thousand_uids) { /* T15 */
    size_t n = 0, size = 200000;
    char *list = malloc(size);
    REQUIRE(list != NULL);
    for (int i = 0; i < 10000; i++) n += (size_t)snprintf(list + n, size - n, "%s1.2.840.%d", i ? "\\" : "", i);
    dicom_dataset *keys = dataset(""), *ds = dataset("StudyInstanceUID=1.2.840.9999");
    dicom_dataset_put(keys, DICOM_TAG_StudyInstanceUID, DICOM_VR_UI, list, n, NULL);
    uint64_t start = gn_mono_ns();
    CHECK(dicom_match_dataset(keys, ds, false));
    CHECK(!dicom_match_dataset(keys, dataset("StudyInstanceUID=1.2.3"), false));
    CHECK(gn_mono_ns() - start < 5000000000u);
    done();
    free(list);
}
