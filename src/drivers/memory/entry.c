#include "base/mem.h"
#include "drivers/memory/store.h"

enum { MALLOC_OVERHEAD_BYTES = 16, TABLE_SHARE_BYTES = 24 /* a slot at a load of two thirds */ };

/* Each level has a quarter of the entries of the one below. The hash is keyed, so nobody can ask for high entries. */
static uint8_t height_of(uint64_t hash)
{
    uint64_t dice = hash_mix(hash ^ 0x9E3779B97F4A7C15u) | UINT64_C(1) << (2 * (INDEX_LEVELS - 1));
    return (uint8_t)(1 + __builtin_ctzll(dice) / 2);
}

static size_t entry_size(uint8_t height, size_t key_size)
{
    return sizeof(struct entry) + height * sizeof(struct entry *) + key_size;
}

struct entry *memory_entry_new(struct slice key, uint64_t hash)
{
    uint8_t height = height_of(hash);
    struct entry *e = mem_zalloc(entry_size(height, key.size));
    if (!e)
        return NULL;
    e->hash = hash;
    e->refs = 1;
    e->height = height;
    e->key_size = (uint16_t)key.size;
    memcpy(&e->next[height], key.data, key.size);
    return e;
}

struct entry *memory_entry_ref(struct entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void memory_entry_unref(struct entry *e)
{
    if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        mem_free(e);
}

size_t memory_entry_cost(const struct entry *e)
{
    return entry_size(e->height, e->key_size) + MALLOC_OVERHEAD_BYTES + TABLE_SHARE_BYTES;
}
