/* Reading data sets in memory: every encoding, nesting, what real writers get wrong, and errors with their places. */
#include "encode.h"

#define SEQ_A DICOM_TAG(0x0008, 0x1115)
#define SEQ_B DICOM_TAG(0x0008, 0x1199)
#define UID_TAG DICOM_TAG(0x0008, 0x1155)
#define PIXEL_DATA DICOM_TAG(0x7FE0, 0x0010)

static void simple(enc *in) {
    enc_text(in, 0x00080005, "CS", "ISO_IR 100");
    enc_text(in, 0x00080060, "CS", "MR");
    enc_text(in, 0x00100010, "PN", "Doe^John");
    enc_us(in, 0x00280010, "US", 512);
    enc_bytes(in, PIXEL_DATA, "OW", "\1\2\3\4", 4);
}

TEST(all_three_native_encodings) {
    for (int kind = 0; kind < 3; kind++) {
        fixture f = setup();
        f.in.implicit = kind == 1;
        f.in.big = kind == 2;
        simple(&f.in);
        REQUIRE(read_in(&f) == 0);
        int64_t rows = 0;
        CHECK_INT(f.ds->count, 5);
        CHECK(f.ds->sorted);
        CHECK_INT(f.ds->big_endian, kind == 2);
        CHECK(has_text(f.ds, 0x00080060, "MR") && has_text(f.ds, 0x00100010, "Doe^John"));
        CHECK(dicom_dataset_int(f.ds, 0x00280010, &rows) && rows == 512);
        const dicom_element *el = dicom_dataset_find(f.ds, PIXEL_DATA);
        REQUIRE(el);
        CHECK(el->vr == DICOM_VR_OW);
        CHECK_INT(el->wire_vr, kind == 1 ? 0 : DICOM_VR_OW);
        CHECK_INT(el->offset, f.in.b.n - 4);
        CHECK_MEM(el->value, "\1\2\3\4", 4);
        teardown(&f);
    }
}

TEST(nothing_is_an_empty_data_set) {
    fixture f = setup();
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(f.ds->count, 0);
    CHECK_INT(dicom_dataset_read(f.a, syntax_of(&f.in), NULL, 0, NULL, &f.ds, &f.e), 0);
    teardown(&f);
}

TEST(implicit_vr_resolves_what_the_dictionary_leaves_open) {
    for (unsigned sign = 0; sign < 2; sign++) {
        fixture f = setup();
        f.in.implicit = true;
        enc_text(&f.in, 0x00090010, "", "ACME");
        enc_text(&f.in, 0x00091001, "", "?!");
        enc_ul(&f.in, 0x00100000, "", 12);
        enc_us(&f.in, 0x00280103, "", sign);
        enc_us(&f.in, 0x00280106, "", 0xFFFE);
        enc_us(&f.in, 0x00281101, "", 0);
        enc_head(&f.in, 0x00283010, "", 26);
        enc_tag(&f.in, ITEM, 18);
        enc_us(&f.in, 0x00283002, "", 0x8000); /* in an item: signedness comes from outside */
        enc_head(&f.in, 0x00283006, "", 0);
        enc_head(&f.in, 0x60003000, "", 0);
        enc_head(&f.in, PIXEL_DATA, "", 0);
        REQUIRE(read_in(&f) == 0);
        CHECK(dicom_dataset_find(f.ds, 0x00090010)->vr == DICOM_VR_LO);
        CHECK(dicom_dataset_find(f.ds, 0x00091001)->vr == DICOM_VR_UN);
        CHECK(dicom_dataset_find(f.ds, 0x00100000)->vr == DICOM_VR_UL);
        CHECK(dicom_dataset_find(f.ds, 0x00280106)->vr == (sign ? DICOM_VR_SS : DICOM_VR_US));
        int64_t v = 0;
        CHECK(dicom_dataset_int(f.ds, 0x00280106, &v) && v == (sign ? -2 : 0xFFFE));
        const dicom_element *lut = dicom_dataset_find(f.ds, 0x00283010);
        REQUIRE(lut && lut->vr == DICOM_VR_SQ && lut->items);
        CHECK(dicom_dataset_find(lut->items->dataset, 0x00283002)->vr == (sign ? DICOM_VR_SS : DICOM_VR_US));
        CHECK(dicom_dataset_find(lut->items->dataset, 0x00283006)->vr == DICOM_VR_OW);
        CHECK(dicom_dataset_find(f.ds, 0x60003000)->vr == DICOM_VR_OW);
        CHECK(dicom_dataset_find(f.ds, PIXEL_DATA)->vr == DICOM_VR_OW);
        teardown(&f);
    }
}

