/* The wrapper around a driver's operations (guard.h has the states), in the order in which a call passes it. */
#include "data/guard.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "data/flight.h"
#include "data/namespace.h"
#include "data/outcome.h"

enum { NS_PER_MS = 1000000, REASON_BYTES = 256 };

struct guarded;

struct guard {
    const struct env *env;
    struct flights flights;
    pthread_mutex_t lock; /* over all below */
    struct breaker breaker;
    struct bulkhead bulkhead;
    struct retry_budget budget;
    struct guarded *first, *last; /* queued, the oldest first */
    uint64_t succeeded_ns;        /* when the backend last answered */
    struct guard_stats stats;     /* counters */
    char reason[REASON_BYTES];    /* of the last failure */
};

/* What a call carries while it is guarded; in its arena. */
struct guarded {
    struct call *call;
    struct guard *guard;
    const struct guard_settings *settings;
    const struct call_sink *sink; /* the call's own */
    uint32_t attempt;
    bool answered;       /* a message is out */
    bool maybe_executed; /* an attempt ended that way */
    bool inside;         /* has a place in the bulkhead */
    bool queued;
    uint64_t ticket; /* the breaker's */
    uint64_t sent_ns;
    struct timer timer;
    struct task task;
    struct guarded *next, *previous; /* in the queue */
};

static void ask(struct guarded *);

/* Calls that wait for something to happen (a pop from an empty list) may be given up after any time, and that says nothing about their
 * backend. */
static bool method_waits(const struct method *method)
{
    static const char suffix[] = "_blocking";
    const char *id = interfaces[method->interface].id;
    size_t size = strlen(id), suffix_size = sizeof suffix - 1;
    return size > suffix_size && strcmp(id + size - suffix_size, suffix) == 0;
}

/* --- the queue; under the lock ----------------------------------------------------------------------------------------------- */

static void enqueue(struct guard *guard, struct guarded *g)
{
    g->queued = true;
    g->next = NULL;
    g->previous = guard->last;
    *(guard->last ? &guard->last->next : &guard->first) = g;
    guard->last = g;
}

static void dequeue(struct guard *guard, struct guarded *g)
{
    g->queued = false;
    *(g->previous ? &g->previous->next : &guard->first) = g->next;
    *(g->next ? &g->next->previous : &guard->last) = g->previous;
}

static void leave_bulkhead(struct guarded *g)
{
    if (g->inside)
        bulkhead_leave(&g->guard->bulkhead);
    g->inside = false;
}

/* Those that have room now; or all, which then ask and are refused. They go on on their own loops. */
static void wake(struct guard *guard, bool all)
{
    struct guarded *g;
    while ((g = guard->first)) {
        bool comes_in = bulkhead_next(&guard->bulkhead, &g->settings->bulkhead);
        if (!comes_in && !all)
            return;
        if (!comes_in)
            bulkhead_give_up(&guard->bulkhead);
        g->inside = comes_in;
        dequeue(guard, g);
        loop_post(g->call->loop, &g->task);
    }
}

/* --- ending ------------------------------------------------------------------------------------------------------------------ */

/* The call is its bringer's again. */
static void release(struct guarded *g)
{
    g->call->sink = g->sink;
    g->call->guarded = NULL;
}

/* Of a write that an earlier attempt may have executed nobody says that nothing was done. */
static void refuse(struct guarded *g, enum err e, uint32_t wait_ms, const char *what)
{
    struct call *call = g->call;
    bool unknown = g->maybe_executed && call->method->pb->mutation;
    release(g);
    if (unknown)
        e = diag_set(&call->diag, ERR_OUTCOME_UNKNOWN, "namespace `%s`: the call was sent, but no answer came; then %s",
                     call->ns->name, what);
    else
        diag_set(&call->diag, e, "namespace `%s`: %s; try again in %u ms", call->ns->name, what, wait_ms);
    call->diag.retry_after_ms = wait_ms;
    call_end(call, e);
}

static void refuse_open(struct guarded *g, uint32_t wait_ms)
{
    char what[REASON_BYTES + 128];
    pthread_mutex_lock(&g->guard->lock);
    g->guard->stats.refused_open++;
    snprintf(what, sizeof what, "its backend has failed repeatedly, no call is sent to it (%s)", g->guard->reason);
    pthread_mutex_unlock(&g->guard->lock);
    refuse(g, ERR_BREAKER_OPEN, wait_ms, what);
}

