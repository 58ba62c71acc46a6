/* suggest: finds the known word that was probably meant, for mistyped keys, flags and subcommands.
 *
 * The distance counts inserted, deleted, replaced and swapped letters, each as one; upper and lower case are the same. */
#include "suggest.h"

#include <string.h>

#define LONGEST 63

static unsigned char lower(char c) { return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

static unsigned least(unsigned a, unsigned b, unsigned c) {
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned suggest_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST) return 1000;
    unsigned rows[3][LONGEST + 1]; /* two rows back, for swaps; one back; this one */
    for (size_t k = 0; k <= m; k++) rows[0][k] = rows[1][k] = (unsigned)k;
    for (size_t i = 1; i <= n; i++) {
        rows[2][0] = (unsigned)i;
        for (size_t k = 1; k <= m; k++) {
            unsigned same = lower(a[i - 1]) == lower(b[k - 1]) ? 0 : 1;
            unsigned d = least(rows[1][k] + 1, rows[2][k - 1] + 1, rows[1][k - 1] + same);
            if (i > 1 && k > 1 && lower(a[i - 1]) == lower(b[k - 2]) && lower(a[i - 2]) == lower(b[k - 1]) &&
                rows[0][k - 2] + 1 < d)
                d = rows[0][k - 2] + 1;
            rows[2][k] = d;
        }
        memcpy(rows[0], rows[1], sizeof rows[0]);
        memcpy(rows[1], rows[2], sizeof rows[1]);
    }
    return rows[1][m];
}

void suggest_consider(const char *word, const char *candidate, const char **best, unsigned *distance) {
    size_t n = strlen(word), m = strlen(candidate);
    unsigned d = suggest_distance(word, candidate);
    /* "moda" for "modalities" is near too: the start of a word is how people abbreviate. */
    if (d > 0 && n >= 3 && n < m && m <= LONGEST) {
        size_t i = 0;
        while (i < n && lower(word[i]) == lower(candidate[i])) i++;
        if (i == n && d > 2) d = 2;
    }
    if (d > (n < 5 ? 1u : n < 9 ? 2u : 3u)) return;
    if (*best && d >= *distance) return;
    *best = candidate;
    *distance = d;
}
