/* Invariants: each producer is in by_id and in the list by last use, whose times do not fall; next_sequence follows the newest
 * batch, where there is one; the ring's batches are in the order of their offsets, all of the producer's epoch. */
#include "streamer/producer.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"

enum { SEQUENCE_ANY = -1 };

void producer_pool_init(struct producer_pool *pool, const struct hash_key *secret)
{
    *pool =
        (struct producer_pool){.secret = *secret, .count_max = LIMIT_PRODUCERS_SHARD, .partition_max = LIMIT_PRODUCERS};
}

void producers_init(struct producers *ps, struct producer_pool *pool)
{
    *ps = (struct producers){.pool = pool};
    map_init(&ps->by_id, pool->partition_max, &pool->secret);
}

static struct slice id_key(const int64_t *id)
{
    return slice_of(id, sizeof *id);
}

struct producer *producers_find(struct producers *ps, int64_t id)
{
    if (ps->recent && ps->recent->id == id)
        return ps->recent;
    struct producer *found = map_get(&ps->by_id, id_key(&id));
    if (found)
        ps->recent = found;
    return found;
}

/* --- by last use ------------------------------------------------------------------------------------------------------------ */

static void unlink_producer(struct producers *ps, struct producer *p)
{
    *(p->previous ? &p->previous->next : &ps->oldest) = p->next;
    *(p->next ? &p->next->previous : &ps->latest) = p->previous;
}

static void link_latest(struct producers *ps, struct producer *p)
{
    p->previous = ps->latest;
    p->next = NULL;
    *(ps->latest ? &ps->latest->next : &ps->oldest) = p;
    ps->latest = p;
}

static void touch(struct producers *ps, struct producer *p, int64_t now_ms)
{
    if (p->used_ms < now_ms)
        p->used_ms = now_ms;
    if (ps->latest == p)
        return;
    unlink_producer(ps, p);
    link_latest(ps, p);
}

static void forget(struct producers *ps, struct producer *p)
{
    void *was = map_remove(&ps->by_id, id_key(&p->id));
    assert(was == p);
    unlink_producer(ps, p);
    if (ps->recent == p)
        ps->recent = NULL;
    ps->pool->count--;
    mem_free(p);
}

void producers_fini(struct producers *ps)
{
    while (ps->oldest)
        forget(ps, ps->oldest);
    map_fini(&ps->by_id);
}

void producers_expire(struct producers *ps, int64_t before_ms)
{
    while (ps->oldest && ps->oldest->used_ms < before_ms)
        forget(ps, ps->oldest);
}

/* --- room ------------------------------------------------------------------------------------------------------------------- */

static bool full(const struct producers *ps)
{
    return ps->pool->count >= ps->pool->count_max || ps->by_id.count >= ps->pool->partition_max;
}

/* A place for one more, where necessary instead of one that was not used since spare_ms. */
static bool make_room(struct producers *ps, int64_t spare_ms)
{
    if (full(ps) && ps->oldest && ps->oldest->used_ms < spare_ms)
        forget(ps, ps->oldest);
    return !full(ps);
}

static struct producer *add(struct producers *ps, int64_t id, int64_t now_ms)
{
    struct producer *p = mem_zalloc(sizeof *p);
    if (!p)
        return NULL;
    p->id = id;
    p->used_ms = now_ms;
    p->epoch = -1;
    p->next_sequence = SEQUENCE_ANY;
    if (map_put(&ps->by_id, id_key(&p->id), p, NULL) != OK) {
        mem_free(p);
        return NULL;
    }
    link_latest(ps, p);
    ps->pool->count++;
    return p;
}

/* --- the rules -------------------------------------------------------------------------------------------------------------- */

static const struct producer_batch *batch_at(const struct producer *p, unsigned age)
{
    return &p->batches[(p->newest + PRODUCER_BATCHES - age) % PRODUCER_BATCHES];
}

static const struct producer_batch *find_duplicate(const struct producer *p, const struct producer_claim *claim)
{
    for (unsigned age = 0; age < p->count; age++) {
        const struct producer_batch *b = batch_at(p, age);
        if (b->first_sequence == claim->first_sequence && b->delta == claim->delta)
            return b;
    }
    return NULL;
}

