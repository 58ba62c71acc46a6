/* base: what every room stands on: errors, arenas, byte readers, buffers, time, threads, counters, JSON output, logging.
 *
 * Nothing here knows DICOM, a database or a socket. Functions that can fail return 0 or a negative GN_E_ code (or NULL) and
 * fill the caller's gn_error, always the last parameter; it may be NULL. Rooms below `gateway` never log: they return errors.
 * Thread rule: unless a function says otherwise, an object belongs to one thread at a time. */
#ifndef GANTRY_BASE_H
#define GANTRY_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__GNUC__)
#define GN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define GN_UNUSED __attribute__((unused))
#else
#define GN_PRINTF(f, a)
#define GN_UNUSED
#endif
#define GN_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- errors ------------------------------------------------------------------------------------------------------------ */

/* One table for every outward face: code, number, text for people, HTTP status, DIMSE status (PS3.7 Annex C, PS3.4 B.2.3),
 * STOW-RS failure reason (PS3.18 §I.2.2). */
#define GN_ERROR_TABLE(X)                                                              \
    X(INVALID, -1, "invalid input", 400, 0xC000, 0xC000)                               \
    X(TRUNCATED, -2, "input ends too early", 400, 0xC000, 0xC000)                      \
    X(TOO_LARGE, -3, "input exceeds a limit", 413, 0xA700, 0xA700)                     \
    X(TOO_DEEP, -4, "sequences are nested too deeply", 400, 0xC000, 0xC000)            \
    X(UNSUPPORTED, -5, "not supported", 501, 0x0122, 0x0122)                           \
    X(NOT_FOUND, -6, "not found", 404, 0x0112, 0x0112)                                 \
    X(EXISTS, -7, "already exists with other content", 409, 0x0111, 0x0111)            \
    X(MISMATCH, -8, "data set does not match SOP class or instance", 409, 0xA900, 0xA900) \
    X(NO_MEMORY, -9, "out of memory", 503, 0xA700, 0xA700)                             \
    X(NO_SPACE, -10, "out of storage space", 507, 0xA700, 0xA700)                      \
    X(IO, -11, "input/output error", 500, 0xA700, 0xA700)                              \
    X(CLOSED, -12, "connection closed by the peer", 499, 0x0110, 0x0110)               \
    X(TIMEOUT, -13, "timed out", 504, 0x0110, 0x0110)                                  \
    X(PROTOCOL, -14, "protocol violation", 400, 0x0110, 0x0110)                        \
    X(REJECTED, -15, "association rejected", 503, 0x0110, 0x0110)                      \
    X(ABORTED, -16, "association aborted", 503, 0x0110, 0x0110)                        \
    X(REFUSED, -17, "not allowed", 403, 0x0124, 0x0124)                                \
    X(CANCELLED, -18, "cancelled", 499, 0xFE00, 0xFE00)                                \
    X(BUSY, -19, "busy, try again", 503, 0xA700, 0xA700)                               \
    X(CORRUPT, -20, "stored data is damaged", 500, 0x0110, 0x0110)                     \
    X(DATABASE, -21, "index database failed", 503, 0xA700, 0xA700)                     \
    X(CONFIG, -22, "configuration is wrong", 500, 0x0110, 0x0110)                      \
    X(INTERNAL, -23, "internal error", 500, 0x0110, 0x0110)

typedef enum gn_code {
    GN_OK = 0,
#define X(name, number, text, http, dimse, stow) GN_E_##name = number,
    GN_ERROR_TABLE(X)
#undef X
} gn_code;

/* Caller-owned, never allocates. The first cause is kept: a later gn_fail on a filled error changes nothing. */
typedef struct gn_error {
    int code;          /* 0: no error yet */
    char message[240]; /* what was wrong, for a person */
    char where[120];   /* where in the input: offset, tag path, PDU; may be empty */
} gn_error;

#define GN_ERROR_INIT { 0, "", "" }

