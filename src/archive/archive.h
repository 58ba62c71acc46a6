/* archive: keeps instances durably, knows them, finds them, gives them back.
 *
 * DIMSE, STOW, upload and import share ONE ingest path (archive_ingest_*), C-FIND, QIDO and the REST API ONE query compiler
 * (archive_query_*). Behind it stand a store (store/store.h: where bytes lie) and an index (index/index.h: what is known of them).
 *
 * How an instance becomes durable: objects up to `pack_limit` bytes are gathered in memory and appended, many senders at a time, to a
 * pack: a log of whole Part 10 objects that is synced once for all of them and stays their home. Larger objects stream to a file of
 * their own, which is synced and linked into place; then a short record in the pack names it. The index is committed after the
 * sync, without one of its own: what a power cut takes from it is put back from the pack at the next start, because each index
 * commit also says up to which pack position it knows. Success is reported after all of this.
 * Thread rule: an `archive` may be used by any number of threads; an ingest, cursor or retrieval belongs to one. */
#ifndef GANTRY_ARCHIVE_H
#define GANTRY_ARCHIVE_H

#include "base/base.h"
#include "dicom/dicom.h"

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

typedef enum archive_duplicate_policy { ARCHIVE_KEEP, ARCHIVE_REPLACE, ARCHIVE_REJECT } archive_duplicate_policy;

typedef struct archive_progress { uint64_t done, total, bytes, problems; } archive_progress;
typedef struct archive_config {
    const char *directory;            /* everything lies under it; made when absent (mode 0700) */
    archive_duplicate_policy duplicates; /* same SOP Instance UID, other bytes. keep: the first stays, the new one goes to quarantine */
    bool refuse_invalid;              /* true: what fails validation is refused, not kept with a warning */
    bool without_quarantine;          /* do not keep what is refused */
    uint64_t quarantine_bytes;        /* newest kept up to this size (0: 1 GiB) */
    uint64_t reserve_bytes;           /* refuse to store below this much free space (0: 256 MiB, at most 5 % of the disk): T31 */
    size_t pack_limit;                /* 0: 1 MiB */
    size_t memory;                    /* pool for objects being received (0: 64 MiB); beyond it they stream to files at once */
    bool read_only;                   /* T32 */
    bool must_exist;                  /* do not make an archive where there is none: the empty mount point of a missing disk is refused (T32) */
    /* While archive_open reads packs again, in its thread and at most once a second: at once when the index knew nothing, else when it takes longer than
     * that. done, total: bytes passed of those to pass; bytes: of the objects among them; problems: damaged stretches. May be NULL. */
    void (*on_recovery)(void *ctx, const archive_progress *p);
    void *recovery_ctx;
} archive_config;

typedef struct archive archive;
/* Opens or makes an archive: takes the directory's lock (a second process that would write gets GN_E_BUSY; read_only does not need it),
 * recovers what the last stop left. GN_E_REFUSED: the directory holds something else, or a newer schema. */
archive *archive_open(const archive_config *config, gn_error *e);
/* Waits for commits in flight, checkpoints, closes. */
void archive_close(archive **a);
/* 0, or why it cannot take objects now (no space, sync failed before): for health and for refusing early. */
int archive_writable(archive *a, gn_error *e);

/* ---- ingest ------------------------------------------------------------------------------------------------------------ */

typedef enum archive_origin { ARCHIVE_FROM_DIMSE = 1, ARCHIVE_FROM_STOW, ARCHIVE_FROM_UPLOAD, ARCHIVE_FROM_IMPORT, ARCHIVE_FROM_SELF } archive_origin;
typedef struct archive_source {
    archive_origin origin;
    char calling_ae[17], called_ae[17]; /* DIMSE */
    char address[48];                 /* of the sender; user name for uploads; path's last part for imports */
} archive_source;

typedef struct archive_ingest_request {
    const archive_source *source;
    const char *transfer_syntax;      /* of the data set's bytes */
    const char *sop_class, *sop_instance; /* as the command says; NULL: no command, take the data set's word */
    const void *file_header; size_t file_header_length; /* Part 10 header to keep verbatim (import, STOW); NULL: one is made */
    uint64_t expected_length;         /* hint; 0: unknown */
} archive_ingest_request;

