/* send_list: finds what is to be sent, before the association is made, because its presentation contexts must be proposed at once.
 *
 * Of each file only the head is read. What is kept of it is small, so that a hundred thousand files fit. */
#include "send_list.h"

#include "part10.h"
#include "walk.h"

#include <stdlib.h>
#include <unistd.h>

enum { CONTEXTS_A_GROUP = 120 };

static void complain(send_list *l, const char *path, const char *why) {
    l->unreadable++;
    if (l->complain) l->complain(l->ctx, path, why);
}

static void *grown(void *p, size_t count, size_t *room, size_t size) {
    if (count < *room) return p;
    size_t more = *room ? *room * 2 : 32;
    void *q = realloc(p, more * size);
    if (q) *room = more;
    return q;
}

static bool find_kind(send_list *l, const part10 *p, uint32_t *number) {
    for (size_t i = l->kind_count; i-- > 0;) {
        if (strcmp(l->kind[i].sop_class, p->sop_class) != 0 ||
            strcmp(l->kind[i].transfer_syntax, p->transfer_syntax) != 0)
            continue;
        *number = (uint32_t)i;
        return true;
    }
    send_kind *more = grown(l->kind, l->kind_count, &l->kind_room, sizeof *more);
    if (!more) return false;
    l->kind = more;
    send_kind *k = &more[l->kind_count];
    *k = (send_kind){ .group = 0 };
    memcpy(k->sop_class, p->sop_class, sizeof k->sop_class);
    memcpy(k->transfer_syntax, p->transfer_syntax, sizeof k->transfer_syntax);
    *number = (uint32_t)l->kind_count++;
    return true;
}

static bool add_item(send_list *l, const char *path, uint64_t size, const part10 *p) {
    send_item *more = grown(l->item, l->count, &l->room, sizeof *more);
    if (!more) return false;
    l->item = more;
    send_item *x = &more[l->count];
    *x = (send_item){
        .path = strdup(path), .sop_instance = strdup(p->sop_instance), .size = size, .dataset_offset = p->dataset_offset
    };
    if (!x->path || !x->sop_instance || !find_kind(l, p, &x->kind)) {
        free(x->path);
        free(x->sop_instance);
        return false;
    }
    l->count++;
    l->bytes += size;
    return true;
}

static int on_file(void *ctx, int fd, const char *path, const struct stat *st) {
    send_list *l = ctx;
    part10 p;
    gn_error e = GN_ERROR_INIT;
    char text[400];
    int rc = part10_look(fd, (uint64_t)st->st_size, &p, &e);
    close(fd);
    if (rc < 0) complain(l, path, gn_error_text(&e, text, sizeof text));
    else if (rc == 1 || p.directory) l->not_dicom++;
    else if (!dicom_uid_valid(p.sop_class, strlen(p.sop_class)) ||
             !dicom_uid_valid(p.sop_instance, strlen(p.sop_instance)))
        complain(l, path, "it has no valid SOP Class and Instance UID");
    else if (p.dataset_offset > (uint64_t)st->st_size) complain(l, path, "the file ends inside its meta header");
    else if (!add_item(l, path, (uint64_t)st->st_size, &p)) return GN_E_NO_MEMORY;
    return 0;
}

static void on_skip(void *ctx, const char *path, const char *why) { complain(ctx, path, why); }

int send_list_add(send_list *l, const char *path, gn_error *e) {
    walk_counts counts = { 0 };
    int rc = walk_path(path, on_file, on_skip, l, &counts, e);
    if (rc == GN_E_NO_MEMORY) gn_fail(e, rc, "no memory for the list of files");
    return rc;
}

static bool is_native(const char *uid) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(uid);
    return ts && !ts->encapsulated;
}

/* A kind takes one context and, if it is native, up to two more of the same class. */
void send_list_group(send_list *l) {
    size_t used = 0;
    l->groups = l->kind_count ? 1 : 0;
    for (size_t i = 0; i < l->kind_count; i++) {
        size_t needs = is_native(l->kind[i].transfer_syntax) ? 3 : 1;
        if (used + needs > CONTEXTS_A_GROUP) {
            l->groups++;
            used = 0;
        }
        used += needs;
        l->kind[i].group = l->groups - 1;
    }
}

static void propose(send_proposals *out, const char *class, const char *syntax) {
    for (size_t i = 0; i < out->count; i++)
        if (strcmp(out->proposal[i].abstract_syntax, class) == 0 && strcmp(out->syntax[i], syntax) == 0) return;
    if (out->count == DIMSE_MAX_CONTEXTS) return;
    out->syntax[out->count] = syntax;
    out->proposal[out->count] =
        (dimse_proposal){ .abstract_syntax = class, .transfer_syntaxes = &out->syntax[out->count], .count = 1 };
    out->count++;
}

void send_list_propose(const send_list *l, unsigned group, send_proposals *out) {
    out->count = 0;
    for (size_t i = 0; i < l->kind_count; i++)
        if (l->kind[i].group == group) propose(out, l->kind[i].sop_class, l->kind[i].transfer_syntax);
    for (size_t i = 0; i < l->kind_count; i++) {
        if (l->kind[i].group != group || !is_native(l->kind[i].transfer_syntax)) continue;
        propose(out, l->kind[i].sop_class, DICOM_TS_EXPLICIT_LE);
        propose(out, l->kind[i].sop_class, DICOM_TS_IMPLICIT_LE);
    }
}

void send_list_done(send_list *l) {
    for (size_t i = 0; i < l->count; i++) {
        free(l->item[i].path);
        free(l->item[i].sop_instance);
    }
    free(l->item);
    free(l->kind);
    l->item = NULL;
    l->kind = NULL;
    l->count = l->kind_count = 0;
}
