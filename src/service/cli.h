/* cli: reading a command line by a table of options, and what all subcommands share: exit codes, messages, JSON output.
 *
 * Options are --name VALUE, --name=VALUE, -n VALUE; "--" ends them; they may stand anywhere among the operands. */
#ifndef GANTRY_SERVICE_CLI_H
#define GANTRY_SERVICE_CLI_H

#include "base/base.h"
#include "config.h"

enum {
    CLI_OK = 0,
    CLI_FAILED = 1, /* something was wrong with the work: a file refused, an object damaged, nothing found */
    CLI_USAGE = 2,  /* the command line or the configuration */
    CLI_PEER = 3,   /* the peer could not be reached, or rejected the association */
    CLI_BUSY = 4,   /* the archive is held by a running server */
};

typedef struct cli_option {
    char letter;       /* 0: none */
    const char *name;  /* without "--" */
    const char *value; /* what stands for the value in help; NULL: takes none */
    const char *help;
} cli_option;

typedef struct cli {
    int argc;
    char **argv;
    const char *command;
    const cli_option *options;
    size_t count;
    int next;
    bool only_operands;
    const char *letters; /* rest of a group such as -av */
    const char *value;   /* of the option just read; NULL: it has none */
} cli;

enum { CLI_END = -1, CLI_OPERAND = -2, CLI_ERROR = -3, CLI_HELP = -4 };

void cli_init(cli *c, const char *command, int argc, char **argv, const cli_option *options, size_t count);
/* The number of the option in the table (c->value is set), or CLI_OPERAND (c->value is the operand), CLI_END, CLI_HELP (--help, -h),
 * or CLI_ERROR: a message was printed, leave with CLI_USAGE. */
int cli_next(cli *c);
void cli_print_options(FILE *out, const cli_option *options, size_t count);

/* "gantry COMMAND: message (where)" on stderr. */
void cli_error(const char *command, const gn_error *e);
const char *cli_error_text(const gn_error *e, char *buf, size_t size);
void cli_complain(const char *command, const char *format, ...) GN_PRINTF(2, 3);
/* A value of an option as a number within bounds; false: a message was printed. */
bool cli_number(const cli *c, const char *option, int64_t low, int64_t high, int64_t *value);
/* Writes and clears the buffer to stdout. */
void cli_flush(gn_buf *out);
/* Text of an outside origin on a terminal or in a list: control characters become spaces (T23). Returns buf. */
char *cli_clean(const char *text, char *buf, size_t size);

/* Loads --config FILE (or GANTRY_CONFIG), then the environment. NULL file and no variable: defaults. NULL: failed, message printed. */
config *cli_config(const char *command, const char *file);
config *cli_load_config(const char *file, gn_error *e); /* the same, without a message */
/* PEER as operands give it: a name of the configuration, or AET@HOST:PORT. false: a message was printed. */
bool cli_peer(const char *command, const config *c, const char *text, peer *out);

/* ---- subcommands ---------------------------------------------------------------------------------------------------------- */

typedef struct subcommand {
    const char *name, *arguments, *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand */
} subcommand;
extern const subcommand commands[];
extern const size_t command_count;
const subcommand *command_find(const char *name);
/* Head of a subcommand's help. */
void command_usage(FILE *out, const char *name);

int cmd_serve(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_echo(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_find(int argc, char **argv);
int cmd_move(int argc, char **argv);
int cmd_get(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_help(int argc, char **argv);

#define GANTRY_VERSION "0.1.0"

#endif
