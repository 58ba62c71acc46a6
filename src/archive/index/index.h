/* index: what is known of the stored instances. One interface, engines behind it (SQLite now, PostgreSQL next), so nothing here assumes a file, one
 * writer or one process; uniqueness is decided by unique keys inside the transaction, never by check-then-insert.
 * Private to the archive room. */
#ifndef GANTRY_ARCHIVE_INDEX_H
#define GANTRY_ARCHIVE_INDEX_H

#include "archive/archive.h"

/* Where an object's bytes lie, as the store says it. */
typedef struct index_location { int64_t pack; uint64_t offset, length, dataset_offset; } index_location; /* pack 0: a file of its own, offset = file number */

/* Position in the log of packs up to which the index knows everything; stored with each commit that came from it. */
typedef struct index_position { int64_t pack; uint64_t offset; } index_position;

/* One instance to add; all strings UTF-8, borrowed for the call. */
typedef struct index_instance {
    const dicom_dataset *dataset;     /* header without bulk: patient, study, series and instance attributes are taken from it by the index */
    const dicom_transfer_syntax *transfer_syntax;
    const char *transfer_syntax_uid;
    const char *study_uid, *series_uid, *sop_instance, *sop_class;
    index_location location;
    uint8_t hash[16];                 /* XXH3-128 of the data set's bytes */
    int64_t received_us;
    const archive_source *source;
    uint32_t findings;
    const void *metadata; size_t metadata_length; /* zstd of the DICOM JSON */
    const void *frames; size_t frames_length;     /* encoded frame table (store-independent), may be empty */
    int64_t number_of_frames;
    /* results */
    archive_outcome outcome;
    int64_t instance_id;
    index_location superseded;        /* REPLACED: where the old bytes lie; DUPLICATE, CONFLICT_KEPT: where the first ones lie */
    uint32_t added_findings;          /* e.g. PATIENT_CONFLICT found on insert */
} index_instance;

typedef struct index_engine index_engine;
typedef struct index_known { int64_t instance_id; uint8_t hash[16]; uint64_t length; index_location location; char sop_class[65], transfer_syntax[65], study_uid[65], series_uid[65]; uint32_t findings; bool damaged; } index_known; /* damaged: index_mark_damaged said so; a resend of the same bytes heals it */

index_engine *index_sqlite_open(const char *path, bool read_only, gn_error *e);
void index_close(index_engine **x);
/* Adds a batch in one transaction in the order given and moves the position. Decides DUPLICATE / CONFLICT_KEPT / REPLACED / REFUSED(reject) by the policy; the
 * commit is not synced (the pack can replay it). All or nothing: <0 means nothing of the batch is in. Appends the events. */
int index_add_batch(index_engine *x, index_instance *const *items, size_t n, archive_duplicate_policy policy, const index_position *position, gn_error *e);
int index_get_position(index_engine *x, index_position *p, gn_error *e);
/* Is this index being made again from the packs? Kept with the index, and never lost while anything that was committed later is there. Not synced. */
int index_get_rebuilding(index_engine *x, bool *yes, gn_error *e);
int index_set_rebuilding(index_engine *x, bool yes, gn_error *e);
int index_find_instance(index_engine *x, const char *sop_instance, index_known *known, gn_error *e); /* NOT_FOUND */
/* An event without an instance (refused, conflict details). Synced: no. */
int index_add_event(index_engine *x, const char *type, int64_t instance_id, const char *detail, gn_error *e);
int index_checkpoint(index_engine *x, gn_error *e); /* makes everything durable and keeps the log of the engine short; called now and then by the archive */
/* Every instance in location order, for verify and reindex; callback non-zero stops. */
int index_walk(index_engine *x, int (*visit)(void *ctx, const index_known *k, const char *sop_instance), void *ctx, gn_error *e);
int index_mark_damaged(index_engine *x, int64_t instance_id, gn_error *e);
int index_stats(index_engine *x, archive_stats *s, gn_error *e);
int index_instance_metadata(index_engine *x, int64_t instance_id, gn_buf *zstd, gn_error *e); /* appended; NOT_FOUND: none is kept */
int index_instance_frames(index_engine *x, int64_t instance_id, gn_buf *frames, gn_error *e);  /* as above: the encoded frame table */

/* Metadata of whole series. A series as it is now, and what is kept of it: kept is NULL when nothing is that was made of just these instances. `length` and
 * `crc` describe what `kept` inflates to. */
typedef struct index_series { int64_t id, n_instances, revision; char study_uid[65], series_uid[65]; uint64_t length; uint32_t crc; const void *kept; size_t kept_length; } index_series;
/* One series, or with series_uid NULL all of a study by their number. Other than 0 from visit stops and is returned. Nothing found is no error. */
int index_series_each(index_engine *x, const char *study_uid, const char *series_uid, int (*visit)(void *ctx, const index_series *s), void *ctx, gn_error *e);
int index_series_by_id(index_engine *x, int64_t id, index_series *s, gn_error *e); /* kept: non-NULL only says that there is something */
/* Keeps it, unless the series has changed since. */
int index_series_keep(index_engine *x, const index_series *s, gn_error *e);
/* Its instances, by number. *list: free() it. */
typedef struct index_member { int64_t id; char sop_uid[65]; } index_member;
int index_series_members(index_engine *x, int64_t series_id, index_member **list, size_t *count, gn_error *e);
/* zstd of the metadata of n instances, one behind the other; lengths[i] 0: none is kept. */
int index_members_metadata(index_engine *x, const index_member *members, size_t n, gn_buf *packed, size_t *lengths, gn_error *e);
/* Series that got instances after `*since`, which moves on; at most `capacity` of them. *since -1: nothing yet, but from now on. */
int index_series_grown(index_engine *x, int64_t *since, int64_t *series, size_t capacity, size_t *count, gn_error *e);

/* archive_query_*, archive_retrieve selection, events and jobs are implemented on the engine behind the same names: */
int index_query_open(index_engine *x, const archive_query *q, archive_cursor **out, gn_error *e);
int index_select(index_engine *x, const archive_selection *s, int (*visit)(void *ctx, const index_known *k, const char *sop_instance), void *ctx, gn_error *e);
int index_events_read(index_engine *x, int64_t since, archive_event *events, size_t capacity, size_t *count, gn_error *e);
int index_job_add(index_engine *x, const char *kind, int priority, const char *payload, int64_t not_before_us, int64_t *id, gn_error *e); /* synced */
int index_job_take(index_engine *x, const char *kind, uint32_t lease_ms, archive_job *job, gn_error *e);
int index_job_done(index_engine *x, int64_t id, const char *result, gn_error *e);
int index_job_retry(index_engine *x, int64_t id, uint32_t retry_ms, const char *why, gn_error *e);

#endif
