/* walk: the regular files under a path, one after the other in a fixed order, never through a symbolic link. */
#ifndef GANTRY_SERVICE_WALK_H
#define GANTRY_SERVICE_WALK_H

#include "base/base.h"

#include <sys/stat.h>

#define WALK_DEEPEST 64 /* folders within folders */

typedef struct walk_counts { uint64_t files, bytes, skipped; /* skipped: links, devices, sockets, what could not be read, too deep */ } walk_counts;

/* Each file, opened for reading: `fd` belongs to the callee, who closes it. `path` is for messages. Non-zero ends the walk with that. */
typedef int (*walk_file)(void *ctx, int fd, const char *path, const struct stat *st);
/* What could not be looked at; may be NULL. */
typedef void (*walk_skip)(void *ctx, const char *path, const char *why);

/* `path` itself may be a link (its owner wrote it); what is found below it may not. GN_E_NOT_FOUND, GN_E_IO: path itself is unusable. */
int walk_path(const char *path, walk_file file, walk_skip skip, void *ctx, walk_counts *counts, gn_error *e);

#endif
