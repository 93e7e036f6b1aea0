/* The set of commit numbers that open transactions read at.
 *
 * Why no writer misses a snapshot: taking one raises count, then reads seq; a writer raises seq, then reads count (all of them
 * sequentially consistent). A writer that finds count 0 has therefore raised seq before the snapshot read it: the snapshot
 * includes that write and does not need what it replaced. */
#include "base/mem.h"
#include "drivers/memory/store.h"

enum { CAPACITY_MIN = 16 };

static enum err reserve(struct snapshots *s)
{
    uint32_t count = atomic_load(&s->count);
    if (count < s->capacity)
        return OK;
    uint32_t capacity = s->capacity ? s->capacity * 2 : CAPACITY_MIN;
    uint64_t *seqs = mem_realloc(s->seqs, capacity * sizeof *seqs);
    if (!seqs)
        return ERR_NOMEM;
    s->seqs = seqs;
    s->capacity = capacity;
    return OK;
}

enum err memory_snapshot_take(struct store *store, uint64_t *ret_seq)
{
    struct snapshots *s = &store->snapshots;
    pthread_mutex_lock(&s->lock);
    enum err e = reserve(s);
    if (!e) {
        uint32_t last = atomic_fetch_add(&s->count, 1);
        s->seqs[last] = *ret_seq = atomic_load(&store->seq); /* never less than the one before: sorted */
    }
    pthread_mutex_unlock(&s->lock);
    return e;
}

/* Index of the first one at or after seq. */
static uint32_t lower_bound(const struct snapshots *s, uint64_t seq)
{
    uint32_t low = 0, high = atomic_load(&s->count);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->seqs[middle] < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void memory_snapshot_drop(struct store *store, uint64_t seq)
{
    struct snapshots *s = &store->snapshots;
    pthread_mutex_lock(&s->lock);
    uint32_t at = lower_bound(s, seq), count = atomic_load(&s->count);
    memmove(&s->seqs[at], &s->seqs[at + 1], (count - at - 1) * sizeof *s->seqs);
    atomic_store(&s->count, count - 1);
    pthread_mutex_unlock(&s->lock);
}

bool memory_snapshot_within(struct store *store, uint64_t from, uint64_t to)
{
    struct snapshots *s = &store->snapshots;
    if (!atomic_load(&s->count))
        return false;
    pthread_mutex_lock(&s->lock);
    uint32_t at = lower_bound(s, from);
    bool within = at < atomic_load(&s->count) && s->seqs[at] < to;
    pthread_mutex_unlock(&s->lock);
    return within;
}
