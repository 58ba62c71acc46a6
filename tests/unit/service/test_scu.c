/* Query keys as people write them; the contexts that are proposed for sending. */
#include "check.h"
#include "scu.h"
#include "send_list.h"

#include <stdlib.h>

static scu_keys keys;
static gn_error e;

static int add(const char *text) {
    gn_error_clear(&e);
    return scu_keys_add(&keys, text, &e);
}

TEST(keys_by_keyword_tag_and_path) {
    REQUIRE(scu_keys_init(&keys, &e) == 0);
    CHECK_INT(add("PatientName=DOE*"), 0);
    CHECK_INT(add("0010,0020=1=2"), 0); /* a value may hold an equals sign */
    CHECK_INT(add("StudyDate"), 0);
    CHECK_INT(add("ScheduledProcedureStepSequence.Modality=CT"), 0);
    CHECK_INT(add("ScheduledProcedureStepSequence.ScheduledStationAETitle=X"), 0);
    CHECK_STR(dicom_dataset_ascii(keys.dataset, DICOM_TAG_PatientName), "DOE*");
    CHECK_STR(dicom_dataset_ascii(keys.dataset, DICOM_TAG_PatientID), "1=2");
    CHECK(dicom_dataset_find(keys.dataset, DICOM_TAG_StudyDate) != NULL);
    const dicom_element *sq = dicom_dataset_find(keys.dataset, DICOM_TAG_ScheduledProcedureStepSequence);
    REQUIRE(sq && sq->items && !sq->items->next);
    CHECK_STR(dicom_dataset_ascii(sq->items->dataset, DICOM_TAG_Modality), "CT");
    CHECK_STR(dicom_dataset_ascii(sq->items->dataset, DICOM_TAG_ScheduledStationAETitle), "X");
    CHECK_INT(keys.count, 4);
    CHECK(!keys.not_ascii);
    CHECK_INT(add("PatientName=M\xC3\xBCller"), 0);
    CHECK(keys.not_ascii);
    scu_keys_done(&keys);
}

TEST(wrong_keys) {
    REQUIRE(scu_keys_init(&keys, &e) == 0);
    CHECK_INT(add("PatinetName=x"), GN_E_INVALID);
    CHECK_STR(e.message, "there is no keyword \"PatinetName\"; did you mean PatientName?");
    CHECK_INT(add("=x"), GN_E_INVALID);
    CHECK_INT(add(""), GN_E_INVALID);
    CHECK_INT(add("PatientName=\xFF"), GN_E_INVALID);
    CHECK_INT(add("PatientName.Modality=x"), GN_E_INVALID);
    CHECK_INT(add("ScheduledProcedureStepSequence=x"), GN_E_INVALID);
    CHECK_INT(add("Rows=many"), GN_E_INVALID);
    CHECK_INT(add("Rows=70000"), GN_E_INVALID);
    CHECK_INT(add("Rows=512"), 0);
    scu_keys_done(&keys);
}

TEST(the_level_follows_from_the_keys) {
    static const struct {
        const char *key;
        scu_level level;
    } steps[] = { { "PatientName=x", SCU_STUDY },        { "PatientID=1", SCU_PATIENT },
                  { "StudyInstanceUID=1.2", SCU_STUDY }, { "SeriesInstanceUID=1.3", SCU_SERIES },
                  { "SOPInstanceUID", SCU_SERIES },      { "SOPInstanceUID=1.4", SCU_IMAGE } };
    REQUIRE(scu_keys_init(&keys, &e) == 0);
    for (size_t i = 0; i < GN_ARRAY_LEN(steps); i++) {
        CHECK_INT(add(steps[i].key), 0);
        CHECK_INT(scu_keys_level(&keys), steps[i].level);
    }
    scu_keys_done(&keys);
    scu_level l;
    CHECK(scu_level_parse("study", &l) && l == SCU_STUDY);
    CHECK(scu_level_parse("INSTANCE", &l) && l == SCU_IMAGE);
    CHECK(!scu_level_parse("studies!", &l));
}

