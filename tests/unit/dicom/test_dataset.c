/* Data sets made in memory: order, replacing, sequences, private blocks, limits, exhausted arenas. */
#include "encode.h"

#define PATIENT_NAME DICOM_TAG(0x0010, 0x0010)
#define ROWS DICOM_TAG(0x0028, 0x0010)
#define SEQUENCE DICOM_TAG(0x0008, 0x1115)

TEST(new_data_set_is_empty) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    REQUIRE(ds);
    CHECK_INT(ds->count, 0);
    CHECK(ds->sorted && !ds->big_endian && !ds->parent);
    CHECK(!dicom_dataset_find(ds, PATIENT_NAME));
    CHECK(!dicom_dataset_find(NULL, PATIENT_NAME));
    CHECK_INT(dicom_dataset_remove(ds, PATIENT_NAME), GN_E_NOT_FOUND);
    teardown(&f);
}

TEST(put_keeps_tag_order) {
    static const dicom_tag tags[] = { 0x00280010, 0x00080018, 0x00100010, 0x7FE00010, 0x00080005, 0x00100020 };
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    for (size_t i = 0; i < GN_ARRAY_LEN(tags); i++)
        CHECK_INT(dicom_dataset_put_string(ds, tags[i], DICOM_VR_LO, "x", &f.e), 0);
    CHECK_INT(ds->count, GN_ARRAY_LEN(tags));
    for (size_t i = 1; i < ds->count; i++) CHECK(ds->element[i - 1].tag < ds->element[i].tag);
    for (size_t i = 0; i < GN_ARRAY_LEN(tags); i++) CHECK(dicom_dataset_find(ds, tags[i]));
    CHECK(!dicom_dataset_find(ds, 0x00080006));
    CHECK(!dicom_dataset_find(ds, 0xFFFFFFFF));
    CHECK(ds->sorted);
    teardown(&f);
}

TEST(put_pads_to_even_length) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    CHECK_INT(dicom_dataset_put_string(ds, PATIENT_NAME, DICOM_VR_PN, "Doe", &f.e), 0);
    CHECK_INT(dicom_dataset_put_string(ds, 0x00080018, DICOM_VR_UI, "1.2", &f.e), 0);
    CHECK_INT(dicom_dataset_put(ds, 0x00091001, DICOM_VR_OB, "\1", 1, &f.e), 0);
    const dicom_element *el = dicom_dataset_find(ds, PATIENT_NAME);
    REQUIRE(el);
    CHECK_MEM2(el->value, el->length, "Doe ", 4);
    el = dicom_dataset_find(ds, 0x00080018);
    CHECK_MEM2(el->value, el->length, "1.2\0", 4);
    el = dicom_dataset_find(ds, 0x00091001);
    CHECK_MEM2(el->value, el->length, "\1\0", 2);
    CHECK_INT(el->wire_vr, 0);
    teardown(&f);
}

TEST(put_replaces) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    CHECK_INT(dicom_dataset_put_string(ds, PATIENT_NAME, DICOM_VR_PN, "A", &f.e), 0);
    CHECK_INT(dicom_dataset_put_string(ds, PATIENT_NAME, DICOM_VR_PN, "Bcd", &f.e), 0);
    CHECK_INT(ds->count, 1);
    CHECK(has_text(ds, PATIENT_NAME, "Bcd"));
    CHECK_INT(dicom_dataset_put(ds, PATIENT_NAME, DICOM_VR_PN, NULL, 0, &f.e), 0);
    CHECK(!dicom_dataset_find(ds, PATIENT_NAME)->value);
    CHECK_INT(dicom_dataset_put_string(ds, PATIENT_NAME, DICOM_VR_PN, NULL, &f.e), 0);
    CHECK_INT(dicom_dataset_find(ds, PATIENT_NAME)->length, 0);
    teardown(&f);
}

