/* dicom: the DICOM data model, without network, database, files of its own, or global state.
 *
 * Data dictionary (PS3.6), UIDs, data sets (PS3.5), Part 10 files (PS3.10), character sets (PS3.3 C.12.1.1.2), the JSON model
 * (PS3.18 Annex F), value types and attribute matching (PS3.4 C.2.2.2). Everything parsed lives in the caller's gn_arena and
 * points into the caller's bytes where it can; nothing is freed one by one. Nothing recurses on the depth of an input. */
#ifndef GANTRY_DICOM_H
#define GANTRY_DICOM_H

#include "base/base.h"

/* ---- tags, VRs, dictionary (PS3.6, PS3.5 §6.2) ------------------------------------------------------------------------- */

typedef uint32_t dicom_tag; /* group << 16 | element */
#define DICOM_TAG(group, element) ((dicom_tag)(group) << 16 | (dicom_tag)(element))
static inline uint16_t dicom_tag_group(dicom_tag t) { return (uint16_t)(t >> 16); }
static inline uint16_t dicom_tag_element(dicom_tag t) { return (uint16_t)t; }
static inline bool dicom_tag_is_private(dicom_tag t) { return (t >> 16) & 1; }

/* The two characters of the VR, first in the high byte. Every VR of PS3.5 Table 6.2-1. */
#define DICOM_VR(a, b) ((uint16_t)((a) << 8 | (b)))
typedef uint16_t dicom_vr;
enum {
    DICOM_VR_NONE = 0,
    DICOM_VR_AE = DICOM_VR('A', 'E'), DICOM_VR_AS = DICOM_VR('A', 'S'), DICOM_VR_AT = DICOM_VR('A', 'T'), DICOM_VR_CS = DICOM_VR('C', 'S'),
    DICOM_VR_DA = DICOM_VR('D', 'A'), DICOM_VR_DS = DICOM_VR('D', 'S'), DICOM_VR_DT = DICOM_VR('D', 'T'), DICOM_VR_FD = DICOM_VR('F', 'D'),
    DICOM_VR_FL = DICOM_VR('F', 'L'), DICOM_VR_IS = DICOM_VR('I', 'S'), DICOM_VR_LO = DICOM_VR('L', 'O'), DICOM_VR_LT = DICOM_VR('L', 'T'),
    DICOM_VR_OB = DICOM_VR('O', 'B'), DICOM_VR_OD = DICOM_VR('O', 'D'), DICOM_VR_OF = DICOM_VR('O', 'F'), DICOM_VR_OL = DICOM_VR('O', 'L'),
    DICOM_VR_OV = DICOM_VR('O', 'V'), DICOM_VR_OW = DICOM_VR('O', 'W'), DICOM_VR_PN = DICOM_VR('P', 'N'), DICOM_VR_SH = DICOM_VR('S', 'H'),
    DICOM_VR_SL = DICOM_VR('S', 'L'), DICOM_VR_SQ = DICOM_VR('S', 'Q'), DICOM_VR_SS = DICOM_VR('S', 'S'), DICOM_VR_ST = DICOM_VR('S', 'T'),
    DICOM_VR_SV = DICOM_VR('S', 'V'), DICOM_VR_TM = DICOM_VR('T', 'M'), DICOM_VR_UC = DICOM_VR('U', 'C'), DICOM_VR_UI = DICOM_VR('U', 'I'),
    DICOM_VR_UL = DICOM_VR('U', 'L'), DICOM_VR_UN = DICOM_VR('U', 'N'), DICOM_VR_UR = DICOM_VR('U', 'R'), DICOM_VR_US = DICOM_VR('U', 'S'),
    DICOM_VR_UT = DICOM_VR('U', 'T'), DICOM_VR_UV = DICOM_VR('U', 'V'),
};
typedef struct dicom_vr_info {
    dicom_vr vr;
    uint8_t unit;       /* bytes swapped as one in big endian: of one binary value (of AT 2: a value is a pair); 1 for text and OB/UN; 0 for SQ */
    bool long_length;   /* 12-byte header in explicit VR (PS3.5 §7.1.2) */
    bool text;          /* character data, of any repertoire */
    bool charset;       /* affected by Specific Character Set: LO LT PN SH ST UC UT */
    bool multi;         /* backslash separates values */
    char pad;           /* ' ' or '\0' */
    uint32_t max_length; /* characters of one value; 0: no limit stated */
} dicom_vr_info;
const dicom_vr_info *dicom_vr_find(dicom_vr vr); /* NULL for two characters that are no VR */

