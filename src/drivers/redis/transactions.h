/* Open transactions of a backend: who owns them, what they have written, when they end by themselves. Nothing is at the server but
 * the number of the snapshot (scripts.c); writes are kept here until Commit sends them all.
 *
 *   begun ──▶ open ──commit, rollback──▶ gone
 *               └── idle for too long, or alive for LIMIT_TRANSACTION_LIFE_MS: gone with the next look at any transaction
 *
 * Thread: any; every call takes the lock. What is found is valid until redis_transaction_leave. */
#ifndef PRISM_DRIVERS_REDIS_TRANSACTIONS_H
#define PRISM_DRIVERS_REDIS_TRANSACTIONS_H

#include <pthread.h>

#include "base/map.h"
#include "data/keyvalue.h"

enum { REDIS_TRANSACTION_ID_BYTES = 16, REDIS_ENTRY_BYTES = 48, REDIS_ENDED_MAX = 64 };

struct redis_pending {
    struct redis_pending *next; /* in the order of the first write to each key */
    bool deleted;
    struct kv_write write;
};

struct redis_transaction {
    uint8_t id[REDIS_TRANSACTION_ID_BYTES];
    struct redis_transaction *next, *prev;
    struct arena arena; /* of all that it has written */
    char *owner;
    int64_t snapshot;
    char entry[REDIS_ENTRY_BYTES]; /* "<snapshot>:<deadline>": its member of :t */
    uint64_t idle_ns, idle_due_ns, life_due_ns;
    struct map by_key;
    struct redis_pending *first, **end;
    uint64_t bytes;
};

struct redis_transactions {
    const struct env *env;
    pthread_mutex_t lock;
    struct hash_key secret;
    struct map by_id;
    struct redis_transaction *first;
    uint32_t open; /* and those that are being begun */
    char ended[REDIS_ENDED_MAX]
              [REDIS_ENTRY_BYTES]; /* snapshots of transactions that ended by themselves: the next begin closes them */
    unsigned ended_count;
};

void redis_transactions_init(struct redis_transactions *, const struct env *);
void redis_transactions_fini(struct redis_transactions *);
uint32_t redis_transactions_open(struct redis_transactions *);

/* Room for one more. ERR_TRANSACTION_LIMIT. */
enum err redis_transaction_reserve(struct redis_transactions *, uint32_t max, struct diag *);
void redis_transaction_unreserve(struct redis_transactions *);
/* Fills the place that was reserved. The id is copied into the arena. ERR_NOMEM: it stays reserved. */
enum err redis_transaction_add(struct redis_transactions *, const char *owner, int64_t snapshot, const char *entry,
                               int64_t idle_ms, struct arena *, struct slice *ret_id);
/* Snapshots to be closed, NULs behind each; at most REDIS_ENDED_MAX. They are forgotten here. */
unsigned redis_transactions_take_ended(struct redis_transactions *,
                                       char ret_entries[REDIS_ENDED_MAX][REDIS_ENTRY_BYTES]);

/* Takes the lock where it is OK. ERR_TRANSACTION_UNKNOWN, ERR_TRANSACTION_NOT_OWNER. */
enum err redis_transaction_enter(struct redis_transactions *, struct call *, struct slice id,
                                 struct redis_transaction **ret_transaction);
void redis_transaction_leave(struct redis_transactions *);
/* Between enter and leave. */
const struct redis_pending *redis_transaction_find(const struct redis_transaction *, struct slice key);
/* Keeps a copy. ERR_TRANSACTION_TOO_LARGE, ERR_NOMEM. */
enum err redis_transaction_note(struct redis_transaction *, const struct kv_write *, bool deleted, struct diag *);
/* Nobody finds it any more; the caller frees it. */
void redis_transaction_take(struct redis_transactions *, struct redis_transaction *);
void redis_transaction_free(struct redis_transaction *); /* NULL is fine */

#endif
