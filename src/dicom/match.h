/* match.h: what the files of folding and matching share; private to the room. */
#ifndef GANTRY_DICOM_MATCH_H
#define GANTRY_DICOM_MATCH_H

#include "dicom/dicom.h"

/* A piece of UTF-8 text, not NUL-terminated. */
typedef struct match_text {
    const char *p;
    size_t n;
} match_text;

/* Small letter of one code point; others come back as they are. */
uint32_t fold_small_letter(uint32_t code_point);
/* Piece `i` of `whole` between separators `c`; {NULL, 0} when there are fewer. */
match_text match_piece(match_text whole, char c, size_t i);
/* Without spaces (and, of a PN, separators of empty components) at its end, and spaces at its start. */
match_text match_trimmed(match_text t);
/* Does it hold '*' or '?'? */
bool match_has_wildcard(match_text t);

#endif
