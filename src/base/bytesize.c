#include "base/bytesize.h"

#include <stdio.h>

static const struct unit {
    const char *name;
    uint64_t bytes;
} units[] = {
    {"TiB", UINT64_C(1) << 40},      {"GiB", 1 << 30},   {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1},
    {"TB", UINT64_C(1000000000000)}, {"GB", 1000000000}, {"MB", 1000000},  {"kB", 1000},
};
enum { UNIT_COUNT = sizeof units / sizeof *units };

static const struct unit *find_unit(struct slice name)
{
    for (int i = 0; i < UNIT_COUNT; i++)
        if (slice_eq(name, slice_str(units[i].name)))
            return &units[i];
    return NULL;
}

enum err bytesize_parse(struct slice text, uint64_t *ret_bytes)
{
    uint64_t value = 0;
    size_t digits = 0;
    for (; digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9'; digits++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text.data[digits] - '0', &value))
            return ERR_INVALID_ARGUMENT;
    const struct unit *unit = find_unit(slice_skip(text, digits));
    if (digits == 0 || !unit || __builtin_mul_overflow(value, unit->bytes, &value))
        return ERR_INVALID_ARGUMENT;
    *ret_bytes = value;
    return OK;
}

const char *bytesize_format(uint64_t bytes, char out[static BYTESIZE_TEXT_BYTES])
{
    const struct unit *unit = units;
    while (unit->bytes > 1 && (bytes == 0 || bytes % unit->bytes))
        unit++;
    snprintf(out, BYTESIZE_TEXT_BYTES, "%llu%s", (unsigned long long)(bytes / unit->bytes), unit->name);
    return out;
}
