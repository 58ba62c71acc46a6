/* rig: what the suites of the archive share: an archive in a folder of its own, objects sent to it and compared with what it gives back. */
#ifndef ARCHIVE_RIG_H
#define ARCHIVE_RIG_H

#include "check.h"
#include "synth.h"

typedef struct rig {
    char directory[512];
    archive_config config; /* of the next rig_open */
    archive *archive;
    gn_error error;        /* of the last call */
} rig;

void rig_init(rig *r);                /* a fresh folder, nothing opened */
bool rig_open(rig *r);                /* also after rig_close: the same folder */
void rig_close(rig *r);

/* Sends bytes of a data set in pieces of at most `piece` bytes (0: at once) as a C-STORE of these UIDs (NULL: without a command). */
int rig_send_bytes(rig *r, const void *p, size_t n, const char *sop_class, const char *sop, size_t piece, archive_result *result);
int rig_send(rig *r, const synth *s, archive_result *result);
/* The data set stored under a UID, whole. */
bool rig_fetch(rig *r, const char *sop, gn_buf *out);
/* Is what is stored exactly what rig_send of this object sent? */
bool rig_holds(rig *r, const synth *s);
unsigned rig_count(const rig *r, const char *folder, const char *suffix); /* files in a folder below the archive */
int64_t rig_verify(rig *r, bool repair, char *kinds, size_t size);        /* kinds: "damaged missing " … in order */
char *rig_path(const rig *r, const char *name, char out[700]);

#endif
