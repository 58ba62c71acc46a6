/* The JSON model, read: every VR, strict types, errors with their paths, depth and size, what was written reads again. */
#include "encode.h"

#include <math.h>

static int read_text(fixture *f, const char *text) {
    gn_error_clear(&f->e);
    f->ds = NULL;
    return dicom_json_read(f->a, text, strlen(text), &f->ds, &f->e);
}

/* {"tag":body} gives an element with these bytes. */
static void check_value(dicom_tag tag, const char *body, dicom_vr vr, const void *bytes, size_t n) {
    fixture f = setup();
    char text[600];
    (void)snprintf(text, sizeof text, "{\"%08X\":%s}", (unsigned)tag, body);
    int rc = read_text(&f, text);
    CHECK_INT(rc, 0);
    if (rc) (void)fprintf(stderr, "%s: %s (%s)\n", text, f.e.message, f.e.where);
    const dicom_element *el = rc == 0 ? dicom_dataset_find(f.ds, tag) : NULL;
    if (rc == 0) CHECK(el != NULL);
    if (el) {
        CHECK(el->vr == vr);
        CHECK_MEM2(el->value ? el->value : (const uint8_t *)"", el->length, bytes, n);
    }
    teardown(&f);
}
#define VALUE(vr, body, bytes) \
    check_value(0x00111001, "{\"vr\":\"" #vr "\"," body "}", DICOM_VR_##vr, bytes, sizeof(bytes) - 1)

TEST(text_of_every_vr) {
    VALUE(LO, "\"Value\":[\"a\",\"b\"]", "a\\b ");
    VALUE(LO, "\"Value\":[\"a\",null,\"c\"]", "a\\\\c");
    VALUE(LO, "\"Value\":[]", "");
    VALUE(LO, "\"Value\":[null]", "");
    VALUE(LO, "\"Value\":[\"\"]", "");
    VALUE(UI, "\"Value\":[\"1.2.3\"]", "1.2.3\0");
    VALUE(LT, "\"Value\":[\"a\\nb\\\\c\"]", "a\nb\\c ");
    VALUE(UT, "\"Value\":[\"x\\u0000y\"]", "x\0y ");
    VALUE(CS, "\"Value\":[\"MR\"],\"unknown\":5", "MR");
    check_value(0x00080060, "{\"vr\":\"CS\"}", DICOM_VR_CS, "", 0);
    check_value(0x00080060, "{\"Value\":[\"MR\"]}", DICOM_VR_CS, "MR", 2); /* the dictionary knows */
    check_value(0x0008103E, "{\"vr\":\"LO\",\"Value\":[\"MR\"]}", DICOM_VR_LO, "MR", 2);
}

TEST(names) {
    VALUE(PN, "\"Value\":[{\"Alphabetic\":\"Doe^J\"}]", "Doe^J ");
    VALUE(PN, "\"Value\":[{\"Alphabetic\":\"A\",\"Ideographic\":\"B\",\"Phonetic\":\"C\"}]", "A=B=C ");
    VALUE(PN, "\"Value\":[{\"Phonetic\":\"C\"}]", "==C ");
    VALUE(PN, "\"Value\":[{\"Ideographic\":\"B\",\"Phonetic\":null,\"Alphabetic\":\"\"}]", "=B");
    VALUE(PN, "\"Value\":[{\"Alphabetic\":\"A\"},null,{}]", "A\\\\ ");
}

TEST(numbers_as_text) {
    VALUE(IS, "\"Value\":[12,\"13\",-4,5.0]", "12\\13\\-4\\5");
    VALUE(IS, "\"Value\":[\"1A\"]", "1A");
    VALUE(DS, "\"Value\":[1.5,\"2.50\",3]", "1.5\\2.50\\3");
    VALUE(DS, "\"Value\":[0.1]", "0.1 ");
    VALUE(DS, "\"Value\":[-1e-7]", "-1e-07");
    VALUE(DS, "\"Value\":[0.123456789012345678]", "0.12345678901235");
    VALUE(DS, "\"Value\":[-1.2345678901234567e-100]", "-1.23456789e-100"); /* at most 16 characters */
}

TEST(binary_numbers) {
    VALUE(US, "\"Value\":[0,65535]", "\0\0\xFF\xFF");
    VALUE(SS, "\"Value\":[-32768,32767]", "\0\x80\xFF\x7F");
    VALUE(UL, "\"Value\":[4294967295]", "\xFF\xFF\xFF\xFF");
    VALUE(SL, "\"Value\":[-2147483648]", "\0\0\0\x80");
    VALUE(SV, "\"Value\":[-2,\"-9223372036854775808\"]", "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0\0\0\0\x80");
    VALUE(UV, "\"Value\":[\"18446744073709551615\",\"+1\"]", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1\0\0\0\0\0\0\0");
    VALUE(US, "\"Value\":[5.0]", "\5\0");
    VALUE(US, "\"Value\":[null]", "");
    VALUE(US, "\"Value\":[1,null]", "\1\0");
    VALUE(US, "\"Value\":[]", "");
    VALUE(AT, "\"Value\":[\"0010AB0d\"]", "\x10\0\x0D\xAB");
    VALUE(FL, "\"Value\":[1.5,\"Infinity\",\"-inf\"]", "\0\0\xC0\x3F\0\0\x80\x7F\0\0\x80\xFF");
    VALUE(FD, "\"Value\":[1,\"-Infinity\"]", "\0\0\0\0\0\0\xF0\x3F\0\0\0\0\0\0\xF0\xFF");
}

TEST(not_a_number) {
    fixture f = setup();
    double d;
    REQUIRE(read_text(&f, "{\"00189306\":{\"vr\":\"FD\",\"Value\":[\"NaN\",\"nan\"]}}") == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, 0x00189306);
    CHECK(dicom_element_double(f.ds, el, 0, &d) && isnan(d));
    CHECK(dicom_element_double(f.ds, el, 1, &d) && isnan(d));
    teardown(&f);
}

TEST(inline_binary) {
    VALUE(OB, "\"InlineBinary\":\"YWJj\"", "abc\0");
    VALUE(OW, "\"InlineBinary\":\"AAECAw==\"", "\0\1\2\3");
    VALUE(OB, "\"InlineBinary\":\"YQ\"", "a\0");
    VALUE(OB, "\"InlineBinary\":\"+/+//g==\"", "\xFB\xFF\xBF\xFE");
    VALUE(UN, "\"InlineBinary\":\"\"", "");
    VALUE(US, "\"InlineBinary\":\"AQI=\"", "\1\2");
}

TEST(bulk_data_uri_is_kept_and_not_fetched) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    gn_json j;
    const char *text = "{\"7FE00010\":{\"vr\":\"OW\",\"BulkDataURI\":\"http://x/\\\"1\"}}";
    REQUIRE(read_text(&f, text) == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, 0x7FE00010);
    REQUIRE(el);
    CHECK_INT(el->flags, DICOM_ELEMENT_BULK);
    CHECK_INT(el->length, 0);
    CHECK_STR((const char *)el->value, "http://x/\"1");
    gn_json_init(&j, &out);
    CHECK_INT(dicom_json_write(f.ds, NULL, &j, &f.e), 0);
    CHECK_STR((const char *)out.p, text);
    gn_buf_done(&out);
    teardown(&f);
}

TEST(sequences) {
    fixture f = setup();
    REQUIRE(read_text(&f, "[{\"00081115\":{\"vr\":\"SQ\",\"Value\":[{\"00081199\":{\"vr\":\"SQ\",\"Value\":[{},{"
                          "\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2\"]}}]},"
                          "\"0020000E\":{\"vr\":\"UI\",\"Value\":[\"1\"]}}]},\"00081140\":{\"vr\":\"SQ\"},\"00081155\":"
                          "{\"vr\":\"SQ\",\"Value\":[]}},5]") == 0);
    const dicom_element *el = dicom_dataset_find(f.ds, 0x00081115);
    REQUIRE(el && el->items);
    CHECK(has_text(el->items->dataset, 0x0020000E, "1"));
    const dicom_element *inner = dicom_dataset_find(el->items->dataset, 0x00081199);
    CHECK_INT(dicom_element_vm(inner), 2);
    CHECK(has_text(inner->items->next->dataset, 0x00081155, "1.2"));
    CHECK(inner->items->dataset->parent == el->items->dataset);
    CHECK(dicom_dataset_find(f.ds, 0x00081140)->vr == DICOM_VR_SQ);
    CHECK_INT(dicom_element_vm(dicom_dataset_find(f.ds, 0x00081155)), 0);
    teardown(&f);
}

TEST(character_set_of_what_was_read) {
    static const struct {
        const char *text, *set;
    } cases[] = { { "{\"00100020\":{\"vr\":\"LO\",\"Value\":[\"ascii\"]}}", NULL },
                  { "{\"00100020\":{\"vr\":\"LO\",\"Value\":[\"\\u00e4\"]}}", "ISO_IR 192" },
                  { "{\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR "
                    "100\"]},\"00100020\":{\"vr\":\"LO\",\"Value\":[\"\\u00e4\"]}}",
                    "ISO_IR 192" },
                  { "{\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 100\"]}}", "ISO_IR 192" },
                  { "{\"00081115\":{\"vr\":\"SQ\",\"Value\":[{\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Ideographic\":"
                    "\"\\u5c71\"}]}}]}}",
                    "ISO_IR 192" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        fixture f = setup();
        REQUIRE(read_text(&f, cases[i].text) == 0);
        if (cases[i].set) CHECK(has_text(f.ds, 0x00080005, cases[i].set));
        else CHECK(!dicom_dataset_find(f.ds, 0x00080005));
        teardown(&f);
    }
}

/* ---- errors ------------------------------------------------------------------------------------------------------------ */

TEST(errors_name_the_path) {
    static const struct {
        const char *text, *where, *message;
    } cases[] = {
        { "", "line", "not JSON" },
        { "{\"00080060\":", "line 1", "not JSON" },
        { "[]", "offset 0", "empty array" },
        { "5", "", "not JSON" },
        { "[5]", "the first object", "must be an object" },
        { "{\"PatientName\":{}}", "the first object", "eight hexadecimal digits" },
        { "{\"0010001\":{}}", "the first object", "eight hexadecimal digits" },
        { "{\"FFFEE000\":{\"vr\":\"LO\"}}", "the first object", "eight hexadecimal digits" },
        { "{\"00080060\":{\"vr\":\"CS\"},\"00080060\":{\"vr\":\"CS\"}}", "line", "not JSON" },
        { "{\"0008103e\":{\"vr\":\"LO\"},\"0008103E\":{\"vr\":\"LO\"}}", "0008103E", "twice" },
        { "{\"00080060\":[]}", "00080060", "must be an object" },
        { "{\"00080060\":{\"vr\":\"ZZ\"}}", "00080060", "no value representation" },
        { "{\"00080060\":{\"vr\":\"\xC6\xAC\"}}", "00080060", "no value representation" },
        { "{\"00080060\":{\"vr\":5}}", "00080060", "no value representation" },
        { "{\"00080060\":{\"vr\":\"CSX\"}}", "00080060", "no value representation" },
        { "{\"00111001\":{\"Value\":[]}}", "00111001", "vr is missing" },
        { "{\"00080060\":{\"vr\":\"CS\",\"Value\":\"MR\"}}", "00080060", "must be an array" },
        { "{\"00080060\":{\"vr\":\"CS\",\"Value\":[5]}}", "00080060", "CS must be a string" },
        { "{\"00080060\":{\"vr\":\"CS\",\"Value\":[[]]}}", "00080060", "CS must be a string" },
        { "{\"00104000\":{\"vr\":\"LT\",\"Value\":[\"a\",\"b\"]}}", "00104000", "one value only" },
        { "{\"00200013\":{\"vr\":\"IS\",\"Value\":[1.5]}}", "00200013", "must be an integer" },
        { "{\"00200013\":{\"vr\":\"IS\",\"Value\":[true]}}", "00200013", "number or a string" },
        { "{\"00280010\":{\"vr\":\"US\",\"Value\":[\"512\"]}}", "00280010", "must be an integer" },
        { "{\"00280010\":{\"vr\":\"US\",\"Value\":[65536]}}", "00280010", "out of range" },
        { "{\"00280010\":{\"vr\":\"US\",\"Value\":[-1]}}", "00280010", "out of range" },
        { "{\"00280010\":{\"vr\":\"US\",\"Value\":[1.5]}}", "00280010", "must be an integer" },
        { "{\"00280010\":{\"vr\":\"US\",\"Value\":[1,null,2]}}", "00280010", "must be an integer" },
        { "{\"00280106\":{\"vr\":\"SS\",\"Value\":[32768]}}", "00280106", "out of range" },
        { "{\"00280106\":{\"vr\":\"SS\",\"Value\":[-32769]}}", "00280106", "out of range" },
        { "{\"00720082\":{\"vr\":\"SV\",\"Value\":[\"9223372036854775808\"]}}", "00720082", "out of range" },
        { "{\"00720083\":{\"vr\":\"UV\",\"Value\":[\"18446744073709551616\"]}}", "00720083", "must be an integer" },
        { "{\"00720083\":{\"vr\":\"UV\",\"Value\":[\"\"]}}", "00720083", "must be an integer" },
        { "{\"00189306\":{\"vr\":\"FD\",\"Value\":[\"1\"]}}", "00189306", "must be a number" },
        { "{\"00720076\":{\"vr\":\"FL\",\"Value\":[1e39]}}", "00720076", "out of range" },
        { "{\"00209165\":{\"vr\":\"AT\",\"Value\":[\"0010,0010\"]}}", "00209165", "eight hexadecimal" },
        { "{\"00209165\":{\"vr\":\"AT\",\"Value\":[1048592]}}", "00209165", "eight hexadecimal" },
        { "{\"00100010\":{\"vr\":\"PN\",\"Value\":[\"Doe\"]}}", "00100010", "component groups" },
        { "{\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":5}]}}", "00100010", "Alphabetic must be a string" },
        { "{\"7FE00010\":{\"vr\":\"OW\",\"Value\":[1]}}", "7FE00010", "no Value" },
        { "{\"7FE00010\":{\"vr\":\"OW\",\"InlineBinary\":5}}", "7FE00010", "must be a string" },
        { "{\"7FE00010\":{\"vr\":\"OW\",\"InlineBinary\":\"YQ%=\"}}", "7FE00010", "not base64" },
        { "{\"7FE00010\":{\"vr\":\"OW\",\"InlineBinary\":\"YWJjY\"}}", "7FE00010", "not base64" },
        { "{\"00080060\":{\"vr\":\"CS\",\"InlineBinary\":\"YQ==\"}}", "00080060", "no InlineBinary" },
        { "{\"00081115\":{\"vr\":\"SQ\",\"InlineBinary\":\"YQ==\"}}", "00081115", "no InlineBinary" },
        { "{\"7FE00010\":{\"vr\":\"OW\",\"BulkDataURI\":5}}", "7FE00010", "must be a string" },
        { "{\"7FE00010\":{\"vr\":\"OW\",\"BulkDataURI\":\"a\\u0000b\"}}", "7FE00010", "must be a string" },
        { "{\"7FE00010\":{\"vr\":\"OW\",\"BulkDataURI\":\"x\",\"InlineBinary\":\"\"}}", "7FE00010", "more than one" },
        { "{\"00081115\":{\"vr\":\"SQ\",\"Value\":[5]}}", "00081115.Value[0]", "must be an object" },
        { "{\"00081115\":{\"vr\":\"SQ\",\"Value\":[{},{\"00081155\":{\"vr\":\"UI\",\"Value\":[1]}}]}}",
          "00081115.Value[1].00081155", "must be a string" },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        fixture f = setup();
        int rc = read_text(&f, cases[i].text);
        if (rc != GN_E_INVALID || !strstr(f.e.where, cases[i].where) || !strstr(f.e.message, cases[i].message))
            (void)fprintf(stderr, "%s: %d %s (%s)\n", cases[i].text, rc, f.e.message, f.e.where);
        CHECK_INT(rc, GN_E_INVALID);
        CHECK(strstr(f.e.where, cases[i].where) && f.e.where[0]);
        CHECK(strstr(f.e.message, cases[i].message));
        CHECK(!f.ds);
        teardown(&f);
    }
}

