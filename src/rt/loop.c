/* The loop that both environments share: clock of a turn, timers, tasks.
 *
 *   a turn:  deferred ──▶ poll (sockets, each followed by what it deferred) ──▶ mailbox ──▶ timers ──▶ deferred
 *
 * Invariants: now_ns moves only between callbacks of different turns; a posted task runs once; user code never runs inside
 * loop_post, loop_defer or timer_start. */
#include "rt/loop.h"

#include <assert.h>
#include <sched.h>
#include <stddef.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rt/internal.h"

enum { TICK_NS = 1000000, TIMERS_A_TURN = 10000, SETTLE_ROUNDS = 1000, INPUT_BYTES = 64 << 10 };

static void queue_init(struct task_queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

static void queue_add(struct task_queue *q, struct task *t)
{
    t->next = NULL;
    *q->last = t;
    q->last = &t->next;
}

static void refresh(struct loop *l)
{
    l->now_ns = l->env->monotonic_ns(l->env);
    l->realtime_ms = (int64_t)(l->env->realtime_ns(l->env) / TICK_NS);
    l->awake = true;
}

void loop_awake(struct loop *l)
{
    if (!l->awake)
        refresh(l);
}

enum err loop_new(const struct env *env, unsigned id, struct loop **ret_loop)
{
    struct loop *l;
    enum err e = env->loop->make(env, &l);
    if (e)
        return e;
    l->env = env;
    l->backend = env->loop;
    l->id = id;
    queue_init(&l->deferred);
    atomic_init(&l->mailbox, NULL);
    atomic_init(&l->posting, 0);
    atomic_init(&l->stopped, false);
    refresh(l);
    wheel_init(&l->timers, l->now_ns / TICK_NS);
    *ret_loop = l;
    return OK;
}

/* ---- tasks ------------------------------------------------------------------------------------------------------------ */

void loop_post(struct loop *l, struct task *t)
{
    atomic_fetch_add_explicit(&l->posting, 1, memory_order_relaxed);
    struct task *head = atomic_load_explicit(&l->mailbox, memory_order_relaxed);
    do {
        t->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&l->mailbox, &head, t, memory_order_release, memory_order_relaxed));
    if (!head)
        l->backend->wake(l);
    atomic_fetch_sub_explicit(&l->posting, 1, memory_order_release);
}

/* A task may run, and be the last one, before the thread that posted it has woken the loop. */
static void await_posters(struct loop *l)
{
    while (atomic_load_explicit(&l->posting, memory_order_acquire))
        sched_yield();
}

static struct task *reversed(struct task *t)
{
    struct task *out = NULL;
    while (t) {
        struct task *next = t->next;
        t->next = out;
        out = t;
        t = next;
    }
    return out;
}

static void run_mailbox(struct loop *l)
{
    struct task *t = reversed(atomic_exchange_explicit(&l->mailbox, NULL, memory_order_acquire));
    while (t) {
        struct task *next = t->next;
        t->run(t);
        loop_settle(l);
        t = next;
    }
}

void loop_defer(struct loop *l, struct task *t)
{
    queue_add(&l->deferred, t);
}

/* Tasks that defer again run in this turn too, but not without end: the rest waits for the next one. */
void loop_settle(struct loop *l)
{
    for (int round = 0; l->deferred.first && round < SETTLE_ROUNDS; round++) {
        struct task *t = l->deferred.first;
        queue_init(&l->deferred);
        while (t) {
            struct task *next = t->next;
            t->run(t);
            t = next;
        }
    }
}

void work_finished(struct work *w)
{
    loop_post(w->loop, &w->task);
}

/* ---- timers ----------------------------------------------------------------------------------------------------------- */

static struct timer *timer_of(struct wheel_timer *w)
{
    return (struct timer *)((char *)w - offsetof(struct timer, wheel));
}

void timer_start(struct loop *l, struct timer *t, uint64_t due_ns)
{
    assert(t->fire);
    t->due_ns = due_ns;
    wheel_insert(&l->timers, &t->wheel, due_ns / TICK_NS + (due_ns % TICK_NS != 0));
}

void timer_stop(struct loop *l, struct timer *t)
{
    wheel_cancel(&l->timers, &t->wheel);
}

bool timer_active(const struct timer *t)
{
    return wheel_timer_active(&t->wheel);
}

static void fire(void *context, struct wheel_timer *w)
{
    struct timer *t = timer_of(w);
    t->fire(t);
    loop_settle(context);
}

static uint64_t until_next_timer(const struct loop *l)
{
    uint64_t tick = wheel_next(&l->timers);
    if (tick >= UINT64_MAX / TICK_NS)
        return UINT64_MAX;
    return tick * TICK_NS > l->now_ns ? tick * TICK_NS - l->now_ns : 0;
}

