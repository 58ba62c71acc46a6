/* Worklist queries with known answers, and names of the character set samples: public test data that is not in the repository.
 * GANTRY_TESTDATA names its folder; without it these tests are skipped. */
#include "check.h"
#include "dicom/dicom.h"

#include <stdlib.h>
#include <string.h>

static const char *folder(void) {
    const char *path = getenv("GANTRY_TESTDATA");
    return path ? path : TEST_ROOT "/shared/testdata";
}

static bool load(const char *name, gn_buf *out) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    return gn_file_load(path, 1 << 20, out, NULL) == 0;
}

/* ---- data sets from a dump --------------------------------------------------------------------------------------------- */

/* Lines "(gggg,eeee) VR [value]  # …", sequences with their items below them, as dump2dcm reads them. */
static dicom_dataset *read_dump(gn_arena *arena, char *text) {
    dicom_dataset *ds = dicom_dataset_new(arena, NULL);
    dicom_tag sequence = 0;
    for (char *line = text, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = '\0';
        char *p = line + strspn(line, " "), digits[12] = "";
        dicom_tag tag;
        if (*p != '(' || strlen(p) < 12) continue;
        memcpy(digits, p, 11);
        if (!dicom_tag_parse(digits, &tag)) continue;
        p += 11 + strspn(p + 11, " ");
        if (tag == DICOM_TAG_Item) CHECK_INT(dicom_dataset_add_item(ds, sequence, &ds, NULL), 0);
        else if (tag == DICOM_TAG_ItemDelimitationItem) ds = ds->parent;
        if (tag >= 0xFFFE0000u) continue;
        dicom_vr vr = DICOM_VR((unsigned char)p[0], (unsigned char)p[1]);
        if (vr == DICOM_VR_SQ) {
            sequence = tag;
            CHECK_INT(dicom_dataset_put_sequence(ds, tag, NULL), 0);
            continue;
        }
        p += 2 + strspn(p + 2, " ");
        size_t n = *p == '[' ? strcspn(++p, "]") : strcspn(p, "\r#");
        while (n && p[n - 1] == ' ') n--;
        p[n] = '\0';
        dicom_dataset_put_string(ds, tag, vr, p, NULL);
    }
    while (ds->parent) ds = ds->parent;
    return ds;
}

static dicom_dataset *load_dump(gn_arena *arena, const char *prefix, int number) {
    char name[64];
    gn_buf text = GN_BUF_INIT;
    snprintf(name, sizeof name, "worklist/%s%d.dump", prefix, number);
    dicom_dataset *ds = load(name, &text) ? read_dump(arena, (char *)text.p) : NULL;
    gn_buf_done(&text);
    return ds;
}

/* How often `"key": … "Value": [ "value" or { "Alphabetic": "value" } ]` is in the expected answers. */
static int count_in_answers(const char *json, const char *key, const char *value) {
    int count = 0;
    char quoted[128];
    snprintf(quoted, sizeof quoted, "\"%s\"", value);
    for (const char *p = json; (p = strstr(p, key)) != NULL; p++) {
        const char *end = strstr(p, "]"), *found = strstr(p, quoted);
        count += found && end && found < end;
    }
    return count;
}

static int count_answers(const char *json) { /* objects at the first level are indented by one space */
    int count = 0;
    for (const char *p = json; (p = strstr(p, "\n {")) != NULL; p++) count++;
    return count;
}

