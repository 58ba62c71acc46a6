/* user_change: adding, changing and removing users.
 *
 * Each change also writes one record, the guard, at the version that was read before the rules were checked. So two changes at once, in
 * two processes even, cannot each leave the other's administrator as the last one and then both take theirs away. */
#include "users.h"

#include <sodium.h>

enum { ATTEMPTS = 5 };

static int guard_version(void *ctx, const archive_record_found *r, gn_error *e) {
    (void)e;
    *(int64_t *)ctx = r->version;
    return 0;
}

static int guard_read(security *s, archive_record_write *w, gn_error *e) {
    gn_error own = GN_ERROR_INIT;
    int64_t version = ARCHIVE_RECORD_NEW;
    int rc = archive_record_get(s->archive, "security", "users", guard_version, &version, &own);
    if (rc && rc != GN_E_NOT_FOUND) return gn_fail(e, rc, "%s", own.message);
    *w = (archive_record_write){ .action = ARCHIVE_RECORD_PUT, .record = { .collection = "security", .id = "users", .body = "{}" }, .expect = version };
    return 0;
}

/* Somebody else changed something meanwhile: look again. */
static bool overtaken(int rc) { return rc == GN_E_MISMATCH; }

static archive_record_write name_write(const user_write *w, archive_record_action action) {
    return (archive_record_write){ .action = action, .record = { .collection = "user-name", .id = w->name_id, .body = "{}" },
                                   .expect = action == ARCHIVE_RECORD_PUT ? ARCHIVE_RECORD_NEW : ARCHIVE_RECORD_ANY };
}

/* ---- adding -------------------------------------------------------------------------------------------------------------- */

static int insert_once(security *s, user_record *u, bool first, gn_error *e) {
    archive_record_write writes[3];
    int64_t users = 0;
    user_record other;
    int rc = guard_read(s, &writes[2], e);
    if (!rc && first) rc = user_count(s, false, &users, e);
    if (!rc && users) rc = gn_fail(e, GN_E_REFUSED, "there are users already");
    if (rc) return rc;
    rc = user_by_name(s, u->user.name, &other, NULL);
    if (rc == 0) return gn_fail(e, GN_E_EXISTS, "there is a user of this name already");
    user_write w;
    rc = user_write_make(u, &w, e);
    if (rc) return rc;
    writes[0] = (archive_record_write){ .action = ARCHIVE_RECORD_PUT, .record = w.record, .expect = ARCHIVE_RECORD_NEW };
    writes[1] = name_write(&w, ARCHIVE_RECORD_PUT);
    gn_error own = GN_ERROR_INIT;
    rc = archive_records_write(s->archive, writes, 3, &own);
    u->version = writes[0].version;
    user_write_done(&w);
    if (rc == GN_E_EXISTS && writes[2].expect == ARCHIVE_RECORD_NEW) return GN_E_MISMATCH; /* the guard's, perhaps: the next look tells */
    if (rc == GN_E_EXISTS) return gn_fail(e, rc, "there is a user of this name already");
    return rc && !overtaken(rc) ? gn_fail(e, rc, "%s", own.message) : rc;
}

int user_insert(security *s, const char *name, const char *display, security_role role, const char *password, bool first, user_record *u, gn_error *e) {
    *u = (user_record){ .user = { .role = role, .created_us = s->wall_us() }, .epoch = 1 };
    int rc = text_fits("a name", name, sizeof u->user.name, false, e);
    if (!rc) rc = text_fits("a display name", display, sizeof u->user.display, true, e);
    if (!rc && (unsigned)role >= SECURITY_ROLES) rc = gn_fail(e, GN_E_INVALID, "there is no such role");
    if (!rc) rc = password_acceptable(name, password, e);
    if (!rc) rc = password_hash(s, password, u->hash, e);
    if (rc) return rc;
    random_id("usr_", u->user.id);
    (void)snprintf(u->user.name, sizeof u->user.name, "%s", name);
    (void)snprintf(u->user.display, sizeof u->user.display, "%s", display && display[0] ? display : name);
    (void)pthread_mutex_lock(&s->changing);
    rc = GN_E_MISMATCH;
    for (int i = 0; i < ATTEMPTS && overtaken(rc); i++) rc = insert_once(s, u, first, e);
    (void)pthread_mutex_unlock(&s->changing);
    return overtaken(rc) ? gn_fail(e, GN_E_BUSY, "users are being changed elsewhere; try again") : rc;
}

int security_user_add(security *s, const char *name, const char *display, security_role role, const char *password, security_user *out, gn_error *e) {
    user_record u;
    int rc = user_insert(s, name, display, role, password, false, &u, e);
    if (!rc && out) *out = u.user;
    sodium_memzero(u.hash, sizeof u.hash);
    return rc;
}

/* ---- changing and removing ------------------------------------------------------------------------------------------------ */

static int keep_an_administrator(security *s, const security_user *before, bool stays, gn_error *e) {
    if (stays || before->disabled || before->role != SECURITY_ADMINISTRATOR) return 0;
    int64_t count = 0;
    int rc = user_count(s, true, &count, e);
    return rc || count > 1 ? rc : gn_fail(e, GN_E_REFUSED, "this is the last enabled administrator");
}

