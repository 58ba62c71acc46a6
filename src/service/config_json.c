/* config_json: what a configuration file may have beyond JSON, and where its keys stand.
 *
 * Comments (both kinds) and commas before a closing bracket become spaces, in place, so that the parser's line and column are
 * those of the file. The parser keeps no positions of keys; a second pass over the same text finds the line of one key when an
 * error or a warning about it must be written. */
#include "config.h"

/* ---- comments and trailing commas ------------------------------------------------------------------------------------------ */

static unsigned line_at(const char *text, size_t at) {
    unsigned line = 1;
    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') line++;
    return line;
}

/* Behind the closing quote of the string that starts at i, or n. */
static size_t skip_string(const char *text, size_t n, size_t i) {
    for (i++; i < n && text[i] != '"'; i++)
        if (text[i] == '\\') i++;
    return i < n ? i + 1 : n;
}

/* Blanks the comment at i and returns what follows it; n + 1: it has no end. */
static size_t blank_comment(char *text, size_t n, size_t i) {
    bool block = text[i + 1] == '*';
    text[i] = text[i + 1] = ' ';
    for (i += 2; i < n; i++) {
        if (!block && text[i] == '\n') return i;
        if (block && text[i] == '*' && i + 1 < n && text[i + 1] == '/') {
            text[i] = text[i + 1] = ' ';
            return i + 2;
        }
        if (text[i] != '\n' && text[i] != '\r') text[i] = ' ';
    }
    return block ? n + 1 : n;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

int config_json_clean(char *text, size_t n, gn_error *e) {
    size_t comma = n; /* the comma after which only spaces came so far */
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) memset(text, ' ', 3);
    for (size_t i = 0; i < n;) {
        char c = text[i];
        if (c == '/' && i + 1 < n && (text[i + 1] == '/' || text[i + 1] == '*')) {
            unsigned line = line_at(text, i);
            i = blank_comment(text, n, i);
            if (i <= n) continue;
            gn_error_at(e, "line %u", line);
            return gn_fail(e, GN_E_CONFIG, "the comment that begins here has no end; close it with */");
        }
        if (c == '"') {
            size_t end = skip_string(text, n, i);
            if (end == n && (n == 0 || text[n - 1] != '"' || end == i + 1)) {
                gn_error_at(e, "line %u", line_at(text, i));
                return gn_fail(e, GN_E_CONFIG, "the text that begins here has no end; close it with \"");
            }
            i = end;
            comma = n;
            continue;
        }
        if ((c == '}' || c == ']') && comma < n) text[comma] = ' ';
        if (c == ',') comma = i;
        else if (!is_space(c)) comma = n;
        i++;
    }
    return 0;
}

/* ---- where keys stand --------------------------------------------------------------------------------------------------------- */

/* Follows the text with the path of the object it is in; deeper than this is of no interest. */
enum { DEEPEST = 8 };

typedef struct place {
    const char *key[DEEPEST]; /* raw, between the quotes */
    size_t length[DEEPEST];
    size_t depth; /* open brackets */
} place;

static bool same_path(const place *at, const char *path) {
    if (at->depth == 0 || at->depth > DEEPEST) return false;
    for (size_t i = 0; i < at->depth; i++) {
        size_t n = at->length[i];
        if (!at->key[i] || strncmp(path, at->key[i], n) != 0) return false;
        path += n;
        if (i + 1 < at->depth && *path++ != '.') return false;
    }
    return *path == '\0';
}

unsigned config_json_line(const char *text, size_t n, const char *path) {
    place at = { .depth = 0 };
    unsigned line = 1;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '\n') line++;
        if (c == '{' || c == '[') {
            if (at.depth < DEEPEST) at.key[at.depth] = NULL;
            at.depth++;
        } else if ((c == '}' || c == ']') && at.depth) {
            at.depth--;
        } else if (c == '"') {
            size_t end = skip_string(text, n, i), next = end;
            while (next < n && is_space(text[next])) next++;
            if (next < n && text[next] == ':' && at.depth && at.depth <= DEEPEST) {
                at.key[at.depth - 1] = text + i + 1;
                at.length[at.depth - 1] = end - i - 2;
                if (same_path(&at, path)) return line;
            }
            i = end - 1;
        }
    }
    return 0;
}
