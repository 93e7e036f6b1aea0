#include "pb/time_text.h"

#define SECONDS_MIN (-62135596800LL) /* 0001-01-01T00:00:00Z */
#define SECONDS_MAX 253402300799LL   /* 9999-12-31T23:59:59Z */
#define DURATION_SECONDS_MAX 315576000000LL
enum { NANOS = 1000000000, DAY_SECONDS = 86400 };

/* Days since 1970-01-01. Source: Howard Hinnant, "chrono-compatible low-level date algorithms". */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int64_t days, int *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    days += 719468;
    int64_t era = days / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = (int)(year_of_era + era * 400) + (*ret_month <= 2);
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Exactly count digits. */
static bool take_digits(struct slice *text, unsigned count, unsigned *ret_value)
{
    unsigned value = 0;
    if (text->size < count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (text->data[i] < '0' || text->data[i] > '9')
            return false;
        value = value * 10 + text->data[i] - '0';
    }
    *text = slice_skip(*text, count);
    *ret_value = value;
    return true;
}

static bool take_char(struct slice *text, char c)
{
    if (text->size == 0 || text->data[0] != (uint8_t)c)
        return false;
    *text = slice_skip(*text, 1);
    return true;
}

/* Nothing, or a point and 1 to 9 digits. */
static bool take_fraction(struct slice *text, int32_t *ret_nanos)
{
    int32_t nanos = 0, digits = 0;
    if (take_char(text, '.')) {
        unsigned digit;
        while (digits < 9 && take_digits(text, 1, &digit)) {
            nanos = nanos * 10 + (int32_t)digit;
            digits++;
        }
        if (digits == 0)
            return false;
        for (; digits < 9; digits++)
            nanos *= 10;
    }
    *ret_nanos = nanos;
    return true;
}

static bool take_date(struct slice *text, int64_t *ret_days)
{
    unsigned year, month, day;
    if (!take_digits(text, 4, &year) || !take_char(text, '-') || !take_digits(text, 2, &month) ||
        !take_char(text, '-') || !take_digits(text, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    *ret_days = days_from_civil(year, month, day);
    return true;
}

static bool take_clock(struct slice *text, int64_t *ret_seconds)
{
    unsigned hour, minute, second;
    if (!take_digits(text, 2, &hour) || !take_char(text, ':') || !take_digits(text, 2, &minute) ||
        !take_char(text, ':') || !take_digits(text, 2, &second))
        return false;
    *ret_seconds = (int64_t)hour * 3600 + minute * 60 + second;
    return hour < 24 && minute < 60 && second < 60;
}

/* "Z" or "+hh:mm". */
static bool take_offset(struct slice *text, int64_t *ret_seconds)
{
    unsigned hour, minute;
    *ret_seconds = 0;
    if (take_char(text, 'Z'))
        return true;
    bool west = text->size && text->data[0] == '-';
    if (!take_char(text, west ? '-' : '+') || !take_digits(text, 2, &hour) || !take_char(text, ':') ||
        !take_digits(text, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *ret_seconds = ((int64_t)hour * 3600 + minute * 60) * (west ? -1 : 1);
    return true;
}

bool pb_timestamp_parse(struct slice text, int64_t *ret_seconds, int32_t *ret_nanos)
{
    int64_t days, clock, offset;
    int32_t nanos;
    if (!take_date(&text, &days) || !take_char(&text, 'T') || !take_clock(&text, &clock) ||
        !take_fraction(&text, &nanos) || !take_offset(&text, &offset) || text.size)
        return false;
    int64_t seconds = days * DAY_SECONDS + clock - offset;
    if (seconds < SECONDS_MIN || seconds > SECONDS_MAX)
        return false;
    *ret_seconds = seconds;
    *ret_nanos = nanos;
    return true;
}

/* 0, 3, 6 or 9 digits. */
static void put_fraction(int32_t nanos, struct buf *b)
{
    if (nanos == 0)
        return;
    if (nanos % 1000000 == 0)
        buf_printf(b, ".%03d", nanos / 1000000);
    else if (nanos % 1000 == 0)
        buf_printf(b, ".%06d", nanos / 1000);
    else
        buf_printf(b, ".%09d", nanos);
}

bool pb_timestamp_format(int64_t seconds, int32_t nanos, struct buf *b)
{
    if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || nanos < 0 || nanos >= NANOS)
        return false;
    int64_t since = seconds - SECONDS_MIN;
    int year;
    unsigned month, day;
    civil_from_days(since / DAY_SECONDS + SECONDS_MIN / DAY_SECONDS, &year, &month, &day);
    unsigned clock = (unsigned)(since % DAY_SECONDS);
    buf_printf(b, "%04d-%02u-%02uT%02u:%02u:%02u", year, month, day, clock / 3600, clock / 60 % 60, clock % 60);
    put_fraction(nanos, b);
    buf_putc(b, 'Z');
    return true;
}

bool pb_duration_parse(struct slice text, int64_t *ret_seconds, int32_t *ret_nanos)
{
    bool negative = take_char(&text, '-');
    int64_t seconds = 0;
    int32_t nanos;
    unsigned digit, digits = 0;
    while (seconds <= DURATION_SECONDS_MAX && take_digits(&text, 1, &digit)) {
        seconds = seconds * 10 + digit;
        digits++;
    }
    if (digits == 0 || seconds > DURATION_SECONDS_MAX || !take_fraction(&text, &nanos) || !take_char(&text, 's') ||
        text.size)
        return false;
    *ret_seconds = negative ? -seconds : seconds;
    *ret_nanos = negative ? -nanos : nanos;
    return true;
}

bool pb_duration_format(int64_t seconds, int32_t nanos, struct buf *b)
{
    if (seconds < -DURATION_SECONDS_MAX || seconds > DURATION_SECONDS_MAX || nanos <= -NANOS || nanos >= NANOS ||
        (seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0))
        return false;
    bool negative = seconds < 0 || nanos < 0;
    buf_printf(b, "%s%lld", negative ? "-" : "", (long long)(negative ? -seconds : seconds));
    put_fraction(negative ? -nanos : nanos, b);
    buf_putc(b, 's');
    return true;
}
