/* scu: what the subcommands that call a DICOM node share: options, connecting, query keys, exit codes. */
#ifndef GANTRY_SERVICE_SCU_H
#define GANTRY_SERVICE_SCU_H

#include "cli.h"
#include "dicom/dicom.h"
#include "dimse/dimse.h"

/* Rows for the head of an option table, and their numbers. */
#define SCU_OPTIONS                                                                                                    \
    { 'c', "config", "FILE", "where peers have names: DicomModalities [$GANTRY_CONFIG]" },                             \
        { 'a', "aet", "TITLE", "our AE title [DicomAet of the configuration, else GANTRY]" },                          \
        { 't', "timeout", "SECONDS", "longest wait for an answer [60]" },                                              \
        { 'j', "json", NULL, "print the result as JSON" }
enum { SCU_CONFIG, SCU_AET, SCU_TIMEOUT, SCU_JSON, SCU_OPTION_COUNT };

typedef struct scu {
    const char *command;
    const char *config_file, *aet;
    int64_t timeout;
    bool json;
    config *config;
} scu;

/* Takes the shared options: 1 taken (or the operand is not for us: 0), -1: a message was printed, leave with CLI_USAGE. */
int scu_option(scu *s, const cli *c, int option);
/* Loads the configuration after all options were read. false: message printed. */
bool scu_ready(scu *s);
void scu_done(scu *s);
dimse_association *scu_connect(const scu *s, const peer *p, const dimse_proposal *proposals, size_t count, uint16_t window, gn_error *e);
/* Prints the error; the exit code: CLI_PEER when the peer could not be reached or said no, else CLI_FAILED. */
int scu_failed(const scu *s, const peer *p, const gn_error *e);
/* "success", "refused: out of resources (A700)": PS3.7 Annex C, PS3.4 B.2.3 and C.4. buf of at least 80 bytes; returns buf. */
char *scu_status_text(uint16_t status, char *buf);

/* ---- query keys ------------------------------------------------------------------------------------------------------------ */

typedef enum scu_level { SCU_PATIENT, SCU_STUDY, SCU_SERIES, SCU_IMAGE, SCU_WORKLIST } scu_level;
bool scu_level_parse(const char *text, scu_level *level); /* also "patients", "study", … */
const char *scu_level_text(scu_level l);

/* A query being put together; values are UTF-8. */
typedef struct scu_keys {
    gn_arena *arena;
    dicom_dataset *dataset;
    dicom_tag tags[64]; /* of the top level, in the order given */
    size_t count;
    bool not_ascii;
} scu_keys;
int scu_keys_init(scu_keys *k, gn_error *e);
void scu_keys_done(scu_keys *k);
/* "PatientName=DOE*", "0010,0020=1", "StudyDate" (asks for it), "RequestedProcedureCodeSequence.CodeValue=X". */
int scu_keys_add(scu_keys *k, const char *text, gn_error *e);
/* Adds a key without value unless it is there. */
int scu_keys_want(scu_keys *k, dicom_tag tag, gn_error *e);
/* The lowest unique key that was given decides the level: SOP Instance UID IMAGE, Series UID SERIES, else STUDY (or PATIENT). */
scu_level scu_keys_level(const scu_keys *k);
/* Query/Retrieve Level and the character set are added, all is encoded for the context. */
int scu_keys_encode(scu_keys *k, scu_level level, const dimse_context *context, gn_buf *out, gn_error *e);

/* Sends `rq` (its command and destination are set) with the keys as identifier, and waits for the last response. Then the association
 * is closed, or aborted after an error. `verb` is for people: "the peer does not let us VERB images". */
int scu_retrieve(dimse_association **a, const char *class, const char *verb, scu_keys *k, scu_level level, dimse_message *rq,
                 const dimse_exchange *exchange, dimse_message *last, gn_error *e);

/* SOP class for a level: which is 'F' find, 'M' move, 'G' get. Patient level uses the Patient Root, others the Study Root. */
const char *scu_query_class(scu_level level, char which);
extern const char *const scu_native_syntaxes[2]; /* explicit, implicit VR little endian */

#endif
