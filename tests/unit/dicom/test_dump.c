/* Dumps: lines as dcmdump's users know them, and nothing that moves a terminal's cursor. */
#include "encode.h"

#define PIXEL_DATA DICOM_TAG(0x7FE0, 0x0010)

static void add_line(void *ctx, const char *line) {
    gn_buf *out = ctx;
    gn_buf_puts(out, line);
    gn_buf_putc(out, '\n');
}

/* All lines of the data set in f->in, without the headings. */
static int dump(fixture *f, unsigned width, const dicom_read_options *options, gn_buf *out) {
    int rc = read_with(f, syntax_of(&f->in), options);
    if (rc) return rc;
    dicom_file file = { .dataset = f->ds, .transfer_syntax = syntax_of(&f->in) };
    gn_buf_clear(out);
    return dicom_dump(&file, width, add_line, out, &f->e);
}

static const char *body_of(const gn_buf *out) {
    const char *p = strstr((const char *)out->p, "# Used TransferSyntax: ");
    p = p ? strchr(p, '\n') : NULL;
    return p ? p + 1 : "";
}

TEST(one_line_an_element) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_text(&f.in, 0x00080005, "CS", "ISO_IR 100");
    enc_text(&f.in, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7\0");
    enc_bytes(&f.in, 0x00080018, "UI", "1.2.3\0", 6);
    enc_text(&f.in, 0x00090010, "LO", "ACME");
    enc_bytes(&f.in, 0x00091001, "OB", "\1\xAB", 2);
    enc_text(&f.in, 0x00100010, "PN", "M\xFCller");
    enc_text(&f.in, 0x00100020, "LO", "");
    enc_bytes(&f.in, 0x00209165, "AT", "\x20\0\x57\x91", 4);
    enc_bytes(&f.in, 0x00280010, "US", "\0\2\1\0", 4);
    enc_bytes(&f.in, PIXEL_DATA, "OW", "\1\2\3\4", 4);
    REQUIRE(dump(&f, 0, NULL, &out) == 0);
    CHECK(strncmp((const char *)out.p,
                  "# Dicom-File-Format\n\n# Dicom-Data-Set\n# Used TransferSyntax: Explicit VR Little Endian\n",
                  80) == 0);
    CHECK_STR(body_of(&out), "(0008,0005) CS [ISO_IR 100]                             #  10, 1 SpecificCharacterSet\n"
                             "(0008,0016) UI =SecondaryCaptureImageStorage            #  25, 1 SOPClassUID\n"
                             "(0008,0018) UI [1.2.3]                                  #   6, 1 SOPInstanceUID\n"
                             "(0009,0010) LO [ACME]                                   #   4, 1 PrivateCreator\n"
                             "(0009,1001) OB 01\\ab                                    #   2, 1 Unknown Tag & Data\n"
                             "(0010,0010) PN [M\xC3\xBCller]                                 #   6, 1 PatientName\n"
                             "(0010,0020) LO (no value available)                     #   0, 0 PatientID\n"
                             "(0020,9165) AT (0020,9157)                              #   4, 1 DimensionIndexPointer\n"
                             "(0028,0010) US 512\\1                                    #   4, 2 Rows\n"
                             "(7fe0,0010) OW 0201\\0403                                #   4, 1 PixelData\n");
    gn_buf_done(&out);
    teardown(&f);
}

TEST(sequences_are_indented) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_head(&f.in, 0x00081115, "SQ", UNDEFINED);
    enc_tag(&f.in, ITEM, UNDEFINED);
    enc_head(&f.in, 0x00081199, "SQ", 18);
    enc_tag(&f.in, ITEM, 10);
    enc_us(&f.in, 0x00280010, "US", 1);
    enc_tag(&f.in, ITEM_END, 0);
    enc_tag(&f.in, SEQUENCE_END, 0);
    REQUIRE(dump(&f, 0, NULL, &out) == 0);
    CHECK_STR(body_of(&out),
              "(0008,1115) SQ (Sequence with undefined length #=1)     # u/l, 1 ReferencedSeriesSequence\n"
              "  (fffe,e000) na (Item with undefined length #=1)         # u/l, 1 Item\n"
              "    (0008,1199) SQ (Sequence with explicit length #=1)      #  18, 1 ReferencedSOPSequence\n"
              "      (fffe,e000) na (Item with explicit length #=1)          #  10, 1 Item\n"
              "        (0028,0010) US 1                                        #   2, 1 Rows\n"
              "      (fffe,e00d) na (ItemDelimitationItem for re-encoding)   #   0, 0 ItemDelimitationItem\n"
              "    (fffe,e0dd) na (SequenceDelimitationItem for re-encod.) #   0, 0 SequenceDelimitationItem\n"
              "  (fffe,e00d) na (ItemDelimitationItem)                   #   0, 0 ItemDelimitationItem\n"
              "(fffe,e0dd) na (SequenceDelimitationItem)               #   0, 0 SequenceDelimitationItem\n");
    gn_buf_done(&out);
    teardown(&f);
}

TEST(fragments_are_listed) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_head(&f.in, PIXEL_DATA, "OB", UNDEFINED);
    enc_tag(&f.in, ITEM, 0);
    enc_tag(&f.in, ITEM, 4);
    gn_buf_append(&f.in.b, "\xFF\xD8\xFF\xE0", 4);
    enc_tag(&f.in, SEQUENCE_END, 0);
    dicom_read_options options = { .keep_everything = true };
    REQUIRE(dump(&f, 0, &options, &out) == 0);
    CHECK_STR(body_of(&out),
              "(7fe0,0010) OB (PixelSequence #=2)                      # u/l, 1 PixelData\n"
              "  (fffe,e000) pi (no value available)                     #   0, 1 Item\n"
              "  (fffe,e000) pi ff\\d8\\ff\\e0                              #   4, 1 Item\n"
              "(fffe,e0dd) na (SequenceDelimitationItem)               #   0, 0 SequenceDelimitationItem\n");
    options = (dicom_read_options){ .max_value = 1 };
    REQUIRE(dump(&f, 0, &options, &out) == 0);
    CHECK(strstr(body_of(&out), "pi (not loaded) "));
    gn_buf_done(&out);
    teardown(&f);
}