static void check_query(int number) {
    char name[64];
    gn_arena *arena = gn_arena_new(4 << 20);
    gn_buf json = GN_BUF_INIT;
    dicom_dataset *keys = load_dump(arena, "queries/wlistqry", number);
    snprintf(name, sizeof name, "worklist/expected/q%d.json", number);
    if (!keys || !load(name, &json)) {
        gn_arena_free(&arena);
        SKIP("no worklist data");
    }
    int found = 0;
    for (int i = 1; i <= 10; i++) {
        dicom_dataset *entry = load_dump(arena, "db/wklist", i);
        REQUIRE(entry != NULL);
        const dicom_element *steps = dicom_dataset_find(entry, DICOM_TAG_ScheduledProcedureStepSequence);
        REQUIRE(steps && steps->items);
        const char *id = dicom_dataset_ascii(steps->items->dataset, DICOM_TAG_ScheduledProcedureStepID);
        bool match = dicom_match_dataset(keys, entry, false);
        found += match;
        if (number != 0) CHECK_INT(count_in_answers((const char *)json.p, "00400009", id), match);
        if (match) CHECK(count_in_answers((const char *)json.p, "00100010", dicom_dataset_ascii(entry, DICOM_TAG_PatientName)) > 0);
    }
    CHECK_INT(found, count_answers((const char *)json.p));
    gn_buf_done(&json);
    gn_arena_free(&arena);
}

TEST(worklist_query_0) { check_query(0); }
TEST(worklist_query_1) { check_query(1); }
TEST(worklist_query_3) { check_query(3); }
TEST(worklist_query_5) { check_query(5); }
TEST(worklist_query_6) { check_query(6); }
TEST(worklist_query_9) { check_query(9); }
TEST(worklist_query_12) { check_query(12); }

/* ---- names of the character set samples -------------------------------------------------------------------------------- */

/* The first element of that tag, in the data set or, with `below`, an item of it. */
static const char *find_name(const dicom_dataset *ds, dicom_tag tag, bool below) {
    if (!below || dicom_dataset_find(ds, tag)) return dicom_dataset_utf8(ds, tag);
    for (size_t i = 0; i < ds->count; i++)
        for (const dicom_item *item = ds->element[i].items; item; item = item->next)
            if (dicom_dataset_find(item->dataset, tag)) return dicom_dataset_utf8(item->dataset, tag);
    return "";
}

/* One line of EXPECTED_NAMES.csv: path, "element", set (may be quoted and hold commas), name, … */
static bool check_name(char *line) {
    char *element = strchr(line, ','), *p = element ? element + 1 : NULL;
    if (!p || strncmp(line, "charset/", 8) != 0) return false;
    *element++ = '\0';
    bool nested = strstr(p, "nested") && strstr(p, "nested") < strchr(p + 1, '"');
    char *open = strchr(p, '('), digits[12];
    unsigned group, number;
    if (!open || sscanf(open, "(%4x,%4x)", &group, &number) != 2) return false;
    snprintf(digits, sizeof digits, "%04X%04X", group, number);
    p = strchr(p + 1, '"') + 2;
    p = *p == '"' ? strchr(p + 1, '"') + 2 : strchr(p, ',') + 1;
    *strchr(p, ',') = '\0';
    gn_arena *arena = gn_arena_new(4 << 20);
    gn_buf bytes = GN_BUF_INIT;
    dicom_file file;
    dicom_tag tag;
    CHECK(dicom_tag_parse(digits, &tag));
    bool read = load(line, &bytes) && dicom_file_read(arena, bytes.p, bytes.n, NULL, &file, NULL) == 0;
    (void)check_true(read, __FILE__, __LINE__, line);
    if (read) { /* the list has names without empty groups at the end */
        char name[256];
        snprintf(name, sizeof name, "%s", find_name(file.dataset, tag, nested));
        for (size_t n = strlen(name); n && name[n - 1] == '='; n--) name[n - 1] = '\0';
        (void)check_str(name, p, __FILE__, __LINE__, line);
    }
    gn_buf_done(&bytes);
    gn_arena_free(&arena);
    return true;
}

TEST(names_of_the_samples) {
    gn_buf list = GN_BUF_INIT;
    int checked = 0;
    if (!load("charset/EXPECTED_NAMES.csv", &list)) SKIP("no character set samples");
    for (char *line = (char *)list.p, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = '\0';
        checked += check_name(line);
    }
    CHECK(checked >= 10);
    gn_buf_done(&list);
}
