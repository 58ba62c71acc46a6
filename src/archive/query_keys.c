/* query_keys: each key of a query becomes a condition on columns, or waits for the attributes that have none (PS3.4 C.2.2.2).
 *
 * Values reach the database as bound parameters only (T15). Keys of several values match any of them; lists of plain values are one
 * parameter, a JSON array, so that ten thousand UIDs are no longer statement than two. Text is compared with regard to case, names
 * without. Hierarchical queries must have the unique keys of the levels above as single values (PS3.4 C.4.1.2.2.1); other keys of
 * higher levels are welcome in any query. */
#include "query.h"

#include "index/encode.h"
#include "index/row.h"

enum { PATTERNS_MAX = 64 }; /* of values with wildcards or ranges in one key */

typedef struct piece { const char *p; size_t n; } piece;

static int bad_key(dicom_tag tag, const char *what, gn_error *e) {
    char text[16];
    const dicom_dict_entry *entry = dicom_dict_find(tag);
    gn_error_at(e, "%s", dicom_tag_text(tag, text));
    int rc = gn_fail(e, GN_E_INVALID, "%s %s %s", entry ? entry->keyword : "key", dicom_tag_text(tag, text), what);
    gn_error_at(e, "%s", dicom_tag_text(tag, text));
    return rc;
}

static piece trimmed(const char *p, size_t n) {
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\0')) n--;
    while (n > 0 && *p == ' ') p++, n--;
    return (piece){ p, n };
}

/* Cuts the next value off *rest; false: there is none. */
static bool next_piece(piece *rest, piece *out) {
    if (!rest->p) return false;
    const char *stop = rest->n ? memchr(rest->p, '\\', rest->n) : NULL;
    *out = trimmed(rest->p, stop ? (size_t)(stop - rest->p) : rest->n);
    *rest = stop ? (piece){ stop + 1, rest->n - (size_t)(stop + 1 - rest->p) } : (piece){ NULL, 0 };
    return true;
}

/* ---- lists ------------------------------------------------------------------------------------------------------------- */

typedef struct survey { size_t values, patterns; bool universal; } survey;

/* What kinds of values a key has. Empty values between others are no values. */
static survey survey_of(dicom_vr vr, piece text) {
    survey s = { 0, 0, false };
    piece one;
    while (next_piece(&text, &one)) {
        if (!one.n) continue;
        dicom_match_kind kind = dicom_match_classify(vr, one.p, one.n);
        s.values++;
        if (kind == DICOM_MATCH_UNIVERSAL) s.universal = true;
        else if (kind != DICOM_MATCH_SINGLE) s.patterns++;
    }
    if (s.values == 0) s.universal = true;
    return s;
}

/* "IN (SELECT value FROM json_each($3))" */
static int write_list(query_plan *p, piece text, gn_error *e) {
    gn_buf json = GN_BUF_INIT;
    gn_json j;
    piece one;
    gn_json_init(&j, &json);
    gn_json_open(&j, '[');
    while (next_piece(&text, &one))
        if (one.n) gn_json_string_n(&j, one.p, one.n);
    gn_json_close(&j, ']');
    gn_buf_printf(&p->where, " IN (%s(", p->class->list);
    if (!json.failed) query_text(p, (const char *)json.p, json.n);
    query_puts(p, "))");
    bool failed = json.failed;
    gn_buf_done(&json);
    return failed ? gn_fail(e, GN_E_NO_MEMORY, "no memory for a list of values") : 0;
}

/* ---- text -------------------------------------------------------------------------------------------------------------- */

/* Behind all text that starts with a prefix: the last code point there is. */
static void write_behind(query_plan *p, const char *prefix, size_t n) {
    char *bound = gn_arena_alloc(p->arena, n + 4);
    if (!bound) {
        p->where.failed = true;
        return;
    }
    memcpy(bound, prefix, n);
    memcpy(bound + n, "\xF4\x8F\xBF\xBF", 4);
    query_text(p, bound, n + 4);
}

static size_t plain_prefix(const char *key, size_t n) {
    size_t i = 0;
    while (i < n && key[i] != '*' && key[i] != '?') i++;
    return i;
}

