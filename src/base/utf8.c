/* Validation runs eight bytes a step through ASCII, and a character a step through the rest, with the well-formed byte
 * sequences of Unicode 15, table 3-7. */
#include "base/utf8.h"

static bool between(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

static bool is_tail(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The second byte carries the exceptions: overlong forms after E0 and F0, surrogates after ED, the end after F4. */
static bool second_fits(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xE0:
        return between(second, 0xA0, 0xBF);
    case 0xED:
        return between(second, 0x80, 0x9F);
    case 0xF0:
        return between(second, 0x90, 0xBF);
    case 0xF4:
        return between(second, 0x80, 0x8F);
    default:
        return is_tail(second);
    }
}

size_t utf8_char_size(struct slice s)
{
    if (s.size == 0)
        return 0;
    uint8_t first = s.data[0];
    if (first < 0x80)
        return 1;
    size_t size = between(first, 0xC2, 0xDF) ? 2 : between(first, 0xE0, 0xEF) ? 3 : between(first, 0xF0, 0xF4) ? 4 : 0;
    if (size == 0 || s.size < size || !second_fits(first, s.data[1]))
        return 0;
    for (size_t i = 2; i < size; i++)
        if (!is_tail(s.data[i]))
            return 0;
    return size;
}

static size_t ascii_prefix(struct slice s)
{
    size_t i = 0;
    for (; i + 8 <= s.size; i += 8) {
        uint64_t word;
        memcpy(&word, s.data + i, 8);
        if (word & 0x8080808080808080u)
            break;
    }
    while (i < s.size && s.data[i] < 0x80)
        i++;
    return i;
}

bool utf8_valid(struct slice s)
{
    for (;;) {
        s = slice_skip(s, ascii_prefix(s));
        if (s.size == 0)
            return true;
        size_t size = utf8_char_size(s);
        if (size == 0)
            return false;
        s = slice_skip(s, size);
    }
}

struct slice utf8_truncate(struct slice s, size_t size)
{
    if (s.size <= size)
        return s;
    size_t cut = size;
    for (int back = 0; back < 3 && cut > 0 && is_tail(s.data[cut]); back++)
        cut--;
    return slice_take(s, is_tail(s.data[cut]) ? size : cut);
}
