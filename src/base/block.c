#include "base/block.h"

#include "base/mem.h"

struct block *block_new(uint32_t size)
{
    struct block *b = mem_alloc(sizeof *b + size);
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    b->size = size;
    return b;
}

struct block *block_ref(struct block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void block_unref(struct block *b)
{
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        mem_free(b);
}
