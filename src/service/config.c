/* config: the values of all keys, each with where it came from; setting them from text; checks of what they say together.
 *
 * A value is stored by its key's number in one array, so that a key needs no code of its own unless it means something special.
 * Reading the JSON file is config_load.c, printing is config_print.c. */
#include "config.h"

#include "suggest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

const config_key config_keys[CONFIG_COUNT] = {
#define X(id, name, type, low, high, flag, environment, standard, choices, later, help) \
    { name, CONFIG_##type, low, high, flag, environment, standard, choices, later, help },
    CONFIG_TABLE(X)
#undef X
};

typedef struct config_value {
    config_origin origin;
    unsigned line;
    int64_t number; /* BOOL, TRISTATE, INT, SIZE */
    char *text;
    char **list;
    size_t count;
} config_value;

struct config {
    config_value value[CONFIG_COUNT];
    peer *peers;
    size_t peer_count;
    config_note *notes;
    size_t note_count;
    char *file;
};

/* ---- life ---------------------------------------------------------------------------------------------------------------- */

config *config_new(gn_error *e) {
    config *c = calloc(1, sizeof *c);
    if (!c) {
        gn_fail(e, GN_E_NO_MEMORY, "no memory for the configuration");
        return NULL;
    }
    for (int i = 0; i < CONFIG_COUNT; i++) {
        config_id id = (config_id)i;
        config_type t = config_keys[i].type;
        if (t == CONFIG_PEERS || t == CONFIG_OBJECT) continue;
        if (config_set(c, id, config_keys[i].standard, CONFIG_FROM_DEFAULT, e)) {
            gn_error_at(e, "default of %s", config_keys[i].name);
            config_free(&c);
            return NULL;
        }
    }
    return c;
}

static void free_list(config_value *v) {
    for (size_t i = 0; i < v->count; i++) free(v->list[i]);
    free(v->list);
    v->list = NULL;
    v->count = 0;
}

void config_free(config **c) {
    if (!c || !*c) return;
    for (int i = 0; i < CONFIG_COUNT; i++) {
        free((*c)->value[i].text);
        free_list(&(*c)->value[i]);
    }
    free((*c)->peers);
    free((*c)->notes);
    free((*c)->file);
    free(*c);
    *c = NULL;
}

/* ---- what a value must be ------------------------------------------------------------------------------------------------- */

static void size_words(int64_t v, char *buf, size_t size) {
    static const char units[] = "KMGT";
    int u = -1;
    while (u < 3 && v >= 1024 && v % 1024 == 0) {
        v /= 1024;
        u++;
    }
    if (u < 0) snprintf(buf, size, "%lld", (long long)v);
    else snprintf(buf, size, "%lld%c", (long long)v, units[u]);
}

const char *config_expected(const config_key *k, char *buf, size_t size) {
    char low[32], high[32];
    switch (k->type) {
    case CONFIG_BOOL:
    case CONFIG_TRISTATE: snprintf(buf, size, "true or false"); break;
    case CONFIG_INT:
        snprintf(buf, size, "a whole number from %lld to %lld", (long long)k->low, (long long)k->high);
        break;
    case CONFIG_SIZE:
        size_words(k->low, low, sizeof low);
        size_words(k->high, high, sizeof high);
        snprintf(buf, size, "a size from %s to %s: bytes, or a text such as \"%s\"", low, high, k->standard);
        break;
    case CONFIG_AET: snprintf(buf, size, "an AE title: 1 to 16 printable ASCII characters without \\"); break;
    case CONFIG_CHOICE: snprintf(buf, size, "one of %s", k->choices); break;
    case CONFIG_LIST: snprintf(buf, size, "a list of texts, at most %lld", (long long)k->high); break;
    case CONFIG_PEERS: snprintf(buf, size, "an object: { \"NAME\": [ \"AET\", \"HOST\", PORT ], … }"); break;
    case CONFIG_OBJECT: snprintf(buf, size, "an object"); break;
    default:
        if (k->low) snprintf(buf, size, "a text of %lld to %lld characters", (long long)k->low, (long long)k->high);
        else snprintf(buf, size, "a text of at most %lld characters", (long long)k->high);
    }
    return buf;
}

static int wrong(const config_key *k, const char *text, gn_error *e) {
    char expected[160];
    config_expected(k, expected, sizeof expected);
    if (k->type == CONFIG_SECRET) return gn_fail(e, GN_E_CONFIG, "%s must be %s", k->name, expected);
    return gn_fail(e, GN_E_CONFIG, "%s is \"%.60s\", but must be %s", k->name, text, expected);
}

/* ---- setting from text ------------------------------------------------------------------------------------------------------ */

static bool parse_bool(const char *text, int64_t *v) {
    static const char *const yes[] = { "true", "yes", "on", "1" }, *const no[] = { "false", "no", "off", "0" };
    for (size_t i = 0; i < GN_ARRAY_LEN(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0) return *v = 1, true;
        if (strcasecmp(text, no[i]) == 0) return *v = 0, true;
    }
    return false;
}

static bool parse_int(const char *text, int64_t *v) {
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    *v = n;
    return (*text == '-' || (*text >= '0' && *text <= '9')) && !*end && !errno;
}

/* "64M", "64MB", "64 MiB", "1048576": always powers of 1024. */
static bool parse_size(const char *text, int64_t *v) {
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    if (*text < '0' || *text > '9') return false;
    long long n = strtoll(text, &end, 10);
    if (errno) return false;
    while (*end == ' ') end++;
    unsigned shift = 0;
    const char *u = *end ? strchr(units, *end >= 'a' ? *end - 32 : *end) : NULL;
    if (u) {
        shift = (unsigned)(u - units + 1) * 10;
        end++;
        if (*end == 'i') end++;
    }
    if (*end == 'B' || *end == 'b') end++;
    *v = n;
    if (*end || n > (INT64_MAX >> shift)) return false;
    *v = (int64_t)((uint64_t)n << shift);
    return true;
}

static bool is_choice(const char *choices, const char *text) {
    size_t n = strlen(text);
    for (const char *p = choices; n && p; p = strchr(p, '|')) {
        if (*p == '|') p++;
        if (strncmp(p, text, n) == 0 && (p[n] == '|' || !p[n])) return true;
    }
    return false;
}

static int put_text(config *c, config_id id, const char *text, gn_error *e) {
    const config_key *k = &config_keys[id];
    size_t n = strlen(text);
    bool is_default = strcmp(text, k->standard) == 0, ok = true;
    if (k->type == CONFIG_AET) ok = peer_aet_valid(text);
    else if (k->type == CONFIG_CHOICE) ok = is_choice(k->choices, text);
    else ok = is_default || ((int64_t)n >= k->low && (int64_t)n <= k->high);
    for (size_t i = 0; ok && i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) ok = false;
    if (!ok) return wrong(k, text, e);
    char *copy = strdup(text);
    if (!copy) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the configuration");
    free(c->value[id].text);
    c->value[id].text = copy;
    return 0;
}

int config_set_list(config *c, config_id id, const char *const *items, size_t count, gn_error *e) {
    const config_key *k = &config_keys[id];
    if ((int64_t)count > k->high) return wrong(k, "too long", e);
    for (size_t i = 0; i < count; i++)
        if (id == CONFIG_DicomExtraAets && !peer_aet_valid(items[i]))
            return gn_fail(e, GN_E_CONFIG,
                           "%s holds \"%.40s\", which is no AE title: 1 to 16 printable ASCII characters without \\",
                           k->name, items[i]);
    char **list = calloc(count + 1, sizeof *list);
    config_value fresh = { .list = list, .count = 0 };
    while (list && fresh.count < count && (list[fresh.count] = strdup(items[fresh.count])) != NULL) fresh.count++;
    if (!list || fresh.count < count) {
        free_list(&fresh);
        return gn_fail(e, GN_E_NO_MEMORY, "no memory for the configuration");
    }
    free_list(&c->value[id]);
    c->value[id].list = list;
    c->value[id].count = count;
    return 0;
}

/* Cuts a text at commas (and spaces) into at most `max` pieces, in place; returns how many. */
static size_t cut(char *text, const char *separators, char **pieces, size_t max) {
    size_t count = 0;
    for (char *p = text + strspn(text, separators); *p && count < max;) {
        pieces[count++] = p;
        p += strcspn(p, separators);
        if (*p) *p++ = '\0';
        p += strspn(p, separators);
    }
    return count;
}

static int put_list(config *c, config_id id, const char *text, gn_error *e) {
    enum { MOST = 256 };
    char *copy = strdup(text), *pieces[MOST];
    if (!copy) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the configuration");
    size_t count = cut(copy, ",", pieces, MOST);
    int rc = config_set_list(c, id, (const char *const *)pieces, count, e);
    free(copy);
    return rc;
}

static int put_peers(config *c, const char *text, gn_error *e) {
    enum { MOST = 1024 };
    char *copy = strdup(text), **pieces = calloc(MOST, sizeof *pieces);
    int rc = copy && pieces ? 0 : gn_fail(e, GN_E_NO_MEMORY, "no memory for the configuration");
    size_t count = rc ? 0 : cut(copy, ", ", pieces, MOST);
    for (size_t i = 0; !rc && i < count; i++) {
        peer p;
        gn_error why = GN_ERROR_INIT;
        rc = peer_parse(pieces[i], &p, &why);
        if (rc) rc = gn_fail(e, GN_E_CONFIG, "peer \"%.40s\": %s", pieces[i], why.message);
        else rc = config_set_peers(c, &p, 1, e);
    }
    free(pieces);
    free(copy);
    return rc;
}

void config_mark(config *c, config_id id, config_origin origin, unsigned line) {
    c->value[id].origin = origin;
    c->value[id].line = line;
}

int config_set_bool(config *c, config_id id, bool value, gn_error *e) {
    if (config_keys[id].type != CONFIG_BOOL && config_keys[id].type != CONFIG_TRISTATE)
        return wrong(&config_keys[id], value ? "true" : "false", e);
    c->value[id].number = value;
    return 0;
}

int config_set_int(config *c, config_id id, int64_t value, gn_error *e) {
    const config_key *k = &config_keys[id];
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    if ((k->type != CONFIG_INT && k->type != CONFIG_SIZE) || value < k->low || value > k->high)
        return wrong(k, text, e);
    c->value[id].number = value;
    return 0;
}

int config_set(config *c, config_id id, const char *text, config_origin origin, gn_error *e) {
    const config_key *k = &config_keys[id];
    int64_t v = 0;
    int rc = 0;
    switch (k->type) {
    case CONFIG_TRISTATE:
        if (strcmp(text, "auto") == 0) {
            c->value[id].number = -1;
            break;
        }
        /* fall through */
    case CONFIG_BOOL: rc = parse_bool(text, &v) ? config_set_bool(c, id, v != 0, e) : wrong(k, text, e); break;
    case CONFIG_INT: rc = parse_int(text, &v) ? config_set_int(c, id, v, e) : wrong(k, text, e); break;
    case CONFIG_SIZE: rc = parse_size(text, &v) ? config_set_int(c, id, v, e) : wrong(k, text, e); break;
    case CONFIG_LIST: rc = put_list(c, id, text, e); break;
    case CONFIG_PEERS: rc = put_peers(c, text, e); break;
    case CONFIG_OBJECT: rc = gn_fail(e, GN_E_CONFIG, "%s can only be given in a file", k->name); break;
    default: rc = put_text(c, id, text, e);
    }
    if (!rc) config_mark(c, id, origin, 0);
    return rc;
}

int config_load_environment(config *c, char *(*get)(const char *name), gn_error *e) {
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const char *name = config_keys[i].environment, *text = name ? get(name) : NULL;
        if (!text) continue;
        int rc = config_set(c, (config_id)i, text, CONFIG_FROM_ENVIRONMENT, e);
        if (rc) {
            gn_error_at(e, "environment variable %s", name);
            return rc;
        }
    }
    return 0;
}

