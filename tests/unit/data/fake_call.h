/* Calls without a network, for tests of drivers and of the rules in data/.
 *
 *   struct fake_env env;               a clock that the test moves, randomness from a seed
 *   struct namespace ns;
 *   fake_env_init(&env);
 *   fake_namespace_init(&ns, "test");  the defaults of a namespace; change fields before the first call
 *   ns.backend = …;
 *
 *   struct fake_call c;
 *   fake_call_init(&c, &ns, NULL);     a loop where the driver hops between threads
 *   const struct keyvalue_get_response *r =
 *       fake_call(&c, METHOD_KEYVALUE_BASIC_GET, &(struct keyvalue_get_request){.key = SLICE("a")});
 *   CHECK_ERR(c.err, OK);              r: the last message, NULL where none came; all: c.messages[0 … c.count - 1]
 *   …                                  used again as often as wanted; messages live until the next call
 *   fake_call_fini(&c);
 *
 * Messages are encoded when they are sent and decoded again, so a driver that takes back memory too late or too early shows up.
 * One fake call a thread. */
#ifndef PRISM_TESTS_FAKE_CALL_H
#define PRISM_TESTS_FAKE_CALL_H

#include "data/call.h"
#include "data/driver.h"
#include "data/namespace.h"

struct fake_env {
    struct env env;
    _Atomic int64_t realtime_ms; /* 2026-01-01 at the start */
    _Atomic uint64_t monotonic_ns;
    _Atomic uint64_t random_state;
};
void fake_env_init(struct fake_env *);
/* Moves both clocks. */
void fake_env_advance(struct fake_env *, int64_t ms);

/* Reference never falls to 0; free is not called. */
void fake_namespace_init(struct namespace *, const char *name);

enum { FAKE_CALL_MESSAGES = 4096 };
struct fake_call {
    struct call call;
    struct namespace *ns;
    struct loop *loop;            /* may be NULL for drivers that answer on the spot */
    const char *who;              /* identity of the next calls; "" */
    struct slice idempotency_key; /* of the next call; cleared by it */
    uint64_t deadline_ns;         /* of the next calls; 0: none */
    bool hold;                    /* answer CALL_HOLD to each message, and resume once the driver has returned */
    unsigned cancel_after;        /* cancel the call after so many messages; 0: never */
    struct arena arena;           /* the call's */
    struct arena kept;            /* of messages and of the diag */
    const void *messages[FAKE_CALL_MESSAGES];
    unsigned count;
    size_t bytes_max; /* encoded size of the largest message */
    enum err err;
    bool ended;
    bool holding; /* the driver has been told to wait */
};
void fake_call_init(struct fake_call *, struct namespace *, struct loop *);
void fake_call_fini(struct fake_call *);
/* Runs one call to its end on ns->backend; the request must live until then. Fails the test where the driver neither ends the
 * call nor has anything left to do. */
const void *fake_call(struct fake_call *, enum method_id, const void *request);
/* Its parts: between them the test may do something else, such as cancelling. */
void fake_call_start(struct fake_call *, enum method_id, const void *request);
void fake_call_finish(struct fake_call *);

#endif
