/* A reference-counted block of bytes: what a socket read fills, and what messages in flight borrow from. Whoever wants its
 * bytes beyond the call that lent them takes a reference. Thread: counts are atomic; the bytes are written once, by the owner
 * of the first reference, before it shares the block. */
#ifndef PRISM_BASE_BLOCK_H
#define PRISM_BASE_BLOCK_H

#include <stdatomic.h>

#include "base/slice.h"

struct block {
    atomic_uint refs;
    uint32_t size; /* capacity in bytes */
    uint8_t bytes[];
};

/* One reference; NULL: out of memory. */
struct block *block_new(uint32_t size) __attribute__((warn_unused_result));
struct block *block_ref(struct block *);
void block_unref(struct block *); /* NULL is fine */

#endif
