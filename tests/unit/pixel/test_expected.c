/* test_expected: every row of expected_frames.csv: SHA-256 of frames as two or more reference decoders gave them.
 *
 * A row that does not match must stand in `exceptions` below with its reason; an exception that matches after all fails too,
 * so that the list stays true. Differences of lossy frames are judged elsewhere, sample by sample. */
#include "check.h"
#include "testdata.h"

#include <openssl/evp.h>
#include <stdlib.h>

typedef struct exception { const char *path, *why; } exception;
static const exception exceptions[] = {
    { "broken/MR_truncated.dcm", "the pixel data end before the frame does; the reference fills in 62 bytes, here nothing is made up" },
    { "broken/GH340.dcm", "12 bits allocated: a frame has 98,304 bytes, of which the references took the first 65,536" },
};

typedef struct row { char *path, *frame, *sha256, *bytes, *status; } row;

static char *cut(char **rest, char at) {
    char *p = *rest, *q = strchr(p, at);
    if (q) *q++ = '\0';
    *rest = q ? q : p + strlen(p);
    return p;
}

static const exception *exception_of(const char *path) {
    for (size_t i = 0; i < GN_ARRAY_LEN(exceptions); i++)
        if (strcmp(exceptions[i].path, path) == 0) return &exceptions[i];
    return NULL;
}

static void to_hex(const uint8_t *digest, char *out) {
    for (size_t i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* The digest of the frames a row means; false: cannot be decoded. */
static bool digest_row(image *im, const row *r, char hex[65], uint64_t *bytes, gn_error *e) {
    size_t first = 0, last = im->count;
    uint8_t digest[32];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = true;
    if (strcmp(r->frame, "all") != 0) {
        first = (size_t)strtoul(r->frame, NULL, 10) - 1;
        last = first + 1;
    }
    if (last > im->count) ok = gn_fail(e, GN_E_NOT_FOUND, "frame %zu of %zu", last, im->count) == 0;
    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    *bytes = 0;
    for (size_t i = first; i < last && ok; i++) {
        pixel_frame f = { 0 };
        ok = image_decode(im, i, &f, e) == 0;
        if (ok) EVP_DigestUpdate(md, f.bytes, f.n), *bytes += f.n;
        pixel_frame_done(&f);
    }
    EVP_DigestFinal_ex(md, digest, NULL);
    EVP_MD_CTX_free(md);
    to_hex(digest, hex);
    return ok;
}

static bool check_row(image *im, const row *r, int load_rc, const gn_error *load_error) {
    gn_error e = GN_ERROR_INIT;
    char hex[65] = "", text[400];
    uint64_t bytes = 0;
    bool ok = load_rc == 0 && digest_row(im, r, hex, &bytes, &e);
    bool same = ok && strcmp(hex, r->sha256) == 0;
    const exception *x = exception_of(r->path);
    if (same == (x == NULL)) return same;
    if (same) fprintf(stderr, "%s frame %s matches, but is listed as an exception\n", r->path, r->frame);
    else if (ok) fprintf(stderr, "%s frame %s (%s) differs, %llu bytes, expected %s\n", r->path, r->frame, r->status, (unsigned long long)bytes, r->bytes);
    else fprintf(stderr, "%s frame %s: %s\n", r->path, r->frame, gn_error_text(load_rc ? load_error : &e, text, sizeof text));
    CHECK(!"an unexpected row");
    return same;
}

TEST(every_expected_frame) {
    if (!testdata_dir()) SKIP("no test data");
    char path[4096], current[1024] = "";
    unsigned rows = 0, matched = 0;
    gn_buf csv = GN_BUF_INIT;
    gn_error load_error = GN_ERROR_INIT;
    image im = { 0 };
    int rc = 0;
    snprintf(path, sizeof path, "%s/expected_frames.csv", testdata_dir());
    REQUIRE(gn_file_load(path, 1 << 24, &csv, NULL) == 0);
    char *rest = (char *)csv.p;
    for (cut(&rest, '\n'); *rest; rows++) {
        char *line = cut(&rest, '\n');
        row r = { cut(&line, ','), cut(&line, ','), cut(&line, ','), cut(&line, ','), NULL };
        cut(&line, ',');
        r.status = cut(&line, ',');
        if (strcmp(current, r.path) != 0) {
            image_done(&im);
            gn_error_clear(&load_error);
            rc = image_load(&im, r.path, &load_error);
            snprintf(current, sizeof current, "%s", r.path);
        }
        matched += check_row(&im, &r, rc, &load_error);
    }
    image_done(&im);
    gn_buf_done(&csv);
    printf("%u of %u rows match, %zu files are known exceptions\n", matched, rows, GN_ARRAY_LEN(exceptions));
}
