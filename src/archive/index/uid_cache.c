/* uid_cache: a small set-associative memory of UIDs and their rows; see the header. */
#include "uid_cache.h"

#include <stdlib.h>

enum { WAYS = 4 };

/* FNV-1a. Nobody gains by collisions: a set holds whole UIDs and compares them. */
uint64_t uid_signature(const void *p, size_t n) {
    const uint8_t *q = p;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ q[i]) * 0x100000001b3u;
    h ^= h >> 32;
    return h ? h : 1;
}

int uid_cache_init(uid_cache *c, size_t sets, gn_error *e) {
    c->entry = calloc(sets * WAYS, sizeof *c->entry);
    c->sets = sets;
    c->clock = 0;
    return c->entry ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory for the index");
}

void uid_cache_done(uid_cache *c) {
    free(c->entry);
    c->entry = NULL;
}

void uid_cache_clear(uid_cache *c) { memset(c->entry, 0, c->sets * WAYS * sizeof *c->entry); }

static uid_entry *set_of(uid_cache *c, const char *uid, int64_t study) {
    uint64_t h = uid_signature(uid, strlen(uid)) + (uint64_t)study * 0x9E3779B97F4A7C15u;
    return c->entry + (h & (c->sets - 1)) * WAYS;
}

uid_entry *uid_cache_find(uid_cache *c, const char *uid, int64_t study) {
    uid_entry *set = set_of(c, uid, study);
    for (size_t i = 0; i < WAYS; i++) {
        if (!set[i].id || set[i].study != study || strcmp(set[i].uid, uid) != 0) continue;
        set[i].used = ++c->clock;
        return &set[i];
    }
    return NULL;
}

uid_entry *uid_cache_put(uid_cache *c, const char *uid, int64_t study, int64_t id) {
    uid_entry *set = set_of(c, uid, study), *place = set;
    for (size_t i = 1; i < WAYS; i++)
        if (c->clock - set[i].used > c->clock - place->used) place = &set[i];
    memset(place, 0, sizeof *place);
    place->id = id;
    place->study = study;
    place->used = ++c->clock;
    /* One that is too long is never found: cut off it could be another. */
    (void)snprintf(place->uid, sizeof place->uid, "%s", strlen(uid) < sizeof place->uid ? uid : "\001");
    return place;
}
