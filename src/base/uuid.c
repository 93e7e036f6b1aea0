#include "base/uuid.h"

#include <string.h>

char *hex_format(const uint8_t *bytes, unsigned count, char *out)
{
    static const char digits[] = "0123456789abcdef";
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
    static const uint8_t group_bytes[] = {4, 2, 2, 2, 6};
    const uint8_t *from = id;
    for (unsigned i = 0; i < sizeof group_bytes; i++) {
        if (i)
            *out++ = '-';
        out = hex_format(from, group_bytes[i], out);
        from += group_bytes[i];
    }
    *out = 0;
}
