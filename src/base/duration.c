#include "base/duration.h"

#include <stdio.h>

static const struct unit {
    const char *name;
    int64_t ns;
} units[] = {
    {"d", 86400000000000}, {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
    {"ms", 1000000},       {"us", 1000},         {"ns", 1},
};
enum { UNIT_COUNT = sizeof units / sizeof *units, HOURS = 1 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Takes the digits in front, adding them to *value; with scale also multiplying it by ten a digit. */
static bool take_digits(struct slice *text, int64_t *value, int64_t *scale)
{
    if (text->size == 0 || !is_digit(text->data[0]))
        return false;
    for (; text->size && is_digit(text->data[0]); *text = slice_skip(*text, 1)) {
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, text->data[0] - '0', value))
            return false;
        if (scale && __builtin_mul_overflow(*scale, 10, scale))
            return false;
    }
    return true;
}

/* The unit in front, from units[first] on; UNIT_COUNT: none. */
static int take_unit(struct slice *text, int first)
{
    size_t size = 0;
    while (size < text->size && !is_digit(text->data[size]))
        size++;
    int unit = first;
    while (unit < UNIT_COUNT && !slice_eq(slice_take(*text, size), slice_str(units[unit].name)))
        unit++;
    *text = slice_skip(*text, size);
    return unit;
}

/* One part: digits, perhaps a fraction, a unit smaller than the one before. */
static bool take_part(struct slice *text, int *unit, int64_t *total)
{
    int64_t whole = 0, fraction = 0, scale = 1, ns;
    if (!take_digits(text, &whole, NULL))
        return false;
    if (text->size && text->data[0] == '.') {
        *text = slice_skip(*text, 1);
        if (!take_digits(text, &fraction, &scale))
            return false;
    }
    *unit = take_unit(text, *unit + 1);
    if (*unit == UNIT_COUNT)
        return false;
    __int128_t fraction_ns = (__int128_t)fraction * units[*unit].ns;
    if (fraction_ns % scale || __builtin_mul_overflow(whole, units[*unit].ns, &ns))
        return false;
    return !__builtin_add_overflow(ns, (int64_t)(fraction_ns / scale), &ns) &&
           !__builtin_add_overflow(*total, ns, total);
}

enum err duration_parse(struct slice text, int64_t *ret_ns)
{
    int64_t total = 0;
    int unit = -1;
    if (slice_eq(text, SLICE("0")))
        text = SLICE("0s");
    do {
        if (!take_part(&text, &unit, &total))
            return ERR_INVALID_ARGUMENT;
    } while (text.size);
    *ret_ns = total;
    return OK;
}

enum err duration_parse_ms(struct slice text, int64_t *ret_ms)
{
    int64_t ns;
    enum err e = duration_parse(text, &ns);
    if (e || ns % 1000000)
        return ERR_INVALID_ARGUMENT;
    *ret_ms = ns / 1000000;
    return OK;
}

/* Days are read but not written: 720h is how retention is usually given. */
const char *duration_format(int64_t ns, char out[static DURATION_TEXT_BYTES])
{
    uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    int size = snprintf(out, DURATION_TEXT_BYTES, ns < 0 ? "-" : ns == 0 ? "0s" : "");
    for (int i = HOURS; i < UNIT_COUNT; i++) {
        uint64_t unit_ns = (uint64_t)units[i].ns, count = left / unit_ns;
        left %= unit_ns;
        if (count)
            size += snprintf(out + size, DURATION_TEXT_BYTES - (size_t)size, "%llu%s", (unsigned long long)count,
                             units[i].name);
    }
    return out;
}
