/* jpeg: the markers of a JPEG stream (ISO 10918-1 Annex B), and which library decodes it.
 *
 * The stream's own SOF decides, not the transfer syntax: real files state the wrong one. Size, components and precision are
 * compared with the data set first (T10), and a progressive stream may not have thousands of scans, each of which costs a
 * pass over the whole image. */
#include "jpeg.h"

#include <inttypes.h>

enum { MAX_SCANS = 100, SOF0 = 0xC0, SOF15 = 0xCF, DHT = 0xC4, JPG = 0xC8, DAC = 0xCC, SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, APP0 = 0xE0, APP14 = 0xEE };

static int read_sof(gn_reader *r, unsigned marker, jpeg_header *h, gn_error *e) {
    if (h->info.components) return gn_fail(e, GN_E_INVALID, "the JPEG stream has two frame headers");
    h->process = marker - SOF0;
    h->info.precision = gn_read_u8(r);
    h->info.rows = gn_read_be16(r);
    h->info.columns = gn_read_be16(r);
    h->info.components = gn_read_u8(r);
    if (r->failed || h->info.components < 1 || h->info.components > 4)
        return gn_fail(e, GN_E_INVALID, "the JPEG frame header is not valid");
    for (unsigned i = 0; i < h->info.components; i++) {
        h->ids[i] = gn_read_u8(r);
        uint8_t sampling = gn_read_u8(r);
        (void)gn_read_u8(r);
        h->subsampled |= sampling != 0x11 && h->info.components > 1;
    }
    return r->failed ? gn_fail(e, GN_E_TRUNCATED, "the JPEG frame header ends early") : 0;
}

static void read_app(gn_reader *r, unsigned marker, jpeg_header *h) {
    const uint8_t *p = r->p;
    if (marker == APP0 && r->n >= 5 && memcmp(p, "JFIF", 5) == 0) h->jfif = true;
    if (marker == APP14 && r->n >= 12 && memcmp(p, "Adobe", 5) == 0) {
        h->adobe = true;
        h->adobe_transform = p[11];
    }
}

/* To the next marker, over entropy-coded bytes, stuffed zeros and RSTn. 0: none is left. */
static unsigned next_marker(gn_reader *r) {
    while (r->off + 1 < r->n) {
        const uint8_t *q = memchr(r->p + r->off, 0xFF, r->n - r->off - 1);
        if (!q) return 0;
        r->off = (size_t)(q - r->p) + 1;
        uint8_t m = r->p[r->off];
        if (m == 0xFF) continue;
        r->off++;
        if (m != 0 && m != 1 && (m < 0xD0 || m > 0xD7)) return m;
    }
    return 0;
}

int jpeg_parse(const uint8_t *p, size_t n, jpeg_header *out, gn_error *e) {
    gn_reader r = gn_reader_of(p, n);
    jpeg_header h = { .info = { .codec = "JPEG" } };
    if (gn_read_be16(&r) != 0xFF00 + SOI) return gn_fail(e, GN_E_INVALID, "the frame does not begin as a JPEG stream");
    for (unsigned m; (m = next_marker(&r)) != 0 && m != EOI;) {
        if (m == SOI) continue;
        uint16_t length = gn_read_be16(&r);
        const uint8_t *body = length >= 2 ? gn_read_bytes(&r, length - 2u) : NULL;
        if (!body) return gn_fail(e, GN_E_TRUNCATED, "the JPEG segment %02X at %zu ends early", m, r.off);
        gn_reader segment = gn_reader_of(body, length - 2u);
        if (m >= SOF0 && m <= SOF15 && m != DHT && m != JPG && m != DAC) {
            int rc = read_sof(&segment, m, &h, e);
            if (rc) return rc;
        }
        read_app(&segment, m, &h);
        if (m == SOS) h.scans++;
        if (h.scans > MAX_SCANS) return gn_fail(e, GN_E_TOO_LARGE, "the JPEG stream has more than %d scans", MAX_SCANS);
    }
    if (!h.info.components || !h.scans) return gn_fail(e, GN_E_TRUNCATED, "the JPEG stream has no %s", h.info.components ? "scan" : "frame header");
    *out = h;
    return 0;
}

/* Adobe's marker tells; JFIF is always YCbCr; else the data set is believed, since DICOM asks for no marker. */
jpeg_colour jpeg_colour_of(const jpeg_header *h, const pixel_format *f) {
    if (h->info.components != 3 || h->process == 3) return JPEG_AS_IT_IS;
    if (h->adobe) return h->adobe_transform ? JPEG_YBR_TO_RGB : JPEG_AS_IT_IS;
    if (h->jfif) return JPEG_YBR_TO_RGB;
    if (h->ids[0] == 'R' && h->ids[1] == 'G' && h->ids[2] == 'B') return JPEG_AS_IT_IS;
    return f->photometric == PIXEL_RGB && !h->subsampled ? JPEG_AS_IT_IS : JPEG_YBR_TO_RGB;
}

static jpeg_decoder decoder_of(const jpeg_header *h) {
    unsigned bits = h->info.precision;
    if (h->process <= 2 && bits == 8) return jpeg_turbo_decode;
    if (h->process <= 2 && bits == 12) return jpeg_ijg12_decode;
    if (h->process != 3 || bits < 2 || bits > 16) return NULL;
    return bits <= 8 ? jpeg_ijg8_decode : bits <= 12 ? jpeg_ijg12_decode : jpeg_ijg16_decode;
}

int pixel_jpeg_decode(const pixel_job *job, pixel_frame *out, gn_error *e) {
    jpeg_header h = { 0 };
    int rc = jpeg_parse(job->bytes, job->n, &h, e);
    if (rc) return rc;
    if ((rc = pixel_check_stream(job, &h.info, e)) != 0) return rc;
    jpeg_decoder decode = decoder_of(&h);
    if (!decode) return gn_fail(e, GN_E_UNSUPPORTED, "JPEG process SOF%u with %" PRIu32 " bits", h.process, h.info.precision);
    /* an 8 x 8 block, or a lossless sample, takes at least a bit: a claim beyond that is refused before memory is taken */
    uint64_t pixels = (uint64_t)h.info.rows * h.info.columns;
    if (pixels / (h.process == 3 ? 8 : 8 * 64) / 2 > job->n)
        return gn_fail(e, GN_E_TRUNCATED, "%zu bytes of JPEG cannot hold %" PRIu64 " pixels", job->n, pixels);
    pixel_format f = *job->format;
    jpeg_colour colour = jpeg_colour_of(&h, &f);
    f.planar = false;
    if (colour == JPEG_YBR_TO_RGB) f.photometric = PIXEL_RGB;
    else if (f.samples == 3 && f.photometric != PIXEL_RGB) f.photometric = h.process == 3 ? PIXEL_YBR_FULL : PIXEL_RGB;
    if ((rc = pixel_frame_new(&f, job->max_bytes, out, e)) != 0) return rc;
    if ((rc = decode(job, &h, colour, out, e)) != 0) pixel_frame_done(out);
    return rc;
}
