/* What a driver is: a table of the interfaces that it implements. Presence is the promise, the acceptance suites hold it to it.
 *
 * A backend is one opened driver for one namespace. It is shared by all loops: its operations are called on any loop's thread
 * and complete their call on that same thread. State is guarded by the driver (memory: a lock a shard; sqlite: a writer thread
 * and reader connections; network drivers keep a pool for each loop, indexed by loop_id).
 *
 *   open (pool thread, may block; a bad path or a damaged file is reported here) ──▶ operations ──▶ detach on each loop (no call
 *   in flight) ──▶ close (pool thread, may block) */
#ifndef PRISM_DATA_DRIVER_H
#define PRISM_DATA_DRIVER_H

#include "base/diag.h"
#include "interfaces.h"
#include "pb/pb.h"
#include "prism/config/v1/config.pb.h"
#include "rt/loop.h"

struct log;

struct backend_open {
    const char *namespace_name;
    const struct config_namespace *ns;    /* defaults filled in; valid during open only */
    const struct config_backend *backend; /* named backend's settings; NULL: used by the driver's name alone */
    const char *data_dir;
    const struct env *env;
    unsigned loops;    /* loop ids are 0 … loops - 1 */
    struct log *log;   /* may be NULL */
    struct diag *diag; /* says why open failed, and what to do */
};

/* Drivers embed it as the first member of their own struct. */
struct backend {
    const struct driver *driver;
};

/* A figure for `namespace describe` and metrics. Remote drivers give at least connections, idle, in_flight, waiting, reconnects
 * and errors, summed over their loops. */
typedef void backend_stat_fn(void *context, const char *name, uint64_t value);

/* A step of a test that has succeeded, such as "resolve", "connect", "tls", "authenticate", "round_trip". */
typedef void backend_step_fn(void *context, const char *step, uint64_t took_ns);

struct driver {
    const char *name;    /* "sqlite" */
    const char *summary; /* one line for people */
    bool durable;        /* an acknowledged write survives a crash */
    bool ordered_scan;   /* scans come in bytewise order */
    bool expires;        /* honours TTL */
    bool remote;         /* reached over a network: calls pass a guard (guard.h), errors are those of outcome.h */
    const void *implements[INTERFACE_COUNT]; /* ops struct of each interface, NULL: does not */
    /* Optional: rules of a named backend's settings that only the driver knows, such as the form of connection, when configuration
     * is loaded; reaches for nothing. diag_field names each field, relative to the backend, with what is allowed and the fix.
     * Thread: any. */
    enum err (*check)(const struct config_backend *, struct diag *);
    enum err (*open)(const struct backend_open *, struct backend **ret_backend);
    /* Optional: gives back what belongs to this loop (sockets, watches, timers), without blocking. Once for each loop, on its
     * thread or after that thread has ended, also where no call came; never two at a time for the same loop. */
    void (*detach)(struct backend *, struct loop *);
    /* Optional: the process is about to end. Calls that wait for something (blocking pops) are answered without it, so that a drain
     * does not last as long as they would. Calls go on to come. Thread: any. */
    void (*drain)(struct backend *);
    void (*close)(struct backend *);
    /* Cheap and thread-safe: OK, or why not (diag). */
    enum err (*probe)(struct backend *, struct diag *);
    void (*stats)(struct backend *, backend_stat_fn *, void *context);
    /* Makes a round trip on a connection of its own, for `prismctl backend test`: tells each step that succeeded, and of the one
     * that failed what a person should do (diag; errors of outcome.h). Pool thread, blocks at most LIMIT_BACKEND_TEST_MS.
     * NULL: probe is all there is to test. */
    enum err (*test)(struct backend *, struct diag *, backend_step_fn *, void *context);
};

/* All drivers that a program has linked: given by cmd, never global. */
struct driver_registry {
    const struct driver *const *drivers;
    size_t count;
};
const struct driver *driver_find(const struct driver_registry *, const char *name);

#endif
