/* Users and passwords: rules, limits of guesses, the first and the last administrator, what a change ends. */
#include "rig.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

static int add(rig *r, const char *name, const char *password) {
    gn_error_clear(&r->e);
    return security_user_add(r->s, name, NULL, SECURITY_REFERRER, password, NULL, &r->e);
}

TEST(passwords_have_rules) {
    rig r;
    REQUIRE(rig_init(&r));
    char longest[1026];
    for (size_t i = 0; i < 1025; i++) longest[i] = (char)('a' + i % 26);
    longest[1025] = '\0';
    CHECK_INT(add(&r, "a", "short one"), GN_E_INVALID);
    CHECK(strstr(r.e.message, "12") != NULL);
    CHECK_INT(add(&r, "a", longest), GN_E_INVALID);
    CHECK_INT(add(&r, "a", "aaaaaaaaaaaaaaaa"), GN_E_INVALID);
    CHECK_INT(add(&r, "a", "Password1234"), GN_E_INVALID);
    CHECK(strstr(r.e.message, "common") != NULL);
    CHECK_INT(add(&r, "Jürgen Grüßner", "JÜRGEN GRÜßNER"), GN_E_INVALID);
    CHECK(strstr(r.e.message, "name") != NULL);
    CHECK_INT(add(&r, "a", NULL), GN_E_INVALID);
    CHECK_INT(add(&r, "a", ""), GN_E_INVALID);
    longest[1024] = '\0';
    CHECK_INT(add(&r, "a", longest), 0);
    security_principal who;
    char token[64];
    CHECK_INT(rig_sign_in(&r, "a", longest, token, &who), 0);
    longest[1023] = '!';
    CHECK_INT(rig_sign_in(&r, "a", longest, token, &who), GN_E_REFUSED);
    rig_close(&r);
}

TEST(names_have_rules_and_are_unique) {
    rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(add(&r, "", PASSWORD), GN_E_INVALID);
    CHECK_INT(add(&r, NULL, PASSWORD), GN_E_INVALID);
    CHECK_INT(add(&r, "a\nb", PASSWORD), GN_E_INVALID);
    CHECK_INT(add(&r, "a\xc2\x85", PASSWORD), GN_E_INVALID);
    CHECK_INT(add(&r, "a\xff", PASSWORD), GN_E_INVALID);
    CHECK_INT(add(&r, "1234567890123456789012345678901234567890123456789012345678901234", PASSWORD), GN_E_INVALID);
    CHECK_INT(add(&r, "Zoë", PASSWORD), 0);
    CHECK_INT(add(&r, "ZOË", PASSWORD), GN_E_EXISTS);
    CHECK_INT(add(&r, "'; drop table users; --", PASSWORD), 0);
    security_principal who;
    char token[64];
    CHECK_INT(rig_sign_in(&r, "zoË", PASSWORD, token, &who), 0);
    CHECK_STR(who.name, "Zoë");
    rig_close(&r);
}

static _Atomic int added;
static void *add_same(void *arg) {
    rig *r = arg;
    int rc = security_user_add(r->s, "same", NULL, SECURITY_REFERRER, PASSWORD, NULL, NULL);
    CHECK(rc == 0 || rc == GN_E_EXISTS);
    added += rc == 0;
    return NULL;
}

TEST(one_of_many_adds_a_name) {
    rig r;
    REQUIRE(rig_init(&r));
    pthread_t t[4];
    added = 0;
    for (size_t i = 0; i < 4; i++) REQUIRE(pthread_create(&t[i], NULL, add_same, &r) == 0);
    for (size_t i = 0; i < 4; i++) (void)pthread_join(t[i], NULL);
    CHECK_INT(added, 1);
    rig_close(&r);
}

static void count_users(void *ctx, const security_user *u) {
    (void)u;
    ++*(int *)ctx;
}

