/* Re-encoding of native objects for a receiver that does not take them as they are stored: implicit, explicit, big endian and deflated
 * into another of the first three. Compressed pixel data is not touched here (recode_pixels.c does).
 *
 * The stored bytes are mapped. When pixel data is the last element and its bytes are the same in both encodings, only what is before
 * it is written anew and the pixels are sent from the file as they lie, whatever their size. Everything else is held in memory and
 * therefore limited. */
#include "internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

void recoded_done(recoded *r) {
    gn_buf_done(&r->bytes);
    gn_arena_free(&r->arena);
    if (r->map) munmap(r->map, r->map_length);
    r->map = NULL;
    if (r->spool >= 0) close(r->spool);
    r->spool = -1;
}

/* Maps the data set's bytes; *bytes points at them. */
static int map_dataset(const archive_object *o, recoded *r, const uint8_t **bytes, size_t *n, gn_error *e) {
    uint64_t start = o->offset + o->dataset_offset, page = (uint64_t)sysconf(_SC_PAGESIZE), skip = start % page;
    if (o->length < o->dataset_offset) return gn_fail(e, GN_E_CORRUPT, "the stored object is shorter than its header");
    *n = (size_t)(o->length - o->dataset_offset);
    r->map_length = *n + (size_t)skip;
    if (r->map_length == 0) return gn_fail(e, GN_E_CORRUPT, "the stored object is empty");
    r->map = mmap(NULL, r->map_length, PROT_READ, MAP_PRIVATE, o->fd, (off_t)(start - skip));
    if (r->map == MAP_FAILED) {
        r->map = NULL;
        return gn_fail_errno(e, errno, "mmap");
    }
    *bytes = (const uint8_t *)r->map + skip;
    return 0;
}

static void put_pixel_header(gn_buf *out, const dicom_element *el, const dicom_transfer_syntax *to) {
    gn_buf_le16(out, dicom_tag_group(el->tag));
    gn_buf_le16(out, dicom_tag_element(el->tag));
    if (!to->implicit_vr) {
        gn_buf_putc(out, (char)(el->vr >> 8));
        gn_buf_putc(out, (char)el->vr);
        gn_buf_le16(out, 0);
    }
    gn_buf_le32(out, el->length);
}

/* The pixel data, if it is the last element, left in the file, and needs no change. */
static const dicom_element *movable_pixels(const dicom_dataset *ds, const dicom_transfer_syntax *from, const dicom_transfer_syntax *to, size_t n) {
    if (from->big_endian || to->big_endian || from->deflated || ds->count == 0) return NULL;
    const dicom_element *last = &ds->element[ds->count - 1];
    bool plain = last->tag == DICOM_TAG_PixelData && (last->flags & DICOM_ELEMENT_BULK) && !(last->flags & DICOM_ELEMENT_UNDEFINED) && !last->items && !last->fragments;
    return plain && last->offset <= n && last->length == n - last->offset ? last : NULL;
}

static int recode_header(dicom_dataset *ds, const dicom_element *pixels, const archive_object *o, const dicom_transfer_syntax *to, recoded *r, gn_error *e) {
    dicom_element kept = *pixels;
    int rc = dicom_dataset_remove(ds, kept.tag);
    if (!rc) rc = dicom_dataset_write(ds, to, NULL, &r->bytes, e);
    if (rc) return rc;
    put_pixel_header(&r->bytes, &kept, to);
    r->payload = (dimse_payload){ .fd = o->fd, .offset = o->offset + o->dataset_offset + kept.offset, .length = kept.length };
    return 0;
}

static int recode_whole(const uint8_t *bytes, size_t n, const dicom_transfer_syntax *from, const dicom_transfer_syntax *to, uint64_t limit, recoded *r, gn_error *e) {
    dicom_dataset *ds;
    dicom_read_options options = { .keep_everything = true, .max_inflated = limit };
    if (n > limit) return gn_fail(e, GN_E_TOO_LARGE, "an object of %zu bytes is too large to change its transfer syntax", n);
    gn_arena_reset(r->arena);
    int rc = dicom_dataset_read(r->arena, from, bytes, n, &options, &ds, e);
    return rc ? rc : dicom_dataset_write(ds, to, NULL, &r->bytes, e);
}

int recode_native(const archive_object *o, const char *to_uid, uint64_t limit, recoded *r, gn_error *e) {
    const dicom_transfer_syntax *from = dicom_transfer_syntax_find(o->transfer_syntax), *to = dicom_transfer_syntax_find(to_uid);
    const uint8_t *bytes = NULL;
    size_t n = 0;
    *r = (recoded){ .bytes = GN_BUF_INIT, .payload = { .fd = -1 }, .spool = -1 };
    if (!from || !to || from->encapsulated || to->encapsulated) return gn_fail(e, GN_E_UNSUPPORTED, "compressed objects are not converted");
    int rc = map_dataset(o, r, &bytes, &n, e);
    if (rc) return rc;
    r->arena = gn_arena_new((size_t)limit * 2 + (64u << 20));
    if (!r->arena) return gn_fail(e, GN_E_NO_MEMORY, "no memory to change the transfer syntax");
    r->bytes.limit = (size_t)limit + (size_t)limit / 2 + (16u << 20);
    const dicom_element *pixels = NULL;
    dicom_dataset *ds = NULL;
    if (!from->deflated) {
        dicom_read_options options = { .max_value = 64u << 10 };
        if ((rc = dicom_dataset_read(r->arena, from, bytes, n, &options, &ds, e))) return rc;
        pixels = movable_pixels(ds, from, to, n);
        for (size_t i = 0; pixels && i + 1 < ds->count; i++)
            if (ds->element[i].flags & DICOM_ELEMENT_BULK) pixels = NULL; /* another large value: take the whole way */
    }
    rc = pixels ? recode_header(ds, pixels, o, to, r, e) : recode_whole(bytes, n, from, to, limit, r, e);
    if (!rc && r->bytes.failed) rc = gn_fail(e, GN_E_TOO_LARGE, "the re-encoded object exceeds the limit");
    r->payload.bytes = r->bytes.p;
    r->payload.n = r->bytes.n;
    return rc;
}
