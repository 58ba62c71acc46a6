/* Objects whose frames must be decoded or encoded for a receiver that does not take them as they are stored.
 *
 * The frames go one by one through the decoders' processes into a file without a name: in memory while it is small, then under the
 * archive's folder, so that the size of an object is bounded by the disk and not by memory. What is sent is that file from
 * behind its meta group. Only lossless targets are made: the pixel values stay equal, and so may the SOP Instance UID. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- what can be made of what ------------------------------------------------------------------------------------------ */

static bool is_native(const dicom_transfer_syntax *ts) { return ts && !ts->encapsulated; }

bool recode_lossless_target(const char *uid) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(uid);
    if (!ts || ts->deflated || strcmp(uid, "1.2.840.10008.1.2.4.50") == 0) return false; /* baseline JPEG loses always */
    return pixel_can_encode(uid);
}

recoding recode_way(const char *from_uid, const char *to_uid) {
    const dicom_transfer_syntax *from = dicom_transfer_syntax_find(from_uid), *to = dicom_transfer_syntax_find(to_uid);
    if (strcmp(from_uid, to_uid) == 0) return RECODE_NONE;
    if (!from || !to || to->deflated) return RECODE_IMPOSSIBLE;
    if (is_native(from) && is_native(to)) return RECODE_NATIVE;
    return (is_native(from) || pixel_can_decode(from_uid)) && recode_lossless_target(to_uid) ? RECODE_PIXELS : RECODE_IMPOSSIBLE;
}

/* ---- the file ---------------------------------------------------------------------------------------------------------- */

typedef struct spool {
    gateway *gateway;
    int fd;
    bool on_disk;
    uint64_t written;
} spool;

/* What was kept in memory goes on in a file. */
static int move_to_disk(spool *s, gn_error *e) {
    const char *dir = s->gateway->config.spool_directory;
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), rc = 0;
    if (fd < 0) return gn_fail_errno(e, errno, "a file for the re-encoded object");
    void *map = mmap(NULL, (size_t)s->written, PROT_READ, MAP_SHARED, s->fd, 0);
    if (map == MAP_FAILED) rc = gn_fail_errno(e, errno, "mmap");
    else rc = gn_write_all(fd, map, (size_t)s->written, e);
    if (map != MAP_FAILED) munmap(map, (size_t)s->written);
    if (rc) {
        close(fd);
        return rc;
    }
    close(s->fd);
    s->fd = fd;
    s->on_disk = true;
    return 0;
}

static int spool_write(void *ctx, const void *p, size_t n, gn_error *e) {
    spool *s = ctx;
    uint64_t limit = s->gateway->config.limits.transcode_bytes;
    if (outgoing_is_cut(s->gateway)) return gn_fail(e, GN_E_CLOSED, "the service is stopping");
    bool crowded = !s->on_disk && s->written && (n > limit || s->written > limit - n);
    int rc = crowded ? move_to_disk(s, e) : 0;
    if (!rc) rc = gn_write_all(s->fd, p, n, e);
    if (!rc) s->written += n;
    return rc;
}

/* Where the data set begins: behind the meta group, whose first element tells its length (PS3.10 §7.1). */
static int dataset_offset(const spool *s, uint64_t *offset, gn_error *e) {
    uint8_t head[144];
    int rc = gn_pread_all(s->fd, head, sizeof head, 0, e);
    if (rc) return rc;
    if (memcmp(head + 128, "DICM\2\0\0\0UL\4\0", 12) != 0) return gn_fail(e, GN_E_INTERNAL, "the re-encoded object has no meta group");
    *offset = sizeof head + (uint64_t)gn_load_le32(head + 140);
    return *offset < s->written ? 0 : gn_fail(e, GN_E_INTERNAL, "the re-encoded object is empty");
}

static int read_stored(void *ctx, uint64_t offset, void *buf, size_t n, gn_error *e) {
    const archive_object *o = ctx;
    if (offset > o->length || n > o->length - offset) return gn_fail(e, GN_E_TRUNCATED, "the stored object ends early");
    return gn_pread_all(o->fd, buf, n, o->offset + offset, e);
}

/* ---- the object -------------------------------------------------------------------------------------------------------- */

int recode_pixels(gateway *g, const archive_object *o, const char *to_uid, recoded *r, gn_error *e) {
    *r = (recoded){ .bytes = GN_BUF_INIT, .payload = { .fd = -1 }, .spool = -1 };
    archive_object stored = *o;
    spool s = { .gateway = g, .fd = memfd_create("recoded", MFD_CLOEXEC) };
    pixel_source in = { .read_at = read_stored, .ctx = &stored, .length = o->length };
    pixel_sink out = { .write = spool_write, .ctx = &s };
    pixel_encode_options options = { .workers = g->config.workers };
    pixel_limits limits = { .max_frame_bytes = g->config.limits.transcode_bytes };
    uint64_t start = 0;
    if (s.fd < 0) return gn_fail_errno(e, errno, "memory for the re-encoded object");
    int rc = pixel_transcode(&in, to_uid, &options, &limits, &out, e);
    if (!rc) rc = dataset_offset(&s, &start, e);
    r->spool = s.fd; /* closed by recoded_done, whatever happened */
    if (!rc) r->payload = (dimse_payload){ .fd = s.fd, .offset = start, .length = s.written - start };
    return rc;
}

int recode(gateway *g, const archive_object *o, recoding way, const char *to_uid, recoded *r, gn_error *e) {
    if (way == RECODE_NATIVE) return recode_native(o, to_uid, g->config.limits.transcode_bytes, r, e);
    if (way == RECODE_PIXELS) return recode_pixels(g, o, to_uid, r, e);
    *r = (recoded){ .bytes = GN_BUF_INIT, .payload = { .fd = -1 }, .spool = -1 };
    return gn_fail(e, GN_E_UNSUPPORTED, "objects in %.64s cannot be sent in %.64s", o->transfer_syntax, to_uid);
}
