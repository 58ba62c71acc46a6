/* Buffers: growth, the limit to the byte, the NUL behind the text, failures that stick and change nothing. */
#include "base/base.h"
#include "check.h"

TEST(append_grows_and_ends_with_nul) {
    gn_buf b = GN_BUF_INIT;
    gn_buf_append(&b, NULL, 0);
    CHECK_STR((char *)b.p, "");
    for (int i = 0; i < 10000; i++) gn_buf_putc(&b, (char)('a' + i % 26));
    CHECK_INT(b.n, 10000);
    CHECK_INT(b.p[10000], 0);
    CHECK_INT(b.p[9999], 'a' + 9999 % 26);
    CHECK(!b.failed);
    gn_buf_clear(&b);
    CHECK_INT(b.n, 0);
    CHECK_STR((char *)b.p, "");
    CHECK(b.cap > 10000);
    gn_buf_puts(&b, "text");
    CHECK_STR((char *)b.p, "text");
    gn_buf_done(&b);
    CHECK(b.p == NULL);
    gn_buf_done(&b);
    gn_buf_clear(&b);
}

TEST(numbers_in_both_orders) {
    gn_buf b = GN_BUF_INIT;
    gn_buf_le16(&b, 0x1234);
    gn_buf_be16(&b, 0x1234);
    gn_buf_le32(&b, 0x12345678);
    gn_buf_be32(&b, 0x12345678);
    CHECK_MEM2(b.p, b.n, "\x34\x12\x12\x34\x78\x56\x34\x12\x12\x34\x56\x78", 12);
    gn_buf_done(&b);
}

TEST(printf_grows) {
    gn_buf b = GN_BUF_INIT;
    gn_buf_printf(&b, "%s", "");
    CHECK_STR((char *)b.p, "");
    gn_buf_printf(&b, "%d-%s", 5, "x");
    CHECK_STR((char *)b.p, "5-x");
    gn_buf_printf(&b, "%0300d", 1);
    CHECK_INT(b.n, 303);
    CHECK_INT(strlen((char *)b.p), 303);
    gn_buf_done(&b);
}

TEST(printf_at_every_length_around_the_capacity) {
    for (int n = 0; n < 200; n++) {
        gn_buf b = GN_BUF_INIT;
        gn_buf_puts(&b, "abc");
        gn_buf_printf(&b, "%*s", n, "");
        CHECK_INT(b.n, n + 3);
        CHECK_INT(b.p[b.n], 0);
        gn_buf_done(&b);
    }
}

TEST(the_limit_is_exact) {
    gn_buf b = { .limit = 10 };
    gn_buf_puts(&b, "0123456789");
    CHECK(!b.failed);
    CHECK_STR((char *)b.p, "0123456789");
    gn_buf_putc(&b, 'x');
    CHECK(b.failed);
    CHECK_STR((char *)b.p, "0123456789");
    gn_buf_clear(&b);
    CHECK(!b.failed);
    gn_buf_puts(&b, "abc");
    gn_buf_puts(&b, "0123456789");
    CHECK(b.failed);
    CHECK_STR((char *)b.p, "abc");
    gn_buf_putc(&b, 'd'); /* a failure sticks: no hole in the middle */
    CHECK_STR((char *)b.p, "abc");
    CHECK(gn_buf_reserve(&b, 1) == NULL);
    gn_buf_done(&b);
}

TEST(printf_beyond_the_limit_changes_nothing) {
    gn_buf b = { .limit = 10 };
    gn_buf_puts(&b, "abc");
    gn_buf_printf(&b, "%020d", 1);
    CHECK(b.failed);
    CHECK_STR((char *)b.p, "abc");
    gn_buf_printf(&b, "d");
    CHECK_STR((char *)b.p, "abc");
    gn_buf_done(&b);
}

TEST(sizes_do_not_wrap) {
    gn_buf b = { .limit = SIZE_MAX };
    gn_buf_puts(&b, "abc");
    CHECK(gn_buf_reserve(&b, SIZE_MAX) == NULL);
    gn_buf_done(&b);
    gn_buf d = GN_BUF_INIT; /* 1 GiB unless told otherwise */
    CHECK(gn_buf_reserve(&d, ((size_t)1 << 30) + 1) == NULL);
    CHECK(d.failed);
    gn_buf_done(&d);
}

TEST(reserve_gives_room_behind_the_end) {
    gn_buf b = GN_BUF_INIT;
    gn_buf_puts(&b, "ab");
    uint8_t *p = gn_buf_reserve(&b, 500);
    REQUIRE(p);
    CHECK(p == b.p + 2);
    memset(p, 'c', 500);
    CHECK_INT(b.n, 2);
    b.n += 500;
    CHECK_INT(strlen((char *)b.p), 502);
    gn_buf_done(&b);
}

TEST(failing_allocations_change_nothing) {
    gn_buf b = GN_BUF_INIT;
    check_fail_alloc(1);
    gn_buf_puts(&b, "x");
    CHECK(b.failed);
    CHECK(b.p == NULL);
    gn_buf_printf(&b, "%d", 1);
    CHECK(b.p == NULL);
    check_fail_alloc(0);
    gn_buf_clear(&b);
    gn_buf_puts(&b, "abc");
    check_fail_alloc(1);
    CHECK(gn_buf_reserve(&b, 1000) == NULL);
    CHECK_STR((char *)b.p, "abc");
    check_fail_alloc(0);
    gn_buf_done(&b);
}
