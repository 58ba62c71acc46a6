/* Case folding and removal of diacritics. */
#include "check.h"
#include "dicom/dicom.h"

#include <string.h>

static void check_fold(const char *text, bool accents, const char *want, int line) {
    gn_buf out = GN_BUF_INIT;
    dicom_text_fold(text, strlen(text), accents, &out);
    (void)check_str(out.p ? (const char *)out.p : "", want, __FILE__, line, text);
    gn_buf_done(&out);
}
#define CASE(text, want) check_fold((text), false, (want), __LINE__)
#define PLAIN(text, want) check_fold((text), true, (want), __LINE__)

TEST(case_is_folded) {
    CASE("Doe^John 42", "doe^john 42");
    CASE("MÜLLER^JÖRG", "müller^jörg");
    CASE("ŁÓDŹ", "łódź");
    CASE("ΔΙΟΝΥΣΙΟΣ", "διονυσιοσ");
    CASE("Διονυσιος", "διονυσιοσ"); /* the final sigma is a sigma */
    CASE("Люксембург ЁЖ Й", "люксембург ёж й");
    CASE("İSTANBUL", "istanbul");
    CASE("STRAẞE", "straße");
    CASE("ＡＢＣ", "ａｂｃ");
    CASE("山田^太郎=やまだ", "山田^太郎=やまだ");
    CASE("", "");
}

TEST(accents_are_removed) {
    PLAIN("Jérôme ÀÉÎÕÜ Ç", "jerome aeiou c");
    PLAIN("Groß Søren Æsir Œuvre Łódź Đặng Þór", "gross soren aesir oeuvre lodz dang thor");
    PLAIN("Müller", "muller");
    PLAIN("Nguyễn Thị", "nguyen thi");
    PLAIN("Άννα Ώρα ϋ ΐ", "αννα ωρα υ ι");
    PLAIN("ἄνθρωπος", "ανθρωποσ");
    PLAIN("Ёлка й Й ў", "елка й й ў");
    PLAIN("ＡＢＣ", "ａｂｃ");
    PLAIN("Ĳ ŉ", "ij n");
}

TEST(combining_marks_are_removed) {
    PLAIN("Je\xCC\x81ro\xCC\x82me", "jerome");
    PLAIN("\xD0\xB8\xCC\x86", "й"); /* и and a breve are a letter of its own */
    PLAIN("\xD0\x98\xCC\x86", "й");
    PLAIN("\xD1\x83\xCC\x86", "ў");
    PLAIN("a\xCC\x86", "a");
    CASE("e\xCC\x81", "e\xCC\x81");
    PLAIN("x\xE2\x83\x90\xE1\xB7\x80\xE1\xAA\xB0\xEF\xB8\xA0y", "xy");
}

TEST(invalid_bytes_become_replacement_characters) {
    CASE("a\xFF" "B", "a\xEF\xBF\xBD" "b");
    PLAIN("a\xC3", "a\xEF\xBF\xBD");
}

TEST(long_texts_pass_the_small_buffer) {
    char text[3001], want[3001];
    for (size_t i = 0; i < 3000; i += 3) {
        memcpy(text + i, "\xC3\x84X", 3);
        memcpy(want + i, "\xC3\xA4x", 3);
    }
    text[3000] = want[3000] = '\0';
    CASE(text, want);
    memset(text, 'A', 3000);
    memset(want, 'a', 3000);
    PLAIN(text, want);
}

TEST(folding_twice_changes_nothing) {
    for (uint32_t c = 0xA0; c < 0x3000; c++) {
        char text[5];
        gn_buf once = GN_BUF_INIT, twice = GN_BUF_INIT;
        size_t n = gn_utf8_encode(c, (uint8_t *)text);
        for (int accents = 0; accents < 2; accents++) {
            gn_buf_clear(&once);
            gn_buf_clear(&twice);
            dicom_text_fold(text, n, accents != 0, &once);
            if (once.n) dicom_text_fold((const char *)once.p, once.n, accents != 0, &twice);
            CHECK_MEM2(once.p, once.n, twice.p, twice.n);
        }
        gn_buf_done(&once);
        gn_buf_done(&twice);
    }
}
