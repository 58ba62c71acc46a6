/* Command sets (PS3.7 §6.3, Annex E): implicit VR little endian bytes <-> dimse_message.
 *
 * Written by hand on bytes: one is encoded for each C-FIND answer and each sub-operation, so nothing is allocated and nothing is
 * looked up. Decoding tolerates what peers really send: a missing or wrong group length, unknown elements, odd lengths, padding. */
#include "internal.h"

enum {
    E_GROUP_LENGTH = 0x0000, E_AFFECTED_CLASS = 0x0002, E_REQUESTED_CLASS = 0x0003, E_COMMAND = 0x0100, E_MESSAGE_ID = 0x0110, E_RESPONDED_ID = 0x0120,
    E_DESTINATION = 0x0600, E_PRIORITY = 0x0700, E_DATASET_TYPE = 0x0800, E_STATUS = 0x0900, E_OFFENDING = 0x0901, E_COMMENT = 0x0902, E_ERROR_ID = 0x0903,
    E_AFFECTED_INSTANCE = 0x1000, E_REQUESTED_INSTANCE = 0x1001, E_EVENT_TYPE = 0x1002, E_ACTION_TYPE = 0x1008, E_REMAINING = 0x1020, E_COMPLETED = 0x1021,
    E_FAILED = 0x1022, E_WARNING = 0x1023, E_ORIGINATOR = 0x1030, E_ORIGINATOR_ID = 0x1031
};
enum { NO_DATASET = 0x0101, SOME_DATASET = 0x0001 };

static uint8_t *put_header(uint8_t *p, unsigned element, uint32_t n) {
    gn_store_le16(p, 0);
    gn_store_le16(p + 2, (uint16_t)element);
    gn_store_le32(p + 4, n);
    return p + 8;
}

static uint8_t *put_u16(uint8_t *p, unsigned element, uint16_t v) {
    p = put_header(p, element, 2);
    gn_store_le16(p, v);
    return p + 2;
}

/* At most `max` characters, padded with `pad`. */
static uint8_t *put_text(uint8_t *p, unsigned element, const char *s, size_t max, char pad) {
    size_t n = strnlen(s, max), even = n + (n & 1);
    p = put_header(p, element, (uint32_t)even);
    memcpy(p, s, n);
    if (even > n) p[n] = (uint8_t)pad;
    return p + even;
}

/* Does this command name its SOP class and instance as "requested" (PS3.7 §10.3)? */
static bool uses_requested(uint16_t command) {
    uint16_t c = command & 0x7fff;
    return !(command & 0x8000) && (c == DIMSE_N_GET_RQ || c == DIMSE_N_SET_RQ || c == DIMSE_N_ACTION_RQ || c == DIMSE_N_DELETE_RQ);
}

static uint8_t *put_response_fields(uint8_t *p, const dimse_message *m) {
    p = put_u16(p, E_STATUS, m->status);
    if (m->offending_count) {
        size_t n = m->offending_count < GN_ARRAY_LEN(m->offending) ? m->offending_count : GN_ARRAY_LEN(m->offending);
        p = put_header(p, E_OFFENDING, (uint32_t)(4 * n));
        for (size_t i = 0; i < n; i++, p += 4) {
            gn_store_le16(p, dicom_tag_group(m->offending[i]));
            gn_store_le16(p + 2, dicom_tag_element(m->offending[i]));
        }
    }
    if (m->error_comment[0]) p = put_text(p, E_COMMENT, m->error_comment, 64, ' ');
    if (m->error_id) p = put_u16(p, E_ERROR_ID, m->error_id);
    return p;
}

static uint8_t *put_counts(uint8_t *p, const dimse_message *m) {
    /* A final response has no Number of Remaining (PS3.7 §9.3.4.2), except after a cancel. */
    if (m->status == DIMSE_PENDING || m->status == DIMSE_CANCEL) p = put_u16(p, E_REMAINING, m->remaining);
    p = put_u16(p, E_COMPLETED, m->completed);
    p = put_u16(p, E_FAILED, m->failed);
    return put_u16(p, E_WARNING, m->warning);
}