/* Findings of validation, kept with the instance (bit set) or the reason of a refusal. */
#define ARCHIVE_FINDING_TABLE(X)                                                                     \
    X(UID_MALFORMED, "a UID has characters or a length that PS3.5 §9.1 does not allow")              \
    X(COMMAND_MISMATCH, "SOP Class or Instance UID of the data set differs from the command")        \
    X(PIXEL_DATA_SHORT, "pixel data is shorter than Rows × Columns × Frames says")                   \
    X(DIMENSIONS_IMPOSSIBLE, "Rows, Columns, Bits or Number of Frames cannot be")                    \
    X(PARSE_INCOMPLETE, "the data set could only be read in part")                                   \
    X(UID_MISSING, "Study, Series or SOP Instance UID is missing")                                   \
    X(CHARSET_UNKNOWN, "Specific Character Set is not a defined term")                               \
    X(PATIENT_CONFLICT, "the study or series is known under another patient or study")               \
    X(HEADER_TOO_LARGE, "the header exceeds the limit")                                              \
    X(EXECUTABLE_PREAMBLE, "the preamble holds a program")
typedef enum archive_finding {
#define X(name, text) ARCHIVE_FINDING_INDEX_##name,
    ARCHIVE_FINDING_TABLE(X)
#undef X
    ARCHIVE_FINDING_COUNT
} archive_finding;
#define ARCHIVE_FINDING(name) (1u << ARCHIVE_FINDING_INDEX_##name)
const char *archive_finding_text(archive_finding f);

typedef enum archive_outcome { ARCHIVE_STORED, ARCHIVE_DUPLICATE /* same bytes were there */, ARCHIVE_CONFLICT_KEPT /* first stays, new one in quarantine */,
    ARCHIVE_REPLACED /* new one serves, old bytes kept as superseded */, ARCHIVE_REFUSED } archive_outcome;
typedef struct archive_result {
    archive_outcome outcome;
    uint32_t findings;
    uint16_t dimse_status;            /* ready to answer: 0000, B000 with findings, A700, A900, C000 … */
    char comment[65];                 /* Error Comment (0000,0902); no patient data */
    char sop_class[65], sop_instance[65], study_uid[65], series_uid[65];
    int64_t instance_id;              /* 0 when refused */
} archive_result;

typedef struct archive_ingest archive_ingest;
int archive_ingest_begin(archive *a, const archive_ingest_request *request, archive_ingest **out, gn_error *e);
/* Where the next bytes of the data set go: at least 4 KiB (*cap). Received straight into place. NULL: out of resources. */
uint8_t *archive_ingest_space(archive_ingest *in, size_t *cap, gn_error *e);
/* n bytes were put there: hashed, parsed as they pass, spilled to a file when the object grows beyond the limit. An error (disk full, …) is remembered; the
 * caller may go on (to drain the network) and learns it from finish. */
int archive_ingest_advance(archive_ingest *in, size_t n, gn_error *e);
/* For callers that have the bytes already: space + memcpy + advance. */
int archive_ingest_write(archive_ingest *in, const void *bytes, size_t n, gn_error *e);
/* Validates, decides duplicates, waits until bytes and index are safe. 0: *result tells what happened (also a refusal). <0: the archive itself failed
 * (no space, I/O): nothing is kept; result->dimse_status and comment are filled too. Frees the ingest in every case. */
int archive_ingest_finish(archive_ingest **in, archive_result *result, gn_error *e);
/* The sender vanished: nothing remains. */
void archive_ingest_abort(archive_ingest **in);

/* ---- query ------------------------------------------------------------------------------------------------------------- */

typedef enum archive_level { ARCHIVE_PATIENT, ARCHIVE_STUDY, ARCHIVE_SERIES, ARCHIVE_IMAGE } archive_level;
const char *archive_level_text(archive_level l); /* "STUDY": (0008,0052) */