TEST(users_are_changed_listed_and_removed) {
    rig r;
    REQUIRE(rig_init(&r));
    char admin[ID_SIZE], id[ID_SIZE];
    CHECK_INT(rig_user(&r, "admin", SECURITY_ADMINISTRATOR, admin), 0);
    CHECK_INT(rig_user(&r, "reed", SECURITY_REFERRER, id), 0);
    security_user u;
    CHECK_INT(security_user_change(r.s, id, "Dr Reed", SECURITY_RADIOLOGIST, -1, NULL, &u, &r.e), 0);
    CHECK_STR(u.display, "Dr Reed");
    CHECK_INT(u.role, SECURITY_RADIOLOGIST);
    CHECK_INT(security_user_get(r.s, id, &u, &r.e), 0);
    CHECK_STR(u.display, "Dr Reed");
    CHECK_STR(u.name, "reed");
    CHECK(u.created_us > 0 && !u.disabled);
    CHECK_INT(security_user_change(r.s, id, NULL, 77, -1, NULL, &u, NULL), GN_E_INVALID);
    CHECK_INT(security_user_change(r.s, id, "a\x01", -1, -1, NULL, &u, NULL), GN_E_INVALID);
    CHECK_INT(security_user_change(r.s, id, NULL, -1, -1, "reed", &u, NULL), GN_E_INVALID);
    CHECK_INT(security_user_change(r.s, "usr_none", NULL, -1, -1, NULL, &u, NULL), GN_E_NOT_FOUND);
    CHECK_INT(security_user_get(r.s, "", &u, NULL), GN_E_NOT_FOUND);
    int n = 0;
    CHECK_INT(security_user_list(r.s, count_users, &n, &r.e), 0);
    CHECK_INT(n, 2);
    CHECK_INT(security_user_remove(r.s, id, &r.e), 0);
    CHECK_INT(security_user_remove(r.s, id, NULL), GN_E_NOT_FOUND);
    CHECK_INT(add(&r, "reed", PASSWORD), 0); /* the name is free again */
    rig_close(&r);
}

TEST(the_last_administrator_stays) {
    rig r;
    REQUIRE(rig_init(&r));
    char a[ID_SIZE], b[ID_SIZE];
    CHECK_INT(rig_user(&r, "a", SECURITY_ADMINISTRATOR, a), 0);
    CHECK_INT(security_user_remove(r.s, a, &r.e), GN_E_REFUSED);
    CHECK_INT(security_user_change(r.s, a, NULL, SECURITY_REFERRER, -1, NULL, NULL, NULL), GN_E_REFUSED);
    CHECK_INT(security_user_change(r.s, a, NULL, -1, 1, NULL, NULL, NULL), GN_E_REFUSED);
    CHECK_INT(security_user_change(r.s, a, "The only one", -1, -1, "another long password", NULL, NULL), 0);
    CHECK_INT(rig_user(&r, "b", SECURITY_ADMINISTRATOR, b), 0);
    CHECK_INT(security_user_change(r.s, b, NULL, -1, 1, NULL, NULL, NULL), 0);
    CHECK_INT(security_user_remove(r.s, a, NULL), GN_E_REFUSED); /* b is disabled and does not count */
    CHECK_INT(security_user_change(r.s, b, NULL, -1, 0, NULL, NULL, NULL), 0);
    CHECK_INT(security_user_remove(r.s, a, NULL), 0);
    CHECK_INT(security_user_remove(r.s, b, NULL), GN_E_REFUSED);
    rig_close(&r);
}

typedef struct demotion { security *s; const char *id; int rc; } demotion;
static void *demote(void *arg) {
    demotion *d = arg;
    d->rc = security_user_change(d->s, d->id, NULL, SECURITY_REFERRER, -1, NULL, NULL, NULL);
    return NULL;
}

