/* XXH3, by the widest vectors that this processor has where the library can choose. 128-bit results are kept in canonical (big endian) form. */
#ifndef GANTRY_ARCHIVE_HASH_H
#define GANTRY_ARCHIVE_HASH_H

/* States live in our own structs, which the library calls static linking. */
#define XXH_STATIC_LINKING_ONLY
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxhash.h>
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#endif
