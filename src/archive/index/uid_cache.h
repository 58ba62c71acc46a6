/* uid_cache: which row a study or series UID is, for the writer, so that most instances of a running transfer need no look-up.
 *
 * Fixed size, four places a set, the least recently used one is overwritten. It only repeats what the database says: clear it
 * when a transaction that may have filled it is rolled back. */
#ifndef GANTRY_ARCHIVE_INDEX_UID_CACHE_H
#define GANTRY_ARCHIVE_INDEX_UID_CACHE_H

#include "base/base.h"

typedef struct uid_entry {
    int64_t id;        /* row; 0: free */
    int64_t study;     /* series: row of its study; studies: 0 */
    uint64_t patient;  /* studies: signature of the Patient ID */
    uint64_t issuer;   /* studies: signature of its issuer; 0: none said */
    uint32_t used;
    bool conflict;     /* series: known under another study too */
    char sop_class[65]; /* series: one that its study's set has */
    char uid[65];
} uid_entry;

typedef struct uid_cache {
    uid_entry *entry; /* 4 × sets */
    size_t sets;      /* a power of two */
    uint32_t clock;
} uid_cache;

uint64_t uid_signature(const void *p, size_t n); /* never 0 */
int uid_cache_init(uid_cache *c, size_t sets, gn_error *e);
void uid_cache_done(uid_cache *c);
void uid_cache_clear(uid_cache *c);
/* `study` as in the entry. NULL: not there. Pointers are valid until the next uid_cache_put. */
uid_entry *uid_cache_find(uid_cache *c, const char *uid, int64_t study);
uid_entry *uid_cache_put(uid_cache *c, const char *uid, int64_t study, int64_t id);

#endif
