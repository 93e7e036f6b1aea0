/* The table of open transactions (transactions.h). */
#include "drivers/redis/transactions.h"

#include <stdio.h>

#include "base/mem.h"

static const uint64_t MS_NS = 1000000;

void redis_transactions_init(struct redis_transactions *t, const struct env *env)
{
    *t = (struct redis_transactions){.env = env};
    pthread_mutex_init(&t->lock, NULL);
    env->random(env, &t->secret, sizeof t->secret);
    map_init(&t->by_id, LIMIT_TRANSACTIONS_OPEN_MAX, &t->secret);
}

void redis_transactions_fini(struct redis_transactions *t)
{
    while (t->first) {
        struct redis_transaction *x = t->first;
        redis_transaction_take(t, x);
        redis_transaction_free(x);
    }
    map_fini(&t->by_id);
    pthread_mutex_destroy(&t->lock);
}

uint32_t redis_transactions_open(struct redis_transactions *t)
{
    pthread_mutex_lock(&t->lock);
    uint32_t open = t->open;
    pthread_mutex_unlock(&t->lock);
    return open;
}

/* --- ending ------------------------------------------------------------------------------------------------------------------ */

void redis_transaction_free(struct redis_transaction *x)
{
    if (!x)
        return;
    map_fini(&x->by_key);
    arena_fini(&x->arena);
    mem_free(x->owner);
    mem_free(x);
}

void redis_transaction_take(struct redis_transactions *t, struct redis_transaction *x)
{
    map_remove(&t->by_id, slice_of(x->id, sizeof x->id));
    *(x->prev ? &x->prev->next : &t->first) = x->next;
    if (x->next)
        x->next->prev = x->prev;
    t->open--;
}

/* Where there is no room to remember a snapshot the server closes it when its time has passed. */
static void end_by_itself(struct redis_transactions *t, struct redis_transaction *x)
{
    redis_transaction_take(t, x);
    if (t->ended_count < REDIS_ENDED_MAX)
        memcpy(t->ended[t->ended_count++], x->entry, REDIS_ENTRY_BYTES);
    redis_transaction_free(x);
}

static void sweep(struct redis_transactions *t)
{
    uint64_t now_ns = t->env->monotonic_ns(t->env);
    for (struct redis_transaction *x = t->first, *next; x; x = next) {
        next = x->next;
        if (x->idle_due_ns <= now_ns || x->life_due_ns <= now_ns)
            end_by_itself(t, x);
    }
}

unsigned redis_transactions_take_ended(struct redis_transactions *t,
                                       char ret_entries[REDIS_ENDED_MAX][REDIS_ENTRY_BYTES])
{
    pthread_mutex_lock(&t->lock);
    unsigned n = t->ended_count;
    memcpy(ret_entries, t->ended, n * sizeof *t->ended);
    t->ended_count = 0;
    pthread_mutex_unlock(&t->lock);
    return n;
}

/* --- beginning --------------------------------------------------------------------------------------------------------------- */

enum err redis_transaction_reserve(struct redis_transactions *t, uint32_t max, struct diag *diag)
{
    pthread_mutex_lock(&t->lock);
    sweep(t);
    bool room = t->open < max && t->open < LIMIT_TRANSACTIONS_OPEN_MAX;
    t->open += room;
    pthread_mutex_unlock(&t->lock);
    return room ? OK
                : diag_set(diag, ERR_TRANSACTION_LIMIT, "the namespace has %u open transactions, as many as it takes",
                           max);
}

void redis_transaction_unreserve(struct redis_transactions *t)
{
    pthread_mutex_lock(&t->lock);
    t->open--;
    pthread_mutex_unlock(&t->lock);
}

static struct redis_transaction *make(struct redis_transactions *t, const char *owner, int64_t idle_ms)
{
    struct redis_transaction *x = mem_zalloc(sizeof *x);
    if (!x)
        return NULL;
    uint64_t now_ns = t->env->monotonic_ns(t->env);
    arena_init(&x->arena, 2 * LIMIT_TRANSACTION_BYTES + LIMIT_TRANSACTION_KEYS * (LIMIT_KEY_BYTES + 256));
    map_init(&x->by_key, LIMIT_TRANSACTION_KEYS, &t->secret);
    x->end = &x->first;
    x->idle_ns = (uint64_t)idle_ms * MS_NS;
    x->idle_due_ns = now_ns + x->idle_ns;
    x->life_due_ns = now_ns + LIMIT_TRANSACTION_LIFE_MS * MS_NS;
    t->env->random(t->env, x->id, sizeof x->id);
    x->owner = mem_strdup(owner);
    if (x->owner)
        return x;
    redis_transaction_free(x);
    return NULL;
}

