#include <stdio.h>

#include "../harness.h"
#include "base/uuid.h"

TEST(uuid7_has_time_version_and_variant)
{
    static const uint8_t random[UUID_RANDOM_BYTES] = {0xff, 0x01, 0xff, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
    char text[UUID_TEXT_BYTES + 1];
    uuid7_format(0x0190b6a17e3c, random, text);
    CHECK_STR(text, "0190b6a1-7e3c-7f01-bf02-030405060708");
}

TEST(uuid7_sorts_by_time)
{
    static const uint8_t high[UUID_RANDOM_BYTES] = {0xff, 0xff, 0xff, 0xff}, low[UUID_RANDOM_BYTES] = {0};
    char earlier[UUID_TEXT_BYTES + 1], later[UUID_TEXT_BYTES + 1];
    uuid7_format(1700000000000, high, earlier);
    uuid7_format(1700000000001, low, later);
    CHECK(strcmp(earlier, later) < 0);
}

/* Every byte at every place of a word, and what is left behind whole words. */
TEST(hex_is_what_printf_writes)
{
    uint8_t bytes[256 + 3];
    char expected[2 * sizeof bytes + 1], text[2 * sizeof bytes + 1];
    for (unsigned shift = 0; shift < 4; shift++) {
        for (unsigned i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)(i + shift);
            snprintf(expected + 2 * (size_t)i, 3, "%02x", bytes[i]);
        }
        unsigned count = sizeof bytes - shift;
        char *end = hex_format(bytes, count, text);
        CHECK_EQ(end - text, 2 * count);
        CHECK_SLICE(slice_of(text, 2 * (size_t)count), slice_of(expected, 2 * (size_t)count));
    }
}