static void write_range(query_plan *p, const char *column, const char *prefix, size_t n) {
    gn_buf_printf(&p->where, "%s >= ", column);
    query_text(p, prefix, n);
    gn_buf_printf(&p->where, " AND %s < ", column);
    write_behind(p, prefix, n);
}

static void write_wildcard(query_plan *p, const char *column, const char *key, size_t n) {
    size_t prefix = plain_prefix(key, n);
    bool exact = prefix > 0 && prefix + 1 == n && key[prefix] == '*';
    query_puts(p, "(");
    if (prefix) write_range(p, column, key, prefix);
    if (prefix && !exact) query_puts(p, " AND ");
    if (!exact) query_match_call(p, QUERY_MATCH_WILDCARD, key, n, column);
    query_puts(p, ")");
}

/* A column of text against all values of the key. `empty`: SQL for what an empty value is. */
static int text_condition(query_plan *p, const char *column, dicom_vr vr, piece text, const char *empty, gn_error *e) {
    survey s = survey_of(vr, text);
    piece one;
    if (s.patterns > PATTERNS_MAX) return gn_fail(e, GN_E_TOO_LARGE, "a key has more than %d values with wildcards", PATTERNS_MAX);
    if (!s.patterns && s.values > 1) {
        query_puts(p, column);
        return write_list(p, text, e);
    }
    const char *glue = "(";
    if (s.values - s.patterns > PATTERNS_MAX) return gn_fail(e, GN_E_TOO_LARGE, "a key has too many values");
    while (next_piece(&text, &one)) {
        if (!one.n) continue;
        query_puts(p, glue);
        glue = " OR ";
        if (dicom_match_classify(vr, one.p, one.n) == DICOM_MATCH_EMPTY) gn_buf_printf(&p->where, "%s%s", column, empty);
        else if (dicom_match_classify(vr, one.p, one.n) == DICOM_MATCH_WILDCARD) write_wildcard(p, column, one.p, one.n);
        else gn_buf_printf(&p->where, "%s = ", column), query_text(p, one.p, one.n);
    }
    query_puts(p, ")");
    return 0;
}

/* Patient ID and issuer: by the key of the patients, which the studies then lead from. */
static int patient_id_condition(query_plan *p, const attribute *a, const char *column, piece text, gn_error *e) {
    if (p->level == ARCHIVE_PATIENT || a->tag != DICOM_TAG_PatientID) return text_condition(p, column, a->vr, text, " = ''", e);
    p->where_tables |= QUERY_TABLE(ARCHIVE_STUDY);
    query_puts(p, "s.patient IN (SELECT id FROM patient WHERE ");
    int rc = text_condition(p, "patient_id", a->vr, text, " = ''", e);
    query_puts(p, ")");
    return rc;
}

static int set_condition(query_plan *p, const attribute *a, const char *column, piece text, gn_error *e) {
    survey s = survey_of(a->vr, text);
    const char *glue = "(";
    piece one;
    if (s.values > PATTERNS_MAX) return gn_fail(e, GN_E_TOO_LARGE, "a key has more than %d values", PATTERNS_MAX);
    while (next_piece(&text, &one)) {
        if (!one.n) continue;
        dicom_match_kind kind = dicom_match_classify(a->vr, one.p, one.n);
        query_puts(p, glue);
        glue = " OR ";
        if (kind == DICOM_MATCH_EMPTY) {
            gn_buf_printf(&p->where, "%s IS NULL", column);
        } else if (kind == DICOM_MATCH_WILDCARD) {
            query_match_call(p, QUERY_MATCH_SET, one.p, one.n, column);
        } else {
            char *member = gn_arena_printf(p->arena, "\\%.*s\\", (int)one.n, one.p);
            gn_buf_printf(&p->where, "%s(%s, ", p->class->position, column);
            query_text(p, member ? member : "", member ? strlen(member) : 0);
            query_puts(p, ") > 0");
        }
    }
    query_puts(p, ")");
    return 0;
}

/* ---- names ------------------------------------------------------------------------------------------------------------- */

/* One group of a key against one folded column. "DOE^*" also means a Doe without a given name, so that carets at the end of the
 * fixed beginning do not narrow; what then remains is for gantry_match. */
