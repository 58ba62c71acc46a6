/* record: the 512 bytes before an object in a pack (docs/packs.md has the table).
 *
 * All numbers are little endian. A record says which archive, pack and offset it was written for (its seal), so that a pack under another
 * name, a copied block or an object that itself contains a pack is never taken for a record. The last 8 bytes are XXH3-64 of
 * those before them. */
#include "store_private.h"

#include "hash.h"

enum {
    AT_MAGIC = 0, AT_VERSION = 8, AT_KIND = 10, AT_POLICY = 12, AT_ORIGIN = 13, AT_ID = 16, AT_PACK = 32, AT_OFFSET = 40, AT_IMAGE = 48,
    AT_OBJECT = 56, AT_DATASET = 64, AT_FILE = 72, AT_HASH = 80, AT_OBJECT_HASH = 96, AT_RECEIVED = 104, AT_FINDINGS = 112, AT_INSTANCE = 120,
    AT_SYNTAX = 184, AT_CALLING = 248, AT_CALLED = 264, AT_ADDRESS = 280, AT_CHECK = 504
};
static const char MAGIC[8] = { 'G', 'N', 'T', 'R', 'Y', 'R', 'E', 'C' };
#define VERSION 1

/* Fixed fields: zeros behind the text, no NUL when it fills the field. */
static void put_text(uint8_t *q, size_t size, const char *text) {
    size_t n = strnlen(text, size);
    memcpy(q, text, n);
    memset(q + n, 0, size - n);
}

static void get_text(const uint8_t *q, size_t size, char *out) {
    memcpy(out, q, size);
    out[size] = '\0';
}

void store_record_encode(const store_record *r, size_t image_length, uint8_t h[STORE_RECORD_HEADER]) {
    memset(h, 0, STORE_RECORD_HEADER);
    memcpy(h + AT_MAGIC, MAGIC, sizeof MAGIC);
    gn_store_le16(h + AT_VERSION, VERSION);
    gn_store_le16(h + AT_KIND, (uint16_t)r->kind);
    h[AT_POLICY] = (uint8_t)r->policy;
    h[AT_ORIGIN] = (uint8_t)r->source.origin;
    gn_store_le64(h + AT_IMAGE, image_length);
    gn_store_le64(h + AT_OBJECT, r->object_length);
    gn_store_le64(h + AT_DATASET, r->dataset_offset);
    gn_store_le64(h + AT_FILE, r->file_number);
    memcpy(h + AT_HASH, r->hash, 16);
    memcpy(h + AT_OBJECT_HASH, r->object_hash, 8);
    gn_store_le64(h + AT_RECEIVED, (uint64_t)r->received_us);
    gn_store_le32(h + AT_FINDINGS, r->findings);
    put_text(h + AT_INSTANCE, 64, r->sop_instance);
    put_text(h + AT_SYNTAX, 64, r->transfer_syntax);
    put_text(h + AT_CALLING, 16, r->source.calling_ae);
    put_text(h + AT_CALLED, 16, r->source.called_ae);
    put_text(h + AT_ADDRESS, 47, r->source.address);
}

void record_seal_write(uint8_t h[STORE_RECORD_HEADER], const uint8_t id[16], uint64_t pack, uint64_t offset) {
    memcpy(h + AT_ID, id, 16);
    gn_store_le64(h + AT_PACK, pack);
    gn_store_le64(h + AT_OFFSET, offset);
    gn_store_le64(h + AT_CHECK, XXH3_64bits(h, AT_CHECK));
}

void record_seal_read(const uint8_t h[STORE_RECORD_HEADER], record_seal *seal) {
    memcpy(seal->id, h + AT_ID, 16);
    seal->pack = gn_load_le64(h + AT_PACK);
    seal->offset = gn_load_le64(h + AT_OFFSET);
}

/* Numbers that cannot be, although the checksum is right: written by something else. */
static bool sane(const store_record *r, uint64_t image) {
    if (image < STORE_ALIGN || image % STORE_ALIGN || image > INT64_MAX) return false;
    if (r->kind == STORE_VOID) return true;
    if (r->dataset_offset > r->object_length || r->policy > ARCHIVE_REJECT) return false;
    if (r->kind == STORE_OBJECT) return r->object_length <= image - STORE_RECORD_HEADER;
    return r->kind == STORE_FILE && r->file_number > 0 && r->file_number <= INT64_MAX && r->object_length <= INT64_MAX;
}

bool store_record_decode(const uint8_t h[STORE_RECORD_HEADER], store_record *r, uint64_t *image_length) {
    if (memcmp(h + AT_MAGIC, MAGIC, sizeof MAGIC) != 0 || gn_load_le16(h + AT_VERSION) != VERSION) return false;
    if (gn_load_le64(h + AT_CHECK) != XXH3_64bits(h, AT_CHECK)) return false;
    memset(r, 0, sizeof *r);
    r->kind = (store_record_kind)gn_load_le16(h + AT_KIND);
    r->policy = (archive_duplicate_policy)h[AT_POLICY];
    r->source.origin = (archive_origin)h[AT_ORIGIN];
    *image_length = gn_load_le64(h + AT_IMAGE);
    r->object_length = gn_load_le64(h + AT_OBJECT);
    r->dataset_offset = gn_load_le64(h + AT_DATASET);
    r->file_number = gn_load_le64(h + AT_FILE);
    memcpy(r->hash, h + AT_HASH, 16);
    memcpy(r->object_hash, h + AT_OBJECT_HASH, 8);
    r->received_us = (int64_t)gn_load_le64(h + AT_RECEIVED);
    r->findings = gn_load_le32(h + AT_FINDINGS);
    get_text(h + AT_INSTANCE, 64, r->sop_instance);
    get_text(h + AT_SYNTAX, 64, r->transfer_syntax);
    get_text(h + AT_CALLING, 16, r->source.calling_ae);
    get_text(h + AT_CALLED, 16, r->source.called_ae);
    get_text(h + AT_ADDRESS, 47, r->source.address);
    return sane(r, *image_length);
}

void store_object_hash(const void *header, size_t n, const uint8_t hash[16], uint8_t object_hash[8]) {
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, header, n);
    XXH3_64bits_update(&state, hash, 16);
    gn_store_le64(object_hash, XXH3_64bits_digest(&state));
}
