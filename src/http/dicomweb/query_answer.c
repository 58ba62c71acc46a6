/* query_answer: rows of a search as DICOM JSON (PS3.18 Annex F), written straight into the body.
 *
 * The archive gives text in UTF-8 by attribute; names and VRs around it are few bytes that are copied. Only sequences are read as data
 * sets first. Attributes that a row lacks are written with their VR and without a value, as PS3.18 §10.6.3.3 asks for those that
 * were requested. */
#include "query.h"

#define CHARSET "\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 192\"]}"
#define SEQUENCE_ARENA (64u << 20)

int row_writer_init(row_writer *w, const search *s, const char *root, gn_error *e) {
    *w = (row_writer){ .search = s, .at_study = -1, .at_series = -1, .at_instance = -1, .root = root };
    w->asked = gn_arena_alloc(s->arena, (s->wanted_count + 1) * sizeof *w->asked);
    if (!w->asked) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a search");
    for (size_t i = 0; i < s->wanted_count; i++) {
        dicom_tag tag = s->wanted[i];
        int at = (int)w->asked_count;
        if (search_is_ours(tag)) continue;
        if (tag == DICOM_TAG_StudyInstanceUID) w->at_study = at;
        if (tag == DICOM_TAG_SeriesInstanceUID && s->level >= ARCHIVE_SERIES) w->at_series = at;
        if (tag == DICOM_TAG_SOPInstanceUID && s->level >= ARCHIVE_IMAGE) w->at_instance = at;
        w->asked[w->asked_count++] = tag;
    }
    return 0;
}

void row_writer_done(row_writer *w) {
    gn_arena_free(&w->scratch);
    gn_buf_done(&w->sequence);
}

static void put_name(gn_buf *out, dicom_tag tag, dicom_vr vr, bool first) {
    static const char hex[] = "0123456789ABCDEF";
    uint8_t *p = gn_buf_reserve(out, 24);
    if (!p) return;
    if (!first) *p++ = ',';
    *p++ = '"';
    for (int shift = 28; shift >= 0; shift -= 4) *p++ = (uint8_t)hex[tag >> shift & 15];
    memcpy(p, "\":{\"vr\":\"", 9);
    p += 9;
    *p++ = (uint8_t)(vr >> 8);
    *p++ = (uint8_t)vr;
    *p++ = '"';
    out->n = (size_t)(p - out->p);
    *p = '\0';
}

static void put_uid(gn_buf *out, const char *part, const char *fixed, const archive_value *v) {
    if (!fixed && !v) return;
    gn_buf_puts(out, part);
    if (fixed) gn_buf_puts(out, fixed);
    else gn_buf_append(out, v->text, v->n);
}

/* UIDs of the index are not always digits and dots: what was invalid is kept with a finding. */
static bool is_safe(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] <= ' ' || p[i] == '"' || p[i] == '\\' || p[i] == '/' || p[i] == 0x7F) return false;
    return true;
}

static void put_url(const row_writer *w, const archive_value *values, gn_buf *out) {
    const int at[] = { w->at_study, w->at_series, w->at_instance };
    for (size_t i = 0; i < GN_ARRAY_LEN(at); i++)
        if (at[i] >= 0 && !is_safe(values[at[i]].text, values[at[i]].n)) return;
    gn_buf_puts(out, ",\"Value\":[\"");
    gn_buf_puts(out, w->root);
    put_uid(out, "/studies/", w->study, w->at_study < 0 ? NULL : &values[w->at_study]);
    if (w->search->level >= ARCHIVE_SERIES) put_uid(out, "/series/", w->series, w->at_series < 0 ? NULL : &values[w->at_series]);
    if (w->search->level >= ARCHIVE_IMAGE) put_uid(out, "/instances/", NULL, w->at_instance < 0 ? NULL : &values[w->at_instance]);
    gn_buf_puts(out, "\"]");
}

/* The items of a sequence, encoded by the archive, as a data set of their own that says that its text is UTF-8. */
static int read_items(row_writer *w, dicom_tag tag, const archive_value *v, dicom_dataset **ds, gn_error *e) {
    static const uint8_t charset[] = { 0x08, 0x00, 0x05, 0x00, 'C', 'S', 10, 0, 'I', 'S', 'O', '_', 'I', 'R', ' ', '1', '9', '2' };
    static const dicom_read_options options = { .keep_everything = true };
    if (!w->scratch && !(w->scratch = gn_arena_new(SEQUENCE_ARENA))) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an answer");
    gn_arena_reset(w->scratch);
    size_t n = sizeof charset + 12 + v->encoded_length;
    uint8_t *bytes = v->encoded_length < UINT32_MAX ? gn_arena_alloc(w->scratch, n) : NULL;
    if (!bytes) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an answer");
    memcpy(bytes, charset, sizeof charset);
    uint8_t *p = bytes + sizeof charset;
    gn_store_le16(p, dicom_tag_group(tag));
    gn_store_le16(p + 2, dicom_tag_element(tag));
    memcpy(p + 4, "SQ\0\0", 4);
    gn_store_le32(p + 8, (uint32_t)v->encoded_length);
    if (v->encoded_length) memcpy(p + 12, v->encoded, v->encoded_length);
    return dicom_dataset_read(w->scratch, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), bytes, n, &options, ds, e);
}

/* Sequence as the rest of `"ggggeeee":{"vr":"SQ"`. One that cannot be read is left empty: the instance itself can still be asked. */
static void put_sequence(row_writer *w, dicom_tag tag, const archive_value *v, gn_buf *out) {
    static const char head[] = "{" CHARSET ",\"00000000\":{\"vr\":\"SQ\"";
    const size_t skip = sizeof head - 1;
    dicom_dataset *ds;
    gn_json j;
    gn_error ignored = GN_ERROR_INIT;
    gn_buf_clear(&w->sequence);
    gn_json_init(&j, &w->sequence);
    if (!v->encoded_length || read_items(w, tag, v, &ds, &ignored) || dicom_json_write(ds, NULL, &j, &ignored) || w->sequence.n < skip + 2) return;
    gn_buf_append(out, w->sequence.p + skip, w->sequence.n - skip - 2); /* without the ends of attribute and object */
}

int row_write(row_writer *w, const archive_value *values, gn_buf *out, gn_error *e) {
    const search *s = w->search;
    size_t at = 0;
    gn_buf_putc(out, '{');
    for (size_t i = 0; i < s->wanted_count; i++) {
        dicom_tag tag = s->wanted[i];
        if (tag == DICOM_TAG_SpecificCharacterSet) {
            gn_buf_puts(out, i ? "," CHARSET : CHARSET);
            continue;
        }
        if (tag == DICOM_TAG_RetrieveURL) {
            put_name(out, tag, DICOM_VR_UR, i == 0);
            put_url(w, values, out);
        } else {
            const archive_value *v = &values[at++];
            put_name(out, tag, v->vr ? v->vr : DICOM_VR_UN, i == 0);
            if (v->encoded) put_sequence(w, tag, v, out);
            else if (v->present && v->n) dicom_json_text(v->vr, v->text, v->n, out);
        }
        gn_buf_putc(out, '}');
    }
    gn_buf_putc(out, '}');
    return out->failed ? gn_fail(e, GN_E_TOO_LARGE, "the answer is too large: ask for less with limit and includefield") : 0;
}
