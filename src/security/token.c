/* token: secrets that travel (cookies, keys, links), the digests that are kept of them, and the names of records.
 *
 * A token is 256 random bits in base64url behind a prefix of its kind, so that a leaked one can be recognised by scanners. Since it
 * cannot be guessed, a plain BLAKE2b is digest enough: Argon2 is for what people choose. */
#include "internal.h"

#include <sodium.h>

void token_digest(const char *token, uint8_t digest[DIGEST_BYTES]) {
    (void)crypto_generichash(digest, DIGEST_BYTES, (const uint8_t *)token, strlen(token), NULL, 0);
}

void digest_hex(const uint8_t digest[DIGEST_BYTES], char hex[DIGEST_HEX]) { (void)sodium_bin2hex(hex, DIGEST_HEX, digest, DIGEST_BYTES); }

/* The name of a token's record: the first half of its digest. */
void token_record_id(const char *prefix, const uint8_t digest[DIGEST_BYTES], char id[ID_SIZE]) {
    char text[32];
    (void)sodium_bin2base64(text, sizeof text, digest, 16, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)snprintf(id, ID_SIZE, "%s%s", prefix, text);
}

void random_id(const char *prefix, char id[ID_SIZE]) {
    uint8_t bytes[DIGEST_BYTES];
    randombytes_buf(bytes, sizeof bytes);
    token_record_id(prefix, bytes, id);
}

int token_new(const char *prefix, char *token, size_t size, uint8_t digest[DIGEST_BYTES], gn_error *e) {
    char text[TOKEN_LETTERS + 1];
    uint8_t bytes[32];
    if (size < strlen(prefix) + sizeof text) return gn_fail(e, GN_E_INTERNAL, "a token needs %zu bytes", strlen(prefix) + sizeof text);
    randombytes_buf(bytes, sizeof bytes);
    (void)sodium_bin2base64(text, sizeof text, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)snprintf(token, size, "%s%s", prefix, text);
    token_digest(token, digest);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(text, sizeof text);
    return 0;
}

/* Whether it could be a token of this kind at all: what has another length or letters is not looked up (T22). */
bool token_plausible(const char *prefix, const char *token) {
    size_t n = strlen(prefix);
    if (!token || strncmp(token, prefix, n) != 0) return false;
    token += n;
    size_t letters = 0;
    for (; letters <= TOKEN_LETTERS && token[letters]; letters++) {
        char c = token[letters];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) return false;
    }
    return letters == TOKEN_LETTERS;
}

/* BLAKE2b with a key over a use and two texts. The use keeps a digest made for one purpose from serving another; the length of the
 * first text keeps "ab","c" from being "a","bc". */
void keyed_digest(const uint8_t key[32], const char *use, const char *a, const char *b, uint8_t digest[DIGEST_BYTES]) {
    crypto_generichash_state st;
    uint8_t length[8];
    gn_store_le64(length, strlen(a));
    (void)crypto_generichash_init(&st, key, 32, DIGEST_BYTES);
    (void)crypto_generichash_update(&st, (const uint8_t *)use, strlen(use) + 1);
    (void)crypto_generichash_update(&st, length, sizeof length);
    (void)crypto_generichash_update(&st, (const uint8_t *)a, strlen(a));
    (void)crypto_generichash_update(&st, (const uint8_t *)b, strlen(b));
    (void)crypto_generichash_final(&st, digest, DIGEST_BYTES);
    sodium_memzero(&st, sizeof st);
}
