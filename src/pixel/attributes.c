/* attributes: what a data set must say after its frames were encoded another way (PS3.3 C.7.6.1.1.5, C.7.6.3.1; PS3.5 §8.2).
 *
 * Nothing is changed that is still true. Lossy Image Compression, once "01", stays; ratio and method of this step are added
 * behind those of earlier ones. */
#include "transcode.h"

#include <stdlib.h>

bool transcode_is_lossy(const char *uid, const pixel_encode_options *o) {
    if (strcmp(uid, "1.2.840.10008.1.2.4.50") == 0) return true;
    if (strcmp(uid, "1.2.840.10008.1.2.4.81") == 0) return o->near > 0;
    return strcmp(uid, "1.2.840.10008.1.2.4.91") == 0 && o->ratio > 1;
}

static bool always_lossy(const char *uid) {
    static const char *const all[] = { "50", "51", "53", "55" };
    if (strncmp(uid, "1.2.840.10008.1.2.4.", 20) != 0) return false;
    for (size_t i = 0; i < GN_ARRAY_LEN(all); i++)
        if (strcmp(uid + 20, all[i]) == 0) return true;
    return false;
}

static const char *photometric_after(const transcode_plan *p) {
    const pixel_format *f = &p->format;
    bool j2k = strncmp(p->to_uid, "1.2.840.10008.1.2.4.9", 21) == 0 || strncmp(p->to_uid, "1.2.840.10008.1.2.4.20", 22) == 0;
    switch (f->photometric) {
    case PIXEL_RGB:
        if (strcmp(p->to_uid, "1.2.840.10008.1.2.4.50") == 0) return "YBR_FULL_422";
        return j2k ? (p->lossy ? "YBR_ICT" : "YBR_RCT") : "RGB";
    case PIXEL_YBR_FULL: return strcmp(p->to_uid, "1.2.840.10008.1.2.4.50") == 0 ? "YBR_FULL_422" : "YBR_FULL";
    default: return NULL; /* grey and palettes stay what they are */
    }
}

static int set_format(dicom_dataset *ds, const transcode_plan *p, gn_error *e) {
    const char *photometric = photometric_after(p);
    int rc = photometric ? dicom_dataset_put_string(ds, DICOM_TAG_PhotometricInterpretation, DICOM_VR_CS, photometric, e) : 0;
    if (!rc && p->format.samples > 1) rc = dicom_dataset_put_u16(ds, DICOM_TAG_PlanarConfiguration, 0, e);
    return rc;
}

/* Adds a value behind those that are there. */
static int append_value(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const char *value, gn_error *e) {
    const char *old = dicom_dataset_ascii(ds, tag);
    char *all = old && *old ? gn_arena_printf(ds->arena, "%s\\%s", old, value) : gn_arena_strdup(ds->arena, value);
    return all ? dicom_dataset_put_string(ds, tag, vr, all, e) : gn_fail(e, GN_E_NO_MEMORY, "no memory for attributes");
}

static int add_code(dicom_dataset *ds, dicom_tag sequence, const char *value, const char *meaning, gn_error *e) {
    dicom_dataset *item;
    int rc = dicom_dataset_add_item(ds, sequence, &item, e);
    if (!rc) rc = dicom_dataset_put_string(item, DICOM_TAG_CodeValue, DICOM_VR_SH, value, e);
    if (!rc) rc = dicom_dataset_put_string(item, DICOM_TAG_CodingSchemeDesignator, DICOM_VR_SH, "DCM", e);
    if (!rc) rc = dicom_dataset_put_string(item, DICOM_TAG_CodeMeaning, DICOM_VR_LO, meaning, e);
    return rc;
}

/* Image Type 1 becomes DERIVED, whatever it was. */
static int set_derived(dicom_dataset *ds, gn_error *e) {
    const char *type = dicom_dataset_ascii(ds, DICOM_TAG_ImageType);
    const char *rest = type ? strchr(type, '\\') : NULL;
    char *derived = gn_arena_printf(ds->arena, "DERIVED%s", rest ? rest : "\\PRIMARY");
    return derived ? dicom_dataset_put_string(ds, DICOM_TAG_ImageType, DICOM_VR_CS, derived, e) : gn_fail(e, GN_E_NO_MEMORY, "no memory for attributes");
}

