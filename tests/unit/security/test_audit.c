/* The audit log: lines and their chain, counting of reads, reading back, and that each kind of tampering is found. */
#include "rig.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct log_rig { char directory[512]; audit *a; gn_error e; } log_rig;

static _Atomic int64_t clock_us;
static int64_t wall(void) { return clock_us; }
static uint64_t mono(void) { return (uint64_t)clock_us * 1000u; }

static bool log_open(log_rig *r) {
    gn_error_clear(&r->e);
    if (audit_open(r->directory, true, &r->a, &r->e)) return false;
    audit_set_clock(r->a, wall, mono);
    return true;
}

static bool log_init(log_rig *r) {
    *r = (log_rig){ .e = GN_ERROR_INIT };
    check_temp_dir(r->directory, sizeof r->directory);
    clock_us = 1795000000000000; /* 2026-11-18 */
    return log_open(r);
}

static int take(log_rig *r, const char *action, const char *study) {
    security_principal who = { .kind = SECURITY_USER, .role = SECURITY_RADIOLOGIST, .id = "usr_1", .name = "Zoë" };
    security_access x = { .who = &who, .address = "192.0.2.1", .action = action, .study_uid = study, .patient_id = "P1" };
    gn_error_clear(&r->e);
    return audit_take(r->a, &x, &r->e);
}

typedef struct lines { int64_t n[64]; char text[64][700]; size_t count; } lines;
static void note(void *ctx, int64_t sequence, const char *json, size_t n) {
    lines *l = ctx;
    if (l->count == 64) return;
    l->n[l->count] = sequence;
    (void)snprintf(l->text[l->count++], 700, "%.*s", (int)n, json);
}

static lines *read_log(log_rig *r, const security_audit_query *q) {
    static lines l;
    l.count = 0;
    gn_error_clear(&r->e);
    CHECK_INT(audit_read(r->a, q, note, &l, &r->e), 0);
    CHECK_STR(r->e.message, "");
    return &l;
}

static int64_t verify(log_rig *r) {
    gn_error_clear(&r->e);
    return security_audit_verify(r->directory, &r->e);
}

TEST(a_line_is_json_and_chained) {
    log_rig r;
    REQUIRE(log_init(&r));
    CHECK_INT(take(&r, "share.create", "1.2.3"), 0);
    lines *l = read_log(&r, &(security_audit_query){ .limit = 10 });
    CHECK_INT(l->count, 2);
    CHECK_INT(l->n[0], 2);
    json_t *line = json_loads(l->text[0], JSON_REJECT_DUPLICATES, NULL), *first = json_loads(l->text[1], 0, NULL);
    CHECK_STR(json_string_value(json_object_get(line, "who")), "usr_1");
    CHECK_STR(json_string_value(json_object_get(line, "name")), "Zoë");
    CHECK_STR(json_string_value(json_object_get(line, "role")), "radiologist");
    CHECK_STR(json_string_value(json_object_get(line, "address")), "192.0.2.1");
    CHECK_STR(json_string_value(json_object_get(line, "action")), "share.create");
    CHECK_STR(json_string_value(json_object_get(line, "patient")), "P1");
    CHECK_STR(json_string_value(json_object_get(line, "study")), "1.2.3");
    CHECK_STR(json_string_value(json_object_get(line, "outcome")), "done");
    CHECK_INT(json_integer_value(json_object_get(line, "count")), 1);
    CHECK_STR(json_string_value(json_object_get(line, "prev")), json_string_value(json_object_get(first, "hash")));
    json_decref(line);
    json_decref(first);
    audit_close(&r.a);
    CHECK_INT(verify(&r), 2);
}

