/* cmd_find: queries a DICOM node (C-FIND, PS3.4 Annex C and K) and prints the answers as a table or as DICOM JSON.
 *
 * Without -k all studies are asked for. Columns are those people look for at the level, and the keys that were given. */
#include "scu.h"
#include "table.h"

#include <signal.h>

enum { OPT_LEVEL = SCU_OPTION_COUNT, OPT_KEY, OPT_LIMIT };
static const cli_option options[] = {
    SCU_OPTIONS,
    { 'l', "level", "LEVEL", "patient, study, series, image or worklist [by the keys, else study]" },
    { 'k', "key", "KEY=VALUE",
      "what to match: PatientName=DOE*, StudyDate=20240101-, 0010,0020=123; KEY alone asks for it" },
    { 'n', "limit", "N", "cancel after this many answers" },
};

typedef struct finder {
    scu scu;
    scu_keys keys;
    scu_level level;
    int64_t limit;
    uint64_t answers;
    const dicom_transfer_syntax *ts;
    table table;
    bool table_open;
    gn_buf out;
    gn_json json;
    gn_error error;
} finder;

/* What people look for at each level. */
static const dicom_tag columns[][9] = {
    [SCU_PATIENT] = { DICOM_TAG_PatientName, DICOM_TAG_PatientID, DICOM_TAG_PatientBirthDate, DICOM_TAG_PatientSex,
                      DICOM_TAG_NumberOfPatientRelatedStudies },
    [SCU_STUDY] = { DICOM_TAG_StudyDate, DICOM_TAG_PatientName, DICOM_TAG_PatientID, DICOM_TAG_AccessionNumber,
                    DICOM_TAG_ModalitiesInStudy, DICOM_TAG_StudyDescription, DICOM_TAG_NumberOfStudyRelatedInstances,
                    DICOM_TAG_StudyInstanceUID },
    [SCU_SERIES] = { DICOM_TAG_SeriesNumber, DICOM_TAG_Modality, DICOM_TAG_SeriesDescription,
                     DICOM_TAG_NumberOfSeriesRelatedInstances, DICOM_TAG_SeriesInstanceUID,
                     DICOM_TAG_StudyInstanceUID },
    [SCU_IMAGE] = { DICOM_TAG_InstanceNumber, DICOM_TAG_SOPClassUID, DICOM_TAG_SOPInstanceUID,
                    DICOM_TAG_SeriesInstanceUID, DICOM_TAG_StudyInstanceUID },
    [SCU_WORKLIST] = { DICOM_TAG_PatientName, DICOM_TAG_PatientID, DICOM_TAG_AccessionNumber,
                       DICOM_TAG_RequestedProcedureDescription, DICOM_TAG_StudyInstanceUID },
};

static void cell_of(const dicom_dataset *ds, dicom_tag tag, char *buf, size_t size) {
    const dicom_element *el = dicom_dataset_find(ds, tag);
    int64_t number;
    const dicom_vr_info *vr = el ? dicom_vr_find(el->vr) : NULL;
    buf[0] = '\0';
    if (!el || !el->length) return;
    if (el->vr == DICOM_VR_SQ) snprintf(buf, size, "(%zu)", dicom_element_vm(el));
    else if (vr && vr->text) cli_clean(dicom_dataset_utf8(ds, tag), buf, size);
    else if (dicom_element_int(ds, el, 0, &number)) snprintf(buf, size, "%lld", (long long)number);
    else snprintf(buf, size, "(%u bytes)", el->length);
}

static void open_table(finder *f) {
    const char *heads[TABLE_COLUMNS];
    size_t n = 0;
    static char numbers[TABLE_COLUMNS][12];
    for (size_t i = 0; i < f->keys.count && n < TABLE_COLUMNS; i++) {
        const dicom_dict_entry *d = dicom_dict_find(f->keys.tags[i]);
        heads[n] = d ? d->keyword : dicom_tag_text(f->keys.tags[i], numbers[n]);
        n++;
    }
    table_begin(&f->table, stdout, heads, n);
    f->table_open = true;
}

static void print_row(finder *f, const dicom_dataset *ds) {
    char text[TABLE_COLUMNS][256];
    const char *cells[TABLE_COLUMNS];
    for (size_t i = 0; i < f->table.columns; i++) {
        cell_of(ds, f->keys.tags[i], text[i], sizeof text[i]);
        cells[i] = text[i];
    }
    table_row(&f->table, cells);
}

static int on_response(void *ctx, const dimse_message *rsp, const void *bytes, size_t n) {
    finder *f = ctx;
    if (!bytes || (rsp->status != DIMSE_PENDING && rsp->status != DIMSE_PENDING_WARNING)) return 0;
    if (f->limit && f->answers >= (uint64_t)f->limit) return 1;
    gn_arena *arena = gn_arena_new((size_t)64 * 1024 * 1024);
    dicom_dataset *ds = NULL;
    dicom_read_options ro = { .keep_everything = true };
    if (!arena) return gn_fail(&f->error, GN_E_NO_MEMORY, "no memory for an answer");
    int rc = dicom_dataset_read(arena, f->ts, bytes, n, &ro, &ds, &f->error);
    if (!rc && f->scu.json) {
        dicom_json_options jo = { 0 };
        if (f->answers) gn_buf_puts(&f->out, ",\n");
        gn_json_init(&f->json, &f->out);
        rc = dicom_json_write(ds, &jo, &f->json, &f->error);
        if (f->out.n > 65536) cli_flush(&f->out);
    } else if (!rc) {
        print_row(f, ds);
    }
    gn_arena_free(&arena);
    if (!rc) f->answers++;
    return rc || (f->limit && f->answers >= (uint64_t)f->limit) ? 1 : 0;
}

