/* The one thread that writes. It takes what has queued up, runs it in one transaction, commits once, and answers all: the more
 * callers there are, the more of them share a sync of the disk. Nothing waits for a group to fill.
 *
 *   queue ──take──▶ BEGIN ─▶ { run, in a SAVEPOINT where it takes several statements }* ─▶ COMMIT ─▶ answers
 *                               └ fails: undone alone                                    └ fails: all undone, all told
 *
 * Invariants: what was acknowledged is committed; an operation that failed has left nothing; keys in memory are the rows of the
 * table as the transaction sees it, keys_stored as the file has it.
 *
 * When one statement fails, SQLite undoes that statement. On some errors (disk full, I/O) it may undo the whole transaction: then
 * the group ends there, with this error for all. */
#include <assert.h>
#include <errno.h>
#include <time.h>

#include "base/fault.h"
#include "base/log.h"
#include "drivers/sqlite/store.h"

static bool in_transaction(const struct sqlite_writer *w)
{
    return !sqlite3_get_autocommit(w->connection->db);
}

/* One that could not be rolled back would be in the way for ever: it is tried again. */
enum err sqlite_writer_begin(struct sqlite_store *store)
{
    struct sqlite_writer *w = &store->writer;
    w->wrote = false;
    enum err e = in_transaction(w) ? sqlite_run(w->connection, STATEMENT_ROLLBACK) : OK;
    return e ? e : sqlite_run(w->connection, STATEMENT_BEGIN_WRITE);
}

static enum err store_keys(struct sqlite_writer *w)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(w->connection, STATEMENT_KEYS_PUT, &s);
    if (e)
        return e;
    sqlite3_bind_int64(s, 1, w->keys);
    return sqlite_finish(w->connection, s);
}

static enum err commit(struct sqlite_store *store)
{
    struct sqlite_writer *w = &store->writer;
    struct sqlite_versions *v = &store->versions;
    bool first = !v->epoch_stored && sqlite_version_given(v);
    enum err e = first ? sqlite_epoch_put(store) : OK;
    if (!e && w->keys != w->keys_stored)
        e = store_keys(w);
    if (!e && FAULT("sqlite.commit")) {
        w->connection->code = SQLITE_IOERR_FSYNC;
        e = ERR_IO;
    }
    if (!e)
        e = sqlite_run(w->connection, STATEMENT_COMMIT);
    if (!e && first)
        v->epoch_stored = true;
    return e;
}

/* Whether e says something about the storage, not about a request. */
static bool is_storage_error(enum err e)
{
    return e == ERR_DISK_FULL || e == ERR_IO || e == ERR_CORRUPT || e == ERR_READ_ONLY || e == ERR_FILE;
}

static void note_health(struct sqlite_writer *w, enum err e)
{
    if (is_storage_error(e) || (!e && w->wrote))
        atomic_store_explicit(&w->last_error, e, memory_order_relaxed);
}

enum err sqlite_writer_end(struct sqlite_store *store, enum err e)
{
    struct sqlite_writer *w = &store->writer;
    if (!e)
        e = commit(store);
    if (e) {
        int code = w->connection->code;
        if (in_transaction(w))
            sqlite_run(w->connection, STATEMENT_ROLLBACK);
        w->connection->code = code;
        w->keys = w->keys_stored;
    } else {
        sqlite_committed(store);
    }
    w->keys_stored = w->keys;
    atomic_store_explicit(&w->keys_shown, w->keys, memory_order_relaxed);
    note_health(w, e);
    return e;
}

/* --- one operation ---------------------------------------------------------------------------------------------------------- */

/* The work, or the answer that was kept for its idempotency key. */
static enum err run_once(struct sqlite_operation *o)
{
    enum err e = o->idem.used ? sqlite_answer_find(o) : OK;
    if (e || o->replayed)
        return e;
    e = o->run(o);
    return !e && o->idem.used && o->response ? sqlite_answer_keep(o) : e;
}

/* A savepoint that cannot be undone leaves the transaction in a state that nobody knows: it is given up as a whole. */
static void undo(struct sqlite_connection *c)
{
    int code = c->code;
    if (sqlite_run(c, STATEMENT_ROLLBACK_TO) || sqlite_run(c, STATEMENT_RELEASE))
        sqlite_run(c, STATEMENT_ROLLBACK);
    c->code = code;
}

static enum err run_undoable(struct sqlite_operation *o)
{
    struct sqlite_connection *c = o->connection;
    enum err e = sqlite_run(c, STATEMENT_SAVEPOINT);
    if (e)
        return e;
    e = run_once(o);
    if (!e)
        e = sqlite_run(c, STATEMENT_RELEASE);
    if (e && !sqlite3_get_autocommit(c->db))
        undo(c);
    return e;
}

static void run_operation(struct sqlite_writer *w, struct sqlite_operation *o, int64_t now_ms)
{
    int64_t keys = w->keys;
    o->connection = w->connection;
    o->now_ms = now_ms;
    o->outcome = sqlite_operation_run(o, o->several || o->idem.used ? run_undoable : run_once);
    if (o->outcome) {
        w->keys = keys;
        o->replayed = false;
    }
    note_health(w, o->outcome);
}

/* --- a group ---------------------------------------------------------------------------------------------------------------- */

static enum err run_all(struct sqlite_store *store, struct sqlite_operation *group)
{
    struct sqlite_writer *w = &store->writer;
    int64_t now_ms = sqlite_now_ms(store);
    enum err e = sqlite_writer_begin(store);
    for (struct sqlite_operation *o = group; o && !e; o = o->next) {
        run_operation(w, o, now_ms);
        if (!in_transaction(w))
            e = o->outcome ? o->outcome : ERR_IO;
    }
    return sqlite_writer_end(store, e);
}

