/* cmd_import: takes files, folders, ZIP archives and DICOMDIR media into an archive that no server holds.
 *
 * Ctrl-C stops after what is under way; the next import of the same files goes on from there. With --peer the files are sent to a running
 * server instead. */
#include "data.h"
#include "import.h"
#include "part10.h"
#include "walk.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPT_JOBS = DATA_OPTION_COUNT, OPT_PEER, OPT_VERBOSE, OPT_UNPACK, OPT_AGAIN };
static const cli_option options[] = {
    DATA_OPTIONS,
    { 'n', "jobs", "N", "objects on their way at once, 1 to 64 [8]" },
    { 'p', "peer", "PEER", "send to a running server instead: NAME or AET@HOST:PORT" },
    { 'v', "verbose", NULL, "name every file that was not taken, and every warning" },
    { 0, "unpack-limit", "SIZE", "what one ZIP archive may unpack to [256M and 25 times its size]" },
    { 0, "again", NULL, "look at files again that an interrupted import has done" },
};

enum { SHOWN = 20, LISTED = 10000 };

typedef struct importer {
    data data;
import work;
    import_pool *pool;
    bool verbose, again;
    uint64_t shown, hidden;
    gn_buf listed; /* JSON objects, comma between them */
    uint64_t listed_count;
} importer;

static _Atomic bool *interrupted; /* of the one import of this process */

static void on_signal(int number) {
    (void)number;
    if (interrupted) atomic_store(interrupted, true);
}

/* ---- what was not taken ---------------------------------------------------------------------------------------------------- */

static void list_problem(importer *im, const char *kind, const char *path, const char *reason) {
    gn_json j;
    if (im->listed_count++ >= LISTED) return;
    if (im->listed.n) gn_buf_putc(&im->listed, ',');
    gn_json_init(&j, &im->listed);
    gn_json_open(&j, '{');
    gn_json_key(&j, "kind");
    gn_json_string(&j, kind);
    gn_json_key(&j, "file");
    gn_json_string(&j, path);
    gn_json_key(&j, "reason");
    gn_json_string(&j, reason);
    gn_json_close(&j, '}');
}

static void on_problem(void *ctx, const char *kind, const char *path, const char *reason) {
    importer *im = ctx;
    bool warning = strcmp(kind, "warnings") == 0;
    if (!warning) progress_add(&im->work.bar, 0, 0, 1);
    if (im->data.json) list_problem(im, kind, path, reason);
    if (im->data.json || (warning && !im->verbose)) return;
    if (!im->verbose && im->shown >= SHOWN) {
        im->hidden++;
        return;
    }
    im->shown++;
    char line[1200], clean[1200];
    snprintf(line, sizeof line, "%s: %s%s", path, warning ? "warning: " : "", reason);
    progress_say(&im->work.bar, cli_clean(line, clean, sizeof clean));
}

/* ---- finding files ------------------------------------------------------------------------------------------------------------ */

static int on_file(void *ctx, int fd, const char *path, const struct stat *st) {
    importer *im = ctx;
    if (atomic_load(&im->work.stop)) {
        close(fd);
        return 1;
    }
    if (!im->again && import_state_knows(im->work.state, st)) {
        atomic_fetch_add(&im->work.count[IMPORT_RESUMED], 1);
        progress_add(&im->work.bar, 1, (uint64_t)st->st_size, 0);
        close(fd);
        return 0;
    }
    return import_pool_add(im->pool, fd, path, st);
}

static void on_skip(void *ctx, const char *path, const char *why) {
    importer *im = ctx;
    import_problem(&im->work, IMPORT_SKIPPED, path, why);
}

static int count_file(void *ctx, int fd, const char *path, const struct stat *st) {
    importer *im = ctx;
    (void)path;
    progress_grow(&im->work.bar, 1, (uint64_t)st->st_size);
    close(fd);
    return 0;
}

/* A DICOMDIR that was named itself stands for the files it lists. 1: it is none. */
static int try_media(importer *im, const char *path, gn_error *e) {
    struct stat st;
    part10 p;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc = 1;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        part10_look(fd, (uint64_t)st.st_size, &p, NULL) == 0 && p.directory) {
        atomic_fetch_add(&im->work.count[IMPORT_DIRECTORIES], 1);
        rc = import_media(&im->work, im->pool, fd, path, &st, e);
    }
    if (fd >= 0) close(fd);
    return rc;
}

