/* Dates, times and date-times, single and as ranges; old forms; what is none. */
#include "encode.h"

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

TEST(dates) {
    static const struct {
        const char *text;
        int32_t date;
    } cases[] = { { "20240229", 20240229 }, { "2024.02.29", 20240229 }, { " 19991231 ", 19991231 },
                  { "00010101", 10101 },    { "20230229", 0 },          { "19000229", 0 },
                  { "20000229", 20000229 }, { "20241301", 0 },          { "20240001", 0 },
                  { "20240132", 0 },        { "20240100", 0 },          { "2024", 0 },
                  { "202402", 0 },          { "2024022", 0 },           { "202402290", 0 },
                  { "2024-02-29", 0 },      { "2024.0229", 0 },         { "", 0 },
                  { "abcdefgh", 0 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        int32_t date = 0;
        bool ok = dicom_date_parse(cases[i].text, strlen(cases[i].text), &date);
        CHECK_INT(ok, cases[i].date != 0);
        CHECK_INT(date, cases[i].date);
    }
}

TEST(date_ranges) {
    static const struct {
        const char *text;
        bool ok;
        int32_t from, to;
    } cases[] = { { "20240101-20241231", true, 20240101, 20241231 },
                  { "20240101-", true, 20240101, 99999999 },
                  { "-20241231", true, 0, 20241231 },
                  { "20240101", true, 20240101, 20240101 },
                  { "20240101 - 20241231", true, 20240101, 20241231 },
                  { "2024.01.01-2024.12.31", true, 20240101, 20241231 },
                  { "-", false, 0, 0 },
                  { "", false, 0, 0 },
                  { "20240101-x", false, 0, 0 },
                  { "x-20240101", false, 0, 0 },
                  { "20240101-20240102-", false, 0, 0 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        int32_t from = -1, to = -1;
        CHECK_INT(dicom_date_range(cases[i].text, strlen(cases[i].text), &from, &to), cases[i].ok);
        CHECK_INT(from, cases[i].ok ? cases[i].from : -1);
        CHECK_INT(to, cases[i].ok ? cases[i].to : -1);
    }
}

TEST(times_are_spans) {
    static const struct {
        const char *text;
        bool ok;
        int64_t from, width;
    } cases[] = { { "10", true, 10 * HOUR, HOUR },
                  { "1030", true, 10 * HOUR + 1800 * SECOND, 60 * SECOND },
                  { "103015", true, 10 * HOUR + 1815 * SECOND, SECOND },
                  { "103015.5", true, 10 * HOUR + 1815 * SECOND + 500000, 100000 },
                  { "103015.123456", true, 10 * HOUR + 1815 * SECOND + 123456, 1 },
                  { "10:30:15", true, 10 * HOUR + 1815 * SECOND, SECOND },
                  { "10:30", true, 10 * HOUR + 1800 * SECOND, 60 * SECOND },
                  { "235960", true, DAY - SECOND, SECOND },
                  { "000000 ", true, 0, SECOND },
                  { "24", false, 0, 0 },
                  { "1060", false, 0, 0 },
                  { "103061", false, 0, 0 },
                  { "1", false, 0, 0 },
                  { "103", false, 0, 0 },
                  { "10301", false, 0, 0 },
                  { "103015.", false, 0, 0 },
                  { "103015.1234567", false, 0, 0 },
                  { "", false, 0, 0 },
                  { "noon", false, 0, 0 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        dicom_span span = { -1, -1 };
        CHECK_INT(dicom_time_range(cases[i].text, strlen(cases[i].text), &span), cases[i].ok);
        if (!cases[i].ok) continue;
        CHECK_INT(span.from, cases[i].from);
        CHECK_INT(span.to, cases[i].from + cases[i].width - 1);
    }
}

TEST(time_ranges) {
    dicom_span span;
    CHECK(dicom_time_range("10-1030", 7, &span));
    CHECK_INT(span.from, 10 * HOUR);
    CHECK_INT(span.to, 10 * HOUR + 1860 * SECOND - 1);
    CHECK(dicom_time_range("10-", 3, &span));
    CHECK_INT(span.from, 10 * HOUR);
    CHECK_INT(span.to, INT64_MAX);
    CHECK(dicom_time_range("-10", 3, &span));
    CHECK_INT(span.from, INT64_MIN);
    CHECK_INT(span.to, 11 * HOUR - 1);
    CHECK(!dicom_time_range("-", 1, &span));
    CHECK(!dicom_time_range("10-25", 5, &span));
    CHECK(!dicom_time_range("25-10", 5, &span));
}

/* 2024-02-29 is day 19782 since 1970. */
TEST(date_times_are_spans) {
    const int64_t leap = 19782 * DAY;
    static const struct {
        const char *text;
        int64_t days, us, width;
    } cases[] = { { "2024", -59, 0, 366 * DAY },
                  { "202402", -28, 0, 29 * DAY },
                  { "20240229", 0, 0, DAY },
                  { "2024022910", 0, 10 * HOUR, HOUR },
                  { "202402291030", 0, 10 * HOUR + 1800 * SECOND, 60 * SECOND },
                  { "20240229103015", 0, 10 * HOUR + 1815 * SECOND, SECOND },
                  { "20240229103015.25", 0, 10 * HOUR + 1815 * SECOND + 250000, 10000 } };
    for (size_t i = 0; i < GN_ARRAY_LEN(cases); i++) {
        dicom_span span = { 0, 0 };
        CHECK(dicom_datetime_range(cases[i].text, strlen(cases[i].text), 0, &span));
        CHECK_INT(span.from, leap + cases[i].days * DAY + cases[i].us);
        CHECK_INT(span.to, span.from + cases[i].width - 1);
        dicom_span east = { 0, 0 }; /* two hours ahead of UTC: the same reading of the clock is earlier */
        CHECK(dicom_datetime_range(cases[i].text, strlen(cases[i].text), 120, &east));
        CHECK_INT(east.from, span.from - 2 * HOUR);
        CHECK_INT(east.to, span.to - 2 * HOUR);
    }
}

TEST(offsets_from_utc) {
    dicom_span utc, span;
    CHECK(dicom_datetime_range("20240229103015", 14, 0, &utc));
    CHECK(dicom_datetime_range("20240229103015+0200", 19, -300, &span)); /* its own offset wins */
    CHECK_INT(span.from, utc.from - 2 * HOUR);
    CHECK(dicom_datetime_range("20240229103015-0500", 19, 0, &span));
    CHECK_INT(span.from, utc.from + 5 * HOUR);
    CHECK(dicom_datetime_range("2024-0500", 9, 0, &span));
    CHECK(dicom_datetime_range("2024-0500-2025-0500", 19, 0, &span));
    CHECK_INT(span.from, INT64_C(1704067200) * SECOND + 5 * HOUR);
    CHECK(!dicom_datetime_range("20240229103015+1599", 19, 0, &span));
    CHECK(!dicom_datetime_range("20240229103015+02", 17, 0, &span));
    CHECK(!dicom_datetime_range("20240229103015+0160", 19, 0, &span));
}

TEST(date_time_ranges) {
    dicom_span span;
    CHECK(dicom_datetime_range("2023-2024", 9, 0, &span));
    CHECK_INT(span.from, INT64_C(1672531200) * SECOND);
    CHECK_INT(span.to, INT64_C(1735689600) * SECOND - 1);
    CHECK(dicom_datetime_range("20240101-", 9, 0, &span));
    CHECK_INT(span.to, INT64_MAX);
    CHECK(dicom_datetime_range("-20240101", 9, 0, &span));
    CHECK_INT(span.from, INT64_MIN);
    CHECK_INT(span.to, INT64_C(1704153600) * SECOND - 1);
    CHECK(dicom_datetime_range("20240101+0100-20240102+0100", 27, 0, &span));
    CHECK_INT(span.to - span.from, 2 * DAY - 1);
    CHECK(dicom_datetime_range("19700101", 8, 0, &span));
    CHECK_INT(span.from, 0);
    CHECK(dicom_datetime_range("16000101", 8, 0, &span));
    CHECK_INT(span.from, INT64_C(-11676096000) * SECOND);
}

TEST(what_is_no_date_time) {
    static const char *const bad[] = { "",         "-",          "20",        "202",       "202413",
                                       "20240230", "2024022925", "202402291", "2024 2025", "2024-2025-2026",
                                       "x",        "20240101-x", "2024x" };
    dicom_span span;
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) CHECK(!dicom_datetime_range(bad[i], strlen(bad[i]), 0, &span));
}
