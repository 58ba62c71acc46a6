/* Events and jobs of the index. */
#include <stdlib.h>
#include <unistd.h>

#include "index_rig.h"

TEST(what_is_new_is_its_own_event_in_order) {
    index_rig r;
    archive_event v[16];
    size_t count;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P1"), ARCHIVE_STORED);
    CHECK_INT(index_add_event(r.x, "instance.refused", 0, "why", &r.error), 0);
    CHECK_INT(rig_add(&r, "PatientID=P1"), ARCHIVE_STORED);
    CHECK_INT(rig_add(&r, "PatientID=P1;SeriesInstanceUID=1.1.2"), ARCHIVE_STORED);
    CHECK_INT(index_events_read(r.x, 0, v, 16, &count, &r.error), 0);
    static const char *const types[] = { "study.new", "series.new", "instance.stored", "instance.refused", "instance.stored", "series.new", "instance.stored" };
    REQUIRE(count == GN_ARRAY_LEN(types));
    for (size_t i = 0; i < count; i++) {
        CHECK_STR(v[i].type, types[i]);
        if (i) CHECK(v[i].sequence > v[i - 1].sequence);
        CHECK(v[i].at_us > 0);
    }
    CHECK_STR(v[0].detail, "1.1");
    CHECK_INT(v[1].study_id, v[0].study_id);
    CHECK_INT(v[2].series_id, v[1].series_id);
    CHECK_INT(v[2].study_id, v[0].study_id);
    CHECK_STR(v[2].detail, "1.1.1.1");
    CHECK_STR(v[3].detail, "why");
    CHECK_INT(index_events_read(r.x, v[3].sequence, v, 2, &count, &r.error), 0);
    REQUIRE(count == 2);
    CHECK_STR(v[1].type, "series.new");
    CHECK_INT(index_events_read(r.x, v[1].sequence + 100, v, 2, &count, &r.error), 0);
    CHECK_INT(count, 0);
    rig_done(&r);
}

TEST(jobs_are_taken_once_by_priority_and_age) {
    index_rig r;
    archive_job job;
    int64_t first, second, urgent, later;
    REQUIRE(rig_init(&r));
    CHECK_INT(index_job_add(r.x, "send", 0, "{\"a\":1}", 0, &first, &r.error), 0);
    CHECK_INT(index_job_add(r.x, "send", 0, NULL, 0, &second, &r.error), 0);
    CHECK_INT(index_job_add(r.x, "send", 9, "u", 0, &urgent, &r.error), 0);
    CHECK_INT(index_job_add(r.x, "send", 99, "l", gn_wall_us() + 3600000000, &later, &r.error), 0);
    CHECK_INT(index_job_add(r.x, "other", 99, "o", 0, NULL, &r.error), 0);
    const int64_t order[] = { urgent, first, second };
    for (size_t i = 0; i < 3; i++) {
        REQUIRE(index_job_take(r.x, "send", 60000, &job, &r.error) == 0);
        CHECK_INT(job.id, order[i]);
        CHECK_INT(job.attempts, 1);
        if (i == 1) CHECK_STR(job.payload, "{\"a\":1}");
        if (i == 2) CHECK_STR(job.payload, "");
        free(job.payload);
    }
    CHECK_INT(index_job_take(r.x, "send", 60000, &job, &r.error), 1);
    CHECK(job.payload == NULL);
    archive_stats s = { 0 };
    CHECK_INT(index_stats(r.x, &s, &r.error), 0);
    CHECK_INT(s.jobs_open, 5);
    CHECK_INT(index_job_done(r.x, first, "ok", &r.error), 0);
    CHECK_INT(index_job_done(r.x, first, "again", &r.error), GN_E_NOT_FOUND);
    gn_error_clear(&r.error);
    CHECK_INT(index_stats(r.x, &s, &r.error), 0);
    CHECK_INT(s.jobs_open, 4);
    rig_done(&r);
}

TEST(a_lease_that_runs_out_makes_a_job_due_again) {
    index_rig r;
    archive_job job;
    int64_t id;
    REQUIRE(rig_init(&r));
    CHECK_INT(index_job_add(r.x, "send", 0, "x", 0, &id, &r.error), 0);
    REQUIRE(index_job_take(r.x, "send", 30, &job, &r.error) == 0);
    free(job.payload);
    CHECK_INT(index_job_take(r.x, "send", 30, &job, &r.error), 1);
    (void)usleep(50000);
    REQUIRE(rig_reopen(&r));
    REQUIRE(index_job_take(r.x, "send", 60000, &job, &r.error) == 0);
    CHECK_INT(job.id, id);
    CHECK_INT(job.attempts, 2);
    free(job.payload);
    CHECK_INT(index_job_retry(r.x, id, 40, "the peer is away", &r.error), 0);
    CHECK_INT(index_job_take(r.x, "send", 60000, &job, &r.error), 1);
    (void)usleep(60000);
    REQUIRE(index_job_take(r.x, "send", 60000, &job, &r.error) == 0);
    CHECK_INT(job.attempts, 3);
    free(job.payload);
    rig_done(&r);
}

