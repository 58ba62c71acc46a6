/* cmd_get: fetches images from a DICOM node over the association that asks for them (C-GET, PS3.4 C.4.3) into a folder.
 *
 * All contexts for receiving must be proposed before it is known what will come: the peer is asked first which SOP classes
 * the studies hold (SOPClassesInStudy); for each of them every transfer syntax in use is proposed. Without an answer the
 * common classes are, once each. Files are named by SOP Instance UIDs that were checked: a peer decides nothing about paths
 * (T12). */
#include "outdir.h"
#include "progress.h"
#include "scu.h"

#include <stdlib.h>

enum { OPT_LEVEL = SCU_OPTION_COUNT, OPT_KEY, OPT_SUFFIX };
static const cli_option options[] = {
    SCU_OPTIONS,
    { 'l', "level", "LEVEL", "patient, study, series or image [by the keys]" },
    { 'k', "key", "KEY=VALUE", "which images: StudyInstanceUID=1.2.3; several UIDs are joined by \\" },
    { 0, "suffix", "TEXT", "behind the UID in file names, such as .dcm []" },
};

#define CHUNK ((size_t)256 * 1024)

typedef struct getter {
    scu scu;
    scu_keys keys;
    scu_level level;
    const char *suffix;
    outdir dir;
    progress bar;
    uint8_t *chunk;
    uint64_t files, bytes, failures;
} getter;

/* ---- what to propose --------------------------------------------------------------------------------------------------------- */

/* Transfer syntaxes that images are kept in, each in a context of its own; the native ones share one. */
static const char *const compressed[] = {
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51",  "1.2.840.10008.1.2.4.57",  "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81",  "1.2.840.10008.1.2.4.90",  "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",    "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",     "1.2.840.10008.1.2.4.102",
};
/* When the peer does not tell: what most archives hold. */
static const char *const common[] = {
    "CTImageStorage",
    "EnhancedCTImageStorage",
    "MRImageStorage",
    "EnhancedMRImageStorage",
    "ComputedRadiographyImageStorage",
    "DigitalXRayImageStorageForPresentation",
    "DigitalXRayImageStorageForProcessing",
    "DigitalMammographyXRayImageStorageForPresentation",
    "DigitalMammographyXRayImageStorageForProcessing",
    "BreastTomosynthesisImageStorage",
    "UltrasoundImageStorage",
    "UltrasoundMultiFrameImageStorage",
    "XRayAngiographicImageStorage",
    "XRayRadiofluoroscopicImageStorage",
    "NuclearMedicineImageStorage",
    "PositronEmissionTomographyImageStorage",
    "SecondaryCaptureImageStorage",
    "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
    "MultiFrameTrueColorSecondaryCaptureImageStorage",
    "VLPhotographicImageStorage",
    "VLEndoscopicImageStorage",
    "VLWholeSlideMicroscopyImageStorage",
    "OphthalmicPhotography8BitImageStorage",
    "RTImageStorage",
    "RTDoseStorage",
    "RTStructureSetStorage",
    "RTPlanStorage",
    "SegmentationStorage",
    "BasicTextSRStorage",
    "EnhancedSRStorage",
    "ComprehensiveSRStorage",
    "Comprehensive3DSRStorage",
    "XRayRadiationDoseSRStorage",
    "MammographyCADSRStorage",
    "KeyObjectSelectionDocumentStorage",
    "GrayscaleSoftcopyPresentationStateStorage",
    "EncapsulatedPDFStorage",
    "RawDataStorage",
    "TwelveLeadECGWaveformStorage",
    "GeneralECGWaveformStorage",
};
static const char *const every[] = { DICOM_TS_EXPLICIT_LE,      DICOM_TS_IMPLICIT_LE,      "1.2.840.10008.1.2.4.50",
                                     "1.2.840.10008.1.2.4.51",  "1.2.840.10008.1.2.4.70",  "1.2.840.10008.1.2.4.57",
                                     "1.2.840.10008.1.2.4.80",  "1.2.840.10008.1.2.4.81",  "1.2.840.10008.1.2.4.90",
                                     "1.2.840.10008.1.2.4.91",  "1.2.840.10008.1.2.5",     "1.2.840.10008.1.2.4.201",
                                     "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.102",
                                     "1.2.840.10008.1.2.1.99",  "1.2.840.10008.1.2.2" };

typedef struct offer {
    dimse_proposal proposal[DIMSE_MAX_CONTEXTS];
    size_t count;
    char class[64][65]; /* that the studies hold */
    size_t class_count;
    const dicom_transfer_syntax *ts;
} offer;