/* Gives back what a cancelled call holds, and ends it. */
static void end_cancelled(struct guarded *g)
{
    struct guard *guard = g->guard;
    pthread_mutex_lock(&guard->lock);
    leave_bulkhead(g);
    wake(guard, false);
    pthread_mutex_unlock(&guard->lock);
    release(g);
    call_end(g->call, ERR_CANCELLED);
}

/* --- waiting: in the queue, or before another attempt ------------------------------------------------------------------------ */

static void cancelled_in_queue(struct call *call)
{
    struct guarded *g = call->guarded;
    pthread_mutex_lock(&g->guard->lock);
    bool queued = g->queued;
    if (queued) {
        dequeue(g->guard, g);
        bulkhead_give_up(&g->guard->bulkhead);
    }
    pthread_mutex_unlock(&g->guard->lock);
    if (queued) /* else it has been woken: woken() will see that it is cancelled */
        end_cancelled(g);
}

static void cancelled_in_backoff(struct call *call)
{
    struct guarded *g = call->guarded;
    timer_stop(call->loop, &g->timer);
    end_cancelled(g);
}

static void backed_off(struct timer *timer)
{
    struct guarded *g = (struct guarded *)((char *)timer - offsetof(struct guarded, timer));
    g->call->on_cancel = NULL;
    ask(g);
}

static uint64_t now_ns(const struct guard *guard)
{
    return guard->env->monotonic_ns(guard->env);
}

static uint64_t next_attempt_ns(const struct guarded *g)
{
    uint64_t random;
    g->guard->env->random(g->guard->env, &random, sizeof random);
    return now_ns(g->guard) + retry_backoff_ns(g->attempt + 1, random);
}

static void back_off(struct guarded *g, uint64_t until_ns)
{
    struct call *call = g->call;
    call->ended = false;
    call->driver = NULL;
    diag_init(&call->diag, call->diag.arena);
    call->on_cancel = cancelled_in_backoff;
    g->timer.fire = backed_off;
    timer_start(call->loop, &g->timer, until_ns);
}

/* --- the driver has completed ------------------------------------------------------------------------------------------------ */

/* What an attempt says about its backend. Errors that drivers find themselves say nothing. A call that was given up says something
 * if it had time and the backend answered nobody meanwhile. */
static enum breaker_verdict judge(const struct guarded *g, enum err e, uint64_t now)
{
    if (e == OK || err_row(e)->grpc == err_row(ERR_ABORTED)->grpc)
        return BREAKER_SUCCESS;
    if (e != ERR_CANCELLED && e != ERR_DEADLINE_EXCEEDED)
        return outcome_of(e) == OUTCOME_SETTLED ? BREAKER_NEUTRAL : BREAKER_FAILURE;
    bool silent = now - g->sent_ns >= (uint64_t)LIMIT_BREAKER_SILENT_MS * NS_PER_MS &&
                  g->guard->succeeded_ns < g->sent_ns && !g->answered && !method_waits(g->call->method);
    return silent ? BREAKER_FAILURE : BREAKER_NEUTRAL;
}

static void note_failure(struct guard *guard, const struct call *call, enum err e)
{
    bool given_up = e == ERR_CANCELLED || e == ERR_DEADLINE_EXCEEDED;
    guard->stats.failures++;
    snprintf(guard->reason, sizeof guard->reason, "%s",
             given_up ? "it does not answer in time" : diag_message(&call->diag));
}

/* Under the lock. */
static void report(struct guarded *g, enum err e)
{
    struct guard *guard = g->guard;
    uint64_t now = now_ns(guard);
    enum breaker_verdict verdict = judge(g, e, now);
    if (verdict == BREAKER_SUCCESS)
        guard->succeeded_ns = now;
    else if (verdict == BREAKER_FAILURE)
        note_failure(guard, g->call, e);
    bool opened = breaker_report(&guard->breaker, &g->settings->breaker, g->ticket, verdict, now);
    leave_bulkhead(g);
    wake(guard, opened);
}

static enum retry_safety safety_of(const struct call *call)
{
    const struct pb_method *m = call->method->pb;
    return m->idempotent || (m->mutation && call->idempotency_key.size) ? RETRY_SAFE : RETRY_UNSAFE;
}