TEST(two_administrators_cannot_demote_each_other) {
    rig r, other;
    REQUIRE(rig_init(&r));
    other = r; /* a second process over the same records, with an audit log of its own */
    char dir[400];
    (void)snprintf(other.directory, sizeof other.directory, "%s", check_temp_dir(dir, sizeof dir));
    REQUIRE(rig_open(&other));
    for (int i = 0; i < 20; i++) {
        char id[2][ID_SIZE], name[32];
        for (int k = 0; k < 2; k++) {
            (void)snprintf(name, sizeof name, "admin %d %d", i, k);
            CHECK_INT(rig_user(&r, name, SECURITY_ADMINISTRATOR, id[k]), 0);
        }
        demotion d[2] = { { r.s, id[0], 0 }, { other.s, id[1], 0 } };
        pthread_t t[2];
        for (int k = 0; k < 2; k++) REQUIRE(pthread_create(&t[k], NULL, demote, &d[k]) == 0);
        for (int k = 0; k < 2; k++) (void)pthread_join(t[k], NULL);
        int64_t left = 0;
        CHECK_INT(user_count(r.s, true, &left, NULL), 0);
        CHECK(left >= 1);
    }
    security_close(&other.s);
    rig_close(&r);
}

/* ---- signing in ---------------------------------------------------------------------------------------------------------- */

TEST(T22_wrong_name_and_wrong_password_look_the_same) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], id[ID_SIZE], first[240];
    security_principal who;
    CHECK_INT(rig_user(&r, "reed", SECURITY_RADIOLOGIST, id), 0);
    CHECK_INT(rig_sign_in(&r, "reed", "not the password", token, &who), GN_E_REFUSED);
    (void)snprintf(first, sizeof first, "%s", r.e.message);
    CHECK_INT(rig_sign_in(&r, "nobody", "not the password", token, &who), GN_E_REFUSED);
    CHECK_STR(r.e.message, first);
    CHECK_INT(rig_sign_in(&r, "", "", token, &who), GN_E_REFUSED);
    CHECK_INT(rig_sign_in(&r, NULL, NULL, token, &who), GN_E_REFUSED);
    CHECK_INT(security_user_change(r.s, id, NULL, -1, 1, NULL, NULL, NULL), 0);
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), GN_E_REFUSED);
    CHECK_STR(r.e.message, first);
    rig_close(&r);
}

static uint64_t cost(rig *r, const char *name) {
    char token[64];
    security_principal who;
    uint64_t start = gn_mono_ns();
    for (int i = 0; i < 8; i++) CHECK_INT(rig_sign_in(r, name, "not the password", token, &who), GN_E_REFUSED);
    return gn_mono_ns() - start;
}

TEST(T22_an_unknown_name_costs_a_password) {
    rig r;
    REQUIRE(rig_init(&r));
    security_close(&r.s);
    r.config.argon2_memory = 4 << 20; /* some milliseconds, so that it shows */
    REQUIRE(rig_open(&r));
    CHECK_INT(rig_user(&r, "reed", SECURITY_RADIOLOGIST, NULL), 0);
    uint64_t known = cost(&r, "reed"), unknown = cost(&r, "nobody");
    CHECK(unknown * 4 > known && known * 4 > unknown);
    rig_close(&r);
}

TEST(T22_an_account_takes_ten_guesses) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64];
    security_principal who;
    CHECK_INT(rig_user(&r, "reed", SECURITY_RADIOLOGIST, NULL), 0);
    for (int i = 0; i < 9; i++) CHECK_INT(rig_sign_in(&r, "reed", "not the password", token, &who), GN_E_REFUSED);
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), 0); /* forgives */
    for (int i = 0; i < 10; i++) CHECK_INT(rig_sign_in(&r, i % 2 ? "reed" : "REED", "not the password", token, &who), GN_E_REFUSED);
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), GN_E_BUSY);
    CHECK(strstr(r.e.message, "seconds") != NULL);
    for (int i = 0; i < 10; i++) CHECK_INT(rig_sign_in(&r, "unknown", "not the password", token, &who), GN_E_REFUSED);
    CHECK_INT(rig_sign_in(&r, "unknown", "not the password", token, &who), GN_E_BUSY); /* nothing to learn from that either */
    rig_later(14 * 60);
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), GN_E_BUSY);
    rig_later(2 * 60);
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), 0);
    rig_close(&r);
}

