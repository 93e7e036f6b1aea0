/* Reading and writing single keys. The way of a Get: hash, lock the shard, probe, copy (large values: take a reference, copy after
 * unlocking). The way of a Set: lock, make the version (in the block of one that was replaced before), look at the
 * condition, install, unlock. */
#include "drivers/memory/store.h"

#include "base/mem.h"

/* Up to here copying under the lock costs less than counting a reference twice (bench/memory). */
enum { COPY_LOCKED_BYTES = 1024, SWEEP_WHEN_FULL = 1000 };

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static void shard_init(struct shard *shard)
{
    *shard = (struct shard){.history_end = &shard->history};
    pthread_mutex_init(&shard->lock, NULL);
}

void memory_store_init(struct store *s, const struct env *env, uint64_t bytes_max)
{
    s->env = env;
    s->bytes_max = bytes_max;
    env->random(env, &s->secret, sizeof s->secret);
    env->random(env, s->epoch, sizeof s->epoch);
    atomic_init(&s->bytes, 0);
    atomic_init(&s->seq, 0);
    s->snapshots = (struct snapshots){0};
    pthread_mutex_init(&s->snapshots.lock, NULL);
    for (unsigned i = 0; i < SHARDS; i++)
        shard_init(&s->shards[i]);
}

static void free_entry(struct shard *shard, struct entry *e)
{
    for (struct version *v = e->newest, *older; v; v = older) {
        older = v->older;
        memory_timer_stop(shard, v);
        memory_version_unref(v);
    }
    memory_entry_unref(e);
}

static void shard_fini(struct shard *shard)
{
    for (uint32_t i = 0; i < shard->table.capacity; i++)
        if (shard->table.slots[i].entry)
            free_entry(shard, shard->table.slots[i].entry);
    mem_free(shard->table.slots);
    mem_free(shard->wheel);
    memory_spares_fini(&shard->spares);
    pthread_mutex_destroy(&shard->lock);
}

void memory_store_fini(struct store *s)
{
    for (unsigned i = 0; i < SHARDS; i++)
        shard_fini(&s->shards[i]);
    mem_free(s->snapshots.seqs);
    pthread_mutex_destroy(&s->snapshots.lock);
}

void memory_lock(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
}

static void free_garbage(struct version *versions, struct entry *entries)
{
    for (struct version *next; versions; versions = next) {
        next = versions->older;
        memory_version_unref(versions);
    }
    for (struct entry *next; entries; entries = next) {
        next = entries->history_next;
        memory_entry_unref(entries);
    }
}

/* What cannot be kept as spare blocks. */
static struct version *keep_spares(struct shard *shard)
{
    struct version *left = NULL;
    for (struct version *v = shard->garbage_versions, *next; v; v = next) {
        next = v->older;
        if (memory_version_retire(&shard->spares, v))
            continue;
        v->older = left;
        left = v;
    }
    return left;
}

void memory_unlock(struct shard *shard)
{
    struct version *versions = keep_spares(shard);
    struct entry *entries = shard->garbage_entries;
    shard->garbage_versions = NULL;
    shard->garbage_entries = NULL;
    pthread_mutex_unlock(&shard->lock);
    free_garbage(versions, entries);
}

bool memory_charge(struct store *s, size_t cost, size_t credit)
{
    uint64_t bytes = atomic_fetch_add_explicit(&s->bytes, cost, memory_order_relaxed) + cost;
    if (bytes <= s->bytes_max + credit || cost <= credit)
        return true;
    memory_refund(s, cost);
    return false;
}

void memory_refund(struct store *s, size_t cost)
{
    atomic_fetch_sub_explicit(&s->bytes, cost, memory_order_relaxed);
}

void memory_token(const struct store *s, uint64_t token, uint8_t out[static TOKEN_BYTES])
{
    memcpy(out, s->epoch, sizeof s->epoch);
    for (int i = 0; i < 8; i++)
        out[8 + i] = (uint8_t)(token >> (56 - 8 * i));
}

/* --- reading ----------------------------------------------------------------------------------------------------------------- */

/* The clock is read only for what can expire. Locked. */
static struct version *find_visible(struct store *s, struct shard *shard, struct slice key, uint64_t hash,
                                    uint64_t snapshot)
{
    struct entry *e = memory_table_find(&shard->table, key, hash);
    struct version *v = e ? memory_visible(e, snapshot) : NULL;
    if (v && v->expires_ms != KV_NEVER && version_is_expired(v, store_now_ms(s)))
        return NULL;
    return v;
}

static struct kv_item item_of(struct slice key, const struct version *v, struct slice token)
{
    return (struct kv_item){
        .key = key, .value = version_value(v), .version = token, .tags = version_tags(v), .expires_ms = v->expires_ms};
}

static enum err copy_out(struct slice key, const struct version *v, uint8_t *token, struct arena *arena,
                         struct kv_item *ret_item)
{
    struct kv_item item = item_of(key, v, slice_of(token, TOKEN_BYTES));
    if (!arena_copy(arena, item.value, &item.value) || (item.tags.size && !arena_copy(arena, item.tags, &item.tags)))
        return ERR_NOMEM;
    *ret_item = item;
    return OK;
}

