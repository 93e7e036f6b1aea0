/* A worker's hold on a namespace while calls of it are in flight. Counting them in the namespace would have all workers write to
 * one cache line with each call; so each worker counts its own, and takes a reference only when it moves on to another snapshot
 * while some are left:
 *
 *   counting ──lease_leave, calls in flight──▶ kept (one reference for them all) ──the last one ends──▶ over
 *
 * The snapshot that the worker holds keeps its namespaces alive meanwhile. Thread: the worker's. */
#ifndef PRISM_PROXY_LEASE_H
#define PRISM_PROXY_LEASE_H

#include "data/namespace.h"

enum { CACHE_LINE_PAIR_BYTES = 128 }; /* lines are fetched in pairs */

struct lease {
    uint32_t calls;
    bool kept;
    uint8_t apart[CACHE_LINE_PAIR_BYTES - sizeof(uint32_t) - sizeof(bool)];
};

static inline struct namespace *lease_begin(struct lease *l, struct namespace *ns)
{
    l->calls++;
    return ns;
}

static inline void lease_end(struct lease *l, struct namespace *ns)
{
    if (--l->calls || !l->kept)
        return;
    l->kept = false;
    namespace_unref(ns);
}

/* The worker is about to let go of the snapshot. */
static inline void lease_leave(struct lease *l, struct namespace *ns)
{
    if (!l->calls)
        return;
    l->kept = true;
    namespace_ref(ns);
}

#endif
