/* Sessions, keys and shares: what they open, when they end, and that no secret can be found in the files. */
#include "rig.h"

#include <pthread.h>
#include <stdlib.h>

static int by_session(rig *r, const char *token, security_principal *who) {
    gn_error_clear(&r->e);
    return security_by_session(r->s, token, who, &r->e);
}

static int by_bearer(rig *r, const char *token, security_principal *who) {
    gn_error_clear(&r->e);
    return security_by_bearer(r->s, token, "192.0.2.7", who, &r->e);
}

static bool signed_in(rig *r, const char *name, security_role role, char id[ID_SIZE], char token[64], security_principal *who) {
    return rig_user(r, name, role, id) == 0 && rig_sign_in(r, name, PASSWORD, token, who) == 0;
}

/* ---- sessions -------------------------------------------------------------------------------------------------------------- */

TEST(a_session_is_its_user) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], id[ID_SIZE];
    security_principal who, again;
    REQUIRE(signed_in(&r, "reed", SECURITY_RADIOLOGIST, id, token, &who));
    CHECK_INT(strlen(token), 43);
    CHECK_INT(by_session(&r, token, &again), 0);
    CHECK_INT(again.kind, SECURITY_USER);
    CHECK_STR(again.id, id);
    CHECK_STR(again.name, "reed");
    CHECK_INT(again.role, SECURITY_RADIOLOGIST);
    CHECK_STR(again.session, who.session);
    CHECK(strncmp(again.session, "ses_", 4) == 0);
    CHECK(security_allows(&again, SECURITY_REPORTS_SIGN, "1.2"));
    security_close(&r.s); /* a restart ends no session */
    REQUIRE(rig_open(&r));
    CHECK_INT(by_session(&r, token, &again), 0);
    CHECK_INT(security_sign_out(r.s, &again, &r.e), 0);
    CHECK_INT(by_session(&r, token, &again), GN_E_REFUSED);
    CHECK_INT(security_sign_out(r.s, &again, NULL), 0); /* twice is no harm */
    security_principal key = { .kind = SECURITY_KEY };
    CHECK_INT(security_sign_out(r.s, &key, NULL), GN_E_INVALID);
    CHECK_INT(security_sign_out(r.s, NULL, NULL), GN_E_INVALID);
    rig_close(&r);
}

TEST(T22_foreign_tokens_open_nothing) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], large[5000];
    security_principal who;
    REQUIRE(signed_in(&r, "reed", SECURITY_RADIOLOGIST, NULL, token, &who));
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    const char *const wrong[] = { "", "x", large, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "' or 1=1 --AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "eyJhbGciOiJub25lIn0.e30.", who.session, NULL };
    for (size_t i = 0; i < GN_ARRAY_LEN(wrong); i++) {
        CHECK_INT(by_session(&r, wrong[i], &who), GN_E_REFUSED);
        CHECK_INT(by_bearer(&r, wrong[i], &who), GN_E_REFUSED);
    }
    CHECK_INT(by_bearer(&r, token, &who), GN_E_REFUSED); /* a cookie is no key */
    token[10] = token[10] == 'A' ? 'B' : 'A';
    CHECK_INT(by_session(&r, token, &who), GN_E_REFUSED);
    rig_close(&r);
}

TEST(T22_idle_sessions_end) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], other[64];
    security_principal who;
    REQUIRE(signed_in(&r, "reed", SECURITY_RADIOLOGIST, NULL, token, &who));
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, other, &who), 0);
    for (int i = 0; i < 3; i++) { /* used: goes on */
        rig_later(7 * 3600);
        CHECK_INT(by_session(&r, token, &who), 0);
    }
    CHECK_INT(by_session(&r, other, &who), GN_E_REFUSED);
    rig_later(3 * 3600); /* 24 hours */
    CHECK_INT(by_session(&r, token, &who), GN_E_REFUSED);
    rig_close(&r);
}

static void count_record(int64_t *n, rig *r, const char *collection) {
    archive_record_query q = { .collection = collection, .order = ARCHIVE_RECORD_FIELD_ID };
    CHECK_INT(archive_records_count(r->archive, &q, n, NULL), 0);
}