static void propose(offer *o, const char *class, const char *const *syntaxes, size_t count) {
    if (o->count < DIMSE_MAX_CONTEXTS)
        o->proposal[o->count++] = (dimse_proposal){ class, syntaxes, count, true, NULL, 0 };
}

static void propose_known(offer *o) {
    for (size_t i = 0; i < o->class_count; i++) propose(o, o->class[i], scu_native_syntaxes, 2);
    /* Fair shares: the first compressed syntax for all classes, then the second, … */
    for (size_t k = 0; k < GN_ARRAY_LEN(compressed); k++)
        for (size_t i = 0; i < o->class_count; i++) propose(o, o->class[i], &compressed[k], 1);
}

static bool is_proposed(const offer *o, const char *class) {
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->proposal[i].abstract_syntax, class) == 0) return true;
    return false;
}

static void propose_common(offer *o) {
    for (size_t i = 0; i < GN_ARRAY_LEN(common); i++) {
        const dicom_uid_entry *u = dicom_uid_by_keyword(common[i]);
        if (u) propose(o, u->uid, every, GN_ARRAY_LEN(every));
    }
    for (size_t i = 0; i < dicom_uid_count(); i++) {
        const dicom_uid_entry *u = dicom_uid_at(i);
        if (u->storage && !u->retired && !is_proposed(o, u->uid)) propose(o, u->uid, every, GN_ARRAY_LEN(every));
    }
}

static void add_classes(offer *o, const dicom_element *el) {
    size_t n;
    for (size_t i = 0; i < dicom_element_vm(el); i++) {
        const char *uid = dicom_element_value(el, i, &n);
        if (!uid || !dicom_uid_valid(uid, n)) continue;
        size_t k = 0;
        while (k < o->class_count && (strlen(o->class[k]) != n || memcmp(o->class[k], uid, n) != 0)) k++;
        if (k == o->class_count && k < GN_ARRAY_LEN(o->class)) {
            memcpy(o->class[k], uid, n);
            o->class[k][n] = '\0';
            o->class_count++;
        }
    }
}

static int on_study(void *ctx, const dimse_message *rsp, const void *bytes, size_t n) {
    offer *o = ctx;
    gn_arena *arena = gn_arena_new((size_t)4 * 1024 * 1024);
    dicom_dataset *ds = NULL;
    (void)rsp;
    if (arena && bytes && !dicom_dataset_read(arena, o->ts, bytes, n, NULL, &ds, NULL)) {
        const dicom_element *el = dicom_dataset_find(ds, DICOM_TAG_SOPClassesInStudy);
        if (el) add_classes(o, el);
    }
    gn_arena_free(&arena);
    return o->class_count == GN_ARRAY_LEN(o->class);
}

/* Asks which SOP classes the wanted studies hold. No answer is no error. */
static void ask_classes(const getter *g, const peer *p, offer *o) {
    static const dicom_tag passed[] = { DICOM_TAG_StudyInstanceUID, DICOM_TAG_PatientID };
    const char *class = scu_query_class(SCU_STUDY, 'F');
    dimse_proposal proposal = { class, scu_native_syntaxes, 2, false, NULL, 0 };
    scu_keys keys;
    gn_error ignored = GN_ERROR_INIT;
    gn_buf identifier = GN_BUF_INIT;
    if (scu_keys_init(&keys, &ignored)) return;
    int rc = scu_keys_want(&keys, DICOM_TAG_SOPClassesInStudy, &ignored);
    for (size_t i = 0; !rc && i < GN_ARRAY_LEN(passed); i++) {
        const char *value = dicom_dataset_ascii(g->keys.dataset, passed[i]);
        rc = dicom_dataset_put_string(keys.dataset, passed[i],
                                      passed[i] == DICOM_TAG_PatientID ? DICOM_VR_LO : DICOM_VR_UI, value, &ignored);
    }
    dimse_association *a = rc ? NULL : scu_connect(&g->scu, p, &proposal, 1, 1, &ignored);
    const dimse_context *x = a ? dimse_association_find(a, class, NULL) : NULL;
    if (x && !scu_keys_encode(&keys, SCU_STUDY, x, &identifier, &ignored)) {
        dimse_message rq = { .command = DIMSE_C_FIND_RQ, .context_id = x->id }, rsp = { 0 };
        snprintf(rq.sop_class, sizeof rq.sop_class, "%s", class);
        o->ts = dicom_transfer_syntax_find(x->transfer_syntax);
        dimse_payload payload = { .bytes = identifier.p, .n = identifier.n, .fd = -1 };
        dimse_exchange exchange = { .on_response = on_study, .ctx = o };
        if (dimse_call(a, &rq, &payload, &exchange, &rsp, &ignored)) dimse_abort(&a);
    }
    dimse_close(&a);
    gn_buf_done(&identifier);
    scu_keys_done(&keys);
}

