/* sessions: what a browser's cookie stands for.
 *
 * A record of "session": key 0 the token's digest, key 1 the user; number 0 when it ends at the latest, number 1 when it was last used
 * (written at most once a minute). It also ends when the user's epoch has moved on, whatever became of the record. */
#include "internal.h"

#include <jansson.h>
#include <sodium.h>

enum { SESSIONS_A_USER = 50, TOUCH_S = 60, SWEEP_S = 600 };

typedef struct session_record {
    char id[ID_SIZE], user[ID_SIZE], digest[DIGEST_HEX];
    int64_t epoch, ends_us, used_us, version;
    bool matches;
} session_record;

static int session_write(security *s, session_record *r, gn_error *e) {
    gn_buf body = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &body);
    gn_json_open(&j, '{');
    gn_json_key(&j, "user");
    gn_json_string(&j, r->user);
    gn_json_key(&j, "epoch");
    gn_json_int(&j, r->epoch);
    gn_json_close(&j, '}');
    archive_record record = { .collection = "session", .id = r->id, .key = { r->digest, r->user }, .number = { r->ends_us, r->used_us },
                              .body = (const char *)body.p, .body_length = body.n };
    int rc = body.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a session") : archive_record_put(s->archive, &record, r->version, &r->version, e);
    gn_buf_done(&body);
    return rc;
}

/* ---- beginning ------------------------------------------------------------------------------------------------------------ */

/* Sessions that are over, from time to time. What cannot be removed now is found over when it is used. */
static void sweep(security *s) {
    uint64_t now = s->mono_ns();
    (void)pthread_mutex_lock(&s->lock);
    bool due = now >= s->swept_ns;
    if (due) s->swept_ns = now + (uint64_t)SWEEP_S * 1000000000u;
    (void)pthread_mutex_unlock(&s->lock);
    if (!due) return;
    int64_t now_us = s->wall_us();
    archive_record_condition over = { .field = ARCHIVE_RECORD_FIELD_NUMBER, .test = ARCHIVE_RECORD_AT_MOST, .number = now_us };
    archive_record_condition idle = { .field = ARCHIVE_RECORD_FIELD_NUMBER + 1, .test = ARCHIVE_RECORD_AT_MOST, .number = now_us - (int64_t)s->config.session_idle_s * 1000000 };
    (void)documents_remove(s, "session", &over, NULL);
    (void)documents_remove(s, "session", &idle, NULL);
}

static int note_oldest(void *ctx, const archive_record_found *r, gn_error *e) {
    (void)e;
    (void)snprintf(ctx, ID_SIZE, "%s", r->id);
    return 1;
}

/* A user's sessions are bounded: the one that was not used for longest gives way. */
static int make_room(security *s, const char *user, gn_error *e) {
    archive_record_condition c = { .field = 1, .test = ARCHIVE_RECORD_EQUALS, .text = user };
    archive_record_query q = { .collection = "session", .conditions = &c, .condition_count = 1, .order = ARCHIVE_RECORD_FIELD_NUMBER + 1, .limit = 1 };
    int64_t count = 0;
    int rc = archive_records_count(s->archive, &q, &count, e);
    if (rc || count < SESSIONS_A_USER) return rc;
    char oldest[ID_SIZE] = "";
    rc = archive_records_find(s->archive, &q, note_oldest, oldest, e);
    if (rc < 0 || !oldest[0]) return rc < 0 ? rc : 0;
    cache_forget_session(s, oldest);
    return archive_record_delete(s->archive, "session", oldest, e);
}

static void session_principal(const user_record *u, const session_record *r, security_principal *who) {
    user_principal(u, who);
    memcpy(who->session, r->id, sizeof who->session);
    who->expires_us = r->ends_us;
}