static void fail_all(struct sqlite_store *store, struct sqlite_operation *group, enum err e)
{
    log_warn(store->log, "writes rolled back", LOG_TEXT("namespace", store->namespace_name), LOG_ERR(e),
             LOG_INT("sqlite_code", store->writer.connection->code));
    for (struct sqlite_operation *o = group; o; o = o->next) {
        o->outcome = e;
        sqlite_describe(store->writer.connection, &o->call->diag, e);
    }
}

static void tell_committed(struct sqlite_operation *group)
{
    for (struct sqlite_operation *o = group; o; o = o->next)
        if (o->committed && !o->outcome && !o->replayed)
            o->committed(o);
}

static void run_group(struct sqlite_store *store, struct sqlite_operations *group)
{
    struct sqlite_writer *w = &store->writer;
    enum err e = run_all(store, group->first);
    if (e)
        fail_all(store, group->first, e);
    else
        tell_committed(group->first);
    atomic_fetch_add_explicit(&w->groups, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->group_operations, group->count, memory_order_relaxed);
    sqlite_complete(group->first);
}

/* --- the thread ------------------------------------------------------------------------------------------------------------- */

/* A duration from now on the clock that the condition uses. The environment's clock may be another one. */
static struct timespec real_time_in(uint64_t ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

/* Until there is something to do. Lock held. */
static void wait_for_work(struct sqlite_store *store)
{
    struct sqlite_writer *w = &store->writer;
    while (!w->queue.count && !w->stopping && !w->verify) {
        uint64_t now_ns = store->env->monotonic_ns(store->env);
        w->wake_ns = sqlite_upkeep_due_ns(store);
        if (w->wake_ns <= now_ns)
            return;
        w->waiting = true;
        if (w->wake_ns == UINT64_MAX) {
            pthread_cond_wait(&w->ready, &w->lock);
        } else {
            struct timespec until = real_time_in(w->wake_ns - now_ns);
            pthread_cond_timedwait(&w->ready, &w->lock, &until);
        }
        w->waiting = false;
    }
}

static void take_group(struct sqlite_writer *w, struct sqlite_operations *group)
{
    size_t bytes = 0;
    sqlite_operations_init(group);
    while (w->queue.count && group->count < LIMIT_GROUP_COMMIT && bytes < LIMIT_GROUP_COMMIT_BYTES) {
        struct sqlite_operation *o = sqlite_operations_pop(&w->queue);
        bytes += o->bytes;
        sqlite_operations_push(group, o);
    }
}

static void *writer_main(void *context)
{
    struct sqlite_store *store = context;
    struct sqlite_writer *w = &store->writer;
    for (;;) {
        struct sqlite_operations group;
        pthread_mutex_lock(&w->lock);
        wait_for_work(store);
        take_group(w, &group);
        bool idle = !w->queue.count, ends = w->stopping && !group.count;
        pthread_mutex_unlock(&w->lock);
        if (ends)
            return NULL;
        if (group.count)
            run_group(store, &group);
        sqlite_upkeep(store, idle);
    }
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

enum err sqlite_writer_start(struct sqlite_store *store)
{
    struct sqlite_writer *w = &store->writer;
    sqlite_operations_init(&w->queue);
    pthread_mutex_init(&w->lock, NULL);
    init_condition(&w->ready);
    w->log_empty_ns = UINT64_MAX;
    sqlite_upkeep_watch(store);
    w->started = pthread_create(&w->thread, NULL, writer_main, store) == 0;
    if (w->started)
        return OK;
    pthread_cond_destroy(&w->ready);
    pthread_mutex_destroy(&w->lock);
    return ERR_RESOURCE_EXHAUSTED;
}

void sqlite_writer_stop(struct sqlite_store *store)
{
    struct sqlite_writer *w = &store->writer;
    if (!w->started)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->ready);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    assert(!w->queue.count);
    pthread_cond_destroy(&w->ready);
    pthread_mutex_destroy(&w->lock);
    w->started = false;
}

/* --- from other threads ----------------------------------------------------------------------------------------------------- */

/* Lock held. The writer is signalled once, however many operations come before it runs. */
static void wake(struct sqlite_writer *w)
{
    if (!w->waiting)
        return;
    w->waiting = false;
    pthread_cond_signal(&w->ready);
}

enum err sqlite_write_begun(struct sqlite_operation *o)
{
    struct sqlite_writer *w = &o->store->writer;
    pthread_mutex_lock(&w->lock);
    bool fits = w->queue.count < LIMIT_WRITE_QUEUE;
    if (fits) {
        sqlite_operations_push(&w->queue, o);
        wake(w);
    }
    pthread_mutex_unlock(&w->lock);
    return fits ? OK : ERR_BACKEND_BUSY;
}

void sqlite_write(struct sqlite_operation *o)
{
    enum err e = idem_begin(o->call, sqlite_now_ms(o->store), &o->idem);
    if (!e)
        e = sqlite_write_begun(o);
    if (e)
        sqlite_reject(o, e);
}

void sqlite_writer_wake_by(struct sqlite_store *store, uint64_t due_ns)
{
    struct sqlite_writer *w = &store->writer;
    pthread_mutex_lock(&w->lock);
    if (due_ns < w->wake_ns)
        wake(w);
    pthread_mutex_unlock(&w->lock);
}

void sqlite_writer_verify(struct sqlite_store *store)
{
    struct sqlite_writer *w = &store->writer;
    pthread_mutex_lock(&w->lock);
    w->verify = true;
    wake(w);
    pthread_mutex_unlock(&w->lock);
}
