/* add_place: the patient, study and series of an instance: found, or made from its data set.
 *
 * The first instance of a study gives the study's attributes and its patient; later ones that say another patient are kept under
 * it all the same, since their Study Instance UID says so, with the finding PATIENT_CONFLICT. A series UID that is met in a second
 * study becomes a series of its own there, with the same finding. Uniqueness is decided by the unique keys: a row is looked for,
 * inserted when absent, and looked for again when another process was faster. */
#include "add.h"
#include "attributes.h"
#include "encode.h"

typedef struct identity { row_text patient_id, issuer; } identity;

static identity identity_of(batch *b, const index_instance *it) {
    return (identity){ row_text_of(b->arena, it->dataset, DICOM_TAG_PatientID), row_text_of(b->arena, it->dataset, DICOM_TAG_IssuerOfPatientID) };
}

static uint64_t signature(row_text t) { return t.n ? uid_signature(t.p, t.n) : 0; }

/* NULL text would be NULL in the key, and NULLs are never equal. */
static void bind_key(db_stmt *s, int i, row_text t) { db_bind_text(s, i, t.n ? t.p : "", t.n); }

static const char *uid_or_empty(const char *uid) { return uid ? uid : ""; }

/* A first row's number into *id: 1 there was one, 0 none. */
static int one_id(db_stmt *s, int64_t *id, gn_error *e) {
    int rc = db_step(s, e);
    if (rc == 1) *id = db_int(s, 0);
    db_reset(s);
    return rc;
}

/* Runs an INSERT of the next number: 1 and its *id, or 0: a row with the same key was there. */
static int insert_row(batch *b, db_stmt *s, int64_t *id, gn_error *e) {
    int rc = db_run(s, e);
    if (rc || b->d->class->changes(b->d) == 0) return rc;
    *id = ++b->sequence;
    return 1;
}

/* ---- patients ---------------------------------------------------------------------------------------------------------- */

static int find_patient(batch *b, const identity *who, int64_t *id, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_PATIENT_FIND, &s, e);
    if (rc) return rc;
    bind_key(s, 1, who->patient_id);
    bind_key(s, 2, who->issuer);
    return one_id(s, id, e);
}

static int add_patient(batch *b, const index_instance *it, const identity *who, row_text name, int64_t *id, gn_error *e) {
    db_stmt *s;
    int rc = find_patient(b, who, id, e);
    if (rc) return rc < 0 ? rc : 0;
    if ((rc = db_fixed(b->d, SQL_PATIENT_ADD, &s, e))) return rc;
    db_bind_int(s, 1, b->sequence + 1);
    bind_key(s, 2, who->patient_id);
    bind_key(s, 3, who->issuer);
    row_bind_name(s, 4, b->arena, name);
    row_bind_date(s, 8, it->dataset, DICOM_TAG_PatientBirthDate);
    row_bind_text(s, 9, b->arena, it->dataset, DICOM_TAG_PatientSex);
    db_bind_int(s, 10, it->received_us);
    rc = insert_row(b, s, id, e);
    if (rc == 1) b->patients++;
    else if (rc == 0) rc = find_patient(b, who, id, e);
    return rc < 0 ? rc : 0;
}

/* ---- attributes without a column --------------------------------------------------------------------------------------- */

static bool belongs(const void *level, dicom_tag tag) {
    return !dicom_tag_is_private(tag) && attribute_level(tag) == *(const archive_level *)level && !attribute_find(tag);
}

