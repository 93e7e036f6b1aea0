/* The store: keys in 32 shards, each with a lock, a hash table, an ordered index once scanned, a timing wheel once something in it
 * expires, and chains of versions while snapshots need them. Internal to drivers/memory.
 *
 *   store ──▶ shard ──▶ entry (a key) ──newest──▶ version ──older──▶ version …
 *
 * A version is visible to snapshot s where seq <= s < end_seq. Commits are numbered: a writer takes its number while it holds the
 * locks of all shards that it writes to, a snapshot takes the number of the last commit. So whoever gets a shard's lock with a
 * snapshot in hand finds every version there that the snapshot may see.
 *
 * Invariants
 *   1. Only the newest version of an entry has end_seq SEQ_OPEN; an entry whose newest version has ended is dead.
 *   2. An older version is kept only while some snapshot lies in [seq, end_seq); a dead entry only while a snapshot is older than
 *      its end, so that a commit still finds the conflict.
 *   3. Entries with older versions, and dead ones, are on their shard's history list.
 *   4. The timer of a version runs exactly while it is the newest of its entry, is open, and expires.
 *   5. bytes is the sum of the costs of all entries, versions and records, whoever still holds references to removed ones, and of what
 *      open transactions have written.
 *
 * Locks, in this order: a record's stripe, transactions, shards (several: ascending), snapshots.
 * Thread: any, unless said otherwise; "locked" means that the caller holds the shard's lock. */
#ifndef PRISM_DRIVERS_MEMORY_STORE_H
#define PRISM_DRIVERS_MEMORY_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/wheel.h"
#include "data/keyvalue.h"

/* A commit may hold the locks of all shards; TSan follows at most 64 locks of one thread. */
enum { SHARDS = 32, SHARD_BITS = 5, INDEX_LEVELS = 12, TOKEN_BYTES = 16 };
#define SEQ_OPEN UINT64_MAX
#define SNAPSHOT_NOW (UINT64_MAX - 1)

/* --- spare blocks of a shard: memory/spare.c --------------------------------------------------------------------------------- */

/* 8 KiB a shard at most; not in store->bytes. SPARES is a power of two. Locked, all of it. */
enum { SPARES = 8, SPARE_BYTES = 1024 };
struct spare {
    void *block; /* NULL: none */
    uint32_t size;
};
struct spares {
    struct spare ring[SPARES];
    unsigned next;
};
/* A block of exactly this size, which is the caller's. NULL: there is none. */
void *memory_spare_take(struct spares *, size_t size);
/* false: too large, it stays the caller's. */
bool memory_spare_put(struct spares *, void *block, size_t size);
void memory_spares_fini(struct spares *);

/* --- versions: memory/version.c ---------------------------------------------------------------------------------------------- */

/* Immutable once installed, but for older, end_seq and (where nobody else holds a reference) seq and expires_ms, which are the
 * shard's. */
struct version {
    atomic_uint refs;
    uint32_t value_size;
    uint32_t tags_size;
    bool timed; /* a struct expiry stands before it */
    uint64_t seq;
    uint64_t end_seq;
    uint64_t token; /* commit of the write: what callers see; Expire does not change it. 0: not installed yet */
    int64_t expires_ms;
    struct version *older; /* also links garbage */
    uint8_t bytes[];       /* value, tags */
};

/* NULL: out of memory. With an expiry it is timed. */
struct version *memory_version_new(struct slice value, struct slice tags, int64_t expires_ms);
/* The same in a spare block. NULL: there is none that fits. Locked. */
struct version *memory_version_reuse(struct spares *, struct slice value, struct slice tags, int64_t expires_ms);
/* Its block becomes a spare one, if nobody else refers to it and it is small. Locked. */
bool memory_version_retire(struct spares *, struct version *);
/* The same bytes and token, timed. */
struct version *memory_version_copy(const struct version *, int64_t expires_ms);
struct version *memory_version_ref(struct version *);
void memory_version_unref(struct version *); /* NULL is fine */
size_t memory_version_cost(const struct version *);

static inline struct slice version_value(const struct version *v)
{
    return slice_of(v->bytes, v->value_size);
}

static inline struct slice version_tags(const struct version *v)
{
    return slice_of(v->bytes + v->value_size, v->tags_size);
}

