/* Makes the connections to one server (primary or standby) on a thread of its own, since names are resolved and migrations wait for
 * locks there; loops ask for one and get it, or the reason why there is none, as a message.
 *
 *             ┌── request ──▶ connecting ──▶ well: the loop gets its connection
 *   untried ──┤                   │
 *             └── at open ────────┴───────▶ down: all requests fail at once, with the reason; tried again after a pause that
 *                                           doubles up to LIMIT_POSTGRES_BACKOFF_MS, with jitter, until it is well
 *
 * So calls never wait for a server that is known to be away, and health comes back without traffic. A connection that was made
 * without a request is kept as a spare for the first one. */
#ifndef PRISM_DRIVERS_POSTGRES_CONNECTOR_H
#define PRISM_DRIVERS_POSTGRES_CONNECTOR_H

#include <pthread.h>
#include <stdatomic.h>

#include "drivers/postgres/schema.h"
#include "rt/loop.h"

struct postgres_connector;

/* A request and its answer. Made and freed on its loop, between these the connector's. */
struct postgres_parcel {
    struct task task;
    struct postgres_parcel *next;
    struct loop *loop;
    void (*arrived)(struct postgres_parcel *); /* on the loop; NULL: nobody waits any more */
    void *context;
    PGconn *conn; /* NULL: there is none, problem says why */
    int32_t namespace;
    struct postgres_problem problem;
};

struct postgres_connector {
    const struct env *env;
    const char *name; /* "primary" */
    struct postgres_address address;
    struct postgres_setup setup;
    int64_t timeout_ms;
    pthread_t thread;
    bool started;
    int stop_fd; /* readable once it is to stop */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Guarded by lock. */
    bool stopping, tried;
    struct postgres_parcel *first, **end; /* requests */
    struct postgres_parcel *serving;      /* taken, not answered yet */
    struct postgres_problem problem;      /* of the last attempt; err OK: it is well */
    unsigned failures;                    /* in a row */
    uint64_t next_try_ns;
    PGconn *spare;
    int32_t spare_namespace;
    atomic_bool down;
    atomic_uint_fast64_t connects, connect_errors;
};

/* The address is taken over, also on failure. Starts the thread, which begins to connect. */
enum err postgres_connector_start(struct postgres_connector *, const struct env *, const char *name,
                                  const struct postgres_address *, const struct postgres_setup *, int64_t timeout_ms);
/* Zeroed is fine. What was asked for and not answered is dropped. */
void postgres_connector_stop(struct postgres_connector *);
/* Loop's thread. The parcel's arrived is called later, exactly once. ERR_NOMEM. */
enum err postgres_connector_request(struct postgres_connector *, struct loop *,
                                    void (*arrived)(struct postgres_parcel *), void *context,
                                    struct postgres_parcel **ret_parcel);
/* Loop's thread: arrived is not called any more. */
void postgres_connector_forget(struct postgres_connector *, struct postgres_parcel *);
/* In arrived: frees the parcel; its connection is the caller's. */
void postgres_parcel_free(struct postgres_parcel *);
/* Thread: any. OK, or why it is down. Not tried yet counts as well. */
enum err postgres_connector_state(struct postgres_connector *, struct postgres_problem *);

#endif