TEST(dead_sessions_are_swept_and_live_ones_bounded) {
    rig r;
    REQUIRE(rig_init(&r));
    char first[64], token[64];
    security_principal who;
    int64_t n = 0;
    REQUIRE(signed_in(&r, "reed", SECURITY_RADIOLOGIST, NULL, first, &who));
    for (int i = 0; i < 60; i++) {
        rig_later(1);
        CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), 0);
    }
    count_record(&n, &r, "session");
    CHECK_INT(n, 50);
    CHECK_INT(by_session(&r, first, &who), GN_E_REFUSED);
    CHECK_INT(by_session(&r, token, &who), 0);
    rig_later(25 * 3600);
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &who), 0);
    count_record(&n, &r, "session");
    CHECK_INT(n, 1);
    rig_close(&r);
}

TEST(T22_what_changes_a_user_ends_his_sessions) {
    for (int what = 0; what < 5; what++) {
        rig r;
        REQUIRE(rig_init(&r));
        char token[64], id[ID_SIZE];
        security_principal who;
        REQUIRE(rig_user(&r, "admin", SECURITY_ADMINISTRATOR, NULL) == 0);
        REQUIRE(signed_in(&r, "reed", SECURITY_RADIOLOGIST, id, token, &who));
        CHECK_INT(by_session(&r, token, &who), 0);
        CHECK_INT(security_by_password(r.s, "reed", PASSWORD, "192.0.2.7", &who, NULL), 0);
        if (what == 0) CHECK_INT(security_user_change(r.s, id, NULL, SECURITY_REFERRER, -1, NULL, NULL, &r.e), 0);
        if (what == 1) CHECK_INT(security_user_change(r.s, id, NULL, -1, 1, NULL, NULL, &r.e), 0);
        if (what == 2) CHECK_INT(security_user_change(r.s, id, NULL, -1, -1, "another long password", NULL, &r.e), 0);
        if (what == 3) CHECK_INT(security_user_remove(r.s, id, &r.e), 0);
        if (what == 4) CHECK_INT(security_user_change(r.s, id, "Another name", -1, -1, NULL, NULL, &r.e), 0);
        CHECK_INT(by_session(&r, token, &who), what == 4 ? 0 : GN_E_REFUSED);
        CHECK_INT(security_by_password(r.s, "reed", PASSWORD, "192.0.2.7", &who, NULL), what == 4 || what == 0 ? 0 : GN_E_REFUSED);
        if (what == 0) CHECK_INT(who.role, SECURITY_REFERRER);
        rig_close(&r);
    }
}

TEST(T22_what_ends_elsewhere_ends_in_a_minute) {
    rig r, other;
    REQUIRE(rig_init(&r));
    other = r; /* another process over the same records */
    char dir[400], token[64], key[64], id[ID_SIZE];
    security_principal who, basic;
    (void)snprintf(other.directory, sizeof other.directory, "%s", check_temp_dir(dir, sizeof dir));
    REQUIRE(rig_open(&other));
    REQUIRE(rig_user(&r, "admin", SECURITY_ADMINISTRATOR, NULL) == 0);
    REQUIRE(signed_in(&r, "reed", SECURITY_RADIOLOGIST, id, token, &who));
    CHECK_INT(security_key_add(r.s, "k", id, SECURITY_SERVICE, 0, key, sizeof key, NULL, &r.e), 0);
    CHECK_INT(by_session(&other, token, &who), 0);
    CHECK_INT(by_bearer(&other, key, &basic), 0);
    CHECK_INT(security_by_password(other.s, "reed", PASSWORD, "192.0.2.7", &basic, NULL), 0);
    char csrf[44]; /* the same in both */
    security_csrf(r.s, &who, csrf);
    CHECK(security_csrf_valid(other.s, &who, csrf));
    CHECK_INT(security_user_change(r.s, id, NULL, -1, 1, NULL, NULL, NULL), 0);
    rig_later(59);
    CHECK_INT(by_session(&other, token, &who), GN_E_REFUSED);
    CHECK_INT(by_bearer(&other, key, &who), GN_E_REFUSED);
    CHECK_INT(security_by_password(other.s, "reed", PASSWORD, "192.0.2.7", &basic, NULL), GN_E_REFUSED);
    security_close(&other.s);
    rig_close(&r);
}