/* Under the lock: takes from the budget. */
static bool may_repeat(struct guarded *g, enum err e)
{
    const struct call *call = g->call;
    if (!retry_allowed(e, safety_of(call), g->answered) || g->attempt >= g->settings->retry.attempts_max ||
        atomic_load_explicit(&call->cancelled, memory_order_relaxed))
        return false;
    bool taken = retry_budget_take(&g->guard->budget);
    *(taken ? &g->guard->stats.retries : &g->guard->stats.retries_denied) += 1;
    return taken;
}

/* What the caller hears of a failure that is not its own. */
static enum err final_error(struct guarded *g, enum err e)
{
    struct call *call = g->call;
    bool backend_failed = outcome_of(e) != OUTCOME_SETTLED && e != ERR_CANCELLED && e != ERR_DEADLINE_EXCEEDED;
    if (!backend_failed)
        return e;
    call->diag.err = e;
    if (!call->diag.retry_after_ms)
        call->diag.retry_after_ms = LIMIT_RETRY_BACKOFF_MS_MAX;
    if (!g->maybe_executed || !call->method->pb->mutation || call->method->pb->idempotent)
        return e;
    diag_wrap(&call->diag, "the outcome is not known");
    call->diag.err = ERR_OUTCOME_UNKNOWN;
    return ERR_OUTCOME_UNKNOWN;
}

static enum call_flow guard_send(struct call *call, const void *message)
{
    struct guarded *g = call->guarded;
    g->answered = true;
    return g->sink->send(call, message);
}

static void guard_end(struct call *call, enum err e)
{
    struct guarded *g = call->guarded;
    struct guard *guard = g->guard;
    uint64_t again_ns = e ? next_attempt_ns(g) : 0;
    g->maybe_executed |= e == ERR_BACKEND_LOST;
    pthread_mutex_lock(&guard->lock);
    report(g, e);
    bool repeat = e && again_ns < call->deadline_ns && may_repeat(g, e);
    pthread_mutex_unlock(&guard->lock);
    if (call->method->pb->mutation)
        flight_wrote(&guard->flights, call);
    if (repeat) {
        back_off(g, again_ns);
        return;
    }
    e = final_error(g, e);
    release(g);
    g->sink->end(call, e);
}

static const struct call_sink guard_sink = {.send = guard_send, .end = guard_end};

/* --- sending ----------------------------------------------------------------------------------------------------------------- */

static void invoke(struct guarded *g)
{
    struct call *call = g->call;
    struct backend *backend = call->ns->backend;
    g->attempt++;
    g->sent_ns = now_ns(g->guard);
    call->method->invoke(backend->driver->implements[call->method->interface], backend, call, call->request);
}

/* Under the lock: the last question before the driver. */
static bool admit(struct guarded *g, uint32_t *ret_wait_ms)
{
    struct guard *guard = g->guard;
    if (!breaker_admit(&guard->breaker, &g->settings->breaker, now_ns(guard), &g->ticket, ret_wait_ms)) {
        leave_bulkhead(g);
        wake(guard, false);
        return false;
    }
    if (g->attempt == 0) {
        guard->stats.calls++;
        retry_budget_earn(&guard->budget, &g->settings->retry);
    }
    return true;
}

/* The bulkhead has let it in, or the breaker has opened. */
static void woken(struct task *task)
{
    struct guarded *g = (struct guarded *)((char *)task - offsetof(struct guarded, task));
    if (atomic_load_explicit(&g->call->cancelled, memory_order_relaxed)) {
        end_cancelled(g);
        return;
    }
    g->call->on_cancel = NULL;
    if (!g->inside) {
        ask(g);
        return;
    }
    uint32_t wait_ms = 0;
    pthread_mutex_lock(&g->guard->lock);
    bool admitted = admit(g, &wait_ms);
    pthread_mutex_unlock(&g->guard->lock);
    if (admitted)
        invoke(g);
    else
        refuse_open(g, wait_ms);
}

/* Calls that wait for something to happen may be many, and do not keep others from working: no place is counted for them. */
static enum bulkhead_verdict enter(struct guarded *g)
{
    if (method_waits(g->call->method))
        return BULKHEAD_ENTERED;
    enum bulkhead_verdict verdict = bulkhead_enter(&g->guard->bulkhead, &g->settings->bulkhead);
    g->inside = verdict == BULKHEAD_ENTERED;
    return verdict;
}

