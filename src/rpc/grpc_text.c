#include "rpc/grpc_text.h"

#include <stdio.h>

static const struct unit {
    char letter;
    uint64_t ns;
} units[] = {{'n', 1}, {'u', 1000}, {'m', 1000000}, {'S', 1000000000}, {'M', 60000000000u}, {'H', 3600000000000u}};
enum { UNITS = sizeof units / sizeof *units, DIGITS_MAX = 8, VALUE_MAX = 99999999 };

static uint64_t unit_of(uint8_t letter)
{
    for (int i = 0; i < UNITS; i++)
        if (units[i].letter == letter)
            return units[i].ns;
    return 0;
}

bool grpc_timeout_parse(struct slice text, uint64_t *ret_ns)
{
    if (text.size < 2 || text.size > DIGITS_MAX + 1)
        return false;
    uint64_t value = 0, unit = unit_of(text.data[text.size - 1]);
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    if (!unit)
        return false;
    if (__builtin_mul_overflow(value, unit, ret_ns))
        *ret_ns = UINT64_MAX;
    return true;
}

void grpc_timeout_format(uint64_t timeout_ns, char out[GRPC_TIMEOUT_BYTES])
{
    int i = 0;
    while (i < UNITS - 1 && timeout_ns / units[i].ns > VALUE_MAX - 1)
        i++;
    uint64_t value = timeout_ns / units[i].ns + (timeout_ns % units[i].ns != 0);
    snprintf(out, GRPC_TIMEOUT_BYTES, "%u%c", (unsigned)(value > VALUE_MAX ? VALUE_MAX : value), units[i].letter);
}

static bool needs_encoding(uint8_t c)
{
    return c < 0x20 || c > 0x7e || c == '%';
}

bool grpc_message_encode(struct arena *arena, struct slice text, struct slice *ret_encoded)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t extra = 0;
    for (size_t i = 0; i < text.size; i++)
        extra += needs_encoding(text.data[i]) ? 2 : 0;
    if (!extra) {
        *ret_encoded = text;
        return true;
    }
    uint8_t *out = arena_alloc(arena, text.size + extra), *to = out;
    if (!out)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (needs_encoding(c)) {
            *to++ = '%';
            *to++ = (uint8_t)digits[c >> 4];
            *to++ = (uint8_t)digits[c & 15];
        } else {
            *to++ = c;
        }
    }
    *ret_encoded = slice_of(out, text.size + extra);
    return true;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool grpc_message_decode(struct arena *arena, struct slice encoded, struct slice *ret_text)
{
    uint8_t *out = arena_alloc(arena, encoded.size + 1), *to = out;
    if (!out)
        return false;
    for (size_t i = 0; i < encoded.size; i++) {
        bool whole = encoded.data[i] == '%' && encoded.size - i > 2;
        int high = whole ? hex_value(encoded.data[i + 1]) : -1, low = whole ? hex_value(encoded.data[i + 2]) : -1;
        if (high >= 0 && low >= 0) {
            *to++ = (uint8_t)(high << 4 | low);
            i += 2;
        } else {
            *to++ = encoded.data[i];
        }
    }
    *to = 0;
    *ret_text = slice_of(out, (size_t)(to - out));
    return true;
}

bool grpc_list_has(struct slice list, struct slice name)
{
    while (list.size) {
        const uint8_t *comma = memchr(list.data, ',', list.size);
        struct slice item = comma ? slice_of(list.data, (size_t)(comma - list.data)) : list;
        list = slice_skip(list, item.size + 1);
        while (item.size && item.data[0] == ' ')
            item = slice_skip(item, 1);
        while (item.size && item.data[item.size - 1] == ' ')
            item.size--;
        if (slice_eq(item, name))
            return true;
    }
    return false;
}
