/* add: a batch of instances in one transaction, the only way into the index.
 *
 * Whether an instance is new is decided by the unique key of sop_uid while inserting. What happens to one that is known: the same
 * bytes in the same transfer syntax are a DUPLICATE; other bytes are decided by the policy. An instance marked as damaged is
 * replaced by whatever comes, the same bytes above all. Numbers of patients, studies, series, instances and events come from one
 * sequence, so that what is new is its own event (see events.c). Counters of series and studies are written once at the
 * end. The position in the packs is written by the same transaction. */
#include "add.h"

#include <stdlib.h>

/* ---- bookkeeping ------------------------------------------------------------------------------------------------------- */

int add_touch(batch *b, int64_t study, int64_t series, int64_t n_series, int64_t n_instances, gn_error *e) {
    touched *t = NULL;
    for (size_t i = b->touched_count; i-- > 0 && !t;)
        if (b->touched[i].series == series) t = &b->touched[i];
    if (!t && b->touched_count == b->touched_capacity) {
        size_t capacity = b->touched_capacity ? b->touched_capacity * 2 : 16;
        touched *grown = realloc(b->touched, capacity * sizeof *grown);
        if (!grown) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a batch");
        b->touched = grown;
        b->touched_capacity = capacity;
    }
    if (!t) {
        t = &b->touched[b->touched_count++];
        *t = (touched){ .study = study, .series = series };
    }
    t->n_series += n_series;
    t->n_instances += n_instances;
    return 0;
}

static void bind_id(db_stmt *s, int i, int64_t id) {
    if (id) db_bind_int(s, i, id);
    else db_bind_text(s, i, NULL, 0);
}

int add_event(batch *b, const char *type, int64_t at_us, int64_t instance, int64_t series, int64_t study, const char *detail, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_EVENT_ADD, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, ++b->sequence);
    db_bind_int(s, 2, at_us);
    db_bind_string(s, 3, type);
    bind_id(s, 4, instance);
    bind_id(s, 5, series);
    bind_id(s, 6, study);
    db_bind_string(s, 7, detail);
    b->events++;
    return db_run(s, e);
}

static int begin_batch(batch *b, gn_error *e) {
    db_stmt *s;
    b->arena = b->x->scratch;
    gn_arena_reset(b->arena);
    int rc = db_fixed(b->d, SQL_STATE_GET, &s, e);
    if (rc) return rc;
    rc = db_step(s, e);
    if (rc == 1) b->sequence = db_int(s, 0);
    db_reset(s);
    if (rc == 0) return gn_fail(e, GN_E_CORRUPT, "index: the row of its state is missing");
    return rc < 0 ? rc : 0;
}

static int write_counts(batch *b, int64_t now, gn_error *e) {
    db_stmt *s;
    for (size_t i = 0; i < b->touched_count; i++) {
        touched *t = &b->touched[i];
        int rc = db_fixed(b->d, SQL_SERIES_COUNT, &s, e);
        if (rc) return rc;
        if (t->n_instances) {
            db_bind_int(s, 1, t->n_instances);
            db_bind_int(s, 2, t->series);
            if ((rc = db_run(s, e))) return rc;
        }
        if (!t->study) continue; /* counted with an earlier series of the study */
        for (size_t k = i + 1; k < b->touched_count; k++) {
            if (b->touched[k].study != t->study) continue;
            t->n_series += b->touched[k].n_series;
            t->n_instances += b->touched[k].n_instances;
        }
        if ((rc = db_fixed(b->d, SQL_STUDY_COUNT, &s, e))) return rc;
        db_bind_int(s, 1, t->n_series);
        db_bind_int(s, 2, t->n_instances);
        db_bind_int(s, 3, now);
        db_bind_int(s, 4, t->study);
        if ((rc = db_run(s, e))) return rc;
        for (size_t k = b->touched_count; k-- > i;)
            if (b->touched[k].study == t->study && k != i) b->touched[k].study = 0;
    }
    return 0;
}

static int write_state(batch *b, const index_position *position, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, position ? SQL_STATE_ADD_POSITION : SQL_STATE_ADD, &s, e);
    if (rc) return rc;
    const int64_t values[] = { b->sequence, b->patients, b->studies, b->series, b->instances, b->bytes, b->events };
    for (size_t i = 0; i < GN_ARRAY_LEN(values); i++) db_bind_int(s, (int)i + 1, values[i]);
    if (position) {
        db_bind_int(s, 8, position->pack);
        db_bind_int(s, 9, (int64_t)position->offset);
    }
    return db_run(s, e);
}

/* ---- instances --------------------------------------------------------------------------------------------------------- */