static void nest(gn_buf *out, unsigned depth, const char *leaf) {
    for (unsigned i = 0; i < depth; i++) gn_buf_puts(out, "{\"00081115\":{\"vr\":\"SQ\",\"Value\":[");
    gn_buf_puts(out, leaf);
    for (unsigned i = 0; i < depth; i++) gn_buf_puts(out, "]}}");
}

TEST(T7_sixty_four_levels_and_no_more) {
    static const struct {
        unsigned depth;
        const char *leaf;
        int rc;
    } cases[] = { { DICOM_MAX_DEPTH, "{}", 0 },
                  { DICOM_MAX_DEPTH + 1, "{}", GN_E_TOO_DEEP },
                  { 1000000, "{}", GN_E_TOO_DEEP },
                  { 10, "{\"00111001\":{\"vr\":\"US\",\"Value\":[\"x\"]}}", GN_E_INVALID } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        fixture f = setup();
        gn_buf text = GN_BUF_INIT;
        nest(&text, cases[i].depth, cases[i].leaf);
        CHECK_INT(dicom_json_read(f.a, (const char *)text.p, text.n, &f.ds, &f.e), cases[i].rc);
        if (cases[i].rc == GN_E_INVALID)
            CHECK_STR(f.e.where, "...00081115.Value[0].00081115.Value[0].00081115.Value[0].00111001");
        gn_buf_done(&text);
        teardown(&f);
    }
}

