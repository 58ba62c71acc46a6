/* rig: what the suites of security share: the room over an archive in a folder of its own, clocks to turn, files to look at. */
#ifndef SECURITY_RIG_H
#define SECURITY_RIG_H

#include "check.h"
#include "internal.h"

#define PASSWORD "a long way to Tipperary"

typedef struct rig {
    char directory[512];
    archive *archive;
    security *s;
    security_config config;
    gn_error e;
} rig;
bool rig_init(rig *r);                     /* opens both; the clocks stand at the real time and turn with rig_later */
bool rig_open(rig *r);                     /* security only, over the archive that is open */
void rig_close(rig *r);
void rig_later(int64_t seconds);           /* both clocks */
int64_t rig_now_us(void);
/* A user with PASSWORD; his id in `id`. */
int rig_user(rig *r, const char *name, security_role role, char id[ID_SIZE]);
int rig_sign_in(rig *r, const char *name, const char *password, char token[64], security_principal *who);
/* Whether any file of the archive holds these bytes. */
bool rig_files_hold(const rig *r, const char *text);

/* Folders and files of the audit log. */
char *rig_audit_file(const char *directory, size_t nth, char path[700]);
bool rig_load(const char *path, gn_buf *out);
bool rig_save(const char *path, const void *p, size_t n);

#endif