static int set_new_instance(dicom_dataset *ds, gn_error *e) {
    char uid[65], old_class[65], old_uid[65];
    dicom_dataset *item;
    dicom_dataset_ascii_into(ds, DICOM_TAG_SOPClassUID, old_class, sizeof old_class);
    dicom_dataset_ascii_into(ds, DICOM_TAG_SOPInstanceUID, old_uid, sizeof old_uid);
    dicom_uid_make(uid);
    int rc = dicom_dataset_add_item(ds, DICOM_TAG_SourceImageSequence, &item, e);
    if (!rc) rc = dicom_dataset_put_string(item, DICOM_TAG_ReferencedSOPClassUID, DICOM_VR_UI, old_class, e);
    if (!rc) rc = dicom_dataset_put_string(item, DICOM_TAG_ReferencedSOPInstanceUID, DICOM_VR_UI, old_uid, e);
    if (!rc) rc = add_code(item, DICOM_TAG_PurposeOfReferenceCodeSequence, "121320", "Uncompressed predecessor", e);
    if (!rc) rc = dicom_dataset_put_string(ds, DICOM_TAG_SOPInstanceUID, DICOM_VR_UI, uid, e);
    return rc;
}

static int set_lossy(dicom_dataset *ds, const transcode_plan *p, gn_error *e) {
    const char *method = strstr(p->to_uid, ".4.50") ? "ISO_10918_1" : strstr(p->to_uid, ".4.81") ? "ISO_14495_1" : "ISO_15444_1";
    char ratio[17];
    snprintf(ratio, sizeof ratio, "%.4g", p->ratio > 0 && p->ratio < 1e6 ? p->ratio : 1.0);
    int rc = dicom_dataset_put_string(ds, DICOM_TAG_LossyImageCompression, DICOM_VR_CS, "01", e);
    if (!rc) rc = append_value(ds, DICOM_TAG_LossyImageCompressionRatio, DICOM_VR_DS, ratio, e);
    if (!rc) rc = append_value(ds, DICOM_TAG_LossyImageCompressionMethod, DICOM_VR_CS, method, e);
    if (!rc) rc = set_derived(ds, e);
    if (!rc) {
        char *text = gn_arena_printf(ds->arena, "Lossy compression by %s, ratio %s", method, ratio);
        rc = text ? dicom_dataset_put_string(ds, DICOM_TAG_DerivationDescription, DICOM_VR_ST, text, e) : gn_fail(e, GN_E_NO_MEMORY, "no memory for attributes");
    }
    if (!rc) rc = add_code(ds, DICOM_TAG_DerivationCodeSequence, "113040", "Lossy Compression", e);
    if (!rc && p->options->new_instance) rc = set_new_instance(ds, e);
    return rc;
}

/* An icon that is compressed the old way cannot be written in another syntax. */
static bool icon_is_encapsulated(const dicom_dataset *ds) {
    const dicom_element *icon = dicom_dataset_find(ds, DICOM_TAG_IconImageSequence);
    const dicom_element *pixels = icon && icon->items ? dicom_dataset_find(icon->items->dataset, DICOM_TAG_PixelData) : NULL;
    return pixels && pixels->fragments;
}

int transcode_attributes(dicom_dataset *ds, const transcode_plan *p, const dicom_transfer_syntax *from, gn_error *e) {
    int rc = set_format(ds, p, e);
    (void)dicom_dataset_remove(ds, DICOM_TAG_ExtendedOffsetTable);
    (void)dicom_dataset_remove(ds, DICOM_TAG_ExtendedOffsetTableLengths);
    if (icon_is_encapsulated(ds)) (void)dicom_dataset_remove(ds, DICOM_TAG_IconImageSequence);
    if (!rc && p->lossy) rc = set_lossy(ds, p, e);
    else if (!rc && always_lossy(from->uid)) rc = dicom_dataset_put_string(ds, DICOM_TAG_LossyImageCompression, DICOM_VR_CS, "01", e);
    return rc;
}
