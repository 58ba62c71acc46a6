/* users: their records, and reading them.
 *
 * A user is a record of the collection "user": key 0 the folded name, key 1 the role, key 2 "enabled" or "disabled"; the body has the
 * rest with the password's Argon2 text. A record of "user-name", whose id is a digest of the folded name, makes names unique: two
 * who add the same at once cannot both write it. */
#include "users.h"

#include <jansson.h>
#include <sodium.h>

int user_fold(const char *name, gn_buf *folded, gn_error *e) {
    dicom_text_fold(name, strlen(name), false, folded);
    return folded->failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a name") : 0;
}

static int fill(void *ctx, const archive_record_found *r, gn_error *e) {
    user_record *u = ctx;
    json_t *body = document_parse(r, e);
    if (!body) return GN_E_CORRUPT;
    char role[32];
    *u = (user_record){ .version = r->version, .epoch = document_number(body, "epoch") };
    security_user *user = &u->user;
    (void)snprintf(user->id, sizeof user->id, "%s", r->id);
    document_text(body, "name", user->name, sizeof user->name);
    document_text(body, "display", user->display, sizeof user->display);
    document_text(body, "password", u->hash, sizeof u->hash);
    document_text(body, "role", role, sizeof role);
    user->disabled = json_is_true(json_object_get(body, "disabled"));
    user->created_us = document_number(body, "created");
    user->signed_in_us = document_number(body, "signed_in");
    bool known = security_role_parse(role, &user->role) && u->hash[0] && user->name[0];
    json_decref(body);
    return known ? 0 : gn_fail(e, GN_E_CORRUPT, "the record of user %s is incomplete", r->id);
}

int user_load(security *s, const char *id, user_record *u, gn_error *e) {
    gn_error own = GN_ERROR_INIT;
    int rc = id && id[0] ? archive_record_get(s->archive, "user", id, fill, u, &own) : GN_E_NOT_FOUND;
    if (rc == GN_E_NOT_FOUND) return gn_fail(e, rc, "there is no such user");
    return rc ? gn_fail(e, rc, "%s", own.message) : 0;
}

int user_by_name(security *s, const char *name, user_record *u, gn_error *e) {
    gn_buf folded = GN_BUF_INIT;
    int rc = user_fold(name, &folded, e);
    u->version = 0;
    if (!rc && folded.n) {
        archive_record_condition c = { .field = 0, .test = ARCHIVE_RECORD_EQUALS, .text = (const char *)folded.p };
        archive_record_query q = { .collection = "user", .conditions = &c, .condition_count = 1, .order = ARCHIVE_RECORD_FIELD_ID, .limit = 1 };
        rc = archive_records_find(s->archive, &q, fill, u, e);
    }
    gn_buf_done(&folded);
    return rc || u->version ? rc : gn_fail(e, GN_E_NOT_FOUND, "there is no such user");
}

int user_count(security *s, bool enabled_administrators, int64_t *count, gn_error *e) {
    archive_record_condition c[] = { { .field = 1, .test = ARCHIVE_RECORD_EQUALS, .text = security_role_text(SECURITY_ADMINISTRATOR) },
                                     { .field = 2, .test = ARCHIVE_RECORD_EQUALS, .text = "enabled" } };
    archive_record_query q = { .collection = "user", .conditions = c, .condition_count = enabled_administrators ? 2 : 0, .order = ARCHIVE_RECORD_FIELD_ID };
    return archive_records_count(s->archive, &q, count, e);
}

void user_principal(const user_record *u, security_principal *who) {
    *who = (security_principal){ .kind = SECURITY_USER, .role = u->user.role };
    memcpy(who->id, u->user.id, sizeof who->id);
    memcpy(who->name, u->user.name, sizeof who->name);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------- */

static void body_of(const user_record *u, gn_buf *out) {
    gn_json j;
    gn_json_init(&j, out);
    gn_json_open(&j, '{');
    gn_json_key(&j, "name");
    gn_json_string(&j, u->user.name);
    gn_json_key(&j, "display");
    gn_json_string(&j, u->user.display);
    gn_json_key(&j, "role");
    gn_json_string(&j, security_role_text(u->user.role));
    gn_json_key(&j, "disabled");
    gn_json_bool(&j, u->user.disabled);
    gn_json_key(&j, "password");
    gn_json_string(&j, u->hash);
    gn_json_key(&j, "epoch");
    gn_json_int(&j, u->epoch);
    gn_json_key(&j, "created");
    gn_json_int(&j, u->user.created_us);
    gn_json_key(&j, "signed_in");
    gn_json_int(&j, u->user.signed_in_us);
    gn_json_close(&j, '}');
}

int user_write_make(const user_record *u, user_write *w, gn_error *e) {
    *w = (user_write){ .body = GN_BUF_INIT, .folded = GN_BUF_INIT };
    int rc = user_fold(u->user.name, &w->folded, e);
    body_of(u, &w->body);
    if (!rc && (w->body.failed || !w->folded.n)) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory to write a user");
    if (rc) {
        user_write_done(w);
        return rc;
    }
    uint8_t digest[DIGEST_BYTES];
    token_digest((const char *)w->folded.p, digest);
    digest_hex(digest, w->name_id);
    w->record = (archive_record){ .collection = "user", .id = u->user.id, .body = (const char *)w->body.p, .body_length = w->body.n,
                                  .key = { (const char *)w->folded.p, security_role_text(u->user.role), u->user.disabled ? "disabled" : "enabled" } };
    return 0;
}

void user_write_done(user_write *w) {
    if (w->body.p) sodium_memzero(w->body.p, w->body.n);
    gn_buf_done(&w->body);
    gn_buf_done(&w->folded);
}

int user_signed_in(security *s, user_record *u, const char *password) {
    char renewed[PASSWORD_HASH];
    u->user.signed_in_us = s->wall_us();
    if (password_outdated(s, u->hash) && password_hash(s, password, renewed, NULL) == 0) memcpy(u->hash, renewed, sizeof renewed);
    user_write w;
    int rc = user_write_make(u, &w, NULL);
    if (rc) return rc;
    /* If somebody changes the user at the same time, his change stands and this note is not needed. */
    rc = archive_record_put(s->archive, &w.record, u->version, &u->version, NULL);
    user_write_done(&w);
    return rc;
}

/* ---- for others ---------------------------------------------------------------------------------------------------------- */

int security_user_get(security *s, const char *id, security_user *out, gn_error *e) {
    user_record u;
    int rc = user_load(s, id, &u, e);
    if (!rc) *out = u.user;
    sodium_memzero(u.hash, sizeof u.hash);
    return rc;
}

typedef struct listing { void (*visit)(void *ctx, const security_user *u); void *ctx; } listing;

static int list_one(void *ctx, const archive_record_found *r, gn_error *e) {
    listing *l = ctx;
    user_record u;
    int rc = fill(&u, r, e);
    if (!rc) l->visit(l->ctx, &u.user);
    return rc;
}

int security_user_list(security *s, void (*visit)(void *ctx, const security_user *u), void *ctx, gn_error *e) {
    listing l = { visit, ctx };
    archive_record_query q = { .collection = "user", .order = 0 };
    return archive_records_find(s->archive, &q, list_one, &l, e);
}
