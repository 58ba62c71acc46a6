/* store: where the bytes of objects lie on local disk. Packs (append-only logs of records, PACKS.md in docs/) and files of their own for large objects.
 * Private to the archive room; knows nothing of DICOM beyond "an object has a SOP Instance UID".
 *
 * Layout under the data directory:
 *   gantry.marker            says that this is an archive (T32: an empty mount point is recognised), with its id
 *   packs/00000001.pack …    records aligned to 4 KiB: a 512-byte header, the Part 10 object, zeros to the next 4 KiB; a new pack at 1 GiB
 *   objects/ab/cdef….dcm     large objects, named by our own number, never by anything from outside (T12)
 *   incoming/                large objects being received; emptied at start
 *   quarantine/              refused objects (N.dcm) with their reason (N.json) */
#ifndef GANTRY_ARCHIVE_STORE_H
#define GANTRY_ARCHIVE_STORE_H

#include "archive/archive.h"
#include "index.h"

#define STORE_RECORD_HEADER 512u
#define STORE_ALIGN 4096u

/* What a record says of its object: enough to index it again from the pack alone. */
typedef struct store_record {
    char sop_instance[65], transfer_syntax[65];
    archive_source source;
    int64_t received_us;
    uint32_t findings;
    uint64_t object_length, dataset_offset;
    uint8_t hash[16];                 /* XXH3-128 of the data set's bytes */
    uint8_t object_hash[8];           /* XXH3-64 of the whole object as stored */
    uint64_t file_number;             /* 0: the object follows in the pack; else it is the file objects/… of this number */
} store_record;

typedef struct store store;
store *store_open(const char *directory, bool read_only, uint64_t reserve_bytes, gn_error *e);
void store_close(store **s);
int store_writable(store *s, gn_error *e); /* space, earlier sync failures */

/* A batch of records to append: each image is 4 KiB aligned memory, a multiple of 4 KiB long, header already written at its start by store_record_encode. */
typedef struct store_append { const uint8_t *image; size_t length; index_location location; /* result */ } store_append;
void store_record_encode(const store_record *r, size_t image_length, uint8_t header[STORE_RECORD_HEADER]);
bool store_record_decode(const uint8_t header[STORE_RECORD_HEADER], store_record *r, size_t *image_length);
/* Writes all (O_DIRECT where the file system can), syncs once, rolls over to a new pack when full. On error nothing counts as written: the tail is cut off, and
 * after a failed sync the pack is closed for good and the store is suspect (T30). *end: position behind the batch. One caller at a time. */
int store_append_batch(store *s, store_append *items, size_t n, index_position *end, gn_error *e);

/* Large objects. */
typedef struct store_file store_file;
int store_file_create(store *s, store_file **f, gn_error *e);
int store_file_write(store_file *f, const void *p, size_t n, gn_error *e); /* starts write-back early */
int store_file_commit(store_file **f, uint64_t *file_number, gn_error *e); /* sync, link into place, sync the folder */
void store_file_discard(store_file **f);

/* Reading: *fd is borrowed and held until store_release. */
int store_open_object(store *s, const index_location *l, int *fd, uint64_t *offset, void **hold, gn_error *e);
void store_release(store *s, void *hold);

/* Walks records from a position on (recovery, verify, reindex). Damaged stretches are reported with record NULL and skipped to the next aligned record. */
typedef struct store_visit { const store_record *record; index_location location; index_position next; const char *damage; } store_visit;
int store_walk(store *s, const index_position *from, int (*visit)(void *ctx, const store_visit *v), void *ctx, gn_error *e);
/* Removes unreferenced leftovers: incoming/*, large files without a record (known() says no). */
int store_sweep(store *s, gn_error *e);
int store_check_object(store *s, const index_location *l, const store_record *expected_or_null, gn_error *e); /* reads it all, compares hashes: CORRUPT */

/* Quarantine: keeps the object with its reason; returns its number. */
int store_quarantine(store *s, const struct iovec *parts, int n, const char *reason_json, uint64_t limit_bytes, int64_t *number, gn_error *e);
int store_quarantine_file(store *s, store_file **f, const char *reason_json, uint64_t limit_bytes, int64_t *number, gn_error *e);
int store_usage(store *s, uint64_t *disk_bytes, uint64_t *free_bytes, int64_t *quarantined, gn_error *e);

#endif
