/* A-ASSOCIATE-RQ and -AC (PS3.8 §9.3.2, §9.3.3; user items of PS3.7 Annex D): bytes <-> dimse_negotiation.
 *
 * Every item length is checked against the bytes that are there before it is used (T1). Unknown items are passed over, as PS3.8
 * §9.3.1 asks. Contexts with an even or repeated id are dropped; so are those beyond 128. An answer may be decoded over a
 * negotiation that holds what was proposed: contexts are then matched by id. */
#include "internal.h"

enum {
    ITEM_APPLICATION = 0x10, ITEM_CONTEXT_RQ = 0x20, ITEM_CONTEXT_AC = 0x21, ITEM_ABSTRACT = 0x30, ITEM_TRANSFER = 0x40, ITEM_USER = 0x50, ITEM_MAX_LENGTH = 0x51,
    ITEM_IMPLEMENTATION_CLASS = 0x52, ITEM_WINDOW = 0x53, ITEM_ROLE = 0x54, ITEM_IMPLEMENTATION_VERSION = 0x55, ITEM_EXTENDED = 0x56, ITEM_COMMON_EXTENDED = 0x57,
    ITEM_IDENTITY_RQ = 0x58, ITEM_IDENTITY_AC = 0x59
};
enum { FIXED_PART = 68 }; /* protocol version, reserved, AE titles, reserved */

static void copy_text(char *dst, size_t size, const uint8_t *p, size_t n) {
    while (n && (*p == ' ' || *p == '\0')) { p++; n--; }
    n = strnlen((const char *)p, n);
    if (n > size - 1) n = size - 1;
    while (n && p[n - 1] == ' ') n--;
    memcpy(dst, p, n);
    dst[n] = '\0';
    for (char *c = dst; *c; c++) /* an AE title or UID never holds control characters (T23) */
        if ((unsigned char)*c < 32 || (unsigned char)*c == 127) *c = '?';
}

/* One item: type and a reader over its value. false at the end or on damage (r->failed). */
static bool next_item(gn_reader *r, uint8_t *type, gn_reader *value) {
    if (gn_reader_left(r) == 0) return false;
    *type = gn_read_u8(r);
    gn_read_u8(r);
    uint16_t n = gn_read_be16(r);
    const uint8_t *p = gn_read_bytes(r, n);
    if (r->failed || !p) { r->failed = true; return false; }
    *value = gn_reader_of(p, n);
    return true;
}

static int item_error(gn_error *e, const char *what, size_t offset) {
    gn_error_at(e, "A-ASSOCIATE, offset %zu", offset);
    return gn_fail(e, GN_E_PROTOCOL, "%s is longer than what holds it", what);
}

/* ---- decoding ----------------------------------------------------------------------------------------------------------- */

static int add_transfer_syntax(gn_arena *arena, dimse_context *c, gn_reader *value, size_t *capacity, gn_error *e) {
    if (c->proposed_count == DIMSE_MAX_TRANSFER_SYNTAXES) return 0;
    if (c->proposed_count == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 4;
        char(*grown)[65] = gn_arena_zalloc(arena, more, sizeof *grown);
        if (!grown) return gn_fail(e, GN_E_NO_MEMORY, "no memory for presentation contexts");
        if (c->proposed_count) memcpy(grown, c->proposed, c->proposed_count * sizeof *grown);
        c->proposed = grown;
        *capacity = more;
    }
    copy_text(c->proposed[c->proposed_count++], 65, value->p, value->n);
    return 0;
}

