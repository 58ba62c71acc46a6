/* htj2k: HTJ2K lossless encoding (PS3.5 §8.2.16, transfer syntaxes .201 and .202), through openjph.cpp.
 *
 * Both are written in the order RPCL, so that a client can stop after the resolution that it shows. For .202 the lowest
 * resolution is at most 64 pixels and a TLM marker, which the library does not write, is put into the main header. */
#include "j2k.h"

#include <inttypes.h>

typedef struct encoding { const pixel_frame *frame; unsigned bits; gn_buf *out; } encoding;

static void give_row(void *ctx, uint32_t c, uint32_t y, int32_t *to) {
    const encoding *x = ctx;
    const pixel_format *f = &x->frame->format;
    pixel_values(x->frame, x->bits, (size_t)y * f->columns * f->samples + c, f->samples, f->columns, to);
}

static bool take_bytes(void *ctx, const void *p, size_t n) {
    encoding *x = ctx;
    gn_buf_append(x->out, p, n);
    return !x->out->failed;
}

/* The offset of the first SOT in a codestream that begins at `start`; 0: none. */
static size_t find_sot(const gn_buf *b, size_t start) {
    gn_reader r = gn_reader_of(b->p + start, b->n - start);
    (void)gn_read_be16(&r); /* SOC */
    while (!r.failed) {
        size_t at = r.off;
        uint16_t marker = gn_read_be16(&r), length = gn_read_be16(&r);
        if (marker == 0xFF90) return start + at;
        if (length < 2) return 0;
        (void)gn_read_bytes(&r, length - 2u);
    }
    return 0;
}

/* One tile of one part: Ttlm of one byte, Ptlm of four (ISO 15444-1 §A.7.1). */
static int insert_tlm(gn_buf *b, size_t start, gn_error *e) {
    uint8_t tlm[11] = { 0xFF, 0x55, 0, 9, 0, 0x50, 0 };
    size_t sot = find_sot(b, start);
    if (!sot || b->n - sot < 14) return gn_fail(e, GN_E_INTERNAL, "the HTJ2K stream has no tile");
    uint32_t length = gn_load_be32(b->p + sot + 6);
    uint64_t whole = b->n - sot - 2; /* to the EOC */
    if (length != 0 && length != whole) return gn_fail(e, GN_E_INTERNAL, "the HTJ2K stream has more than one tile part");
    tlm[7] = (uint8_t)(whole >> 24), tlm[8] = (uint8_t)(whole >> 16), tlm[9] = (uint8_t)(whole >> 8), tlm[10] = (uint8_t)whole;
    if (whole > UINT32_MAX || !gn_buf_reserve(b, sizeof tlm)) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an encoded frame");
    memmove(b->p + sot + sizeof tlm, b->p + sot, b->n - sot);
    memcpy(b->p + sot, tlm, sizeof tlm);
    b->n += sizeof tlm;
    return 0;
}

int pixel_htj2k_encode(const char *uid, const pixel_frame *frame, const pixel_encode_options *o, gn_buf *out, gn_error *e) {
    const pixel_format *f = &frame->format;
    char message[160] = "";
    size_t start = out->n;
    (void)o;
    int rc = pixel_encode_check(frame, 1, 16, "HTJ2K", e);
    if (rc) return rc;
    encoding x = { frame, pixel_precision(frame), out };
    if (x.bits > 16) return gn_fail(e, GN_E_UNSUPPORTED, "HTJ2K of samples with %u bits", x.bits);
    unsigned wanted = 5;
    while ((f->rows > f->columns ? f->rows : f->columns) >> wanted > 64) wanted++;
    htj2k_job job = { f->rows, f->columns, f->samples, x.bits, j2k_decompositions(f, wanted), f->sample == PIXEL_SIGNED,
                      j2k_transforms_colour(f), give_row, take_bytes, &x };
    if (htj2k_encode(&job, message, sizeof message) != 0)
        return gn_fail(e, out->failed ? GN_E_NO_MEMORY : GN_E_INTERNAL, "HTJ2K: %s", message);
    if (strcmp(uid, "1.2.840.10008.1.2.4.202") == 0) return insert_tlm(out, start, e);
    return 0;
}
