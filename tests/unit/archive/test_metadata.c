/* Metadata of series and studies: one JSON array, the same whether made, kept or joined, and never stale. */
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "rig.h"

static const char *const series_names[] = { "1.2.3.1", "1.2.3.2" };

static void send(rig *r, unsigned series, unsigned i, unsigned rows) {
    char sop[64];
    archive_result result;
    (void)snprintf(sop, sizeof sop, "1.2.3.9.%u.%u", series, i);
    synth s = { .study = "1.2.3", .series = series_names[series], .sop = sop, .number = 100 - i, .rows = rows, .columns = rows, .extra = 20, .seed = i };
    CHECK_INT(rig_send(r, &s, &result), 0);
}

/* All members of a gzip stream; a client that reads only the first one would see too little, so there must be just one. */
static void gunzip(const gn_buf *in, gn_buf *out) {
    z_stream z = { 0 };
    REQUIRE(inflateInit2(&z, 31) == Z_OK);
    z.next_in = in->p;
    z.avail_in = (uInt)in->n;
    int rc;
    do {
        uint8_t *room = gn_buf_reserve(out, 65536);
        REQUIRE(room != NULL);
        z.next_out = room;
        z.avail_out = 65536;
        rc = inflate(&z, Z_NO_FLUSH);
        out->n += 65536 - z.avail_out;
    } while (rc == Z_OK);
    CHECK_INT(rc, Z_STREAM_END);
    CHECK_INT(z.avail_in, 0);
    gn_buf_putc(out, '\0');
    out->n--;
    (void)inflateEnd(&z);
}

static unsigned occurrences(const gn_buf *b, const char *what) {
    unsigned n = 0;
    for (const char *p = b->p ? (const char *)b->p : ""; (p = strstr(p, what)); p++) n++;
    return n;
}

/* Both forms, which must be the same. */
static void fetch(rig *r, const char *study, const char *series, gn_buf *plain) {
    gn_buf packed = GN_BUF_INIT, back = GN_BUF_INIT;
    gn_buf_clear(plain);
    CHECK_INT(archive_series_metadata(r->archive, study, series, false, plain, &r->error), 0);
    CHECK_INT(archive_series_metadata(r->archive, study, series, true, &packed, &r->error), 0);
    gunzip(&packed, &back);
    CHECK_INT(back.n, plain->n);
    CHECK(back.n == plain->n && memcmp(back.p, plain->p, back.n) == 0);
    gn_buf_done(&packed);
    gn_buf_done(&back);
}

TEST(a_series_comes_whole_in_order_and_with_paths_of_its_bulk) {
    rig r;
    gn_buf text = GN_BUF_INIT;
    rig_init(&r);
    REQUIRE(rig_open(&r));
    for (unsigned i = 0; i < 20; i++) send(&r, 0, i, 96);
    for (int round = 0; round < 3; round++) {
        fetch(&r, "1.2.3", series_names[0], &text);
        CHECK_INT(occurrences(&text, "\"00080018\""), 20);
        CHECK_INT(occurrences(&text, "\"BulkDataURI\":\"/dicom-web/studies/1.2.3/series/1.2.3.1/instances/1.2.3.9.0."), 20);
        CHECK_INT(occurrences(&text, "/bulkdata/7FE00010\""), 20);
        CHECK_INT(occurrences(&text, "\"bulk/"), 0);
        const char *first = strstr((const char *)text.p, "1.2.3.9.0.19\""), *last = strstr((const char *)text.p, "1.2.3.9.0.0\"");
        CHECK(first && last && first < last); /* by Instance Number */
    }
    gn_buf_done(&text);
    rig_close(&r);
}