typedef struct dicom_dict_entry {
    dicom_tag tag, mask;  /* an entry matches t when (t & mask) == tag: repeating groups 50xx, 60xx, … have mask < 0xFFFFFFFF */
    dicom_vr vr, vr2, vr3; /* alternatives, e.g. US or SS, OB or OW; NONE when there is only one */
    const char *vm;        /* "1", "1-n", "2-2n" */
    const char *keyword, *name;
    bool retired;
} dicom_dict_entry;
/* PS3.6 §6, §7 (file meta, directory) and the command dictionary of PS3.7 Annex E. NULL when unknown (all private ones are). */
const dicom_dict_entry *dicom_dict_find(dicom_tag tag);
const dicom_dict_entry *dicom_dict_by_keyword(const char *keyword);
size_t dicom_dict_count(void);
const dicom_dict_entry *dicom_dict_at(size_t i);
/* "PatientName", "0010,0010", "00100010", "(0010,0010)" -> tag; also a path "A[0].B" is NOT accepted here. false: no such tag. */
bool dicom_tag_parse(const char *text, dicom_tag *tag);
/* VR of an element in implicit VR: dictionary, group length UL, private creator LO, else UN. US/SS and OB/OW are left to
 * dicom_vr_resolve, called by the reader with Pixel Representation and Bits Allocated seen so far. */
dicom_vr dicom_implicit_vr(dicom_tag tag);

#include "dicom/tags.h" /* generated: DICOM_TAG_PatientName … for every keyword of the dictionary */

/* ---- UIDs (PS3.5 §9, PS3.6 Annex A) ------------------------------------------------------------------------------------ */

typedef enum dicom_uid_kind { DICOM_UID_SOP_CLASS, DICOM_UID_TRANSFER_SYNTAX, DICOM_UID_META_SOP_CLASS, DICOM_UID_SERVICE_CLASS,
    DICOM_UID_WELL_KNOWN, DICOM_UID_CODING_SCHEME, DICOM_UID_CONTEXT, DICOM_UID_OTHER } dicom_uid_kind;
typedef struct dicom_uid_entry {
    const char *uid, *keyword, *name;
    dicom_uid_kind kind;
    bool retired, storage; /* storage: an instance storage SOP class of PS3.4 Annex B */
} dicom_uid_entry;
const dicom_uid_entry *dicom_uid_find(const char *uid);
const dicom_uid_entry *dicom_uid_by_keyword(const char *keyword);
size_t dicom_uid_count(void);
const dicom_uid_entry *dicom_uid_at(size_t i);
#define DICOM_UID_MAX 64
/* PS3.5 §9.1: digits and dots, 1..64, no empty component. `strict` also refuses leading zeros (real data has them: not strict). */
bool dicom_uid_valid(const char *uid, size_t n);
bool dicom_uid_valid_strict(const char *uid, size_t n);
void dicom_uid_make(char out[65]); /* 2.25.<random 128 bit>, PS3.5 §B.2; from getrandom */
#define DICOM_IMPLEMENTATION_CLASS_UID "2.25.225091264532107163318906420716498245213"
#define DICOM_IMPLEMENTATION_VERSION "GANTRY_0"

/* ---- transfer syntaxes (PS3.5 §10, Annex A) ---------------------------------------------------------------------------- */

typedef struct dicom_transfer_syntax {
    const char *uid, *name;
    bool implicit_vr, big_endian, deflated, encapsulated, lossy;
} dicom_transfer_syntax;
const dicom_transfer_syntax *dicom_transfer_syntax_find(const char *uid); /* NULL: unknown; private ones are then treated as explicit LE encapsulated */
size_t dicom_transfer_syntax_count(void);
const dicom_transfer_syntax *dicom_transfer_syntax_at(size_t i);
#define DICOM_TS_IMPLICIT_LE "1.2.840.10008.1.2"
#define DICOM_TS_EXPLICIT_LE "1.2.840.10008.1.2.1"
#define DICOM_TS_DEFLATED_LE "1.2.840.10008.1.2.1.99"
#define DICOM_TS_EXPLICIT_BE "1.2.840.10008.1.2.2"

