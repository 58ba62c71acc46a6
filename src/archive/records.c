/* records: archive/records.h, passed on to the database that is opened when first needed, so that programs which ask for none pay nothing. */
#include "internal.h"

int archive_records_of(archive *a, record_base **out, gn_error *e) {
    int rc = 0;
    (void)pthread_mutex_lock(&a->records_lock);
    if (!a->records) rc = records_open(a->directory, a->config.read_only, &a->records, e);
    *out = a->records;
    (void)pthread_mutex_unlock(&a->records_lock);
    return rc;
}

int archive_records_write(archive *a, archive_record_write *writes, size_t n, gn_error *e) {
    record_base *r;
    int rc = archive_writable(a, e);
    if (!rc) rc = archive_records_of(a, &r, e);
    return rc ? rc : records_write(r, writes, n, e);
}

int archive_record_put(archive *a, const archive_record *r, int64_t expect, int64_t *version, gn_error *e) {
    archive_record_write w = { .action = ARCHIVE_RECORD_PUT, .record = *r, .expect = expect };
    int rc = archive_records_write(a, &w, 1, e);
    if (!rc && version) *version = w.version;
    return rc;
}

int archive_record_delete(archive *a, const char *collection, const char *id, gn_error *e) {
    archive_record_write w = { .action = ARCHIVE_RECORD_DELETE, .record = { .collection = collection, .id = id }, .expect = ARCHIVE_RECORD_ANY };
    return archive_records_write(a, &w, 1, e);
}

int archive_record_get(archive *a, const char *collection, const char *id, archive_record_visit visit, void *ctx, gn_error *e) {
    record_base *r;
    int rc = archive_records_of(a, &r, e);
    return rc ? rc : records_get(r, collection, id, visit, ctx, e);
}

int archive_records_find(archive *a, const archive_record_query *q, archive_record_visit visit, void *ctx, gn_error *e) {
    record_base *r;
    int rc = archive_records_of(a, &r, e);
    return rc ? rc : records_find(r, q, visit, ctx, e);
}

int archive_records_count(archive *a, const archive_record_query *q, int64_t *count, gn_error *e) {
    record_base *r;
    int rc = archive_records_of(a, &r, e);
    return rc ? rc : records_count(r, q, count, e);
}
