/* guesses: how many wrong passwords an account and an address may try in a quarter of an hour (T22).
 *
 * In memory and bounded; what is counted is named by a keyed digest, so that nobody can choose names that collide. When a set is full,
 * the entry with the fewest wrong attempts goes: one who floods the table drives out his own traces before those of an account under
 * attack. A restart forgets; the attempts that it gives away are few. */
#include "internal.h"

#include <arpa/inet.h>
#include <sodium.h>

enum { WAYS = 8 };
static const uint64_t window_ns = (uint64_t)GUESS_WINDOW_S * 1000000000u;

/* An address without its port; of IPv6 the network only, since one subscriber has 2^64 addresses. */
static size_t network(const char *address, uint8_t out[64]) {
    char host[64];
    const char *open = address[0] == '[' ? address + 1 : address, *colon = strrchr(open, ':');
    size_t n = strcspn(open, address[0] == '[' ? "]" : "%");
    if (address[0] != '[' && colon && strchr(open, ':') == colon) n = (size_t)(colon - open);
    if (n >= sizeof host) n = sizeof host - 1;
    memcpy(host, open, n);
    host[n] = '\0';
    uint8_t v6[16];
    static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF };
    if (inet_pton(AF_INET, host, out) == 1) return 4;
    if (inet_pton(AF_INET6, host, v6) == 1) {
        bool v4 = memcmp(v6, mapped, sizeof mapped) == 0;
        memcpy(out, v4 ? v6 + 12 : v6, v4 ? 4 : 8);
        return v4 ? 4 : 8;
    }
    memcpy(out, host, n);
    return n;
}

static void key_of(const security *s, guess_kind kind, const char *subject, uint8_t key[16]) {
    crypto_generichash_state st;
    uint8_t first = (uint8_t)kind, place[64];
    (void)crypto_generichash_init(&st, s->process_key, sizeof s->process_key, 16);
    (void)crypto_generichash_update(&st, &first, 1);
    if (!subject) subject = "";
    if (kind == GUESS_ACCOUNT) (void)crypto_generichash_update(&st, (const uint8_t *)subject, strlen(subject));
    else (void)crypto_generichash_update(&st, place, network(subject, place));
    (void)crypto_generichash_final(&st, key, 16);
}

/* The entry of a key; NULL, or with `make` a new one in place of the least. */
static guess *entry_of(security *s, const uint8_t key[16], uint64_t now, bool make) {
    guess *set = &s->guesses[(size_t)gn_load_le16(key) % (GUESSES / WAYS) * WAYS], *least = set;
    for (size_t i = 0; i < WAYS; i++) {
        guess *g = &set[i];
        if (g->count && now - g->since_ns >= window_ns) *g = (guess){ 0 };
        if (g->count && memcmp(g->key, key, 16) == 0) return g;
        if (g->count < least->count || (g->count == least->count && g->since_ns < least->since_ns)) least = g;
    }
    if (!make) return NULL;
    *least = (guess){ .since_ns = now };
    memcpy(least->key, key, 16);
    return least;
}

int guess_charge(security *s, guess_kind kind, const char *subject, gn_error *e) {
    uint8_t key[16];
    uint32_t most = kind == GUESS_ACCOUNT ? s->config.guesses_per_account : s->config.guesses_per_address;
    key_of(s, kind, subject, key);
    uint64_t now = s->mono_ns(), wait = 0;
    (void)pthread_mutex_lock(&s->lock);
    guess *g = entry_of(s, key, now, true);
    if (g->count >= most) wait = (window_ns - (now - g->since_ns)) / 1000000000u + 1;
    else g->count++;
    (void)pthread_mutex_unlock(&s->lock);
    if (!wait) return 0;
    return gn_fail(e, GN_E_BUSY, "too many wrong attempts; try again in %llu seconds", (unsigned long long)wait);
}

static void take_back(security *s, guess_kind kind, const char *subject, bool all) {
    uint8_t key[16];
    key_of(s, kind, subject, key);
    (void)pthread_mutex_lock(&s->lock);
    guess *g = entry_of(s, key, s->mono_ns(), false);
    if (g) g->count = all ? 0 : g->count - 1;
    (void)pthread_mutex_unlock(&s->lock);
}

void guess_refund(security *s, guess_kind kind, const char *subject) { take_back(s, kind, subject, false); }
void guess_forget(security *s, guess_kind kind, const char *subject) { take_back(s, kind, subject, true); }
