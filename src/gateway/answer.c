/* Answers to C-FIND: one row of a query as a data set, in any of the native transfer syntaxes, written straight into a buffer.
 *
 * Text arrives as UTF-8. Most answers are plain ASCII and are copied. Others go out in the character set that was asked for if it can
 * express all of the answer, else the whole answer is UTF-8; Specific Character Set always says which (PS3.4 C.4.1.1.3.2). */
#include "internal.h"

#include <stdlib.h>

/* ---- bytes ------------------------------------------------------------------------------------------------------------- */

static bool is_ascii(const char *p, size_t n) {
    uint64_t seen = 0;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        seen |= word;
    }
    for (; n; p++, n--) seen |= (uint64_t)(unsigned char)*p;
    return (seen & 0x8080808080808080u) == 0;
}

static uint8_t *put16(uint8_t *q, const dicom_transfer_syntax *ts, uint16_t v) {
    if (ts->big_endian) gn_store_be16(q, v);
    else gn_store_le16(q, v);
    return q + 2;
}

static uint8_t *put32(uint8_t *q, const dicom_transfer_syntax *ts, uint32_t v) {
    if (ts->big_endian) gn_store_be32(q, v);
    else gn_store_le32(q, v);
    return q + 4;
}

static uint8_t *put64(uint8_t *q, const dicom_transfer_syntax *ts, uint64_t v) {
    uint32_t high = (uint32_t)(v >> 32), low = (uint32_t)v;
    q = put32(q, ts, ts->big_endian ? high : low);
    return put32(q, ts, ts->big_endian ? low : high);
}

static bool has_long_length(dicom_vr vr) {
    const dicom_vr_info *info = dicom_vr_find(vr);
    return !info || info->long_length;
}

