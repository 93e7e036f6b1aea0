/* One connection to a server, shared by all calls of a loop: what callers submit in one turn goes out in one write, answers come
 * back in the order of the commands. It connects when it is first needed.
 *
 *   closed ──submit──▶ connecting ──▶ greeting (AUTH, SELECT, …) ──▶ open ──lost, stalled──▶ closed
 *     ▲                    └───────── refused, timed out ──────┘ backing off: submit fails until retry_ns
 *     └──────────────────────────────────────────────────────────────┘
 *
 *   request:  waiting ──written──▶ in flight ──▶ done, exactly once
 *                └── redis_request_cancel ──┴──▶ forgotten: never done; its answer is read and thrown away
 *
 * A request that fails says whether it can have been executed: ERR_BACKEND_UNREACHABLE and ERR_BACKEND_DENIED before its first byte
 * was written, ERR_BACKEND_LOST after. Thread: the loop's. */
#ifndef PRISM_DRIVERS_REDIS_CONNECTION_H
#define PRISM_DRIVERS_REDIS_CONNECTION_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/diag.h"
#include "drivers/redis/requests.h"
#include "rt/conn.h"

struct redis_connection;
struct redis_link;

enum { REDIS_GREETINGS = 4, REDIS_WHY_BYTES = 320, REDIS_ADDRESS_BYTES = 320 };

/* What a connection needs to know; the same for all of a backend, and alive as long as they are. */
struct redis_access {
    const struct env *env;
    struct tls *tls;                 /* NULL: plain */
    const char *server_name;         /* of the certificate; NULL: the host of the address */
    const char *username, *password; /* NULL: none */
    uint32_t database;
    uint32_t connect_ms; /* resolve, connect, shake hands */
    uint32_t answer_ms;  /* no byte for so long while an answer is due: the connection is given up */
    struct resp_limits limits;
    bool master_only; /* what turns out to be a replica is no good: its greeting asks ROLE */
    struct redis_counters *counters;
};

/* Of a backend, over all loops. */
struct redis_counters {
    atomic_uint_fast64_t connections, busy, in_flight, waiting, reconnects,
        errors; /* busy: connections that await an answer */
    pthread_mutex_t lock;
    enum err last_error;            /* of the last attempt to connect; OK: it succeeded, or there was none */
    char last_why[REDIS_WHY_BYTES]; /* words for it */
};

enum redis_state { REDIS_CLOSED, REDIS_CONNECTING, REDIS_GREETING, REDIS_OPEN };

struct redis_connection {
    const struct redis_access *access;
    struct loop *loop;
    char address[REDIS_ADDRESS_BYTES];
    enum redis_state state;
    struct redis_link *link; /* the socket; NULL: closed */
    uint32_t block_ms;       /* its commands may wait so long at the server, beyond answer_ms */
    bool was_open;
    /* Called when the connection is closed by anything but us, before its requests are done. May be NULL. */
    void (*on_lost)(struct redis_connection *);
    void *owner;
    struct redis_requests waiting;
    struct redis_requests lost; /* the connection is closed, they are done one after the other */
    struct redis_slots slots;   /* in flight */
    struct resp_parser parser;
    bool reading; /* the reply of head has begun */
    struct task flush;
    bool flush_due;
    struct timer stall;
    uint64_t progress_ns;
    struct redis_request greetings[REDIS_GREETINGS];
    unsigned greetings_left;
    struct arena arena; /* of the greetings */
    unsigned failures;  /* attempts to connect, one after the other */
    uint64_t retry_ns;  /* no attempt before */
    enum err last_error;
    char why[REDIS_WHY_BYTES]; /* it was closed or could not be opened */
};

void redis_connection_init(struct redis_connection *, const struct redis_access *, struct loop *, const char *address);
/* Closes the socket; what waits is done with an error. */
void redis_connection_fini(struct redis_connection *);
/* May be done before it returns, where it cannot be sent. ERR_BACKEND_BUSY: too many wait. */
void redis_submit(struct redis_connection *, struct redis_request *);
/* The request is never done any more, and its memory is the caller's. In any state. */
void redis_request_cancel(struct redis_request *);
static inline bool redis_connection_is_idle(const struct redis_connection *c)
{
    return redis_slots_are_empty(&c->slots) && !c->waiting.count && !c->lost.count;
}

#endif
