/* Pixel description and frames: native of every depth, encapsulated with and without tables, sizes that lie (T8, T9). */
#include "encode.h"

#define PIXEL_DATA DICOM_TAG(0x7FE0, 0x0010)

typedef struct image {
    unsigned rows, columns, samples, bits;
    const char *photometric, *frames;
} image;

static void describe(enc *in, const image *m) {
    if (m->samples) enc_us(in, 0x00280002, "US", m->samples);
    if (m->photometric) enc_text(in, 0x00280004, "CS", m->photometric);
    if (m->frames) enc_text(in, 0x00280008, "IS", m->frames);
    enc_us(in, 0x00280010, "US", m->rows);
    enc_us(in, 0x00280011, "US", m->columns);
    enc_us(in, 0x00280100, "US", m->bits);
}

static void pixels(enc *in, size_t n) {
    enc_head(in, PIXEL_DATA, "OW", (uint32_t)n);
    enc_zeros(in, n);
}

/* Fragments of these lengths; `head` begins each that is long enough, from the set of bits on. */
static void encapsulate(enc *in, const void *table, size_t table_length, const size_t *lengths, size_t n,
                        const char *head, unsigned with_head) {
    enc_head(in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(in, ITEM, (uint32_t)table_length);
    gn_buf_append(&in->b, table, table_length);
    for (size_t i = 0; i < n; i++) {
        size_t begin = head && (with_head >> i & 1) && lengths[i] >= strlen(head) ? strlen(head) : 0;
        enc_tag(in, ITEM, (uint32_t)lengths[i]);
        gn_buf_append(&in->b, head ? head : "", begin);
        enc_zeros(in, lengths[i] - begin);
    }
    enc_tag(in, SEQUENCE_END, 0);
}

typedef struct result {
    int rc;
    dicom_pixel_description d;
    dicom_frame *frame;
    size_t count;
} result;
typedef int (*read_fn)(void *ctx, uint64_t offset, void *buf, size_t n);

static int read_at(void *ctx, uint64_t offset, void *buf, size_t n) {
    const gn_buf *b = ctx;
    if (offset > b->n || n > b->n - offset) return GN_E_TRUNCATED;
    memcpy(buf, b->p + offset, n);
    return 0;
}

static int read_fails(void *ctx, uint64_t offset, void *buf, size_t n) {
    (void)ctx;
    (void)offset;
    (void)buf;
    (void)n;
    return GN_E_IO;
}

static result frames_of(fixture *f, const dicom_read_options *options, read_fn read) {
    result r = { .rc = read_with(f, syntax_of(&f->in), options) };
    if (r.rc) return r;
    dicom_pixel_describe(f->ds, syntax_of(&f->in), &r.d);
    gn_error_clear(&f->e);
    r.rc = dicom_pixel_frames(f->ds, &r.d, read, &f->in.b, &r.frame, &r.count, &f->e);
    return r;
}

/* ---- description ------------------------------------------------------------------------------------------------------- */

TEST(frame_bytes_of_every_kind) {
    static const struct {
        image m;
        uint64_t bytes;
    } cases[] = { { { 512, 512, 1, 16, "MONOCHROME2 ", NULL }, 524288 },
                  { { 10, 20, 3, 8, "RGB ", NULL }, 600 },
                  { { 5, 5, 1, 1, "MONOCHROME2 ", NULL }, 4 },
                  { { 4, 4, 3, 8, "YBR_FULL_422", NULL }, 32 },
                  { { 4, 4, 3, 8, "YBR_PARTIAL_422 ", NULL }, 32 },
                  { { 4, 4, 3, 8, "YBR_PARTIAL_420 ", NULL }, 24 },
                  { { 4, 4, 3, 8, "YBR_FULL", NULL }, 48 },
                  { { 4, 4, 1, 32, "MONOCHROME2 ", NULL }, 64 },
                  { { 4, 4, 0, 8, NULL, NULL }, 16 },
                  { { 3, 3, 1, 12, NULL, NULL }, 14 },
                  { { 65535, 65535, 65535, 64, NULL, NULL }, UINT64_C(2251696736043000) },
                  { { 0, 4, 1, 8, NULL, NULL }, 0 },
                  { { 4, 0, 1, 8, NULL, NULL }, 0 },
                  { { 4, 4, 1, 0, NULL, NULL }, 0 },
                  { { 4, 4, 1, 65, NULL, NULL }, 0 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        fixture f = setup();
        dicom_pixel_description d;
        describe(&f.in, &cases[i].m);
        pixels(&f.in, 2);
        REQUIRE(read_in(&f) == 0);
        dicom_pixel_describe(f.ds, syntax_of(&f.in), &d);
        CHECK_INT(d.frame_bytes, cases[i].bytes);
        CHECK(d.present && d.native && d.element);
        CHECK_INT(d.frames, 1);
        teardown(&f);
    }
}

TEST(everything_that_is_described) {
    fixture f = setup();
    dicom_pixel_description d;
    f.in.big = true;
    enc_us(&f.in, 0x00280002, "US", 3);
    enc_text(&f.in, 0x00280004, "CS", "PALETTE COLOR ");
    enc_us(&f.in, 0x00280006, "US", 1);
    enc_text(&f.in, 0x00280008, "IS", "12");
    enc_us(&f.in, 0x00280010, "US", 6);
    enc_us(&f.in, 0x00280011, "US", 7);
    enc_us(&f.in, 0x00280100, "US", 16);
    enc_us(&f.in, 0x00280101, "US", 12);
    enc_us(&f.in, 0x00280102, "US", 11);
    enc_us(&f.in, 0x00280103, "US", 1);
    REQUIRE(read_in(&f) == 0);
    dicom_pixel_describe(f.ds, syntax_of(&f.in), &d);
    CHECK_INT(d.samples, 3);
    CHECK_STR(d.photometric, "PALETTE COLOR");
    CHECK_INT(d.planar, 1);
    CHECK_INT(d.frames, 12);
    CHECK_INT(d.rows, 6);
    CHECK_INT(d.columns, 7);
    CHECK_INT(d.bits_allocated, 16);
    CHECK_INT(d.bits_stored, 12);
    CHECK_INT(d.high_bit, 11);
    CHECK_INT(d.pixel_representation, 1);
    CHECK(!d.present && !d.native && !d.element);
    dicom_frame *frames;
    size_t count;
    CHECK_INT(dicom_pixel_frames(f.ds, &d, NULL, NULL, &frames, &count, &f.e), GN_E_NOT_FOUND);
    teardown(&f);
}

TEST(float_and_double_pixels) {
    for (int wide = 0; wide < 2; wide++) {
        fixture f = setup();
        describe(&f.in, &(image){ 2, 3, 1, 8, "MONOCHROME2 ", "2 " });
        enc_head(&f.in, wide ? 0x7FE00009 : 0x7FE00008, wide ? "OD" : "OF", wide ? 96 : 48);
        enc_zeros(&f.in, wide ? 96 : 48);
        result r = frames_of(&f, NULL, NULL);
        CHECK_INT(r.rc, 0);
        CHECK_INT(r.d.bits_allocated, wide ? 64 : 32);
        CHECK_INT(r.count, 2);
        CHECK_INT(r.frame[1].length, wide ? 48 : 24);
        teardown(&f);
    }
}

/* CVE-2026-5442: Rows as UL. A wrong type is stored, but refuses to be rendered. */
TEST(T5_rows_of_the_wrong_vr) {
    fixture f = setup();
    enc_ul(&f.in, 0x00280010, "UL", 0x10000);
    enc_text(&f.in, 0x00280011, "IS", "4 ");
    enc_us(&f.in, 0x00280100, "US", 8);
    pixels(&f.in, 16);
    result r = frames_of(&f, NULL, NULL);
    CHECK_INT(r.d.rows, 0);
    CHECK_INT(r.d.columns, 0);
    CHECK_INT(r.d.frame_bytes, 0);
    CHECK_INT(r.rc, GN_E_INVALID);
    CHECK_INT(r.count, 0);
    teardown(&f);
}

TEST(T5_number_of_frames_that_is_none) {
    static const struct {
        const char *text;
        int rc;
    } cases[] = { { "1A", GN_E_INVALID },
                  { "0 ", GN_E_INVALID },
                  { "-1", GN_E_INVALID },
                  { "2147483648", GN_E_INVALID },
                  { "1 ", 0 },
                  { "  ", 0 },
                  { "2147483647", GN_E_TRUNCATED } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        fixture f = setup();
        describe(&f.in, &(image){ 2, 2, 1, 8, NULL, cases[i].text });
        pixels(&f.in, 4);
        result r = frames_of(&f, NULL, NULL);
        CHECK_INT(r.rc, cases[i].rc);
        teardown(&f);
    }
}

/* ---- native ------------------------------------------------------------------------------------------------------------ */

TEST(native_frames_follow_each_other) {
    fixture f = setup();
    describe(&f.in, &(image){ 4, 5, 1, 16, "MONOCHROME2 ", "3 " });
    pixels(&f.in, 120);
    result r = frames_of(&f, NULL, NULL);
    CHECK_INT(r.rc, 0);
    REQUIRE(r.count == 3);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_INT(r.frame[i].offset, r.d.element->offset + i * 40);
        CHECK_INT(r.frame[i].length, 40);
        CHECK_INT(r.frame[i].bit_offset, 0);
    }
    teardown(&f);
}

TEST(frames_of_one_bit_begin_inside_bytes) {
    fixture f = setup();
    describe(&f.in, &(image){ 3, 5, 1, 1, "MONOCHROME2 ", "4 " }); /* 15 bits a frame */
    pixels(&f.in, 8);
    result r = frames_of(&f, NULL, NULL);
    CHECK_INT(r.rc, 0);
    REQUIRE(r.count == 4);
    static const unsigned offset[] = { 0, 1, 3, 5 }, bit[] = { 0, 7, 6, 5 }, length[] = { 2, 3, 3, 3 };
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(r.frame[i].offset - r.d.element->offset, offset[i]);
        CHECK_INT(r.frame[i].bit_offset, bit[i]);
        CHECK_INT(r.frame[i].length, length[i]);
    }
    teardown(&f);
}

