/* commands: the table of subcommands, and what is said when none or an unknown one was given. */
#include "cli.h"

#include "suggest.h"

const subcommand commands[] = {
    { "serve", "[--data DIR] [--dicom-port N] [--aet TITLE] [--peer NAME=AET@HOST:PORT]… [--config FILE]",
      "run the service", cmd_serve },
    { "import", "--data DIR PATH…", "take in files, folders, ZIP archives and DICOMDIR media", cmd_import },
    { "export", "--data DIR --all OUTDIR", "write stored objects as files or as a ZIP", cmd_export },
    { "verify", "--data DIR [--repair]", "check every stored object against its checksum and the index", cmd_verify },
    { "stats", "--data DIR [--json]", "what an archive holds", cmd_stats },
    { "echo", "PEER…", "ask a DICOM node whether it is there", cmd_echo },
    { "send", "PEER PATH…", "send files to a DICOM node", cmd_send },
    { "find", "PEER -k KEY=VALUE…", "query a DICOM node", cmd_find },
    { "move", "PEER --to AET -k KEY=VALUE…", "have a DICOM node send images to another", cmd_move },
    { "get", "PEER OUTDIR -k KEY=VALUE…", "fetch images from a DICOM node", cmd_get },
    { "dump", "FILE… [--json]", "print what is in DICOM files", cmd_dump },
    { "config", "[--config FILE] [--markdown]", "check a configuration and print what is in effect", cmd_config },
    { "version", "", "print the version", cmd_version },
    { "help", "[COMMAND]", "print help", cmd_help },
};
const size_t command_count = GN_ARRAY_LEN(commands);

const subcommand *command_find(const char *name) {
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

void command_usage(FILE *out, const char *name) {
    const subcommand *c = command_find(name);
    if (c) fprintf(out, "usage: gantry %s %s\n\n%s\n", c->name, c->arguments, c->summary);
}

static void overview(FILE *out) {
    fputs("Gantry receives medical images, keeps them, finds them and gives them back.\n\nusage: gantry COMMAND …\n\n",
          out);
    for (size_t i = 0; i < command_count; i++) fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`gantry COMMAND --help` tells more about one of them. To start at once: gantry serve\n", out);
}

int cmd_help(int argc, char **argv) {
    if (argc < 2 || argv[1][0] == '-') {
        overview(stdout);
        return CLI_OK;
    }
    const subcommand *c = command_find(argv[1]);
    if (c && c->run != cmd_help) {
        char help[] = "--help";
        char *args[] = { argv[1], help, NULL };
        return c->run(2, args);
    }
    if (c) return overview(stdout), CLI_OK;
    const char *best = NULL;
    unsigned distance = 0;
    for (size_t i = 0; i < command_count; i++) suggest_consider(argv[1], commands[i].name, &best, &distance);
    cli_complain("help", best ? "there is no command \"%s\"; did you mean \"%s\"?" : "there is no command \"%s\"%s",
                 argv[1], best ? best : "");
    return CLI_USAGE;
}

int cmd_version(int argc, char **argv) {
    (void)argc;
    (void)argv;
    puts("gantry " GANTRY_VERSION);
    return CLI_OK;
}
