/* encode: data sets as bytes in the form in which the index keeps and answers them: explicit VR little endian, UTF-8. */
#ifndef GANTRY_ARCHIVE_INDEX_ENCODE_H
#define GANTRY_ARCHIVE_INDEX_ENCODE_H

#include "dicom/dicom.h"

/* Top-level elements for which accept() is true, sequences with all that is in them. Bulk and group lengths are left out, and what
 * takes more than a quarter of `limit` bytes or would make the whole longer than that. Text becomes UTF-8, with a Specific
 * Character Set in front when any is not ASCII. Appends nothing when nothing was accepted. */
enum { ENCODE_ATTRIBUTES = 65536 }; /* limit for what is kept of a study or series */
void encode_dataset(const dicom_dataset *ds, bool (*accept)(const void *ctx, dicom_tag tag), const void *ctx, size_t limit, gn_buf *out);
/* The items of a sequence alone. */
void encode_items(const dicom_element *sequence, gn_buf *out);

#endif