/* Records code and message unless `e` is NULL or already filled. Returns `code`, so that `return gn_fail(e, …)` reads well. */
int gn_fail(gn_error *e, int code, const char *format, ...) GN_PRINTF(3, 4);
/* As gn_fail, with the text of errno appended; ENOSPC and EDQUOT become GN_E_NO_SPACE, ENOMEM GN_E_NO_MEMORY, else GN_E_IO. */
int gn_fail_errno(gn_error *e, int errnum, const char *format, ...) GN_PRINTF(3, 4);
/* Sets `where` if it is still empty. */
void gn_error_at(gn_error *e, const char *format, ...) GN_PRINTF(2, 3);
void gn_error_clear(gn_error *e);
const char *gn_code_name(int code);      /* "TRUNCATED"; "OK" for 0 */
const char *gn_code_text(int code);      /* "input ends too early" */
int gn_code_http_status(int code);
uint16_t gn_code_dimse_status(int code);
uint16_t gn_code_stow_reason(int code);
/* "message (where)" into a caller's buffer; returns buf. */
const char *gn_error_text(const gn_error *e, char *buf, size_t size);

/* ---- checked arithmetic ------------------------------------------------------------------------------------------------ */

static inline bool gn_add_u64(uint64_t a, uint64_t b, uint64_t *r) { return !__builtin_add_overflow(a, b, r); }
static inline bool gn_mul_u64(uint64_t a, uint64_t b, uint64_t *r) { return !__builtin_mul_overflow(a, b, r); }

/* ---- arenas ------------------------------------------------------------------------------------------------------------ */

/* A bump allocator with a byte budget. Exhausting the budget gives NULL, never an abort. */
typedef struct gn_arena gn_arena;
gn_arena *gn_arena_new(size_t budget); /* NULL when out of memory */
void gn_arena_free(gn_arena **a);      /* NULL is fine; clears the pointer */
void gn_arena_reset(gn_arena *a);      /* frees all but the first block */
size_t gn_arena_used(const gn_arena *a);
void *gn_arena_alloc(gn_arena *a, size_t size);            /* 16-byte aligned, not zeroed; NULL: budget or memory */
void *gn_arena_zalloc(gn_arena *a, size_t count, size_t size); /* zeroed, overflow-checked */
char *gn_arena_strndup(gn_arena *a, const char *s, size_t n);  /* NUL-terminated copy */
char *gn_arena_strdup(gn_arena *a, const char *s);
void *gn_arena_memdup(gn_arena *a, const void *p, size_t n);
char *gn_arena_printf(gn_arena *a, const char *format, ...) GN_PRINTF(2, 3);

/* ---- reading outside bytes --------------------------------------------------------------------------------------------- */

/* The one bounds-checked reader. A read past the end sets `failed`, returns 0 and leaves `off` alone. */
typedef struct gn_reader {
    const uint8_t *p;
    size_t n, off;
    bool failed;
} gn_reader;

