/* serve: the life of the service: read the configuration, open the archive, listen, wait for signals, stop.
 *
 * SIGTERM and SIGINT stop: nothing new is taken, what is in flight may finish; a second one ends at once, which is safe at any
 * moment because what was acknowledged is on disk. SIGHUP reads the peers again. All signals are waited for in the main thread;
 * the threads of the rooms have them blocked. */
#include "cli.h"
#include "notify.h"
#include "progress.h"
#include "wiring.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STOP_GRACE_MS 20000u /* for messages in flight */
#define HEALTH_EVERY_MS 5000u
#define MOST_FILES 65536u
#define RECOVERY_PATIENCE_S 120u /* the longest that one object of a recovery may take */

typedef struct service {
    int argc;
    char **argv;
    config *config;
    archive *archive;
    security *security;
    http_service *http;
    pixel_workers *workers; /* who decodes compressed frames for all rooms */
    gateway *gateway;
    bool suspect; /* the archive could not take objects when last looked at */
} service;

/* ---- command line ---------------------------------------------------------------------------------------------------------- */

static void print_help(void) {
    command_usage(stdout, "serve");
    puts("\nEverything has a default; a flag wins over an environment variable, that over the file. "
         "docs/configuration.md tells\n"
         "more about each key.\n\n"
         "  --config FILE                 JSON with comments; keys as in Orthanc [$GANTRY_CONFIG]");
    config_print_options(stdout, false);
    puts("\nAccepted, for parts that do not exist yet:\n");
    config_print_options(stdout, true);
}

/* "--name=VALUE", "--name VALUE"; true/false keys take a value only behind "=". Returns the index after it, or -1. */
static int read_flag(config *c, int argc, char **argv, int i, gn_error *e) {
    const char *arg = argv[i], *equals = strchr(arg, '=');
    char flag[64];
    bool negated = false;
    if (strncmp(arg, "--", 2) != 0 || !arg[2])
        return gn_fail(e, GN_E_CONFIG, "\"%.60s\" is not expected here; flags begin with --", arg), -1;
    snprintf(flag, sizeof flag, "%.*s", (int)(equals ? (size_t)(equals - arg - 2) < 63 ? equals - arg - 2 : 63 : 63),
             arg + 2);
    config_id id = config_by_flag(flag, &negated);
    if (id == CONFIG_COUNT) {
        cli_option all[CONFIG_COUNT];
        for (int k = 0; k < CONFIG_COUNT; k++) all[k] = (cli_option){ 0, config_keys[k].flag, NULL, "" };
        cli names;
        cli_init(&names, "serve", argc - i + 1, argv + i - 1, all, CONFIG_COUNT);
        (void)cli_next(&names); /* says which flag is near */
        return gn_fail(e, GN_E_CONFIG, "%s", ""), -1;
    }
    config_type t = config_keys[id].type;
    bool is_bool = t == CONFIG_BOOL || t == CONFIG_TRISTATE;
    const char *value = equals ? equals + 1 : is_bool ? "true" : i + 1 < argc ? argv[++i] : NULL;
    if (!value) return gn_fail(e, GN_E_CONFIG, "--%s needs a value: --%s %s", flag, flag, config_keys[id].choices), -1;
    if (negated && equals) return gn_fail(e, GN_E_CONFIG, "--%s takes no value", flag), -1;
    if (config_set(c, id, negated ? "false" : value, CONFIG_FROM_FLAG, e)) {
        gn_error_at(e, "--%s", flag);
        return -1;
    }
    return i + 1;
}

static const char *config_argument(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) return argv[i + 1];
        if (strncmp(argv[i], "--config=", 9) == 0) return argv[i] + 9;
    }
    return NULL;
}

/* File, environment, flags, checks. NULL: e says why. */
static config *read_config(int argc, char **argv, gn_error *e) {
    config *c = cli_load_config(config_argument(argc, argv), e);
    for (int i = 1; c && i < argc;) {
        int skip = strcmp(argv[i], "--config") == 0 ? 2 : strncmp(argv[i], "--config=", 9) == 0 ? 1 : 0;
        i = skip ? i + skip : read_flag(c, argc, argv, i, e);
        if (i < 0) config_free(&c);
    }
    if (c && config_finish(c, e)) config_free(&c);
    return c;
}

