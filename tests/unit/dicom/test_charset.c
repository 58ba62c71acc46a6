/* Specific Character Set: terms, decoding, encoding, code extensions. Examples of PS3.5 Annexes H, I and J among them. */
#include "check.h"
#include "dicom/dicom.h"

#include <stdlib.h>
#include <string.h>

static dicom_charset charset(const char *terms) { return dicom_charset_parse(terms, strlen(terms)); }

/* Decodes bytes; the text in a static buffer; *bad counts. */
static const char *decoded(const char *terms, dicom_vr vr, const void *bytes, size_t n, size_t *bad) {
    static char text[4096];
    gn_buf out = GN_BUF_INIT;
    dicom_charset cs = charset(terms);
    *bad = 0;
    dicom_text_decode(&cs, vr, bytes, n, &out, bad);
    CHECK(!out.failed && out.n < sizeof text);
    if (out.n) memcpy(text, out.p, out.n);
    text[out.n] = '\0';
    gn_buf_done(&out);
    return text;
}

static void check_both_ways(const char *terms, dicom_vr vr, const void *bytes, size_t n, const char *utf8, int line) {
    size_t bad;
    dicom_charset cs = charset(terms);
    gn_buf out = GN_BUF_INIT;
    (void)check_str(decoded(terms, vr, bytes, n, &bad), utf8, __FILE__, line, terms);
    (void)check_int((long long)bad, 0, __FILE__, line, terms);
    dicom_text_encode(&cs, vr, utf8, strlen(utf8), &out, &bad);
    (void)check_mem(out.p, out.n, bytes, n, __FILE__, line, terms);
    (void)check_int((long long)bad, 0, __FILE__, line, terms);
    gn_buf_done(&out);
}
/* Bytes as a literal, decoded and encoded again. */
#define BOTH(terms, vr, bytes, utf8) check_both_ways((terms), (vr), (bytes), sizeof(bytes) - 1, (utf8), __LINE__)
/* Only decoded, with so many bad bytes. */
#define DECODES(terms, vr, bytes, utf8, count)                                            \
    do {                                                                                  \
        size_t bad_;                                                                      \
        CHECK_STR(decoded((terms), (vr), (bytes), sizeof(bytes) - 1, &bad_), (utf8));     \
        CHECK_INT(bad_, (count));                                                         \
    } while (0)

static void check_encodes(const char *terms, dicom_vr vr, const char *utf8, const char *want, size_t n, size_t want_bad, int line) {
    size_t bad = 0;
    dicom_charset cs = charset(terms);
    gn_buf out = GN_BUF_INIT;
    dicom_text_encode(&cs, vr, utf8, strlen(utf8), &out, &bad);
    (void)check_mem(out.p, out.n, want, n, __FILE__, line, utf8);
    (void)check_int((long long)bad, (long long)want_bad, __FILE__, line, utf8);
    gn_buf_done(&out);
}
#define ENCODES(terms, vr, utf8, bytes, count) check_encodes((terms), (vr), (utf8), (bytes), sizeof(bytes) - 1, (count), __LINE__)

/* ---- terms ------------------------------------------------------------------------------------------------------------- */

TEST(every_defined_term_is_known) {
    static const char *const numbers[] = { "6", "100", "101", "109", "110", "144", "127", "126", "138", "148", "203", "13", "166", "192", "87", "159", "149", "58" };
    char text[40];
    for (size_t i = 0; i < GN_ARRAY_LEN(numbers); i++) {
        static const char *const prefixes[] = { "ISO_IR ", "ISO 2022 IR ", "ISO-IR ", "ISO_IR_", "ISO IR ", "iso_ir ", "ISO 2022-IR ", "IR ", "ISO_IR", "ISO2022IR" };
        uint8_t first = 0;
        for (size_t p = 0; p < GN_ARRAY_LEN(prefixes); p++) {
            snprintf(text, sizeof text, "%s%s", prefixes[p], numbers[i]);
            dicom_charset cs = charset(text);
            CHECK_INT(cs.count, 1);
            CHECK(!cs.unknown);
            if (p == 0) first = cs.term[0];
            CHECK_INT(cs.term[0], first);
        }
    }
    static const char *const others[] = { "GB18030", "GBK", "utf-8", "UTF8", "latin1", "Latin-1", "ISO_8859-1", "ISO 8859-15", "ASCII", "US-ASCII", "GB2312", "EUC-KR", "TIS-620" };
    for (size_t i = 0; i < GN_ARRAY_LEN(others); i++) CHECK(!charset(others[i]).unknown);
}

