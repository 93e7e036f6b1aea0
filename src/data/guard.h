/* What stands between a namespace's calls and a remote backend, once for all drivers: bulkhead, circuit breaker, retries of what is
 * safe, and reads that callers share. A namespace whose driver is local has none, and pays nothing.
 *
 *                 ┌────────────────────── backing off ◀──── may be sent again ───┐
 *                 ▼                                                              │
 *   guard_call ─▶ asking ──▶ at the driver ──▶ call_reply, call_end, call_fail ──┴──▶ ended: the call's own sink
 *                 │   ▲
 *                 │   └── queued: the bulkhead is full
 *                 └──▶ ended: the breaker is open (ERR_BREAKER_OPEN), the queue is full (ERR_BACKEND_BUSY); both with RetryInfo
 *
 * A guarded call has the guard's sink in place of its own until it ends. Cancelling takes it out of the queue, or ends its wait, at
 * once; at the driver it is the driver's to complete (outcome.h: at once, too).
 *
 * Invariants: each call holds at most one place in the bulkhead, and gives it back before its caller hears the answer; every call that
 * the breaker admitted is reported to it once; a call that may have been executed is repeated only where repeating is safe, and its
 * caller never hears that nothing was done.
 *
 * One guard a backend (its namespace), shared by all loops: a lock over counters, never held while a driver runs. What configuration
 * says comes with the call's namespace, so that a reload counts at once and forgets nothing.
 * Thread: guard_call the call's loop; guard_read_stats, guard_probe any. */
#ifndef PRISM_DATA_GUARD_H
#define PRISM_DATA_GUARD_H

#include "base/diag.h"
#include "data/breaker.h"
#include "data/bulkhead.h"
#include "data/retry.h"
#include "rt/env.h"

struct call;
struct guard;

struct guard_settings {
    struct breaker_settings breaker;
    struct bulkhead_settings bulkhead;
    struct retry_settings retry;
    bool coalesce_reads;
};

enum err guard_new(const struct env *, struct guard **ret_guard) __attribute__((warn_unused_result));
void guard_free(struct guard *); /* no call in flight; NULL is fine */

/* Sends the call to its namespace's driver, now or later, perhaps more than once, perhaps never; it ends exactly once. The driver
 * implements the method's interface. */
void guard_call(struct call *);

struct guard_stats {
    enum breaker_state breaker;
    uint32_t retry_after_ms; /* of an open breaker */
    uint64_t opened;         /* times */
    uint64_t in_flight, queued;
    uint64_t calls; /* sent, retries not counted */
    uint64_t retries;
    uint64_t retries_denied; /* the budget was spent */
    uint64_t refused_open;   /* calls */
    uint64_t refused_full;
    uint64_t failures; /* attempts that the backend did not answer */
    uint64_t shared;   /* reads answered by one that another caller began */
};
void guard_read_stats(struct guard *, const struct guard_settings *, struct guard_stats *ret_stats);
/* OK, or ERR_BREAKER_OPEN with the last failure's reason. diag may be NULL. */
enum err guard_probe(struct guard *, const struct guard_settings *, struct diag *);

#endif
