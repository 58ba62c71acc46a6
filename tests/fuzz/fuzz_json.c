/* fuzz_json: any text as the DICOM JSON model. What can be read can be written; what was written reads again, and from then on
 * text and data set are the same (the first time 2.50 may become 2.5); and the data set survives explicit VR. */
#include "dicom/dicom.h"

#include <stdlib.h>

#define ASSERT(x)                                                         \
    do {                                                                  \
        if (!(x)) {                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
            abort();                                                      \
        }                                                                 \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_text(const dicom_dataset *ds, gn_buf *out) {
    gn_error e = GN_ERROR_INIT;
    gn_json json;
    gn_json_init(&json, out);
    ASSERT(dicom_json_write(ds, NULL, &json, &e) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gn_error e = GN_ERROR_INIT;
    gn_arena *a = gn_arena_new((size_t)256 << 20);
    gn_buf once = GN_BUF_INIT, twice = GN_BUF_INIT, thrice = GN_BUF_INIT, encoded = GN_BUF_INIT;
    dicom_dataset *first, *second, *third;
    if (dicom_json_read(a, (const char *)data, size, &first, &e) == 0) {
        write_text(first, &once);
        ASSERT(dicom_json_read(a, (const char *)once.p, once.n, &second, &e) == 0);
        write_text(second, &twice);
        ASSERT(dicom_json_read(a, (const char *)twice.p, twice.n, &second, &e) == 0);
        write_text(second, &thrice);
        ASSERT(twice.n == thrice.n && memcmp(twice.p, thrice.p, twice.n) == 0);
        const dicom_transfer_syntax *ts = dicom_transfer_syntax_find(DICOM_TS_EXPLICIT_LE);
        if (dicom_dataset_write(first, ts, NULL, &encoded, NULL) == 0) /* else: values that are only named */
            ASSERT(dicom_dataset_read(a, ts, encoded.p ? encoded.p : (const uint8_t *)"", encoded.n, NULL, &third,
                                      &e) == 0);
    } else {
        ASSERT(e.code < 0 && e.message[0] && e.where[0]);
    }
    gn_buf_done(&once);
    gn_buf_done(&twice);
    gn_buf_done(&thrice);
    gn_buf_done(&encoded);
    gn_arena_free(&a);
    return 0;
}