static int end_sessions(security *s, const char *user, gn_error *e) {
    archive_record_condition c = { .field = 1, .test = ARCHIVE_RECORD_EQUALS, .text = user };
    cache_clear(s);
    return documents_remove(s, "session", &c, e);
}

typedef struct change { const char *display, *hash; int role, disabled; } change;

static int change_once(security *s, const char *id, const change *c, user_record *u, bool *ends, gn_error *e) {
    archive_record_write writes[2];
    int rc = guard_read(s, &writes[1], e);
    if (!rc) rc = user_load(s, id, u, e);
    if (rc) return rc;
    security_user before = u->user;
    if (c->display) (void)snprintf(u->user.display, sizeof u->user.display, "%s", c->display);
    if (c->role >= 0) u->user.role = (security_role)c->role;
    if (c->disabled >= 0) u->user.disabled = c->disabled != 0;
    if (c->hash) memcpy(u->hash, c->hash, sizeof u->hash);
    *ends = c->hash || u->user.role != before.role || u->user.disabled != before.disabled;
    u->epoch += *ends;
    rc = keep_an_administrator(s, &before, !u->user.disabled && u->user.role == SECURITY_ADMINISTRATOR, e);
    user_write w;
    if (!rc) rc = user_write_make(u, &w, e);
    if (rc) return rc;
    writes[0] = (archive_record_write){ .action = ARCHIVE_RECORD_PUT, .record = w.record, .expect = u->version };
    gn_error own = GN_ERROR_INIT;
    rc = archive_records_write(s->archive, writes, 2, &own);
    user_write_done(&w);
    if (rc == GN_E_EXISTS || rc == GN_E_NOT_FOUND) return GN_E_MISMATCH;
    return rc && !overtaken(rc) ? gn_fail(e, rc, "%s", own.message) : rc;
}

static int check_change(security *s, const char *id, const char *display, int role, const char *password, gn_error *e) {
    user_record u;
    int rc = user_load(s, id, &u, e);
    if (!rc && display) rc = text_fits("a display name", display, sizeof u.user.display, true, e);
    if (!rc && (role < -1 || role >= (int)SECURITY_ROLES)) rc = gn_fail(e, GN_E_INVALID, "there is no such role");
    if (!rc && password) rc = password_acceptable(u.user.name, password, e);
    sodium_memzero(u.hash, sizeof u.hash);
    return rc;
}

int security_user_change(security *s, const char *id, const char *display, int role, int disabled, const char *password, security_user *out, gn_error *e) {
    char hash[PASSWORD_HASH];
    user_record u;
    bool ends = false;
    int rc = check_change(s, id, display, role, password, e);
    if (!rc && password) rc = password_hash(s, password, hash, e);
    if (rc) return rc;
    change c = { display, password ? hash : NULL, role, disabled };
    (void)pthread_mutex_lock(&s->changing);
    rc = GN_E_MISMATCH;
    for (int i = 0; i < ATTEMPTS && overtaken(rc); i++) rc = change_once(s, id, &c, &u, &ends, e);
    (void)pthread_mutex_unlock(&s->changing);
    if (overtaken(rc)) rc = gn_fail(e, GN_E_BUSY, "users are being changed elsewhere; try again");
    if (!rc && out) *out = u.user;
    if (!rc && ends) rc = end_sessions(s, id, e);
    sodium_memzero(hash, sizeof hash);
    sodium_memzero(&u, sizeof u);
    return rc;
}

static int remove_once(security *s, const char *id, gn_error *e) {
    archive_record_write writes[3];
    user_record u;
    int rc = guard_read(s, &writes[2], e);
    if (!rc) rc = user_load(s, id, &u, e);
    if (!rc) rc = keep_an_administrator(s, &u.user, false, e);
    user_write w;
    if (!rc) rc = user_write_make(&u, &w, e);
    if (rc) return rc;
    writes[0] = (archive_record_write){ .action = ARCHIVE_RECORD_DELETE, .record = { .collection = "user", .id = id }, .expect = u.version };
    writes[1] = name_write(&w, ARCHIVE_RECORD_DELETE);
    gn_error own = GN_ERROR_INIT;
    rc = archive_records_write(s->archive, writes, 3, &own);
    user_write_done(&w);
    if (rc == GN_E_EXISTS || rc == GN_E_NOT_FOUND) return GN_E_MISMATCH;
    return rc && !overtaken(rc) ? gn_fail(e, rc, "%s", own.message) : rc;
}

int security_user_remove(security *s, const char *id, gn_error *e) {
    (void)pthread_mutex_lock(&s->changing);
    int rc = GN_E_MISMATCH;
    for (int i = 0; i < ATTEMPTS && overtaken(rc); i++) rc = remove_once(s, id, e);
    (void)pthread_mutex_unlock(&s->changing);
    if (overtaken(rc)) rc = gn_fail(e, GN_E_BUSY, "users are being changed elsewhere; try again");
    if (rc) return rc;
    archive_record_condition c = { .field = 1, .test = ARCHIVE_RECORD_EQUALS, .text = id };
    rc = end_sessions(s, id, e);
    int rc_keys = documents_remove(s, "key", &c, e);
    return rc ? rc : rc_keys;
}