TEST(a_series_that_grows_or_changes_is_made_anew) {
    rig r;
    gn_buf text = GN_BUF_INIT;
    rig_init(&r);
    r.config.duplicates = ARCHIVE_REPLACE;
    REQUIRE(rig_open(&r));
    for (unsigned i = 0; i < 10; i++) send(&r, 0, i, 96);
    fetch(&r, "1.2.3", series_names[0], &text);
    send(&r, 0, 10, 96);
    fetch(&r, "1.2.3", series_names[0], &text);
    CHECK_INT(occurrences(&text, "\"00080018\""), 11);
    send(&r, 0, 3, 80); /* other bytes, same instance */
    fetch(&r, "1.2.3", series_names[0], &text);
    CHECK_INT(occurrences(&text, "\"00080018\""), 11);
    CHECK_INT(occurrences(&text, "\"00280010\":{\"vr\":\"US\",\"Value\":[80]}"), 1);
    gn_buf_done(&text);
    rig_close(&r);
}

TEST(a_study_is_its_series_joined) {
    rig r;
    gn_buf text = GN_BUF_INIT;
    rig_init(&r);
    REQUIRE(rig_open(&r));
    for (unsigned i = 0; i < 12; i++) send(&r, 0, i, 16);
    for (unsigned i = 0; i < 3; i++) send(&r, 1, i, 16);
    fetch(&r, "1.2.3", NULL, &text);
    CHECK_INT(occurrences(&text, "\"00080018\""), 15);
    CHECK_INT(text.p[0], '[');
    CHECK_INT(text.p[text.n - 1], ']');
    gn_buf_done(&text);
    rig_close(&r);
}

static int kept_rows(const rig *r) {
    char path[700];
    sqlite3 *d = NULL;
    sqlite3_stmt *s = NULL;
    CHECK_INT(sqlite3_open(rig_path(r, "index.sqlite", path), &d), SQLITE_OK);
    CHECK_INT(sqlite3_prepare_v2(d, "SELECT count(*) FROM series_metadata", -1, &s, NULL), SQLITE_OK);
    int n = s && sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int(s, 0) : -1;
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(d);
    return n;
}

TEST(it_is_ready_soon_after_the_last_instance) {
    rig r;
    gn_buf text = GN_BUF_INIT;
    rig_init(&r);
    REQUIRE(rig_open(&r));
    (void)usleep(1200000); /* the thread has looked once */
    for (unsigned i = 0; i < 12; i++) send(&r, 0, i, 16);
    (void)usleep(5500000);
    rig_close(&r);
    CHECK_INT(kept_rows(&r), 1);
    r.config.read_only = true; /* nothing is kept from here on: what is there must be right */
    REQUIRE(rig_open(&r));
    fetch(&r, "1.2.3", series_names[0], &text);
    CHECK_INT(occurrences(&text, "\"00080018\""), 12);
    gn_buf_done(&text);
    rig_close(&r);
}

TEST(what_is_not_there_is_not_found) {
    rig r;
    gn_buf text = GN_BUF_INIT;
    rig_init(&r);
    REQUIRE(rig_open(&r));
    send(&r, 0, 0, 16);
    CHECK_INT(archive_series_metadata(r.archive, "1.2.4", NULL, true, &text, &r.error), GN_E_NOT_FOUND);
    gn_error_clear(&r.error);
    CHECK_INT(archive_series_metadata(r.archive, "1.2.3", "1.2.3.2", false, &text, &r.error), GN_E_NOT_FOUND);
    gn_error_clear(&r.error);
    CHECK_INT(archive_instance_metadata(r.archive, "1.2.3", "1.2.3.2", "1.2.3.9.0.0", &text, &r.error), GN_E_NOT_FOUND);
    gn_error_clear(&r.error);
    CHECK_INT(text.n, 0);
    CHECK_INT(archive_instance_metadata(r.archive, "1.2.3", "1.2.3.1", "1.2.3.9.0.0", &text, &r.error), 0);
    CHECK_INT(occurrences(&text, "\"00080018\""), 1);
    gn_buf_done(&text);
    rig_close(&r);
}
