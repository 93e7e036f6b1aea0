/* One worker: a thread, its loop, and the server that it runs on the data port. Workers share the port (SO_REUSEPORT) and
 * nothing else; the control loop talks to them by posted tasks.
 *
 *   new ──worker_listen──▶ listening ──worker_start──▶ serving ──worker_drain──▶ draining ──▶ drained (thread ended; joined)
 *
 * worker_new, _listen, _start, _join, _free: the control thread. Posting functions say so. */
#ifndef PRISM_PROXY_LISTENER_H
#define PRISM_PROXY_LISTENER_H

#include <pthread.h>

#include "proxy/front.h"
#include "proxy/served.h"

struct worker;

struct worker_options {
    const struct env *env;
    unsigned id;
    struct snapshot *snapshot; /* a reference is taken */
    const struct driver_registry *drivers;
    struct log *log;
    struct measure *measure;
    struct tls *tls; /* NULL: plain */
    uint32_t calls_max;
    uint32_t connections_max;
    const char *congestion; /* rt/congestion.h; outlives the worker */
    uint64_t spin_ns;       /* rt/spin.h */
    struct rpc_shares *shares;
};

/* A message for a worker; in the sender's memory until done has run on the control loop. */
struct worker_task {
    struct task task;
    struct worker *worker;
    struct loop *control;
    void (*done)(struct worker_task *);
    struct snapshot *snapshot;     /* worker_swap */
    struct rpc_server_stats stats; /* worker_stats */
    uint64_t deadline_ns;          /* worker_drain */
    void *context;
};

enum err worker_new(const struct worker_options *, struct worker **ret_worker) __attribute__((warn_unused_result));
enum err worker_listen(struct worker *, const char *address, struct diag *) __attribute__((warn_unused_result));
const char *worker_address(const struct worker *);
struct loop *worker_loop(const struct worker *);
enum err worker_start(struct worker *) __attribute__((warn_unused_result));
void worker_join(struct worker *);
/* Drained and joined: lets go of its server and its snapshot. The loop stays until worker_free, for threads of backends that
 * are about to wake it. */
void worker_retire(struct worker *); /* NULL is fine */
/* When nobody can post to its loop any more: backends are closed, the pool is gone. */
void worker_free(struct worker *); /* NULL is fine */

/* Posted. The task's worker, control, done and its own fields are set; done comes back. */
void worker_swap(struct worker_task *);    /* puts task->snapshot into effect; takes over its reference */
void worker_stats(struct worker_task *);   /* fills in task->stats */
void worker_unready(struct worker_task *); /* health says NOT_SERVING; calls are still taken */
/* done: drained, the thread is about to end. Once more with a deadline that has passed: now; whether done comes for that one too
 * is not said. */
void worker_drain(struct worker_task *);

#endif
