/* One ordered walk over all shards: a batch of references from each, merged by key. A shard is locked only while its batch is
 * fetched. What was referenced is what stood there when its batch was fetched; a key that is there all the time comes exactly once.
 * Internal to drivers/memory. Thread: its call's. */
#ifndef PRISM_DRIVERS_MEMORY_MERGE_H
#define PRISM_DRIVERS_MEMORY_MERGE_H

#include "drivers/memory/store.h"

struct merge_item {
    struct entry *entry;
    struct version *version;
};

struct source {
    struct merge_item *items;
    uint16_t room;
    uint16_t count;
    uint16_t at;
    bool ended;
    struct entry *last; /* where the next batch goes on; NULL: at the range's own end */
};

struct merge {
    struct store *store;
    const struct kv_range *range; /* what is left: followed when the walk begins anew after memory_merge_drop */
    bool reverse;
    struct arena *arena;
    bool started;
    unsigned heap_count;
    uint8_t heap[SHARDS]; /* shards that have items, the next one first */
    struct source sources[SHARDS];
};

void memory_merge_init(struct merge *, struct store *, const struct kv_range *, bool reverse, struct arena *);
/* The next item; *ret_item NULL: the range has ended. It stays until memory_merge_pop. ERR_NOMEM. */
enum err memory_merge_peek(struct merge *, const struct merge_item **ret_item);
enum err memory_merge_pop(struct merge *) __attribute__((warn_unused_result));
/* Lets go of all references, so that a walk that has to wait holds nothing. */
void memory_merge_drop(struct merge *);

#endif
