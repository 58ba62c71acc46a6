/* Whose database is it, and of which version (T40)? And what can be read where nothing may be written (T32). */
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "encode.h"
#include "index_rig.h"
#include "statements.h"

static void run_sql(const char *path, const char *sql) {
    sqlite3 *handle;
    char *why = NULL;
    REQUIRE(sqlite3_open(path, &handle) == SQLITE_OK);
    CHECK_INT(sqlite3_exec(handle, sql, NULL, NULL, &why), SQLITE_OK);
    if (why) CHECK_STR(why, "");
    sqlite3_free(why);
    (void)sqlite3_close(handle);
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    REQUIRE(f != NULL);
    (void)fputs(text, f);
    (void)fclose(f);
}

static void refused(index_rig *r, const char *word) {
    gn_error_clear(&r->error);
    r->x = index_sqlite_open(r->path, false, &r->error);
    CHECK(r->x == NULL);
    CHECK_INT(r->error.code, GN_E_REFUSED);
    CHECK(strstr(r->error.message, word) != NULL);
    index_close(&r->x);
}

TEST(a_newer_schema_is_refused) {
    index_rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P"), ARCHIVE_STORED);
    index_close(&r.x);
    run_sql(r.path, "UPDATE meta SET value = '99' WHERE key = 'schema'");
    refused(&r, "newer gantry");
    run_sql(r.path, "UPDATE meta SET value = '2' WHERE key = 'schema'");
    REQUIRE(rig_reopen(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "", "PatientID"), "P");
    rig_done(&r);
}

TEST(the_first_version_is_brought_up_to_date) {
    index_rig r;
    index_series series;
    gn_error e = GN_ERROR_INIT;
    int64_t since = 1, id = 0;
    size_t count = 0;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P"), ARCHIVE_STORED);
    index_close(&r.x);
    run_sql(r.path, "DROP TABLE series_metadata; ALTER TABLE series DROP COLUMN revision; UPDATE meta SET value = '1' WHERE key = 'schema'");
    REQUIRE(rig_reopen(&r));
    CHECK_STR(rig_find(&r, ARCHIVE_STUDY, STUDY_ROOT, "", "PatientID"), "P");
    CHECK_INT(index_series_grown(r.x, &since, &id, 1, &count, &e), 0);
    CHECK_INT(count, 1);
    CHECK_INT(index_series_by_id(r.x, id, &series, &e), 0);
    CHECK(series.n_instances == 1 && series.revision == 0 && !series.kept);
    rig_done(&r);
}

TEST(a_database_of_another_program_is_refused) {
    index_rig r;
    REQUIRE(rig_init(&r));
    index_close(&r.x);
    (void)unlink(r.path);
    run_sql(r.path, "CREATE TABLE Resources (id INTEGER); CREATE TABLE meta (key TEXT, value TEXT); INSERT INTO meta VALUES ('schema', '1')");
    refused(&r, "another program");
    (void)unlink(r.path);
    write_file(r.path, "This is no database at all, but a letter of some length, which goes on and on and on until it is long enough.\n");
    refused(&r, "not a database");
    rig_done(&r);
}

TEST(an_unfinished_start_is_taken_up) {
    index_rig r;
    REQUIRE(rig_init(&r));
    index_close(&r.x);
    (void)unlink(r.path);
    write_file(r.path, ""); /* made, but nothing committed yet */
    REQUIRE(rig_reopen(&r));
    CHECK_INT(rig_add(&r, "PatientID=P"), ARCHIVE_STORED);
    rig_done(&r);
}

