/* scan: the one walk over an encoded data set (PS3.5 §7), shared by the readers of memory and of streams. Private to dicom.
 *
 * A push parser: scan_run takes a contiguous piece of input, adds what it finds to the data set and says how much it used; the
 * rest must come again, with more behind it. Whatever the pieces, the result is the same. The stack of open data sets is an
 * array, so that nesting costs no C stack, and lengths are checked against every enclosing item before they are believed. */
#ifndef GANTRY_DICOM_SCAN_H
#define GANTRY_DICOM_SCAN_H

#include "dicom/dicom.h"

typedef struct scan_options {
    uint32_t max_value; /* longer values become BULK */
    bool borrow;        /* values point into the input, which comes in one piece; else they are copied to the arena */
    bool stop_at_pixel_data;
    bool only_meta; /* stop before the first element of a group other than 0002 */
    bool accept_truncated;
    bool accept_cut_pixels; /* as above, but only where the input ends inside the pixel data of the top level */
    uint64_t max_kept;      /* bytes of headers and kept values */
    size_t max_fragments;
} scan_options;

typedef enum scan_state { SCAN_ELEMENT, SCAN_ITEM, SCAN_FRAGMENT, SCAN_VALUE, SCAN_SKIP, SCAN_END } scan_state;

#define SCAN_NO_END UINT64_MAX
#define SCAN_MAX_HEADER 16 /* bytes that scan_run may want to see at once */

/* A data set on the stack, and the sequence that is open in it. */
typedef struct scan_level {
    dicom_dataset *ds;
    uint64_t limit; /* nothing of it may reach beyond: its own end, or the nearest one around it */
    size_t base;    /* place of its first element in scan.element */
    dicom_tag last_tag;
    bool undefined;        /* ends at a delimiter (or, at the top, with the input), else at limit */
    bool implicit, begun;  /* begun: the encoding of the first element was looked at */
    uint8_t implicit_flag; /* DICOM_ELEMENT_IMPLICIT_HEADER when it is implicit though it should not be */
    int8_t is_signed;      /* Pixel Representation seen so far, here or above; -1: none */
    bool seq_undefined, seq_implicit, seq_big_endian;
    bool seq_maybe_over; /* an item delimiter stood where an item or the sequence delimiter belongs */
    uint64_t seq_limit;
    size_t seq_place; /* of the sequence's element in scan.element */
    dicom_tag seq_tag;
    uint32_t seq_items;
} scan_level;

typedef struct scan {
    gn_arena *arena;
    scan_options options;
    scan_state state, after; /* after: the state when the value is through */
    uint64_t offset;         /* of the next byte in the stream */
    uint64_t kept, left;     /* left: bytes to go of the value being copied or skipped */
    uint8_t *copy;           /* where they go */
    dicom_element *element;  /* elements of all open data sets, as one stack */
    size_t count, capacity;
    dicom_extent *extent; /* fragments of the open pixel data, the offset table first */
    size_t extents, extent_capacity;
    dicom_tag tag;       /* being looked at, for messages; 0: none */
    uint64_t tag_offset; /* where it stands */
    unsigned depth;
    bool syntax_implicit; /* as the transfer syntax says */
    scan_level level[DICOM_MAX_DEPTH + 1];
} scan;

/* `root` is filled; it must be empty. The scan must be given to scan_done whatever happens. */
int scan_init(scan *s, dicom_dataset *root, const dicom_transfer_syntax *ts, const scan_options *options, gn_error *e);
/* Walks on over n bytes; *used of them are through. Less than SCAN_MAX_HEADER are left when values are copied. */
int scan_run(scan *s, const uint8_t *p, size_t n, size_t *used, gn_error *e);
/* The input is over; `rest` bytes at p were not used. Completes the root data set. */
int scan_finish(scan *s, const uint8_t *p, size_t rest, gn_error *e);
void scan_done(scan *s);

/* Appends an empty item, whose data set is made too, to a sequence of `parent`. NULL: out of memory. */
dicom_item *dicom_item_append(dicom_element *el, dicom_dataset *parent);
/* Is this the tag of an element whose value is the image: Pixel Data, Float and Double Float Pixel Data? */
static inline bool dicom_is_pixel_data(dicom_tag tag) {
    return tag == DICOM_TAG(0x7FE0, 0x0010) || tag == DICOM_TAG(0x7FE0, 0x0008) || tag == DICOM_TAG(0x7FE0, 0x0009);
}

#endif
