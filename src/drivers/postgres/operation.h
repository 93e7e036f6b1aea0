/* An operation: what the driver does for one call. Lives in the call's arena.
 *
 *   made ──submit──▶ waiting ──▶ sent, as a member of a unit (lane.h) ──▶ answered, on the call's loop
 *     └ refused: bad request, server away, queue full      └ cancelled or late: answered at once, its unit goes on without it
 *
 * A kind of operation embeds it as the first member of its own struct. put sends its statements; take gets the result of each,
 * in order, and leaves the answer in response. Where many wait that do the same, group does them with one statement.
 *
 * Thread: the call's loop. */
#ifndef PRISM_DRIVERS_POSTGRES_OPERATION_H
#define PRISM_DRIVERS_POSTGRES_OPERATION_H

#include "data/call.h"
#include "data/keyvalue.h"
#include "drivers/postgres/statements.h"
#include "drivers/postgres/wire.h"

struct postgres_operation;
struct postgres_store;
struct postgres_unit;

enum postgres_class {
    CLASS_READ,  /* of a few rows; may go to the standby */
    CLASS_WRITE, /* waits for the log of the server */
    CLASS_HEAVY, /* reads many rows; may go to the standby, and never takes all connections */
    CLASSES
};

/* One statement for many operations of a kind. members of the unit that have been cancelled are NULL. */
struct postgres_group {
    enum err (*put)(struct postgres_unit *);
    enum err (*take)(struct postgres_unit *, const PGresult *);
};

struct postgres_operation {
    struct postgres_operation *next, *previous; /* while it waits */
    struct postgres_store *store;
    struct call *call;
    enum postgres_class class;
    enum err (*put)(struct postgres_operation *, struct postgres_unit *);
    enum err (*take)(struct postgres_operation *, unsigned index, const PGresult *);
    const struct postgres_group *group;             /* NULL: always alone */
    void (*answer)(struct postgres_operation *);    /* instead of replying with response; NULL: reply */
    void (*committed)(struct postgres_operation *); /* before it is answered; not of a replay. NULL: nothing */
    size_t bytes;                                   /* payload, bounds a group */
    int64_t now_ms;                                 /* when it was made: what has expired is judged by this */
    struct postgres_pool *pool;                     /* where it waits or was sent */
    struct postgres_unit *unit;                     /* NULL: not sent */
    unsigned index;                                 /* in unit's members */
    unsigned attempts;                              /* repeated after a deadlock */
    const char *comment;                            /* trace, as an SQL comment; NULL: none */

    enum err outcome;
    const void *response;
    struct idem idem;
    bool replayed; /* idem found an answer */
    uint64_t replay_fingerprint;
    struct slice replay_response;
};

/* Whether it takes more than one round trip on its connection (idempotency.c). */
static inline bool postgres_in_steps(const struct postgres_operation *o)
{
    return o->class == CLASS_WRITE && o->idem.used;
}

/* Zeroed, in the call's arena; size of the kind's own struct. NULL: memory is out, and the call has been ended. */
void *postgres_operation_new(struct backend *, struct call *, size_t size, enum postgres_class);
/* Sends it, or answers at once where that cannot be. Writes honour the call's idempotency key. */
void postgres_submit(struct postgres_operation *);
/* To the primary, whatever the class; the idempotency key is the caller's own affair. */
void postgres_submit_primary(struct postgres_operation *);
/* The same without on_cancel and with the key begun; an error means that it was not taken. */
enum err postgres_submit_quietly(struct postgres_operation *);
/* Answers. e: OK, or its words are in call->diag or in the error's row. */
void postgres_finish(struct postgres_operation *, enum err e);
/* ERR_NOMEM, or *ret_version is a token that was never given before, in the call's arena. */
enum err postgres_new_version(struct postgres_operation *, struct slice *ret_version);
/* Why nobody waits any more: ERR_DEADLINE_EXCEEDED or ERR_CANCELLED. */
enum err postgres_gone(const struct call *);

#endif
