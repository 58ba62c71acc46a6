/* An object being received: shared by ingest.c, which takes it in, and finish.c, which decides about it. */
#ifndef GANTRY_ARCHIVE_INGEST_H
#define GANTRY_ARCHIVE_INGEST_H

#include "internal.h"
#include "store/hash.h"

struct archive_ingest {
    archive *archive;
    scratch *scratch;
    pool_block *block;
    dicom_stream *stream;
    const dicom_transfer_syntax *ts;
    dicom_transfer_syntax unknown_syntax;
    char syntax[65], sop_class[65], sop_instance[65]; /* as the request says; may be empty */
    archive_source source;
    const uint8_t *header; /* copy of the Part 10 header */
    size_t header_length;
    bool header_made;
    size_t n;              /* bytes in the block, from its start */
    size_t dataset_at;     /* of the data set in the block, while it is in memory; 0: not known yet */
    uint64_t dataset_length;
    store_file *file;      /* the object went to a file */
    bool heals;            /* the index has these bytes, marked as damaged */
    gn_error error;        /* the archive failed: nothing of it will be kept */
};

int ingest_set_header(archive_ingest *in, const void *p, size_t n, gn_error *e);
int ingest_make_header(archive_ingest *in, const char *sop_class, const char *sop_instance, gn_error *e);
int ingest_spill(archive_ingest *in, gn_error *e);
int ingest_close(archive_ingest *in, gn_error *e);
int ingest_read(void *ctx, uint64_t offset, void *buf, size_t n);
void ingest_free(archive_ingest **in);

#endif
