/* Writing: byte for byte what was read, other syntaxes, lengths filled in, bulk fetched, file headers. */
#include "encode.h"

#define SEQ_A DICOM_TAG(0x0008, 0x1115)
#define PIXEL_DATA DICOM_TAG(0x7FE0, 0x0010)

static int write_as(const fixture *f, const char *syntax, const dicom_write_options *options, gn_buf *out,
                    gn_error *e) {
    gn_buf_clear(out);
    return dicom_dataset_write(f->ds, dicom_transfer_syntax_find(syntax), options, out, e);
}

static bool comes_back(fixture *f) {
    gn_buf out = GN_BUF_INIT;
    gn_error e = GN_ERROR_INIT;
    dicom_read_options options = { .keep_everything = true };
    if (read_with(f, syntax_of(&f->in), &options)) {
        (void)fprintf(stderr, "%s (%s)\n", f->e.message, f->e.where);
        return false;
    }
    int rc = dicom_dataset_write(f->ds, syntax_of(&f->in), NULL, &out, &e);
    bool same = rc == 0 && out.n == f->in.b.n && (out.n == 0 || memcmp(out.p, f->in.b.p, out.n) == 0);
    gn_buf_done(&out);
    return same;
}

static void nested(enc *in) {
    enc_head(in, SEQ_A, "SQ", UNDEFINED);
    enc_tag(in, ITEM, UNDEFINED);
    enc_us(in, 0x00280010, "US", 0x0102);
    enc_tag(in, ITEM_END, 0);
    enc_tag(in, ITEM, 10);
    enc_us(in, 0x00280010, "US", 3);
    enc_tag(in, SEQUENCE_END, 0);
    enc_head(in, DICOM_TAG(0x0008, 0x1140), "SQ", 34);
    enc_tag(in, ITEM, 10);
    enc_us(in, 0x00280010, "US", 4);
    enc_tag(in, ITEM, UNDEFINED);
    enc_tag(in, ITEM_END, 0);
    enc_head(in, DICOM_TAG(0x0008, 0x1199), "SQ", 0);
}

TEST(what_was_read_comes_back_byte_for_byte) {
    for (int kind = 0; kind < 3; kind++) {
        fixture f = setup();
        f.in.implicit = kind == 1;
        f.in.big = kind == 2;
        enc_ul(&f.in, 0x00080000, "UL", 12345); /* wrong, but as read */
        nested(&f.in);
        enc_text(&f.in, 0x00100010, "PN", "odd");
        enc_text(&f.in, 0x00100010, "PN", "twice ");
        enc_text(&f.in, 0x00080060, "CS", "MR");
        enc_bytes(&f.in, 0x00189306, "FD", "\1\2\3\4\5\6\7\10", 8);
        enc_bytes(&f.in, 0x00209165, "AT", "\1\2\3\4", 4);
        enc_bytes(&f.in, PIXEL_DATA, "OW", "\1\2\3", 3);
        CHECK(comes_back(&f));
        teardown(&f);
    }
}