static inline gn_reader gn_reader_of(const void *p, size_t n) { return (gn_reader){ (const uint8_t *)p, n, 0, false }; }
static inline size_t gn_reader_left(const gn_reader *r) { return r->n - r->off; }
static inline const uint8_t *gn_read_bytes(gn_reader *r, size_t n) {
    if (r->failed || n > r->n - r->off) { r->failed = true; return NULL; }
    const uint8_t *q = r->p + r->off;
    r->off += n;
    return q;
}
static inline uint8_t gn_read_u8(gn_reader *r) { const uint8_t *q = gn_read_bytes(r, 1); return q ? q[0] : 0; }
static inline uint16_t gn_load_le16(const uint8_t *q) { return (uint16_t)(q[0] | (unsigned)q[1] << 8); }
static inline uint16_t gn_load_be16(const uint8_t *q) { return (uint16_t)((unsigned)q[0] << 8 | q[1]); }
static inline uint32_t gn_load_le32(const uint8_t *q) { return (uint32_t)q[0] | (uint32_t)q[1] << 8 | (uint32_t)q[2] << 16 | (uint32_t)q[3] << 24; }
static inline uint32_t gn_load_be32(const uint8_t *q) { return (uint32_t)q[3] | (uint32_t)q[2] << 8 | (uint32_t)q[1] << 16 | (uint32_t)q[0] << 24; }
static inline uint64_t gn_load_le64(const uint8_t *q) { return (uint64_t)gn_load_le32(q) | (uint64_t)gn_load_le32(q + 4) << 32; }
static inline uint64_t gn_load_be64(const uint8_t *q) { return (uint64_t)gn_load_be32(q + 4) | (uint64_t)gn_load_be32(q) << 32; }
static inline uint16_t gn_read_le16(gn_reader *r) { const uint8_t *q = gn_read_bytes(r, 2); return q ? gn_load_le16(q) : 0; }
static inline uint16_t gn_read_be16(gn_reader *r) { const uint8_t *q = gn_read_bytes(r, 2); return q ? gn_load_be16(q) : 0; }
static inline uint32_t gn_read_le32(gn_reader *r) { const uint8_t *q = gn_read_bytes(r, 4); return q ? gn_load_le32(q) : 0; }
static inline uint32_t gn_read_be32(gn_reader *r) { const uint8_t *q = gn_read_bytes(r, 4); return q ? gn_load_be32(q) : 0; }
static inline uint64_t gn_read_le64(gn_reader *r) { const uint8_t *q = gn_read_bytes(r, 8); return q ? gn_load_le64(q) : 0; }
static inline void gn_store_le16(uint8_t *q, uint16_t v) { q[0] = (uint8_t)v; q[1] = (uint8_t)(v >> 8); }
static inline void gn_store_be16(uint8_t *q, uint16_t v) { q[1] = (uint8_t)v; q[0] = (uint8_t)(v >> 8); }
static inline void gn_store_le32(uint8_t *q, uint32_t v) { gn_store_le16(q, (uint16_t)v); gn_store_le16(q + 2, (uint16_t)(v >> 16)); }
static inline void gn_store_be32(uint8_t *q, uint32_t v) { gn_store_be16(q + 2, (uint16_t)v); gn_store_be16(q, (uint16_t)(v >> 16)); }
static inline void gn_store_le64(uint8_t *q, uint64_t v) { gn_store_le32(q, (uint32_t)v); gn_store_le32(q + 4, (uint32_t)(v >> 32)); }

/* ---- growing buffers --------------------------------------------------------------------------------------------------- */

/* A byte buffer that grows up to `limit` (0: 1 GiB). A failed append sets `failed` and changes nothing; check once at the end.
 * Always has a NUL behind its last byte once anything was appended, so that text can be used as a C string. */
typedef struct gn_buf {
    uint8_t *p;
    size_t n, cap, limit;
    bool failed;
} gn_buf;

#define GN_BUF_INIT { NULL, 0, 0, 0, false }
void gn_buf_done(gn_buf *b);
void gn_buf_clear(gn_buf *b); /* keeps the memory */
uint8_t *gn_buf_reserve(gn_buf *b, size_t n); /* room for n more bytes at p + n, not counted yet; NULL: failed */
void gn_buf_append(gn_buf *b, const void *p, size_t n);
void gn_buf_puts(gn_buf *b, const char *s);
void gn_buf_putc(gn_buf *b, char c);
void gn_buf_printf(gn_buf *b, const char *format, ...) GN_PRINTF(2, 3);
void gn_buf_le16(gn_buf *b, uint16_t v);
void gn_buf_le32(gn_buf *b, uint32_t v);
void gn_buf_be16(gn_buf *b, uint16_t v);
void gn_buf_be32(gn_buf *b, uint32_t v);

/* ---- JSON output ------------------------------------------------------------------------------------------------------- */

/* Streaming writer: commas are placed by itself; strings are escaped, and invalid UTF-8 becomes U+FFFD (T23). */
typedef struct gn_json {
    gn_buf *out;
    unsigned depth;
    bool need_comma[72];
} gn_json;
void gn_json_init(gn_json *j, gn_buf *out);
void gn_json_open(gn_json *j, char bracket); /* '{' or '[' */
void gn_json_close(gn_json *j, char bracket); /* '}' or ']' */
void gn_json_key(gn_json *j, const char *key);
void gn_json_string(gn_json *j, const char *s); /* NULL writes null */
void gn_json_string_n(gn_json *j, const char *s, size_t n);
void gn_json_int(gn_json *j, int64_t v);
void gn_json_uint(gn_json *j, uint64_t v);
void gn_json_double(gn_json *j, double v); /* shortest text that reads back equal; null for NaN and infinities */
void gn_json_bool(gn_json *j, bool v);
void gn_json_null(gn_json *j);
void gn_json_raw(gn_json *j, const char *text, size_t n); /* a value that is JSON already */

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------------- */

