/* An open transaction: a snapshot, and writes that wait for Commit.
 *
 *   begun ──▶ open ──▶ ended            ended by Commit, Rollback, idleness, age, or close; then its connection goes back
 *              └ one operation at a time, on a reader's thread (Commit: on the writer's)
 *
 * The snapshot is a connection with a read transaction that stays open. Each key written notes the version that the snapshot has of
 * it; Commit compares that with what is there (conflicts.c).
 *
 * Lifetime: found and entered under the table's lock, which counts users; whoever ended it removes it from the table, and the
 * last user frees it. */
#ifndef PRISM_DRIVERS_SQLITE_TRANSACTION_H
#define PRISM_DRIVERS_SQLITE_TRANSACTION_H

#include "drivers/sqlite/store.h"

enum { TRANSACTION_ID_BYTES = 16 };

/* A key that the transaction has written; the last write counts. */
struct sqlite_pending {
    struct sqlite_pending *next;
    struct kv_write write;
    bool deleted;
    int64_t seen_version; /* of the snapshot's row, expired or not; 0: none */
    int64_t seen_expires_ms;
};

struct sqlite_transaction {
    uint8_t id[TRANSACTION_ID_BYTES]; /* unpredictable */
    char *owner;
    /* Guarded by the table's lock. */
    struct wheel_timer timer;
    uint64_t idle_ns, used_ns, ends_ns;
    unsigned users;
    bool listed;           /* in the table */
    uint64_t begun_commit; /* the snapshot has this commit and all before */
    int64_t begun_version; /* and these versions */
    /* Guarded by its own. */
    pthread_mutex_t lock;
    bool ended;
    struct sqlite_connection *connection; /* NULL once ended */
    struct arena arena;                   /* of the pending writes */
    struct map pending;                   /* by key */
    struct sqlite_pending *first, **end;
    size_t bytes;
};

/* Reader's thread. ERR_TRANSACTION_LIMIT; the caller of call owns it. */
enum err sqlite_transaction_begin(struct sqlite_operation *, int64_t idle_ms, struct slice *ret_id);
/* The transaction, locked. ERR_TRANSACTION_UNKNOWN, ERR_TRANSACTION_NOT_OWNER. last: removed from the table, nobody else gets in. */
enum err sqlite_transaction_enter(struct sqlite_operation *, struct slice id, bool last,
                                  struct sqlite_transaction **ret_transaction);
/* Unlocks; last as at enter: its snapshot is let go. */
void sqlite_transaction_leave(struct sqlite_store *, struct sqlite_transaction *, bool last);
/* Locked. The pending write of key, NULL: it was not written. */
struct sqlite_pending *sqlite_transaction_find(const struct sqlite_transaction *, struct slice key);
/* Locked. Notes a write or delete of write->key, whose slices are copied. ERR_TRANSACTION_TOO_LARGE. */
enum err sqlite_transaction_note(struct sqlite_transaction *, const struct kv_write *, bool deleted, struct diag *);
/* Writer's thread. OK, or ERR_TRANSACTION_CONFLICT: another write to the key came after the snapshot. */
enum err sqlite_transaction_check(struct sqlite_operation *, const struct sqlite_transaction *,
                                  const struct sqlite_pending *);

#endif
