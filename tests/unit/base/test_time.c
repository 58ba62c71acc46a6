/* Time: text of instants before, at and after the epoch, against gmtime; clocks that run. */
#include "base/base.h"
#include "check.h"

#include <time.h>

TEST(known_instants) {
    char text[32];
    CHECK_STR(gn_time_iso(0, text), "1970-01-01T00:00:00.000Z");
    CHECK_STR(gn_time_iso(1795517820123456, text), "2026-11-24T10:57:00.123Z");
    CHECK_STR(gn_time_iso(951782400000000, text), "2000-02-29T00:00:00.000Z");
    CHECK_STR(gn_time_iso(4107542399999999, text), "2100-02-28T23:59:59.999Z");
    CHECK_STR(gn_time_iso(4107542400000000, text), "2100-03-01T00:00:00.000Z");
    CHECK_STR(gn_time_iso(-1, text), "1969-12-31T23:59:59.999Z");
    CHECK_STR(gn_time_iso(-62135596800000000, text), "0001-01-01T00:00:00.000Z");
}

TEST(the_ends_fit_the_buffer) {
    char text[32];
    CHECK(strlen(gn_time_iso(INT64_MAX, text)) < sizeof text);
    CHECK_STR(text, "294247-01-10T04:00:54.775Z");
    CHECK(strlen(gn_time_iso(INT64_MIN, text)) < sizeof text);
}

TEST(days_agree_with_the_c_library) {
    for (int64_t day = -200000; day < 200000; day += 17) {
        time_t t = (time_t)(day * 86400 + 3723);
        struct tm tm;
        char want[40], have[32];
        REQUIRE(gmtime_r(&t, &tm));
        REQUIRE(strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.000Z", &tm) > 0);
        if (tm.tm_year + 1900 < 1000) continue; /* %Y does not pad */
        CHECK_STR(gn_time_iso((int64_t)t * 1000000, have), want);
    }
}

TEST(clocks_run_forward) {
    uint64_t a = gn_mono_ns(), b = gn_mono_ns();
    CHECK(b >= a);
    CHECK(a > 0);
    int64_t now = gn_wall_us(), seconds = (int64_t)time(NULL);
    CHECK(now / 1000000 >= seconds - 2 && now / 1000000 <= seconds + 2);
}
