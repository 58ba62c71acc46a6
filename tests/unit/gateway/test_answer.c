/* Answers of C-FIND: the plan made from an identifier, and rows written in each transfer syntax and character set. What is written is read
 * again with dicom_dataset_read. */
#include "check.h"
#include "internal.h"

#include <stdlib.h>

#define NAME DICOM_TAG_PatientName

typedef struct fixture { gn_arena *arena; dicom_dataset *keys; answer_plan plan; dicom_dataset *read; } fixture;

static void begin(fixture *f, const char *charset) {
    memset(f, 0, sizeof *f);
    f->arena = gn_arena_new(1u << 20);
    f->keys = dicom_dataset_new(f->arena, NULL);
    if (charset) dicom_dataset_put_string(f->keys, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, charset, NULL);
    dicom_dataset_put_string(f->keys, DICOM_TAG_QueryRetrieveLevel, DICOM_VR_CS, "STUDY", NULL);
    dicom_dataset_put_string(f->keys, DICOM_TAG_PatientName, DICOM_VR_PN, "", NULL);
    dicom_dataset_put_string(f->keys, DICOM_TAG_StudyInstanceUID, DICOM_VR_UI, "", NULL);
}

static void plan(fixture *f, const char *ts) {
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(answer_plan_make(&f->plan, f->keys, ARCHIVE_STUDY, "GANTRY", dicom_transfer_syntax_find(ts), &e), 0);
}

static void answer(fixture *f, const archive_value *values) {
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(answer_encode(&f->plan, values, &e), 0);
    dicom_read_options o = { .keep_everything = true };
    f->read = NULL;
    CHECK_INT(dicom_dataset_read(f->arena, f->plan.ts, f->plan.out.p, f->plan.out.n, &o, &f->read, &e), 0);
    CHECK_STR(e.message, "");
}

static void end(fixture *f) {
    answer_plan_done(&f->plan);
    gn_arena_free(&f->arena);
}

static archive_value text(dicom_vr vr, const char *s) { return (archive_value){ .text = s, .n = strlen(s), .present = true, .vr = vr }; }

TEST(exact_bytes_in_implicit_little_endian) {
    fixture f;
    begin(&f, NULL);
    plan(&f, DICOM_TS_IMPLICIT_LE);
    CHECK_INT(f.plan.wanted_count, 2);
    CHECK_INT(f.plan.wanted[0], NAME);
    CHECK_INT(f.plan.wanted[1], DICOM_TAG_StudyInstanceUID);
    CHECK(dicom_dataset_find(f.keys, DICOM_TAG_QueryRetrieveLevel) == NULL);
    archive_value v[] = { text(DICOM_VR_PN, "Doe^J"), text(DICOM_VR_UI, "1.2.3") };
    answer(&f, v);
    static const char expected[] = "\x08\0\x52\0\x06\0\0\0STUDY \x08\0\x54\0\x06\0\0\0GANTRY\x10\0\x10\0\x06\0\0\0Doe^J \x20\0\x0d\0\x06\0\0\0" "1.2.3";
    CHECK_MEM2(f.plan.out.p, f.plan.out.n, expected, sizeof expected);
    end(&f);
}

TEST(exact_bytes_in_explicit_big_endian) {
    fixture f;
    begin(&f, "ISO_IR 100");
    dicom_dataset_put_string(f.keys, DICOM_TAG_StudyInstanceUID, DICOM_VR_UI, "", NULL);
    plan(&f, DICOM_TS_EXPLICIT_BE);
    archive_value v[] = { { 0 }, text(DICOM_VR_UI, "1.2") };
    answer(&f, v);
    static const char expected[] = "\0\x08\0\x05" "CS\0\x0aISO_IR 100\0\x08\0\x52" "CS\0\x06STUDY \0\x08\0\x54" "AE\0\x06GANTRY\0\x10\0\x10PN\0\0\0\x20\0\x0dUI\0\x04" "1.2";
    CHECK_MEM2(f.plan.out.p, f.plan.out.n, expected, sizeof expected);
    end(&f);
}