static size_t version_bytes(struct slice key, const struct version *v)
{
    struct kv_item item = item_of(key, v, slice_of(NULL, TOKEN_BYTES));
    return kv_item_bytes(&item);
}

enum err memory_get(struct store *s, struct slice key, uint64_t snapshot, size_t bytes_max, struct arena *arena,
                    struct kv_item *ret_item, bool *ret_found)
{
    uint64_t hash = store_hash(s, key);
    struct shard *shard = &s->shards[shard_number(hash)];
    uint8_t *token = arena_alloc(arena, TOKEN_BYTES);
    if (!token)
        return ERR_NOMEM;
    enum err e = OK;
    struct version *large = NULL;
    memory_lock(shard);
    struct version *v = find_visible(s, shard, key, hash, snapshot);
    if (v) {
        memory_token(s, v->token, token);
        if (version_bytes(key, v) > bytes_max)
            e = ERR_RESOURCE_EXHAUSTED;
        else if ((size_t)v->value_size + v->tags_size <= COPY_LOCKED_BYTES)
            e = copy_out(key, v, token, arena, ret_item);
        else
            large = memory_version_ref(v);
    }
    memory_unlock(shard);
    if (large) {
        e = copy_out(key, large, token, arena, ret_item);
        memory_version_unref(large);
    }
    *ret_found = v;
    return e;
}

bool memory_find_expiry(struct store *s, struct slice key, uint64_t snapshot, int64_t *ret_expires_ms)
{
    uint64_t hash = store_hash(s, key);
    struct shard *shard = &s->shards[shard_number(hash)];
    memory_lock(shard);
    const struct version *v = find_visible(s, shard, key, hash, snapshot);
    if (v)
        *ret_expires_ms = v->expires_ms;
    memory_unlock(shard);
    return v;
}

/* --- writing ----------------------------------------------------------------------------------------------------------------- */

/* What stands under the key now; NULL where it is absent, dead or expired. Locked. */
static struct version *current_of(const struct entry *e, int64_t now_ms)
{
    struct version *v = e ? e->newest : NULL;
    return v && v->end_seq == SEQ_OPEN && !version_is_expired(v, now_ms) ? v : NULL;
}

static bool is_met(const struct store *s, const struct kv_expected *expected, const struct version *current)
{
    uint8_t token[TOKEN_BYTES];
    if (!current)
        return kv_expected_holds(expected, NULL);
    memory_token(s, current->token, token);
    struct kv_item item = item_of(SLICE_EMPTY, current, slice_of(token, sizeof token));
    return kv_expected_holds(expected, &item);
}

/* Fills all of the outcome but the new token. */
static bool look(const struct store *s, const struct kv_expected *expected, struct version *current, struct outcome *o)
{
    *o = (struct outcome){.met = is_met(s, expected, current), .existed = current};
    if (!o->met && current) {
        o->current = memory_version_ref(current);
        o->token = current->token;
    }
    return o->met;
}

/* What a replaced version gives back at once: nothing while a snapshot may still need it. */
static size_t credit_of(struct store *s, const struct entry *e)
{
    return e && !atomic_load(&s->snapshots.count) ? memory_version_cost(e->newest) : 0;
}

/* Everything of a write that may fail. *entry becomes the key's entry, in the table. Locked. */
static enum err prepare(struct store *s, struct shard *shard, struct slice key, uint64_t hash,
                        const struct version *fresh, int64_t now_ms, struct entry **entry)
{
    enum err e = fresh->expires_ms != KV_NEVER ? memory_wheel_ensure(shard, now_ms) : OK;
    if (e)
        return e;
    if (*entry)
        return memory_charge(s, memory_version_cost(fresh), credit_of(s, *entry)) ? OK : ERR_STORE_FULL;
    e = memory_table_reserve(&shard->table, 1);
    if (e)
        return e;
    struct entry *added = memory_entry_new(key, hash);
    if (!added)
        return ERR_NOMEM;
    if (!memory_charge(s, memory_entry_cost(added) + memory_version_cost(fresh), 0)) {
        memory_entry_unref(added);
        return ERR_STORE_FULL;
    }
    memory_table_insert(&shard->table, added);
    if (shard->indexed)
        memory_index_insert(shard, added);
    *entry = added;
    return OK;
}

/* fresh is taken where *ret_outcome says met. Locked. */
static enum err put_locked(struct store *s, struct shard *shard, const struct kv_write *w, uint64_t hash,
                           struct version *fresh, int64_t now_ms, struct outcome *o)
{
    memory_tend(s, shard, now_ms);
    struct entry *entry = memory_table_find(&shard->table, w->key, hash);
    if (!look(s, &w->expected, current_of(entry, now_ms), o))
        return OK;
    enum err e = prepare(s, shard, w->key, hash, fresh, now_ms, &entry);
    if (e)
        return e;
    o->token = memory_next_seq(s);
    memory_supersede(s, shard, entry, fresh, o->token);
    return OK;
}

