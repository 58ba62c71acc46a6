/* query_source: attributes that have no column: of the study, of the series, or of an instance's metadata.
 *
 * study_attrs and series_attrs are small data sets, read in place. Metadata is DICOM JSON under zstd, which takes some ten times longer
 * to read; it answers for what belongs to instances, and for private attributes. A patient, study or series is represented there by
 * the instance that came first. What a source lacks counts as absent. */
#include "query.h"

#include "index/encode.h"

#define SOURCE_ARENA (64u << 20)
#define METADATA_MAX (64u << 20)

/* ---- finding rows ------------------------------------------------------------------------------------------------------ */

/* One number by another; 0: none. */
static int step_down(db *d, sql_statement which, int64_t from, int64_t *to, gn_error *e) {
    db_stmt *s;
    *to = 0;
    if (!from) return 0;
    int rc = db_fixed(d, which, &s, e);
    if (rc) return rc;
    db_bind_int(s, 1, from);
    rc = db_step(s, e);
    if (rc == 1) *to = db_int(s, 0);
    db_reset(s);
    return rc < 0 ? rc : 0;
}

/* Number of the row in the table of the source. */
static int source_id(const query_plan *p, db *d, const query_row *row, query_source which, int64_t *id, gn_error *e) {
    int64_t at = row->id;
    int rc = 0;
    archive_level level = p->level;
    if (which == QUERY_FROM_STUDY && level >= ARCHIVE_SERIES) at = row->study;
    if (which == QUERY_FROM_SERIES && level == ARCHIVE_IMAGE) at = row->series;
    archive_level wanted = which == QUERY_FROM_STUDY ? ARCHIVE_STUDY : which == QUERY_FROM_SERIES ? ARCHIVE_SERIES : ARCHIVE_IMAGE;
    if (level == ARCHIVE_PATIENT && wanted > ARCHIVE_PATIENT) rc = step_down(d, SQL_FIRST_STUDY, at, &at, e);
    if (!rc && level <= ARCHIVE_STUDY && wanted > ARCHIVE_STUDY) rc = step_down(d, SQL_FIRST_SERIES, at, &at, e);
    if (!rc && level <= ARCHIVE_SERIES && wanted > ARCHIVE_SERIES) rc = step_down(d, SQL_FIRST_INSTANCE, at, &at, e);
    *id = at;
    return rc;
}

/* ---- loading ----------------------------------------------------------------------------------------------------------- */

static int read_attributes(gn_arena *arena, const void *p, size_t n, const dicom_dataset **ds, gn_error *e) {
    static const dicom_read_options options = { .keep_everything = true };
    dicom_dataset *read = NULL;
    void *copy = gn_arena_memdup(arena, p, n);
    if (!copy) return gn_fail(e, GN_E_NO_MEMORY, "no memory for attributes");
    int rc = dicom_dataset_read(arena, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), copy, n, &options, &read, e);
    *ds = read;
    return rc;
}

static int read_metadata(query_sources *s, gn_arena *arena, const void *p, size_t n, const dicom_dataset **ds, gn_error *e) {
    unsigned long long size = ZSTD_getFrameContentSize(p, n);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > METADATA_MAX) return gn_fail(e, GN_E_CORRUPT, "index: metadata of an instance is damaged");
    if (!s->zstd && !(s->zstd = ZSTD_createDCtx())) return gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata");
    gn_buf_clear(&s->bytes);
    uint8_t *room = gn_buf_reserve(&s->bytes, (size_t)size + 1);
    if (!room) return gn_fail(e, GN_E_NO_MEMORY, "no memory for metadata");
    size_t got = ZSTD_decompressDCtx(s->zstd, room, (size_t)size, p, n);
    if (ZSTD_isError(got)) return gn_fail(e, GN_E_CORRUPT, "index: metadata of an instance is damaged");
    dicom_dataset *read = NULL;
    int rc = dicom_json_read(arena, (const char *)room, got, &read, e);
    *ds = read;
    return rc;
}