int config_set_peers(config *c, const peer *peers, size_t count, gn_error *e) {
    if (!count) return 0;
    peer *all = realloc(c->peers, (c->peer_count + count) * sizeof *all);
    if (!all) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the peers");
    c->peers = all;
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < c->peer_count && strcmp(all[k].name, peers[i].name) != 0) k++;
        all[k] = peers[i];
        if (k == c->peer_count) c->peer_count++;
    }
    return 0;
}

/* ---- finding keys ------------------------------------------------------------------------------------------------------------ */

config_id config_by_name(const char *name) {
    if (strcmp(name, "IdleTimeout") == 0) return CONFIG_DicomScpTimeout;
    for (int i = 0; i < CONFIG_COUNT; i++)
        if (strcmp(config_keys[i].name, name) == 0) return (config_id)i;
    return CONFIG_COUNT;
}

config_id config_by_flag(const char *flag, bool *negated) {
    *negated = false;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < CONFIG_COUNT; i++) {
            const config_key *k = &config_keys[i];
            if (!k->flag || strcmp(k->flag, flag) != 0) continue;
            if (pass && k->type != CONFIG_BOOL && k->type != CONFIG_TRISTATE) continue;
            *negated = pass == 1;
            return (config_id)i;
        }
        if (strncmp(flag, "no-", 3) != 0) break;
        flag += 3;
    }
    return CONFIG_COUNT;
}