static void name_group_condition(query_plan *p, const char *column, row_text key) {
    size_t prefix = plain_prefix(key.p, key.n), fixed = prefix;
    if (prefix == key.n) {
        gn_buf_printf(&p->where, "%s = ", column);
        query_text(p, key.p, key.n);
        return;
    }
    while (fixed > 0 && (key.p[fixed - 1] == '^' || key.p[fixed - 1] == ' ')) fixed--;
    bool exact = fixed == prefix && prefix + 1 == key.n && key.p[prefix] == '*' && prefix > 0;
    query_puts(p, "(");
    if (fixed) write_range(p, column, key.p, fixed);
    if (fixed && !exact) query_puts(p, " AND ");
    if (!exact) query_match_call(p, QUERY_MATCH_NAME, key.p, key.n, column);
    query_puts(p, ")");
}

static void patient_name_condition(query_plan *p, const char *key, size_t n) {
    static const char *const study_columns[] = { "s.name_a", "s.name_i", "s.name_p" }, *const patient_columns[] = { "p.name_a", "p.name_i", "p.name_p" };
    const char *const *column = p->level == ARCHIVE_PATIENT ? patient_columns : study_columns;
    p->where_tables |= QUERY_TABLE(p->level == ARCHIVE_PATIENT ? ARCHIVE_PATIENT : ARCHIVE_STUDY);
    bool groups = memchr(key, '=', n) != NULL;
    const char *glue = "(";
    for (unsigned g = 0; g < 3; g++) {
        size_t length = n;
        const char *group = groups ? dicom_pn_group(key, n, g, &length) : key;
        row_text folded = group ? row_fold_group(p->arena, group, length) : (row_text){ NULL, 0 };
        if (!folded.n) continue;
        query_puts(p, glue);
        glue = groups ? " AND " : " OR ";
        name_group_condition(p, column[g], folded);
    }
    if (*glue == '(') query_puts(p, "(1 = 1");
    query_puts(p, ")");
}

static int name_condition(query_plan *p, const attribute *a, const char *column, piece text, gn_error *e) {
    survey s = survey_of(a->vr, text);
    const char *glue = "(";
    piece one;
    if (s.values > PATTERNS_MAX) return gn_fail(e, GN_E_TOO_LARGE, "a key has more than %d values", PATTERNS_MAX);
    while (next_piece(&text, &one)) {
        if (!one.n) continue;
        query_puts(p, glue);
        glue = " OR ";
        if (dicom_match_classify(a->vr, one.p, one.n) == DICOM_MATCH_EMPTY) gn_buf_printf(&p->where, "%s IS NULL", column);
        else if (p->flags & ARCHIVE_QUERY_FUZZY_NAMES) query_match_call(p, QUERY_MATCH_FUZZY, one.p, one.n, column);
        else if (a->kind == ATTRIBUTE_PATIENT_NAME) patient_name_condition(p, one.p, one.n);
        else query_match_call(p, QUERY_MATCH_NAME, one.p, one.n, column);
    }
    query_puts(p, ")");
    return 0;
}

/* ---- dates, times, numbers --------------------------------------------------------------------------------------------- */

static void write_between(query_plan *p, const char *column, int64_t from, int64_t to) {
    if (from == to) {
        gn_buf_printf(&p->where, "%s = ", column);
        query_number(p, from);
        return;
    }
    gn_buf_printf(&p->where, "(%s >= ", column);
    query_number(p, from);
    gn_buf_printf(&p->where, " AND %s <= ", column);
    query_number(p, to);
    query_puts(p, ")");
}

static bool range_of(const attribute *a, piece one, int64_t *from, int64_t *to) {
    if (a->kind == ATTRIBUTE_DATE) {
        int32_t first, last;
        if (!dicom_date_range(one.p, one.n, &first, &last)) return false;
        *from = first;
        *to = last;
        return true;
    }
    dicom_span span;
    if (!dicom_time_range(one.p, one.n, &span)) return false;
    *from = span.from;
    *to = span.to;
    return true;
}

