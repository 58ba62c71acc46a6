/* index_bench: times of the index alone: adding, finding, querying; no store, no network.
 *
 *     index_bench FOLDER [STUDIES [BATCH]]
 *
 * Fills FOLDER/bench.sqlite with STUDIES studies (20,000) of five instances in two series, in batches of BATCH (8), names, dates and
 * identifiers drawn as in the query corpus; an index that is there with as many studies is used as it is. Prints CPU time for each
 * instance added, by tenths of the whole, and the median of each kind of query, in microseconds. Checkpoints are counted apart. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "archive/archive.h"
#include "index.h"

static const char *const family[] = { "SMITH", "JOHNSON", "WILLIAMS", "BROWN", "JONES", "GARCIA", "MILLER", "DAVIS", "RODRIGUEZ", "MARTINEZ", "HERNANDEZ", "LOPEZ", "GONZALEZ", "WILSON", "ANDERSON", "THOMAS", "TAYLOR", "MOORE", "JACKSON", "MARTIN", "LEE", "PEREZ", "THOMPSON", "WHITE", "HARRIS", "SANCHEZ", "CLARK", "RAMIREZ", "LEWIS", "ROBINSON", "WALKER", "YOUNG", "ALLEN", "KING", "WRIGHT", "SCOTT", "TORRES", "NGUYEN", "HILL", "FLORES", "GREEN", "ADAMS", "NELSON", "BAKER", "HALL", "RIVERA", "CAMPBELL", "MITCHELL", "CARTER", "ROBERTS", "GOMEZ", "PHILLIPS", "EVANS", "TURNER", "DIAZ", "PARKER", "CRUZ", "EDWARDS", "COLLINS", "REYES", "STEWART", "MORRIS", "MORALES", "MURPHY", "COOK", "ROGERS", "GUTIERREZ", "ORTIZ", "MORGAN", "COOPER", "PETERSON", "BAILEY", "REED", "KELLY", "HOWARD", "RAMOS", "KIM", "COX", "WARD", "RICHARDSON", "WATSON", "BROOKS", "CHAVEZ", "WOOD", "JAMES", "BENNETT", "GRAY", "MENDOZA", "RUIZ", "HUGHES", "PRICE", "ALVAREZ", "CASTILLO", "SANDERS", "PATEL", "MYERS", "LONG", "ROSS", "FOSTER", "JIMENEZ" };
static const char *const given[] = { "JAMES", "MARY", "ROBERT", "PATRICIA", "JOHN", "JENNIFER", "MICHAEL", "LINDA", "DAVID", "ELIZABETH", "WILLIAM", "BARBARA" };
static const char *const modality[] = { "CT", "MR", "DX", "US", "CR" };

typedef struct study_data { char patient[16], name[48], date[16], time[16], accession[16], uid[65], series[2][65]; const char *modality; } study_data;

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static unsigned draw(uint64_t i, unsigned what, unsigned below) { return (unsigned)(mix(i * 64 + what + 0x9E3779B97F4A7C15u) % below); }

static void uid_of(char *out, uint64_t i, unsigned what) {
    (void)snprintf(out, 65, "1.2.826.0.1.3680043.10.999.%llu.%llu", (unsigned long long)(mix(i * 64 + what) % 1000000007u), (unsigned long long)mix(i * 64 + what + 17) / 10);
}

static study_data study_of(uint64_t i) {
    study_data s;
    uint64_t patient = i * 5 / 7;
    (void)snprintf(s.patient, sizeof s.patient, "PID%07u", (unsigned)patient);
    (void)snprintf(s.name, sizeof s.name, "%s^%s", family[draw(patient, 1, GN_ARRAY_LEN(family))], given[draw(patient, 2, GN_ARRAY_LEN(given))]);
    (void)snprintf(s.date, sizeof s.date, "%04u%02u%02u", 2015 + draw(i, 3, 10), 1 + draw(i, 4, 12), 1 + draw(i, 5, 28));
    (void)snprintf(s.time, sizeof s.time, "%02u%02u%02u", 7 + draw(i, 6, 12), draw(i, 7, 60), draw(i, 8, 60));
    (void)snprintf(s.accession, sizeof s.accession, "A%08u", (unsigned)i);
    s.modality = modality[draw(i, 9, GN_ARRAY_LEN(modality))];
    uid_of(s.uid, i, 10);
    uid_of(s.series[0], i, 11);
    uid_of(s.series[1], i, 12);
    return s;
}

static void put(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const char *text) { (void)dicom_dataset_put_string(ds, tag, vr, text, NULL); }

static dicom_dataset *dataset_of(gn_arena *arena, const study_data *s, unsigned k, const char *sop) {
    char number[8];
    dicom_dataset *ds = dicom_dataset_new(arena, NULL);
    (void)snprintf(number, sizeof number, "%u", k + 1);
    put(ds, DICOM_TAG_SOPClassUID, DICOM_VR_UI, "1.2.840.10008.5.1.4.1.1.2");
    put(ds, DICOM_TAG_SOPInstanceUID, DICOM_VR_UI, sop);
    put(ds, DICOM_TAG_StudyDate, DICOM_VR_DA, s->date);
    put(ds, DICOM_TAG_SeriesDate, DICOM_VR_DA, s->date);
    put(ds, DICOM_TAG_ContentDate, DICOM_VR_DA, s->date);
    put(ds, DICOM_TAG_StudyTime, DICOM_VR_TM, s->time);
    put(ds, DICOM_TAG_SeriesTime, DICOM_VR_TM, s->time);
    put(ds, DICOM_TAG_AccessionNumber, DICOM_VR_SH, s->accession);
    put(ds, DICOM_TAG_Modality, DICOM_VR_CS, s->modality);
    put(ds, DICOM_TAG_Manufacturer, DICOM_VR_LO, "BENCH");
    put(ds, DICOM_TAG_InstitutionName, DICOM_VR_LO, "BENCH HOSPITAL");
    put(ds, DICOM_TAG_ReferringPhysicianName, DICOM_VR_PN, "REF^SMITH");
    put(ds, DICOM_TAG_StudyDescription, DICOM_VR_LO, "CHEST WITHOUT CONTRAST");
    put(ds, DICOM_TAG_SeriesDescription, DICOM_VR_LO, "AXIAL 5 MM");
    put(ds, DICOM_TAG_PatientName, DICOM_VR_PN, s->name);
    put(ds, DICOM_TAG_PatientID, DICOM_VR_LO, s->patient);
    put(ds, DICOM_TAG_PatientBirthDate, DICOM_VR_DA, "19560412");
    put(ds, DICOM_TAG_PatientSex, DICOM_VR_CS, "F");
    put(ds, DICOM_TAG_StudyInstanceUID, DICOM_VR_UI, s->uid);
    put(ds, DICOM_TAG_SeriesInstanceUID, DICOM_VR_UI, s->series[k & 1]);
    put(ds, DICOM_TAG_SeriesNumber, DICOM_VR_IS, k & 1 ? "2" : "1");
    put(ds, DICOM_TAG_InstanceNumber, DICOM_VR_IS, number);
    (void)dicom_dataset_put_u16(ds, DICOM_TAG_Rows, 24, NULL);
    (void)dicom_dataset_put_u16(ds, DICOM_TAG_Columns, 24, NULL);
    return ds;
}

static double cpu_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double wall_us(void) { return (double)gn_mono_ns() / 1e3; }

static void fail(const char *what, const gn_error *e) {
    fprintf(stderr, "index_bench: %s: %s\n", what, e->message);
    exit(1);
}

/* ---- adding ------------------------------------------------------------------------------------------------------------ */

