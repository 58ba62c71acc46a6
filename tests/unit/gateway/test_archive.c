/* The whole way over the real archive in a fresh folder: what is stored is found, given back byte for byte, moved and committed; also after a restart. */
#include "harness.h"

#include <stdlib.h>

/* A small CT in explicit little endian. */
static size_t ct(gn_buf *out, const char *patient, const char *name, const char *instance) {
    gn_arena *arena = gn_arena_new(1u << 20);
    gn_error e = GN_ERROR_INIT;
    dicom_dataset *ds = dicom_dataset_new(arena, &e);
    static uint8_t pixels[128];
    dicom_dataset_put_string(ds, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, "ISO_IR 100", &e);
    dicom_dataset_put_string(ds, DICOM_TAG_SOPClassUID, DICOM_VR_UI, CT, &e);
    dicom_dataset_put_string(ds, DICOM_TAG_SOPInstanceUID, DICOM_VR_UI, instance, &e);
    dicom_dataset_put_string(ds, DICOM_TAG_StudyDate, DICOM_VR_DA, "20240229", &e);
    dicom_dataset_put_string(ds, DICOM_TAG_Modality, DICOM_VR_CS, "CT", &e);
    dicom_dataset_put_string(ds, DICOM_TAG_PatientName, DICOM_VR_PN, name, &e);
    dicom_dataset_put_string(ds, DICOM_TAG_PatientID, DICOM_VR_LO, patient, &e);
    dicom_dataset_put_string(ds, DICOM_TAG_StudyInstanceUID, DICOM_VR_UI, "1.2.3", &e);
    dicom_dataset_put_string(ds, DICOM_TAG_SeriesInstanceUID, DICOM_VR_UI, "1.2.3.4", &e);
    dicom_dataset_put_u16(ds, DICOM_TAG_SamplesPerPixel, 1, &e);
    dicom_dataset_put_string(ds, DICOM_TAG_PhotometricInterpretation, DICOM_VR_CS, "MONOCHROME2", &e);
    dicom_dataset_put_u16(ds, DICOM_TAG_Rows, 8, &e);
    dicom_dataset_put_u16(ds, DICOM_TAG_Columns, 8, &e);
    dicom_dataset_put_u16(ds, DICOM_TAG_BitsAllocated, 16, &e);
    dicom_dataset_put_u16(ds, DICOM_TAG_BitsStored, 12, &e);
    dicom_dataset_put_u16(ds, DICOM_TAG_HighBit, 11, &e);
    dicom_dataset_put_u16(ds, DICOM_TAG_PixelRepresentation, 0, &e);
    dicom_dataset_put(ds, DICOM_TAG_PixelData, DICOM_VR_OW, pixels, sizeof pixels, &e);
    CHECK_INT(dicom_dataset_write(ds, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), NULL, out, &e), 0);
    CHECK_STR(e.message, "");
    gn_arena_free(&arena);
    return out->n;
}

static archive *open_archive(const char *directory) {
    archive_config c = { .directory = directory };
    gn_error e = GN_ERROR_INIT;
    archive *a = archive_open(&c, &e);
    CHECK_STR(e.message, "");
    return a;
}

static void find_one(gateway *g) {
    dimse_association *c = connect_to(g, (const char *const[]){ STUDY_FIND }, 1, NULL, false);
    REQUIRE(c != NULL);
    uint8_t keys[256];
    size_t n = identifier(keys, DICOM_TAG_SpecificCharacterSet, "ISO_IR 192", DICOM_TAG_QueryRetrieveLevel, "STUDY", DICOM_TAG_InstanceAvailability, "",
                          DICOM_TAG_PatientName, "müll*", DICOM_TAG_PatientID, "", DICOM_TAG_NumberOfStudyRelatedInstances, "", 0);
    outcome o = { 0 };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(ask(c, STUDY_FIND, DIMSE_C_FIND_RQ, NULL, keys, n, &o, &e), 0);
    CHECK_INT(o.last.status, 0);
    CHECK_INT(o.pending, 1);
    gn_arena *arena = gn_arena_new(1u << 20);
    dicom_dataset *ds = NULL;
    dicom_read_options options = { .keep_everything = true };
    CHECK_INT(dicom_dataset_read(arena, dicom_transfer_syntax_find(DICOM_TS_IMPLICIT_LE), o.first.p, o.first.n, &options, &ds, &e), 0);
    if (ds) {
        CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_PatientName), "Müller^Jörg");
        CHECK_STR(dicom_dataset_ascii(ds, DICOM_TAG_SpecificCharacterSet), "ISO_IR 192");
        CHECK_STR(dicom_dataset_ascii(ds, DICOM_TAG_PatientID), "P1");
        CHECK_STR(dicom_dataset_ascii(ds, DICOM_TAG_NumberOfStudyRelatedInstances), "3");
        CHECK_STR(dicom_dataset_ascii(ds, DICOM_TAG_InstanceAvailability), "ONLINE");
    }
    gn_arena_free(&arena);
    outcome_done(&o);
    dimse_close(&c);
}