static void bind_location(db_stmt *s, int i, const index_location *l) {
    db_bind_int(s, i, l->pack);
    db_bind_int(s, i + 1, (int64_t)l->offset);
    db_bind_int(s, i + 2, (int64_t)l->length);
    db_bind_int(s, i + 3, (int64_t)l->dataset_offset);
}

static const char *source_text(batch *b, const archive_source *from) {
    if (!from) return NULL;
    return gn_arena_printf(b->arena, "%d|%s|%s|%s", (int)from->origin, from->calling_ae, from->called_ae, from->address);
}

/* Columns from `number` on; i: of the first. Returns the one behind the last. */
static int bind_instance(batch *b, db_stmt *s, int i, const index_instance *it, uint32_t findings) {
    const dicom_dataset *ds = it->dataset;
    row_bind_int(s, i++, ds, DICOM_TAG_InstanceNumber);
    db_bind_string(s, i++, it->transfer_syntax_uid ? it->transfer_syntax_uid : "");
    bind_location(s, i, &it->location);
    i += 4;
    db_bind_bytes(s, i++, it->hash, sizeof it->hash);
    row_bind_int(s, i++, ds, DICOM_TAG_Rows);
    row_bind_int(s, i++, ds, DICOM_TAG_Columns);
    row_bind_int(s, i++, ds, DICOM_TAG_NumberOfFrames);
    row_bind_date(s, i++, ds, DICOM_TAG_ContentDate);
    row_bind_time(s, i, b->arena, ds, DICOM_TAG_ContentTime);
    i += 2;
    db_bind_int(s, i++, it->received_us);
    db_bind_string(s, i++, source_text(b, it->source));
    db_bind_int(s, i++, findings);
    return i;
}

/* 1: inserted, 0: known already. */
static int insert_instance(batch *b, const index_instance *it, const place *p, int64_t id, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_INSTANCE_ADD, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, id);
    db_bind_string(s, 2, it->sop_instance);
    db_bind_int(s, 3, p->series);
    db_bind_string(s, 4, it->sop_class);
    (void)bind_instance(b, s, 5, it, it->findings | p->findings);
    rc = db_run(s, e);
    return rc ? rc : b->d->class->changes(b->d) > 0;
}

static int put_detail(batch *b, const index_instance *it, int64_t id, gn_error *e) {
    db_stmt *s;
    if (!it->metadata_length && !it->frames_length) return 0;
    int rc = db_fixed(b->d, SQL_DETAIL_ADD, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, id);
    db_bind_bytes(s, 2, it->metadata_length ? it->metadata : NULL, it->metadata_length);
    db_bind_bytes(s, 3, it->frames_length ? it->frames : NULL, it->frames_length);
    return db_run(s, e);
}

static int drop_detail(batch *b, int64_t id, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_DETAIL_DROP, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, id);
    return db_run(s, e);
}

/* What is known of the instance: 1 there, 0 not. */
typedef struct earlier { index_known known; int64_t series; } earlier;

static int find_earlier(batch *b, const index_instance *it, earlier *o, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_INSTANCE_FIND, &s, e);
    if (rc) return rc;
    db_bind_string(s, 1, it->sop_instance);
    rc = db_step(s, e);
    if (rc == 1) {
        engine_read_known(s, &o->known);
        o->series = db_int(s, 10);
    }
    db_reset(s);
    return rc;
}

static int study_of_series(batch *b, int64_t series, int64_t *study, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_SERIES_STUDY, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, series);
    rc = db_step(s, e);
    if (rc == 1) *study = db_int(s, 0);
    db_reset(s);
    return rc < 0 ? rc : 0;
}

/* What was made of a series before no longer holds. */
static int revise_series(batch *b, int64_t series, gn_error *e) {
    db_stmt *s;
    int rc = db_fixed(b->d, SQL_SERIES_REVISE, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, series);
    return db_run(s, e);
}

