#include "base/uuid.h"

#include <string.h>

typedef uint8_t vec16 __attribute__((vector_size(16)));
typedef uint64_t vec2 __attribute__((vector_size(16)));

/* '0' is added to all nibbles, and to those above 9 the rest of the way to 'a'. */
static vec16 digits_of(vec16 nibbles)
{
    return nibbles + '0' + ((vec16)(nibbles > 9) & ('a' - '0' - 10));
}

/* 16 digits of eight bytes at once: each byte twice, then its upper half in the first, its lower half in the second. */
static void hex_word(const uint8_t bytes[8], char out[16])
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    vec16 all = (vec16)(vec2){word, 0};
    vec16 high = all >> 4, low = all & 15;
    vec16 nibbles = __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    vec16 digits = digits_of(nibbles);
    memcpy(out, &digits, sizeof digits);
}

char *hex_format(const uint8_t *bytes, unsigned count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (; count >= 8; count -= 8, bytes += 8, out += 16)
        hex_word(bytes, out);
    for (unsigned i = 0; i < count; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    return out;
}

void uuid7_format(int64_t realtime_ms, const uint8_t random[UUID_RANDOM_BYTES], char out[UUID_TEXT_BYTES + 1])
{
    uint8_t id[16];
    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)((uint64_t)realtime_ms >> (40 - 8 * i));
    memcpy(id + 6, random, UUID_RANDOM_BYTES);
    id[6] = (uint8_t)(0x70 | (id[6] & 0x0f)); /* version 7 */
    id[8] = (uint8_t)(0x80 | (id[8] & 0x3f)); /* variant 10 */
    char digits[2 * sizeof id];
    hex_format(id, sizeof id, digits);
    memcpy(out, "........-....-....-....-............", UUID_TEXT_BYTES + 1);
    memcpy(out, digits, 8);
    memcpy(out + 9, digits + 8, 4);
    memcpy(out + 14, digits + 12, 4);
    memcpy(out + 19, digits + 16, 4);
    memcpy(out + 24, digits + 20, 12);
}
