/* index_rig: see the header. */
#include "index_rig.h"

#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

bool rig_init(index_rig *r) {
    char folder[400];
    memset(r, 0, sizeof *r);
    (void)snprintf(r->path, sizeof r->path, "%s/index.sqlite", check_temp_dir(folder, sizeof folder));
    r->arena = gn_arena_new((size_t)1 << 30);
    return rig_reopen(r);
}

bool rig_reopen(index_rig *r) {
    index_close(&r->x);
    gn_error_clear(&r->error);
    r->x = index_sqlite_open(r->path, false, &r->error);
    if (!r->x) CHECK_STR(r->error.message, "");
    return r->x != NULL;
}

void rig_done(index_rig *r) {
    index_close(&r->x);
    gn_arena_free(&r->arena);
}

/* ---- data sets from text ----------------------------------------------------------------------------------------------- */

static bool tag_of(const char *name, size_t n, dicom_tag *tag, dicom_vr *vr) {
    char text[80];
    (void)snprintf(text, sizeof text, "%.*s", (int)n, name);
    const dicom_dict_entry *entry = dicom_dict_by_keyword(text);
    if (entry) {
        *tag = entry->tag;
        *vr = entry->vr;
        return true;
    }
    if (n != 10) return false;
    *vr = DICOM_VR(text[8], text[9]);
    text[8] = 0;
    *tag = (dicom_tag)strtoul(text, NULL, 16);
    return true;
}

static void put(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const char *p, size_t n) {
    char text[32];
    (void)snprintf(text, sizeof text, "%.*s", (int)(n < 31 ? n : 31), p);
    if (n && vr == DICOM_VR_US) (void)dicom_dataset_put_u16(ds, tag, (uint16_t)atol(text), NULL);
    else if (n && vr == DICOM_VR_UL) (void)dicom_dataset_put_u32(ds, tag, (uint32_t)atol(text), NULL);
    else (void)dicom_dataset_put(ds, tag, vr, p, n, NULL);
}

/* Reads attributes until the end or the bracket that closes an item; returns the place behind. */
static const char *read_spec(dicom_dataset *ds, const char *p) {
    while (*p && *p != ']') {
        size_t n = strcspn(p, "=");
        dicom_tag tag;
        dicom_vr vr;
        if (!tag_of(p, n, &tag, &vr) || !p[n]) {
            CHECK_STR(p, "a keyword");
            return "";
        }
        p += n + 1;
        if (vr == DICOM_VR_SQ) {
            (void)dicom_dataset_put_sequence(ds, tag, NULL);
            while (*p == '[') {
                dicom_dataset *item = NULL;
                (void)dicom_dataset_add_item(ds, tag, &item, NULL);
                p = read_spec(item, p + 1);
                if (*p == ']') p++;
            }
        } else {
            n = strcspn(p, ";]");
            put(ds, tag, vr, p, n);
            p += n;
        }
        if (*p == ';') p++;
    }
    return p;
}

dicom_dataset *rig_dataset(gn_arena *arena, const char *spec) {
    dicom_dataset *ds = dicom_dataset_new(arena, NULL);
    (void)read_spec(ds, spec);
    return ds;
}

/* ---- instances --------------------------------------------------------------------------------------------------------- */

static const char *uid_of(dicom_dataset *ds, dicom_tag tag, const char *otherwise) {
    if (!dicom_dataset_find(ds, tag)) (void)dicom_dataset_put_string(ds, tag, DICOM_VR_UI, otherwise, NULL);
    return dicom_dataset_ascii(ds, tag);
}

static void add_metadata(index_rig *r, index_instance *it) {
    gn_buf text = GN_BUF_INIT;
    gn_json j;
    dicom_json_options options = { .max_inline = 1024 };
    gn_json_init(&j, &text);
    CHECK_INT(dicom_json_write(it->dataset, &options, &j, &r->error), 0);
    size_t room = ZSTD_compressBound(text.n);
    uint8_t *packed = gn_arena_alloc(r->arena, room);
    it->metadata = packed;
    it->metadata_length = ZSTD_compress(packed, room, text.p, text.n, 1);
    it->frames = "frames";
    it->frames_length = 6;
    gn_buf_done(&text);
}

