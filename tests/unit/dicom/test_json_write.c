/* The JSON model, written (PS3.18 Annex F): every VR, names by component groups, numbers that are none, bulk, order, nesting. */
#include "encode.h"

#include <math.h>

#define SEQ_A DICOM_TAG(0x0008, 0x1115)
#define PIXEL_DATA DICOM_TAG(0x7FE0, 0x0010)

/* The JSON of f->ds, in out. */
static const char *json_of(fixture *f, const dicom_json_options *options, gn_buf *out) {
    gn_json j;
    gn_buf_clear(out);
    gn_json_init(&j, out);
    gn_error_clear(&f->e);
    return dicom_json_write(f->ds, options, &j, &f->e) ? f->e.message : (const char *)out->p;
}

/* One element with these bytes is written as this JSON object (without its name). */
static void check_element(dicom_tag tag, dicom_vr vr, const void *bytes, size_t n, bool big, const char *want) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    char whole[1024];
    dicom_element el = { .tag = tag, .vr = vr, .length = (uint32_t)n, .value = n ? bytes : NULL };
    dicom_dataset ds = { .arena = f.a, .element = &el, .count = 1, .sorted = true, .big_endian = big };
    f.ds = &ds;
    (void)snprintf(whole, sizeof whole, "{\"%08X\":%s}", (unsigned)tag, want);
    CHECK_STR(json_of(&f, NULL, &out), whole);
    gn_buf_done(&out);
    teardown(&f);
}
#define TEXT(vr, text, want) check_element(0x00111011, DICOM_VR_##vr, text, sizeof(text) - 1, false, want)

TEST(text_of_every_vr) {
    TEXT(AE, "STORE ", "{\"vr\":\"AE\",\"Value\":[\"STORE\"]}");
    TEXT(AS, "042Y", "{\"vr\":\"AS\",\"Value\":[\"042Y\"]}");
    TEXT(CS, "ORIGINAL\\PRIMARY ", "{\"vr\":\"CS\",\"Value\":[\"ORIGINAL\",\"PRIMARY\"]}");
    TEXT(DA, "20240229", "{\"vr\":\"DA\",\"Value\":[\"20240229\"]}");
    TEXT(DT, "2024", "{\"vr\":\"DT\",\"Value\":[\"2024\"]}");
    TEXT(LO, " A \\ B ", "{\"vr\":\"LO\",\"Value\":[\"A\",\"B\"]}");
    TEXT(LT, " A\\B\r\n", "{\"vr\":\"LT\",\"Value\":[\" A\\\\B\\r\\n\"]}");
    TEXT(SH, "x", "{\"vr\":\"SH\",\"Value\":[\"x\"]}");
    TEXT(ST, "a\tb", "{\"vr\":\"ST\",\"Value\":[\"a\\tb\"]}");
    TEXT(TM, "1015", "{\"vr\":\"TM\",\"Value\":[\"1015\"]}");
    TEXT(UC, " a\\b ", "{\"vr\":\"UC\",\"Value\":[\" a\",\"b\"]}");
    TEXT(UI, "1.2.3\0", "{\"vr\":\"UI\",\"Value\":[\"1.2.3\"]}");
    TEXT(UR, "http://x/?a=\"b\" ", "{\"vr\":\"UR\",\"Value\":[\"http://x/?a=\\\"b\\\"\"]}");
    TEXT(UT, "\1\x7F\b\f", "{\"vr\":\"UT\",\"Value\":[\"\\u0001\\u007F\\b\\f\"]}");
}

TEST(empty_values) {
    TEXT(LO, "", "{\"vr\":\"LO\"}");
    TEXT(LO, "  ", "{\"vr\":\"LO\"}");
    TEXT(LO, "a\\\\b", "{\"vr\":\"LO\",\"Value\":[\"a\",null,\"b\"]}");
    TEXT(LO, "\\", "{\"vr\":\"LO\",\"Value\":[null,null]}");
    TEXT(DS, "1\\", "{\"vr\":\"DS\",\"Value\":[1,null]}");
    TEXT(US, "", "{\"vr\":\"US\"}");
    TEXT(US, "\1", "{\"vr\":\"US\"}");
    TEXT(OB, "", "{\"vr\":\"OB\"}");
    TEXT(SQ, "", "{\"vr\":\"SQ\"}");
    TEXT(PN, "", "{\"vr\":\"PN\"}");
    TEXT(PN, "^^^^", "{\"vr\":\"PN\"}");
}

