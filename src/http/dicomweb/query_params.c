/* query_params: the query string of QIDO-RS (PS3.18 §8.3.4, §10.6.1.2) as a data set of keys and a list of wanted attributes.
 *
 * Attributes are named by keyword or by eight hexadecimal digits, those in sequences by a path with dots. Values are UTF-8. What we do not know is refused
 * and named, because a filter that is silently left out shows the wrong patients. Lists are separated by comma where no value can hold one
 * (UIDs, codes, numbers) and by backslash everywhere. */
#include "query.h"

#include <stdlib.h>

enum { PATH_MAX_DEPTH = 16, KEYS_MAX = 256, VALUE_MAX = 1 << 20 };

static int bad(search *s, const char *key, gn_error *e, const char *what) {
    s->wrong = key;
    return gn_fail(e, GN_E_INVALID, "%.64s: %s", key, what);
}

int search_init(search *s, gn_arena *arena, archive_level level, gn_error *e) {
    *s = (search){ .arena = arena, .level = level };
    s->keys = dicom_dataset_new(arena, e);
    if (!s->keys) return GN_E_NO_MEMORY;
    s->wanted = gn_arena_alloc(arena, SEARCH_FIELDS * sizeof *s->wanted);
    if (!s->wanted) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a search");
    return dicom_dataset_put_string(s->keys, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, "ISO_IR 192", e);
}

/* ---- names of attributes ----------------------------------------------------------------------------------------------- */

static bool parse_name(const char *p, size_t n, dicom_tag *tag) {
    char name[80];
    if (n == 0 || n >= sizeof name) return false;
    memcpy(name, p, n);
    name[n] = '\0';
    if (n == 8 && strspn(name, "0123456789abcdefABCDEF") == 8) {
        *tag = (dicom_tag)strtoul(name, NULL, 16);
        return true;
    }
    const dicom_dict_entry *entry = dicom_dict_by_keyword(name);
    if (entry) *tag = entry->tag;
    return entry != NULL;
}

/* "00400275.00400007" into tags; 0: no such attribute. */
static size_t parse_path(const char *text, size_t n, dicom_tag *path) {
    size_t depth = 0;
    for (const char *p = text, *end = text + n;; depth++) {
        const char *dot = memchr(p, '.', (size_t)(end - p));
        if (depth == PATH_MAX_DEPTH || !parse_name(p, (size_t)((dot ? dot : end) - p), &path[depth])) return 0;
        if (dicom_tag_group(path[depth]) < 0x0008) return 0; /* of commands and files, not of data sets */
        if (!dot) return depth + 1;
        p = dot + 1;
    }
}