TEST(T9_short_pixel_data_gives_the_frames_that_are_there) {
    fixture f = setup();
    describe(&f.in, &(image){ 4, 4, 1, 8, "MONOCHROME2 ", "5 " });
    pixels(&f.in, 40);
    result r = frames_of(&f, NULL, NULL);
    CHECK_INT(r.rc, GN_E_TRUNCATED);
    CHECK_INT(r.count, 2);
    CHECK(strstr(f.e.message, "2 of 5"));
    teardown(&f);
}

TEST(T9_dimensions_far_beyond_the_data) {
    static const image bombs[] = { { 46341, 46341, 1, 16, NULL, NULL },
                                   { 65535, 65535, 255, 64, NULL, "2147483647" },
                                   { 65535, 65535, 3, 16, "RGB ", "10" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(bombs); i++) {
        fixture f = setup();
        describe(&f.in, &bombs[i]);
        pixels(&f.in, 1000);
        size_t before = gn_arena_used(f.a);
        result r = frames_of(&f, NULL, NULL);
        CHECK_INT(r.rc, GN_E_TRUNCATED);
        CHECK_INT(r.count, 0);
        CHECK(gn_arena_used(f.a) - before < 10000);
        teardown(&f);
    }
}

TEST(native_bulk_needs_no_bytes) {
    fixture f = setup();
    describe(&f.in, &(image){ 10, 10, 1, 8, NULL, "2 " });
    pixels(&f.in, 200);
    result r = frames_of(&f, &(dicom_read_options){ .max_value = 16 }, NULL);
    CHECK_INT(r.rc, 0);
    CHECK_INT(r.count, 2);
    CHECK(r.d.element->flags & DICOM_ELEMENT_BULK);
    teardown(&f);
}

/* ---- encapsulated ------------------------------------------------------------------------------------------------------ */

static const dicom_read_options in_memory = { .keep_everything = true }, in_stream = { .max_value = 16 };

TEST(one_fragment_a_frame) {
    static const size_t lengths[] = { 10, 20, 30 };
    for (int memory = 0; memory < 2; memory++) {
        fixture f = setup();
        describe(&f.in, &(image){ 4, 4, 1, 8, NULL, "3 " });
        encapsulate(&f.in, "", 0, lengths, 3, NULL, 0);
        result r = frames_of(&f, memory ? &in_memory : &in_stream, NULL);
        CHECK_INT(r.rc, 0);
        REQUIRE(r.count == 3);
        CHECK(!r.d.native);
        for (size_t i = 0; i < 3; i++) {
            CHECK_INT(r.frame[i].first_fragment, i);
            CHECK_INT(r.frame[i].fragments, 1);
            CHECK_INT(r.frame[i].length, lengths[i]);
            CHECK_INT(r.frame[i].offset, r.d.element->fragments->extent[i].offset);
        }
        teardown(&f);
    }
}

TEST(many_fragments_of_a_single_frame) {
    static const size_t lengths[] = { 10, 20, 30 };
    fixture f = setup();
    describe(&f.in, &(image){ 4, 4, 1, 8, NULL, NULL });
    encapsulate(&f.in, "", 0, lengths, 3, NULL, 0);
    result r = frames_of(&f, &in_stream, NULL);
    CHECK_INT(r.rc, 0);
    REQUIRE(r.count == 1);
    CHECK_INT(r.frame[0].fragments, 3);
    CHECK_INT(r.frame[0].length, 60);
    teardown(&f);
}

TEST(basic_offset_table) {
    static const size_t lengths[] = { 10, 20, 30, 40 };
    static const uint8_t table[] = { 0, 0, 0, 0, 46, 0, 0, 0, 84, 0, 0, 0 }; /* fragments 0-1, 2, 3 */
    for (int memory = 0; memory < 2; memory++) {
        fixture f = setup();
        describe(&f.in, &(image){ 4, 4, 1, 8, NULL, "3 " });
        encapsulate(&f.in, table, sizeof table, lengths, 4, NULL, 0);
        result r = frames_of(&f, memory ? &in_memory : &in_stream, memory ? NULL : read_at);
        CHECK_INT(r.rc, 0);
        REQUIRE(r.count == 3);
        CHECK_INT(r.frame[0].fragments, 2);
        CHECK_INT(r.frame[0].length, 30);
        CHECK_INT(r.frame[1].first_fragment, 2);
        CHECK_INT(r.frame[2].first_fragment, 3);
        CHECK_INT(r.frame[2].length, 40);
        teardown(&f);
    }
}

TEST(extended_offset_table) {
    static const size_t lengths[] = { 10, 20, 30 };
    for (int kind = 0; kind < 4; kind++) {
        fixture f = setup();
        uint8_t offsets[24], sizes[24];
        static const uint64_t o[] = { 0, 18, 46 }, n[] = { 9, 20, 29 };
        for (int i = 0; i < 3; i++) {
            gn_store_le64(offsets + 8 * i, o[i]);
            gn_store_le64(sizes + 8 * i, kind == 2 ? 1000 : n[i]); /* longer than the fragment: not believed */
        }
        describe(&f.in, &(image){ 4, 4, 1, 8, NULL, "3 " });
        enc_bytes(&f.in, 0x7FE00001, "OV", offsets, 24);
        if (kind != 3) enc_bytes(&f.in, 0x7FE00002, "OV", sizes, 24);
        encapsulate(&f.in, "", 0, lengths, 3, NULL, 0);
        result r = frames_of(&f, kind == 1 ? &in_stream : &in_memory, read_at);
        CHECK_INT(r.rc, 0);
        REQUIRE(r.count == 3);
        for (size_t i = 0; i < 3; i++) {
            CHECK_INT(r.frame[i].first_fragment, i);
            CHECK_INT(r.frame[i].length, kind >= 2 ? lengths[i] : n[i]);
        }
        teardown(&f);
    }
}

TEST(T8_offset_tables_that_lie) {
    static const size_t lengths[] = { 10, 20, 30 };
    static const uint8_t bad[][12] = { { 0, 0, 0, 0, 19, 0, 0, 0, 46, 0, 0, 0 },
                                       { 0, 0, 0, 0, 46, 0, 0, 0, 18, 0, 0, 0 },
                                       { 18, 0, 0, 0, 46, 0, 0, 0, 46, 0, 0, 0 },
                                       { 0, 0, 0, 0, 18, 0, 0, 0, 255, 255, 255, 255 },
                                       { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        fixture f = setup();
        uint8_t extended[24] = { 0 };
        extended[8] = 17;
        describe(&f.in, &(image){ 4, 4, 1, 8, NULL, "3 " });
        enc_bytes(&f.in, 0x7FE00001, "OV", extended, 24);
        encapsulate(&f.in, bad[i], 12, lengths, 3, NULL, 0);
        result r = frames_of(&f, &in_memory, NULL);
        CHECK_INT(r.rc, 0); /* one fragment a frame all the same */
        REQUIRE(r.count == 3);
        CHECK_INT(r.frame[2].length, 30);
        teardown(&f);
    }
}

TEST(frames_by_the_starts_of_codestreams) {
    static const char *const heads[] = { "\xFF\xD8\xFF\xE0", "\xFF\x4F\xFF\x51", "\xFF\x0A" };
    static const size_t lengths[] = { 10, 12, 14, 16, 18 };
    for (size_t i = 0; i < GN_ARRAY_LEN(heads); i++)
        for (int memory = 0; memory < 2; memory++) {
            fixture f = setup();
            describe(&f.in, &(image){ 4, 4, 1, 8, NULL, "2 " });
            encapsulate(&f.in, "", 0, lengths, 5, heads[i], 1 | 1 << 3);
            result r = frames_of(&f, memory ? &in_memory : &in_stream, memory ? NULL : read_at);
            CHECK_INT(r.rc, 0);
            REQUIRE(r.count == 2);
            CHECK_INT(r.frame[0].fragments, 3);
            CHECK_INT(r.frame[0].length, 36);
            CHECK_INT(r.frame[1].first_fragment, 3);
            CHECK_INT(r.frame[1].length, 34);
            teardown(&f);
        }
}

TEST(frames_that_cannot_be_told_apart) {
    static const size_t lengths[] = { 10, 12, 14, 16, 18 };
    static const struct {
        unsigned heads;
        read_fn read;
        int rc;
        size_t count;
        const char *message;
    } cases[] = { { 1 | 8, NULL, GN_E_UNSUPPORTED, 0, "only be told apart by reading" },
                  { 1 | 8, read_fails, GN_E_IO, 0, "cannot be read" },
                  { 0, read_at, GN_E_INVALID, 0, "cannot be divided" },
                  { 1 | 2 | 4, read_at, GN_E_INVALID, 0, "cannot be divided" },
                  { 1, read_at, GN_E_TRUNCATED, 1, "1 of 2 frames" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        fixture f = setup();
        describe(&f.in, &(image){ 4, 4, 1, 8, NULL, "2 " });
        encapsulate(&f.in, "", 0, lengths, 5, "\xFF\xD8\xFF\xE0", cases[i].heads);
        result r = frames_of(&f, &in_stream, cases[i].read);
        CHECK_INT(r.rc, cases[i].rc);
        CHECK_INT(r.count, cases[i].count);
        CHECK(strstr(f.e.message, cases[i].message));
        teardown(&f);
    }
}

TEST(videos_are_one_stream) {
    static const size_t lengths[] = { 10, 12 };
    for (size_t fragments = 1; fragments <= 2; fragments++) {
        fixture f = setup();
        describe(&f.in, &(image){ 4, 4, 3, 8, NULL, "100 " });
        encapsulate(&f.in, "", 0, lengths, fragments, NULL, 0);
        result r = frames_of(&f, &in_stream, read_at);
        CHECK_INT(r.rc, 0);
        CHECK_INT(r.count, 1);
        CHECK_INT(r.frame[0].fragments, fragments);
        teardown(&f);
    }
}

TEST(T9_more_frames_than_fragments) {
    static const size_t lengths[] = { 10, 12, 14 };
    fixture f = setup();
    describe(&f.in, &(image){ 4, 4, 1, 8, NULL, "2147483647" });
    encapsulate(&f.in, "", 0, lengths, 3, "\xFF\xD8\xFF\xE0", 7);
    result r = frames_of(&f, &in_stream, read_at);
    CHECK_INT(r.rc, GN_E_TRUNCATED);
    CHECK_INT(r.count, 3);
    teardown(&f);
}

TEST(encapsulated_without_fragments) {
    fixture f = setup();
    describe(&f.in, &(image){ 4, 4, 1, 8, NULL, NULL });
    encapsulate(&f.in, "", 0, NULL, 0, NULL, 0);
    result r = frames_of(&f, NULL, NULL);
    CHECK_INT(r.rc, GN_E_TRUNCATED);
    r = frames_of(&f, &(dicom_read_options){ .stop_at_pixel_data = true }, NULL);
    CHECK_INT(r.rc, GN_E_UNSUPPORTED);
    teardown(&f);
}

TEST(no_memory_for_the_table) {
    gn_arena *small = gn_arena_new(4096);
    gn_error e = GN_ERROR_INIT;
    dicom_dataset *ds = dicom_dataset_new(small, &e);
    uint8_t pixel[1] = { 0 };
    dicom_element el = { .tag = PIXEL_DATA, .vr = DICOM_VR_OB, .length = 100000, .value = pixel };
    dicom_pixel_description d = { .rows = 1,
                                  .columns = 1,
                                  .samples = 1,
                                  .bits_allocated = 8,
                                  .frames = 100000,
                                  .native = true,
                                  .present = true,
                                  .element = &el };
    dicom_frame *frames;
    size_t count;
    CHECK_INT(dicom_pixel_frames(ds, &d, NULL, NULL, &frames, &count, &e), GN_E_NO_MEMORY);
    gn_arena_free(&small);
}