static int decode_context(gn_arena *arena, bool is_request, gn_reader *r, dimse_negotiation *out, gn_error *e) {
    uint8_t id = gn_read_u8(r);
    gn_read_u8(r);
    uint8_t result = gn_read_u8(r);
    gn_read_u8(r);
    if (r->failed) return item_error(e, "a presentation context", 0);
    dimse_context *c = NULL;
    for (size_t i = 0; i < out->context_count; i++)
        if (out->context[i].id == id) c = &out->context[i];
    if (!(id & 1) || (c && is_request)) return 0; /* even or repeated: not a context */
    if (!c) {
        if (out->context_count == DIMSE_MAX_CONTEXTS) return 0;
        c = &out->context[out->context_count++];
        memset(c, 0, sizeof *c);
        c->id = id;
        c->scu_role = true;
    }
    c->result = is_request ? DIMSE_CONTEXT_NO_REASON : (dimse_context_result)result;
    size_t capacity = 0;
    uint8_t type;
    gn_reader value;
    while (next_item(r, &type, &value)) {
        int rc = 0;
        if (type == ITEM_ABSTRACT) copy_text(c->abstract_syntax, sizeof c->abstract_syntax, value.p, value.n);
        else if (type == ITEM_TRANSFER && is_request) rc = add_transfer_syntax(arena, c, &value, &capacity, e);
        else if (type == ITEM_TRANSFER) copy_text(c->transfer_syntax, sizeof c->transfer_syntax, value.p, value.n);
        if (rc) return rc;
    }
    if (r->failed) return item_error(e, "an item of a presentation context", r->off);
    return 0;
}

/* UID-prefixed user items: role selection and extended negotiation apply to every context of that abstract syntax. */
static void decode_role(gn_reader *r, bool is_request, dimse_negotiation *out) {
    char uid[65];
    uint16_t n = gn_read_be16(r);
    const uint8_t *p = gn_read_bytes(r, n);
    uint8_t scu = gn_read_u8(r), scp = gn_read_u8(r);
    if (r->failed || !p) return;
    copy_text(uid, sizeof uid, p, n);
    for (size_t i = 0; i < out->context_count; i++) {
        dimse_context *c = &out->context[i];
        if (strcmp(c->abstract_syntax, uid) != 0) continue;
        if (is_request) {
            c->role_proposed = true;
            c->proposed_scu = scu != 0;
            c->proposed_scp = scp != 0;
        } else {
            c->scu_role = scu != 0;
            c->scp_role = scp != 0;
        }
    }
}

static void decode_extended(gn_reader *r, dimse_negotiation *out) {
    char uid[65];
    uint16_t n = gn_read_be16(r);
    const uint8_t *p = gn_read_bytes(r, n);
    if (!p) return;
    copy_text(uid, sizeof uid, p, n);
    for (size_t i = 0; i < out->context_count; i++) {
        dimse_context *c = &out->context[i];
        if (strcmp(c->abstract_syntax, uid) != 0) continue;
        size_t left = gn_reader_left(r);
        c->extended_length = (uint8_t)(left < sizeof c->extended ? left : sizeof c->extended);
        memcpy(c->extended, r->p + r->off, c->extended_length);
    }
}

static void decode_identity(gn_arena *arena, gn_reader *r, dimse_user_identity *id) {
    dimse_user_identity got = { 0 };
    got.type = gn_read_u8(r);
    got.response_requested = gn_read_u8(r) != 0;
    got.primary_length = gn_read_be16(r);
    const uint8_t *p = gn_read_bytes(r, got.primary_length);
    got.secondary_length = gn_read_be16(r);
    const uint8_t *q = gn_read_bytes(r, got.secondary_length);
    if (r->failed) return;
    got.primary = p ? gn_arena_memdup(arena, p, got.primary_length) : NULL;
    got.secondary = q ? gn_arena_memdup(arena, q, got.secondary_length) : NULL;
    if (!got.primary) got.primary_length = 0;
    if (!got.secondary) got.secondary_length = 0;
    *id = got;
}

