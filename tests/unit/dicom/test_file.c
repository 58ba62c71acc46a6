/* Part 10 files: with and without preamble, meta group, group length, transfer syntax; guessing; deflated data sets. */
#include "encode.h"

#include <zlib.h>

#define PATIENT_ID DICOM_TAG(0x0010, 0x0020)

typedef struct file_kind {
    bool preamble, magic, group_length;
    const char *syntax;
    int wrong_by;
} file_kind;

static void put_meta(enc *in, const file_kind *k) {
    enc meta = { 0 };
    if (k->syntax) {
        enc_text(&meta, 0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.7");
        enc_bytes(&meta, 0x00020010, "UI", k->syntax, strlen(k->syntax) + (strlen(k->syntax) & 1));
        enc_bytes(&meta, 0x00020102, "OB", "ab", 2);
    } else {
        enc_text(&meta, 0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.7");
    }
    if (k->preamble) enc_zeros(in, 128);
    if (k->magic) gn_buf_append(&in->b, "DICM", 4);
    enc head = { 0 };
    if (k->group_length) enc_ul(&head, 0x00020000, "UL", (uint32_t)((int)meta.b.n + k->wrong_by));
    gn_buf_append(&in->b, head.b.p, head.b.n);
    gn_buf_append(&in->b, meta.b.p, meta.b.n);
    gn_buf_done(&head.b);
    gn_buf_done(&meta.b);
}

static void body(enc *in) {
    enc_text(in, 0x00080005, "CS", "ISO_IR 100");
    enc_text(in, 0x00080060, "CS", "MR");
    enc_text(in, PATIENT_ID, "LO", "ID");
}

static int read_file(fixture *f, dicom_file *file, const dicom_read_options *options) {
    gn_error_clear(&f->e);
    return dicom_file_read(f->a, f->in.b.p, f->in.b.n, options, file, &f->e);
}

TEST(an_ordinary_file) {
    fixture f = setup();
    dicom_file file;
    put_meta(&f.in, &(file_kind){ true, true, true, DICOM_TS_EXPLICIT_LE, 0 });
    size_t at = f.in.b.n;
    body(&f.in);
    REQUIRE(read_file(&f, &file, NULL) == 0);
    CHECK(file.has_preamble && file.has_meta && !file.guessed);
    CHECK_STR(file.transfer_syntax_uid, DICOM_TS_EXPLICIT_LE);
    CHECK_STR(file.transfer_syntax->uid, DICOM_TS_EXPLICIT_LE);
    CHECK_INT(file.dataset_offset, at);
    CHECK_INT(file.meta->count, 4);
    CHECK_INT(file.dataset->count, 3);
    CHECK(has_text(file.dataset, PATIENT_ID, "ID"));
    CHECK_INT(dicom_dataset_find(file.dataset, PATIENT_ID)->offset + at, f.in.b.n - 2);
    teardown(&f);
}

TEST(T5_every_kind_of_meta_group) {
    static const file_kind kinds[] = { { true, true, false, DICOM_TS_EXPLICIT_LE, 0 },
                                       { false, true, true, DICOM_TS_EXPLICIT_LE, 0 },
                                       { false, false, true, DICOM_TS_EXPLICIT_LE, 0 },
                                       { true, true, true, DICOM_TS_EXPLICIT_LE, -10 },
                                       { true, true, true, DICOM_TS_EXPLICIT_LE, 10 },
                                       { true, true, true, DICOM_TS_EXPLICIT_LE, 100000 },
                                       { true, true, true, DICOM_TS_EXPLICIT_LE, -1 },
                                       { true, true, true, NULL, 0 },
                                       { false, false, false, NULL, 0 },
                                       { true, true, true, DICOM_TS_EXPLICIT_LE, -120 },
                                       { true, true, true, DICOM_TS_IMPLICIT_LE, 0 },
                                       { true, true, true, DICOM_TS_EXPLICIT_BE, 0 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(kinds); i++) {
        fixture f = setup();
        dicom_file file;
        put_meta(&f.in, &kinds[i]);
        f.in.implicit = kinds[i].syntax && strcmp(kinds[i].syntax, DICOM_TS_IMPLICIT_LE) == 0;
        f.in.big = kinds[i].syntax && strcmp(kinds[i].syntax, DICOM_TS_EXPLICIT_BE) == 0;
        size_t at = f.in.b.n;
        body(&f.in);
        int rc = read_file(&f, &file, NULL);
        CHECK_INT(rc, 0);
        if (rc) (void)fprintf(stderr, "kind %zu: %s\n", i, f.e.message);
        if (rc == 0) {
            CHECK_INT(file.dataset_offset, at);
            CHECK_INT(file.guessed, !kinds[i].syntax);
            CHECK(has_text(file.dataset, PATIENT_ID, "ID"));
            CHECK_STR(file.transfer_syntax_uid, kinds[i].syntax ? kinds[i].syntax : DICOM_TS_EXPLICIT_LE);
        }
        teardown(&f);
    }
}

TEST(T5_no_meta_group_at_all) {
    static const char *const syntaxes[] = { DICOM_TS_EXPLICIT_LE, DICOM_TS_IMPLICIT_LE, DICOM_TS_EXPLICIT_BE };
    for (int kind = 0; kind < 6; kind++) {
        fixture f = setup();
        dicom_file file;
        f.in.implicit = kind % 3 == 1;
        f.in.big = kind % 3 == 2;
        if (kind < 3) enc_ul(&f.in, 0x00080000, "UL", 30);
        body(&f.in);
        enc_zeros(&f.in, 0);
        REQUIRE(read_file(&f, &file, NULL) == 0);
        CHECK(file.guessed && !file.has_meta && !file.meta && !file.has_preamble);
        CHECK_STR(file.transfer_syntax->uid, syntaxes[kind % 3]);
        CHECK_STR(file.transfer_syntax_uid, syntaxes[kind % 3]);
        CHECK(has_text(file.dataset, PATIENT_ID, "ID"));
        CHECK_INT(file.dataset_offset, 0);
        teardown(&f);
    }
}

TEST(T5_unknown_tags_first_and_no_meta_group) {
    for (int big = 0; big < 2; big++) {
        fixture f = setup();
        dicom_file file;
        f.in.big = big;
        enc_text(&f.in, 0x00090011, "LO", "ACME"); /* in no dictionary: the smaller group decides */
        body(&f.in);
        f.in.b.p[big ? 1 : 0] = 9;
        REQUIRE(read_file(&f, &file, NULL) == 0);
        CHECK_INT(file.transfer_syntax->big_endian, big);
        teardown(&f);
    }
}

TEST(unknown_transfer_syntax_is_explicit_and_encapsulated) {
    fixture f = setup();
    dicom_file file;
    put_meta(&f.in, &(file_kind){ true, true, true, "1.2.276.0.9.9.99", 0 });
    body(&f.in);
    REQUIRE(read_file(&f, &file, NULL) == 0);
    CHECK_STR(file.transfer_syntax_uid, "1.2.276.0.9.9.99");
    REQUIRE(file.transfer_syntax);
    CHECK(file.transfer_syntax->encapsulated && !file.transfer_syntax->implicit_vr &&
          !file.transfer_syntax->big_endian);
    CHECK(has_text(file.dataset, PATIENT_ID, "ID"));
    teardown(&f);
}

TEST(meta_asks_for_more_bytes) {
    fixture f = setup();
    dicom_file file;
    put_meta(&f.in, &(file_kind){ true, true, true, DICOM_TS_EXPLICIT_LE, 0 });
    size_t at = f.in.b.n;
    body(&f.in);
    for (size_t n = 0; n < at; n++) {
        gn_error e = GN_ERROR_INIT;
        uint8_t *copy = malloc(n + 1);
        REQUIRE(copy);
        memcpy(copy, f.in.b.p, n);
        int rc = dicom_file_read_meta(f.a, copy, n, &file, &e);
        CHECK_INT(rc, GN_E_TRUNCATED);
        if (rc != GN_E_TRUNCATED) (void)fprintf(stderr, "cut at %zu\n", n);
        free(copy);
    }
    CHECK_INT(dicom_file_read_meta(f.a, f.in.b.p, at, &file, &f.e), 0);
    CHECK_INT(file.dataset_offset, at);
    CHECK(!file.dataset);
    CHECK_INT(dicom_file_read_meta(f.a, f.in.b.p, f.in.b.n, &file, &f.e), 0);
    CHECK_INT(file.dataset_offset, at);
    teardown(&f);
}

/* CVE-2026-5437, CVE-2026-3650: lengths in the meta group that lie. */
TEST(T5_meta_element_longer_than_the_file) {
    fixture f = setup();
    dicom_file file;
    enc_zeros(&f.in, 128);
    gn_buf_append(&f.in.b, "DICM", 4);
    enc_head(&f.in, 0x00020001, "OB", 0xFFFFFFF0);
    CHECK_INT(read_file(&f, &file, NULL), GN_E_TRUNCATED);
    gn_buf_clear(&f.in.b);
    enc_zeros(&f.in, 128);
    gn_buf_append(&f.in.b, "DICM", 4);
    enc_head(&f.in, 0x00020001, "ZZ", 0xFFFF);
    enc_head(&f.in, 0x00020010, "ZZ", 0xFFFF);
    CHECK_INT(read_file(&f, &file, NULL), GN_E_TRUNCATED);
    teardown(&f);
}

TEST(T5_not_dicom_at_all) {
    static const char *const texts[] = { "", "DICM", "short", "%PDF-1.7\n%abcdefghijklmnopqrstuvwxyz0123456789" };
    for (size_t i = 0; i < GN_ARRAY_LEN(texts); i++) {
        fixture f = setup();
        dicom_file file;
        CHECK(dicom_file_read(f.a, texts[i], strlen(texts[i]), NULL, &file, &f.e) < 0 || i == 1);
        teardown(&f);
    }
}

/* ---- deflated ---------------------------------------------------------------------------------------------------------- */

static void deflate_into(gn_buf *out, const uint8_t *p, size_t n, int window_bits) {
    z_stream z = { 0 };
    deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
    size_t room = deflateBound(&z, n) + 64;
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = gn_buf_reserve(out, room);
    z.avail_out = (uInt)room;
    deflate(&z, Z_FINISH);
    out->n += room - z.avail_out;
    deflateEnd(&z);
}

TEST(deflated_data_sets) {
    for (int kind = 0; kind < 2; kind++) { /* raw, as it must be; with the zlib header, as it is found */
        fixture f = setup();
        dicom_file file;
        enc plain = { 0 };
        body(&plain);
        enc_bytes(&plain, 0x7FE00010, "OB", "01234567890123456789", 20);
        put_meta(&f.in, &(file_kind){ true, true, true, DICOM_TS_DEFLATED_LE, 0 });
        deflate_into(&f.in.b, plain.b.p, plain.b.n, kind ? MAX_WBITS : -MAX_WBITS);
        gn_buf_putc(&f.in.b, '\0'); /* padding */
        dicom_read_options options = { .max_value = 16 };
        REQUIRE(read_file(&f, &file, &options) == 0);
        CHECK(file.transfer_syntax->deflated);
        CHECK(has_text(file.dataset, PATIENT_ID, "ID"));
        const dicom_element *el = dicom_dataset_find(file.dataset, 0x7FE00010);
        REQUIRE(el);
        CHECK(el->flags & DICOM_ELEMENT_BULK);
        CHECK_MEM(plain.b.p + el->offset, "01234567890123456789", 20); /* the offset is that in the inflated stream */
        options.keep_everything = true;
        REQUIRE(read_file(&f, &file, &options) == 0);
        el = dicom_dataset_find(file.dataset, 0x7FE00010);
        CHECK(el->value && memcmp(el->value, "01234567890123456789", 20) == 0);
        gn_buf_done(&plain.b);
        teardown(&f);
    }
}

TEST(deflated_data_that_is_cut_or_damaged) {
    fixture f = setup();
    dicom_file file;
    enc plain = { 0 };
    body(&plain);
    put_meta(&f.in, &(file_kind){ true, true, true, DICOM_TS_DEFLATED_LE, 0 });
    size_t at = f.in.b.n;
    deflate_into(&f.in.b, plain.b.p, plain.b.n, -MAX_WBITS);
    size_t whole = f.in.b.n;
    for (size_t n = at + 1; n < whole; n++) {
        f.in.b.n = n;
        CHECK_INT(read_file(&f, &file, NULL), GN_E_TRUNCATED);
    }
    dicom_read_options options = { .accept_truncated = true };
    CHECK_INT(read_file(&f, &file, &options), 0);
    f.in.b.n = whole;
    memset(f.in.b.p + at, 0xFF, whole - at);
    CHECK_INT(read_file(&f, &file, NULL), GN_E_INVALID);
    f.in.b.n = at;
    CHECK_INT(read_file(&f, &file, NULL), 0); /* no data set */
    CHECK_INT(file.dataset->count, 0);
    gn_buf_done(&plain.b);
    teardown(&f);
}

TEST(T6_deflate_bomb) {
    fixture f = setup();
    dicom_file file;
    z_stream z = { 0 };
    static uint8_t zeros[1 << 20];
    enc head = { 0 };
    enc_head(&head, 0x7FE00010, "OB", 0xFFFFFFF0);
    put_meta(&f.in, &(file_kind){ true, true, true, DICOM_TS_DEFLATED_LE, 0 });
    deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    for (int i = -1; i < 600; i++) { /* 600 MB of zeros in 600 kB */
        z.next_in = i < 0 ? head.b.p : zeros;
        z.avail_in = i < 0 ? (uInt)head.b.n : sizeof zeros;
        z.next_out = gn_buf_reserve(&f.in.b, 1 << 16);
        z.avail_out = 1 << 16;
        deflate(&z, Z_NO_FLUSH);
        f.in.b.n += (1 << 16) - z.avail_out;
    }
    deflateEnd(&z);
    uint64_t start = cpu_ns();
    CHECK_INT(read_file(&f, &file, NULL), GN_E_TOO_LARGE);
    CHECK(strstr(f.e.message, "500 times"));
    dicom_read_options options = { .max_inflated = 10 << 20 };
    CHECK_INT(read_file(&f, &file, &options), GN_E_TOO_LARGE);
    CHECK(strstr(f.e.message, "beyond 10485760 bytes"));
    CHECK(cpu_ns() - start < UINT64_C(5000000000));
    gn_buf_done(&head.b);
    teardown(&f);
}

/* Deflated data that begins like an element of the meta group. */
TEST(T5_deflated_data_behind_a_right_group_length) {
    fixture f = setup();
    dicom_file file;
    put_meta(&f.in, &(file_kind){ true, true, true, DICOM_TS_DEFLATED_LE, 0 });
    size_t at = f.in.b.n;
    gn_buf_append(&f.in.b, "\2\0\x10\0\1\1\4\0abcd", 12);
    REQUIRE(dicom_file_read_meta(f.a, f.in.b.p, f.in.b.n, &file, &f.e) == 0);
    CHECK_INT(file.dataset_offset, at);
    teardown(&f);
}

/* ---- real files -------------------------------------------------------------------------------------------------------- */

TEST(broken_files_of_the_test_data) {
    static const struct {
        const char *name;
        int code;
    } files[] = { { "badVR.dcm", 0 },
                  { "GH340.dcm", 0 },
                  { "ExplVR_BigEndNoMeta.dcm", 0 },
                  { "CTImageStorage_bad_meta.dcm", 0 },
                  { "UN_sequence.dcm", 0 },
                  { "meta_missing_tsyntax.dcm", 0 },
                  { "no-meta-length-test.dcm", 0 },
                  { "nested_priv_SQ.dcm", 0 },
                  { "bad_sequence.dcm", 0 },
                  { "JPEG2000-embedded-sequence-delimiter.dcm", 0 },
                  { "Issue1097_FailToOpenDeflatedFileWithSQ.dcm", 0 },
                  { "MR_truncated.dcm", GN_E_TRUNCATED },
                  { "no_meta.dcm", GN_E_TRUNCATED } };
    const char *root = getenv("GANTRY_TESTDATA");
    char path[512];
    for (size_t i = 0; i < GN_ARRAY_LEN(files); i++) {
        fixture f = setup();
        dicom_file file;
        (void)snprintf(path, sizeof path, "%s/broken/%s", root ? root : TEST_ROOT "/../shared/testdata", files[i].name);
        if (gn_file_load(path, 64 << 20, &f.in.b, &f.e)) {
            teardown(&f);
            SKIP("no test data: set GANTRY_TESTDATA");
        }
        CHECK_INT(read_file(&f, &file, NULL), files[i].code);
        dicom_read_options options = { .accept_truncated = true };
        CHECK_INT(read_file(&f, &file, &options), 0);
        teardown(&f);
    }
}
