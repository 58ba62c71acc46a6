/* What values say: text and its padding, several values, numbers of every VR in both byte orders, values of wrong length. */
#include "encode.h"

#include <math.h>

/* One element with these bytes. */
static dicom_element make(dicom_vr vr, const void *bytes, size_t n) {
    return (dicom_element){ .tag = 0x00110001, .vr = vr, .length = (uint32_t)n, .value = bytes };
}
#define MAKE(vr, literal) make(DICOM_VR_##vr, literal, sizeof(literal) - 1)

TEST(text_without_padding) {
    static const struct {
        dicom_vr vr;
        const char *bytes, *text;
    } cases[] = {
        { DICOM_VR_LO, "abc ", "abc" },      { DICOM_VR_LO, "  abc  ", "abc" },  { DICOM_VR_LT, "  abc  ", "  abc" },
        { DICOM_VR_ST, " a ", " a" },        { DICOM_VR_UT, " a ", " a" },       { DICOM_VR_UC, " a ", " a" },
        { DICOM_VR_PN, " Doe^J ", "Doe^J" }, { DICOM_VR_CS, "A\\ B ", "A\\ B" }, { DICOM_VR_LO, "a", "a" }
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        dicom_element el = make(cases[i].vr, cases[i].bytes, strlen(cases[i].bytes));
        size_t n;
        const char *p = dicom_element_text(&el, &n);
        REQUIRE(p);
        CHECK_MEM2(p, n, cases[i].text, strlen(cases[i].text));
    }
    dicom_element uid = MAKE(UI, "1.2.3\0");
    size_t n;
    CHECK(dicom_element_text(&uid, &n) && n == 5);
}

TEST(text_that_is_not_there) {
    dicom_element el = MAKE(LO, "    ");
    size_t n = 9;
    CHECK(!dicom_element_text(&el, &n) && n == 0);
    CHECK(!dicom_element_text(NULL, &n) && n == 0);
    el = make(DICOM_VR_LO, NULL, 0);
    CHECK(!dicom_element_text(&el, &n));
    el = MAKE(LO, "abcd");
    el.flags = DICOM_ELEMENT_BULK;
    CHECK(!dicom_element_text(&el, &n));
    CHECK(!dicom_element_value(&el, 0, &n));
    el = make(DICOM_VR_OB, "ab", 0);
    el.length = UNDEFINED;
    CHECK(!dicom_element_text(&el, &n));
}

TEST(ascii_copies) {
    fixture f = setup();
    dicom_dataset *ds = dicom_dataset_new(f.a, &f.e);
    char buf[6];
    dicom_dataset_put_string(ds, 0x00080018, DICOM_VR_UI, "1.2.840.1", &f.e);
    CHECK_STR(dicom_dataset_ascii(ds, 0x00080018), "1.2.840.1");
    CHECK_STR(dicom_dataset_ascii(ds, 0x00080016), "");
    CHECK_INT(dicom_dataset_ascii_into(ds, 0x00080018, buf, sizeof buf), 5);
    CHECK_STR(buf, "1.2.8");
    CHECK_INT(dicom_dataset_ascii_into(ds, 0x00080016, buf, sizeof buf), 0);
    CHECK_STR(buf, "");
    CHECK_INT(dicom_dataset_ascii_into(ds, 0x00080018, buf, 0), 0);
    teardown(&f);
}

TEST(values_between_backslashes) {
    dicom_element el = MAKE(DS, "1.5\\ 2\\\\-3e2 ");
    size_t n;
    CHECK_INT(dicom_element_vm(&el), 4);
    CHECK(dicom_element_value(&el, 0, &n) && n == 3);
    const char *p = dicom_element_value(&el, 1, &n);
    REQUIRE(p);
    CHECK_MEM2(p, n, "2", 1);
    CHECK(dicom_element_value(&el, 2, &n) && n == 0);
    p = dicom_element_value(&el, 3, &n);
    REQUIRE(p);
    CHECK_MEM2(p, n, "-3e2", 4);
    CHECK(!dicom_element_value(&el, 4, &n));
    el = MAKE(LT, "a\\b ");
    CHECK_INT(dicom_element_vm(&el), 1);
    p = dicom_element_value(&el, 0, &n);
    REQUIRE(p);
    CHECK_MEM2(p, n, "a\\b", 3);
    CHECK(!dicom_element_value(&el, 1, &n));
}

