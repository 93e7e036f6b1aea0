/* Threads that read, each with a connection of its own. An operation is light (a key or few) or heavy (scan page, count, batch,
 * begin of a transaction). A reader that wakes takes its share of the light ones at once and answers them together; heavy ones
 * it takes singly, and while there are other readers one of them is kept free for light ones.
 *
 * What is taken together is read in one transaction: it saves SQLite's locks a key, and every operation still sees all that was
 * committed before it was submitted. No read transaction lasts longer than what was taken. */
#include <assert.h>

#include "base/mem.h"
#include "drivers/sqlite/store.h"

enum { LIGHT_BATCH = 64, PROGRESS_STEPS = 20000 /* SQLite's, a millisecond or less */ };

/* --- running ---------------------------------------------------------------------------------------------------------------- */

/* SQLite asks now and then during a long statement. */
static int is_unwanted(void *context)
{
    const struct sqlite_operation *o = context;
    return sqlite_call_alive(o->store, o->call) != OK;
}

static void run_operation(struct sqlite_reader *r, struct sqlite_operation *o, int64_t now_ms)
{
    o->connection = r->connection;
    o->now_ms = now_ms;
    if (o->heavy)
        sqlite3_progress_handler(r->connection->db, PROGRESS_STEPS, is_unwanted, o);
    o->outcome = sqlite_operation_run(o, o->run);
    if (o->heavy)
        sqlite3_progress_handler(r->connection->db, 0, NULL, NULL);
}

/* A read transaction that could not be ended would show old data for ever: nothing is read then. */
static enum err begin_batch(struct sqlite_connection *c, const struct sqlite_operations *batch)
{
    enum err e = sqlite3_get_autocommit(c->db) ? OK : sqlite_run(c, STATEMENT_ROLLBACK);
    bool one_statement = batch->count == 1 && !batch->first->several;
    return e || one_statement ? e : sqlite_run(c, STATEMENT_BEGIN_READ);
}

static void refuse(struct sqlite_reader *r, struct sqlite_operation *o, enum err e)
{
    o->outcome = e;
    sqlite_describe(r->connection, &o->call->diag, e);
}

static void run_batch(struct sqlite_reader *r, struct sqlite_operations *batch)
{
    struct sqlite_readers *all = &r->store->readers;
    int64_t now_ms = sqlite_now_ms(r->store);
    enum err e = begin_batch(r->connection, batch);
    for (struct sqlite_operation *o = batch->first; o; o = o->next)
        e ? refuse(r, o, e) : run_operation(r, o, now_ms);
    if (!sqlite3_get_autocommit(r->connection->db))
        sqlite_run(r->connection, STATEMENT_COMMIT);
    atomic_fetch_add_explicit(&all->batches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&all->operations, batch->count, memory_order_relaxed);
    sqlite_complete(batch->first);
}

/* --- taking. Lock held ------------------------------------------------------------------------------------------------------ */

static bool may_take_heavy(const struct sqlite_readers *all)
{
    return all->heavy.count && all->heavy_running < all->heavy_max;
}

static void take(struct sqlite_readers *all, struct sqlite_operations *batch)
{
    sqlite_operations_init(batch);
    all->heavy_last = may_take_heavy(all) && (!all->light.count || !all->heavy_last);
    if (all->heavy_last) {
        all->heavy_running++;
        sqlite_operations_push(batch, sqlite_operations_pop(&all->heavy));
        return;
    }
    for (unsigned n = all->light.count < LIGHT_BATCH ? all->light.count : LIGHT_BATCH; n; n--)
        sqlite_operations_push(batch, sqlite_operations_pop(&all->light));
}

/* One at a time: who wakes up takes its share and wakes the next if something is left. So a burst costs the loop one signal. */
static void wake_one(struct sqlite_readers *all)
{
    if (!all->idle || all->waking)
        return;
    all->waking = true;
    pthread_cond_signal(&all->ready);
}

/* false: there is nothing left, and the store is closing. */
static bool wait_and_take(struct sqlite_readers *all, struct sqlite_operations *batch)
{
    while (!all->light.count && !may_take_heavy(all)) {
        if (all->stopping)
            return false;
        all->idle++;
        pthread_cond_wait(&all->ready, &all->lock);
        all->idle--;
        all->waking = false;
    }
    take(all, batch);
    if (all->light.count || may_take_heavy(all))
        wake_one(all);
    return true;
}

static void *reader_main(void *context)
{
    struct sqlite_reader *r = context;
    struct sqlite_readers *all = &r->store->readers;
    struct sqlite_operations batch;
    pthread_mutex_lock(&all->lock);
    while (wait_and_take(all, &batch)) {
        bool heavy = batch.first->heavy;
        pthread_mutex_unlock(&all->lock);
        run_batch(r, &batch);
        pthread_mutex_lock(&all->lock);
        all->heavy_running -= heavy;
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* --- from the loops --------------------------------------------------------------------------------------------------------- */

void sqlite_read(struct sqlite_operation *o)
{
    struct sqlite_readers *all = &o->store->readers;
    pthread_mutex_lock(&all->lock);
    bool fits = all->light.count + all->heavy.count < LIMIT_READ_QUEUE;
    if (fits) {
        sqlite_operations_push(o->heavy ? &all->heavy : &all->light, o);
        wake_one(all);
    }
    pthread_mutex_unlock(&all->lock);
    if (!fits)
        sqlite_reject(o, ERR_BACKEND_BUSY);
}

/* --- start and stop --------------------------------------------------------------------------------------------------------- */

static enum err start_reader(struct sqlite_store *store, struct sqlite_reader *r, struct diag *d)
{
    r->store = store;
    enum err e = sqlite_connection_open(store->path, ROLE_READER, store->cache_bytes, d, &r->connection);
    if (e)
        return e;
    r->started = pthread_create(&r->thread, NULL, reader_main, r) == 0;
    return r->started ? OK : diag_set(d, ERR_RESOURCE_EXHAUSTED, "no thread could be made for a reader");
}

enum err sqlite_readers_start(struct sqlite_store *store, unsigned count, struct diag *d)
{
    struct sqlite_readers *all = &store->readers;
    all->items = mem_zalloc(count * sizeof *all->items);
    if (!all->items)
        return diag_set(d, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
    sqlite_operations_init(&all->light);
    sqlite_operations_init(&all->heavy);
    all->count = count;
    all->heavy_max = count > 1 ? count - 1 : 1;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->ready, NULL);
    enum err e = OK;
    for (unsigned i = 0; i < count && !e; i++)
        e = start_reader(store, &all->items[i], d);
    return e;
}

void sqlite_readers_stop(struct sqlite_store *store)
{
    struct sqlite_readers *all = &store->readers;
    if (!all->items)
        return;
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    pthread_cond_broadcast(&all->ready);
    pthread_mutex_unlock(&all->lock);
    for (unsigned i = 0; i < all->count; i++) {
        if (all->items[i].started)
            pthread_join(all->items[i].thread, NULL);
        sqlite_connection_close(all->items[i].connection);
    }
    assert(!all->light.count && !all->heavy.count);
    pthread_cond_destroy(&all->ready);
    pthread_mutex_destroy(&all->lock);
    mem_free(all->items);
    all->items = NULL;
}
