/* Private to the security room: what its files share.
 *
 * Locks: `lock` guards the memory (cache, guesses, first secret) and is held for no I/O; `changing` is held over changes of users, one
 * at a time; the audit log has its own. None is taken while another is held, but `lock` inside `changing`. */
#ifndef SECURITY_INTERNAL_H
#define SECURITY_INTERNAL_H

#include "security/security.h"

#include "archive/records.h"

#include <pthread.h>

enum { DIGEST_BYTES = 32, DIGEST_HEX = 65, ID_SIZE = 40, TOKEN_LETTERS = 43 };

/* ---- tokens and digests (token.c) -------------------------------------------------------------------------------------- */

void token_digest(const char *token, uint8_t digest[DIGEST_BYTES]);
void digest_hex(const uint8_t digest[DIGEST_BYTES], char hex[DIGEST_HEX]);
void token_record_id(const char *prefix, const uint8_t digest[DIGEST_BYTES], char id[ID_SIZE]);
void random_id(const char *prefix, char id[ID_SIZE]);
int token_new(const char *prefix, char *token, size_t size, uint8_t digest[DIGEST_BYTES], gn_error *e);
bool token_plausible(const char *prefix, const char *token);
void keyed_digest(const uint8_t key[32], const char *use, const char *a, const char *b, uint8_t digest[DIGEST_BYTES]);

/* ---- audit: lines (audit_line.c) ---------------------------------------------------------------------------------------- */

enum { AUDIT_LINE_LARGEST = 32 << 10 };
/* The members of a line but for those that the writer adds (n, at, count, prev, hash): `"who":"…",…`, without a leading comma. */
void audit_members(const security_access *access, gn_buf *out);
/* One whole line with its newline; `hash` is the chain's head before and after. */
void audit_line_write(gn_buf *out, int64_t n, int64_t at_us, const char *members, int64_t count, uint8_t hash[DIGEST_BYTES]);
/* Takes a line (without newline) apart and checks its hash over its own words; false: damaged. */
bool audit_line_check(const char *line, size_t length, int64_t *n, uint8_t prev[DIGEST_BYTES], uint8_t hash[DIGEST_BYTES]);
int64_t audit_line_number(const char *line, size_t length); /* 0: no line of a log */
bool audit_line_begins(const char *line, size_t length);    /* the first line of a file */
bool audit_is_read(const char *action);                     /* ends in ".read" or ".find" */

/* ---- audit: files (audit_files.c) ---------------------------------------------------------------------------------------- */

/* The months there are, oldest first, as 202611; *months by malloc. */
int audit_files_list(const char *directory, unsigned **months, size_t *count, gn_error *e);
void audit_file_path(const char *directory, unsigned month, char *path, size_t size);
unsigned audit_month_of(int64_t wall_us);
/* Where the log ends. */
typedef struct audit_tail {
    unsigned month;      /* 0: no file */
    uint64_t size;       /* of that month's file, as far as it is good */
    int64_t last;        /* number of the last line; 0: none */
    uint8_t hash[DIGEST_BYTES];
    uint64_t torn;       /* bytes behind the good part: a line that a crash left unfinished */
    bool newline_missing; /* the last line is whole but for its newline */
} audit_tail;
int audit_tail_read(const char *directory, audit_tail *t, gn_error *e);

/* ---- audit: writing (audit_write.c), taking note (audit_take.c) ---------------------------------------------------------- */

enum { AUDIT_COUNTED = 512, AUDIT_WAITING_MOST = 8192 };
typedef struct audit_waiting {
    struct audit_waiting *next;
    uint64_t ticket;
    int64_t at_us, count;
    char members[];
} audit_waiting;

/* Equal reads being counted: the first is a line already, `count` more will be one. */
typedef struct audit_counted {
    uint8_t key[16];
    uint64_t since_ns;   /* 0: free */
    int64_t last_us, count;
    char *members;
} audit_counted;

typedef struct audit {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    gn_thread writer;
    char directory[4096];            /* DIR/audit */
    bool no_sync, stop, urgent;
    bool broken;                     /* a sync failed: nothing written since can be trusted, so nothing more is */
    int64_t (*wall_us)(void);
    uint64_t (*mono_ns)(void);
    audit_waiting *first, **last;
    size_t waiting;
    uint64_t taken, finished;        /* tickets */
    uint64_t failures;               /* batches that could not be written; `failure`: why the last one */
    gn_error failure;
    uint64_t lost;                   /* lines that could not be written since the last that could */
    audit_counted counted[AUDIT_COUNTED];
    /* The writer's own: */
    int folder, fd;
    unsigned month;
    uint64_t size;
    int64_t number;
    uint8_t hash[DIGEST_BYTES];
} audit;
int audit_open(const char *directory /* the archive's */, bool no_sync, audit **out, gn_error *e);
void audit_close(audit **a);
int audit_take(audit *a, const security_access *access, gn_error *e);
int audit_flush(audit *a, gn_error *e);
/* Waits, with the lock held, until what was taken up to `ticket` is on stable storage; `failures` as it was when it was taken. */
int audit_wait(audit *a, uint64_t ticket, uint64_t failures, gn_error *e);
/* With the lock held: puts a line into the queue; 0: no memory. */
uint64_t audit_queue(audit *a, const char *members, int64_t at_us, int64_t count);
void audit_counted_flush(audit *a, uint64_t older_than_ns);         /* with the lock held */
void audit_set_clock(audit *a, int64_t (*wall_us)(void), uint64_t (*mono_ns)(void)); /* tests; NULL leaves one */
int audit_read(audit *a, const security_audit_query *q, void (*visit)(void *ctx, int64_t sequence, const char *json, size_t n), void *ctx, gn_error *e);

#endif
