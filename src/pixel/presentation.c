/* presentation: what the data set says about display, for one frame: modality LUT, windows and VOI LUT, palette, polarity,
 * overlays, pixel aspect (PS3.3 C.7.6.3, C.7.9, C.9.2, C.11.1, C.11.2, C.11.6; functional groups C.7.6.16.2.9 and .10).
 *
 * An enhanced multi-frame object says it in the functional group of the frame, else in the shared one, else, as older objects
 * do, at the top. A window that is not valid is left out, so that a picture can still be made without it. */
#include "display.h"

#include <math.h>

/* ---- where an attribute stands ----------------------------------------------------------------------------------------- */

static const dicom_dataset *item_of(const dicom_dataset *ds, dicom_tag sequence, unsigned index) {
    const dicom_element *el = ds ? dicom_dataset_find(ds, sequence) : NULL;
    const dicom_item *item = el ? el->items : NULL;
    for (unsigned i = 0; item && i < index; i++) item = item->next;
    return item ? item->dataset : NULL;
}

/* The functional group `macro` of the frame; else the data set itself. */
static const dicom_dataset *group_of(const dicom_dataset *ds, dicom_tag macro, unsigned frame_index) {
    const dicom_dataset *found = item_of(item_of(ds, DICOM_TAG_PerFrameFunctionalGroupsSequence, frame_index), macro, 0);
    if (!found) found = item_of(item_of(ds, DICOM_TAG_SharedFunctionalGroupsSequence, 0), macro, 0);
    return found ? found : ds;
}

static bool number_of(const dicom_dataset *ds, dicom_tag tag, size_t i, double *out) {
    const dicom_element *el = dicom_dataset_find(ds, tag);
    double v;
    if (!el || !dicom_element_double(ds, el, i, &v) || !isfinite(v)) return false;
    *out = v;
    return true;
}

/* ---- modality ---------------------------------------------------------------------------------------------------------- */

static int read_modality(gn_arena *arena, const dicom_dataset *ds, unsigned frame_index, bool is_signed, pixel_presentation *p, gn_error *e) {
    const dicom_dataset *transform = group_of(ds, DICOM_TAG_PixelValueTransformationSequence, frame_index);
    const dicom_dataset *table = item_of(ds, DICOM_TAG_ModalityLUTSequence, 0);
    p->slope = 1;
    if (table) return pixel_lut_read(arena, table, DICOM_TAG_LUTDescriptor, DICOM_TAG_LUTData, is_signed, &p->modality, e);
    (void)number_of(transform, DICOM_TAG_RescaleSlope, 0, &p->slope);
    (void)number_of(transform, DICOM_TAG_RescaleIntercept, 0, &p->intercept);
    if (fabs(p->slope) < 1e-300) p->slope = 1; /* 0 would make every picture black */
    return 0;
}

double pixel_modality_value(const pixel_presentation *p, double stored) {
    if (p->modality.count == 0) return stored * p->slope + p->intercept;
    if (!(stored > INT32_MIN)) stored = INT32_MIN;
    if (stored > UINT32_MAX) stored = UINT32_MAX;
    return pixel_lut_at(&p->modality, (int64_t)stored);
}

/* ---- VOI --------------------------------------------------------------------------------------------------------------- */

static pixel_voi_function function_of(const dicom_dataset *ds) {
    char text[17];
    dicom_dataset_ascii_into(ds, DICOM_TAG_VOILUTFunction, text, sizeof text);
    return strcmp(text, "SIGMOID") == 0 ? PIXEL_VOI_SIGMOID : strcmp(text, "LINEAR_EXACT") == 0 ? PIXEL_VOI_LINEAR_EXACT : PIXEL_VOI_LINEAR;
}

/* Value i of Window Center & Width Explanation, as UTF-8. */
static const char *explanation_of(gn_arena *arena, const dicom_dataset *ds, size_t i) {
    const char *all = dicom_dataset_utf8(ds, DICOM_TAG_WindowCenterWidthExplanation);
    for (; i > 0 && all; i--) {
        all = strchr(all, '\\');
        if (all) all++;
    }
    const char *copy = all ? gn_arena_strndup(arena, all, strcspn(all, "\\")) : NULL;
    return copy ? copy : "";
}