static dicom_vr vr_of(dicom_tag tag) {
    const dicom_dict_entry *entry = dicom_dict_find(tag);
    return entry ? entry->vr : DICOM_VR_UN;
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

static bool comma_separates(dicom_vr vr) {
    switch (vr) {
    case DICOM_VR_UI: case DICOM_VR_CS: case DICOM_VR_IS: case DICOM_VR_DS: case DICOM_VR_AE: case DICOM_VR_AT: case DICOM_VR_US: case DICOM_VR_SS: case DICOM_VR_UL:
    case DICOM_VR_SL: case DICOM_VR_UV: case DICOM_VR_SV: case DICOM_VR_FL: case DICOM_VR_FD: return true;
    default: return false;
    }
}

static size_t put_whole(dicom_vr vr, long long v, uint8_t *out) {
    switch (vr) {
    case DICOM_VR_US: if (v < 0 || v > UINT16_MAX) return 0; gn_store_le16(out, (uint16_t)v); return 2;
    case DICOM_VR_SS: if (v < INT16_MIN || v > INT16_MAX) return 0; gn_store_le16(out, (uint16_t)v); return 2;
    case DICOM_VR_UL: if (v < 0 || v > UINT32_MAX) return 0; gn_store_le32(out, (uint32_t)v); return 4;
    case DICOM_VR_SL: if (v < INT32_MIN || v > INT32_MAX) return 0; gn_store_le32(out, (uint32_t)v); return 4;
    case DICOM_VR_UV: if (v < 0) return 0; gn_store_le64(out, (uint64_t)v); return 8;
    default: gn_store_le64(out, (uint64_t)v); return 8;
    }
}

static size_t put_real(dicom_vr vr, double v, uint8_t *out) {
    if (vr == DICOM_VR_FL) {
        float single = (float)v;
        uint32_t bits;
        memcpy(&bits, &single, 4);
        gn_store_le32(out, bits);
        return 4;
    }
    uint64_t bits;
    memcpy(&bits, &v, 8);
    gn_store_le64(out, bits);
    return 8;
}

/* One number of the text as the VR encodes it. 0: it is none. */
static size_t put_number(dicom_vr vr, const char *text, uint8_t *out) {
    char *end;
    if (!*text) return 0;
    if (vr == DICOM_VR_AT) {
        if (strlen(text) != 8 || strspn(text, "0123456789abcdefABCDEF") != 8) return 0;
        unsigned long tag = strtoul(text, NULL, 16);
        gn_store_le16(out, (uint16_t)(tag >> 16));
        gn_store_le16(out + 2, (uint16_t)tag);
        return 4;
    }
    if (vr == DICOM_VR_FL || vr == DICOM_VR_FD) {
        double real = strtod(text, &end);
        return *end ? 0 : put_real(vr, real, out);
    }
    long long whole = strtoll(text, &end, 10);
    return *end ? 0 : put_whole(vr, whole, out);
}

static int put_numbers(search *s, dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const char *key, char *list, gn_error *e) {
    gn_buf bytes = { .limit = 65536 };
    bool wrong = false;
    for (char *p = list; p && !wrong;) {
        char *stop = strchr(p, '\\');
        if (stop) *stop = '\0';
        uint8_t number[8];
        size_t n = put_number(vr, p, number);
        if (n) gn_buf_append(&bytes, number, n);
        else wrong = true;
        p = stop ? stop + 1 : NULL;
    }
    int rc = wrong ? bad(s, key, e, "is not a number of this attribute's kind") : bytes.failed ? bad(s, key, e, "has too many values") : dicom_dataset_put(ds, tag, vr, bytes.p, bytes.n, e);
    gn_buf_done(&bytes);
    return rc;
}

static bool is_binary_number(dicom_vr vr) { return comma_separates(vr) && vr != DICOM_VR_UI && vr != DICOM_VR_CS && vr != DICOM_VR_IS && vr != DICOM_VR_DS && vr != DICOM_VR_AE; }

/* A value into a data set; a second one of the same attribute makes a list with the first. */
static int put_value(search *s, dicom_dataset *ds, dicom_tag tag, const char *key, const char *value, gn_error *e) {
    dicom_vr vr = vr_of(tag);
    const dicom_vr_info *info = dicom_vr_find(vr);
    size_t n, before;
    if (vr == DICOM_VR_SQ) return *value ? bad(s, key, e, "is a sequence: name an attribute inside it, with a dot between") : dicom_dataset_put_sequence(ds, tag, e);
    if (!is_binary_number(vr) && vr != DICOM_VR_UN && (!info || !info->text)) return *value ? bad(s, key, e, "holds bulk data, which cannot be searched") : 0;
    if (!*value) return dicom_dataset_find(ds, tag) ? 0 : dicom_dataset_put(ds, tag, vr, "", 0, e);
    const char *old = dicom_element_text(dicom_dataset_find(ds, tag), &before);
    if (old && before && !is_binary_number(vr)) value = gn_arena_printf(s->arena, "%.*s\\%s", (int)before, old, value);
    char *list = value ? gn_arena_strdup(s->arena, value) : NULL;
    if (!list) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a search");
    n = strlen(list);
    if (comma_separates(vr))
        for (size_t i = 0; i < n; i++)
            if (list[i] == ',') list[i] = '\\';
    if (is_binary_number(vr)) return put_numbers(s, ds, tag, vr, key, list, e);
    return dicom_dataset_put(ds, tag, vr, list, n, e);
}

static bool is_utf8_text(const char *p) {
    size_t n = strlen(p);
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)p[i] < 0x20 || p[i] == 0x7F) return false;
    return gn_utf8_valid((const uint8_t *)p, n);
}

