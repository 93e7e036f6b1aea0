/* Several changes as one: lock the shards of all keys in ascending order, look for conflicts, make room, take a commit number, apply,
 * unlock. Whatever can fail does so before the number is taken. Source: snapshot isolation, first committer wins; Berenson et al., "A
 * Critique of ANSI SQL Isolation Levels", 1995. */
#include "drivers/memory/store.h"

/* The shards that the changes touch, a bit each. */
static uint64_t shards_of(const struct change *changes, uint32_t count)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < count; i++)
        bits |= UINT64_C(1) << shard_number(changes[i].entry->hash);
    return bits;
}

static void lock_all(struct store *s, uint64_t bits)
{
    for (; bits; bits &= bits - 1)
        memory_lock(&s->shards[__builtin_ctzll(bits)]);
}

static void unlock_all(struct store *s, uint64_t bits)
{
    for (; bits; bits &= bits - 1)
        memory_unlock(&s->shards[__builtin_ctzll(bits)]);
}

static struct shard *shard_of(struct store *s, const struct change *c)
{
    return &s->shards[shard_number(c->entry->hash)];
}

static enum err find_conflict(struct store *s, struct change *changes, uint32_t count, uint64_t snapshot)
{
    for (uint32_t i = 0; i < count; i++) {
        struct change *c = &changes[i];
        c->existing = memory_table_find(&shard_of(s, c)->table, entry_key(c->entry), c->entry->hash);
        if (c->existing && entry_last_seq(c->existing) > snapshot)
            return ERR_TRANSACTION_CONFLICT;
    }
    return OK;
}

static enum err make_room(struct store *s, const struct change *changes, uint32_t count, int64_t now_ms)
{
    uint32_t added[SHARDS] = {0};
    enum err e = OK;
    for (uint32_t i = 0; i < count && !e; i++) {
        const struct change *c = &changes[i];
        added[shard_number(c->entry->hash)] += c->version && !c->existing;
        if (c->version && c->version->expires_ms != KV_NEVER)
            e = memory_wheel_ensure(shard_of(s, c), now_ms);
    }
    for (unsigned i = 0; i < SHARDS && !e; i++)
        if (added[i])
            e = memory_table_reserve(&s->shards[i].table, added[i]);
    return e;
}

static void insert(struct shard *shard, struct change *c)
{
    memory_table_insert(&shard->table, c->entry);
    if (shard->indexed)
        memory_index_insert(shard, c->entry);
    c->existing = c->entry;
    c->charged -= memory_entry_cost(c->entry);
    c->entry = NULL;
}

static void apply(struct store *s, struct change *c, uint64_t seq)
{
    struct shard *shard = shard_of(s, c);
    if (c->version) {
        if (!c->existing)
            insert(shard, c);
        c->charged -= memory_version_cost(c->version);
        memory_supersede(s, shard, c->existing, c->version, seq);
        c->version = NULL;
    } else if (c->existing && !entry_is_dead(c->existing)) {
        memory_supersede(s, shard, c->existing, NULL, seq);
    }
}

enum err memory_commit(struct store *s, struct change *changes, uint32_t count, uint64_t snapshot, int64_t now_ms,
                       uint64_t *ret_seq)
{
    uint64_t bits = shards_of(changes, count);
    lock_all(s, bits);
    enum err e = find_conflict(s, changes, count, snapshot);
    if (!e)
        e = make_room(s, changes, count, now_ms);
    if (!e) {
        *ret_seq = memory_next_seq(s);
        for (uint32_t i = 0; i < count; i++)
            apply(s, &changes[i], *ret_seq);
    }
    unlock_all(s, bits);
    return e;
}