TEST(an_identifier_says_level_and_character_set) {
    dimse_context context = { .transfer_syntax = DICOM_TS_EXPLICIT_LE };
    gn_buf out = GN_BUF_INIT;
    REQUIRE(scu_keys_init(&keys, &e) == 0);
    CHECK_INT(add("PatientName=M\xC3\xBCller"), 0);
    CHECK_INT(scu_keys_encode(&keys, SCU_STUDY, &context, &out, &e), 0);
    gn_arena *arena = gn_arena_new(1 << 20);
    dicom_dataset *ds = NULL;
    REQUIRE(arena && dicom_dataset_read(arena, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), out.p, out.n, NULL,
                                        &ds, &e) == 0);
    CHECK_STR(dicom_dataset_ascii(ds, DICOM_TAG_QueryRetrieveLevel), "STUDY");
    CHECK_STR(dicom_dataset_ascii(ds, DICOM_TAG_SpecificCharacterSet), "ISO_IR 192");
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_PatientName), "M\xC3\xBCller");
    gn_arena_free(&arena);
    gn_buf_done(&out);
    scu_keys_done(&keys);
}

TEST(statuses_in_words) {
    char buf[80];
    CHECK_STR(scu_status_text(0, buf), "success");
    CHECK_STR(scu_status_text(0xA700, buf), "refused: out of resources (A700)");
    CHECK_STR(scu_status_text(0xB007, buf), "warning (B007)");
    CHECK_STR(scu_status_text(0x9999, buf), "failed (9999)");
}

static send_kind kind(const char *class, const char *syntax) {
    send_kind k = { .group = 0 };
    snprintf(k.sop_class, sizeof k.sop_class, "%s", class);
    snprintf(k.transfer_syntax, sizeof k.transfer_syntax, "%s", syntax);
    return k;
}

TEST(contexts_for_sending) {
    send_kind kinds[] = { kind("1.1", DICOM_TS_EXPLICIT_LE), kind("1.1", "1.2.840.10008.1.2.4.90"),
                          kind("1.2", DICOM_TS_EXPLICIT_BE) };
    send_list l = { .kind = kinds, .kind_count = 3 };
    send_list_group(&l);
    CHECK_INT(l.groups, 1);
    send_proposals *p = calloc(1, sizeof *p);
    REQUIRE(p);
    send_list_propose(&l, 0, p);
    static const char *const expected[][2] = { { "1.1", DICOM_TS_EXPLICIT_LE }, { "1.1", "1.2.840.10008.1.2.4.90" },
                                               { "1.2", DICOM_TS_EXPLICIT_BE }, { "1.1", DICOM_TS_IMPLICIT_LE },
                                               { "1.2", DICOM_TS_EXPLICIT_LE }, { "1.2", DICOM_TS_IMPLICIT_LE } };
    CHECK_INT(p->count, GN_ARRAY_LEN(expected));
    for (size_t i = 0; i < p->count && i < GN_ARRAY_LEN(expected); i++) {
        CHECK_STR(p->proposal[i].abstract_syntax, expected[i][0]);
        CHECK_STR(p->proposal[i].transfer_syntaxes[0], expected[i][1]);
        CHECK_INT(p->proposal[i].count, 1);
    }
    free(p);
}

TEST(many_kinds_need_several_associations) {
    enum { N = 300 };
    send_kind *kinds = calloc(N, sizeof *kinds);
    send_proposals *p = calloc(1, sizeof *p);
    REQUIRE(kinds && p);
    for (int i = 0; i < N; i++) {
        char class[20];
        snprintf(class, sizeof class, "1.2.%d", i);
        kinds[i] = kind(class, i % 2 ? DICOM_TS_EXPLICIT_LE : "1.2.840.10008.1.2.4.90");
    }
    send_list l = { .kind = kinds, .kind_count = N };
    send_list_group(&l);
    CHECK(l.groups > 1);
    size_t seen = 0;
    for (unsigned g = 0; g < l.groups; g++) {
        send_list_propose(&l, g, p);
        CHECK(p->count > 0 && p->count <= DIMSE_MAX_CONTEXTS);
        for (int i = 0; i < N; i++) {
            if (kinds[i].group != g) continue;
            size_t k = 0;
            while (k < p->count && (strcmp(p->proposal[k].abstract_syntax, kinds[i].sop_class) != 0 ||
                                    strcmp(p->syntax[k], kinds[i].transfer_syntax) != 0))
                k++;
            CHECK(k < p->count);
            seen++;
        }
    }
    CHECK_INT(seen, N);
    free(kinds);
    free(p);
}