static int range_condition(query_plan *p, const attribute *a, const char *column, piece text, gn_error *e) {
    survey s = survey_of(a->vr, text);
    const char *glue = "(";
    int64_t from, to;
    piece one;
    if (s.values > PATTERNS_MAX) return gn_fail(e, GN_E_TOO_LARGE, "a key has more than %d values", PATTERNS_MAX);
    while (next_piece(&text, &one)) {
        if (!one.n) continue;
        dicom_match_kind kind = dicom_match_classify(a->vr, one.p, one.n);
        query_puts(p, glue);
        glue = " OR ";
        if (kind == DICOM_MATCH_EMPTY) {
            gn_buf_printf(&p->where, "%s IS NULL", column);
        } else if (kind == DICOM_MATCH_WILDCARD) {
            char *as_text = gn_arena_printf(p->arena, a->kind == ATTRIBUTE_DATE ? "CAST(%s AS TEXT)" : "%s_text", column);
            query_match_call(p, QUERY_MATCH_WILDCARD, one.p, one.n, as_text ? as_text : column);
        } else if (range_of(a, one, &from, &to)) {
            write_between(p, column, from, to);
        } else {
            return bad_key(a->tag, a->kind == ATTRIBUTE_DATE ? "is not a date or a range of dates" : "is not a time or a range of times", e);
        }
    }
    query_puts(p, ")");
    return 0;
}

static int int_condition(query_plan *p, const attribute *a, const char *column, const dicom_dataset *keys, const dicom_element *el, gn_error *e) {
    size_t n = dicom_element_vm(el);
    const char *glue = "(";
    if (n > PATTERNS_MAX) return gn_fail(e, GN_E_TOO_LARGE, "a key has more than %d values", PATTERNS_MAX);
    for (size_t i = 0; i < n; i++) {
        int64_t value;
        if (!dicom_element_int(keys, el, i, &value)) return bad_key(a->tag, "is not a whole number", e);
        gn_buf_printf(&p->where, "%s%s = ", glue, column);
        query_number(p, value);
        glue = " OR ";
    }
    query_puts(p, ")");
    return 0;
}

/* ---- date and time as one (PS3.4 C.2.2.2.5) ---------------------------------------------------------------------------- */

static bool is_range_key(const dicom_dataset *keys, const attribute *a, piece *text) {
    text->p = dicom_element_text(dicom_dataset_find(keys, a->tag), &text->n);
    return text->p && dicom_match_classify(a->vr, text->p, text->n) == DICOM_MATCH_RANGE;
}

/* Is this key one of a pair of ranges that count as one? *date and *time: the pair. */
static bool combined_pair(const query_plan *p, const dicom_dataset *keys, const attribute *a, const attribute **date, piece *days, piece *times) {
    static const dicom_tag dates[] = { DICOM_TAG_StudyDate, DICOM_TAG_SeriesDate, DICOM_TAG_ContentDate, DICOM_TAG_PerformedProcedureStepStartDate };
    if (!(p->flags & ARCHIVE_QUERY_COMBINED_DATETIME)) return false;
    for (size_t i = 0; i < GN_ARRAY_LEN(dates); i++) {
        *date = attribute_find(dates[i]);
        const attribute *time = attribute_time_of(*date);
        if (*date == a || time == a) return is_range_key(keys, *date, days) && is_range_key(keys, time, times);
    }
    return false;
}

static int combined_condition(query_plan *p, const attribute *date, const char *column, piece days, piece times, gn_error *e) {
    int32_t from, to;
    dicom_span within;
    if (!dicom_date_range(days.p, days.n, &from, &to)) return bad_key(date->tag, "is not a date or a range of dates", e);
    if (!dicom_time_range(times.p, times.n, &within)) return bad_key(attribute_time_of(date)->tag, "is not a time or a range of times", e);
    int stem = (int)(strrchr(column, '_') - column); /* s.study_date: s.study */
    write_between(p, column, from, to);
    gn_buf_printf(&p->where, " AND (%s > ", column);
    query_number(p, from);
    gn_buf_printf(&p->where, " OR coalesce(%.*s_time, 0) >= ", stem, column);
    query_number(p, within.from);
    gn_buf_printf(&p->where, ") AND (%s < ", column);
    query_number(p, to);
    gn_buf_printf(&p->where, " OR coalesce(%.*s_time, 0) <= ", stem, column);
    query_number(p, within.to);
    query_puts(p, ")");
    return 0;
}

