/* schema: makes the tables of the index and brings older ones up to date (T40).
 *
 * Versions go forward only: steps[i] turns version i into i + 1 inside one transaction, which also writes the new number, so that a
 * crash leaves one version or the other. An older program refuses a newer schema. @INT, @TEXT, @BYTES, @KEY (a number that we choose) and @ID (one that
 * the engine chooses) stand for what the engine calls these types. A step that has been released is never changed; a new one is added behind it.
 *
 * Secondary indexes are few, because every one costs ingest: what C-FIND asks for by itself (patient, name, accession, date) and the
 * way down from a level to the next. Empty text is NULL, so that indexes of it can be partial; patient_id and issuer alone are
 * never NULL, because they are a key. */
#include "schema.h"

#include <stdlib.h>

static const char first_version[] =
    "CREATE TABLE state (id @KEY, sequence @INT NOT NULL, pack @INT NOT NULL, pack_end @INT NOT NULL, patients @INT NOT NULL,"
    " studies @INT NOT NULL, series @INT NOT NULL, instances @INT NOT NULL, bytes @INT NOT NULL, events @INT NOT NULL);"
    "INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0);"

    "CREATE TABLE patient (id @KEY, patient_id @TEXT NOT NULL, issuer @TEXT NOT NULL, name @TEXT, name_a @TEXT, name_i @TEXT,"
    " name_p @TEXT, birth_date @INT, sex @TEXT, created_us @INT NOT NULL, UNIQUE (patient_id, issuer));"
    "CREATE INDEX patient_name ON patient (name_a, name_i, name_p);"
    "CREATE INDEX patient_name_i ON patient (name_i) WHERE name_i IS NOT NULL;"
    "CREATE INDEX patient_name_p ON patient (name_p) WHERE name_p IS NOT NULL;"

    "CREATE TABLE study (id @KEY, study_uid @TEXT NOT NULL UNIQUE, patient @INT NOT NULL, patient_id @TEXT NOT NULL, issuer @TEXT NOT NULL,"
    " name @TEXT, name_a @TEXT, name_i @TEXT, name_p @TEXT, birth_date @INT, sex @TEXT, study_date @INT, study_time @INT,"
    " study_time_text @TEXT, accession @TEXT, study_id @TEXT, description @TEXT, referring @TEXT, modalities @TEXT, sop_classes @TEXT,"
    " n_series @INT NOT NULL, n_instances @INT NOT NULL, created_us @INT NOT NULL, updated_us @INT NOT NULL);"
    "CREATE INDEX study_patient ON study (patient);"
    "CREATE INDEX study_name ON study (name_a, name_i, name_p);"
    "CREATE INDEX study_name_i ON study (name_i) WHERE name_i IS NOT NULL;"
    "CREATE INDEX study_name_p ON study (name_p) WHERE name_p IS NOT NULL;"
    "CREATE INDEX study_accession ON study (accession) WHERE accession IS NOT NULL;"
    "CREATE INDEX study_day ON study (study_date, modalities);"
    "CREATE TABLE study_attrs (id @KEY, data @BYTES NOT NULL);"

    "CREATE TABLE series (id @KEY, series_uid @TEXT NOT NULL, study @INT NOT NULL, modality @TEXT, number @INT, description @TEXT,"
    " body_part @TEXT, series_date @INT, series_time @INT, series_time_text @TEXT, station @TEXT, performing @TEXT, protocol @TEXT,"
    " laterality @TEXT, pps_date @INT, pps_time @INT, pps_time_text @TEXT, conflict @INT NOT NULL, n_instances @INT NOT NULL,"
    " created_us @INT NOT NULL, UNIQUE (series_uid, study));"
    "CREATE INDEX series_study ON series (study);"
    "CREATE TABLE series_attrs (id @KEY, data @BYTES NOT NULL);"

    "CREATE TABLE instance (id @KEY, sop_uid @TEXT NOT NULL UNIQUE, series @INT NOT NULL, sop_class @TEXT, number @INT,"
    " transfer_syntax @TEXT NOT NULL, pack @INT NOT NULL, location @INT NOT NULL, length @INT NOT NULL, dataset_offset @INT NOT NULL,"
    " hash @BYTES NOT NULL, n_rows @INT, n_columns @INT, n_frames @INT, content_date @INT, content_time @INT, content_time_text @TEXT,"
    " received_us @INT NOT NULL, source @TEXT, findings @INT NOT NULL, damaged @INT NOT NULL);"
    "CREATE INDEX instance_series ON instance (series);"
    "CREATE TABLE instance_detail (id @KEY, metadata @BYTES, frames @BYTES);"
    "CREATE TABLE superseded (id @ID, instance @INT NOT NULL, pack @INT NOT NULL, location @INT NOT NULL, length @INT NOT NULL,"
    " dataset_offset @INT NOT NULL, hash @BYTES NOT NULL, transfer_syntax @TEXT NOT NULL, sop_class @TEXT, at_us @INT NOT NULL);"

    "CREATE TABLE event (sequence @KEY, at_us @INT NOT NULL, type @TEXT NOT NULL, instance @INT, series @INT, study @INT, detail @TEXT);"
    "CREATE TABLE job (id @ID, kind @TEXT NOT NULL, priority @INT NOT NULL, payload @TEXT, not_before_us @INT NOT NULL, lease_us @INT NOT NULL,"
    " attempts @INT NOT NULL, state @INT NOT NULL, result @TEXT, created_us @INT NOT NULL, ended_us @INT);"
    "CREATE INDEX job_open ON job (kind, priority, id) WHERE state = 0;";

