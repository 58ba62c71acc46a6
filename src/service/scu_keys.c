/* scu_keys: puts a query identifier together from what people write: KEYWORD=VALUE, tags as numbers, sequences by a dot.
 *
 * Values are UTF-8; a Specific Character Set is only sent when one is not plain ASCII, because old peers know little of UTF-8. */
#include "scu.h"

#include "suggest.h"

#include <stdlib.h>
#include <strings.h>

static const char *const level_words[] = { "PATIENT", "STUDY", "SERIES", "IMAGE", "WORKLIST" };

bool scu_level_parse(const char *text, scu_level *level) {
    for (size_t i = 0; i < GN_ARRAY_LEN(level_words); i++) {
        if (strcasecmp(text, level_words[i]) != 0) continue;
        *level = (scu_level)i;
        return true;
    }
    if (strcasecmp(text, "INSTANCE") != 0) return false;
    *level = SCU_IMAGE;
    return true;
}

const char *scu_level_text(scu_level l) { return level_words[l]; }

int scu_keys_init(scu_keys *k, gn_error *e) {
    *k = (scu_keys){ .arena = gn_arena_new((size_t)16 * 1024 * 1024) };
    if (!k->arena) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the query");
    k->dataset = dicom_dataset_new(k->arena, e);
    return k->dataset ? 0 : GN_E_NO_MEMORY;
}

void scu_keys_done(scu_keys *k) { gn_arena_free(&k->arena); }

static int unknown_keyword(const char *word, gn_error *e) {
    const char *best = NULL;
    unsigned distance = 0;
    for (size_t i = 0; i < dicom_dict_count(); i++)
        if (dicom_dict_at(i)->keyword && *dicom_dict_at(i)->keyword)
            suggest_consider(word, dicom_dict_at(i)->keyword, &best, &distance);
    if (best) return gn_fail(e, GN_E_INVALID, "there is no keyword \"%.60s\"; did you mean %s?", word, best);
    return gn_fail(e, GN_E_INVALID, "there is no keyword \"%.60s\"; a tag is written 0010,0010", word);
}

static dicom_vr vr_of(dicom_tag tag) {
    const dicom_dict_entry *d = dicom_dict_find(tag);
    return d && d->vr ? d->vr : DICOM_VR_LO;
}

static int put_number(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const char *value, gn_error *e) {
    char *end;
    unsigned long v = strtoul(value, &end, 10);
    if (*end || end == value || v > UINT32_MAX || (vr == DICOM_VR_US && v > UINT16_MAX))
        return gn_fail(e, GN_E_INVALID, "this key takes a number, not \"%.60s\"", value);
    return vr == DICOM_VR_US ? dicom_dataset_put_u16(ds, tag, (uint16_t)v, e)
                             : dicom_dataset_put_u32(ds, tag, (uint32_t)v, e);
}

static int put_value(dicom_dataset *ds, dicom_tag tag, const char *value, gn_error *e) {
    dicom_vr vr = vr_of(tag);
    const dicom_vr_info *info = dicom_vr_find(vr);
    if (vr == DICOM_VR_SQ)
        return *value ? gn_fail(e, GN_E_INVALID, "a sequence has no value; write SEQUENCE.KEYWORD=VALUE")
                      : dicom_dataset_put_sequence(ds, tag, e);
    if (*value && (vr == DICOM_VR_US || vr == DICOM_VR_UL)) return put_number(ds, tag, vr, value, e);
    if (*value && info && !info->text)
        return gn_fail(e, GN_E_UNSUPPORTED, "keys of binary values cannot be given here");
    return dicom_dataset_put_string(ds, tag, vr, value, e);
}

static void remember(scu_keys *k, dicom_tag tag) {
    for (size_t i = 0; i < k->count; i++)
        if (k->tags[i] == tag) return;
    if (k->count < GN_ARRAY_LEN(k->tags)) k->tags[k->count++] = tag;
}

/* The data set of the sequence's first item, made when absent. */
static int enter(dicom_dataset **ds, dicom_tag tag, gn_error *e) {
    const dicom_element *el = dicom_dataset_find(*ds, tag);
    if (vr_of(tag) != DICOM_VR_SQ) return gn_fail(e, GN_E_INVALID, "only a sequence can stand before a dot");
    if (el && el->items) {
        *ds = el->items->dataset;
        return 0;
    }
    return dicom_dataset_add_item(*ds, tag, ds, e);
}

int scu_keys_add(scu_keys *k, const char *text, gn_error *e) {
    const char *equals = strchr(text, '='), *value = equals ? equals + 1 : "";
    char path[256];
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    if (n == 0 || n >= sizeof path)
        return gn_fail(e, GN_E_INVALID, "a key is written KEYWORD=VALUE, or KEYWORD to ask for it");
    memcpy(path, text, n);
    path[n] = '\0';
    if (!gn_utf8_valid((const uint8_t *)value, strlen(value)))
        return gn_fail(e, GN_E_INVALID, "the value of %s is not UTF-8", path);
    for (const char *p = value; *p; p++) k->not_ascii |= (unsigned char)*p > 0x7E;
    dicom_dataset *ds = k->dataset;
    char *part = path;
    for (;;) {
        char *dot = strchr(part, '.');
        dicom_tag tag;
        if (dot) *dot = '\0';
        if (!dicom_tag_parse(part, &tag)) return unknown_keyword(part, e);
        if (part == path) remember(k, tag);
        if (!dot) {
            int rc = put_value(ds, tag, value, e);
            gn_error_at(e, "key %s", text);
            return rc;
        }
        int rc = enter(&ds, tag, e);
        if (rc) return rc;
        part = dot + 1;
    }
}

int scu_keys_want(scu_keys *k, dicom_tag tag, gn_error *e) {
    remember(k, tag);
    return dicom_dataset_find(k->dataset, tag) ? 0 : put_value(k->dataset, tag, "", e);
}

scu_level scu_keys_level(const scu_keys *k) {
    static const struct {
        dicom_tag tag;
        scu_level level;
    } unique[] = { { DICOM_TAG_SOPInstanceUID, SCU_IMAGE },
                   { DICOM_TAG_SeriesInstanceUID, SCU_SERIES },
                   { DICOM_TAG_StudyInstanceUID, SCU_STUDY },
                   { DICOM_TAG_PatientID, SCU_PATIENT } };
    for (size_t i = 0; i < GN_ARRAY_LEN(unique); i++) {
        const dicom_element *el = dicom_dataset_find(k->dataset, unique[i].tag);
        if (el && el->length) return unique[i].level;
    }
    return SCU_STUDY;
}

int scu_keys_encode(scu_keys *k, scu_level level, const dimse_context *context, gn_buf *out, gn_error *e) {
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(context->transfer_syntax);
    int rc = ts ? 0 : gn_fail(e, GN_E_UNSUPPORTED, "the peer chose transfer syntax %s", context->transfer_syntax);
    if (!rc && level != SCU_WORKLIST)
        rc = dicom_dataset_put_string(k->dataset, DICOM_TAG_QueryRetrieveLevel, DICOM_VR_CS, scu_level_text(level), e);
    if (!rc && k->not_ascii)
        rc = dicom_dataset_put_string(k->dataset, DICOM_TAG_SpecificCharacterSet, DICOM_VR_CS, "ISO_IR 192", e);
    if (!rc) rc = dicom_dataset_write(k->dataset, ts, NULL, out, e);
    return rc;
}