static void take_path(importer *im, const char *path) {
    gn_error e = GN_ERROR_INIT;
    walk_counts counts = { 0 };
    char text[400];
    int rc = try_media(im, path, &e);
    if (rc == 1) {
        gn_error_clear(&e);
        if (im->work.bar.shown) { /* to know how much there is; quick beside the import itself */
            walk_counts ahead = { 0 };
            (void)walk_path(path, count_file, NULL, im, &ahead, NULL);
        }
        rc = walk_path(path, on_file, on_skip, im, &counts, &e);
    }
    if (rc < 0) import_problem(&im->work, IMPORT_FAILED, path, gn_error_text(&e, text, sizeof text));
}

/* ---- result ---------------------------------------------------------------------------------------------------------------------- */

static void print_json(importer *im, double seconds) {
    gn_buf out = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &out);
    gn_json_open(&j, '{');
    for (size_t i = 0; i < IMPORT_COUNTS; i++) {
        gn_json_key(&j, import_count_names[i]);
        gn_json_uint(&j, atomic_load(&im->work.count[i]));
    }
    gn_json_key(&j, "bytes");
    gn_json_uint(&j, atomic_load(&im->work.bar.bytes));
    gn_json_key(&j, "seconds");
    gn_json_double(&j, seconds);
    gn_json_key(&j, "complete");
    gn_json_bool(&j, !atomic_load(&im->work.stop));
    gn_json_key(&j, "error");
    gn_json_string(&j, im->work.fatal.code ? im->work.fatal.message : NULL);
    gn_json_key(&j, "problems");
    gn_json_open(&j, '[');
    if (im->listed.n) gn_json_raw(&j, (const char *)im->listed.p, im->listed.n);
    gn_json_close(&j, ']');
    gn_json_close(&j, '}');
    gn_buf_putc(&out, '\n');
    cli_flush(&out);
    gn_buf_done(&out);
}

static void print_text(importer *im, double seconds) {
    static const struct {
        import_count count;
        const char *text;
    } lines[] = { { IMPORT_DUPLICATE, "were there already" },
                  { IMPORT_REPLACED, "replaced others" },
                  { IMPORT_CONFLICT, "have the UID of another object: in quarantine" },
                  { IMPORT_REFUSED, "refused" },
                  { IMPORT_FAILED, "could not be read" },
                  { IMPORT_WARNED, "stored with a warning (--verbose tells)" },
                  { IMPORT_RESUMED, "were done by the import before" },
                  { IMPORT_NOT_DICOM, "are not DICOM" },
                  { IMPORT_SKIPPED, "skipped: links, devices, not readable" } };
    char size[24], took[24], rate[24];
    uint64_t bytes = atomic_load(&im->work.bar.bytes);
    if (im->hidden) fprintf(stderr, "… and %llu more; --verbose names them all\n", (unsigned long long)im->hidden);
    printf("%10llu stored, of %s in %s, %s/s\n", (unsigned long long)atomic_load(&im->work.count[IMPORT_STORED]),
           progress_bytes((double)bytes, size), progress_time(seconds, took),
           progress_bytes(seconds > 0 ? (double)bytes / seconds : 0, rate));
    for (size_t i = 0; i < GN_ARRAY_LEN(lines); i++) {
        uint64_t n = atomic_load(&im->work.count[lines[i].count]);
        if (n) printf("%10llu %s\n", (unsigned long long)n, lines[i].text);
    }
    if (im->work.fatal.code) cli_complain("import", "stopped: %s", im->work.fatal.message);
    if (atomic_load(&im->work.stop)) fputs("not complete; the same command goes on from here\n", stderr);
}

/* ---- all ---------------------------------------------------------------------------------------------------------------------------- */

