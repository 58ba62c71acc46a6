/* metadata: what makes and what keeps the metadata of series share. Private to the archive room. */
#ifndef GANTRY_ARCHIVE_METADATA_H
#define GANTRY_ARCHIVE_METADATA_H

#include "internal.h"

#include <zlib.h>

enum { METADATA_KEEP_FROM = 8 }; /* instances; fewer are made faster than looked up */
#define METADATA_KEEP_MAX ((size_t)32 << 20)
static inline bool metadata_worth_keeping(const index_series *s) { return s->n_instances >= METADATA_KEEP_FROM && s->kept_length <= METADATA_KEEP_MAX; }

/* The stretch of a series, appended to out, and what is said of it into *series; `kept` points into out until that grows. */
int metadata_pack(archive *a, index_series *series, int level, gn_buf *out, gn_error *e);

#endif