/* What /metadata gives of a series, ready to send. `revision` counts what changes a series besides instances that are added. */
static const char second_version[] =
    "ALTER TABLE series ADD COLUMN revision @INT NOT NULL DEFAULT 0;"
    "CREATE TABLE series_metadata (id @KEY, n_instances @INT NOT NULL, revision @INT NOT NULL, length @INT NOT NULL, crc @INT NOT NULL, data @BYTES NOT NULL);";

static const char *const steps[] = { first_version, second_version };

const schema index_schema = { "index", steps, (int)GN_ARRAY_LEN(steps) };

/* Puts the engine's words for the types. */
static void translate(const db_class *c, const char *sql, gn_buf *out) {
    const struct { const char *mark, *word; } words[] = { { "@INT", "BIGINT" }, { "@TEXT", c->text_type }, { "@BYTES", c->bytes_type }, { "@ID", c->id_type },
                                                          { "@KEY", c->key_type } };
    while (*sql) {
        size_t i = 0, n = strcspn(sql, "@");
        gn_buf_append(out, sql, n);
        sql += n;
        if (!*sql) return;
        while (i < GN_ARRAY_LEN(words) && strncmp(sql, words[i].mark, strlen(words[i].mark)) != 0) i++;
        if (i == GN_ARRAY_LEN(words)) return;
        gn_buf_puts(out, words[i].word);
        sql += strlen(words[i].mark);
    }
}

static int run_translated(db *d, const char *sql, gn_error *e) {
    gn_buf text = GN_BUF_INIT;
    translate(d->class, sql, &text);
    int rc = text.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for the schema") : d->class->execute(d, (const char *)text.p, e);
    gn_buf_done(&text);
    return rc;
}

/* Version of the tables that are there; 0: none are. */
static int read_version(db *d, int64_t *version, gn_error *e) {
    db_stmt *s;
    gn_error none = GN_ERROR_INIT;
    *version = 0;
    int rc = d->class->prepare(d, "SELECT value FROM meta WHERE key = 'schema'", &s, &none);
    if (rc == GN_E_DATABASE) return 0; /* no such table */
    if (rc) return gn_fail(e, rc, "%s", none.message);
    rc = db_step(s, e);
    if (rc == 1) *version = db_int(s, 0);
    d->class->finalize(s);
    return rc < 0 ? rc : 0;
}

static int check_version(const schema *s, int64_t version, gn_error *e) {
    if (version <= s->version) return 0;
    return gn_fail(e, GN_E_REFUSED, "the %s has schema %lld, made by a newer gantry; this one knows up to %d: use the newer program, or restore the backup made before it", s->what, (long long)version,
                   s->version);
}

static int write_version(db *d, int64_t version, gn_error *e) {
    char sql[160];
    (void)snprintf(sql, sizeof sql, "INSERT INTO meta (key, value) VALUES ('schema', '%lld') ON CONFLICT (key) DO UPDATE SET value = excluded.value", (long long)version);
    return d->class->execute(d, sql, e);
}

static int make_meta(db *d, gn_error *e) {
    char uid[65], sql[200];
    dicom_uid_make(uid);
    (void)snprintf(sql, sizeof sql, "INSERT INTO meta (key, value) VALUES ('program', 'gantry'), ('archive', '%s')", uid);
    int rc = run_translated(d, "CREATE TABLE meta (key @TEXT PRIMARY KEY, value @TEXT NOT NULL)", e);
    if (!rc) rc = d->class->execute(d, sql, e);
    return rc ? rc : d->class->execute(d, d->class->mark, e);
}

/* One version further, unless another process was faster. */
static int upgrade(db *d, const schema *s, int64_t *version, gn_error *e) {
    int rc = d->class->begin(d, DB_WRITE, e);
    if (rc) return rc;
    rc = read_version(d, version, e);
    if (!rc) rc = check_version(s, *version, e);
    if (!rc && *version < s->version) {
        if (*version == 0) rc = make_meta(d, e);
        if (!rc) rc = run_translated(d, s->steps[*version], e);
        if (!rc) rc = write_version(d, ++*version, e);
    }
    if (!rc) rc = d->class->commit(d, e);
    if (rc) d->class->rollback(d);
    return rc;
}

int schema_prepare(db *d, const schema *s, bool read_only, gn_error *e) {
    int64_t version;
    int rc = d->class->foreign(d, e);
    if (rc == 1) return gn_fail(e, GN_E_REFUSED, "the %s's database belongs to another program: choose another data directory or database", s->what);
    if (!rc) rc = read_version(d, &version, e);
    if (!rc) rc = check_version(s, version, e);
    if (!rc && read_only && version < s->version)
        rc = gn_fail(e, GN_E_REFUSED, version ? "the %s has an older schema: start gantry once without read-only to bring it up to date" : "the %s is empty and opened read-only", s->what);
    while (!rc && version < s->version) rc = upgrade(d, s, &version, e);
    return rc;
}