static void move_all(gateway *g, receiver *r, size_t bytes) {
    dimse_association *c = connect_to(g, (const char *const[]){ STUDY_MOVE }, 1, NULL, false);
    REQUIRE(c != NULL);
    gateway_peer p = { .aet = "SINK", .host = "127.0.0.1", .port = receiver_port(r), .permissions = GATEWAY_MAY_ALL };
    CHECK_INT(gateway_reload_peers(g, &p, 1, NULL), 0);
    uint8_t keys[256];
    size_t n = identifier(keys, DICOM_TAG_QueryRetrieveLevel, "STUDY", DICOM_TAG_StudyInstanceUID, "1.2.3", 0);
    outcome o = { 0 };
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(ask(c, STUDY_MOVE, DIMSE_C_MOVE_RQ, "SINK", keys, n, &o, &e), 0);
    CHECK_INT(o.last.status, 0);
    CHECK_INT(o.last.completed, 3);
    CHECK_INT(r->bytes, bytes);
    outcome_done(&o);
    dimse_close(&c);
}

TEST(store_find_move_and_again_after_a_restart) {
    char directory[256];
    archive *a = open_archive(check_temp_dir(directory, sizeof directory));
    REQUIRE(a != NULL);
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = connect_to(g, (const char *const[]){ CT }, 1, DICOM_TS_EXPLICIT_LE, false);
    REQUIRE(g && c);
    size_t total = 0;
    static const char *const uids[] = { "1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3" };
    for (size_t i = 0; i < 3; i++) {
        gn_buf bytes = GN_BUF_INIT;
        total += ct(&bytes, "P1", "M\xfcller^J\xf6rg", uids[i]);
        dimse_message last;
        gn_error e = GN_ERROR_INIT;
        for (int again = 0; again < 2; again++) { /* the same once more is a success */
            CHECK_INT(store(c, CT, uids[i], bytes.p, bytes.n, &last, &e), 0);
            CHECK_INT(last.status, 0);
            CHECK_STR(last.error_comment, "");
        }
        gn_buf_done(&bytes);
    }
    dimse_close(&c);
    find_one(g);
    gateway_stop(&g, 1000);
    archive_close(&a);
    a = open_archive(directory);
    REQUIRE(a != NULL);
    g = start_gateway(a, NULL);
    find_one(g);
    receiver r = { 0 };
    receiver_start(&r);
    move_all(g, &r, total);
    gateway_stop(&g, 1000);
    receiver_stop(&r);
    archive_close(&a);
}

TEST(what_does_not_fit_is_answered) {
    char directory[256];
    archive *a = open_archive(check_temp_dir(directory, sizeof directory));
    REQUIRE(a != NULL);
    gateway *g = start_gateway(a, NULL);
    dimse_association *c = connect_to(g, (const char *const[]){ CT }, 1, DICOM_TS_EXPLICIT_LE, false);
    REQUIRE(g && c);
    gn_buf bytes = GN_BUF_INIT;
    ct(&bytes, "P1", "Doe", "1.2.3.4.1");
    dimse_message last;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(store(c, CT, "1.2.3.4.9", bytes.p, bytes.n, &last, &e), 0); /* another instance than the command says */
    CHECK(last.status == 0xA900 || last.status == 0xB007 || last.status == 0xB000);
    CHECK(last.error_comment[0] != 0);
    CHECK_INT(store(c, CT, "1.2.3.4.2", "garbage!", 8, &last, &e), 0);
    CHECK(last.status >= 0xA000);
    CHECK_INT(store(c, CT, "1.2.3.4.1", bytes.p, bytes.n - 64, &last, &e), 0); /* cut in the pixel data */
    CHECK(last.status >= 0xA000);
    CHECK_INT(store(c, CT, "", bytes.p, bytes.n, &last, &e), 0); /* no name in the command: the data set's word, with a warning at least */
    CHECK(last.status >= 0xA000);
    static const char *const names[] = { "../../x", "/etc/passwd", "1.2.3\\1.2.4" };
    for (size_t i = 0; i < GN_ARRAY_LEN(names); i++) {
        CHECK_INT(store(c, CT, names[i], bytes.p, bytes.n, &last, &e), 0);
        if (last.status != 0xA900) printf("# %s\n", names[i]);
        CHECK_INT(last.status, 0xA900);
    }
    gn_buf_done(&bytes);
    dimse_close(&c);
    gateway_stop(&g, 1000);
    archive_close(&a);
}
