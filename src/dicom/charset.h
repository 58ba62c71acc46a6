/* charset.h: what the files of the character sets share; private to the room.
 *
 * charset.c knows the defined terms and chooses the way of decoding; charset_iso2022.c follows code extensions;
 * charset_gb18030.c does the Chinese multi-byte sets; charset_tables.c holds the code tables. Code points that a set does not
 * have are 0 throughout (no set has NUL there). */
#ifndef GANTRY_DICOM_CHARSET_H
#define GANTRY_DICOM_CHARSET_H

#include "dicom/dicom.h"

/* The numbers in dicom_charset.term. KATAKANA as a defined term (ISO_IR 13) means Roman letters of JIS X 0201 in G0 too. */
enum {
    CHARSET_NONE, CHARSET_ASCII, CHARSET_LATIN1, CHARSET_LATIN2, CHARSET_LATIN3, CHARSET_LATIN4, CHARSET_CYRILLIC, CHARSET_ARABIC,
    CHARSET_GREEK, CHARSET_HEBREW, CHARSET_LATIN5, CHARSET_LATIN9, CHARSET_THAI, CHARSET_KATAKANA, CHARSET_ROMAN,
    CHARSET_JISX0208, CHARSET_JISX0212, CHARSET_KSX1001, CHARSET_GB2312, CHARSET_GB18030, CHARSET_GBK, CHARSET_UTF8,
};

#define CHARSET_ESC 0x1B
#define CHARSET_REPLACEMENT 0xFFFDu

/* Sets of 94 or 96 characters in G1, one byte each. */
static inline bool charset_is_single(uint8_t set) { return set >= CHARSET_LATIN1 && set <= CHARSET_KATAKANA; }
/* Sets of 94 x 94 characters. */
static inline bool charset_is_double(uint8_t set) { return set >= CHARSET_JISX0208 && set <= CHARSET_GB2312; }
/* Those among them that are designated to G0. */
static inline bool charset_is_double_g0(uint8_t set) { return set == CHARSET_JISX0208 || set == CHARSET_JISX0212; }

/* Code point of a byte 0x80..0xFF in G1; 0: none. */
uint32_t charset_single_decode(uint8_t set, uint8_t byte);
/* The byte, or 0. */
uint8_t charset_single_encode(uint8_t set, uint32_t code_point);
/* Code point of a pair of bytes, bit 8 off (others than 0x21..0x7E give 0). */
uint32_t charset_double_decode(uint8_t set, uint8_t lead, uint8_t trail);
/* lead << 8 | trail, bit 8 off; or 0. */
uint16_t charset_double_encode(uint8_t set, uint32_t code_point);
/* Two-byte part of GB 18030. */
uint32_t charset_gb_decode2(uint8_t lead, uint8_t trail);
uint16_t charset_gb_encode2(uint32_t code_point);
/* Four-byte part: number in four-byte order <-> code point. decode: 0, none. encode: false, none. */
uint32_t charset_gb_decode4(uint32_t number);
bool charset_gb_encode4(uint32_t code_point, uint32_t *number);

/* Text on its way out, in steps of a small buffer. */
typedef struct charset_sink {
    gn_buf *out;
    size_t n, bad;
    uint8_t bytes[256];
} charset_sink;
void charset_sink_flush(charset_sink *s);
void charset_sink_bytes(charset_sink *s, const void *p, size_t n);
static inline void charset_sink_byte(charset_sink *s, uint8_t byte) {
    if (s->n == sizeof s->bytes) charset_sink_flush(s);
    s->bytes[s->n++] = byte;
}
/* As UTF-8; 0 becomes U+FFFD and counts as bad. */
void charset_sink_code_point(charset_sink *s, uint32_t code_point);

/* Bytes at p that are ASCII and not ESC. */
size_t charset_ascii_run(const uint8_t *p, size_t n);

/* Whole texts; terms as in the public functions, with nothing taken for granted. */
void charset_iso2022_decode(const dicom_charset *cs, dicom_vr vr, const uint8_t *p, size_t n, charset_sink *s);
void charset_iso2022_encode(const dicom_charset *cs, dicom_vr vr, const uint8_t *p, size_t n, charset_sink *s);
void charset_gb18030_decode(const uint8_t *p, size_t n, charset_sink *s);
void charset_gb18030_encode(uint8_t set, const uint8_t *p, size_t n, charset_sink *s);

#endif
