/* Collections by key: a shelf for each model, each of 32 shards with a lock of its own and a table of boxes. A box holds one
 * collection; one that is empty is thrown away before its shard is unlocked.
 *
 * Locks, in this order: a record's stripe, shards of one shelf (several: ascending). A waiting room's lock is taken after these are
 * given back.
 * Everything is charged to the store's bytes_max, boxes included. */
#ifndef PRISM_DRIVERS_MEMORY_SHELF_H
#define PRISM_DRIVERS_MEMORY_SHELF_H

#include "drivers/memory/deque.h"
#include "drivers/memory/ranked.h"
#include "drivers/memory/store.h"

enum shelf_kind { SHELF_LISTS, SHELF_SETS, SHELF_SORTEDSETS, SHELF_COUNTERS, SHELF_KINDS };

struct box {
    union {
        struct deque list;
        struct ranked members; /* of a set or a sorted set */
        int64_t counter;
    };
    uint16_t key_size;
    uint8_t key[];
};

struct bay { /* a shard of a shelf */
    pthread_mutex_t lock;
    struct map boxes;
};

struct shelf {
    enum shelf_kind kind;
    struct store *store;
    struct bay bays[SHARDS];
};

void memory_shelf_init(struct shelf *, enum shelf_kind, struct store *);
/* Nobody uses it any more. Frees everything. */
void memory_shelf_fini(struct shelf *);

unsigned memory_bay_number(const struct shelf *, struct slice key);
struct bay *memory_bay_lock(struct shelf *, struct slice key);
void memory_bay_unlock(struct bay *);
/* The bays of many keys, each once; bit i of the mask is bay i. */
uint32_t memory_bays_lock(struct shelf *, const struct slice *keys, uint32_t count);
void memory_bays_unlock(struct shelf *, uint32_t mask);

/* Locked, all below. NULL: there is no such collection. */
struct box *memory_box_find(const struct bay *, struct slice key);
/* Finds it, or makes an empty one, which is filled or thrown away (memory_box_tidy). ERR_NOMEM, ERR_STORE_FULL. */
enum err memory_box_open(struct shelf *, struct bay *, struct slice key, struct box **ret_box);
/* Takes a box off the shelf; it is the caller's, to be freed without the lock. */
void memory_box_take(struct bay *, struct box *);
/* Frees it with all that it holds, and refunds. NULL is fine. */
void memory_box_free(struct shelf *, struct box *);
/* Throws it away if it is empty. Counters never are: they are taken. */
void memory_box_tidy(struct shelf *, struct bay *, struct box *);

/* Not locked. */
uint64_t memory_shelf_count(struct shelf *);

#endif
