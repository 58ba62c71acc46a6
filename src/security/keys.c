/* keys: bearer tokens of programs, and asking for a bearer of either kind.
 *
 * A record of "key": key 0 the token's digest, key 1 the owner; number 0 when it expires (0: never), number 1 when it was last used. A
 * key of a user stops with him: it is refused while he is disabled, and removed with him. */
#include "internal.h"

#include <jansson.h>
#include <sodium.h>

enum { TOUCH_S = 60 };

typedef struct key_record { security_key key; char digest[DIGEST_HEX]; int64_t version; } key_record;

static int key_write(security *s, const key_record *k, gn_error *e) {
    gn_buf body = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &body);
    gn_json_open(&j, '{');
    gn_json_key(&j, "name");
    gn_json_string(&j, k->key.name);
    gn_json_key(&j, "role");
    gn_json_string(&j, security_role_text(k->key.role));
    gn_json_key(&j, "created");
    gn_json_int(&j, k->key.created_us);
    gn_json_close(&j, '}');
    archive_record record = { .collection = "key", .id = k->key.id, .key = { k->digest, k->key.owner }, .number = { k->key.expires_us, k->key.used_us },
                              .body = (const char *)body.p, .body_length = body.n };
    int rc = body.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a key") : archive_record_put(s->archive, &record, k->version, NULL, e);
    gn_buf_done(&body);
    return rc;
}

static int fill(void *ctx, const archive_record_found *r, gn_error *e) {
    key_record *k = ctx;
    char role[32];
    json_t *body = document_parse(r, e);
    if (!body) return GN_E_CORRUPT;
    *k = (key_record){ .key = { .created_us = document_number(body, "created"), .expires_us = r->number[0], .used_us = r->number[1] }, .version = r->version };
    (void)snprintf(k->key.id, sizeof k->key.id, "%s", r->id);
    (void)snprintf(k->digest, sizeof k->digest, "%s", r->key[0] ? r->key[0] : "");
    (void)snprintf(k->key.owner, sizeof k->key.owner, "%s", r->key[1] ? r->key[1] : "");
    document_text(body, "name", k->key.name, sizeof k->key.name);
    document_text(body, "role", role, sizeof role);
    json_decref(body);
    return security_role_parse(role, &k->key.role) ? 0 : gn_fail(e, GN_E_CORRUPT, "the record of key %s is incomplete", r->id);
}

int security_key_add(security *s, const char *name, const char *owner, security_role role, int64_t expires_us, char *token, size_t token_size, security_key *out, gn_error *e) {
    key_record k = { .key = { .role = role, .created_us = s->wall_us(), .expires_us = expires_us }, .version = ARCHIVE_RECORD_NEW };
    uint8_t digest[DIGEST_BYTES];
    int rc = text_fits("a key's name", name, sizeof k.key.name, false, e);
    if (!rc) rc = text_fits("an owner", owner, sizeof k.key.owner, false, e);
    if (!rc && (unsigned)role >= SECURITY_ROLES) rc = gn_fail(e, GN_E_INVALID, "there is no such role");
    if (!rc && expires_us && expires_us <= k.key.created_us) rc = gn_fail(e, GN_E_INVALID, "the key would have expired already");
    if (!rc) rc = token_new("gk_", token, token_size, digest, e);
    if (rc) return rc;
    token_record_id("key_", digest, k.key.id);
    digest_hex(digest, k.digest);
    (void)snprintf(k.key.name, sizeof k.key.name, "%s", name);
    (void)snprintf(k.key.owner, sizeof k.key.owner, "%s", owner);
    rc = key_write(s, &k, e);
    if (rc) sodium_memzero(token, token_size);
    else if (out) *out = k.key;
    return rc;
}

static int exists(void *ctx, const archive_record_found *r, gn_error *e) {
    (void)ctx, (void)r, (void)e;
    return 0;
}

int security_key_remove(security *s, const char *id, gn_error *e) {
    int rc = archive_record_get(s->archive, "key", id, exists, NULL, e);
    if (!rc) rc = archive_record_delete(s->archive, "key", id, e);
    cache_clear(s);
    return rc;
}

