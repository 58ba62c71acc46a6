/* The streaming reader: any pieces give what one piece gives; bounds of memory; errors that stay; deflated streams. */
#include "encode.h"

#include <zlib.h>

#define PIXEL_DATA DICOM_TAG(0x7FE0, 0x0010)

static unsigned next_random(unsigned *seed, unsigned below) {
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % below;
}

/* ---- comparing data sets ----------------------------------------------------------------------------------------------- */

static bool same(const dicom_dataset *a, const dicom_dataset *b);

static bool same_element(const dicom_element *x, const dicom_element *y) {
    if (x->tag != y->tag || x->vr != y->vr || x->wire_vr != y->wire_vr || x->length != y->length ||
        x->offset != y->offset)
        return false;
    if ((x->flags | DICOM_ELEMENT_BULK) != (y->flags | DICOM_ELEMENT_BULK)) return false;
    if (!x->fragments != !y->fragments) return false;
    if (x->fragments) {
        size_t n = x->fragments->count;
        return n == y->fragments->count &&
               memcmp(&x->fragments->offset_table, &y->fragments->offset_table, sizeof(dicom_extent)) == 0 &&
               (n == 0 || memcmp(x->fragments->extent, y->fragments->extent, n * sizeof(dicom_extent)) == 0);
    }
    if (x->flags != y->flags || !x->value != !y->value) return false;
    if (x->value && memcmp(x->value, y->value, x->length) != 0) return false;
    const dicom_item *i = x->items, *k = y->items;
    for (; i && k; i = i->next, k = k->next)
        if (i->offset != k->offset || i->length != k->length || !same(i->dataset, k->dataset)) return false;
    return !i && !k;
}

static bool same(const dicom_dataset *a, const dicom_dataset *b) {
    if (a->count != b->count || a->big_endian != b->big_endian || a->sorted != b->sorted) return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_element(&a->element[i], &b->element[i])) return false;
    return true;
}

/* ---- generating data sets ---------------------------------------------------------------------------------------------- */

static void generate(enc *in, unsigned *seed, unsigned depth);

static void generate_sequence(enc *in, unsigned *seed, unsigned depth, dicom_tag tag, const char *vr) {
    enc body = { .implicit = in->implicit || vr[0] == 'U', .big = in->big && vr[0] != 'U' };
    bool undefined = vr[0] == 'U' || next_random(seed, 2);
    for (unsigned items = next_random(seed, 4); items > 0; items--) {
        enc item = { .implicit = body.implicit, .big = body.big };
        bool open = next_random(seed, 2);
        generate(&item, seed, depth + 1);
        enc_tag(&body, ITEM, open ? UNDEFINED : (uint32_t)item.b.n);
        gn_buf_append(&body.b, item.b.p, item.b.n);
        if (open) enc_tag(&body, ITEM_END, 0);
        gn_buf_done(&item.b);
    }
    enc_head(in, tag, vr, undefined ? UNDEFINED : (uint32_t)body.b.n);
    gn_buf_append(&in->b, body.b.p, body.b.n);
    if (undefined) { /* in the byte order of the content */
        enc tail = { .b = in->b, .big = body.big };
        enc_tag(&tail, SEQUENCE_END, 0);
        in->b = tail.b;
    }
    gn_buf_done(&body.b);
}

static void generate(enc *in, unsigned *seed, unsigned depth) {
    static const char *const vrs[] = { "LO", "UI", "US", "OB", "UN", "UT", "PN", "FD", "??" };
    dicom_tag tag = 0x00111000; /* private: the dictionary has no say */
    for (unsigned n = next_random(seed, 8); n > 0; n--) {
        tag += 1 + next_random(seed, 40);
        unsigned kind = next_random(seed, 12);
        if (kind == 0 && depth < 5) generate_sequence(in, seed, depth, 0x00400000 + tag, "SQ");
        else if (kind == 1 && depth < 5 && !in->implicit) generate_sequence(in, seed, depth, 0x00410000 + tag, "UN");
        else {
            char value[300];
            size_t length = next_random(seed, 10) ? next_random(seed, 20) : next_random(seed, 300);
            memset(value, 'a' + (int)next_random(seed, 26), length);
            enc_bytes(in, tag, vrs[next_random(seed, in->implicit || in->big ? 8 : 9)], value, length);
        }
    }
    if (depth == 0 && next_random(seed, 3) == 0) {
        enc_head(in, PIXEL_DATA, "OB", UNDEFINED);
        for (unsigned n = next_random(seed, 5); n > 0; n--) {
            unsigned length = next_random(seed, 400);
            enc_tag(in, ITEM, length);
            enc_zeros(in, length);
        }
        enc_tag(in, SEQUENCE_END, 0);
    }
}