index_instance *rig_instance(index_rig *r, const char *spec, const char *content) {
    static const archive_source source = { .origin = ARCHIVE_FROM_DIMSE, .calling_ae = "SENDER", .called_ae = "GANTRY", .address = "192.0.2.1" };
    index_instance *it = gn_arena_zalloc(r->arena, 1, sizeof *it);
    dicom_dataset *ds = rig_dataset(r->arena, spec);
    char sop[32];
    r->made++;
    (void)snprintf(sop, sizeof sop, "1.1.1.%u", r->made);
    it->study_uid = uid_of(ds, DICOM_TAG_StudyInstanceUID, "1.1");
    it->series_uid = uid_of(ds, DICOM_TAG_SeriesInstanceUID, "1.1.1");
    it->sop_instance = uid_of(ds, DICOM_TAG_SOPInstanceUID, sop);
    it->sop_class = uid_of(ds, DICOM_TAG_SOPClassUID, "1.2.840.10008.5.1.4.1.1.2");
    it->transfer_syntax_uid = DICOM_TS_EXPLICIT_LE;
    it->transfer_syntax = dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE);
    it->dataset = ds;
    it->location = (index_location){ 1, r->made * 4096u, 1000 + r->made, 800 };
    (void)snprintf((char *)it->hash, sizeof it->hash, "%s", content);
    it->received_us = gn_wall_us();
    it->source = &source;
    add_metadata(r, it);
    return it;
}

int rig_add_item(index_rig *r, index_instance *it, archive_duplicate_policy policy) {
    index_position position = { 1, it->location.offset };
    gn_error_clear(&r->error);
    int rc = index_add_batch(r->x, &it, 1, policy, &position, &r->error);
    return rc ? rc : (int)it->outcome;
}

int rig_add(index_rig *r, const char *spec) {
    char content[16];
    (void)snprintf(content, sizeof content, "%u", r->made);
    return rig_add_item(r, rig_instance(r, spec, content), ARCHIVE_KEEP);
}

/* ---- queries ----------------------------------------------------------------------------------------------------------- */

static void append_value(gn_buf *out, const archive_value *v) {
    if (!v->encoded) {
        gn_buf_append(out, v->text, v->n);
        return;
    }
    gn_buf_printf(out, "<%zu>", v->encoded_length);
}

const char *rig_run(index_rig *r, archive_query *q, const char *wanted) {
    dicom_tag tags[32];
    size_t count = 0;
    gn_buf out = GN_BUF_INIT;
    archive_cursor *c = NULL;
    const archive_value *values;
    for (const char *p = wanted; *p; p += strspn(p, ",")) {
        size_t n = strcspn(p, ",");
        dicom_vr vr;
        CHECK(tag_of(p, n, &tags[count++], &vr));
        p += n;
    }
    q->wanted = tags;
    q->wanted_count = count;
    gn_error_clear(&r->error);
    int rc = index_query_open(r->x, q, &c, &r->error);
    while (!rc && (rc = archive_query_next(c, &values, NULL, &r->error)) == 0) {
        if (out.n) gn_buf_putc(&out, ' ');
        for (size_t i = 0; i < count; i++) {
            if (i) gn_buf_putc(&out, '|');
            append_value(&out, &values[i]);
        }
    }
    archive_query_close(&c);
    if (rc < 0) (void)snprintf(r->answer, sizeof r->answer, "!%s", gn_code_name(rc));
    else (void)snprintf(r->answer, sizeof r->answer, "%.*s", (int)out.n, out.p ? (const char *)out.p : "");
    gn_buf_done(&out);
    return r->answer;
}

const char *rig_find(index_rig *r, archive_level level, uint32_t flags, const char *keys, const char *wanted) {
    archive_query q = { .level = level, .flags = flags, .keys = rig_dataset(r->arena, keys) };
    return rig_run(r, &q, wanted);
}
