#include "../harness.h"
#include "data/siphash.h"

/* Vectors of the authors' reference implementation: key 00 … 0f, input 00 01 02 … */
TEST(siphash_gives_the_published_values)
{
    static const struct {
        size_t size;
        uint64_t tag;
    } vectors[] = {{0, 0x726FDB47DD0E0E31u}, {1, 0x74F839C593DC67FDu},  {7, 0xAB0200F58B01D137u},
                   {8, 0x93F5F5799A932462u}, {15, 0xA129CA6149BE45E5u}, {63, 0x958A324CEB064572u}};
    uint8_t key[16], input[64];
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (uint8_t)i;
    memcpy(key, input, sizeof key);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        CHECK(siphash24(key, slice_of(input, vectors[i].size)) == vectors[i].tag);
}
