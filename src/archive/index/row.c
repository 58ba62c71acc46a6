/* row: values of columns from data sets; see the header. Most text is ASCII and stays where it is. */
#include "row.h"

/* ASCII without escapes of ISO 2022 and without NUL, which an engine may not take in text. */
static bool is_plain(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)p[i] >= 0x80 || p[i] == 0x1B || p[i] == 0) return false;
    return true;
}

static size_t cut(const char *p, size_t n) {
    if (n <= ROW_TEXT_MAX) return n;
    n = ROW_TEXT_MAX;
    while (n > 0 && ((uint8_t)p[n] & 0xC0) == 0x80) n--;
    return n;
}

static row_text decoded(gn_arena *arena, const dicom_dataset *ds, const dicom_element *el, const char *p, size_t n) {
    gn_buf utf8 = GN_BUF_INIT;
    const dicom_vr_info *vr = dicom_vr_find(el->vr);
    dicom_charset cs = vr && vr->charset ? dicom_charset_of(ds) : dicom_charset_parse(NULL, 0);
    dicom_text_decode(&cs, el->vr, p, n, &utf8, NULL);
    row_text t = { NULL, 0 };
    if (!utf8.failed && utf8.n) {
        t.n = cut((const char *)utf8.p, utf8.n);
        char *copy = gn_arena_memdup(arena, utf8.p, t.n);
        for (size_t i = 0; copy && i < t.n; i++)
            if (copy[i] == 0) copy[i] = ' ';
        t.p = copy;
    }
    gn_buf_done(&utf8);
    return t.p ? t : (row_text){ NULL, 0 };
}

row_text row_text_of(gn_arena *arena, const dicom_dataset *ds, dicom_tag tag) {
    const dicom_element *el = dicom_dataset_find(ds, tag);
    size_t n;
    const char *p = dicom_element_text(el, &n);
    if (!p) return (row_text){ NULL, 0 };
    if (is_plain(p, n)) return (row_text){ p, cut(p, n) };
    return decoded(arena, ds, el, p, n);
}

row_text row_fold_group(gn_arena *arena, const char *p, size_t n) {
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\0')) n--;
    while (n > 0 && *p == ' ') p++, n--;
    while (n > 0 && (p[n - 1] == '^' || p[n - 1] == ' ')) n--;
    if (!n) return (row_text){ NULL, 0 };
    gn_buf folded = GN_BUF_INIT;
    dicom_text_fold(p, n, false, &folded);
    row_text t = { NULL, 0 };
    if (!folded.failed && folded.n) {
        t.p = gn_arena_memdup(arena, folded.p, folded.n);
        t.n = t.p ? folded.n : 0;
    }
    gn_buf_done(&folded);
    return t;
}

row_text row_name_group(gn_arena *arena, row_text name, unsigned g) {
    size_t n = 0;
    const char *p = name.p ? dicom_pn_group(name.p, name.n, g, &n) : NULL;
    return p ? row_fold_group(arena, p, n) : (row_text){ NULL, 0 };
}

void row_bind(db_stmt *s, int i, row_text t) { db_bind_text(s, i, t.n ? t.p : NULL, t.n); }

void row_bind_text(db_stmt *s, int i, gn_arena *arena, const dicom_dataset *ds, dicom_tag tag) { row_bind(s, i, row_text_of(arena, ds, tag)); }

static void bind_null(db_stmt *s, int i) { db_bind_text(s, i, NULL, 0); }

void row_bind_date(db_stmt *s, int i, const dicom_dataset *ds, dicom_tag tag) {
    size_t n;
    int32_t date;
    const char *p = dicom_element_value(dicom_dataset_find(ds, tag), 0, &n);
    if (p && n && dicom_date_parse(p, n, &date)) db_bind_int(s, i, date);
    else bind_null(s, i);
}

void row_bind_time(db_stmt *s, int i, gn_arena *arena, const dicom_dataset *ds, dicom_tag tag) {
    dicom_span span;
    row_text t = row_text_of(arena, ds, tag);
    const char *stop = t.p ? memchr(t.p, '\\', t.n) : NULL;
    if (stop) t.n = (size_t)(stop - t.p);
    if (t.n && !memchr(t.p, '-', t.n) && dicom_time_range(t.p, t.n, &span)) db_bind_int(s, i, span.from);
    else bind_null(s, i);
    row_bind(s, i + 1, t);
}

void row_bind_int(db_stmt *s, int i, const dicom_dataset *ds, dicom_tag tag) {
    int64_t v;
    if (dicom_dataset_int(ds, tag, &v)) db_bind_int(s, i, v);
    else bind_null(s, i);
}

void row_bind_name(db_stmt *s, int i, gn_arena *arena, row_text name) {
    row_bind(s, i, name);
    for (unsigned g = 0; g < 3; g++) row_bind(s, i + 1 + (int)g, row_name_group(arena, name, g));
}

bool row_set_has(const char *set, size_t n, row_text member) {
    if (!member.n) return true;
    for (size_t at = 0; at + member.n + 2 <= n; at++)
        if (set[at] == '\\' && set[at + member.n + 1] == '\\' && memcmp(set + at + 1, member.p, member.n) == 0) return true;
    return false;
}