/* The new bytes serve from now on; the row of the old ones goes to `superseded`. The instance may change its series. */
static int replace(batch *b, index_instance *it, const earlier *o, gn_error *e) {
    place p;
    db_stmt *s;
    int64_t old_study = 0;
    int rc = add_place(b, it, &p, e);
    if (!rc) rc = study_of_series(b, o->series, &old_study, e);
    if (!rc) rc = db_fixed(b->d, SQL_SUPERSEDED_ADD, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, it->received_us);
    db_bind_int(s, 2, o->known.instance_id);
    if ((rc = db_run(s, e)) || (rc = db_fixed(b->d, SQL_INSTANCE_REPLACE, &s, e))) return rc;
    db_bind_int(s, 1, p.series);
    db_bind_string(s, 2, it->sop_class);
    int i = bind_instance(b, s, 3, it, it->findings | p.findings);
    db_bind_int(s, i, o->known.instance_id);
    rc = db_run(s, e);
    if (!rc) rc = drop_detail(b, o->known.instance_id, e);
    if (!rc) rc = put_detail(b, it, o->known.instance_id, e);
    if (!rc) rc = revise_series(b, p.series, e);
    if (!rc && p.series != o->series) {
        rc = revise_series(b, o->series, e);
        if (!rc) rc = add_touch(b, p.study, p.series, 0, 1, e);
        if (!rc) rc = add_touch(b, old_study, o->series, 0, -1, e);
    }
    if (!rc) rc = add_event(b, "instance.replaced", it->received_us, o->known.instance_id, p.series, p.study, it->sop_instance, e);
    b->bytes += (int64_t)it->location.length - (int64_t)o->known.location.length;
    it->outcome = ARCHIVE_REPLACED;
    it->added_findings = p.findings;
    return rc;
}

static bool same_place(const index_location *a, const index_location *b) { return a->pack == b->pack && a->offset == b->offset; }

static int decide_known(batch *b, index_instance *it, const earlier *o, gn_error *e) {
    bool same = memcmp(o->known.hash, it->hash, sizeof it->hash) == 0 && strcmp(o->known.transfer_syntax, it->transfer_syntax_uid ? it->transfer_syntax_uid : "") == 0;
    it->instance_id = o->known.instance_id;
    it->superseded = o->known.location;
    if (o->known.damaged && !same_place(&o->known.location, &it->location)) return replace(b, it, o, e);
    if (same) {
        it->outcome = ARCHIVE_DUPLICATE;
        return 0;
    }
    if (b->policy == ARCHIVE_REPLACE) return replace(b, it, o, e);
    it->outcome = b->policy == ARCHIVE_REJECT ? ARCHIVE_REFUSED : ARCHIVE_CONFLICT_KEPT;
    return add_event(b, b->policy == ARCHIVE_REJECT ? "instance.refused" : "instance.conflict", it->received_us, it->instance_id, o->series, 0, it->sop_instance, e);
}

static int add_one(batch *b, index_instance *it, gn_error *e) {
    earlier o;
    place p;
    int rc;
    it->added_findings = 0;
    it->superseded = (index_location){ 0, 0, 0, 0 };
    if (!it->sop_instance || !it->dataset) return gn_fail(e, GN_E_INTERNAL, "index: an instance without a UID or a data set");
    /* A known instance must not bring a new study or series with it. */
    if (!add_place_known(b, it) && (rc = find_earlier(b, it, &o, e)) != 0) return rc < 0 ? rc : decide_known(b, it, &o, e);
    if ((rc = add_place(b, it, &p, e))) return rc;
    rc = insert_instance(b, it, &p, b->sequence + 1, e);
    if (rc == 0) {
        rc = find_earlier(b, it, &o, e);
        if (rc == 0) rc = gn_fail(e, GN_E_DATABASE, "index: an instance was neither added nor found");
        return rc < 0 ? rc : decide_known(b, it, &o, e);
    }
    if (rc < 0) return rc;
    it->outcome = ARCHIVE_STORED;
    it->instance_id = ++b->sequence;
    it->added_findings = p.findings;
    b->instances++;
    b->bytes += (int64_t)it->location.length;
    rc = put_detail(b, it, it->instance_id, e);
    return rc ? rc : add_touch(b, p.study, p.series, 0, 1, e);
}

int index_add_batch(index_engine *x, index_instance *const *items, size_t n, archive_duplicate_policy policy, const index_position *position, gn_error *e) {
    batch b = { .x = x, .policy = policy };
    int rc = engine_write_begin(x, &b.d, e);
    if (rc) return rc;
    rc = begin_batch(&b, e);
    for (size_t i = 0; i < n && !rc; i++) rc = add_one(&b, items[i], e);
    if (!rc) rc = write_counts(&b, n ? items[n - 1]->received_us : gn_wall_us(), e);
    if (!rc) rc = write_state(&b, position, e);
    rc = engine_write_end(x, rc, e);
    free(b.touched);
    return rc;
}

int index_add_event(index_engine *x, const char *type, int64_t instance_id, const char *detail, gn_error *e) {
    batch b = { .x = x };
    int rc = engine_write_begin(x, &b.d, e);
    if (rc) return rc;
    rc = begin_batch(&b, e);
    if (!rc) rc = add_event(&b, type, gn_wall_us(), instance_id, 0, 0, detail, e);
    if (!rc) rc = write_state(&b, NULL, e);
    return engine_write_end(x, rc, e);
}