int dimse_command_encode(const dimse_message *m, gn_buf *out, gn_error *e) {
    uint8_t *start = gn_buf_reserve(out, 1024), *p = start;
    if (!p) return gn_fail(e, GN_E_NO_MEMORY, "no memory for a command set");
    bool response = m->command & 0x8000, requested = uses_requested(m->command);
    p = put_header(p, E_GROUP_LENGTH, 4) + 4;
    if (m->sop_class[0]) p = put_text(p, requested ? E_REQUESTED_CLASS : E_AFFECTED_CLASS, m->sop_class, 64, '\0');
    p = put_u16(p, E_COMMAND, m->command);
    p = put_u16(p, response || m->command == DIMSE_C_CANCEL_RQ ? E_RESPONDED_ID : E_MESSAGE_ID, m->message_id);
    if (m->move_destination[0]) p = put_text(p, E_DESTINATION, m->move_destination, 16, ' ');
    if (!response && m->command <= DIMSE_C_MOVE_RQ) p = put_u16(p, E_PRIORITY, m->priority);
    p = put_u16(p, E_DATASET_TYPE, m->has_dataset ? SOME_DATASET : NO_DATASET);
    if (response) p = put_response_fields(p, m);
    if (m->sop_instance[0]) p = put_text(p, requested ? E_REQUESTED_INSTANCE : E_AFFECTED_INSTANCE, m->sop_instance, 64, '\0');
    if (m->event_type) p = put_u16(p, E_EVENT_TYPE, m->event_type);
    if (m->action_type) p = put_u16(p, E_ACTION_TYPE, m->action_type);
    if (m->has_counts) p = put_counts(p, m);
    if (m->move_originator[0]) {
        p = put_text(p, E_ORIGINATOR, m->move_originator, 16, ' ');
        p = put_u16(p, E_ORIGINATOR_ID, m->move_originator_id);
    }
    gn_store_le32(start + 8, (uint32_t)(p - start - 12));
    out->n += (size_t)(p - start);
    return 0;
}

static void get_text(char *dst, size_t size, const uint8_t *v, uint32_t n) {
    n = (uint32_t)strnlen((const char *)v, n);
    while (n && *v == ' ') { v++; n--; }
    if (n > size - 1) n = (uint32_t)(size - 1);
    while (n && v[n - 1] == ' ') n--;
    memcpy(dst, v, n);
    dst[n] = '\0';
}

static void get_offending(dimse_message *m, const uint8_t *v, uint32_t n) {
    for (uint32_t i = 0; i + 4 <= n && m->offending_count < GN_ARRAY_LEN(m->offending); i += 4)
        m->offending[m->offending_count++] = DICOM_TAG(gn_load_le16(v + i), gn_load_le16(v + i + 2));
}

static void get_element(dimse_message *m, unsigned element, const uint8_t *v, uint32_t n) {
    uint16_t u = n >= 2 ? gn_load_le16(v) : 0;
    switch (element) {
    case E_AFFECTED_CLASS: case E_REQUESTED_CLASS: get_text(m->sop_class, sizeof m->sop_class, v, n); break;
    case E_AFFECTED_INSTANCE: case E_REQUESTED_INSTANCE: get_text(m->sop_instance, sizeof m->sop_instance, v, n); m->has_affected_instance = true; break;
    case E_COMMAND: m->command = u; break;
    case E_MESSAGE_ID: case E_RESPONDED_ID: m->message_id = u; break;
    case E_DESTINATION: get_text(m->move_destination, sizeof m->move_destination, v, n); break;
    case E_PRIORITY: m->priority = u; break;
    case E_DATASET_TYPE: m->has_dataset = u != NO_DATASET; break;
    case E_STATUS: m->status = u; m->has_status = true; break;
    case E_OFFENDING: get_offending(m, v, n); break;
    case E_COMMENT: get_text(m->error_comment, sizeof m->error_comment, v, n); break;
    case E_ERROR_ID: m->error_id = u; break;
    case E_EVENT_TYPE: m->event_type = u; break;
    case E_ACTION_TYPE: m->action_type = u; break;
    case E_REMAINING: m->remaining = u; m->has_counts = true; break;
    case E_COMPLETED: m->completed = u; m->has_counts = true; break;
    case E_FAILED: m->failed = u; m->has_counts = true; break;
    case E_WARNING: m->warning = u; m->has_counts = true; break;
    case E_ORIGINATOR: get_text(m->move_originator, sizeof m->move_originator, v, n); break;
    case E_ORIGINATOR_ID: m->move_originator_id = u; break;
    default: break; /* unknown elements are passed over */
    }
}

int dimse_command_decode(const void *bytes, size_t n, dimse_message *m, gn_error *e) {
    memset(m, 0, sizeof *m);
    gn_reader r = gn_reader_of(bytes, n);
    bool has_command = false;
    while (gn_reader_left(&r) > 0) {
        size_t at = r.off;
        unsigned group = gn_read_le16(&r), element = gn_read_le16(&r);
        uint32_t length = gn_read_le32(&r);
        const uint8_t *v = gn_read_bytes(&r, length);
        if (r.failed || !v) {
            gn_error_at(e, "command set, offset %zu, (%04X,%04X)", at, group, element);
            return gn_fail(e, GN_E_PROTOCOL, "a command element is longer than the command set");
        }
        if (group != 0) {
            gn_error_at(e, "command set, offset %zu, (%04X,%04X)", at, group, element);
            return gn_fail(e, GN_E_PROTOCOL, "an element of group %04X in a command set", group);
        }
        has_command = has_command || (element == E_COMMAND && length >= 2);
        get_element(m, element, v, length);
    }
    if (!has_command) return gn_fail(e, GN_E_PROTOCOL, "a command set without Command Field (0000,0100)");
    return 0;
}
