/* zip_read: a reader of ZIP archives (PKWARE APPNOTE 6.3: stored and deflated members, ZIP64) for archives of strangers.
 *
 * The directory is read through a small window, so that a million members need no memory. A member ends where its deflate stream ends,
 * whatever its headers say; its checksum must be right. What may be inflated is bounded by the size of the archive and by what was read of
 * it so far: a bomb ends early (T6). Members that overlap inflate the same bytes twice and run into the same bound. */
#include "zip.h"

#include <stdlib.h>
#include <zlib.h>

#define END_SIGNATURE 0x06054b50u
#define END64_SIGNATURE 0x06064b50u
#define LOCATOR64_SIGNATURE 0x07064b50u
#define ENTRY_SIGNATURE 0x02014b50u
#define LOCAL_SIGNATURE 0x04034b50u
enum { END_SIZE = 22, LOCATOR64_SIZE = 20, END64_SIZE = 56, ENTRY_SIZE = 46, LOCAL_SIZE = 30, LONGEST_COMMENT = 65535 };
enum { METHOD_STORED = 0, METHOD_DEFLATED = 8, FLAG_ENCRYPTED = 1 };
#define WINDOW ((size_t)64 * 1024)
#define RATIO 25u
#define PACE 100u
#define FREE ((uint64_t)256 * 1024 * 1024)

struct zip_reader {
    int fd;
    uint64_t size;
    int64_t shift;             /* what stands before the archive in the file, such as a program */
    uint64_t at, end, entries; /* directory */
    zip_budget *budget;
    uint8_t *window;             /* of compressed bytes */
    uint64_t data_at, data_left; /* compressed bytes not yet in the window */
    uint32_t crc, want_crc;
    uint16_t method;
    bool reading, ended, inflating;
    z_stream stream;
};

void zip_budget_init(zip_budget *b, uint64_t size, uint64_t explicit_limit) {
    uint64_t allowed;
    if (!gn_mul_u64(size, RATIO, &allowed) || !gn_add_u64(allowed, FREE, &allowed)) allowed = UINT64_MAX;
    atomic_init(&b->left, explicit_limit ? explicit_limit : allowed);
    atomic_init(&b->in, 0);
    atomic_init(&b->out, 0);
    b->trusted = explicit_limit != 0;
}

bool zip_exhausted(const zip_reader *z) { return atomic_load(&z->budget->left) == 0; }

/* ---- the end of the archive, where its directory is named ------------------------------------------------------------------- */

static int find_end(zip_reader *z, uint64_t *at, uint8_t end[END_SIZE], gn_error *e) {
    size_t n = z->size < END_SIZE + LONGEST_COMMENT ? (size_t)z->size : END_SIZE + LONGEST_COMMENT;
    if (n < END_SIZE) return gn_fail(e, GN_E_INVALID, "not a ZIP archive");
    uint8_t *tail = malloc(n);
    if (!tail) return gn_fail(e, GN_E_NO_MEMORY, "no memory to read a ZIP archive");
    uint64_t start = z->size - n;
    int rc = gn_pread_all(z->fd, tail, n, start, e);
    size_t i = n - END_SIZE;
    while (!rc && (gn_load_le32(tail + i) != END_SIGNATURE || gn_load_le16(tail + i + 20) > n - i - END_SIZE))
        if (i-- == 0) rc = gn_fail(e, GN_E_INVALID, "not a ZIP archive, or its end is missing");
    if (!rc) {
        memcpy(end, tail + i, END_SIZE);
        *at = start + i;
    }
    free(tail);
    return rc;
}