/* ---- data sets --------------------------------------------------------------------------------------------------------- */

#define DICOM_UNDEFINED_LENGTH 0xFFFFFFFFu
#define DICOM_MAX_DEPTH 64 /* T7 */

typedef struct dicom_dataset dicom_dataset;

/* One fragment or item of encapsulated pixel data (PS3.5 §A.4), or any other stretch of the stream. */
typedef struct dicom_extent { uint64_t offset, length; } dicom_extent; /* from the start of the data set's stream; bytes */

typedef struct dicom_element {
    dicom_tag tag;
    dicom_vr vr;            /* as read (explicit) or resolved (implicit) */
    uint8_t flags;          /* DICOM_ELEMENT_… */
    uint32_t length;        /* of the value as encoded, padding included; DICOM_UNDEFINED_LENGTH possible for SQ, UN, pixel data */
    uint16_t wire_vr;       /* the two characters as read in explicit VR, which may be no VR (then `vr` is UN); 0: none */
    uint16_t wire_reserved; /* the two bytes behind the VR in the 12-byte header as read, normally 0 */
    const uint8_t *value;   /* encoded bytes (byte order of the data set), or NULL: empty, a sequence, or left in the stream;
                             * encapsulated pixel data in memory: from the first item's tag on, at `offset` of the stream */
    uint64_t offset;        /* of the value's first byte in the stream the data set was read from; 0 when made in memory */
    struct dicom_item *items; /* SQ (or UN holding a sequence, CP-246): linked list of items in order */
    struct dicom_fragments *fragments; /* encapsulated pixel data */
} dicom_element;
enum { DICOM_ELEMENT_BULK = 1,          /* value was not kept: find it at offset/length in the stream */
       DICOM_ELEMENT_UNDEFINED = 2,     /* undefined length on the wire */
       DICOM_ELEMENT_IMPLICIT_INSIDE = 4, /* UN sequence: content is implicit VR little endian (PS3.5 §6.2.2 note) */
       DICOM_ELEMENT_IMPLICIT_HEADER = 8, /* header without VR amid explicit VR (not allowed, but seen); written back so */
       DICOM_ELEMENT_SHORT_HEADER = 16    /* 8-byte explicit header although `vr` has the 12-byte one */ };

typedef struct dicom_item {
    dicom_dataset *dataset;
    struct dicom_item *next;
    struct dicom_item *last; /* set in the first item of a list only: the last one */
    bool undefined; /* item length was undefined */
    uint32_t length; /* as read; DICOM_UNDEFINED_LENGTH, or 0 when made in memory */
    uint64_t offset; /* of the item tag in the stream */
} dicom_item;

typedef struct dicom_fragments {
    dicom_extent offset_table; /* Basic Offset Table item's value; length 0: empty */
    size_t count;
    dicom_extent *extent;      /* fragments after the offset table */
} dicom_fragments;

/* A data set is a list of elements in the order read (ascending in legal input). All memory from `arena`. */
struct dicom_dataset {
    gn_arena *arena;
    dicom_element *element;
    size_t count, capacity;
    bool big_endian;      /* byte order of the values */
    bool sorted;          /* false: input had elements out of order or twice; lookups then scan, first one wins */
    dicom_dataset *parent; /* data set of the sequence this one is an item of; NULL at the top (character set is inherited) */
};

