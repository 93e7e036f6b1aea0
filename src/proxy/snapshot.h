/* A configuration in effect: its namespaces with their backends open. Immutable; a reload makes another one.
 *
 *   made (pool thread) ──▶ held by the control loop and each worker ──all have let go──▶ fading ──last call ended──▶ gone
 *
 * Whoever holds it counts in `holders`; each namespace has a count of its own, one for the snapshot and one for each worker that
 * has moved on while calls of it were in flight (lease.h). When the last holder goes, the namespaces lose the snapshot's reference,
 * and when the last of them has gone too, the memory does.
 * Thread: reading and counting any; making: one at a time. */
#ifndef PRISM_PROXY_SNAPSHOT_H
#define PRISM_PROXY_SNAPSHOT_H

#include "base/map.h"
#include "base/metrics.h"
#include "data/namespace.h"
#include "proxy/backends.h"
#include "proxy/config.h"
#include "proxy/lease.h"

enum { SNAPSHOT_SECRET_BYTES = 32, SNAPSHOT_CODES = 17 };

struct stage;

struct proxy_namespace {
    struct namespace ns; /* the first member */
    struct held *held;
    const char *store; /* as the backend calls it */
    const char
        *needs_restart; /* "options of namespace x": the backend lives in memory and was kept as it is; NULL: none */
    const struct stage *const *stages;
    struct task *gone; /* posted to gone_loop when the last call has ended; NULL: nobody waits (pause.h) */
    struct loop *gone_loop;
    struct lease *leases; /* one a worker, by the id of its loop */
    /* Series of the metrics, looked up once (measure.c). */
    _Atomic(struct metric *) requests[METHOD_COUNT][SNAPSHOT_CODES];
    _Atomic(struct metric *) durations[METHOD_COUNT];
    _Atomic(struct metric *) total, bytes_in, bytes_out;
};

struct snapshot {
    struct config *config;
    struct arena arena;
    struct proxy_namespace *namespaces;
    uint32_t count;
    struct map by_name;
    bool log_access;
    int64_t loaded_ms; /* UTC */
    atomic_uint holders;
    atomic_uint alive; /* namespaces with references, and one while there are holders */
};

struct snapshot_options {
    const struct driver_registry *drivers;
    const struct env *env;
    struct log *log;
    struct keeper *keeper;
    const char *data_dir; /* that of the process, whatever a new configuration says */
    unsigned loops;
    struct hash_key hash_key;
    uint8_t secret[SNAPSHOT_SECRET_BYTES];
};

/* What a reload changed. */
struct snapshot_changes {
    uint32_t added, changed, removed;
};

/* Opens what is new and keeps what is open; one failure undoes all, and diag names the namespace.
 * Takes over the configuration on success; the caller has the one holder. Blocks. */
enum err snapshot_new(const struct snapshot_options *, struct config *, struct diag *, struct snapshot **ret_snapshot)
    __attribute__((warn_unused_result));
struct snapshot *snapshot_ref(struct snapshot *);
void snapshot_unref(struct snapshot *); /* NULL is fine */
/* NULL: there is none of this name. Borrowed: valid while the snapshot is held. */
struct proxy_namespace *snapshot_find(const struct snapshot *, struct slice name);
/* A worker is about to let go of it: namespaces with calls in flight stay until these have ended. Thread: that worker's. */
void snapshot_leave(struct snapshot *, unsigned loop);
struct snapshot_changes snapshot_compare(const struct snapshot *old, const struct snapshot *new);

#endif