typedef struct listing { void (*visit)(void *ctx, const security_key *k); void *ctx; } listing;

static int list_one(void *ctx, const archive_record_found *r, gn_error *e) {
    listing *l = ctx;
    key_record k;
    int rc = fill(&k, r, e);
    if (!rc) l->visit(l->ctx, &k.key);
    return rc;
}

int security_key_list(security *s, void (*visit)(void *ctx, const security_key *k), void *ctx, gn_error *e) {
    listing l = { visit, ctx };
    archive_record_query q = { .collection = "key", .order = ARCHIVE_RECORD_FIELD_CREATED };
    return archive_records_find(s->archive, &q, list_one, &l, e);
}

/* ---- using ---------------------------------------------------------------------------------------------------------------- */

static int unknown(gn_error *e) { return gn_fail(e, GN_E_REFUSED, "the key is unknown or expired"); }

static int owner_may(security *s, const char *owner, gn_error *e) {
    user_record u;
    gn_error own = GN_ERROR_INIT;
    if (strncmp(owner, "usr_", 4) != 0) return 0;
    int rc = user_load(s, owner, &u, &own);
    if (rc && rc != GN_E_NOT_FOUND) return gn_fail(e, rc, "%s", own.message);
    bool disabled = rc || u.user.disabled;
    sodium_memzero(u.hash, sizeof u.hash);
    return disabled ? unknown(e) : 0;
}

int key_principal(security *s, const uint8_t digest[DIGEST_BYTES], security_principal *who, gn_error *e) {
    char id[ID_SIZE], hex[DIGEST_HEX];
    key_record k;
    gn_error own = GN_ERROR_INIT;
    token_record_id("key_", digest, id);
    digest_hex(digest, hex);
    int rc = archive_record_get(s->archive, "key", id, fill, &k, &own);
    if (rc == GN_E_NOT_FOUND) return unknown(e);
    if (rc) return gn_fail(e, rc, "%s", own.message);
    int64_t now = s->wall_us();
    if (sodium_memcmp(hex, k.digest, DIGEST_HEX) != 0 || (k.key.expires_us && k.key.expires_us <= now)) return unknown(e);
    rc = owner_may(s, k.key.owner, e);
    if (rc) return rc;
    if (now - k.key.used_us >= (int64_t)TOUCH_S * 1000000) {
        k.key.used_us = now;
        (void)key_write(s, &k, NULL); /* no reason to refuse it */
    }
    *who = (security_principal){ .kind = SECURITY_KEY, .role = k.key.role, .expires_us = k.key.expires_us };
    memcpy(who->id, k.key.id, sizeof who->id);
    memcpy(who->name, k.key.name, sizeof who->name);
    return 0;
}

/* A token cannot be guessed, so a right one is never refused for the wrong ones of its neighbours; who sends many wrong ones is told to
 * stop. These do not count among the wrong passwords: a forgotten program must not lock people out of the same building. */
int security_by_bearer(security *s, const char *token, const char *address, security_principal *who, gn_error *e) {
    uint8_t digest[DIGEST_BYTES];
    security_principal found;
    bool key = token_plausible("gk_", token), share = token_plausible("gs_", token);
    if (key || share) {
        token_digest(token, digest);
        if (cache_find(s, digest, who)) return 0;
        uint64_t generation = cache_generation(s);
        gn_error own = GN_ERROR_INIT;
        int rc = key ? key_principal(s, digest, &found, &own) : share_principal(s, digest, &found, &own);
        if (!rc) {
            cache_put(s, digest, &found, CACHE_TOKEN_S, generation);
            *who = found;
        }
        if (rc != GN_E_REFUSED) return rc ? gn_fail(e, rc, "%s", own.message) : 0;
    }
    int rc = guess_charge(s, GUESS_BEARER, address, e);
    return rc ? rc : gn_fail(e, GN_E_REFUSED, "%s", share ? "the link is unknown, expired or withdrawn" : "the key is unknown or expired");
}
