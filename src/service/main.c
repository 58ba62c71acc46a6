/* main: finds the subcommand and runs it; everything else is in cmd_*.c and serve.c. */
#include "cli.h"

#include "pixel/pixel.h"
#include "suggest.h"

#include <locale.h>
#include <signal.h>

int main(int argc, char **argv) {
    /* Not for people: this program as a child of its own, which decodes frames and may do nothing else. */
    if (argc == 2 && strcmp(argv[1], PIXEL_WORKER_ARGUMENT) == 0) return pixel_worker_main(PIXEL_WORKER_FD);
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* widths of names in tables; numbers and dates stay as in C */
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        (void)cmd_help(1, argv);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
    const subcommand *c = command_find(name);
    if (c) return c->run(argc - 1, argv + 1);
    const char *best = NULL;
    unsigned distance = 0;
    for (size_t i = 0; i < command_count; i++) suggest_consider(name, commands[i].name, &best, &distance);
    char word[80];
    cli_clean(name, word, sizeof word);
    if (best) fprintf(stderr, "gantry: there is no command \"%s\"; did you mean \"gantry %s\"?\n", word, best);
    else fprintf(stderr, "gantry: there is no command \"%s\"; `gantry help` lists them\n", word);
    return CLI_USAGE;
}
