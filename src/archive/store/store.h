/* store: where the bytes of objects lie on local disk. Packs (append-only logs of records, docs/packs.md) and files of their own for large
 * objects. Private to the archive room; knows nothing of DICOM beyond "an object has a SOP Instance UID".
 *
 * Layout under the data directory:
 *   gantry.marker            says that this is an archive (T32: an empty mount point is recognised), with its id
 *   packs/00000001.pack …    records aligned to 4 KiB: a 512-byte header, the Part 10 object, zeros to the next 4 KiB; a new pack at 1 GiB
 *   objects/0000000a/000000000000a3f7.dcm   large objects, named by our own number, never by anything from outside (T12)
 *   incoming/                large objects being received; emptied at start
 *   quarantine/              refused objects (N.dcm) with their reason (N.json)
 * Everything is opened relative to one descriptor of the directory, without following links. */
#ifndef GANTRY_ARCHIVE_STORE_H
#define GANTRY_ARCHIVE_STORE_H

#include "archive/archive.h"
#include "index.h"

#include <sys/uio.h>

#define STORE_MARKER "gantry.marker"
#define STORE_RECORD_HEADER 512u
#define STORE_ALIGN 4096u
#define STORE_BATCH_MAX 256u            /* records a batch at most */

static inline size_t store_align_up(size_t n) { return (n + STORE_ALIGN - 1) & ~(size_t)(STORE_ALIGN - 1); }

typedef enum store_record_kind { STORE_OBJECT = 1, STORE_FILE = 2 /* the object is a file of its own */, STORE_VOID = 3 /* nothing here: dead or never whole */ } store_record_kind;

/* What a record says of its object: enough to index it again from the pack alone. */
typedef struct store_record {
    store_record_kind kind;
    archive_duplicate_policy policy;  /* in force when it came: a replay decides as it was decided then */
    char sop_instance[65], transfer_syntax[65];
    archive_source source;
    int64_t received_us;
    uint32_t findings;
    uint64_t object_length, dataset_offset;
    uint8_t hash[16];                 /* XXH3-128 of the data set's bytes */
    uint8_t object_hash[8];           /* XXH3-64 of the Part 10 header's bytes followed by `hash`: covers the whole object as stored */
    uint64_t file_number;             /* STORE_FILE: its number */
} store_record;

typedef struct store store;
store *store_open(const char *directory, bool read_only, bool must_exist, uint64_t reserve_bytes, gn_error *e);
void store_close(store **s);
int store_writable(store *s, gn_error *e); /* space, earlier sync failures */
/* Looks at the disk again: free space, and whether the directory is still the one that was opened (T32). Each second by the archive. */
void store_refresh(store *s);

/* ---- records ----------------------------------------------------------------------------------------------------------- */

/* A batch of records to append: each image is 4 KiB aligned memory, a multiple of 4 KiB long, header already written at its start by
 * store_record_encode; what depends on the place (and the header's checksum) is filled in by store_append_batch. */
typedef struct store_append { uint8_t *image; size_t length; uint64_t object_length, dataset_offset; index_location location; /* result: of the object */ } store_append;
void store_record_encode(const store_record *r, size_t image_length, uint8_t header[STORE_RECORD_HEADER]);
/* false: not a record, or a damaged one. */
bool store_record_decode(const uint8_t header[STORE_RECORD_HEADER], store_record *r, uint64_t *image_length);
/* Writes all (O_DIRECT where the file system can), syncs once, rolls over to a new pack when full. On error nothing counts as written: the
 * tail is cut off, and after a failed sync the pack is closed for good and a second failure makes the store suspect (T30). *end: position
 * behind the batch. One caller at a time. */
int store_append_batch(store *s, store_append *items, size_t n, index_position *end, gn_error *e);
/* Where the next record goes. After opening: the end of the last pack, until recovery has looked at it. */
index_position store_end(store *s);
/* Recovery's verdict: everything up to here is known. `fresh`: begin a new pack behind it. */
void store_set_end(store *s, const index_position *end, bool fresh);
/* Makes `length` bytes at a position a void record: an object that lost against a duplicate, or bytes that a crash left (then `stretch` is
 * kept in quarantine first). Not synced: after a power cut the replay comes to the same decision. */