TEST(names_by_component_groups) {
    TEXT(PN, "Doe^John ", "{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"Doe^John\"}]}");
    TEXT(PN, "A=B=C", "{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"A\",\"Ideographic\":\"B\",\"Phonetic\":\"C\"}]}");
    TEXT(PN, "=B", "{\"vr\":\"PN\",\"Value\":[{\"Ideographic\":\"B\"}]}");
    TEXT(PN, "==C", "{\"vr\":\"PN\",\"Value\":[{\"Phonetic\":\"C\"}]}");
    TEXT(PN, "A\\\\B=", "{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"A\"},null,{\"Alphabetic\":\"B\"}]}");
    TEXT(PN, "a=b=c=d", "{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"a\",\"Ideographic\":\"b\",\"Phonetic\":\"c\"}]}");
}

TEST(decimal_and_integer_strings) {
    TEXT(IS, "12\\-3\\+4\\0005", "{\"vr\":\"IS\",\"Value\":[12,-3,4,5]}");
    TEXT(IS, "1A\\1.0\\1e3\\-\\123456789012345678",
         "{\"vr\":\"IS\",\"Value\":[\"1A\",\"1.0\",\"1e3\",\"-\",\"123456789012345678\"]}");
    TEXT(IS, "-0\\0\\00", "{\"vr\":\"IS\",\"Value\":[0,0,0]}");
    TEXT(DS, "1.50\\-.5\\5.\\+1.5E+3\\007.25", "{\"vr\":\"DS\",\"Value\":[1.50,-0.5,5,1.5E+3,7.25]}");
    TEXT(DS, "-0\\-0.0\\.\\1e\\1e+\\1e999\\nan\\1,5",
         "{\"vr\":\"DS\",\"Value\":[0,-0.0,\".\",\"1e\",\"1e+\",\"1e999\",\"nan\",\"1,5\"]}");
    TEXT(DS, "1234567890123456789012345", "{\"vr\":\"DS\",\"Value\":[\"1234567890123456789012345\"]}");
    TEXT(DS, "18446744073709551615\\1234567890123456.5",
         "{\"vr\":\"DS\",\"Value\":[\"18446744073709551615\",1234567890123456.5]}");
    TEXT(DS, "1 2", "{\"vr\":\"DS\",\"Value\":[\"1 2\"]}");
}

TEST(binary_numbers) {
    TEXT(US, "\x34\x12\xFF\xFF", "{\"vr\":\"US\",\"Value\":[4660,65535]}");
    TEXT(SS, "\xFE\xFF", "{\"vr\":\"SS\",\"Value\":[-2]}");
    TEXT(UL, "\xFF\xFF\xFF\xFF", "{\"vr\":\"UL\",\"Value\":[4294967295]}");
    TEXT(SL, "\0\0\0\x80", "{\"vr\":\"SL\",\"Value\":[-2147483648]}");
    TEXT(AT, "\x10\x00\x0D\xAB", "{\"vr\":\"AT\",\"Value\":[\"0010AB0D\"]}");
    TEXT(SV, "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0\0\0\0\x80",
         "{\"vr\":\"SV\",\"Value\":[-2,\"-9223372036854775808\"]}");
    TEXT(UV, "\0\0\0\0\0\0\x20\0\1\0\0\0\0\0\x20\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
         "{\"vr\":\"UV\",\"Value\":[9007199254740992,\"9007199254740993\",\"18446744073709551615\"]}");
    check_element(0x00280010, DICOM_VR_US, "\x12\x34", 2, true, "{\"vr\":\"US\",\"Value\":[4660]}");
    check_element(0x00209165, DICOM_VR_AT, "\x00\x10\xAB\x0D", 4, true, "{\"vr\":\"AT\",\"Value\":[\"0010AB0D\"]}");
    check_element(0x00720083, DICOM_VR_UV, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE", 8, true,
                  "{\"vr\":\"UV\",\"Value\":[\"18446744073709551614\"]}");
}

