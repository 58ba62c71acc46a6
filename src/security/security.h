/* security: who somebody is, what they may do, and what they did.
 *
 * Local users with Argon2id passwords, sessions for browsers, keys for programs, links that share one study; a permission table in
 * one place (permissions.c); an audit log, append-only, whose lines are chained by hashes. Users, sessions, keys and shares are
 * records of the archive (archive/records.h); of secrets only digests are kept. The audit log is files of its own. What is done here is
 * not audited here: the caller knows where the request came from, and writes one line for it (security_audit).
 * Rooms below http do not log: what an administrator should know comes back as an error or stands in the audit log.
 * Thread rule: a `security` may be used by any number of threads. */
#ifndef GANTRY_SECURITY_H
#define GANTRY_SECURITY_H

#include "archive/archive.h"
#include "base/base.h"

/* ---- roles and permissions --------------------------------------------------------------------------------------------- */

typedef enum security_role { SECURITY_ADMINISTRATOR, SECURITY_TECHNOLOGIST, SECURITY_RADIOLOGIST, SECURITY_REFERRER, SECURITY_SERVICE, SECURITY_ROLES } security_role;
const char *security_role_text(security_role r);          /* "administrator" */
bool security_role_parse(const char *text, security_role *r);

/* What a route may need: name, word. Which role has it: permissions.c, and docs/security.md by a test. */
#define SECURITY_PERMISSION_TABLE(X)                                                              \
    X(SELF, "self")                       /* whoever is signed in: own password, own sessions */  \
    X(IMAGES_FIND, "images.find")                                                                 \
    X(IMAGES_READ, "images.read")                                                                 \
    X(IMAGES_STORE, "images.store")                                                               \
    X(IMAGES_DELETE, "images.delete")                                                             \
    X(IMAGES_SHARE, "images.share")                                                               \
    X(ORDERS_READ, "orders.read")                                                                 \
    X(ORDERS_WRITE, "orders.write")                                                               \
    X(REPORTS_READ, "reports.read")                                                               \
    X(REPORTS_WRITE, "reports.write")                                                             \
    X(REPORTS_SIGN, "reports.sign")                                                               \
    X(ANALYSIS_START, "analysis.start")                                                           \
    X(ANALYSIS_REVIEW, "analysis.review")                                                         \
    X(EVENTS_READ, "events.read")         /* change feed and webhooks */                          \
    X(QUALITY_READ, "quality.read")                                                               \
    X(METRICS_READ, "metrics.read")                                                               \
    X(AUDIT_READ, "audit.read")                                                                   \
    X(USERS_MANAGE, "users.manage")       /* users, keys of others */                             \
    X(SYSTEM_MANAGE, "system.manage")     /* peers, models, routing, jobs */
typedef enum security_permission {
    SECURITY_NOTHING = -1,                /* a route that everybody may use, signed in or not */
#define X(name, word) SECURITY_##name,
    SECURITY_PERMISSION_TABLE(X)
#undef X
    SECURITY_PERMISSIONS
} security_permission;
const char *security_permission_text(security_permission p);
bool security_role_may(security_role r, security_permission p);

/* ---- who somebody is --------------------------------------------------------------------------------------------------- */

typedef enum security_kind { SECURITY_NOBODY, SECURITY_USER, SECURITY_KEY, SECURITY_SHARE, SECURITY_OPEN /* --auth none: everything, on loopback */ } security_kind;
typedef struct security_principal {
    security_kind kind;
    char id[40];                          /* "usr_…", "key_…", "shr_…", "open" */
    char name[64];                        /* sign-in name, or the name of a key */
    char session[40];                     /* id of the browser's session; empty: none, and so no CSRF token is asked for */
    security_role role;
    char study_uid[65];                   /* not empty: may see this study only */
    int64_t expires_us;                   /* 0: never */
} security_principal;
/* May this principal do it? study_uid NULL: not about one study (refused for those who may see one only). False for a NULL or zeroed
 * principal and for one that has expired; a key never signs reports. */
