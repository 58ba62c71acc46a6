/* Errors: first cause kept, long texts cut, every code with all its faces. */
#include "base/base.h"
#include "check.h"

#include <errno.h>

TEST(fail_fills_and_returns_the_code) {
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(gn_fail(&e, GN_E_TRUNCATED, "wanted %d bytes", 8), GN_E_TRUNCATED);
    CHECK_INT(e.code, GN_E_TRUNCATED);
    CHECK_STR(e.message, "wanted 8 bytes");
    CHECK_STR(e.where, "");
}

TEST(the_first_cause_is_kept) {
    gn_error e = GN_ERROR_INIT;
    (void)gn_fail(&e, GN_E_TOO_DEEP, "first");
    CHECK_INT(gn_fail(&e, GN_E_IO, "second"), GN_E_IO);
    CHECK_INT(gn_fail_errno(&e, ENOSPC, "third"), GN_E_NO_SPACE);
    CHECK_INT(e.code, GN_E_TOO_DEEP);
    CHECK_STR(e.message, "first");
}

TEST(no_record_is_fine) {
    CHECK_INT(gn_fail(NULL, GN_E_IO, "x"), GN_E_IO);
    CHECK_INT(gn_fail_errno(NULL, ENOMEM, "x"), GN_E_NO_MEMORY);
    gn_error_at(NULL, "x");
    gn_error_clear(NULL);
    char text[8] = "full";
    CHECK_STR(gn_error_text(NULL, text, sizeof text), "");
}

TEST(errno_gives_code_and_text) {
    static const struct {
        int errnum, code;
        const char *message;
    } cases[] = {
        { ENOSPC, GN_E_NO_SPACE, "write: No space left on device" },
        { EDQUOT, GN_E_NO_SPACE, "write: Disk quota exceeded" },
        { ENOMEM, GN_E_NO_MEMORY, "write: Cannot allocate memory" },
        { EIO, GN_E_IO, "write: Input/output error" },
        { ENOENT, GN_E_IO, "write: No such file or directory" },
    };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        gn_error e = GN_ERROR_INIT;
        CHECK_INT(gn_fail_errno(&e, cases[i].errnum, "write"), cases[i].code);
        CHECK_STR(e.message, cases[i].message);
    }
}

TEST(long_messages_are_cut) {
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    gn_error e = GN_ERROR_INIT;
    (void)gn_fail(&e, GN_E_INVALID, "%s", text);
    CHECK_INT(strlen(e.message), sizeof e.message - 1);
    gn_error_at(&e, "%s", text);
    CHECK_INT(strlen(e.where), sizeof e.where - 1);
    gn_error f = GN_ERROR_INIT;
    (void)gn_fail_errno(&f, EIO, "%s", text);
    CHECK_INT(strlen(f.message), sizeof f.message - 1);
}

TEST(where_is_set_once_and_cleared) {
    gn_error e = GN_ERROR_INIT;
    (void)gn_fail(&e, GN_E_INVALID, "odd length");
    gn_error_at(&e, "offset %u", 132u);
    gn_error_at(&e, "outer");
    CHECK_STR(e.where, "offset 132");
    char text[100];
    CHECK_STR(gn_error_text(&e, text, sizeof text), "odd length (offset 132)");
    CHECK_STR(gn_error_text(&e, text, 9), "odd leng");
    CHECK_STR(gn_error_text(&e, text, 0), "");
    gn_error_clear(&e);
    CHECK_INT(e.code, 0);
    CHECK_STR(e.where, "");
    CHECK_STR(gn_error_text(&e, text, sizeof text), "success");
    e.code = GN_E_BUSY;
    CHECK_STR(gn_error_text(&e, text, sizeof text), "busy, try again");
}

TEST(every_code_has_its_faces) {
#define X(name, number, text, http, dimse, stow)             \
    CHECK_STR(gn_code_name(GN_E_##name), #name);             \
    CHECK_STR(gn_code_text(GN_E_##name), text);              \
    CHECK_INT(gn_code_http_status(GN_E_##name), http);       \
    CHECK_INT(gn_code_dimse_status(GN_E_##name), dimse);     \
    CHECK_INT(gn_code_stow_reason(GN_E_##name), stow);
    GN_ERROR_TABLE(X)
#undef X
    CHECK_STR(gn_code_name(GN_OK), "OK");
    CHECK_INT(gn_code_http_status(GN_OK), 200);
    CHECK_INT(gn_code_dimse_status(GN_OK), 0);
    static const int strange[] = { 1, -24, -1000, INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < GN_ARRAY_LEN(strange); i++) {
        CHECK_STR(gn_code_name(strange[i]), "UNKNOWN");
        CHECK_INT(gn_code_http_status(strange[i]), 500);
        CHECK_INT(gn_code_dimse_status(strange[i]), 0x0110);
    }
}

TEST(checked_arithmetic) {
    uint64_t r = 0;
    CHECK(gn_add_u64(1, 2, &r));
    CHECK_INT(r, 3);
    CHECK(!gn_add_u64(UINT64_MAX, 1, &r));
    CHECK(gn_mul_u64(UINT32_MAX, UINT32_MAX, &r));
    CHECK(!gn_mul_u64(UINT64_MAX / 2, 3, &r));
}
