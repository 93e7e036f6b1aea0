/* How versions and entries come to an end: replaced, deleted, expired; kept as history while a snapshot needs them; dropped.
 *
 *   newest, open ──replaced──▶ older ──no snapshot in [seq, end_seq)──▶ dropped
 *        ├──deleted: end_seq = that commit──┐
 *        └──expired: end_seq = its own seq──┴▶ dead entry ──no snapshot before end_seq──▶ dropped with its entry
 *
 * An expired version gets an empty life, as if it had never been visible, and is no write: it conflicts with nothing. */
#include <assert.h>

#include "base/mem.h"
#include "drivers/memory/expiry.h"
#include "drivers/memory/store.h"

enum { TEND_EXPIRED = 4, TEND_HISTORY = 2 };

struct version *memory_visible(const struct entry *e, uint64_t snapshot)
{
    for (struct version *v = e->newest; v; v = v->older)
        if (v->seq <= snapshot && snapshot < v->end_seq)
            return v;
    return NULL;
}

void memory_count(struct shard *shard, const struct version *v, int delta)
{
    shard->keys += (uint64_t)delta;
    if (v->expires_ms == KV_NEVER)
        shard->keys_forever += (uint64_t)delta;
}

/* --- timers ------------------------------------------------------------------------------------------------------------------ */

enum err memory_wheel_ensure(struct shard *shard, int64_t now_ms)
{
    if (shard->wheel)
        return OK;
    struct wheel *wheel = mem_alloc(sizeof *wheel);
    if (!wheel)
        return ERR_NOMEM;
    wheel_init(wheel, (uint64_t)now_ms);
    shard->wheel = wheel;
    return OK;
}

void memory_timer_start(struct shard *shard, struct entry *e)
{
    struct version *v = e->newest;
    if (v->expires_ms == KV_NEVER)
        return;
    struct expiry *expiry = version_expiry(v);
    expiry->entry = e;
    wheel_insert(shard->wheel, &expiry->timer, (uint64_t)v->expires_ms);
}

void memory_timer_stop(struct shard *shard, struct version *v)
{
    if (v->timed && wheel_timer_active(&version_expiry(v)->timer))
        wheel_cancel(shard->wheel, &version_expiry(v)->timer);
}

/* --- dropping ---------------------------------------------------------------------------------------------------------------- */

static void drop_version(struct store *store, struct shard *shard, struct version *v)
{
    memory_refund(store, memory_version_cost(v));
    v->older = shard->garbage_versions;
    shard->garbage_versions = v;
}

static void drop_entry(struct store *store, struct shard *shard, struct entry *e)
{
    memory_table_remove(&shard->table, e);
    if (shard->indexed)
        memory_index_remove(shard, e);
    memory_refund(store, memory_entry_cost(e));
    e->history_next = shard->garbage_entries;
    shard->garbage_entries = e;
}

/* Drops older versions that no snapshot sees. */
static void prune_chain(struct store *store, struct shard *shard, struct entry *e)
{
    for (struct version **link = &e->newest->older, *v; (v = *link);) {
        if (memory_snapshot_within(store, v->seq, v->end_seq)) {
            link = &v->older;
        } else {
            *link = v->older;
            drop_version(store, shard, v);
        }
    }
}

/* Invariant 2. Whether anything is left that belongs to history; false also where the entry is gone. */
static bool prune(struct store *store, struct shard *shard, struct entry *e)
{
    prune_chain(store, shard, e);
    if (e->newest->older)
        return true;
    if (!entry_is_dead(e))
        return false;
    if (memory_snapshot_within(store, 0, e->newest->end_seq))
        return true;
    drop_version(store, shard, e->newest);
    e->newest = NULL;
    drop_entry(store, shard, e);
    return false;
}

static void push_history(struct shard *shard, struct entry *e)
{
    e->in_history = true;
    e->history_next = NULL;
    *shard->history_end = e;
    shard->history_end = &e->history_next;
    shard->history_count++;
}

static struct entry *pop_history(struct shard *shard)
{
    struct entry *e = shard->history;
    shard->history = e->history_next;
    if (!shard->history)
        shard->history_end = &shard->history;
    e->in_history = false;
    shard->history_count--;
    return e;
}

/* An entry that is on the list stays until its turn comes: its chain may be cut now, but the entry itself is dropped there. */
static void settle(struct store *store, struct shard *shard, struct entry *e)
{
    if (e->in_history)
        prune_chain(store, shard, e);
    else if (prune(store, shard, e))
        push_history(shard, e);
}

static void prune_history(struct store *store, struct shard *shard, uint64_t max)
{
    for (uint64_t left = shard->history_count < max ? shard->history_count : max; left; left--) {
        struct entry *e = pop_history(shard);
        if (prune(store, shard, e))
            push_history(shard, e);
    }
}

/* --- replacing, deleting, expiring ------------------------------------------------------------------------------------------- */

/* The newest version of an entry, open until now, ends. */
static void end_newest(struct shard *shard, struct entry *e, uint64_t end_seq)
{
    struct version *v = e->newest;
    if (v->end_seq != SEQ_OPEN)
        return;
    memory_timer_stop(shard, v);
    memory_count(shard, v, -1);
    v->end_seq = end_seq;
}

static void install(struct shard *shard, struct entry *e, struct version *fresh, uint64_t seq)
{
    fresh->seq = seq;
    if (!fresh->token)
        fresh->token = seq;
    fresh->older = e->newest;
    e->newest = fresh;
    memory_count(shard, fresh, 1);
    memory_timer_start(shard, e);
}

void memory_supersede(struct store *store, struct shard *shard, struct entry *e, struct version *fresh, uint64_t seq)
{
    assert(e->newest || fresh);
    bool first = !e->newest;
    if (!first)
        end_newest(shard, e, seq);
    if (fresh)
        install(shard, e, fresh, seq);
    if (!first)
        settle(store, shard, e);
}

struct sweep {
    struct store *store;
    struct shard *shard;
};

static void expire_one(void *context, struct wheel_timer *timer)
{
    struct sweep *s = context;
    struct version *v = expiry_version(timer);
    struct entry *e = version_expiry(v)->entry;
    assert(e->newest == v && v->end_seq == SEQ_OPEN);
    end_newest(s->shard, e, v->seq);
    s->shard->expired++;
    settle(s->store, s->shard, e);
}

static void expire(struct store *store, struct shard *shard, int64_t now_ms, uint64_t max)
{
    struct sweep s = {store, shard};
    if (shard->wheel && shard->wheel->count)
        wheel_expire(shard->wheel, (uint64_t)now_ms, max, expire_one, &s);
}

void memory_tend(struct store *store, struct shard *shard, int64_t now_ms)
{
    expire(store, shard, now_ms, TEND_EXPIRED);
    if (shard->history_count)
        prune_history(store, shard, TEND_HISTORY);
}

void memory_sweep(struct store *store, int64_t now_ms, uint32_t max)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &store->shards[i];
        memory_lock(shard);
        expire(store, shard, now_ms, max);
        prune_history(store, shard, max);
        memory_unlock(shard);
    }
}
