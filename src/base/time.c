/* time: the monotonic clock for deadlines, the wall clock for people, and its text. */
#include "base/base.h"

#include <time.h>

uint64_t gn_mono_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t gn_wall_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static char *put_number(char *p, char before, unsigned v, int digits) {
    *p = before;
    for (int i = digits; i > 0; i--, v /= 10) p[i] = (char)('0' + v % 10);
    return p + digits + 1;
}

/* By arithmetic on days, not gmtime_r: that takes the C library's time zone lock. Years start in March here, so that the
 * leap day is a year's last; 719468 days lie between 0000-03-01 and 1970-01-01, 146097 in 400 years. */
char *gn_time_iso(int64_t wall_us, char *buf) {
    const int64_t us_a_day = INT64_C(86400000000);
    int64_t days = wall_us / us_a_day, us = wall_us % us_a_day;
    if (us < 0) {
        us += us_a_day;
        days--;
    }
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day = days - era * 146097; /* of the era */
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* from March */
    int mday = (int)(of_year - (153 * month + 2) / 5 + 1);
    int mon = (int)(month < 10 ? month + 3 : month - 9);
    int y = (int)(year + era * 400 + (mon <= 2 ? 1 : 0));
    int n = snprintf(buf, 12, "%04d", y);
    char *p = buf + (n > 0 && n < 12 ? n : 0);
    unsigned ms = (unsigned)(us / 1000);
    p = put_number(p, '-', (unsigned)mon, 2);
    p = put_number(p, '-', (unsigned)mday, 2);
    p = put_number(p, 'T', ms / 3600000, 2);
    p = put_number(p, ':', ms / 60000 % 60, 2);
    p = put_number(p, ':', ms / 1000 % 60, 2);
    p = put_number(p, '.', ms % 1000, 3);
    memcpy(p, "Z", 2);
    return buf;
}