int store_void_record(store *s, const index_location *l, gn_error *e);
int store_void_stretch(store *s, const index_position *at, uint64_t length, const char *why, uint64_t quarantine_limit, gn_error *e);

/* ---- large objects ----------------------------------------------------------------------------------------------------- */

typedef struct store_file store_file;
/* Numbers below this one were given away already. */
uint64_t store_file_next(store *s);
int store_file_create(store *s, store_file **f, gn_error *e);
/* Appends. Aligned memory and multiples of STORE_ALIGN go to disk directly; the last call may have any length. */
int store_file_write(store_file *f, const void *p, size_t n, gn_error *e);
int store_file_read(store_file *f, void *p, size_t n, uint64_t offset, gn_error *e); /* what was written, while it is incoming */
uint64_t store_file_length(const store_file *f);
uint64_t store_file_number(const store_file *f);
int store_file_sync(store_file *f, gn_error *e);
/* Links files into place, which were synced and whose records are appended and synced, and syncs their folders. Each file's own code goes
 * to codes[i]; files are freed in every case. */
void store_file_place(store *s, store_file **files, int *codes, size_t n, gn_error *e);
void store_file_discard(store_file **f);
/* At start: puts an incoming file of this number into place when its size is right; 0 also when it is in place already. NOT_FOUND, CORRUPT. */
int store_file_recover(store *s, uint64_t number, uint64_t length, gn_error *e);
int store_file_remove(store *s, uint64_t number, gn_error *e);

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

/* *fd is borrowed and held until store_release. NOT_FOUND: no such pack or file; CORRUPT: it ends before the object does. */
int store_open_object(store *s, const index_location *l, int *fd, uint64_t *offset, void **hold, gn_error *e);
void store_release(store *s, void *hold);
void store_will_need(store *s, const index_location *l); /* reads ahead; best effort */

/* Walks records from a position on (recovery, verify, reindex), to `until` (NULL: the end of the last pack). Damaged stretches are reported
 * with record NULL and `damage` (location: the stretch) and skipped to the next aligned record. */
typedef struct store_visit { const store_record *record; index_location location; index_position at, next; const char *damage; } store_visit;
typedef struct store_walker store_walker;
int store_walk_open(store *s, const index_position *from, const index_position *until, store_walker **out, gn_error *e);
int store_walk_next(store_walker *w, store_visit *v, gn_error *e); /* 0; 1: no more. *v is valid until the next call */
void store_walk_close(store_walker **w);
/* Packs and large objects by name: calls with each file that lies there; `number` 0 when the name is none of ours. */
int store_list(store *s, int (*visit)(void *ctx, bool pack, uint64_t number, uint64_t size, const char *name), void *ctx, gn_error *e);

typedef struct store_hashes { uint8_t hash[16], object_hash[8]; } store_hashes;
/* Reads it all. */
int store_hash_object(store *s, const index_location *l, store_hashes *h, gn_error *e);
/* … and compares with its record (the one in the pack, or `expected`): CORRUPT. */
int store_check_object(store *s, const index_location *l, const store_record *expected, gn_error *e);
void store_object_hash(const void *header, size_t n, const uint8_t hash[16], uint8_t object_hash[8]);

/* Removes what is left in incoming/. */
int store_sweep(store *s, gn_error *e);

/* ---- quarantine -------------------------------------------------------------------------------------------------------- */

/* Keeps the object with its reason, durably; the oldest give way beyond limit_bytes. *number: its name there. */
int store_quarantine(store *s, const struct iovec *parts, int n, const char *reason_json, uint64_t limit_bytes, int64_t *number, gn_error *e);
int store_quarantine_file(store *s, store_file **f, const char *reason_json, uint64_t limit_bytes, int64_t *number, gn_error *e);
/* One that was put into place already, and lost against an earlier one. */
int store_quarantine_placed(store *s, uint64_t file_number, uint64_t length, const char *reason_json, uint64_t limit_bytes, int64_t *number, gn_error *e);
int store_usage(store *s, uint64_t *disk_bytes, uint64_t *free_bytes, int64_t *quarantined, gn_error *e);

#endif