/* ---- receiving ------------------------------------------------------------------------------------------------------------------ */

/* Receives one object into a file; *status is what the peer is told. <0: the association is broken. */
static int receive_file(getter *g, dimse_association *a, const dimse_message *rq, const dimse_context *x,
                        uint16_t *status, gn_error *e) {
    gn_error why = GN_ERROR_INIT;
    gn_buf header = GN_BUF_INIT;
    outfile f = { .fd = -1 };
    bool last = false;
    uint64_t total = 0;
    int bad = dicom_uid_valid(rq->sop_instance, strlen(rq->sop_instance))
                  ? 0
                  : gn_fail(&why, GN_E_INVALID, "the SOP Instance UID is not a UID");
    if (!bad) bad = outdir_create(&g->dir, &f, &why);
    if (!bad)
        bad = dicom_file_header_write(rq->sop_class, rq->sop_instance, x->transfer_syntax, g->scu.aet, &header, &why);
    if (!bad) bad = gn_write_all(f.fd, header.p, header.n, &why);
    int rc = 0;
    while (!rc && !last) {
        size_t n = 0;
        rc = dimse_read_into(a, g->chunk, CHUNK, &n, &last, e);
        if (!rc && !bad && n) bad = gn_write_all(f.fd, g->chunk, n, &why);
        total += n;
    }
    if (rc || bad) outdir_drop(&g->dir, &f);
    else bad = outdir_keep(&g->dir, &f, rq->sop_instance, &why);
    gn_buf_done(&header);
    *status = bad ? gn_code_dimse_status(bad) : DIMSE_SUCCESS;
    progress_add(&g->bar, 1, total, bad != 0);
    if (bad) {
        char line[400], clean[400];
        g->failures++;
        progress_say(&g->bar, cli_clean(gn_error_text(&why, line, sizeof line), clean, sizeof clean));
    } else if (!rc) {
        g->files++;
        g->bytes += total;
    }
    return rc;
}

static int on_store(void *ctx, dimse_association *a, const dimse_message *rq) {
    getter *g = ctx;
    gn_error e = GN_ERROR_INIT;
    uint16_t status = DIMSE_CANNOT_UNDERSTAND;
    const dimse_context *x = dimse_association_context(a, rq->context_id);
    if (!rq->has_dataset || !x) return dimse_respond(a, rq, DIMSE_CANNOT_UNDERSTAND, "no data set", &e);
    int rc = receive_file(g, a, rq, x, &status, &e);
    return rc ? rc : dimse_respond(a, rq, status, NULL, &e);
}

static int on_response(void *ctx, const dimse_message *rsp, const void *bytes, size_t n) {
    getter *g = ctx;
    (void)bytes;
    (void)n;
    uint64_t total = (uint64_t)rsp->completed + rsp->failed + rsp->warning + rsp->remaining;
    if (rsp->has_counts && total > atomic_load(&g->bar.total)) atomic_store(&g->bar.total, total);
    return 0;
}

/* ---- all ---------------------------------------------------------------------------------------------------------------------------- */

static void print_result(const getter *g, const peer *p, const dimse_message *rsp, double seconds) {
    char status[80], size[24], took[24];
    if (!g->scu.json) {
        printf("%s: %s, %llu files, %s in %s", p->name, scu_status_text(rsp->status, status),
               (unsigned long long)g->files, progress_bytes((double)g->bytes, size), progress_time(seconds, took));
        if (rsp->failed || g->failures)
            printf(", %llu failed", (unsigned long long)(rsp->failed > g->failures ? rsp->failed : g->failures));
        putchar('\n');
        return;
    }
    gn_buf out = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &out);
    gn_json_open(&j, '{');
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = { { "status", rsp->status },
                    { "files", g->files },
                    { "bytes", g->bytes },
                    { "failed", rsp->failed },
                    { "failed_here", g->failures } };
    for (size_t i = 0; i < GN_ARRAY_LEN(numbers); i++) {
        gn_json_key(&j, numbers[i].key);
        gn_json_uint(&j, numbers[i].value);
    }
    gn_json_key(&j, "comment");
    gn_json_string(&j, rsp->error_comment);
    gn_json_key(&j, "seconds");
    gn_json_double(&j, seconds);
    gn_json_close(&j, '}');
    gn_buf_putc(&out, '\n');
    cli_flush(&out);
    gn_buf_done(&out);
}