TEST(put_copies_the_value) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    char text[] = "Smith^";
    CHECK_INT(dicom_dataset_put_string(ds, PATIENT_NAME, DICOM_VR_PN, text, &f.e), 0);
    text[0] = 'X';
    CHECK(has_text(ds, PATIENT_NAME, "Smith^"));
    teardown(&f);
}

TEST(numbers_in_the_byte_order_of_the_data_set) {
    fixture f = setup();
    for (int big = 0; big < 2; big++) {
        dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
        int64_t v;
        ds->big_endian = big;
        CHECK_INT(dicom_dataset_put_u16(ds, ROWS, 0x0102, &f.e), 0);
        CHECK_INT(dicom_dataset_put_u32(ds, 0x00041200, 0x01020304, &f.e), 0);
        CHECK_MEM(dicom_dataset_find(ds, ROWS)->value, big ? "\1\2" : "\2\1", 2);
        CHECK_MEM(dicom_dataset_find(ds, 0x00041200)->value, big ? "\1\2\3\4" : "\4\3\2\1", 4);
        CHECK(dicom_dataset_int(ds, ROWS, &v));
        CHECK_INT(v, 0x0102);
        CHECK(dicom_dataset_int(ds, 0x00041200, &v));
        CHECK_INT(v, 0x01020304);
        CHECK(dicom_dataset_find(ds, ROWS)->vr == DICOM_VR_US);
    }
    teardown(&f);
}

TEST(put_refuses_what_is_no_value) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    CHECK_INT(dicom_dataset_put(ds, ROWS, DICOM_VR('Z', 'Z'), "", 0, &f.e), GN_E_INVALID);
    gn_error_clear(&f.e);
    CHECK_INT(dicom_dataset_put(ds, ROWS, DICOM_VR_SQ, "", 0, &f.e), GN_E_INVALID);
    gn_error_clear(&f.e);
    CHECK_INT(dicom_dataset_put(ds, ROWS, DICOM_VR_OB, "", (size_t)UNDEFINED, &f.e), GN_E_TOO_LARGE);
    CHECK_INT(ds->count, 0);
    CHECK_INT(f.e.code, GN_E_TOO_LARGE);
    teardown(&f);
}

TEST(remove_closes_the_gap) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    for (unsigned i = 0; i < 5; i++)
        CHECK_INT(dicom_dataset_put_u16(ds, DICOM_TAG(0x0028, 0x10 + i), (uint16_t)i, &f.e), 0);
    CHECK_INT(dicom_dataset_remove(ds, 0x00280012), 0);
    CHECK_INT(ds->count, 4);
    CHECK(!dicom_dataset_find(ds, 0x00280012));
    CHECK(dicom_dataset_find(ds, 0x00280011) && dicom_dataset_find(ds, 0x00280014));
    teardown(&f);
}

/* CVE-2026-22879 (vtk-dicom): elements removed and put again, many times. */
TEST(T5_remove_and_insert_again) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    bool there[40] = { false };
    unsigned seed = 1;
    for (int round = 0; round < 4000; round++) {
        seed = seed * 1103515245u + 12345u;
        unsigned k = (seed >> 16) % 40;
        dicom_tag tag = DICOM_TAG(0x0020, k);
        if (there[k]) CHECK_INT(dicom_dataset_remove(ds, tag), 0);
        else CHECK_INT(dicom_dataset_put_u32(ds, tag, k, &f.e), 0);
        there[k] = !there[k];
    }
    size_t count = 0;
    for (unsigned k = 0; k < 40; k++) {
        int64_t v;
        CHECK_INT(dicom_dataset_int(ds, DICOM_TAG(0x0020, k), &v), there[k]);
        if (there[k]) CHECK_INT(v, k);
        count += there[k];
    }
    CHECK_INT(ds->count, count);
    teardown(&f);
}

