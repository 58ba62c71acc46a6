/* Any bytes as a string: what the JSON writer gives is valid UTF-8 on one line without control characters, and validity
 * agrees with decoding. */
#include "base/base.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool valid = true;
    for (size_t i = 0; i < size;) {
        uint32_t u;
        size_t used = gn_utf8_decode(data + i, size - i, &u);
        if (used == 0 || used > size - i) abort();
        if (used == 1 && data[i] >= 0x80) valid = false;
        uint8_t back[4];
        if (valid && (gn_utf8_encode(u, back) != used || memcmp(back, data + i, used) != 0)) abort();
        i += used;
    }
    if (gn_utf8_valid(data, size) != valid) abort();

    gn_buf out = { .limit = 1 << 20 };
    gn_json j;
    gn_json_init(&j, &out);
    gn_json_string_n(&j, (const char *)data, size);
    if (!out.failed) {
        if (!gn_utf8_valid(out.p, out.n) || out.n < 2) abort();
        for (size_t i = 0; i < out.n; i++)
            if (out.p[i] < 0x20 || out.p[i] == 0x7F) abort();
    }
    gn_buf_done(&out);
    return 0;
}
