/* outdir: a folder into which objects are written, each under its SOP Instance UID and nothing else (T12). */
#ifndef GANTRY_SERVICE_OUTDIR_H
#define GANTRY_SERVICE_OUTDIR_H

#include "base/base.h"

typedef struct outdir {
    int fd;
    const char *suffix; /* behind the UID: "" or ".dcm" */
    _Atomic uint64_t number;
} outdir;

/* Opens the folder, made when absent. */
int outdir_open(outdir *d, const char *path, const char *suffix, gn_error *e);
void outdir_close(outdir *d);
/* "", or a dot, letters and digits. */
bool outdir_suffix_valid(const char *suffix);

/* A file on its way: written under a name of our own, which outdir_keep turns into the UID. */
typedef struct outfile { int fd; char name[48]; } outfile;
/* Letters, digits, dots, - and _ (sloppy UIDs are kept by archives), at most 64, never beginning with a dot: safe as a name. */
bool outdir_can_name(const char *uid);
int outdir_create(outdir *d, outfile *f, gn_error *e);
/* GN_E_INVALID: this is no UID. Closes in every case. An existing file of the name is replaced. */
int outdir_keep(outdir *d, outfile *f, const char *uid, gn_error *e);
void outdir_drop(outdir *d, outfile *f);

#endif