typedef struct filler {
    index_engine *x;
    size_t batch, count;
    index_instance *item; /* batch of them */
    index_instance **pointer;
    char (*sop)[65];
    gn_arena *arena;
    index_position position;
    double cpu, wall, checkpoint_wall;
    uint64_t added;
} filler;

static void flush(filler *f) {
    gn_error e = GN_ERROR_INIT;
    double cpu = cpu_us(), wall = wall_us();
    if (f->count && index_add_batch(f->x, f->pointer, f->count, ARCHIVE_KEEP, &f->position, &e)) fail("add", &e);
    f->cpu += cpu_us() - cpu;
    f->wall += wall_us() - wall;
    f->count = 0;
    gn_arena_reset(f->arena);
}

static void add(filler *f, uint64_t i, const study_data *s, unsigned k) {
    static uint8_t metadata[760];
    static const archive_source source = { .origin = ARCHIVE_FROM_DIMSE, .calling_ae = "BENCH", .called_ae = "GANTRY", .address = "127.0.0.1" };
    if (!metadata[0])
        for (size_t b = 0; b < sizeof metadata; b++) metadata[b] = (uint8_t)(1 + b * 131);
    size_t n = f->count++;
    uid_of(f->sop[n], i, 20 + k);
    index_instance *it = &f->item[n];
    memset(it, 0, sizeof *it);
    it->dataset = dataset_of(f->arena, s, k, f->sop[n]);
    it->transfer_syntax_uid = DICOM_TS_EXPLICIT_LE;
    it->study_uid = s->uid;
    it->series_uid = s->series[k & 1];
    it->sop_instance = f->sop[n];
    it->sop_class = "1.2.840.10008.5.1.4.1.1.2";
    it->location = (index_location){ 1 + (int64_t)(f->added / 250000), f->added % 250000 * 4096, 3200, 850 };
    memcpy(it->hash, &i, sizeof i);
    it->received_us = gn_wall_us();
    it->source = &source;
    it->metadata = metadata;
    it->metadata_length = sizeof metadata;
    it->frames = metadata;
    it->frames_length = 24;
    f->position = (index_position){ it->location.pack, it->location.offset };
    f->added++;
}