TEST(T22_an_epoch_ends_a_session_whose_record_stayed) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], id[ID_SIZE];
    security_principal who;
    user_record before;
    REQUIRE(rig_user(&r, "reed", SECURITY_RADIOLOGIST, id) == 0);
    CHECK_INT(user_load(r.s, id, &before, NULL), 0);
    CHECK_INT(security_user_change(r.s, id, NULL, -1, -1, "another long password", NULL, NULL), 0);
    CHECK_INT(session_begin(r.s, &before, token, sizeof token, &who, &r.e), 0); /* a sign-in that was overtaken */
    CHECK_INT(by_session(&r, token, &who), GN_E_REFUSED);
    rig_close(&r);
}

TEST(T22_csrf_tokens_belong_to_a_session) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], csrf[44], other_csrf[44];
    security_principal who, other;
    REQUIRE(signed_in(&r, "reed", SECURITY_RADIOLOGIST, NULL, token, &who));
    CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, token, &other), 0);
    security_csrf(r.s, &who, csrf);
    security_csrf(r.s, &other, other_csrf);
    CHECK_INT(strlen(csrf), 43);
    CHECK(security_csrf_valid(r.s, &who, csrf));
    CHECK(!security_csrf_valid(r.s, &who, other_csrf));
    CHECK(!security_csrf_valid(r.s, &other, csrf));
    CHECK(!security_csrf_valid(r.s, &who, NULL));
    CHECK(!security_csrf_valid(r.s, &who, ""));
    csrf[42] ^= 1;
    CHECK(!security_csrf_valid(r.s, &who, csrf));
    csrf[42] ^= 1;
    security_close(&r.s);
    REQUIRE(rig_open(&r));
    CHECK(security_csrf_valid(r.s, &who, csrf)); /* as long as the session */
    security_principal none = { .kind = SECURITY_KEY };
    security_csrf(r.s, &none, csrf);
    CHECK(!security_csrf_valid(r.s, &none, csrf));
    rig_close(&r);
}

TEST(basic_passwords_are_remembered_and_not_trusted_for_long) {
    rig r;
    REQUIRE(rig_init(&r));
    security_principal who;
    REQUIRE(rig_user(&r, "reed", SECURITY_RADIOLOGIST, NULL) == 0);
    CHECK_INT(security_by_password(r.s, "reed", PASSWORD, "192.0.2.7", &who, &r.e), 0);
    CHECK_STR(who.session, "");
    for (int i = 0; i < 100; i++) CHECK_INT(security_by_password(r.s, "reed", PASSWORD, "192.0.2.7", &who, NULL), 0);
    CHECK_INT(security_by_password(r.s, "reed", "not the password", "192.0.2.7", &who, NULL), GN_E_REFUSED);
    CHECK_INT(security_by_password(r.s, "reedP", &PASSWORD[1], "192.0.2.7", &who, NULL), GN_E_REFUSED);
    CHECK_INT(security_by_password(r.s, NULL, NULL, NULL, &who, NULL), GN_E_REFUSED);
    rig_close(&r);
}

/* ---- keys ------------------------------------------------------------------------------------------------------------------ */

typedef struct keys { security_key k[8]; int n; } keys;
static void note_key(void *ctx, const security_key *k) {
    keys *l = ctx;
    if (l->n < 8) l->k[l->n] = *k;
    l->n++;
}

TEST(keys_open_until_removed_or_expired) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], brief[64];
    security_key k, b;
    security_principal who;
    CHECK_INT(security_key_add(r.s, "ris", "open", SECURITY_SERVICE, 0, token, sizeof token, &k, &r.e), 0);
    CHECK(strncmp(token, "gk_", 3) == 0);
    CHECK_INT(strlen(token), 46);
    CHECK_INT(security_key_add(r.s, "brief", "open", SECURITY_REFERRER, rig_now_us() + 60000000, brief, sizeof brief, &b, &r.e), 0);
    CHECK_INT(by_bearer(&r, token, &who), 0);
    CHECK_INT(who.kind, SECURITY_KEY);
    CHECK_STR(who.name, "ris");
    CHECK_STR(who.id, k.id);
    CHECK_STR(who.session, "");
    CHECK_INT(by_bearer(&r, brief, &who), 0);
    keys l = { .n = 0 };
    CHECK_INT(security_key_list(r.s, note_key, &l, &r.e), 0);
    CHECK_INT(l.n, 2);
    CHECK(l.k[0].used_us > 0);
    rig_later(61);
    CHECK_INT(by_bearer(&r, brief, &who), GN_E_REFUSED);
    CHECK_INT(by_bearer(&r, token, &who), 0);
    CHECK_INT(security_key_remove(r.s, k.id, &r.e), 0);
    CHECK_INT(by_bearer(&r, token, &who), GN_E_REFUSED);
    CHECK_INT(security_key_remove(r.s, k.id, NULL), GN_E_NOT_FOUND);
    rig_close(&r);
}