TEST(floating_point_numbers) {
    static const struct {
        double v;
        const char *want;
    } cases[] = { { 0, "0" },
                  { 1, "1" },
                  { -1.5, "-1.5" },
                  { 0.1, "0.1" },
                  { 123456.789, "123456.789" },
                  { 1e22, "1e+22" },
                  { 1e-7, "1e-07" },
                  { 0.0001, "0.0001" },
                  { 1.0 / 3, "0.3333333333333333" },
                  { -1e300, "-1e+300" },
                  { 9007199254740991.0, "9007199254740991" },
                  { (double)NAN, "\"NaN\"" },
                  { (double)INFINITY, "\"Infinity\"" },
                  { -(double)INFINITY, "\"-Infinity\"" },
                  { -0.0, "-0.0" },
                  { 4.9406564584124654e-324, "4.94065645841247e-324" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        uint8_t bytes[8];
        uint64_t bits;
        char want[80];
        memcpy(&bits, &cases[i].v, 8);
        gn_store_le64(bytes, bits);
        (void)snprintf(want, sizeof want, "{\"vr\":\"FD\",\"Value\":[%s]}", cases[i].want);
        check_element(0x00189306, DICOM_VR_FD, bytes, 8, false, want);
    }
}

TEST(single_floats_are_as_short_as_floats_can_be) {
    static const struct {
        float v;
        const char *want;
    } cases[] = { { 0.1f, "0.1" },
                  { 16777216.0f, "16777216" },
                  { 1.0f / 3, "0.333333343" },
                  { -77.2040634f, "-77.2040634" },
                  { 3.4e38f, "3.4e+38" },
                  { 1e-10f, "1e-10" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        uint8_t bytes[4];
        uint32_t bits;
        char want[80], got[300];
        fixture f = setup();
        gn_buf out = GN_BUF_INIT;
        memcpy(&bits, &cases[i].v, 4);
        gn_store_le32(bytes, bits);
        f.ds = dicom_dataset_new(f.a, &f.e);
        CHECK_INT(dicom_dataset_put(f.ds, 0x00720076, DICOM_VR_FL, bytes, 4, &f.e), 0);
        (void)snprintf(got, sizeof got, "%s", json_of(&f, NULL, &out));
        const char *p = strchr(got, '[');
        REQUIRE(p);
        float back = strtof(p + 1, NULL);
        CHECK(memcmp(&back, &cases[i].v, 4) == 0);
        (void)snprintf(want, sizeof want, "{\"00720076\":{\"vr\":\"FL\",\"Value\":[%s]}}", cases[i].want);
        CHECK(strlen(got) <= strlen(want));
        gn_buf_done(&out);
        teardown(&f);
    }
}

TEST(floats_read_back_equal) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    unsigned seed = 5;
    for (int i = 0; i < 3000; i++) {
        uint8_t bytes[8];
        for (int k = 0; k < 8; k++) {
            seed = seed * 1103515245u + 12345u;
            bytes[k] = (uint8_t)(seed >> 16);
        }
        if (i % 3 == 0) { /* short decimals too */
            double d = (double)(int)(seed >> 8) / 1000;
            uint64_t bits;
            memcpy(&bits, &d, 8);
            gn_store_le64(bytes, bits);
        }
        f.ds = dicom_dataset_new(f.a, &f.e);
        dicom_dataset_put(f.ds, 0x00189306, DICOM_VR_FD, bytes, 8, &f.e);
        const char *p = strchr(json_of(&f, NULL, &out), '[');
        REQUIRE(p);
        double back = strtod(p + 1, NULL), want;
        dicom_element_double(f.ds, f.ds->element, 0, &want);
        if (isfinite(want)) CHECK(memcmp(&back, &want, 8) == 0);
    }
    gn_buf_done(&out);
    teardown(&f);
}

/* ---- binary ------------------------------------------------------------------------------------------------------------ */

TEST(inline_binary) {
    TEXT(OB, "\0\1", "{\"vr\":\"OB\",\"InlineBinary\":\"AAE=\"}");
    TEXT(OB, "abc", "{\"vr\":\"OB\",\"InlineBinary\":\"YWJj\"}");
    TEXT(UN, "a", "{\"vr\":\"UN\",\"InlineBinary\":\"YQ==\"}");
    TEXT(OW, "\xFB\xFF\xBF\xFE", "{\"vr\":\"OW\",\"InlineBinary\":\"+/+//g==\"}");
    check_element(0x00281201, DICOM_VR_OW, "\1\2\3\4", 4, true, "{\"vr\":\"OW\",\"InlineBinary\":\"AgEEAw==\"}");
    check_element(0x00281201, DICOM_VR_OF, "\1\2\3\4", 4, true, "{\"vr\":\"OF\",\"InlineBinary\":\"BAMCAQ==\"}");
    check_element(0x00281201, DICOM_VR_OD, "\1\2\3\4\5\6\7\10", 8, true,
                  "{\"vr\":\"OD\",\"InlineBinary\":\"CAcGBQQDAgE=\"}");
    check_element(0x00281201, DICOM_VR_UN, "\1\2", 2, true, "{\"vr\":\"UN\",\"InlineBinary\":\"AQI=\"}");
    check_element(0x00281201, DICOM_VR('Z', 'Z'), "\1\2", 2, false, "{\"vr\":\"UN\"}");
}

static bool uri(void *ctx, const dicom_element *el, const char *path, gn_buf *out) {
    (void)el;
    if (!*(bool *)ctx) return false;
    gn_buf_puts(out, "http://x/\"");
    gn_buf_puts(out, path);
    return true;
}

TEST(bulk_data_by_uri) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    bool give = true;
    dicom_json_options options = { .bulk_uri = uri, .ctx = &give, .max_inline = 4 };
    dicom_read_options read_options = { .max_value = 8 };
    enc_head(&f.in, SEQ_A, "SQ", UNDEFINED);
    enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, ITEM, UNDEFINED);
    enc_bytes(&f.in, PIXEL_DATA, "OB", "123456", 6);
    enc_tag(&f.in, ITEM_END, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    enc_text(&f.in, 0x00104000, "LT", "longer than eight");
    enc_bytes(&f.in, 0x00281201, "OW", "1234", 4);
    enc_head(&f.in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    REQUIRE(read_with(&f, syntax_of(&f.in), &read_options) == 0);
    CHECK_STR(json_of(&f, &options, &out),
              "{\"00081115\":{\"vr\":\"SQ\",\"Value\":[{},{\"7FE00010\":{\"vr\":\"OB\",\"BulkDataURI\":"
              "\"http://x/\\\"00081115/1/7FE00010\"}}]},\"00104000\":{\"vr\":\"LT\",\"BulkDataURI\":\"http://x/"
              "\\\"00104000\"},"
              "\"00281201\":{\"vr\":\"OW\",\"InlineBinary\":\"MTIzNA==\"},"
              "\"7FE00010\":{\"vr\":\"OB\",\"BulkDataURI\":\"http://x/\\\"7FE00010\"}}");
    give = false;
    CHECK(!strstr(json_of(&f, &options, &out), "BulkDataURI"));
    options.bulk_uri = NULL;
    CHECK(!strstr(json_of(&f, &options, &out), "BulkDataURI"));
    teardown(&f);
    gn_buf_done(&out);
}

/* ---- structure --------------------------------------------------------------------------------------------------------- */

TEST(nested_sequences) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    dicom_dataset *item, *inner;
    f.ds = dicom_dataset_new(f.a, &f.e);
    dicom_dataset_add_item(f.ds, SEQ_A, &item, &f.e);
    dicom_dataset_put_u16(item, 0x00280010, 1, &f.e);
    dicom_dataset_add_item(item, 0x00081199, &inner, &f.e);
    dicom_dataset_put_string(inner, 0x00081155, DICOM_VR_UI, "1.2", &f.e);
    dicom_dataset_add_item(f.ds, SEQ_A, &item, &f.e);
    dicom_dataset_put_sequence(f.ds, 0x00081140, &f.e);
    dicom_dataset_put_string(f.ds, 0x00100020, DICOM_VR_LO, "ID", &f.e);
    CHECK_STR(json_of(&f, NULL, &out),
              "{\"00081115\":{\"vr\":\"SQ\",\"Value\":[{\"00081199\":{\"vr\":\"SQ\",\"Value\":[{\"00081155\":{\"vr\":"
              "\"UI\",\"Value\":"
              "[\"1.2\"]}}]},\"00280010\":{\"vr\":\"US\",\"Value\":[1]}},{}]},\"00081140\":{\"vr\":\"SQ\"},"
              "\"00100020\":{\"vr\":\"LO\",\"Value\":[\"ID\"]}}");
    gn_buf_done(&out);
    teardown(&f);
}

