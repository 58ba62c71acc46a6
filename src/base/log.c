/* log: one event, one line, one write, to stderr; for the edges only.
 *
 * Values come from peers: control characters, terminal escapes, characters that turn the reading direction and invalid
 * UTF-8 are written as escapes, and a long value is cut, so that nobody can forge or hide a line. */
#include "base/base.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#define LONGEST_VALUE ((size_t)1024)
#define LONGEST_LINE ((size_t)32 * 1024)
#define SLOTS 8
#define SLOT_SIZE 256

static atomic_int lowest_level = GN_LOG_INFO;
static atomic_bool as_json;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER; /* guards stderr: lines never mix */

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void gn_log_setup(gn_level lowest, bool json) {
    atomic_store(&lowest_level, (int)lowest);
    atomic_store(&as_json, json);
}

bool gn_log_level_parse(const char *text, gn_level *level) {
    for (size_t i = 0; text && i < GN_ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) != 0) continue;
        *level = (gn_level)i;
        return true;
    }
    return false;
}

bool gn_log_enabled(gn_level level) {
    return (int)level >= atomic_load_explicit(&lowest_level, memory_order_relaxed);
}

/* Characters that would do something to a terminal or a reader: C0, DEL, C1, line and direction marks. */
static bool is_unsafe(uint32_t u) {
    return u < 0x20 || (u >= 0x7F && u < 0xA0) || (u >= 0x200B && u <= 0x200F) || (u >= 0x2028 && u <= 0x202E) ||
           (u >= 0x2060 && u <= 0x206F) || u == 0xFEFF;
}

static bool needs_quotes(const char *s, size_t n) {
    if (n == 0) return true;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '\\' || c == '=') return true;
    }
    return false;
}

static void put_escaped(gn_buf *b, const char *s, size_t n) {
    const uint8_t *p = (const uint8_t *)s;
    for (size_t i = 0; i < n;) {
        uint32_t u;
        size_t used = gn_utf8_decode(p + i, n - i, &u);
        if (u == '"' || u == '\\') gn_buf_printf(b, "\\%c", (char)u);
        else if (u == '\n') gn_buf_puts(b, "\\n");
        else if (u == '\r') gn_buf_puts(b, "\\r");
        else if (u == '\t') gn_buf_puts(b, "\\t");
        else if (used == 1 && (u < 0x20 || u >= 0x7F)) gn_buf_printf(b, "\\x%02x", p[i]);
        else if (is_unsafe(u)) gn_buf_printf(b, "\\u%04x", (unsigned)u);
        else gn_buf_append(b, p + i, used);
        i += used;
    }
}

/* How much of s is shown, not ending within a character. */
static size_t shown_length(const char *s, bool *cut) {
    size_t n = strnlen(s, LONGEST_VALUE + 1);
    *cut = n > LONGEST_VALUE;
    if (!*cut) return n;
    n = LONGEST_VALUE;
    for (int i = 0; i < 3 && n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80; i++) n--;
    return n;
}

static void put_text_value(gn_buf *b, const char *s) {
    if (!s) {
        gn_buf_putc(b, '-');
        return;
    }
    bool cut;
    size_t n = shown_length(s, &cut);
    if (!cut && !needs_quotes(s, n)) {
        gn_buf_append(b, s, n);
        return;
    }
    gn_buf_putc(b, '"');
    put_escaped(b, s, n);
    gn_buf_puts(b, cut ? "...\"" : "\"");
}

static void put_text_line(gn_buf *b, gn_level level, const char *event, va_list args) {
    char when[32];
    gn_buf_printf(b, "%s %-5s ", gn_time_iso(gn_wall_us(), when), level_names[level]);
    put_escaped(b, event, strlen(event));
    for (const char *key = va_arg(args, const char *); key; key = va_arg(args, const char *)) {
        gn_buf_putc(b, ' ');
        put_escaped(b, key, strlen(key));
        gn_buf_putc(b, '=');
        put_text_value(b, va_arg(args, const char *));
    }
}

/* JSON strings escape every control character; the marks that JSON would pass are made visible here. */
static void put_json_value(gn_json *j, const char *s) {
    if (!s) {
        gn_json_null(j);
        return;
    }
    bool cut;
    size_t n = shown_length(s, &cut);
    gn_buf clean = GN_BUF_INIT;
    for (size_t i = 0; i < n;) {
        uint32_t u;
        size_t used = gn_utf8_decode((const uint8_t *)s + i, n - i, &u);
        if (u >= 0xA0 && is_unsafe(u)) gn_buf_printf(&clean, "<U+%04X>", (unsigned)u);
        else gn_buf_append(&clean, s + i, used);
        i += used;
    }
    if (cut) gn_buf_puts(&clean, "...");
    if (clean.p) gn_json_string_n(j, (const char *)clean.p, clean.n);
    else gn_json_string(j, "");
    gn_buf_done(&clean);
}

static void put_json_line(gn_buf *b, gn_level level, const char *event, va_list args) {
    char when[32];
    gn_json j;
    gn_json_init(&j, b);
    gn_json_open(&j, '{');
    gn_json_key(&j, "time");
    gn_json_string(&j, gn_time_iso(gn_wall_us(), when));
    gn_json_key(&j, "level");
    gn_json_string(&j, level_names[level]);
    gn_json_key(&j, "event");
    gn_json_string(&j, event);
    for (const char *key = va_arg(args, const char *); key; key = va_arg(args, const char *)) {
        gn_json_key(&j, key);
        put_json_value(&j, va_arg(args, const char *));
    }
    gn_json_close(&j, '}');
}

static void write_line(const char *p, size_t n) {
    (void)pthread_mutex_lock(&writing);
    while (n) {
        ssize_t k = write(STDERR_FILENO, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break; /* nobody is left to tell */
        p += k;
        n -= (size_t)k;
    }
    (void)pthread_mutex_unlock(&writing);
}

void gn_log(gn_level level, const char *event, ...) {
    if (!gn_log_enabled(level)) return;
    int saved = errno;
    gn_buf line = { .limit = LONGEST_LINE };
    va_list args;
    va_start(args, event);
    if (atomic_load_explicit(&as_json, memory_order_relaxed)) put_json_line(&line, level, event, args);
    else put_text_line(&line, level, event, args);
    va_end(args);
    gn_buf_putc(&line, '\n');
    if (!line.failed) {
        write_line((const char *)line.p, line.n);
    } else {
        static const char lost[] = "{\"level\":\"error\",\"event\":\"log.line_lost\"}\n";
        write_line(lost, sizeof lost - 1);
    }
    gn_buf_done(&line);
    errno = saved;
}

const char *gn_fmt(const char *format, ...) {
    static _Thread_local char slots[SLOTS][SLOT_SIZE];
    static _Thread_local unsigned next;
    char *slot = slots[next++ % SLOTS];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(slot, SLOT_SIZE, format, args);
    va_end(args);
    return slot;
}