dicom_dataset *dicom_dataset_new(gn_arena *arena, gn_error *e); /* little endian, empty */
const dicom_element *dicom_dataset_find(const dicom_dataset *ds, dicom_tag tag); /* NULL: absent; searches this level only */
/* The element of a private block: element number 0x00..0xFF under the block that `creator` reserves in `group`. */
const dicom_element *dicom_dataset_find_private(const dicom_dataset *ds, uint16_t group, const char *creator, uint8_t element);
/* Inserts in tag order, replacing an element of the same tag. `value` is copied into the arena, padded to even length. */
int dicom_dataset_put(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const void *value, size_t length, gn_error *e);
int dicom_dataset_put_string(dicom_dataset *ds, dicom_tag tag, dicom_vr vr, const char *text, gn_error *e); /* bytes as they are */
int dicom_dataset_put_u16(dicom_dataset *ds, dicom_tag tag, uint16_t value, gn_error *e);   /* US */
int dicom_dataset_put_u32(dicom_dataset *ds, dicom_tag tag, uint32_t value, gn_error *e);   /* UL */
/* Adds an empty sequence / appends an item to it (made when absent); the item's empty data set in *item. */
int dicom_dataset_put_sequence(dicom_dataset *ds, dicom_tag tag, gn_error *e);
int dicom_dataset_add_item(dicom_dataset *ds, dicom_tag tag, dicom_dataset **item, gn_error *e);
int dicom_dataset_remove(dicom_dataset *ds, dicom_tag tag); /* 0, or GN_E_NOT_FOUND */

/* ---- values ------------------------------------------------------------------------------------------------------------ */

/* Raw text of a value, without trailing padding and, for all but LT/ST/UT/UC, leading spaces. Not NUL-terminated: *n bytes.
 * NULL (and *n = 0): absent, empty or bulk. */
const char *dicom_element_text(const dicom_element *el, size_t *n);
/* The same, copied NUL-terminated into the arena of ds; "" when absent. For ASCII-only VRs (UI, CS, DA, …). */
const char *dicom_dataset_ascii(const dicom_dataset *ds, dicom_tag tag);
/* Into a caller's buffer, cut to size; returns length; no allocation. */
size_t dicom_dataset_ascii_into(const dicom_dataset *ds, dicom_tag tag, char *buf, size_t size);
/* Number of values (PS3.5 §6.4): backslashes + 1 for text, length / unit for binary, items for SQ; 0: empty. */
size_t dicom_element_vm(const dicom_element *el);
/* Value i as a number: US SS UL SL SV UV FL FD AT(as u32) IS DS, in the byte order of ds. false: absent or not a number. */
bool dicom_element_int(const dicom_dataset *ds, const dicom_element *el, size_t i, int64_t *value);
bool dicom_element_double(const dicom_dataset *ds, const dicom_element *el, size_t i, double *value);
bool dicom_dataset_int(const dicom_dataset *ds, dicom_tag tag, int64_t *value); /* first value */
/* Value i of a backslash-separated text; *n its length without padding. NULL: no such value. */
const char *dicom_element_value(const dicom_element *el, size_t i, size_t *n);

/* Dates and times (PS3.5 §6.2). A value is a span: "2024" as DT means the whole year. All in microseconds.
 * Ranges as PS3.4 C.2.2.2.5: "a-b", "-b", "a-"; old forms (2024.01.02, 10:20:30) are read too. false: not a date. */
typedef struct dicom_span { int64_t from, to; } dicom_span; /* inclusive; INT64_MIN / INT64_MAX: open */
bool dicom_date_parse(const char *text, size_t n, int32_t *yyyymmdd);         /* one DA */
bool dicom_date_range(const char *text, size_t n, int32_t *from, int32_t *to); /* yyyymmdd; 0 / 99999999: open */
bool dicom_time_range(const char *text, size_t n, dicom_span *span);          /* microseconds since midnight */
bool dicom_datetime_range(const char *text, size_t n, int utc_offset_minutes, dicom_span *span); /* microseconds since 1970 UTC; the offset is for values without one */

/* ---- character sets (PS3.3 C.12.1.1.2, PS3.5 §6.1) --------------------------------------------------------------------- */

typedef struct dicom_charset {
    uint8_t count;     /* values of Specific Character Set; 0: default repertoire */
    uint8_t term[8];   /* internal numbers of the defined terms */
    bool unknown;      /* a term was not a defined one: bytes are read as UTF-8 if valid, else Latin-1 */
} dicom_charset;
dicom_charset dicom_charset_parse(const char *text, size_t n); /* the value of (0008,0005), backslashes included */
dicom_charset dicom_charset_of(const dicom_dataset *ds);       /* own, or inherited from parents */
extern const dicom_charset DICOM_CHARSET_UTF8;
/* Bytes -> UTF-8, appended to out. Never fails for bad bytes: each becomes U+FFFD and *bad counts them (may be NULL). ISO 2022
 * escapes are honoured and the state resets at delimiters as PS3.5 §6.1.2.5.3 asks: `vr` tells which. */