TEST(empty_data_set_and_group_lengths) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    f.ds = dicom_dataset_new(f.a, &f.e);
    CHECK_STR(json_of(&f, NULL, &out), "{}");
    dicom_dataset_put_u32(f.ds, 0x00080000, 10, &f.e);
    CHECK_STR(json_of(&f, NULL, &out), "{}");
    dicom_json_options options = { .with_group_lengths = true };
    CHECK_STR(json_of(&f, &options, &out), "{\"00080000\":{\"vr\":\"UL\",\"Value\":[10]}}");
    gn_buf_done(&out);
    teardown(&f);
}

TEST(several_objects_in_an_array) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    gn_json j;
    f.ds = dicom_dataset_new(f.a, &f.e);
    gn_json_init(&j, &out);
    gn_json_open(&j, '[');
    CHECK_INT(dicom_json_write(f.ds, NULL, &j, &f.e), 0);
    CHECK_INT(dicom_json_write(f.ds, NULL, &j, &f.e), 0);
    gn_json_close(&j, ']');
    CHECK_STR((const char *)out.p, "[{},{}]");
    gn_buf_done(&out);
    teardown(&f);
}

TEST(T5_unsorted_input_is_sorted_and_each_name_comes_once) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_text(&f.in, 0x00100020, "LO", "b ");
    enc_text(&f.in, 0x00080060, "CS", "MR");
    enc_text(&f.in, 0x00080060, "CS", "CT");
    enc_text(&f.in, 0x00080005, "CS", "");
    REQUIRE(read_in(&f) == 0);
    CHECK_STR(
        json_of(&f, NULL, &out),
        "{\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 192\"]},\"00080060\":{\"vr\":\"CS\",\"Value\":[\"MR\"]},"
        "\"00100020\":{\"vr\":\"LO\",\"Value\":[\"b\"]}}");
    gn_buf_done(&out);
    teardown(&f);
}