static int fetch(getter *g, const peer *p, offer *o) {
    gn_error e = GN_ERROR_INIT;
    dimse_message rq = { .command = DIMSE_C_GET_RQ }, rsp = { 0 };
    const char *class = scu_query_class(g->level, 'G');
    o->proposal[o->count++] = (dimse_proposal){ class, scu_native_syntaxes, 2, false, NULL, 0 };
    ask_classes(g, p, o);
    if (o->class_count) propose_known(o);
    else propose_common(o);
    dimse_association *a = scu_connect(&g->scu, p, o->proposal, o->count, 1, &e);
    if (!a) return scu_failed(&g->scu, p, &e);
    progress_begin(&g->bar, "get", 0, 0);
    dimse_exchange exchange = { .on_response = on_response, .on_store = on_store, .ctx = g };
    int rc = scu_retrieve(&a, class, "get", &g->keys, g->level, &rq, &exchange, &rsp, &e);
    double seconds = progress_end(&g->bar);
    if (rc) return scu_failed(&g->scu, p, &e);
    print_result(g, p, &rsp, seconds);
    return rsp.status || rsp.failed || g->failures ? CLI_FAILED : CLI_OK;
}

static int run(getter *g, const peer *p, const char *path) {
    gn_error e = GN_ERROR_INIT;
    offer *o = calloc(1, sizeof *o);
    g->chunk = malloc(CHUNK);
    int rc = o && g->chunk ? 0 : gn_fail(&e, GN_E_NO_MEMORY, "no memory");
    if (!rc) rc = outdir_open(&g->dir, path, g->suffix, &e);
    if (rc) cli_error("get", &e);
    int code = rc ? CLI_FAILED : fetch(g, p, o);
    if (!rc) outdir_close(&g->dir);
    free(g->chunk);
    free(o);
    return code;
}

int cmd_get(int argc, char **argv) {
    getter g = { .scu = { .command = "get" }, .level = SCU_WORKLIST, .suffix = "" };
    gn_error e = GN_ERROR_INIT;
    const char *operand[2] = { NULL, NULL };
    size_t count = 0;
    cli c;
    if (scu_keys_init(&g.keys, &e)) return cli_error("get", &e), CLI_FAILED;
    cli_init(&c, "get", argc, argv, options, GN_ARRAY_LEN(options));
    int rc = CLI_OK;
    for (int o; rc == CLI_OK && (o = cli_next(&c)) != CLI_END;) {
        if (scu_option(&g.scu, &c, o) < 0) rc = CLI_USAGE;
        else if (o == CLI_HELP) {
            command_usage(stdout, "get");
            cli_print_options(stdout, options, GN_ARRAY_LEN(options));
            scu_keys_done(&g.keys);
            return CLI_OK;
        } else if (o == OPT_KEY && scu_keys_add(&g.keys, c.value, &e)) rc = CLI_USAGE, cli_error("get", &e);
        else if (o == OPT_LEVEL && (!scu_level_parse(c.value, &g.level) || g.level == SCU_WORKLIST))
            rc = CLI_USAGE, cli_complain("get", "--level is patient, study, series or image");
        else if (o == OPT_SUFFIX && !outdir_suffix_valid(c.value))
            rc = CLI_USAGE, cli_complain("get", "--suffix is a dot with letters and digits, such as .dcm");
        else if (o == OPT_SUFFIX) g.suffix = c.value;
        else if (o == CLI_OPERAND && count == 2)
            rc = CLI_USAGE, cli_complain("get", "one peer and one folder; keys are given by -k");
        else if (o == CLI_OPERAND) operand[count++] = c.value;
    }
    if (rc == CLI_OK && count < 2)
        rc = CLI_USAGE,
        cli_complain("get", "from whom, to where? gantry get AET@HOST:PORT OUTDIR -k StudyInstanceUID=1.2.3");
    if (rc == CLI_OK && !g.keys.count) rc = CLI_USAGE, cli_complain("get", "which images? -k StudyInstanceUID=1.2.3");
    if (g.level == SCU_WORKLIST) g.level = scu_keys_level(&g.keys);
    peer p;
    if (rc == CLI_OK && (!scu_ready(&g.scu) || !cli_peer("get", g.scu.config, operand[0], &p))) rc = CLI_USAGE;
    if (rc == CLI_OK) rc = run(&g, &p, operand[1]);
    scu_done(&g.scu);
    scu_keys_done(&g.keys);
    return rc;
}
