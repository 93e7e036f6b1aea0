/* Requests of a connection: lists of those that wait, and the slots of those in flight, which are answered in their order. No I/O.
 *
 * A slot may be empty: the request was forgotten, or the answer belongs to nobody; it is passed over when its answer comes. */
#ifndef PRISM_DRIVERS_REDIS_REQUESTS_H
#define PRISM_DRIVERS_REDIS_REQUESTS_H

#include "drivers/redis/resp.h"

struct redis_connection;

struct redis_outcome {
    enum err err;             /* OK: reply is there, which may be an error of the server's */
    const struct resp *reply; /* in the request's arena; valid during done */
    const char *why;          /* words for err; valid during done */
    struct redis_connection *from;
};

struct redis_request {
    struct slice bytes;  /* the command; live until done or cancel */
    struct arena *arena; /* of the reply */
    bool asking;         /* ASKING goes before it: to be served by a node that is importing the slot */
    void (*done)(struct redis_request *, const struct redis_outcome *);
    /* The connection's. */
    struct redis_connection *connection; /* NULL: with none */
    enum redis_place { REDIS_WAITING, REDIS_IN_FLIGHT, REDIS_LOST } place;
    struct redis_request *next, *prev; /* waiting, lost */
    uint64_t number;                   /* in flight: of its slot */
    enum err err;                      /* lost: what it is done with */
};

struct redis_requests {
    struct redis_request *first, *last;
    uint32_t count;
};
void redis_requests_push(struct redis_requests *, struct redis_request *);
void redis_requests_remove(struct redis_requests *, struct redis_request *);

struct redis_slots {
    struct redis_request **items; /* by number */
    uint32_t capacity;            /* a power of two, or 0 */
    uint64_t head, tail;          /* numbers in flight: head … tail - 1 */
};
static inline bool redis_slots_are_empty(const struct redis_slots *s)
{
    return s->head == s->tail;
}
static inline struct redis_request **redis_slot(struct redis_slots *s, uint64_t number)
{
    return &s->items[number & (s->capacity - 1)];
}
/* Room for so many more. false: out of memory, or LIMIT_REDIS_IN_FLIGHT. */
bool redis_slots_reserve(struct redis_slots *, unsigned more);
/* Room was reserved. NULL: an answer that belongs to nobody. */
void redis_slots_push(struct redis_slots *, struct redis_request *);
/* The request that is answered next, NULL where it belongs to nobody; its slot is gone. */
struct redis_request *redis_slots_pop(struct redis_slots *);
void redis_slots_fini(struct redis_slots *);

#endif
