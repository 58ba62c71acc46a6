/* synth: small, valid, made-up objects for the suites and the benchmark of the archive. Explicit VR little endian, data set only. */
#ifndef ARCHIVE_SYNTH_H
#define ARCHIVE_SYNTH_H

#include "archive/archive.h"

typedef struct synth {
    const char *patient, *study, *series, *sop, *sop_class; /* NULL: a default of its own; "": left out */
    unsigned rows, columns;      /* 16 bits a pixel; 0: no pixels */
    unsigned frames;             /* 0: one */
    unsigned missing;            /* bytes by which the pixel data is shorter than that */
    unsigned number;             /* Instance Number */
    unsigned extra;              /* further elements, for headers of real size */
    uint32_t seed;               /* of the pixels */
} synth;

#define SYNTH_CT "1.2.840.10008.5.1.4.1.1.2"

void synth_object(const synth *s, gn_buf *out);
/* One element; value padded to even length. */
void synth_element(gn_buf *b, dicom_tag tag, const char *vr, const void *value, size_t n);
void synth_text(gn_buf *b, dicom_tag tag, const char *vr, const char *text);

#endif
