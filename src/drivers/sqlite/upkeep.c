/* What the writer does between groups: removes what has expired, keeps the WAL short, rolls back forgotten transactions. All of
 * it in bounded steps, so that a write never waits long behind it.
 *
 * Sweeping: the time of the first expiry is known, so the writer sleeps until then. When idle it sweeps step after step; under
 * load a step at most every SWEEP_PATIENCE_MS. Nothing depends on it but space: readers judge expiry by themselves.
 *
 * The WAL: after CHECKPOINT_FRAMES more pages a passive checkpoint copies what no reader needs any more; beyond LIMIT_LOG_FRAMES it
 * waits a moment for readers, so that the file starts over; a second without a write empties the file. A snapshot that is kept
 * open keeps the WAL from starting over: transactions have LIMIT_TRANSACTION_LIFE_MS for that reason.
 * Only the writer's connection checkpoints. */
#include "base/log.h"
#include "drivers/sqlite/store.h"

enum {
    SWEEP_ROWS = 1000,
    SWEEP_PATIENCE_MS = 1000,
    RETRY_MS = 1000,          /* after an upkeep that failed */
    CHECKPOINT_FRAMES = 4096, /* 16 MiB */
    LOG_EMPTY_AFTER_MS = 1000,
    LOG_EMPTY_RETRY_MS = 30000, /* readers were in the way */
    READERS_WAIT_MS = 50,
    SLEEP_MAX_MS = 3600000, /* the wall clock may be set */
};

#define NS_PER_MS UINT64_C(1000000)

static uint64_t now_ns(const struct sqlite_store *store)
{
    return store->env->monotonic_ns(store->env);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* --- expired rows ----------------------------------------------------------------------------------------------------------- */

static int64_t first_expiry_ms(const struct sqlite_writer *w)
{
    return w->item_expiry_ms < w->answer_expiry_ms ? w->item_expiry_ms : w->answer_expiry_ms;
}

static uint64_t sweep_due_ns(const struct sqlite_store *store)
{
    const struct sqlite_writer *w = &store->writer;
    int64_t first_ms = first_expiry_ms(w), now_ms = sqlite_now_ms(store);
    if (first_ms == KV_NEVER)
        return UINT64_MAX;
    int64_t wait_ms = first_ms <= now_ms ? 0 : first_ms - now_ms;
    uint64_t due_ns = now_ns(store) + (uint64_t)(wait_ms < SLEEP_MAX_MS ? wait_ms : SLEEP_MAX_MS) * NS_PER_MS;
    return due_ns > w->sweep_after_ns ? due_ns : w->sweep_after_ns;
}

static enum err read_first(struct sqlite_connection *c, enum sqlite_statement which, int64_t *ret_expires_ms)
{
    sqlite3_stmt *s;
    bool row;
    enum err e = sqlite_prepare(c, which, &s);
    if (e)
        return e;
    e = sqlite_step(c, s, &row);
    if (!e)
        *ret_expires_ms = row ? sqlite3_column_int64(s, 0) : KV_NEVER;
    sqlite_reset(s);
    return e;
}

enum err sqlite_upkeep_load(struct sqlite_store *store)
{
    struct sqlite_writer *w = &store->writer;
    enum err e = read_first(w->connection, STATEMENT_ITEM_FIRST_EXPIRY, &w->item_expiry_ms);
    return e ? e : read_first(w->connection, STATEMENT_ANSWER_FIRST_EXPIRY, &w->answer_expiry_ms);
}

static enum err sweep_items(struct sqlite_store *store, int64_t now_ms, int64_t *ret_rows)
{
    struct sqlite_connection *c = store->writer.connection;
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(c, STATEMENT_ITEM_SWEEP, &s);
    if (e)
        return e;
    sqlite3_bind_int64(s, 1, now_ms);
    sqlite3_bind_int64(s, 2, SWEEP_ROWS);
    sqlite3_bind_int64(s, 3, sqlite_sweep_version_max(store));
    e = sqlite_finish(c, s);
    if (!e)
        *ret_rows = sqlite3_changes(c->db);
    return e;
}

static enum err sweep_answers(struct sqlite_connection *c, int64_t now_ms, int64_t *ret_rows)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(c, STATEMENT_ANSWER_SWEEP, &s);
    if (e)
        return e;
    sqlite3_bind_int64(s, 1, now_ms);
    sqlite3_bind_int64(s, 2, SWEEP_ROWS);
    e = sqlite_finish(c, s);
    if (!e)
        *ret_rows = sqlite3_changes(c->db);
    return e;
}

