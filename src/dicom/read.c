/* read: data sets and Part 10 files in memory (PS3.5 §7, PS3.10 §7).
 *
 * The data set is scanned in place and its values point into the caller's bytes; a deflated one goes through the stream. Files
 * are met without preamble, without "DICM", without meta group, with a wrong or no group length, or without the transfer
 * syntax; then the encoding is guessed from the first element, as other readers do. Nothing here reads beyond the bytes given. */
#include "stream.h"

#include <inttypes.h>

static const dicom_transfer_syntax unknown_syntax = { "", "unknown transfer syntax", false, false, false, true, false };

/* ---- data sets --------------------------------------------------------------------------------------------------------- */

static scan_options scan_options_of(const dicom_read_options *o) {
    static const dicom_read_options defaults = { 0 };
    if (!o) o = &defaults;
    return (scan_options){
        .max_value = o->keep_everything ? UINT32_MAX
                     : o->max_value     ? o->max_value
                                        : DICOM_DEFAULT_MAX_VALUE,
        .stop_at_pixel_data = o->stop_at_pixel_data,
        .accept_truncated = o->accept_truncated,
        .max_kept = UINT64_MAX,
        .max_fragments = SIZE_MAX,
    };
}

static int read_deflated(gn_arena *arena, const dicom_transfer_syntax *ts, const uint8_t *p, size_t n,
                         const scan_options *options, uint64_t max_inflated, dicom_dataset **out, gn_error *e) {
    dicom_stream *s =
        dicom_stream_open(arena, ts, options, max_inflated ? max_inflated : DICOM_DEFAULT_MAX_INFLATED, e);
    if (!s) return GN_E_NO_MEMORY;
    int rc = dicom_stream_push(s, p, n, e);
    if (rc == 0) rc = dicom_stream_finish(s, out, e);
    dicom_stream_free(&s);
    return rc;
}

/* Scans from the start of p; *used: how far the scan came. */
static int scan_memory(gn_arena *arena, const dicom_transfer_syntax *ts, const uint8_t *p, size_t n,
                       const scan_options *options, dicom_dataset **out, size_t *used, gn_error *e) {
    scan s;
    size_t done = 0;
    dicom_dataset *root = dicom_dataset_new(arena, e);
    if (!root) return GN_E_NO_MEMORY;
    int rc = scan_init(&s, root, ts, options, e);
    if (rc == 0) rc = scan_run(&s, p, n, &done, e);
    if (rc == 0) rc = scan_finish(&s, p + done, n - done, e);
    scan_done(&s);
    if (rc) return rc;
    *used = done;
    *out = root;
    return 0;
}

int dicom_dataset_read(gn_arena *arena, const dicom_transfer_syntax *ts, const void *bytes, size_t n,
                       const dicom_read_options *options, dicom_dataset **out, gn_error *e) {
    static const uint8_t nothing[1] = { 0 };
    scan_options limits = scan_options_of(options);
    const uint8_t *p = bytes ? bytes : nothing;
    size_t used;
    if (!bytes) n = 0;
    if (ts->deflated) return read_deflated(arena, ts, p, n, &limits, options ? options->max_inflated : 0, out, e);
    limits.borrow = true;
    return scan_memory(arena, ts, p, n, &limits, out, &used, e);
}

/* ---- guessing the encoding --------------------------------------------------------------------------------------------- */

/* By the first element: two characters that are a VR make it explicit; the byte order is the one in which the tag is known,
 * else the one in which its group is the smaller number. */
static const char *guess_syntax(const uint8_t *p, size_t n) {
    if (n < 8) return DICOM_TS_IMPLICIT_LE;
    uint16_t le = gn_load_le16(p), be = gn_load_be16(p);
    bool known_le = dicom_dict_find(DICOM_TAG(le, gn_load_le16(p + 2))) != NULL,
         known_be = dicom_dict_find(DICOM_TAG(be, gn_load_be16(p + 2))) != NULL;
    bool explicit_vr = dicom_vr_find(DICOM_VR(p[4], p[5])) != NULL;
    bool big = known_le == known_be ? be < le : known_be;
    if (!explicit_vr) return DICOM_TS_IMPLICIT_LE; /* implicit VR big endian was never a transfer syntax */
    return big ? DICOM_TS_EXPLICIT_BE : DICOM_TS_EXPLICIT_LE;
}

/* ---- the meta group ---------------------------------------------------------------------------------------------------- */

/* Where the meta group (or, without one, the data set) starts. */
static size_t skip_preamble(const uint8_t *p, size_t n, dicom_file *f) {
    f->has_preamble = n >= 132 && memcmp(p + 128, "DICM", 4) == 0;
    if (f->has_preamble) return 132;
    return n >= 4 && memcmp(p, "DICM", 4) == 0 ? 4 : 0;
}

