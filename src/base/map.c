/* Invariants: capacity is 0 or a power of two; count * 4 <= capacity * 3, so that a free slot always ends a probe; between
 * an entry's home slot and its own there is no free slot. */
#include "base/map.h"

#include <assert.h>

#include "base/mem.h"

enum { CAPACITY_MIN = 16 };

void map_init(struct map *m, uint32_t count_max, const struct hash_key *secret)
{
    *m = (struct map){.count_max = count_max, .secret = *secret};
}

void map_fini(struct map *m)
{
    mem_free(m->slots);
    m->slots = NULL;
    m->capacity = m->count = 0;
}

/* The slot of the key, or the free one that ends its probe. */
static struct map_slot *find(const struct map *m, struct slice key, uint64_t hash)
{
    uint32_t mask = m->capacity - 1;
    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        struct map_slot *slot = &m->slots[i];
        if (!slot->value || (slot->hash == hash && slice_eq(slot->key, key)))
            return slot;
    }
}

void *map_get(const struct map *m, struct slice key)
{
    return m->count ? find(m, key, hash_keyed(&m->secret, key))->value : NULL;
}

static enum err grow_to(struct map *m, uint32_t capacity)
{
    struct map bigger = *m;
    bigger.capacity = capacity;
    bigger.slots = mem_zalloc((size_t)bigger.capacity * sizeof *bigger.slots);
    if (!bigger.slots)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < m->capacity; i++)
        if (m->slots[i].value)
            *find(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
    mem_free(m->slots);
    *m = bigger;
    return OK;
}

enum err map_reserve(struct map *m, uint32_t more)
{
    uint64_t wanted = (uint64_t)m->count + more, capacity = m->capacity ? m->capacity : CAPACITY_MIN;
    if (wanted > m->count_max)
        return ERR_RESOURCE_EXHAUSTED;
    while (wanted * 4 > capacity * 3)
        capacity *= 2;
    if (capacity > UINT32_MAX)
        return ERR_RESOURCE_EXHAUSTED;
    return capacity > m->capacity ? grow_to(m, (uint32_t)capacity) : OK;
}

static enum err add(struct map *m, const struct map_slot *entry)
{
    enum err e = map_reserve(m, 1);
    if (e)
        return e;
    *find(m, entry->key, entry->hash) = *entry;
    m->count++;
    return OK;
}

enum err map_put(struct map *m, struct slice key, void *value, void **ret_old)
{
    assert(value);
    struct map_slot entry = {.key = key, .value = value, .hash = hash_keyed(&m->secret, key)};
    struct map_slot *slot = m->capacity ? find(m, key, entry.hash) : NULL;
    void *old = slot ? slot->value : NULL;
    if (old) {
        *slot = entry;
    } else {
        enum err e = add(m, &entry);
        if (e)
            return e;
    }
    if (ret_old)
        *ret_old = old;
    return OK;
}

/* Moves those behind the gap back, each as far as its home slot allows (Knuth, volume 3, 6.4, algorithm R). */
static void close_gap(struct map *m, uint32_t gap)
{
    uint32_t mask = m->capacity - 1;
    for (uint32_t i = (gap + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)m->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        m->slots[gap] = m->slots[i];
        gap = i;
    }
    m->slots[gap] = (struct map_slot){0};
}

void *map_remove(struct map *m, struct slice key)
{
    struct map_slot *slot = m->count ? find(m, key, hash_keyed(&m->secret, key)) : NULL;
    void *value = slot ? slot->value : NULL;
    if (value) {
        close_gap(m, (uint32_t)(slot - m->slots));
        m->count--;
    }
    return value;
}

bool map_next(const struct map *m, uint32_t *at, struct slice *ret_key, void **ret_value)
{
    while (*at < m->capacity) {
        const struct map_slot *slot = &m->slots[(*at)++];
        if (!slot->value)
            continue;
        if (ret_key)
            *ret_key = slot->key;
        if (ret_value)
            *ret_value = slot->value;
        return true;
    }
    return false;
}
