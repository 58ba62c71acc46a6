/* match_dataset: a whole identifier of a query against a data set (PS3.4 C.2.2.2), as for a worklist or a check in memory.
 *
 * Each key is matched by the kind that its VR and value ask for; all must match. Of attributes with several values any may
 * match, and so may any value of a key, whether a list of UIDs or of codes. A pair of date and time whose keys are both ranges
 * is matched as one range of moments (C.2.2.2.5). Text is compared in UTF-8, each side by its own character set; without
 * regard to case only in names. Sequences go down to DICOM_MAX_DEPTH. Nothing is allocated in the data sets' arenas, so a
 * data set may be matched by several threads. */
#include "match.h"

typedef struct matching {
    const dicom_dataset *keys, *ds; /* ds: NULL, an item that is not there */
    const dicom_dataset *keys_top, *ds_top;
    bool fuzzy;
} matching;

/* ---- values as text ---------------------------------------------------------------------------------------------------- */

static bool is_ascii(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)p[i] >= 0x80 || p[i] == 0x1B) return false;
    return true;
}

/* The whole text of an element as UTF-8: as it lies there when it is ASCII, else in `room`, which the caller frees. */
static match_text text_of(const dicom_dataset *ds, const dicom_element *el, gn_buf *room) {
    size_t n;
    const char *p = dicom_element_text(el, &n);
    if (!p) return (match_text){ "", 0 };
    if (is_ascii(p, n)) return (match_text){ p, n };
    const dicom_vr_info *vr = dicom_vr_find(el->vr);
    dicom_charset cs = vr && vr->charset ? dicom_charset_of(ds) : dicom_charset_parse(NULL, 0);
    dicom_text_decode(&cs, el->vr, p, n, room, NULL);
    return room->failed || !room->p ? (match_text){ "", 0 } : (match_text){ (const char *)room->p, room->n };
}

static bool is_empty(const dicom_element *el) { return !el || (el->length == 0 && !el->items); }

static bool splits(dicom_vr vr) {
    const dicom_vr_info *info = dicom_vr_find(vr);
    return info && info->multi;
}

/* ---- single values ----------------------------------------------------------------------------------------------------- */

static bool dates_match(match_text key, match_text value) {
    int32_t from, to, first, last;
    if (!dicom_date_range(key.p, key.n, &from, &to) || !dicom_date_range(value.p, value.n, &first, &last)) return false;
    return first >= from && first <= to;
}

static bool times_match(match_text key, match_text value) {
    dicom_span want, have;
    if (!dicom_time_range(key.p, key.n, &want) || !dicom_time_range(value.p, value.n, &have)) return false;
    return have.from >= want.from && have.from <= want.to;
}

/* Timezone Offset From UTC (0008,0201), in minutes; 0 when it is not said. */
static int utc_offset(const dicom_dataset *ds) {
    char text[8];
    if (!ds || dicom_dataset_ascii_into(ds, DICOM_TAG_TimezoneOffsetFromUTC, text, sizeof text) != 5) return 0;
    for (size_t i = 1; i < 5; i++)
        if (text[i] < '0' || text[i] > '9') return 0;
    int minutes = ((text[1] - '0') * 10 + (text[2] - '0')) * 60 + (text[3] - '0') * 10 + (text[4] - '0');
    return text[0] == '-' ? -minutes : minutes;
}

static bool datetimes_match(const matching *m, match_text key, match_text value) {
    dicom_span want, have;
    if (!dicom_datetime_range(key.p, key.n, utc_offset(m->keys_top), &want)) return false;
    if (!dicom_datetime_range(value.p, value.n, utc_offset(m->ds_top), &have)) return false;
    return have.from >= want.from && have.from <= want.to;
}

static bool same_text(match_text a, match_text b) { return a.n == b.n && memcmp(a.p, b.p, a.n) == 0; }

static bool names_match(const matching *m, match_text key, match_text value) {
    return dicom_match_name(key.p, key.n, value.p, value.n) || (m->fuzzy && dicom_match_name_fuzzy(key.p, key.n, value.p, value.n));
}

static bool value_matches(const matching *m, dicom_vr vr, match_text key, match_text value) {
    if (vr == DICOM_VR_PN) return names_match(m, key, value);
    switch (dicom_match_classify(vr, key.p, key.n)) {
    case DICOM_MATCH_UNIVERSAL: return true;
    case DICOM_MATCH_EMPTY: return value.n == 0;
    case DICOM_MATCH_WILDCARD: return dicom_match_wildcard(key.p, key.n, value.p, value.n, false);
    default: break;
    }
    switch (vr) {
    case DICOM_VR_DA: return dates_match(key, value);
    case DICOM_VR_TM: return times_match(key, value);
    case DICOM_VR_DT: return datetimes_match(m, key, value);
    default: return same_text(key, value);
    }
}