/* Element header (PS3.5 §7.1.2, §7.1.3); the value of n bytes follows. */
static uint8_t *put_header(uint8_t *q, const dicom_transfer_syntax *ts, dicom_tag tag, dicom_vr vr, uint32_t n) {
    q = put16(q, ts, dicom_tag_group(tag));
    q = put16(q, ts, dicom_tag_element(tag));
    if (ts->implicit_vr) return put32(q, ts, n);
    *q++ = (uint8_t)(vr >> 8);
    *q++ = (uint8_t)vr;
    if (!has_long_length(vr)) return put16(q, ts, (uint16_t)n);
    q = put16(q, ts, 0);
    return put32(q, ts, n);
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

static size_t number_size(dicom_vr vr) {
    switch (vr) {
    case DICOM_VR_US: case DICOM_VR_SS: return 2;
    case DICOM_VR_UL: case DICOM_VR_SL: case DICOM_VR_FL: case DICOM_VR_AT: return 4;
    case DICOM_VR_UV: case DICOM_VR_SV: case DICOM_VR_FD: return 8;
    default: return 0;
    }
}

static uint8_t *put_number(uint8_t *q, const dicom_transfer_syntax *ts, dicom_vr vr, const char *text) {
    if (vr == DICOM_VR_AT) {
        unsigned group = 0, element = 0;
        if (sscanf(text, "(%4x,%4x)", &group, &element) != 2) (void)sscanf(text, "%4x%4x", &group, &element);
        return put16(put16(q, ts, (uint16_t)group), ts, (uint16_t)element);
    }
    if (vr == DICOM_VR_FL || vr == DICOM_VR_FD) {
        double d = strtod(text, NULL);
        float f = (float)d;
        uint32_t word;
        uint64_t words;
        memcpy(&word, &f, sizeof word);
        memcpy(&words, &d, sizeof words);
        return vr == DICOM_VR_FL ? put32(q, ts, word) : put64(q, ts, words);
    }
    uint64_t v = text[0] == '-' ? (uint64_t)strtoll(text, NULL, 10) : strtoull(text, NULL, 10);
    size_t size = number_size(vr);
    return size == 2 ? put16(q, ts, (uint16_t)v) : size == 4 ? put32(q, ts, (uint32_t)v) : put64(q, ts, v);
}

/* Backslash-separated numbers as binary values. */
static uint8_t *put_numbers(uint8_t *q, const dicom_transfer_syntax *ts, dicom_tag tag, dicom_vr vr, const char *text, size_t n) {
    uint8_t *header = q;
    uint32_t count = 0;
    q = put_header(q, ts, tag, vr, 0);
    for (size_t i = 0; i < n && (count + 1) * number_size(vr) < 65535;) {
        char one[40];
        size_t k = 0;
        while (i + k < n && text[i + k] != '\\') k++;
        snprintf(one, sizeof one, "%.*s", (int)(k < 39 ? k : 39), text + i);
        q = put_number(q, ts, vr, one);
        count++;
        i += k + 1;
    }
    (void)put_header(header, ts, tag, vr, count * (uint32_t)number_size(vr));
    return q;
}

static uint8_t *put_text(uint8_t *q, const dicom_transfer_syntax *ts, dicom_tag tag, dicom_vr vr, const char *text, size_t n) {
    if (n > 65534 && !ts->implicit_vr && !has_long_length(vr)) n = 65534;
    q = put_header(q, ts, tag, vr, (uint32_t)(n + (n & 1)));
    if (n) memcpy(q, text, n);
    if (n & 1) q[n++] = vr == DICOM_VR_UI ? 0 : ' ';
    return q + n;
}

/* ---- sequences --------------------------------------------------------------------------------------------------------- */

/* The archive gives items in explicit VR little endian; another transfer syntax needs them read and written again. The whole element is appended
 * to p->sequence. A sequence that cannot be read is answered empty. */
static int recode_sequence(answer_plan *p, dicom_tag tag, const archive_value *v, gn_error *e) {
    const dicom_transfer_syntax *from = dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE);
    if (!p->arena && !(p->arena = gn_arena_new(64u << 20))) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an answer");
    gn_arena_reset(p->arena);
    uint8_t *bytes = gn_arena_alloc(p->arena, v->encoded_length + 12), *q;
    if (!bytes || v->encoded_length > UINT32_MAX - 12) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an answer");
    q = put_header(bytes, from, tag, DICOM_VR_SQ, (uint32_t)v->encoded_length);
    memcpy(q, v->encoded, v->encoded_length);
    dicom_dataset *ds;
    dicom_read_options options = { .keep_everything = true };
    size_t before = p->sequence.n;
    gn_error ignored = GN_ERROR_INIT;
    if (dicom_dataset_read(p->arena, from, bytes, v->encoded_length + 12, &options, &ds, &ignored) == 0 &&
        dicom_dataset_write(ds, p->ts, NULL, &p->sequence, &ignored) == 0)
        return 0;
    p->sequence.n = before;
    if (!(q = gn_buf_reserve(&p->sequence, 12))) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an answer");
    p->sequence.n += (size_t)(put_header(q, p->ts, tag, DICOM_VR_SQ, 0) - q);
    return 0;
}

static int prepare_sequences(answer_plan *p, const archive_value *values, gn_error *e) {
    bool as_is = !p->ts->implicit_vr && !p->ts->big_endian;
    for (size_t i = 0; i < p->column_count; i++) {
        answer_column *c = &p->column[i];
        if (c->source < 0 || !values[c->source].encoded || as_is) continue;
        c->ready = p->sequence.n;
        int rc = recode_sequence(p, c->tag, &values[c->source], e);
        if (rc) return rc;
        c->ready_length = p->sequence.n - c->ready;
    }
    return 0;
}

/* ---- character sets ---------------------------------------------------------------------------------------------------- */

/* Encodes all text into p->scratch. false: the character set cannot express it. */
static bool prepare_text(answer_plan *p, const archive_value *values) {
    size_t bad = 0;
    gn_buf_clear(&p->scratch);
    for (size_t i = 0; i < p->column_count; i++) {
        answer_column *c = &p->column[i];
        if (c->source < 0) continue;
        const archive_value *v = &values[c->source];
        if (v->encoded) {
            if (!is_ascii((const char *)v->encoded, v->encoded_length)) return false; /* items hold UTF-8, or binary values: UTF-8 is safe for both */
            continue;
        }
        c->ready = p->scratch.n;
        if (v->n) dicom_text_encode(&p->charset, v->vr ? v->vr : c->vr, v->text, v->n, &p->scratch, &bad);
        c->ready_length = p->scratch.n - c->ready;
        if (bad || p->scratch.failed) return false;
    }
    return true;
}

