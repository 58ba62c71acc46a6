/* What a client accepts, what a search asks, and how rows and data sets are written. */
#include "check.h"
#include "dicomweb/query.h"

static const http_offer offers[] = { { "application/dicom+json", NULL, NULL }, { "multipart/related", "application/dicom+xml", NULL },
                                     { "multipart/related", "application/octet-stream", "1.2.840.10008.1.2.1" },
                                     { "multipart/related", "application/octet-stream", "1.2.840.10008.1.2.4.202" } };

static int choose(const char *accept) {
    gn_arena *arena = gn_arena_new(1u << 20);
    http_range ranges[8];
    size_t n = http_ranges_parse(arena, accept, ranges, 8);
    int best = http_ranges_choose(ranges, n, offers, GN_ARRAY_LEN(offers), NULL);
    gn_arena_free(&arena);
    return best;
}

TEST(accept_chooses_what_is_wanted_most) {
    CHECK_INT(choose(NULL), 0);
    CHECK_INT(choose("*/*"), 0);
    CHECK_INT(choose("application/*"), 0);
    CHECK_INT(choose("multipart/related; type=\"application/dicom+xml\""), 1);
    CHECK_INT(choose("Multipart/Related;TYPE=application/dicom+xml"), 1);
    CHECK_INT(choose("multipart/related; type=application/octet-stream; transfer-syntax=*"), 2);
    CHECK_INT(choose("multipart/related; type=\"application/octet-stream\"; transfer-syntax=1.2.840.10008.1.2.4.202"), 3);
    CHECK_INT(choose("application/dicom+json;q=0.2, multipart/related;type=application/dicom+xml;q=0.9"), 1);
    CHECK_INT(choose("application/dicom+json;q=0, */*"), 1);
    CHECK_INT(choose("image/png"), -1);
    CHECK_INT(choose("multipart/related; type=\"image/jpeg\""), -1);
    CHECK_INT(choose("application/dicom+json;q=0"), -1);
}

TEST(accept_survives_rubbish) {
    CHECK_INT(choose(",,;;=,\"\"\"\",application/dicom+json"), 0);
    CHECK_INT(choose("a/b;type=\"never closed, application/dicom+json"), -1);
    CHECK_INT(choose("multipart/related;type=\"application/dicom\\+xml\";;q"), 1);
    CHECK_INT(choose("x"), 0); /* names no type: as if there were none */
}

static int add(search *s, const char *key, const char *value) {
    gn_error e = GN_ERROR_INIT;
    return search_add(s, key, value, &e);
}

TEST(parameters_become_keys) {
    gn_arena *arena = gn_arena_new(4u << 20);
    search s;
    gn_error e = GN_ERROR_INIT;
    size_t n;
    bool nothing = false;
    REQUIRE(search_init(&s, arena, ARCHIVE_IMAGE, &e) == 0);
    CHECK_INT(add(&s, "00080018", "1.2,1.3"), 0);
    CHECK_STR(dicom_dataset_ascii(s.keys, DICOM_TAG_SOPInstanceUID), "1.2\\1.3");
    CHECK_INT(add(&s, "SOPInstanceUID", "1.4"), 0); /* once more: one list */
    CHECK_STR(dicom_dataset_ascii(s.keys, DICOM_TAG_SOPInstanceUID), "1.2\\1.3\\1.4");
    CHECK_INT(add(&s, "StudyDescription", "a,b"), 0);
    CHECK_STR(dicom_dataset_ascii(s.keys, DICOM_TAG_StudyDescription), "a,b");
    CHECK_INT(add(&s, "Rows", "512"), 0);
    int64_t rows = 0;
    CHECK(dicom_dataset_int(s.keys, DICOM_TAG_Rows, &rows) && rows == 512);
    CHECK_INT(add(&s, "RequestAttributesSequence.RequestedProcedureID", "R"), 0);
    CHECK_INT(add(&s, "00400275.00400009", "S"), 0);
    const dicom_element *el = dicom_dataset_find(s.keys, DICOM_TAG_RequestAttributesSequence);
    REQUIRE(el && el->items);
    CHECK(!el->items->next);
    CHECK_STR(dicom_dataset_ascii(el->items->dataset, DICOM_TAG_ScheduledProcedureStepID), "S");
    CHECK_INT(search_add_path(&s, DICOM_TAG_SOPInstanceUID, "1.3", &nothing, &e), 0);
    CHECK(!nothing);
    CHECK_INT(search_add_path(&s, DICOM_TAG_SOPInstanceUID, "1.9", &nothing, &e), 0);
    CHECK(nothing); /* the path can only narrow */
    CHECK_INT(search_finish(&s, true, true, &e), 0);
    for (n = 1; n < s.wanted_count; n++) CHECK(s.wanted[n - 1] < s.wanted[n]);
    gn_arena_free(&arena);
}

