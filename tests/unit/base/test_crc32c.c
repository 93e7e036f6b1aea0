#include "../harness.h"
#include "base/crc32c.h"

enum { POLYNOMIAL = 0x82F63B78, BYTES = 70000 };

static uint8_t bytes[BYTES];

static void fill_bytes(void)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < BYTES; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        bytes[i] = (uint8_t)(x >> 32);
    }
}

/* Bit by bit, as the polynomial says. */
static uint32_t plain(uint32_t crc, const uint8_t *at, size_t size)
{
    crc = ~crc;
    for (; size > 0; size--) {
        crc ^= *at++;
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? (uint32_t)POLYNOMIAL : 0);
    }
    return ~crc;
}

static void check_all_ways(uint32_t crc, const uint8_t *at, size_t size)
{
    uint32_t expected = plain(crc, at, size), got;
    CHECK_EQ(crc32c(crc, at, size), expected);
    for (int way = 0; way < CRC32C_WAY_COUNT; way++)
        if (crc32c_by((enum crc32c_way)way, crc, at, size, &got))
            CHECK_EQ(got, expected);
}

/* RFC 3720, B.4. */
TEST(crc32c_gives_what_the_rfc_says)
{
    static const uint8_t read_command[] = {0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0,    0, 0, 0,    0, 0, 0, 0,
                                           0x14, 0,    0, 0, 0, 0, 0x04, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
                                           0x28, 0,    0, 0, 0, 0, 0,    0, 0x02, 0, 0, 0,    0, 0, 0, 0};
    uint8_t b[32] = {0};
    CHECK_EQ(crc32c(0, b, 32), 0x8A9136AAu);
    memset(b, 0xff, 32);
    CHECK_EQ(crc32c(0, b, 32), 0x62A8AB43u);
    for (int i = 0; i < 32; i++)
        b[i] = (uint8_t)i;
    CHECK_EQ(crc32c(0, b, 32), 0x46DD794Eu);
    for (int i = 0; i < 32; i++)
        b[i] = (uint8_t)(31 - i);
    CHECK_EQ(crc32c(0, b, 32), 0x113FDB5Cu);
    CHECK_EQ(sizeof read_command, 48);
    CHECK_EQ(crc32c(0, read_command, 48), 0xD9963A56u);
    CHECK_EQ(crc32c(0, "123456789", 9), 0xE3069283u);
    CHECK_EQ(crc32c(0, NULL, 0), 0);
}

TEST(all_ways_agree_at_all_sizes_and_places)
{
    fill_bytes();
    for (size_t size = 0; size < 1200; size++)
        check_all_ways((uint32_t)size * 2654435761u, bytes + size % 17, size);
    static const size_t sizes[] = {2047, 3071, 3072, 3073, 3455, 3456, 4096, 6144, 10007, 65536, BYTES - 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_all_ways(0, bytes + 3, sizes[i]);
}

TEST(crc32c_goes_on_where_it_stopped)
{
    fill_bytes();
    for (size_t cut = 0; cut <= 5000; cut += 37)
        CHECK_EQ(crc32c(crc32c(0, bytes, cut), bytes + cut, 5000 - cut), plain(0, bytes, 5000));
}
