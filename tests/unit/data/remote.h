/* A remote driver under the test's thumb, behind a real guard, on the deterministic twin: attempts end as a script says, or wait until
 * the test answers them.
 *
 *   struct remote r;
 *   CHECK_ERR(remote_init(&r), OK);                      one loop more: remote_add_loop
 *   r.script = (enum err[]){ERR_BACKEND_LOST, OK}; …     the next attempts; past it they wait in r.waiting
 *   struct remote_call c;
 *   remote_get(&r, &c, 0, "key"); remote_run(&r);
 *   CHECK_ERR(c.err, OK);
 *   remote_fini(&r);
 *
 * Calls are in memory of their own, which is freed when they end: whoever touches one afterwards shows up under ASan. */
#ifndef PRISM_TESTS_REMOTE_H
#define PRISM_TESTS_REMOTE_H

#include "data/call.h"
#include "data/namespace.h"
#include "rt/sim/sim.h"

enum { REMOTE_WAITING = 64, REMOTE_LOOPS = 2 };

struct remote {
    struct backend backend; /* the first member */
    struct sim *sim;
    struct loop *loops[REMOTE_LOOPS];
    unsigned loop_count;
    struct namespace ns;
    const enum err *script;
    unsigned script_count;
    unsigned attempts; /* that reached the driver */
    struct call *waiting[REMOTE_WAITING];
    unsigned waiting_count;
    unsigned cancelled; /* waiting ones that were cancelled */
    int64_t expires_ms; /* of what Gets find; 0: never */
};

struct remote_call {
    bool ended;
    enum err err;
    bool found;
    unsigned answers;
    uint32_t retry_after_ms;
    char message[512];
    struct call *call;           /* until it has ended */
    uint64_t deadline_ns;        /* of the next call; 0: none */
    const char *idempotency_key; /* of the next call; NULL: none */
};

enum err remote_init(struct remote *) __attribute__((warn_unused_result));
void remote_fini(struct remote *);
enum err remote_add_loop(struct remote *) __attribute__((warn_unused_result));
/* ERR_NOMEM: nothing was started. */
enum err remote_get(struct remote *, struct remote_call *, unsigned loop, const char *key);
enum err remote_set(struct remote *, struct remote_call *, unsigned loop, const char *key);
/* Until nothing happens any more, or until now + ms; time jumps. */
void remote_run(struct remote *);
void remote_run_ms(struct remote *, uint64_t ms);
/* Ends the oldest attempt that waits. */
void remote_answer(struct remote *, enum err);

#endif
