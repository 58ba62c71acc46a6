/* cmd_export: writes stored objects as they came, one file each under its SOP Instance UID, or all into a ZIP archive.
 *
 * The archive is opened for reading only, so that this also works beside a running server. */
#include "data.h"
#include "outdir.h"
#include "progress.h"
#include "zip.h"

#include "dicom/dicom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPT_ALL = DATA_OPTION_COUNT, OPT_PATIENT, OPT_STUDY, OPT_SERIES, OPT_INSTANCE, OPT_ZIP, OPT_SUFFIX };
static const cli_option options[] = {
    DATA_OPTIONS,
    { 'a', "all", NULL, "everything" },
    { 'p', "patient", "ID", "all of a patient" },
    { 's', "study", "UID", "a study; several are joined by \\" },
    { 0, "series", "UID", "a series" },
    { 0, "instance", "UID", "one object" },
    { 'z', "zip", "FILE", "write a ZIP archive instead of files; - is standard output" },
    { 0, "suffix", "TEXT", "behind the UID in file names, such as .dcm [none in a folder, .dcm in a ZIP]" },
};

typedef struct exporter {
    data data;
    bool all;
    const char *patient, *study, *series, *instance, *zip_path, *suffix, *folder;
    outdir dir;
    zip_writer *zip;
    progress bar;
    uint64_t files, bytes, failed;
    bool json_to_stderr; /* standard output is the ZIP archive */
    gn_error fatal;      /* nothing more can be written */
} exporter;