TEST(keys_are_checked_when_made) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64];
    CHECK_INT(security_key_add(r.s, "", "open", SECURITY_SERVICE, 0, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_key_add(r.s, "k", NULL, SECURITY_SERVICE, 0, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_key_add(r.s, "k", "open", SECURITY_ROLES, 0, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_key_add(r.s, "k", "open", SECURITY_SERVICE, 1, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_key_add(r.s, "k", "open", SECURITY_SERVICE, 0, token, 20, NULL, NULL), GN_E_INTERNAL);
    rig_close(&r);
}

TEST(T22_keys_stop_with_their_owner) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], id[ID_SIZE];
    security_principal who;
    REQUIRE(rig_user(&r, "admin", SECURITY_ADMINISTRATOR, NULL) == 0);
    REQUIRE(rig_user(&r, "reed", SECURITY_RADIOLOGIST, id) == 0);
    CHECK_INT(security_key_add(r.s, "k", id, SECURITY_RADIOLOGIST, 0, token, sizeof token, NULL, &r.e), 0);
    CHECK_INT(by_bearer(&r, token, &who), 0);
    CHECK(!security_allows(&who, SECURITY_REPORTS_SIGN, NULL));
    CHECK_INT(security_user_change(r.s, id, NULL, -1, 1, NULL, NULL, NULL), 0);
    CHECK_INT(by_bearer(&r, token, &who), GN_E_REFUSED);
    CHECK_INT(security_user_change(r.s, id, NULL, -1, 0, NULL, NULL, NULL), 0);
    CHECK_INT(by_bearer(&r, token, &who), 0);
    CHECK_INT(security_user_remove(r.s, id, NULL), 0);
    CHECK_INT(by_bearer(&r, token, &who), GN_E_REFUSED);
    keys l = { .n = 0 };
    CHECK_INT(security_key_list(r.s, note_key, &l, NULL), 0);
    CHECK_INT(l.n, 0);
    rig_close(&r);
}

TEST(T22_wrong_bearers_are_told_to_stop_and_right_ones_are_not) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], wrong[64], cookie[64];
    security_principal who;
    CHECK_INT(security_key_add(r.s, "k", "open", SECURITY_SERVICE, 0, token, sizeof token, NULL, &r.e), 0);
    memcpy(wrong, token, sizeof wrong);
    wrong[20] = wrong[20] == 'A' ? 'B' : 'A';
    for (int i = 0; i < 50; i++) CHECK_INT(by_bearer(&r, wrong, &who), GN_E_REFUSED);
    CHECK_INT(by_bearer(&r, wrong, &who), GN_E_BUSY);
    CHECK_INT(by_bearer(&r, token, &who), 0);
    REQUIRE(signed_in(&r, "reed", SECURITY_RADIOLOGIST, NULL, cookie, &who)); /* from the same address */
    rig_close(&r);
}

/* ---- shares ---------------------------------------------------------------------------------------------------------------- */

typedef struct shares { security_share sh[8]; int n; } shares;
static void note_share(void *ctx, const security_share *sh) {
    shares *l = ctx;
    if (l->n < 8) l->sh[l->n] = *sh;
    l->n++;
}