void dicom_text_decode(const dicom_charset *cs, dicom_vr vr, const char *text, size_t n, gn_buf *out, size_t *bad);
/* UTF-8 -> bytes in cs, with escapes where cs has code extensions; what cs cannot say becomes '?' and *bad counts it. */
void dicom_text_encode(const dicom_charset *cs, dicom_vr vr, const char *utf8, size_t n, gn_buf *out, size_t *bad);
/* An element's whole text as UTF-8, NUL-terminated in the arena of ds; "" when absent. Padding removed. */
const char *dicom_dataset_utf8(const dicom_dataset *ds, dicom_tag tag);
/* PN: component group g (0 alphabetic, 1 ideographic, 2 phonetic) of a UTF-8 name; NULL when absent. */
const char *dicom_pn_group(const char *utf8, size_t n, unsigned g, size_t *group_length);

/* ---- reading (PS3.5 §7, PS3.10 §7) ------------------------------------------------------------------------------------- */

typedef struct dicom_read_options {
    uint32_t max_value;    /* keep values up to this many bytes; longer ones become BULK (0: 64 KiB) */
    uint64_t max_inflated; /* limit of a deflated data set (0: 4 GiB); beyond 256 MiB also of its ratio, 1:500 (T6; deflate cannot exceed 1:1032) */
    bool stop_at_pixel_data; /* do not look at what follows; pixel data is still reported as a BULK element when its header is there */
    bool keep_everything;  /* max_value is ignored: every value stays available (for small, trusted or in-memory data) */
    bool accept_truncated; /* input that ends too early gives what was there, its last value cut off (for tools and viewers; not for storing) */
} dicom_read_options;

/* A data set in memory, encoded as `ts`. Values point into `bytes`, which must outlive it (deflated: into the arena).
 * Errors name offset and tag path in e->where: "offset 1234, (0040,A730)[3].(0008,1199)". */
int dicom_dataset_read(gn_arena *arena, const dicom_transfer_syntax *ts, const void *bytes, size_t n, const dicom_read_options *options,
                       dicom_dataset **out, gn_error *e);

/* A Part 10 file in memory or mapped: preamble, meta group, data set; also files without preamble or meta group, where the
 * encoding is guessed (implicit or explicit, little or big endian), as real archives hold them. */
typedef struct dicom_file {
    dicom_dataset *meta;       /* group 0002, explicit LE; NULL: there was none */
    dicom_dataset *dataset;
    const dicom_transfer_syntax *transfer_syntax; /* never NULL */
    char transfer_syntax_uid[65]; /* as stated (may be unknown), or the guessed one */
    uint64_t dataset_offset;   /* of the first byte of the data set in the file; element offsets count from there */
    bool has_preamble, has_meta, guessed;
} dicom_file;
int dicom_file_read(gn_arena *arena, const void *bytes, size_t n, const dicom_read_options *options, dicom_file *out, gn_error *e);
/* Only the meta group and where the data set begins; reads no further than needed. GN_E_TRUNCATED: give more bytes. */
int dicom_file_read_meta(gn_arena *arena, const void *bytes, size_t n, dicom_file *out, gn_error *e);

/* The streaming reader: push bytes as they arrive, in any pieces; it keeps what is not bulk and passes over the rest.
 * Memory: at most `max_header` bytes of header (0: 32 MiB) plus one extent a fragment (at most max_fragments, 0: 1,000,000). */