static enum err insert(struct redis_transactions *t, struct redis_transaction *x)
{
    enum err e = map_put(&t->by_id, slice_of(x->id, sizeof x->id), x, NULL);
    if (e)
        return ERR_NOMEM;
    x->next = t->first;
    if (t->first)
        t->first->prev = x;
    t->first = x;
    return OK;
}

enum err redis_transaction_add(struct redis_transactions *t, const char *owner, int64_t snapshot, const char *entry,
                               int64_t idle_ms, struct arena *arena, struct slice *ret_id)
{
    struct redis_transaction *x = make(t, owner, idle_ms);
    enum err e = x && arena_copy(arena, slice_of(x->id, sizeof x->id), ret_id) ? OK : ERR_NOMEM;
    if (!e) {
        x->snapshot = snapshot;
        snprintf(x->entry, sizeof x->entry, "%s", entry);
        pthread_mutex_lock(&t->lock);
        e = insert(t, x);
        pthread_mutex_unlock(&t->lock);
    }
    if (e)
        redis_transaction_free(x);
    return e;
}

/* --- using ------------------------------------------------------------------------------------------------------------------- */

static enum err find(struct redis_transactions *t, struct call *call, struct slice id,
                     struct redis_transaction **ret_transaction)
{
    struct redis_transaction *x = map_get(&t->by_id, id);
    if (!x)
        return diag_set(&call->diag, ERR_TRANSACTION_UNKNOWN, "%s", err_row(ERR_TRANSACTION_UNKNOWN)->text);
    if (strcmp(x->owner, call->who.name) != 0)
        return diag_set(&call->diag, ERR_TRANSACTION_NOT_OWNER, "%s", err_row(ERR_TRANSACTION_NOT_OWNER)->text);
    x->idle_due_ns = t->env->monotonic_ns(t->env) + x->idle_ns;
    *ret_transaction = x;
    return OK;
}

enum err redis_transaction_enter(struct redis_transactions *t, struct call *call, struct slice id,
                                 struct redis_transaction **ret_transaction)
{
    pthread_mutex_lock(&t->lock);
    sweep(t);
    enum err e = find(t, call, id, ret_transaction);
    if (e)
        pthread_mutex_unlock(&t->lock);
    return e;
}

void redis_transaction_leave(struct redis_transactions *t)
{
    pthread_mutex_unlock(&t->lock);
}

const struct redis_pending *redis_transaction_find(const struct redis_transaction *x, struct slice key)
{
    return map_get(&x->by_key, key);
}

static enum err too_large(struct diag *diag)
{
    return diag_set(diag, ERR_TRANSACTION_TOO_LARGE, "a transaction writes at most %d keys and %d bytes",
                    LIMIT_TRANSACTION_KEYS, LIMIT_TRANSACTION_BYTES);
}

static enum err add_pending(struct redis_transaction *x, struct slice key, struct redis_pending **ret_pending)
{
    struct redis_pending *p = arena_new(&x->arena, struct redis_pending);
    if (!p || !arena_copy(&x->arena, key, &p->write.key))
        return ERR_NOMEM;
    enum err e = map_put(&x->by_key, p->write.key, p, NULL);
    if (e)
        return ERR_NOMEM;
    *x->end = p;
    x->end = &p->next;
    *ret_pending = p;
    return OK;
}

/* Bytes count however often a key is written: the arena keeps them all until the end. */
enum err redis_transaction_note(struct redis_transaction *x, const struct kv_write *w, bool deleted, struct diag *diag)
{
    struct redis_pending *p = map_get(&x->by_key, w->key);
    size_t bytes = (p ? 0 : w->key.size) + w->value.size + w->tags.size;
    struct slice value, tags;
    if ((!p && x->by_key.count >= LIMIT_TRANSACTION_KEYS) || x->bytes + bytes > LIMIT_TRANSACTION_BYTES)
        return too_large(diag);
    if (!arena_copy(&x->arena, w->value, &value) || !arena_copy(&x->arena, w->tags, &tags))
        return ERR_NOMEM;
    enum err e = p ? OK : add_pending(x, w->key, &p);
    if (e)
        return e;
    p->deleted = deleted;
    p->write.value = value;
    p->write.tags = tags;
    p->write.expires_ms = w->expires_ms;
    x->bytes += bytes;
    return OK;
}