/* ---- the answer -------------------------------------------------------------------------------------------------------- */

typedef enum text_form { TEXT_AS_IT_IS, TEXT_PREPARED } text_form;

static uint8_t *put_value(answer_plan *p, uint8_t *q, const answer_column *c, const archive_value *v, text_form form) {
    dicom_vr vr = v->present && v->vr ? v->vr : c->vr;
    if (v->encoded) {
        if (!p->ts->implicit_vr && !p->ts->big_endian) {
            q = put_header(q, p->ts, c->tag, DICOM_VR_SQ, (uint32_t)v->encoded_length);
            memcpy(q, v->encoded, v->encoded_length);
            return q + v->encoded_length;
        }
        memcpy(q, p->sequence.p + c->ready, c->ready_length);
        return q + c->ready_length;
    }
    if (!v->n) return put_header(q, p->ts, c->tag, vr, 0);
    if (number_size(vr)) return put_numbers(q, p->ts, c->tag, vr, v->text, v->n);
    const dicom_vr_info *info = dicom_vr_find(vr);
    if (!info || !info->text) return put_header(q, p->ts, c->tag, vr, 0); /* bulk is not answered */
    if (form == TEXT_PREPARED) return put_text(q, p->ts, c->tag, vr, (const char *)p->scratch.p + c->ready, c->ready_length);
    return put_text(q, p->ts, c->tag, vr, v->text, v->n);
}

/* An upper bound for the size, and whether all text is ASCII. */
static size_t measure(const answer_plan *p, const archive_value *values, bool *ascii) {
    size_t bound = 64;
    *ascii = true;
    for (size_t i = 0; i < p->column_count; i++) {
        const answer_column *c = &p->column[i];
        bound += 16 + c->constant_length;
        if (c->source < 0) continue;
        const archive_value *v = &values[c->source];
        if (v->encoded) {
            bound += v->encoded_length;
            *ascii = *ascii && is_ascii((const char *)v->encoded, v->encoded_length);
        } else if (v->n) {
            bound += number_size(v->vr ? v->vr : c->vr) ? v->n * 8 + 8 : v->n + 2;
            *ascii = *ascii && is_ascii(v->text, v->n);
        }
    }
    return bound;
}

int answer_encode(answer_plan *p, const archive_value *values, gn_error *e) {
    bool ascii;
    size_t bound = measure(p, values, &ascii);
    text_form form = TEXT_AS_IT_IS;
    const char *charset = ascii ? (p->charset_asked ? p->charset_text : NULL) : "ISO_IR 192";
    if (p->has_sequences) {
        gn_buf_clear(&p->sequence);
        int rc = prepare_sequences(p, values, e);
        if (rc) return rc;
        bound += p->sequence.n;
    }
    if (!ascii && p->utf8) charset = p->charset_text;
    else if (!ascii && prepare_text(p, values)) {
        form = TEXT_PREPARED;
        charset = p->charset_text;
        bound += p->scratch.n + 2 * p->column_count;
    }
    gn_buf_clear(&p->out);
    uint8_t *start = gn_buf_reserve(&p->out, bound + (charset ? strlen(charset) : 0)), *q = start;
    if (!q) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an answer");
    for (size_t i = 0; i < p->column_count; i++) {
        const answer_column *c = &p->column[i];
        if (c->source >= 0) q = put_value(p, q, c, &values[c->source], form);
        else if (c->source == ANSWER_CONSTANT) q = put_text(q, p->ts, c->tag, c->vr, c->constant, c->constant_length);
        else if (charset) q = put_text(q, p->ts, c->tag, c->vr, charset, strlen(charset));
    }
    p->out.n = (size_t)(q - start);
    return 0;
}
