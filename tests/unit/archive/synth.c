/* synth: see synth.h. Pixels come from a small generator, so that they differ by seed and compress badly, as real ones do. */
#include "synth.h"

#include <stdlib.h>

void synth_element(gn_buf *b, dicom_tag tag, const char *vr, const void *value, size_t n) {
    const dicom_vr_info *info = dicom_vr_find(DICOM_VR(vr[0], vr[1]));
    size_t even = n + (n & 1);
    gn_buf_le16(b, dicom_tag_group(tag));
    gn_buf_le16(b, dicom_tag_element(tag));
    gn_buf_append(b, vr, 2);
    if (info->long_length) gn_buf_le16(b, 0), gn_buf_le32(b, (uint32_t)even);
    else gn_buf_le16(b, (uint16_t)even);
    gn_buf_append(b, value, n);
    if (n & 1) gn_buf_putc(b, info->pad);
}

void synth_text(gn_buf *b, dicom_tag tag, const char *vr, const char *text) { synth_element(b, tag, vr, text, strlen(text)); }

static void uid(gn_buf *b, dicom_tag tag, const char *given, const char *normal) {
    const char *text = given ? given : normal;
    if (text[0]) synth_text(b, tag, "UI", text);
}

static void us(gn_buf *b, dicom_tag tag, unsigned v) {
    uint8_t p[2];
    gn_store_le16(p, (uint16_t)v);
    synth_element(b, tag, "US", p, 2);
}

static void pixels(gn_buf *b, const synth *s) {
    unsigned frames = s->frames ? s->frames : 1;
    size_t n = (size_t)s->rows * s->columns * 2 * frames;
    n = n > s->missing ? n - s->missing : 0;
    gn_buf_le16(b, 0x7FE0);
    gn_buf_le16(b, 0x0010);
    gn_buf_append(b, "OW", 2);
    gn_buf_le16(b, 0);
    gn_buf_le32(b, (uint32_t)n);
    uint8_t *p = gn_buf_reserve(b, n + 8);
    if (!p) return;
    uint64_t x = s->seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (size_t i = 0; i < n; i += 8) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        gn_store_le64(p + i, x & UINT64_C(0x0FFF0FFF0FFF0FFF));
    }
    b->n += n;
}

void synth_object(const synth *s, gn_buf *b) {
    char text[64];
    unsigned frames = s->frames ? s->frames : 1;
    b->limit = (size_t)3 << 30;
    synth_text(b, DICOM_TAG_SpecificCharacterSet, "CS", "ISO_IR 100");
    uid(b, DICOM_TAG_SOPClassUID, s->sop_class, SYNTH_CT);
    uid(b, DICOM_TAG_SOPInstanceUID, s->sop, "1.2.3.1.1.1");
    synth_text(b, DICOM_TAG_StudyDate, "DA", "20240131");
    synth_text(b, DICOM_TAG_StudyTime, "TM", "101530");
    synth_text(b, DICOM_TAG_AccessionNumber, "SH", "A0001");
    synth_text(b, DICOM_TAG_Modality, "CS", "CT");
    synth_text(b, DICOM_TAG_StudyDescription, "LO", "CT THORAX");
    synth_text(b, DICOM_TAG_PatientName, "PN", "Doe^Jane");
    synth_text(b, DICOM_TAG_PatientID, "LO", s->patient ? s->patient : "P1");
    for (unsigned i = 0; i < s->extra; i++) {
        (void)snprintf(text, sizeof text, "value %u of a private kind", i);
        if (i == 0) synth_text(b, DICOM_TAG(0x0011, 0x0010), "LO", "SYNTH");
        synth_text(b, DICOM_TAG(0x0011, 0x1000 + i), "LO", text);
    }
    uid(b, DICOM_TAG_StudyInstanceUID, s->study, "1.2.3.1");
    uid(b, DICOM_TAG_SeriesInstanceUID, s->series, "1.2.3.1.1");
    (void)snprintf(text, sizeof text, "%u", s->number);
    synth_text(b, DICOM_TAG_InstanceNumber, "IS", text);
    if (!s->rows) return;
    us(b, DICOM_TAG_SamplesPerPixel, 1);
    synth_text(b, DICOM_TAG_PhotometricInterpretation, "CS", "MONOCHROME2");
    (void)snprintf(text, sizeof text, "%u", frames);
    if (frames > 1) synth_text(b, DICOM_TAG_NumberOfFrames, "IS", text);
    us(b, DICOM_TAG_Rows, s->rows);
    us(b, DICOM_TAG_Columns, s->columns);
    us(b, DICOM_TAG_BitsAllocated, 16);
    us(b, DICOM_TAG_BitsStored, 12);
    us(b, DICOM_TAG_HighBit, 11);
    us(b, DICOM_TAG_PixelRepresentation, 0);
    pixels(b, s);
}
