/* zip: reading ZIP archives that nobody vouches for, and writing them as a stream.
 *
 * The reader walks the central directory and inflates one member at a time into the caller's buffer. Names are only for people: they
 * never become paths. Sizes in headers are bounds for what is read from the file, never for what is allocated (T6). */
#ifndef GANTRY_SERVICE_ZIP_H
#define GANTRY_SERVICE_ZIP_H

#include "base/base.h"

/* ---- reading ------------------------------------------------------------------------------------------------------------- */

/* What all members together, nested archives included, may still inflate to. Shared by all readers of one archive, of any thread. */
typedef struct zip_budget {
    _Atomic uint64_t left;
    _Atomic uint64_t in, out; /* compressed bytes read so far, and what they became */
    bool trusted;             /* somebody said how much it may be: the pace does not matter */
} zip_budget;
/* For an archive of `size` bytes: 256 MiB and 25 times its size, and at no time more than 256 MiB and 100 times what was read of it, so that a
 * bomb costs the same however large it is. `limit`: somebody said how much (0: nobody did). */
void zip_budget_init(zip_budget *b, uint64_t size, uint64_t limit);

typedef struct zip_entry {
    char name[256];        /* UTF-8 or what was there, cleaned of control characters and cut */
    uint64_t compressed, header_offset;
    uint64_t claimed;      /* what the directory says of the inflated size: a hint for people */
    uint32_t crc;
    uint16_t method, flags;
    bool folder;
} zip_entry;

typedef struct zip_reader zip_reader;
/* `fd` is borrowed and must be seekable; `budget` is shared with nested archives. GN_E_INVALID: not a ZIP archive. */
zip_reader *zip_open(int fd, uint64_t size, zip_budget *budget, gn_error *e);
void zip_close(zip_reader **z);
/* 0: the next member; 1: no more; <0: the directory is damaged, there is nothing more to read. */
int zip_next(zip_reader *z, zip_entry *entry, gn_error *e);
/* Begins reading the member that zip_next gave. An error costs this member only. */
int zip_begin(zip_reader *z, const zip_entry *entry, gn_error *e);
/* The next bytes, *n = 0 at the end, where the checksum was found right. GN_E_TOO_LARGE: a bomb; GN_E_CORRUPT. */
int zip_read(zip_reader *z, void *buf, size_t cap, size_t *n, gn_error *e);
/* Is the budget used up? Then every other member would fail too. */
bool zip_exhausted(const zip_reader *z);

/* ---- writing ----------------------------------------------------------------------------------------------------------------- */

/* Members are stored, not deflated: images hardly shrink, and whoever opens the archive reads them at once. Any output will do, also a pipe. */
typedef struct zip_writer zip_writer;
zip_writer *zip_writer_new(int fd, gn_error *e); /* fd is borrowed */
/* A member made of a slice of a file. `name` is ours. */
int zip_writer_add(zip_writer *w, const char *name, int fd, uint64_t offset, uint64_t length, gn_error *e);
int zip_writer_finish(zip_writer *w, gn_error *e); /* writes the directory */
void zip_writer_free(zip_writer **w);

#endif
