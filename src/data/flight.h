/* Reads that callers share: Gets of one key that come while such a read is on its way wait for its answer instead of making another
 * (request coalescing, "single flight"). Off unless the namespace asks for it. Across loops: one read, whichever worker got the Gets.
 *
 *   flight_get: none on its way ──▶ a flight is started: a call of its own, with its own arena and deadline
 *               one on its way  ──▶ joined ──▶ the flight's answer, or error, is every caller's, on the caller's own loop
 *               one on its way, but a write of the key has been answered since it began ──▶ a new flight takes its place
 *   a caller leaves ──▶ it is answered at once; the last to leave cancels the flight
 *
 * Invariant: a Get that began after this process acknowledged a write of its key shares no read that began before the
 * acknowledgement. flight_wrote is told before a write's caller is; it counts by stripes of keys, as two keys on one stripe cost a
 * read and not an error. Writes that other processes make are not seen: a Get may then return what was true when the shared read
 * began, at most LIMIT_DEADLINE_DEFAULT_MS ago, though the other process has acknowledged a later write. Namespaces ask for it
 * where that is acceptable.
 *
 * Thread: the loop of the call; the table is behind a lock. */
#ifndef PRISM_DATA_FLIGHT_H
#define PRISM_DATA_FLIGHT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "data/call.h"

enum { FLIGHT_STRIPES = 256 };

struct flights {
    pthread_mutex_t lock; /* over by_key, and over the callers of each flight */
    struct map by_key;    /* flights that may be joined */
    void (*send)(struct call *);
    atomic_uint_fast64_t shared;
    atomic_uint_fast64_t writes_of_all; /* of more keys than one */
    atomic_uint_fast64_t writes[FLIGHT_STRIPES];
};

/* send: brings the flight's call to the driver. */
void flights_init(struct flights *, const struct hash_key *, void (*send)(struct call *));
void flights_fini(struct flights *); /* no call in flight */

bool flight_can_share(const struct call *);
/* Takes over the call, a keyvalue_basic Get; it ends exactly once. */
void flight_get(struct flights *, struct call *);
/* A write has ended, well or not; its caller has not heard yet. */
void flight_wrote(struct flights *, const struct call *);

#endif