/* ZIP64: the real numbers stand in a record that a locator before the end names. */
static int read_end64(zip_reader *z, uint64_t end_at, uint64_t *directory_size, uint64_t *directory_at,
                      uint64_t *record_at, gn_error *e) {
    uint8_t locator[LOCATOR64_SIZE], record[END64_SIZE];
    if (end_at < LOCATOR64_SIZE) return 1;
    int rc = gn_pread_all(z->fd, locator, sizeof locator, end_at - LOCATOR64_SIZE, e);
    if (rc || gn_load_le32(locator) != LOCATOR64_SIGNATURE) return rc ? rc : 1;
    uint64_t at = gn_load_le64(locator + 8);
    if (at > z->size || z->size - at < END64_SIZE)
        return gn_fail(e, GN_E_CORRUPT, "the ZIP64 record lies outside the archive");
    rc = gn_pread_all(z->fd, record, sizeof record, at, e);
    if (rc) return rc;
    if (gn_load_le32(record) != END64_SIGNATURE) return gn_fail(e, GN_E_CORRUPT, "the ZIP64 record is damaged");
    z->entries = gn_load_le64(record + 32);
    *directory_size = gn_load_le64(record + 40);
    *directory_at = gn_load_le64(record + 48);
    *record_at = at;
    return 0;
}

static int find_directory(zip_reader *z, gn_error *e) {
    uint8_t end[END_SIZE] = { 0 };
    uint64_t end_at = 0, record_at, size, at;
    int rc = find_end(z, &end_at, end, e);
    if (rc) return rc;
    z->entries = gn_load_le16(end + 10);
    size = gn_load_le32(end + 12);
    at = gn_load_le32(end + 16);
    record_at = end_at;
    if (z->entries == 0xFFFF || size == UINT32_MAX || at == UINT32_MAX) {
        rc = read_end64(z, end_at, &size, &at, &record_at, e);
        if (rc < 0) return rc;
    }
    if (size > record_at) return gn_fail(e, GN_E_CORRUPT, "the directory of the ZIP archive is longer than the file");
    if (gn_load_le16(end + 4) != gn_load_le16(end + 6))
        return gn_fail(e, GN_E_UNSUPPORTED, "ZIP archives of several disks are not read");
    z->at = record_at - size; /* it ends where the record begins: true also when something stands before the archive */
    z->end = record_at;
    z->shift = (int64_t)(z->at - at);
    return 0;
}

zip_reader *zip_open(int fd, uint64_t size, zip_budget *budget, gn_error *e) {
    zip_reader *z = calloc(1, sizeof *z);
    if (z) z->window = malloc(WINDOW);
    if (!z || !z->window) {
        free(z);
        gn_fail(e, GN_E_NO_MEMORY, "no memory to read a ZIP archive");
        return NULL;
    }
    z->fd = fd;
    z->size = size;
    z->budget = budget;
    if (find_directory(z, e)) zip_close(&z);
    return z;
}

static void end_member(zip_reader *z) {
    if (z->inflating) (void)inflateEnd(&z->stream);
    z->inflating = z->reading = false;
}

void zip_close(zip_reader **z) {
    if (!*z) return;
    end_member(*z);
    free((*z)->window);
    free(*z);
    *z = NULL;
}

/* ---- the directory -------------------------------------------------------------------------------------------------------------- */

static void clean_name(const uint8_t *name, size_t n, zip_entry *out) {
    size_t k = 0;
    for (size_t i = 0; i < n && k + 5 < sizeof out->name;) {
        uint32_t u;
        size_t used = gn_utf8_decode(name + i, n - i, &u);
        bool bad = u < 0x20 || (u >= 0x7F && u < 0xA0) || (u >= 0x200B && u <= 0x200F) ||
                   (u >= 0x2028 && u <= 0x202E) || (u == 0xFFFD && used == 1);
        if (bad) out->name[k++] = '?';
        else {
            memcpy(out->name + k, name + i, used);
            k += used;
        }
        i += used;
    }
    out->name[k] = '\0';
    out->folder = n > 0 && name[n - 1] == '/';
}

