/* test_worker: decoding in confined processes (T10): what comes back, what a crash, a hang or a lie costs, and what a worker
 * cannot do. The suite's own program is the worker: a constructor looks at the argument before the tests begin. */
#include "check.h"
#include "testdata.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* ---- workers that misbehave -------------------------------------------------------------------------------------------- */

static int receive_raw(worker_request *q, int fds[2]) {
    char control[CMSG_SPACE(2 * sizeof(int))];
    struct iovec iov = { q, sizeof *q };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    ssize_t n = recvmsg(PIXEL_WORKER_FD, &m, 0);
    if (n == (ssize_t)sizeof *q && CMSG_FIRSTHDR(&m)) memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), 2 * sizeof(int));
    return n == (ssize_t)sizeof *q;
}

static void reply(const worker_answer *a, size_t n) { (void)!send(PIXEL_WORKER_FD, a, n, MSG_NOSIGNAL); }

static int misbehave(const char *how) {
    worker_request q;
    int fds[2] = { -1, -1 };
    while (receive_raw(&q, fds)) {
        worker_answer a = { .magic = WORKER_MAGIC, .format = q.format, .decoded = q.room };
        if (strcmp(how, "bad-hang") == 0) pause();
        if (strcmp(how, "bad-crash") == 0) abort();
        if (strcmp(how, "bad-exit") == 0) _exit(0);
        if (strcmp(how, "bad-large") == 0) a.decoded = q.room + 1;
        if (strcmp(how, "bad-shape") == 0) a.format.rows *= 2;
        if (strcmp(how, "bad-photometric") == 0) a.format.photometric = (pixel_photometric)999;
        if (strcmp(how, "bad-bool") == 0) memset(&a.format.planar, 0x77, 1);
        if (strcmp(how, "bad-code") == 0) a.code = 12345;
        if (strcmp(how, "bad-magic") == 0) a.magic = 1;
        if (strcmp(how, "bad-shrink") == 0 && ftruncate(fds[1], 0) == 0) a.code = GN_E_TRUNCATED; /* the seal must refuse it */
        reply(&a, strcmp(how, "bad-short") == 0 ? 4 : sizeof a);
    }
    return 0;
}

__attribute__((constructor)) static void be_a_worker(int argc, char **argv) {
    if (argc < 2) return;
    if (strcmp(argv[1], PIXEL_WORKER_ARGUMENT) == 0) _exit(pixel_worker_main(PIXEL_WORKER_FD));
    if (strncmp(argv[1], "bad-", 4) == 0) _exit(misbehave(argv[1]));
}

/* ---- frames ------------------------------------------------------------------------------------------------------------ */

static const pixel_format small = { .rows = 16, .columns = 16, .samples = 1, .allocated = 8, .stored = 8, .high_bit = 7, .photometric = PIXEL_MONOCHROME2 };

static int decode(pixel_workers *w, const char *uid, const void *p, size_t n, pixel_frame *out, gn_error *e) {
    return pixel_workers_decode(w, dicom_transfer_syntax_find(uid), &small, p, n, 0, NULL, out, e);
}

static void samples_of(uint8_t samples[256]) {
    for (size_t i = 0; i < 256; i++) samples[i] = (uint8_t)(i * 3 + i / 16);
}

