/* Registered UIDs, transfer syntaxes, the form of UIDs, new ones. */
#include "check.h"
#include "dicom/dicom.h"

#include <string.h>

TEST(every_uid_is_found) {
    CHECK(dicom_uid_count() > 450);
    for (size_t i = 0; i < dicom_uid_count(); i++) {
        const dicom_uid_entry *e = dicom_uid_at(i);
        CHECK(dicom_uid_find(e->uid) == e);
        if (*e->keyword) CHECK(dicom_uid_by_keyword(e->keyword) == e);
        CHECK(dicom_uid_valid_strict(e->uid, strlen(e->uid)));
        CHECK(!e->storage || e->kind == DICOM_UID_SOP_CLASS);
    }
    CHECK(dicom_uid_at(dicom_uid_count()) == NULL);
    CHECK(dicom_uid_find("1.2.3") == NULL);
    CHECK(dicom_uid_find("") == NULL);
    CHECK(dicom_uid_find(NULL) == NULL);
    CHECK(dicom_uid_by_keyword("") == NULL);
    CHECK(dicom_uid_by_keyword(NULL) == NULL);
    CHECK(dicom_uid_by_keyword("Nothing") == NULL);
}

TEST(kinds_of_uids) {
    CHECK_INT(dicom_uid_find("1.2.840.10008.1.1")->kind, DICOM_UID_SOP_CLASS);
    CHECK_INT(dicom_uid_find("1.2.840.10008.1.2")->kind, DICOM_UID_TRANSFER_SYNTAX);
    CHECK_INT(dicom_uid_find("1.2.840.10008.3.1.1.1")->kind, DICOM_UID_CONTEXT);
    CHECK_INT(dicom_uid_find("1.2.840.10008.1.20.1.1")->kind, DICOM_UID_WELL_KNOWN);
    CHECK_INT(dicom_uid_find("1.2.840.10008.4.2")->kind, DICOM_UID_SERVICE_CLASS);
    CHECK_INT(dicom_uid_by_keyword("DCM")->kind, DICOM_UID_CODING_SCHEME);
    CHECK_STR(dicom_uid_by_keyword("CTImageStorage")->uid, "1.2.840.10008.5.1.4.1.1.2");
}

TEST(storage_classes) {
    static const char *const storage[] = { "CTImageStorage", "EnhancedMRImageStorage", "RawDataStorage", "EncapsulatedPDFStorage", "HangingProtocolStorage",
        "DICOSCTImageStorage", "NuclearMedicineImageStorageRetired", "RTBeamsDeliveryInstructionStorage", "LabelMapSegmentationStorage", "BasicTextSRStorage",
        "GrayscaleSoftcopyPresentationStateStorage", "TwelveLeadECGWaveformStorage" };
    static const char *const other[] = { "Verification", "StorageCommitmentPushModel", "MediaStorageDirectoryStorage", "PatientRootQueryRetrieveInformationModelFind",
        "ModalityWorklistInformationModelFind", "InventoryFind" };
    for (size_t i = 0; i < GN_ARRAY_LEN(storage); i++) {
        const dicom_uid_entry *e = dicom_uid_by_keyword(storage[i]);
        if (e) CHECK(e->storage);
        else CHECK_STR(storage[i], "NuclearMedicineImageStorageRetired"); /* its name differs between editions */
    }
    for (size_t i = 0; i < GN_ARRAY_LEN(other); i++) CHECK(dicom_uid_by_keyword(other[i]) && !dicom_uid_by_keyword(other[i])->storage);
    size_t count = 0;
    for (size_t i = 0; i < dicom_uid_count(); i++) count += dicom_uid_at(i)->storage;
    CHECK(count > 190);
}

/* ---- transfer syntaxes ------------------------------------------------------------------------------------------------- */

static const char *flags(const char *uid) {
    static char text[6];
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(uid);
    char *p = text;
    if (!ts) return "none";
    if (ts->implicit_vr) *p++ = 'I';
    if (ts->big_endian) *p++ = 'B';
    if (ts->deflated) *p++ = 'D';
    if (ts->encapsulated) *p++ = 'E';
    if (ts->lossy) *p++ = 'L';
    *p = '\0';
    return text;
}