/* ---- sequences --------------------------------------------------------------------------------------------------------- */

/* A sequence with one item that has a sequence with one item; each length defined or not. */
static void nested(enc *in, bool seq_undefined, bool item_undefined) {
    enc leaf = { .implicit = in->implicit, .big = in->big }, middle = leaf;
    enc_text(&leaf, UID_TAG, "UI", "1.2.3.45");
    enc *level[2] = { &leaf, &middle };
    for (int i = 0; i < 2; i++) {
        enc *out = i == 0 ? &middle : in;
        size_t item = 8 + level[i]->b.n + (item_undefined ? 8 : 0);
        enc_head(out, i == 0 ? SEQ_B : SEQ_A, "SQ", seq_undefined ? UNDEFINED : (uint32_t)item);
        enc_tag(out, ITEM, item_undefined ? UNDEFINED : (uint32_t)level[i]->b.n);
        gn_buf_append(&out->b, level[i]->b.p, level[i]->b.n);
        if (item_undefined) enc_tag(out, ITEM_END, 0);
        if (seq_undefined) enc_tag(out, SEQUENCE_END, 0);
    }
    enc_text(in, 0x00100020, "LO", "ID");
    gn_buf_done(&leaf.b);
    gn_buf_done(&middle.b);
}

TEST(nested_sequences_in_every_encoding) {
    for (int kind = 0; kind < 12; kind++) {
        fixture f = setup();
        f.in.implicit = kind / 4 == 1;
        f.in.big = kind / 4 == 2;
        nested(&f.in, kind & 1, kind & 2);
        REQUIRE(read_in(&f) == 0);
        CHECK_INT(f.ds->count, 2);
        const dicom_element *a = dicom_dataset_find(f.ds, SEQ_A);
        REQUIRE(a && a->vr == DICOM_VR_SQ && a->items && !a->items->next);
        CHECK_INT((a->flags & DICOM_ELEMENT_UNDEFINED) != 0, kind & 1);
        CHECK_INT(a->items->undefined, (kind & 2) != 0);
        CHECK_INT(a->items->offset, a->offset);
        CHECK(a->items->dataset->parent == f.ds);
        const dicom_element *b = dicom_dataset_find(a->items->dataset, SEQ_B);
        REQUIRE(b && b->items);
        CHECK(has_text(b->items->dataset, UID_TAG, "1.2.3.45"));
        CHECK_INT(b->items->dataset->big_endian, f.in.big);
        CHECK(has_text(f.ds, 0x00100020, "ID"));
        teardown(&f);
    }
}

TEST(empty_sequences_and_items) {
    fixture f = setup();
    enc_head(&f.in, SEQ_A, "SQ", 0);
    enc_head(&f.in, DICOM_TAG(0x0008, 0x1140), "SQ", UNDEFINED);
    enc_tag(&f.in, SEQUENCE_END, 0);
    enc_head(&f.in, SEQ_B, "SQ", 24);
    enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, ITEM, UNDEFINED);
    enc_tag(&f.in, ITEM_END, 0);
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(f.ds, SEQ_A)), 0);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(f.ds, 0x00081140)), 0);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(f.ds, SEQ_B)), 2);
    CHECK_INT(dicom_dataset_find(f.ds, SEQ_B)->items->dataset->count, 0);
    teardown(&f);
}

/* PS3.5 §6.2.2 note 7 (CP-246): UN of undefined length is a sequence in implicit VR little endian, in any syntax. */
TEST(un_of_undefined_length_is_an_implicit_sequence) {
    for (int big = 0; big < 2; big++) {
        fixture f = setup();
        enc inside = { .implicit = true };
        f.in.big = big;
        enc_head(&f.in, 0x44531001, "UN", UNDEFINED);
        enc_tag(&inside, ITEM, UNDEFINED);
        enc_us(&inside, 0x00280010, "", 0x0102);
        enc_tag(&inside, ITEM_END, 0);
        enc_tag(&inside, SEQUENCE_END, 0);
        gn_buf_append(&f.in.b, inside.b.p, inside.b.n);
        enc_us(&f.in, 0x50000005, "US", 7);
        REQUIRE(read_in(&f) == 0);
        const dicom_element *el = dicom_dataset_find(f.ds, 0x44531001);
        REQUIRE(el && el->items);
        CHECK(el->vr == DICOM_VR_UN);
        CHECK_INT(el->flags, DICOM_ELEMENT_UNDEFINED | DICOM_ELEMENT_IMPLICIT_INSIDE);
        int64_t v = 0;
        CHECK(!el->items->dataset->big_endian);
        CHECK(dicom_dataset_int(el->items->dataset, 0x00280010, &v) && v == 0x0102);
        CHECK(dicom_dataset_int(f.ds, 0x50000005, &v) && v == 7);
        gn_buf_done(&inside.b);
        teardown(&f);
    }
}

