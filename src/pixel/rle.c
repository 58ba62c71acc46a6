/* rle: RLE Lossless (PS3.5 Annex G), decoding and encoding.
 *
 * A frame is a header of 16 little endian words (the number of segments and where each begins) and one PackBits segment for
 * each byte of a pixel: most significant byte first, component by component. A segment must give exactly as many bytes as
 * the frame has pixels; what a segment adds behind them is a fault of some encoders and is passed over, what it lacks is an
 * error (T10), so that no byte of the output is made up. */
#include "internal.h"

#include <inttypes.h>

enum { HEADER = 64, MAX_SEGMENTS = 15 };

/* ---- decoding ---------------------------------------------------------------------------------------------------------- */

typedef struct segment { const uint8_t *p; size_t n; } segment;

/* One PackBits segment into every `step`th byte from `out` on. */
static int unpack(segment s, uint8_t *out, size_t count, size_t step) {
    size_t at = 0, done = 0;
    while (done < count) {
        if (at >= s.n) return -1;
        uint8_t control = s.p[at++];
        if (control == 0x80) continue; /* no operation */
        size_t run = control < 0x80 ? (size_t)control + 1 : 257u - control;
        size_t take = run < count - done ? run : count - done;
        if (control < 0x80) {
            if (take > s.n - at) return -1;
            for (size_t i = 0; i < take; i++) out[(done + i) * step] = s.p[at + i];
            at = run > s.n - at ? s.n : at + run;
        } else {
            if (at >= s.n) return -1;
            uint8_t value = s.p[at++];
            if (step == 1) memset(out + done, value, take);
            else
                for (size_t i = 0; i < take; i++) out[(done + i) * step] = value;
        }
        done += take;
    }
    return 0;
}

static int read_header(const pixel_job *job, unsigned expected, segment *segments, gn_error *e) {
    if (job->n < HEADER) return gn_fail(e, GN_E_TRUNCATED, "an RLE frame of %zu bytes has no header", job->n);
    uint32_t count = gn_load_le32(job->bytes);
    if (count != expected)
        return gn_fail(e, GN_E_INVALID, "the RLE frame has %" PRIu32 " segments, the data set needs %u", count, expected);
    for (unsigned i = 0; i < expected; i++) {
        uint32_t start = gn_load_le32(job->bytes + 4 + 4 * (size_t)i);
        uint32_t end = i + 1 < expected ? gn_load_le32(job->bytes + 8 + 4 * (size_t)i) : (uint32_t)job->n;
        if (start < HEADER || start > job->n || end < start || end > job->n)
            return gn_fail(e, GN_E_INVALID, "RLE segment %u lies at %" PRIu32 ", outside the frame of %zu bytes", i + 1, start, job->n);
        segments[i] = (segment){ job->bytes + start, end - start };
    }
    return 0;
}

int pixel_rle_decode(const pixel_job *job, pixel_frame *out, gn_error *e) {
    pixel_format f = *job->format;
    segment segments[MAX_SEGMENTS] = { 0 };
    if (f.photometric == PIXEL_YBR_FULL_422 || f.photometric == PIXEL_YBR_PARTIAL_420) f.photometric = PIXEL_YBR_FULL; /* no subsampling here */
    unsigned unit = pixel_sample_bytes(&f);
    if (f.allocated % 8) return gn_fail(e, GN_E_UNSUPPORTED, "Bits Allocated %u with RLE", f.allocated);
    if ((uint64_t)unit * f.samples > MAX_SEGMENTS)
        return gn_fail(e, GN_E_INVALID, "%u samples of %u bits do not fit into RLE", f.samples, f.allocated);
    if (job->n > UINT32_MAX) return gn_fail(e, GN_E_TOO_LARGE, "an RLE frame of %zu bytes", job->n);
    unsigned expected = unit * f.samples;
    int rc = read_header(job, expected, segments, e);
    if (rc) return rc;
    /* 2 bytes of input give at most 128 of output: a claim beyond that is refused before memory is taken */
    uint64_t count = (uint64_t)f.rows * f.columns;
    for (unsigned i = 0; i < expected; i++)
        if (count / 64 > segments[i].n)
            return gn_fail(e, GN_E_TRUNCATED, "RLE segment %u has %zu bytes, too few for %" PRIu64 " pixels", i + 1, segments[i].n, count);
    if ((rc = pixel_frame_new(&f, job->max_bytes, out, e)) != 0) return rc;
    for (unsigned i = 0; i < expected; i++) {
        size_t sample = i / unit, byte = unit - 1 - i % unit;
        if (unpack(segments[i], out->bytes + sample * unit + byte, (size_t)count, expected) != 0) {
            pixel_frame_done(out);
            return gn_fail(e, GN_E_TRUNCATED, "RLE segment %u ends before its last pixel", i + 1);
        }
    }
    out->format.planar = false;
    return 0;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------------- */

/* One row; runs never cross rows (PS3.5 §G.3.1). `row` is scratch for at least `columns` bytes. */
static void pack_row(const uint8_t *row, size_t columns, gn_buf *out) {
    size_t at = 0;
    while (at < columns) {
        size_t run = 1;
        while (at + run < columns && run < 128 && row[at + run] == row[at]) run++;
        if (run >= 3 || (run == 2 && at + 2 == columns)) {
            uint8_t pair[2] = { (uint8_t)(257 - run), row[at] };
            gn_buf_append(out, pair, 2);
            at += run;
            continue;
        }
        size_t literal = run;
        while (at + literal < columns && literal < 128) {
            size_t i = at + literal;
            if (i + 2 < columns && row[i] == row[i + 1] && row[i] == row[i + 2]) break;
            literal++;
        }
        gn_buf_putc(out, (char)(literal - 1));
        gn_buf_append(out, row + at, literal);
        at += literal;
    }
}

static void pack_segment(const pixel_frame *frame, size_t offset, size_t step, uint8_t *row, gn_buf *out) {
    size_t columns = frame->format.columns;
    const uint8_t *p = frame->bytes + offset;
    for (uint32_t y = 0; y < frame->format.rows; y++, p += columns * step) {
        for (size_t x = 0; x < columns; x++) row[x] = p[x * step];
        pack_row(row, columns, out);
    }
}

int pixel_rle_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e) {
    const pixel_format *f = &frame->format;
    uint8_t header[HEADER] = { 0 }, row[65536];
    size_t start = out->n;
    (void)uid, (void)o;
    int rc = pixel_encode_check(frame, 1, 32, "RLE", e);
    if (rc) return rc;
    unsigned unit = pixel_sample_bytes(f), count = unit * f->samples;
    if (count > MAX_SEGMENTS || f->columns > sizeof row)
        return gn_fail(e, GN_E_UNSUPPORTED, "%u samples of %u bits do not fit into RLE", f->samples, f->allocated);
    gn_buf_append(out, header, HEADER);
    gn_store_le32(header, count);
    for (unsigned i = 0; i < count; i++) {
        size_t sample = i / unit, byte = unit - 1 - i % unit;
        if (out->n - start > UINT32_MAX) return gn_fail(e, GN_E_TOO_LARGE, "an RLE frame above 4 GiB");
        gn_store_le32(header + 4 + 4 * (size_t)i, (uint32_t)(out->n - start));
        pack_segment(frame, sample * unit + byte, count, row, out);
        if ((out->n - start) % 2) gn_buf_putc(out, 0); /* each segment is even */
    }
    if (out->failed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an encoded frame");
    memcpy(out->p + start, header, HEADER);
    return 0;
}