static void checkpoint(filler *f) {
    gn_error e = GN_ERROR_INIT;
    double wall = wall_us();
    if (index_checkpoint(f->x, &e)) fail("checkpoint", &e);
    f->checkpoint_wall += wall_us() - wall;
}

static void fill(index_engine *x, uint64_t studies, size_t batch) {
    filler f = { .x = x, .batch = batch };
    f.item = calloc(batch, sizeof *f.item);
    f.pointer = calloc(batch, sizeof(index_instance *));
    f.sop = calloc(batch, sizeof *f.sop);
    study_data *s = calloc(batch, sizeof *s);
    f.arena = gn_arena_new(256u << 20);
    for (size_t i = 0; i < batch; i++) f.pointer[i] = &f.item[i];
    double cpu = 0, wall = 0;
    uint64_t tenth = studies / 10 ? studies / 10 : 1, studies_in_batch = 0;
    for (uint64_t i = 0; i < studies; i++) {
        s[studies_in_batch] = study_of(i);
        for (unsigned k = 0; k < 5; k++) {
            add(&f, i, &s[studies_in_batch], k);
            if (f.count < batch) continue;
            study_data current = s[studies_in_batch];
            flush(&f);
            studies_in_batch = 0;
            s[0] = current;
        }
        if (f.count) studies_in_batch++;
        if (i % 1000 == 999) checkpoint(&f);
        if ((i + 1) % tenth == 0) {
            printf("%9llu studies: %6.1f us CPU, %6.1f us wall an instance\n", (unsigned long long)i + 1, (f.cpu - cpu) / (double)(tenth * 5), (f.wall - wall) / (double)(tenth * 5));
            cpu = f.cpu;
            wall = f.wall;
            (void)fflush(stdout);
        }
    }
    flush(&f);
    checkpoint(&f);
    printf("all: %.1f us CPU, %.1f us wall an instance, checkpoints %.1f us wall an instance\n", f.cpu / (double)f.added, f.wall / (double)f.added, f.checkpoint_wall / (double)f.added);
    gn_arena_free(&f.arena);
    free(f.item);
    free(f.pointer);
    free(f.sop);
    free(s);
}

/* ---- querying ---------------------------------------------------------------------------------------------------------- */

static const dicom_tag study_keys[] = { DICOM_TAG_StudyDate, DICOM_TAG_StudyTime, DICOM_TAG_AccessionNumber, DICOM_TAG_ModalitiesInStudy, DICOM_TAG_ReferringPhysicianName, DICOM_TAG_StudyDescription, DICOM_TAG_PatientName, DICOM_TAG_PatientID, DICOM_TAG_PatientBirthDate, DICOM_TAG_StudyInstanceUID, DICOM_TAG_StudyID };
static const dicom_tag series_keys[] = { DICOM_TAG_Modality, DICOM_TAG_SeriesDescription, DICOM_TAG_SeriesInstanceUID, DICOM_TAG_SeriesNumber, DICOM_TAG_NumberOfSeriesRelatedInstances };
static const dicom_tag image_keys[] = { DICOM_TAG_SOPClassUID, DICOM_TAG_SOPInstanceUID, DICOM_TAG_InstanceNumber };

typedef struct key { dicom_tag tag; dicom_vr vr; const char *text; } key;