/* ---- one key ----------------------------------------------------------------------------------------------------------- */

/* "s.accession" as a string of its own; notes the table. */
static const char *column_text(query_plan *p, const attribute *a) {
    size_t before = p->where.n;
    query_column(p, a);
    char *copy = gn_arena_strndup(p->arena, (const char *)p->where.p + before, p->where.n - before);
    p->where.n = before;
    if (!copy) p->where.failed = true;
    return copy ? copy : "";
}

/* The value as UTF-8. */
static piece key_text(query_plan *p, const dicom_dataset *keys, const dicom_element *el, dicom_vr vr) {
    size_t n;
    const char *text = dicom_element_text(el, &n);
    const dicom_vr_info *info = dicom_vr_find(vr);
    if (!text || !info || !info->charset) return trimmed(text ? text : "", n);
    gn_buf utf8 = GN_BUF_INIT;
    dicom_charset cs = dicom_charset_of(keys);
    dicom_text_decode(&cs, vr, text, n, &utf8, NULL);
    const char *copy = utf8.n ? gn_arena_memdup(p->arena, utf8.p, utf8.n) : "";
    if (!copy || utf8.failed) p->where.failed = true;
    piece t = trimmed(copy ? copy : "", copy ? utf8.n : 0);
    gn_buf_done(&utf8);
    return t;
}

static int kind_condition(query_plan *p, const attribute *a, const dicom_dataset *keys, const dicom_element *el, piece text, gn_error *e) {
    const attribute *date;
    const char *column = column_text(p, a);
    piece days, times;
    switch (a->kind) {
    case ATTRIBUTE_UID: case ATTRIBUTE_TEXT: return text_condition(p, column, a->vr, text, " IS NULL", e);
    case ATTRIBUTE_PATIENT_ID: return patient_id_condition(p, a, column, text, e);
    case ATTRIBUTE_PATIENT_NAME: case ATTRIBUTE_NAME: return name_condition(p, a, column, text, e);
    case ATTRIBUTE_SET: return set_condition(p, a, column, text, e);
    case ATTRIBUTE_INT: case ATTRIBUTE_COUNT: return int_condition(p, a, column, keys, el, e);
    case ATTRIBUTE_DATE: case ATTRIBUTE_TIME:
        if (!combined_pair(p, keys, a, &date, &days, &times)) return range_condition(p, a, column, text, e);
        if (a == date) return combined_condition(p, a, column, days, times, e);
        query_puts(p, "1 = 1"); /* said with the date */
        return 0;
    default: query_puts(p, "1 = 1"); return 0;
    }
}

static bool is_number(const attribute *a) { return a->vr == DICOM_VR_US; }

/* A key of a level below: some have a twin at the study; others cannot be asked here. */
static int at_level(const query_plan *p, const attribute **a, gn_error *e) {
    if ((*a)->level <= p->level) return 0;
    if (p->level == ARCHIVE_STUDY && (*a)->tag == DICOM_TAG_Modality) *a = attribute_find(DICOM_TAG_ModalitiesInStudy);
    else if (p->level == ARCHIVE_STUDY && (*a)->tag == DICOM_TAG_SOPClassUID) *a = attribute_find(DICOM_TAG_SOPClassesInStudy);
    else return bad_key((*a)->tag, "belongs to a lower level than the query's", e);
    return 0;
}

static int column_key(query_plan *p, const attribute *a, const dicom_dataset *keys, const dicom_element *el, gn_error *e) {
    piece text = is_number(a) ? (piece){ "", 0 } : key_text(p, keys, el, a->vr);
    if (a->kind == ATTRIBUTE_FIXED || (is_number(a) ? !dicom_element_vm(el) : survey_of(a->vr, text).universal)) return 0;
    int rc = at_level(p, &a, e);
    if (rc) return rc;
    size_t before = p->where.n;
    if (before) query_puts(p, " AND ");
    rc = kind_condition(p, a, keys, el, text, e);
    if (rc) gn_error_at(e, "(%04X,%04X)", dicom_tag_group(a->tag), dicom_tag_element(a->tag));
    return rc;
}

/* ---- all keys ---------------------------------------------------------------------------------------------------------- */

