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