enum answer { GOES, WAITS, IS_OPEN, IS_FULL };

/* Under the lock. */
static enum answer decide(struct guarded *g, uint32_t *ret_wait_ms)
{
    struct guard *guard = g->guard;
    if (breaker_is_open(&guard->breaker, &g->settings->breaker, now_ns(guard), ret_wait_ms))
        return IS_OPEN;
    switch (enter(g)) {
    case BULKHEAD_ENTERED:
        return admit(g, ret_wait_ms) ? GOES : IS_OPEN;
    case BULKHEAD_QUEUED:
        g->task.run = woken;
        g->call->on_cancel = cancelled_in_queue;
        enqueue(guard, g);
        return WAITS;
    default:
        guard->stats.refused_full++;
        return IS_FULL;
    }
}

static void ask(struct guarded *g)
{
    uint32_t wait_ms = 0;
    pthread_mutex_lock(&g->guard->lock);
    enum answer answer = decide(g, &wait_ms);
    pthread_mutex_unlock(&g->guard->lock);
    if (answer == GOES)
        invoke(g);
    else if (answer == IS_OPEN)
        refuse_open(g, wait_ms);
    else if (answer == IS_FULL)
        refuse(g, ERR_BACKEND_BUSY, LIMIT_RETRY_BACKOFF_MS_MAX, "as many calls wait for its backend as may");
}

static void guard_alone(struct call *call)
{
    struct guarded *g = arena_new(call->arena, struct guarded);
    if (!g) {
        call_end(call, ERR_NOMEM);
        return;
    }
    *g = (struct guarded){
        .call = call, .guard = call->ns->guard, .settings = &call->ns->guard_settings, .sink = call->sink};
    call->guarded = g;
    call->sink = &guard_sink;
    ask(g);
}

void guard_call(struct call *call)
{
    if (call->ns->guard_settings.coalesce_reads && flight_can_share(call))
        flight_get(&call->ns->guard->flights, call);
    else
        guard_alone(call);
}

/* --- the guard itself -------------------------------------------------------------------------------------------------------- */

enum err guard_new(const struct env *env, struct guard **ret_guard)
{
    struct hash_key key;
    struct guard *guard = mem_zalloc(sizeof *guard);
    if (!guard)
        return ERR_NOMEM;
    guard->env = env;
    pthread_mutex_init(&guard->lock, NULL);
    env->random(env, &key, sizeof key);
    flights_init(&guard->flights, &key, guard_alone);
    *ret_guard = guard;
    return OK;
}

void guard_free(struct guard *guard)
{
    if (!guard)
        return;
    assert(!guard->first);
    flights_fini(&guard->flights);
    pthread_mutex_destroy(&guard->lock);
    mem_free(guard);
}

void guard_read_stats(struct guard *guard, const struct guard_settings *settings, struct guard_stats *ret_stats)
{
    uint32_t wait_ms = 0;
    pthread_mutex_lock(&guard->lock);
    *ret_stats = guard->stats;
    breaker_is_open(&guard->breaker, &settings->breaker, now_ns(guard), &wait_ms);
    ret_stats->breaker = guard->breaker.state;
    ret_stats->opened = guard->breaker.opened;
    ret_stats->in_flight = guard->bulkhead.in_flight;
    ret_stats->queued = guard->bulkhead.queued;
    pthread_mutex_unlock(&guard->lock);
    ret_stats->retry_after_ms = wait_ms;
    ret_stats->shared = atomic_load(&guard->flights.shared);
}

enum err guard_probe(struct guard *guard, const struct guard_settings *settings, struct diag *diag)
{
    uint32_t wait_ms = 0;
    pthread_mutex_lock(&guard->lock);
    bool open = breaker_is_open(&guard->breaker, &settings->breaker, now_ns(guard), &wait_ms);
    bool trying = guard->breaker.state != BREAKER_CLOSED && settings->breaker.failures;
    if (open)
        diag_set(diag, ERR_BREAKER_OPEN, "the circuit breaker is open for another %u ms: %s", wait_ms, guard->reason);
    else if (trying)
        diag_set(diag, ERR_BREAKER_OPEN, "the circuit breaker waits for a call that succeeds: %s", guard->reason);
    pthread_mutex_unlock(&guard->lock);
    return trying ? ERR_BREAKER_OPEN : OK;
}
