/* One thread, one loop. Everything that belongs to a loop is touched by its thread alone; others reach it by loop_post.
 *
 *   enum err e = loop_new(env, 0, &loop);
 *   loop_run(loop);                         until loop_stop; then loop_free
 *
 * Built on libuv (rt/uv_*.c) or, for the deterministic twin, on a fake clock and fake network (rt/sim/). The choice is the
 * env's; callers see no difference. */
#ifndef PRISM_RT_LOOP_H
#define PRISM_RT_LOOP_H

#include "base/err.h"
#include "base/wheel.h"
#include "rt/env.h"

struct loop;

enum err loop_new(const struct env *, unsigned id, struct loop **ret_loop) __attribute__((warn_unused_result));
/* All timers stopped, connections and listeners closed before. What they still have to report is reported in here. */
void loop_free(struct loop *);
/* Until loop_stop. */
void loop_run(struct loop *);
/* One turn; waits for something to happen where wait is true and something is active. Whether anything is still active:
 * timers, connections and listeners, work in a pool, tasks. Signals and what other threads may post do not count. */
bool loop_turn(struct loop *, bool wait);
void loop_stop(struct loop *); /* thread: any */
/* Looks for events for up to max_ns before it sleeps, while waits are that short (rt/spin.h). 0, as at first: sleeps at once.
 * For a loop that has a core for itself. Own thread, or before it runs. */
void loop_spin(struct loop *, uint64_t max_ns);
unsigned loop_id(const struct loop *);
const struct env *loop_env(const struct loop *);
/* Monotonic time at the start of this turn: cheap. */
uint64_t loop_now_ns(const struct loop *);
/* UTC milliseconds since 1970 at the start of this turn: cheap. */
int64_t loop_realtime_ms(const struct loop *);

/* A message for a loop. Intrusive: posting never allocates and never fails. Run in the order posted by one thread. */
struct task {
    void (*run)(struct task *);
    struct task *next;
};
/* Thread: any. The receiving loop is woken once a batch. */
void loop_post(struct loop *, struct task *);
/* Own thread: run after the current callback returns, in this turn, without a wake-up. A task waits once at a time. */
void loop_defer(struct loop *, struct task *);

/* Zeroed but for fire before its first use. */
struct timer {
    void (*fire)(struct timer *);
    uint64_t due_ns;
    struct wheel_timer wheel; /* the loop's */
};
/* Fires once at or after due_ns (monotonic); 1 ms of resolution. Starting an active timer moves it. Never fails, never
 * allocates: timers are kept in an intrusive timing wheel of the loop. */
void timer_start(struct loop *, struct timer *, uint64_t due_ns);
void timer_stop(struct loop *, struct timer *); /* inactive is fine */
bool timer_active(const struct timer *);

/* Work that blocks (SQLite, DNS, fsync): run on a pool thread, then done on the loop that submitted it. */
struct work {
    void (*run)(struct work *);  /* thread: a pool's */
    void (*done)(struct work *); /* thread: the loop's */
    struct work *next;
    struct loop *loop;
    struct task task;
};
struct pool;
enum err pool_new(unsigned threads, struct pool **ret_pool) __attribute__((warn_unused_result));
void pool_free(struct pool *); /* waits for what runs and what waits */
void pool_submit(struct pool *, struct loop *, struct work *);

/* SIGTERM, SIGINT, SIGHUP… on a loop. One subscriber a signal; the latest replaces it. Ends with the loop. */
enum err loop_on_signal(struct loop *, int signal, void (*fn)(void *context, int signal), void *context);

#endif
