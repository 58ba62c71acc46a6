/* The way of an object into the archive: stored, known, in conflict, refused; in any pieces, of any size. */
#include "rig.h"

#include <stdlib.h>
#include <unistd.h>

static rig R;

static void open_rig(void) {
    rig_init(&R);
    (void)check_true(rig_open(&R), __FILE__, __LINE__, R.error.message);
}

static int64_t instances(void) {
    archive_stats s;
    return archive_get_stats(R.archive, &s, &R.error) ? -1 : s.instances;
}

/* ---- stored and known -------------------------------------------------------------------------------------------------- */

TEST(object_is_stored_byte_for_byte) {
    archive_result result;
    synth s = { .rows = 16, .columns = 16 };
    open_rig();
    CHECK_INT(rig_send(&R, &s, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
    CHECK_INT(result.dimse_status, 0);
    CHECK_INT(result.findings, 0);
    CHECK_STR(result.comment, "");
    CHECK_STR(result.study_uid, "1.2.3.1");
    CHECK_STR(result.series_uid, "1.2.3.1.1");
    CHECK(result.instance_id > 0);
    CHECK(rig_holds(&R, &s));
    CHECK_INT(archive_check_instance(R.archive, SYNTH_CT, "1.2.3.1.1.1", true, NULL), 0);
    CHECK_INT(archive_check_instance(R.archive, "1.2.3", "1.2.3.1.1.1", true, NULL), GN_E_MISMATCH);
    CHECK_INT(archive_check_instance(R.archive, SYNTH_CT, "1.2.9", true, NULL), GN_E_NOT_FOUND);
    rig_close(&R);
}

TEST(object_has_a_part_10_header_and_metadata) {
    archive_result result;
    archive_object o;
    gn_buf json = GN_BUF_INIT;
    uint8_t head[132];
    open_rig();
    CHECK_INT(rig_send(&R, &(synth){ .rows = 16, .columns = 16 }, &result), 0);
    REQUIRE(archive_object_open(R.archive, "1.2.3.1.1.1", &o, &R.error) == 0);
    CHECK_INT(gn_pread_all(o.fd, head, sizeof head, o.offset, NULL), 0);
    CHECK_MEM(head + 128, "DICM", 4);
    CHECK_STR(o.transfer_syntax, DICOM_TS_EXPLICIT_LE);
    CHECK_STR(o.sop_class, SYNTH_CT);
    archive_object_release(R.archive, &o);
    REQUIRE(archive_instance_json(R.archive, result.instance_id, &json, &R.error) == 0);
    CHECK(strstr((char *)json.p, "\"Doe^Jane\"") != NULL);
    CHECK(strstr((char *)json.p, "7FE00010") != NULL);
    gn_buf_done(&json);
    rig_close(&R);
}

TEST(same_bytes_again_are_a_success_without_a_second_copy) {
    archive_result first, again;
    synth s = { .rows = 16, .columns = 16 };
    open_rig();
    CHECK_INT(rig_send(&R, &s, &first), 0);
    CHECK_INT(rig_send(&R, &s, &again), 0);
    CHECK_INT(again.outcome, ARCHIVE_DUPLICATE);
    CHECK_INT(again.dimse_status, 0);
    CHECK_INT(again.instance_id, first.instance_id);
    CHECK_INT(instances(), 1);
    CHECK_INT(rig_count(&R, "quarantine", ""), 0);
    rig_close(&R);
}

TEST(any_pieces_give_the_same_object) {
    static const size_t pieces[] = { 1, 7, 131, 4096, 16384, 0 };
    gn_buf b = GN_BUF_INIT;
    archive_result result;
    open_rig();
    synth_object(&(synth){ .rows = 32, .columns = 33 }, &b);
    for (size_t i = 0; i < GN_ARRAY_LEN(pieces); i++) {
        CHECK_INT(rig_send_bytes(&R, b.p, b.n, SYNTH_CT, "1.2.3.1.1.1", pieces[i], &result), 0);
        CHECK_INT(result.outcome, i ? ARCHIVE_DUPLICATE : ARCHIVE_STORED); /* the hash is the same */
    }
    gn_buf_done(&b);
    rig_close(&R);
}

/* ---- other bytes under the same UID (T14) ------------------------------------------------------------------------------ */

static void conflict(archive_duplicate_policy policy, archive_outcome outcome, unsigned status, unsigned quarantined, uint32_t winner) {
    archive_result result;
    synth one = { .rows = 16, .columns = 16, .seed = 1 }, two = { .rows = 16, .columns = 16, .seed = 2 };
    char kinds[200];
    rig_init(&R);
    R.config.duplicates = policy;
    REQUIRE(rig_open(&R));
    CHECK_INT(rig_send(&R, &one, &result), 0);
    CHECK_INT(rig_send(&R, &two, &result), 0);
    CHECK_INT(result.outcome, outcome);
    CHECK_INT(result.dimse_status, status);
    CHECK_INT(instances(), 1);
    CHECK_INT(rig_count(&R, "quarantine", ".dcm"), quarantined);
    CHECK_INT(rig_count(&R, "quarantine", ".json"), quarantined);
    CHECK(rig_holds(&R, winner == 1 ? &one : &two));
    CHECK_INT(rig_verify(&R, false, kinds, sizeof kinds), 0);
    CHECK_STR(kinds, "");
    rig_close(&R);
}

TEST(T14_keep_the_first_and_quarantine_the_other) { conflict(ARCHIVE_KEEP, ARCHIVE_CONFLICT_KEPT, 0xB000, 1, 1); }
TEST(T14_replace_serves_the_other) { conflict(ARCHIVE_REPLACE, ARCHIVE_REPLACED, 0, 0, 2); }
TEST(T14_reject_refuses_the_other) { conflict(ARCHIVE_REJECT, ARCHIVE_REFUSED, 0x0111, 1, 1); }

TEST(T14_keep_without_quarantine_refuses_rather_than_losing) {
    archive_result result;
    rig_init(&R);
    R.config.without_quarantine = true;
    REQUIRE(rig_open(&R));
    CHECK_INT(rig_send(&R, &(synth){ .seed = 1, .rows = 8, .columns = 8 }, &result), 0);
    CHECK_INT(rig_send(&R, &(synth){ .seed = 2, .rows = 8, .columns = 8 }, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_REFUSED);
    CHECK_INT(result.dimse_status, 0x0111);
    CHECK_INT(rig_count(&R, "quarantine", ""), 0);
    rig_close(&R);
}

TEST(T14_study_under_a_second_patient_is_kept_with_a_warning) {
    archive_result result;
    open_rig();
    CHECK_INT(rig_send(&R, &(synth){ .patient = "P1", .sop = "1.2.3.1" }, &result), 0);
    CHECK_INT(rig_send(&R, &(synth){ .patient = "P2", .sop = "1.2.3.2" }, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
    CHECK(result.findings & ARCHIVE_FINDING(PATIENT_CONFLICT));
    CHECK_INT(result.dimse_status, 0xB000);
    CHECK(result.comment[0]);
    rig_close(&R);
}

/* ---- validation -------------------------------------------------------------------------------------------------------- */

static void refused(const synth *s, unsigned status, uint32_t finding, const char *comment) {
    archive_result result;
    open_rig();
    CHECK_INT(rig_send(&R, s, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_REFUSED);
    CHECK_INT(result.dimse_status, status);
    CHECK(result.findings & finding);
    CHECK_STR(result.comment, comment);
    CHECK_INT(result.instance_id, 0);
    CHECK_INT(instances(), 0);
    CHECK_INT(rig_count(&R, "quarantine", ".dcm"), 1);
    CHECK_INT(rig_count(&R, "quarantine", ".json"), 1);
    rig_close(&R);
}

TEST(missing_study_uid_is_refused) { refused(&(synth){ .study = "" }, 0xC000, ARCHIVE_FINDING(UID_MISSING), "(0020,000D) StudyInstanceUID missing"); }
TEST(missing_series_uid_is_refused) { refused(&(synth){ .series = "" }, 0xC000, ARCHIVE_FINDING(UID_MISSING), "(0020,000E) SeriesInstanceUID missing"); }
TEST(T12_path_in_a_uid_is_refused) { refused(&(synth){ .study = "../../x" }, 0xA900, ARCHIVE_FINDING(UID_MALFORMED), "(0020,000D) StudyInstanceUID is not a UID"); }
TEST(T12_two_values_in_a_uid_are_refused) { refused(&(synth){ .series = "1.2\\3.4" }, 0xA900, ARCHIVE_FINDING(UID_MALFORMED), "(0020,000E) SeriesInstanceUID is not a UID"); }
TEST(T12_uid_of_200_characters_is_refused) {
    char longest[201];
    memset(longest, '1', 200);
    longest[200] = '\0';
    refused(&(synth){ .study = longest }, 0xA900, ARCHIVE_FINDING(UID_MALFORMED), "(0020,000D) StudyInstanceUID is not a UID");
}

TEST(data_set_that_disagrees_with_the_command_is_refused) {
    archive_result result;
    gn_buf b = GN_BUF_INIT;
    open_rig();
    synth_object(&(synth){ .sop = "1.2.3.4" }, &b);
    CHECK_INT(rig_send_bytes(&R, b.p, b.n, SYNTH_CT, "1.2.3.5", 0, &result), 0);
    CHECK_INT(result.dimse_status, 0xA900);
    CHECK_INT(result.findings, ARCHIVE_FINDING(COMMAND_MISMATCH));
    CHECK_STR(result.comment, "(0008,0018) SOPInstanceUID differs from the command");
    CHECK_INT(rig_send_bytes(&R, b.p, b.n, "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4", 0, &result), 0);
    CHECK_INT(result.dimse_status, 0xA900);
    CHECK_STR(result.comment, "(0008,0016) SOPClassUID differs from the command");
    gn_buf_done(&b);
    rig_close(&R);
}

TEST(truncated_data_set_is_refused_with_its_place) {
    archive_result result;
    gn_buf b = GN_BUF_INIT;
    open_rig();
    synth_object(&(synth){ .rows = 16, .columns = 16 }, &b);
    CHECK_INT(rig_send_bytes(&R, b.p, 200, SYNTH_CT, "1.2.3.1.1.1", 0, &result), 0);
    CHECK_INT(result.dimse_status, 0xC000);
    CHECK(result.findings & ARCHIVE_FINDING(PARSE_INCOMPLETE));
    CHECK(strncmp(result.comment, "cannot understand: offset ", 26) == 0);
    CHECK_INT(rig_count(&R, "quarantine", ".dcm"), 1);
    CHECK_INT(rig_send_bytes(&R, "", 0, SYNTH_CT, "1.2.3.1.1.1", 0, &result), 0);
    CHECK_INT(result.dimse_status, 0xC000);
    CHECK_INT(rig_send_bytes(&R, "<html>no</html>", 15, SYNTH_CT, "1.2.3.1.1.1", 0, &result), 0);
    CHECK_INT(result.dimse_status, 0xC000);
    gn_buf_done(&b);
    rig_close(&R);
}

TEST(short_pixel_data_is_a_warning_or_a_refusal) {
    archive_result result;
    synth s = { .rows = 16, .columns = 16, .frames = 3, .missing = 100 };
    open_rig();
    CHECK_INT(rig_send(&R, &s, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
    CHECK_INT(result.dimse_status, 0xB000);
    CHECK_INT(result.findings, ARCHIVE_FINDING(PIXEL_DATA_SHORT));
    CHECK(rig_holds(&R, &s));
    rig_close(&R);
    rig_init(&R);
    R.config.refuse_invalid = true;
    R.config.without_quarantine = true;
    REQUIRE(rig_open(&R));
    CHECK_INT(rig_send(&R, &s, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_REFUSED);
    CHECK_INT(result.dimse_status, 0xC000);
    CHECK_INT(rig_count(&R, "quarantine", ""), 0);
    rig_close(&R);
}

TEST(T9_pixel_data_that_is_cut_off_is_kept_with_a_warning) {
    archive_result result;
    gn_buf b = GN_BUF_INIT, back = GN_BUF_INIT;
    open_rig();
    synth_object(&(synth){ .rows = 16, .columns = 16 }, &b);
    CHECK_INT(rig_send_bytes(&R, b.p, b.n - 100, SYNTH_CT, "1.2.3.1.1.1", 0, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
    CHECK_INT(result.dimse_status, 0xB000);
    CHECK_INT(result.findings, ARCHIVE_FINDING(PIXEL_DATA_SHORT));
    CHECK(rig_fetch(&R, "1.2.3.1.1.1", &back));
    CHECK_MEM2(back.p, back.n, b.p, b.n - 100);
    gn_buf_done(&b);
    gn_buf_done(&back);
    rig_close(&R);
}

TEST(sloppy_uids_are_kept) {
    archive_result result;
    open_rig();
    CHECK_INT(rig_send(&R, &(synth){ .study = "1.2.003.04", .sop = "1.2.3.1" }, &result), 0); /* leading zeros: nobody minds */
    CHECK_INT(result.dimse_status, 0);
    CHECK_INT(rig_send(&R, &(synth){ .study = "1.2.abc", .series = "1.2.abc.1", .sop = "1.2.3.2" }, &result), 0);
    CHECK_INT(result.dimse_status, 0xB000);
    CHECK_INT(result.findings, ARCHIVE_FINDING(UID_MALFORMED));
    rig_close(&R);
}

/* ---- files ------------------------------------------------------------------------------------------------------------- */

static int import(const gn_buf *header, const gn_buf *b, archive_result *result) {
    archive_source source = { .origin = ARCHIVE_FROM_IMPORT, .address = "x.dcm" };
    archive_ingest_request request = { .source = &source, .transfer_syntax = DICOM_TS_EXPLICIT_LE, .file_header = header ? header->p : NULL,
                                       .file_header_length = header ? header->n : 0, .expected_length = b->n };
    archive_ingest *in = NULL;
    gn_error_clear(&R.error);
    int rc = archive_ingest_begin(R.archive, &request, &in, &R.error);
    if (!rc) rc = archive_ingest_write(in, b->p, b->n, &R.error);
    return archive_ingest_finish(&in, result, &R.error) || rc;
}

TEST(T13_file_header_is_kept_verbatim_and_programs_in_it_are_noted) {
    archive_result result;
    archive_object o;
    gn_buf b = GN_BUF_INIT, header = GN_BUF_INIT;
    uint8_t *back;
    open_rig();
    synth_object(&(synth){ .rows = 4, .columns = 4 }, &b);
    CHECK_INT(dicom_file_header_write(SYNTH_CT, "1.2.3.1.1.1", DICOM_TS_EXPLICIT_LE, "SOMEONE", &header, NULL), 0);
    memcpy(header.p, "MZ\x90", 3);
    CHECK_INT(import(&header, &b, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
    CHECK_INT(result.dimse_status, 0);
    CHECK_INT(result.findings, ARCHIVE_FINDING(EXECUTABLE_PREAMBLE));
    REQUIRE(archive_object_open(R.archive, "1.2.3.1.1.1", &o, NULL) == 0);
    CHECK_INT(o.dataset_offset, header.n);
    back = malloc(header.n);
    CHECK_INT(gn_pread_all(o.fd, back, header.n, o.offset, NULL), 0);
    CHECK_MEM(back, header.p, header.n);
    free(back);
    archive_object_release(R.archive, &o);
    gn_buf_done(&b);
    gn_buf_done(&header);
    rig_close(&R);
}

TEST(file_without_a_header_gets_one_whatever_its_size) {
    archive_result result;
    synth s = { .rows = 16, .columns = 16 }, large = { .rows = 1024, .columns = 1024, .sop = "1.2.3.77" };
    open_rig();
    for (int i = 0; i < 2; i++) {
        gn_buf b = GN_BUF_INIT;
        archive_object o;
        uint8_t head[132];
        const synth *x = i ? &large : &s;
        synth_object(x, &b);
        CHECK_INT(import(NULL, &b, &result), 0);
        CHECK_INT(result.outcome, ARCHIVE_STORED);
        CHECK(rig_holds(&R, x));
        REQUIRE(archive_object_open(R.archive, result.sop_instance, &o, NULL) == 0);
        CHECK_INT(gn_pread_all(o.fd, head, sizeof head, o.offset, NULL), 0);
        CHECK_MEM(head + 128, "DICM", 4);
        archive_object_release(R.archive, &o);
        gn_buf_done(&b);
    }
    rig_close(&R);
}

/* ---- large objects and memory ------------------------------------------------------------------------------------------ */

TEST(large_objects_are_files_of_their_own) {
    archive_result result;
    char kinds[200];
    synth s = { .rows = 1024, .columns = 1024 }, other = { .rows = 1024, .columns = 1024, .seed = 9 };
    open_rig();
    CHECK_INT(rig_send(&R, &s, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
    CHECK_INT(rig_count(&R, "objects", ".dcm"), 1);
    CHECK_INT(rig_count(&R, "incoming", ""), 0);
    CHECK(rig_holds(&R, &s));
    CHECK_INT(rig_send(&R, &s, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_DUPLICATE);
    CHECK_INT(rig_count(&R, "objects", ".dcm"), 1);
    CHECK_INT(rig_send(&R, &other, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_CONFLICT_KEPT);
    CHECK_INT(rig_count(&R, "objects", ".dcm"), 1);
    CHECK_INT(rig_count(&R, "quarantine", ".dcm"), 1);
    CHECK_INT(rig_count(&R, "incoming", ""), 0);
    CHECK_INT(archive_check_instance(R.archive, SYNTH_CT, "1.2.3.1.1.1", true, NULL), 0);
    CHECK_INT(rig_verify(&R, false, kinds, sizeof kinds), 0);
    rig_close(&R);
    REQUIRE(rig_open(&R));
    CHECK(rig_holds(&R, &s));
    rig_close(&R);
}

TEST(sizes_around_every_limit_come_back_as_they_were) {
    archive_result result;
    char sop[32];
    rig_init(&R);
    R.config.pack_limit = 64 << 10;
    R.config.memory = 256 << 10; /* small: most objects find the pool nearly exhausted */
    REQUIRE(rig_open(&R));
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(sop, sizeof sop, "1.2.3.%u", i);
        synth s = { .rows = 1, .columns = i < 30 ? 30000 + i * 128 : 40000 + 997 * i, .sop = sop, .seed = i };
        if (s.columns > 65000) s.rows = 2, s.columns = 40000;
        CHECK_INT(rig_send(&R, &s, &result), 0);
        CHECK_INT(result.outcome, ARCHIVE_STORED);
        CHECK(rig_holds(&R, &s));
    }
    CHECK(rig_count(&R, "objects", ".dcm") > 20);
    rig_close(&R);
}

static size_t resident(void) {
    size_t pages = 0, all = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%zu %zu", &all, &pages) != 2) pages = 0;
    (void)fclose(f);
    return pages * 4096;
}

TEST(memory_is_bounded_whatever_the_size) {
    archive_source source = { .origin = ARCHIVE_FROM_DIMSE };
    archive_ingest_request request = { .source = &source, .transfer_syntax = DICOM_TS_EXPLICIT_LE, .sop_class = SYNTH_CT, .sop_instance = "1.2.3.1.1.1" };
    archive_ingest *in = NULL;
    archive_result result;
    gn_buf b = GN_BUF_INIT;
    uint8_t length[4];
    const size_t total = (size_t)64 << 20;
    open_rig();
    synth_object(&(synth){ .rows = 0 }, &b); /* then pixel data of 64 MiB by hand, never in memory here */
    gn_store_le32(length, (uint32_t)total);
    gn_buf_append(&b, "\xE0\x7F\x10\x00OW\0\0", 8);
    gn_buf_append(&b, length, 4);
    size_t before = resident();
    REQUIRE(archive_ingest_begin(R.archive, &request, &in, &R.error) == 0);
    CHECK_INT(archive_ingest_write(in, b.p, b.n, &R.error), 0);
    for (size_t at = 0; at < total;) {
        size_t cap = 0;
        uint8_t *p = archive_ingest_space(in, &cap, &R.error);
        REQUIRE(p != NULL);
        CHECK(cap >= 4096);
        if (cap > total - at) cap = total - at;
        memset(p, (int)(at >> 20), cap);
        CHECK_INT(archive_ingest_advance(in, cap, &R.error), 0);
        at += cap;
    }
    size_t during = resident();
    CHECK_INT(archive_ingest_finish(&in, &result, &R.error), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(during < before + ((size_t)8 << 20));
#else
    (void)before, (void)during;
#endif
    gn_buf_done(&b);
    rig_close(&R);
}

TEST(sender_that_vanishes_leaves_nothing) {
    archive_source source = { .origin = ARCHIVE_FROM_DIMSE };
    archive_ingest_request request = { .source = &source, .transfer_syntax = DICOM_TS_EXPLICIT_LE, .sop_class = SYNTH_CT, .sop_instance = "1.2.3.1.1.1" };
    gn_buf b = GN_BUF_INIT;
    open_rig();
    synth_object(&(synth){ .rows = 1024, .columns = 1024 }, &b);
    for (size_t n = 0; n < b.n; n += b.n / 5) {
        archive_ingest *in = NULL;
        REQUIRE(archive_ingest_begin(R.archive, &request, &in, &R.error) == 0);
        CHECK_INT(archive_ingest_write(in, b.p, n, &R.error), 0);
        archive_ingest_abort(&in);
        CHECK(in == NULL);
    }
    archive_ingest_abort(&(archive_ingest *){ NULL });
    CHECK_INT(instances(), 0);
    CHECK_INT(rig_count(&R, "incoming", ""), 0);
    CHECK_INT(rig_count(&R, "objects", ""), 0);
    CHECK_INT(rig_count(&R, "quarantine", ""), 0);
    gn_buf_done(&b);
    rig_close(&R);
}

TEST(quarantine_keeps_the_newest_within_its_limit) {
    archive_result result;
    rig_init(&R);
    R.config.quarantine_bytes = 40000;
    REQUIRE(rig_open(&R));
    for (uint32_t i = 0; i < 20; i++) CHECK_INT(rig_send(&R, &(synth){ .study = "", .rows = 60, .columns = 60, .seed = i }, &result), 0);
    CHECK_INT(rig_count(&R, "quarantine", ".dcm"), 5);
    CHECK_INT(rig_count(&R, "quarantine", ".json"), 5);
    char path[700];
    CHECK(access(rig_path(&R, "quarantine/20.dcm", path), F_OK) == 0);
    CHECK(access(rig_path(&R, "quarantine/1.dcm", path), F_OK) != 0);
    rig_close(&R);
    REQUIRE(rig_open(&R)); /* and counts on after a restart */
    CHECK_INT(rig_send(&R, &(synth){ .study = "" }, &result), 0);
    CHECK(access(rig_path(&R, "quarantine/21.json", path), F_OK) == 0);
    rig_close(&R);
}

TEST(T39_failing_allocations_fail_the_object_only) {
    archive_result result;
    char sop[32];
    unsigned stored = 0;
    open_rig();
    CHECK_INT(rig_send(&R, &(synth){ .sop = "1.2.3.0" }, &result), 0);
    gn_buf b = GN_BUF_INIT;
    for (unsigned nth = 1; nth < 60; nth++) {
        gn_buf_clear(&b);
        (void)snprintf(sop, sizeof sop, "1.2.3.%u", nth);
        synth_object(&(synth){ .sop = sop, .rows = 16, .columns = 16 }, &b);
        check_fail_alloc(nth);
        int rc = rig_send_bytes(&R, b.p, b.n, SYNTH_CT, sop, 4096, &result);
        check_fail_alloc(0);
        if (rc == 0 && result.outcome == ARCHIVE_STORED) stored++;
        else CHECK(result.dimse_status >= 0xA700 || rc < 0);
    }
    gn_buf_done(&b);
    CHECK(stored > 0);
    CHECK_INT(rig_send(&R, &(synth){ .sop = "1.2.3.999" }, &result), 0);
    CHECK_INT(result.outcome, ARCHIVE_STORED);
    CHECK_INT(instances(), stored + 2);
    rig_close(&R);
}

TEST(events_tell_what_happened) {
    archive_result result;
    archive_event events[16];
    size_t count = 0;
    open_rig();
    CHECK_INT(archive_events_wait(R.archive, 0, 1), 0);
    CHECK_INT(rig_send(&R, &(synth){ .rows = 8, .columns = 8 }, &result), 0);
    CHECK_INT(rig_send(&R, &(synth){ .rows = 8, .columns = 8, .seed = 5 }, &result), 0);
    CHECK_INT(rig_send(&R, &(synth){ .study = "", .sop = "1.2.4" }, &result), 0);
    CHECK_INT(archive_events_wait(R.archive, 0, 1000), 1);
    CHECK_INT(archive_events_read(R.archive, 0, events, GN_ARRAY_LEN(events), &count, NULL), 0);
    unsigned stored = 0, conflicts = 0, refusals = 0;
    for (size_t i = 0; i < count; i++) {
        stored += strcmp(events[i].type, "instance.stored") == 0;
        conflicts += strcmp(events[i].type, "instance.conflict") == 0;
        refusals += strcmp(events[i].type, "instance.refused") == 0;
    }
    CHECK_INT(stored, 1);
    CHECK_INT(conflicts, 1);
    CHECK_INT(refusals, 1);
    rig_close(&R);
}
