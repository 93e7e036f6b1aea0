/* SipHash-2-4, a keyed 64-bit MAC of short messages: who does not know the key cannot make a tag. Unlike base/hash.h its values
 * are kept (cursors, stored fingerprints) and never change. Thread: any.
 * Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF", 2012. */
#ifndef PRISM_DATA_SIPHASH_H
#define PRISM_DATA_SIPHASH_H

#include "base/slice.h"

uint64_t siphash24(const uint8_t key[16], struct slice);

#endif