const char *config_nearest(const char *name) {
    const char *best = NULL;
    unsigned distance = 0;
    for (int i = 0; i < CONFIG_COUNT; i++) suggest_consider(name, config_keys[i].name, &best, &distance);
    return best;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------- */

bool config_bool(const config *c, config_id id) { return c->value[id].number > 0; }
int config_tristate(const config *c, config_id id) { return (int)c->value[id].number; }
int64_t config_int(const config *c, config_id id) { return c->value[id].number; }
const char *config_text(const config *c, config_id id) { return c->value[id].text ? c->value[id].text : ""; }
config_origin config_origin_of(const config *c, config_id id) { return c->value[id].origin; }
const char *config_file(const config *c) { return c->file; }

const char *const *config_list(const config *c, config_id id, size_t *count) {
    *count = c->value[id].count;
    return (const char *const *)c->value[id].list;
}

const peer *config_peers(const config *c, size_t *count) {
    *count = c->peer_count;
    return c->peers;
}

const peer *config_peer(const config *c, const char *name) {
    for (size_t i = 0; i < c->peer_count; i++)
        if (strcmp(c->peers[i].name, name) == 0) return &c->peers[i];
    for (size_t i = 0; i < c->peer_count; i++)
        if (strcmp(c->peers[i].aet, name) == 0) return &c->peers[i];
    return NULL;
}

const char *config_origin_text(config_origin o) {
    static const char *const words[] = { "default", "file", "environment", "flag" };
    return words[o];
}

int config_set_file(config *c, const char *path, gn_error *e) {
    char *copy = strdup(path);
    if (!copy) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the configuration");
    free(c->file);
    c->file = copy;
    return 0;
}

/* ---- notes and checks ------------------------------------------------------------------------------------------------------------ */

void config_note_add(config *c, gn_level level, unsigned line, const char *key, const char *format, ...) {
    enum { STEP = 16, MOST = 256 };
    if (c->note_count >= MOST) return;
    if (c->note_count % STEP == 0) {
        config_note *more = realloc(c->notes, (c->note_count + STEP) * sizeof *more);
        if (!more) return;
        c->notes = more;
    }
    config_note *n = &c->notes[c->note_count++];
    n->level = level;
    n->line = line;
    snprintf(n->key, sizeof n->key, "%s", key);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(n->text, sizeof n->text, format, args);
    va_end(args);
}

const config_note *config_notes(const config *c, size_t *count) {
    *count = c->note_count;
    return c->notes;
}

bool config_address_is_loopback(const char *address) {
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, address, &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, address, &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
    return strcmp(address, "localhost") == 0;
}

const char *config_dicom_address(const config *c) {
    const char *a = config_text(c, CONFIG_DicomAddress);
    if (*a) return a;
    return config_bool(c, CONFIG_RemoteAccessAllowed) ? "0.0.0.0" : "127.0.0.1";
}

/* Does the value ask for something else than the default? What is switched off, or as it would be anyway, needs no note. */
static bool asks_for_more(const config_key *k, const config_value *v) {
    int64_t standard = 0;
    switch (k->type) {
    case CONFIG_BOOL: return v->number != 0;
    case CONFIG_INT: return !parse_int(k->standard, &standard) || v->number != standard;
    case CONFIG_OBJECT: return true;
    default: return v->text && strcmp(v->text, k->standard) != 0;
    }
}

static bool same_group(const char *a, const char *b) {
    const char *dot = strchr(a, '.');
    return dot && strncmp(a, b, (size_t)(dot - a) + 1) == 0;
}

/* One note for each key of a part that does not exist yet, one for a whole group. */
static void note_later(config *c) {
    const char *group = "";
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const config_key *k = &config_keys[i];
        const config_value *v = &c->value[i];
        if (!k->later || v->origin == CONFIG_FROM_DEFAULT || same_group(k->name, group)) continue;
        if (!asks_for_more(k, v)) continue;
        group = k->name;
        config_note_add(c, GN_LOG_WARN, v->line, k->name, "%s", k->later);
    }
}