typedef enum archive_query_flags { ARCHIVE_QUERY_RELATIONAL = 1, ARCHIVE_QUERY_FUZZY_NAMES = 2, ARCHIVE_QUERY_COMBINED_DATETIME = 4, ARCHIVE_QUERY_STUDY_ROOT = 8 } archive_query_flags;
typedef struct archive_query {
    archive_level level;
    uint32_t flags;
    const dicom_dataset *keys;        /* matching keys, any character set; empty values are universal; unknown keys match against the stored attributes */
    const dicom_tag *wanted; size_t wanted_count; /* attributes the answer shall carry, in this order */
    uint64_t limit, offset;           /* 0: no limit */
    uint32_t deadline_ms;             /* 0: 60 s spent in here, not by the client; beyond it GN_E_TIMEOUT (T15) */
    int64_t after;                    /* only rows whose id is higher: the last one of the page before; 0: from the start */
} archive_query;
/* The answer's attribute i of `wanted`. text: UTF-8, without padding; values joined by backslash. For SQ: `encoded` holds the element's items, explicit VR little
 * endian, UTF-8. Valid until the next archive_query_next. */
typedef struct archive_value { const char *text; size_t n; bool present; dicom_vr vr; const uint8_t *encoded; size_t encoded_length; } archive_value;
typedef struct archive_cursor archive_cursor;
/* Compiles and starts; keys and wanted are not needed any more afterwards. Answers come in the order of row ids, that of arrival. GN_E_INVALID names the key that cannot be used at this level (hierarchical rules of PS3.4 C.4.1.2.2) or is malformed. */
int archive_query_open(archive *a, const archive_query *q, archive_cursor **out, gn_error *e);
/* 0: *values (wanted_count of them) and, unless NULL, the row's id; 1: no more; <0: error. Computed attributes (PS3.4 C.3.4: NumberOfStudyRelatedInstances,
 * ModalitiesInStudy, …) and InstanceAvailability are answered too. */
int archive_query_next(archive_cursor *c, const archive_value **values, int64_t *row_id, gn_error *e);
void archive_query_close(archive_cursor **c);

/* What `includefield=all` means: all attributes that an answer of this level can have without reading instances, at IMAGE also the usual ones of images. Returns
 * how many were written, at most `capacity`. */
size_t archive_known_attributes(archive_level level, dicom_tag *tags, size_t capacity);

/* ---- giving back ------------------------------------------------------------------------------------------------------- */

/* One stored object: a slice of an open file. Hold it while sending; release it afterwards. */
typedef struct archive_object {
    int64_t instance_id;
    char sop_class[65], sop_instance[65], transfer_syntax[65];
    int fd;                           /* borrowed: belongs to the store until archive_object_release */
    uint64_t offset, length;          /* of the whole Part 10 object in fd */
    uint64_t dataset_offset;          /* of the data set, from `offset` */
    void *hold;
} archive_object;
typedef struct archive_selection { archive_level level; const char *patient_id; const char *study_uids, *series_uids, *sop_uids; /* backslash lists or NULL */ bool everything; /* the whole archive is meant: a selection that names nothing is refused otherwise */ } archive_selection;
typedef struct archive_retrieval archive_retrieval;
/* Selects instances in a fixed order (study, series number, instance number). *count tells how many. Nothing found is count 0, not an error. Everything
 * comes in the order of places. */
