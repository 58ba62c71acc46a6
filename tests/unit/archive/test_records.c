/* Records: versions, conditions, order and paging, all or nothing, what is there after a stop, and writers at the same time. */
#include <pthread.h>
#include <stdlib.h>

#include "archive/records.h"
#include "check.h"

typedef struct rig { char dir[200]; archive *a; gn_error e; } rig;

static bool rig_open(rig *r) {
    r->e = (gn_error)GN_ERROR_INIT;
    archive_config c = { .directory = r->dir };
    r->a = archive_open(&c, &r->e);
    return r->a != NULL;
}

static bool rig_init(rig *r) { return check_temp_dir(r->dir, sizeof r->dir) && rig_open(r); }

typedef struct seen { char text[2000]; int64_t version, created, updated; } seen;
static int note(void *ctx, const archive_record_found *r, gn_error *e) {
    (void)e;
    seen *s = ctx;
    size_t n = strlen(s->text);
    (void)snprintf(s->text + n, sizeof s->text - n, "%s=%.*s ", r->id, (int)r->body_length, r->body);
    s->version = r->version;
    s->created = r->created_us;
    s->updated = r->updated_us;
    return 0;
}

static int put(rig *r, const char *id, const char *k0, int64_t n0, const char *body, int64_t expect) {
    archive_record rec = { .collection = "order", .id = id, .key = { k0 }, .number = { n0 }, .body = body };
    gn_error_clear(&r->e);
    return archive_record_put(r->a, &rec, expect, NULL, &r->e);
}

static const char *find(rig *r, const archive_record_query *q) {
    static seen s;
    s = (seen){ .text = "" };
    archive_record_query copy = *q;
    copy.collection = "order";
    gn_error_clear(&r->e);
    CHECK_INT(archive_records_find(r->a, &copy, note, &s, &r->e), 0);
    return s.text;
}

TEST(versions_are_kept_apart) {
    rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(put(&r, "a", "x", 1, "1", ARCHIVE_RECORD_NEW), 0);
    CHECK_INT(put(&r, "a", "x", 1, "2", ARCHIVE_RECORD_NEW), GN_E_EXISTS);
    CHECK_INT(put(&r, "a", "x", 1, "2", 1), 0);
    CHECK_INT(put(&r, "a", "x", 1, "3", 1), GN_E_MISMATCH);
    CHECK_INT(put(&r, "b", "x", 1, "3", 7), GN_E_NOT_FOUND);
    CHECK_INT(put(&r, "a", "x", 1, "4", ARCHIVE_RECORD_ANY), 0);
    seen s = { .text = "" };
    CHECK_INT(archive_record_get(r.a, "order", "a", note, &s, &r.e), 0);
    CHECK_STR(s.text, "a=4 ");
    CHECK_INT(s.version, 3);
    CHECK(s.updated >= s.created && s.created > 0);
    gn_error_clear(&r.e);
    CHECK_INT(archive_record_get(r.a, "report", "a", note, &s, &r.e), GN_E_NOT_FOUND);
    gn_error_clear(&r.e);
    CHECK_INT(archive_record_delete(r.a, "order", "a", &r.e), 0);
    CHECK_INT(archive_record_get(r.a, "order", "a", note, &s, &r.e), GN_E_NOT_FOUND);
    archive_close(&r.a);
}

TEST(all_or_nothing) {
    rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(put(&r, "old", NULL, 0, "1", ARCHIVE_RECORD_NEW), 0);
    archive_record_write w[] = {
        { .action = ARCHIVE_RECORD_PUT, .record = { .collection = "order", .id = "new", .body = "n" }, .expect = ARCHIVE_RECORD_NEW },
        { .action = ARCHIVE_RECORD_DELETE, .record = { .collection = "order", .id = "old" }, .expect = 1 },
        { .action = ARCHIVE_RECORD_PUT, .record = { .collection = "order", .id = "old", .body = "x" }, .expect = 5 },
    };
    CHECK_INT(archive_records_write(r.a, w, 3, &r.e), GN_E_NOT_FOUND);
    CHECK_STR(find(&r, &(archive_record_query){ .order = ARCHIVE_RECORD_FIELD_ID }), "old=1 ");
    gn_error_clear(&r.e);
    CHECK_INT(archive_records_write(r.a, w, 2, &r.e), 0);
    CHECK_INT(w[0].version, 1);
    CHECK_STR(find(&r, &(archive_record_query){ .order = ARCHIVE_RECORD_FIELD_ID }), "new=n ");
    archive_close(&r.a);
}

