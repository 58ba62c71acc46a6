/* Identifiers of Query/Retrieve (PS3.4 C.4.1.1.3): the level, and the plan by which the answers to one query are written.
 *
 * A plan is made once from the request: which attributes the answers carry in which order, where each comes from, and in which
 * character set text goes out. answer.c then writes a row with it without looking anything up. */
#include "internal.h"

#include <stdlib.h>

int identifier_level(const dicom_dataset *ds, query_root root, archive_level *level, gn_error *e) {
    static const struct { const char *word; archive_level level; } words[] = {
        { "PATIENT", ARCHIVE_PATIENT }, { "STUDY", ARCHIVE_STUDY }, { "SERIES", ARCHIVE_SERIES }, { "IMAGE", ARCHIVE_IMAGE } };
    char text[17];
    size_t n = dicom_dataset_ascii_into(ds, DICOM_TAG_QueryRetrieveLevel, text, sizeof text);
    for (size_t i = 0; i < GN_ARRAY_LEN(words) && n; i++) {
        archive_level l = words[i].level;
        if (strcmp(words[i].word, text) != 0) continue;
        if ((root != ROOT_STUDY || l != ARCHIVE_PATIENT) && (root != ROOT_PATIENT_STUDY_ONLY || l <= ARCHIVE_STUDY)) {
            *level = l;
            return 0;
        }
        gn_error_at(e, "(0008,0052)");
        return gn_fail(e, GN_E_INVALID, "level %s does not exist in this information model", text);
    }
    gn_error_at(e, "(0008,0052)");
    return gn_fail(e, GN_E_INVALID, "Query/Retrieve Level %s", n ? "is none of PATIENT, STUDY, SERIES, IMAGE" : "is missing");
}

/* ---- the plan ---------------------------------------------------------------------------------------------------------- */

/* Elements of a request that are not attributes to match or return. */
static bool is_control(dicom_tag tag) {
    return dicom_tag_element(tag) == 0 || dicom_tag_group(tag) < 8 || tag == DICOM_TAG_SpecificCharacterSet || tag == DICOM_TAG_QueryRetrieveLevel ||
           tag == DICOM_TAG_QueryRetrieveView || tag == DICOM_TAG_RetrieveAETitle;
}

static void add_column(answer_plan *p, dicom_tag tag, dicom_vr vr, int source, const char *constant) {
    p->column[p->column_count++] = (answer_column){ .tag = tag, .vr = vr, .source = source, .constant = constant, .constant_length = constant ? (uint32_t)strlen(constant) : 0 };
}

static int by_tag(const void *a, const void *b) {
    dicom_tag x = ((const answer_column *)a)->tag, y = ((const answer_column *)b)->tag;
    return x < y ? -1 : x > y;
}

/* Sorts, drops repeated tags and gives the attributes their places in `wanted`. */
static void settle_columns(answer_plan *p) {
    qsort(p->column, p->column_count, sizeof *p->column, by_tag);
    size_t kept = 0;
    for (size_t i = 0; i < p->column_count; i++) {
        if (kept && p->column[kept - 1].tag == p->column[i].tag) continue;
        p->column[kept++] = p->column[i];
    }
    p->column_count = kept;
    for (size_t i = 0; i < kept; i++) {
        if (p->column[i].source != ANSWER_FROM_QUERY) continue;
        p->column[i].source = (int)p->wanted_count;
        p->wanted[p->wanted_count++] = p->column[i].tag;
    }
}

static bool is_utf8(const dicom_charset *cs) { return cs->count == 1 && cs->term[0] == DICOM_CHARSET_UTF8.term[0]; }

/* The character set that was asked for, if we know it; else UTF-8. */
static void choose_charset(answer_plan *p, const dicom_dataset *identifier) {
    const dicom_element *el = dicom_dataset_find(identifier, DICOM_TAG_SpecificCharacterSet);
    p->charset_asked = el != NULL;
    p->charset = dicom_charset_of(identifier);
    p->charset_text = dicom_dataset_ascii(identifier, DICOM_TAG_SpecificCharacterSet);
    if (p->charset.count == 0 || p->charset.unknown || !p->charset_text || !p->charset_text[0]) {
        p->charset = DICOM_CHARSET_UTF8;
        p->charset_text = "ISO_IR 192";
    }
    p->utf8 = is_utf8(&p->charset);
}

/* What the matching must not see: it is no key. */
static void remove_controls(dicom_dataset *identifier) {
    for (size_t i = identifier->count; i-- > 0;) {
        dicom_tag tag = identifier->element[i].tag;
        if (is_control(tag) && tag != DICOM_TAG_SpecificCharacterSet) (void)dicom_dataset_remove(identifier, tag);
    }
}

int answer_plan_make(answer_plan *p, dicom_dataset *identifier, archive_level level, const char *retrieve_aet, const dicom_transfer_syntax *ts, gn_error *e) {
    *p = (answer_plan){ .ts = ts };
    gn_arena *arena = identifier->arena;
    p->column = gn_arena_zalloc(arena, identifier->count + 3, sizeof *p->column);
    p->wanted = gn_arena_zalloc(arena, identifier->count + 1, sizeof *p->wanted);
    if (!p->column || !p->wanted) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the query");
    choose_charset(p, identifier);
    add_column(p, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, ANSWER_CHARSET, NULL);
    add_column(p, DICOM_TAG_QueryRetrieveLevel, DICOM_VR_CS, ANSWER_CONSTANT, archive_level_text(level));
    add_column(p, DICOM_TAG_RetrieveAETitle, DICOM_VR_AE, ANSWER_CONSTANT, retrieve_aet);
    for (size_t i = 0; i < identifier->count; i++) {
        const dicom_element *el = &identifier->element[i];
        if (is_control(el->tag)) continue;
        add_column(p, el->tag, el->vr, ANSWER_FROM_QUERY, NULL);
        p->has_sequences = p->has_sequences || el->vr == DICOM_VR_SQ || el->vr == DICOM_VR_UN;
        if (dicom_tag_is_private(el->tag) || !dicom_dict_find(el->tag)) p->unsupported_keys = true;
    }
    settle_columns(p);
    remove_controls(identifier);
    return 0;
}

void answer_plan_done(answer_plan *p) {
    gn_buf_done(&p->out);
    gn_buf_done(&p->scratch);
    gn_buf_done(&p->sequence);
    gn_arena_free(&p->arena);
}