TEST(T19_a_share_opens_its_study_until_it_ends) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64], other[64];
    security_share sh, o;
    security_principal who;
    int64_t in_an_hour = rig_now_us() + (int64_t)3600 * 1000000;
    CHECK_INT(security_share_add(r.s, "1.2.3", "usr_x", "for the referrer", in_an_hour, token, sizeof token, &sh, &r.e), 0);
    CHECK_INT(security_share_add(r.s, "1.2.4", "usr_x", NULL, in_an_hour, other, sizeof other, &o, &r.e), 0);
    CHECK(strncmp(token, "gs_", 3) == 0 && strlen(token) == 46);
    CHECK_INT(by_bearer(&r, token, &who), 0);
    CHECK_INT(who.kind, SECURITY_SHARE);
    CHECK_STR(who.study_uid, "1.2.3");
    CHECK(security_allows(&who, SECURITY_IMAGES_READ, "1.2.3"));
    CHECK(!security_allows(&who, SECURITY_IMAGES_READ, "1.2.4"));
    CHECK(!security_allows(&who, SECURITY_REPORTS_READ, "1.2.3"));
    for (int i = 0; i < 20; i++) CHECK_INT(by_bearer(&r, token, &who), 0);
    rig_later(120);
    CHECK_INT(by_bearer(&r, token, &who), 0);
    shares l = { .n = 0 };
    CHECK_INT(security_share_list(r.s, "1.2.3", note_share, &l, &r.e), 0);
    CHECK_INT(l.n, 1);
    CHECK_INT(l.sh[0].used, 2);
    CHECK_STR(l.sh[0].note, "for the referrer");
    CHECK_STR(l.sh[0].owner, "usr_x");
    CHECK_INT(security_share_withdraw(r.s, sh.id, &r.e), 0);
    CHECK_INT(by_bearer(&r, token, &who), GN_E_REFUSED);
    CHECK_INT(security_share_withdraw(r.s, "shr_none", NULL), GN_E_NOT_FOUND);
    CHECK_INT(by_bearer(&r, other, &who), 0);
    rig_later(3600);
    CHECK_INT(by_bearer(&r, other, &who), GN_E_REFUSED);
    l.n = 0;
    CHECK_INT(security_share_list(r.s, NULL, note_share, &l, &r.e), 0);
    CHECK_INT(l.n, 2);
    CHECK(l.sh[0].withdrawn || l.sh[1].withdrawn);
    rig_close(&r);
}

