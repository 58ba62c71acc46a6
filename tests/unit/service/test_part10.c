/* What a file is, by its head. */
#include "check.h"
#include "part10.h"

#include <stdlib.h>

static const uint8_t explicit_start[] = { 8,    0,   0x16, 0,   'U', 'I', 26,  0,   '1', '.', '2', '.',
                                          '8',  '4', '0',  '.', '1', '0', '0', '0', '8', '.', '5', '.',
                                          '1',  '.', '4',  '.', '1', '.', '1', '.', '2', 0,   8,   0,
                                          0x18, 0,   'U',  'I', 6,   0,   '1', '.', '2', '.', '3', 0 };

TEST(a_file_with_a_header) {
    gn_buf b = GN_BUF_INIT;
    part10 p;
    gn_error e = GN_ERROR_INIT;
    REQUIRE(dicom_file_header_write("1.2.840.10008.5.1.4.1.1.2", "1.2.3", DICOM_TS_EXPLICIT_LE, "A", &b, &e) == 0);
    size_t header = b.n;
    gn_buf_append(&b, explicit_start, sizeof explicit_start);
    CHECK_INT(part10_look_at(b.p, b.n, true, &p, &e), 0);
    CHECK_INT(p.dataset_offset, header);
    CHECK(p.has_meta && !p.directory);
    CHECK_STR(p.sop_class, "1.2.840.10008.5.1.4.1.1.2");
    CHECK_STR(p.sop_instance, "1.2.3");
    CHECK_STR(p.transfer_syntax, DICOM_TS_EXPLICIT_LE);
    for (size_t n = 0; n < b.n; n++) { /* cut anywhere: no answer beyond what is there */
        gn_error why = GN_ERROR_INIT;
        uint8_t *exact = malloc(n + 1);
        REQUIRE(exact);
        memcpy(exact, b.p, n);
        int rc = part10_look_at(exact, n, false, &p, &why);
        CHECK(rc != 0 || p.dataset_offset <= b.n);
        free(exact);
    }
    gn_buf_done(&b);
}

TEST(a_file_without_one) {
    part10 p;
    CHECK_INT(part10_look_at(explicit_start, sizeof explicit_start, true, &p, NULL), 0);
    CHECK_INT(p.dataset_offset, 0);
    CHECK(!p.has_meta);
    CHECK_STR(p.sop_instance, "1.2.3");
    CHECK_STR(p.transfer_syntax, DICOM_TS_EXPLICIT_LE);
}

TEST(media_directories) {
    gn_buf b = GN_BUF_INIT;
    part10 p;
    REQUIRE(dicom_file_header_write("1.2.840.10008.1.3.10", "1.2.3", DICOM_TS_EXPLICIT_LE, "A", &b, NULL) == 0);
    CHECK_INT(part10_look_at(b.p, b.n, true, &p, NULL), 0);
    CHECK(p.directory);
    gn_buf_done(&b);
}

TEST(other_files) {
    static const char *const texts[] = { "PK\3\4 and so on, an archive of some kind",
                                         "%PDF-1.7 a document",
                                         "#!/bin/sh\necho hello\n",
                                         "{ \"a\": 1, \"b\": 2 }",
                                         "II*\0 picture picture picture",
                                         ("\x7F"
                                          "ELF\2\1\1 program"),
                                         "" };
    part10 p;
    for (size_t i = 0; i < GN_ARRAY_LEN(texts); i++)
        CHECK_INT(part10_look_at(texts[i], strlen(texts[i]), true, &p, NULL), 1);
    uint8_t zeros[1000] = { 0 };
    CHECK_INT(part10_look_at(zeros, sizeof zeros, true, &p, NULL), 1);
}

/* Random bytes behind the mark of a DICOM file. */
TEST(broken_heads_never_crash) {
    uint8_t head[300] = { 0 };
    memcpy(head + 128, "DICM", 4);
    unsigned seed = 1;
    for (int i = 0; i < 20000; i++) {
        for (size_t k = 132; k < sizeof head; k++) {
            seed = seed * 1103515245u + 12345u;
            head[k] = seed >> 28 ? (uint8_t)(seed >> 16) % 20 : (uint8_t)(seed >> 16);
        }
        head[132] = 2;
        head[133] = 0;
        part10 p;
        (void)part10_look_at(head, 132 + (size_t)(seed % 168), i & 1, &p, NULL);
    }
    CHECK(true);
}
