/* The lanes of one loop to one server, and what waits for them.
 *
 * Nothing waits for a group to fill: an operation goes out at once where a lane is idle. While all are busy others gather, and the
 * next lane that comes free takes those of one class together: those that do the same become one statement. So few connections
 * serve many callers, and the server commits many writes with one flush of its log.
 *
 * Invariants: what is in flight on a lane is of one class; writes leave one lane, heavy reads half of them, to others (where there
 * is more than one); lanes are made one after the other, up to lanes_max, when all are busy. Thread: the loop's. */
#ifndef PRISM_DRIVERS_POSTGRES_POOL_H
#define PRISM_DRIVERS_POSTGRES_POOL_H

#include "drivers/postgres/connector.h"
#include "drivers/postgres/lane.h"
#include "drivers/postgres/upkeep.h"

struct postgres_pool;

/* Somebody who needs a connection for itself. */
struct postgres_claim {
    struct postgres_claim *next;
    /* lane: NULL, problem says why there is none. */
    void (*settle)(struct postgres_claim *, struct postgres_lane *, const struct postgres_problem *);
};

struct postgres_waiting {
    struct postgres_operation *first, *last;
    unsigned count;
};

struct postgres_pool {
    struct postgres_connector *connector;
    struct postgres_upkeep *upkeep;
    struct loop *loop;
    unsigned lanes_min, lanes_max;
    int64_t statement_timeout_ms;
    struct postgres_waiting waiting[CLASSES];
    struct postgres_lane *lanes, *resting; /* resting: without a class of work, for claims */
    unsigned lane_count, busy[CLASSES], resting_count;
    struct postgres_claim *claims, **claims_end;
    struct postgres_parcel *asked; /* a connection is on its way */
    unsigned turn;                 /* the class that is looked at first */
    struct task flush;
    bool scheduled;
    /* For stats, from any thread. */
    atomic_uint shown_lanes, shown_busy, shown_waiting;
    atomic_uint_fast64_t units, operations, lost, errors;
};

void postgres_pool_init(struct postgres_pool *, struct loop *, struct postgres_connector *, struct postgres_upkeep *,
                        unsigned lanes_min, unsigned lanes_max, int64_t statement_timeout_ms);
/* No call is in flight any more. Zeroed is fine. */
void postgres_pool_fini(struct postgres_pool *);
/* Queues the operation; it is sent before the loop's turn goes on. ERR_BACKEND_BUSY; the connector's error where the server is
 * known to be away: then it was not taken. */
enum err postgres_pool_submit(struct postgres_pool *, struct postgres_operation *, struct diag *);
/* The operation's caller is gone: it leaves the queue, or its unit. */
void postgres_pool_leave(struct postgres_operation *);
/* A connection for the claimant alone: settled at once, or later. */
void postgres_pool_claim(struct postgres_pool *, struct postgres_claim *);
/* The same, given back: not busy; closed where it is of no use any more. */
void postgres_pool_return(struct postgres_pool *, struct postgres_lane *);
/* What a unit of a single operation or a group ends with: its members are answered, or wait again after a deadlock. */
void postgres_unit_conclude(struct postgres_unit *, enum err e);
/* Asks the server to give up what the lane does; if that does not help it is lost. */
void postgres_lane_give_up(struct postgres_pool *, struct postgres_lane *);

#endif