/* Small ones go where one of the same size has been; the heap is asked without the lock, and only where there is none. */
static enum err lock_with_version(struct shard *shard, const struct kv_write *w, struct version **ret_fresh)
{
    struct version *fresh = NULL;
    if (w->value.size + w->tags.size <= SPARE_BYTES) {
        memory_lock(shard);
        fresh = memory_version_reuse(&shard->spares, w->value, w->tags, w->expires_ms);
        if (!fresh)
            memory_unlock(shard);
    }
    if (!fresh) {
        fresh = memory_version_new(w->value, w->tags, w->expires_ms);
        if (!fresh)
            return ERR_NOMEM;
        memory_lock(shard);
    }
    *ret_fresh = fresh;
    return OK;
}

static enum err put(struct store *s, const struct kv_write *w, int64_t now_ms, struct outcome *ret_outcome)
{
    uint64_t hash = store_hash(s, w->key);
    struct shard *shard = &s->shards[shard_number(hash)];
    struct version *fresh;
    enum err e = lock_with_version(shard, w, &fresh);
    if (e)
        return e;
    e = put_locked(s, shard, w, hash, fresh, now_ms, ret_outcome);
    memory_unlock(shard);
    if (e || !ret_outcome->met)
        memory_version_unref(fresh);
    return e;
}

enum err memory_put(struct store *s, const struct kv_write *w, int64_t now_ms, struct outcome *ret_outcome)
{
    enum err e = put(s, w, now_ms, ret_outcome);
    if (e != ERR_STORE_FULL)
        return e;
    memory_sweep(s, now_ms, SWEEP_WHEN_FULL);
    return put(s, w, now_ms, ret_outcome);
}

enum err memory_remove(struct store *s, struct slice key, const struct kv_expected *expected, int64_t now_ms,
                       struct outcome *ret_outcome)
{
    uint64_t hash = store_hash(s, key);
    struct shard *shard = &s->shards[shard_number(hash)];
    memory_lock(shard);
    memory_tend(s, shard, now_ms);
    struct entry *entry = memory_table_find(&shard->table, key, hash);
    if (look(s, expected, current_of(entry, now_ms), ret_outcome) && ret_outcome->existed)
        memory_supersede(s, shard, entry, NULL, memory_next_seq(s));
    memory_unlock(shard);
    return OK;
}

/* --- another expiry ---------------------------------------------------------------------------------------------------------- */

/* Nobody else looks at the version: it may be changed where it stands. Locked. */
static bool is_private(struct store *s, const struct version *v, int64_t expires_ms)
{
    return (v->timed || expires_ms == KV_NEVER) && atomic_load_explicit(&v->refs, memory_order_acquire) == 1 &&
           !memory_snapshot_within(s, v->seq, SEQ_OPEN);
}

static void change_expiry(struct store *s, struct shard *shard, struct entry *entry, int64_t expires_ms)
{
    struct version *v = entry->newest;
    memory_timer_stop(shard, v);
    memory_count(shard, v, -1);
    v->seq = memory_next_seq(s);
    v->expires_ms = expires_ms;
    memory_count(shard, v, 1);
    memory_timer_start(shard, entry);
}

static enum err replace_expiry(struct store *s, struct shard *shard, struct entry *entry, int64_t expires_ms)
{
    struct version *fresh = memory_version_copy(entry->newest, expires_ms);
    if (!fresh)
        return ERR_NOMEM;
    if (!memory_charge(s, memory_version_cost(fresh), credit_of(s, entry) + sizeof(struct wheel_timer) * 2)) {
        memory_version_unref(fresh);
        return ERR_STORE_FULL;
    }
    memory_supersede(s, shard, entry, fresh, memory_next_seq(s));
    return OK;
}

static enum err touch_locked(struct store *s, struct shard *shard, struct entry *entry, int64_t expires_ms,
                             int64_t now_ms)
{
    struct version *v = entry->newest;
    if (v->expires_ms == expires_ms)
        return OK;
    enum err e = memory_wheel_ensure(shard, now_ms);
    if (e)
        return e;
    if (!is_private(s, v, expires_ms))
        return replace_expiry(s, shard, entry, expires_ms);
    change_expiry(s, shard, entry, expires_ms);
    return OK;
}

enum err memory_touch(struct store *s, struct slice key, int64_t expires_ms, int64_t now_ms, bool *ret_existed,
                      int64_t *ret_before)
{
    uint64_t hash = store_hash(s, key);
    struct shard *shard = &s->shards[shard_number(hash)];
    enum err e = OK;
    memory_lock(shard);
    memory_tend(s, shard, now_ms);
    struct entry *entry = memory_table_find(&shard->table, key, hash);
    const struct version *v = current_of(entry, now_ms);
    *ret_existed = v;
    if (v) {
        *ret_before = v->expires_ms;
        e = touch_locked(s, shard, entry, expires_ms, now_ms);
    }
    memory_unlock(shard);
    return e;
}
