/* part10: looks at the head of a file: is it DICOM, where does the data set begin, which object is it.
 *
 * Files without preamble or meta group are DICOM too when they begin with a plausible element: real archives hold them. Only the
 * head is read, more of it only when the meta group is long. */
#include "part10.h"

#include <stdlib.h>

#define FIRST_LOOK ((size_t)16 * 1024)
#define LONGEST_LOOK ((size_t)8 * 1024 * 1024)
#define MEDIA_DIRECTORY "1.2.840.10008.1.3.10"

/* Could an element with this tag begin a data set? Its length must fit, its VR must be one. */
static bool plausible_start(const uint8_t *p, size_t n, bool all) {
    if (n < 8) return false;
    for (int big = 0; big < 2; big++) {
        uint16_t group = big ? gn_load_be16(p) : gn_load_le16(p),
                 element = big ? gn_load_be16(p + 2) : gn_load_le16(p + 2);
        if (group != 0x0002 && group != 0x0004 && group != 0x0008 && group != 0x0010) continue;
        if (element > 0x2000 && element != 0x9215) continue;
        const dicom_vr_info *vr = dicom_vr_find(DICOM_VR(p[4], p[5]));
        if (vr) return true;
        uint32_t length = big ? gn_load_be32(p + 4) : gn_load_le32(p + 4);
        if (dicom_dict_find(DICOM_TAG(group, element)) && (length <= n - 8 || (!all && length < 65536))) return true;
    }
    return false;
}

static void copy_uid(const dicom_dataset *ds, dicom_tag tag, char out[65]) {
    out[0] = '\0';
    if (ds) (void)dicom_dataset_ascii_into(ds, tag, out, 65);
}

/* SOP Class and Instance UID, from the data set, else (deflated, broken) from the meta group. */
static void identify(gn_arena *arena, const dicom_file *f, const uint8_t *p, size_t n, part10 *out) {
    dicom_dataset *ds = NULL;
    gn_error ignored = GN_ERROR_INIT;
    dicom_read_options options = { .accept_truncated = true, .stop_at_pixel_data = true, .max_value = 4096 };
    if (!f->transfer_syntax->deflated &&
        !dicom_dataset_read(arena, f->transfer_syntax, p, n, &options, &ds, &ignored)) {
        copy_uid(ds, DICOM_TAG_SOPClassUID, out->sop_class);
        copy_uid(ds, DICOM_TAG_SOPInstanceUID, out->sop_instance);
    }
    if (!out->sop_class[0]) copy_uid(f->meta, DICOM_TAG_MediaStorageSOPClassUID, out->sop_class);
    if (!out->sop_instance[0]) copy_uid(f->meta, DICOM_TAG_MediaStorageSOPInstanceUID, out->sop_instance);
}

int part10_look_at(const void *bytes, size_t n, bool all, part10 *out, gn_error *e) {
    const uint8_t *p = bytes;
    bool marked = n >= 132 && memcmp(p + 128, "DICM", 4) == 0;
    if (!marked && !plausible_start(p, n, all)) return 1;
    gn_arena *arena = gn_arena_new((size_t)32 * 1024 * 1024);
    if (!arena) return gn_fail(e, GN_E_NO_MEMORY, "no memory to look at a file");
    dicom_file f;
    int rc = dicom_file_read_meta(arena, bytes, n, &f, e);
    if (!rc) {
        *out = (part10){ .dataset_offset = f.dataset_offset, .has_meta = f.has_meta };
        snprintf(out->transfer_syntax, sizeof out->transfer_syntax, "%s", f.transfer_syntax_uid);
        if (f.dataset_offset <= n) identify(arena, &f, p + f.dataset_offset, n - (size_t)f.dataset_offset, out);
        out->directory = strcmp(out->sop_class, MEDIA_DIRECTORY) == 0;
        char media[65];
        copy_uid(f.meta, DICOM_TAG_MediaStorageSOPClassUID, media);
        if (strcmp(media, MEDIA_DIRECTORY) == 0) out->directory = true;
    }
    gn_arena_free(&arena);
    return rc;
}

int part10_look(int fd, uint64_t size, part10 *out, gn_error *e) {
    if (size < 8) return 1;
    size_t want = size < FIRST_LOOK ? (size_t)size : FIRST_LOOK;
    for (;;) {
        uint8_t *head = malloc(want);
        if (!head) return gn_fail(e, GN_E_NO_MEMORY, "no memory to look at a file");
        gn_error why = GN_ERROR_INIT;
        int rc = gn_pread_all(fd, head, want, 0, &why);
        if (!rc) rc = part10_look_at(head, want, want == size, out, &why);
        free(head);
        if (rc == GN_E_TRUNCATED && want < size && want < LONGEST_LOOK) {
            want = size / 8 < want ? (size_t)size : want * 8;
            continue;
        }
        if (rc < 0 && e && !e->code) *e = why;
        return rc;
    }
}
