/* The bounds-checked reader: both byte orders, and no read past the end whatever is asked. */
#include "base/base.h"
#include "check.h"

static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

TEST(reads_in_both_orders) {
    gn_reader r = gn_reader_of(bytes, sizeof bytes);
    CHECK_INT(gn_read_u8(&r), 1);
    CHECK_INT(gn_read_le16(&r), 0x0302);
    CHECK_INT(gn_read_be16(&r), 0x0405);
    CHECK_INT(gn_read_le32(&r), 0x09080706);
    CHECK_INT(gn_reader_left(&r), 6);
    CHECK_INT(gn_read_be32(&r), 0x0A0B0C0D);
    CHECK_INT(r.off, 13);
    CHECK(!r.failed);
    CHECK_INT(gn_load_le64(bytes), 0x0807060504030201);
    CHECK_INT(gn_load_be64(bytes), 0x0102030405060708);
}

TEST(a_read_past_the_end_fails_for_good) {
    gn_reader r = gn_reader_of(bytes, 5);
    CHECK_INT(gn_read_le32(&r), 0x04030201);
    CHECK_INT(gn_read_le16(&r), 0);
    CHECK(r.failed);
    CHECK_INT(r.off, 4);
    CHECK_INT(gn_read_u8(&r), 0); /* one byte is left, but what follows a failure has no meaning */
    CHECK_INT(r.off, 4);
}

TEST(every_width_is_checked) {
    for (size_t n = 0; n < 8; n++) {
        gn_reader r[7];
        for (int i = 0; i < 7; i++) r[i] = gn_reader_of(bytes, n);
        (void)gn_read_u8(&r[0]);
        (void)gn_read_le16(&r[1]);
        (void)gn_read_be16(&r[2]);
        (void)gn_read_le32(&r[3]);
        (void)gn_read_be32(&r[4]);
        (void)gn_read_le64(&r[5]);
        CHECK(gn_read_bytes(&r[6], SIZE_MAX) == NULL);
        CHECK_INT(r[0].failed, n < 1);
        CHECK_INT(r[1].failed, n < 2);
        CHECK_INT(r[2].failed, n < 2);
        CHECK_INT(r[3].failed, n < 4);
        CHECK_INT(r[4].failed, n < 4);
        CHECK_INT(r[5].failed, n < 8);
        CHECK(r[6].failed);
    }
}

TEST(nothing_can_be_read_from_nothing) {
    gn_reader r = gn_reader_of(NULL, 0);
    CHECK_INT(gn_reader_left(&r), 0);
    CHECK_INT(gn_read_u8(&r), 0);
    CHECK(r.failed);
}

TEST(stores_mirror_loads) {
    uint8_t q[8];
    gn_store_le16(q, 0xBEEF);
    CHECK_INT(gn_load_le16(q), 0xBEEF);
    gn_store_be16(q, 0xBEEF);
    CHECK_INT(gn_load_be16(q), 0xBEEF);
    CHECK_INT(q[0], 0xBE);
    gn_store_le32(q, 0xDEADBEEF);
    CHECK_INT(gn_load_le32(q), 0xDEADBEEF);
    gn_store_be32(q, 0xDEADBEEF);
    CHECK_INT(gn_load_be32(q), 0xDEADBEEF);
    CHECK_INT(q[0], 0xDE);
    gn_store_le64(q, 0x0123456789ABCDEF);
    CHECK_INT(gn_load_le64(q), 0x0123456789ABCDEF);
    CHECK_INT(q[0], 0xEF);
}
