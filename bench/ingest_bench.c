/* ingest_bench: how fast the archive alone takes objects, without a network before it.
 *
 *   ingest_bench DIR THREADS COUNT KIND [PIECE]     KIND: ct (526 KB), small (33 KB), tiny (3 KB), cr (10 MB)
 *
 * Each thread sends its share of COUNT objects, one after the other, in pieces of PIECE bytes (16384: a usual PDU) and waits for each answer, as an
 * association does. Prints objects and megabytes a second, processor time for each object, and latencies. DIR shall be a new
 * folder on a disk, not tmpfs. Compare with `limits sync DIR 526000 300 file` of the shared benchmarks in the same minute. */
#include "archive/archive.h"
#include "synth.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

typedef struct sender {
    archive *a;
    pthread_t thread;
    unsigned id, count, rows, columns, extra;
    size_t piece;
    double *latency;
    unsigned failed;
} sender;

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Replaces the value of the SOP Instance UID, whose length stays. */
static void renumber(uint8_t *uid, unsigned who, unsigned i) {
    char text[32];
    (void)snprintf(text, sizeof text, "%04u.%08u", who + 1000, i + 10000000);
    memcpy(uid, text, strlen(text));
}

static bool send_one(sender *s, const gn_buf *object, const char *sop) {
    archive_source source = { .origin = ARCHIVE_FROM_DIMSE, .calling_ae = "BENCH", .called_ae = "GANTRY", .address = "127.0.0.1" };
    archive_ingest_request request = { .source = &source, .transfer_syntax = DICOM_TS_EXPLICIT_LE, .sop_class = SYNTH_CT, .sop_instance = sop };
    archive_ingest *in = NULL;
    archive_result result;
    gn_error e = GN_ERROR_INIT;
    if (archive_ingest_begin(s->a, &request, &in, &e)) return false;
    for (size_t at = 0; at < object->n; at += s->piece)
        (void)archive_ingest_write(in, object->p + at, object->n - at < s->piece ? object->n - at : s->piece, &e);
    if (archive_ingest_finish(&in, &result, &e) == 0 && result.dimse_status == 0) return true;
    (void)fprintf(stderr, "%s %s\n", e.message, result.comment);
    return false;
}

static void *run(void *arg) {
    sender *s = arg;
    gn_buf object = GN_BUF_INIT;
    char sop[65], study[65], series[65];
    (void)snprintf(sop, sizeof sop, "1.2.826.0.1.0000.00000000");
    (void)snprintf(study, sizeof study, "1.2.826.1.%u", s->id);
    (void)snprintf(series, sizeof series, "1.2.826.1.%u.1", s->id);
    synth_object(&(synth){ .sop = sop, .study = study, .series = series, .rows = s->rows, .columns = s->columns, .extra = s->extra, .seed = s->id }, &object);
    uint8_t *uid = memmem(object.p, object.n, "0000.00000000", 13);
    for (unsigned i = 0; i < s->count && uid; i++) {
        renumber(uid, s->id, i);
        renumber((uint8_t *)sop + 12, s->id, i);
        double t = now(CLOCK_MONOTONIC);
        if (!send_one(s, &object, sop)) s->failed++;
        s->latency[i] = now(CLOCK_MONOTONIC) - t;
    }
    gn_buf_done(&object);
    return NULL;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    static const struct { const char *name; unsigned rows, columns, extra; } kinds[] = { { "ct", 512, 512, 60 }, { "small", 128, 128, 40 }, { "tiny", 0, 0, 60 }, { "cr", 2560, 2048, 60 } };
    if (argc < 5) return (void)fprintf(stderr, "usage: ingest_bench DIR THREADS COUNT KIND [PIECE]\n"), 2;
    unsigned threads = (unsigned)strtoul(argv[2], NULL, 10), count = (unsigned)strtoul(argv[3], NULL, 10), kind = 0;
    while (kind < GN_ARRAY_LEN(kinds) && strcmp(kinds[kind].name, argv[4]) != 0) kind++;
    if (kind == GN_ARRAY_LEN(kinds) || threads == 0 || threads > 256 || count < threads) return 2;
    gn_error e = GN_ERROR_INIT;
    archive_config config = { .directory = argv[1] };
    archive *a = archive_open(&config, &e);
    if (!a) return (void)fprintf(stderr, "%s\n", e.message), 1;
    sender *s = calloc(threads, sizeof *s);
    double *latency = calloc(count, sizeof *latency);
    if (!s || !latency) return 1;
    unsigned share = count / threads, failed = 0;
    double t = now(CLOCK_MONOTONIC), c = now(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned i = 0; i < threads; i++) {
        s[i] = (sender){ .a = a, .id = i, .count = share, .rows = kinds[kind].rows, .columns = kinds[kind].columns, .extra = kinds[kind].extra,
                         .piece = argc > 5 ? (size_t)strtoul(argv[5], NULL, 10) : 16384, .latency = latency + (size_t)i * share };
        if (pthread_create(&s[i].thread, NULL, run, &s[i])) return 1;
    }
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(s[i].thread, NULL);
        failed += s[i].failed;
    }
    t = now(CLOCK_MONOTONIC) - t;
    c = now(CLOCK_PROCESS_CPUTIME_ID) - c;
    unsigned done = share * threads;
    archive_stats stats = { 0 };
    (void)archive_get_stats(a, &stats, NULL);
    qsort(latency, done, sizeof *latency, compare);
    (void)printf("%s x %u threads: %.0f/s %.0f MB/s, %.3f ms cpu each, latency p50 %.2f p99 %.2f ms, %u failed\n", argv[4], threads, done / t,
                 (double)stats.bytes / t / 1e6, c / done * 1e3, latency[done / 2] * 1e3, latency[done * 99 / 100] * 1e3, failed);
    double stop = now(CLOCK_MONOTONIC);
    archive_close(&a);
    (void)printf("close: %.0f ms\n", (now(CLOCK_MONOTONIC) - stop) * 1e3);
    free(latency);
    free(s);
    return failed > 0;
}
