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
    atomic_bool broken;              /* a sync failed: nothing written since can be trusted, so nothing more is */
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

/* ---- passwords (password.c) ---------------------------------------------------------------------------------------------- */

enum { PASSWORD_HASH = 128, PASSWORDS_AT_ONCE = 4 };
int password_acceptable(const char *name, const char *password, gn_error *e);
int password_nobody(const security *s, char hash[PASSWORD_HASH], gn_error *e); /* no password fits */
int password_hash(security *s, const char *password, char hash[PASSWORD_HASH], gn_error *e);
bool password_verify(security *s, const char *hash, const char *password);
bool password_outdated(const security *s, const char *hash);

/* ---- limits of guesses (guesses.c) ---------------------------------------------------------------------------------------- */

enum { GUESSES = 4096, GUESS_WINDOW_S = 15 * 60 };
typedef enum guess_kind { GUESS_ACCOUNT = 'a', GUESS_ADDRESS = 'h', GUESS_BEARER = 'b' } guess_kind;
typedef struct guess { uint8_t key[16]; uint64_t since_ns; uint32_t count; } guess;
/* Counts an attempt before it is tried, so that a thousand at once are no more than one after another. BUSY: too many. */
int guess_charge(security *s, guess_kind kind, const char *subject, gn_error *e);
void guess_refund(security *s, guess_kind kind, const char *subject);  /* it was no wrong one */
void guess_forget(security *s, guess_kind kind, const char *subject);  /* a right password: all is forgiven */

/* ---- memory of recent answers (cache.c) ----------------------------------------------------------------------------------- */

enum { CACHE = 1024, CACHE_TOKEN_S = 10, CACHE_PASSWORD_S = 50 };
typedef struct cached { uint8_t digest[DIGEST_BYTES]; uint64_t until_ns; security_principal who; } cached;
bool cache_find(security *s, const uint8_t digest[DIGEST_BYTES], security_principal *who);
uint64_t cache_generation(security *s);   /* before the records are read; what changed since is not remembered */
void cache_put(security *s, const uint8_t digest[DIGEST_BYTES], const security_principal *who, unsigned seconds, uint64_t generation);
void cache_forget_session(security *s, const char *session);
void cache_clear(security *s);

/* ---- users (users.c, user_change.c) ---------------------------------------------------------------------------------------- */

/* `epoch` rises with what ends sessions (password, role, disabling): a session of an earlier one is over, even if its record stays. */
typedef struct user_record { security_user user; char hash[PASSWORD_HASH]; int64_t epoch, version; } user_record;
int user_load(security *s, const char *id, user_record *u, gn_error *e);
int user_by_name(security *s, const char *name, user_record *u, gn_error *e);
int user_count(security *s, bool enabled_administrators, int64_t *count, gn_error *e);
int user_fold(const char *name, gn_buf *folded, gn_error *e);
int user_insert(security *s, const char *name, const char *display, security_role role, const char *password, bool first, user_record *u, gn_error *e);
int user_signed_in(security *s, user_record *u, const char *password); /* notes the time; renews the digest when its cost is out of date */
void user_principal(const user_record *u, security_principal *who);

/* ---- sessions (sessions.c) -------------------------------------------------------------------------------------------------- */

int session_begin(security *s, const user_record *u, char *token, size_t size, security_principal *who, gn_error *e);

/* ---- keys and shares, as bearer.c asks for them ------------------------------------------------------------------------------ */

int key_principal(security *s, const uint8_t digest[DIGEST_BYTES], security_principal *who, gn_error *e);
int share_principal(security *s, const uint8_t digest[DIGEST_BYTES], security_principal *who, gn_error *e);

/* ---- records (documents.c) --------------------------------------------------------------------------------------------------- */

typedef struct json_t json_t;
void document_text(const json_t *body, const char *key, char *out, size_t size); /* absent: empty */
int64_t document_number(const json_t *body, const char *key);
json_t *document_parse(const archive_record_found *r, gn_error *e);              /* CORRUPT names the record */
bool document_has_digest(const archive_record_found *r, const uint8_t digest[DIGEST_BYTES]); /* key[0], in constant time */
/* Removes all records of a collection that a condition finds; *removed may be NULL. */
int documents_remove(security *s, const char *collection, const archive_record_condition *condition, gn_error *e);
int text_fits(const char *what, const char *text, size_t size, bool empty_too, gn_error *e); /* UTF-8 without control characters */

/* ---- the room ------------------------------------------------------------------------------------------------------------------ */

struct security {
    archive *archive;
    audit *audit;
    security_config config;          /* with defaults filled in; `directory` is not kept */
    int64_t (*_Atomic wall_us)(void);
    uint64_t (*_Atomic mono_ns)(void);
    uint8_t process_key[32];         /* of digests that live in memory only */
    uint8_t csrf_key[32];            /* of this archive: CSRF tokens outlive a restart, as sessions do */
    char nobody_hash[PASSWORD_HASH]; /* what the password of an unknown user is compared with */
    pthread_mutex_t changing, lock;
    pthread_cond_t hashed;
    unsigned hashing;
    uint64_t generation;
    uint64_t swept_ns;
    uint8_t first_digest[DIGEST_BYTES];
    uint64_t first_until_ns;         /* 0: none */
    guess guesses[GUESSES];
    cached cache[CACHE];
};
/* Tests: other clocks for sessions, limits, expiry and the audit log. NULL leaves one. */
void security_set_clock(security *s, int64_t (*wall_us)(void), uint64_t (*mono_ns)(void));
uint64_t mono_after(security *s, uint64_t seconds);

#endif
