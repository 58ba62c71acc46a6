/* error: the caller-owned error record and the one table of codes with its outward faces. */
#include "base/base.h"

#include <errno.h>

typedef struct code_entry {
    const char *name, *text;
    int http_status;
    uint16_t dimse_status, stow_reason;
} code_entry;

/* Indexed by -code. */
static const code_entry codes[] = {
    { "OK", "success", 200, 0x0000, 0x0000 },
#define X(name, number, text, http, dimse, stow) [-(number)] = { #name, text, http, dimse, stow },
    GN_ERROR_TABLE(X)
#undef X
};

static const code_entry *entry_of(int code) {
    static const code_entry unknown = { "UNKNOWN", "unknown error", 500, 0x0110, 0x0110 };
    if (code > 0 || code <= -(int)GN_ARRAY_LEN(codes) || !codes[-code].name) return &unknown;
    return &codes[-code];
}

int gn_fail(gn_error *e, int code, const char *format, ...) {
    if (!e || e->code) return code;
    e->code = code;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(e->message, sizeof e->message, format, args);
    va_end(args);
    return code;
}

static int code_of_errno(int errnum) {
    switch (errnum) {
    case ENOSPC:
    case EDQUOT: return GN_E_NO_SPACE;
    case ENOMEM: return GN_E_NO_MEMORY;
    default: return GN_E_IO;
    }
}

int gn_fail_errno(gn_error *e, int errnum, const char *format, ...) {
    int code = code_of_errno(errnum);
    if (!e || e->code) return code;
    e->code = code;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(e->message, sizeof e->message, format, args);
    va_end(args);
    char text[96];
    size_t n = strlen(e->message);
    (void)snprintf(e->message + n, sizeof e->message - n, ": %s", strerror_r(errnum, text, sizeof text));
    return code;
}

void gn_error_at(gn_error *e, const char *format, ...) {
    if (!e || e->where[0]) return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(e->where, sizeof e->where, format, args);
    va_end(args);
}

void gn_error_clear(gn_error *e) {
    if (!e) return;
    e->code = GN_OK;
    e->message[0] = '\0';
    e->where[0] = '\0';
}

const char *gn_code_name(int code) { return entry_of(code)->name; }
const char *gn_code_text(int code) { return entry_of(code)->text; }
int gn_code_http_status(int code) { return entry_of(code)->http_status; }
uint16_t gn_code_dimse_status(int code) { return entry_of(code)->dimse_status; }
uint16_t gn_code_stow_reason(int code) { return entry_of(code)->stow_reason; }

const char *gn_error_text(const gn_error *e, char *buf, size_t size) {
    if (size == 0) return "";
    buf[0] = '\0';
    if (!e) return buf;
    const char *message = e->message[0] ? e->message : gn_code_text(e->code);
    if (e->where[0]) (void)snprintf(buf, size, "%s (%s)", message, e->where);
    else (void)snprintf(buf, size, "%s", message);
    return buf;
}
