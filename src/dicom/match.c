/* match: how one key of a query matches one value (PS3.4 C.2.2.2): kinds of matching, wildcards, person names.
 *
 * All text here is UTF-8. Wildcard matching keeps one place to go back to, that of the last '*', so that its time is at worst
 * the product of both lengths, without recursion: "*?*?*?*?x" is harmless (T15). Names are compared without case, each
 * component group for itself, and empty components at the end of a group mean nothing: "Doe^John" is "DOE^JOHN^^^". */
#include "match.h"

/* ---- pieces of text ---------------------------------------------------------------------------------------------------- */

match_text match_piece(match_text whole, char c, size_t i) {
    match_text rest = whole;
    while (rest.p) {
        const char *stop = memchr(rest.p, c, rest.n);
        size_t length = stop ? (size_t)(stop - rest.p) : rest.n;
        if (i-- == 0) return (match_text){ rest.p, length };
        if (!stop) break;
        rest = (match_text){ stop + 1, rest.n - length - 1 };
    }
    return (match_text){ NULL, 0 };
}

match_text match_trimmed(match_text t) {
    while (t.n > 0 && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\0')) t.n--;
    while (t.n > 0 && *t.p == ' ') {
        t.p++;
        t.n--;
    }
    return t;
}

bool match_has_wildcard(match_text t) { return t.n > 0 && (memchr(t.p, '*', t.n) || memchr(t.p, '?', t.n)); }

/* ---- kinds ------------------------------------------------------------------------------------------------------------- */

static bool all_stars(match_text t) {
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] != '*') return false;
    return true;
}

/* Is the hyphen at p an offset from UTC: four digits that can be one, and then the end or the range's hyphen? */
static bool is_offset(const char *p, size_t n) {
    if (n < 5 || !(p[1] == '0' || (p[1] == '1' && p[2] >= '0' && p[2] <= '2'))) return false;
    for (size_t i = 1; i < 5; i++)
        if (p[i] < '0' || p[i] > '9') return false;
    return n == 5 || p[5] == '-';
}

static bool is_range(dicom_vr vr, match_text t) {
    if (vr != DICOM_VR_DA && vr != DICOM_VR_TM && vr != DICOM_VR_DT) return false;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] != '-') continue;
        if (vr != DICOM_VR_DT || i == 0 || !is_offset(t.p + i, t.n - i)) return true;
        i += 4;
    }
    return false;
}

/* C.2.2.2.4 lists the VRs without wildcards; dates and times are among them, but "2024*" is asked for all the same, and means
 * what it says. */
static bool has_wildcards(dicom_vr vr) {
    switch (vr) {
    case DICOM_VR_AE: case DICOM_VR_CS: case DICOM_VR_LO: case DICOM_VR_LT: case DICOM_VR_PN: case DICOM_VR_SH: case DICOM_VR_ST:
    case DICOM_VR_UC: case DICOM_VR_UT: case DICOM_VR_DA: case DICOM_VR_TM: case DICOM_VR_DT: return true;
    default: return false;
    }
}

dicom_match_kind dicom_match_classify(dicom_vr vr, const char *value, size_t n) {
    match_text t = match_trimmed((match_text){ value, value ? n : 0 });
    if (vr == DICOM_VR_SQ) return DICOM_MATCH_SEQUENCE;
    if (t.n == 0 || all_stars(t)) return DICOM_MATCH_UNIVERSAL;
    if (t.n == 2 && t.p[0] == '"' && t.p[1] == '"') return DICOM_MATCH_EMPTY;
    if (vr == DICOM_VR_UI) return memchr(t.p, '\\', t.n) ? DICOM_MATCH_UID_LIST : DICOM_MATCH_SINGLE;
    if (has_wildcards(vr) && match_has_wildcard(t)) return DICOM_MATCH_WILDCARD;
    return is_range(vr, t) ? DICOM_MATCH_RANGE : DICOM_MATCH_SINGLE;
}

/* ---- wildcards --------------------------------------------------------------------------------------------------------- */

/* A text followed by `carets` times '^' that are not there. */
typedef struct padded {
    const uint8_t *p;
    size_t n, carets;
} padded;

/* One code point at `i`; returns the place behind it. */
static size_t next(const padded *t, size_t i, bool fold, uint32_t *code_point) {
    if (i >= t->n) {
        *code_point = '^';
        return i + 1;
    }
    if (t->p[i] < 0x80) *code_point = t->p[i++];
    else i += gn_utf8_decode(t->p + i, t->n - i, code_point);
    if (fold) *code_point = fold_small_letter(*code_point);
    return i;
}

static bool wildcard(const padded *pattern, const padded *text, bool fold) {
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0; /* star: place behind the last '*'; from: where its rest was tried */
    while (t < text->n + text->carets) {
        uint32_t want = 0, have;
        size_t behind_p = p < pattern->n ? next(pattern, p, fold, &want) : p, behind_t = next(text, t, fold, &have);
        if (p < pattern->n && want == '*') {
            star = p = behind_p;
            from = t;
        } else if (p < pattern->n && (want == '?' || want == have)) {
            p = behind_p;
            t = behind_t;
        } else if (star != SIZE_MAX) {
            p = star;
            from = t = next(text, from, fold, &have);
        } else {
            return false;
        }
    }
    while (p < pattern->n && pattern->p[p] == '*') p++;
    return p == pattern->n;
}

bool dicom_match_wildcard(const char *pattern, size_t pn, const char *text, size_t tn, bool fold) {
    padded key = { (const uint8_t *)pattern, pn, 0 }, value = { (const uint8_t *)text, tn, 0 };
    return wildcard(&key, &value, fold);
}

/* ---- names ------------------------------------------------------------------------------------------------------------- */

static size_t count_carets(match_text t) {
    size_t count = 0;
    for (size_t i = 0; i < t.n; i++) count += t.p[i] == '^';
    return count;
}

/* Without spaces around and without empty components at the end. */
static match_text trimmed_group(match_text t) {
    t = match_trimmed(t);
    while (t.n > 0 && (t.p[t.n - 1] == '^' || t.p[t.n - 1] == ' ')) t.n--;
    return t;
}

static bool match_group(match_text key, match_text name) {
    key = trimmed_group(key);
    name = trimmed_group(name);
    padded k = { (const uint8_t *)key.p, key.n, 0 }, v = { (const uint8_t *)name.p, name.n, 0 };
    if (wildcard(&k, &v, true)) return true;
    size_t have = count_carets(name), want = count_carets(key);
    if (!match_has_wildcard(key) || want <= have) return false;
    v.carets = want - have; /* "Doe^*" also means a Doe without a given name */
    return wildcard(&k, &v, true);
}

bool dicom_match_name(const char *key, size_t kn, const char *name, size_t nn) {
    match_text k = { key, kn }, v = { name, nn };
    if (kn == 0 || !memchr(key, '=', kn)) {
        if (trimmed_group(k).n == 0) return true;
        for (size_t g = 0; g < 3; g++) {
            match_text group = match_piece(v, '=', g);
            if ((group.p || g == 0) && match_group(k, group)) return true;
        }
        return false;
    }
    for (size_t g = 0; g < 3; g++) {
        match_text want = match_piece(k, '=', g);
        if (trimmed_group(want).n > 0 && !match_group(want, match_piece(v, '=', g))) return false;
    }
    return true;
}