TEST(every_codec_works_inside_its_confinement) {
    static const char *const uids[] = { DICOM_TS_EXPLICIT_LE, "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201" };
    gn_error e = GN_ERROR_INIT;
    pixel_workers *w = pixel_workers_new(&(pixel_worker_config){ .workers = 1 }, NULL);
    uint8_t samples[256];
    samples_of(samples);
    REQUIRE(w != NULL);
    for (size_t i = 0; i < GN_ARRAY_LEN(uids); i++) {
        pixel_frame frame = { small, samples, sizeof samples }, here = { 0 }, there = { 0 };
        gn_buf encoded = GN_BUF_INIT;
        REQUIRE(pixel_encode(uids[i], &frame, NULL, &encoded, NULL) == 0);
        CHECK_INT(pixel_decode(dicom_transfer_syntax_find(uids[i]), &small, encoded.p, encoded.n, 0, NULL, &here, NULL), 0);
        int rc = decode(w, uids[i], encoded.p, encoded.n, &there, &e);
        if (rc) fprintf(stderr, "%s: %s\n", uids[i], e.message);
        CHECK_INT(rc, 0);
        CHECK_MEM2(here.bytes, here.n, there.bytes, there.n);
        CHECK_INT(here.format.photometric, there.format.photometric);
        pixel_frame_done(&here);
        pixel_frame_done(&there);
        /* an error, through an exception or a longjmp, must not end the worker either */
        gn_error bad = GN_ERROR_INIT;
        CHECK(decode(w, uids[i], encoded.p, encoded.n / 2, &there, &bad) != 0);
        CHECK(strstr(bad.message, "ended") == NULL);
        gn_buf_done(&encoded);
    }
    pixel_workers_free(&w);
    CHECK(w == NULL);
}

TEST(real_frames_are_the_same_in_a_worker) {
    static const char *const paths[] = { "ts/wg04/CT1_J2KR", "ts/wg04/MR1_JLSL", "ts/wg04/RG3_JPLY", "ts/other/HTJ2KLossless_08_RGB.dcm", "ts/wg04/CT1_JPLL",
        "pixel/SC_rgb_dcmtk_+eb+cy+np.dcm", "multiframe/examples_ybr_color.dcm" };
    if (!testdata_dir()) SKIP("no test data");
    pixel_workers *w = pixel_workers_new(&(pixel_worker_config){ .workers = 2 }, NULL);
    REQUIRE(w != NULL);
    for (size_t i = 0; i < GN_ARRAY_LEN(paths); i++) {
        image im;
        gn_error e = GN_ERROR_INIT;
        gn_buf encoded = GN_BUF_INIT;
        pixel_frame here = { 0 }, there = { 0 };
        REQUIRE(image_load(&im, paths[i], &e) == 0 && image_encoded(&im, 0, &encoded, &e) == 0 && image_decode(&im, 0, &here, &e) == 0);
        int rc = pixel_workers_decode(w, image_syntax(&im), &im.format, encoded.p, encoded.n, im.frames[0].bit_offset, NULL, &there, &e);
        if (rc) fprintf(stderr, "%s: %s\n", paths[i], e.message);
        CHECK_MEM2(here.bytes, here.n, there.bytes, there.n);
        pixel_frame_done(&here);
        pixel_frame_done(&there);
        gn_buf_done(&encoded);
        image_done(&im);
    }
    pixel_workers_free(&w);
}

static int read_file(void *ctx, uint64_t offset, void *buf, size_t n, gn_error *e) {
    const gn_buf *b = ctx;
    if (offset > b->n || n > b->n - offset) return gn_fail(e, GN_E_TRUNCATED, "behind the end");
    memcpy(buf, b->p + offset, n);
    return 0;
}

static int append(void *ctx, const void *p, size_t n, gn_error *e) {
    gn_buf *b = ctx;
    gn_buf_append(b, p, n);
    return b->failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory") : 0;
}

static void transcode_through(const char *argument, int want) {
    image im;
    gn_buf here = GN_BUF_INIT, there = GN_BUF_INIT;
    pixel_workers *w = pixel_workers_new(&(pixel_worker_config){ .workers = 1, .argument = argument }, NULL);
    REQUIRE(w != NULL && image_load(&im, "ts/wg04/CT1_JLSL", NULL) == 0);
    pixel_source source = { read_file, &im.bytes, im.bytes.n };
    pixel_sink to_here = { append, &here }, to_there = { append, &there };
    pixel_encode_options o = { .workers = w };
    CHECK_INT(pixel_transcode(&source, DICOM_TS_EXPLICIT_LE, NULL, NULL, &to_here, NULL), 0);
    CHECK_INT(pixel_transcode(&source, DICOM_TS_EXPLICIT_LE, &o, NULL, &to_there, NULL), want);
    if (!want) CHECK_MEM2(here.p, here.n, there.p, there.n);
    gn_buf_done(&here);
    gn_buf_done(&there);
    image_done(&im);
    pixel_workers_free(&w);
}