static int want(search *s, const char *key, dicom_tag tag, gn_error *e) {
    for (size_t i = 0; i < s->wanted_count; i++)
        if (s->wanted[i] == tag) return 0;
    if (s->wanted_count == SEARCH_FIELDS) return bad(s, key, e, "too many attributes are asked for");
    s->wanted[s->wanted_count++] = tag;
    return 0;
}

/* The item in which the last attribute of a path is matched; of each sequence the first one. */
static int item_of(dicom_dataset **ds, const dicom_tag *path, size_t depth, gn_error *e) {
    for (size_t i = 0; i + 1 < depth; i++) {
        const dicom_element *el = dicom_dataset_find(*ds, path[i]);
        if (el && el->items) {
            *ds = el->items->dataset;
            continue;
        }
        int rc = dicom_dataset_add_item(*ds, path[i], ds, e);
        if (rc) return rc;
    }
    return 0;
}

static int add_key(search *s, const char *key, const char *value, gn_error *e) {
    dicom_tag path[PATH_MAX_DEPTH];
    dicom_dataset *ds = s->keys;
    size_t depth = parse_path(key, strlen(key), path);
    if (!depth) return bad(s, key, e, "is neither an attribute nor a parameter of a search");
    for (size_t i = 0; i + 1 < depth; i++)
        if (vr_of(path[i]) != DICOM_VR_SQ && !dicom_tag_is_private(path[i])) return bad(s, key, e, "names an attribute inside one that is no sequence");
    if (strlen(value) > VALUE_MAX) return bad(s, key, e, "is too long");
    if (!is_utf8_text(value)) return bad(s, key, e, "is not UTF-8 text");
    if (s->keys->count >= KEYS_MAX) return bad(s, key, e, "is one key too many");
    int rc = want(s, key, path[0], e);
    if (rc || path[depth - 1] == DICOM_TAG_SpecificCharacterSet) return rc;
    rc = item_of(&ds, path, depth, e);
    return rc ? rc : put_value(s, ds, path[depth - 1], key, value, e);
}

/* ---- the other parameters ---------------------------------------------------------------------------------------------- */

static int add_number(search *s, const char *key, const char *value, uint64_t *out, gn_error *e) {
    size_t n = strlen(value);
    if (n == 0 || n > 18 || strspn(value, "0123456789") != n) return bad(s, key, e, "must be a whole number of 0 or more");
    *out = strtoull(value, NULL, 10);
    return 0;
}

static int add_bool(search *s, const char *key, const char *value, bool *out, gn_error *e) {
    *out = !strcmp(value, "true");
    return *out || !strcmp(value, "false") ? 0 : bad(s, key, e, "must be true or false");
}

static int add_fields(search *s, const char *key, const char *value, gn_error *e) {
    dicom_tag path[PATH_MAX_DEPTH];
    for (const char *p = value; p;) {
        const char *comma = strchr(p, ',');
        size_t n = comma ? (size_t)(comma - p) : strlen(p);
        while (n && *p == ' ') p++, n--;
        while (n && p[n - 1] == ' ') n--;
        if (n == 3 && !memcmp(p, "all", 3)) s->all = true;
        else if (n && !parse_path(p, n, path)) return bad(s, key, e, "names an attribute that is not known");
        else if (n) {
            int rc = want(s, key, path[0], e); /* of a sequence always the whole */
            if (rc) return rc;
        }
        p = comma ? comma + 1 : NULL;
    }
    return 0;
}

