/* config_load: reads the configuration file, JSON with comments, key by key through the table.
 *
 * Every error names file and line, the key, and what is expected. A key that is not known is a note, not an error, so that the file
 * of another version (or of an Orthanc) starts this one. */
#include "config.h"

#include "gateway/gateway.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>

#define LARGEST_FILE ((size_t)4 * 1024 * 1024)

typedef struct reading {
    config *c;
    const char *path, *text; /* text: cleaned */
    size_t n;
    gn_error *e;
} reading;

static int fail_at(const reading *r, const char *key) {
    unsigned line = config_json_line(r->text, r->n, key);
    if (line) gn_error_at(r->e, "%s:%u", r->path, line);
    else gn_error_at(r->e, "%s", r->path);
    return GN_E_CONFIG;
}

static const char *json_kind(const json_t *v) {
    static const char *const kinds[] = { "an object", "a list", "a text", "a number", "a number with a fraction",
                                         "true",      "false",  "null" };
    return kinds[json_typeof(v)];
}

static int wrong_type(const reading *r, const char *name, const json_t *v, const char *expected) {
    gn_fail(r->e, GN_E_CONFIG, "\"%s\" is %s, but must be %s", name, json_kind(v), expected);
    return fail_at(r, name);
}

/* ---- peers ------------------------------------------------------------------------------------------------------------------- */

static int peer_fail(const reading *r, const char *name, const char *why) {
    char key[128];
    snprintf(key, sizeof key, "DicomModalities.%s", name);
    gn_fail(r->e, GN_E_CONFIG, "peer \"%.40s\": %s", name, why);
    return fail_at(r, key);
}

static int peer_fields(const reading *r, peer *p, const json_t *aet, const json_t *host, const json_t *port) {
    if (!json_is_string(aet) || !peer_aet_valid(json_string_value(aet)))
        return peer_fail(r, p->name, "the AE title must be a text of 1 to 16 printable ASCII characters without \\");
    if (!json_is_string(host) || !json_string_length(host) || json_string_length(host) >= sizeof p->host)
        return peer_fail(r, p->name, "the host must be a name or an address");
    if (!json_is_integer(port) || json_integer_value(port) < 1 || json_integer_value(port) > 65535)
        return peer_fail(r, p->name, "the port must be a number from 1 to 65535");
    snprintf(p->aet, sizeof p->aet, "%s", json_string_value(aet));
    snprintf(p->host, sizeof p->host, "%s", json_string_value(host));
    p->port = (uint16_t)json_integer_value(port);
    return 0;
}

/* [ "AET", "HOST", PORT ], a manufacturer's quirk of Orthanc may follow. */
static int peer_from_array(const reading *r, peer *p, const json_t *v) {
    if (json_array_size(v) < 3 || json_array_size(v) > 4)
        return peer_fail(r, p->name, "a list must be [ \"AET\", \"HOST\", PORT ]");
    return peer_fields(r, p, json_array_get(v, 0), json_array_get(v, 1), json_array_get(v, 2));
}

typedef struct right {
    const char *key;
    uint32_t bits;
} right;
static const right rights[] = {
    { "AllowEcho", GATEWAY_MAY_ECHO }, { "AllowStore", GATEWAY_MAY_STORE },
    { "AllowFind", GATEWAY_MAY_FIND }, { "AllowGet", GATEWAY_MAY_GET },
    { "AllowMove", GATEWAY_MAY_MOVE }, { "AllowStorageCommitment", GATEWAY_MAY_COMMIT },
};
/* Of Orthanc's form, without a meaning here (yet). */
static const char *const unused[] = { "AET",
                                      "Host",
                                      "Port",
                                      "Manufacturer",
                                      "AllowFindWorklist",
                                      "AllowTranscoding",
                                      "AllowNAction",
                                      "AllowNEventReport",
                                      "LocalAet",
                                      "Timeout",
                                      "UseDicomTls" };

static int peer_key(const reading *r, peer *p, const char *key, const json_t *v) {
    for (size_t i = 0; i < GN_ARRAY_LEN(rights); i++) {
        if (strcmp(rights[i].key, key) != 0) continue;
        if (!json_is_boolean(v)) return peer_fail(r, p->name, "Allow… must be true or false");
        p->permissions = json_is_true(v) ? p->permissions | rights[i].bits : p->permissions & ~rights[i].bits;
        return 0;
    }
    if (strcmp(key, "UseDicomTls") == 0 && json_is_true(v))
        return peer_fail(
            r, p->name,
            "UseDicomTls: DICOM over TLS is not built yet, and it never falls back to plain; set it to false");
    for (size_t i = 0; i < GN_ARRAY_LEN(unused); i++)
        if (strcmp(unused[i], key) == 0) return 0;
    char path[160];
    snprintf(path, sizeof path, "DicomModalities.%s.%s", p->name, key);
    config_note_add(r->c, GN_LOG_WARN, config_json_line(r->text, r->n, path), "DicomModalities",
                    "peer \"%.40s\": unknown key \"%.40s\" is ignored", p->name, key);
    return 0;
}

