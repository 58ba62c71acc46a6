/* match_fuzzy: does a person name sound like the one that is looked for?
 *
 * Both are cut into words at everything that is not a letter or digit. Every word of the key must be the beginning of a word
 * of the name, or sound like one: "mueller tho" finds Müller^Thomas, "maier" finds Meyer. Accents and case mean nothing.
 *
 * The sound is a code of our own for Latin letters, coarser than spelling and finer than Soundex: vowels and h only count at
 * the start, where all vowels are one and y is j; consonants that languages of Europe interchange share a letter:
 *     F: f v w ph    B: b p    D: d t    K: c g k q ch ck    S: s z sch sh cz tz, c before e i y    X: K S    L, R, N: m n
 * A letter that repeats the one before it without a vowel between is written once. Codes of one letter are too coarse, so
 * that they only count for words of equal length. Words of other scripts match by their beginnings only. */
#include "match.h"

#define WORDS_MAX 64 /* of a name or key; more are not looked at */
#define CODE_MAX 12
#define FOLDED_MAX 4096 /* bytes of a name that are looked at */

/* ---- words ------------------------------------------------------------------------------------------------------------- */

static bool separates(char c) {
    return c == '^' || c == '=' || c == ' ' || c == '-' || c == '.' || c == ',' || c == '/' || c == '\\' || c == '(' || c == ')' || c == '\0';
}

typedef struct words {
    gn_buf folded;
    match_text word[WORDS_MAX];
    size_t count;
} words;

static void words_done(words *w) { gn_buf_done(&w->folded); }

/* Apostrophes are dropped (O'Brien is obrien), as are wildcards, which mean nothing more here. */
static void words_init(words *w, const char *text, size_t n) {
    memset(w, 0, sizeof *w);
    dicom_text_fold(text, n < FOLDED_MAX ? n : FOLDED_MAX, true, &w->folded);
    if (w->folded.failed || !w->folded.n) return;
    char *p = (char *)w->folded.p;
    size_t kept = 0;
    for (size_t i = 0; i < w->folded.n; i++)
        if (p[i] != '\'' && p[i] != '`' && p[i] != '*' && p[i] != '?') p[kept++] = p[i];
    for (size_t i = 0; i < kept && w->count < WORDS_MAX;) {
        size_t start = i;
        while (i < kept && !separates(p[i])) i++;
        if (i > start) w->word[w->count++] = (match_text){ p + start, i - start };
        else i++;
    }
}

/* ---- sound ------------------------------------------------------------------------------------------------------------- */

static bool is_vowel(char c) { return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y' || c == 'j'; }

/* Does the text go on with `next`? */
static bool goes_on(const char *p, size_t n, const char *next) {
    size_t length = strlen(next);
    return n >= length && memcmp(p, next, length) == 0;
}

/* Sound of the letters at p (not a vowel); *used of them. '\0': silent. */
static char sound_at(const char *p, size_t n, size_t *used) {
    static const struct { char letters[4]; char sound; } groups[] = {
        { "sch", 'S' }, { "sh", 'S' }, { "cz", 'S' }, { "tz", 'S' }, { "ts", 'S' }, { "ph", 'F' }, { "ch", 'K' }, { "ck", 'K' }, { "dt", 'D' }, { "th", 'D' },
    };
    static const char single[26 + 1] = ".BKD.FK..."
                                       "KLNN.BKRSD.FF..S"; /* a to z; c and x below */
    for (size_t i = 0; i < GN_ARRAY_LEN(groups); i++)
        if (goes_on(p, n, groups[i].letters)) {
            *used = strlen(groups[i].letters);
            return groups[i].sound;
        }
    *used = 1;
    if (p[0] == 'c' && n > 1 && (p[1] == 'e' || p[1] == 'i' || p[1] == 'y')) return 'S';
    if (p[0] == 'x') return 'X';
    char sound = single[p[0] - 'a'];
    return sound == '.' ? '\0' : sound;
}

/* Length of the code; 0 for words that are not of Latin letters only. */
static size_t sound_code(match_text word, char code[CODE_MAX]) {
    size_t n = 0;
    char last = '\0';
    for (size_t i = 0; i < word.n; i++)
        if (word.p[i] < 'a' || word.p[i] > 'z') return 0;
    for (size_t i = 0; i < word.n && n + 2 <= CODE_MAX;) {
        size_t used = 1;
        char sound = '\0';
        if (!is_vowel(word.p[i])) sound = sound_at(word.p + i, word.n - i, &used);
        else if (i == 0) sound = word.p[0] == 'j' || word.p[0] == 'y' ? 'J' : 'A';
        if (sound == 'X') {
            if (last != 'K') code[n++] = 'K';
            code[n++] = last = 'S';
        } else if (sound && sound != last) {
            code[n++] = last = sound;
        } else if (is_vowel(word.p[i])) {
            last = '\0';
        }
        i += used;
    }
    return n;
}

static bool sounds_like(match_text a, match_text b) {
    char ca[CODE_MAX], cb[CODE_MAX];
    size_t na = sound_code(a, ca), nb = sound_code(b, cb);
    return na > 0 && na == nb && memcmp(ca, cb, na) == 0 && (na > 1 || a.n == b.n);
}

static bool in_some_word(match_text key, const words *name) {
    for (size_t i = 0; i < name->count; i++) {
        match_text word = name->word[i];
        if (word.n >= key.n && memcmp(word.p, key.p, key.n) == 0) return true;
        if (sounds_like(key, word)) return true;
    }
    return false;
}

bool dicom_match_name_fuzzy(const char *key, size_t kn, const char *name, size_t nn) {
    words k, v;
    words_init(&k, key, kn);
    words_init(&v, name, nn);
    bool all = !k.folded.failed && !v.folded.failed;
    for (size_t i = 0; all && i < k.count; i++) all = in_some_word(k.word[i], &v);
    words_done(&k);
    words_done(&v);
    return all;
}