TEST(un_sequence_with_explicit_vr_inside) {
    fixture f = setup();
    enc_head(&f.in, 0x44531001, "UN", UNDEFINED);
    enc_tag(&f.in, ITEM, UNDEFINED);
    enc_us(&f.in, 0x00280010, "US", 512);
    enc_tag(&f.in, ITEM_END, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    REQUIRE(read_in(&f) == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, 0x44531001);
    REQUIRE(el && el->items);
    CHECK(!(el->flags & DICOM_ELEMENT_IMPLICIT_INSIDE));
    int64_t v = 0;
    CHECK(dicom_dataset_int(el->items->dataset, 0x00280010, &v) && v == 512);
    teardown(&f);
}

TEST(un_of_defined_length_is_bytes) {
    fixture f = setup();
    enc_head(&f.in, 0x44531001, "UN", 8);
    enc_tag(&f.in, ITEM, 0);
    REQUIRE(read_in(&f) == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, 0x44531001);
    CHECK(el && !el->items && el->value && el->length == 8);
    teardown(&f);
}

/* ---- encapsulated pixel data ------------------------------------------------------------------------------------------- */

static void fragments(enc *in, const char *table, size_t table_length) {
    enc_head(in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(in, ITEM, (uint32_t)table_length);
    gn_buf_append(&in->b, table, table_length);
    enc_tag(in, ITEM, 4);
    gn_buf_append(&in->b, "\xFF\xD8\xFF\xE0", 4);
    enc_tag(in, ITEM, 0);
    enc_tag(in, ITEM, 2);
    gn_buf_append(&in->b, "ab", 2);
    enc_tag(in, SEQUENCE_END, 0);
}

TEST(fragments_of_pixel_data) {
    fixture f = setup();
    fragments(&f.in, "\0\0\0\0", 4);
    enc_text(&f.in, 0xFFFCFFFC, "OB", "");
    REQUIRE(read_in(&f) == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, PIXEL_DATA);
    REQUIRE(el && el->fragments);
    CHECK_INT(el->fragments->count, 3);
    CHECK_INT(el->fragments->offset_table.length, 4);
    CHECK_INT(el->fragments->extent[0].length, 4);
    CHECK_INT(el->fragments->extent[1].length, 0);
    CHECK_INT(el->fragments->extent[2].length, 2);
    REQUIRE(el->value);
    CHECK_MEM(el->value + (el->fragments->extent[2].offset - el->offset), "ab", 2);
    CHECK_INT(f.ds->count, 2);
    teardown(&f);
}

TEST(fragments_left_in_the_stream) {
    fixture f = setup();
    dicom_read_options options = { .max_value = 8 };
    fragments(&f.in, "", 0);
    REQUIRE(read_with(&f, syntax_of(&f.in), &options) == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, PIXEL_DATA);
    REQUIRE(el && el->fragments);
    CHECK((el->flags & DICOM_ELEMENT_BULK) && !el->value);
    CHECK_INT(el->fragments->count, 3);
    CHECK_MEM(f.in.b.p + el->fragments->extent[2].offset, "ab", 2);
    teardown(&f);
}

TEST(encapsulated_without_any_item) {
    fixture f = setup();
    enc_head(&f.in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(&f.in, SEQUENCE_END, 0);
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(dicom_dataset_find(f.ds, PIXEL_DATA)->fragments->count, 0);
    teardown(&f);
}

/* ---- options ----------------------------------------------------------------------------------------------------------- */

TEST(long_values_become_bulk) {
    fixture f = setup();
    dicom_read_options options = { .max_value = 7 };
    simple(&f.in);
    REQUIRE(read_with(&f, syntax_of(&f.in), &options) == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, 0x00100010);
    REQUIRE(el);
    CHECK_INT(el->flags, DICOM_ELEMENT_BULK);
    CHECK(!el->value);
    CHECK_INT(el->length, 8);
    CHECK_MEM(f.in.b.p + el->offset, "Doe^John", 8);
    options.keep_everything = true;
    REQUIRE(read_with(&f, syntax_of(&f.in), &options) == 0);
    CHECK(has_text(f.ds, 0x00100010, "Doe^John"));
    teardown(&f);
}

TEST(stop_at_pixel_data) {
    fixture f = setup();
    dicom_read_options options = { .stop_at_pixel_data = true };
    simple(&f.in);
    f.in.b.n -= 4; /* the pixels are not even there */
    REQUIRE(read_with(&f, syntax_of(&f.in), &options) == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, PIXEL_DATA);
    REQUIRE(el);
    CHECK_INT(el->flags, DICOM_ELEMENT_BULK);
    CHECK_INT(el->length, 4);
    CHECK(!el->value);
    gn_buf_clear(&f.in.b);
    enc_head(&f.in, PIXEL_DATA, "OB", UNDEFINED);
    REQUIRE(read_with(&f, syntax_of(&f.in), &options) == 0);
    CHECK_INT(dicom_dataset_find(f.ds, PIXEL_DATA)->flags, DICOM_ELEMENT_BULK | DICOM_ELEMENT_UNDEFINED);
    teardown(&f);
}

TEST(accept_truncated_gives_what_is_there) {
    dicom_read_options options = { .accept_truncated = true };
    fixture f = setup();
    simple(&f.in);
    size_t whole = f.in.b.n;
    for (size_t n = 0; n < whole; n++) {
        f.in.b.n = n;
        REQUIRE(read_with(&f, syntax_of(&f.in), &options) == 0);
        for (size_t i = 0; i < f.ds->count; i++) CHECK(f.ds->element[i].offset + f.ds->element[i].length <= n);
    }
    CHECK_INT(dicom_dataset_find(f.ds, PIXEL_DATA)->length, 3);
    teardown(&f);
}

TEST(accept_truncated_inside_sequences_and_fragments) {
    dicom_read_options options = { .accept_truncated = true, .keep_everything = true };
    for (int kind = 0; kind < 2; kind++) {
        fixture f = setup();
        nested(&f.in, kind, kind);
        fragments(&f.in, "", 0);
        for (size_t n = f.in.b.n; n-- > 0;) {
            f.in.b.n = n;
            CHECK_INT(read_with(&f, syntax_of(&f.in), &options), 0);
        }
        teardown(&f);
    }
}

/* ---- T5: what writers get wrong ---------------------------------------------------------------------------------------- */

TEST(T5_odd_lengths) {
    fixture f = setup();
    enc_text(&f.in, 0x00080060, "CS", "MRI");
    enc_text(&f.in, 0x00100020, "LO", "X");
    enc_bytes(&f.in, 0x00280010, "US", "\1", 1);
    REQUIRE(read_in(&f) == 0);
    int64_t v;
    CHECK(has_text(f.ds, 0x00080060, "MRI") && has_text(f.ds, 0x00100020, "X"));
    CHECK(!dicom_dataset_int(f.ds, 0x00280010, &v));
    teardown(&f);
}

TEST(T5_unknown_vr) {
    fixture f = setup();
    enc_text(&f.in, 0x00080060, "??", "MR");      /* no letters: 8-byte header */
    enc_text(&f.in, 0x00080070, "cs", "ab");      /* lower case */
    enc_text(&f.in, 0x00081010, "XX", "future "); /* two capitals: 12-byte header */
    enc_head(&f.in, 0x00081030, "YY", 2);         /* two capitals, but the 8-byte header */
    gn_buf_append(&f.in.b, "cd", 2);
    enc_text(&f.in, 0x00100020, "LO", "ID");
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(f.ds->count, 5);
    static const struct {
        dicom_tag tag;
        const char *text;
        int flags;
    } want[] = { { 0x00080060, "MR", DICOM_ELEMENT_SHORT_HEADER },
                 { 0x00080070, "ab", DICOM_ELEMENT_SHORT_HEADER },
                 { 0x00081010, "future", 0 },
                 { 0x00081030, "cd", DICOM_ELEMENT_SHORT_HEADER } };
    for (size_t i = 0; i < GN_ARRAY_LEN(want); i++) {
        const dicom_element *el = dicom_dataset_find(f.ds, want[i].tag);
        REQUIRE(el);
        CHECK(el->vr == DICOM_VR_UN && el->wire_vr);
        CHECK_INT(el->flags, want[i].flags);
        CHECK(has_text(f.ds, want[i].tag, want[i].text));
    }
    teardown(&f);
}

TEST(T5_element_without_vr_amid_explicit_vr) {
    fixture f = setup();
    enc_text(&f.in, 0x00080060, "CS", "MR");
    f.in.implicit = true;
    enc_us(&f.in, 0x00280010, "", 512);
    f.in.implicit = false;
    enc_us(&f.in, 0x00280011, "US", 256);
    REQUIRE(read_in(&f) == 0);
    int64_t v = 0;
    CHECK(dicom_dataset_int(f.ds, 0x00280010, &v) && v == 512);
    CHECK_INT(dicom_dataset_find(f.ds, 0x00280010)->flags, DICOM_ELEMENT_IMPLICIT_HEADER);
    CHECK(dicom_dataset_int(f.ds, 0x00280011, &v) && v == 256);
    teardown(&f);
}

TEST(T5_implicit_vr_where_explicit_is_stated_and_the_reverse) {
    for (int kind = 0; kind < 2; kind++) {
        fixture f = setup();
        f.in.implicit = kind == 0;
        simple(&f.in);
        const dicom_transfer_syntax *other =
            dicom_transfer_syntax_find(kind == 0 ? DICOM_TS_EXPLICIT_LE : DICOM_TS_IMPLICIT_LE);
        REQUIRE(read_with(&f, other, NULL) == 0);
        int64_t v = 0;
        CHECK_INT(f.ds->count, 5);
        CHECK(has_text(f.ds, 0x00100010, "Doe^John"));
        CHECK(dicom_dataset_int(f.ds, 0x00280010, &v) && v == 512);
        teardown(&f);
    }
}

TEST(T5_implicit_vr_item_in_explicit_sequence) {
    fixture f = setup();
    enc_head(&f.in, SEQ_A, "SQ", UNDEFINED);
    f.in.implicit = true;
    enc_tag(&f.in, ITEM, UNDEFINED);
    enc_text(&f.in, UID_TAG, "", "1.2.3.4\0");
    enc_tag(&f.in, ITEM_END, 0);
    f.in.implicit = false;
    enc_tag(&f.in, ITEM, UNDEFINED);
    enc_text(&f.in, UID_TAG, "UI", "1.2.3.56");
    enc_tag(&f.in, ITEM_END, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    REQUIRE(read_in(&f) == 0);
    const dicom_item *item = dicom_dataset_find(f.ds, SEQ_A)->items;
    REQUIRE(item && item->next);
    CHECK(has_text(item->dataset, UID_TAG, "1.2.3.4") && has_text(item->next->dataset, UID_TAG, "1.2.3.56"));
    teardown(&f);
}

TEST(T5_group_2_and_group_lengths_inside_the_data_set) {
    fixture f = setup();
    enc_text(&f.in, 0x00020010, "UI", "1.2.840.10008.1.2");
    enc_ul(&f.in, 0x00080000, "UL", 10);
    enc_text(&f.in, 0x00080060, "CS", "MR");
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(f.ds->count, 3);
    teardown(&f);
}

TEST(T5_reserved_bytes_in_use) {
    fixture f = setup();
    enc_text(&f.in, 0x00091001, "OB", "ab");
    f.in.b.p[6] = 0x12;
    f.in.b.p[7] = 0x34;
    REQUIRE(read_in(&f) == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, 0x00091001);
    REQUIRE(el);
    CHECK_INT(el->wire_reserved, 0x3412);
    CHECK_INT(el->length, 2);
    teardown(&f);
}

TEST(T5_zeros_behind_the_last_element) {
    fixture f = setup();
    simple(&f.in);
    enc_zeros(&f.in, 3);
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(f.ds->count, 5);
    gn_buf_putc(&f.in.b, 'x');
    CHECK_INT(read_in(&f), GN_E_TRUNCATED);
    teardown(&f);
}

TEST(T5_value_longer_than_the_file) {
    for (int kind = 0; kind < 3; kind++) {
        fixture f = setup();
        f.in.implicit = kind == 1;
        f.in.big = kind == 2;
        enc_text(&f.in, 0x00080060, "CS", "MR");
        enc_head(&f.in, 0x00091001, "OB", 0xFFFFFFF0);
        CHECK_INT(read_in(&f), GN_E_TRUNCATED);
        CHECK(strstr(f.e.where, "offset 10"));
        teardown(&f);
    }
}

TEST(every_cut_is_truncated_or_whole) {
    fixture f = setup();
    simple(&f.in);
    enc_text(&f.in, 0xFFFCFFFC, "OB", "padding ");
    size_t whole = f.in.b.n, boundaries = 0;
    for (size_t n = 0; n <= whole; n++) {
        f.in.b.n = n;
        int rc = read_in(&f);
        CHECK(rc == 0 || rc == GN_E_TRUNCATED);
        boundaries += rc == 0;
    }
    CHECK_INT(boundaries, 7);
    teardown(&f);
}

/* ---- T8: delimiters ---------------------------------------------------------------------------------------------------- */

TEST(T8_item_delimiter_in_place_of_the_sequence_delimiter) {
    fixture f = setup();
    enc_head(&f.in, SEQ_A, "SQ", UNDEFINED);
    enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, ITEM_END, 0);
    enc_text(&f.in, 0x00100020, "LO", "ID");
    enc_head(&f.in, DICOM_TAG(0x0040, 0xA730), "SQ", UNDEFINED); /* and at the end of the input */
    enc_tag(&f.in, ITEM_END, 0);
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(f.ds->count, 3);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(f.ds, SEQ_A)), 1);
    teardown(&f);
}

TEST(T8_item_delimiter_behind_an_item_of_defined_length) {
    fixture f = setup();
    enc_head(&f.in, SEQ_A, "SQ", UNDEFINED);
    enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, ITEM_END, 0);
    enc_tag(&f.in, ITEM, 8);
    enc_tag(&f.in, ITEM_END, 0); /* inside this one */
    enc_tag(&f.in, SEQUENCE_END, 0);
    enc_head(&f.in, SEQ_B, "SQ", 16);
    enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, SEQUENCE_END, 0); /* superfluous */
    enc_text(&f.in, 0x00100020, "LO", "ID");
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(f.ds->count, 3);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(f.ds, SEQ_A)), 2);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(f.ds, SEQ_B)), 1);
    teardown(&f);
}

