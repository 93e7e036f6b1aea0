#include "base/hash.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* Inlined by force: gcc leaves it a call for its many callers, and the state then lies in memory instead of registers. */
__attribute__((always_inline)) static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

__attribute__((always_inline)) static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

/* Up to 8 bytes, little-endian on every machine that we build for. */
static uint64_t load(const uint8_t *from, size_t size)
{
    uint64_t word = 0;
    if (size)
        memcpy(&word, from, size);
    return word;
}

uint64_t hash_keyed(const struct hash_key *key, struct slice in)
{
    struct sip s = {key->k0 ^ 0x736F6D6570736575u, key->k1 ^ 0x646F72616E646F6Du, key->k0 ^ 0x6C7967656E657261u,
                    key->k1 ^ 0x7465646279746573u};
    size_t i = 0;
    for (; i + 8 <= in.size; i += 8)
        sip_word(&s, load(in.data + i, 8));
    sip_word(&s, load(in.data + i, in.size - i) | (uint64_t)in.size << 56);
    s.v2 ^= 0xFF;
    for (int round = 0; round < 3; round++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* Multiplies to 128 bits and folds both halves: each bit of the input reaches all bits of the result. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_fast(struct slice in, uint64_t seed)
{
    uint64_t h = seed ^ 0x9E3779B97F4A7C15u;
    size_t i = 0;
    for (; i + 8 <= in.size; i += 8)
        h = fold(h ^ load(in.data + i, 8), 0xA0761D6478BD642Fu);
    return fold(h ^ load(in.data + i, in.size - i) ^ 0xE7037ED1A0B428DBu, 0x8EBC6AF09C88C6E3u ^ (uint64_t)in.size);
}
