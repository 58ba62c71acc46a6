/* The data dictionary, the table of VRs, tags as text. */
#include "check.h"
#include "dicom/dicom.h"

#include <string.h>

/* ---- value representations --------------------------------------------------------------------------------------------- */

static const char all_vrs[] = "AEASATCSDADSDTFDFLISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUIULUNURUSUTUV";

TEST(every_vr_is_found_and_nothing_else) {
    unsigned found = 0;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            const dicom_vr_info *info = dicom_vr_find((dicom_vr)(a << 8 | b));
            bool is_one = false;
            for (size_t i = 0; all_vrs[i]; i += 2) is_one = is_one || (all_vrs[i] == (char)a && all_vrs[i + 1] == (char)b);
            CHECK((info != NULL) == is_one);
            if (!info) continue;
            CHECK_INT(info->vr, a << 8 | b);
            found++;
        }
    CHECK_INT(found, 34);
}

TEST(long_lengths_are_those_of_the_standard) { /* PS3.5 §7.1.2 */
    static const char long_ones[] = "OBODOFOLOVOWSQSVUCUNURUTUV";
    for (size_t i = 0; all_vrs[i]; i += 2) {
        bool want = false;
        for (size_t j = 0; long_ones[j]; j += 2) want = want || memcmp(all_vrs + i, long_ones + j, 2) == 0;
        CHECK_INT(dicom_vr_find(DICOM_VR((unsigned char)all_vrs[i], (unsigned char)all_vrs[i + 1]))->long_length, want);
    }
}

TEST(character_sets_concern_seven_vrs) {
    static const char with[] = "LOLTPNSHSTUCUT";
    for (size_t i = 0; all_vrs[i]; i += 2) {
        bool want = false;
        for (size_t j = 0; with[j]; j += 2) want = want || memcmp(all_vrs + i, with + j, 2) == 0;
        CHECK_INT(dicom_vr_find(DICOM_VR((unsigned char)all_vrs[i], (unsigned char)all_vrs[i + 1]))->charset, want);
    }
}

TEST(details_of_vrs) {
    CHECK_INT(dicom_vr_find(DICOM_VR_UI)->pad, '\0');
    CHECK_INT(dicom_vr_find(DICOM_VR_LO)->pad, ' ');
    CHECK_INT(dicom_vr_find(DICOM_VR_LO)->max_length, 64);
    CHECK_INT(dicom_vr_find(DICOM_VR_US)->unit, 2);
    CHECK_INT(dicom_vr_find(DICOM_VR_AT)->unit, 2);
    CHECK_INT(dicom_vr_find(DICOM_VR_FL)->unit, 4);
    CHECK_INT(dicom_vr_find(DICOM_VR_OV)->unit, 8);
    CHECK_INT(dicom_vr_find(DICOM_VR_SQ)->unit, 0);
    CHECK(!dicom_vr_find(DICOM_VR_LT)->multi);
    CHECK(!dicom_vr_find(DICOM_VR_UR)->multi);
    CHECK(dicom_vr_find(DICOM_VR_UC)->multi);
    CHECK(!dicom_vr_find(DICOM_VR_OB)->text);
}

/* ---- lookups ----------------------------------------------------------------------------------------------------------- */

TEST(every_entry_is_found_by_tag_and_keyword) {
    CHECK(dicom_dict_count() > 5000);
    for (size_t i = 0; i < dicom_dict_count(); i++) {
        const dicom_dict_entry *e = dicom_dict_at(i);
        REQUIRE(e != NULL);
        CHECK((e->tag & e->mask) == e->tag);
        if (e->mask == 0xFFFFFFFFu) CHECK(dicom_dict_find(e->tag) == e);
        if (*e->keyword) CHECK(dicom_dict_by_keyword(e->keyword) == e);
        CHECK(*e->vm && *e->name);
        CHECK(e->vr == DICOM_VR_NONE || dicom_vr_find(e->vr));
        CHECK(e->vr2 == DICOM_VR_NONE || dicom_vr_find(e->vr2));
        CHECK(e->vr3 == DICOM_VR_NONE || dicom_vr_find(e->vr3));
    }
    CHECK(dicom_dict_at(dicom_dict_count()) == NULL);
}

TEST(entries_are_in_order_of_tag) {
    for (size_t i = 1; i < dicom_dict_count(); i++) CHECK(dicom_dict_at(i - 1)->tag <= dicom_dict_at(i)->tag);
}

TEST(names_of_tags_are_those_of_the_dictionary) {
    CHECK_INT(DICOM_TAG_PatientName, 0x00100010);
    CHECK_INT(DICOM_TAG_PixelData, 0x7FE00010);
    CHECK_INT(DICOM_TAG_CommandField, 0x00000100);
    CHECK_INT(DICOM_TAG_TransferSyntaxUID, 0x00020010);
    CHECK_INT(DICOM_TAG_DirectoryRecordSequence, 0x00041220);
    CHECK(DICOM_TAG_Item == 0xFFFEE000u);
    CHECK_INT(DICOM_TAG_OverlayRows, 0x60000010);
}

TEST(one_entry_in_full) {
    const dicom_dict_entry *e = dicom_dict_find(DICOM_TAG_PatientName);
    REQUIRE(e != NULL);
    CHECK_INT(e->vr, DICOM_VR_PN);
    CHECK_STR(e->vm, "1");
    CHECK_STR(e->keyword, "PatientName");
    CHECK_STR(e->name, "Patient's Name");
    CHECK(!e->retired);
}

