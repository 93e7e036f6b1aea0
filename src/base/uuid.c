#include "base/uuid.h"

#include <string.h>

/* Eight digits of four bytes at once: each nibble to a byte of its own, the first one lowest, then '0' is added to all, and to
 * those above 9 the rest of the way to 'a'. Little-endian, as every machine that we build for. */
static void hex_word(const uint8_t bytes[4], char out[8])
{
    const uint64_t ones = 0x0101010101010101u;
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t x = word;
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    x = (x | x << 8) & 0x00ff00ff00ff00ffu;
    x = (x >> 4 | x << 8) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t above_9 = (x + 6 * ones) >> 4 & ones;
    x += '0' * ones + above_9 * ('a' - '0' - 10);
    memcpy(out, &x, sizeof x);
}

char *hex_format(const uint8_t *bytes, unsigned count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (; count >= 4; count -= 4, bytes += 4, out += 8)
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
