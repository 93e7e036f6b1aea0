/* A thread for what may block and nobody waits for: asks the server to give up statements, on a connection of its own with an end to
 * each wait (PQcancel has none: a server that hangs would hold the thread, and the process at its end, for ever); and now and then sweeps away what has expired: one proxy at a time, as an advisory lock says.
 *
 * Thread: postgres_upkeep_cancel from any loop. */
#ifndef PRISM_DRIVERS_POSTGRES_UPKEEP_H
#define PRISM_DRIVERS_POSTGRES_UPKEEP_H

#include <pthread.h>
#include <stdatomic.h>

#include "drivers/postgres/connector.h"

/* A cancel request on its way; comes back to its loop. */
struct postgres_cancel {
    struct task task;
    struct postgres_cancel *next;
    struct loop *loop;
    const struct postgres_connector *server;
    int32_t process;                            /* of the server, whose statement is given up */
    void (*returned)(struct postgres_cancel *); /* on the loop; frees it */
    void *context;                              /* NULL: nobody waits any more */
};

struct postgres_upkeep {
    struct postgres_connector *primary; /* whose address and settings are used */
    const struct env *env;
    int64_t sweep_ms; /* between two sweeps */
    pthread_t thread;
    bool started;
    int stop_fd;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;                        /* with the lock */
    struct postgres_cancel *first, **end; /* with the lock */
    uint64_t sweep_due_ns;                /* the thread's own */
    atomic_uint_fast64_t swept, cancels;
};

enum err postgres_upkeep_start(struct postgres_upkeep *, struct postgres_connector *primary, const struct env *,
                               int64_t sweep_ms);
void postgres_upkeep_stop(struct postgres_upkeep *); /* zeroed is fine */
/* Takes it; returned is called on its loop, exactly once. */
void postgres_upkeep_cancel(struct postgres_upkeep *, struct postgres_cancel *);

#endif