TEST(values_of_the_attribute) {
    CHECK_INT(charset("").count, 0);
    CHECK_INT(dicom_charset_parse(NULL, 0).count, 0);
    dicom_charset cs = charset("\\ISO 2022 IR 87\\ISO 2022 IR 159 ");
    CHECK_INT(cs.count, 3);
    CHECK_INT(cs.term[0], charset("ISO_IR 6").term[0]);
    CHECK_INT(cs.term[1], charset("ISO 2022 IR 87").term[0]);
    cs = charset("ISO_IR 192\\ISO 2022 IR 87"); /* UTF-8 has no extensions */
    CHECK_INT(cs.count, 1);
    cs = charset("ISO_IR 100\\ISO_IR 192"); /* and is none */
    CHECK_INT(cs.count, 1);
    CHECK_INT(cs.term[0], charset("ISO_IR 100").term[0]);
    cs = charset("\\\\\\\\\\\\\\\\\\\\\\\\");
    CHECK_INT(cs.count, 8);
    CHECK_INT(DICOM_CHARSET_UTF8.term[0], charset("ISO_IR 192").term[0]);
}

TEST(unknown_terms) {
    CHECK(charset("KLINGON").unknown);
    CHECK(charset("ISO_IR 999").unknown);
    CHECK(charset("ISO_IR").unknown);
    CHECK(charset("a term that is much longer than any term is").unknown);
    CHECK(charset("ISO_IR 100\\KLINGON").unknown);
    DECODES("KLINGON", DICOM_VR_LO, "\xC3\xA9", "é", 0);
    DECODES("KLINGON", DICOM_VR_LO, "\xE9t\xE9", "été", 0);
    ENCODES("KLINGON", DICOM_VR_LO, "山", "山", 0);
}

/* ---- one byte ---------------------------------------------------------------------------------------------------------- */

