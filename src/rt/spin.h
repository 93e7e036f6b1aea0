/* How long a loop looks for events before it sleeps. A sleeper needs some 40 µs to wake on another core, and its waker 15 µs of
 * CPU; who looks again and again needs neither, but a core. So a loop spins only as long as it pays:
 *
 *   the last wait was no longer than max_ns    ──▶ the next one spins for up to max_ns
 *   the last wait was longer                   ──▶ half of it, until it is not worth beginning: then it sleeps at once
 *
 * An idle loop therefore sleeps, and goes back to spinning with the first wait that was short. No clock of its own.
 * Source: the same rule as KVM's halt polling (Documentation/virt/kvm/halt-polling.rst). */
#ifndef PRISM_RT_SPIN_H
#define PRISM_RT_SPIN_H

#include <stdint.h>

struct spin {
    uint64_t max_ns;  /* 0: never */
    uint64_t next_ns; /* of the next wait */
};

static inline struct spin spin_of(uint64_t max_ns)
{
    return (struct spin){max_ns, max_ns};
}

/* A wait has ended that took so long, whether it spun or slept. */
static inline void spin_learn(struct spin *s, uint64_t waited_ns)
{
    enum { WORTH_NS = 1000 };
    s->next_ns = waited_ns <= s->max_ns ? s->max_ns : s->next_ns / 2;
    if (s->next_ns < WORTH_NS)
        s->next_ns = 0;
}

#endif