TEST(T8_wrong_end_of_an_inner_sequence) {
    fixture f = setup();
    enc_head(&f.in, SEQ_A, "SQ", UNDEFINED);
    enc_tag(&f.in, ITEM, UNDEFINED);
    enc_head(&f.in, SEQ_B, "SQ", UNDEFINED);
    enc_tag(&f.in, ITEM_END, 0); /* ends SEQ_B, wrongly */
    enc_tag(&f.in, ITEM_END, 0); /* ends the item */
    enc_tag(&f.in, SEQUENCE_END, 0);
    enc_text(&f.in, 0x00100020, "LO", "ID");
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(f.ds->count, 2);
    teardown(&f);
}

TEST(T8_missing_item_delimiter) {
    fixture f = setup();
    enc_head(&f.in, SEQ_A, "SQ", UNDEFINED);
    enc_tag(&f.in, ITEM, UNDEFINED);
    enc_text(&f.in, UID_TAG, "UI", "1.2.3.45");
    enc_tag(&f.in, ITEM, UNDEFINED); /* the next one */
    enc_text(&f.in, UID_TAG, "UI", "1.2.3.46");
    enc_tag(&f.in, SEQUENCE_END, 0); /* or the end */
    enc_text(&f.in, 0x00100020, "LO", "ID");
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(f.ds->count, 2);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(f.ds, SEQ_A)), 2);
    teardown(&f);
}