TEST(sequences_and_items) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e), *one, *two;
    CHECK_INT(dicom_dataset_put_sequence(ds, SEQUENCE, &f.e), 0);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(ds, SEQUENCE)), 0);
    CHECK_INT(dicom_dataset_add_item(ds, SEQUENCE, &one, &f.e), 0);
    CHECK_INT(dicom_dataset_add_item(ds, SEQUENCE, &two, &f.e), 0);
    CHECK(one != two && one->parent == ds && two->parent == ds);
    CHECK_INT(dicom_dataset_put_string(one, 0x00081155, DICOM_VR_UI, "1.2.3", &f.e), 0);
    CHECK_INT(dicom_dataset_put_string(ds, 0x00080005, DICOM_VR_CS, "ISO_IR 192", &f.e), 0); /* moves the sequence */
    const dicom_element *el = dicom_dataset_find(ds, SEQUENCE);
    REQUIRE(el && el->items && el->items->next);
    CHECK(el->items->dataset == one && el->items->next->dataset == two && !el->items->next->next);
    CHECK(el->items->last == el->items->next);
    CHECK(has_text(el->items->dataset, 0x00081155, "1.2.3"));
    CHECK_INT(dicom_element_vm(el), 2);
    CHECK_INT(dicom_dataset_put_sequence(ds, SEQUENCE, &f.e), 0); /* empties it */
    CHECK_INT(dicom_element_vm(dicom_dataset_find(ds, SEQUENCE)), 0);
    teardown(&f);
}

TEST(add_item_makes_the_sequence) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e), *item;
    ds->big_endian = true;
    CHECK_INT(dicom_dataset_put_string(ds, SEQUENCE, DICOM_VR_LO, "not a sequence", &f.e), 0);
    CHECK_INT(dicom_dataset_add_item(ds, SEQUENCE, &item, &f.e), 0);
    CHECK(dicom_dataset_find(ds, SEQUENCE)->vr == DICOM_VR_SQ);
    CHECK(item->big_endian && item->count == 0);
    teardown(&f);
}

TEST(many_items_take_linear_time) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e), *item;
    uint64_t start = cpu_ns();
    for (int i = 0; i < 100000; i++) REQUIRE(dicom_dataset_add_item(ds, SEQUENCE, &item, &f.e) == 0);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(ds, SEQUENCE)), 100000);
    CHECK(cpu_ns() - start < UINT64_C(3000000000));
    teardown(&f);
}

TEST(T7_items_cannot_be_nested_without_end) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    int depth = 0, rc = 0;
    while (rc == 0 && depth < 1000) {
        rc = dicom_dataset_add_item(ds, SEQUENCE, &ds, &f.e);
        if (rc == 0) depth++;
    }
    CHECK_INT(depth, DICOM_MAX_DEPTH);
    CHECK_INT(rc, GN_E_TOO_DEEP);
    teardown(&f);
}

TEST(private_blocks) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    dicom_dataset_put_string(ds, 0x00190010, DICOM_VR_LO, "ACME 1.0", &f.e);
    dicom_dataset_put_string(ds, 0x00190011, DICOM_VR_LO, "OTHER ", &f.e);
    dicom_dataset_put_string(ds, 0x00190012, DICOM_VR_LO, "ACME 1.0", &f.e);
    dicom_dataset_put_string(ds, 0x00191001, DICOM_VR_LO, "one", &f.e);
    dicom_dataset_put_string(ds, 0x00191101, DICOM_VR_LO, "two", &f.e);
    dicom_dataset_put_string(ds, 0x00191202, DICOM_VR_LO, "three", &f.e);
    const dicom_element *el = dicom_dataset_find_private(ds, 0x0019, "ACME 1.0", 0x01);
    REQUIRE(el);
    CHECK_INT(el->tag, 0x00191001);
    el = dicom_dataset_find_private(ds, 0x0019, "OTHER", 0x01);
    REQUIRE(el);
    CHECK_INT(el->tag, 0x00191101);
    el = dicom_dataset_find_private(ds, 0x0019, "ACME 1.0", 0x02); /* in the second block of the same creator */
    REQUIRE(el);
    CHECK_INT(el->tag, 0x00191202);
    CHECK(!dicom_dataset_find_private(ds, 0x0019, "ACME", 0x01));
    CHECK(!dicom_dataset_find_private(ds, 0x0019, "OTHER", 0x02));
    CHECK(!dicom_dataset_find_private(ds, 0x0021, "OTHER", 0x01));
    CHECK(!dicom_dataset_find_private(NULL, 0x0019, "OTHER", 0x01));
    CHECK(!dicom_dataset_find_private(ds, 0x0019, NULL, 0x01));
    teardown(&f);
}