static int peer_from_object(const reading *r, peer *p, json_t *v) {
    int rc = peer_fields(r, p, json_object_get(v, "AET"), json_object_get(v, "Host"), json_object_get(v, "Port"));
    const char *key;
    json_t *value;
    if (!rc) json_object_foreach(v, key, value) {
            rc = peer_key(r, p, key, value);
            if (rc) break;
        }
    return rc;
}

static int load_peers(const reading *r, json_t *object) {
    const char *name;
    json_t *v;
    json_object_foreach(object, name, v) {
        peer p = { .permissions = GATEWAY_MAY_ALL };
        gn_error why = GN_ERROR_INIT;
        if (peer_check_name(name, &why)) return peer_fail(r, name, why.message);
        snprintf(p.name, sizeof p.name, "%s", name);
        int rc =
            json_is_array(v) ? peer_from_array(r, &p, v)
            : json_is_object(v)
                ? peer_from_object(r, &p, v)
                : peer_fail(r, name, "must be [ \"AET\", \"HOST\", PORT ] or { \"AET\": …, \"Host\": …, \"Port\": … }");
        if (!rc) rc = config_set_peers(r->c, &p, 1, r->e);
        if (rc) return rc;
    }
    return 0;
}

/* ---- values --------------------------------------------------------------------------------------------------------------------- */

/* Relative paths in a file are relative to the file's folder, as with Orthanc. */
static int load_path(const reading *r, config_id id, const char *text) {
    const char *slash = strrchr(r->path, '/');
    if (text[0] == '/' || !text[0] || !slash) return config_set(r->c, id, text, CONFIG_FROM_FILE, r->e);
    char joined[PATH_MAX];
    int n = snprintf(joined, sizeof joined, "%.*s%s", (int)(slash + 1 - r->path), r->path, text);
    if (n < 0 || (size_t)n >= sizeof joined)
        return gn_fail(r->e, GN_E_CONFIG, "%s: the path is too long", config_keys[id].name);
    return config_set(r->c, id, joined, CONFIG_FROM_FILE, r->e);
}

static int load_list(const reading *r, config_id id, const json_t *v) {
    enum { MOST = 256 };
    const char *items[MOST];
    const config_key *k = &config_keys[id];
    size_t count = json_array_size(v);
    for (size_t i = 0; i < count && i < MOST; i++) {
        items[i] = json_string_value(json_array_get(v, i));
        if (!items[i]) return wrong_type(r, k->name, json_array_get(v, i), "a list of texts");
    }
    return config_set_list(r->c, id, items, count, r->e);
}

static int load_value(const reading *r, config_id id, json_t *v) {
    const config_key *k = &config_keys[id];
    char expected[160];
    config_expected(k, expected, sizeof expected);
    int rc = 1; /* 1: not the right kind of value */
    switch (k->type) {
    case CONFIG_BOOL:
    case CONFIG_TRISTATE:
        if (json_is_boolean(v)) rc = config_set_bool(r->c, id, json_is_true(v), r->e);
        break;
    case CONFIG_INT:
        if (json_is_integer(v)) rc = config_set_int(r->c, id, json_integer_value(v), r->e);
        break;
    case CONFIG_SIZE:
        if (json_is_integer(v)) rc = config_set_int(r->c, id, json_integer_value(v), r->e);
        else if (json_is_string(v)) rc = config_set(r->c, id, json_string_value(v), CONFIG_FROM_FILE, r->e);
        break;
    case CONFIG_PATH:
        if (json_is_string(v)) rc = load_path(r, id, json_string_value(v));
        break;
    case CONFIG_LIST:
        if (json_is_array(v)) rc = load_list(r, id, v);
        else if (json_is_string(v) && json_string_length(v)) {
            const char *one = json_string_value(v);
            rc = config_set_list(r->c, id, &one, 1, r->e);
        }
        break;
    case CONFIG_PEERS:
        if (json_is_object(v)) rc = load_peers(r, v);
        break;
    case CONFIG_OBJECT:
        if (json_is_object(v)) rc = 0;
        break;
    default:
        if (json_is_string(v)) rc = config_set(r->c, id, json_string_value(v), CONFIG_FROM_FILE, r->e);
    }
    if (rc == 1) return wrong_type(r, k->name, v, expected);
    if (rc) return fail_at(r, k->name);
    config_mark(r->c, id, CONFIG_FROM_FILE, config_json_line(r->text, r->n, k->name));
    return 0;
}