bool security_allows(const security_principal *who, security_permission p, const char *study_uid);

/* ---- life --------------------------------------------------------------------------------------------------------------- */

typedef struct security_config {
    const char *directory;                /* the archive's; the audit log lies in DIR/audit */
    uint32_t session_idle_s;              /* 0: 8 hours without a request */
    uint32_t session_longest_s;           /* 0: 24 hours */
    uint32_t guesses_per_account, guesses_per_address; /* failed sign-ins in 15 minutes before the next are refused (0: 10 and 50) */
    uint32_t argon2_ops; size_t argon2_memory; /* 0: libsodium's "interactive" limits; tests take less */
    bool no_audit_sync;                   /* tests */
} security_config;
typedef struct security security;
/* Opens what is kept, or starts empty. GN_E_CORRUPT: the audit log's chain is broken; the message says where and that `gantry audit verify` tells more. BUSY: another process writes it. */
int security_open(const security_config *c, archive *a, security **out, gn_error *e);
void security_close(security **s); /* flushes the audit log */

/* ---- signing in ---------------------------------------------------------------------------------------------------------- */

/* `address` everywhere: numeric, IPv4 or IPv6, a port does not matter. *who and the token are unchanged or worthless on failure. */

/* While there is no user: a secret for a one-time link; each call makes a new one and ends the one before; valid until used, for 24 hours, in this process.
 * NOT_FOUND when users exist. */
int security_first_secret(security *s, char *secret, size_t size, gn_error *e);
/* Uses it: makes the first administrator. GN_E_REFUSED: wrong, used or too old; INVALID: a rule of names or passwords, and the secret may be used again. */
int security_first_sign_in(security *s, const char *secret, const char *name, const char *password, const char *address, char *token, size_t token_size, security_principal *who, gn_error *e);
/* Name and password to a session: the token goes into a cookie (43 characters base64url of 256 bits). GN_E_REFUSED: wrong name or password (same time and text for
 * both); GN_E_BUSY: too many guesses, the message says for how many seconds. */
int security_sign_in(security *s, const char *name, const char *password, const char *address, char *token, size_t token_size, security_principal *who, gn_error *e);
/* INVALID: no session. */
int security_sign_out(security *s, const security_principal *who, gn_error *e);
/* The principal behind a credential. GN_E_REFUSED: unknown, expired, withdrawn. Answered from memory when it was asked for in the last seconds; what is withdrawn
 * ends at once in this process, in under a minute in others. */
int security_by_session(security *s, const char *token, security_principal *who, gn_error *e);
int security_by_bearer(security *s, const char *token, const char *address, security_principal *who, gn_error *e); /* key or share */
int security_by_password(security *s, const char *name, const char *password, const char *address, security_principal *who, gn_error *e); /* HTTP Basic: no session; a right password is remembered as a keyed digest for a minute, so that Argon2 is not paid each time */
/* CSRF token of a session: keyed digest, the same after a restart; compared in constant time. Without a session none is valid. */
void security_csrf(security *s, const security_principal *who, char token[44]);
bool security_csrf_valid(security *s, const security_principal *who, const char *token);
/* Asks the password again (signing a report). REFUSED: wrong, or not a user; BUSY: too many wrong ones. SECURITY_OPEN has none and is believed. */
int security_confirm(security *s, const security_principal *who, const char *password, gn_error *e);

/* ---- users, keys, shares -------------------------------------------------------------------------------------------------- */