static int decode_user(gn_arena *arena, bool is_request, gn_reader *r, dimse_negotiation *out, gn_error *e) {
    uint8_t type;
    gn_reader v;
    while (next_item(r, &type, &v)) {
        switch (type) {
        case ITEM_MAX_LENGTH: out->peer_max_pdu = gn_read_be32(&v); break;
        case ITEM_IMPLEMENTATION_CLASS: copy_text(out->implementation_class, sizeof out->implementation_class, v.p, v.n); break;
        case ITEM_IMPLEMENTATION_VERSION: copy_text(out->implementation_version, sizeof out->implementation_version, v.p, v.n); break;
        case ITEM_WINDOW: out->invoked = gn_read_be16(&v); out->performed = gn_read_be16(&v); break;
        case ITEM_ROLE: decode_role(&v, is_request, out); break;
        case ITEM_EXTENDED: decode_extended(&v, out); break;
        case ITEM_IDENTITY_RQ: decode_identity(arena, &v, &out->identity); break;
        default: break; /* ITEM_IDENTITY_AC is positive by its presence; unknown items are passed over */
        }
        if (v.failed) return item_error(e, "a field of a user item", r->off);
    }
    return r->failed ? item_error(e, "a user item", r->off) : 0;
}

int dimse_associate_decode(gn_arena *arena, bool is_request, const void *body, size_t n, dimse_negotiation *out, gn_error *e) {
    gn_reader r = gn_reader_of(body, n);
    if (n < FIXED_PART) return gn_fail(e, GN_E_PROTOCOL, "an A-ASSOCIATE PDU of %zu bytes is too short", n);
    uint16_t version = gn_read_be16(&r);
    gn_read_be16(&r);
    copy_text(out->called, sizeof out->called, gn_read_bytes(&r, 16), 16);
    copy_text(out->calling, sizeof out->calling, gn_read_bytes(&r, 16), 16);
    gn_read_bytes(&r, 32);
    if (is_request && !(version & 1)) return gn_fail(e, GN_E_UNSUPPORTED, "protocol version %u is not supported", version);
    out->invoked = out->performed = 1;
    uint8_t type;
    gn_reader value;
    while (next_item(&r, &type, &value)) {
        int rc = 0;
        if (type == ITEM_APPLICATION) copy_text(out->application_context, sizeof out->application_context, value.p, value.n);
        else if (type == (is_request ? ITEM_CONTEXT_RQ : ITEM_CONTEXT_AC)) rc = decode_context(arena, is_request, &value, out, e);
        else if (type == ITEM_USER) rc = decode_user(arena, is_request, &value, out, e);
        if (rc) return rc;
    }
    return r.failed ? item_error(e, "an item", r.off) : 0;
}

/* ---- encoding ----------------------------------------------------------------------------------------------------------- */

static size_t open_item(gn_buf *b, uint8_t type) {
    gn_buf_putc(b, (char)type);
    gn_buf_putc(b, 0);
    gn_buf_be16(b, 0);
    return b->n;
}

static void close_item(gn_buf *b, size_t start) {
    if (!b->failed) gn_store_be16(b->p + start - 2, (uint16_t)(b->n - start));
}

static void text_item(gn_buf *b, uint8_t type, const char *s) {
    size_t at = open_item(b, type);
    gn_buf_puts(b, s);
    close_item(b, at);
}

static void padded_title(gn_buf *b, const char *s) {
    char field[16];
    memset(field, ' ', sizeof field);
    memcpy(field, s, strnlen(s, sizeof field));
    gn_buf_append(b, field, sizeof field);
}

static void encode_context(gn_buf *b, bool is_request, const dimse_context *c) {
    size_t at = open_item(b, is_request ? ITEM_CONTEXT_RQ : ITEM_CONTEXT_AC);
    gn_buf_putc(b, (char)c->id);
    gn_buf_putc(b, 0);
    gn_buf_putc(b, is_request ? 0 : (char)c->result);
    gn_buf_putc(b, 0);
    if (is_request) {
        text_item(b, ITEM_ABSTRACT, c->abstract_syntax);
        for (size_t i = 0; i < c->proposed_count; i++) text_item(b, ITEM_TRANSFER, c->proposed[i]);
    } else {
        text_item(b, ITEM_TRANSFER, c->result == DIMSE_CONTEXT_ACCEPTED ? c->transfer_syntax : DICOM_TS_IMPLICIT_LE);
    }
    close_item(b, at);
}