TEST(T22_an_address_takes_fifty_guesses) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], name[32];
    security_principal who;
    CHECK_INT(rig_user(&r, "reed", SECURITY_RADIOLOGIST, NULL), 0);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof name, "user %d", i);
        CHECK_INT(rig_sign_in(&r, name, "not the password", token, &who), GN_E_REFUSED);
    }
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), GN_E_BUSY);
    CHECK_INT(security_sign_in(r.s, "reed", PASSWORD, "192.0.2.7:5001", token, 64, &who, NULL), GN_E_BUSY);
    CHECK_INT(security_sign_in(r.s, "reed", PASSWORD, "::ffff:192.0.2.7", token, 64, &who, NULL), GN_E_BUSY);
    CHECK_INT(security_by_password(r.s, "reed", PASSWORD, "192.0.2.7", &who, NULL), GN_E_BUSY);
    CHECK_INT(security_sign_in(r.s, "reed", PASSWORD, "192.0.2.8", token, 64, &who, NULL), 0);
    rig_close(&r);
}

TEST(T22_an_ipv6_network_is_one_address) {
    rig r;
    REQUIRE(rig_init(&r));
    char address[64];
    for (int i = 0; i < 50; i++) {
        (void)snprintf(address, sizeof address, i % 2 ? "[2001:db8:1:2::%x]:443" : "2001:db8:1:2::%x", i);
        CHECK_INT(guess_charge(r.s, GUESS_ADDRESS, address, NULL), 0);
    }
    CHECK_INT(guess_charge(r.s, GUESS_ADDRESS, "2001:db8:1:2:3:4:5:6", NULL), GN_E_BUSY);
    CHECK_INT(guess_charge(r.s, GUESS_ADDRESS, "2001:db8:1:3::1", NULL), 0);
    CHECK_INT(guess_charge(r.s, GUESS_ADDRESS, NULL, NULL), 0);
    rig_close(&r);
}

TEST(T22_a_flood_of_names_does_not_free_an_account) {
    rig r;
    REQUIRE(rig_init(&r));
    char name[32];
    for (int i = 0; i < 10; i++) CHECK_INT(guess_charge(r.s, GUESS_ACCOUNT, "reed", NULL), 0);
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(name, sizeof name, "user %d", i);
        (void)guess_charge(r.s, GUESS_ACCOUNT, name, NULL);
    }
    CHECK_INT(guess_charge(r.s, GUESS_ACCOUNT, "reed", NULL), GN_E_BUSY);
    rig_close(&r);
}

static _Atomic int tried;
static void *guess_many(void *arg) {
    rig *r = arg;
    char token[64];
    security_principal who;
    for (int i = 0; i < 10; i++) tried += security_sign_in(r->s, "reed", "not the password", "192.0.2.9", token, 64, &who, NULL) == GN_E_REFUSED;
    return NULL;
}

TEST(T22_guesses_at_the_same_time_are_no_more) {
    rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_user(&r, "reed", SECURITY_RADIOLOGIST, NULL), 0);
    pthread_t t[6];
    tried = 0;
    for (size_t i = 0; i < 6; i++) REQUIRE(pthread_create(&t[i], NULL, guess_many, &r) == 0);
    for (size_t i = 0; i < 6; i++) (void)pthread_join(t[i], NULL);
    CHECK_INT(tried, 10);
    rig_close(&r);
}