static int read_voi(gn_arena *arena, const dicom_dataset *ds, unsigned frame_index, bool is_signed, pixel_presentation *p, gn_error *e) {
    const dicom_dataset *voi = group_of(ds, DICOM_TAG_FrameVOILUTSequence, frame_index);
    const dicom_dataset *table = item_of(voi, DICOM_TAG_VOILUTSequence, 0);
    pixel_window w = { .function = function_of(voi) };
    for (size_t i = 0; i < PIXEL_MAX_WINDOWS && number_of(voi, DICOM_TAG_WindowCenter, i, &w.center) && number_of(voi, DICOM_TAG_WindowWidth, i, &w.width); i++) {
        if (pixel_window_check(&w, NULL) != 0) continue;
        p->window[p->windows] = w;
        p->explanation[p->windows++] = explanation_of(arena, voi, i);
    }
    if (!table) return 0;
    return pixel_lut_read(arena, table, DICOM_TAG_LUTDescriptor, DICOM_TAG_LUTData, is_signed && p->modality.count == 0, &p->voi, e);
}

size_t pixel_presentation_windows(const pixel_presentation *p, pixel_window *windows, size_t capacity, const char **explanations) {
    for (size_t i = 0; i < capacity && i < p->windows; i++) {
        if (windows) windows[i] = p->window[i];
        if (explanations) explanations[i] = p->explanation[i];
    }
    return p->windows;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------------- */

/* MONOCHROME1 is dark for high values, unless Presentation LUT Shape says otherwise. */
static bool is_inverse(const dicom_dataset *ds) {
    char shape[17], photometric[17];
    dicom_dataset_ascii_into(ds, DICOM_TAG_PresentationLUTShape, shape, sizeof shape);
    dicom_dataset_ascii_into(ds, DICOM_TAG_PhotometricInterpretation, photometric, sizeof photometric);
    if (strcmp(shape, "INVERSE") == 0) return true;
    return strcmp(photometric, "MONOCHROME1") == 0 && strcmp(shape, "IDENTITY") != 0;
}

/* Pixel Padding Value and its range limit are of the stored values' kind, whatever their VR was read as. */
static void read_padding(const dicom_dataset *ds, bool is_signed, pixel_presentation *p) {
    int64_t low, high;
    if (!dicom_dataset_int(ds, DICOM_TAG_PixelPaddingValue, &low)) return;
    if (!dicom_dataset_int(ds, DICOM_TAG_PixelPaddingRangeLimit, &high)) high = low;
    if (is_signed && low > 32767) low -= 65536;
    if (is_signed && high > 32767) high -= 65536;
    p->has_padding = true;
    p->padding_low = (double)(low < high ? low : high);
    p->padding_high = (double)(low < high ? high : low);
}

static void read_aspect(const dicom_dataset *ds, unsigned frame_index, pixel_presentation *p) {
    static const dicom_tag tags[] = { DICOM_TAG_PixelAspectRatio, DICOM_TAG_PixelSpacing, DICOM_TAG_ImagerPixelSpacing, DICOM_TAG_NominalScannedPixelSpacing };
    const dicom_dataset *measures = group_of(ds, DICOM_TAG_PixelMeasuresSequence, frame_index);
    double rows, columns;
    p->aspect = 1;
    for (size_t i = 0; i < GN_ARRAY_LEN(tags); i++) {
        const dicom_dataset *where = tags[i] == DICOM_TAG_PixelSpacing ? measures : ds;
        if (!number_of(where, tags[i], 0, &rows) || !number_of(where, tags[i], 1, &columns) || !(rows > 0) || !(columns > 0)) continue;
        double aspect = rows / columns;
        if (aspect > 0.02 && aspect < 50) p->aspect = aspect;
        return;
    }
}

pixel_presentation *pixel_presentation_of(gn_arena *arena, const dicom_dataset *ds, const dicom_transfer_syntax *ts, unsigned frame_index, gn_error *e) {
    pixel_presentation *p = gn_arena_zalloc(arena, 1, sizeof *p);
    char photometric[17];
    int64_t representation = 0;
    (void)ts;
    if (!p) {
        (void)gn_fail(e, GN_E_NO_MEMORY, "no memory for the presentation");
        return NULL;
    }
    (void)dicom_dataset_int(ds, DICOM_TAG_PixelRepresentation, &representation);
    bool is_signed = representation == 1;
    dicom_dataset_ascii_into(ds, DICOM_TAG_PhotometricInterpretation, photometric, sizeof photometric);
    int rc = read_modality(arena, ds, frame_index, is_signed, p, e);
    if (!rc) rc = read_voi(arena, ds, frame_index, is_signed, p, e);
    if (!rc && strcmp(photometric, "PALETTE COLOR") == 0) rc = pixel_palette_read(arena, ds, is_signed, p->palette, e);
    if (!rc) rc = pixel_overlays_read(ds, frame_index, p->overlay, &p->overlays, e);
    if (rc) return NULL;
    p->inverse = is_inverse(ds);
    read_padding(ds, is_signed, p);
    read_aspect(ds, frame_index, p);
    return p;
}