TEST(oddities_come_back_byte_for_byte) {
    fixture f = setup();
    enc_text(&f.in, 0x00080060, "??", "MR");
    enc_text(&f.in, 0x00080070, "lo", "ab");
    enc_text(&f.in, 0x00081010, "XX", "future");
    enc_head(&f.in, 0x00081030, "YY", 2);
    gn_buf_append(&f.in.b, "cd", 2);
    size_t at = f.in.b.n;
    enc_text(&f.in, 0x00091001, "OB", "ab");
    f.in.b.p[at + 6] = 7; /* reserved bytes */
    f.in.implicit = true;
    enc_us(&f.in, 0x00280010, "", 512); /* no VR amid explicit VR */
    f.in.implicit = false;
    enc_head(&f.in, SEQ_A, "SQ", UNDEFINED);
    enc_tag(&f.in, ITEM, UNDEFINED);
    f.in.implicit = true;
    enc_us(&f.in, 0x00280010, "", 512); /* an item without VRs */
    nested(&f.in);
    f.in.implicit = false;
    enc_tag(&f.in, ITEM_END, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    CHECK(comes_back(&f));
    teardown(&f);
}

TEST(un_sequences_come_back_byte_for_byte) {
    for (int big = 0; big < 2; big++) {
        fixture f = setup();
        enc inside = { .implicit = true };
        f.in.big = big;
        enc_tag(&inside, ITEM, UNDEFINED);
        nested(&inside);
        enc_tag(&inside, ITEM_END, 0);
        enc_tag(&inside, ITEM, 10);
        enc_us(&inside, 0x00280010, "", 0x0102);
        enc_tag(&inside, SEQUENCE_END, 0);
        enc_head(&f.in, 0x00091010, "UN", UNDEFINED);
        gn_buf_append(&f.in.b, inside.b.p, inside.b.n);
        enc_head(&f.in, 0x00091011, "UN", UNDEFINED);
        enc tail = { .b = f.in.b };
        enc_tag(&tail, SEQUENCE_END, 0);
        f.in.b = tail.b;
        enc_us(&f.in, 0x00280010, "US", 3);
        CHECK(comes_back(&f));
        gn_buf_done(&inside.b);
        teardown(&f);
    }
}

TEST(fragments_come_back_byte_for_byte) {
    for (int items = 0; items < 4; items++) {
        fixture f = setup();
        enc_head(&f.in, PIXEL_DATA, "OB", UNDEFINED);
        for (int i = 0; i < items; i++) {
            enc_tag(&f.in, ITEM, (uint32_t)(2 * i));
            gn_buf_append(&f.in.b, "abcdef", (size_t)(2 * i));
        }
        enc_tag(&f.in, SEQUENCE_END, 0);
        enc_text(&f.in, 0xFFFCFFFC, "OB", "pad ");
        CHECK(comes_back(&f));
        teardown(&f);
    }
}

/* ---- other syntaxes ---------------------------------------------------------------------------------------------------- */

TEST(every_native_syntax_into_every_other) {
    static const char *const syntaxes[] = { DICOM_TS_EXPLICIT_LE, DICOM_TS_IMPLICIT_LE, DICOM_TS_EXPLICIT_BE };
    gn_buf made[3] = { GN_BUF_INIT, GN_BUF_INIT, GN_BUF_INIT }, out = GN_BUF_INIT;
    for (int kind = 0; kind < 3; kind++) {
        enc in = { .implicit = kind == 1, .big = kind == 2 };
        enc_text(&in, 0x00080060, "CS", "MR");
        enc_head(&in, SEQ_A, "SQ", UNDEFINED);
        enc_tag(&in, ITEM, UNDEFINED);
        enc_us(&in, 0x00280010, "US", 0x0102);
        enc_tag(&in, ITEM_END, 0);
        enc_tag(&in, SEQUENCE_END, 0);
        enc_head(&in, 0x00209165, "AT", 4);
        enc16(&in, 0x0020);
        enc16(&in, 0x9157);
        enc_head(&in, 0x00281052, "DS", 2);
        gn_buf_append(&in.b, "1 ", 2);
        enc_head(&in, PIXEL_DATA, "OW", 4);
        enc16(&in, 0x1234);
        enc16(&in, 0x5678);
        made[kind] = in.b;
    }
    for (int from = 0; from < 3; from++)
        for (int to = 0; to < 3; to++) {
            fixture f = setup();
            f.in = (enc){ .b = made[from], .implicit = from == 1, .big = from == 2 };
            int rc = read_in(&f);
            CHECK_INT(rc, 0);
            if (rc == 0) {
                CHECK_INT(write_as(&f, syntaxes[to], NULL, &out, &f.e), 0);
                CHECK_MEM2(out.p, out.n, made[to].p, made[to].n);
            }
            gn_arena_free(&f.a);
        }
    for (int i = 0; i < 3; i++) gn_buf_done(&made[i]);
    gn_buf_done(&out);
}

TEST(deflated_reads_back) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    dicom_dataset *again;
    enc_text(&f.in, 0x00080060, "CS", "MR");
    enc_head(&f.in, PIXEL_DATA, "OB", 300000);
    for (unsigned i = 0; i < 300000; i++) gn_buf_putc(&f.in.b, (char)(i * i >> 7));
    dicom_read_options options = { .keep_everything = true };
    REQUIRE(read_with(&f, syntax_of(&f.in), &options) == 0);
    CHECK_INT(write_as(&f, DICOM_TS_DEFLATED_LE, NULL, &out, &f.e), 0);
    CHECK(out.n > 0 && out.n < f.in.b.n && out.n % 2 == 0);
    REQUIRE(dicom_dataset_read(f.a, dicom_transfer_syntax_find(DICOM_TS_DEFLATED_LE), out.p, out.n, &options, &again,
                               &f.e) == 0);
    const dicom_element *el = dicom_dataset_find(again, PIXEL_DATA);
    REQUIRE(el && el->value);
    CHECK(memcmp(el->value, f.in.b.p + f.in.b.n - 300000, 300000) == 0);
    gn_buf_done(&out);
    teardown(&f);
}

/* ---- changed data sets ------------------------------------------------------------------------------------------------- */