/* Pushes in pieces of up to `most` bytes, each in a block of its own that is freed at once. */
static int push_pieces(dicom_stream *s, const uint8_t *p, size_t n, unsigned most, unsigned *seed) {
    int rc = 0;
    for (size_t at = 0; at < n;) {
        size_t part = most == 1 ? 1 : 1 + next_random(seed, most);
        if (part > n - at) part = n - at;
        uint8_t *piece = malloc(part);
        memcpy(piece, p + at, part);
        rc = dicom_stream_push(s, piece, part, NULL);
        memset(piece, 0xEE, part);
        free(piece);
        at += part;
    }
    return rc;
}

static int stream_all(fixture *f, const dicom_transfer_syntax *ts, const dicom_stream_options *options, unsigned most,
                      unsigned *seed, dicom_dataset **out) {
    gn_error_clear(&f->e);
    dicom_stream *s = dicom_stream_new(f->a, ts, options, &f->e);
    if (!s) return f->e.code;
    (void)push_pieces(s, f->in.b.p, f->in.b.n, most, seed);
    int rc = dicom_stream_finish(s, out, &f->e);
    dicom_stream_free(&s);
    CHECK(!s);
    return rc;
}

/* ---- the property ------------------------------------------------------------------------------------------------------ */

TEST(any_pieces_give_the_same_data_set) {
    static const unsigned sizes[] = { 1, 2, 3, 7, 13, 50, 500, 100000 };
    unsigned seed = 20240229, whole_ones = 0;
    for (int round = 0; round < 400; round++) {
        fixture f = setup();
        f.in.implicit = round % 3 == 1;
        f.in.big = round % 3 == 2;
        generate(&f.in, &seed, 0);
        if (round % 10 == 9 && f.in.b.n) f.in.b.n -= next_random(&seed, (unsigned)f.in.b.n); /* some are cut */
        const dicom_transfer_syntax *ts = syntax_of(&f.in);
        dicom_dataset *whole = NULL, *pieces = NULL;
        dicom_read_options options = { .max_value = 100 };
        dicom_stream_options stream_options = { .max_value = 100 };
        gn_error e = GN_ERROR_INIT;
        int rc = dicom_dataset_read(f.a, ts, f.in.b.p ? f.in.b.p : (const uint8_t *)"", f.in.b.n, &options, &whole, &e);
        whole_ones += rc == 0;
        for (size_t i = 0; i < GN_ARRAY_LEN(sizes); i++) {
            int rcs = stream_all(&f, ts, &stream_options, sizes[i], &seed, &pieces);
            CHECK_INT(rcs, rc);
            if (rc == 0 && rcs == 0) CHECK(same(whole, pieces));
        }
        teardown(&f);
    }
    CHECK(whole_ones > 300);
}

TEST(every_place_to_cut_in_two) {
    fixture f = setup();
    unsigned seed = 7;
    enc_text(&f.in, 0x00080060, "CS", "MR");
    generate_sequence(&f.in, &seed, 3, 0x00400275, "SQ");
    enc_us(&f.in, 0x00280103, "US", 1);
    enc_bytes(&f.in, 0x00281052, "OB", "abcdef", 6);
    enc_head(&f.in, PIXEL_DATA, "OW", 40);
    enc_zeros(&f.in, 40);
    dicom_dataset *whole;
    dicom_read_options options = { .max_value = 30 };
    REQUIRE(dicom_dataset_read(f.a, syntax_of(&f.in), f.in.b.p, f.in.b.n, &options, &whole, &f.e) == 0);
    for (size_t cut = 0; cut <= f.in.b.n; cut++) {
        dicom_dataset *ds = NULL;
        dicom_stream_options stream_options = { .max_value = 30 };
        dicom_stream *s = dicom_stream_new(f.a, syntax_of(&f.in), &stream_options, &f.e);
        CHECK_INT(dicom_stream_push(s, f.in.b.p, cut, &f.e), 0);
        CHECK_INT(dicom_stream_push(s, f.in.b.p + cut, f.in.b.n - cut, &f.e), 0);
        CHECK_INT(dicom_stream_finish(s, &ds, &f.e), 0);
        CHECK(ds && same(whole, ds));
        dicom_stream_free(&s);
    }
    teardown(&f);
}

