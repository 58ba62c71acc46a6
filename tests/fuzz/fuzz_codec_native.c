/* fuzz_codec_native: uncompressed frames of any format, little and big endian. */
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < FUZZ_HEADER) return 0;
    fuzz_decode(data[6] & 8 ? DICOM_TS_EXPLICIT_BE : DICOM_TS_EXPLICIT_LE, data, size, data[6] & 7);
    return 0;
}
