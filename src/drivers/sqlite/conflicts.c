/* Whether a transaction may commit: the first writer of a key wins.
 *
 * A key that was written anew has another version than the snapshot saw; that needs no bookkeeping. What would go unnoticed is kept
 * in memory as long as transactions are open: keys whose row was removed (it may have come and gone) or whose expiry was changed
 * under the same version, each with the number of the commit. Rows that came after a snapshot are not swept while it is open, so
 * the sweeper's work never looks like nothing happened.
 *
 * Invariant: a key changed by commit n, where a transaction is open that does not have n in its snapshot, is in touched with n
 * or more, or forgotten >= n. touch comes before the COMMIT, and a transaction is listed before its snapshot is taken; so it may
 * happen that a snapshot has n and the transaction does not know: then it conflicts without need, and is tried again. */
#include "base/mem.h"
#include "drivers/sqlite/transaction.h"

struct touch {
    uint64_t commit;
    struct slice key;
    uint8_t bytes[];
};

/* --- bookkeeping. Lock held ------------------------------------------------------------------------------------------------- */

static void drop_all(struct sqlite_transactions *all)
{
    void *touch;
    for (uint32_t at = 0; map_next(&all->touched, &at, NULL, &touch);)
        mem_free(touch);
    map_fini(&all->touched);
    map_init(&all->touched, LIMIT_TOUCHED_KEYS, &all->secret);
}

/* Without room for it, all of them are given up: transactions that are open now will conflict, later ones have room again. */
static void forget(struct sqlite_transactions *all, uint64_t commit)
{
    drop_all(all);
    all->forgotten = commit;
}

static enum err add(struct sqlite_transactions *all, struct slice key, uint64_t commit)
{
    struct touch *touch = mem_alloc(sizeof *touch + key.size);
    if (!touch)
        return ERR_NOMEM;
    touch->commit = commit;
    touch->key = slice_of(memcpy(touch->bytes, key.data, key.size), key.size);
    enum err e = map_put(&all->touched, touch->key, touch, NULL);
    if (e)
        mem_free(touch);
    return e;
}

static bool is_touched(const struct sqlite_transactions *all, struct slice key, uint64_t after_commit)
{
    const struct touch *touch = map_get(&all->touched, key);
    return all->forgotten > after_commit || (touch && touch->commit > after_commit);
}

/* --- the writer's side ------------------------------------------------------------------------------------------------------ */

void sqlite_touch(struct sqlite_store *store, struct slice key)
{
    struct sqlite_transactions *all = &store->transactions;
    pthread_mutex_lock(&all->lock);
    uint64_t commit = all->commit + 1;
    struct touch *known = map_get(&all->touched, key);
    if (known)
        known->commit = commit;
    else if (add(all, key, commit))
        forget(all, commit);
    pthread_mutex_unlock(&all->lock);
}

void sqlite_committed(struct sqlite_store *store)
{
    struct sqlite_transactions *all = &store->transactions;
    pthread_mutex_lock(&all->lock);
    all->commit++;
    all->version = store->versions.last;
    if (!all->by_id.count && all->touched.count)
        drop_all(all);
    pthread_mutex_unlock(&all->lock);
}

int64_t sqlite_sweep_version_max(struct sqlite_store *store)
{
    struct sqlite_transactions *all = &store->transactions;
    int64_t max = INT64_MAX;
    void *value;
    pthread_mutex_lock(&all->lock);
    for (uint32_t at = 0; map_next(&all->by_id, &at, NULL, &value);) {
        const struct sqlite_transaction *t = value;
        max = t->begun_version < max ? t->begun_version : max;
    }
    pthread_mutex_unlock(&all->lock);
    return max;
}

/* --- the transaction's side ------------------------------------------------------------------------------------------------- */

/* A row that is gone without having been touched has expired and was swept: nobody wrote. */
enum err sqlite_transaction_check(struct sqlite_operation *o, const struct sqlite_transaction *t,
                                  const struct sqlite_pending *p)
{
    struct sqlite_transactions *all = &o->store->transactions;
    struct sqlite_row now;
    enum err e = sqlite_item_head(o->connection, p->write.key, INT64_MIN, &now);
    if (e)
        return e;
    pthread_mutex_lock(&all->lock);
    bool touched = is_touched(all, p->write.key, t->begun_commit);
    pthread_mutex_unlock(&all->lock);
    if (!touched && (!now.found || now.version == p->seen_version))
        return OK;
    diag_set(&o->call->diag, ERR_TRANSACTION_CONFLICT, "%s", err_row(ERR_TRANSACTION_CONFLICT)->text);
    o->call->diag.retry_after_ms = RETRY_AFTER_CONFLICT_MS;
    return ERR_TRANSACTION_CONFLICT;
}
