/* Hashes for tables in memory. Not for signatures, not for storage: values may change with the version.
 *
 * hash_keyed (SipHash-1-3) is for tables whose keys strangers choose: without its secret nobody can pick keys that collide.
 * hash_fast is for what we name ourselves. Thread: any. Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF". */
#ifndef PRISM_BASE_HASH_H
#define PRISM_BASE_HASH_H

#include "base/slice.h"

/* Filled with unpredictable bytes once a process (env->random). */
struct hash_key {
    uint64_t k0, k1;
};

uint64_t hash_keyed(const struct hash_key *, struct slice);
uint64_t hash_fast(struct slice, uint64_t seed);

/* Spreads an integer over all 64 bits (the finalizer of MurmurHash3). */
static inline uint64_t hash_mix(uint64_t x)
{
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDu;
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53u;
    return x ^ (x >> 33);
}

#endif