int session_begin(security *s, const user_record *u, char *token, size_t size, security_principal *who, gn_error *e) {
    uint8_t digest[DIGEST_BYTES];
    session_record r = { .epoch = u->epoch, .used_us = s->wall_us(), .version = ARCHIVE_RECORD_NEW };
    sweep(s);
    int rc = make_room(s, u->user.id, e);
    if (!rc) rc = token_new("", token, size, digest, e);
    if (rc) return rc;
    r.ends_us = r.used_us + (int64_t)s->config.session_longest_s * 1000000;
    token_record_id("ses_", digest, r.id);
    digest_hex(digest, r.digest);
    memcpy(r.user, u->user.id, sizeof r.user);
    rc = session_write(s, &r, e);
    if (rc) sodium_memzero(token, size);
    else session_principal(u, &r, who);
    return rc;
}

/* ---- using ---------------------------------------------------------------------------------------------------------------- */

static int fill(void *ctx, const archive_record_found *found, gn_error *e) {
    session_record *r = ctx;
    uint8_t digest[DIGEST_BYTES];
    json_t *body = document_parse(found, e);
    if (!body) return GN_E_CORRUPT;
    (void)sodium_hex2bin(digest, sizeof digest, r->digest, DIGEST_HEX - 1, NULL, NULL, NULL);
    r->matches = document_has_digest(found, digest);
    document_text(body, "user", r->user, sizeof r->user);
    r->epoch = document_number(body, "epoch");
    json_decref(body);
    r->ends_us = found->number[0];
    r->used_us = found->number[1];
    r->version = found->version;
    return 0;
}

static int over(gn_error *e) { return gn_fail(e, GN_E_REFUSED, "the session is over"); }

static int look_up(security *s, const uint8_t digest[DIGEST_BYTES], security_principal *who, gn_error *e) {
    session_record r = { 0 };
    user_record u;
    gn_error own = GN_ERROR_INIT;
    token_record_id("ses_", digest, r.id);
    digest_hex(digest, r.digest);
    int rc = archive_record_get(s->archive, "session", r.id, fill, &r, &own);
    if (rc == GN_E_NOT_FOUND) return over(e);
    int64_t now = s->wall_us();
    if (!rc && (!r.matches || now >= r.ends_us || now - r.used_us >= (int64_t)s->config.session_idle_s * 1000000)) return over(e);
    if (!rc) rc = user_load(s, r.user, &u, &own);
    if (rc == GN_E_NOT_FOUND) return over(e);
    if (rc) return gn_fail(e, rc, "%s", own.message);
    bool valid = !u.user.disabled && u.epoch == r.epoch;
    sodium_memzero(u.hash, sizeof u.hash);
    if (!valid) return over(e);
    if (now - r.used_us >= (int64_t)TOUCH_S * 1000000) {
        r.used_us = now;
        (void)session_write(s, &r, NULL); /* another thread or process did it, or the disk is full: the session goes on */
    }
    session_principal(&u, &r, who);
    return 0;
}

int security_by_session(security *s, const char *token, security_principal *who, gn_error *e) {
    uint8_t digest[DIGEST_BYTES];
    if (!token_plausible("", token)) return over(e);
    token_digest(token, digest);
    if (cache_find(s, digest, who)) return who->session[0] ? 0 : over(e);
    uint64_t generation = cache_generation(s);
    security_principal found;
    int rc = look_up(s, digest, &found, e);
    if (rc) return rc;
    cache_put(s, digest, &found, CACHE_TOKEN_S, generation);
    *who = found;
    return 0;
}

int security_sign_out(security *s, const security_principal *who, gn_error *e) {
    if (!who || !who->session[0]) return gn_fail(e, GN_E_INVALID, "there is no session to end");
    int rc = archive_record_delete(s->archive, "session", who->session, e);
    cache_forget_session(s, who->session);
    return rc;
}

/* ---- CSRF ----------------------------------------------------------------------------------------------------------------- */

void security_csrf(security *s, const security_principal *who, char token[44]) {
    uint8_t digest[DIGEST_BYTES];
    keyed_digest(s->csrf_key, "csrf", who->session, who->id, digest);
    (void)sodium_bin2base64(token, 44, digest, sizeof digest, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool security_csrf_valid(security *s, const security_principal *who, const char *token) {
    char right[44];
    if (!token || !who->session[0] || strlen(token) != sizeof right - 1) return false;
    security_csrf(s, who, right);
    return sodium_memcmp(right, token, sizeof right - 1) == 0;
}