/* The ZIP64 extra field holds, in this order, those numbers that do not fit into their 32 bits. */
static void read_extra(const uint8_t *p, size_t n, zip_entry *out) {
    gn_reader r = gn_reader_of(p, n);
    while (gn_reader_left(&r) >= 4) {
        uint16_t id = gn_read_le16(&r), length = gn_read_le16(&r);
        const uint8_t *body = gn_read_bytes(&r, length);
        if (!body) return; /* it runs past its end: the rest means nothing */
        if (id != 1) continue;
        gn_reader b = gn_reader_of(body, length);
        if (out->claimed == UINT32_MAX) out->claimed = gn_read_le64(&b);
        if (out->compressed == UINT32_MAX) out->compressed = gn_read_le64(&b);
        if (out->header_offset == UINT32_MAX) out->header_offset = gn_read_le64(&b);
        return;
    }
}

int zip_next(zip_reader *z, zip_entry *entry, gn_error *e) {
    uint8_t head[ENTRY_SIZE];
    end_member(z);
    if (z->at >= z->end) return 1;
    if (z->end - z->at < ENTRY_SIZE) return gn_fail(e, GN_E_CORRUPT, "the directory of the ZIP archive is damaged");
    int rc = gn_pread_all(z->fd, head, sizeof head, z->at, e);
    if (rc) return rc;
    if (gn_load_le32(head) != ENTRY_SIGNATURE)
        return gn_fail(e, GN_E_CORRUPT, "the directory of the ZIP archive is damaged at offset %llu",
                       (unsigned long long)z->at);
    size_t name = gn_load_le16(head + 28), extra = gn_load_le16(head + 30), comment = gn_load_le16(head + 32);
    if (z->end - z->at - ENTRY_SIZE < name + extra + comment)
        return gn_fail(e, GN_E_CORRUPT, "a member of the ZIP archive runs past its directory");
    *entry = (zip_entry){ .flags = gn_load_le16(head + 8),
                          .method = gn_load_le16(head + 10),
                          .crc = gn_load_le32(head + 16),
                          .compressed = gn_load_le32(head + 20),
                          .claimed = gn_load_le32(head + 24),
                          .header_offset = gn_load_le32(head + 42) };
    uint8_t *text = malloc(name + extra + 1);
    if (!text) return gn_fail(e, GN_E_NO_MEMORY, "no memory to read a ZIP archive");
    rc = gn_pread_all(z->fd, text, name + extra, z->at + ENTRY_SIZE, e);
    if (!rc) {
        clean_name(text, name, entry);
        read_extra(text + name, extra, entry);
        z->at += ENTRY_SIZE + name + extra + comment;
    }
    free(text);
    return rc;
}

/* ---- one member -------------------------------------------------------------------------------------------------------------------- */

static int locate(zip_reader *z, const zip_entry *entry, gn_error *e) {
    uint8_t head[LOCAL_SIZE];
    uint64_t at = entry->header_offset + (uint64_t)z->shift;
    if (at > z->size || z->size - at < LOCAL_SIZE)
        return gn_fail(e, GN_E_CORRUPT, "the member lies outside the archive");
    int rc = gn_pread_all(z->fd, head, sizeof head, at, e);
    if (rc) return rc;
    if (gn_load_le32(head) != LOCAL_SIGNATURE)
        return gn_fail(e, GN_E_CORRUPT, "the member's header is not where the directory says");
    at += LOCAL_SIZE + (uint64_t)gn_load_le16(head + 26) + gn_load_le16(head + 28);
    if (at > z->size) return gn_fail(e, GN_E_CORRUPT, "the member's header is damaged");
    z->data_at = at;
    z->data_left = entry->compressed < z->size - at ? entry->compressed : z->size - at;
    return 0;
}

int zip_begin(zip_reader *z, const zip_entry *entry, gn_error *e) {
    end_member(z);
    if (entry->flags & FLAG_ENCRYPTED) return gn_fail(e, GN_E_UNSUPPORTED, "the member is encrypted");
    if (entry->method != METHOD_STORED && entry->method != METHOD_DEFLATED)
        return gn_fail(e, GN_E_UNSUPPORTED, "the member is packed by method %u; only stored and deflated ones are read",
                       entry->method);
    int rc = locate(z, entry, e);
    if (rc) return rc;
    z->method = entry->method;
    z->crc = 0;
    z->want_crc = entry->crc;
    z->ended = false;
    memset(&z->stream, 0, sizeof z->stream);
    if (z->method == METHOD_DEFLATED && inflateInit2(&z->stream, -MAX_WBITS) != Z_OK)
        return gn_fail(e, GN_E_NO_MEMORY, "no memory to inflate");
    z->inflating = z->method == METHOD_DEFLATED;
    z->reading = true;
    return 0;
}

