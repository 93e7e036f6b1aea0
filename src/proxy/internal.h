/* What the parts of the control loop share: proxy.c (life), reload.c, operations.c (metrics port), admin.c. Private to
 * src/proxy. Thread: all of it belongs to the control loop, unless a comment says otherwise. */
#ifndef PRISM_PROXY_INTERNAL_H
#define PRISM_PROXY_INTERNAL_H

#include "proxy/data_dir.h"
#include "proxy/listener.h"
#include "proxy/measure.h"
#include "proxy/proxy.h"

enum proxy_state { PROXY_STARTING, PROXY_SERVING, PROXY_LEAVING, PROXY_DRAINING, PROXY_CLOSING };

/* --- reload.c ---------------------------------------------------------------------------------------------------------------- */

enum { RESTART_SETTINGS_MAX = 16 };

struct reload_result {
    enum err err;
    const struct config_report *report; /* with problems where err is ERR_CONFIG_INVALID */
    const struct diag *diag;            /* where it is another error */
    struct snapshot_changes changes;
    bool writes_under_way;                           /* of a namespace that is paused now, after LIMIT_PAUSE_MS */
    const char *needs_restart[RESTART_SETTINGS_MAX]; /* NULL ends */
};

/* Somebody who wants to know how a reload ended. */
struct reload_waiter {
    void (*done)(struct reload_waiter *, const struct reload_result *);
    struct reload_waiter *next;
};

/*   idle ──reload_begin──▶ loading (pool) ──▶ swapping (each worker) ──▶ [pausing: pause.h] ──▶ idle, or loading again where
 *                             │                                                              somebody asked meanwhile
 *                             └ problems: the running configuration stays ──▶ idle */
struct reload {
    struct proxy *proxy;
    bool running;
    bool again;                    /* asked while running: the file may have changed since it was read */
    struct reload_waiter *waiters; /* of the run, then of the next one */
    struct reload_waiter *next_waiters;
    struct work work;
    struct worker_task *swaps; /* one a worker */
    uint32_t swaps_left;
    /* Of one run. */
    struct arena arena;
    struct config_report report;
    struct diag diag;
    enum err err;
    struct config *config;
    struct snapshot *snapshot;
    struct reload_result result; /* while writes under way are waited for */
};

/* Reads the file again and puts it into effect; waiter (may be NULL) hears of it once every worker has it. */
void reload_begin(struct proxy *, struct reload_waiter *);
/* The waiter does not want to know any more. */
void reload_forget(struct proxy *, struct reload_waiter *);
/* What one client may take is what the configuration says. */
struct rpc_share_limits proxy_share_limits(const struct config_proxy_config *);
/* The log writes what the configuration in effect says. */
void reload_apply_log_level(struct proxy *);

/* --- the process ------------------------------------------------------------------------------------------------------------- */

struct proxy {
    struct proxy_options options;
    struct arena arena; /* what lives as long as the process */
    enum proxy_state state;
    struct loop *loop;
    struct pool *pool;
    struct keeper keeper;
    struct data_dir data_dir;
    bool has_data_dir;
    struct snapshot_options snapshot_options;
    struct snapshot *snapshot; /* in effect */
    struct measure *measure;
    struct rpc_shares *shares; /* what one client may take, of all workers together */
    struct reload reload;
    char *config_error; /* what the last failed reload said; NULL: it succeeded */
    int64_t started_ms;
    uint32_t busy; /* things under way that have to end before the loop does */
    uint64_t drain_deadline_ns;
    /* Workers. */
    struct worker **workers;
    struct loop **loops;       /* theirs, for the keeper of backends */
    struct worker_task *tasks; /* one a worker: for unready and drain */
    uint32_t worker_count;
    struct worker_task *hurry_tasks;
    uint32_t tasks_left;
    struct tls *tls;
    struct timer tls_timer;
    struct work tls_work;
    /* Metrics port. */
    struct rpc_server *server;
    struct served served;
    struct rpc_server_stats data_stats; /* as last heard */
};

/* Something under way has ended: the loop may end too. */
void proxy_less_busy(struct proxy *);
/* A reload has ended: the drain that waited for it may begin. */
void proxy_drain_when_free(struct proxy *);

/* operations.c: the server of the metrics port with /health, /ready, /metrics, health, reflection and ProxyAdmin. */
enum err operations_new(struct proxy *) __attribute__((warn_unused_result));
/* admin.c */
enum err admin_serve(struct proxy *) __attribute__((warn_unused_result));
/* What rpc->user points to while a call of ProxyAdmin waits. */
struct pending {
    void (*forget)(struct proxy *, struct pending *); /* the caller is gone */
};
/* admin_backend.c: answers a TestBackend, later. */
void admin_test_backend(struct proxy *, struct rpc_call *, const void *request);
/* tls_watch.c: reads certificates again when their files change. */
void tls_watch_start(struct proxy *);
void tls_watch_stop(struct proxy *);

#endif
