/* fuzz_codec_jpeg: all JPEG processes: the stream chooses the library. */
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_decode("1.2.840.10008.1.2.4.50", data, size, 0);
    return 0;
}