TEST(confirming_asks_the_password_again) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64];
    security_principal who, key = { .kind = SECURITY_KEY }, open = { .kind = SECURITY_OPEN };
    CHECK_INT(rig_user(&r, "reed", SECURITY_RADIOLOGIST, NULL), 0);
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), 0);
    CHECK_INT(security_confirm(r.s, &who, PASSWORD, &r.e), 0);
    CHECK_INT(security_confirm(r.s, &key, PASSWORD, NULL), GN_E_REFUSED);
    CHECK_INT(security_confirm(r.s, NULL, PASSWORD, NULL), GN_E_REFUSED);
    CHECK_INT(security_confirm(r.s, &who, NULL, NULL), GN_E_REFUSED);
    CHECK_INT(security_confirm(r.s, &open, NULL, NULL), 0);
    for (int i = 0; i < 10; i++) CHECK_INT(security_confirm(r.s, &who, "not the password", NULL), GN_E_REFUSED);
    CHECK_INT(security_confirm(r.s, &who, PASSWORD, NULL), GN_E_BUSY);
    rig_close(&r);
}

TEST(a_raised_cost_is_taken_at_the_next_sign_in) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], id[ID_SIZE];
    security_principal who;
    user_record u;
    CHECK_INT(rig_user(&r, "reed", SECURITY_RADIOLOGIST, id), 0);
    security_close(&r.s);
    r.config.argon2_ops = 2;
    REQUIRE(rig_open(&r));
    CHECK_INT(user_load(r.s, id, &u, NULL), 0);
    CHECK(password_outdated(r.s, u.hash));
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), 0);
    CHECK_INT(user_load(r.s, id, &u, NULL), 0);
    CHECK(!password_outdated(r.s, u.hash));
    CHECK(u.user.signed_in_us > 0);
    CHECK_INT(security_by_session(r.s, token, &who, NULL), 0);
    rig_close(&r);
}

/* ---- the first administrator ------------------------------------------------------------------------------------------------ */

static int first(rig *r, const char *secret, const char *password, char token[64], security_principal *who) {
    gn_error_clear(&r->e);
    return security_first_sign_in(r->s, secret, "root", password, "192.0.2.1", token, 64, who, &r->e);
}

TEST(T16_the_first_link_works_once) {
    rig r;
    REQUIRE(rig_init(&r));
    char secret[64], older[64], token[64];
    security_principal who;
    CHECK_INT(first(&r, "", PASSWORD, token, &who), GN_E_REFUSED); /* none was made */
    CHECK_INT(first(&r, NULL, PASSWORD, token, &who), GN_E_REFUSED);
    CHECK_INT(security_first_secret(r.s, older, sizeof older, &r.e), 0);
    CHECK_INT(security_first_secret(r.s, secret, sizeof secret, &r.e), 0);
    CHECK_INT(strlen(secret), 43);
    CHECK_INT(first(&r, older, PASSWORD, token, &who), GN_E_REFUSED);
    CHECK_INT(first(&r, secret, "too short", token, &who), GN_E_INVALID); /* may be tried again */
    CHECK_INT(first(&r, secret, PASSWORD, token, &who), 0);
    CHECK_INT(who.role, SECURITY_ADMINISTRATOR);
    CHECK_INT(security_by_session(r.s, token, &who, &r.e), 0);
    CHECK_INT(first(&r, secret, PASSWORD, token, &who), GN_E_REFUSED);
    CHECK_INT(security_first_secret(r.s, secret, sizeof secret, NULL), GN_E_NOT_FOUND);
    rig_close(&r);
}

TEST(T16_the_first_link_ages) {
    rig r;
    REQUIRE(rig_init(&r));
    char secret[64], token[64], small[10];
    security_principal who;
    CHECK_INT(security_first_secret(r.s, small, sizeof small, NULL), GN_E_INTERNAL);
    CHECK_INT(security_first_secret(r.s, secret, sizeof secret, &r.e), 0);
    rig_later(24 * 3600 + 1);
    CHECK_INT(first(&r, secret, PASSWORD, token, &who), GN_E_REFUSED);
    CHECK_INT(security_first_secret(r.s, secret, sizeof secret, NULL), 0);
    CHECK_INT(rig_user(&r, "quicker", SECURITY_ADMINISTRATOR, NULL), 0);
    CHECK_INT(first(&r, secret, PASSWORD, token, &who), GN_E_REFUSED);
    rig_close(&r);
}
