/* validate: what is wrong with an object, and whether it is kept all the same.
 *
 * The rule is that of those who run archives: fail only on what an object cannot be kept without (the four UIDs, in a form that can be stored and
 * sent), warn of the rest and keep it. A comment names the attribute and never holds a value of it, since it travels and is
 * logged. Statuses are those of PS3.4 Table B.2-1. */
#include "internal.h"

#include <stdarg.h>

#define STATUS_CANNOT_UNDERSTAND 0xC000
#define STATUS_MISMATCH 0xA900

const char *archive_finding_text(archive_finding f) {
    static const char *const text[] = {
#define X(name, words) words,
        ARCHIVE_FINDING_TABLE(X)
#undef X
    };
    return (unsigned)f < ARCHIVE_FINDING_COUNT ? text[f] : "";
}

void refuse(verdict *v, int code, uint16_t status, const char *format, ...) {
    va_list args;
    if (v->code) return; /* the first reason counts */
    v->code = code;
    v->status = status;
    va_start(args, format);
    (void)vsnprintf(v->comment, sizeof v->comment, format, args);
    va_end(args);
}

bool finding_warns(uint32_t findings) {
    /* An unknown character set harms nobody who stores, and a preamble may hold what it likes (PS3.10 §7.1). */
    return (findings & ~(ARCHIVE_FINDING(CHARSET_UNKNOWN) | ARCHIVE_FINDING(EXECUTABLE_PREAMBLE))) != 0;
}

static void warn(verdict *v, archive_finding f) {
    v->findings |= 1u << f;
    if (!v->comment[0]) (void)snprintf(v->comment, sizeof v->comment, "%.64s", archive_finding_text(f));
}

/* ---- identity ---------------------------------------------------------------------------------------------------------- */

/* Sloppy UIDs (letters, empty components) are kept with a warning; what could be anything else than a name is not (T12). */
static bool could_be_uid(const char *p, size_t n) {
    if (n == 0 || *p == '.' || *p == '-') return false;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
        if (!ok) return false;
    }
    return n <= DICOM_UID_MAX;
}

static void take_uid(const dicom_dataset *ds, dicom_tag tag, const char *name, verdict *v, char out[65]) {
    char t[12];
    size_t n = 0;
    const dicom_element *el = dicom_dataset_find(ds, tag);
    const char *p = el ? dicom_element_text(el, &n) : NULL;
    out[0] = '\0';
    if (!p || n == 0) {
        v->findings |= ARCHIVE_FINDING(UID_MISSING);
        refuse(v, GN_E_INVALID, STATUS_CANNOT_UNDERSTAND, "%s %s missing", dicom_tag_text(tag, t), name);
        return;
    }
    if (!could_be_uid(p, n)) {
        v->findings |= ARCHIVE_FINDING(UID_MALFORMED);
        refuse(v, GN_E_MISMATCH, STATUS_MISMATCH, "%s %s is not a UID", dicom_tag_text(tag, t), name);
        return;
    }
    memcpy(out, p, n);
    out[n] = '\0';
    if (!dicom_uid_valid(p, n)) warn(v, ARCHIVE_FINDING_INDEX_UID_MALFORMED);
}

static void compare(const char *of_command, const char *of_dataset, const char *what, verdict *v) {
    if (!of_command || strcmp(of_command, of_dataset) == 0) return;
    v->findings |= ARCHIVE_FINDING(COMMAND_MISMATCH);
    refuse(v, GN_E_MISMATCH, STATUS_MISMATCH, "%s differs from the command", what);
}

void validate_identity(const dicom_dataset *ds, const char *sop_class, const char *sop_instance, verdict *v, archive_result *r) {
    take_uid(ds, DICOM_TAG_SOPClassUID, "SOPClassUID", v, r->sop_class);
    take_uid(ds, DICOM_TAG_SOPInstanceUID, "SOPInstanceUID", v, r->sop_instance);
    take_uid(ds, DICOM_TAG_StudyInstanceUID, "StudyInstanceUID", v, r->study_uid);
    take_uid(ds, DICOM_TAG_SeriesInstanceUID, "SeriesInstanceUID", v, r->series_uid);
    if (!v->code) compare(sop_class, r->sop_class, "(0008,0016) SOPClassUID", v);
    if (!v->code) compare(sop_instance, r->sop_instance, "(0008,0018) SOPInstanceUID", v);
    if (dicom_charset_of(ds).unknown) v->findings |= ARCHIVE_FINDING(CHARSET_UNKNOWN);
}

/* ---- pixels ------------------------------------------------------------------------------------------------------------ */

static bool in_range(int64_t v, int64_t low, int64_t high) { return v >= low && v <= high; }

/* Float and double pixel data have no Bits Stored; the description has theirs filled in (PS3.3 C.7.6.24). */
static bool possible(const dicom_pixel_description *d) {
    if (!in_range(d->rows, 1, 65535) || !in_range(d->columns, 1, 65535) || !in_range(d->samples, 1, 65535)) return false;
    if (d->frames < 1 || !in_range(d->bits_allocated, 1, 64)) return false;
    return in_range(d->bits_stored, 1, d->bits_allocated) && d->high_bit < d->bits_allocated;
}

void validate_pixels(const dicom_pixel_description *d, int frames_code, verdict *v) {
    if (!d->present) return;
    if (!possible(d)) warn(v, ARCHIVE_FINDING_INDEX_DIMENSIONS_IMPOSSIBLE);
    else if (frames_code == GN_E_TRUNCATED) warn(v, ARCHIVE_FINDING_INDEX_PIXEL_DATA_SHORT);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------------- */

/* T13: a program, script or page hidden in the 128 bytes before DICM (CVE-2019-11687). TIFF, the one honest use, is none of these. */
void validate_header(const void *file_header, size_t n, verdict *v) {
    static const struct { uint8_t n; const char *bytes; } starts[] = {
        { 2, "MZ" }, { 4, "\x7f" "ELF" }, { 2, "#!" }, { 4, "%PDF" }, { 1, "<" }, { 4, "\xca\xfe\xba\xbe" }, { 4, "\xfe\xed\xfa\xce" }, { 4, "\xfe\xed\xfa\xcf" },
        { 4, "\xce\xfa\xed\xfe" }, { 4, "\xcf\xfa\xed\xfe" }, { 4, "PK\x03\x04" } };
    if (!file_header || n < 132) return;
    for (size_t i = 0; i < GN_ARRAY_LEN(starts); i++)
        if (memcmp(file_header, starts[i].bytes, starts[i].n) == 0) v->findings |= ARCHIVE_FINDING(EXECUTABLE_PREAMBLE);
}

void validate_parse_error(const gn_error *e, verdict *v) {
    if (e->code == GN_E_NO_MEMORY || (e->code == GN_E_TOO_LARGE)) {
        v->findings |= ARCHIVE_FINDING(HEADER_TOO_LARGE);
        refuse(v, GN_E_TOO_LARGE, gn_code_dimse_status(GN_E_TOO_LARGE), "header exceeds the limit: %.40s", e->where);
        return;
    }
    v->findings |= ARCHIVE_FINDING(PARSE_INCOMPLETE);
    refuse(v, GN_E_INVALID, STATUS_CANNOT_UNDERSTAND, "cannot understand: %.45s", e->where[0] ? e->where : e->message);
}
