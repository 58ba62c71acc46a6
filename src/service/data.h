/* data: opening the archive for the subcommands that work on one: --data DIR, or what the configuration says. */
#ifndef GANTRY_SERVICE_DATA_H
#define GANTRY_SERVICE_DATA_H

#include "archive/archive.h"
#include "cli.h"

/* Rows for the head of an option table, and their numbers. */
#define DATA_OPTIONS                                                                                                   \
    { 'd', "data", "DIR", "the archive [StorageDirectory of the configuration, else data]" },                          \
        { 'c', "config", "FILE", "configuration [$GANTRY_CONFIG]" }, { 'j', "json", NULL, "print the result as JSON" }
enum { DATA_DIR, DATA_CONFIG, DATA_JSON, DATA_OPTION_COUNT };

typedef struct data {
    const char *command;
    const char *directory, *config_file;
    bool json;
    config *config;
    archive *archive;
} data;

/* 1: taken, 0: not ours, -1: message printed. */
int data_option(data *d, const cli *c, int option);
/* Opens; CLI_OK, or the exit code after a message. read_only works beside a running server. `must_exist`: no new archive is made. */
typedef enum data_mode { DATA_READ, DATA_WRITE, DATA_MAKE } data_mode;
int data_open(data *d, data_mode mode);
void data_close(data *d);

#endif