/* Runs one query; returns the number of answers. */
static uint64_t query(index_engine *x, archive_level level, const key *keys, size_t n) {
    gn_error e = GN_ERROR_INIT;
    gn_arena *arena = gn_arena_new(1 << 20);
    dicom_dataset *ds = dicom_dataset_new(arena, &e);
    for (size_t i = 0; i < n; i++) put(ds, keys[i].tag, keys[i].vr, keys[i].text);
    archive_query q = { .level = level, .flags = ARCHIVE_QUERY_STUDY_ROOT | ARCHIVE_QUERY_RELATIONAL, .keys = ds };
    q.wanted = level == ARCHIVE_STUDY ? study_keys : level == ARCHIVE_SERIES ? series_keys : image_keys;
    q.wanted_count = level == ARCHIVE_STUDY ? GN_ARRAY_LEN(study_keys) : level == ARCHIVE_SERIES ? GN_ARRAY_LEN(series_keys) : GN_ARRAY_LEN(image_keys);
    archive_cursor *c;
    const archive_value *values;
    uint64_t answers = 0;
    int rc;
    if (index_query_open(x, &q, &c, &e)) fail("query", &e);
    while ((rc = archive_query_next(c, &values, NULL, &e)) == 0) answers++;
    if (rc < 0) fail("next", &e);
    archive_query_close(&c);
    gn_arena_free(&arena);
    return answers;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef size_t (*make_keys)(const study_data *s, char text[2][160], key *keys);

static size_t by_patient(const study_data *s, char text[2][160], key *k) { (void)text; k[0] = (key){ DICOM_TAG_PatientID, DICOM_VR_LO, s->patient }; return 1; }
static size_t by_accession(const study_data *s, char text[2][160], key *k) { (void)text; k[0] = (key){ DICOM_TAG_AccessionNumber, DICOM_VR_SH, s->accession }; return 1; }
static size_t by_uid(const study_data *s, char text[2][160], key *k) { (void)text; k[0] = (key){ DICOM_TAG_StudyInstanceUID, DICOM_VR_UI, s->uid }; return 1; }
static size_t by_prefix(const study_data *s, char text[2][160], key *k) {
    (void)snprintf(text[0], 160, "%.*s*", (int)strcspn(s->name, "^"), s->name);
    k[0] = (key){ DICOM_TAG_PatientName, DICOM_VR_PN, text[0] };
    return 1;
}
static size_t by_part(const study_data *s, char text[2][160], key *k) {
    (void)snprintf(text[0], 160, "*%.4s*", s->name + 2);
    k[0] = (key){ DICOM_TAG_PatientName, DICOM_VR_PN, text[0] };
    return 1;
}
static size_t by_week(const study_data *s, char text[2][160], key *k) {
    int day = (s->date[6] - '0') * 10 + s->date[7] - '0' + 7;
    (void)snprintf(text[0], 160, "%s-%.6s%02d", s->date, s->date, day > 28 ? 28 : day);
    k[0] = (key){ DICOM_TAG_StudyDate, DICOM_VR_DA, text[0] };
    k[1] = (key){ DICOM_TAG_ModalitiesInStudy, DICOM_VR_CS, "CT" };
    return 2;
}
static size_t by_nothing(const study_data *s, char text[2][160], key *k) { (void)s; (void)text; (void)k; return 0; }
static size_t by_first_series(const study_data *s, char text[2][160], key *k) {
    (void)text;
    k[0] = (key){ DICOM_TAG_StudyInstanceUID, DICOM_VR_UI, s->uid };
    k[1] = (key){ DICOM_TAG_SeriesInstanceUID, DICOM_VR_UI, s->series[0] };
    return 2;
}

static void measure(index_engine *x, const char *label, archive_level level, uint64_t studies, unsigned rounds, make_keys make) {
    double *took = calloc(rounds, sizeof *took);
    uint64_t answers = 0;
    for (unsigned r = 0; r < rounds; r++) {
        char text[2][160];
        key keys[2];
        study_data s = study_of(mix(r + 5) % studies);
        size_t n = make(&s, text, keys);
        double t = wall_us();
        answers += query(x, level, keys, n);
        took[r] = wall_us() - t;
    }
    qsort(took, rounds, sizeof *took, compare);
    printf("%-14s %8.1f us median, %8.1f us p99, %llu answers on average\n", label, took[rounds / 2], took[rounds * 99 / 100], (unsigned long long)(answers / rounds));
    free(took);
}

int main(int argc, char **argv) {
    gn_error e = GN_ERROR_INIT;
    char path[512];
    if (argc < 2) {
        fprintf(stderr, "usage: index_bench FOLDER [STUDIES [BATCH]]\n");
        return 2;
    }
    uint64_t studies = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
    size_t batch = argc > 3 ? strtoull(argv[3], NULL, 10) : 8;
    (void)snprintf(path, sizeof path, "%s/bench.sqlite", argv[1]);
    index_engine *x = index_sqlite_open(path, false, &e);
    archive_stats stats = { 0 };
    if (!x || index_stats(x, &stats, &e)) fail("open", &e);
    if ((uint64_t)stats.studies != studies) fill(x, studies, batch ? batch : 1);
    measure(x, "patientid", ARCHIVE_STUDY, studies, 1000, by_patient);
    measure(x, "accession", ARCHIVE_STUDY, studies, 1000, by_accession);
    measure(x, "studyuid", ARCHIVE_STUDY, studies, 1000, by_uid);
    measure(x, "name_prefix", ARCHIVE_STUDY, studies, 40, by_prefix);
    measure(x, "name_contains", ARCHIVE_STUDY, studies, 10, by_part);
    measure(x, "week_modality", ARCHIVE_STUDY, studies, 100, by_week);
    measure(x, "series", ARCHIVE_SERIES, studies, 500, by_uid);
    measure(x, "image", ARCHIVE_IMAGE, studies, 500, by_first_series);
    measure(x, "all_studies", ARCHIVE_STUDY, studies, studies > 100000 ? 1 : 5, by_nothing);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("memory: %ld KiB at most\n", usage.ru_maxrss);
    index_close(&x);
    return 0;
}