TEST(ascii_is_the_same_everywhere) {
    static const char *const terms[] = { "", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192", "GB18030", "GBK", "ISO_IR 13", "\\ISO 2022 IR 87", "\\ISO 2022 IR 149" };
    for (size_t i = 0; i < GN_ARRAY_LEN(terms); i++) BOTH(terms[i], DICOM_VR_PN, "Doe^John=\\1234567890 ~{|}", "Doe^John=\\1234567890 ~{|}");
    BOTH("", DICOM_VR_LO, "", "");
    dicom_charset cs = charset("");
    gn_buf out = GN_BUF_INIT;
    dicom_text_decode(&cs, DICOM_VR_LO, NULL, 0, &out, NULL);
    dicom_text_encode(&cs, DICOM_VR_LO, NULL, 0, &out, NULL);
    CHECK_INT(out.n, 0);
    gn_buf_done(&out);
}

TEST(single_byte_sets) {
    BOTH("ISO_IR 100", DICOM_VR_PN, "Buc^J\xE9r\xF4me", "Buc^Jérôme");
    BOTH("ISO_IR 100", DICOM_VR_PN, "\xC4neas^R\xFC" "diger", "Äneas^Rüdiger");
    BOTH("ISO_IR 101", DICOM_VR_PN, "W\xB3" "adys\xB3" "aw", "Władysław");
    BOTH("ISO_IR 109", DICOM_VR_LO, "\xA6", "Ĥ");
    BOTH("ISO_IR 110", DICOM_VR_LO, "\xBD", "Ŋ");
    BOTH("ISO_IR 144", DICOM_VR_PN, "\xBB\xEE\xDA" "ce\xDC\xD1yp\xD3", "Люкceмбypг");
    BOTH("ISO_IR 127", DICOM_VR_PN, "\xE2\xC8\xC7\xE6\xEA^\xE4\xE6\xD2\xC7\xD1", "قباني^لنزار");
    BOTH("ISO_IR 126", DICOM_VR_PN, "\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2", "Διονυσιος");
    BOTH("ISO_IR 138", DICOM_VR_PN, "\xF9\xF8\xE5\xEF^\xE3\xE1\xE5\xF8\xE4", "שרון^דבורה");
    BOTH("ISO_IR 148", DICOM_VR_LO, "\xDD\xFD", "İı");
    BOTH("ISO_IR 203", DICOM_VR_LO, "\xA4 \xBC", "€ Œ");
    BOTH("ISO_IR 166", DICOM_VR_LO, "\xCA\xC7\xD1\xCA\xB4\xD5", "สวัสดี");
    BOTH("ISO_IR 13", DICOM_VR_PN, "\xD4\xCF\xC0\xDE^\xC0\xDB\xB3", "ﾔﾏﾀﾞ^ﾀﾛｳ");
    BOTH("ISO_IR 100", DICOM_VR_LO, "\x80\x9F", "\xC2\x80\xC2\x9F"); /* C1 controls go through */
}

TEST(bytes_without_a_character) {
    DECODES("ISO_IR 127", DICOM_VR_LO, "a\xA1z", "a\xEF\xBF\xBDz", 1);
    DECODES("ISO_IR 13", DICOM_VR_LO, "\xFF", "\xEF\xBF\xBD", 1);
    ENCODES("ISO_IR 100", DICOM_VR_LO, "a山z", "a?z", 1);
    ENCODES("ISO_IR 100", DICOM_VR_LO, "\xFF", "?", 1);
    ENCODES("", DICOM_VR_LO, "é", "?", 1);
    ENCODES("ISO_IR 144", DICOM_VR_LO, "😀", "?", 1);
}

TEST(nothing_declared) {
    DECODES("", DICOM_VR_PN, "J\xE9r\xF4me", "Jérôme", 2);      /* read as Latin-1 */
    DECODES("ISO_IR 6", DICOM_VR_PN, "J\xC3\xA9r", "Jér", 2);   /* valid UTF-8 */
    DECODES("\\ISO 2022 IR 149", DICOM_VR_PN, "\xFB\xF3", "洪", 1); /* escape left out */
    DECODES("\\ISO 2022 IR 87", DICOM_VR_PN, "a\xE9", "a\xEF\xBF\xBD", 1);
    DECODES("\\ISO 2022 IR 126", DICOM_VR_PN, "\xC4", "Δ", 1);
}

TEST(roman_letters_of_jis_x_0201) {
    BOTH("ISO_IR 13", DICOM_VR_LT, "a\\b~\xB1", "a\\b~ｱ");
    ENCODES("ISO_IR 13", DICOM_VR_LT, "¥‾", "\\~", 0);
    ENCODES("ISO_IR 13", DICOM_VR_LO, "¥‾", "?~", 1); /* must not separate values */
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------------- */

TEST(utf8) {
    BOTH("ISO_IR 192", DICOM_VR_PN, "Wang^XiaoDong=王^小東=", "Wang^XiaoDong=王^小東=");
    BOTH("ISO_IR 192", DICOM_VR_LO, "😀", "😀");
    DECODES("ISO_IR 192", DICOM_VR_LO, "a\xE9z\0b", "a\xEF\xBF\xBDz", 1);
    DECODES("ISO_IR 192", DICOM_VR_LO, "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", 3);
    ENCODES("ISO_IR 192", DICOM_VR_LO, "\xE9z", "?z", 1);
    BOTH("ISO_IR 192", DICOM_VR_LO, "\x1B(B\xC3\xA9", "\x1B(Bé"); /* no escapes here */
}

/* ---- Chinese ----------------------------------------------------------------------------------------------------------- */

TEST(gb18030) {
    BOTH("GB18030", DICOM_VR_PN, "Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB=", "Wang^XiaoDong=王^小东=");
    BOTH("GBK", DICOM_VR_PN, "Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB=", "Wang^XiaoDong=王^小东=");
    BOTH("GBK", DICOM_VR_LO, "\x81\x5C\x81\x5E", "乗乛"); /* '\' and '^' as second bytes */
    BOTH("GB18030", DICOM_VR_LO, "\x81\x30\x84\x36", "¥");
    BOTH("GB18030", DICOM_VR_LO, "\x90\x30\x81\x30\x94\x39\xFC\x36", "𐀀😀");
    BOTH("GB18030", DICOM_VR_LO, "\xE3\x32\x9A\x35", "\xF4\x8F\xBF\xBF");
    DECODES("GB18030", DICOM_VR_LO, "\xFF\x81", "\xEF\xBF\xBD\xEF\xBF\xBD", 2);
    DECODES("GB18030", DICOM_VR_LO, "\x81\x30\x81", "\xEF\xBF\xBD" "0\xEF\xBF\xBD", 2);
    DECODES("GB18030", DICOM_VR_LO, "\xFE\x39\xFE\x39", "\xEF\xBF\xBD" "9\xEF\xBF\xBD" "9", 2);
    DECODES("GB18030", DICOM_VR_LO, "\x84\x31\xA5\x30", "\xEF\xBF\xBD" "1\xEF\xBF\xBD" "0", 2);
    DECODES("GBK", DICOM_VR_LO, "\x80", "€", 0);
    DECODES("GBK", DICOM_VR_LO, "\x81\x7F", "\xEF\xBF\xBD\x7F", 1);
    ENCODES("GBK", DICOM_VR_LO, "😀", "?", 1);
    ENCODES("GB18030", DICOM_VR_LO, "\xEF\xBF\xBD", "?", 1);
}

TEST(gb18030_has_all_of_unicode) {
    size_t missing = 0;
    for (uint32_t c = 0x80; c < 0x110000; c += c < 0x10000 ? 1 : 97) {
        char utf8[5];
        gn_buf bytes = GN_BUF_INIT, back = GN_BUF_INIT;
        dicom_charset cs = charset("GB18030");
        size_t bad = 0;
        if ((c >= 0xD800 && c < 0xE000) || c == 0xFFFD) continue;
        size_t n = gn_utf8_encode(c, (uint8_t *)utf8);
        dicom_text_encode(&cs, DICOM_VR_UT, utf8, n, &bytes, &bad);
        if (bad) missing++;
        else dicom_text_decode(&cs, DICOM_VR_UT, (const char *)bytes.p, bytes.n, &back, &bad);
        if (!bad) CHECK_MEM2(back.p, back.n, utf8, n);
        gn_buf_done(&bytes);
        gn_buf_done(&back);
    }
    CHECK(missing < 30); /* places of the private use area that the standard moved */
}

TEST(gb2312_by_code_extension) { /* PS3.5 Annex K */
    BOTH("\\ISO 2022 IR 58", DICOM_VR_PN, "Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=", "Zhang^XiaoDong=张^小东=");
}

/* ---- Japanese ---------------------------------------------------------------------------------------------------------- */

TEST(kanji_with_ascii) { /* PS3.5 H.3.1 */
    BOTH("\\ISO 2022 IR 87", DICOM_VR_PN, "Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B",
         "Yamada^Tarou=山田^太郎=やまだ^たろう");
}

TEST(kanji_with_katakana) { /* PS3.5 H.3.2 */
    BOTH("ISO 2022 IR 13\\ISO 2022 IR 87", DICOM_VR_PN,
         "\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J=\x1B$B$d$^$@\x1B(J^\x1B$B$?$m$&\x1B(J", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう");
}

TEST(supplementary_kanji) {
    BOTH("\\ISO 2022 IR 87\\ISO 2022 IR 159", DICOM_VR_LO, "\x1B$(D0!\x1B(B a", "丂 a");
    DECODES("\\ISO 2022 IR 159", DICOM_VR_LO, "\x1B$(D0!\x1B$B;3\x1B(B", "丂山", 0);
}

TEST(bytes_of_kanji_that_look_like_delimiters) {
    BOTH("\\ISO 2022 IR 87", DICOM_VR_PN, "\x1B$B=\\^\\\\^\x1B(B", "旬湃權"); /* 3D5C 5E5C 5C5E */
}

TEST(aliases_of_kanji_punctuation) {
    ENCODES("\\ISO 2022 IR 87", DICOM_VR_LO, "～∥－￠￡￢", "\x1B$B!A!B!]!q!r\"L\x1B(B", 0);
}

TEST(escapes_of_older_use) {
    DECODES("\\ISO 2022 IR 87", DICOM_VR_LO, "\x1B$@;3\x1B(B", "山", 0);
    DECODES("\\ISO 2022 IR 87", DICOM_VR_LO, "\x1B$(B;3\x1B(J", "山", 0);
    DECODES("ISO_IR 13", DICOM_VR_PN, "\x1B(I1a\x1B(J", "ｱ\xEF\xBF\xBD", 1);
    DECODES("ISO_IR 13", DICOM_VR_PN, "\x1B(I1^a", "ｱ^a", 0);
}

TEST(half_a_kanji) {
    DECODES("\\ISO 2022 IR 87", DICOM_VR_LO, "\x1B$B;", "\xEF\xBF\xBD", 1);
    DECODES("\\ISO 2022 IR 87", DICOM_VR_LO, "\x1B$B;\x1B(Ba", "\xEF\xBF\xBD" "a", 1);
    DECODES("\\ISO 2022 IR 87", DICOM_VR_LO, "\x1B$B/!;3", "\xEF\xBF\xBD山", 1); /* row 2F is empty */
    DECODES("\\ISO 2022 IR 87", DICOM_VR_LO, "\x1B$B;3 ;3\r\nab", "山 山\r\nab", 0);
}

/* ---- Korean ------------------------------------------------------------------------------------------------------------ */

TEST(hangul) { /* PS3.5 I.2 */
    BOTH("\\ISO 2022 IR 149", DICOM_VR_PN, "Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF",
         "Hong^Gildong=洪^吉洞=홍^길동");
    BOTH("ISO 2022 IR 149", DICOM_VR_PN, "\xFB\xF3^\xD1\xCE", "洪^吉"); /* as the first value */
    DECODES("\\ISO 2022 IR 149", DICOM_VR_LO, "\x1B$)C\xFB", "\xEF\xBF\xBD", 1);
    DECODES("\\ISO 2022 IR 149", DICOM_VR_LO, "\x1B$)C\xFB" "a", "\xEF\xBF\xBD" "a", 1);
    DECODES("\\ISO 2022 IR 149", DICOM_VR_LO, "\x1B$)C\x80\xFB\xF3", "\xEF\xBF\xBD洪", 1);
}

TEST(korean_text_with_line_ends) { /* PS3.5 I.3 */
    DECODES("\\ISO 2022 IR 149", DICOM_VR_LT, "\x1B$)CThe \xB1\xE6\r\n\x1B$)C\xB1\xE6 end\r\n", "The 길\r\n길 end\r\n", 0);
    BOTH("\\ISO 2022 IR 149", DICOM_VR_LT, "The \x1B$)C\xB1\xE6\r\n\x1B$)C\xB1\xE6 end\r\n", "The 길\r\n길 end\r\n");
}

/* ---- code extensions in general ---------------------------------------------------------------------------------------- */

TEST(several_scripts) {
    BOTH("ISO 2022 IR 100\\ISO 2022 IR 126\\ISO 2022 IR 144", DICOM_VR_LO, "\xE9 \x1B-F\xC4\x1B-L\xBB\x1B-A", "é ΔЛ");
    BOTH("ISO 2022 IR 100\\ISO 2022 IR 126", DICOM_VR_PN, "\x1B-F\xC4\x1B-A^\xE9", "Δ^é");
    BOTH("ISO 2022 IR 100\\ISO 2022 IR 126", DICOM_VR_LO, "\x1B-F\xC4\x1B-A\\\xE9", "Δ\\é");
    BOTH("ISO 2022 IR 100\\ISO 2022 IR 126", DICOM_VR_LT, "\x1B-F\xC4\\\xC4\x1B-A", "Δ\\Δ");
    BOTH("\\ISO 2022 IR 101\\ISO 2022 IR 109\\ISO 2022 IR 110", DICOM_VR_LO, "\x1B-B\xB3\x1B-C\xA6\x1B-D\xBD", "łĤŊ");
    BOTH("\\ISO 2022 IR 127\\ISO 2022 IR 138\\ISO 2022 IR 148", DICOM_VR_LO, "\x1B-G\xE2\x1B-H\xF9\x1B-M\xDD", "قשİ");
    BOTH("\\ISO 2022 IR 166\\ISO 2022 IR 203", DICOM_VR_LO, "\x1B-T\xCA\x1B-b\xA4", "ส€");
    BOTH("\\ISO 2022 IR 13", DICOM_VR_LO, "\x1B)I\xB1", "ｱ");
}

TEST(the_first_set_returns_at_delimiters) {
    DECODES("ISO 2022 IR 100\\ISO 2022 IR 126", DICOM_VR_PN, "\x1B-F\xC4=\xE9", "Δ=é", 0);
    DECODES("ISO 2022 IR 100\\ISO 2022 IR 126", DICOM_VR_LO, "\x1B-F\xC4=\xC4", "Δ=Δ", 0);
    DECODES("ISO 2022 IR 100\\ISO 2022 IR 126", DICOM_VR_LO, "\x1B-F\xC4\\\xE9", "Δ\\é", 0);
    DECODES("ISO 2022 IR 100\\ISO 2022 IR 126", DICOM_VR_UT, "\x1B-F\xC4\\\xC4", "Δ\\Δ", 0);
    DECODES("ISO 2022 IR 100\\ISO 2022 IR 126", DICOM_VR_UT, "\x1B-F\xC4\t\xE9", "Δ\té", 0);
    DECODES("ISO 2022 IR 100\\ISO 2022 IR 126", DICOM_VR_UT, "\x1B-F\xC4\f\xE9", "Δ\fé", 0);
}

TEST(sets_that_were_not_declared_are_followed) { DECODES("ISO_IR 100", DICOM_VR_LO, "\xE9\x1B-F\xC4", "éΔ", 0); }

TEST(escapes_that_mean_nothing) {
    DECODES("ISO_IR 100", DICOM_VR_LO, "a\x1B[0mb", "a\xEF\xBF\xBD[0mb", 1);
    DECODES("ISO_IR 100", DICOM_VR_LO, "a\x1B", "a\xEF\xBF\xBD", 1);
    DECODES("ISO_IR 100", DICOM_VR_LO, "a\x1B-", "a\xEF\xBF\xBD-", 1);
    DECODES("ISO_IR 100", DICOM_VR_LO, "a\x1B-Zb", "a\xEF\xBF\xBD" "b", 1);
    DECODES("ISO_IR 100", DICOM_VR_LO, "a\x1B$$$$Ab", "a\xEF\xBF\xBD$$$$Ab", 1);
    ENCODES("ISO_IR 100", DICOM_VR_LO, "a\x1B$Bé", "a?$B\xE9", 1);
}

TEST(long_texts_pass_the_small_buffer) {
    char bytes[2000];
    size_t bad;
    dicom_charset cs = charset("ISO_IR 126");
    gn_buf out = GN_BUF_INIT, back = GN_BUF_INIT;
    memset(bytes, 0xC4, sizeof bytes);
    dicom_text_decode(&cs, DICOM_VR_UT, bytes, sizeof bytes, &out, &bad);
    CHECK_INT(out.n, 4000);
    dicom_text_encode(&cs, DICOM_VR_UT, (const char *)out.p, out.n, &back, &bad);
    CHECK_MEM2(back.p, back.n, bytes, sizeof bytes);
    gn_buf_done(&out);
    gn_buf_done(&back);
}

TEST(escapes_are_found_at_every_place_of_a_word) {
    char text[64], want[64];
    for (size_t at = 0; at < 40; at++) {
        size_t bad = 0;
        memset(text, 'x', 40);
        memset(want, 'x', 43);
        memcpy(text + at, "\x1B-F\xC4", 4);
        memcpy(want + at, "Δ", 2);
        memset(text + at + 4, 'y', 20);
        memset(want + at + 2, 'y', 20);
        want[at + 22] = '\0';
        CHECK_STR(decoded("\\ISO 2022 IR 126", DICOM_VR_LO, text, at + 24, &bad), want);
    }
}

/* Whatever the bytes: what comes out is valid, and encoding it again and decoding that gives the same. */
TEST(any_bytes_give_valid_text) {
    static const char *const terms[] = { "", "ISO_IR 100", "ISO_IR 192", "GB18030", "GBK", "ISO_IR 13", "\\ISO 2022 IR 87\\ISO 2022 IR 159", "\\ISO 2022 IR 149", "KLINGON" };
    uint32_t seed = 1;
    for (int round = 0; round < 3000; round++) {
        uint8_t bytes[40];
        dicom_charset cs = charset(terms[(unsigned)round % GN_ARRAY_LEN(terms)]);
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
        gn_buf text = GN_BUF_INIT, again = GN_BUF_INIT, third = GN_BUF_INIT;
        dicom_text_decode(&cs, DICOM_VR_PN, (const char *)bytes, sizeof bytes, &text, NULL);
        CHECK(gn_utf8_valid(text.p, text.n));
        dicom_text_encode(&cs, DICOM_VR_PN, (const char *)text.p, text.n, &again, NULL);
        dicom_text_decode(&cs, DICOM_VR_PN, (const char *)again.p, again.n, &third, NULL);
        CHECK(gn_utf8_valid(third.p, third.n));
        gn_buf_done(&text);
        gn_buf_done(&again);
        gn_buf_done(&third);
    }
}

/* ---- data sets --------------------------------------------------------------------------------------------------------- */

TEST(character_set_of_data_sets_is_inherited) {
    gn_arena *arena = gn_arena_new(1 << 20);
    dicom_dataset *ds = dicom_dataset_new(arena, NULL), *item = NULL, *inner = NULL, *own = NULL;
    REQUIRE(ds != NULL);
    CHECK_INT(dicom_charset_of(ds).count, 0);
    CHECK_INT(dicom_charset_of(NULL).count, 0);
    dicom_dataset_put_string(ds, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, "ISO_IR 100", NULL);
    REQUIRE(dicom_dataset_add_item(ds, DICOM_TAG_RequestAttributesSequence, &item, NULL) == 0);
    REQUIRE(dicom_dataset_add_item(item, DICOM_TAG_ScheduledProtocolCodeSequence, &inner, NULL) == 0);
    REQUIRE(dicom_dataset_add_item(ds, DICOM_TAG_RequestAttributesSequence, &own, NULL) == 0);
    dicom_dataset_put_string(own, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, "ISO_IR 126", NULL);
    dicom_dataset_put_string(inner, DICOM_TAG_CodeMeaning, DICOM_VR_LO, "\xE9t\xE9 ", NULL);
    dicom_dataset_put_string(own, DICOM_TAG_CodeMeaning, DICOM_VR_LO, "\xC4", NULL);
    CHECK_STR(dicom_dataset_utf8(inner, DICOM_TAG_CodeMeaning), "été");
    CHECK_STR(dicom_dataset_utf8(own, DICOM_TAG_CodeMeaning), "Δ");
    CHECK_STR(dicom_dataset_utf8(item, DICOM_TAG_CodeMeaning), "");
    gn_arena_free(&arena);
}

TEST(text_of_data_sets) {
    gn_arena *arena = gn_arena_new(1 << 20);
    dicom_dataset *ds = dicom_dataset_new(arena, NULL);
    REQUIRE(ds != NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, "ISO_IR 192", NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_PatientName, DICOM_VR_PN, "Wang=王", NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_PatientID, DICOM_VR_LO, " 4711 ", NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_Modality, DICOM_VR_CS, "\xC9", NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_StudyID, DICOM_VR_UN, "\xC3\xA9", NULL);
    dicom_dataset_put_u16(ds, DICOM_TAG_Rows, 0x4141, NULL);
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_PatientName), "Wang=王");
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_PatientID), "4711");
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_Modality), "É"); /* not concerned by the set: Latin-1 */
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_StudyID), "é");
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_Rows), "");
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_StudyDate), "");
    CHECK_STR(dicom_dataset_utf8(NULL, DICOM_TAG_StudyDate), "");
    gn_arena_free(&arena);
}

