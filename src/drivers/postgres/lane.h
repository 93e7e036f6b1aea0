/* A lane: one connection of a loop, in pipeline mode. What is sent together ends with a Sync each, which is its transaction:
 *
 *   unit:  put ──▶ [PREPARE] statement … statement Sync ──▶ results ──take──▶ … Sync ──▶ done: answered, or more is put
 *
 *   lane:  idle ──▶ busy: units in the order sent ──▶ idle
 *                     └ the connection breaks, or what comes makes no sense: all units fail, the lane is gone
 *                     └ nobody waits for any unit any more: the server is asked to give up, the lane waits for that
 *
 * Invariants: what has committed is known only at the unit's Sync, so nothing is answered before; a cancelled member leaves its
 * unit at once, the unit goes on. Thread: the loop's. */
#ifndef PRISM_DRIVERS_POSTGRES_LANE_H
#define PRISM_DRIVERS_POSTGRES_LANE_H

#include "drivers/postgres/operation.h"
#include "drivers/postgres/session.h"
#include "rt/watch.h"

struct postgres_cancel;
struct postgres_lane;

/* Who sent a unit. */
struct postgres_unit_events {
    /* The index-th statement that was put has succeeded. An error fails the unit, as one of the server does. */
    enum err (*take)(struct postgres_unit *, unsigned index, const PGresult *);
    /* Its Sync has come (or never will, as the lane is gone): err, and the words in problem. May put it again. */
    void (*done)(struct postgres_unit *, enum err);
};

enum { POSTGRES_UNIT_STATEMENTS = 24 };

struct postgres_unit {
    struct postgres_unit *next;
    struct postgres_lane *lane;
    const struct postgres_unit_events *events;
    const struct postgres_group *group; /* NULL: of one member */
    struct postgres_operation **members;
    unsigned count, live;
    const char *comment;
    int64_t timeout_ms; /* for the server; 0: the connection's own */
    uint8_t kinds[POSTGRES_UNIT_STATEMENTS], statements[POSTGRES_UNIT_STATEMENTS]; /* sent: lane.c */
    unsigned sent, at, taken;
    enum err err;
    struct postgres_problem *problem; /* of the lane */
    bool ended;
    /* events' own */
    unsigned step;
    enum err outcome;
    struct postgres_problem kept_problem;
};

struct postgres_lane {
    struct postgres_lane *next;
    struct loop *loop;
    const struct env *env;
    PGconn *conn;
    struct watch *watch;
    int32_t namespace;
    struct arena arena;                 /* of the units in flight */
    struct postgres_unit *first, **end; /* in the order sent */
    bool prepared[STATEMENTS];          /* on this connection */
    bool between;                       /* the last thing that libpq gave was the end of a statement */
    bool server_leaves;                 /* said that it shuts down: nothing that is in flight is executed */
    bool in_flight;                     /* the owner's: counted as busy */
    bool draining;                      /* results are being read: it cannot be freed */
    bool lost;                          /* being closed: nothing more can be put */
    enum err doomed;                    /* to be lost as soon as results have been read */
    bool broken;                        /* to be closed once idle: prepared statements or tables are gone */
    struct postgres_cancel *cancel;     /* on its way */
    struct timer timer;                 /* the owner's: idle too long; after a cancel: no answer */
    struct postgres_problem problem;    /* of the unit that is being answered */
    enum postgres_class class;          /* of what is in flight */
    void *owner;                        /* pool or transaction */
    void (*on_idle)(struct postgres_lane *);
    void (*on_lost)(struct postgres_lane *); /* all units are done; frees the lane */
    void (*on_dead)(struct postgres_lane *); /* nobody waits any more for what is in flight; may be NULL */
};

/* Takes the connection over, also on failure. */
enum err postgres_lane_new(struct loop *, PGconn *, int32_t namespace, struct postgres_lane **ret_lane);
/* Closes it. Units in flight must be gone. */
void postgres_lane_free(struct postgres_lane *);
/* In the lane's arena; count members, not filled in. */
struct postgres_unit *postgres_unit_new(struct postgres_lane *, const struct postgres_unit_events *, unsigned count);
/* Sends a statement of the unit. */
enum err postgres_put(struct postgres_unit *, enum postgres_statement, const struct postgres_params *);
/* Sends what take is not told of. */
enum err postgres_put_aside(struct postgres_unit *, enum postgres_statement, const struct postgres_params *);
/* Ends what was put with a Sync. e: of putting; then the unit fails when its Sync comes. */
void postgres_unit_sync(struct postgres_unit *, enum err e);
/* After units have been put: writes to the socket. */
void postgres_lane_flush(struct postgres_lane *);
static inline bool postgres_lane_idle(const struct postgres_lane *l)
{
    return !l->first && !l->cancel;
}
/* A member has been cancelled. */
void postgres_unit_leave(struct postgres_unit *, unsigned index);
/* Fails what is in flight with the problem that stands in the lane, then on_lost; at the latest when results that are being read
 * have been. */
void postgres_lane_lost(struct postgres_lane *, enum err);

#endif
