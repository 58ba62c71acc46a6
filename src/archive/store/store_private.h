/* What the files of the store share. Each mutex says what it guards; descriptors of folders never change after store_open. */
#ifndef GANTRY_ARCHIVE_STORE_PRIVATE_H
#define GANTRY_ARCHIVE_STORE_PRIVATE_H

#include "store.h"

#include <pthread.h>

#define PACK_BYTES (UINT64_C(1) << 30)     /* a new pack is begun at this size */
#define PACK_FDS 32u                       /* descriptors of packs kept open for reading */
#define READ_CHUNK ((size_t)1 << 20)
#define FILES_PER_FOLDER 12u               /* bits of a large object's number within one folder */
#define QUARANTINE_MAX 100000u             /* objects, whatever their size */

typedef struct pack_fd { int64_t pack; int fd; unsigned users; uint64_t used_at; bool orphan; } pack_fd;

typedef struct quarantined { int64_t number; uint64_t bytes; } quarantined;

struct store {
    char *path;
    int dir, packs, objects, incoming, quarantine; /* folders */
    bool read_only;
    uint8_t id[16];
    uint64_t reserve;
    uint64_t dev, ino; /* of the directory */

    /* space: written by store_refresh and by appends, read by all */
    _Atomic int64_t free_bytes; /* at the last look, less what was written since */
    _Atomic int vanished;       /* the directory is gone or another one */
    _Atomic int sync_failures;  /* 2: suspect, nothing is taken any more (T30) */

    /* the pack being written: one caller at a time (the leader of the commit); `end` under end_lock for others */
    int pack_fd;
    bool pack_fresh;  /* begin a new pack at the next append */
    uint64_t written; /* its length on disk: beyond `end` are zeros */
    uint8_t *zeros;
    pthread_mutex_t end_lock;
    index_position end;

    pthread_mutex_t read_lock; /* guards reading and clock */
    pack_fd reading[PACK_FDS];
    uint64_t clock;

    _Atomic uint64_t next_file; /* number of the next large object */
    pthread_mutex_t folder_lock; /* guards made_folder: the folder of large objects known to be there and synced */
    uint64_t made_folder;

    pthread_mutex_t quarantine_lock; /* guards the list, oldest first */
    quarantined *q;
    size_t q_count, q_room, q_first;
    uint64_t q_bytes;
    int64_t q_next;
};

/* pack.c */
void pack_name(int64_t pack, char out[32]);
bool pack_number(const char *name, int64_t *pack); /* of "00000001.pack" */
int pack_last(store *s, index_position *end, gn_error *e); /* {0, 0}: there is none */
void pack_close(store *s);
/* record.c */
typedef struct record_seal { uint8_t id[16]; uint64_t pack, offset; } record_seal;
void record_seal_write(uint8_t header[STORE_RECORD_HEADER], const uint8_t id[16], uint64_t pack, uint64_t offset);
void record_seal_read(const uint8_t header[STORE_RECORD_HEADER], record_seal *seal);
/* file.c */
void file_name(uint64_t number, char out[64]);          /* "0000000a/000000000000a3f7.dcm" under objects/ */
bool file_number_of(const char *name, const char *suffix, uint64_t *number);
int file_next_number(store *s, gn_error *e);
int file_open_read(store *s, uint64_t number);          /* fd, or -1 with errno */
/* quarantine.c */
int quarantine_load(store *s, gn_error *e);
void quarantine_done(store *s);
/* store.c */
void store_took(store *s, uint64_t bytes); /* so much less is free */
int store_fail_errno(store *s, int errnum, gn_error *e, const char *what, const char *name);
/* read.c */
void reading_done(store *s);

#endif