TEST(a_full_arena_gives_empty_text) {
    gn_arena *arena = gn_arena_new(1 << 16);
    dicom_dataset *ds = dicom_dataset_new(arena, NULL);
    REQUIRE(ds != NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_PatientName, DICOM_VR_PN, "J\xE9r\xF4me Jerome Jerome Jerome", NULL);
    dicom_dataset_put_string(ds, DICOM_TAG_PatientID, DICOM_VR_LO, "4711 4711 4711 4711 4711 4711", NULL);
    while (gn_arena_alloc(arena, 16)) continue;
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_PatientName), "");
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_PatientID), "");
    gn_arena_free(&arena);
}

TEST(groups_of_names) {
    static const char text[] = "Yamada^Tarou=山田^太郎=";
    size_t n = 99;
    CHECK(dicom_pn_group(text, sizeof text - 1, 0, &n) == text && n == 12);
    CHECK(dicom_pn_group(text, sizeof text - 1, 1, &n) == text + 13 && n == 13);
    CHECK(dicom_pn_group(text, sizeof text - 1, 2, &n) != NULL && n == 0);
    CHECK(dicom_pn_group(text, sizeof text - 1, 3, &n) == NULL && n == 0);
    CHECK(dicom_pn_group("Doe", 3, 1, &n) == NULL);
    CHECK(dicom_pn_group(NULL, 0, 0, &n) == NULL);
    CHECK(dicom_pn_group("", 0, 0, &n) != NULL && n == 0);
}
