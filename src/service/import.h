/* import: taking files, ZIP members and media into an archive. cmd_import.c is the command line, import_work.c the workers,
 * import_file.c one object, import_media.c DICOMDIRs, import_state.c what was done when an import was cut off. */
#ifndef GANTRY_SERVICE_IMPORT_H
#define GANTRY_SERVICE_IMPORT_H

#include "archive/archive.h"
#include "progress.h"
#include "zip.h"

#include <pthread.h>
#include <sys/stat.h>

#define IMPORT_NESTED 3 /* archives within archives */

typedef enum import_count { IMPORT_STORED, IMPORT_DUPLICATE, IMPORT_CONFLICT, IMPORT_REPLACED, IMPORT_REFUSED, IMPORT_WARNED, IMPORT_FAILED, IMPORT_NOT_DICOM,
    IMPORT_DIRECTORIES, IMPORT_SKIPPED, IMPORT_RESUMED, IMPORT_COUNTS } import_count;
extern const char *const import_count_names[IMPORT_COUNTS]; /* "stored", "duplicates", … as in JSON */

typedef struct import_state import_state;

typedef struct import {
    archive *archive;
    import_state *state;             /* NULL: none is kept */
    uint64_t unpack_limit;           /* of a ZIP archive; 0: by its size */
    progress bar;
    _Atomic uint64_t count[IMPORT_COUNTS], bytes;
    _Atomic bool stop;               /* interrupted, or the archive cannot take more */
    gn_error fatal;                  /* why, under lock */
    pthread_mutex_t lock;            /* guards fatal and the calls of on_problem */
    /* A file that was not taken, or taken with a warning. */
    void (*on_problem)(void *ctx, const char *kind, const char *path, const char *reason);
    void *ctx;
} import;

void import_problem(import *im, import_count kind, const char *path, const char *reason);
/* The archive itself failed: everybody stops. */
void import_fatal(import *im, const gn_error *e);

/* ---- one object ------------------------------------------------------------------------------------------------------------ */

/* Where bytes come from. *n = 0: the end. */
typedef struct import_source { int (*read)(void *ctx, void *buf, size_t cap, size_t *n, gn_error *e); void *ctx; uint64_t size; /* a hint */ const char *path; } import_source;
typedef enum import_kind { IMPORT_IS_OBJECT, IMPORT_IS_ZIP, IMPORT_IS_OTHER } import_kind;
/* Takes the object in and counts what became of it. IMPORT_IS_ZIP: it is an archive, *head holds what was read of it. */
import_kind import_object(import *im, const import_source *s, gn_buf *head);
int import_read_fd(void *fd, void *buf, size_t cap, size_t *n, gn_error *e); /* ctx: int * */

/* ---- workers ------------------------------------------------------------------------------------------------------------------ */

typedef struct import_pool import_pool;
import_pool *import_pool_new(import *im, unsigned jobs, gn_error *e);
/* Hands over an open file; waits when enough are queued. `base`: for messages. */
int import_pool_add(import_pool *p, int fd, const char *path, const struct stat *st);
/* Waits until all is done. */
void import_pool_free(import_pool **p);

/* ---- media ---------------------------------------------------------------------------------------------------------------------- */

/* Hands all files that a DICOMDIR names to the pool. GN_E_INVALID: it cannot be read. */
int import_media(import *im, import_pool *pool, int fd, const char *path, const struct stat *st, gn_error *e);
/* May this be a component of a file ID (PS3.10 §8.5)? Nothing that could leave the folder. */
bool import_component_valid(const char *component, size_t n);

/* ---- state ------------------------------------------------------------------------------------------------------------------------ */

/* Opens or makes DIR/import.state. */
import_state *import_state_open(const char *directory, gn_error *e);
/* Was a file of this identity (device, number, size, time) done before? */
bool import_state_knows(const import_state *s, const struct stat *st);
void import_state_done(import_state *s, const struct stat *st); /* any thread */
/* `finished`: everything is done, the next import begins anew. */
void import_state_close(import_state **s, bool finished);

#endif
