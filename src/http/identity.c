/* identity: who asks: a browser's session cookie, a bearer token, a name and password (HTTP Basic); and whether they may. Decided before a
 * byte of the body is looked at. What one who may see a single study is not shown is answered as if it did not exist (T19). */
#include "internal.h"

#include <stdlib.h>
#include <strings.h>

static int challenge(http_exchange *x, const gn_error *e) {
    http_request *r = &x->request;
    if (e && e->code == GN_E_BUSY) {
        http_set(r, "Retry-After", "60");
        http_problem(r, 429, e, NULL);
        return -1;
    }
    if (e) http_audit(r, "credentials", NULL, NULL, SECURITY_DENIED); /* wrong ones; too many of them are refused above, without a line each */
    if (!http_header(r, "X-Requested-With")) /* a page asks for itself: the browser must not open its own password window */
        http_set(r, "WWW-Authenticate", "Bearer, Basic realm=\"Gantry\", charset=\"UTF-8\"");
    http_problem_text(r, 401, "Sign in first", e && e->message[0] ? e->message : "this needs a signed-in user, a key or a share link");
    return -1;
}

/* "name:password" in base64 (RFC 7617). */
static int by_basic(http_exchange *x, const char *encoded, gn_error *e) {
    char text[1200] = "";
    size_t n = strlen(encoded), out = 0;
    uint32_t bits = 0;
    int have = 0;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n && encoded[i] != '='; i++) {
        const char *d = strchr(digits, encoded[i]);
        if (!d || out + 1 >= sizeof text) return gn_fail(e, GN_E_REFUSED, "the Authorization header is malformed");
        bits = bits << 6 | (uint32_t)(d - digits);
        have += 6;
        if (have >= 8) text[out++] = (char)(bits >> (have -= 8) & 0xFF);
    }
    text[out] = '\0';
    char *colon = strchr(text, ':');
    if (!colon || strlen(text) != out) return gn_fail(e, GN_E_REFUSED, "the Authorization header is malformed");
    *colon = '\0';
    int rc = security_by_password(x->service->ctx.security, text, colon + 1, x->request.address, &x->request.who, e);
    explicit_bzero(text, sizeof text);
    return rc;
}

int identity_of(http_exchange *x) {
    http_request *r = &x->request;
    security *s = x->service->ctx.security;
    gn_error e = GN_ERROR_INIT;
    r->who = (security_principal){ .kind = SECURITY_NOBODY };
    if (x->service->config.open) {
        r->who = (security_principal){ .kind = SECURITY_OPEN, .id = "open", .name = "open", .role = SECURITY_ADMINISTRATOR };
        return 0;
    }
    const char *header = http_header(r, "Authorization"), *cookie = MHD_lookup_connection_value(x->mhd, MHD_COOKIE_KIND, "gantry_session");
    int rc = 0;
    if (header && strncasecmp(header, "Bearer ", 7) == 0) rc = security_by_bearer(s, header + 7, r->address, &r->who, &e);
    else if (header && strncasecmp(header, "Basic ", 6) == 0) rc = by_basic(x, header + 6, &e);
    else if (header) rc = gn_fail(&e, GN_E_REFUSED, "this kind of Authorization is not known: use Bearer or Basic");
    else if (cookie && security_by_session(s, cookie, &r->who, &e)) r->who = (security_principal){ .kind = SECURITY_NOBODY }; /* an old cookie is nobody's */
    if (rc && (e.code == GN_E_REFUSED || e.code == GN_E_BUSY)) return challenge(x, &e);
    if (rc) http_problem(r, 0, &e, NULL);
    return rc;
}

int identity_allows(http_exchange *x) {
    http_request *r = &x->request;
    const http_route *o = x->route;
    bool unsafe = r->method != HTTP_GET;
    if (unsafe && r->who.session[0] && r->who.kind == SECURITY_USER) {
        const char *token = http_header(r, "X-CSRF-Token");
        if (!token || !security_csrf_valid(x->service->ctx.security, &r->who, token)) {
            http_problem_text(r, 403, "Not allowed", "the header X-CSRF-Token is missing or wrong: GET /api/v1/session tells it");
            return -1;
        }
    }
    if (o->needs == SECURITY_NOTHING) return 0;
    if (r->who.kind == SECURITY_NOBODY) return challenge(x, NULL);
    if (o->shared && r->who.study_uid[0]) return 0; /* the handler asks for the study */
    if (security_allows(&r->who, o->needs, NULL)) return 0;
    http_audit(r, security_permission_text(o->needs), NULL, r->path, SECURITY_DENIED);
    http_problem_text(r, 403, "Not allowed", gn_fmt("this needs the permission %s", security_permission_text(o->needs)));
    return -1;
}

bool http_may_see(http_request *r, security_permission p, const char *study_uid) {
    if (security_allows(&r->who, p, study_uid)) return true;
    http_audit(r, security_permission_text(p), study_uid, NULL, SECURITY_DENIED);
    http_problem_text(r, 404, "Not found", "there is no such study");
    return false;
}

void http_audit(http_request *r, const char *action, const char *study_uid, const char *object, security_outcome outcome) {
    gn_error e = GN_ERROR_INIT;
    security_access a = { .who = &r->who, .address = r->address, .action = action, .study_uid = study_uid, .object = object, .outcome = outcome };
    if (security_audit(r->ctx->security, &a, &e)) gn_log(GN_LOG_ERROR, "audit.failed", "why", e.message, "request", r->id, NULL);
}