/* Decodes one code point at p (n > 0 bytes left); returns bytes used (>= 1); invalid input gives U+FFFD and uses 1 byte. */
size_t gn_utf8_decode(const uint8_t *p, size_t n, uint32_t *code_point);
size_t gn_utf8_encode(uint32_t code_point, uint8_t out[4]);
bool gn_utf8_valid(const uint8_t *p, size_t n);

/* ---- time -------------------------------------------------------------------------------------------------------------- */

uint64_t gn_mono_ns(void);  /* monotonic: for every timer and deadline (T35) */
int64_t gn_wall_us(void);   /* microseconds since 1970-01-01 UTC: for records people read */
/* "2026-11-24T10:57:00.123Z"; buf of at least 32 bytes; returns buf. */
char *gn_time_iso(int64_t wall_us, char *buf);

/* ---- threads ----------------------------------------------------------------------------------------------------------- */

/* Starts a detached thread with a name (<= 15 characters) and a stack of `stack` bytes (0: 256 KiB). */
int gn_thread_start(const char *name, size_t stack, void (*run)(void *), void *arg, gn_error *e);
/* As above, joinable through *thread with gn_thread_join. */
typedef struct gn_thread { unsigned long handle; bool running; } gn_thread;
int gn_thread_spawn(gn_thread *thread, const char *name, size_t stack, void (*run)(void *), void *arg, gn_error *e);
void gn_thread_join(gn_thread *thread);

/* ---- counters ---------------------------------------------------------------------------------------------------------- */

/* Process-wide counters and gauges, for /metrics and `gantry stats`. Registered once by name, updated lock-free. */
typedef struct gn_counter {
    const char *name, *help; /* "gantry_dimse_associations_total" */
    _Atomic int64_t value;
    struct gn_counter *_Atomic next;
} gn_counter;
#define GN_COUNTER(name, help) { name, help, 0, NULL }
void gn_counter_register(gn_counter *c); /* thread-safe; twice is harmless */
static inline void gn_counter_add(gn_counter *c, int64_t n) { atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed); }
gn_counter *gn_counter_first(void); /* walk with ->next */

/* ---- files ------------------------------------------------------------------------------------------------------------- */

int gn_write_all(int fd, const void *p, size_t n, gn_error *e);
int gn_pwrite_all(int fd, const void *p, size_t n, uint64_t offset, gn_error *e);
/* Reads exactly n bytes or fails with GN_E_TRUNCATED. */
int gn_pread_all(int fd, void *p, size_t n, uint64_t offset, gn_error *e);
int gn_mkdirs(const char *path, gn_error *e);       /* mode 0700, parents too */
int gn_fsync_dir(const char *path, gn_error *e);
/* A whole small file; at most `limit` bytes, else GN_E_TOO_LARGE. */
int gn_file_load(const char *path, size_t limit, gn_buf *out, gn_error *e);

/* ---- logging (edges only: gateway, http, service) ---------------------------------------------------------------------- */

typedef enum gn_level { GN_LOG_DEBUG, GN_LOG_INFO, GN_LOG_WARN, GN_LOG_ERROR } gn_level;
void gn_log_setup(gn_level lowest, bool json); /* json: one object a line; else text for people. To stderr. */
bool gn_log_level_parse(const char *text, gn_level *level); /* "debug" "info" "warn" "error" */
bool gn_log_enabled(gn_level level);
/* One event, one line. `event` is a fixed word ("association.accepted"); then pairs of key and value, ended by NULL:
 *   gn_log(GN_LOG_INFO, "association.accepted", "peer", peer, "calling", aet, NULL);
 * All values are C strings (use gn_fmt); control characters are escaped (T23). No names of patients below `debug`. */
void gn_log(gn_level level, const char *event, ...) __attribute__((sentinel));
/* A formatted string in a small thread-local ring (8 slots of 256 bytes): for arguments of gn_log only. */
const char *gn_fmt(const char *format, ...) GN_PRINTF(1, 2);

#endif
