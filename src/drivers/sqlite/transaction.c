/* The table of open transactions and their snapshots. */
#include "drivers/sqlite/transaction.h"

#include "base/log.h"
#include "base/mem.h"

enum { SPARE_MAX = 8 }; /* idle connections kept for the next Begin */

#define NS_PER_MS UINT64_C(1000000)

static uint64_t now_ns(const struct sqlite_store *store)
{
    return store->env->monotonic_ns(store->env);
}

/* --- snapshots: connections with an open read transaction ------------------------------------------------------------------- */

static enum err take_connection(struct sqlite_store *store, struct diag *d, struct sqlite_connection **ret_connection)
{
    struct sqlite_transactions *all = &store->transactions;
    pthread_mutex_lock(&all->lock);
    struct sqlite_connection *c = all->spare;
    if (c) {
        all->spare = c->next;
        all->spare_count--;
    }
    pthread_mutex_unlock(&all->lock);
    if (!c)
        return sqlite_connection_open(store->path, ROLE_SNAPSHOT, 0, d, ret_connection);
    *ret_connection = c;
    return OK;
}

static void give_connection(struct sqlite_store *store, struct sqlite_connection *c)
{
    struct sqlite_transactions *all = &store->transactions;
    bool clean = sqlite_run(c, STATEMENT_ROLLBACK) == OK;
    pthread_mutex_lock(&all->lock);
    bool keep = clean && all->spare_count < SPARE_MAX;
    if (keep) {
        c->next = all->spare;
        all->spare = c;
        all->spare_count++;
    }
    pthread_mutex_unlock(&all->lock);
    if (!keep)
        sqlite_connection_close(c);
}

/* BEGIN alone takes no snapshot: the first read does. */
static enum err pin(struct sqlite_connection *c)
{
    enum err e = sqlite_run(c, STATEMENT_BEGIN_READ);
    return e ? e : sqlite_run(c, STATEMENT_PIN);
}

static enum err take_snapshot(struct sqlite_store *store, struct diag *d, struct sqlite_connection **ret_connection)
{
    struct sqlite_connection *c;
    enum err e = take_connection(store, d, &c);
    if (e)
        return e;
    e = pin(c);
    if (e) {
        sqlite_describe(c, d, e);
        sqlite_connection_close(c);
        return e;
    }
    *ret_connection = c;
    return OK;
}

/* --- making and freeing ----------------------------------------------------------------------------------------------------- */

static void free_transaction(struct sqlite_transaction *t)
{
    pthread_mutex_destroy(&t->lock);
    map_fini(&t->pending);
    arena_fini(&t->arena);
    mem_free(t->owner);
    mem_free(t);
}

static struct sqlite_transaction *make(struct sqlite_store *store, const struct call *call, int64_t idle_ms)
{
    struct sqlite_transaction *t = mem_zalloc(sizeof *t);
    char *owner = t ? mem_strdup(call->who.name) : NULL;
    if (!owner) {
        mem_free(t);
        return NULL;
    }
    store->env->random(store->env, t->id, sizeof t->id);
    t->owner = owner;
    t->used_ns = now_ns(store);
    t->idle_ns = (uint64_t)idle_ms * NS_PER_MS;
    t->ends_ns = t->used_ns + LIMIT_TRANSACTION_LIFE_MS * NS_PER_MS;
    t->end = &t->first;
    pthread_mutex_init(&t->lock, NULL);
    arena_init(&t->arena, 2 * LIMIT_TRANSACTION_BYTES); /* what is counted in bytes, and its administration */
    map_init(&t->pending, LIMIT_TRANSACTION_KEYS, &store->transactions.secret);
    return t;
}

/* Locked by its own lock. */
static void end(struct sqlite_store *store, struct sqlite_transaction *t)
{
    t->ended = true;
    give_connection(store, t->connection);
    t->connection = NULL;
}

/* --- the table. Lock held --------------------------------------------------------------------------------------------------- */

static uint64_t due_ns(const struct sqlite_transaction *t)
{
    uint64_t idle = t->used_ns + t->idle_ns;
    return idle < t->ends_ns ? idle : t->ends_ns;
}

/* Rounded up, so that what is due by the wheel is due by the clock. */
static void set_timer(struct sqlite_transactions *all, struct sqlite_transaction *t, uint64_t at_ns)
{
    wheel_insert(&all->idle, &t->timer, at_ns / NS_PER_MS + 1);
}

static void unlist(struct sqlite_transactions *all, struct sqlite_transaction *t)
{
    map_remove(&all->by_id, slice_of(t->id, sizeof t->id));
    wheel_cancel(&all->idle, &t->timer);
    t->listed = false;
}

