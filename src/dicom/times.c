/* times: dates, times and date-times, and ranges of them (PS3.5 §6.2 DA, TM, DT; PS3.4 C.2.2.2.5).
 *
 * A value is a span of time: "1030" as a TM is the whole minute, "2024" as a DT the whole year. A range joins two values, each
 * of which may be left out. The forms of ACR-NEMA (2024.01.02, 10:20:30) are read as well, since old images have them. */
#include "dicom/dicom.h"

#define SECOND_US INT64_C(1000000)
#define DAY_US (86400 * SECOND_US)

typedef struct text_cursor {
    const char *p;
    size_t n;
} text_cursor;

static text_cursor trimmed(const char *p, size_t n) {
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\0')) n--;
    while (n > 0 && *p == ' ') {
        p++;
        n--;
    }
    return (text_cursor){ p, n };
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* Exactly `count` digits. */
static bool take_number(text_cursor *c, size_t count, int *value) {
    int v = 0;
    if (c->n < count) return false;
    for (size_t i = 0; i < count; i++) {
        if (!digit(c->p[i])) return false;
        v = v * 10 + (c->p[i] - '0');
    }
    c->p += count;
    c->n -= count;
    *value = v;
    return true;
}

static bool take_char(text_cursor *c, char want) {
    if (c->n == 0 || *c->p != want) return false;
    c->p++;
    c->n--;
    return true;
}

static int days_in_month(int year, int month) {
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* ---- dates ------------------------------------------------------------------------------------------------------------- */

bool dicom_date_parse(const char *text, size_t n, int32_t *yyyymmdd) {
    text_cursor c = trimmed(text, n);
    int year, month, day;
    if (!take_number(&c, 4, &year)) return false;
    bool dots = take_char(&c, '.');
    if (!take_number(&c, 2, &month) || (dots && !take_char(&c, '.')) || !take_number(&c, 2, &day) || c.n) return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return false;
    *yyyymmdd = year * 10000 + month * 100 + day;
    return true;
}

/* Splits at the hyphen, when there is one. */
static bool split(text_cursor whole, text_cursor *left, text_cursor *right) {
    const char *hyphen = whole.n ? memchr(whole.p, '-', whole.n) : NULL;
    *left = *right = whole;
    if (!hyphen) return false;
    *left = trimmed(whole.p, (size_t)(hyphen - whole.p));
    *right = trimmed(hyphen + 1, whole.n - (size_t)(hyphen - whole.p) - 1);
    return true;
}

bool dicom_date_range(const char *text, size_t n, int32_t *from, int32_t *to) {
    text_cursor left, right;
    int32_t a = 0, b = 99999999;
    bool range = split(trimmed(text, n), &left, &right);
    if (range && !left.n && !right.n) return false;
    if ((left.n || !range) && !dicom_date_parse(left.p, left.n, &a)) return false;
    if ((right.n || !range) && !dicom_date_parse(right.p, right.n, &b)) return false;
    *from = a;
    *to = b;
    return true;
}

/* ---- times ------------------------------------------------------------------------------------------------------------- */

/* "." and up to 6 digits: how many microseconds, and how many the last digit stands for. */
static bool take_fraction(text_cursor *c, int64_t *from, int64_t *width) {
    int64_t unit = SECOND_US, value = 0;
    size_t digits = 0;
    for (; c->n && digit(*c->p) && digits < 6; digits++) {
        unit /= 10;
        value += unit * (*c->p - '0');
        c->p++;
        c->n--;
    }
    *from += value;
    *width = unit;
    return digits > 0;
}

/* hh[mm[ss[.f]]], with colons or without. A second of 60 is a leap second, counted as 59. */
static bool take_time(text_cursor *c, dicom_span *span) {
    int hour, minute, second;
    if (!take_number(c, 2, &hour) || hour > 23) return false;
    int64_t from = hour * 3600 * SECOND_US, width = 3600 * SECOND_US;
    bool colons = take_char(c, ':');
    if (c->n && digit(*c->p)) {
        if (!take_number(c, 2, &minute) || minute > 59) return false;
        from += minute * 60 * SECOND_US;
        width = 60 * SECOND_US;
        colons = colons && take_char(c, ':');
        if (c->n && digit(*c->p)) {
            if (!take_number(c, 2, &second) || second > 60) return false;
            from += (second == 60 ? 59 : second) * SECOND_US;
            width = SECOND_US;
            if (take_char(c, '.') && !take_fraction(c, &from, &width)) return false;
        }
    }
    *span = (dicom_span){ from, from + width - 1 };
    return true;
}

static bool time_parse(text_cursor c, dicom_span *span) { return take_time(&c, span) && c.n == 0; }

bool dicom_time_range(const char *text, size_t n, dicom_span *span) {
    text_cursor left, right;
    dicom_span a = { INT64_MIN, 0 }, b = { 0, INT64_MAX };
    bool range = split(trimmed(text, n), &left, &right);
    if (range && !left.n && !right.n) return false;
    if ((left.n || !range) && !time_parse(left, &a)) return false;
    if ((right.n || !range) && !time_parse(right, &b)) return false;
    *span = (dicom_span){ a.from, b.to };
    return true;
}

/* ---- date-times -------------------------------------------------------------------------------------------------------- */

/* Days from 1970-01-01 of a date in the proleptic Gregorian calendar. */
static int64_t days_from_epoch(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* YYYY[MM[DD]] as days [first, behind). *whole: the day is there, so that a time may follow. */
static bool take_days(text_cursor *c, int64_t *first, int64_t *behind, bool *whole) {
    int year, month = 1, day = 1;
    *whole = false;
    if (!take_number(c, 4, &year)) return false;
    *first = days_from_epoch(year, 1, 1);
    *behind = days_from_epoch(year + 1, 1, 1);
    if (!c->n || !digit(*c->p)) return true;
    if (!take_number(c, 2, &month) || month < 1 || month > 12) return false;
    *first = days_from_epoch(year, month, 1);
    *behind = *first + days_in_month(year, month);
    if (!c->n || !digit(*c->p)) return true;
    if (!take_number(c, 2, &day) || day < 1 || day > days_in_month(year, month)) return false;
    *first += day - 1;
    *behind = *first + 1;
    *whole = true;
    return true;
}

/* &ZZXX: an offset from UTC, in minutes (PS3.5 §6.2: -1200 to +1400). */
static bool take_offset(text_cursor *c, int *minutes) {
    int sign = *c->p == '-' ? -1 : 1, hour, minute;
    c->p++;
    c->n--;
    if (!take_number(c, 2, &hour) || !take_number(c, 2, &minute) || hour > 14 || minute > 59) return false;
    *minutes = sign * (hour * 60 + minute);
    return true;
}

static bool take_datetime(text_cursor *c, int offset, dicom_span *span) {
    int64_t first, behind;
    dicom_span within = { 0, 0 };
    bool whole;
    if (!take_days(c, &first, &behind, &whole)) return false;
    int64_t from = first * DAY_US, to = behind * DAY_US - 1;
    if (whole && c->n && digit(*c->p)) {
        if (!take_time(c, &within)) return false;
        to = from + within.to;
        from += within.from;
    }
    /* A hyphen is a negative offset when four digits that can be one follow, and then the end or another hyphen: "-" is the
     * range operator too, and "2024-0500" cannot be a range, since no year is 0500. */
    bool minus = c->n >= 5 && *c->p == '-' && (c->p[1] == '0' || (c->p[1] == '1' && c->p[2] <= '2')) &&
                 (c->n == 5 || c->p[5] == '-');
    if (c->n && (*c->p == '+' || minus) && !take_offset(c, &offset)) return false;
    int64_t shift = offset * 60 * SECOND_US;
    *span = (dicom_span){ from - shift, to - shift };
    return true;
}

bool dicom_datetime_range(const char *text, size_t n, int utc_offset_minutes, dicom_span *span) {
    text_cursor c = trimmed(text, n);
    dicom_span a = { INT64_MIN, 0 }, b = { 0, INT64_MAX };
    if (c.n == 0) return false;
    bool open = *c.p == '-';
    if (!open && !take_datetime(&c, utc_offset_minutes, &a)) return false;
    if (c.n == 0) {
        *span = a;
        return true;
    }
    if (!take_char(&c, '-')) return false;
    c = trimmed(c.p, c.n);
    if (c.n == 0 && open) return false;
    if (c.n && (!take_datetime(&c, utc_offset_minutes, &b) || c.n)) return false;
    *span = (dicom_span){ a.from, b.to };
    return true;
}
