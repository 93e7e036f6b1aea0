/* Open addressing with linear probing, as base/map, but of entries that bring their hash along.
 *
 * Invariants: count * 4 <= capacity * 3; between an entry's home slot and its own there is no free slot. */
#include "base/mem.h"
#include "drivers/memory/store.h"

enum { CAPACITY_MIN = 8 };

static struct table_slot *probe(const struct table *t, struct slice key, uint64_t hash)
{
    uint32_t mask = t->capacity - 1;
    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        struct table_slot *slot = &t->slots[i];
        if (!slot->entry || (slot->hash == hash && slice_eq(entry_key(slot->entry), key)))
            return slot;
    }
}

struct entry *memory_table_find(const struct table *t, struct slice key, uint64_t hash)
{
    return t->count ? probe(t, key, hash)->entry : NULL;
}

static void put_new(struct table *t, struct table_slot from)
{
    uint32_t mask = t->capacity - 1, i = (uint32_t)from.hash & mask;
    while (t->slots[i].entry)
        i = (i + 1) & mask;
    t->slots[i] = from;
}

static enum err grow(struct table *t, uint32_t capacity)
{
    struct table bigger = {.capacity = capacity, .count = t->count};
    bigger.slots = mem_zalloc((size_t)capacity * sizeof *bigger.slots);
    if (!bigger.slots)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < t->capacity; i++)
        if (t->slots[i].entry)
            put_new(&bigger, t->slots[i]);
    mem_free(t->slots);
    *t = bigger;
    return OK;
}

enum err memory_table_reserve(struct table *t, uint32_t more)
{
    uint64_t wanted = (uint64_t)t->count + more, capacity = t->capacity ? t->capacity : CAPACITY_MIN;
    while (wanted * 4 > capacity * 3)
        capacity *= 2;
    if (capacity > UINT32_MAX)
        return ERR_NOMEM;
    return capacity > t->capacity ? grow(t, (uint32_t)capacity) : OK;
}

void memory_table_insert(struct table *t, struct entry *e)
{
    put_new(t, (struct table_slot){.hash = e->hash, .entry = e});
    t->count++;
}

/* Knuth, volume 3, 6.4, algorithm R. */
static void close_gap(struct table *t, uint32_t gap)
{
    uint32_t mask = t->capacity - 1;
    for (uint32_t i = (gap + 1) & mask; t->slots[i].entry; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)t->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        t->slots[gap] = t->slots[i];
        gap = i;
    }
    t->slots[gap] = (struct table_slot){0};
}

void memory_table_remove(struct table *t, const struct entry *e)
{
    close_gap(t, (uint32_t)(probe(t, entry_key(e), e->hash) - t->slots));
    t->count--;
}
