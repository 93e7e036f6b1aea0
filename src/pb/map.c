/* Repeated keys are found by sorting, not hashing: no choice of keys makes this quadratic, and the order is the same on every
 * run. Small maps, nearly all of them, are compared pair by pair. */
#include "pb/map.h"

enum { SMALL = 8 };

int pb_map_key_cmp(const struct pb_field *key, const void *a, const void *b)
{
    const uint8_t *x = (const uint8_t *)a + key->offset, *y = (const uint8_t *)b + key->offset;
    if (key->type == PB_STRING)
        return slice_cmp(*(const struct slice *)(const void *)x, *(const struct slice *)(const void *)y);
    return memcmp(x, y, pb_item_size(key));
}

static void **entries_of(struct pb_array *map)
{
    return map->items;
}

static void compact(struct pb_array *map)
{
    void **entries = entries_of(map);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < map->count; i++)
        if (entries[i])
            entries[kept++] = entries[i];
    map->count = kept;
}

static void unique_small(struct pb_array *map, const struct pb_field *key)
{
    void **entries = entries_of(map);
    for (uint32_t i = 0; i < map->count; i++)
        for (uint32_t later = i + 1; later < map->count && entries[i]; later++)
            if (pb_map_key_cmp(key, entries[i], entries[later]) == 0)
                entries[i] = NULL;
}

/* Merges the sorted runs [low, middle) and [middle, high) of from into to; equal keys stay in order of position. */
static void merge(const struct pb_field *key, void *const *entries, const uint32_t *from, uint32_t *to, uint32_t low,
                  uint32_t middle, uint32_t high)
{
    uint32_t left = low, right = middle;
    for (uint32_t i = low; i < high; i++) {
        bool take_left =
            left < middle && (right == high || pb_map_key_cmp(key, entries[from[left]], entries[from[right]]) <= 0);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

/* Bottom-up merge sort of positions. Returns the one of the two arrays that holds the result. */
static uint32_t *sort(const struct pb_field *key, void *const *entries, uint32_t *positions, uint32_t *spare,
                      uint32_t count)
{
    for (uint64_t width = 1; width < count; width *= 2) {
        for (uint64_t low = 0; low < count; low += 2 * width) {
            uint64_t middle = low + width < count ? low + width : count;
            uint64_t high = low + 2 * width < count ? low + 2 * width : count;
            merge(key, entries, positions, spare, (uint32_t)low, (uint32_t)middle, (uint32_t)high);
        }
        uint32_t *swap = positions;
        positions = spare;
        spare = swap;
    }
    return positions;
}

static enum err unique_large(struct pb_array *map, const struct pb_field *key, struct arena *a)
{
    uint32_t count = map->count;
    uint32_t *positions = arena_array(a, uint32_t, 2 * (size_t)count);
    if (!positions)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        positions[i] = i;
    void **entries = entries_of(map);
    const uint32_t *sorted = sort(key, entries, positions, positions + count, count);
    for (uint32_t i = 0; i + 1 < count; i++)
        if (pb_map_key_cmp(key, entries[sorted[i]], entries[sorted[i + 1]]) == 0)
            entries[sorted[i]] = NULL;
    return OK;
}

enum err pb_map_unique(struct pb_array *map, const struct pb_message *entry, struct arena *a)
{
    const struct pb_field *key = &entry->fields[0];
    enum err err = OK;
    if (map->count <= SMALL)
        unique_small(map, key);
    else
        err = unique_large(map, key, a);
    if (!err)
        compact(map);
    return err;
}
