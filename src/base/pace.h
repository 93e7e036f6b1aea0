/* When the calls of an open loop are due: at a constant rate, or at one that grows (or falls) evenly and then stays. The
 * schedule does not know how the calls fare. Whoever measures from pace_next's time instead of from the sending sees the waiting
 * that a slow server causes too (no coordinated omission).
 *
 *   pace_init(&p, 1000, 1000, 0, start_ns);            1,000 a second
 *   pace_init(&p, 100, 5000, 10 * second, start_ns);   from 100 to 5,000 within 10 s
 *   while (pace_next(&p) <= now)                       after a stall all that were missed are due, each at its own time
 *       send(pace_take(&p));
 *
 * Time is the caller's, in nanoseconds. Thread: one at a time.
 * Source: Gil Tene, "How NOT to Measure Latency"; wrk2. */
#ifndef PRISM_BASE_PACE_H
#define PRISM_BASE_PACE_H

#include <stdint.h>

struct pace {
    double from, to; /* calls a second, above 0 */
    double ramp_s;   /* 0: "to" at once */
    double ramped;   /* calls while the rate changes */
    uint64_t start_ns;
    uint64_t taken;
};

void pace_init(struct pace *, double from, double to, uint64_t ramp_ns, uint64_t start_ns);
/* When the next call is due. */
uint64_t pace_next(const struct pace *);
/* The same, and goes on to the one after. */
uint64_t pace_take(struct pace *);
/* How many are due at or before now, taken ones not counted, but none that is due at or after end_ns. */
uint64_t pace_waiting(const struct pace *, uint64_t now_ns, uint64_t end_ns);

#endif
