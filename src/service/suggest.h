/* suggest: the known word nearest to one that was mistyped. */
#ifndef GANTRY_SERVICE_SUGGEST_H
#define GANTRY_SERVICE_SUGGEST_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours; case counts nothing) that turn a into b; words over 63 characters are far. */
unsigned suggest_distance(const char *a, const char *b);
/* Keeps the best so far: start with *best = NULL and *distance = 0. A candidate counts only when it is near for its length. */
void suggest_consider(const char *word, const char *candidate, const char **best, unsigned *distance);

#endif