TEST(wrong_parameters_are_named) {
    static const char *const wrong[][2] = { { "limit", "-1" }, { "limit", "" }, { "offset", "1e3" }, { "limit", "99999999999999999999" }, { "fuzzymatching", "1" }, { "PatientNam", "x" },
        { "0010001", "x" }, { "Rows", "65536" }, { "Rows", "1," }, { "PixelData", "x" }, { "PatientName.PatientID", "x" }, { "00020010", "x" }, { "00400275.", "x" }, { ".", "x" },
        { "", "" }, { "PatientName", "a\x01" }, { "PatientName", "\xFF" }, { "includefield", "PatientName,bad" }, { "RequestAttributesSequence", "x" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(wrong); i++) {
        gn_arena *arena = gn_arena_new(4u << 20);
        search s;
        gn_error e = GN_ERROR_INIT;
        REQUIRE(search_init(&s, arena, ARCHIVE_IMAGE, &e) == 0);
        CHECK_INT(search_add(&s, wrong[i][0], wrong[i][1], &e), GN_E_INVALID);
        CHECK_STR(s.wrong ? s.wrong : "(null)", wrong[i][0]);
        gn_arena_free(&arena);
    }
}

TEST(xml_says_what_json_says) {
    static const char json[] = "{\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 192\"]},\"00081030\":{\"vr\":\"LO\",\"Value\":[\"a<b & \\u00e9\"]},"
                               "\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"Doe^Jo\"}]},\"00280010\":{\"vr\":\"US\",\"Value\":[7]},"
                               "\"00400275\":{\"vr\":\"SQ\",\"Value\":[{\"00401001\":{\"vr\":\"SH\",\"Value\":[\"R\"]}},{}]},\"7FE00010\":{\"vr\":\"OW\",\"BulkDataURI\":\"x/y\"}}";
    gn_arena *arena = gn_arena_new(4u << 20);
    gn_buf out = GN_BUF_INIT;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(xml_from_json(arena, json, sizeof json - 1, "", &out, &e), 0);
    const char *xml = out.p ? (const char *)out.p : "";
    CHECK(strstr(xml, "keyword=\"StudyDescription\"><Value number=\"1\">a&lt;b &amp; \xC3\xA9</Value>") != NULL);
    CHECK(strstr(xml, "<PersonName number=\"1\"><Alphabetic><FamilyName>Doe</FamilyName><GivenName>Jo</GivenName></Alphabetic></PersonName>") != NULL);
    CHECK(strstr(xml, "vr=\"US\" keyword=\"Rows\"><Value number=\"1\">7</Value>") != NULL);
    CHECK(strstr(xml, "<Value number=\"1\">R</Value></DicomAttribute></Item><Item number=\"2\"></Item></DicomAttribute>") != NULL);
    CHECK(strstr(xml, "<BulkData uri=\"x/y\"/>") != NULL);
    gn_buf_done(&out);
    gn_arena_free(&arena);
}