TEST(T23_nothing_breaks_out_of_a_line) {
    log_rig r;
    REQUIRE(log_init(&r));
    security_access x = { .address = "a\nb", .action = "sign-in", .detail = "x\",\"study\":\"9.9\"}\n{\"n\":7,\x1b[31m\xff\xed\xa0\x80", .outcome = SECURITY_DENIED };
    CHECK_INT(audit_take(r.a, &x, &r.e), 0);
    char *large = malloc(100001);
    memset(large, '\x01', 100000);
    large[100000] = '\0';
    security_access y = { .address = large, .action = large, .patient_id = large, .study_uid = large, .object = large, .detail = large };
    CHECK_INT(audit_take(r.a, &y, &r.e), 0);
    free(large);
    CHECK_INT(read_log(&r, &(security_audit_query){ .limit = 10 })->count, 3);
    CHECK_INT(read_log(&r, &(security_audit_query){ .limit = 10, .study_uid = "9.9" })->count, 0);
    audit_close(&r.a);
    CHECK_INT(verify(&r), 3);
    gn_buf b = GN_BUF_INIT;
    char path[700];
    REQUIRE(rig_load(rig_audit_file(r.directory, 0, path), &b));
    CHECK(memchr(b.p, 0x1b, b.n) == NULL && memchr(b.p, 0xff, b.n) == NULL);
    gn_buf_done(&b);
}

