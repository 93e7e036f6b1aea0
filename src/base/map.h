/* From byte strings to pointers, for keys that strangers may choose, born with a maximum.
 *
 *   struct map m;
 *   map_init(&m, LIMIT_NAMESPACES, &key);              allocates nothing yet
 *   e = map_put(&m, SLICE("orders"), ns, &old);        old: NULL, or the value that it replaces
 *   ns = map_get(&m, name);                            NULL: not there
 *   ns = map_remove(&m, name);
 *   for (uint32_t at = 0; map_next(&m, &at, &name, &value);) ...   in no order; the map must not change meanwhile
 *   map_fini(&m);
 *
 * Keys are borrowed: their bytes must live as long as the entry (usually inside the value). Values are not NULL. Open
 * addressing with linear probing; removal closes the gap, so there are no tombstones and no slow decay.
 * Thread: one at a time; any number of readers while nobody writes. */
#ifndef PRISM_BASE_MAP_H
#define PRISM_BASE_MAP_H

#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"

struct map_slot {
    struct slice key;
    void *value; /* NULL: free */
    uint64_t hash;
};

struct map {
    struct map_slot *slots;
    uint32_t capacity; /* 0, or a power of two */
    uint32_t count;
    uint32_t count_max;
    struct hash_key secret;
};

void map_init(struct map *, uint32_t count_max, const struct hash_key *);
/* Frees the table; keys and values are the caller's. */
void map_fini(struct map *);
void *map_get(const struct map *, struct slice key);
/* Adds or replaces; the new key's bytes are borrowed in both cases. ret_old may be NULL.
 * ERR_RESOURCE_EXHAUSTED at the maximum, ERR_NOMEM; the map is then as before. */
enum err map_put(struct map *, struct slice key, void *value, void **ret_old) __attribute__((warn_unused_result));
/* Room for more keys: as many map_put of new ones cannot fail. Errors as map_put. */
enum err map_reserve(struct map *, uint32_t more) __attribute__((warn_unused_result));
/* The value that was there, or NULL. */
void *map_remove(struct map *, struct slice key);
/* Next entry at or after *at, which it moves on. ret_key and ret_value may be NULL. false: no more. */
bool map_next(const struct map *, uint32_t *at, struct slice *ret_key, void **ret_value);

#endif
