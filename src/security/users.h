/* Private: what the two files of users share: a user as it is written. */
#ifndef SECURITY_USERS_H
#define SECURITY_USERS_H

#include "internal.h"

typedef struct user_write {
    archive_record record;   /* points into what follows */
    gn_buf body, folded;
    char name_id[DIGEST_HEX]; /* of the record that makes the name unique */
} user_write;
int user_write_make(const user_record *u, user_write *w, gn_error *e); /* nothing to free on failure */
void user_write_done(user_write *w);

#endif
