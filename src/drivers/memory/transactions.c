#include "drivers/memory/transactions.h"

#include <assert.h>

#include "base/mem.h"

enum { HISTORY_CLEARED_AT_END = 64 };

static uint64_t now_ns(const struct transactions *t)
{
    return t->store->env->monotonic_ns(t->store->env);
}

void memory_transactions_init(struct transactions *t, struct store *store)
{
    *t = (struct transactions){.store = store};
    atomic_init(&t->sweep_at_ns, UINT64_MAX);
    pthread_mutex_init(&t->lock, NULL);
    map_init(&t->by_id, LIMIT_TRANSACTIONS_OPEN_MAX, &store->secret);
}

/* --- writes ------------------------------------------------------------------------------------------------------------------ */

static void drop_change(struct store *store, struct change *c)
{
    memory_version_unref(c->version);
    memory_entry_unref(c->entry);
    memory_refund(store, c->charged);
    *c = (struct change){0};
}

static void drop_changes(struct store *store, struct transaction *x)
{
    map_fini(&x->by_key);
    for (uint32_t i = 0; i < x->count; i++)
        drop_change(store, &x->changes[i]);
    mem_free(x->changes);
    x->changes = NULL;
    x->count = x->capacity = 0;
}

static struct change *own_change(const struct transaction *x, struct slice key)
{
    uintptr_t place = (uintptr_t)map_get(&x->by_key, key);
    return place ? &x->changes[place - 1] : NULL;
}

const struct change *memory_transaction_own(const struct transaction *x, struct slice key)
{
    return own_change(x, key);
}

static enum err reserve_change(struct transaction *x)
{
    if (x->count == LIMIT_TRANSACTION_KEYS)
        return ERR_TRANSACTION_TOO_LARGE;
    if (x->count < x->capacity)
        return OK;
    uint32_t capacity = x->capacity ? x->capacity * 2 : 8;
    struct change *changes = mem_realloc(x->changes, capacity * sizeof *changes);
    if (!changes)
        return ERR_NOMEM;
    x->changes = changes;
    x->capacity = capacity;
    return OK;
}

/* A change of a key that the transaction has not written yet, without a version. */
static enum err add_change(struct transactions *t, struct transaction *x, struct slice key, struct change **ret_change)
{
    enum err e = reserve_change(x);
    if (e)
        return e;
    struct entry *entry = memory_entry_new(key, store_hash(t->store, key));
    if (!entry)
        return ERR_NOMEM;
    struct change c = {.entry = entry, .charged = memory_entry_cost(entry)};
    if (!memory_charge(t->store, c.charged, 0)) {
        memory_entry_unref(entry);
        return ERR_STORE_FULL;
    }
    if (map_put(&x->by_key, entry_key(entry), (void *)(uintptr_t)(x->count + 1), NULL)) {
        drop_change(t->store, &c);
        return ERR_NOMEM;
    }
    x->bytes += c.charged;
    x->changes[x->count] = c;
    *ret_change = &x->changes[x->count++];
    return OK;
}

static enum err write_version(struct transactions *t, struct transaction *x, struct slice key, struct version *v)
{
    struct change *c = own_change(x, key);
    size_t cost = v ? memory_version_cost(v) : 0, before = c && c->version ? memory_version_cost(c->version) : 0;
    if (x->bytes + cost - before > LIMIT_TRANSACTION_BYTES)
        return ERR_TRANSACTION_TOO_LARGE;
    if (!memory_charge(t->store, cost, before))
        return ERR_STORE_FULL;
    enum err e = c ? OK : add_change(t, x, key, &c);
    if (e) {
        memory_refund(t->store, cost);
        return e;
    }
    memory_refund(t->store, before);
    memory_version_unref(c->version);
    c->version = v;
    c->charged += cost - before;
    x->bytes += cost - before;
    return OK;
}

enum err memory_transaction_write(struct transactions *t, struct transaction *x, struct slice key, struct version *v)
{
    enum err e = write_version(t, x, key, v);
    if (e)
        memory_version_unref(v);
    return e;
}

/* --- beginning and ending ---------------------------------------------------------------------------------------------------- */

static void free_transaction(struct transactions *t, struct transaction *x)
{
    drop_changes(t->store, x);
    pthread_mutex_destroy(&x->lock);
    mem_free(x->owner);
    mem_free(x);
}

static struct transaction *new_transaction(struct transactions *t, const char *owner, int64_t idle_ms)
{
    struct transaction *x = mem_zalloc(sizeof *x);
    if (!x)
        return NULL;
    x->owner = mem_strdup(owner);
    if (!x->owner) {
        mem_free(x);
        return NULL;
    }
    t->store->env->random(t->store->env, x->id, sizeof x->id);
    x->refs = 1;
    x->idle_ns = (uint64_t)idle_ms * 1000000;
    pthread_mutex_init(&x->lock, NULL);
    map_init(&x->by_key, LIMIT_TRANSACTION_KEYS, &t->store->secret);
    return x;
}

static void touch(struct transactions *t, struct transaction *x)
{
    x->idle_until_ns = now_ns(t) + x->idle_ns;
    if (x->idle_until_ns < atomic_load_explicit(&t->sweep_at_ns, memory_order_relaxed))
        atomic_store_explicit(&t->sweep_at_ns, x->idle_until_ns, memory_order_relaxed);
}