TEST(equal_reads_are_counted) {
    log_rig r;
    REQUIRE(log_init(&r));
    for (int i = 0; i < 500; i++) CHECK_INT(take(&r, "study.read", "1.2.3"), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(take(&r, "study.read", "1.2.4"), 0);
    lines *l = read_log(&r, &(security_audit_query){ .limit = 10, .action = "study.read" });
    CHECK_INT(l->count, 2); /* one for each study, at once */
    clock_us += 61000000;
    CHECK_INT(take(&r, "study.read", "1.2.3"), 0); /* a new minute */
    CHECK_INT(audit_flush(r.a, &r.e), 0);
    l = read_log(&r, &(security_audit_query){ .limit = 10, .study_uid = "1.2.3" });
    CHECK_INT(l->count, 3);
    CHECK(strstr(l->text[0], "\"count\":1,") || strstr(l->text[1], "\"count\":1,"));
    CHECK(strstr(l->text[0], "\"count\":499,") || strstr(l->text[1], "\"count\":499,"));
    CHECK(strstr(l->text[2], "\"count\":1,") != NULL);
    audit_close(&r.a);
    CHECK(verify(&r) > 0);
}

TEST(counts_come_by_themselves_after_their_minute) {
    log_rig r;
    REQUIRE(log_init(&r));
    CHECK_INT(take(&r, "study.read", "1.2.3"), 0);
    CHECK_INT(take(&r, "study.read", "1.2.3"), 0);
    clock_us += 61000000;
    size_t count = 0;
    for (int i = 0; i < 100 && count < 2; i++) {
        usleep(50000);
        count = read_log(&r, &(security_audit_query){ .limit = 10, .action = "study.read" })->count;
    }
    CHECK_INT(count, 2);
    audit_close(&r.a);
}

TEST(counts_are_bounded_and_written_at_close) {
    log_rig r;
    REQUIRE(log_init(&r));
    for (int i = 0; i < 6000; i++) {
        char study[32];
        (void)snprintf(study, sizeof study, "1.2.%d", i / 2);
        CHECK_INT(take(&r, "study.read", study), 0);
    }
    audit_close(&r.a);
    CHECK_INT(verify(&r), 1 + 6000); /* each study: one line and one count of 1 */
}

TEST(reading_pages_and_filters) {
    log_rig r;
    REQUIRE(log_init(&r));
    for (int i = 0; i < 20; i++) CHECK_INT(take(&r, i % 2 ? "order.create" : "user.change", i % 4 ? "1.2.3" : "1.2.4"), 0);
    lines *l = read_log(&r, &(security_audit_query){ .limit = 5 });
    CHECK_INT(l->count, 5);
    CHECK_INT(l->n[0], 21);
    CHECK_INT(l->n[4], 17);
    l = read_log(&r, &(security_audit_query){ .limit = 5, .before = 17 });
    CHECK_INT(l->n[0], 16);
    CHECK_INT(read_log(&r, &(security_audit_query){ .limit = 50, .action = "order.create" })->count, 10);
    CHECK_INT(read_log(&r, &(security_audit_query){ .limit = 50, .study_uid = "1.2.4" })->count, 5);
    CHECK_INT(read_log(&r, &(security_audit_query){ .limit = 50, .who = "usr_1" })->count, 20);
    CHECK_INT(read_log(&r, &(security_audit_query){ .limit = 50, .who = "Zoë" })->count, 20);
    CHECK_INT(read_log(&r, &(security_audit_query){ .limit = 50, .who = "usr_2" })->count, 0);
    CHECK_INT(read_log(&r, &(security_audit_query){ .limit = 50, .before = 1 })->count, 0);
    CHECK_INT(read_log(&r, &(security_audit_query){ .limit = 0 })->count, 0);
    audit_close(&r.a);
}

TEST(far_pages_are_found_in_a_long_log) {
    log_rig r;
    REQUIRE(log_init(&r));
    for (int i = 0; i < 6000; i++) {
        char study[32];
        (void)snprintf(study, sizeof study, "1.2.840.%d", i);
        CHECK_INT(take(&r, "study.read", study), 0);
    }
    audit_flush(r.a, NULL);
    for (int64_t before = 6002; before > 2; before -= 731) {
        lines *l = read_log(&r, &(security_audit_query){ .limit = 3, .before = before });
        CHECK_INT(l->count, before - 1 < 3 ? before - 1 : 3);
        CHECK_INT(l->n[0], before - 1);
    }
    /* All of them, page by page, none twice and none missing. */
    int64_t before = 0, seen = 0;
    for (lines *l; (l = read_log(&r, &(security_audit_query){ .limit = 64, .before = before }))->count; before = l->n[l->count - 1]) {
        for (size_t i = 1; i < l->count; i++) CHECK_INT(l->n[i], l->n[i - 1] - 1);
        seen += (int64_t)l->count;
    }
    CHECK_INT(seen, 6001);
    audit_close(&r.a);
}

/* Three months of two lines each, and what began each file. */
static bool three_months(log_rig *r) {
    if (!log_init(r)) return false;
    for (int m = 0; m < 3; m++) {
        CHECK_INT(take(r, "order.create", "1.1"), 0);
        CHECK_INT(take(r, "order.change", "1.2"), 0);
        clock_us += (int64_t)32 * 24 * 3600 * 1000000;
    }
    audit_close(&r->a);
    return verify(r) == 9;
}

TEST(the_chain_goes_across_months_and_restarts) {
    log_rig r;
    REQUIRE(three_months(&r));
    REQUIRE(log_open(&r));
    clock_us -= (int64_t)70 * 24 * 3600 * 1000000; /* a clock set back does not write into an old month */
    CHECK_INT(take(&r, "order.cancel", "1.3"), 0);
    lines *l = read_log(&r, &(security_audit_query){ .limit = 64 });
    CHECK_INT(l->count, 10);
    for (size_t i = 0; i < l->count; i++) CHECK_INT(l->n[i], 10 - (int64_t)i);
    audit_close(&r.a);
    CHECK_INT(verify(&r), 10);
    char path[700];
    CHECK_STR(rig_audit_file(r.directory, 3, path), "");
    /* The oldest month put away: the rest still holds. */
    CHECK_INT(unlink(rig_audit_file(r.directory, 0, path)), 0);
    CHECK_INT(verify(&r), 7);
}

TEST(T38_each_changed_byte_is_found) {
    log_rig r;
    REQUIRE(log_init(&r));
    CHECK_INT(take(&r, "order.create", "1.1"), 0);
    CHECK_INT(take(&r, "order.create", "1.2"), 0);
    audit_close(&r.a);
    char path[700];
    gn_buf b = GN_BUF_INIT;
    REQUIRE(rig_load(rig_audit_file(r.directory, 0, path), &b));
    unsigned missed = 0;
    for (size_t i = 0; i < b.n; i++) {
        uint8_t was = b.p[i];
        b.p[i] ^= i % 3 ? 1 : 0x20;
        REQUIRE(rig_save(path, b.p, b.n));
        missed += verify(&r) != GN_E_CORRUPT;
        b.p[i] = was;
    }
    /* A changed last newline alone leaves a line that may be in the middle of being written. */
    CHECK(missed <= 1);
    gn_buf_done(&b);
}

typedef struct rows { const char *p[64]; size_t n[64]; size_t count; } rows;
static rows split(const gn_buf *b) {
    rows r = { .count = 0 };
    const char *p = (const char *)b->p, *end = p + b->n;
    while (p < end && r.count < 64) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        r.p[r.count] = p;
        r.n[r.count++] = (size_t)(newline - p) + 1;
        p = newline + 1;
    }
    return r;
}