/* ---- turns ------------------------------------------------------------------------------------------------------------ */

static bool has_tasks(const struct loop *l)
{
    return l->deferred.first || atomic_load_explicit(&l->mailbox, memory_order_relaxed);
}

static bool is_active(const struct loop *l)
{
    return l->timers.count || l->sockets || l->works || has_tasks(l);
}

static bool is_stopped(const struct loop *l)
{
    return atomic_load_explicit(&l->stopped, memory_order_relaxed);
}

/* Whether something happened before until_ns. */
static bool look_until(struct loop *l, uint64_t until_ns)
{
    do {
        l->backend->poll(l, 0);
        if (l->awake || has_tasks(l) || is_stopped(l))
            return true;
    } while (l->env->monotonic_ns(l->env) < until_ns);
    return false;
}

/* timeout_ns: UINT64_MAX is without end. */
static void spin_then_sleep(struct loop *l, uint64_t timeout_ns)
{
    uint64_t begin_ns = l->env->monotonic_ns(l->env);
    uint64_t spin_ns = l->spin.next_ns < timeout_ns ? l->spin.next_ns : timeout_ns;
    if (!spin_ns || !look_until(l, begin_ns + spin_ns))
        l->backend->poll(l, timeout_ns == UINT64_MAX ? timeout_ns : timeout_ns - spin_ns);
    loop_awake(l);
    spin_learn(&l->spin, l->now_ns - begin_ns);
}

static void wait_for_events(struct loop *l)
{
    uint64_t timeout_ns = until_next_timer(l);
    if (timeout_ns && l->spin.max_ns)
        spin_then_sleep(l, timeout_ns);
    else
        l->backend->poll(l, timeout_ns);
}

void loop_spin(struct loop *l, uint64_t max_ns)
{
    l->spin = spin_of(max_ns);
}

/* Where something was deferred before the turn, it is what has happened in it: whoever turns the loop by hand may have got what it
 * waits for. */
static void turn(struct loop *l, bool wait)
{
    bool settled = has_tasks(l);
    loop_settle(l);
    bool stay = !wait || settled || has_tasks(l) || is_stopped(l);
    l->awake = false;
    if (stay)
        l->backend->poll(l, 0);
    else
        wait_for_events(l);
    loop_awake(l);
    run_mailbox(l);
    wheel_expire(&l->timers, l->now_ns / TICK_NS, TIMERS_A_TURN, fire, l);
    loop_settle(l);
}

bool loop_turn(struct loop *l, bool wait)
{
    turn(l, wait && is_active(l));
    return is_active(l);
}

void loop_run(struct loop *l)
{
    while (!atomic_load_explicit(&l->stopped, memory_order_acquire))
        turn(l, true);
    atomic_store_explicit(&l->stopped, false, memory_order_relaxed);
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->stopped, true, memory_order_release);
    l->backend->wake(l);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    await_posters(l);
    run_mailbox(l);
    loop_settle(l);
    conn_end_lingering(l);
    assert(l->timers.count == 0 && l->sockets == 0 && l->works == 0);
    block_unref(l->input);
    l->backend->free(l);
}

unsigned loop_id(const struct loop *l)
{
    return l->id;
}

const struct env *loop_env(const struct loop *l)
{
    return l->env;
}

uint64_t loop_now_ns(const struct loop *l)
{
    return l->now_ns;
}

int64_t loop_realtime_ms(const struct loop *l)
{
    return l->realtime_ms;
}

enum err loop_on_signal(struct loop *l, int signal, void (*fn)(void *context, int signal), void *context)
{
    return l->backend->on_signal(l, signal, fn, context);
}

/* ---- the block that sockets are read into ------------------------------------------------------------------------------ */

/* Nobody else holds it: what was read may be overwritten. Acquire: after the last reader's release. */
static bool is_ours(const struct block *b)
{
    return atomic_load_explicit(&b->refs, memory_order_acquire) == 1;
}

uint8_t *loop_input_room(struct loop *l, uint32_t min, uint32_t *ret_size)
{
    if (l->input && is_ours(l->input))
        l->input_fill = 0;
    if (l->input && l->input->size - l->input_fill < min) {
        block_unref(l->input);
        l->input = NULL;
    }
    if (!l->input) {
        l->input = block_new(INPUT_BYTES);
        l->input_fill = 0;
    }
    if (!l->input)
        return NULL;
    *ret_size = l->input->size - l->input_fill;
    return l->input->bytes + l->input_fill;
}

void loop_input_done(struct loop *l, uint32_t size)
{
    enum { ALIGN = 16 };
    uint32_t end = l->input_fill + ((size + ALIGN - 1) & ~(uint32_t)(ALIGN - 1));
    l->input_fill = end < l->input->size ? end : l->input->size;
}
