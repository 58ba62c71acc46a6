/* security: opening and closing the room, and its clocks. */
#include "internal.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

static void defaults(security_config *c) {
    c->directory = NULL;
    if (!c->session_idle_s) c->session_idle_s = 8 * 3600;
    if (!c->session_longest_s) c->session_longest_s = 24 * 3600;
    if (!c->guesses_per_account) c->guesses_per_account = 10;
    if (!c->guesses_per_address) c->guesses_per_address = 50;
    if (!c->argon2_ops) c->argon2_ops = crypto_pwhash_OPSLIMIT_INTERACTIVE;
    if (!c->argon2_memory) c->argon2_memory = crypto_pwhash_MEMLIMIT_INTERACTIVE;
}

/* ---- the key of CSRF tokens ------------------------------------------------------------------------------------------------ */

static int take_key(void *ctx, const archive_record_found *r, gn_error *e) {
    char hex[80];
    size_t n = 0;
    json_t *body = document_parse(r, e);
    if (!body) return GN_E_CORRUPT;
    document_text(body, "key", hex, sizeof hex);
    json_decref(body);
    int rc = sodium_hex2bin(ctx, 32, hex, strlen(hex), NULL, &n, NULL);
    return rc || n != 32 ? gn_fail(e, GN_E_CORRUPT, "the key of CSRF tokens cannot be read") : 0;
}

static int csrf_key(security *s, gn_error *e) {
    gn_error own = GN_ERROR_INIT;
    int rc = archive_record_get(s->archive, "security", "csrf", take_key, s->csrf_key, &own);
    if (rc != GN_E_NOT_FOUND) return rc ? gn_fail(e, rc, "%s", own.message) : 0;
    char hex[65], body[96];
    uint8_t key[32];
    randombytes_buf(key, sizeof key);
    (void)sodium_bin2hex(hex, sizeof hex, key, sizeof key);
    (void)snprintf(body, sizeof body, "{\"key\":\"%s\"}", hex);
    archive_record record = { .collection = "security", .id = "csrf", .body = body };
    gn_error_clear(&own);
    rc = archive_record_put(s->archive, &record, ARCHIVE_RECORD_NEW, NULL, &own);
    if (rc == GN_E_EXISTS) return archive_record_get(s->archive, "security", "csrf", take_key, s->csrf_key, e); /* another process was quicker */
    if (rc) return gn_fail(e, rc, "%s", own.message);
    memcpy(s->csrf_key, key, sizeof key);
    return 0;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------------- */

static int fill(security *s, const char *directory, gn_error *e) {
    randombytes_buf(s->process_key, sizeof s->process_key);
    int rc = password_nobody(s, s->nobody_hash, e);
    if (!rc) rc = csrf_key(s, e);
    return rc ? rc : audit_open(directory, s->config.no_audit_sync, &s->audit, e);
}

int security_open(const security_config *c, archive *a, security **out, gn_error *e) {
    *out = NULL;
    if (sodium_init() < 0) return gn_fail(e, GN_E_INTERNAL, "libsodium cannot be used here");
    if (!c->directory) return gn_fail(e, GN_E_CONFIG, "the security room needs a folder");
    security *s = calloc(1, sizeof *s);
    if (!s) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the security room");
    s->archive = a;
    s->config = *c;
    defaults(&s->config);
    atomic_init(&s->wall_us, gn_wall_us);
    atomic_init(&s->mono_ns, gn_mono_ns);
    (void)pthread_mutex_init(&s->changing, NULL);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->hashed, NULL);
    int rc = fill(s, c->directory, e);
    if (rc) security_close(&s);
    *out = s;
    return rc;
}

void security_close(security **slot) {
    security *s = *slot;
    *slot = NULL;
    if (!s) return;
    audit_close(&s->audit);
    (void)pthread_cond_destroy(&s->hashed);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&s->changing);
    sodium_memzero(s, sizeof *s);
    free(s);
}

void security_set_clock(security *s, int64_t (*wall_us)(void), uint64_t (*mono_ns)(void)) {
    if (wall_us) atomic_store(&s->wall_us, wall_us);
    if (mono_ns) atomic_store(&s->mono_ns, mono_ns);
    audit_set_clock(s->audit, wall_us, mono_ns);
}

/* ---- audit ------------------------------------------------------------------------------------------------------------------- */

int security_audit(security *s, const security_access *access, gn_error *e) { return audit_take(s->audit, access, e); }

int security_audit_flush(security *s, gn_error *e) { return audit_flush(s->audit, e); }

int security_audit_read(security *s, const security_audit_query *q, void (*visit)(void *ctx, int64_t sequence, const char *json, size_t n), void *ctx, gn_error *e) {
    return audit_read(s->audit, q, visit, ctx, e);
}
