/* documents: what users, sessions, keys and shares need of their records: members of a body, digests compared, removal of many. */
#include "internal.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

void document_text(const json_t *body, const char *key, char *out, size_t size) {
    const char *text = json_string_value(json_object_get(body, key));
    (void)snprintf(out, size, "%s", text ? text : "");
}

int64_t document_number(const json_t *body, const char *key) { return json_integer_value(json_object_get(body, key)); }

json_t *document_parse(const archive_record_found *r, gn_error *e) {
    json_error_t problem;
    json_t *body = json_loadb(r->body, r->body_length, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(body)) {
        json_decref(body);
        body = NULL;
        (void)gn_fail(e, GN_E_CORRUPT, "the record %s cannot be read: %s", r->id, problem.text);
    }
    return body;
}

bool document_has_digest(const archive_record_found *r, const uint8_t digest[DIGEST_BYTES]) {
    char hex[DIGEST_HEX];
    digest_hex(digest, hex);
    return r->key[0] && strlen(r->key[0]) == DIGEST_HEX - 1 && sodium_memcmp(r->key[0], hex, DIGEST_HEX - 1) == 0;
}

enum { REMOVED_AT_ONCE = 64 };
typedef struct names { char id[REMOVED_AT_ONCE][ID_SIZE]; size_t n; } names;

static int note_name(void *ctx, const archive_record_found *r, gn_error *e) {
    (void)e;
    names *list = ctx;
    if (strlen(r->id) < ID_SIZE && list->n < REMOVED_AT_ONCE) (void)snprintf(list->id[list->n++], ID_SIZE, "%s", r->id);
    return 0;
}

static int remove_some(security *s, const char *collection, const archive_record_condition *condition, names *list, gn_error *e) {
    archive_record_query q = { .collection = collection, .conditions = condition, .condition_count = 1, .order = ARCHIVE_RECORD_FIELD_ID, .limit = REMOVED_AT_ONCE };
    archive_record_write writes[REMOVED_AT_ONCE];
    list->n = 0;
    int rc = archive_records_find(s->archive, &q, note_name, list, e);
    if (rc || !list->n) return rc;
    for (size_t i = 0; i < list->n; i++)
        writes[i] = (archive_record_write){ .action = ARCHIVE_RECORD_DELETE, .record = { .collection = collection, .id = list->id[i] }, .expect = ARCHIVE_RECORD_ANY };
    return archive_records_write(s->archive, writes, list->n, e);
}

int documents_remove(security *s, const char *collection, const archive_record_condition *condition, gn_error *e) {
    names *list = malloc(sizeof *list);
    if (!list) return gn_fail(e, GN_E_NO_MEMORY, "no memory to remove records");
    int rc;
    do rc = remove_some(s, collection, condition, list, e);
    while (!rc && list->n == REMOVED_AT_ONCE);
    free(list);
    return rc;
}

int text_fits(const char *what, const char *text, size_t size, bool empty_too, gn_error *e) {
    size_t n = text ? strlen(text) : 0;
    if (!n) return empty_too ? 0 : gn_fail(e, GN_E_INVALID, "%s must not be empty", what);
    if (n >= size) return gn_fail(e, GN_E_INVALID, "%s has more than %zu bytes", what, size - 1);
    for (size_t i = 0, used; i < n; i += used) {
        uint32_t c;
        used = gn_utf8_decode((const uint8_t *)text + i, n - i, &c);
        if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return gn_fail(e, GN_E_INVALID, "%s must not have control characters", what);
    }
    if (!gn_utf8_valid((const uint8_t *)text, n)) return gn_fail(e, GN_E_INVALID, "%s is not valid UTF-8", what);
    return 0;
}