TEST(multiplicity_of_every_kind) {
    static const struct {
        dicom_vr vr;
        size_t length, vm;
    } cases[] = { { DICOM_VR_US, 6, 3 },  { DICOM_VR_SS, 2, 1 },  { DICOM_VR_UL, 8, 2 },  { DICOM_VR_SL, 4, 1 },
                  { DICOM_VR_FL, 12, 3 }, { DICOM_VR_FD, 16, 2 }, { DICOM_VR_AT, 8, 2 },  { DICOM_VR_SV, 8, 1 },
                  { DICOM_VR_UV, 16, 2 }, { DICOM_VR_OB, 16, 1 }, { DICOM_VR_OW, 16, 1 }, { DICOM_VR_UN, 3, 1 },
                  { DICOM_VR_US, 1, 0 },  { DICOM_VR_FD, 15, 1 }, { DICOM_VR_OF, 16, 1 } };
    static const uint8_t zeros[16] = { 0 };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        dicom_element el = make(cases[i].vr, zeros, cases[i].length);
        CHECK_INT(dicom_element_vm(&el), cases[i].vm);
    }
    dicom_element el = make(DICOM_VR_LO, NULL, 0);
    CHECK_INT(dicom_element_vm(&el), 0);
    CHECK_INT(dicom_element_vm(NULL), 0);
    el = make(DICOM_VR_LO, NULL, 70000); /* bulk text: at least one */
    el.flags = DICOM_ELEMENT_BULK;
    CHECK_INT(dicom_element_vm(&el), 1);
}

TEST(binary_numbers_in_both_byte_orders) {
    static const struct {
        dicom_vr vr;
        const char *le, *be;
        size_t n;
        int64_t v;
    } cases[] = { { DICOM_VR_US, "\x34\x12", "\x12\x34", 2, 0x1234 },
                  { DICOM_VR_SS, "\xFE\xFF", "\xFF\xFE", 2, -2 },
                  { DICOM_VR_UL, "\xFF\xFF\xFF\xFF", "\xFF\xFF\xFF\xFF", 4, 4294967295 },
                  { DICOM_VR_SL, "\xFE\xFF\xFF\xFF", "\xFF\xFF\xFF\xFE", 4, -2 },
                  { DICOM_VR_AT, "\x10\x00\x20\x00", "\x00\x10\x00\x20", 4, 0x00100020 },
                  { DICOM_VR_SV, "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE", 8, -2 },
                  { DICOM_VR_UV, "\1\0\0\0\0\0\0\0", "\0\0\0\0\0\0\0\1", 8, 1 },
                  { DICOM_VR_FL, "\0\0\x80\x40", "\x40\x80\0\0", 4, 4 },
                  { DICOM_VR_FD, "\0\0\0\0\0\0\x10\x40", "\x40\x10\0\0\0\0\0\0", 8, 4 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++)
        for (int big = 0; big < 2; big++) {
            dicom_dataset ds = { .big_endian = big };
            dicom_element el = make(cases[i].vr, big ? cases[i].be : cases[i].le, cases[i].n);
            int64_t v = 0;
            double d = 0;
            CHECK(dicom_element_int(&ds, &el, 0, &v));
            CHECK_INT(v, cases[i].v);
            CHECK(dicom_element_double(&ds, &el, 0, &d));
            CHECK(d == (double)cases[i].v);
            CHECK(!dicom_element_int(&ds, &el, 1, &v));
            CHECK(!dicom_element_double(&ds, &el, 1, &d));
        }
}

TEST(numbers_that_do_not_fit) {
    dicom_dataset ds = { 0 };
    dicom_element el = MAKE(UV, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    int64_t v;
    double d;
    CHECK(!dicom_element_int(&ds, &el, 0, &v));
    CHECK(dicom_element_double(&ds, &el, 0, &d) && d == 18446744073709551616.0);
    el = MAKE(FL, "\0\0\x20\x3F"); /* 0.625 */
    CHECK(!dicom_element_int(&ds, &el, 0, &v));
    CHECK(dicom_element_double(&ds, &el, 0, &d) && d == 0.625);
    el = MAKE(FD, "\0\0\0\0\0\0\xF8\x7F"); /* NaN */
    CHECK(!dicom_element_int(&ds, &el, 0, &v));
    CHECK(dicom_element_double(&ds, &el, 0, &d) && isnan(d));
    el = MAKE(FD, "\0\0\0\0\0\0\xF0\x7F");
    CHECK(!dicom_element_int(&ds, &el, 0, &v));
}

TEST(integer_strings) {
    static const struct {
        const char *text;
        bool ok;
        int64_t v;
    } cases[] = { { "12", true, 12 },
                  { "-12 ", true, -12 },
                  { "+7", true, 7 },
                  { " 5", true, 5 },
                  { "0012", true, 12 },
                  { "1A", false, 0 },
                  { "1A ", false, 0 },
                  { "", false, 0 },
                  { "-", false, 0 },
                  { "1.0", false, 0 },
                  { "1e2", false, 0 },
                  { "0x10", false, 0 },
                  { "9223372036854775807", true, INT64_MAX },
                  { "-9223372036854775808", true, INT64_MIN },
                  { "9223372036854775808", false, 0 },
                  { "99999999999999999999", false, 0 },
                  { "1 2", false, 0 } };
    dicom_dataset ds = { 0 };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        dicom_element el = make(DICOM_VR_IS, cases[i].text, strlen(cases[i].text));
        int64_t v = 0;
        CHECK_INT(dicom_element_int(&ds, &el, 0, &v), cases[i].ok);
        if (cases[i].ok) CHECK_INT(v, cases[i].v);
    }
}

TEST(decimal_strings) {
    static const struct {
        const char *text;
        bool ok;
        double v;
    } cases[] = { { "1.5", true, 1.5 },
                  { "-1.5E2 ", true, -150 },
                  { "+.5", true, 0.5 },
                  { " 5.", true, 5 },
                  { "1e-3", true, 0.001 },
                  { "nan", false, 0 },
                  { "inf", false, 0 },
                  { "0x1p3", false, 0 },
                  { "1,5", false, 0 },
                  { "", false, 0 },
                  { "1.5.2", false, 0 },
                  { "e", false, 0 },
                  { "0000000000000000000000000000000000000000000000000000000000000000000001", false, 0 } };
    dicom_dataset ds = { 0 };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        dicom_element el = make(DICOM_VR_DS, cases[i].text, strlen(cases[i].text));
        double v = 0;
        CHECK_INT(dicom_element_double(&ds, &el, 0, &v), cases[i].ok);
        if (cases[i].ok) CHECK(fabs(v - cases[i].v) < 1e-12);
    }
    dicom_element el = MAKE(DS, "512.0\\0.5\\3");
    int64_t v;
    CHECK(dicom_element_int(&ds, &el, 0, &v) && v == 512);
    CHECK(!dicom_element_int(&ds, &el, 1, &v));
    CHECK(dicom_element_int(&ds, &el, 2, &v) && v == 3);
    CHECK(!dicom_element_int(&ds, &el, 3, &v));
}

