/* encode: data sets as bytes in the form in which the index keeps and answers them: explicit VR little endian, UTF-8. */
#ifndef GANTRY_ARCHIVE_INDEX_ENCODE_H
#define GANTRY_ARCHIVE_INDEX_ENCODE_H

#include "dicom/dicom.h"

/* Top-level elements for which accept() is true, sequences with all that is in them. Bulk, group lengths and values beyond
 * ENCODE_VALUE_MAX bytes are left out, and what would make the whole longer than ENCODE_MAX. Text becomes UTF-8, with a Specific
 * Character Set in front when any is not ASCII. Appends nothing when nothing was accepted. */
enum { ENCODE_VALUE_MAX = 16384, ENCODE_MAX = 65536, ENCODE_DEPTH = 16 };
void encode_dataset(const dicom_dataset *ds, bool (*accept)(const void *ctx, dicom_tag tag), const void *ctx, gn_buf *out);
/* The items of a sequence alone. */
void encode_items(const dicom_element *sequence, gn_buf *out);

#endif