TEST(shares_are_checked_when_made) {
    rig r;
    REQUIRE(rig_init(&r));
    char token[64];
    int64_t now = rig_now_us(), day = (int64_t)24 * 3600 * 1000000;
    CHECK_INT(security_share_add(r.s, "1.2.3", "usr_x", NULL, now - 1, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_share_add(r.s, "1.2.3", "usr_x", NULL, 0, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_share_add(r.s, "1.2.3", "usr_x", NULL, INT64_MAX, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_share_add(r.s, "1.2.3", "usr_x", NULL, now + 367 * day, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_share_add(r.s, "1.2.3", "usr_x", NULL, now + 365 * day, token, sizeof token, NULL, NULL), 0);
    CHECK_INT(security_share_add(r.s, "", "usr_x", NULL, now + day, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_share_add(r.s, "../1", "usr_x", NULL, now + day, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_share_add(r.s, "1.2.3", "", NULL, now + day, token, sizeof token, NULL, NULL), GN_E_INVALID);
    CHECK_INT(security_share_add(r.s, "1.2.3", "usr_x", "a\nb", now + day, token, sizeof token, NULL, NULL), GN_E_INVALID);
    rig_close(&r);
}

/* ---- what lies on the disk -------------------------------------------------------------------------------------------------- */

TEST(T22_no_secret_lies_in_the_files) {
    rig r;
    REQUIRE(rig_init(&r));
    char cookie[64], key[64], share[64], id[ID_SIZE], secret[64];
    security_principal who;
    CHECK_INT(security_first_secret(r.s, secret, sizeof secret, &r.e), 0);
    REQUIRE(signed_in(&r, "reed", SECURITY_RADIOLOGIST, id, cookie, &who));
    CHECK_INT(security_key_add(r.s, "k", id, SECURITY_SERVICE, 0, key, sizeof key, NULL, &r.e), 0);
    CHECK_INT(security_share_add(r.s, "1.2.3", id, NULL, rig_now_us() + 60000000, share, sizeof share, NULL, &r.e), 0);
    CHECK_INT(security_by_password(r.s, "reed", PASSWORD, "192.0.2.7", &who, NULL), 0);
    CHECK_INT(by_bearer(&r, key, &who), 0);
    security_access x = { .who = &who, .action = "key.create" };
    CHECK_INT(security_audit(r.s, &x, &r.e), 0);
    CHECK(rig_files_hold(&r, id)); /* the search does find what is there */
    CHECK(rig_files_hold(&r, "$argon2id$"));
    CHECK(!rig_files_hold(&r, cookie));
    CHECK(!rig_files_hold(&r, key + 3));
    CHECK(!rig_files_hold(&r, share + 3));
    CHECK(!rig_files_hold(&r, secret));
    CHECK(!rig_files_hold(&r, PASSWORD));
    rig_close(&r);
    CHECK(!rig_files_hold(&r, cookie));
    CHECK(!rig_files_hold(&r, key + 3));
}

/* ---- at the same time --------------------------------------------------------------------------------------------------------- */

typedef struct caller { rig *r; const char *cookie, *key; _Atomic bool *stop; _Atomic int *after; _Atomic bool *ended; } caller;
static void *call(void *arg) {
    caller *c = arg;
    security_principal who;
    while (!*c->stop) {
        bool ended = *c->ended;
        int rc = security_by_session(c->r->s, c->cookie, &who, NULL);
        if (ended && rc == 0) ++*c->after;
        CHECK_INT(security_by_bearer(c->r->s, c->key, "192.0.2.7", &who, NULL), 0);
        security_access x = { .who = &who, .action = "study.read", .study_uid = "1.2.3" };
        CHECK_INT(security_audit(c->r->s, &x, NULL), 0);
    }
    return NULL;
}

TEST(T22_signing_out_ends_a_session_for_all_threads) {
    rig r;
    REQUIRE(rig_init(&r));
    char key[64];
    REQUIRE(rig_user(&r, "reed", SECURITY_RADIOLOGIST, NULL) == 0);
    CHECK_INT(security_key_add(r.s, "k", "open", SECURITY_SERVICE, 0, key, sizeof key, NULL, &r.e), 0);
    for (int round = 0; round < 5; round++) {
        char cookie[64];
        security_principal who;
        _Atomic bool stop = false, ended = false;
        _Atomic int after = 0;
        CHECK_INT(rig_sign_in(&r, "reed", PASSWORD, cookie, &who), 0);
        caller c = { &r, cookie, key, &stop, &after, &ended };
        pthread_t t[3];
        for (size_t i = 0; i < 3; i++) REQUIRE(pthread_create(&t[i], NULL, call, &c) == 0);
        struct timespec pause = { .tv_nsec = 20000000 };
        (void)nanosleep(&pause, NULL);
        CHECK_INT(security_sign_out(r.s, &who, NULL), 0);
        ended = true;
        (void)nanosleep(&pause, NULL);
        stop = true;
        for (size_t i = 0; i < 3; i++) (void)pthread_join(t[i], NULL);
        CHECK_INT(after, 0);
    }
    rig_close(&r);
    CHECK(security_audit_verify(r.directory, NULL) > 0);
}

TEST(opening_says_what_is_wrong) {
    rig r;
    REQUIRE(rig_init(&r));
    security *second = NULL;
    gn_error e = GN_ERROR_INIT;
    CHECK_INT(security_open(&r.config, r.archive, &second, &e), GN_E_BUSY);
    CHECK(second == NULL);
    security_config none = r.config;
    none.directory = NULL;
    CHECK_INT(security_open(&none, r.archive, &second, NULL), GN_E_CONFIG);
    security_close(&r.s);
    char path[700];
    security_audit_verify(r.directory, NULL);
    REQUIRE(rig_open(&r));
    security_access x = { .action = "user.create" };
    CHECK_INT(security_audit(r.s, &x, NULL), 0);
    CHECK_INT(security_audit_flush(r.s, NULL), 0);
    security_close(&r.s);
    gn_buf b = GN_BUF_INIT;
    REQUIRE(rig_load(rig_audit_file(r.directory, 0, path), &b));
    b.p[b.n - 80]++;
    REQUIRE(rig_save(path, b.p, b.n));
    CHECK(!rig_open(&r));
    CHECK_INT(r.e.code, GN_E_CORRUPT);
    gn_buf_done(&b);
    rig_close(&r);
}
