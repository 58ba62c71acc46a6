/* password: rules and digests of what people choose.
 *
 * Argon2id through libsodium. One hash takes tens of mebibytes, so only a few run at once and the others wait: a flood of sign-ins must
 * not take the memory that images need (T22). */
#include "internal.h"

#include <sodium.h>

/* The commonest of at least twelve characters in published leaks, in small letters. Shorter ones are refused by their length. */
static const char *const common[] = {
    "123456789012", "1234567890123", "12345678901234", "123456789012345", "1234567890123456", "12345678910", "0123456789012", "012345678910",
    "123123123123", "112233445566", "111222333444", "123412341234", "121212121212", "147258369147", "987654321098", "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u8i", "1qaz2wsx3edc", "1qaz2wsx3edc4rfv", "qazwsxedcrfv", "q1w2e3r4t5y6", "qwertyuiop12", "qwertyuiop123", "qwertyuiop1234", "qwertyuiopasdf",
    "qwertyuiop[]", "qwerty123456", "qwerty1234567", "qwertyqwerty", "qwertyuiopasdfghjkl", "asdfghjkl123", "asdfghjkl1234", "asdfasdfasdf", "zxcvbnm12345",
    "abcdefghijkl", "abcdefghijklm", "abcdefg12345", "abcdefgh1234", "abc123abc123", "abcd12345678", "a1b2c3d4e5f6", "aaaaaa111111", "password1234", "password12345",
    "password123!", "password1234!", "password2024", "password2025", "password2026", "passwordpassword", "passw0rd1234", "p@ssw0rd1234", "p@ssword1234", "mypassword123",
    "newpassword1", "changeme1234", "changemenow!", "changemeplease", "letmein12345", "letmeinplease", "welcome12345", "welcome123456", "welcome1234!", "administrator",
    "administrator1", "admin1234567", "admin12345678", "adminadmin12", "adminadminadmin", "admin@123456", "superadmin123", "supervisor123", "rootrootroot", "testtesttest",
    "test12345678", "testpassword", "temppassword", "defaultpassword", "secretsecret", "secret123456", "trustno1trustno1", "iloveyou1234", "iloveyouforever", "iloveyouiloveyou",
    "unbelievable", "relationship", "christopher1", "liverpool123", "manchester12", "football1234", "baseball1234", "superman1234", "sunshine1234", "princess1234",
    "dragon123456", "monkey123456", "master123456", "computer1234", "internet1234", "michael12345", "charlie12345", "jordan123456", "summer202424", "hospital1234",
    "hospital12345", "hospital2024", "hospital2025", "radiology123", "radiology1234", "radiologie12", "radiologist1", "orthancorthanc", "dicomdicom12", "dicompassword",
    "correcthorsebatterystaple", "correct horse battery staple",
};

static bool is_common(const char *password) {
    char low[64];
    size_t n = strlen(password);
    if (n >= sizeof low) return false;
    for (size_t i = 0; i <= n; i++) low[i] = password[i] >= 'A' && password[i] <= 'Z' ? (char)(password[i] + 32) : password[i];
    bool found = false;
    for (size_t i = 0; i < GN_ARRAY_LEN(common) && !found; i++) found = strcmp(low, common[i]) == 0;
    sodium_memzero(low, sizeof low);
    return found;
}

static unsigned different_bytes(const char *text) {
    bool seen[256] = { false };
    unsigned n = 0;
    for (; *text; text++) {
        bool *one = &seen[(unsigned char)*text];
        n += !*one;
        *one = true;
    }
    return n;
}

static bool is_name(const char *name, const char *password) {
    gn_buf a = GN_BUF_INIT, b = GN_BUF_INIT;
    dicom_text_fold(name, strlen(name), false, &a);
    dicom_text_fold(password, strlen(password), false, &b);
    bool same = a.n == b.n && a.n && memcmp(a.p, b.p, a.n) == 0;
    if (b.p) sodium_memzero(b.p, b.n);
    gn_buf_done(&a);
    gn_buf_done(&b);
    return same;
}

int password_acceptable(const char *name, const char *password, gn_error *e) {
    size_t n = password ? strlen(password) : 0;
    if (n < 12) return gn_fail(e, GN_E_INVALID, "a password needs at least 12 characters");
    if (n > 1024) return gn_fail(e, GN_E_INVALID, "a password has at most 1024 bytes");
    if (is_name(name, password)) return gn_fail(e, GN_E_INVALID, "the password must not be the name");
    if (different_bytes(password) < 4) return gn_fail(e, GN_E_INVALID, "the password needs at least 4 different characters");
    if (is_common(password)) return gn_fail(e, GN_E_INVALID, "the password is one of the most common ones");
    return 0;
}

/* ---- Argon2 -------------------------------------------------------------------------------------------------------------- */

static void enter(security *s) {
    (void)pthread_mutex_lock(&s->lock);
    while (s->hashing >= PASSWORDS_AT_ONCE) (void)pthread_cond_wait(&s->hashed, &s->lock);
    s->hashing++;
    (void)pthread_mutex_unlock(&s->lock);
}

static void leave(security *s) {
    (void)pthread_mutex_lock(&s->lock);
    s->hashing--;
    (void)pthread_cond_signal(&s->hashed);
    (void)pthread_mutex_unlock(&s->lock);
}

int password_hash(security *s, const char *password, char hash[PASSWORD_HASH], gn_error *e) {
    _Static_assert(PASSWORD_HASH >= crypto_pwhash_STRBYTES, "room for libsodium's text");
    enter(s);
    int rc = crypto_pwhash_str_alg(hash, password, strlen(password), s->config.argon2_ops, s->config.argon2_memory, crypto_pwhash_ALG_ARGON2ID13);
    leave(s);
    return rc ? gn_fail(e, GN_E_NO_MEMORY, "not enough memory to hash a password") : 0;
}

/* Random bytes in the clothes of a hash: verifying against it costs as much, making it costs nothing. */
int password_nobody(const security *s, char hash[PASSWORD_HASH], gn_error *e) {
    uint8_t salt[crypto_pwhash_SALTBYTES], digest[32];
    char salt_text[sodium_base64_ENCODED_LEN(sizeof salt, sodium_base64_VARIANT_ORIGINAL_NO_PADDING)], digest_text[sodium_base64_ENCODED_LEN(sizeof digest, sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];
    randombytes_buf(salt, sizeof salt);
    randombytes_buf(digest, sizeof digest);
    (void)sodium_bin2base64(salt_text, sizeof salt_text, salt, sizeof salt, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void)sodium_bin2base64(digest_text, sizeof digest_text, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    int n = snprintf(hash, PASSWORD_HASH, "$argon2id$v=19$m=%zu,t=%u,p=1$%s$%s", s->config.argon2_memory / 1024, s->config.argon2_ops, salt_text, digest_text);
    return n > 0 && n < PASSWORD_HASH ? 0 : gn_fail(e, GN_E_INTERNAL, "no room for a hash");
}

bool password_verify(security *s, const char *hash, const char *password) {
    size_t n = strlen(password);
    enter(s);
    /* One that is too long is compared all the same, cut: it must not be told by a quick answer. */
    bool right = crypto_pwhash_str_verify(hash, password, n > 1024 ? 1024 : n) == 0 && n <= 1024;
    leave(s);
    return right;
}

bool password_outdated(const security *s, const char *hash) { return crypto_pwhash_str_needs_rehash(hash, s->config.argon2_ops, s->config.argon2_memory) != 0; }
