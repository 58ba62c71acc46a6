/* part10: what must be known of a DICOM file before it is sent or stored: where its data set begins, how it is encoded, what it is. */
#ifndef GANTRY_SERVICE_PART10_H
#define GANTRY_SERVICE_PART10_H

#include "base/base.h"
#include "dicom/dicom.h"

typedef struct part10 {
    char sop_class[65], sop_instance[65], transfer_syntax[65];
    uint64_t dataset_offset;
    bool has_meta;   /* a meta group (with or without preamble) that is worth keeping */
    bool directory;  /* a DICOMDIR (PS3.10 §8.6), not an instance */
} part10;

/* Looks at the first bytes of a file. 0: *out is filled. 1: this is no DICOM file. <0: it is one, but broken, or cannot be read; e says how. */
int part10_look(int fd, uint64_t size, part10 *out, gn_error *e);
/* The same of bytes in memory. `all`: there is nothing behind them. GN_E_TRUNCATED when more are needed. */
int part10_look_at(const void *bytes, size_t n, bool all, part10 *out, gn_error *e);

#endif
