/* permissions: which role may do what, in one table; docs/security.md shows the same one, and a test compares them.
 *
 * Every route asks security_allows and nothing else (T19): a rule that stood in a handler would be forgotten in the next. */
#include "internal.h"

#define X(name, word) [SECURITY_##name] = word,
static const char *const permission_words[SECURITY_PERMISSIONS] = { SECURITY_PERMISSION_TABLE(X) };
#undef X

static const char *const role_words[SECURITY_ROLES] = {
    [SECURITY_ADMINISTRATOR] = "administrator", [SECURITY_TECHNOLOGIST] = "technologist", [SECURITY_RADIOLOGIST] = "radiologist",
    [SECURITY_REFERRER] = "referrer",           [SECURITY_SERVICE] = "service",
};

#define P(name) (1u << SECURITY_##name)
/* Signing is the radiologist's alone: who runs the machine must not be able to answer for a diagnosis. */
static const uint32_t table[SECURITY_ROLES] = {
    [SECURITY_ADMINISTRATOR] = ((1u << SECURITY_PERMISSIONS) - 1) & ~P(REPORTS_SIGN),
    [SECURITY_TECHNOLOGIST] = P(SELF) | P(IMAGES_FIND) | P(IMAGES_READ) | P(IMAGES_STORE) | P(IMAGES_SHARE) | P(ORDERS_READ) | P(ORDERS_WRITE) |
                              P(EVENTS_READ) | P(QUALITY_READ),
    [SECURITY_RADIOLOGIST] = P(SELF) | P(IMAGES_FIND) | P(IMAGES_READ) | P(IMAGES_SHARE) | P(ORDERS_READ) | P(REPORTS_READ) | P(REPORTS_WRITE) |
                             P(REPORTS_SIGN) | P(ANALYSIS_START) | P(ANALYSIS_REVIEW) | P(EVENTS_READ) | P(QUALITY_READ),
    [SECURITY_REFERRER] = P(SELF) | P(IMAGES_FIND) | P(IMAGES_READ) | P(ORDERS_READ) | P(ORDERS_WRITE) | P(REPORTS_READ),
    [SECURITY_SERVICE] = P(IMAGES_FIND) | P(IMAGES_READ) | P(IMAGES_STORE) | P(ORDERS_READ) | P(ORDERS_WRITE) | P(REPORTS_READ) | P(ANALYSIS_START) |
                         P(EVENTS_READ) | P(METRICS_READ),
};
_Static_assert(SECURITY_PERMISSIONS < 32, "a role's permissions are the bits of one word");

static bool role_known(security_role r) { return (unsigned)r < SECURITY_ROLES; }
static bool permission_known(security_permission p) { return p >= 0 && p < SECURITY_PERMISSIONS; }

const char *security_role_text(security_role r) { return role_known(r) ? role_words[r] : "unknown"; }

bool security_role_parse(const char *text, security_role *r) {
    for (unsigned i = 0; text && i < SECURITY_ROLES; i++) {
        if (strcmp(text, role_words[i]) != 0) continue;
        *r = (security_role)i;
        return true;
    }
    return false;
}

const char *security_permission_text(security_permission p) { return permission_known(p) ? permission_words[p] : "nothing"; }

bool security_role_may(security_role r, security_permission p) {
    if (p == SECURITY_NOTHING) return true;
    return role_known(r) && permission_known(p) && (table[r] >> (unsigned)p & 1u);
}

/* Who may see one study: its images and no more, and only when the question is about that study. */
static bool one_study_allows(const security_principal *who, security_permission p, const char *study_uid) {
    if (p != SECURITY_IMAGES_READ && p != SECURITY_IMAGES_FIND) return false;
    return who->study_uid[0] && study_uid && strcmp(who->study_uid, study_uid) == 0;
}

bool security_allows(const security_principal *who, security_permission p, const char *study_uid) {
    if (p == SECURITY_NOTHING) return true;
    if (!who || !permission_known(p)) return false;
    if (who->kind != SECURITY_OPEN && who->expires_us && who->expires_us <= gn_wall_us()) return false;
    switch (who->kind) {
    case SECURITY_OPEN: return true;
    case SECURITY_SHARE: return one_study_allows(who, p, study_uid);
    case SECURITY_USER: break;
    case SECURITY_KEY:
        if (p == SECURITY_REPORTS_SIGN) return false; /* a signature is a person's, with a password */
        break;
    case SECURITY_NOBODY:
    default: return false;
    }
    return who->study_uid[0] ? one_study_allows(who, p, study_uid) && security_role_may(who->role, p) : security_role_may(who->role, p);
}