TEST(read_only_reads_and_refuses_to_write) {
    index_rig r;
    index_known k;
    gn_error e = GN_ERROR_INIT;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P;SOPInstanceUID=7"), ARCHIVE_STORED);
    index_engine *reader = index_sqlite_open(r.path, true, &e);
    REQUIRE(reader != NULL);
    CHECK_INT(index_find_instance(reader, "7", &k, &e), 0);
    CHECK_INT(rig_add(&r, "PatientID=P;SOPInstanceUID=8"), ARCHIVE_STORED);
    CHECK_INT(index_find_instance(reader, "8", &k, &e), 0);
    index_instance *it = rig_instance(&r, "SOPInstanceUID=9", "x");
    CHECK_INT(index_add_batch(reader, &it, 1, ARCHIVE_KEEP, NULL, &e), GN_E_REFUSED);
    CHECK_INT(index_checkpoint(reader, NULL), 0);
    index_close(&reader);
    rig_done(&r);
}

TEST(read_only_of_nothing_is_refused) {
    index_rig r;
    gn_error e = GN_ERROR_INIT;
    REQUIRE(rig_init(&r));
    index_close(&r.x);
    (void)unlink(r.path);
    CHECK(index_sqlite_open(r.path, true, &e) == NULL);
    CHECK_INT(e.code, GN_E_NOT_FOUND);
    gn_error_clear(&e);
    write_file(r.path, "");
    CHECK(index_sqlite_open(r.path, true, &e) == NULL);
    CHECK_INT(e.code, GN_E_REFUSED);
    rig_done(&r);
}

/* Every statement can be prepared, and its parameters appear in the order of their numbers, as all engines need. */
TEST(statements_are_sound) {
    index_rig r;
    sqlite3 *handle;
    REQUIRE(rig_init(&r));
    REQUIRE(sqlite3_open(r.path, &handle) == SQLITE_OK);
    for (int i = 0; i < SQL_COUNT; i++) {
        sqlite3_stmt *s = NULL;
        CHECK_INT(sqlite3_prepare_v2(handle, sql_text((sql_statement)i), -1, &s, NULL), SQLITE_OK);
        for (int k = 1; k <= sqlite3_bind_parameter_count(s); k++) {
            char name[16];
            (void)snprintf(name, sizeof name, "$%d", k);
            CHECK_STR(sqlite3_bind_parameter_name(s, k), name);
        }
        (void)sqlite3_finalize(s);
    }
    (void)sqlite3_close(handle);
    rig_done(&r);
}

static bool accept_all(const void *ctx, dicom_tag tag) {
    (void)ctx;
    return tag != 0;
}

TEST(attributes_are_kept_in_utf8) {
    gn_arena *arena = gn_arena_new(1 << 22);
    gn_buf out = GN_BUF_INIT;
    char spec[2000];
    size_t n = (size_t)snprintf(spec, sizeof spec, "SpecificCharacterSet=ISO_IR 100;InstitutionName=\xC4;Rows=3;");
    for (int i = 0; i < 30; i++) n += (size_t)snprintf(spec + n, sizeof spec - n, "ProcedureCodeSequence=[");
    n += (size_t)snprintf(spec + n, sizeof spec - n, "CodeValue=x");
    for (int i = 0; i < 30; i++) n += (size_t)snprintf(spec + n, sizeof spec - n, "]");
    encode_dataset(rig_dataset(arena, spec), accept_all, NULL, ENCODE_ATTRIBUTES, &out);
    const dicom_read_options options = { .keep_everything = true };
    dicom_dataset *ds;
    REQUIRE(dicom_dataset_read(arena, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), out.p, out.n, &options, &ds, NULL) == 0);
    CHECK_STR(dicom_dataset_ascii(ds, DICOM_TAG_SpecificCharacterSet), "ISO_IR 192");
    CHECK_STR(dicom_dataset_utf8(ds, DICOM_TAG_InstitutionName), "\xC3\x84");
    int depth = 0;
    for (const dicom_element *el = dicom_dataset_find(ds, DICOM_TAG_ProcedureCodeSequence); el && el->items; depth++) el = dicom_dataset_find(el->items->dataset, DICOM_TAG_ProcedureCodeSequence);
    CHECK_INT(depth, 30);
    gn_buf_done(&out);
    gn_arena_free(&arena);
}