TEST(T8_item_longer_than_its_sequence) {
    fixture f = setup();
    enc_head(&f.in, SEQ_A, "SQ", 8); /* as directories whose writers did not mend the length have it */
    enc_tag(&f.in, ITEM, 16);
    enc_text(&f.in, UID_TAG, "UI", "1.2.3.45");
    enc_text(&f.in, 0x00100020, "LO", "ID");
    REQUIRE(read_in(&f) == 0);
    CHECK_INT(f.ds->count, 2);
    CHECK_INT(dicom_dataset_find(f.ds, SEQ_A)->items->dataset->count, 1);
    teardown(&f);
}

/* What is refused: a name, the bytes, the code, and what the place must say. */
typedef struct refused {
    const char *what;
    void (*make)(enc *in);
    int code;
    const char *where, *message;
} refused;

static void make_no_sequence_delimiter(enc *in) {
    enc_head(in, SEQ_A, "SQ", UNDEFINED);
    enc_tag(in, ITEM, 0);
    enc_text(in, 0x00100020, "LO", "ID");
}
static void make_item_without_end(enc *in) {
    enc_head(in, SEQ_A, "SQ", 24);
    enc_tag(in, ITEM, UNDEFINED);
    enc_text(in, UID_TAG, "UI", "1.2.3.45");
}
static void make_item_without_end_in_item(enc *in) {
    enc_head(in, SEQ_A, "SQ", 28);
    enc_tag(in, ITEM, 20);
    enc_head(in, SEQ_B, "SQ", UNDEFINED);
    enc_tag(in, ITEM, UNDEFINED);
}
static void make_sequence_without_end_in_item(enc *in) {
    enc_head(in, SEQ_A, "SQ", 20);
    enc_tag(in, ITEM, 12);
    enc_head(in, SEQ_B, "SQ", UNDEFINED);
}
static void make_item_too_long(enc *in) {
    enc_head(in, SEQ_A, "SQ", 28);
    enc_tag(in, ITEM, 20);
    enc_head(in, SEQ_B, "SQ", 8);
    enc_tag(in, ITEM, 4);
}
static void make_value_too_long(enc *in) {
    enc_head(in, SEQ_A, "SQ", 18);
    enc_tag(in, ITEM, 10);
    enc_text(in, UID_TAG, "UI", "1.2.3.45");
}
static void make_header_too_long(enc *in) {
    enc_head(in, SEQ_A, "SQ", 14);
    enc_tag(in, ITEM, 6);
    enc_text(in, UID_TAG, "UI", "1.2.3.45");
}
static void make_item_crosses_sequence(enc *in) {
    enc_head(in, SEQ_A, "SQ", 4);
    enc_tag(in, ITEM, 0);
}
static void make_no_item(enc *in) {
    enc_head(in, SEQ_A, "SQ", 10);
    enc_text(in, UID_TAG, "UI", "12");
}
static void make_stray_item(enc *in) { enc_tag(in, ITEM, 0); }
static void make_stray_end(enc *in) {
    enc_text(in, 0x00080060, "CS", "MR");
    enc_tag(in, SEQUENCE_END, 0);
}
static void make_undefined_text(enc *in) { enc_head(in, 0x00080061, "UT", UNDEFINED); }
static void make_fragment_undefined(enc *in) {
    enc_head(in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(in, ITEM, UNDEFINED);
}
static void make_no_fragment(enc *in) {
    enc_head(in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(in, ITEM, 0);
    enc_tag(in, ITEM_END, 0);
}
static void make_fragment_in_item(enc *in) {
    enc_head(in, SEQ_A, "SQ", 28);
    enc_tag(in, ITEM, 20);
    enc_head(in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(in, ITEM, 100);
}
static void make_fragments_without_end_in_item(enc *in) {
    enc_head(in, SEQ_A, "SQ", 28);
    enc_tag(in, ITEM, 20);
    enc_head(in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(in, ITEM, 0);
}

TEST(T8_refused_with_offset_and_path) {
    static const refused cases[] = {
        { "no sequence delimiter", make_no_sequence_delimiter, GN_E_INVALID, "offset 20, (0008,1115)[0]",
          "(0010,0020) where an item" },
        { "item without end", make_item_without_end, GN_E_TRUNCATED, "(0008,1115)[0]", "too early" },
        { "item without end in an item", make_item_without_end_in_item, GN_E_INVALID, "(0008,1115)[0].(0008,1199)[0]",
          "delimiter of an item is missing" },
        { "sequence without end in an item", make_sequence_without_end_in_item, GN_E_INVALID,
          "offset 32, (0008,1115)[0].(0008,1199)[0]", "delimiter of a sequence" },
        { "item too long", make_item_too_long, GN_E_INVALID, "offset 32", "item of 4 bytes" },
        { "value too long", make_value_too_long, GN_E_INVALID, "offset 20, (0008,1115)[0].(0008,1155)",
          "8 bytes reaches beyond" },
        { "header too long", make_header_too_long, GN_E_INVALID, "offset 20, (0008,1115)[0]", "crosses the end" },
        { "item crosses the sequence", make_item_crosses_sequence, GN_E_INVALID, "offset 12",
          "crosses the end of its sequence" },
        { "no item in a sequence", make_no_item, GN_E_INVALID, "offset 12, (0008,1115)", "(0008,1155) where an item" },
        { "stray item", make_stray_item, GN_E_INVALID, "offset 0, (FFFE,E000)", "outside of a sequence" },
        { "stray sequence delimiter", make_stray_end, GN_E_INVALID, "offset 10, (FFFE,E0DD)", "outside of a sequence" },
        { "text of undefined length", make_undefined_text, GN_E_INVALID, "(0008,0061)", "not allowed for UT" },
        { "fragment of undefined length", make_fragment_undefined, GN_E_INVALID, "offset 12, (7FE0,0010)",
          "undefined length" },
        { "no fragment", make_no_fragment, GN_E_INVALID, "offset 20, (7FE0,0010)", "where a fragment" },
        { "fragment too long for its item", make_fragment_in_item, GN_E_INVALID, "(0008,1115)[0].(7FE0,0010)",
          "fragment of 100 bytes" },
        { "fragments without end in an item", make_fragments_without_end_in_item, GN_E_INVALID, "offset 40",
          "delimiter of encapsulated" },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        fixture f = setup();
        cases[i].make(&f.in);
        int rc = read_in(&f);
        if (rc != cases[i].code || !strstr(f.e.where, cases[i].where) || !strstr(f.e.message, cases[i].message))
            (void)fprintf(stderr, "%s: %d, %s (%s)\n", cases[i].what, rc, f.e.message, f.e.where);
        CHECK_INT(rc, cases[i].code);
        CHECK(strstr(f.e.where, cases[i].where));
        CHECK(strstr(f.e.message, cases[i].message));
        teardown(&f);
    }
}

/* ---- T7: nesting ------------------------------------------------------------------------------------------------------- */

static void nest(enc *in, unsigned depth, bool close) {
    for (unsigned i = 0; i < depth; i++) {
        enc_head(in, SEQ_A, "SQ", UNDEFINED);
        enc_tag(in, ITEM, UNDEFINED);
    }
    for (unsigned i = 0; close && i < depth; i++) {
        enc_tag(in, ITEM_END, 0);
        enc_tag(in, SEQUENCE_END, 0);
    }
}

TEST(T7_sixty_four_levels_and_no_more) {
    for (unsigned depth = DICOM_MAX_DEPTH; depth <= DICOM_MAX_DEPTH + 1; depth++) {
        fixture f = setup();
        nest(&f.in, depth, true);
        CHECK_INT(read_in(&f), depth <= DICOM_MAX_DEPTH ? 0 : GN_E_TOO_DEEP);
        if (depth > DICOM_MAX_DEPTH) CHECK(strstr(f.e.where, "..."));
        teardown(&f);
    }
}

TEST(T7_a_million_levels) {
    fixture f = setup();
    nest(&f.in, 1000000, false);
    uint64_t start = cpu_ns();
    CHECK_INT(read_in(&f), GN_E_TOO_DEEP);
    CHECK(cpu_ns() - start < UINT64_C(500000000));
    teardown(&f);
}

TEST(T7_a_million_levels_inside_un_and_implicit) {
    fixture f = setup();
    enc inside = { .implicit = true };
    enc_head(&f.in, 0x00091001, "UN", UNDEFINED);
    for (int i = 0; i < 1000000; i++) {
        enc_tag(&inside, ITEM, UNDEFINED);
        enc_tag(&inside, 0x00091001, UNDEFINED);
    }
    gn_buf_append(&f.in.b, inside.b.p, inside.b.n);
    CHECK_INT(read_in(&f), GN_E_TOO_DEEP);
    gn_buf_done(&inside.b);
    teardown(&f);
}

static uint64_t time_of(size_t items) {
    fixture f = setup();
    enc_head(&f.in, SEQ_A, "SQ", UNDEFINED);
    for (size_t i = 0; i < items; i++) {
        enc_tag(&f.in, ITEM, 20);
        enc_head(&f.in, SEQ_B, "SQ", 8);
        enc_tag(&f.in, ITEM, 0);
    }
    enc_tag(&f.in, SEQUENCE_END, 0);
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        gn_arena_reset(f.a);
        uint64_t start = cpu_ns();
        CHECK_INT(dicom_dataset_read(f.a, syntax_of(&f.in), f.in.b.p, f.in.b.n, NULL, &f.ds, &f.e), 0);
        uint64_t took = cpu_ns() - start;
        if (took < best) best = took;
    }
    teardown(&f);
    return best;
}

TEST(T7_ten_times_the_file_is_about_ten_times_the_time) {
    uint64_t small = time_of(20000), large = time_of(200000);
    CHECK(large < 30 * small); /* about 10; caches and page faults add to it; quadratic would be 100 */
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

TEST(a_small_arena_is_an_error) {
    fixture f = setup();
    nested(&f.in, true, true);
    fragments(&f.in, "", 0);
    for (size_t budget = 64; budget < 1500; budget += 16) {
        gn_arena *small = gn_arena_new(budget);
        gn_error e = GN_ERROR_INIT;
        dicom_dataset *ds;
        int rc =
            small ? dicom_dataset_read(small, syntax_of(&f.in), f.in.b.p, f.in.b.n, NULL, &ds, &e) : GN_E_NO_MEMORY;
        CHECK(rc == 0 || rc == GN_E_NO_MEMORY);
        gn_arena_free(&small);
    }
    teardown(&f);
}

TEST(failing_allocations_are_errors) {
    fixture f = setup();
    for (int i = 0; i < 300; i++)
        enc_text(&f.in, DICOM_TAG(0x0021, 0x1000 + i), "LO", "ab"); /* the stack of elements grows */
    fragments(&f.in, "", 0);
    for (unsigned nth = 1; nth < 6; nth++) {
        dicom_dataset *ds = NULL;
        gn_error e = GN_ERROR_INIT;
        check_fail_alloc(nth);
        int rc = dicom_dataset_read(f.a, syntax_of(&f.in), f.in.b.p, f.in.b.n, NULL, &ds, &e);
        unsigned failed = check_failed_allocs();
        check_fail_alloc(0);
        CHECK(failed ? rc == GN_E_NO_MEMORY : rc == 0);
    }
    teardown(&f);
}