/* name as UTF-8, charset asked, charset answered, name as answered */
static void charset_case(const char *asked, const char *name, const char *answered, const char *bytes) {
    fixture f;
    begin(&f, asked);
    plan(&f, DICOM_TS_EXPLICIT_LE);
    archive_value v[] = { text(DICOM_VR_PN, name), text(DICOM_VR_UI, "1.2.3") };
    answer(&f, v);
    if (answered) CHECK_STR(dicom_dataset_ascii(f.read, DICOM_TAG_SpecificCharacterSet), answered);
    else CHECK(dicom_dataset_find(f.read, DICOM_TAG_SpecificCharacterSet) == NULL);
    size_t n;
    const dicom_element *el = dicom_dataset_find(f.read, NAME);
    const char *p = el ? dicom_element_text(el, &n) : NULL;
    CHECK(p != NULL);
    if (p) CHECK_MEM2(p, n, bytes, strlen(bytes));
    CHECK_STR(dicom_dataset_utf8(f.read, NAME), name);
    end(&f);
}

TEST(character_sets) {
    charset_case(NULL, "Doe^John", NULL, "Doe^John");
    charset_case(NULL, "Müller^Jörg", "ISO_IR 192", "Müller^Jörg");
    charset_case("", "Doe", "ISO_IR 192", "Doe");
    charset_case("ISO_IR 100", "Doe", "ISO_IR 100", "Doe");
    charset_case("ISO_IR 100", "Müller", "ISO_IR 100", "M\xfcller");
    charset_case("ISO_IR 192", "Müller", "ISO_IR 192", "Müller");
    charset_case("ISO_IR 100", "山田", "ISO_IR 192", "山田");
    charset_case("NONSENSE", "Müller", "ISO_IR 192", "Müller");
    charset_case("ISO_IR 144", "Люкceмбypг", "ISO_IR 144", "\xbb\xee\xda" "ce\xdc\xd1" "yp\xd3");
    charset_case("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎", "\\ISO 2022 IR 87", "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B");
    charset_case("GB18030", "Wang^XiaoDong=王^小东", "GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab");
}

TEST(numbers_become_binary) {
    static const char *const syntaxes[] = { DICOM_TS_IMPLICIT_LE, DICOM_TS_EXPLICIT_LE, DICOM_TS_EXPLICIT_BE };
    for (size_t i = 0; i < 3; i++) {
        fixture f;
        begin(&f, NULL);
        dicom_dataset_put(f.keys, DICOM_TAG_Rows, DICOM_VR_US, NULL, 0, NULL);
        dicom_dataset_put(f.keys, DICOM_TAG_SimpleFrameList, DICOM_VR_UL, NULL, 0, NULL);
        dicom_dataset_put(f.keys, DICOM_TAG_EventTimeOffset, DICOM_VR_FD, NULL, 0, NULL);
        dicom_dataset_put(f.keys, DICOM_TAG_FrameIncrementPointer, DICOM_VR_AT, NULL, 0, NULL);
        plan(&f, syntaxes[i]);
        archive_value v[6] = { 0 };
        for (size_t k = 0; k < f.plan.wanted_count; k++) {
            if (f.plan.wanted[k] == DICOM_TAG_Rows) v[k] = text(DICOM_VR_US, "512");
            if (f.plan.wanted[k] == DICOM_TAG_SimpleFrameList) v[k] = text(DICOM_VR_UL, "1\\2\\4294967295");
            if (f.plan.wanted[k] == DICOM_TAG_EventTimeOffset) v[k] = text(DICOM_VR_FD, "0.25");
            if (f.plan.wanted[k] == DICOM_TAG_FrameIncrementPointer) v[k] = text(DICOM_VR_AT, "00181063");
        }
        answer(&f, v);
        int64_t n;
        double d;
        CHECK(dicom_dataset_int(f.read, DICOM_TAG_Rows, &n) && n == 512);
        const dicom_element *el = dicom_dataset_find(f.read, DICOM_TAG_SimpleFrameList);
        REQUIRE(el != NULL);
        CHECK_INT(dicom_element_vm(el), 3);
        CHECK(dicom_element_int(f.read, el, 2, &n) && n == 4294967295);
        el = dicom_dataset_find(f.read, DICOM_TAG_EventTimeOffset);
        CHECK(el && dicom_element_double(f.read, el, 0, &d) && d == 0.25);
        el = dicom_dataset_find(f.read, DICOM_TAG_FrameIncrementPointer);
        CHECK(el && dicom_element_int(f.read, el, 0, &n) && n == 0x00181063);
        end(&f);
    }
}