/* Table's lock held. */
static enum err add(struct transactions *t, struct transaction *x, uint32_t open_max)
{
    if (t->by_id.count >= open_max)
        return ERR_TRANSACTION_LIMIT;
    enum err e = map_put(&t->by_id, slice_of(x->id, sizeof x->id), x, NULL);
    if (e)
        return e == ERR_RESOURCE_EXHAUSTED ? ERR_TRANSACTION_LIMIT : e;
    e = memory_snapshot_take(t->store, &x->snapshot);
    if (e)
        map_remove(&t->by_id, slice_of(x->id, sizeof x->id));
    else
        touch(t, x);
    return e;
}

enum err memory_transaction_begin(struct transactions *t, const struct call *call, int64_t idle_ms,
                                  uint8_t ret_id[static TRANSACTION_ID_BYTES])
{
    memory_transactions_sweep(t);
    struct transaction *x = new_transaction(t, call->who.name, idle_ms);
    if (!x)
        return ERR_NOMEM;
    memcpy(ret_id, x->id, sizeof x->id);
    pthread_mutex_lock(&t->lock);
    enum err e = add(t, x, call->ns->transactions_max);
    pthread_mutex_unlock(&t->lock);
    if (e)
        free_transaction(t, x);
    return e;
}

/* Takes it out of the table; the table's reference goes to the caller. Table's lock held. */
static void take_out(struct transactions *t, struct transaction *x)
{
    map_remove(&t->by_id, slice_of(x->id, sizeof x->id));
    memory_snapshot_drop(t->store, x->snapshot);
}

static void unref_locked(struct transactions *t, struct transaction *x)
{
    if (--x->refs == 0)
        free_transaction(t, x);
}

void memory_transaction_end(struct transactions *t, struct transaction *x)
{
    assert(!x->ended);
    x->ended = true;
    pthread_mutex_lock(&t->lock);
    take_out(t, x);
    unref_locked(t, x); /* the caller has another one */
    pthread_mutex_unlock(&t->lock);
    drop_changes(t->store, x);
    memory_sweep(t->store, store_now_ms(t->store), HISTORY_CLEARED_AT_END);
}

void memory_transactions_fini(struct transactions *t)
{
    uint32_t at = 0;
    void *x;
    while (map_next(&t->by_id, &at, NULL, &x))
        free_transaction(t, x);
    map_fini(&t->by_id);
    pthread_mutex_destroy(&t->lock);
}

/* --- calls ------------------------------------------------------------------------------------------------------------------- */

/* Table's lock held. */
static enum err find(struct transactions *t, const struct call *call, struct slice id,
                     struct transaction **ret_transaction)
{
    struct transaction *x = map_get(&t->by_id, id);
    if (!x)
        return ERR_TRANSACTION_UNKNOWN;
    if (strcmp(x->owner, call->who.name) != 0)
        return ERR_TRANSACTION_NOT_OWNER;
    x->refs++;
    touch(t, x);
    *ret_transaction = x;
    return OK;
}

enum err memory_transaction_acquire(struct transactions *t, struct call *call, struct slice id,
                                    struct transaction **ret_transaction)
{
    memory_transactions_sweep(t);
    struct transaction *x = NULL;
    pthread_mutex_lock(&t->lock);
    enum err e = find(t, call, id, &x);
    pthread_mutex_unlock(&t->lock);
    if (e)
        return diag_set(&call->diag, e, "%s", err_row(e)->text);
    pthread_mutex_lock(&x->lock);
    if (x->ended) {
        memory_transaction_release(t, x);
        return diag_set(&call->diag, ERR_TRANSACTION_UNKNOWN, "%s", err_row(ERR_TRANSACTION_UNKNOWN)->text);
    }
    *ret_transaction = x;
    return OK;
}

void memory_transaction_release(struct transactions *t, struct transaction *x)
{
    pthread_mutex_unlock(&x->lock);
    pthread_mutex_lock(&t->lock);
    unref_locked(t, x);
    pthread_mutex_unlock(&t->lock);
}

enum { SWEPT_AT_ONCE = 64 };

/* Those that have been idle too long, at most SWEPT_AT_ONCE; one that a call works on is not idle. *next_ns: when the others may
 * be. Table's lock held. */
static unsigned find_idle(const struct transactions *t, uint64_t now, struct transaction *idle[SWEPT_AT_ONCE],
                          uint64_t *next_ns)
{
    uint32_t at = 0;
    unsigned count = 0;
    void *value;
    *next_ns = UINT64_MAX;
    while (count < SWEPT_AT_ONCE && map_next(&t->by_id, &at, NULL, &value)) {
        struct transaction *x = value;
        if (x->idle_until_ns <= now && x->refs == 1)
            idle[count++] = x;
        else if (x->idle_until_ns < *next_ns)
            *next_ns = x->idle_until_ns;
    }
    return count;
}

static void roll_back(struct transactions *t, struct transaction *x)
{
    take_out(t, x);
    t->timed_out++;
    unref_locked(t, x);
}

void memory_transactions_sweep(struct transactions *t)
{
    uint64_t due = atomic_load_explicit(&t->sweep_at_ns, memory_order_relaxed), now, next_ns;
    if (due == UINT64_MAX || due > (now = now_ns(t)))
        return;
    struct transaction *idle[SWEPT_AT_ONCE];
    unsigned count;
    pthread_mutex_lock(&t->lock);
    do {
        count = find_idle(t, now, idle, &next_ns);
        for (unsigned i = 0; i < count; i++)
            roll_back(t, idle[i]);
    } while (count == SWEPT_AT_ONCE);
    atomic_store_explicit(&t->sweep_at_ns, next_ns, memory_order_relaxed);
    pthread_mutex_unlock(&t->lock);
}