TEST(transcoding_can_decode_in_workers) {
    if (!testdata_dir()) SKIP("no test data");
    transcode_through(NULL, 0);
    transcode_through("bad-crash", GN_E_INVALID);
}

/* ---- T10: one failed request ------------------------------------------------------------------------------------------- */

static void expect_failure(const char *argument, const char *message) {
    gn_error e = GN_ERROR_INIT;
    pixel_frame out = { 0 };
    uint8_t samples[256] = { 0 };
    pixel_worker_config c = { .workers = 1, .frame_timeout_ms = 200, .argument = argument };
    pixel_workers *w = pixel_workers_new(&c, NULL);
    REQUIRE(w != NULL);
    for (int i = 0; i < 2; i++) { /* and the next one gets a worker again */
        gn_error_clear(&e);
        CHECK_INT(decode(w, DICOM_TS_EXPLICIT_LE, samples, sizeof samples, &out, &e), GN_E_INVALID);
        if (!strstr(e.message, message)) fprintf(stderr, "%s: %s\n", argument, e.message);
        CHECK(strstr(e.message, message) != NULL);
        CHECK(out.bytes == NULL);
    }
    pixel_workers_free(&w);
}

TEST(T10_a_worker_that_crashes) { expect_failure("bad-crash", "the decoder was ended by signal 6"); }
TEST(T10_a_worker_that_hangs) { expect_failure("bad-hang", "the decoder did not finish within 200 ms"); }
TEST(T10_a_worker_that_ends) { expect_failure("bad-exit", "the decoder ended"); }

TEST(T10_a_worker_that_lies) {
    static const char *const how[] = { "bad-large", "bad-shape", "bad-photometric", "bad-bool" };
    for (size_t i = 0; i < GN_ARRAY_LEN(how); i++) expect_failure(how[i], "does not fit");
    expect_failure("bad-code", "");
    expect_failure("bad-magic", "the decoder");
    expect_failure("bad-short", "the decoder");
}

TEST(T10_a_worker_cannot_shrink_what_its_parent_reads) {
    gn_error e = GN_ERROR_INIT;
    pixel_frame out = { 0 };
    uint8_t samples[256] = { 0 };
    pixel_workers *w = pixel_workers_new(&(pixel_worker_config){ .workers = 1, .argument = "bad-shrink" }, NULL);
    REQUIRE(w != NULL);
    CHECK_INT(decode(w, DICOM_TS_EXPLICIT_LE, samples, sizeof samples, &out, &e), 0);
    pixel_frame_done(&out);
    pixel_workers_free(&w);
}

TEST(T10_a_program_that_cannot_be_started) {
    gn_error e = GN_ERROR_INIT;
    pixel_frame out = { 0 };
    pixel_workers *w = pixel_workers_new(&(pixel_worker_config){ .workers = 1, .program = "/nonexistent" }, NULL);
    REQUIRE(w != NULL);
    CHECK_INT(decode(w, DICOM_TS_EXPLICIT_LE, "a", 1, &out, &e), GN_E_IO);
    pixel_workers_free(&w);
}