TEST(T7_brackets_in_strings_are_no_nesting) {
    fixture f = setup();
    gn_buf text = GN_BUF_INIT;
    gn_buf_puts(&text, "{\"00104000\":{\"vr\":\"LT\",\"Value\":[\"\\\"");
    for (int i = 0; i < 1000; i++) gn_buf_puts(&text, "[{");
    gn_buf_puts(&text, "\"]}}");
    CHECK_INT(dicom_json_read(f.a, (const char *)text.p, text.n, &f.ds, &f.e), 0);
    gn_buf_done(&text);
    teardown(&f);
}

TEST(too_much_text) {
    fixture f = setup();
    CHECK_INT(dicom_json_read(f.a, "{}", (size_t)65 << 20, &f.ds, &f.e), GN_E_TOO_LARGE);
    teardown(&f);
}

TEST(names_in_any_order_take_the_same_time) {
    fixture f = setup();
    gn_buf text = GN_BUF_INIT;
    uint64_t start = cpu_ns();
    gn_buf_putc(&text, '{');
    for (unsigned i = 50000; i > 0; i--)
        gn_buf_printf(&text, "\"%08X\":{\"vr\":\"LO\"}%s", 0x00110000u + i, i > 1 ? "," : "}");
    REQUIRE(dicom_json_read(f.a, (const char *)text.p, text.n, &f.ds, &f.e) == 0);
    CHECK_INT(f.ds->count, 50000);
    CHECK(f.ds->sorted);
    CHECK(cpu_ns() - start < UINT64_C(5000000000));
    gn_buf_done(&text);
    teardown(&f);
}