TEST(un_sequences_are_sequences) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_head(&f.in, 0x44531001, "UN", UNDEFINED);
    enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    enc_head(&f.in, 0x44531002, "UN", UNDEFINED);
    enc_tag(&f.in, SEQUENCE_END, 0);
    REQUIRE(read_in(&f) == 0);
    CHECK_STR(json_of(&f, NULL, &out), "{\"44531001\":{\"vr\":\"SQ\",\"Value\":[{}]},\"44531002\":{\"vr\":\"SQ\"}}");
    gn_buf_done(&out);
    teardown(&f);
}

TEST(character_sets_become_utf8) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_text(&f.in, 0x00080005, "CS", "ISO_IR 100");
    enc_head(&f.in, SEQ_A, "SQ", UNDEFINED);
    enc_tag(&f.in, ITEM, UNDEFINED);
    enc_text(&f.in, 0x00104000, "LT", "\xE9\xE8"); /* inherited */
    enc_tag(&f.in, ITEM_END, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    enc_text(&f.in, 0x00100010, "PN", "M\xFCller^A\\\xC4");
    REQUIRE(read_in(&f) == 0);
    CHECK_STR(json_of(&f, NULL, &out), "{\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR "
                                       "192\"]},\"00081115\":{\"vr\":\"SQ\",\"Value\":[{\"00104000\":{\"vr\":\"LT\","
                                       "\"Value\":[\"\xC3\xA9\xC3\xA8\"]}}]},\"00100010\":{\"vr\":\"PN\",\"Value\":[{"
                                       "\"Alphabetic\":\"M\xC3\xBCller^A\"},"
                                       "{\"Alphabetic\":\"\xC3\x84\"}]}}");
    gn_buf_done(&out);
    teardown(&f);
}