/* Attributes that say how to ask or answer. */
static bool is_no_key(dicom_tag tag) {
    switch (tag) {
    case DICOM_TAG_SpecificCharacterSet: case DICOM_TAG_QueryRetrieveLevel: case DICOM_TAG_QueryRetrieveView: case DICOM_TAG_TimezoneOffsetFromUTC:
    case DICOM_TAG_RetrieveAETitle: case DICOM_TAG_RetrieveURL: case DICOM_TAG_StorageMediaFileSetID: case DICOM_TAG_StorageMediaFileSetUID: return true;
    default: return dicom_tag_element(tag) == 0;
    }
}

static bool is_empty(const dicom_element *el) {
    if (!el->items) return el->length == 0 || el->vr == DICOM_VR_SQ;
    for (const dicom_item *item = el->items; item; item = item->next)
        for (size_t i = 0; i < item->dataset->count; i++)
            if (item->dataset->element[i].length || item->dataset->element[i].items) return false;
    return true;
}

typedef struct chosen { const query_plan *plan; const dicom_dataset *keys; query_source source; } chosen;

static bool is_chosen(const void *ctx, dicom_tag tag) {
    const chosen *c = ctx;
    if (is_no_key(tag) || attribute_find(tag) || query_source_of(c->plan, tag) != c->source) return false;
    return !is_empty(dicom_dataset_find(c->keys, tag));
}

/* The keys of one source as a data set of our own, in UTF-8. */
static int make_filter(query_plan *p, const dicom_dataset *keys, query_source source, gn_error *e) {
    chosen c = { p, keys, source };
    gn_buf bytes = GN_BUF_INIT;
    dicom_dataset *filter;
    const dicom_read_options options = { .keep_everything = true };
    int rc = 0;
    encode_dataset(keys, is_chosen, &c, SIZE_MAX, &bytes);
    if (bytes.failed) rc = gn_fail(e, GN_E_NO_MEMORY, "no memory for a query");
    if (!rc && bytes.n) {
        void *copy = gn_arena_memdup(p->arena, bytes.p, bytes.n);
        rc = copy ? dicom_dataset_read(p->arena, dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE), copy, bytes.n, &options, &filter, e)
                  : gn_fail(e, GN_E_NO_MEMORY, "no memory for a query");
        if (!rc) p->filter[source] = filter;
    }
    gn_buf_done(&bytes);
    return rc;
}

/* PS3.4 C.4.1.2.2.1, C.4.1.3.2.1: what a query without relational matching must say. */
static int check_hierarchy(const query_plan *p, const dicom_dataset *keys, gn_error *e) {
    static const dicom_tag unique[] = { DICOM_TAG_PatientID, DICOM_TAG_StudyInstanceUID, DICOM_TAG_SeriesInstanceUID };
    if (p->level == ARCHIVE_PATIENT && (p->flags & ARCHIVE_QUERY_STUDY_ROOT)) return bad_key(DICOM_TAG_QueryRetrieveLevel, "is PATIENT, which Study Root does not have", e);
    if (p->flags & ARCHIVE_QUERY_RELATIONAL) return 0;
    for (int level = ARCHIVE_STUDY; level < (int)p->level; level++) {
        size_t n;
        const char *text = dicom_element_text(dicom_dataset_find(keys, unique[level]), &n);
        if (!text || dicom_match_classify(DICOM_VR_UI, text, n) != DICOM_MATCH_SINGLE) return bad_key(unique[level], "must be one value in a hierarchical query at this level", e);
    }
    return 0;
}

int query_compile_keys(query_plan *p, const dicom_dataset *keys, gn_error *e) {
    if (!keys) return 0;
    int rc = check_hierarchy(p, keys, e);
    for (size_t i = 0; i < keys->count && !rc; i++) {
        const dicom_element *el = &keys->element[i];
        const attribute *a = attribute_find(el->tag);
        if ((el->flags & DICOM_ELEMENT_BULK) && !is_no_key(el->tag)) return bad_key(el->tag, "is too long", e);
        if (a && !is_no_key(el->tag) && !is_empty(el)) rc = column_key(p, a, keys, el, e);
    }
    for (int source = 0; source < QUERY_SOURCES && !rc; source++) rc = make_filter(p, keys, (query_source)source, e);
    return rc;
}