static enum err list(struct sqlite_store *store, const struct call *call, struct sqlite_transaction *t)
{
    struct sqlite_transactions *all = &store->transactions;
    if (all->by_id.count >= call->ns->transactions_max)
        return ERR_TRANSACTION_LIMIT;
    enum err e = map_put(&all->by_id, slice_of(t->id, sizeof t->id), t, NULL);
    if (e)
        return e == ERR_RESOURCE_EXHAUSTED ? ERR_TRANSACTION_LIMIT : e;
    t->listed = true;
    set_timer(all, t, due_ns(t));
    return OK;
}

/* --- begin, enter, leave ---------------------------------------------------------------------------------------------------- */

/* Listed before it has its snapshot: from then on the writer notes what it has to know. Nobody knows its id yet. */
static enum err start(struct sqlite_operation *o, struct sqlite_transaction *t)
{
    struct sqlite_transactions *all = &o->store->transactions;
    pthread_mutex_lock(&all->lock);
    t->users = 1;
    t->begun_commit = all->commit;
    t->begun_version = all->version;
    enum err e = list(o->store, o->call, t);
    pthread_mutex_unlock(&all->lock);
    if (e)
        return e;
    e = take_snapshot(o->store, &o->call->diag, &t->connection);
    pthread_mutex_lock(&all->lock);
    t->users = 0;
    if (e)
        unlist(all, t);
    pthread_mutex_unlock(&all->lock);
    return e;
}

enum err sqlite_transaction_begin(struct sqlite_operation *o, int64_t idle_ms, struct slice *ret_id)
{
    struct slice id;
    struct sqlite_transaction *t = make(o->store, o->call, idle_ms);
    if (!t)
        return ERR_NOMEM;
    uint64_t due = due_ns(t); /* once it is listed it may end at any time */
    enum err e = arena_copy(o->call->arena, slice_of(t->id, sizeof t->id), &id) ? start(o, t) : ERR_NOMEM;
    if (e) {
        free_transaction(t);
        return e;
    }
    sqlite_writer_wake_by(o->store, due);
    *ret_id = id;
    return OK;
}

static enum err find(struct sqlite_operation *o, struct slice id, bool last,
                     struct sqlite_transaction **ret_transaction)
{
    struct sqlite_transactions *all = &o->store->transactions;
    struct sqlite_transaction *t = map_get(&all->by_id, id);
    if (!t)
        return ERR_TRANSACTION_UNKNOWN;
    if (strcmp(t->owner, o->call->who.name) != 0)
        return ERR_TRANSACTION_NOT_OWNER;
    t->used_ns = now_ns(o->store);
    t->users++;
    if (last)
        unlist(all, t);
    *ret_transaction = t;
    return OK;
}

enum err sqlite_transaction_enter(struct sqlite_operation *o, struct slice id, bool last,
                                  struct sqlite_transaction **ret_transaction)
{
    struct sqlite_transactions *all = &o->store->transactions;
    struct sqlite_transaction *t;
    pthread_mutex_lock(&all->lock);
    enum err e = find(o, id, last, &t);
    pthread_mutex_unlock(&all->lock);
    if (e)
        return e;
    pthread_mutex_lock(&t->lock);
    if (t->ended) { /* another call ended it while this one waited */
        sqlite_transaction_leave(o->store, t, false);
        return ERR_TRANSACTION_UNKNOWN;
    }
    *ret_transaction = t;
    return OK;
}

void sqlite_transaction_leave(struct sqlite_store *store, struct sqlite_transaction *t, bool last)
{
    struct sqlite_transactions *all = &store->transactions;
    if (last)
        end(store, t);
    pthread_mutex_unlock(&t->lock);
    pthread_mutex_lock(&all->lock);
    t->used_ns = now_ns(store);
    bool gone = --t->users == 0 && !t->listed;
    pthread_mutex_unlock(&all->lock);
    if (gone)
        free_transaction(t);
}

/* --- pending writes --------------------------------------------------------------------------------------------------------- */

struct sqlite_pending *sqlite_transaction_find(const struct sqlite_transaction *t, struct slice key)
{
    return map_get(&t->pending, key);
}

static enum err too_large(struct diag *d)
{
    diag_meta(d, "limit_bytes", "%d", LIMIT_TRANSACTION_BYTES);
    return diag_set(d, ERR_TRANSACTION_TOO_LARGE, "a transaction may write %d keys and %d bytes",
                    LIMIT_TRANSACTION_KEYS, LIMIT_TRANSACTION_BYTES);
}

static enum err copy_write(struct sqlite_transaction *t, const struct kv_write *from, struct kv_write *ret_copy)
{
    *ret_copy = *from;
    bool ok = arena_copy(&t->arena, from->key, &ret_copy->key) &&
              arena_copy(&t->arena, from->value, &ret_copy->value) &&
              arena_copy(&t->arena, from->tags, &ret_copy->tags);
    return ok ? OK : ERR_NOMEM;
}