/* In Shift JIS and its like a byte 5C can be half a character: text is decoded before it is split. */
TEST(backslash_inside_a_character) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_text(&f.in, 0x00080005, "CS", "GB18030 ");
    enc_text(&f.in, 0x00100020, "LO", "\x8F\x5C\\b ");
    REQUIRE(read_in(&f) == 0);
    const char *text = json_of(&f, NULL, &out);
    CHECK(strstr(text, "\",\"b\"]"));
    CHECK(gn_utf8_valid(out.p, out.n));
    gn_buf_done(&out);
    teardown(&f);
}

TEST(T23_any_bytes_give_valid_json_text) {
    for (unsigned round = 0; round < 200; round++) {
        fixture f = setup();
        gn_buf out = GN_BUF_INIT;
        char bytes[9000];
        size_t n = round < 190 ? 1 + round : sizeof bytes - round;
        for (size_t i = 0; i < n; i++) bytes[i] = (char)(i * 7 + round * 13 + (i >> 3));
        f.ds = dicom_dataset_new(f.a, &f.e);
        CHECK_INT(dicom_dataset_put(f.ds, 0x00104000, round & 1 ? DICOM_VR_UT : DICOM_VR_LO, bytes, n, &f.e), 0);
        (void)json_of(&f, NULL, &out);
        CHECK(gn_utf8_valid(out.p, out.n));
        for (size_t i = 0; i < out.n; i++) CHECK(out.p[i] >= 0x20 && out.p[i] != 0x7F);
        dicom_dataset *back;
        CHECK_INT(dicom_json_read(f.a, (const char *)out.p, out.n, &back, &f.e), 0);
        gn_buf_done(&out);
        teardown(&f);
    }
}

TEST(T7_depth_is_bounded) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    f.ds = dicom_dataset_new(f.a, &f.e);
    dicom_dataset *at = f.ds;
    for (int i = 0; i < DICOM_MAX_DEPTH; i++) REQUIRE(dicom_dataset_add_item(at, SEQ_A, &at, &f.e) == 0);
    CHECK(strncmp(json_of(&f, NULL, &out), "{\"00081115\"", 11) == 0);
    at->parent = NULL;
    REQUIRE(dicom_dataset_add_item(at, SEQ_A, &at, &f.e) == 0);
    CHECK(strstr(json_of(&f, NULL, &out), "nested deeper"));
    gn_buf_done(&out);
    teardown(&f);
}

TEST(a_full_buffer_is_an_error) {
    fixture f = setup();
    dicom_dataset *item;
    f.ds = dicom_dataset_new(f.a, &f.e);
    dicom_dataset_put_string(f.ds, 0x00100010, DICOM_VR_PN, "M\xFC=b", &f.e);
    dicom_dataset_put_u16(f.ds, 0x00280010, 5, &f.e);
    dicom_dataset_put(f.ds, PIXEL_DATA, DICOM_VR_OB, "abc", 3, &f.e);
    dicom_dataset_add_item(f.ds, SEQ_A, &item, &f.e);
    gn_buf whole = GN_BUF_INIT;
    (void)json_of(&f, NULL, &whole);
    for (size_t limit = 1; limit < whole.n; limit++) {
        gn_buf out = { .limit = limit };
        gn_json j;
        gn_json_init(&j, &out);
        CHECK_INT(dicom_json_write(f.ds, NULL, &j, NULL), GN_E_TOO_LARGE);
        gn_buf_done(&out);
    }
    gn_buf_done(&whole);
    teardown(&f);
}

TEST(no_memory_to_sort) {
    gn_arena *small = gn_arena_new(4096);
    gn_buf out = GN_BUF_INIT;
    gn_json j;
    gn_error e = GN_ERROR_INIT;
    static dicom_element elements[1000];
    for (size_t i = 0; i < 1000; i++) elements[i] = (dicom_element){ .tag = (dicom_tag)(1000 - i), .vr = DICOM_VR_LO };
    dicom_dataset ds = { .arena = small, .element = elements, .count = 1000 };
    gn_json_init(&j, &out);
    CHECK_INT(dicom_json_write(&ds, NULL, &j, &e), GN_E_NO_MEMORY);
    gn_buf_done(&out);
    gn_arena_free(&small);
}