typedef struct dicom_stream dicom_stream;
typedef struct dicom_stream_options {
    uint32_t max_value;    /* as above */
    size_t max_header, max_fragments;
    uint64_t max_inflated;
    bool accept_cut_pixel_data; /* input that ends inside Pixel Data is no error: its length becomes what was there (then too short for its description) */
} dicom_stream_options;
dicom_stream *dicom_stream_new(gn_arena *arena, const dicom_transfer_syntax *ts, const dicom_stream_options *options, gn_error *e);
/* After an error the stream only counts; the caller may go on pushing (to store the bytes all the same) and read the error later. */
int dicom_stream_push(dicom_stream *s, const void *bytes, size_t n, gn_error *e);
/* End of input: parses what was kept. The data set stays valid as long as the arena; pixel data and other bulk are BULK
 * elements with their offsets (and fragments). GN_E_TRUNCATED when the input ended inside an element. */
int dicom_stream_finish(dicom_stream *s, dicom_dataset **out, gn_error *e);
void dicom_stream_free(dicom_stream **s); /* frees what is not in the arena; the data set stays valid */

/* Where each frame's bytes lie. For native pixel data: offset + i * frame size. For encapsulated: by the Extended or Basic
 * Offset Table where it is sound, else one fragment a frame, else all fragments to one frame; tables are hints (T8).
 * `frames` needs a 1-bit native note: offsets are in bytes, frames of 1-bit data may start inside a byte (bit_offset). */
typedef struct dicom_frame { uint64_t offset, length; uint32_t first_fragment, fragments; uint8_t bit_offset; } dicom_frame;
typedef struct dicom_pixel_description {
    int64_t rows, columns, samples, bits_allocated, bits_stored, high_bit, pixel_representation, planar, frames;
    char photometric[17];
    uint64_t frame_bytes;     /* of one native frame, rounded up for 1 bit; 0 when not computable (checked 64-bit, T9) */
    bool native, present;     /* present: there is a Pixel Data element (also Float / Double Float) */
    const dicom_element *element;
} dicom_pixel_description;
/* Fills what the data set says, as far as it is there and of the right VR; never fails. */
void dicom_pixel_describe(const dicom_dataset *ds, const dicom_transfer_syntax *ts, dicom_pixel_description *out);
/* Frames table in the arena of ds. `read_at` gives bytes of the stream that are not in memory (offset tables, and the first
 * bytes of fragments, to find frames without a table): pread-like, 0 or a code; NULL when all is in memory or to do without.
 * GN_E_TRUNCATED: less pixel data than described; the whole frames that are there are given all the same. GN_E_UNSUPPORTED:
 * the frames can only be told apart by bytes that read_at would have to give. One fragment that no table divides into the
 * frames described (video) is one entry. Encapsulated: `length` is the sum over the frame's fragments (or as the Extended
 * Offset Table Lengths say), `offset` that of the first one. */
int dicom_pixel_frames(const dicom_dataset *ds, const dicom_pixel_description *d, int (*read_at)(void *ctx, uint64_t offset, void *buf, size_t n), void *ctx,
                       dicom_frame **frames, size_t *count, gn_error *e);

/* ---- writing ----------------------------------------------------------------------------------------------------------- */

typedef struct dicom_write_options {
    /* How to fetch the value of a BULK element; NULL: such elements are an error. Appends `length` bytes from `offset`; for
     * encapsulated pixel data it is called for each fragment, with an element that has the fragment's offset and length. */
    int (*bulk)(void *ctx, const dicom_element *el, gn_buf *out, gn_error *e);
    void *ctx;
    bool without_group_lengths; /* drop (gggg,0000) instead of writing them as read */
} dicom_write_options;
/* Byte-identical for a data set that was read from the same transfer syntax and not changed (defined and undefined lengths,
 * padding, order are as read). Changing the transfer syntax among the native ones swaps and re-encodes headers. */
int dicom_dataset_write(const dicom_dataset *ds, const dicom_transfer_syntax *ts, const dicom_write_options *options, gn_buf *out, gn_error *e);
/* 128-byte preamble (zero), "DICM" and the meta group with group length: PS3.10 §7.1. `source_ae` may be NULL. */
int dicom_file_header_write(const char *sop_class, const char *sop_instance, const char *transfer_syntax, const char *source_ae, gn_buf *out, gn_error *e);

/* ---- JSON model (PS3.18 Annex F) --------------------------------------------------------------------------------------- */

