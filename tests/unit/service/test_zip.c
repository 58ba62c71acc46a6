/* ZIP archives: what is written is read; those that lie about sizes, places and names, and bombs, cost little (T6, T12). */
#include "check.h"
#include "zip.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

/* ---- making archives by hand --------------------------------------------------------------------------------------------- */

typedef struct made {
    gn_buf body, directory;
    unsigned entries;
} made;

static size_t deflated(const void *p, size_t n, uint8_t **out) {
    z_stream s = { 0 };
    size_t cap = n + n / 1000 + 100;
    *out = malloc(cap);
    if (!*out || deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
    s.next_in = (Bytef *)(uintptr_t)p;
    s.avail_in = (uInt)n;
    s.next_out = *out;
    s.avail_out = (uInt)cap;
    (void)deflate(&s, Z_FINISH);
    n = cap - s.avail_out;
    (void)deflateEnd(&s);
    return n;
}

typedef struct member {
    const char *name;
    const void *data;
    size_t n;
    bool deflate;
    uint32_t claim; /* inflated size in headers; 0: true */
    uint16_t flags, method;
    bool zip64;
    uint32_t wrong_crc;
} member;

static void put_head(gn_buf *b, bool local, const member *m, uint32_t crc, size_t packed, uint64_t at) {
    uint32_t claim = m->claim ? m->claim : (uint32_t)m->n;
    gn_buf_le32(b, local ? 0x04034b50u : 0x02014b50u);
    if (!local) gn_buf_le16(b, 20);
    gn_buf_le16(b, 20);
    gn_buf_le16(b, m->flags);
    gn_buf_le16(b, m->method ? m->method : m->deflate ? 8 : 0);
    gn_buf_le32(b, 0);
    gn_buf_le32(b, crc ^ m->wrong_crc);
    gn_buf_le32(b, m->zip64 ? UINT32_MAX : (uint32_t)packed);
    gn_buf_le32(b, m->zip64 ? UINT32_MAX : claim);
    gn_buf_le16(b, (uint16_t)strlen(m->name));
    gn_buf_le16(b, m->zip64 ? (local ? 20 : 28) : 0);
    if (!local) {
        gn_buf_le16(b, 0);
        gn_buf_le16(b, 0);
        gn_buf_le16(b, 0);
        gn_buf_le32(b, 0);
        gn_buf_le32(b, m->zip64 ? UINT32_MAX : (uint32_t)at);
    }
    gn_buf_puts(b, m->name);
    if (!m->zip64) return;
    gn_buf_le16(b, 1);
    gn_buf_le16(b, local ? 16 : 24);
    gn_buf_le32(b, claim);
    gn_buf_le32(b, 0);
    gn_buf_le32(b, (uint32_t)packed);
    gn_buf_le32(b, 0);
    if (local) return;
    gn_buf_le32(b, (uint32_t)at);
    gn_buf_le32(b, 0);
}

static void add(made *z, const member *m) {
    uint8_t *packed = NULL;
    size_t n = m->deflate ? deflated(m->data, m->n, &packed) : m->n;
    uint32_t crc = (uint32_t)crc32(0, m->data, (uInt)m->n);
    uint64_t at = z->body.n;
    put_head(&z->body, true, m, crc, n, at);
    gn_buf_append(&z->body, packed ? (const void *)packed : m->data, n);
    put_head(&z->directory, false, m, crc, n, at);
    z->entries++;
    free(packed);
}

static void put_end(gn_buf *b, unsigned entries, size_t size, size_t at) {
    gn_buf_le32(b, 0x06054b50u);
    gn_buf_le32(b, 0);
    gn_buf_le16(b, (uint16_t)entries);
    gn_buf_le16(b, (uint16_t)entries);
    gn_buf_le32(b, (uint32_t)size);
    gn_buf_le32(b, (uint32_t)at);
    gn_buf_le16(b, 0);
}

static int file_of(const void *p, size_t n) {
    int fd = memfd_create("zip", MFD_CLOEXEC);
    if (fd >= 0 && gn_write_all(fd, p, n, NULL)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The finished archive as a file; frees the rest. */
static int finish(made *z, uint64_t *size) {
    size_t at = z->body.n;
    gn_buf_append(&z->body, z->directory.p, z->directory.n);
    put_end(&z->body, z->entries, z->directory.n, at);
    *size = z->body.n;
    int fd = file_of(z->body.p, z->body.n);
    gn_buf_done(&z->body);
    gn_buf_done(&z->directory);
    return fd;
}

/* Reads one member whole. Returns its length, or the error's code. */
static int64_t read_member(zip_reader *z, const zip_entry *entry, gn_buf *out, gn_error *e) {
    uint8_t chunk[1000];
    int rc = zip_begin(z, entry, e);
    int64_t total = 0;
    for (size_t n = 1; !rc && n;) {
        rc = zip_read(z, chunk, sizeof chunk, &n, e);
        if (out) gn_buf_append(out, chunk, n);
        total += (int64_t)n;
    }
    return rc ? rc : total;
}

/* ---- tests ----------------------------------------------------------------------------------------------------------------- */

TEST(stored_deflated_and_zip64_members) {
    made z = { 0 };
    const member members[] = {
        { .name = "plain", .data = "hello", .n = 5 },
        { .name = "packed", .data = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", .n = 36, .deflate = true },
        { .name = "folder/", .data = "", .n = 0 },
        { .name = "large", .data = "zip64 sizes", .n = 11, .zip64 = true }
    };
    for (size_t i = 0; i < 4; i++) add(&z, &members[i]);
    uint64_t size;
    int fd = finish(&z, &size);
    gn_error e = GN_ERROR_INIT;
    zip_budget b;
    zip_budget_init(&b, size, 0);
    zip_reader *r = zip_open(fd, size, &b, &e);
    REQUIRE(r);
    zip_entry entry;
    for (size_t i = 0; i < 4; i++) {
        gn_buf out = GN_BUF_INIT;
        CHECK_INT(zip_next(r, &entry, &e), 0);
        CHECK_STR(entry.name, members[i].name);
        CHECK_INT(entry.folder, i == 2);
        CHECK_INT(read_member(r, &entry, &out, &e), (int64_t)members[i].n);
        CHECK_MEM2(out.p ? (const void *)out.p : "", out.n, members[i].data, members[i].n);
        gn_buf_done(&out);
    }
    CHECK_INT(zip_next(r, &entry, &e), 1);
    CHECK_STR(e.message, "");
    zip_close(&r);
    close(fd);
}

TEST(something_before_the_archive) {
    made z = { 0 };
    const member m = { .name = "a", .data = "hello", .n = 5 };
    add(&z, &m);
    uint64_t size;
    int inner = finish(&z, &size);
    uint8_t all[400] = "#!/bin/sh\n";
    CHECK_INT(gn_pread_all(inner, all + 100, (size_t)size, 0, NULL), 0);
    int fd = file_of(all, 100 + (size_t)size);
    zip_budget b;
    zip_budget_init(&b, size, 0);
    zip_reader *r = zip_open(fd, 100 + size, &b, NULL);
    REQUIRE(r);
    zip_entry entry;
    CHECK_INT(zip_next(r, &entry, NULL), 0);
    CHECK_INT(read_member(r, &entry, NULL, NULL), 5);
    zip_close(&r);
    close(inner);
    close(fd);
}

/* Reads the first member of an archive made of one; the code or length. */
static int64_t only(const member *m, gn_error *e) {
    made z = { 0 };
    add(&z, m);
    uint64_t size;
    int fd = finish(&z, &size);
    zip_budget b;
    zip_budget_init(&b, size, 0);
    zip_reader *r = zip_open(fd, size, &b, e);
    zip_entry entry;
    int64_t rc = !r ? e->code : zip_next(r, &entry, e);
    if (!rc) rc = read_member(r, &entry, NULL, e);
    zip_close(&r);
    close(fd);
    return rc;
}

TEST(forged_sizes_are_ignored) {
    gn_error e = GN_ERROR_INIT;
    member m = { .name = "a", .data = "hello hello hello", .n = 17, .deflate = true, .claim = 1 };
    CHECK_INT(only(&m, &e), 17);
    m.claim = 0xFFFFFFF0u;
    CHECK_INT(only(&m, &e), 17);
    m.deflate = false;
    CHECK_INT(only(&m, &e), 17);
    CHECK_STR(e.message, "");
}

TEST(what_is_not_read_says_so) {
    gn_error e = GN_ERROR_INIT;
    member m = { .name = "a", .data = "hello", .n = 5, .flags = 1 };
    CHECK_INT(only(&m, &e), GN_E_UNSUPPORTED);
    CHECK_STR(e.message, "the member is encrypted");
    gn_error_clear(&e);
    m = (member){ .name = "a", .data = "hello", .n = 5, .method = 12 };
    CHECK_INT(only(&m, &e), GN_E_UNSUPPORTED);
    gn_error_clear(&e);
    m = (member){ .name = "a", .data = "hello", .n = 5, .wrong_crc = 7 };
    CHECK_INT(only(&m, &e), GN_E_CORRUPT);
    CHECK_STR(e.message, "the member's checksum is wrong");
    gn_error_clear(&e);
    m = (member){ .name = "a", .data = "not deflate at all", .n = 18, .method = 8 };
    CHECK_INT(only(&m, &e), GN_E_CORRUPT);
}

/* How much a bomb of 41 members, each 64 MiB of zeros, unpacks to in an archive that is said to have `size` bytes (0: as it is). */
static int64_t unpacked_of_a_bomb(uint64_t *size) {
    enum { N = 64 << 20 };
    uint8_t *zeros = calloc(1, N), *packed = NULL;
    size_t n = deflated(zeros, N, &packed);
    uint32_t crc = (uint32_t)crc32(0, zeros, N);
    free(zeros);
    made z = { 0 };
    member m = { .name = "bomb", .data = packed, .n = n, .method = 8, .claim = N };
    add(&z, &m);
    for (int i = 0; i < 40; i++) { /* the same bytes again and again, as overlapping members do */
        put_head(&z.directory, false, &m, crc, n, 0);
        z.entries++;
    }
    uint64_t real;
    int fd = finish(&z, &real);
    if (!*size) *size = real;
    gn_error e = GN_ERROR_INIT;
    zip_budget b;
    zip_budget_init(&b, *size, 0);
    zip_reader *r = zip_open(fd, real, &b, &e);
    CHECK(r != NULL);
    zip_entry entry;
    int64_t total = 0, rc = 0;
    while (r && zip_next(r, &entry, &e) == 0 && !zip_exhausted(r)) {
        rc = read_member(r, &entry, NULL, &e);
        if (rc > 0) total += rc;
        else if (rc != GN_E_TOO_LARGE) gn_error_clear(&e); /* the first one's checksum is of what was packed */
    }
    CHECK_INT(rc, GN_E_TOO_LARGE);
    CHECK(strstr(e.message, "bomb") != NULL);
    zip_close(&r);
    free(packed);
    close(fd);
    return total;
}

TEST(T6_a_bomb_ends_early) {
    uint64_t size = 0;
    int64_t total = unpacked_of_a_bomb(&size);
    CHECK(total <= (256 << 20) + 25 * (int64_t)size);
}

TEST(T6_a_bomb_ends_as_early_in_a_large_archive) {
    uint64_t size = UINT64_C(1) << 40;
    CHECK(unpacked_of_a_bomb(&size) <= 300 << 20);
}

TEST(an_explicit_limit_holds) {
    made z = { 0 };
    const member m = { .name = "a", .data = "0123456789", .n = 10 };
    add(&z, &m);
    uint64_t size;
    int fd = finish(&z, &size);
    gn_error e = GN_ERROR_INIT;
    zip_budget b;
    zip_budget_init(&b, size, 9);
    zip_reader *r = zip_open(fd, size, &b, &e);
    REQUIRE(r);
    zip_entry entry;
    CHECK_INT(zip_next(r, &entry, &e), 0);
    CHECK_INT(read_member(r, &entry, NULL, &e), GN_E_TOO_LARGE);
    CHECK(zip_exhausted(r));
    zip_close(&r);
    close(fd);
}

TEST(names_are_only_for_people) {
    static const struct {
        const char *name, *shown;
    } cases[] = { { "../../etc/passwd", "../../etc/passwd" },
                  { "a\033[2Jb", "a?[2Jb" },
                  { "\xFFx", "?x" },
                  { "\xE2\x80\xAEx", "?x" },
                  { "M\xC3\xBC", "M\xC3\xBC" } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        made z = { 0 };
        const member m = { .name = cases[i].name, .data = "x", .n = 1 };
        add(&z, &m);
        uint64_t size;
        int fd = finish(&z, &size);
        zip_budget b;
        zip_budget_init(&b, size, 0);
        zip_reader *r = zip_open(fd, size, &b, NULL);
        REQUIRE(r);
        zip_entry entry;
        CHECK_INT(zip_next(r, &entry, NULL), 0);
        CHECK_STR(entry.name, cases[i].shown);
        zip_close(&r);
        close(fd);
    }
}

/* Walks an archive and reads every member, whatever it is; must end and must not crash. */
static void read_all(const uint8_t *p, size_t n) {
    int fd = file_of(p, n);
    gn_error e = GN_ERROR_INIT;
    zip_budget b;
    zip_budget_init(&b, n, 1 << 20);
    zip_reader *r = zip_open(fd, n, &b, &e);
    zip_entry entry;
    for (int i = 0; r && i < 1000 && zip_next(r, &entry, &e) == 0; i++) (void)read_member(r, &entry, NULL, &e);
    zip_close(&r);
    close(fd);
}

TEST(every_cut_and_every_changed_byte) {
    made z = { 0 };
    const member members[] = {
        { .name = "plain", .data = "hello", .n = 5 },
        { .name = "packed", .data = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", .n = 36, .deflate = true },
        { .name = "large", .data = "zip64 sizes", .n = 11, .zip64 = true }
    };
    for (size_t i = 0; i < 3; i++) add(&z, &members[i]);
    uint64_t size;
    int fd = finish(&z, &size);
    uint8_t *good = malloc((size_t)size), *bad = malloc((size_t)size);
    REQUIRE(good && bad);
    CHECK_INT(gn_pread_all(fd, good, (size_t)size, 0, NULL), 0);
    for (size_t n = 0; n <= size; n++) read_all(good, n);
    for (size_t i = 0; i < size; i++) {
        static const uint8_t values[] = { 0x00, 0x7F, 0xFF };
        for (size_t v = 0; v < 3; v++) {
            memcpy(bad, good, (size_t)size);
            bad[i] = values[v];
            read_all(bad, (size_t)size);
        }
    }
    free(good);
    free(bad);
    close(fd);
}

TEST(no_archive_at_all) {
    gn_error e = GN_ERROR_INIT;
    zip_budget b;
    zip_budget_init(&b, 100, 0);
    int fd = file_of("this is no archive, and it never was one of any kind", 52);
    CHECK(!zip_open(fd, 52, &b, &e));
    CHECK_INT(e.code, GN_E_INVALID);
    close(fd);
    uint8_t empty[22] = { 'P', 'K', 5, 6 };
    fd = file_of(empty, sizeof empty);
    zip_reader *r = zip_open(fd, sizeof empty, &b, NULL);
    zip_entry entry;
    REQUIRE(r);
    CHECK_INT(zip_next(r, &entry, NULL), 1);
    zip_close(&r);
    close(fd);
}

TEST(what_is_written_is_read) {
    int out = memfd_create("out", MFD_CLOEXEC), in = file_of("0123456789", 10);
    gn_error e = GN_ERROR_INIT;
    zip_writer *w = zip_writer_new(out, &e);
    REQUIRE(w);
    CHECK_INT(zip_writer_add(w, "1.2.3.dcm", in, 2, 5, &e), 0);
    CHECK_INT(zip_writer_add(w, "1.2.4.dcm", in, 0, 0, &e), 0);
    CHECK_INT(zip_writer_add(w, "1.2.5.dcm", in, 8, 5, &e), GN_E_TRUNCATED);
    gn_error_clear(&e);
    CHECK_INT(zip_writer_finish(w, &e), 0);
    zip_writer_free(&w);
    uint64_t size = (uint64_t)lseek(out, 0, SEEK_END);
    zip_budget b;
    zip_budget_init(&b, size, 0);
    zip_reader *r = zip_open(out, size, &b, &e);
    REQUIRE(r);
    zip_entry entry;
    gn_buf data = GN_BUF_INIT;
    CHECK_INT(zip_next(r, &entry, &e), 0);
    CHECK_STR(entry.name, "1.2.3.dcm");
    CHECK_INT(read_member(r, &entry, &data, &e), 5);
    CHECK_MEM2(data.p, data.n, "23456", 5);
    CHECK_INT(zip_next(r, &entry, &e), 0);
    CHECK_INT(read_member(r, &entry, NULL, &e), 0);
    CHECK_INT(zip_next(r, &entry, &e), 1);
    gn_buf_done(&data);
    zip_close(&r);
    close(in);
    close(out);
}

TEST(many_members_need_zip64) {
    int out = memfd_create("out", MFD_CLOEXEC), in = file_of("x", 1);
    gn_error e = GN_ERROR_INIT;
    zip_writer *w = zip_writer_new(out, &e);
    REQUIRE(w);
    for (int i = 0; i < 70000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        if (zip_writer_add(w, name, in, 0, 1, &e)) break;
    }
    CHECK_INT(zip_writer_finish(w, &e), 0);
    zip_writer_free(&w);
    uint64_t size = (uint64_t)lseek(out, 0, SEEK_END);
    zip_budget b;
    zip_budget_init(&b, size, 0);
    zip_reader *r = zip_open(out, size, &b, &e);
    REQUIRE(r);
    zip_entry entry;
    int count = 0;
    while (zip_next(r, &entry, &e) == 0) count++;
    CHECK_INT(count, 70000);
    CHECK_STR(entry.name, "69999");
    zip_close(&r);
    close(in);
    close(out);
}

/* Members and places beyond 4 GiB: a file that is mostly a hole, and an output that is thrown away but for its end. */
TEST(a_member_of_more_than_4_gib) {
    int in = memfd_create("in", MFD_CLOEXEC);
    char path[100], dir[80];
    snprintf(path, sizeof path, "%s/out.zip", check_temp_dir(dir, sizeof dir));
    if (!getenv("GANTRY_LARGE_TESTS")) {
        close(in);
        SKIP("writes 4 GiB; set GANTRY_LARGE_TESTS=1");
    }
    FILE *f = fopen(path, "w+");
    REQUIRE(f && ftruncate(in, ((off_t)4 << 30) + 10) == 0);
    gn_error e = GN_ERROR_INIT;
    zip_writer *w = zip_writer_new(fileno(f), &e);
    REQUIRE(w);
    CHECK_INT(zip_writer_add(w, "large", in, 0, ((uint64_t)4 << 30) + 10, &e), 0);
    CHECK_INT(zip_writer_add(w, "far", in, 0, 3, &e), 0);
    CHECK_INT(zip_writer_finish(w, &e), 0);
    zip_writer_free(&w);
    uint64_t size = (uint64_t)lseek(fileno(f), 0, SEEK_END);
    zip_budget b;
    zip_budget_init(&b, size, 0);
    zip_reader *r = zip_open(fileno(f), size, &b, &e);
    REQUIRE(r);
    zip_entry entry;
    CHECK_INT(zip_next(r, &entry, &e), 0);
    CHECK_INT(entry.claimed, ((int64_t)4 << 30) + 10);
    CHECK_INT(zip_next(r, &entry, &e), 0);
    CHECK_INT(read_member(r, &entry, NULL, &e), 3);
    zip_close(&r);
    (void)fclose(f);
    close(in);
}
