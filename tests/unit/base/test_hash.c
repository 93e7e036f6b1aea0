#include "../harness.h"
#include "base/hash.h"

/* Vectors of SipHash-1-3 with key 00..0f and inputs of 0, 1, 2, … bytes 00 01 02 …, as in OpenSSL's and Rust's tests. */
TEST(siphash_1_3_matches_published_vectors)
{
    static const uint64_t expected[] = {
        0xABAC0158050FC4DC, 0xC9F49BF37D57CA93, 0x82CB9B024DC7D44D, 0x8BF80AB8E7DDF7FB, 0xCF75576088D38328,
        0xDEF9D52F49533B67, 0xC50D2B50C59F22A7, 0xD3927D989BB11140, 0x369095118D299A8E,
    };
    struct hash_key key = {0x0706050403020100, 0x0F0E0D0C0B0A0908};
    uint8_t in[16];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    for (size_t size = 0; size < sizeof expected / sizeof *expected; size++)
        CHECK(hash_keyed(&key, slice_of(in, size)) == expected[size]);
}

TEST(hash_fast_spreads_and_depends_on_all_it_is_given)
{
    uint8_t in[64] = {0};
    for (size_t size = 0; size <= sizeof in; size++) {
        uint64_t plain = hash_fast(slice_of(in, size), 1);
        CHECK(plain != hash_fast(slice_of(in, size), 2));
        if (size < sizeof in)
            CHECK(plain != hash_fast(slice_of(in, size + 1), 1));
        for (size_t bit = 0; bit < size * 8; bit++) {
            in[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int changed = __builtin_popcountll(plain ^ hash_fast(slice_of(in, size), 1));
            in[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CHECK(changed >= 10 && changed <= 54);
        }
    }
}