TEST(T38_lines_removed_or_swapped_are_found) {
    log_rig r;
    REQUIRE(log_init(&r));
    for (int i = 0; i < 5; i++) CHECK_INT(take(&r, "order.create", "1.1"), 0);
    audit_close(&r.a);
    char path[700];
    gn_buf b = GN_BUF_INIT, other = GN_BUF_INIT;
    REQUIRE(rig_load(rig_audit_file(r.directory, 0, path), &b));
    rows l = split(&b);
    CHECK_INT(l.count, 6);
    for (size_t gone = 0; gone < 5; gone++) { /* the very last: see audit_verify.c */
        gn_buf_clear(&other);
        for (size_t i = 0; i < l.count; i++)
            if (i != gone) gn_buf_append(&other, l.p[i], l.n[i]);
        REQUIRE(rig_save(path, other.p, other.n));
        CHECK_INT(verify(&r), GN_E_CORRUPT);
        CHECK(strstr(r.e.message, gone == 0 ? "line 1" : "line ") != NULL);
    }
    for (size_t one = 0; one < 5; one++) {
        gn_buf_clear(&other);
        for (size_t i = 0; i < l.count; i++) {
            size_t from = i == one ? one + 1 : i == one + 1 ? one : i;
            gn_buf_append(&other, l.p[from], l.n[from]);
        }
        REQUIRE(rig_save(path, other.p, other.n));
        CHECK_INT(verify(&r), GN_E_CORRUPT);
    }
    gn_buf_clear(&other); /* one twice */
    for (size_t i = 0; i < l.count; i++) gn_buf_append(&other, l.p[i], l.n[i]);
    gn_buf_append(&other, l.p[5], l.n[5]);
    REQUIRE(rig_save(path, other.p, other.n));
    CHECK_INT(verify(&r), GN_E_CORRUPT);
    gn_buf_done(&b);
    gn_buf_done(&other);
}

TEST(T38_a_missing_month_is_found) {
    log_rig r;
    REQUIRE(three_months(&r));
    char path[700];
    CHECK_INT(unlink(rig_audit_file(r.directory, 1, path)), 0);
    CHECK_INT(verify(&r), GN_E_CORRUPT);
}

TEST(T38_a_torn_last_line_is_cut_off_and_said) {
    log_rig r;
    REQUIRE(log_init(&r));
    CHECK_INT(take(&r, "order.create", "1.1"), 0);
    CHECK_INT(take(&r, "order.create", "1.2"), 0);
    audit_close(&r.a);
    char path[700];
    gn_buf b = GN_BUF_INIT;
    REQUIRE(rig_load(rig_audit_file(r.directory, 0, path), &b));
    rows l = split(&b);
    size_t start = (size_t)(l.p[2] - (const char *)b.p);
    for (size_t cut = start; cut < b.n; cut += 7) {
        REQUIRE(rig_save(path, b.p, cut));
        CHECK_INT(verify(&r), 2);
        REQUIRE(log_open(&r));
        audit_close(&r.a);
        CHECK_INT(verify(&r), cut == start ? 2 : 3);
    }
    REQUIRE(rig_save(path, b.p, b.n - 1)); /* whole but for the newline: kept */
    REQUIRE(log_open(&r));
    lines *got = read_log(&r, &(security_audit_query){ .limit = 10 });
    CHECK_INT(got->count, 4);
    CHECK(strstr(got->text[0], "log.repaired") != NULL);
    audit_close(&r.a);
    CHECK_INT(verify(&r), 4);
    gn_buf_done(&b);
}

TEST(T38_a_damaged_end_is_not_written_behind) {
    log_rig r;
    REQUIRE(log_init(&r));
    CHECK_INT(take(&r, "order.create", "1.1"), 0);
    audit_close(&r.a);
    char path[700];
    gn_buf b = GN_BUF_INIT;
    REQUIRE(rig_load(rig_audit_file(r.directory, 0, path), &b));
    b.p[b.n - 90]++;
    REQUIRE(rig_save(path, b.p, b.n));
    CHECK(!log_open(&r));
    CHECK_INT(r.e.code, GN_E_CORRUPT);
    CHECK(strstr(r.e.message, "gantry audit verify") != NULL);
    gn_buf_append(&b, "{}", 2); /* whole JSON without newline is no crash's work */
    b.p[b.n - 92]--;
    REQUIRE(rig_save(path, b.p, b.n));
    CHECK(!log_open(&r));
    CHECK_INT(r.e.code, GN_E_CORRUPT);
    gn_buf_done(&b);
}