static void note_http(config *c) {
    if (config_bool(c, CONFIG_SslEnabled) && !*config_text(c, CONFIG_SslCertificate))
        config_note_add(c, GN_LOG_WARN, c->value[CONFIG_SslEnabled].line, "SslEnabled",
                        "no SslCertificate is named: HTTP is served without TLS, on 127.0.0.1 only");
}

static void note_remote(config *c) {
    static const config_id rights[] = { CONFIG_DicomAlwaysAllowStore, CONFIG_DicomAlwaysAllowFind,
                                        CONFIG_DicomAlwaysAllowGet, CONFIG_DicomAlwaysAllowMove };
    const char *address = config_dicom_address(c);
    if (config_address_is_loopback(address)) return;
    if (!c->peer_count)
        config_note_add(
            c, GN_LOG_WARN, c->value[CONFIG_RemoteAccessAllowed].line, "DicomModalities",
            "other machines can reach DICOM at %s, but no peer is known: callers may only C-ECHO until DicomModalities "
            "(--peer) names them",
            address);
    for (size_t i = 0; i < GN_ARRAY_LEN(rights); i++)
        if (c->value[rights[i]].number > 0)
            config_note_add(c, GN_LOG_WARN, c->value[rights[i]].line, config_keys[rights[i]].name,
                            "anybody who reaches %s gets this right, whatever AE title they use; name peers instead",
                            address);
    if (!config_bool(c, CONFIG_DicomCheckModalityHost))
        config_note_add(c, GN_LOG_WARN, c->value[CONFIG_DicomCheckModalityHost].line, "DicomCheckModalityHost",
                        "anybody who knows a peer's AE title gets its rights: an AE title is no secret");
}