static int import_paths(importer *im, char **paths, size_t count, unsigned jobs) {
    gn_error e = GN_ERROR_INIT;
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND }; /* a second Ctrl-C ends at once */
    im->work.archive = im->data.archive;
    im->work.on_problem = on_problem;
    im->work.ctx = im;
    (void)pthread_mutex_init(&im->work.lock, NULL);
    im->work.state = import_state_open(config_text(im->data.config, CONFIG_StorageDirectory), &e);
    if (!im->work.state) {
        cli_error("import", &e); /* it works without */
        gn_error_clear(&e);
    }
    interrupted = &im->work.stop;
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    progress_begin(&im->work.bar, "import", 0, 0);
    im->pool = import_pool_new(&im->work, jobs, &e);
    for (size_t i = 0; im->pool && i < count && !atomic_load(&im->work.stop); i++) take_path(im, paths[i]);
    if (im->pool) import_pool_free(&im->pool);
    else import_fatal(&im->work, &e);
    double seconds = progress_end(&im->work.bar);
    bool complete = !atomic_load(&im->work.stop);
    import_state_close(&im->work.state, complete);
    if (im->data.json) print_json(im, seconds);
    else print_text(im, seconds);
    bool bad = !complete || atomic_load(&im->work.count[IMPORT_REFUSED]) ||
               atomic_load(&im->work.count[IMPORT_FAILED]) || atomic_load(&im->work.count[IMPORT_CONFLICT]);
    interrupted = NULL;
    (void)pthread_mutex_destroy(&im->work.lock);
    return bad ? CLI_FAILED : CLI_OK;
}

/* The same files to a running server, by C-STORE. */
static int send_instead(const importer *im, const char *peer_text, char **paths, size_t count) {
    char send[] = "send", json[] = "--json", config_flag[] = "--config", end[] = "--";
    char **args = calloc(count + 8, sizeof *args);
    int n = 0;
    if (!args) return CLI_FAILED;
    args[n++] = send;
    if (im->data.json) args[n++] = json;
    if (im->data.config_file) {
        args[n++] = config_flag;
        args[n++] = (char *)(uintptr_t)im->data.config_file;
    }
    args[n++] = end;
    args[n++] = (char *)(uintptr_t)peer_text;
    for (size_t i = 0; i < count; i++) args[n++] = paths[i];
    int rc = cmd_send(n, args);
    free(args);
    return rc;
}

/* 1.5G and the like, by the configuration's own reader of sizes. */
static bool read_size(const char *text, uint64_t *value) {
    gn_error e = GN_ERROR_INIT;
    config *c = config_new(&e);
    bool ok = c && !config_set(c, CONFIG_QuarantineSize, text, CONFIG_FROM_FLAG, &e);
    if (ok) *value = (uint64_t)config_int(c, CONFIG_QuarantineSize);
    else cli_complain("import", "--unpack-limit is a size from 1M to 1T");
    config_free(&c);
    return ok;
}

int cmd_import(int argc, char **argv) {
    importer *im = calloc(1, sizeof *im);
    char **paths = calloc((size_t)argc + 1, sizeof *paths);
    const char *peer_text = NULL;
    int64_t jobs = 8;
    size_t count = 0;
    int rc = im && paths ? CLI_OK : CLI_FAILED;
    bool help = false;
    cli c;
    cli_init(&c, "import", argc, argv, options, GN_ARRAY_LEN(options));
    if (rc == CLI_OK) im->data.command = "import";
    for (int o; rc == CLI_OK && !help && (o = cli_next(&c)) != CLI_END;) {
        if (data_option(&im->data, &c, o) < 0) rc = CLI_USAGE;
        else if (o == CLI_HELP) help = true;
        else if (o == OPT_JOBS && !cli_number(&c, "jobs", 1, 64, &jobs)) rc = CLI_USAGE;
        else if (o == OPT_PEER) peer_text = c.value;
        else if (o == OPT_VERBOSE) im->verbose = true;
        else if (o == OPT_AGAIN) im->again = true;
        else if (o == OPT_UNPACK && !read_size(c.value, &im->work.unpack_limit)) rc = CLI_USAGE;
        else if (o == CLI_OPERAND) paths[count++] = argv[c.next - 1];
    }
    if (help) {
        command_usage(stdout, "import");
        cli_print_options(stdout, options, GN_ARRAY_LEN(options));
    } else if (rc == CLI_OK && !count) {
        rc = CLI_USAGE;
        cli_complain("import", "what? gantry import --data DIR PATH…");
    } else if (rc == CLI_OK && peer_text) {
        rc = send_instead(im, peer_text, paths, count);
    } else if (rc == CLI_OK) {
        rc = data_open(&im->data, DATA_MAKE);
        if (rc == CLI_OK) rc = import_paths(im, paths, count, (unsigned)jobs);
        data_close(&im->data);
    }
    if (im) gn_buf_done(&im->listed);
    free(im);
    free(paths);
    return rc;
}
