/* JSON: commas, escapes at every position of a word, hostile strings, numbers that read back equal, depth. */
#include "base/base.h"
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static gn_buf out;
static gn_json j;

static void begin(void) {
    gn_buf_done(&out);
    gn_json_init(&j, &out);
}

static const char *text(void) { return out.p ? (const char *)out.p : ""; }

TEST(objects_and_arrays_place_their_commas) {
    begin();
    gn_json_open(&j, '{');
    gn_json_key(&j, "a");
    gn_json_int(&j, -1);
    gn_json_key(&j, "b");
    gn_json_open(&j, '[');
    gn_json_bool(&j, true);
    gn_json_bool(&j, false);
    gn_json_null(&j);
    gn_json_open(&j, '{');
    gn_json_close(&j, '}');
    gn_json_open(&j, '[');
    gn_json_close(&j, ']');
    gn_json_string(&j, "s");
    gn_json_close(&j, ']');
    gn_json_key(&j, "c");
    gn_json_raw(&j, "{\"x\":1}", 7);
    gn_json_key(&j, "d\"");
    gn_json_string(&j, NULL);
    gn_json_close(&j, '}');
    CHECK_STR(text(), "{\"a\":-1,\"b\":[true,false,null,{},[],\"s\"],\"c\":{\"x\":1},\"d\\\"\":null}");
    CHECK(!out.failed);
    gn_buf_done(&out);
}

static const char *quoted(const char *s, size_t n) {
    begin();
    gn_json_string_n(&j, s, n);
    return text();
}

TEST(control_characters_are_escaped) {
    CHECK_STR(quoted("\"\\\n\r\t\b\f", 7), "\"\\\"\\\\\\n\\r\\t\\b\\f\"");
    CHECK_STR(quoted("\0\x01\x1b[31m\x7f", 8), "\"\\u0000\\u0001\\u001b[31m\\u007f\"");
    CHECK_STR(quoted("\xC2\x9B\xC2\x80\xC2\xA0", 6), "\"\\u009b\\u0080\xC2\xA0\""); /* C1 but not the blank above it */
    CHECK_STR(quoted("", 0), "\"\"");
    CHECK_STR(quoted("</script>/", 10), "\"</script>/\"");
    gn_buf_done(&out);
}

TEST(text_outside_ascii_passes) {
    CHECK_STR(quoted("Jérôme 山田 😀", strlen("Jérôme 山田 😀")), "\"Jérôme 山田 😀\"");
    gn_buf_done(&out);
}

TEST(invalid_utf8_becomes_replacement_characters) {
#define R "\xEF\xBF\xBD"
    CHECK_STR(quoted("a\xFF" "b", 3), "\"a" R "b\"");
    CHECK_STR(quoted("\xC3", 1), "\"" R "\"");
    CHECK_STR(quoted("\xE5\xB1", 2), "\"" R R "\"");
    CHECK_STR(quoted("\xED\xA0\x80", 3), "\"" R R R "\""); /* a surrogate */
    CHECK_STR(quoted("\xC0\x80", 2), "\"" R R "\"");        /* an overlong NUL */
    CHECK_STR(quoted("\xEF\xBF\xBD", 3), "\"" R "\"");      /* the character itself */
    gn_buf_done(&out);
}

/* The fast path looks at eight bytes at once: every byte value at every place among plain text gives what the slow one gives. */
TEST(every_byte_at_every_place) {
    for (unsigned c = 0; c < 256; c++) {
        for (size_t at = 0; at < 20; at++) {
            char s[21] = "abcdefghijklmnopqrst", want[64], escape[8];
            s[at] = (char)c;
            if (c == '"' || c == '\\') (void)snprintf(escape, sizeof escape, "\\%c", (char)c);
            else if (c >= 0x80) (void)snprintf(escape, sizeof escape, "%s", R);
            else if (c >= 0x20 && c < 0x7F) (void)snprintf(escape, sizeof escape, "%c", (char)c);
            else if (c != '\n' && c != '\r' && c != '\t' && c != '\b' && c != '\f')
                (void)snprintf(escape, sizeof escape, "\\u%04x", c);
            else (void)snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c == '\b' ? 'b' : 'f');
            (void)snprintf(want, sizeof want, "\"%.*s%s%s\"", (int)at, s, escape, s + at + 1);
            CHECK_STR(quoted(s, 20), want);
        }
    }
    gn_buf_done(&out);
}

TEST(integers_at_their_ends) {
    begin();
    gn_json_open(&j, '[');
    gn_json_int(&j, INT64_MIN);
    gn_json_int(&j, INT64_MAX);
    gn_json_int(&j, 0);
    gn_json_uint(&j, UINT64_MAX);
    gn_json_close(&j, ']');
    CHECK_STR(text(), "[-9223372036854775808,9223372036854775807,0,18446744073709551615]");
    gn_buf_done(&out);
}

static const char *number(double v) {
    begin();
    gn_json_double(&j, v);
    return text();
}

TEST(doubles_are_short_and_exact) {
    CHECK_STR(number(0), "0");
    CHECK_STR(number(-0.0), "-0");
    CHECK_STR(number(0.1), "0.1");
    CHECK_STR(number(1.5), "1.5");
    CHECK_STR(number(100), "100");
    CHECK_STR(number(0.1 + 0.2), "0.30000000000000004");
    CHECK_STR(number(1e300), "1e+300");
    CHECK_STR(number(NAN), "null");
    CHECK_STR(number(HUGE_VAL), "null");
    CHECK_STR(number(-HUGE_VAL), "null");
    const double hard[] = { DBL_MAX, DBL_MIN, DBL_EPSILON, 5e-324, 1.0 / 3, 2.0 / 3, 123456789.123456789, 9007199254740993.0 };
    for (size_t i = 0; i < GN_ARRAY_LEN(hard); i++) CHECK(strtod(number(hard[i]), NULL) == hard[i]);
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 2000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double v;
        memcpy(&v, &bits, sizeof v);
        if (isfinite(v)) CHECK(strtod(number(v), NULL) == v);
    }
    gn_buf_done(&out);
}

TEST(nesting_has_an_end) {
    begin();
    for (size_t i = 0; i + 1 < GN_ARRAY_LEN(j.need_comma); i++) gn_json_open(&j, '[');
    CHECK(!out.failed);
    gn_json_open(&j, '[');
    CHECK(out.failed);
    begin();
    gn_json_close(&j, ']');
    CHECK(out.failed);
    gn_buf_done(&out);
}

TEST(a_full_buffer_is_reported) {
    begin();
    out.limit = 20;
    gn_json_open(&j, '[');
    for (int i = 0; i < 100; i++) gn_json_string(&j, "abc\x01\xFF");
    gn_json_close(&j, ']');
    CHECK(out.failed);
    CHECK(out.n <= 20);
    gn_buf_done(&out);
    out.limit = 0;
}