static int check_together(config *c, gn_error *e) {
    if (config_bool(c, CONFIG_DicomTlsEnabled)) {
        gn_fail(e, GN_E_CONFIG,
                "DICOM over TLS is not built yet, and plain DICOM instead would not be what you asked for; "
                "set DicomTlsEnabled to false, or put a TLS proxy in front");
        return GN_E_CONFIG;
    }
    if (!config_bool(c, CONFIG_DicomServerEnabled))
        return gn_fail(e, GN_E_CONFIG,
                       "DicomServerEnabled is false, and DICOM is all that is served yet: nothing is left to do");
    const char *address = config_text(c, CONFIG_DicomAddress);
    if (*address && !config_address_is_loopback(address) &&
        c->value[CONFIG_RemoteAccessAllowed].origin != CONFIG_FROM_DEFAULT &&
        !config_bool(c, CONFIG_RemoteAccessAllowed))
        return gn_fail(e, GN_E_CONFIG,
                       "DicomAddress %.60s can be reached by other machines, but RemoteAccessAllowed is false; "
                       "change one of the two",
                       address);
    return 0;
}

int config_finish(config *c, gn_error *e) {
    if (config_bool(c, CONFIG_OverwriteInstances) && c->value[CONFIG_Duplicates].origin == CONFIG_FROM_DEFAULT) {
        int rc = config_set(c, CONFIG_Duplicates, "replace", c->value[CONFIG_OverwriteInstances].origin, e);
        if (rc) return rc;
    }
    if (config_int(c, CONFIG_DicomScpTimeout) == 0) c->value[CONFIG_DicomScpTimeout].number = 86400;
    note_later(c);
    note_http(c);
    note_remote(c);
    return check_together(c, e);
}