TEST(values_stay_when_the_stream_is_gone) {
    fixture f = setup();
    dicom_dataset *ds;
    unsigned seed = 1;
    enc_text(&f.in, 0x00100010, "PN", "Doe^John");
    REQUIRE(stream_all(&f, syntax_of(&f.in), NULL, 1000, &seed, &ds) == 0);
    CHECK(has_text(ds, 0x00100010, "Doe^John"));
    teardown(&f);
}

TEST(bulk_is_passed_over_and_takes_no_memory) {
    fixture f = setup();
    gn_arena *small = gn_arena_new(64 << 10);
    dicom_dataset *ds;
    static uint8_t zeros[1 << 16];
    enc_text(&f.in, 0x00080060, "CS", "MR");
    enc_head(&f.in, PIXEL_DATA, "OW", 1u << 30);
    dicom_stream *s = dicom_stream_new(small, syntax_of(&f.in), NULL, &f.e);
    REQUIRE(s);
    CHECK_INT(dicom_stream_push(s, f.in.b.p, f.in.b.n, &f.e), 0);
    for (int i = 0; i < 1 << 14; i++) CHECK_INT(dicom_stream_push(s, zeros, sizeof zeros, &f.e), 0);
    REQUIRE(dicom_stream_finish(s, &ds, &f.e) == 0);
    const dicom_element *el = dicom_dataset_find(ds, PIXEL_DATA);
    REQUIRE(el);
    CHECK_INT(el->flags, DICOM_ELEMENT_BULK);
    CHECK_INT(el->offset, f.in.b.n);
    CHECK_INT(el->length, 1u << 30);
    dicom_stream_free(&s);
    gn_arena_free(&small);
    teardown(&f);
}

/* ---- bounds ------------------------------------------------------------------------------------------------------------ */

TEST(T5_header_beyond_its_bound) {
    fixture f = setup();
    dicom_dataset *ds;
    unsigned seed = 1;
    for (unsigned i = 0; i < 1000; i++) enc_text(&f.in, DICOM_TAG(0x0011, 0x1000 + i), "LO", "0123456789");
    dicom_stream_options options = { .max_header = 4096 };
    CHECK_INT(stream_all(&f, syntax_of(&f.in), &options, 100, &seed, &ds), GN_E_TOO_LARGE);
    CHECK(strstr(f.e.message, "4096 bytes"));
    options.max_header = 18000;
    CHECK_INT(stream_all(&f, syntax_of(&f.in), &options, 100, &seed, &ds), 0);
    gn_buf_clear(&f.in.b);
    enc_head(&f.in, 0x00081115, "SQ", UNDEFINED);
    for (unsigned i = 0; i < 1000; i++) enc_tag(&f.in, ITEM, 0);
    options.max_header = 4096;
    CHECK_INT(stream_all(&f, syntax_of(&f.in), &options, 100, &seed, &ds), GN_E_TOO_LARGE);
    teardown(&f);
}

TEST(T8_more_fragments_than_allowed) {
    fixture f = setup();
    dicom_dataset *ds;
    unsigned seed = 1;
    enc_head(&f.in, PIXEL_DATA, "OB", UNDEFINED);
    for (unsigned i = 0; i < 200; i++) enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    dicom_stream_options options = { .max_fragments = 100 };
    CHECK_INT(stream_all(&f, syntax_of(&f.in), &options, 9, &seed, &ds), GN_E_TOO_LARGE);
    CHECK(strstr(f.e.where, "(7FE0,0010)[99]"));
    options.max_fragments = 200;
    CHECK_INT(stream_all(&f, syntax_of(&f.in), &options, 9, &seed, &ds), 0);
    CHECK_INT(dicom_dataset_find(ds, PIXEL_DATA)->fragments->count, 199);
    teardown(&f);
}

