/* attributes: which attributes have a column in the index, and where all others are found.
 *
 * A column answers a key by SQL and a wanted attribute without parsing anything. The other attributes of patient and study lie in
 * study_attrs, those of series in series_attrs (both data sets in explicit VR little endian, UTF-8), everything else in the
 * metadata of the instance; a study or series is represented there by its first instance. */
#ifndef GANTRY_ARCHIVE_INDEX_ATTRIBUTES_H
#define GANTRY_ARCHIVE_INDEX_ATTRIBUTES_H

#include "archive/archive.h"

typedef enum attribute_kind {
    ATTRIBUTE_UID,
    ATTRIBUTE_TEXT,
    ATTRIBUTE_PATIENT_ID,   /* key of the table patient */
    ATTRIBUTE_PATIENT_NAME, /* name, and its groups folded in name_a, name_i, name_p */
    ATTRIBUTE_NAME,
    ATTRIBUTE_DATE,         /* number yyyymmdd */
    ATTRIBUTE_TIME,         /* microseconds in `column`, as it came in COLUMN_text */
    ATTRIBUTE_INT,
    ATTRIBUTE_SET,          /* "\CT\MR\" */
    ATTRIBUTE_COUNT,        /* computed; `column` is an expression, @ the alias of the row */
    ATTRIBUTE_FIXED         /* answered with the text in `column`, never matched */
} attribute_kind;

typedef struct attribute {
    dicom_tag tag;
    dicom_vr vr;
    archive_level level;
    attribute_kind kind;
    const char *column;
} attribute;

const attribute *attribute_find(dicom_tag tag); /* NULL: no column */
/* Of an attribute without a column: ARCHIVE_STUDY (also for the patient's), ARCHIVE_SERIES or, all others, ARCHIVE_IMAGE. */
archive_level attribute_level(dicom_tag tag);
/* The time that goes with a date in combined matching (PS3.4 C.2.2.2.5); NULL: none. */
const attribute *attribute_time_of(const attribute *date);

#endif
