/* The permission table: each cell against docs/security.md, and who is allowed what by being who. */
#include "check.h"
#include "security/security.h"

/* Reads the row of a permission: "| `images.find` | yes | … |"; -1: not there. The columns are the roles in their order. */
static int row_of(const char *text, const char *word) {
    char start[64];
    (void)snprintf(start, sizeof start, "\n| `%s` |", word);
    const char *p = strstr(text, start);
    if (!p) return -1;
    p += strlen(start);
    int bits = 0;
    for (unsigned i = 0; i < SECURITY_ROLES; i++) {
        const char *end = strchr(p, '|');
        if (!end) return -1;
        if (memmem(p, (size_t)(end - p), "yes", 3)) bits |= 1 << i;
        p = end + 1;
    }
    return bits;
}

TEST(table_is_the_one_of_the_docs) {
    gn_buf doc = GN_BUF_INIT;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(gn_file_load(TEST_ROOT "/docs/security.md", 1 << 20, &doc, &e), 0);
    REQUIRE(doc.n > 0);
    CHECK(strstr((const char *)doc.p, "| permission | administrator | technologist | radiologist | referrer | service |") != NULL);
    for (int p = 0; p < SECURITY_PERMISSIONS; p++) {
        int bits = 0;
        for (unsigned r = 0; r < SECURITY_ROLES; r++) bits |= security_role_may((security_role)r, (security_permission)p) ? 1 << r : 0;
        if (row_of((const char *)doc.p, security_permission_text((security_permission)p)) != bits)
            CHECK_STR("docs/security.md differs", security_permission_text((security_permission)p));
    }
    gn_buf_done(&doc);
}

TEST(words_go_both_ways) {
    for (unsigned r = 0; r < SECURITY_ROLES; r++) {
        security_role back = SECURITY_ROLES;
        CHECK(security_role_parse(security_role_text((security_role)r), &back));
        CHECK_INT(back, r);
    }
    security_role r = SECURITY_SERVICE;
    CHECK(!security_role_parse("root", &r));
    CHECK(!security_role_parse(NULL, &r));
    CHECK(!security_role_parse("", &r));
    CHECK_INT(r, SECURITY_SERVICE);
    CHECK_STR(security_permission_text(SECURITY_REPORTS_SIGN), "reports.sign");
    CHECK_STR(security_permission_text((security_permission)99), "nothing");
    CHECK_STR(security_role_text((security_role)99), "unknown");
}

TEST(only_radiologists_sign) {
    for (unsigned r = 0; r < SECURITY_ROLES; r++) CHECK_INT(security_role_may((security_role)r, SECURITY_REPORTS_SIGN), r == SECURITY_RADIOLOGIST);
}

TEST(T16_nobody_may_nothing) {
    security_principal nobody = { 0 };
    security_principal strange = { .kind = (security_kind)77 };
    for (int p = 0; p < SECURITY_PERMISSIONS; p++) {
        CHECK(!security_allows(NULL, (security_permission)p, NULL));
        CHECK(!security_allows(&nobody, (security_permission)p, "1.2"));
        CHECK(!security_allows(&strange, (security_permission)p, NULL));
    }
    CHECK(security_allows(NULL, SECURITY_NOTHING, NULL));
    security_principal admin = { .kind = SECURITY_USER };
    CHECK(!security_allows(&admin, SECURITY_PERMISSIONS, NULL));
    CHECK(!security_allows(&admin, (security_permission)-2, NULL));
    admin.role = (security_role)9;
    CHECK(!security_allows(&admin, SECURITY_IMAGES_READ, NULL));
}

TEST(T19_a_share_sees_its_study_only) {
    security_principal share = { .kind = SECURITY_SHARE, .role = SECURITY_ADMINISTRATOR, .study_uid = "1.2.3" };
    for (int p = 0; p < SECURITY_PERMISSIONS; p++) {
        bool image = p == SECURITY_IMAGES_READ || p == SECURITY_IMAGES_FIND;
        CHECK_INT(security_allows(&share, (security_permission)p, "1.2.3"), image);
        CHECK(!security_allows(&share, (security_permission)p, "1.2.3.4"));
        CHECK(!security_allows(&share, (security_permission)p, "1.2"));
        CHECK(!security_allows(&share, (security_permission)p, ""));
        CHECK(!security_allows(&share, (security_permission)p, NULL));
    }
    share.study_uid[0] = '\0';
    CHECK(!security_allows(&share, SECURITY_IMAGES_READ, ""));
    CHECK(!security_allows(&share, SECURITY_IMAGES_READ, NULL));
    security_principal user = { .kind = SECURITY_USER, .role = SECURITY_RADIOLOGIST, .study_uid = "1.2.3" };
    CHECK(security_allows(&user, SECURITY_IMAGES_READ, "1.2.3"));
    CHECK(!security_allows(&user, SECURITY_IMAGES_READ, NULL));
    CHECK(!security_allows(&user, SECURITY_REPORTS_READ, "1.2.3"));
}

TEST(T22_what_has_expired_is_over) {
    security_principal user = { .kind = SECURITY_USER, .role = SECURITY_RADIOLOGIST, .expires_us = gn_wall_us() - 1 };
    CHECK(!security_allows(&user, SECURITY_IMAGES_READ, NULL));
    user.expires_us = gn_wall_us() + 60000000;
    CHECK(security_allows(&user, SECURITY_IMAGES_READ, NULL));
}

TEST(keys_do_not_sign_and_open_may_all) {
    security_principal key = { .kind = SECURITY_KEY, .role = SECURITY_RADIOLOGIST }, open = { .kind = SECURITY_OPEN, .role = SECURITY_SERVICE };
    CHECK(!security_allows(&key, SECURITY_REPORTS_SIGN, NULL));
    CHECK(security_allows(&key, SECURITY_REPORTS_WRITE, NULL));
    for (int p = 0; p < SECURITY_PERMISSIONS; p++) CHECK(security_allows(&open, (security_permission)p, NULL));
}
