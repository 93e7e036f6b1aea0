/* A bulkhead: how many calls of a namespace may be at its backend, and how many may wait for that. It keeps a slow backend from
 * taking the memory and the connections that other namespaces need. Pure counters; who waits is known to guard.c.
 *
 *   bulkhead_enter ──▶ ENTERED ──bulkhead_leave──▶ out; one that waits may come in: bulkhead_next
 *             ├──────▶ QUEUED ──bulkhead_next, or bulkhead_give_up──▶
 *             └──────▶ FULL
 *
 * Thread: one at a time. */
#ifndef PRISM_DATA_BULKHEAD_H
#define PRISM_DATA_BULKHEAD_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct bulkhead_settings {
    uint32_t in_flight_max; /* 0: any number */
    uint32_t queue_max;
};

struct bulkhead {
    uint32_t in_flight;
    uint32_t queued;
};

enum bulkhead_verdict { BULKHEAD_ENTERED, BULKHEAD_QUEUED, BULKHEAD_FULL };

static inline bool bulkhead_has_room(const struct bulkhead *b, const struct bulkhead_settings *s)
{
    return !s->in_flight_max || b->in_flight < s->in_flight_max;
}

static inline enum bulkhead_verdict bulkhead_enter(struct bulkhead *b, const struct bulkhead_settings *s)
{
    if (!b->queued && bulkhead_has_room(b, s)) {
        b->in_flight++;
        return BULKHEAD_ENTERED;
    }
    if (b->queued >= s->queue_max)
        return BULKHEAD_FULL;
    b->queued++;
    return BULKHEAD_QUEUED;
}

/* Whether one that waits comes in now: it then is in flight. */
static inline bool bulkhead_next(struct bulkhead *b, const struct bulkhead_settings *s)
{
    if (!b->queued || !bulkhead_has_room(b, s))
        return false;
    b->queued--;
    b->in_flight++;
    return true;
}

static inline void bulkhead_give_up(struct bulkhead *b)
{
    assert(b->queued > 0);
    b->queued--;
}

static inline void bulkhead_leave(struct bulkhead *b)
{
    assert(b->in_flight > 0);
    b->in_flight--;
}

#endif