TEST(sequences_in_every_transfer_syntax) {
    static const char *const syntaxes[] = { DICOM_TS_IMPLICIT_LE, DICOM_TS_EXPLICIT_LE, DICOM_TS_EXPLICIT_BE };
    /* one item: (0008,0104) LO "Thorax" */
    static const uint8_t items[] = "\xfe\xff\x00\xe0\x0e\0\0\0\x08\0\x04\x01LO\x06\0Thorax";
    for (size_t i = 0; i < 3; i++) {
        fixture f;
        begin(&f, "ISO_IR 100");
        dicom_dataset_put_sequence(f.keys, DICOM_TAG_ProcedureCodeSequence, NULL);
        plan(&f, syntaxes[i]);
        CHECK_INT(f.plan.wanted[0], DICOM_TAG_ProcedureCodeSequence);
        archive_value v[] = { { .present = true, .vr = DICOM_VR_SQ, .encoded = items, .encoded_length = sizeof items - 1 }, text(DICOM_VR_PN, "Müller"), text(DICOM_VR_UI, "1.2.3") };
        answer(&f, v);
        const dicom_element *el = dicom_dataset_find(f.read, DICOM_TAG_ProcedureCodeSequence);
        REQUIRE(el && el->items);
        CHECK_STR(dicom_dataset_ascii(el->items->dataset, DICOM_TAG_CodeMeaning), "Thorax");
        CHECK_STR(dicom_dataset_utf8(f.read, NAME), "Müller");
        end(&f);
    }
}

TEST(control_elements_are_no_keys_and_repeats_are_dropped) {
    fixture f;
    begin(&f, NULL);
    dicom_dataset_put_string(f.keys, DICOM_TAG_RetrieveAETitle, DICOM_VR_AE, "", NULL);
    dicom_dataset_put_u32(f.keys, DICOM_TAG(0x0010, 0), 10, NULL);
    dicom_dataset_put_string(f.keys, DICOM_TAG_InstanceAvailability, DICOM_VR_CS, "", NULL);
    plan(&f, DICOM_TS_EXPLICIT_LE);
    CHECK_INT(f.plan.wanted_count, 3);
    CHECK_INT(f.plan.wanted[0], DICOM_TAG_InstanceAvailability);
    CHECK_INT(f.keys->count, 3);
    CHECK(!f.plan.unsupported_keys);
    end(&f);
    begin(&f, NULL);
    dicom_dataset_put_string(f.keys, DICOM_TAG(0x0011, 0x1001), DICOM_VR_LO, "", NULL);
    plan(&f, DICOM_TS_EXPLICIT_LE);
    CHECK(f.plan.unsupported_keys);
    end(&f);
}

TEST(long_text_is_cut_where_the_length_has_16_bits) {
    fixture f;
    begin(&f, NULL);
    plan(&f, DICOM_TS_EXPLICIT_LE);
    char *huge = malloc(70001);
    REQUIRE(huge != NULL);
    memset(huge, 'x', 70000);
    huge[70000] = 0;
    archive_value v[] = { text(DICOM_VR_PN, huge), text(DICOM_VR_UI, "1.2.3") };
    answer(&f, v);
    CHECK_STR(dicom_dataset_ascii(f.read, DICOM_TAG_StudyInstanceUID), "1.2.3");
    free(huge);
    end(&f);
}

TEST(levels_of_each_model) {
    static const struct { const char *word; query_root root; int rc; archive_level level; } table[] = {
        { "PATIENT", ROOT_PATIENT, 0, ARCHIVE_PATIENT }, { "STUDY", ROOT_STUDY, 0, ARCHIVE_STUDY }, { "SERIES", ROOT_STUDY, 0, ARCHIVE_SERIES },
        { "IMAGE", ROOT_PATIENT, 0, ARCHIVE_IMAGE }, { "PATIENT", ROOT_STUDY, GN_E_INVALID, 0 }, { "SERIES", ROOT_PATIENT_STUDY_ONLY, GN_E_INVALID, 0 },
        { "STUDY", ROOT_PATIENT_STUDY_ONLY, 0, ARCHIVE_STUDY }, { "FRAME", ROOT_STUDY, GN_E_INVALID, 0 }, { "", ROOT_STUDY, GN_E_INVALID, 0 }, { "study", ROOT_STUDY, GN_E_INVALID, 0 },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(table); i++) {
        gn_arena *arena = gn_arena_new(65536);
        dicom_dataset *ds = dicom_dataset_new(arena, NULL);
        dicom_dataset_put_string(ds, DICOM_TAG_QueryRetrieveLevel, DICOM_VR_CS, table[i].word, NULL);
        archive_level level = 0;
        gn_error e = GN_ERROR_INIT;
        CHECK_INT(identifier_level(ds, table[i].root, &level, &e), table[i].rc);
        CHECK_INT(level, table[i].level);
        if (table[i].rc) CHECK_INT(tag_of_where(&e), DICOM_TAG_QueryRetrieveLevel);
        gn_arena_free(&arena);
    }
}