/* --- entries: memory/entry.c ------------------------------------------------------------------------------------------------- */

struct entry {
    uint64_t hash;
    struct version *newest;     /* NULL only until its first version is installed */
    struct entry *history_next; /* also links garbage */
    struct entry *prev;         /* in the index; NULL: first */
    atomic_uint refs;
    uint16_t key_size;
    uint8_t height; /* levels of the index */
    bool in_history;
    struct entry *next[]; /* height of them, then the key */
};

struct entry *memory_entry_new(struct slice key, uint64_t hash);
struct entry *memory_entry_ref(struct entry *);
void memory_entry_unref(struct entry *); /* NULL is fine */
size_t memory_entry_cost(const struct entry *);

static inline struct slice entry_key(const struct entry *e)
{
    return slice_of(&e->next[e->height], e->key_size);
}

static inline bool entry_is_dead(const struct entry *e)
{
    return e->newest->end_seq != SEQ_OPEN;
}

/* Commit of the last write to the key, whatever it was. */
static inline uint64_t entry_last_seq(const struct entry *e)
{
    return entry_is_dead(e) ? e->newest->end_seq : e->newest->seq;
}

/* --- hash table of a shard: memory/table.c ----------------------------------------------------------------------------------- */

struct table_slot {
    uint64_t hash;
    struct entry *entry; /* NULL: free */
};
struct table {
    struct table_slot *slots;
    uint32_t capacity; /* 0, or a power of two */
    uint32_t count;
};
struct entry *memory_table_find(const struct table *, struct slice key, uint64_t hash);
/* Room for more entries. */
enum err memory_table_reserve(struct table *, uint32_t more) __attribute__((warn_unused_result));
/* Room was reserved; the key is not there. */
void memory_table_insert(struct table *, struct entry *);
void memory_table_remove(struct table *, const struct entry *);

/* --- snapshots: memory/snapshot.c -------------------------------------------------------------------------------------------- */

struct snapshots {
    pthread_mutex_t lock;
    atomic_uint count;
    uint64_t *seqs; /* sorted; a number twice where two snapshots are the same */
    uint32_t capacity;
};
struct store;
enum err memory_snapshot_take(struct store *, uint64_t *ret_seq) __attribute__((warn_unused_result));
void memory_snapshot_drop(struct store *, uint64_t seq);
/* Whether some snapshot lies in [from, to). */
bool memory_snapshot_within(struct store *, uint64_t from, uint64_t to);

/* --- shards and the store ---------------------------------------------------------------------------------------------------- */

struct shard {
    pthread_mutex_t lock; /* a shard is several cache lines long: neighbours share at most one */
    struct table table;
    bool indexed;
    struct entry *head[INDEX_LEVELS];
    struct wheel *wheel; /* NULL: nothing here has ever expired */
    struct entry *history;
    struct entry **history_end;
    uint64_t history_count;
    struct spares spares;
    struct version *garbage_versions; /* spare, or freed after unlocking */
    struct entry *garbage_entries;
    uint64_t keys;         /* entries that are not dead */
    uint64_t keys_forever; /* of them, without expiry */
    uint64_t expired;      /* since the start */
};

struct store {
    const struct env *env;
    struct hash_key secret;
    uint8_t epoch[8]; /* random: tokens of two stores differ */
    uint64_t bytes_max;
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t seq; /* of the last commit */
    struct snapshots snapshots;
    struct shard shards[SHARDS];
};

void memory_store_init(struct store *, const struct env *, uint64_t bytes_max);
void memory_store_fini(struct store *); /* nobody else holds a reference */

static inline int64_t store_now_ms(const struct store *s)
{
    return (int64_t)(s->env->realtime_ns(s->env) / 1000000);
}

static inline uint64_t store_hash(const struct store *s, struct slice key)
{
    return hash_keyed(&s->secret, key);
}

static inline unsigned shard_number(uint64_t hash)
{
    return (unsigned)(hash >> (64 - SHARD_BITS));
}

static inline bool version_is_expired(const struct version *v, int64_t now_ms)
{
    return v->expires_ms <= now_ms;
}

