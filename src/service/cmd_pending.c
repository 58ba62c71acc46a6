/* cmd_pending: subcommands that are on their way. */
#include "cli.h"

static int pending(char **argv) {
    cli_complain(argv[0], "not built yet");
    return CLI_FAILED;
}

#define PENDING(name)                       \
    int cmd_##name(int argc, char **argv) { \
        (void)argc;                         \
        return pending(argv);               \
    }
PENDING(import)
PENDING(export)
PENDING(verify)
PENDING(stats)
PENDING(echo)
PENDING(send)
PENDING(find)
PENDING(move)
PENDING(get)
PENDING(dump)