/* Of a key that has not been written yet: what the snapshot has of it. */
static enum err add_pending(struct sqlite_transaction *t, const struct kv_write *write, bool deleted)
{
    struct sqlite_row row;
    struct sqlite_pending *p = arena_new(&t->arena, struct sqlite_pending);
    if (!p)
        return ERR_NOMEM;
    p->write = *write;
    p->deleted = deleted;
    enum err e = sqlite_item_head(t->connection, write->key, INT64_MIN, &row);
    if (!e)
        e = map_put(&t->pending, p->write.key, p, NULL);
    if (e)
        return e;
    p->seen_version = row.version;
    *t->end = p;
    t->end = &p->next;
    return OK;
}

enum err sqlite_transaction_note(struct sqlite_transaction *t, const struct kv_write *write, bool deleted,
                                 struct diag *d)
{
    struct sqlite_pending *known = sqlite_transaction_find(t, write->key);
    size_t bytes = write->key.size + write->value.size + write->tags.size;
    if (t->bytes + bytes > LIMIT_TRANSACTION_BYTES || (!known && t->pending.count >= LIMIT_TRANSACTION_KEYS))
        return too_large(d);
    struct kv_write copy;
    enum err e = copy_write(t, write, &copy);
    if (e)
        return e;
    t->bytes += bytes;
    if (!known)
        return add_pending(t, &copy, deleted);
    copy.key = known->write.key; /* the map borrows it */
    known->write = copy;
    known->deleted = deleted;
    return OK;
}

/* --- idleness. Writer's thread ---------------------------------------------------------------------------------------------- */

uint64_t sqlite_transactions_due_ns(struct sqlite_store *store)
{
    struct sqlite_transactions *all = &store->transactions;
    pthread_mutex_lock(&all->lock);
    uint64_t next_ms = wheel_next(&all->idle);
    pthread_mutex_unlock(&all->lock);
    return next_ms == UINT64_MAX ? UINT64_MAX : next_ms * NS_PER_MS;
}

/* The next that has been idle for too long, off the table; NULL: none. Others that the wheel brings are put back. */
static struct sqlite_transaction *pop_idle(struct sqlite_store *store, uint64_t now)
{
    struct sqlite_transactions *all = &store->transactions;
    struct wheel_timer *timer;
    while ((timer = wheel_pop(&all->idle))) {
        struct sqlite_transaction *t =
            (struct sqlite_transaction *)((char *)timer - offsetof(struct sqlite_transaction, timer));
        if (!t->users && due_ns(t) <= now) {
            unlist(all, t);
            return t;
        }
        set_timer(all, t, t->users ? now + t->idle_ns : due_ns(t));
    }
    return NULL;
}

void sqlite_transactions_expire(struct sqlite_store *store)
{
    struct sqlite_transactions *all = &store->transactions;
    uint64_t now = now_ns(store);
    for (;;) {
        pthread_mutex_lock(&all->lock);
        wheel_advance(&all->idle, now / NS_PER_MS);
        struct sqlite_transaction *t = pop_idle(store, now);
        pthread_mutex_unlock(&all->lock);
        if (!t)
            return;
        log_debug(store->log, "transaction rolled back when idle", LOG_TEXT("namespace", store->namespace_name));
        end(store, t);
        free_transaction(t);
    }
}

unsigned sqlite_transactions_open(struct sqlite_store *store)
{
    struct sqlite_transactions *all = &store->transactions;
    pthread_mutex_lock(&all->lock);
    unsigned count = all->by_id.count;
    pthread_mutex_unlock(&all->lock);
    return count;
}

/* --- open and close --------------------------------------------------------------------------------------------------------- */

enum err sqlite_transactions_init(struct sqlite_store *store)
{
    struct sqlite_transactions *all = &store->transactions;
    store->env->random(store->env, &all->secret, sizeof all->secret);
    pthread_mutex_init(&all->lock, NULL);
    map_init(&all->by_id, LIMIT_TRANSACTIONS_OPEN_MAX, &all->secret);
    map_init(&all->touched, LIMIT_TOUCHED_KEYS, &all->secret);
    all->version = store->versions.last;
    wheel_init(&all->idle, now_ns(store) / NS_PER_MS);
    all->started = true;
    return OK;
}

void sqlite_transactions_fini(struct sqlite_store *store)
{
    struct sqlite_transactions *all = &store->transactions;
    void *value;
    if (!all->started)
        return;
    for (uint32_t at = 0; map_next(&all->by_id, &at, NULL, &value);) {
        struct sqlite_transaction *t = value;
        sqlite_connection_close(t->connection);
        free_transaction(t);
    }
    for (uint32_t at = 0; map_next(&all->touched, &at, NULL, &value);)
        mem_free(value);
    map_fini(&all->touched);
    while (all->spare) {
        struct sqlite_connection *c = all->spare;
        all->spare = c->next;
        sqlite_connection_close(c);
    }
    map_fini(&all->by_id);
    pthread_mutex_destroy(&all->lock);
    all->started = false;
}