TEST(an_empty_file_of_a_crash_is_no_end) {
    log_rig r;
    REQUIRE(three_months(&r));
    char path[700], newest[700];
    gn_buf b = GN_BUF_INIT;
    REQUIRE(rig_load(rig_audit_file(r.directory, 2, newest), &b));
    REQUIRE(rig_save(newest, b.p, 10)); /* torn in its first line */
    REQUIRE(log_open(&r));
    CHECK_INT(take(&r, "order.create", "1.1"), 0);
    audit_close(&r.a);
    CHECK_STR(rig_audit_file(r.directory, 3, path)[0] ? "four" : "three", "four"); /* the clock is a month on */
    CHECK(verify(&r) > 6);
    CHECK_STR(r.e.message, "");
    gn_buf_done(&b);
}

TEST(two_writers_are_refused) {
    log_rig r;
    audit *second = NULL;
    REQUIRE(log_init(&r));
    CHECK_INT(audit_open(r.directory, true, &second, &r.e), GN_E_BUSY);
    audit_close(&r.a);
}

TEST(T31_what_cannot_be_written_is_an_error) {
    log_rig r;
    REQUIRE(log_init(&r));
    CHECK_INT(take(&r, "order.create", "1.1"), 0);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), was = r.a->fd;
    REQUIRE(full >= 0);
    (void)pthread_mutex_lock(&r.a->lock);
    r.a->fd = full;
    (void)pthread_mutex_unlock(&r.a->lock);
    CHECK_INT(take(&r, "order.create", "1.2"), GN_E_NO_SPACE);
    (void)pthread_mutex_lock(&r.a->lock);
    r.a->fd = was;
    r.a->broken = false; /* a device cannot be cut; a file can */
    (void)pthread_mutex_unlock(&r.a->lock);
    CHECK_INT(take(&r, "order.create", "1.3"), 0);
    lines *l = read_log(&r, &(security_audit_query){ .limit = 10 });
    CHECK_INT(l->count, 4);
    CHECK(strstr(l->text[1], "log.lost") != NULL);
    CHECK(strstr(l->text[0], "\"1.3\"") != NULL);
    audit_close(&r.a);
    (void)close(full);
    CHECK_INT(verify(&r), 4);
}

static void *work(void *arg) {
    log_rig *r = arg;
    security_principal who = { .kind = SECURITY_KEY, .role = SECURITY_SERVICE, .id = "key_1", .name = "ris" };
    for (int i = 0; i < 300; i++) {
        security_access x = { .who = &who, .address = "192.0.2.9", .action = i % 3 ? "study.read" : "order.create", .study_uid = "1.2.3" };
        CHECK_INT(audit_take(r->a, &x, NULL), 0);
    }
    return NULL;
}

TEST(threads_audit_at_the_same_time) {
    log_rig r;
    REQUIRE(log_init(&r));
    pthread_t t[4];
    for (size_t i = 0; i < 4; i++) REQUIRE(pthread_create(&t[i], NULL, work, &r) == 0);
    for (int i = 0; i < 20; i++) (void)read_log(&r, &(security_audit_query){ .limit = 20 });
    for (size_t i = 0; i < 4; i++) (void)pthread_join(t[i], NULL);
    audit_close(&r.a);
    CHECK_INT(verify(&r), 1 + 400 + 2); /* the reads: one line, and one count of the 799 others */
}

TEST(verify_says_when_there_is_no_log) {
    char dir[300];
    gn_error e = GN_ERROR_INIT;
    CHECK(security_audit_verify(check_temp_dir(dir, sizeof dir), &e) < 0);
    CHECK(e.message[0] != '\0');
}

TEST(files_are_the_owners_only) {
    log_rig r;
    char path[700];
    struct stat st;
    REQUIRE(log_init(&r));
    CHECK_INT(take(&r, "order.create", "1.1"), 0);
    CHECK_INT(stat(rig_audit_file(r.directory, 0, path), &st), 0);
    CHECK_INT(st.st_mode & 077, 0);
    audit_close(&r.a);
}
