/* What the files of the archive share: the archive itself, the pool of memory for objects being received, and the commit.
 * Store and index have headers of their own; this is all that stands above them. */
#ifndef GANTRY_ARCHIVE_INTERNAL_H
#define GANTRY_ARCHIVE_INTERNAL_H

#include "index/index.h"
#include "records/records_internal.h"
#include "store/store.h"

#include <pthread.h>
#include <zstd.h>

/* ---- memory.c: the pool ------------------------------------------------------------------------------------------------- */

/* One buffer: as much address space as an object in a pack may need, of which only what was charged is touched. Reused hot, last in first out. */
typedef struct pool_block {
    uint8_t *p;     /* STORE_ALIGN aligned */
    size_t charged; /* bytes from p on that may be touched */
    uint64_t given_at;
    struct pool_block *next;
} pool_block;

/* What parsing and describing one object needs besides its bytes; kept for reuse likewise. */
typedef struct scratch {
    gn_arena *arena;
    ZSTD_CCtx *zstd;
    struct XXH3_state_s *hash;
    gn_buf json, packed, frames;
    uint64_t given_at;
    struct scratch *next;
} scratch;

typedef struct pool {
    pthread_mutex_t lock; /* guards all below */
    size_t block_size, limit, used; /* used: charged bytes of all blocks, idle ones too */
    pool_block *idle;
    scratch *idle_scratch;
    unsigned active, peak, idle_count, idle_scratch_count;
} pool;

#define POOL_FIRST_CHARGE ((size_t)64 << 10)
int pool_init(pool *p, size_t block_size, size_t limit, gn_error *e);
void pool_done(pool *p);
pool_block *pool_take(pool *p, gn_error *e);
/* Makes the first `bytes` of a block usable; false: the pool is exhausted. */
bool pool_charge(pool *p, pool_block *b, size_t bytes);
void pool_give(pool *p, pool_block *b);
scratch *pool_take_scratch(pool *p, gn_error *e);
void pool_give_scratch(pool *p, scratch *s);
void pool_trim(pool *p, uint64_t now); /* frees what was idle for some seconds */

/* ---- describe.c, validate.c: what is known of an object ----------------------------------------------------------------- */

/* Bytes of a data set wherever they are: for offset tables and the first bytes of fragments. */
typedef int (*object_read)(void *ctx, uint64_t offset, void *buf, size_t n);

typedef struct verdict {
    uint32_t findings;
    int code;         /* 0: can be kept; else why not */
    uint16_t status;  /* of a refusal */
    char comment[65]; /* of a refusal, or of the finding worth telling */
} verdict;

/* UIDs into *result, and what is wrong with them. sop_class, sop_instance: as the command says, or NULL. */
void validate_identity(const dicom_dataset *ds, const char *sop_class, const char *sop_instance, verdict *v, archive_result *result);
void validate_pixels(const dicom_pixel_description *d, int frames_code, verdict *v);
void validate_header(const void *file_header, size_t n, verdict *v);
void validate_parse_error(const gn_error *e, verdict *v); /* of the streaming reader */
void refuse(verdict *v, int code, uint16_t status, const char *format, ...) GN_PRINTF(4, 5);
/* Is this finding worth a warning status? */
bool finding_warns(uint32_t findings);

extern const dicom_stream_options DESCRIBE_STREAM; /* how objects are parsed as they pass */
const dicom_transfer_syntax *describe_transfer_syntax(const char *uid, dicom_transfer_syntax *unknown);
/* Frame table and pixel findings, then metadata: into s->frames and s->packed, and from there into *x (borrowed from s). */
void describe_pixels(scratch *s, const dicom_dataset *ds, const dicom_transfer_syntax *ts, object_read read_at, void *ctx, verdict *v, index_instance *x);
int describe_metadata(scratch *s, const dicom_dataset *ds, index_instance *x, gn_error *e);

/* ---- commit.c ------------------------------------------------------------------------------------------------------------ */

typedef struct commit_item {
    store_append append;      /* the record */
    store_file *file;         /* a large object that the record names; taken over */
    uint64_t file_number;
    index_instance *instance; /* its location is filled in */
    archive_duplicate_policy policy;
    int code;                 /* result */
    gn_error error;
    /* of the commit itself */
    index_position end;
    uint64_t batch;
    _Atomic uint32_t state;
    struct commit_item *next;
} commit_item;

typedef struct commit_queue { commit_item *first, **last; } commit_queue;
typedef struct committer {
    pthread_mutex_t lock; /* guards all below */
    commit_queue to_append, to_index;
    bool appending, indexing;
    uint64_t batches;
    pthread_mutex_t index_turn; /* held while a batch is written to the index: position moves in order */
    index_position position;    /* that the index knows; under index_turn */
    _Atomic uint64_t committed_bytes, committed; /* since the last checkpoint */
} committer;

void commit_init(archive *a);
void commit_done(archive *a);
/* Returns when bytes and row are safe, or not: item->code. */
int commit_run(archive *a, commit_item *item);
/* Rows for records that lie in packs already (repair): in one transaction, the position stays. */
int commit_rows(archive *a, index_instance *const *items, size_t n, archive_duplicate_policy policy, gn_error *e);

/* ---- quarantine of refused objects (ingest.c, recover.c) ----------------------------------------------------------------- */

typedef struct refusal { const char *sop_instance, *transfer_syntax, *comment; uint16_t status; uint32_t findings; const archive_source *source; } refusal;
void refusal_json(const refusal *r, gn_buf *out);
uint64_t quarantine_limit(const archive *a);

/* ---- recover.c ----------------------------------------------------------------------------------------------------------- */

/* Brings the index up to what the packs hold. */
int recover(archive *a, gn_error *e);

/* ---- reread.c: stored objects parsed again, for recovery and verify ----------------------------------------------------- */

/* A stored object as the index wants it. Not to be moved once filled: x points into it. */
typedef struct reread { index_instance x; archive_result uids; dicom_transfer_syntax unknown; store_record record; index_position at; scratch *scratch; } reread;
/* Reads, checks (CORRUPT) and parses. reread_done also after a failure. */
int reread_object(archive *a, const store_record *r, const index_location *l, reread *out, gn_error *e);
void reread_done(archive *a, reread *r);
/* Keeps a stored object in quarantine too. */
int reread_quarantine(archive *a, const reread *r, const char *why, gn_error *e);

/* metadata_keep.c: the thread that makes the metadata of series ready. */
void metadata_keep(void *archive);

/* ---- the archive --------------------------------------------------------------------------------------------------------- */

struct archive {
    archive_config config; /* strings are our own; defaults filled in */
    char *directory, *index_path;
    int lock_fd;
    store *store;
    index_engine *index;
    pthread_mutex_t records_lock; /* guards opening of: */
    record_base *records;             /* NULL until somebody asks */
    pool pool;
    committer commit;

    pthread_mutex_t lock; /* guards stop and the waits on both conditions */
    pthread_cond_t wake, news;
    bool stop;
    _Atomic int event_waiters;
    gn_thread keeper; /* checkpoints, trims, looks at the disk */
    gn_thread metadata_keeper;
};

/* The records, opened when first asked for. */
int archive_records_of(archive *a, record_base **out, gn_error *e);
/* For the threads that look after an archive. false: it is being closed. */
bool archive_wait_a_second(archive *a);
/* New events may be there: wakes archive_events_wait. */
void archive_news(archive *a);

#endif