/* Has an earlier context of the same abstract syntax been handled already? These items are per SOP class. */
static bool seen_before(const dimse_negotiation *n, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (strcmp(n->context[k].abstract_syntax, n->context[i].abstract_syntax) == 0 && (n->context[k].role_proposed || n->context[k].extended_length)) return true;
    return false;
}

static void encode_class_items(gn_buf *b, bool is_request, const dimse_negotiation *n) {
    for (size_t i = 0; i < n->context_count; i++) {
        const dimse_context *c = &n->context[i];
        if (seen_before(n, i) || (!is_request && c->result != DIMSE_CONTEXT_ACCEPTED)) continue;
        if (c->role_proposed) {
            size_t at = open_item(b, ITEM_ROLE);
            gn_buf_be16(b, (uint16_t)strlen(c->abstract_syntax));
            gn_buf_puts(b, c->abstract_syntax);
            gn_buf_putc(b, is_request ? c->proposed_scu : c->scu_role);
            gn_buf_putc(b, is_request ? c->proposed_scp : c->scp_role);
            close_item(b, at);
        }
        if (c->extended_length) {
            size_t at = open_item(b, ITEM_EXTENDED);
            gn_buf_be16(b, (uint16_t)strlen(c->abstract_syntax));
            gn_buf_puts(b, c->abstract_syntax);
            gn_buf_append(b, c->extended, c->extended_length);
            close_item(b, at);
        }
    }
}

static void encode_identity(gn_buf *b, bool is_request, const dimse_user_identity *id) {
    if (!id->type || (!is_request && !id->response_requested)) return;
    size_t at = open_item(b, is_request ? ITEM_IDENTITY_RQ : ITEM_IDENTITY_AC);
    if (is_request) {
        gn_buf_putc(b, (char)id->type);
        gn_buf_putc(b, id->response_requested);
        gn_buf_be16(b, id->primary_length);
        gn_buf_append(b, id->primary, id->primary_length);
        gn_buf_be16(b, id->secondary_length);
        gn_buf_append(b, id->secondary, id->secondary_length);
    } else {
        gn_buf_be16(b, 0);
    }
    close_item(b, at);
}

int dimse_associate_encode(bool is_request, const dimse_negotiation *in, gn_buf *b, gn_error *e) {
    gn_buf_be16(b, 1);
    gn_buf_be16(b, 0);
    padded_title(b, in->called);
    padded_title(b, in->calling);
    for (int i = 0; i < 8; i++) gn_buf_be32(b, 0);
    text_item(b, ITEM_APPLICATION, in->application_context[0] ? in->application_context : "1.2.840.10008.3.1.1.1");
    for (size_t i = 0; i < in->context_count; i++) encode_context(b, is_request, &in->context[i]);
    size_t user = open_item(b, ITEM_USER);
    size_t at = open_item(b, ITEM_MAX_LENGTH);
    gn_buf_be32(b, in->peer_max_pdu);
    close_item(b, at);
    text_item(b, ITEM_IMPLEMENTATION_CLASS, in->implementation_class);
    if (in->invoked != 1 || in->performed != 1) {
        at = open_item(b, ITEM_WINDOW);
        gn_buf_be16(b, in->invoked);
        gn_buf_be16(b, in->performed);
        close_item(b, at);
    }
    encode_class_items(b, is_request, in);
    if (in->implementation_version[0]) text_item(b, ITEM_IMPLEMENTATION_VERSION, in->implementation_version);
    encode_identity(b, is_request, &in->identity);
    close_item(b, user);
    if (b->failed) return gn_fail(e, GN_E_NO_MEMORY, "no memory for an A-ASSOCIATE PDU");
    return 0;
}

int dimse_reject_encode(dimse_reject r, uint8_t out[10]) {
    const uint8_t pdu[10] = { PDU_ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, r.result, r.source, r.reason };
    memcpy(out, pdu, sizeof pdu);
    return 10;
}