static int bomb(zip_reader *z, gn_error *e) {
    atomic_store(&z->budget->left, 0);
    return gn_fail(e, GN_E_TOO_LARGE, "the archive unpacks to more than is allowed for its size: taken for a bomb");
}

static int count_output(zip_reader *z, const void *buf, size_t n, gn_error *e) {
    zip_budget *b = z->budget;
    uint64_t left = atomic_load(&b->left), out = atomic_fetch_add(&b->out, n) + n;
    if (!b->trusted && out > FREE && (out - FREE) / PACE > atomic_load(&b->in)) return bomb(z, e);
    do {
        if (n > left) return bomb(z, e);
    } while (!atomic_compare_exchange_weak(&b->left, &left, left - n));
    z->crc = (uint32_t)crc32(z->crc, buf, (uInt)n);
    return 0;
}

static int fill_window(zip_reader *z, gn_error *e) {
    size_t n = z->data_left < WINDOW ? (size_t)z->data_left : WINDOW;
    int rc = gn_pread_all(z->fd, z->window, n, z->data_at, e);
    if (rc) return rc;
    z->data_at += n;
    z->data_left -= n;
    atomic_fetch_add(&z->budget->in, n);
    z->stream.next_in = z->window;
    z->stream.avail_in = (uInt)n;
    return 0;
}

static int inflate_some(zip_reader *z, uint8_t *buf, size_t cap, size_t *n, gn_error *e) {
    z->stream.next_out = buf;
    z->stream.avail_out = (uInt)cap;
    while (z->stream.avail_out && !z->ended) {
        if (!z->stream.avail_in) {
            if (!z->data_left) return gn_fail(e, GN_E_CORRUPT, "the member ends too early");
            int rc = fill_window(z, e);
            if (rc) return rc;
        }
        int zrc = inflate(&z->stream, Z_NO_FLUSH);
        if (zrc == Z_STREAM_END) z->ended = true;
        else if (zrc != Z_OK)
            return gn_fail(e, zrc == Z_MEM_ERROR ? GN_E_NO_MEMORY : GN_E_CORRUPT, "the member is damaged (%s)",
                           z->stream.msg ? z->stream.msg : "deflate");
    }
    *n = cap - z->stream.avail_out;
    return 0;
}

static int copy_some(zip_reader *z, uint8_t *buf, size_t cap, size_t *n, gn_error *e) {
    size_t k = z->data_left < cap ? (size_t)z->data_left : cap;
    int rc = gn_pread_all(z->fd, buf, k, z->data_at, e);
    if (rc) return rc;
    z->data_at += k;
    z->data_left -= k;
    atomic_fetch_add(&z->budget->in, k);
    z->ended = z->data_left == 0;
    *n = k;
    return 0;
}

int zip_read(zip_reader *z, void *buf, size_t cap, size_t *n, gn_error *e) {
    int rc = 0;
    *n = 0;
    if (!z->reading) return 0;
    if (cap > (size_t)1 << 30) cap = (size_t)1 << 30;
    if (!z->ended) rc = z->method == METHOD_STORED ? copy_some(z, buf, cap, n, e) : inflate_some(z, buf, cap, n, e);
    if (!rc && *n) rc = count_output(z, buf, *n, e);
    if (!rc && z->ended && z->crc != z->want_crc) rc = gn_fail(e, GN_E_CORRUPT, "the member's checksum is wrong");
    if (rc) *n = 0;
    if (rc || (z->ended && *n == 0)) end_member(z);
    return rc;
}