TEST(what_is_no_number) {
    dicom_dataset ds = { 0 };
    dicom_element el = MAKE(LO, "12");
    int64_t v;
    double d;
    CHECK(!dicom_element_int(&ds, &el, 0, &v));
    CHECK(!dicom_element_double(&ds, &el, 0, &d));
    CHECK(!dicom_element_int(&ds, NULL, 0, &v));
    CHECK(!dicom_element_double(NULL, &el, 0, &d));
    CHECK(!dicom_dataset_int(&ds, 0x00280010, &v));
    el = MAKE(US, "\1\0");
    el.flags = DICOM_ELEMENT_BULK;
    CHECK(!dicom_element_int(&ds, &el, 0, &v));
}

/* CVE-2026-5443: the length decides, not the VR. */
TEST(T5_length_that_is_no_multiple_of_the_unit) {
    dicom_dataset ds = { 0 };
    uint8_t *three = malloc(3); /* a sanitizer sees a read of the fourth byte */
    REQUIRE(three);
    memset(three, 1, 3);
    int64_t v;
    double d;
    dicom_element el = make(DICOM_VR_UL, three, 3);
    CHECK(!dicom_element_int(&ds, &el, 0, &v));
    CHECK_INT(dicom_element_vm(&el), 0);
    el.vr = DICOM_VR_US;
    CHECK(dicom_element_int(&ds, &el, 0, &v) && v == 0x0101);
    CHECK(!dicom_element_int(&ds, &el, 1, &v));
    el.vr = DICOM_VR_FD;
    CHECK(!dicom_element_double(&ds, &el, 0, &d));
    free(three);
}
