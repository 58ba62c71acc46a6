/* send_list: the DICOM files under some paths, and the presentation contexts that are needed to send them. */
#ifndef GANTRY_SERVICE_SEND_LIST_H
#define GANTRY_SERVICE_SEND_LIST_H

#include "base/base.h"
#include "dicom/dicom.h"
#include "dimse/dimse.h"

typedef struct send_kind { char sop_class[65], transfer_syntax[65]; unsigned group; } send_kind;
typedef struct send_item { char *path; char *sop_instance; uint32_t kind; uint64_t size, dataset_offset; } send_item;
typedef struct send_list {
    send_item *item;
    size_t count, room;
    send_kind *kind;
    size_t kind_count, kind_room;
    unsigned groups;         /* associations that are needed one after the other, because 128 contexts are the most of one */
    uint64_t bytes, not_dicom, unreadable;
    void (*complain)(void *ctx, const char *path, const char *why);
    void *ctx;
} send_list;

/* Adds the files of a path, recursively. */
int send_list_add(send_list *l, const char *path, gn_error *e);
/* Sorts kinds into groups; after the last send_list_add. */
void send_list_group(send_list *l);
void send_list_done(send_list *l);

/* The proposals of one group: each kind as it is stored and, for native ones, uncompressed little endian too. Borrowed from the list. */
typedef struct send_proposals { dimse_proposal proposal[DIMSE_MAX_CONTEXTS]; const char *syntax[DIMSE_MAX_CONTEXTS]; size_t count; } send_proposals;
void send_list_propose(const send_list *l, unsigned group, send_proposals *out);

#endif
