/* sign_in: names and passwords, and the first administrator.
 *
 * An unknown name costs what a wrong password costs: the same look-up, the same Argon2 over a digest of nobody's. Attempts are counted
 * before they are tried and given back when they were right. */
#include "internal.h"

#include <sodium.h>

static int wrong(gn_error *e) { return gn_fail(e, GN_E_REFUSED, "the name or the password is wrong"); }

static int charge_both(security *s, const char *account, const char *address, gn_error *e) {
    int rc = guess_charge(s, GUESS_ADDRESS, address, e);
    if (rc) return rc;
    rc = guess_charge(s, GUESS_ACCOUNT, account, e);
    if (rc) guess_refund(s, GUESS_ADDRESS, address);
    return rc;
}

/* The user of this name and password, or REFUSED for each reason there is. */
static int compare(security *s, const char *name, const char *password, user_record *u, gn_error *e) {
    gn_error own = GN_ERROR_INIT;
    int rc = strlen(name) < sizeof u->user.name ? user_by_name(s, name, u, &own) : GN_E_NOT_FOUND;
    if (rc && rc != GN_E_NOT_FOUND) return gn_fail(e, rc, "%s", own.message);
    bool right = password_verify(s, rc ? s->nobody_hash : u->hash, password);
    return right && !rc && !u->user.disabled ? 0 : wrong(e);
}

static int check(security *s, const char *name, const char *password, const char *address, user_record *u, gn_error *e) {
    gn_buf account = GN_BUF_INIT;
    if (!name || !password) return wrong(e);
    int rc = user_fold(name, &account, e);
    gn_buf_putc(&account, '\0');
    if (!rc && account.failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory to sign in");
    if (!rc) rc = charge_both(s, (const char *)account.p, address, e);
    if (!rc) {
        rc = compare(s, name, password, u, e);
        if (rc != GN_E_REFUSED) {
            guess_refund(s, GUESS_ADDRESS, address);
            guess_refund(s, GUESS_ACCOUNT, (const char *)account.p);
        }
        if (!rc) guess_forget(s, GUESS_ACCOUNT, (const char *)account.p);
    }
    gn_buf_done(&account);
    return rc;
}

int security_sign_in(security *s, const char *name, const char *password, const char *address, char *token, size_t token_size, security_principal *who, gn_error *e) {
    user_record u;
    int rc = check(s, name, password, address, &u, e);
    if (rc) return rc;
    (void)user_signed_in(s, &u, password);
    rc = session_begin(s, &u, token, token_size, who, e);
    sodium_memzero(u.hash, sizeof u.hash);
    return rc;
}

int security_by_password(security *s, const char *name, const char *password, const char *address, security_principal *who, gn_error *e) {
    uint8_t digest[DIGEST_BYTES];
    user_record u;
    if (!name || !password) return wrong(e);
    keyed_digest(s->process_key, "basic", name, password, digest);
    if (cache_find(s, digest, who)) return 0;
    uint64_t generation = cache_generation(s);
    int rc = check(s, name, password, address, &u, e);
    if (rc) return rc;
    user_principal(&u, who);
    sodium_memzero(u.hash, sizeof u.hash);
    cache_put(s, digest, who, CACHE_PASSWORD_S, generation);
    return 0;
}

int security_confirm(security *s, const security_principal *who, const char *password, gn_error *e) {
    user_record u;
    if (who && who->kind == SECURITY_OPEN) return 0;
    if (!who || who->kind != SECURITY_USER || !password) return gn_fail(e, GN_E_REFUSED, "only a user can confirm with a password");
    int rc = user_load(s, who->id, &u, e);
    if (rc) return rc;
    /* By way of the name: the attempts count on the same account as those of signing in. The address is one that is not counted twice. */
    gn_buf account = GN_BUF_INIT;
    rc = user_fold(u.user.name, &account, e);
    if (!rc) rc = guess_charge(s, GUESS_ACCOUNT, (const char *)account.p, e);
    if (!rc) {
        rc = password_verify(s, u.hash, password) && !u.user.disabled ? 0 : gn_fail(e, GN_E_REFUSED, "the password is wrong");
        if (!rc) guess_forget(s, GUESS_ACCOUNT, (const char *)account.p);
    }
    gn_buf_done(&account);
    sodium_memzero(u.hash, sizeof u.hash);
    return rc;
}

/* ---- the first administrator ----------------------------------------------------------------------------------------------- */

int security_first_secret(security *s, char *secret, size_t size, gn_error *e) {
    uint8_t digest[DIGEST_BYTES];
    int64_t users = 0;
    int rc = user_count(s, false, &users, e);
    if (!rc && users) rc = gn_fail(e, GN_E_NOT_FOUND, "there are users already");
    if (!rc) rc = token_new("", secret, size, digest, e);
    if (rc) return rc;
    uint64_t until = mono_after(s, 24 * 3600);
    (void)pthread_mutex_lock(&s->lock);
    memcpy(s->first_digest, digest, sizeof digest);
    s->first_until_ns = until;
    (void)pthread_mutex_unlock(&s->lock);
    return 0;
}

static bool first_matches(security *s, const char *secret, bool use) {
    uint8_t digest[DIGEST_BYTES];
    uint64_t now = s->mono_ns();
    token_digest(secret ? secret : "", digest);
    (void)pthread_mutex_lock(&s->lock);
    bool right = sodium_memcmp(digest, s->first_digest, sizeof digest) == 0 && s->first_until_ns > now;
    if (right && use) s->first_until_ns = 0;
    (void)pthread_mutex_unlock(&s->lock);
    return right;
}

int security_first_sign_in(security *s, const char *secret, const char *name, const char *password, const char *address, char *token, size_t token_size, security_principal *who, gn_error *e) {
    user_record u;
    int rc = guess_charge(s, GUESS_ADDRESS, address, e);
    if (rc) return rc;
    if (!first_matches(s, secret, false)) return gn_fail(e, GN_E_REFUSED, "the link is wrong, was used, or is too old");
    guess_refund(s, GUESS_ADDRESS, address);
    rc = user_insert(s, name, NULL, SECURITY_ADMINISTRATOR, password, true, &u, e);
    if (rc) return rc; /* a bad password does not use up the link */
    (void)first_matches(s, secret, true);
    (void)user_signed_in(s, &u, password);
    rc = session_begin(s, &u, token, token_size, who, e);
    sodium_memzero(u.hash, sizeof u.hash);
    return rc;
}