static bool in_meta_group(const uint8_t *p, size_t n) { return n >= 8 && gn_load_le16(p) == 2; }

/* Of the group, from its first element on, by (0002,0000); 0: not stated. */
static uint64_t stated_length(const uint8_t *p, size_t n) {
    bool there = n >= 12 && gn_load_le16(p + 2) == 0 && p[4] == 'U' && p[5] == 'L' && gn_load_le16(p + 6) == 4;
    return there ? 12 + (uint64_t)gn_load_le32(p + 8) : 0;
}

/* A meta group whose length is right ends there, even if what follows (deflated data can be anything) begins like another
 * element of it; but one with a length that is too short goes on for as long as its elements do. */
static size_t meta_limit(const uint8_t *p, size_t n) {
    uint64_t stated = stated_length(p, n);
    if (stated == 0 || stated >= n) return n;
    const uint8_t *q = p + stated;
    if (in_meta_group(q, n - stated) && dicom_vr_find(DICOM_VR(q[4], q[5]))) return n;
    /* Does an element end at `stated`? */
    gn_reader r = gn_reader_of(p, stated);
    while (gn_reader_left(&r) > 0 && !r.failed) {
        const uint8_t *h = gn_read_bytes(&r, 8);
        if (!h || gn_load_le16(h) != 2) return n;
        const dicom_vr_info *info = dicom_vr_find(DICOM_VR(h[4], h[5]));
        if (!info) return n;
        (void)gn_read_bytes(&r, info->long_length ? gn_read_le32(&r) : gn_load_le16(h + 6));
    }
    return r.failed ? n : stated;
}

static int read_meta_group(gn_arena *arena, const uint8_t *p, size_t n, dicom_file *f, size_t *used, gn_error *e) {
    scan_options options = {
        .max_value = 1 << 20, .borrow = true, .only_meta = true, .max_kept = UINT64_MAX, .max_fragments = 0
    };
    size_t limit = meta_limit(p, n);
    int rc =
        scan_memory(arena, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), p, limit, &options, &f->meta, used, e);
    if (rc) return rc;
    /* Nothing behind it, and its length does not say that it ends here: there may be more of it. */
    if (*used == n && stated_length(p, n) != n)
        return gn_fail(e, GN_E_TRUNCATED, "the meta group does not end within %zu bytes", n);
    f->has_meta = true;
    dicom_dataset_ascii_into(f->meta, DICOM_TAG_TransferSyntaxUID, f->transfer_syntax_uid,
                             sizeof f->transfer_syntax_uid);
    return 0;
}

int dicom_file_read_meta(gn_arena *arena, const void *bytes, size_t n, dicom_file *out, gn_error *e) {
    const uint8_t *p = bytes;
    dicom_file f = { 0 };
    size_t used = 0;
    if (n < 8 || (n < 132 && memcmp(p, "DICM", 4) != 0 && gn_load_le16(p) == 0 && gn_load_le16(p + 2) == 0))
        return gn_fail(e, GN_E_TRUNCATED, "%zu bytes are too few for a DICOM file", n);
    size_t at = skip_preamble(p, n, &f);
    if (in_meta_group(p + at, n - at)) {
        int rc = read_meta_group(arena, p + at, n - at, &f, &used, e);
        if (rc) return rc;
        at += used;
    }
    f.dataset_offset = at;
    if (f.transfer_syntax_uid[0]) {
        f.transfer_syntax = dicom_transfer_syntax_find(f.transfer_syntax_uid);
        if (!f.transfer_syntax) f.transfer_syntax = &unknown_syntax;
    } else {
        if (n - at < 8) return gn_fail(e, GN_E_TRUNCATED, "%zu bytes are too few for a data set", n - at);
        f.guessed = true;
        f.transfer_syntax = dicom_transfer_syntax_find(guess_syntax(p + at, n - at));
        (void)snprintf(f.transfer_syntax_uid, sizeof f.transfer_syntax_uid, "%s", f.transfer_syntax->uid);
    }
    *out = f;
    return 0;
}

int dicom_file_read(gn_arena *arena, const void *bytes, size_t n, const dicom_read_options *options, dicom_file *out,
                    gn_error *e) {
    dicom_file f;
    int rc = dicom_file_read_meta(arena, bytes, n, &f, e);
    if (rc) return rc;
    rc = dicom_dataset_read(arena, f.transfer_syntax, (const uint8_t *)bytes + f.dataset_offset,
                            n - (size_t)f.dataset_offset, options, &f.dataset, e);
    if (rc) return rc;
    *out = f;
    return 0;
}