/* Any value of the key against any value of the attribute. */
static bool texts_match(const matching *m, dicom_vr vr, match_text key, match_text value) {
    if (!splits(vr)) return value_matches(m, vr, key, value);
    for (size_t k = 0;; k++) {
        match_text want = match_piece(key, '\\', k);
        if (!want.p) return false;
        for (size_t v = 0;; v++) {
            match_text have = match_piece(value, '\\', v);
            if (!have.p) break;
            if (value_matches(m, vr, match_trimmed(want), match_trimmed(have))) return true;
        }
    }
}

/* ---- numbers and bytes ------------------------------------------------------------------------------------------------- */

static bool is_number(dicom_vr vr) {
    switch (vr) {
    case DICOM_VR_US: case DICOM_VR_SS: case DICOM_VR_UL: case DICOM_VR_SL: case DICOM_VR_UV: case DICOM_VR_SV: case DICOM_VR_FL:
    case DICOM_VR_FD: case DICOM_VR_AT: case DICOM_VR_IS: case DICOM_VR_DS: return true;
    default: return false;
    }
}

/* Whole numbers as such, since 64 bits do not fit a double. */
static bool one_number_matches(const matching *m, const dicom_element *key, size_t k, const dicom_element *el, size_t v) {
    int64_t a, b;
    double x, y;
    if (dicom_element_int(m->keys, key, k, &a) && dicom_element_int(m->ds, el, v, &b)) return a == b;
    return dicom_element_double(m->keys, key, k, &x) && dicom_element_double(m->ds, el, v, &y) && !(x < y) && !(x > y);
}

static bool numbers_match(const matching *m, const dicom_element *key, const dicom_element *el) {
    size_t nk = dicom_element_vm(key), nv = dicom_element_vm(el);
    for (size_t k = 0; k < nk; k++)
        for (size_t v = 0; v < nv; v++)
            if (one_number_matches(m, key, k, el, v)) return true;
    return false;
}

/* ---- keys -------------------------------------------------------------------------------------------------------------- */

/* Attributes of the identifier that say how to read or answer it, and match nothing. */
static bool is_no_key(dicom_tag tag) {
    switch (tag) {
    case DICOM_TAG_SpecificCharacterSet: case DICOM_TAG_QueryRetrieveLevel: case DICOM_TAG_QueryRetrieveView:
    case DICOM_TAG_TimezoneOffsetFromUTC: return true;
    default: return dicom_tag_element(tag) == 0;
    }
}

static bool is_bulk(const dicom_element *el) { return (el->flags & DICOM_ELEMENT_BULK) != 0; }

static bool text_key_matches(const matching *m, dicom_vr vr, const dicom_element *key, const dicom_element *el) {
    gn_buf key_room = GN_BUF_INIT, room = GN_BUF_INIT;
    match_text want = text_of(m->keys, key, &key_room);
    dicom_match_kind kind = dicom_match_classify(vr, want.p, want.n);
    bool result = kind == DICOM_MATCH_UNIVERSAL || (kind == DICOM_MATCH_EMPTY && is_empty(el));
    if (!result && kind != DICOM_MATCH_EMPTY && el && !is_empty(el)) result = texts_match(m, vr, want, text_of(m->ds, el, &room));
    gn_buf_done(&key_room);
    gn_buf_done(&room);
    return result;
}

/* A key that is not a sequence. */
static bool key_matches(const matching *m, const dicom_element *key) {
    if (is_empty(key)) return true;
    if (is_bulk(key)) return false;
    const dicom_element *el = m->ds ? dicom_dataset_find(m->ds, key->tag) : NULL;
    dicom_vr vr = key->vr == DICOM_VR_UN && el ? el->vr : key->vr;
    const dicom_vr_info *info = dicom_vr_find(vr);
    size_t n;
    const char *text = dicom_element_text(key, &n);
    bool quotes = n == 2 && memcmp(text, "\"\"", 2) == 0;
    if (is_number(vr) && !quotes) return el && !is_empty(el) && !is_bulk(el) && numbers_match(m, key, el);
    if (quotes || (info && info->text)) return text_key_matches(m, vr, key, el);
    return el && el->value && key->value && el->length == key->length && memcmp(el->value, key->value, el->length) == 0;
}

/* ---- moments ----------------------------------------------------------------------------------------------------------- */

