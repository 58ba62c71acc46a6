/* fuzz_codec_rle: RLE frames; what decodes is encoded and must come back. */
#include "fuzz_codec.h"

#define RLE "1.2.840.10008.1.2.5"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pixel_frame first = { 0 }, second = { 0 };
    gn_buf encoded = GN_BUF_INIT;
    fuzz_decode(RLE, data, size, 0);
    if (size < FUZZ_HEADER) return 0;
    pixel_format f = fuzz_format(data);
    const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(RLE);
    if (pixel_decode(ts, &f, data + FUZZ_HEADER, size - FUZZ_HEADER, 0, NULL, &first, NULL) == 0 && pixel_encode(RLE, &first, NULL, &encoded, NULL) == 0) {
        if (pixel_decode(ts, &first.format, encoded.p, encoded.n, 0, NULL, &second, NULL) != 0 || first.n != second.n || memcmp(first.bytes, second.bytes, first.n) != 0) abort();
    }
    gn_buf_done(&encoded);
    pixel_frame_done(&first);
    pixel_frame_done(&second);
    return 0;
}
