/* config: what a Gantry is told, from its file, the environment and the command line.
 *
 * The order of precedence is flag, environment, file, default: apply them in the reverse order. Nothing here logs; what a person should
 * know is kept as notes, which the caller prints once logging is set up. Rows: config_table.h. Thread rule: one thread. */
#ifndef GANTRY_SERVICE_CONFIG_H
#define GANTRY_SERVICE_CONFIG_H

#include "base/base.h"
#include "config_table.h"
#include "peer.h"

typedef enum config_type {
    CONFIG_BOOL,
    CONFIG_TRISTATE /* true, false, or auto: decided by the listener */,
    CONFIG_INT,
    CONFIG_SIZE,
    CONFIG_TEXT,
    CONFIG_SECRET,
    CONFIG_PATH,
    CONFIG_AET,
    CONFIG_CHOICE,
    CONFIG_LIST,
    CONFIG_PEERS,
    CONFIG_OBJECT
} config_type;

typedef enum config_id {
#define X(id, name, type, low, high, flag, environment, standard, choices, later, help) CONFIG_##id,
    CONFIG_TABLE(X)
#undef X
        CONFIG_COUNT
} config_id;

typedef struct config_key {
    const char *name;
    config_type type;
    int64_t low, high;
    const char *flag, *environment, *standard, *choices, *later, *help;
} config_key;
extern const config_key config_keys[CONFIG_COUNT];

typedef enum config_origin {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_FLAG
} config_origin;

/* Something a person should know; `key` may be "". line 0: not from a file. */
typedef struct config_note {
    gn_level level;
    unsigned line;
    char key[64];
    char text[280];
} config_note;

typedef struct config config;
config *config_new(gn_error *e); /* all defaults */
void config_free(config **c);

/* A file of JSON with comments and trailing commas. Errors: GN_E_CONFIG, where = "FILE:line[:column]". */
int config_load_file(config *c, const char *path, gn_error *e);
/* The same from memory; `path` names it in errors, and its folder is what relative paths are relative to. */
int config_load_text(config *c, const char *text, size_t n, const char *path, gn_error *e);
/* Every GANTRY_… variable; `get` is getenv, or a stand-in. */
int config_load_environment(config *c, char *(*get)(const char *name), gn_error *e);
/* One value as text, as flags and variables give it. */
int config_set(config *c, config_id id, const char *text, config_origin origin, gn_error *e);
/* The key of a flag (without "--"); CONFIG_COUNT: none. A flag "no-X" of a BOOL X sets *negated. */
config_id config_by_flag(const char *flag, bool *negated);
config_id config_by_name(const char *name); /* "PostgreSQL.Host"; CONFIG_COUNT: none */
/* Checks what keys say together, and makes the notes about parts that do not exist yet. Once, after all are loaded. */
int config_finish(config *c, gn_error *e);

bool config_bool(const config *c, config_id id);
int config_tristate(const config *c, config_id id);     /* -1 auto, 0, 1 */
int64_t config_int(const config *c, config_id id);      /* INT and SIZE */
const char *config_text(const config *c, config_id id); /* TEXT, SECRET, PATH, AET, CHOICE; never NULL */
const char *const *config_list(const config *c, config_id id, size_t *count);
const peer *config_peers(const config *c, size_t *count);
const peer *config_peer(const config *c, const char *name); /* by name, else by AE title; NULL: none */
config_origin config_origin_of(const config *c, config_id id);
const char *config_origin_text(config_origin o);
const char *config_file(const config *c); /* NULL: none was read */
const config_note *config_notes(const config *c, size_t *count);

/* Where DICOM listens, and whether only this machine can reach it. */
const char *config_dicom_address(const config *c);
bool config_address_is_loopback(const char *address);

/* ---- for people ---------------------------------------------------------------------------------------------------------- */

void config_print_options(FILE *out, bool later); /* the flags, for help; later: those of parts that do not exist yet */
void config_print_markdown(gn_buf *out);          /* docs/configuration.md */
void config_print_json(const config *c,
                       gn_buf *out); /* effective values, with their origin as a comment; secrets are not shown */

/* ---- inside config ------------------------------------------------------------------------------------------------------- */

/* Turns comments and trailing commas into spaces, in place, so that positions stay. GN_E_CONFIG: a comment or string without end. */
int config_json_clean(char *text, size_t n, gn_error *e);
/* Line of the key at `path` ("PostgreSQL.Host") in cleaned JSON; 0: not found. */
unsigned config_json_line(const char *text, size_t n, const char *path);
void config_note_add(config *c, gn_level level, unsigned line, const char *key, const char *format, ...)
    GN_PRINTF(5, 6);
/* What a value of this type must be, in words: "a whole number from 0 to 65535". */
const char *config_expected(const config_key *k, char *buf, size_t size);
/* Why a key that Orthanc has is not used here; NULL: Orthanc has no such key either. */
const char *config_orthanc_reason(const char *name);
/* The nearest known key, or NULL when none is near. */
const char *config_nearest(const char *name);
int config_set_peers(config *c, const peer *peers, size_t count,
                     gn_error *e);                             /* merged by name: a later one replaces */
int config_set_file(config *c, const char *path, gn_error *e); /* the name of what was read */
void config_mark(config *c, config_id id, config_origin origin, unsigned line);
int config_set_bool(config *c, config_id id, bool value, gn_error *e);
int config_set_int(config *c, config_id id, int64_t value, gn_error *e);
int config_set_list(config *c, config_id id, const char *const *items, size_t count, gn_error *e);

#endif
