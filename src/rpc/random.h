/* Random numbers for ids of requests and traces: unique, fast, and no secret. A generator seeded by the environment, so that the
 * deterministic twin gives the same ones again. Thread: one.
 * Source: Blackman, Vigna, "Scrambled linear pseudorandom number generators" (xoshiro256++). */
#ifndef PRISM_RPC_RANDOM_H
#define PRISM_RPC_RANDOM_H

#include "rt/env.h"

struct random_ids {
    uint64_t state[4];
};

static inline void random_ids_init(struct random_ids *r, const struct env *env)
{
    env->random(env, r->state, sizeof r->state);
    r->state[0] |= 1; /* the state must not be all zeros */
}

static inline uint64_t random_rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t random_next(struct random_ids *r)
{
    uint64_t *s = r->state;
    uint64_t result = random_rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = random_rotate(s[3], 45);
    return result;
}

static inline void random_fill(struct random_ids *r, uint8_t *out, size_t size)
{
    while (size) {
        uint64_t bits = random_next(r);
        size_t part = size < sizeof bits ? size : sizeof bits;
        memcpy(out, &bits, part);
        out += part;
        size -= part;
    }
}

#endif