typedef struct security_user { char id[40], name[64], display[128]; security_role role; bool disabled; int64_t created_us, signed_in_us; } security_user;
/* Passwords: 12..1024 bytes, not the name, not among the most common ones (GN_E_INVALID says which rule). Names: 1..63 bytes of UTF-8 without control characters, unique without regard to case (EXISTS). */
int security_user_add(security *s, const char *name, const char *display, security_role role, const char *password, security_user *out, gn_error *e);
/* NULL or -1 leaves a field. A new password, role or disabling ends the user's sessions. The last enabled administrator can be neither disabled nor demoted nor removed (REFUSED). */
int security_user_change(security *s, const char *id, const char *display, int role, int disabled, const char *password, security_user *out, gn_error *e);
int security_user_remove(security *s, const char *id, gn_error *e);
int security_user_get(security *s, const char *id, security_user *out, gn_error *e);
int security_user_list(security *s, void (*visit)(void *ctx, const security_user *u), void *ctx, gn_error *e);

typedef struct security_key { char id[40], name[64], owner[40]; security_role role; int64_t created_us, expires_us, used_us; } security_key;
/* token: "gk_" and 43 characters, shown once. A key's role is at most what its maker may: the caller checks that. expires_us 0: never. A key
 * whose owner is a user ("usr_…") is refused while he is disabled and removed with him. used_us is exact to a minute. Remove: NOT_FOUND. */
int security_key_add(security *s, const char *name, const char *owner, security_role role, int64_t expires_us, char *token, size_t token_size, security_key *out, gn_error *e);
int security_key_remove(security *s, const char *id, gn_error *e);
int security_key_list(security *s, void (*visit)(void *ctx, const security_key *k), void *ctx, gn_error *e);

typedef struct security_share { char id[40], study_uid[65], owner[40], note[128]; int64_t created_us, expires_us, used; bool withdrawn; } security_share;
/* token: "gs_" and 43 characters. expires_us must lie in the future, at most a year ahead (INVALID). `used` counts requests a minute or more apart. */
int security_share_add(security *s, const char *study_uid, const char *owner, const char *note, int64_t expires_us, char *token, size_t token_size, security_share *out, gn_error *e);
int security_share_withdraw(security *s, const char *id, gn_error *e);
int security_share_list(security *s, const char *study_uid /* NULL: all */, void (*visit)(void *ctx, const security_share *sh), void *ctx, gn_error *e);

/* ---- audit --------------------------------------------------------------------------------------------------------------- */

typedef enum security_outcome { SECURITY_DONE, SECURITY_DENIED, SECURITY_FAILED } security_outcome;
typedef struct security_access {
    const security_principal *who;        /* NULL: nobody known */
    const char *address;                  /* where from */
    const char *action;                   /* "study.read", "sign-in", "share.create", … */
    const char *patient_id, *study_uid, *object; /* what; NULL: not about one */
    security_outcome outcome;
    const char *detail;                   /* NULL: none */
} security_access;
/* Takes note. Changes (action not ending in ".read" or ".find") are on stable storage when this returns, or it fails. A read's first line is on
 * stable storage within a second; equal ones (who, from where, action, study, outcome) in the minute after it are counted and become one
 * more line, so that a viewer reading 500 frames writes two: with "count" 1, so that no crash hides it, and 499. Actions that begin
 * with "log." are the log's own. */
int security_audit(security *s, const security_access *access, gn_error *e);
int security_audit_flush(security *s, gn_error *e); /* what is counted too */
/* Lines newest first, as JSON objects. `before` 0: from the end; else only those with a lower sequence. Filters NULL: any. `who` is an id or
 * a name. Sees what was taken before, but for counts that are not lines yet. */
typedef struct security_audit_query { int64_t before; size_t limit; const char *who, *study_uid, *action; } security_audit_query;
int security_audit_read(security *s, const security_audit_query *q, void (*visit)(void *ctx, int64_t sequence, const char *json, size_t n), void *ctx, gn_error *e);
/* Walks the whole log under DIR/audit: every line's hash over its bytes and the line before. Returns the number of lines, or CORRUPT with file and line. Needs no `security`. */
int64_t security_audit_verify(const char *directory, gn_error *e);

#endif