int search_add(search *s, const char *key, const char *value, gn_error *e) {
    bool ignored;
    if (!strcmp(key, "limit")) {
        s->limited = true;
        return add_number(s, key, value, &s->limit, e);
    }
    if (!strcmp(key, "offset")) return add_number(s, key, value, &s->offset, e);
    if (!strcmp(key, "includefield")) return add_fields(s, key, value, e);
    if (!strcmp(key, "fuzzymatching")) return add_bool(s, key, value, &s->fuzzy, e);
    if (!strcmp(key, "emptyvaluematching") || !strcmp(key, "multiplevaluematching")) return add_bool(s, key, value, &ignored, e); /* both are always on */
    if (!strcmp(key, "accept") || !strcmp(key, "charset")) return 0;
    return add_key(s, key, value, e);
}

int search_add_path(search *s, dicom_tag tag, const char *uid, bool *nothing, gn_error *e) {
    size_t n, length = strlen(uid);
    const char *text = dicom_element_text(dicom_dataset_find(s->keys, tag), &n);
    if (text && n && strcmp(text, "*") != 0) {
        bool found = false;
        for (const char *p = text, *end = text + n; p < end;) {
            const char *stop = memchr(p, '\\', (size_t)(end - p));
            if (!stop) stop = end;
            if ((size_t)(stop - p) == length && !memcmp(p, uid, length)) found = true;
            p = stop + 1;
        }
        if (!found) *nothing = true;
    }
    return dicom_dataset_put_string(s->keys, tag, DICOM_VR_UI, uid, e);
}

/* ---- what every answer has --------------------------------------------------------------------------------------------- */

#define T(keyword) DICOM_TAG_##keyword
static const dicom_tag of_study[] = { T(StudyDate), T(StudyTime), T(AccessionNumber), T(InstanceAvailability), T(ModalitiesInStudy), T(ReferringPhysicianName), T(PatientName),
    T(PatientID), T(PatientBirthDate), T(PatientSex), T(StudyInstanceUID), T(StudyID), T(NumberOfStudyRelatedSeries), T(NumberOfStudyRelatedInstances) };
static const dicom_tag of_series[] = { T(Modality), T(SeriesDescription), T(StudyInstanceUID), T(SeriesInstanceUID), T(SeriesNumber), T(NumberOfSeriesRelatedInstances),
    T(PerformedProcedureStepStartDate), T(PerformedProcedureStepStartTime), T(RequestAttributesSequence) };
static const dicom_tag of_instance[] = { T(SOPClassUID), T(SOPInstanceUID), T(InstanceAvailability), T(StudyInstanceUID), T(SeriesInstanceUID), T(InstanceNumber), T(Rows),
    T(Columns), T(BitsAllocated), T(NumberOfFrames) };
#undef T

static int want_all(search *s, const dicom_tag *tags, size_t n, gn_error *e) {
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) rc = want(s, "includefield", tags[i], e);
    return rc;
}

static int by_number(const void *a, const void *b) {
    dicom_tag x = *(const dicom_tag *)a, y = *(const dicom_tag *)b;
    return (x > y) - (x < y);
}

int search_finish(search *s, bool in_study, bool in_series, gn_error *e) {
    static const dicom_tag always[] = { DICOM_TAG_SpecificCharacterSet, DICOM_TAG_RetrieveURL };
    int rc = want_all(s, always, GN_ARRAY_LEN(always), e);
    if (!rc && (s->level == ARCHIVE_STUDY || !in_study)) rc = want_all(s, of_study, GN_ARRAY_LEN(of_study), e);
    if (!rc && s->level >= ARCHIVE_SERIES && !in_series) rc = want_all(s, of_series, GN_ARRAY_LEN(of_series), e);
    if (!rc && s->level == ARCHIVE_IMAGE) rc = want_all(s, of_instance, GN_ARRAY_LEN(of_instance), e);
    if (!rc && s->all) {
        dicom_tag known[SEARCH_FIELDS];
        rc = want_all(s, known, archive_known_attributes(s->level, known, SEARCH_FIELDS), e);
    }
    if (!rc) qsort(s->wanted, s->wanted_count, sizeof *s->wanted, by_number);
    return rc;
}