/* ---- keys ------------------------------------------------------------------------------------------------------------------------ */

static void note_unknown(const reading *r, const char *name) {
    unsigned line = config_json_line(r->text, r->n, name);
    const char *reason = config_orthanc_reason(name), *near = config_nearest(name);
    if (reason) config_note_add(r->c, GN_LOG_INFO, line, name, "not used: %s", reason);
    else if (near) config_note_add(r->c, GN_LOG_WARN, line, name, "unknown key, ignored; did you mean \"%s\"?", near);
    else config_note_add(r->c, GN_LOG_WARN, line, name, "unknown key, ignored");
}

static bool is_group(const char *name) {
    size_t n = strlen(name);
    for (int i = 0; i < CONFIG_COUNT; i++)
        if (strncmp(config_keys[i].name, name, n) == 0 && config_keys[i].name[n] == '.') return true;
    return false;
}

static int load_group(const reading *r, const char *group, json_t *object) {
    const char *key;
    json_t *v;
    if (!json_is_object(object)) return wrong_type(r, group, object, "an object");
    json_object_foreach(object, key, v) {
        char name[128];
        snprintf(name, sizeof name, "%s.%s", group, key);
        config_id id = config_by_name(name);
        if (id == CONFIG_COUNT) {
            note_unknown(r, name);
            continue;
        }
        int rc = load_value(r, id, v);
        if (rc) return rc;
    }
    return 0;
}

static int load_object(const reading *r, json_t *root) {
    const char *name;
    json_t *v;
    json_object_foreach(root, name, v) {
        config_id id = config_by_name(name);
        int rc = 0;
        if (is_group(name)) rc = load_group(r, name, v);
        else if (id != CONFIG_COUNT && !strchr(name, '.')) rc = load_value(r, id, v);
        else note_unknown(r, name);
        if (rc) return rc;
    }
    return 0;
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------- */

/* What to do about an error of the JSON parser. */
static const char *advice(const char *text) {
    if (strstr(text, "duplicate")) return "a key may stand only once; remove one of the two";
    if (strstr(text, "UTF-8") || strstr(text, "decode byte")) return "save the file as UTF-8";
    if (strstr(text, "escape") || strstr(text, "control character"))
        return "write \\\\ for a backslash, \\n for a line end in a text";
    if (strstr(text, "too big")) return "the number is too large";
    return "look for a missing comma, quote or bracket here or on the line before";
}

static int parse(const reading *r, json_t **root) {
    json_error_t why;
    *root = json_loadb(r->text, r->n, JSON_REJECT_DUPLICATES, &why);
    if (*root && json_is_object(*root)) return 0;
    if (*root) {
        json_decref(*root);
        gn_error_at(r->e, "%s:1", r->path);
        return gn_fail(r->e, GN_E_CONFIG, "the file must hold one object: { \"KEY\": VALUE, … }");
    }
    gn_error_at(r->e, "%s:%d:%d", r->path, why.line, why.column);
    return gn_fail(r->e, GN_E_CONFIG, "%.100s; %s", why.text, advice(why.text));
}

int config_load_text(config *c, const char *text, size_t n, const char *path, gn_error *e) {
    char *copy = malloc(n + 1);
    if (!copy) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the configuration");
    memcpy(copy, text, n);
    copy[n] = '\0';
    gn_error unclean = GN_ERROR_INIT;
    json_t *root = NULL;
    reading r = { c, path, copy, n, e };
    int rc = config_json_clean(copy, n, &unclean);
    if (rc) {
        const char *line = strchr(unclean.where, ' ');
        gn_error_at(e, "%s:%s", path, line ? line + 1 : "1");
        rc = gn_fail(e, GN_E_CONFIG, "%s", unclean.message);
    }
    if (!rc) rc = parse(&r, &root);
    if (!rc) {
        rc = load_object(&r, root);
        json_decref(root);
    }
    if (!rc) rc = config_set_file(c, path, e);
    free(copy);
    return rc;
}

int config_load_file(config *c, const char *path, gn_error *e) {
    gn_buf text = GN_BUF_INIT;
    int rc = gn_file_load(path, LARGEST_FILE, &text, e);
    if (rc) {
        gn_error_at(e, "%s", path);
        gn_buf_done(&text);
        return rc;
    }
    rc = config_load_text(c, text.n ? (const char *)text.p : "", text.n, path, e);
    gn_buf_done(&text);
    return rc;
}