static enum producer_verdict judge(const struct producer *p, const struct producer_claim *claim,
                                   struct producer_batch *ret_old)
{
    if (claim->epoch < p->epoch)
        return PRODUCER_FENCED;
    if (claim->epoch > p->epoch)
        return claim->first_sequence == 0 || p->epoch < 0 ? PRODUCER_APPEND : PRODUCER_OUT_OF_ORDER;
    if (claim->first_sequence == p->next_sequence || p->next_sequence == SEQUENCE_ANY)
        return PRODUCER_APPEND;
    const struct producer_batch *old = find_duplicate(p, claim);
    if (!old)
        return PRODUCER_OUT_OF_ORDER;
    *ret_old = *old;
    return PRODUCER_DUPLICATE;
}

static enum producer_verdict welcome(struct producers *ps, const struct producer_claim *claim, int64_t now_ms)
{
    if (!make_room(ps, now_ms - LIMIT_PRODUCER_FRESH_MS))
        return PRODUCER_NO_ROOM;
    struct producer *p = add(ps, claim->id, now_ms);
    if (!p)
        return PRODUCER_NO_MEMORY;
    ps->recent = p;
    return PRODUCER_APPEND;
}

enum producer_verdict producers_check(struct producers *ps, const struct producer_claim *claim, int64_t now_ms,
                                      struct producer_batch *ret_old)
{
    assert(claim->id >= 0 && claim->epoch >= 0 && claim->first_sequence >= 0 && claim->delta >= 0);
    const struct producer *p = producers_find(ps, claim->id);
    return p ? judge(p, claim, ret_old) : welcome(ps, claim, now_ms);
}

enum kafka_error producer_error(enum producer_verdict verdict)
{
    static const enum kafka_error errors[] = {
        [PRODUCER_APPEND] = KAFKA_NONE,
        [PRODUCER_DUPLICATE] = KAFKA_NONE,
        [PRODUCER_OUT_OF_ORDER] = KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER,
        [PRODUCER_FENCED] = KAFKA_INVALID_PRODUCER_EPOCH,
        [PRODUCER_NO_ROOM] = KAFKA_THROTTLING_QUOTA_EXCEEDED,
        [PRODUCER_NO_MEMORY] = KAFKA_UNKNOWN_SERVER_ERROR,
    };
    return errors[verdict];
}

static void remember(struct producer *p, const struct producer_claim *claim, int64_t first_offset, int64_t time_ms)
{
    if (p->epoch != claim->epoch)
        p->count = 0;
    p->epoch = claim->epoch;
    p->newest = (uint8_t)((p->newest + 1) % PRODUCER_BATCHES);
    if (p->count < PRODUCER_BATCHES)
        p->count++;
    p->batches[p->newest] = (struct producer_batch){.first_offset = first_offset,
                                                    .time_ms = time_ms,
                                                    .first_sequence = claim->first_sequence,
                                                    .delta = claim->delta};
    p->next_sequence = sequence_add(sequence_add(claim->first_sequence, claim->delta), 1);
}

void producers_note(struct producers *ps, const struct producer_claim *claim, int64_t first_offset, int64_t time_ms,
                    int64_t now_ms)
{
    struct producer *p = producers_find(ps, claim->id);
    assert(p);
    remember(p, claim, first_offset, time_ms);
    touch(ps, p, now_ms);
}

enum err producers_learn(struct producers *ps, const struct producer_claim *claim, int64_t first_offset,
                         int64_t time_ms, int64_t now_ms)
{
    struct producer *p = producers_find(ps, claim->id);
    if (!p) {
        if (!make_room(ps, INT64_MAX))
            return OK; /* the shard is full of others' */
        p = add(ps, claim->id, now_ms);
    }
    if (!p)
        return ERR_NOMEM;
    remember(p, claim, first_offset, time_ms);
    touch(ps, p, now_ms);
    return OK;
}

/* --- going back ------------------------------------------------------------------------------------------------------------- */

static void cut(struct producer *p, int64_t offset)
{
    while (p->count && p->batches[p->newest].first_offset >= offset) {
        p->next_sequence = p->batches[p->newest].first_sequence;
        p->newest = (uint8_t)((p->newest + PRODUCER_BATCHES - 1) % PRODUCER_BATCHES);
        p->count--;
    }
}

void producers_cut_end(struct producers *ps, int64_t offset)
{
    for (struct producer *p = ps->oldest; p; p = p->next)
        cut(p, offset);
}
