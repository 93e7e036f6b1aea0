/* An open transaction: a snapshot on a connection of its own, and writes that wait for Commit.
 *
 *   claimed ──connection, BEGIN──▶ open ──▶ ended        by Commit, Rollback, idleness, age, a lost connection, or close
 *                                   └ one step at a time on its connection; others wait for it in a queue
 *
 * It lives on the loop that began it; its id names the loop. A call that comes on another loop goes there as a message, and its
 * answer comes back the same way. Reads see the snapshot (REPEATABLE READ) and own writes. Nothing is written before Commit, so
 * no row is locked while the caller thinks; Commit locks the rows, writes and commits in one go, and PostgreSQL itself says whether
 * another write came first. */
#ifndef PRISM_DRIVERS_POSTGRES_TRANSACTION_H
#define PRISM_DRIVERS_POSTGRES_TRANSACTION_H

#include "drivers/postgres/items.h"

/* A loop's number, then random bytes. */
enum { POSTGRES_TRANSACTION_ID_BYTES = 17 };

struct postgres_transaction;

/* A key that the transaction has written; the last write counts. */
struct postgres_pending {
    struct postgres_pending *next;
    struct postgres_write write;
    bool deleted;
};

/* What a call does in a transaction. */
struct postgres_step {
    struct postgres_operation operation; /* take is called with the results of what run has put */
    struct task task;
    struct postgres_step *next;
    struct postgres_worker *worker; /* the transaction's */
    struct slice id;
    struct postgres_transaction *transaction; /* while it waits or runs there */
    /* On the transaction's loop, when its turn has come: ends the step (postgres_step_end), or puts statements. */
    void (*run)(struct postgres_step *, struct postgres_transaction *);
    /* After the Sync of what run has put. Ends the step, or puts more. NULL: ends it. */
    void (*done)(struct postgres_step *, struct postgres_transaction *, enum err e);
};

struct postgres_transaction {
    uint8_t id[POSTGRES_TRANSACTION_ID_BYTES];
    struct postgres_worker *worker;
    struct loop *loop;
    struct postgres_transaction *next, **link; /* all of the worker's, also those that are ending */
    struct postgres_claim claim;
    bool claimed;               /* a connection is on its way */
    struct postgres_lane *lane; /* NULL: not there yet, or no longer */
    char *owner;
    struct timer timer; /* idle too long; or the deadline of what runs */
    uint64_t idle_ns, ends_ns;
    bool listed;                                   /* in the worker's map: can be found */
    struct postgres_step *running, *first, **last; /* waiting ones */
    struct task task;                              /* lets the next one run */
    bool scheduled, dead;                          /* dead: freed by the task */
    struct arena arena;                            /* of the pending writes */
    struct map pending;                            /* by key */
    struct postgres_pending *first_pending, **end;
    size_t bytes;
};

/* A step of its own for the call. NULL: the call has been ended. */
void *postgres_step_new(struct backend *, struct call *, size_t size);
/* Begins a transaction; the step ends when it is open. The caller of the call owns it. */
void postgres_transaction_begin(struct postgres_step *, int64_t idle_ms, uint8_t ret_id[POSTGRES_TRANSACTION_ID_BYTES]);
/* Runs the step in the transaction of its id; ends it with ERR_TRANSACTION_UNKNOWN, ERR_TRANSACTION_NOT_OWNER. */
void postgres_step_submit(struct postgres_step *);
/* Ends the running step: answers its call, on the call's loop, and lets the next one run. */
void postgres_step_end(struct postgres_step *, enum err e);
/* The running step's statements: postgres_put … then send. */
struct postgres_unit *postgres_step_unit(struct postgres_step *, struct postgres_transaction *);
void postgres_step_send(struct postgres_unit *, enum err e);
/* Takes it out of the table: no other step finds it, those that wait are told. Commit and Rollback begin with it. */
void postgres_transaction_unlist(struct postgres_transaction *);
/* It has ended: its connection goes back once it is idle, after a ROLLBACK where the server does not know yet. After
 * postgres_step_end, in or before the done of its last statement. */
void postgres_transaction_over(struct postgres_transaction *, bool rollback);
/* The pending write of key, NULL: it was not written. */
struct postgres_pending *postgres_transaction_find(const struct postgres_transaction *, struct slice key);
/* Notes a write or delete of write->key, whose slices are copied. ERR_TRANSACTION_TOO_LARGE. */
enum err postgres_transaction_note(struct postgres_transaction *, const struct kv_write *, bool deleted, struct diag *);

#endif