void memory_lock(struct shard *);
/* And frees what has been dropped meanwhile. */
void memory_unlock(struct shard *);
/* Memory for a change that frees credit bytes. false: full, nothing is charged. */
bool memory_charge(struct store *, size_t cost, size_t credit);
void memory_refund(struct store *, size_t cost);
/* The token of a version as callers see it. */
void memory_token(const struct store *, uint64_t token, uint8_t out[static TOKEN_BYTES]);

/* --- reading and writing: memory/store.c ------------------------------------------------------------------------------------- */

/* Copies the item into the arena. *ret_found false: no such key in the snapshot, or it has expired.
 * ERR_RESOURCE_EXHAUSTED: there, but larger than bytes_max (kv_item_bytes); nothing is copied then. */
enum err memory_get(struct store *, struct slice key, uint64_t snapshot, size_t bytes_max, struct arena *,
                    struct kv_item *ret_item, bool *ret_found);
/* When it expires, without a copy. */
bool memory_find_expiry(struct store *, struct slice key, uint64_t snapshot, int64_t *ret_expires_ms);

/* What a conditional change found. */
struct outcome {
    bool met; /* the expectation held */
    bool existed;
    uint64_t token;          /* met and written: the new one; not met: the current one, 0: absent */
    struct version *current; /* not met: with a reference, which is the caller's; NULL: absent */
};
/* ERR_NOMEM, ERR_STORE_FULL. A comparison that does not hold is OK with met false. */
enum err memory_put(struct store *, const struct kv_write *, int64_t now_ms, struct outcome *ret_outcome);
enum err memory_remove(struct store *, struct slice key, const struct kv_expected *, int64_t now_ms,
                       struct outcome *ret_outcome);
/* Gives the key another expiry. *ret_before: the one that it had. */
enum err memory_touch(struct store *, struct slice key, int64_t expires_ms, int64_t now_ms, bool *ret_existed,
                      int64_t *ret_before);

/* Several changes as one; memory/commit.c. Changes are of different keys. */
struct change {
    struct entry *entry;     /* carries the key; becomes the store's where the key is new */
    struct version *version; /* NULL: delete */
    size_t charged;          /* for both, in store->bytes already */
    struct entry *existing;  /* internal */
};
/* ERR_TRANSACTION_CONFLICT: a key was written after the snapshot; ERR_NOMEM. On success what the store took is cleared in changes,
 * the rest stays the caller's. */
enum err memory_commit(struct store *, struct change *, uint32_t count, uint64_t snapshot, int64_t now_ms,
                       uint64_t *ret_seq);

/* --- ends of versions: memory/retire.c --------------------------------------------------------------------------------------- */

static inline uint64_t memory_next_seq(struct store *s)
{
    return atomic_fetch_add(&s->seq, 1) + 1;
}
/* The version that a snapshot sees, expired or not; NULL: none. Locked. */
struct version *memory_visible(const struct entry *, uint64_t snapshot);
/* Ends the newest version and installs fresh (NULL: a delete). The wheel is there if fresh expires. Locked. */
void memory_supersede(struct store *, struct shard *, struct entry *, struct version *fresh, uint64_t seq);
enum err memory_wheel_ensure(struct shard *, int64_t now_ms) __attribute__((warn_unused_result));
void memory_timer_start(struct shard *, struct entry *);
void memory_timer_stop(struct shard *, struct version *);
/* Counts the key of an open version in (1) or out (-1). */
void memory_count(struct shard *, const struct version *, int delta);
/* A bounded share of clearing away, paid by every write. Locked. */
void memory_tend(struct store *, struct shard *, int64_t now_ms);
/* All shards, one after the other, at most so many expired keys and entries of history in each. Not locked. */
void memory_sweep(struct store *, int64_t now_ms, uint32_t max);

/* --- ordered index: memory/index.c, a skip list ------------------------------------------------------------------------------ */

/* Locked, all of them. Building needs no memory, only time: O(n log n). */
void memory_index_build(struct shard *);
void memory_index_insert(struct shard *, struct entry *);
void memory_index_remove(struct shard *, struct entry *);
/* First entry with a key at or after this one; NULL: none. */
struct entry *memory_index_from(struct shard *, struct slice key);
/* Last entry with a key before this one; of all where key is NULL. */
struct entry *memory_index_before(struct shard *, const struct slice *key);

#endif
