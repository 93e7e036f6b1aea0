/* An operation: what the driver does for one call, on the writer's or a reader's thread. Lives in the call's arena.
 *
 *   made ──submit──▶ queued ──taken──▶ run ──(writer: COMMIT)──▶ complete ──hop──▶ answered, on the call's loop
 *     └ refused (queue full, bad request): the call ends at once     └ cancelled or late: not run
 *
 * A kind of operation embeds it as the first member of its own struct, gives run, and leaves its answer in response. run may
 * use call->arena and call->diag; it must not complete the call. */
#ifndef PRISM_DRIVERS_SQLITE_OPERATION_H
#define PRISM_DRIVERS_SQLITE_OPERATION_H

#include "data/call.h"
#include "data/keyvalue.h"
#include "drivers/sqlite/connection.h"

struct sqlite_store;
struct sqlite_operation;

/* An error leaves no trace in the database; the driver sees to that. */
typedef enum err sqlite_run_fn(struct sqlite_operation *);

struct sqlite_operation {
    struct sqlite_operation *next;
    struct sqlite_store *store;
    struct call *call;
    sqlite_run_fn *run;
    void (*answer)(struct sqlite_operation *); /* on the loop, instead of replying with response; NULL: reply */
    void (*committed)(
        struct sqlite_operation *); /* writer's thread: what it wrote can be seen; NULL: nobody has to know */
    bool several; /* more than one statement that belong together: a savepoint, or a transaction of a reader */
    bool heavy;   /* reader: may take long (scan, count, batch) */
    size_t bytes; /* writer: payload, bounds a group */

    struct sqlite_connection *connection; /* while it runs */
    int64_t now_ms;                       /* while it runs: what has expired is judged by this */
    enum err outcome;
    const void *response; /* NULL after a write that went well: there is no answer yet, nothing is kept of it */

    struct idem idem;
    bool replayed; /* idem found an answer: it is sent instead of running */
    uint64_t replay_fingerprint;
    struct slice replay_response;

    struct sqlite_operation *leader_next, **tail; /* sqlite_complete's */
    struct task task;
};

/* First in, first out. */
struct sqlite_operations {
    struct sqlite_operation *first, **end;
    unsigned count;
};
void sqlite_operations_init(struct sqlite_operations *);
void sqlite_operations_push(struct sqlite_operations *, struct sqlite_operation *);
struct sqlite_operation *sqlite_operations_pop(struct sqlite_operations *); /* NULL: empty */

/* Zeroed, in the call's arena; size of the kind's own struct. NULL: memory is out, and the call has been ended. */
void *sqlite_operation_new(struct backend *, struct call *, size_t size, sqlite_run_fn *);

/* Loop's thread. Queues the operation, or answers ERR_BACKEND_BUSY at once. Writes honour the call's idempotency key. */
void sqlite_write(struct sqlite_operation *);
/* The same for one that runs again, or may have to wait: its idem has begun. ERR_BACKEND_BUSY: it is not queued. */
enum err sqlite_write_begun(struct sqlite_operation *);
void sqlite_read(struct sqlite_operation *);
/* Both, of requests that have a key and nothing else to be checked. */
void sqlite_read_key(struct backend *, struct call *, struct slice key, sqlite_run_fn *);
void sqlite_write_key(struct backend *, struct call *, struct slice key, sqlite_run_fn *);
/* Replies as the outcome says, where there is no answer of its own. */
void sqlite_reply(struct sqlite_operation *);
/* Answers with an error instead of running. */
void sqlite_reject(struct sqlite_operation *, enum err e);
/* Ends the call. e is not OK. */
void sqlite_refuse(struct sqlite_operation *, enum err e);

/* OK, or why nobody waits for the call any more. */
enum err sqlite_call_alive(const struct sqlite_store *, const struct call *);
/* Writer's or reader's thread: runs it unless nobody waits any more. An error has its words in call->diag afterwards. */
enum err sqlite_operation_run(struct sqlite_operation *, sqlite_run_fn *);
/* Brings a chain back to its loops: one message a loop, however many calls. The chain is gone afterwards. */
void sqlite_complete(struct sqlite_operation *chain);

#endif
