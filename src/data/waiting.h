/* Calls that wait until something lies under a key: the blocking pops. Callers of one key are served in the order in which they
 * came, and who is gone takes nothing along: an attempt is made on the caller's own loop, where it would also be cancelled, and an
 * attempt that succeeds is answered at once.
 *
 *   waiting_enter ──first of its key──▶ attempting ──WAITING_SERVED──▶ left ──▶ end(SERVED)
 *        │                               │      ▲
 *        └──others came first──▶ idle ◀──┘      │ (missed)
 *                                 ├──waiting_notify, or first now──▶ posted ──on its loop──▶ attempting
 *                                 └──timeout, cancel──▶ left ──▶ end(TIMEOUT | CANCELLED)
 *   posted, attempting ──timeout, cancel──▶ remembered: honoured after a missed attempt (a cancel: before the next one)
 *   idle ──waiting_drain──▶ posted, as timed out
 *
 * Only the first of a queue is ever attempting, and but for a drain only it is posted. Something that is put under the key while it attempts makes it attempt
 * again, so no wake-up is lost. Who puts something calls waiting_notify after it can be seen.
 *
 * Thread: enter, settle and all callbacks on the call's loop; notify on any. */
#ifndef PRISM_DATA_WAITING_H
#define PRISM_DATA_WAITING_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "data/call.h"

struct waiter;

enum waiting_outcome {
    WAITING_SERVED,  /* the attempt has what it answers, an error included; end follows */
    WAITING_MISSED,  /* nothing there */
    WAITING_PENDING, /* waiting_settle tells later */
};
enum waiting_end { WAITING_END_SERVED, WAITING_END_TIMEOUT, WAITING_END_CANCELLED };

/* In the call's arena; zeroed but for the first part. */
struct waiter {
    struct call *call; /* its driver, on_cancel and hop are the room's until end */
    struct slice key;  /* lives as long as the call */
    enum waiting_outcome (*attempt)(struct waiter *);
    /* Completes the call. The waiter has left by then. */
    void (*end)(struct waiter *, enum waiting_end);
    int64_t timeout_ms;
    /* The room's. */
    struct waiting_room *room;
    struct waiting_queue *queue;
    struct waiter *next, *prev;
    struct timer timer;
    uint8_t state;
    bool again;     /* something came while it attempted */
    bool timed_out; /* remembered */
    bool cancelled; /* remembered */
};

struct waiting_room {
    pthread_mutex_t lock;
    struct map queues; /* by key */
    atomic_uint count; /* of waiters */
    uint32_t count_max;
    bool draining;
};

/* Allocates nothing. */
void waiting_init(struct waiting_room *, const struct env *, uint32_t count_max);
/* Nobody waits any more. */
void waiting_fini(struct waiting_room *);
/* The waiter's end may come before this returns. ERR_NOMEM, ERR_WAITING_LIMIT: it has not entered, end is not called. */
enum err waiting_enter(struct waiting_room *, struct waiter *) __attribute__((warn_unused_result));
/* Of an attempt that was pending. */
void waiting_settle(struct waiter *, enum waiting_outcome);
/* Something lies under the key now. Costs one load where nobody waits. */
void waiting_notify(struct waiting_room *, struct slice key);
/* Nobody waits any more: who waits is answered as after a timeout, and so is who comes later and finds nothing. For the process's
 * end, which would else wait for them. Thread: any. */
void waiting_drain(struct waiting_room *);
uint32_t waiting_count(const struct waiting_room *);

#endif
