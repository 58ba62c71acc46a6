/* cache: credentials that were found right a moment ago, so that a viewer's hundred requests a second do not ask the records each time.
 *
 * Only right ones are kept, for seconds; bounded, and named by digests. A change in this process clears it; `generation` keeps a lookup
 * that began before the change from putting its answer in after it. */
#include "internal.h"

enum { WAYS = 4 };

static cached *set_of(security *s, const uint8_t digest[DIGEST_BYTES]) { return &s->cache[(size_t)gn_load_le16(digest) % (CACHE / WAYS) * WAYS]; }

uint64_t mono_after(security *s, uint64_t seconds) { return s->mono_ns() + seconds * 1000000000u; }

bool cache_find(security *s, const uint8_t digest[DIGEST_BYTES], security_principal *who) {
    uint64_t now = s->mono_ns();
    int64_t now_us = s->wall_us();
    bool found = false;
    (void)pthread_mutex_lock(&s->lock);
    cached *set = set_of(s, digest);
    for (size_t i = 0; i < WAYS && !found; i++) {
        const cached *c = &set[i];
        if (c->until_ns <= now || memcmp(c->digest, digest, DIGEST_BYTES) != 0) continue;
        if (c->who.expires_us && c->who.expires_us <= now_us) continue;
        *who = c->who;
        found = true;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return found;
}

uint64_t cache_generation(security *s) {
    (void)pthread_mutex_lock(&s->lock);
    uint64_t generation = s->generation;
    (void)pthread_mutex_unlock(&s->lock);
    return generation;
}

void cache_put(security *s, const uint8_t digest[DIGEST_BYTES], const security_principal *who, unsigned seconds, uint64_t generation) {
    uint64_t until = mono_after(s, seconds);
    (void)pthread_mutex_lock(&s->lock);
    if (generation == s->generation) {
        cached *set = set_of(s, digest), *place = set;
        for (size_t i = 0; i < WAYS; i++) {
            if (memcmp(set[i].digest, digest, DIGEST_BYTES) == 0) {
                place = &set[i];
                break;
            }
            if (set[i].until_ns < place->until_ns) place = &set[i];
        }
        *place = (cached){ .until_ns = until, .who = *who };
        memcpy(place->digest, digest, DIGEST_BYTES);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

void cache_forget_session(security *s, const char *session) {
    (void)pthread_mutex_lock(&s->lock);
    s->generation++;
    for (size_t i = 0; i < CACHE; i++)
        if (s->cache[i].until_ns && strcmp(s->cache[i].who.session, session) == 0) s->cache[i] = (cached){ 0 };
    (void)pthread_mutex_unlock(&s->lock);
}

void cache_clear(security *s) {
    (void)pthread_mutex_lock(&s->lock);
    s->generation++;
    memset(s->cache, 0, sizeof s->cache);
    (void)pthread_mutex_unlock(&s->lock);
}
