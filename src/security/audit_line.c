/* audit_line: one line of the audit log, made and checked.
 *
 * A line is one JSON object: {"n":7,"at":"…","who":…,"count":1,"prev":"<64 hex>","hash":"<64 hex>"}. The hash is BLAKE2b-256 over the 32
 * bytes of the hash before and over the line as it would be without its "hash" member. It is taken over bytes, not over meaning, so
 * that checking needs no JSON reader and nothing can differ in two readings. */
#include "internal.h"

#include <sodium.h>

#define PREV ",\"prev\":\""
#define HASH ",\"hash\":\""
enum { HEX = 64, HASH_MEMBER = sizeof HASH - 1 + HEX + 1, PREV_MEMBER = sizeof PREV - 1 + HEX + 1, TEXT_MOST = 256, DETAIL_MOST = 1024 };

static void chain(const uint8_t prev[DIGEST_BYTES], const void *line, size_t n, uint8_t hash[DIGEST_BYTES]) {
    crypto_generichash_state st;
    (void)crypto_generichash_init(&st, NULL, 0, DIGEST_BYTES);
    (void)crypto_generichash_update(&st, prev, DIGEST_BYTES);
    (void)crypto_generichash_update(&st, line, n);
    (void)crypto_generichash_update(&st, (const uint8_t *)"}", 1);
    (void)crypto_generichash_final(&st, hash, DIGEST_BYTES);
}

/* ---- making ------------------------------------------------------------------------------------------------------------- */

static void member(gn_buf *out, const char *key, const char *value, size_t most) {
    if (!value || !value[0]) return;
    gn_json j;
    gn_json_init(&j, out);
    gn_buf_printf(out, "%s\"%s\":", out->n ? "," : "", key);
    gn_json_string_n(&j, value, strnlen(value, most)); /* a character cut in two becomes U+FFFD */
}

static const char *kind_text(security_kind k) {
    static const char *const words[] = { [SECURITY_NOBODY] = "nobody", [SECURITY_USER] = "user", [SECURITY_KEY] = "key", [SECURITY_SHARE] = "share", [SECURITY_OPEN] = "open" };
    return (unsigned)k < GN_ARRAY_LEN(words) ? words[k] : "nobody";
}

void audit_members(const security_access *access, gn_buf *out) {
    static const char *const outcomes[] = { [SECURITY_DONE] = "done", [SECURITY_DENIED] = "denied", [SECURITY_FAILED] = "failed" };
    const security_principal *who = access->who;
    if (who && who->kind != SECURITY_NOBODY) {
        member(out, "who", who->id, TEXT_MOST);
        member(out, "name", who->name, TEXT_MOST);
        member(out, "kind", kind_text(who->kind), TEXT_MOST);
        if (who->kind == SECURITY_USER || who->kind == SECURITY_KEY) member(out, "role", security_role_text(who->role), TEXT_MOST);
    }
    member(out, "address", access->address, TEXT_MOST);
    member(out, "action", access->action && access->action[0] ? access->action : "unknown", TEXT_MOST);
    member(out, "patient", access->patient_id, TEXT_MOST);
    member(out, "study", access->study_uid, TEXT_MOST);
    member(out, "object", access->object, TEXT_MOST);
    member(out, "outcome", (unsigned)access->outcome < GN_ARRAY_LEN(outcomes) ? outcomes[access->outcome] : "failed", TEXT_MOST);
    member(out, "detail", access->detail, DETAIL_MOST);
}

void audit_line_write(gn_buf *out, int64_t n, int64_t at_us, const char *members, int64_t count, uint8_t hash[DIGEST_BYTES]) {
    char at[32], hex[DIGEST_HEX];
    size_t start = out->n;
    digest_hex(hash, hex);
    gn_buf_printf(out, "{\"n\":%lld,\"at\":\"%s\",%s,\"count\":%lld" PREV "%s\"", (long long)n, gn_time_iso(at_us, at), members, (long long)count, hex);
    if (out->failed) return;
    chain(hash, out->p + start, out->n - start, hash);
    digest_hex(hash, hex);
    gn_buf_printf(out, HASH "%s\"}\n", hex);
}

bool audit_is_read(const char *action) {
    size_t n = action ? strlen(action) : 0;
    return n >= 5 && (strcmp(action + n - 5, ".read") == 0 || strcmp(action + n - 5, ".find") == 0);
}

/* ---- checking ----------------------------------------------------------------------------------------------------------- */

int64_t audit_line_number(const char *line, size_t length) {
    static const char start[] = "{\"n\":";
    size_t i = sizeof start - 1;
    if (length < i || memcmp(line, start, i) != 0) return 0;
    int64_t n = 0;
    size_t digits = 0;
    for (; i < length && line[i] >= '0' && line[i] <= '9' && digits < 18; i++, digits++) n = n * 10 + (line[i] - '0');
    return digits && i < length && line[i] == ',' ? n : 0;
}

bool audit_line_begins(const char *line, size_t length) {
    static const char word[] = ",\"action\":\"log.begin\",";
    return memmem(line, length, word, sizeof word - 1) != NULL;
}

/* `"<64 hex>"` with the words before it, at a place of the line. */
static bool read_hash(const char *at, const char *words, uint8_t out[DIGEST_BYTES]) {
    size_t n = strlen(words), got = 0;
    if (memcmp(at, words, n) != 0 || at[n + HEX] != '"') return false;
    return sodium_hex2bin(out, DIGEST_BYTES, at + n, HEX, NULL, &got, NULL) == 0 && got == DIGEST_BYTES;
}

bool audit_line_check(const char *line, size_t length, int64_t *n, uint8_t prev[DIGEST_BYTES], uint8_t hash[DIGEST_BYTES]) {
    *n = audit_line_number(line, length);
    if (*n <= 0 || length > AUDIT_LINE_LARGEST || length < PREV_MEMBER + HASH_MEMBER + 8 || line[length - 1] != '}') return false;
    size_t kept = length - 1 - HASH_MEMBER;
    uint8_t right[DIGEST_BYTES];
    if (!read_hash(line + kept, HASH, hash) || !read_hash(line + kept - PREV_MEMBER, PREV, prev)) return false;
    chain(prev, line, kept, right);
    /* The spelling counts too: hex in capitals would be another line. */
    char hex[DIGEST_HEX];
    digest_hex(right, hex);
    return memcmp(hex, line + kept + sizeof HASH - 1, HEX) == 0;
}