static int add_attributes(batch *b, const index_instance *it, archive_level level, sql_statement which, int64_t id, gn_error *e) {
    db_stmt *s;
    gn_buf *blob = &b->x->blob;
    gn_buf_clear(blob);
    encode_dataset(it->dataset, belongs, &level, ENCODE_ATTRIBUTES, blob);
    if (blob->failed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for attributes");
    if (!blob->n) return 0;
    int rc = db_fixed(b->d, which, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, id);
    db_bind_bytes(s, 2, blob->p, blob->n);
    return db_run(s, e);
}

/* ---- studies ----------------------------------------------------------------------------------------------------------- */

/* A set of one member: "\CT\". */
static row_text set_of(gn_arena *arena, row_text member) {
    if (!member.n) return (row_text){ NULL, 0 };
    char *set = gn_arena_alloc(arena, member.n + 2);
    if (!set) return (row_text){ NULL, 0 };
    set[0] = set[member.n + 1] = '\\';
    memcpy(set + 1, member.p, member.n);
    return (row_text){ set, member.n + 2 };
}

static row_text sop_class_of(const index_instance *it) { return (row_text){ it->sop_class, it->sop_class ? strlen(it->sop_class) : 0 }; }

static void bind_study(batch *b, db_stmt *s, const index_instance *it, const identity *who, row_text name, int64_t patient) {
    const dicom_dataset *ds = it->dataset;
    db_bind_int(s, 1, b->sequence + 1);
    db_bind_string(s, 2, uid_or_empty(it->study_uid));
    db_bind_int(s, 3, patient);
    bind_key(s, 4, who->patient_id);
    bind_key(s, 5, who->issuer);
    row_bind_name(s, 6, b->arena, name);
    row_bind_date(s, 10, ds, DICOM_TAG_PatientBirthDate);
    row_bind_text(s, 11, b->arena, ds, DICOM_TAG_PatientSex);
    row_bind_date(s, 12, ds, DICOM_TAG_StudyDate);
    row_bind_time(s, 13, b->arena, ds, DICOM_TAG_StudyTime);
    row_bind_text(s, 15, b->arena, ds, DICOM_TAG_AccessionNumber);
    row_bind_text(s, 16, b->arena, ds, DICOM_TAG_StudyID);
    row_bind_text(s, 17, b->arena, ds, DICOM_TAG_StudyDescription);
    row_bind_text(s, 18, b->arena, ds, DICOM_TAG_ReferringPhysicianName);
    row_bind(s, 19, set_of(b->arena, row_text_of(b->arena, ds, DICOM_TAG_Modality)));
    row_bind(s, 20, set_of(b->arena, sop_class_of(it)));
    db_bind_int(s, 21, it->received_us);
}

/* 1: it is new, 0: another process was faster. */
static int insert_study(batch *b, const index_instance *it, const identity *who, int64_t *id, gn_error *e) {
    db_stmt *s;
    int64_t patient = 0;
    row_text name = row_text_of(b->arena, it->dataset, DICOM_TAG_PatientName);
    int rc = add_patient(b, it, who, name, &patient, e);
    if (!rc) rc = db_fixed(b->d, SQL_STUDY_ADD, &s, e);
    if (rc) return rc;
    bind_study(b, s, it, who, name, patient);
    rc = insert_row(b, s, id, e);
    if (rc != 1) return rc;
    b->studies++;
    rc = add_attributes(b, it, ARCHIVE_STUDY, SQL_STUDY_ATTRS_ADD, *id, e);
    return rc ? rc : 1;
}

/* 1: found and now in the cache, 0: not there. */
static int find_study(batch *b, const char *uid, uid_entry **out, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_STUDY_FIND, &s, e);
    if (rc) return rc;
    db_bind_string(s, 1, uid);
    rc = db_step(s, e);
    if (rc == 1) {
        row_text id, issuer;
        *out = uid_cache_put(&b->x->studies, uid, 0, db_int(s, 0));
        id.p = db_text(s, 1, &id.n);
        (*out)->patient = signature(id);
        issuer.p = db_text(s, 2, &issuer.n);
        (*out)->issuer = signature(issuer);
    }
    db_reset(s);
    return rc;
}