TEST(numbers_in_the_byte_order_of_the_file) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    f.in.big = true;
    enc_us(&f.in, 0x00280010, "US", 512);
    enc_bytes(&f.in, 0x00281052, "FD", "\x3F\xF8\0\0\0\0\0\0", 8);
    enc_bytes(&f.in, 0x00720076, "FL", "\x3D\xCC\xCC\xCD", 4);
    enc_bytes(&f.in, 0x00720083, "UV", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8);
    enc_bytes(&f.in, 0x00720084, "SV", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE", 8);
    enc_bytes(&f.in, 0x00720085, "OF", "\x3D\xCC\xCC\xCD\x3D\xCC\xCC\xCD", 8);
    enc_bytes(&f.in, PIXEL_DATA, "OW", "\1\2", 2);
    REQUIRE(dump(&f, 0, NULL, &out) == 0);
    static const char *const want[] = { "US 512 ", "FD 1.5 ",  "FL 0.1 ",     "UV 18446744073709551615 ",
                                        "SV -2 ",  "OW 0102 ", "OF 0.1\\0.1 " };
    for (size_t i = 0; i < GN_ARRAY_LEN(want); i++) CHECK(strstr(body_of(&out), want[i]));
    gn_buf_done(&out);
    teardown(&f);
}

TEST(long_values_are_cut) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    char text[300];
    memset(text, 'x', sizeof text);
    enc_bytes(&f.in, 0x00104000, "LT", text, sizeof text);
    enc_bytes(&f.in, PIXEL_DATA, "OB", text, sizeof text);
    REQUIRE(dump(&f, 10, NULL, &out) == 0);
    CHECK_STR(body_of(&out), "(0010,4000) LT [xxxxxxxxx...                            # 300, 1 PatientComments\n"
                             "(7fe0,0010) OB 78\\78\\78\\7...                            # 300, 1 PixelData\n");
    dicom_read_options options = { .max_value = 100 };
    REQUIRE(dump(&f, 10, &options, &out) == 0);
    CHECK(strstr(body_of(&out), "LT (not loaded) ") || strstr(body_of(&out), "LT (not loade..."));
    gn_buf_done(&out);
    teardown(&f);
}

TEST(T23_no_control_character_reaches_the_terminal) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_text(&f.in, 0x00104000, "LT",
             "a\033[2Jb\r\nc\x07\x9B"
             "31m");
    enc_text(&f.in, 0x00080016, "UI", "1.2\033[2J");
    REQUIRE(dump(&f, 0, NULL, &out) == 0);
    for (const char *p = body_of(&out); *p; p++) CHECK(*p == '\n' || ((uint8_t)*p >= 0x20 && (uint8_t)*p != 0x7F));
    gn_buf_done(&out);
    teardown(&f);
}

TEST(meta_group_first) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    dicom_file file;
    CHECK_INT(dicom_file_header_write("1.2.3", "1.2.4", DICOM_TS_EXPLICIT_LE, NULL, &f.in.b, &f.e), 0);
    enc_text(&f.in, 0x00080060, "CS", "MR");
    REQUIRE(dicom_file_read(f.a, f.in.b.p, f.in.b.n, NULL, &file, &f.e) == 0);
    CHECK_INT(dicom_dump(&file, 0, add_line, &out, &f.e), 0);
    const char *meta = strstr((const char *)out.p, "# Dicom-Meta-Information-Header"),
               *data = strstr((const char *)out.p, "# Dicom-Data-Set");
    CHECK(meta && data && meta < data);
    CHECK(strstr(meta, "(0002,0010) UI =ExplicitVRLittleEndian"));
    CHECK(strstr(data, "(0008,0060) CS [MR]"));
    gn_buf_done(&out);
    teardown(&f);
}

TEST(T7_depth_is_bounded) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    f.ds = dicom_dataset_new(f.a, &f.e);
    dicom_dataset *at = f.ds;
    for (int i = 0; i < DICOM_MAX_DEPTH; i++) REQUIRE(dicom_dataset_add_item(at, 0x00081115, &at, &f.e) == 0);
    dicom_file file = { .dataset = f.ds, .transfer_syntax = syntax_of(&f.in) };
    CHECK_INT(dicom_dump(&file, 0, add_line, &out, &f.e), 0);
    at->parent = NULL;
    REQUIRE(dicom_dataset_add_item(at, 0x00081115, &at, &f.e) == 0);
    CHECK_INT(dicom_dump(&file, 0, add_line, &out, &f.e), GN_E_TOO_DEEP);
    gn_buf_done(&out);
    teardown(&f);
}

TEST(no_memory_for_a_line) {
    fixture f = setup();
    gn_buf out = GN_BUF_INIT;
    enc_text(&f.in, 0x00080060, "CS", "MR");
    REQUIRE(read_in(&f) == 0);
    dicom_file file = { .dataset = f.ds, .transfer_syntax = syntax_of(&f.in) };
    check_fail_alloc(1);
    CHECK_INT(dicom_dump(&file, 0, add_line, &out, &f.e), GN_E_NO_MEMORY);
    check_fail_alloc(0);
    gn_buf_done(&out);
    teardown(&f);
}
