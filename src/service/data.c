/* data: finds and opens the archive that a subcommand works on, and says what to do when a server holds it. */
#include "data.h"

#include "wiring.h"

#include <sys/stat.h>

int data_option(data *d, const cli *c, int option) {
    switch (option) {
    case DATA_DIR: d->directory = c->value; return 1;
    case DATA_CONFIG: d->config_file = c->value; return 1;
    case DATA_JSON: d->json = true; return 1;
    case CLI_ERROR: return -1;
    default: return 0;
    }
}

static void explain(const data *d, const char *directory, const gn_error *e) {
    char text[400];
    if (e->code != GN_E_BUSY) {
        cli_complain(d->command, "%s: %s", directory, gn_error_text(e, text, sizeof text));
        return;
    }
    cli_complain(d->command, "%s is in use by a running gantry serve; stop it first", directory);
    if (strcmp(d->command, "import") == 0)
        fprintf(stderr, "  or send to it instead: gantry import --peer %s@127.0.0.1:%lld PATH…\n",
                config_text(d->config, CONFIG_DicomAet), (long long)config_int(d->config, CONFIG_DicomPort));
}

int data_open(data *d, data_mode mode) {
    gn_error e = GN_ERROR_INIT;
    archive_config ac;
    struct stat st;
    d->config = cli_config(d->command, d->config_file);
    if (!d->config) return CLI_USAGE;
    if (d->directory && config_set(d->config, CONFIG_StorageDirectory, d->directory, CONFIG_FROM_FLAG, &e))
        return cli_error(d->command, &e), CLI_USAGE;
    if (config_finish(d->config, &e)) gn_error_clear(&e); /* what concerns the listener is no matter here */
    wire_archive(d->config, &ac);
    ac.read_only = mode == DATA_READ;
    ac.must_exist = mode != DATA_MAKE;
    if (mode != DATA_MAKE && stat(ac.directory, &st)) {
        cli_complain(d->command, "there is no archive in %s; name its folder: --data DIR", ac.directory);
        return CLI_USAGE;
    }
    d->archive = archive_open(&ac, &e);
    if (d->archive) return CLI_OK;
    explain(d, ac.directory, &e);
    return e.code == GN_E_BUSY ? CLI_BUSY : CLI_FAILED;
}

void data_close(data *d) {
    archive_close(&d->archive);
    config_free(&d->config);
}