TEST(after_an_error_the_stream_only_counts) {
    fixture f = setup();
    dicom_dataset *ds = NULL;
    enc_tag(&f.in, ITEM, 0);
    dicom_stream *s = dicom_stream_new(f.a, syntax_of(&f.in), NULL, &f.e);
    CHECK_INT(dicom_stream_push(s, f.in.b.p, f.in.b.n, &f.e), GN_E_INVALID);
    CHECK(strstr(f.e.where, "offset 0"));
    for (int i = 0; i < 3; i++) CHECK_INT(dicom_stream_push(s, "anything", 8, NULL), GN_E_INVALID);
    gn_error later = GN_ERROR_INIT;
    CHECK_INT(dicom_stream_finish(s, &ds, &later), GN_E_INVALID);
    CHECK_STR(later.message, f.e.message);
    CHECK_STR(later.where, f.e.where);
    CHECK(!ds);
    dicom_stream_free(&s);
    dicom_stream_free(&s);
    dicom_stream_free(NULL);
    teardown(&f);
}

TEST(the_end_inside_an_element_is_truncated) {
    fixture f = setup();
    unsigned seed = 3;
    dicom_dataset *ds;
    enc_text(&f.in, 0x00100010, "PN", "Doe^John");
    enc_head(&f.in, PIXEL_DATA, "OW", 100);
    enc_zeros(&f.in, 99);
    CHECK_INT(stream_all(&f, syntax_of(&f.in), &(dicom_stream_options){ .max_value = 10 }, 10, &seed, &ds),
              GN_E_TRUNCATED);
    CHECK(strstr(f.e.where, "(7FE0,0010)"));
    CHECK_INT(stream_all(&f, syntax_of(&f.in), NULL, 10, &seed, &ds), GN_E_TRUNCATED);
    CHECK(strstr(f.e.where, "offset 16, (7FE0,0010)"));
    f.in.b.n = 20; /* inside a header */
    CHECK_INT(stream_all(&f, syntax_of(&f.in), NULL, 10, &seed, &ds), GN_E_TRUNCATED);
    teardown(&f);
}

TEST(pixel_data_that_is_cut_can_be_accepted) {
    static const dicom_stream_options kept = { .accept_cut_pixel_data = true },
                                      bulk = { .accept_cut_pixel_data = true, .max_value = 10 };
    unsigned seed = 11;
    dicom_dataset *ds;
    for (int kind = 0; kind < 3; kind++) {
        fixture f = setup();
        enc_text(&f.in, 0x00080060, "CS", "MR");
        if (kind == 2) {
            enc_head(&f.in, PIXEL_DATA, "OB", UNDEFINED);
            enc_tag(&f.in, ITEM, 0);
            enc_tag(&f.in, ITEM, 100);
        } else {
            enc_head(&f.in, PIXEL_DATA, "OW", 100);
        }
        enc_zeros(&f.in, 60);
        CHECK_INT(stream_all(&f, syntax_of(&f.in), NULL, 10, &seed, &ds), GN_E_TRUNCATED);
        REQUIRE(stream_all(&f, syntax_of(&f.in), kind ? &bulk : &kept, 10, &seed, &ds) == 0);
        const dicom_element *el = dicom_dataset_find(ds, PIXEL_DATA);
        REQUIRE(el);
        if (kind == 2) {
            REQUIRE(el->fragments && el->fragments->count == 1);
            CHECK_INT(el->fragments->extent[0].length, 60);
        } else {
            CHECK_INT(el->length, 60);
            CHECK_INT(el->value != NULL, kind == 0);
        }
        teardown(&f);
    }
    /* But not input that ends before the pixel data, not even in its offset table. */
    fixture f = setup();
    enc_head(&f.in, 0x7FE00001, "OV", 16);
    enc_zeros(&f.in, 8);
    CHECK_INT(stream_all(&f, syntax_of(&f.in), &kept, 10, &seed, &ds), GN_E_TRUNCATED);
    gn_buf_clear(&f.in.b);
    enc_head(&f.in, 0x00104000, "LT", 16);
    enc_zeros(&f.in, 8);
    CHECK_INT(stream_all(&f, syntax_of(&f.in), &kept, 10, &seed, &ds), GN_E_TRUNCATED);
    teardown(&f);
}

TEST(T7_nesting_in_a_stream) {
    fixture f = setup();
    unsigned seed = 5;
    dicom_dataset *ds;
    for (int i = 0; i < 100000; i++) {
        enc_head(&f.in, 0x00081115, "SQ", UNDEFINED);
        enc_tag(&f.in, ITEM, UNDEFINED);
    }
    CHECK_INT(stream_all(&f, syntax_of(&f.in), NULL, 1000, &seed, &ds), GN_E_TOO_DEEP);
    teardown(&f);
}