TEST(no_memory) {
    static const char text[] = "{\"00081115\":{\"vr\":\"SQ\",\"Value\":[{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2."
                               "3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18\"]}},{}]},"
                               "\"7FE00010\":{\"vr\":\"OW\",\"BulkDataURI\":\"http://example/1/2/3/4/5/6/7/8/9\"}}";
    for (size_t budget = 48; budget < 1600; budget += 16) {
        gn_arena *small = gn_arena_new(budget);
        gn_error e = GN_ERROR_INIT;
        dicom_dataset *ds;
        int rc = small ? dicom_json_read(small, text, sizeof text - 1, &ds, &e) : GN_E_NO_MEMORY;
        CHECK(rc == 0 || rc == GN_E_NO_MEMORY);
        gn_arena_free(&small);
    }
}

TEST(samples_of_other_writers) {
    static const char *const files[] = { "json/test1.json",
                                         "json/test_PN.json",
                                         "json/dcm2json/rtplan.dcm.json",
                                         "json/dcm2json/chrX1.dcm.json",
                                         "json/dcm2json/seg_image_ct_binary_overlap.dcm.json",
                                         "json/dcm2json/sr_document.dcm.json" };
    const char *root = getenv("GANTRY_TESTDATA");
    char path[512];
    for (size_t i = 0; i < GN_ARRAY_LEN(files); i++) {
        fixture f = setup();
        gn_buf out = GN_BUF_INIT, again = GN_BUF_INIT;
        gn_json j;
        dicom_dataset *second;
        (void)snprintf(path, sizeof path, "%s/%s", root ? root : TEST_ROOT "/../shared/testdata", files[i]);
        if (gn_file_load(path, 64 << 20, &f.in.b, &f.e)) {
            teardown(&f);
            SKIP("no test data: set GANTRY_TESTDATA");
        }
        int rc = dicom_json_read(f.a, (const char *)f.in.b.p, f.in.b.n, &f.ds, &f.e);
        if (rc) (void)fprintf(stderr, "%s: %s (%s)\n", files[i], f.e.message, f.e.where);
        REQUIRE(rc == 0);
        gn_json_init(&j, &out);
        CHECK_INT(dicom_json_write(f.ds, NULL, &j, &f.e), 0);
        REQUIRE(dicom_json_read(f.a, (const char *)out.p, out.n, &second, &f.e) == 0);
        gn_json_init(&j, &again);
        CHECK_INT(dicom_json_write(second, NULL, &j, &f.e), 0);
        CHECK_MEM2(out.p, out.n, again.p, again.n);
        gn_buf_done(&out);
        gn_buf_done(&again);
        teardown(&f);
    }
}