static int place_study(batch *b, const index_instance *it, place *p, gn_error *e) {
    const char *uid = uid_or_empty(it->study_uid);
    identity who = identity_of(b, it);
    uid_entry *entry = uid_cache_find(&b->x->studies, uid, 0);
    int rc = entry ? 1 : find_study(b, uid, &entry, e);
    if (rc == 0) {
        rc = insert_study(b, it, &who, &p->study, e);
        if (rc == 1) {
            entry = uid_cache_put(&b->x->studies, uid, 0, p->study);
            entry->patient = signature(who.patient_id);
            entry->issuer = signature(who.issuer);
            p->fresh = true;
        } else if (rc == 0) {
            rc = find_study(b, uid, &entry, e);
        }
        if (rc == 0) rc = gn_fail(e, GN_E_DATABASE, "index: a study was neither added nor found");
    }
    if (rc < 0) return rc;
    p->study = entry->id;
    uint64_t issuer = signature(who.issuer);
    if (entry->patient != signature(who.patient_id) || (issuer && entry->issuer && issuer != entry->issuer)) p->findings |= ARCHIVE_FINDING(PATIENT_CONFLICT);
    return 0;
}

/* Adds a modality and a SOP class to the sets of a study. */
static int widen_study(batch *b, int64_t study, row_text modality, row_text sop_class, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_STUDY_SETS, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, study);
    rc = db_step(s, e);
    row_text set[2] = { { NULL, 0 }, { NULL, 0 } }, add[2] = { modality, sop_class };
    bool changed = false;
    for (int i = 0; i < 2 && rc == 1; i++) {
        set[i].p = db_text(s, i, &set[i].n);
        bool has = row_set_has(set[i].p, set[i].n, add[i]);
        size_t base = set[i].n ? set[i].n - 1 : 0;
        char *wider = gn_arena_alloc(b->arena, base + add[i].n + 3);
        if (!wider) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for a set");
        else if (set[i].n) memcpy(wider, set[i].p, set[i].n);
        if (wider && !has) {
            wider[base] = wider[base + add[i].n + 1] = '\\';
            memcpy(wider + base + 1, add[i].p, add[i].n);
            set[i].n = base + add[i].n + 2;
            changed = true;
        }
        set[i].p = wider;
    }
    db_reset(s);
    if (rc < 0 || !changed) return rc < 0 ? rc : 0;
    if ((rc = db_fixed(b->d, SQL_STUDY_SETS_PUT, &s, e))) return rc;
    row_bind(s, 1, set[0]);
    row_bind(s, 2, set[1]);
    db_bind_int(s, 3, study);
    return db_run(s, e);
}

/* ---- series ------------------------------------------------------------------------------------------------------------ */

/* 1: found and now in the cache, 0: not there. *elsewhere: the UID is known in another study. */
static int find_series(batch *b, const char *uid, int64_t study, bool *elsewhere, uid_entry **out, gn_error *e) {
    db_stmt *s;
    *elsewhere = false;
    *out = NULL;
    int rc = db_fixed(b->d, SQL_SERIES_FIND, &s, e);
    if (rc) return rc;
    db_bind_string(s, 1, uid);
    while ((rc = db_step(s, e)) == 1) {
        if (db_int(s, 1) != study) {
            *elsewhere = true;
            continue;
        }
        *out = uid_cache_put(&b->x->series, uid, study, db_int(s, 0));
        (*out)->conflict = db_int(s, 2) != 0;
    }
    db_reset(s);
    return rc < 0 ? rc : *out != NULL;
}

