/* fake_archive: an archive in memory that does what a test tells it to: fail in the middle of an object, refuse with a status, answer a
 * query without end, hand out damaged objects. It defines the functions of archive.h that the gateway uses; suites that
 * use it never reach the real archive. */
#ifndef FAKE_ARCHIVE_H
#define FAKE_ARCHIVE_H

#include "archive/archive.h"

#include <pthread.h>

typedef struct fake_object { char sop_class[65], sop_instance[65], transfer_syntax[65]; int fd; uint64_t length; bool damaged; } fake_object;
typedef struct fake_job { archive_job job; bool done, taken; int64_t not_before; char note[128]; unsigned retries; } fake_job;

struct archive {
    pthread_mutex_t lock;         /* guards all below */
    fake_object object[4096];
    size_t count;
    fake_job job[16];
    size_t job_count;
    /* ingest */
    int fail_begin;               /* code, or 0 */
    uint64_t fail_after;          /* advance fails when more bytes than this came (0: never) */
    uint16_t store_status;        /* of results; with it `store_findings` */
    uint32_t store_findings;
    archive_source last_source;
    unsigned aborted;
    /* query */
    uint64_t rows;                /* answers to any query */
    archive_value value[8];       /* by position in `wanted`: copied into each row */
    uint32_t row_pause_us;
    int query_error;              /* of archive_query_open */
    uint32_t seen_flags;
    archive_level seen_level;
    dicom_tag seen_wanted[16];
    size_t seen_wanted_count, seen_keys;
    bool endless_closed;
    archive_selection seen_selection;
    char seen_study[256], seen_patient[65];
    unsigned open_objects;        /* taken and not released */
};

archive *fake_archive_new(void);
void fake_archive_free(archive **a);
void fake_archive_add(archive *a, const char *sop_class, const char *sop_instance, const char *transfer_syntax, const void *bytes, size_t n);
#define FAKE_HEADER 10            /* bytes before the data set in each stored object */

#endif