static int copy_slice(int to, int from, uint64_t offset, uint64_t length, gn_error *e) {
    off_t at = (off_t)offset;
    while (length) {
        ssize_t n = copy_file_range(from, &at, to, NULL, length < (1u << 30) ? (size_t)length : 1u << 30, 0);
        if (n > 0) {
            length -= (uint64_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) return gn_fail(e, GN_E_TRUNCATED, "the stored object is shorter than its index says");
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
            return gn_fail_errno(e, errno, "cannot write");
        uint8_t chunk[65536];
        size_t k = length < sizeof chunk ? (size_t)length : sizeof chunk;
        int rc = gn_pread_all(from, chunk, k, (uint64_t)at, e);
        if (!rc) rc = gn_write_all(to, chunk, k, e);
        if (rc) return rc;
        at += (off_t)k;
        length -= k;
    }
    return 0;
}

static int write_object(exporter *x, const archive_object *o, gn_error *e) {
    if (!outdir_can_name(o->sop_instance))
        return gn_fail(e, GN_E_INVALID, "the SOP Instance UID has characters that no file is named by");
    if (x->zip) {
        char name[96];
        snprintf(name, sizeof name, "%s%s", o->sop_instance, x->suffix ? x->suffix : ".dcm");
        int rc = zip_writer_add(x->zip, name, o->fd, o->offset, o->length, e);
        if (rc) x->fatal = *e; /* half a member stands in the output */
        return rc;
    }
    outfile f = { .fd = -1 };
    int rc = outdir_create(&x->dir, &f, e);
    if (!rc) rc = copy_slice(f.fd, o->fd, o->offset, o->length, e);
    if (rc) outdir_drop(&x->dir, &f);
    else rc = outdir_keep(&x->dir, &f, o->sop_instance, e);
    if (rc == GN_E_NO_SPACE) x->fatal = *e;
    return rc;
}

static void say(exporter *x, const archive_object *o, const gn_error *e) {
    char line[600], clean[600], text[400];
    x->failed++;
    snprintf(line, sizeof line, "%s: %s", o->sop_instance, gn_error_text(e, text, sizeof text));
    progress_say(&x->bar, cli_clean(line, clean, sizeof clean));
    progress_add(&x->bar, 1, 0, 1);
}

static int write_all(exporter *x, archive_retrieval *r) {
    for (;;) {
        archive_object o = { .fd = -1 };
        gn_error e = GN_ERROR_INIT;
        int rc = archive_retrieve_next(r, &o, &e);
        if (rc == 1) return 0;
        if (rc < 0) {
            say(x, &o, &e);
            if (!o.sop_instance[0]) return rc; /* the archive itself failed */
            continue;
        }
        rc = write_object(x, &o, &e);
        uint64_t length = o.length;
        if (rc) say(x, &o, &e);
        archive_object_release(x->data.archive, &o);
        if (x->fatal.code) return x->fatal.code;
        if (rc) continue;
        x->files++;
        x->bytes += length;
        progress_add(&x->bar, 1, length, 0);
    }
}

static void print_result(const exporter *x, double seconds) {
    FILE *out = x->json_to_stderr ? stderr : stdout;
    char size[24], took[24];
    if (x->data.json) {
        fprintf(out, "{\"files\":%llu,\"bytes\":%llu,\"failed\":%llu,\"seconds\":%.3f}\n", (unsigned long long)x->files,
                (unsigned long long)x->bytes, (unsigned long long)x->failed, seconds);
        return;
    }
    fprintf(out, "%llu objects, %s in %s", (unsigned long long)x->files, progress_bytes((double)x->bytes, size),
            progress_time(seconds, took));
    if (x->failed) fprintf(out, ", %llu could not be written", (unsigned long long)x->failed);
    fputc('\n', out);
}

static int run(exporter *x) {
    gn_error e = GN_ERROR_INIT;
    archive_selection s = { .level = x->instance ? ARCHIVE_IMAGE
                                     : x->series ? ARCHIVE_SERIES
                                     : x->study  ? ARCHIVE_STUDY
                                                 : ARCHIVE_PATIENT,
                            .patient_id = x->patient,
                            .study_uids = x->study,
                            .series_uids = x->series,
                            .sop_uids = x->instance,
                            .everything = x->all };
    archive_retrieval *r = NULL;
    size_t count = 0;
    int rc = archive_retrieve_open(x->data.archive, &s, &r, &count, &e);
    if (rc) return cli_error("export", &e), CLI_FAILED;
    progress_begin(&x->bar, "export", count, 0);
    rc = write_all(x, r);
    if (!rc && x->zip && zip_writer_finish(x->zip, &e)) {
        x->fatal = e;
        rc = e.code;
    }
    archive_retrieve_close(&r);
    if (!rc && x->dir.fd >= 0 && syncfs(x->dir.fd))
        rc = gn_fail_errno(&x->fatal, errno, "the files may not be safe on disk");
    double seconds = progress_end(&x->bar);
    if (x->fatal.code) cli_error("export", &x->fatal);
    print_result(x, seconds);
    if (!count && !x->all) cli_complain("export", "nothing is stored under that");
    return rc || x->failed || (!count && !x->all) ? CLI_FAILED : CLI_OK;
}

static int run_into_zip(exporter *x) {
    gn_error e = GN_ERROR_INIT;
    bool to_stdout = strcmp(x->zip_path, "-") == 0;
    if (to_stdout && isatty(STDOUT_FILENO))
        return cli_complain("export", "a ZIP archive is not for a terminal; send it somewhere: --zip - > FILE"),
               CLI_USAGE;
    int fd = to_stdout ? STDOUT_FILENO : open(x->zip_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    x->json_to_stderr = to_stdout;
    if (fd < 0) gn_fail_errno(&e, errno, "cannot make %.180s", x->zip_path);
    else x->zip = zip_writer_new(fd, &e);
    int rc = x->zip ? run(x) : (cli_error("export", &e), CLI_FAILED);
    zip_writer_free(&x->zip);
    if (!to_stdout && fd >= 0) {
        if (rc == CLI_OK && (fsync(fd) || close(fd)))
            rc = (cli_complain("export", "cannot write %s", x->zip_path), CLI_FAILED);
        if (rc != CLI_OK && x->fatal.code) (void)unlink(x->zip_path);
    }
    return rc;
}

static int run_into_folder(exporter *x) {
    gn_error e = GN_ERROR_INIT;
    if (outdir_open(&x->dir, x->folder, x->suffix ? x->suffix : "", &e)) return cli_error("export", &e), CLI_FAILED;
    int rc = run(x);
    outdir_close(&x->dir);
    return rc;
}

static int read_options(exporter *x, int argc, char **argv) {
    cli c;
    cli_init(&c, "export", argc, argv, options, GN_ARRAY_LEN(options));
    for (int o; (o = cli_next(&c)) != CLI_END;) {
        if (data_option(&x->data, &c, o) < 0) return CLI_USAGE;
        switch (o) {
        case CLI_HELP:
            command_usage(stdout, "export");
            cli_print_options(stdout, options, GN_ARRAY_LEN(options));
            return -1;
        case OPT_ALL: x->all = true; break;
        case OPT_PATIENT: x->patient = c.value; break;
        case OPT_STUDY: x->study = c.value; break;
        case OPT_SERIES: x->series = c.value; break;
        case OPT_INSTANCE: x->instance = c.value; break;
        case OPT_ZIP: x->zip_path = c.value; break;
        case OPT_SUFFIX:
            if (!outdir_suffix_valid(c.value))
                return cli_complain("export", "--suffix is a dot with letters and digits, such as .dcm"), CLI_USAGE;
            x->suffix = c.value;
            break;
        case CLI_OPERAND:
            if (x->folder)
                return cli_complain("export", "one folder: gantry export --data DIR --all OUTDIR"), CLI_USAGE;
            x->folder = c.value;
            break;
        default: break;
        }
    }
    bool some = x->patient || x->study || x->series || x->instance;
    if (some == x->all)
        return cli_complain("export", "what? --all, or --study UID, --series UID, --instance UID, --patient ID"),
               CLI_USAGE;
    if (!x->folder == !x->zip_path) return cli_complain("export", "where to? OUTDIR, or --zip FILE"), CLI_USAGE;
    return CLI_OK;
}

int cmd_export(int argc, char **argv) {
    exporter x = { .data = { .command = "export" }, .dir = { .fd = -1 } };
    int rc = read_options(&x, argc, argv);
    if (rc) return rc < 0 ? CLI_OK : rc;
    rc = data_open(&x.data, DATA_READ);
    if (rc == CLI_OK) rc = x.zip_path ? run_into_zip(&x) : run_into_folder(&x);
    data_close(&x.data);
    return rc;
}
