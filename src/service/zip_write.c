/* zip_write: a ZIP archive as a stream (PKWARE APPNOTE 6.3): stored members with complete headers, ZIP64 where numbers need it.
 *
 * Headers come before the data and hold its checksum, so each slice is read twice; the second time it is in the page cache. In return
 * the output may be a pipe, and every reader understands it. */
#include "zip.h"

#include <stdlib.h>
#include <zlib.h>

#define CHUNK ((size_t)256 * 1024)
#define FULL32 UINT32_MAX
enum { VERSION = 20, VERSION64 = 45, UNIX = 3 << 8, FLAG_UTF8 = 0x0800, DATE_1980 = 0x21 };

struct zip_writer {
    int fd;
    uint64_t at, entries;
    gn_buf directory;
    uint8_t *chunk;
};

zip_writer *zip_writer_new(int fd, gn_error *e) {
    zip_writer *w = calloc(1, sizeof *w);
    if (w) w->chunk = malloc(CHUNK);
    if (!w || !w->chunk) {
        free(w);
        gn_fail(e, GN_E_NO_MEMORY, "no memory to write a ZIP archive");
        return NULL;
    }
    w->fd = fd;
    w->directory.limit = (size_t)4 << 30;
    return w;
}

void zip_writer_free(zip_writer **w) {
    if (!*w) return;
    gn_buf_done(&(*w)->directory);
    free((*w)->chunk);
    free(*w);
    *w = NULL;
}

static void put64(gn_buf *b, uint64_t v) {
    gn_buf_le32(b, (uint32_t)v);
    gn_buf_le32(b, (uint32_t)(v >> 32));
}

static int put_out(zip_writer *w, const void *p, size_t n, gn_error *e) {
    int rc = gn_write_all(w->fd, p, n, e);
    if (!rc) w->at += n;
    return rc;
}

static int checksum(zip_writer *w, int fd, uint64_t offset, uint64_t length, uint32_t *crc, gn_error *e) {
    *crc = 0;
    while (length) {
        size_t n = length < CHUNK ? (size_t)length : CHUNK;
        int rc = gn_pread_all(fd, w->chunk, n, offset, e);
        if (rc) return rc;
        *crc = (uint32_t)crc32(*crc, w->chunk, (uInt)n);
        offset += n;
        length -= n;
    }
    return 0;
}

static int copy(zip_writer *w, int fd, uint64_t offset, uint64_t length, gn_error *e) {
    while (length) {
        size_t n = length < CHUNK ? (size_t)length : CHUNK;
        int rc = gn_pread_all(fd, w->chunk, n, offset, e);
        if (!rc) rc = put_out(w, w->chunk, n, e);
        if (rc) return rc;
        offset += n;
        length -= n;
    }
    return 0;
}

/* What local header and directory have in common: from the version needed to the length of the extra field. */
static void put_common(gn_buf *b, bool large, uint32_t crc, uint64_t length, size_t name, size_t extra) {
    gn_buf_le16(b, large ? VERSION64 : VERSION);
    gn_buf_le16(b, FLAG_UTF8);
    gn_buf_le16(b, 0); /* stored */
    gn_buf_le16(b, 0);
    gn_buf_le16(b, DATE_1980);
    gn_buf_le32(b, crc);
    gn_buf_le32(b, length >= FULL32 ? FULL32 : (uint32_t)length);
    gn_buf_le32(b, length >= FULL32 ? FULL32 : (uint32_t)length);
    gn_buf_le16(b, (uint16_t)name);
    gn_buf_le16(b, (uint16_t)extra);
}

static int put_local(zip_writer *w, const char *name, uint32_t crc, uint64_t length, gn_error *e) {
    gn_buf b = GN_BUF_INIT;
    bool large = length >= FULL32;
    gn_buf_le32(&b, 0x04034b50u);
    put_common(&b, large, crc, length, strlen(name), large ? 20 : 0);
    gn_buf_puts(&b, name);
    if (large) {
        gn_buf_le16(&b, 1);
        gn_buf_le16(&b, 16);
        put64(&b, length);
        put64(&b, length);
    }
    int rc = b.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory to write a ZIP archive") : put_out(w, b.p, b.n, e);
    gn_buf_done(&b);
    return rc;
}

static void put_entry(gn_buf *b, const char *name, uint32_t crc, uint64_t length, uint64_t at) {
    bool long_data = length >= FULL32, far_away = at >= FULL32;
    size_t extra = (long_data ? 16u : 0u) + (far_away ? 8u : 0u);
    gn_buf_le32(b, 0x02014b50u);
    gn_buf_le16(b, UNIX | (extra ? VERSION64 : VERSION));
    put_common(b, extra != 0, crc, length, strlen(name), extra ? extra + 4 : 0);
    gn_buf_le16(b, 0); /* comment */
    gn_buf_le16(b, 0); /* disk */
    gn_buf_le16(b, 0);
    gn_buf_le32(b, (uint32_t)0100644 << 16);
    gn_buf_le32(b, far_away ? FULL32 : (uint32_t)at);
    gn_buf_puts(b, name);
    if (!extra) return;
    gn_buf_le16(b, 1);
    gn_buf_le16(b, (uint16_t)extra);
    if (long_data) {
        put64(b, length);
        put64(b, length);
    }
    if (far_away) put64(b, at);
}

int zip_writer_add(zip_writer *w, const char *name, int fd, uint64_t offset, uint64_t length, gn_error *e) {
    uint32_t crc;
    uint64_t at = w->at;
    int rc = checksum(w, fd, offset, length, &crc, e);
    if (!rc) rc = put_local(w, name, crc, length, e);
    if (!rc) rc = copy(w, fd, offset, length, e);
    if (rc) return rc;
    put_entry(&w->directory, name, crc, length, at);
    w->entries++;
    return w->directory.failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for the directory of the ZIP archive") : 0;
}

int zip_writer_finish(zip_writer *w, gn_error *e) {
    uint64_t at = w->at, size = w->directory.n, record_at = at + size;
    bool large = at >= FULL32 || size >= FULL32 || w->entries >= 0xFFFF;
    gn_buf *b = &w->directory;
    if (large) {
        gn_buf_le32(b, 0x06064b50u);
        put64(b, 44);
        gn_buf_le16(b, UNIX | VERSION64);
        gn_buf_le16(b, VERSION64);
        gn_buf_le32(b, 0);
        gn_buf_le32(b, 0);
        put64(b, w->entries);
        put64(b, w->entries);
        put64(b, size);
        put64(b, at);
        gn_buf_le32(b, 0x07064b50u);
        gn_buf_le32(b, 0);
        put64(b, record_at);
        gn_buf_le32(b, 1);
    }
    gn_buf_le32(b, 0x06054b50u);
    gn_buf_le32(b, 0); /* disks */
    gn_buf_le16(b, w->entries >= 0xFFFF ? 0xFFFF : (uint16_t)w->entries);
    gn_buf_le16(b, w->entries >= 0xFFFF ? 0xFFFF : (uint16_t)w->entries);
    gn_buf_le32(b, size >= FULL32 ? FULL32 : (uint32_t)size);
    gn_buf_le32(b, at >= FULL32 ? FULL32 : (uint32_t)at);
    gn_buf_le16(b, 0);
    if (b->failed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the directory of the ZIP archive");
    return put_out(w, b->p, b->n, e);
}