int archive_retrieve_open(archive *a, const archive_selection *s, archive_retrieval **out, size_t *count, gn_error *e);
/* 0: *object opened (and the one after it read ahead); 1: no more; <0: this object is damaged or gone, *object names it; go on with the next call. */
int archive_retrieve_next(archive_retrieval *r, archive_object *object, gn_error *e);
/* SOP classes and transfer syntaxes of all selected instances, for proposing presentation contexts: pairs, distinct. */
typedef struct archive_kind { char sop_class[65], transfer_syntax[65]; } archive_kind;
int archive_retrieve_kinds(archive_retrieval *r, archive_kind *kinds, size_t capacity, size_t *count, gn_error *e);
void archive_retrieve_close(archive_retrieval **r);
int archive_object_open(archive *a, const char *sop_instance, archive_object *object, gn_error *e);
void archive_object_release(archive *a, archive_object *object);
/* Stored data set without bulk as DICOM JSON (PS3.18 F), appended to out. */
int archive_instance_json(archive *a, int64_t instance_id, gn_buf *out, gn_error *e);
/* What PS3.18 §10.4.1.1.2 calls metadata: a JSON array with an object for each instance, by series number and instance number, appended to out; as a whole
 * gzip stream if asked. series_uid NULL: of the whole study. Kept ready for series of some instances soon after they stopped growing. BulkDataURI are paths
 * from the root: /dicom-web/studies/…/series/…/instances/…/bulkdata/ and where in the data set. NOT_FOUND: no such study or series. */
int archive_series_metadata(archive *a, const char *study_uid, const char *series_uid, bool gzip, gn_buf *out, gn_error *e);
/* The same array for one instance, uncompressed. NOT_FOUND also when it belongs to another series. */
int archive_instance_metadata(archive *a, const char *study_uid, const char *series_uid, const char *sop_instance, gn_buf *out, gn_error *e);
/* Storage commitment (PS3.4 J): is exactly this instance here, of this class, and are its bytes as they came? 0 yes; NOT_FOUND, MISMATCH, CORRUPT. */
int archive_check_instance(archive *a, const char *sop_class, const char *sop_instance, bool read_back, gn_error *e);

/* ---- events and jobs --------------------------------------------------------------------------------------------------- */

typedef struct archive_event { int64_t sequence; int64_t at_us; char type[32]; int64_t instance_id, series_id, study_id; char detail[256]; } archive_event;
/* Events after `since`, oldest first; *count filled. "instance.stored" "instance.replaced" "instance.conflict" "instance.refused" "study.new" "series.new". */
int archive_events_read(archive *a, int64_t since, archive_event *events, size_t capacity, size_t *count, gn_error *e);
/* Blocks until an event after `since` exists or timeout. 1 yes, 0 timeout. */
int archive_events_wait(archive *a, int64_t since, uint32_t timeout_ms);

/* Long or outgoing work: a durable row with priority, lease, attempts. Kinds are the caller's words ("commitment.report", "send"). */
typedef struct archive_job { int64_t id; char kind[32]; int priority; unsigned attempts; char *payload; /* JSON text; gn_buf memory, free() */ } archive_job;
int archive_job_add(archive *a, const char *kind, int priority, const char *payload, int64_t not_before_us, int64_t *id, gn_error *e);
/* Takes the next due job of the kind and leases it. 0 taken, 1 none. */
int archive_job_take(archive *a, const char *kind, uint32_t lease_ms, archive_job *job, gn_error *e);
/* Ends it (result text, may be NULL), or gives it back for another attempt after retry_ms. */
int archive_job_done(archive *a, int64_t id, const char *result, gn_error *e);
int archive_job_retry(archive *a, int64_t id, uint32_t retry_ms, const char *why, gn_error *e);

/* ---- care -------------------------------------------------------------------------------------------------------------- */

typedef struct archive_stats { int64_t patients, studies, series, instances, bytes, disk_bytes, free_bytes, quarantined, superseded, events, jobs_open; } archive_stats;
int archive_get_stats(archive *a, archive_stats *s, gn_error *e);

/* Every object's bytes against its checksum, index against store, store against index. on_problem gets one line each
 * ("damaged" | "missing" | "unknown" | "not-indexed", object, detail). repair: re-index what is whole but unknown, mark what is damaged,
 * move damaged stretches that belong to nothing known into quarantine. Returns number of problems or <0. */
typedef struct archive_verify_options { bool repair; void (*on_problem)(void *ctx, const char *kind, const char *object, const char *detail); bool (*on_progress)(void *ctx, const archive_progress *p); void *ctx; } archive_verify_options;
int64_t archive_verify(archive *a, const archive_verify_options *o, gn_error *e);

#endif
