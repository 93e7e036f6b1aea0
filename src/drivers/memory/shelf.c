/* Boxes by key, in bays with a lock each (shelf.h). A box is made only where room in its table was reserved before, so that putting it there
 * cannot fail. */
#include "drivers/memory/shelf.h"

#include <assert.h>

#include "base/mem.h"

enum { MALLOC_OVERHEAD_BYTES = 16, TABLE_SHARE_BYTES = 48 };
_Static_assert(SHARDS <= 32, "a mask of bays has 32 bits");

void memory_shelf_init(struct shelf *s, enum shelf_kind kind, struct store *store)
{
    s->kind = kind;
    s->store = store;
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&s->bays[i].lock, NULL);
        map_init(&s->bays[i].boxes, UINT32_MAX / 2, &store->secret);
    }
}

void memory_shelf_fini(struct shelf *s)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        struct bay *bay = &s->bays[i];
        void *box;
        for (uint32_t at = 0; map_next(&bay->boxes, &at, NULL, &box);)
            memory_box_free(s, box);
        map_fini(&bay->boxes);
        pthread_mutex_destroy(&bay->lock);
    }
}

/* --- locks ---------------------------------------------------------------------------------------------------------------------- */

unsigned memory_bay_number(const struct shelf *s, struct slice key)
{
    return shard_number(store_hash(s->store, key));
}

struct bay *memory_bay_lock(struct shelf *s, struct slice key)
{
    struct bay *bay = &s->bays[memory_bay_number(s, key)];
    pthread_mutex_lock(&bay->lock);
    return bay;
}

void memory_bay_unlock(struct bay *bay)
{
    pthread_mutex_unlock(&bay->lock);
}

uint32_t memory_bays_lock(struct shelf *s, const struct slice *keys, uint32_t count)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < count; i++)
        mask |= UINT32_C(1) << memory_bay_number(s, keys[i]);
    for (unsigned i = 0; i < SHARDS; i++)
        if (mask >> i & 1)
            pthread_mutex_lock(&s->bays[i].lock);
    return mask;
}

void memory_bays_unlock(struct shelf *s, uint32_t mask)
{
    for (unsigned i = 0; i < SHARDS; i++)
        if (mask >> i & 1)
            pthread_mutex_unlock(&s->bays[i].lock);
}

/* --- boxes ---------------------------------------------------------------------------------------------------------------------- */

static struct slice box_key(const struct box *box)
{
    return slice_of(box->key, box->key_size);
}

static size_t box_cost(const struct box *box)
{
    return sizeof *box + box->key_size + MALLOC_OVERHEAD_BYTES + TABLE_SHARE_BYTES;
}

struct box *memory_box_find(const struct bay *bay, struct slice key)
{
    return map_get(&bay->boxes, key);
}

static struct box *box_new(const struct shelf *s, struct slice key)
{
    struct box *box = mem_zalloc(sizeof *box + key.size);
    if (!box)
        return NULL;
    box->key_size = (uint16_t)key.size;
    memcpy(box->key, key.data, key.size);
    if (s->kind == SHELF_SETS || s->kind == SHELF_SORTEDSETS)
        memory_ranked_init(&box->members, &s->store->secret);
    return box;
}

enum err memory_box_open(struct shelf *s, struct bay *bay, struct slice key, struct box **ret_box)
{
    struct box *box = memory_box_find(bay, key);
    if (box) {
        *ret_box = box;
        return OK;
    }
    enum err e = map_reserve(&bay->boxes, 1);
    if (e)
        return e;
    box = box_new(s, key);
    if (!box)
        return ERR_NOMEM;
    if (!memory_charge(s->store, box_cost(box), 0)) {
        mem_free(box);
        return ERR_STORE_FULL;
    }
    e = map_put(&bay->boxes, box_key(box), box, NULL);
    assert(!e);
    *ret_box = box;
    return e;
}

void memory_box_take(struct bay *bay, struct box *box)
{
    map_remove(&bay->boxes, box_key(box));
}

void memory_box_free(struct shelf *s, struct box *box)
{
    if (!box)
        return;
    size_t cost = box_cost(box);
    if (s->kind == SHELF_LISTS)
        cost += memory_deque_free(&box->list);
    else if (s->kind != SHELF_COUNTERS)
        cost += memory_ranked_free(&box->members);
    memory_refund(s->store, cost);
    mem_free(box);
}

static bool is_empty(const struct shelf *s, const struct box *box)
{
    switch (s->kind) {
    case SHELF_LISTS:
        return !box->list.length;
    case SHELF_SETS:
    case SHELF_SORTEDSETS:
        return !ranked_count(&box->members);
    default:
        return false;
    }
}

void memory_box_tidy(struct shelf *s, struct bay *bay, struct box *box)
{
    if (!is_empty(s, box))
        return;
    memory_box_take(bay, box);
    memory_box_free(s, box);
}

uint64_t memory_shelf_count(struct shelf *s)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&s->bays[i].lock);
        count += s->bays[i].boxes.count;
        pthread_mutex_unlock(&s->bays[i].lock);
    }
    return count;
}