static int load(query_sources *s, db *d, query_source which, int64_t id, const dicom_dataset **ds, gn_error *e) {
    static const sql_statement statements[] = { SQL_STUDY_ATTRS, SQL_SERIES_ATTRS, SQL_DETAIL_METADATA };
    gn_arena *arena = s->loaded[which].arena;
    db_stmt *stmt;
    size_t n = 0;
    *ds = NULL;
    int rc = db_fixed(d, statements[which], &stmt, e);
    if (rc) return rc;
    db_bind_int(stmt, 1, id);
    rc = db_step(stmt, e);
    const void *p = rc == 1 ? db_bytes(stmt, 0, &n) : NULL;
    if (rc > 0) rc = 0;
    if (p) rc = which == QUERY_FROM_INSTANCE ? read_metadata(s, arena, p, n, ds, e) : read_attributes(arena, p, n, ds, e);
    db_reset(stmt);
    return rc;
}

int query_source_load(query_sources *s, db *d, const query_row *row, query_source which, const dicom_dataset **ds, gn_error *e) {
    int64_t id;
    int rc = source_id(s->plan, d, row, which, &id, e);
    *ds = NULL;
    if (rc || !id) return rc;
    if (s->loaded[which].id == id) {
        *ds = s->loaded[which].ds;
        return 0;
    }
    if (!s->loaded[which].arena && !(s->loaded[which].arena = gn_arena_new(SOURCE_ARENA))) return gn_fail(e, GN_E_NO_MEMORY, "no memory for attributes");
    gn_arena_reset(s->loaded[which].arena);
    s->loaded[which].id = 0;
    rc = load(s, d, which, id, ds, e);
    if (rc) return rc;
    s->loaded[which].id = id;
    s->loaded[which].ds = *ds;
    return 0;
}

void query_sources_done(query_sources *s) {
    for (size_t i = 0; i < QUERY_SOURCES; i++) gn_arena_free(&s->loaded[i].arena);
    gn_buf_done(&s->bytes);
    if (s->zstd) (void)ZSTD_freeDCtx(s->zstd);
}

/* ---- matching ---------------------------------------------------------------------------------------------------------- */

static const dicom_dataset nothing = { .sorted = true };

int query_filters_match(query_sources *s, db *d, const query_row *row, gn_error *e) {
    const query_plan *p = s->plan;
    for (int i = 0; i < QUERY_SOURCES; i++) {
        const dicom_dataset *ds;
        if (!p->filter[i]) continue;
        int rc = query_source_load(s, d, row, (query_source)i, &ds, e);
        if (rc) return rc;
        if (!dicom_match_dataset(p->filter[i], ds ? ds : &nothing, (p->flags & ARCHIVE_QUERY_FUZZY_NAMES) != 0)) return 0;
    }
    return 1;
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

static bool put_numbers(const dicom_dataset *ds, const dicom_element *el, gn_buf *out) {
    size_t n = dicom_element_vm(el);
    for (size_t i = 0; i < n; i++) {
        int64_t whole;
        double real;
        if (i) gn_buf_putc(out, '\\');
        if (el->vr == DICOM_VR_AT && dicom_element_int(ds, el, i, &whole)) gn_buf_printf(out, "%08llX", (unsigned long long)whole);
        else if (el->vr != DICOM_VR_FL && el->vr != DICOM_VR_FD && dicom_element_int(ds, el, i, &whole)) gn_buf_printf(out, "%lld", (long long)whole);
        else if (dicom_element_double(ds, el, i, &real)) gn_buf_printf(out, el->vr == DICOM_VR_FL ? "%.9g" : "%.17g", real);
        else return false;
    }
    return n > 0;
}

static bool is_number(dicom_vr vr) {
    switch (vr) {
    case DICOM_VR_US: case DICOM_VR_SS: case DICOM_VR_UL: case DICOM_VR_SL: case DICOM_VR_UV: case DICOM_VR_SV: case DICOM_VR_FL: case DICOM_VR_FD:
    case DICOM_VR_AT: return true;
    default: return false;
    }
}

bool query_element_value(const dicom_dataset *ds, const dicom_element *el, gn_buf *out, bool *encoded) {
    const dicom_vr_info *info = dicom_vr_find(el->vr);
    *encoded = el->vr == DICOM_VR_SQ;
    if (*encoded) {
        encode_items(el, out);
        return true;
    }
    if (is_number(el->vr)) return put_numbers(ds, el, out);
    if (!info || !info->text || (el->flags & DICOM_ELEMENT_BULK)) return false;
    size_t n;
    const char *text = dicom_element_text(el, &n);
    dicom_charset cs = info->charset ? dicom_charset_of(ds) : dicom_charset_parse(NULL, 0);
    if (text) dicom_text_decode(&cs, el->vr, text, n, out, NULL);
    return true;
}
