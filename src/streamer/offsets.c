#include "streamer/offsets.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"

static struct slice key_slice(const struct offset_key *k)
{
    static_assert(sizeof *k == 20, "no padding: its bytes are the key");
    return slice_of(k, sizeof *k);
}

void offsets_init(struct offsets *all, const struct hash_key *secret, uint64_t *total)
{
    *all = (struct offsets){.total = total};
    map_init(&all->by_key, LIMIT_STREAM_GROUP_OFFSETS, secret);
}

void offsets_fini(struct offsets *all)
{
    void *o;
    assert(!all->reserved);
    *all->total -= all->by_key.count;
    for (uint32_t at = 0; map_next(&all->by_key, &at, NULL, &o);)
        mem_free(o);
    map_fini(&all->by_key);
}

const struct offset *offsets_find(const struct offsets *all, const struct offset_key *key)
{
    return map_get(&all->by_key, key_slice(key));
}

struct offset *offset_new(const struct offset *as, struct slice metadata)
{
    struct offset *o = mem_alloc(sizeof *o + metadata.size);
    if (!o)
        return NULL;
    *o = *as;
    o->metadata_size = (uint32_t)metadata.size;
    if (metadata.size)
        memcpy(o->metadata, metadata.data, metadata.size);
    return o;
}

void offset_free(struct offset *o)
{
    mem_free(o);
}

enum err offsets_reserve(struct offsets *all, uint32_t more)
{
    if (*all->total + more > LIMIT_STREAM_OFFSETS)
        return ERR_RESOURCE_EXHAUSTED;
    enum err e = map_reserve(&all->by_key, all->reserved + more);
    if (e)
        return e;
    all->reserved += more;
    *all->total += more;
    return OK;
}

void offsets_release(struct offsets *all, uint32_t count)
{
    assert(all->reserved >= count);
    all->reserved -= count;
    *all->total -= count;
}

void offsets_put(struct offsets *all, struct offset *o)
{
    void *old;
    enum err e = map_put(&all->by_key, key_slice(&o->key), o, &old);
    assert(e == OK && all->reserved > 0);
    (void)e;
    all->reserved--;
    *all->total -= old != NULL;
    mem_free(old);
}

void offsets_remove(struct offsets *all, const struct offset_key *key)
{
    struct offset *o = map_remove(&all->by_key, key_slice(key));
    *all->total -= o != NULL;
    mem_free(o);
}

void offsets_remove_lost(struct offsets *all, bool (*lost)(const void *context, const struct offset *),
                         const void *context)
{
    const struct offset *o;
    struct offset_key *keys = mem_alloc((all->by_key.count + 1) * sizeof *keys);
    uint32_t count = 0;
    for (uint32_t at = 0; keys && offsets_next(all, &at, &o);)
        if (lost(context, o))
            keys[count++] = o->key;
    for (uint32_t i = 0; i < count; i++)
        offsets_remove(all, &keys[i]);
    mem_free(keys);
}