static int run(finder *f, const peer *p) {
    gn_error e = GN_ERROR_INIT;
    gn_buf identifier = GN_BUF_INIT;
    char status[80];
    dimse_message rq = { .command = DIMSE_C_FIND_RQ }, rsp = { 0 };
    const char *class = scu_query_class(f->level, 'F');
    dimse_proposal proposal = { class, scu_native_syntaxes, 2, false, NULL, 0 };
    dimse_association *a = scu_connect(&f->scu, p, &proposal, 1, 1, &e);
    if (!a) return scu_failed(&f->scu, p, &e);
    const dimse_context *x = dimse_association_find(a, class, NULL);
    int rc = x ? 0 : gn_fail(&e, GN_E_REFUSED, "the peer does not let us query here (%s)", class);
    if (!rc) rc = scu_keys_encode(&f->keys, f->level, x, &identifier, &e);
    if (!rc) {
        f->ts = dicom_transfer_syntax_find(x->transfer_syntax);
        rq.context_id = x->id;
        snprintf(rq.sop_class, sizeof rq.sop_class, "%s", class);
        dimse_payload payload = { .bytes = identifier.p, .n = identifier.n, .fd = -1 };
        dimse_exchange exchange = { .on_response = on_response, .ctx = f };
        if (f->scu.json) gn_buf_puts(&f->out, "[");
        else open_table(f);
        rc = dimse_call(a, &rq, &payload, &exchange, &rsp, &e);
        if (f->scu.json) gn_buf_puts(&f->out, "]\n");
        else table_end(&f->table);
        cli_flush(&f->out);
    }
    gn_buf_done(&identifier);
    if (rc) dimse_abort(&a);
    else dimse_close(&a);
    if (rc || f->error.code) return scu_failed(&f->scu, p, rc ? &e : &f->error);
    bool cancelled = rsp.status == DIMSE_CANCEL && f->limit;
    if (rsp.status && !cancelled) {
        cli_complain("find", "%s: %s %s", p->name, scu_status_text(rsp.status, status), rsp.error_comment);
        return CLI_FAILED;
    }
    if (!f->scu.json)
        fprintf(stderr, "%llu answer%s%s\n", (unsigned long long)f->answers, f->answers == 1 ? "" : "s",
                cancelled ? ", cancelled there" : "");
    return CLI_OK;
}

static int wanted_columns(finder *f, gn_error *e) {
    /* Columns of the level stand first, in their order; keys given by the user behind them. */
    dicom_tag given[GN_ARRAY_LEN(f->keys.tags)];
    size_t count = f->keys.count;
    memcpy(given, f->keys.tags, sizeof given);
    f->keys.count = 0;
    for (size_t i = 0; i < GN_ARRAY_LEN(columns[0]) && columns[f->level][i]; i++) {
        int rc = scu_keys_want(&f->keys, columns[f->level][i], e);
        if (rc) return rc;
    }
    for (size_t i = 0; i < count; i++) {
        int rc = scu_keys_want(&f->keys, given[i], e);
        if (rc) return rc;
    }
    return 0;
}

int cmd_find(int argc, char **argv) {
    finder f = { .scu = { .command = "find" }, .level = SCU_WORKLIST + 1 };
    gn_error e = GN_ERROR_INIT;
    const char *operand = NULL;
    cli c;
    if (scu_keys_init(&f.keys, &e)) return cli_error("find", &e), CLI_FAILED;
    cli_init(&c, "find", argc, argv, options, GN_ARRAY_LEN(options));
    int rc = CLI_OK;
    for (int o; rc == CLI_OK && (o = cli_next(&c)) != CLI_END;) {
        if (scu_option(&f.scu, &c, o) < 0) rc = CLI_USAGE;
        else if (o == CLI_HELP) {
            command_usage(stdout, "find");
            cli_print_options(stdout, options, GN_ARRAY_LEN(options));
            scu_keys_done(&f.keys);
            return CLI_OK;
        } else if (o == OPT_KEY && scu_keys_add(&f.keys, c.value, &e)) rc = CLI_USAGE, cli_error("find", &e);
        else if (o == OPT_LEVEL && !scu_level_parse(c.value, &f.level))
            rc = CLI_USAGE, cli_complain("find", "--level is patient, study, series, image or worklist");
        else if (o == OPT_LIMIT && !cli_number(&c, "limit", 1, INT64_MAX, &f.limit)) rc = CLI_USAGE;
        else if (o == CLI_OPERAND && operand)
            rc = CLI_USAGE, cli_complain("find", "one peer at a time; keys are given by -k");
        else if (o == CLI_OPERAND) operand = c.value;
    }
    if (rc == CLI_OK && !operand)
        rc = CLI_USAGE, cli_complain("find", "which peer? gantry find AET@HOST:PORT -k PatientName=DOE*");
    if (f.level > SCU_WORKLIST) f.level = scu_keys_level(&f.keys) == SCU_PATIENT ? SCU_STUDY : scu_keys_level(&f.keys);
    peer p;
    if (rc == CLI_OK && wanted_columns(&f, &e)) rc = CLI_FAILED, cli_error("find", &e);
    if (rc == CLI_OK && (!scu_ready(&f.scu) || !cli_peer("find", f.scu.config, operand, &p))) rc = CLI_USAGE;
    if (rc == CLI_OK) rc = run(&f, &p);
    scu_done(&f.scu);
    scu_keys_done(&f.keys);
    gn_buf_done(&f.out);
    return rc;
}