static int note_walk(void *ctx, const index_known *k, const char *sop_instance) {
    gn_buf *out = ctx;
    gn_buf_printf(out, "%s@%lld:%llu ", sop_instance, (long long)k->location.pack, (unsigned long long)k->location.offset);
    return 0;
}

TEST(a_walk_goes_by_location) {
    index_rig r;
    gn_buf out = GN_BUF_INIT;
    REQUIRE(rig_init(&r));
    const unsigned places[] = { 3, 1, 4, 2 };
    for (size_t i = 0; i < 4; i++) {
        index_instance *it = rig_instance(&r, "PatientID=P", "x");
        it->location.offset = places[i];
        it->location.pack = i == 2 ? 0 : 1;
        CHECK_INT(rig_add_item(&r, it, ARCHIVE_KEEP), ARCHIVE_STORED);
    }
    CHECK_INT(index_walk(r.x, note_walk, &out, &r.error), 0);
    CHECK_STR((const char *)out.p, "1.1.1.3@0:4 1.1.1.2@1:1 1.1.1.4@1:2 1.1.1.1@1:3 ");
    gn_buf_done(&out);
    rig_done(&r);
}

static int note_selected(void *ctx, const index_known *k, const char *sop_instance) {
    gn_buf *out = ctx;
    gn_buf_printf(out, "%s/%s ", k->series_uid, sop_instance);
    return 0;
}

static const char *selected(index_rig *r, archive_selection s) {
    gn_buf out = GN_BUF_INIT;
    CHECK_INT(index_select(r->x, &s, note_selected, &out, &r->error), 0);
    (void)snprintf(r->answer, sizeof r->answer, "%s", out.p ? (const char *)out.p : "");
    gn_buf_done(&out);
    return r->answer;
}

TEST(a_selection_is_in_the_order_of_numbers) {
    index_rig r;
    REQUIRE(rig_init(&r));
    CHECK_INT(rig_add(&r, "PatientID=P1;SeriesInstanceUID=1.1.2;SeriesNumber=2;InstanceNumber=1;SOPInstanceUID=a"), ARCHIVE_STORED);
    CHECK_INT(rig_add(&r, "PatientID=P1;SeriesInstanceUID=1.1.1;SeriesNumber=1;InstanceNumber=10;SOPInstanceUID=b"), ARCHIVE_STORED);
    CHECK_INT(rig_add(&r, "PatientID=P1;SeriesInstanceUID=1.1.1;SeriesNumber=1;InstanceNumber=9;SOPInstanceUID=c"), ARCHIVE_STORED);
    CHECK_INT(rig_add(&r, "PatientID=P2;StudyInstanceUID=1.2;SeriesInstanceUID=1.2.1;SOPInstanceUID=d"), ARCHIVE_STORED);
    CHECK_STR(selected(&r, (archive_selection){ .level = ARCHIVE_STUDY, .study_uids = "1.1" }), "1.1.1/c 1.1.1/b 1.1.2/a ");
    CHECK_STR(selected(&r, (archive_selection){ .level = ARCHIVE_STUDY, .study_uids = "1.2\\1.1" }), "1.1.1/c 1.1.1/b 1.1.2/a 1.2.1/d ");
    CHECK_STR(selected(&r, (archive_selection){ .level = ARCHIVE_SERIES, .study_uids = "1.1", .series_uids = "1.1.2" }), "1.1.2/a ");
    CHECK_STR(selected(&r, (archive_selection){ .level = ARCHIVE_IMAGE, .sop_uids = "b\\a\\zz" }), "1.1.1/b 1.1.2/a ");
    CHECK_STR(selected(&r, (archive_selection){ .level = ARCHIVE_PATIENT, .patient_id = "P2" }), "1.2.1/d ");
    CHECK_STR(selected(&r, (archive_selection){ .level = ARCHIVE_STUDY, .patient_id = "P2", .study_uids = "1.1" }), "");
    archive_selection nothing = { .level = ARCHIVE_STUDY };
    CHECK_INT(index_select(r.x, &nothing, note_selected, NULL, &r.error), GN_E_INVALID);
    rig_done(&r);
}
