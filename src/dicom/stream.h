/* stream: what the reader of memory shares with the reader of streams. Private to dicom. */
#ifndef GANTRY_DICOM_STREAM_H
#define GANTRY_DICOM_STREAM_H

#include "scan.h"

#define DICOM_DEFAULT_MAX_VALUE (64u << 10)
#define DICOM_DEFAULT_MAX_HEADER ((size_t)32 << 20)
#define DICOM_DEFAULT_MAX_FRAGMENTS ((size_t)1000000)
#define DICOM_DEFAULT_MAX_INFLATED (UINT64_C(4) << 30)

/* As dicom_stream_new, with what only the readers of memory ask for. */
dicom_stream *dicom_stream_open(gn_arena *arena, const dicom_transfer_syntax *ts, const scan_options *options,
                                uint64_t max_inflated, gn_error *e);

#endif