TEST(lengths_are_right_after_changes) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    dicom_dataset *item, *again;
    f.in.b.n = 0;
    nested(&f.in);
    REQUIRE(read_in(&f) == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, 0x00081140);
    REQUIRE(el && el->items);
    CHECK_INT(dicom_dataset_put_string(el->items->dataset, 0x00100010, DICOM_VR_PN, "A rather long name", &f.e), 0);
    CHECK_INT(dicom_dataset_add_item(f.ds, 0x00081199, &item, &f.e), 0);
    CHECK_INT(dicom_dataset_put_u16(item, 0x00280010, 5, &f.e), 0);
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, NULL, &out, &f.e), 0);
    REQUIRE(dicom_dataset_read(f.a, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), out.p, out.n, NULL, &again,
                               &f.e) == 0);
    el = dicom_dataset_find(again, 0x00081140);
    REQUIRE(el && el->items);
    CHECK(has_text(el->items->dataset, 0x00100010, "A rather long name"));
    CHECK_INT(dicom_element_vm(dicom_dataset_find(again, 0x00081199)), 1);
    gn_buf_done(&out);
    teardown(&f);
}

TEST(group_lengths_can_be_left_out) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_ul(&f.in, 0x00020000, "UL", 0);
    enc_ul(&f.in, 0x00080000, "UL", 10);
    enc_text(&f.in, 0x00080060, "CS", "MR");
    REQUIRE(read_in(&f) == 0);
    dicom_write_options options = { .without_group_lengths = true };
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, &options, &out, &f.e), 0);
    CHECK_INT(out.n, f.in.b.n - 12);
    gn_buf_done(&out);
    teardown(&f);
}

/* PS3.5 §6.2.2: a value that does not fit the 16-bit length of its VR is written as UN. */
TEST(values_too_long_for_their_vr) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    static char text[70000];
    memset(text, 'x', sizeof text);
    f.ds = dicom_dataset_new(f.a, &f.e);
    CHECK_INT(dicom_dataset_put(f.ds, 0x00189004, DICOM_VR_LO, text, sizeof text, &f.e), 0);
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, NULL, &out, &f.e), 0);
    CHECK_MEM(out.p + 4, "UN\0\0", 4);
    CHECK_INT(gn_load_le32(out.p + 8), 70000);
    CHECK_INT(write_as(&f, DICOM_TS_IMPLICIT_LE, NULL, &out, &f.e), 0);
    CHECK_INT(out.n, 70008);
    gn_buf_done(&out);
    teardown(&f);
}

TEST(T7_items_linked_too_deep) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    dicom_dataset *at = f.ds = dicom_dataset_new(f.a, &f.e);
    for (int i = 0; i < DICOM_MAX_DEPTH; i++) REQUIRE(dicom_dataset_add_item(at, SEQ_A, &at, &f.e) == 0);
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, NULL, &out, &f.e), 0);
    at->parent = NULL; /* who builds past the limit by force is stopped here */
    REQUIRE(dicom_dataset_add_item(at, SEQ_A, &at, &f.e) == 0);
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, NULL, &out, &f.e), GN_E_TOO_DEEP);
    gn_buf_done(&out);
    teardown(&f);
}

/* ---- bulk -------------------------------------------------------------------------------------------------------------- */

typedef struct bulk_source {
    const gn_buf *from;
    int calls;
    size_t short_by;
    int rc;
} bulk_source;

static int fetch(void *ctx, const dicom_element *el, gn_buf *out, gn_error *e) {
    bulk_source *s = ctx;
    s->calls++;
    if (s->rc) return gn_fail(e, s->rc, "no such file");
    gn_buf_append(out, s->from->p + el->offset, el->length - s->short_by);
    return 0;
}

TEST(bulk_values_are_fetched) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_text(&f.in, 0x00100010, "PN", "Doe^John");
    enc_head(&f.in, PIXEL_DATA, "OW", 100);
    for (int i = 0; i < 100; i++) gn_buf_putc(&f.in.b, (char)i);
    dicom_read_options small = { .max_value = 50 };
    REQUIRE(read_with(&f, syntax_of(&f.in), &small) == 0);
    bulk_source source = { .from = &f.in.b };
    dicom_write_options options = { .bulk = fetch, .ctx = &source };
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, &options, &out, &f.e), 0);
    CHECK_MEM2(out.p, out.n, f.in.b.p, f.in.b.n);
    CHECK_INT(source.calls, 1);
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_BE, &options, &out, &f.e), 0);
    CHECK_MEM(out.p + out.n - 100, "\1\0\3\2", 4); /* swapped, as words */
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, NULL, &out, &f.e), GN_E_UNSUPPORTED);
    CHECK(strstr(f.e.message, "(7FE0,0010)"));
    gn_error_clear(&f.e);
    source.short_by = 1;
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, &options, &out, &f.e), GN_E_CORRUPT);
    gn_error_clear(&f.e);
    source.rc = GN_E_NOT_FOUND;
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, &options, &out, &f.e), GN_E_NOT_FOUND);
    gn_buf_done(&out);
    teardown(&f);
}