TEST(T5_private_block_without_creator) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    dicom_dataset_put_string(ds, 0x00190001, DICOM_VR_LO, "ACME", &f.e); /* not a place of a creator */
    dicom_dataset_put(ds, 0x00190010, DICOM_VR_LO, NULL, 0, &f.e);
    dicom_dataset_put_string(ds, 0x00191001, DICOM_VR_LO, "orphan", &f.e);
    CHECK(!dicom_dataset_find_private(ds, 0x0019, "ACME", 0x01));
    teardown(&f);
}

/* The order of reading is kept, lookups scan, the first of two wins, and putting goes on working. */
TEST(T5_unsorted_data_sets) {
    fixture f = setup();
    enc_text(&f.in, 0x00100020, "LO", "ID");
    enc_text(&f.in, 0x00190010, "LO", "ACME");
    enc_text(&f.in, 0x00080060, "CS", "MR");
    enc_text(&f.in, 0x00080060, "CS", "CT");
    enc_text(&f.in, 0x00191001, "LO", "p ");
    REQUIRE(read_in(&f) == 0);
    CHECK(!f.ds->sorted);
    CHECK(has_text(f.ds, 0x00080060, "MR"));
    CHECK(has_text(f.ds, 0x00100020, "ID"));
    CHECK(!dicom_dataset_find(f.ds, 0x00100010));
    CHECK(dicom_dataset_find_private(f.ds, 0x0019, "ACME", 0x01));
    CHECK_INT(dicom_dataset_put_string(f.ds, 0x00080060, DICOM_VR_CS, "US", &f.e), 0);
    CHECK(has_text(f.ds, 0x00080060, "US"));
    CHECK_INT(dicom_dataset_put_string(f.ds, 0x00080005, DICOM_VR_CS, "ISO_IR 6", &f.e), 0);
    CHECK_INT(dicom_dataset_put_string(f.ds, 0x00400001, DICOM_VR_CS, "END", &f.e), 0);
    CHECK_INT(f.ds->count, 7);
    CHECK(has_text(f.ds, 0x00080005, "ISO_IR 6") && has_text(f.ds, 0x00400001, "END"));
    CHECK_INT(dicom_dataset_remove(f.ds, 0x00080060), 0);
    CHECK(has_text(f.ds, 0x00080060, "CT"));
    teardown(&f);
}

TEST(an_exhausted_arena_is_an_error_and_changes_nothing) {
    gn_arena *a = gn_arena_new(4096);
    gn_error e = GN_ERROR_INIT;
    dicom_dataset *ds = dicom_dataset_new(a, &e), *item;
    REQUIRE(ds);
    int rc = 0;
    unsigned n = 0;
    while (rc == 0 && n < 1000) {
        rc = dicom_dataset_put_string(ds, DICOM_TAG(0x0020, n), DICOM_VR_LO, "0123456789", &e);
        if (rc == 0) n++;
    }
    CHECK_INT(rc, GN_E_NO_MEMORY);
    CHECK_INT(ds->count, n);
    while (gn_arena_alloc(a, 16)) continue;
    CHECK_INT(dicom_dataset_add_item(ds, DICOM_TAG(0x0020, 0), &item, &e), GN_E_NO_MEMORY);
    CHECK(!dicom_dataset_new(a, &e));
    gn_arena_free(&a);
}
