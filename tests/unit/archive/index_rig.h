/* index_rig: what the suites of the index share: an index in a folder of its own, instances told in a line, queries answered in a line.
 *
 * A data set is told as "PatientName=Doe^John;PatientID=1": keywords of the dictionary, or eight hexadecimal digits and a VR
 * ("00091001LO=x"), each with a value as bytes; \\xNN in C strings gives bytes of other character sets. A sequence holds items in
 * brackets: "RequestAttributesSequence=[ScheduledProcedureStepID=7]". */
#ifndef INDEX_RIG_H
#define INDEX_RIG_H

#include "check.h"
#include "index.h"

typedef struct index_rig {
    char path[600];
    index_engine *x;
    gn_arena *arena;      /* of data sets, until rig_done */
    gn_error error;       /* of the last call */
    unsigned made;        /* instances so far */
    char answer[1 << 16];
} index_rig;

/* Opens a fresh index. false: it failed, and the check says so. */
bool rig_init(index_rig *r);
bool rig_reopen(index_rig *r);
void rig_done(index_rig *r);

dicom_dataset *rig_dataset(gn_arena *arena, const char *spec);
/* An instance told by `spec`; UIDs that are not in it are made: study "1.1", series "1.1.1", instance "1.1.1.N". `content` stands for
 * its bytes: the same text is the same hash. Lives in the rig's arena. */
index_instance *rig_instance(index_rig *r, const char *spec, const char *content);
/* Adds one; returns its outcome, or a negative code. */
int rig_add(index_rig *r, const char *spec);
int rig_add_item(index_rig *r, index_instance *it, archive_duplicate_policy policy);

#define STUDY_ROOT ((uint32_t)ARCHIVE_QUERY_STUDY_ROOT)
#define RELATIONAL ((uint32_t)(ARCHIVE_QUERY_STUDY_ROOT | ARCHIVE_QUERY_RELATIONAL))
/* Answers as text: values joined by '|', rows by ' '; "!NAME" for an error code. `wanted`: keywords joined by ','. */
const char *rig_find(index_rig *r, archive_level level, uint32_t flags, const char *keys, const char *wanted);
const char *rig_run(index_rig *r, archive_query *q, const char *wanted);

#endif