/* A date and the time that goes with it. */
static const struct { dicom_tag date, time; } moments[] = {
    { DICOM_TAG_StudyDate, DICOM_TAG_StudyTime },
    { DICOM_TAG_SeriesDate, DICOM_TAG_SeriesTime },
    { DICOM_TAG_AcquisitionDate, DICOM_TAG_AcquisitionTime },
    { DICOM_TAG_ContentDate, DICOM_TAG_ContentTime },
    { DICOM_TAG_InstanceCreationDate, DICOM_TAG_InstanceCreationTime },
    { DICOM_TAG_PatientBirthDate, DICOM_TAG_PatientBirthTime },
    { DICOM_TAG_ScheduledProcedureStepStartDate, DICOM_TAG_ScheduledProcedureStepStartTime },
    { DICOM_TAG_ScheduledProcedureStepEndDate, DICOM_TAG_ScheduledProcedureStepEndTime },
    { DICOM_TAG_PerformedProcedureStepStartDate, DICOM_TAG_PerformedProcedureStepStartTime },
    { DICOM_TAG_PerformedProcedureStepEndDate, DICOM_TAG_PerformedProcedureStepEndTime },
};

/* The other half of the pair of `tag`; 0: it has none. */
static dicom_tag other_half(dicom_tag tag, bool *is_date) {
    for (size_t i = 0; i < GN_ARRAY_LEN(moments); i++) {
        *is_date = tag == moments[i].date;
        if (*is_date) return moments[i].time;
        if (tag == moments[i].time) return moments[i].date;
    }
    return 0;
}

static bool range_text(const dicom_element *el, match_text *t) {
    t->p = el && !is_bulk(el) ? dicom_element_text(el, &t->n) : NULL;
    return t->p && dicom_match_classify(el->vr, t->p, t->n) == DICOM_MATCH_RANGE;
}

/* Both ends of the ranges joined: from the first date and time to the last. A value without a time counts as its day's start. */
static bool moment_matches(const matching *m, dicom_tag date_tag, match_text date, match_text time) {
    int32_t from, to, day, same;
    dicom_span within, moment = { 0, 0 };
    match_text value = { NULL, 0 };
    const dicom_element *el = m->ds ? dicom_dataset_find(m->ds, date_tag) : NULL;
    bool is_date;
    if (el) value.p = dicom_element_text(el, &value.n);
    if (!value.p || !dicom_date_range(value.p, value.n, &day, &same)) return false;
    if (!dicom_date_range(date.p, date.n, &from, &to) || !dicom_time_range(time.p, time.n, &within)) return false;
    el = dicom_dataset_find(m->ds, other_half(date_tag, &is_date));
    value.p = el ? dicom_element_text(el, &value.n) : NULL;
    if (value.p && !dicom_time_range(value.p, value.n, &moment)) return false;
    return (day > from || (day == from && moment.from >= within.from)) && (day < to || (day == to && moment.from <= within.to));
}

/* Is this key half of a pair of ranges? Then *result is that of the pair, counted with its date; its time always matches. */
static bool pair_matches(const matching *m, const dicom_element *key, bool *result) {
    bool is_date;
    match_text mine, others;
    dicom_tag other = other_half(key->tag, &is_date);
    if (other == 0 || !range_text(key, &mine) || !range_text(dicom_dataset_find(m->keys, other), &others)) return false;
    *result = !is_date || moment_matches(m, key->tag, mine, others);
    return true;
}

/* ---- identifiers ------------------------------------------------------------------------------------------------------- */

static bool identifier_matches(matching m, unsigned depth);

/* Every item of the key must match some item; where there is none, one in which nothing is. */
static bool sequence_matches(const matching *m, const dicom_element *key, unsigned depth) {
    const dicom_element *el = m->ds ? dicom_dataset_find(m->ds, key->tag) : NULL;
    for (const dicom_item *want = key->items; want; want = want->next) {
        bool found = false;
        matching inner = *m;
        inner.keys = want->dataset;
        inner.ds = NULL;
        if (!el || !el->items) found = identifier_matches(inner, depth + 1);
        for (const dicom_item *have = el ? el->items : NULL; have && !found; have = have->next) {
            inner.ds = have->dataset;
            found = identifier_matches(inner, depth + 1);
        }
        if (!found) return false;
    }
    return true;
}

/* Calls itself for sequences, at most DICOM_MAX_DEPTH deep; deeper ones match nothing. */
static bool identifier_matches(matching m, unsigned depth) {
    if (depth > DICOM_MAX_DEPTH) return false;
    for (size_t i = 0; i < m.keys->count; i++) {
        const dicom_element *key = &m.keys->element[i];
        bool result;
        if (is_no_key(key->tag)) continue;
        if (key->vr == DICOM_VR_SQ || key->items) result = sequence_matches(&m, key, depth);
        else if (!pair_matches(&m, key, &result)) result = key_matches(&m, key);
        if (!result) return false;
    }
    return true;
}

bool dicom_match_dataset(const dicom_dataset *keys, const dicom_dataset *ds, bool fuzzy_names) {
    return identifier_matches((matching){ .keys = keys, .ds = ds, .keys_top = keys, .ds_top = ds, .fuzzy = fuzzy_names }, 1);
}
