/* Open transactions: a snapshot and the writes that will be committed together. Internal to drivers/memory.
 *
 *   open ──Commit──▶ ended (committed, or conflict: rolled back)
 *     ├────Rollback──▶ ended
 *     └────idle too long: whoever comes next rolls it back──▶ ended
 *
 * A transaction belongs to the caller who began it. The table holds one reference, each call that works on it another; calls on one
 * transaction wait for each other. Its versions and entries are charged to the store when written, so committing needs no memory
 * but for growing tables. */
#ifndef PRISM_DRIVERS_MEMORY_TRANSACTIONS_H
#define PRISM_DRIVERS_MEMORY_TRANSACTIONS_H

#include "base/map.h"
#include "drivers/memory/store.h"

enum { TRANSACTION_ID_BYTES = 16 };

struct transaction {
    uint8_t id[TRANSACTION_ID_BYTES];
    uint32_t refs;          /* guarded by the table's lock, as is idle_until_ns */
    uint64_t idle_until_ns; /* monotonic */
    uint64_t idle_ns;
    char *owner;
    uint64_t snapshot;
    pthread_mutex_t lock; /* of all below */
    bool ended;
    struct map by_key; /* entry key → index in changes, plus 1 */
    struct change *changes;
    uint32_t count;
    uint32_t capacity;
    size_t bytes;
};

struct transactions {
    struct store *store;
    pthread_mutex_t lock;
    struct map by_id;
    atomic_uint_fast64_t sweep_at_ns; /* no transaction is idle too long before; UINT64_MAX: none open */
    atomic_uint_fast64_t conflicts;
    uint64_t timed_out; /* guarded by lock */
};

void memory_transactions_init(struct transactions *, struct store *);
void memory_transactions_fini(struct transactions *);
/* ERR_TRANSACTION_LIMIT, ERR_NOMEM. The id is copied out. */
enum err memory_transaction_begin(struct transactions *, const struct call *, int64_t idle_ms,
                                  uint8_t ret_id[static TRANSACTION_ID_BYTES]);
/* Locked, with a reference: memory_transaction_release. ERR_TRANSACTION_UNKNOWN, ERR_TRANSACTION_NOT_OWNER, with words in the call's
 * diag. */
enum err memory_transaction_acquire(struct transactions *, struct call *, struct slice id,
                                    struct transaction **ret_transaction);
void memory_transaction_release(struct transactions *, struct transaction *);
/* version NULL: a delete. The version is taken in any case. ERR_TRANSACTION_TOO_LARGE, ERR_STORE_FULL, ERR_NOMEM. */
enum err memory_transaction_write(struct transactions *, struct transaction *, struct slice key, struct version *);
/* What the transaction itself wrote to the key; NULL: nothing. */
const struct change *memory_transaction_own(const struct transaction *, struct slice key);
/* Drops its writes and snapshot; nobody finds it any more. Locked. */
void memory_transaction_end(struct transactions *, struct transaction *);
/* Rolls back those that have been idle too long. Cheap where it is not time yet. */
void memory_transactions_sweep(struct transactions *);

#endif