TEST(transfer_syntaxes) {
    CHECK_STR(flags(DICOM_TS_IMPLICIT_LE), "I");
    CHECK_STR(flags(DICOM_TS_EXPLICIT_LE), "");
    CHECK_STR(flags(DICOM_TS_DEFLATED_LE), "D");
    CHECK_STR(flags(DICOM_TS_EXPLICIT_BE), "B");
    CHECK_STR(flags("1.2.840.10008.1.2.1.98"), "E");
    CHECK_STR(flags("1.2.840.10008.1.2.4.50"), "EL");
    CHECK_STR(flags("1.2.840.10008.1.2.4.70"), "E");
    CHECK_STR(flags("1.2.840.10008.1.2.4.90"), "E");
    CHECK_STR(flags("1.2.840.10008.1.2.4.91"), "EL");
    CHECK_STR(flags("1.2.840.10008.1.2.4.201"), "E");
    CHECK_STR(flags("1.2.840.10008.1.2.4.203"), "EL");
    CHECK_STR(flags("1.2.840.10008.1.2.4.110"), "E");
    CHECK_STR(flags("1.2.840.10008.1.2.5"), "E");
    CHECK_STR(flags("1.2.840.10008.1.2.8.1"), "E");
    CHECK_STR(flags("1.2.840.10008.1.2.4.95"), "D");
    CHECK_STR(flags("1.2.840.10008.1.1"), "none"); /* a UID, but not of a transfer syntax */
    CHECK_STR(flags("1.2.3.4"), "none");
    for (size_t i = 0; i < dicom_transfer_syntax_count(); i++) CHECK(dicom_transfer_syntax_find(dicom_transfer_syntax_at(i)->uid) == dicom_transfer_syntax_at(i));
    CHECK(dicom_transfer_syntax_at(dicom_transfer_syntax_count()) == NULL);
}

/* ---- form -------------------------------------------------------------------------------------------------------------- */

TEST(valid_uids) {
    static const char *const good[] = { "1.2.840.10008.1.1", "2.25.329800735698586629295641978511506172918", "1", "0.0", "1.2.0.3" };
    static const char *const loose[] = { "1.02.3", "1.2.00", "9.1.2" }; /* seen in the field */
    static const char *const bad[] = { "", ".", "1.", ".1", "1..2", "1.2.a", "1.2 ", "1.2/../3", "1.2.-3",
        "1.2.840.10008.123456789.123456789.123456789.123456789.12345678901" };
    for (size_t i = 0; i < GN_ARRAY_LEN(good); i++) CHECK(dicom_uid_valid(good[i], strlen(good[i])));
    CHECK(!dicom_uid_valid_strict("1", 1));
    CHECK(dicom_uid_valid_strict("1.2.0.3", 7));
    for (size_t i = 0; i < GN_ARRAY_LEN(loose); i++) {
        CHECK(dicom_uid_valid(loose[i], strlen(loose[i])));
        CHECK(!dicom_uid_valid_strict(loose[i], strlen(loose[i])));
    }
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) CHECK(!dicom_uid_valid(bad[i], strlen(bad[i])));
    CHECK(!dicom_uid_valid(NULL, 0));
    CHECK_INT(strlen(bad[9]), 65);
    CHECK(dicom_uid_valid(bad[9], 64));
}

TEST(new_uids_are_valid_and_differ) {
    char last[65] = "", uid[65];
    for (int i = 0; i < 2000; i++) {
        dicom_uid_make(uid);
        CHECK(strncmp(uid, "2.25.", 5) == 0);
        CHECK(dicom_uid_valid_strict(uid, strlen(uid)));
        CHECK(strlen(uid) <= 44);
        CHECK(strcmp(uid, last) != 0);
        memcpy(last, uid, sizeof last);
    }
}

TEST(our_own_uid_is_valid) { CHECK(dicom_uid_valid_strict(DICOM_IMPLEMENTATION_CLASS_UID, strlen(DICOM_IMPLEMENTATION_CLASS_UID))); }
