/* fuzz_codec_jpegls: JPEG-LS streams. */
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_decode("1.2.840.10008.1.2.4.80", data, size, 0);
    return 0;
}