static enum err sweep_both(struct sqlite_store *store, int64_t *ret_rows)
{
    struct sqlite_writer *w = &store->writer;
    int64_t now_ms = sqlite_now_ms(store), items, answers;
    enum err e = sweep_items(store, now_ms, &items);
    if (!e)
        e = sweep_answers(w->connection, now_ms, &answers);
    if (e)
        return e;
    w->keys -= items;
    *ret_rows = items + answers;
    return sqlite_upkeep_load(store);
}

static void sweep(struct sqlite_store *store)
{
    struct sqlite_writer *w = &store->writer;
    int64_t rows = 0;
    enum err e = sqlite_writer_begin(store);
    if (!e)
        e = sweep_both(store, &rows);
    e = sqlite_writer_end(store, e);
    uint64_t now = now_ns(store);
    w->sweep_busy_ns = now + SWEEP_PATIENCE_MS * NS_PER_MS;
    w->sweep_after_ns = e || !rows ? now + RETRY_MS * NS_PER_MS : 0; /* none: a transaction is in the way */
    if (e)
        w->item_expiry_ms = sqlite_now_ms(store); /* what was read may have been rolled back: look again */
    else
        atomic_fetch_add_explicit(&w->swept, (uint64_t)rows, memory_order_relaxed);
}

/* --- the WAL ---------------------------------------------------------------------------------------------------------------- */

/* SQLite tells after each commit that wrote. */
static int log_grew(void *context, sqlite3 *db, const char *name, int frames)
{
    struct sqlite_store *store = context;
    (void)db, (void)name;
    store->writer.wrote = true;
    store->writer.log_frames = frames;
    store->writer.log_empty_ns = now_ns(store) + LOG_EMPTY_AFTER_MS * NS_PER_MS;
    return SQLITE_OK;
}

void sqlite_upkeep_watch(struct sqlite_store *store)
{
    sqlite3_wal_hook(store->writer.connection->db, log_grew, store);
}

static bool checkpoint(struct sqlite_writer *w, int mode)
{
    int frames = 0, copied = 0;
    sqlite3_busy_timeout(w->connection->db, READERS_WAIT_MS);
    int code = sqlite3_wal_checkpoint_v2(w->connection->db, NULL, mode, &frames, &copied);
    sqlite3_busy_timeout(w->connection->db, BUSY_WAIT_MS);
    atomic_fetch_add_explicit(&w->checkpoints, 1, memory_order_relaxed);
    return code == SQLITE_OK && frames == copied;
}

/* The file has grown by enough since the last try; it shrinks to a few frames when it starts over. */
static void checkpoint_grown(struct sqlite_writer *w)
{
    if (w->log_frames < w->log_frames_tried)
        w->log_frames_tried = 0;
    if (w->log_frames - w->log_frames_tried < CHECKPOINT_FRAMES)
        return;
    checkpoint(w, w->log_frames > LIMIT_LOG_FRAMES ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE);
    w->log_frames_tried = w->log_frames;
}

static void checkpoint_idle(struct sqlite_store *store)
{
    struct sqlite_writer *w = &store->writer;
    if (checkpoint(w, SQLITE_CHECKPOINT_TRUNCATE)) {
        w->log_frames = w->log_frames_tried = 0;
        w->log_empty_ns = UINT64_MAX;
    } else {
        w->log_empty_ns = now_ns(store) + LOG_EMPTY_RETRY_MS * NS_PER_MS;
    }
}

/* --- health ----------------------------------------------------------------------------------------------------------------- */

static bool take_verify(struct sqlite_writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool wanted = w->verify;
    w->verify = false;
    pthread_mutex_unlock(&w->lock);
    return wanted;
}

/* A commit that goes all the way to the disk; its outcome becomes last_error. */
static void verify(struct sqlite_store *store)
{
    enum err e = sqlite_writer_begin(store);
    sqlite_writer_end(store, e ? e : sqlite_run(store->writer.connection, STATEMENT_VERIFY));
}

/* --- all of it -------------------------------------------------------------------------------------------------------------- */

uint64_t sqlite_upkeep_due_ns(struct sqlite_store *store)
{
    uint64_t due_ns = earlier(sweep_due_ns(store), store->writer.log_empty_ns);
    return earlier(due_ns, sqlite_transactions_due_ns(store));
}

void sqlite_upkeep(struct sqlite_store *store, bool idle)
{
    struct sqlite_writer *w = &store->writer;
    uint64_t now = now_ns(store);
    sqlite_transactions_expire(store);
    if (take_verify(w))
        verify(store);
    if (sweep_due_ns(store) <= now && (idle || now >= w->sweep_busy_ns))
        sweep(store);
    checkpoint_grown(w);
    if (idle && now >= w->log_empty_ns)
        checkpoint_idle(store);
}
