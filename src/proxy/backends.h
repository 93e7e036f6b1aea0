/* Backends in use: each is opened once for a namespace and kept by every configuration snapshot in which the namespace has the
 * same driver, so that a reload neither closes a database nor loses what memory holds.
 *
 *   open (pool thread) ──▶ held, one reference a snapshot's namespace ──last reference──▶ closing (pool thread) ──▶ gone
 *
 * Thread: held_ref, held_unref any; the keeper's counters belong to its loop. */
#ifndef PRISM_PROXY_BACKENDS_H
#define PRISM_PROXY_BACKENDS_H

#include <stdatomic.h>

#include "data/driver.h"

/* Closes what nobody holds any more, on the control loop and its pool. */
struct keeper {
    struct loop *loop;
    struct pool *pool;
    atomic_uint open;                /* backends that are not closed yet */
    void (*on_empty)(void *context); /* on the loop, when the last one has been closed; may be NULL */
    void *context;
};

struct held {
    struct backend *backend;
    struct keeper *keeper;
    atomic_uint refs;
    struct task task;
    struct work work;
    size_t settings_size;
    uint8_t settings[]; /* what it was opened with */
};

/* Opens a backend. Blocks: a pool thread, or before anything is served. Errors of the driver, with its words. */
enum err held_open(struct keeper *, const struct driver *, const struct backend_open *, struct slice settings,
                   struct held **ret_held) __attribute__((warn_unused_result));
struct held *held_ref(struct held *);
void held_unref(struct held *); /* NULL is fine */
/* The driver, and its options in the backend and in the namespace: encoded. */
enum err held_settings(const struct driver *, const struct config_backend *, const struct config_namespace *,
                       struct buf *out);

#endif