TEST(T10_a_worker_killed_between_frames_is_replaced) {
    pixel_frame out = { 0 };
    uint8_t samples[256] = { 0 };
    pixel_workers *w = pixel_workers_new(&(pixel_worker_config){ .workers = 1 }, NULL);
    char children[64], text[64] = "";
    REQUIRE(w != NULL);
    REQUIRE(decode(w, DICOM_TS_EXPLICIT_LE, samples, sizeof samples, &out, NULL) == 0);
    pixel_frame_done(&out);
    snprintf(children, sizeof children, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(children, "r");
    if (!f || !fgets(text, sizeof text, f)) {
        if (f) fclose(f);
        pixel_workers_free(&w);
        SKIP("the kernel does not list children");
    }
    fclose(f);
    kill((pid_t)strtol(text, NULL, 10), SIGKILL);
    usleep(50000);
    CHECK_INT(decode(w, DICOM_TS_EXPLICIT_LE, samples, sizeof samples, &out, NULL), 0);
    pixel_frame_done(&out);
    pixel_workers_free(&w);
}

TEST(T9_claims_are_refused_before_a_worker_sees_them) {
    pixel_format bomb = small;
    pixel_frame out = { 0 };
    pixel_workers *w = pixel_workers_new(&(pixel_worker_config){ .workers = 1, .program = "/nonexistent" }, NULL);
    bomb.rows = bomb.columns = 46341, bomb.allocated = bomb.stored = 16, bomb.high_bit = 15;
    REQUIRE(w != NULL);
    CHECK_INT(pixel_workers_decode(w, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), &bomb, "a", 1, 0, NULL, &out, NULL), GN_E_TOO_LARGE);
    CHECK_INT(decode(w, DICOM_TS_EXPLICIT_LE, "", 0, &out, NULL), GN_E_TRUNCATED);
    CHECK_INT(decode(w, "1.2.840.10008.1.2.4.100", "a", 1, &out, NULL), GN_E_UNSUPPORTED);
    pixel_workers_free(&w);
}

/* ---- confinement ------------------------------------------------------------------------------------------------------- */

typedef void (*deed)(void);
static void opens_a_file(void) { _exit(open("/etc/passwd", O_RDONLY) >= 0 ? 1 : 0); }
#if !SANITIZED
static void makes_a_socket(void) { _exit(socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 1 : 0); }
static void forks(void) { _exit(fork() >= 0 ? 1 : 0); }
static void maps_code(void) { _exit(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ? 1 : 0); }
static void kills_its_parent(void) { _exit(kill(getppid(), 0) == 0 ? 1 : 0); }
static void runs_a_program(void) { execl("/bin/true", "true", (char *)NULL), _exit(0); }
static void takes_memory(void) {
    void *p = malloc((size_t)1 << 30);
    if (p) memset(p, 1, (size_t)1 << 30);
    _exit(p ? 1 : 0);
}
static void stays_alive(void) { _exit(malloc(100000) ? 42 : 1); }

#endif

static int status_of(deed what) {
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (worker_confine((uint64_t)256 << 20, PIXEL_WORKER_FD, NULL) != 0) _exit(99);
        what();
    }
    waitpid(pid, &status, 0);
    return status;
}

#if !SANITIZED /* sanitizers need more than a confined process may do */
TEST(T10_a_confined_process_can_do_nothing_but_compute) {
    static const deed deeds[] = { opens_a_file, makes_a_socket, forks, maps_code, kills_its_parent, runs_a_program };
    for (size_t i = 0; i < GN_ARRAY_LEN(deeds); i++) {
        int status = status_of(deeds[i]);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    }
    int status = status_of(takes_memory);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = status_of(stays_alive);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

#else
TEST(T10_landlock_alone_keeps_files_away) {
    int status = status_of(opens_a_file);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif

/* ---- many threads ------------------------------------------------------------------------------------------------------ */

typedef struct load { pixel_workers *w; _Atomic unsigned right; } load;

static void *many_frames(void *arg) {
    load *l = arg;
    uint8_t samples[256];
    samples_of(samples);
    for (int i = 0; i < 50; i++) {
        pixel_frame out = { 0 };
        if (decode(l->w, DICOM_TS_EXPLICIT_LE, samples, sizeof samples, &out, NULL) == 0 && memcmp(out.bytes, samples, sizeof samples) == 0) l->right++;
        pixel_frame_done(&out);
    }
    return NULL;
}

TEST(a_pool_serves_many_threads) {
    pthread_t thread[8];
    load l = { pixel_workers_new(&(pixel_worker_config){ .workers = 3 }, NULL), 0 };
    REQUIRE(l.w != NULL);
    for (size_t i = 0; i < GN_ARRAY_LEN(thread); i++) pthread_create(&thread[i], NULL, many_frames, &l);
    for (size_t i = 0; i < GN_ARRAY_LEN(thread); i++) pthread_join(thread[i], NULL);
    CHECK_INT(l.right, 400);
    pixel_workers_free(&l.w);
}
