/* fuzz_codec_j2k: JPEG 2000 and HTJ2K streams, bare and in boxes. */
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_decode("1.2.840.10008.1.2.4.90", data, size, 0);
    return 0;
}
