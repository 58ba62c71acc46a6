/* shares: links that show one study to whoever has them, until they expire or are withdrawn.
 *
 * A record of "share": key 0 the token's digest, key 1 the study, key 2 the owner; number 0 when it expires, number 1 how often it was
 * used. It outlives its owner's account: patients and referrers keep what they were given, and an administrator can withdraw it. */
#include "internal.h"

#include <jansson.h>
#include <sodium.h>

enum { COUNT_S = 60 };
static const int64_t longest_us = (int64_t)366 * 24 * 3600 * 1000000;

typedef struct share_record { security_share share; char digest[DIGEST_HEX]; int64_t version, updated_us; } share_record;

static int share_write(security *s, const share_record *r, gn_error *e) {
    const security_share *sh = &r->share;
    gn_buf body = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &body);
    gn_json_open(&j, '{');
    gn_json_key(&j, "note");
    gn_json_string(&j, sh->note);
    gn_json_key(&j, "created");
    gn_json_int(&j, sh->created_us);
    gn_json_key(&j, "withdrawn");
    gn_json_bool(&j, sh->withdrawn);
    gn_json_close(&j, '}');
    archive_record record = { .collection = "share", .id = sh->id, .key = { r->digest, sh->study_uid, sh->owner }, .number = { sh->expires_us, sh->used },
                              .body = (const char *)body.p, .body_length = body.n };
    int rc = body.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a link") : archive_record_put(s->archive, &record, r->version, NULL, e);
    gn_buf_done(&body);
    return rc;
}

static int fill(void *ctx, const archive_record_found *r, gn_error *e) {
    share_record *out = ctx;
    json_t *body = document_parse(r, e);
    if (!body) return GN_E_CORRUPT;
    *out = (share_record){ .version = r->version, .updated_us = r->updated_us };
    security_share *sh = &out->share;
    (void)snprintf(sh->id, sizeof sh->id, "%s", r->id);
    (void)snprintf(out->digest, sizeof out->digest, "%s", r->key[0] ? r->key[0] : "");
    (void)snprintf(sh->study_uid, sizeof sh->study_uid, "%s", r->key[1] ? r->key[1] : "");
    (void)snprintf(sh->owner, sizeof sh->owner, "%s", r->key[2] ? r->key[2] : "");
    document_text(body, "note", sh->note, sizeof sh->note);
    sh->created_us = document_number(body, "created");
    sh->withdrawn = json_is_true(json_object_get(body, "withdrawn"));
    sh->expires_us = r->number[0];
    sh->used = r->number[1];
    json_decref(body);
    return 0;
}

static int check_uid(const char *uid, gn_error *e) {
    size_t n = uid ? strlen(uid) : 0;
    if (n < 1 || n > 64 || strspn(uid, "0123456789.") != n) return gn_fail(e, GN_E_INVALID, "this is no Study Instance UID");
    return 0;
}

int security_share_add(security *s, const char *study_uid, const char *owner, const char *note, int64_t expires_us, char *token, size_t token_size, security_share *out, gn_error *e) {
    share_record r = { .share = { .created_us = s->wall_us(), .expires_us = expires_us }, .version = ARCHIVE_RECORD_NEW };
    uint8_t digest[DIGEST_BYTES];
    int rc = check_uid(study_uid, e);
    if (!rc) rc = text_fits("an owner", owner, sizeof r.share.owner, false, e);
    if (!rc) rc = text_fits("a note", note, sizeof r.share.note, true, e);
    if (!rc && expires_us <= r.share.created_us) rc = gn_fail(e, GN_E_INVALID, "the link would have expired already");
    if (!rc && expires_us - r.share.created_us > longest_us) rc = gn_fail(e, GN_E_INVALID, "a link lasts at most a year");
    if (!rc) rc = token_new("gs_", token, token_size, digest, e);
    if (rc) return rc;
    token_record_id("shr_", digest, r.share.id);
    digest_hex(digest, r.digest);
    (void)snprintf(r.share.study_uid, sizeof r.share.study_uid, "%s", study_uid);
    (void)snprintf(r.share.owner, sizeof r.share.owner, "%s", owner);
    (void)snprintf(r.share.note, sizeof r.share.note, "%s", note ? note : "");
    rc = share_write(s, &r, e);
    if (rc) sodium_memzero(token, token_size);
    else if (out) *out = r.share;
    return rc;
}

int security_share_withdraw(security *s, const char *id, gn_error *e) {
    share_record r;
    int rc = GN_E_MISMATCH;
    /* It is used at the same time, perhaps, and that is written too. */
    for (int i = 0; i < 10 && rc == GN_E_MISMATCH; i++) {
        rc = archive_record_get(s->archive, "share", id, fill, &r, e);
        if (rc) return rc;
        r.share.withdrawn = true;
        rc = share_write(s, &r, NULL);
    }
    cache_clear(s);
    return rc ? gn_fail(e, rc, "the link could not be withdrawn") : 0;
}

typedef struct listing { void (*visit)(void *ctx, const security_share *sh); void *ctx; } listing;

static int list_one(void *ctx, const archive_record_found *r, gn_error *e) {
    listing *l = ctx;
    share_record one;
    int rc = fill(&one, r, e);
    if (!rc) l->visit(l->ctx, &one.share);
    return rc;
}

int security_share_list(security *s, const char *study_uid, void (*visit)(void *ctx, const security_share *sh), void *ctx, gn_error *e) {
    listing l = { visit, ctx };
    archive_record_condition c = { .field = 1, .test = ARCHIVE_RECORD_EQUALS, .text = study_uid };
    archive_record_query q = { .collection = "share", .conditions = &c, .condition_count = study_uid ? 1 : 0, .order = ARCHIVE_RECORD_FIELD_CREATED };
    return archive_records_find(s->archive, &q, list_one, &l, e);
}

int share_principal(security *s, const uint8_t digest[DIGEST_BYTES], security_principal *who, gn_error *e) {
    char id[ID_SIZE], hex[DIGEST_HEX];
    share_record r;
    gn_error own = GN_ERROR_INIT;
    token_record_id("shr_", digest, id);
    digest_hex(digest, hex);
    int rc = archive_record_get(s->archive, "share", id, fill, &r, &own);
    if (rc && rc != GN_E_NOT_FOUND) return gn_fail(e, rc, "%s", own.message);
    int64_t now = s->wall_us();
    if (rc || sodium_memcmp(hex, r.digest, DIGEST_HEX) != 0 || r.share.withdrawn || r.share.expires_us <= now)
        return gn_fail(e, GN_E_REFUSED, "the link is unknown, expired or withdrawn");
    if (!r.share.used || now - r.updated_us >= (int64_t)COUNT_S * 1000000) { /* requests within a minute are one use */
        r.share.used++;
        (void)share_write(s, &r, NULL);
    }
    *who = (security_principal){ .kind = SECURITY_SHARE, .role = SECURITY_REFERRER, .expires_us = r.share.expires_us };
    memcpy(who->id, r.share.id, sizeof who->id);
    (void)snprintf(who->name, sizeof who->name, "link");
    memcpy(who->study_uid, r.share.study_uid, sizeof who->study_uid);
    return 0;
}
