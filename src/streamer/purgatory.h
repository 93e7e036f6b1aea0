/* Where requests wait for bytes: a fetch that found too few (KIP-17's delayed operations, "purgatory" in Kafka).
 *
 * A place that grows (a partition's readable end) is a struct growing: a count of bytes that never falls. A request that waits
 * is a struct delayed with one struct watch for each place it looks at. A watch sleeps until its place has grown to `due`; so
 * growth costs what it wakes (a pairing heap by `due`), however many wait there.
 *
 *   delayed_init(&d, loop, wake);
 *   delayed_watch(&d, &watches[i], &partition->readable, bytes_wanted);      each place
 *   delayed_start(&d, due_ns);                                              or not at all, for no time limit
 *   growing_add(&partition->readable, bytes);
 *      … wake(&d, DELAYED_READY or DELAYED_LATE), once, from the loop, with no watch left
 *
 * Which place gives the bytes is not known. Whoever wants n bytes of k places asks each for n / k more, rounded up: before n are
 * there, one of them has so many. Then it counts, and watches again for the rest.
 *
 * Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", 1986. Thread: the loop's. */
#ifndef PRISM_STREAMER_PURGATORY_H
#define PRISM_STREAMER_PURGATORY_H

#include "rt/loop.h"

/* Zeroed: nobody waits here. */
struct growing {
    uint64_t bytes;
    struct watch *first; /* root of the heap */
};

struct watch {
    struct watch *child, *next;
    struct watch **link;   /* what points here; NULL: sleeps nowhere */
    struct watch *sibling; /* next watch of the same request */
    struct delayed *delayed;
    struct growing *place;
    uint64_t due;
};

enum delayed_why { DELAYED_READY, DELAYED_LATE };

struct delayed {
    void (*wake)(struct delayed *, enum delayed_why);
    struct loop *loop;
    struct watch *watches;
    struct timer timer;
    struct task task;
    bool woken; /* its task waits */
};

void delayed_init(struct delayed *, struct loop *, void (*wake)(struct delayed *, enum delayed_why));
/* Wakes when the place has grown by `bytes`, at least 1, from now on. The watch lives until then. */
void delayed_watch(struct delayed *, struct watch *, struct growing *, uint64_t bytes);
void delayed_start(struct delayed *, uint64_t due_ns);
/* No wake will come, but where one is on its way it comes still: then false, and the memory must live until it did. Woken or
 * never started is fine. */
bool delayed_cancel(struct delayed *) __attribute__((warn_unused_result));

void growing_add(struct growing *, uint64_t bytes);
/* Whoever waits here shall look again: the place is going, or its state has changed. */
void growing_wake_all(struct growing *);

#endif