/* ---- deflated ---------------------------------------------------------------------------------------------------------- */

static void deflate_body(fixture *f, const enc *plain) {
    z_stream z = { 0 };
    deflateInit2(&z, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    size_t room = deflateBound(&z, plain->b.n) + 64;
    z.next_in = plain->b.p;
    z.avail_in = (uInt)plain->b.n;
    z.next_out = gn_buf_reserve(&f->in.b, room);
    z.avail_out = (uInt)room;
    deflate(&z, Z_FINISH);
    f->in.b.n += room - z.avail_out;
    deflateEnd(&z);
}

TEST(deflated_streams_in_any_pieces) {
    static const unsigned sizes[] = { 1, 3, 20, 1000 };
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(DICOM_TS_DEFLATED_LE);
    unsigned seed = 99;
    for (int round = 0; round < 40; round++) {
        fixture f = setup();
        enc plain = { 0 };
        gn_error e = GN_ERROR_INIT;
        enc_text(&plain, 0x00080060, "CS", "MR");
        generate(&plain, &seed, 0);
        enc_head(&plain, DICOM_TAG(0x7FE1, 0x1010), "OB", 200000);
        enc_zeros(&plain, 200000);
        deflate_body(&f, &plain);
        dicom_dataset *whole, *pieces;
        REQUIRE(dicom_dataset_read(f.a, syntax_of(&plain), plain.b.p, plain.b.n, NULL, &whole, &e) == 0);
        for (size_t i = 0; i < GN_ARRAY_LEN(sizes); i++) {
            CHECK_INT(stream_all(&f, ts, NULL, sizes[i], &seed, &pieces), 0);
            CHECK(same(whole, pieces));
        }
        f.in.b.n--;
        CHECK_INT(stream_all(&f, ts, NULL, 50, &seed, &pieces), GN_E_TRUNCATED);
        f.in.b.n = 1;
        CHECK_INT(stream_all(&f, ts, NULL, 50, &seed, &pieces), GN_E_TRUNCATED);
        f.in.b.n = 0;
        CHECK_INT(stream_all(&f, ts, NULL, 50, &seed, &pieces), 0);
        gn_buf_done(&plain.b);
        teardown(&f);
    }
}

TEST(T6_limit_of_a_deflated_stream) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(DICOM_TS_DEFLATED_LE);
    fixture f = setup();
    enc plain = { 0 };
    unsigned seed = 1;
    dicom_dataset *ds;
    enc_head(&plain, PIXEL_DATA, "OB", 8 << 20);
    enc_zeros(&plain, 8 << 20);
    deflate_body(&f, &plain);
    CHECK_INT(stream_all(&f, ts, &(dicom_stream_options){ .max_inflated = 1 << 20 }, 1000, &seed, &ds), GN_E_TOO_LARGE);
    CHECK_INT(stream_all(&f, ts, NULL, 1000, &seed, &ds), 0);
    gn_buf_done(&plain.b);
    teardown(&f);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

TEST(failing_allocations_in_a_stream) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(DICOM_TS_DEFLATED_LE);
    for (unsigned nth = 1; nth < 8; nth++) {
        fixture f = setup();
        enc plain = { 0 };
        dicom_dataset *ds;
        unsigned seed = 1;
        enc_text(&plain, 0x00080060, "CS", "MR");
        enc_head(&plain, PIXEL_DATA, "OB", UNDEFINED);
        enc_tag(&plain, ITEM, 0);
        enc_tag(&plain, ITEM, 0);
        enc_tag(&plain, SEQUENCE_END, 0);
        deflate_body(&f, &plain);
        dicom_stream *s;
        gn_error e = GN_ERROR_INIT;
        check_fail_alloc(nth);
        s = dicom_stream_new(f.a, ts, NULL, &e);
        if (s) {
            (void)dicom_stream_push(s, f.in.b.p, f.in.b.n, NULL);
            int rc = dicom_stream_finish(s, &ds, &e);
            unsigned failed = check_failed_allocs();
            CHECK(failed ? rc == GN_E_NO_MEMORY : rc == 0);
            dicom_stream_free(&s);
        } else {
            CHECK_INT(e.code, GN_E_NO_MEMORY);
        }
        check_fail_alloc(0);
        (void)seed;
        gn_buf_done(&plain.b);
        teardown(&f);
    }
}
