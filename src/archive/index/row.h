/* row: values of columns from data sets: text as UTF-8, names folded by component group, dates and times as numbers. */
#ifndef GANTRY_ARCHIVE_INDEX_ROW_H
#define GANTRY_ARCHIVE_INDEX_ROW_H

#include "db.h"
#include "dicom/dicom.h"

enum { ROW_TEXT_MAX = 512 }; /* bytes of a column; longer text is cut between code points */

typedef struct row_text {
    const char *p; /* NULL: absent or empty */
    size_t n;
} row_text;

/* Text of an attribute: as it lies in the data set when that is UTF-8 already, else in `arena`. No NUL inside. */
row_text row_text_of(gn_arena *arena, const dicom_dataset *ds, dicom_tag tag);
/* Group g of a UTF-8 name in the form in which names are compared: folded, without spaces around and empty components behind. */
row_text row_name_group(gn_arena *arena, row_text name, unsigned g);
/* The same for one group alone, as a key has it. */
row_text row_fold_group(gn_arena *arena, const char *group, size_t n);

/* Bind column i.. of a statement; what is absent or no date, time or number becomes NULL. */
void row_bind(db_stmt *s, int i, row_text t);
void row_bind_text(db_stmt *s, int i, gn_arena *arena, const dicom_dataset *ds, dicom_tag tag);
void row_bind_date(db_stmt *s, int i, const dicom_dataset *ds, dicom_tag tag);
void row_bind_time(db_stmt *s, int i, gn_arena *arena, const dicom_dataset *ds, dicom_tag tag); /* two columns: number and text */
void row_bind_int(db_stmt *s, int i, const dicom_dataset *ds, dicom_tag tag);
void row_bind_name(db_stmt *s, int i, gn_arena *arena, row_text name); /* four columns: name and its groups */

/* Is `member` in the set "\CT\MR\" of n bytes? An empty member is in every set. */
bool row_set_has(const char *set, size_t n, row_text member);

#endif