TEST(alternative_vrs) {
    const dicom_dict_entry *e = dicom_dict_find(DICOM_TAG_SmallestImagePixelValue);
    CHECK(e->vr == DICOM_VR_US && e->vr2 == DICOM_VR_SS && e->vr3 == DICOM_VR_NONE);
    e = dicom_dict_find(DICOM_TAG_LUTData);
    CHECK(e->vr == DICOM_VR_US && e->vr2 == DICOM_VR_OW);
    e = dicom_dict_find(DICOM_TAG_PixelData);
    CHECK(e->vr == DICOM_VR_OB && e->vr2 == DICOM_VR_OW);
    CHECK_INT(dicom_dict_find(DICOM_TAG_Item)->vr, DICOM_VR_NONE);
}

TEST(retired_entries_are_marked) {
    CHECK(dicom_dict_by_keyword("StudyIDIssuer") ? dicom_dict_by_keyword("StudyIDIssuer")->retired : true);
    CHECK(dicom_dict_find(DICOM_TAG(0x0008, 0x0001))->retired); /* Length to End */
}

TEST(repeating_groups) {
    CHECK_STR(dicom_dict_find(DICOM_TAG(0x6000, 0x3000))->keyword, "OverlayData");
    CHECK_STR(dicom_dict_find(DICOM_TAG(0x601E, 0x3000))->keyword, "OverlayData");
    CHECK_STR(dicom_dict_find(DICOM_TAG(0x5012, 0x0005))->keyword, "CurveDimensions");
    CHECK_STR(dicom_dict_find(DICOM_TAG(0x0020, 0x3142))->keyword, "SourceImageIDs");
    CHECK_STR(dicom_dict_find(DICOM_TAG(0x0028, 0x0413))->keyword, "CoefficientCodingPointers");
    CHECK_STR(dicom_dict_find(DICOM_TAG(0x0028, 0x0400))->keyword, "TransformLabel");
    CHECK_STR(dicom_dict_find(DICOM_TAG(0x7F00, 0x0010))->keyword, "VariablePixelData");
    CHECK_STR(dicom_dict_find(DICOM_TAG(0x1010, 0x1234))->keyword, "ZonalMap");
    CHECK_STR(dicom_dict_find(DICOM_TAG(0x1000, 0x0ABC & 0xFFF0))->keyword, "EscapeTriplet");
    CHECK(dicom_dict_find(DICOM_TAG(0x6001, 0x3000)) == NULL); /* odd: private */
    CHECK(dicom_dict_find(DICOM_TAG(0x6000, 0x9999)) == NULL);
}

TEST(unknown_tags) {
    CHECK(dicom_dict_find(DICOM_TAG(0x0009, 0x0010)) == NULL);
    CHECK(dicom_dict_find(DICOM_TAG(0x0008, 0xFFFF)) == NULL);
    CHECK(dicom_dict_find(0xFFFFFFFFu) == NULL);
    CHECK(dicom_dict_by_keyword("NoSuchThing") == NULL);
    CHECK(dicom_dict_by_keyword("patientname") == NULL);
    CHECK(dicom_dict_by_keyword("") == NULL);
    CHECK(dicom_dict_by_keyword(NULL) == NULL);
}

TEST(implicit_vrs) {
    CHECK_INT(dicom_implicit_vr(DICOM_TAG_PatientName), DICOM_VR_PN);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG(0x0008, 0x0000)), DICOM_VR_UL);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG(0x0009, 0x0000)), DICOM_VR_UL);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG(0x0009, 0x0010)), DICOM_VR_LO);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG(0x0009, 0x00FF)), DICOM_VR_LO);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG(0x0009, 0x000F)), DICOM_VR_UN);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG(0x0009, 0x1001)), DICOM_VR_UN);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG(0x0008, 0xFFF0)), DICOM_VR_UN);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG_Item), DICOM_VR_UN);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG(0x6002, 0x0010)), DICOM_VR_US);
    CHECK_INT(dicom_implicit_vr(DICOM_TAG_SmallestImagePixelValue), DICOM_VR_US);
}

/* ---- tags as text ------------------------------------------------------------------------------------------------------ */

TEST(tags_are_read_in_every_form) {
    static const char *const forms[] = { "PatientName", "0010,0010", "00100010", "(0010,0010)", "(00100010)" };
    for (size_t i = 0; i < GN_ARRAY_LEN(forms); i++) {
        dicom_tag tag = 0;
        CHECK(dicom_tag_parse(forms[i], &tag));
        CHECK_INT(tag, 0x00100010);
    }
    dicom_tag tag = 0;
    CHECK(dicom_tag_parse("7fe0,0010", &tag) && tag == DICOM_TAG_PixelData);
    CHECK(dicom_tag_parse("FFFEE000", &tag) && tag == 0xFFFEE000u);
    CHECK(dicom_tag_parse("0009,1001", &tag) && tag == 0x00091001);
}

TEST(what_is_no_tag) {
    static const char *const bad[] = { "", "(0010,0010", "0010,0010)", "0010 0010", "001000100", "0010001", "0010,", "PatientName.X", "Patient Name", "(PatientName)", "0010,,0010", "00100,010", "g0100010" };
    dicom_tag tag = 42;
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) CHECK(!dicom_tag_parse(bad[i], &tag));
    CHECK(!dicom_tag_parse(NULL, &tag));
    CHECK_INT(tag, 42);
}

TEST(tags_are_written) {
    char buf[12];
    CHECK_STR(dicom_tag_text(DICOM_TAG_PatientName, buf), "(0010,0010)");
    CHECK_STR(dicom_tag_text(0xFFFEE0DDu, buf), "(FFFE,E0DD)");
}