/* ---- surroundings ------------------------------------------------------------------------------------------------------------- */

static void setup_process(void) {
    struct rlimit files;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)mallopt(M_ARENA_MAX, 2); /* one arena a thread would keep what each once needed */
    (void)mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < MOST_FILES) {
        files.rlim_cur = files.rlim_max < MOST_FILES ? files.rlim_max : MOST_FILES;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void block_signals(sigset_t *set) {
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
}

static void setup_log(const config *c) {
    const char *format = config_text(c, CONFIG_LogFormat);
    gn_level level = GN_LOG_INFO;
    (void)gn_log_level_parse(config_text(c, CONFIG_LogLevel), &level);
    gn_log_setup(level, strcmp(format, "json") == 0 || (strcmp(format, "auto") == 0 && !isatty(STDERR_FILENO)));
}

static void log_notes(const config *c) {
    size_t count;
    const config_note *n = config_notes(c, &count);
    for (size_t i = 0; i < count; i++) {
        const char *at = n[i].line ? gn_fmt("%.200s:%u", config_file(c), n[i].line) : "";
        if (*at) gn_log(n[i].level, "config.note", "key", n[i].key, "note", n[i].text, "at", at, NULL);
        else gn_log(n[i].level, "config.note", "key", n[i].key, "note", n[i].text, NULL);
    }
}

static void log_error(const char *event, const gn_error *e, const char *advice) {
    char text[400];
    gn_log(GN_LOG_ERROR, event, "code", gn_code_name(e->code), "why", cli_error_text(e, text, sizeof text),
           *advice ? "do" : NULL, advice, NULL);
}

/* ---- start --------------------------------------------------------------------------------------------------------------------- */

/* What to do about an archive that does not open. */
static const char *archive_advice(int code, bool must_exist) {
    if (code == GN_E_REFUSED && must_exist) return "mount the disk; for a new archive start once with --no-storage-must-exist";
    switch (code) {
    case GN_E_BUSY: return "stop the other gantry, or choose another folder: --data DIR";
    case GN_E_REFUSED: return "choose an empty or new folder, or one of this version: --data DIR";
    case GN_E_NO_SPACE: return "make room on the disk";
    default: return "see that the folder can be written, or choose another: --data DIR";
    }
}

static int start_workers(service *s, gn_error *e) {
    pixel_worker_config c;
    wire_workers(s->config, &c);
    s->workers = pixel_workers_new(&c, e);
    return s->workers ? 0 : GN_E_NO_MEMORY;
}

/* Reading an archive again may take hours: the log and the service manager hear that it goes on, each second. */
static void on_recovery(void *ctx, const archive_progress *p) {
    char done[24], total[24];
    unsigned percent = p->total ? (unsigned)((double)p->done * 100 / (double)p->total) : 0;
    (void)ctx;
    gn_log(GN_LOG_INFO, "archive.recovering", "done", gn_fmt("%" PRIu64, p->done), "total",
           gn_fmt("%" PRIu64, p->total), "percent", gn_fmt("%u", percent), "problems",
           gn_fmt("%" PRIu64, p->problems), NULL);
    (void)notify_send(gn_fmt("EXTEND_TIMEOUT_USEC=%u000000\nSTATUS=reading the archive again: %s of %s, %u %%",
                             RECOVERY_PATIENCE_S, progress_bytes((double)p->done, done),
                             progress_bytes((double)p->total, total), percent));
}

static int start(service *s) {
    gn_error e = GN_ERROR_INIT;
    archive_config ac;
    wired_gateway w;
    wire_archive(s->config, &ac);
    ac.on_recovery = on_recovery;
    s->archive = archive_open(&ac, &e);
    if (!s->archive) {
        log_error("archive.failed", &e, archive_advice(e.code, ac.must_exist));
        return e.code == GN_E_BUSY ? CLI_BUSY : CLI_FAILED;
    }
    int rc = start_workers(s, &e);
    if (!rc) rc = wire_gateway(s->config, &w, &e);
    if (!rc) {
        w.config.workers = s->workers;
        s->gateway = gateway_start(&w.config, s->archive, &e);
        wire_gateway_done(&w);
    }
    if (s->gateway) return CLI_OK;
    log_error("dicom.failed", &e,
              e.code == GN_E_CONFIG ? "" : "is another program on this port? choose one: --dicom-port N");
    return rc ? CLI_USAGE : CLI_FAILED;
}

/* Users and audit log, then the listener. A read-only archive has no place for either: it is served over DICOM alone. */
static int start_http(service *s) {
    gn_error e = GN_ERROR_INIT;
    http_config c;
    security_config sc = { .directory = config_text(s->config, CONFIG_StorageDirectory) };
    if (!config_bool(s->config, CONFIG_HttpServerEnabled) || config_bool(s->config, CONFIG_ReadOnly)) return CLI_OK;
    wire_http(s->config, &c);
    c.workers = s->workers;
    int rc = security_open(&sc, s->archive, &s->security, &e);
    if (rc) log_error("security.failed", &e, rc == GN_E_IO || rc == GN_E_NO_SPACE ? "the disk cannot be written; DICOM is served, HTTP is not until the next start" : "");
    if (rc) return rc == GN_E_IO || rc == GN_E_NO_SPACE ? CLI_OK : CLI_FAILED; /* what is stored can still be read (T30, T31) */
    s->http = http_start(&c, s->archive, s->security, &e);
    if (s->http) return CLI_OK;
    log_error("http.failed", &e, e.code == GN_E_CONFIG ? "" : "is another program on this port? choose one: --http-port N, or --no-http-server");
    return e.code == GN_E_CONFIG ? CLI_USAGE : CLI_FAILED;
}

/* Where HTTP is. Accounts can be kept but not yet made by anybody: said plainly, instead of a link to a page that is not there. */
static void announce_http(const service *s) {
    http_config c;
    if (!s->http) return;
    wire_http(s->config, &c);
    const char *host = config_address_is_loopback(c.address) ? c.address : "127.0.0.1";
    const char *base = c.public_url ? c.public_url : gn_fmt("%s://%.100s:%u", c.certificate ? "https" : "http", host, http_port(s->http));
    const char *advice = c.open ? "" : "no accounts can be made yet: for DICOMweb searches on this machine start with --auth none";
    gn_log(GN_LOG_INFO, "http.ready", "url", base, "auth", c.open ? "none" : "local", c.open ? NULL : "do", advice, NULL);
    if (!isatty(STDOUT_FILENO)) return;
    printf("  HTTP  on %s%s%s\n\n", base, c.open ? "" : "\n  ", advice);
    (void)fflush(stdout);
}

static void announce(const service *s) {
    const char *address = config_dicom_address(s->config), *aet = config_text(s->config, CONFIG_DicomAet),
               *dir = config_text(s->config, CONFIG_StorageDirectory);
    unsigned port = gateway_port(s->gateway);
    const char *host = config_address_is_loopback(address) ? address : "127.0.0.1";
    gn_log(GN_LOG_INFO, "service.ready", "name", config_text(s->config, CONFIG_Name), "version", GANTRY_VERSION,
           "dicom", gn_fmt("%.200s:%u", address, port), "aet", aet, "data", dir, "try",
           gn_fmt("storescu %s %u file.dcm", host, port), NULL);
    if (isatty(STDOUT_FILENO)) {
        printf("\n  DICOM on %s port %u as %s, images in %s\n  try:   storescu %s %u file.dcm\n  stop:  Ctrl-C\n\n",
               address, port, aet, dir, host, port);
        (void)fflush(stdout);
    }
    (void)notify_send(gn_fmt("READY=1\nSTATUS=DICOM on %.100s port %u as %s", address, port, aet));
}

/* ---- while it runs ---------------------------------------------------------------------------------------------------------------- */

static void reload_peers(service *s) {
    gn_error e = GN_ERROR_INIT;
    wired_gateway w;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)notify_send(gn_fmt("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000));
    config *fresh = read_config(s->argc, s->argv, &e);
    if (!fresh) {
        log_error("peers.reload_failed", &e, "the old list stays");
    } else if (wire_gateway(fresh, &w, &e)) {
        log_error("peers.reload_failed", &e, "the old list stays");
    } else {
        if (gateway_reload_peers(s->gateway, w.config.peers, w.config.peer_count, &e))
            log_error("peers.reload_failed", &e, "the old list stays");
        wire_gateway_done(&w);
    }
    config_free(&fresh);
    (void)notify_send("READY=1");
}

/* Says once when the archive cannot take objects, and once when it can again (T31, T32). */
static void watch_archive(service *s) {
    gn_error e = GN_ERROR_INIT;
    if (config_bool(s->config, CONFIG_ReadOnly)) return;
    bool bad = archive_writable(s->archive, &e) != 0;
    if (bad && !s->suspect) {
        log_error("archive.not_writable", &e, "");
        (void)notify_send(gn_fmt("STATUS=cannot take objects: %.150s", e.message));
    } else if (!bad && s->suspect) {
        gn_log(GN_LOG_INFO, "archive.writable", NULL);
        (void)notify_send("STATUS=taking objects again");
    }
    s->suspect = bad;
}

static void wait_for_end(service *s, const sigset_t *signals) {
    uint32_t watchdog = notify_watchdog_ms(),
             every = watchdog && watchdog < HEALTH_EVERY_MS ? watchdog : HEALTH_EVERY_MS;
    struct timespec pause = { .tv_sec = every / 1000, .tv_nsec = (long)(every % 1000) * 1000000 };
    for (;;) {
        int got = sigtimedwait(signals, NULL, &pause);
        if (got == SIGHUP) reload_peers(s);
        else if (got > 0)
            return gn_log(GN_LOG_INFO, "service.stopping", "signal", got == SIGINT ? "SIGINT" : "SIGTERM", NULL);
        else if (errno != EINTR) watch_archive(s);
        if (watchdog) (void)notify_send("WATCHDOG=1");
    }
}

static void stop(service *s, sigset_t *signals) {
    (void)notify_send("STOPPING=1");
    (void)sigdelset(signals, SIGHUP);
    (void)signal(SIGTERM, SIG_DFL); /* a second signal ends at once */
    (void)signal(SIGINT, SIG_DFL);
    (void)pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    if (s->http) http_drain(s->http);
    gateway_stop(&s->gateway, STOP_GRACE_MS);
    http_stop(&s->http, STOP_GRACE_MS);
    security_close(&s->security);
    pixel_workers_free(&s->workers);
    archive_close(&s->archive);
    gn_log(GN_LOG_INFO, "service.stopped", NULL);
}

int cmd_serve(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return print_help(), CLI_OK;
    sigset_t signals;
    service s = { .argc = argc, .argv = argv };
    setup_process();
    block_signals(&signals);
    gn_error e = GN_ERROR_INIT;
    s.config = read_config(argc, argv, &e);
    if (!s.config) {
        if (e.message[0]) cli_error("serve", &e);
        return CLI_USAGE;
    }
    setup_log(s.config);
    log_notes(s.config);
    int rc = start(&s);
    if (rc == CLI_OK) rc = start_http(&s);
    if (rc == CLI_OK) {
        announce(&s);
        announce_http(&s);
        wait_for_end(&s, &signals);
        stop(&s, &signals);
    }
    gateway_stop(&s.gateway, 0); /* what is open still when a start failed */
    http_stop(&s.http, 0);
    security_close(&s.security);
    pixel_workers_free(&s.workers);
    archive_close(&s.archive);
    config_free(&s.config);
    return rc;
}
