/* Backends in use: each is opened once for a namespace and kept as long as a configuration has the namespace with the same
 * driver, or a call of an earlier one still runs, so that a reload neither closes a database nor loses what memory holds. A
 * namespace that goes and comes back finds its backend again, or waits until it has been closed: a store is never open twice.
 *
 *   open (pool thread) ──▶ held, one reference a snapshot's namespace ──last reference──▶ detaching (each loop, where the driver
 *   asks for it) ──▶ closing (pool thread) ──▶ gone
 *
 * Thread: held_ref, held_unref any; held_open and held_take one at a time, never the control loop's while it turns. */
#ifndef PRISM_PROXY_BACKENDS_H
#define PRISM_PROXY_BACKENDS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "data/driver.h"
#include "data/guard.h"

struct held;

/* Knows what is open, and closes what nobody holds any more, on the control loop and its pool. */
struct keeper {
    struct loop *loop;
    struct pool *pool;
    atomic_uint open;                /* backends that are not closed yet */
    void (*on_empty)(void *context); /* on the loop, when the last one has been closed; may be NULL */
    void *context;
    struct loop *const *loops; /* of the workers; none: nothing is detached */
    unsigned loop_count;
    bool loops_run;       /* each on its own thread; else they are the control loop's thread's */
    pthread_mutex_t lock; /* over the list */
    pthread_cond_t gone;  /* one has left it */
    struct held *first;
};

/* A message to a loop: let go of what you have of this backend. */
struct held_detach {
    struct task task;
    struct held *held;
    struct loop *loop;
};

struct held {
    struct backend *backend;
    struct guard *guard; /* NULL: the driver is local */
    const struct driver *driver;
    struct keeper *keeper;
    struct held *next;
    atomic_uint refs;             /* 0: closing */
    struct held_detach *detaches; /* one a loop, where the driver detaches; else NULL */
    atomic_uint attached;         /* loops that have not detached yet */
    struct task task;
    struct work work;
    char name[LIMIT_NAMESPACE_NAME_BYTES + 1]; /* of the store, or at a server of the namespace */
    size_t settings_size;
    uint8_t settings[]; /* what it was opened with */
};

void keeper_init(struct keeper *, struct loop *, struct pool *);
void keeper_fini(struct keeper *); /* nothing is open any more */
/* The loops that calls run on; the array stays the caller's, who fills it in before they run. Before anything is opened. */
void keeper_set_loops(struct keeper *, struct loop *const *loops, unsigned count);
/* Control loop's thread: the loops have threads of their own now, or (false) no longer have: what waited for them is done here. */
void keeper_loops_run(struct keeper *, bool run);
/* Opens a backend. Blocks: a pool thread, or before anything is served. Errors of the driver, with its words. */
enum err held_open(struct keeper *, const struct driver *, const char *name, const struct backend_open *,
                   struct slice settings, struct held **ret_held) __attribute__((warn_unused_result));
/* One more reference to the backend that is open by this name with this driver. NULL: there is none. Blocks while it is
 * being closed. */
struct held *held_take(struct keeper *, const struct driver *, const char *name);
struct held *held_ref(struct held *);
void held_unref(struct held *); /* NULL is fine */
/* The driver, and its options in the backend and in the namespace: encoded. */
enum err held_settings(const struct driver *, const struct config_backend *, const struct config_namespace *,
                       struct buf *out);

#endif