typedef struct dicom_json_options {
    /* Called for BULK elements and for values over max_inline: write the URI into out and return true; false: leave out the value.
     * `path` names the element within the instance, items counted from 0: "7FE00010", "54000100/0/54001010". */
    bool (*bulk_uri)(void *ctx, const dicom_element *el, const char *path, gn_buf *out);
    void *ctx;
    uint32_t max_inline;   /* binary values up to this many bytes become InlineBinary (0: all that are in memory) */
    bool with_group_lengths;
} dicom_json_options;
/* One object. Attributes come in the order of their tags, each once, whatever the data set is like. Text is UTF-8, and a Specific
 * Character Set that is there says so (ISO_IR 192). NaN and infinities are the strings "NaN", "Infinity", "-Infinity"; IS and DS
 * that are no JSON numbers, and SV and UV beyond 2^53, are strings. */
int dicom_json_write(const dicom_dataset *ds, const dicom_json_options *options, gn_json *out, gn_error *e);
/* The values of one attribute that is known as text: UTF-8, values with backslashes between, binary numbers as decimals. Appends ,"Value":[…] as dicom_json_write
 * does, or nothing when there is no value. Not for sequences and bulk. */
void dicom_json_text(dicom_vr vr, const char *utf8, size_t n, gn_buf *out);
/* One object, or the first of an array. Text becomes UTF-8 values, with (0008,0005) ISO_IR 192 when any is not ASCII.
 * BulkDataURI is never fetched: the element is BULK, length 0, and its value points to the URI, a C string in the arena (the one
 * case of a BULK element with a value). At most 64 MiB of text. Errors name the JSON path: "00081115.Value[0].00081150". */
int dicom_json_read(gn_arena *arena, const char *text, size_t n, dicom_dataset **out, gn_error *e);

/* ---- printing ---------------------------------------------------------------------------------------------------------- */

/* As `dcmdump` users expect: "(0010,0010) PN [Doe^John]   #   8, 1 PatientName", sequences indented, bulk elided. UTF-8 out, one
 * line a call, without its end; control characters are shown as '.'. Values are cut to max_width characters (0: 66). */
int dicom_dump(const dicom_file *f, unsigned max_width, void (*print)(void *ctx, const char *line), void *ctx, gn_error *e);
/* "(0010,0010)" into buf of at least 12 bytes. */
char *dicom_tag_text(dicom_tag tag, char *buf);

/* ---- attribute matching (PS3.4 C.2.2.2) -------------------------------------------------------------------------------- */

/* How one key matches, from its VR and value. */
typedef enum dicom_match_kind { DICOM_MATCH_UNIVERSAL, DICOM_MATCH_SINGLE, DICOM_MATCH_UID_LIST, DICOM_MATCH_WILDCARD, DICOM_MATCH_RANGE,
    DICOM_MATCH_SEQUENCE, DICOM_MATCH_EMPTY /* "" in double quotes: matches only zero length */ } dicom_match_kind;
dicom_match_kind dicom_match_classify(dicom_vr vr, const char *value, size_t n);
/* '*' and '?' over UTF-8, in time linear in pattern × text at worst, no recursion (T15). fold: ignore case (PN). */
bool dicom_match_wildcard(const char *pattern, size_t pn, const char *text, size_t tn, bool fold);
/* Case folding (and, with `accents`, removal of combining marks and diacritics) of UTF-8 into out: the normal form in which
 * names are compared and indexed. Latin, Greek and Cyrillic are folded; other scripts stay. */
void dicom_text_fold(const char *utf8, size_t n, bool accents, gn_buf *out);
/* Does a person name (UTF-8, up to 3 component groups) match a key of the same form? Case-insensitive, wildcards, groups of
 * the key that are empty match all; a key of one group is compared with each group of the name. */
bool dicom_match_name(const char *key, size_t kn, const char *name, size_t nn);
/* Fuzzy: every word of the key must sound like (or be a prefix of) a word of the name, accents ignored. */
bool dicom_match_name_fuzzy(const char *key, size_t kn, const char *name, size_t nn);
/* A whole identifier: each key of `keys` (recursively for sequences, to DICOM_MAX_DEPTH) against `ds`. */
bool dicom_match_dataset(const dicom_dataset *keys, const dicom_dataset *ds, bool fuzzy_names);

#endif