TEST(bulk_fragments_are_fetched_one_by_one) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_head(&f.in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(&f.in, ITEM, 4);
    enc_zeros(&f.in, 4);
    enc_tag(&f.in, ITEM, 6);
    gn_buf_append(&f.in.b, "abcdef", 6);
    enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    dicom_read_options small = { .max_value = 2 };
    REQUIRE(read_with(&f, syntax_of(&f.in), &small) == 0);
    bulk_source source = { .from = &f.in.b };
    dicom_write_options options = { .bulk = fetch, .ctx = &source };
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, &options, &out, &f.e), 0);
    CHECK_MEM2(out.p, out.n, f.in.b.p, f.in.b.n);
    CHECK_INT(source.calls, 2);
    source.rc = GN_E_IO;
    CHECK_INT(write_as(&f, DICOM_TS_EXPLICIT_LE, &options, &out, &f.e), GN_E_IO);
    gn_buf_done(&out);
    teardown(&f);
}

/* ---- limits ------------------------------------------------------------------------------------------------------------ */

TEST(a_full_buffer_is_an_error) {
    fixture f = setup();
    nested(&f.in);
    enc_bytes(&f.in, PIXEL_DATA, "OW", "\1\2\3\4", 4);
    REQUIRE(read_in(&f) == 0);
    for (size_t limit = 1; limit < f.in.b.n; limit++) {
        gn_buf out = { .limit = limit };
        gn_error e = GN_ERROR_INIT;
        CHECK_INT(dicom_dataset_write(f.ds, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_BE), NULL, &out, &e),
                  GN_E_TOO_LARGE);
        gn_buf_done(&out);
    }
    gn_buf out = { .limit = 16 };
    CHECK_INT(write_as(&f, DICOM_TS_DEFLATED_LE, NULL, &out, &f.e), GN_E_TOO_LARGE);
    gn_buf_done(&out);
    teardown(&f);
}

/* ---- file headers ------------------------------------------------------------------------------------------------------ */

TEST(header_of_a_file) {
    fixture f = setup();
    dicom_file file;
    for (int with_ae = 0; with_ae < 2; with_ae++) {
        gn_buf_clear(&f.in.b);
        CHECK_INT(dicom_file_header_write("1.2.840.10008.5.1.4.1.1.7", "1.2.3", DICOM_TS_EXPLICIT_LE,
                                          with_ae ? "STORE" : NULL, &f.in.b, &f.e),
                  0);
        size_t at = f.in.b.n;
        CHECK_MEM(f.in.b.p + 128, "DICM", 4);
        CHECK_INT(gn_load_le32(f.in.b.p + 140), at - 144);
        enc_text(&f.in, 0x00080060, "CS", "MR");
        REQUIRE(dicom_file_read(f.a, f.in.b.p, f.in.b.n, NULL, &file, &f.e) == 0);
        CHECK_INT(file.dataset_offset, at);
        CHECK(has_text(file.meta, 0x00020002, "1.2.840.10008.5.1.4.1.1.7") && has_text(file.meta, 0x00020003, "1.2.3"));
        CHECK(has_text(file.meta, 0x00020012, DICOM_IMPLEMENTATION_CLASS_UID) &&
              has_text(file.meta, 0x00020013, DICOM_IMPLEMENTATION_VERSION));
        CHECK_INT(dicom_dataset_find(file.meta, 0x00020016) != NULL, with_ae);
        CHECK(file.meta->sorted);
        CHECK_MEM(dicom_dataset_find(file.meta, 0x00020001)->value, "\0\1", 2);
    }
    teardown(&f);
}

TEST(header_of_a_file_refuses_what_does_not_fit) {
    char uid[80];
    gn_error e = GN_ERROR_INIT;
    gn_buf out = GN_BUF_INIT;
    memset(uid, '1', sizeof uid);
    uid[65] = '\0';
    CHECK_INT(dicom_file_header_write(uid, "1.2", DICOM_TS_EXPLICIT_LE, NULL, &out, &e), GN_E_INVALID);
    CHECK_INT(dicom_file_header_write("1.2", uid, DICOM_TS_EXPLICIT_LE, NULL, &out, NULL), GN_E_INVALID);
    CHECK_INT(dicom_file_header_write("1.2", "1.2", uid, NULL, &out, NULL), GN_E_INVALID);
    CHECK_INT(dicom_file_header_write("1.2", "1.2", "1.2", "SEVENTEEN_LETTERS", &out, NULL), GN_E_INVALID);
    gn_buf small = { .limit = 150 };
    CHECK_INT(dicom_file_header_write("1.2", "1.2", "1.2", NULL, &small, NULL), GN_E_TOO_LARGE);
    gn_buf_done(&small);
    gn_buf_done(&out);
}