TEST(conditions_order_and_pages) {
    rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(put(&r, "1", "ann", 30, "A", 0), 0);
    CHECK_INT(put(&r, "2", "anna", 10, "B", 0), 0);
    CHECK_INT(put(&r, "3", "bob", 20, "C", 0), 0);
    CHECK_INT(put(&r, "4", NULL, 20, "D", 0), 0);
    CHECK_INT(put(&r, "5", "x' OR '1'='1", 40, "E", 0), 0);
    archive_record_condition c = { 0, ARCHIVE_RECORD_PREFIX, "ann", 0 };
    archive_record_query q = { .conditions = &c, .condition_count = 1, .order = ARCHIVE_RECORD_FIELD_NUMBER };
    CHECK_STR(find(&r, &q), "2=B 1=A ");
    c = (archive_record_condition){ 0, ARCHIVE_RECORD_ONE_OF, "bob\nann\nx", 0 };
    CHECK_STR(find(&r, &q), "3=C 1=A ");
    c = (archive_record_condition){ 0, ARCHIVE_RECORD_EQUALS, "x' OR '1'='1", 0 };
    CHECK_STR(find(&r, &q), "5=E ");
    c = (archive_record_condition){ ARCHIVE_RECORD_FIELD_NUMBER, ARCHIVE_RECORD_AT_MOST, NULL, 20 };
    q.descending = true;
    CHECK_STR(find(&r, &q), "4=D 3=C 2=B ");
    int64_t count = 0;
    q.collection = "order";
    CHECK_INT(archive_records_count(r.a, &q, &count, &r.e), 0);
    CHECK_INT(count, 3);
    q = (archive_record_query){ .order = ARCHIVE_RECORD_FIELD_NUMBER, .limit = 2 };
    CHECK_STR(find(&r, &q), "2=B 3=C ");
    q.after_id = "3", q.after_number = 20;
    CHECK_STR(find(&r, &q), "4=D 1=A ");
    q = (archive_record_query){ .order = 0, .after_id = "1", .after_text = "ann" };
    CHECK_STR(find(&r, &q), "2=B 3=C 5=E ");
    archive_close(&r.a);
}

TEST(more_rows_than_a_chunk) {
    rig r;
    REQUIRE(rig_init(&r));
    char id[16];
    for (int i = 0; i < 150; i++) {
        (void)snprintf(id, sizeof id, "%03d", i);
        CHECK_INT(put(&r, id, "same", 7, "", ARCHIVE_RECORD_NEW), 0);
    }
    archive_record_query q = { .collection = "order", .order = ARCHIVE_RECORD_FIELD_NUMBER };
    const char *all = find(&r, &q);
    CHECK_INT(strlen(all), 150 * 5);
    CHECK(strncmp(all + 745, "149= ", 5) == 0);
    archive_close(&r.a);
    REQUIRE(rig_open(&r)); /* still there after a stop */
    int64_t count = 0;
    CHECK_INT(archive_records_count(r.a, &q, &count, &r.e), 0);
    CHECK_INT(count, 150);
    archive_close(&r.a);
}

static void *many(void *arg) {
    rig *r = arg;
    for (int i = 0; i < 50; i++) {
        gn_error e = GN_ERROR_INIT;
        seen s = { .text = "" };
        for (;;) { /* adds one to a counter that all share: lost updates would show */
            char body[24];
            int rc = archive_record_get(r->a, "count", "c", note, &s, &e);
            (void)snprintf(body, sizeof body, "%ld", rc ? 1 : strtol(s.text + 2, NULL, 10) + 1);
            archive_record rec = { .collection = "count", .id = "c", .body = body };
            gn_error_clear(&e);
            rc = archive_record_put(r->a, &rec, rc ? ARCHIVE_RECORD_NEW : s.version, NULL, &e);
            gn_error_clear(&e);
            s.text[0] = 0;
            if (rc == 0) break;
        }
    }
    return NULL;
}

TEST(writers_at_the_same_time) {
    rig r;
    pthread_t t[4];
    REQUIRE(rig_init(&r));
    for (int i = 0; i < 4; i++) REQUIRE(pthread_create(&t[i], NULL, many, &r) == 0);
    for (int i = 0; i < 4; i++) (void)pthread_join(t[i], NULL);
    seen s = { .text = "" };
    CHECK_INT(archive_record_get(r.a, "count", "c", note, &s, &r.e), 0);
    CHECK_STR(s.text, "c=200 ");
    CHECK_INT(s.version, 200);
    archive_close(&r.a);
}

TEST(what_cannot_be_kept_is_refused) {
    rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(put(&r, "", NULL, 0, "x", 0), GN_E_INVALID);
    CHECK_INT(put(&r, "a", NULL, 0, NULL, 0), GN_E_INVALID);
    archive_record big = { .collection = "order", .id = "big", .body = "x", .body_length = (size_t)ARCHIVE_RECORD_LARGEST + 1 };
    gn_error_clear(&r.e);
    CHECK_INT(archive_record_put(r.a, &big, 0, NULL, &r.e), GN_E_TOO_LARGE);
    archive_close(&r.a);
    archive_config c = { .directory = r.dir, .read_only = true }; /* nothing is written there */
    gn_error_clear(&r.e);
    r.a = archive_open(&c, &r.e);
    REQUIRE(r.a != NULL);
    CHECK(put(&r, "a", NULL, 0, "x", 0) != 0);
    archive_close(&r.a);
}