static void bind_series(batch *b, db_stmt *s, const index_instance *it, int64_t study, bool conflict) {
    const dicom_dataset *ds = it->dataset;
    db_bind_int(s, 1, b->sequence + 1);
    db_bind_string(s, 2, uid_or_empty(it->series_uid));
    db_bind_int(s, 3, study);
    row_bind_text(s, 4, b->arena, ds, DICOM_TAG_Modality);
    row_bind_int(s, 5, ds, DICOM_TAG_SeriesNumber);
    row_bind_text(s, 6, b->arena, ds, DICOM_TAG_SeriesDescription);
    row_bind_text(s, 7, b->arena, ds, DICOM_TAG_BodyPartExamined);
    row_bind_date(s, 8, ds, DICOM_TAG_SeriesDate);
    row_bind_time(s, 9, b->arena, ds, DICOM_TAG_SeriesTime);
    row_bind_text(s, 11, b->arena, ds, DICOM_TAG_StationName);
    row_bind_text(s, 12, b->arena, ds, DICOM_TAG_PerformingPhysicianName);
    row_bind_text(s, 13, b->arena, ds, DICOM_TAG_ProtocolName);
    row_bind_text(s, 14, b->arena, ds, DICOM_TAG_Laterality);
    row_bind_date(s, 15, ds, DICOM_TAG_PerformedProcedureStepStartDate);
    row_bind_time(s, 16, b->arena, ds, DICOM_TAG_PerformedProcedureStepStartTime);
    db_bind_int(s, 18, conflict);
    db_bind_int(s, 19, it->received_us);
}

/* 1: it is new, 0: another process was faster. */
static int insert_series(batch *b, const index_instance *it, int64_t study, bool conflict, int64_t *id, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_SERIES_ADD, &s, e);
    if (rc) return rc;
    bind_series(b, s, it, study, conflict);
    rc = insert_row(b, s, id, e);
    if (rc != 1) return rc;
    b->series++;
    rc = add_attributes(b, it, ARCHIVE_SERIES, SQL_SERIES_ATTRS_ADD, *id, e);
    if (!rc) rc = add_touch(b, study, *id, 1, 0, e);
    return rc ? rc : 1;
}

static int place_series(batch *b, const index_instance *it, place *p, gn_error *e) {
    const char *uid = uid_or_empty(it->series_uid);
    bool elsewhere = false;
    uid_entry *entry = uid_cache_find(&b->x->series, uid, p->study);
    int rc = entry ? 1 : find_series(b, uid, p->study, &elsewhere, &entry, e);
    if (rc == 0) {
        rc = insert_series(b, it, p->study, elsewhere, &p->series, e);
        if (rc == 1) {
            entry = uid_cache_put(&b->x->series, uid, p->study, p->series);
            entry->conflict = elsewhere;
        } else if (rc == 0) {
            rc = find_series(b, uid, p->study, &elsewhere, &entry, e);
            if (rc == 0) rc = gn_fail(e, GN_E_DATABASE, "index: a series was neither added nor found");
        }
    }
    if (rc < 0) return rc;
    p->series = entry->id;
    if (entry->conflict) p->findings |= ARCHIVE_FINDING(PATIENT_CONFLICT);
    rc = 0;
    row_text sop_class = sop_class_of(it);
    if (sop_class.n == strlen(entry->sop_class) && memcmp(entry->sop_class, sop_class.p ? sop_class.p : "", sop_class.n) == 0 && sop_class.n) return 0;
    if (!p->fresh) rc = widen_study(b, p->study, row_text_of(b->arena, it->dataset, DICOM_TAG_Modality), sop_class, e);
    if (!rc && sop_class.n < sizeof entry->sop_class) (void)snprintf(entry->sop_class, sizeof entry->sop_class, "%s", it->sop_class ? it->sop_class : "");
    return rc;
}

/* ---- both -------------------------------------------------------------------------------------------------------------- */

bool add_place_known(batch *b, const index_instance *it) {
    const uid_entry *study = uid_cache_find(&b->x->studies, uid_or_empty(it->study_uid), 0);
    return study && uid_cache_find(&b->x->series, uid_or_empty(it->series_uid), study->id);
}

int add_place(batch *b, const index_instance *it, place *p, gn_error *e) {
    memset(p, 0, sizeof *p);
    int rc = place_study(b, it, p, e);
    return rc ? rc : place_series(b, it, p, e);
}
