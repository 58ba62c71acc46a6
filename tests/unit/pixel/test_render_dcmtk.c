/* test_render_dcmtk: pictures of real files beside those of DCMTK's dcmj2pnm, with the same window: within one grey level.
 *
 * Lossless and native files only (lossy ones are decoded by other libraries there). What differs must stand in `known` with
 * its reason. Skips by name without the tool or the files. */
#include "check.h"
#include "testdata.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct known { const char *path, *why; } known;
#define PADDING "the padding of -2000 is left out of minimum..maximum here"
static const known differences[] = {
    { "ts/wg04/CT1_JLSL", PADDING },
    { "ts/wg04/CT1_JPLL", PADDING },
    { "ts/wg04/CT1_RLE", PADDING },
    { "ts/wg04/CT1_UNC", PADDING },
    { "pixel/D_CLUNIE_CT1_RLE_FRAGS.dcm", PADDING },
    { "multiframe/CT1_UNC.fragmented_bot_jpeg_ls.80.dcm", PADDING },
    { "broken/GH177_D_CLUNIE_CT1_IVRLE_BigEndian_ELE_undefinded_length.dcm", PADDING },
    { "pixel/SC_ybr_full_uncompressed.dcm", "chroma is centred on 128 (PS3.3 C.7.6.3.1.2), there on 127.5: up to two levels" },
};

static int run(char *const argv[]) {
    posix_spawn_file_actions_t quiet;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ) == 0) waitpid(pid, &status, 0);
    posix_spawn_file_actions_destroy(&quiet);
    return status;
}

/* A binary PGM or PPM; the pixels begin at the offset returned, 0: none such. */
static size_t pnm_header(const gn_buf *b, unsigned *channels, unsigned *width, unsigned *height) {
    unsigned kind, top;
    int used = 0;
    if (b->n < 10 || sscanf((const char *)b->p, "P%u %u %u %u%n", &kind, width, height, &top, &used) != 4 || top != 255) return 0;
    *channels = kind == 5 ? 1 : 3;
    size_t at = (size_t)used + 1;
    return (kind == 5 || kind == 6) && b->n >= at + (size_t)*width * *height * *channels ? at : 0;
}

static bool reference(const char *tool, const char *path, bool window, bool grey, const char *dir, gn_buf *out) {
    char in[8192], to[4096];
    char *argv[12];
    size_t n = 0;
    if (snprintf(in, sizeof in, "%s/%s", testdata_dir(), path) >= (int)sizeof in) return false;
    snprintf(to, sizeof to, "%s/reference.pnm", dir);
    unlink(to);
    argv[n++] = (char *)(uintptr_t)tool;
    if (window && grey) argv[n++] = (char *)(uintptr_t)"+Wi", argv[n++] = (char *)(uintptr_t)"1";
    else if (grey) argv[n++] = (char *)(uintptr_t)"+Wm";
    argv[n++] = in, argv[n++] = to, argv[n] = NULL;
    if (run(argv) != 0) return false;
    return gn_file_load(to, (size_t)1 << 30, out, NULL) == 0;
}

static bool wanted(const image *im) {
    const dicom_transfer_syntax *ts = image_syntax(im);
    return im->count > 0 && !ts->lossy && im->format.sample != PIXEL_FLOAT && strcmp(ts->uid, "1.2.840.10008.1.2.4.90") != 0 &&
           strncmp(ts->uid, "1.2.840.10008.1.2.4.20", 22) != 0;
}

typedef struct counts { unsigned compared, near, skipped; } counts;

static void report(const char *path, const pixel_image *ours, const uint8_t *theirs, unsigned *far) {
    size_t n = (size_t)ours->width * ours->height * ours->channels, beyond = 0, at = 0;
    int most = 0;
    for (size_t i = 0; i < n; i++) {
        int d = abs(ours->bytes[i] - theirs[i]);
        if (d > most) most = d, at = i;
        beyond += d > 1;
    }
    *far = (unsigned)beyond;
    bool excused = false;
    for (size_t i = 0; i < GN_ARRAY_LEN(differences); i++) excused |= strcmp(differences[i].path, path) == 0;
    if ((beyond > 0) == excused) return;
    fprintf(stderr, "%s: %zu of %zu samples differ by more than 1, most %d at %zu (%u, there %u)\n", path, beyond, n, most, at, ours->bytes[at], theirs[at]);
    CHECK(!"an unexpected difference");
}

static void compare(const char *path, const char *dir, counts *c) {
    image im;
    pixel_frame frame = { 0 };
    pixel_image picture = { 0 };
    gn_error e = GN_ERROR_INIT;
    gn_buf pnm = GN_BUF_INIT;
    char text[400];
    unsigned channels = 0, width = 0, height = 0, far = 0;
    if (image_load(&im, path, &e) == 0 && wanted(&im) && image_decode(&im, 0, &frame, &e) == 0) {
        pixel_presentation *p = pixel_presentation_of(im.arena, im.file.dataset, im.file.transfer_syntax, 0, &e);
        bool grey = im.format.samples == 1 && im.format.photometric != PIXEL_PALETTE, ls = strstr(image_syntax(&im)->uid, ".4.8") != NULL;
        int rc = p ? pixel_render(p, &frame, NULL, NULL, &picture, &e) : e.code;
        size_t at = reference(ls ? "dcml2pnm" : "dcmj2pnm", path, p && pixel_presentation_windows(p, NULL, 0, NULL) > 0, grey, dir, &pnm)
                        ? pnm_header(&pnm, &channels, &width, &height) : 0;
        if (at && rc) {
            fprintf(stderr, "%s: %s\n", path, gn_error_text(&e, text, sizeof text));
            CHECK(!"rendered there, not here");
        } else if (at && (channels != picture.channels || width != picture.width || height != picture.height)) {
            fprintf(stderr, "%s: %ux%u x%u, there %ux%u x%u\n", path, picture.width, picture.height, picture.channels, width, height, channels);
            CHECK(!"another shape");
        } else if (at) {
            report(path, &picture, pnm.p + at, &far);
            c->compared++;
            c->near += far == 0;
        } else c->skipped++;
    }
    gn_buf_done(&pnm);
    pixel_image_done(&picture);
    pixel_frame_done(&frame);
    image_done(&im);
}

TEST(pictures_agree_with_dcmtk) {
    char dir[256], path[4096];
    char *version[] = { (char *)(uintptr_t)"dcmj2pnm", (char *)(uintptr_t)"--version", NULL };
    counts c = { 0, 0, 0 };
    gn_buf csv = GN_BUF_INIT;
    if (!testdata_dir()) SKIP("no test data");
    if (run(version) != 0) SKIP("no dcmj2pnm");
    check_temp_dir(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/MANIFEST.csv", testdata_dir());
    REQUIRE(gn_file_load(path, 1 << 24, &csv, NULL) == 0);
    char *line = strchr((char *)csv.p, '\n');
    while (line && line[1]) {
        char *name = line + 1;
        line = strchr(name, '\n');
        snprintf(path, sizeof path, "%.*s", (int)strcspn(name, ","), name);
        compare(path, dir, &c);
    }
    gn_buf_done(&csv);
    printf("%u pictures compared, %u within one level, %u could not be made there\n", c.compared, c.near, c.skipped);
    CHECK(c.compared > 60);
}
