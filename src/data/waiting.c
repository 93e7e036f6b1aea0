/* Queues of waiters by key (waiting.h has the states).
 *
 * Invariants, under the lock: a queue has at least one waiter; every waiter but the first of its queue is idle, or posted by a
 * drain; a waiter whose hop is
 * under way (posted) stays in its queue until the hop has arrived, so that its call lives. */
#include "data/waiting.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"

enum { IDLE, POSTED, ATTEMPTING, LEFT };

struct waiting_queue {
    struct waiter *first, *last;
    uint32_t key_size;
    uint8_t key[];
};

void waiting_init(struct waiting_room *room, const struct env *env, uint32_t count_max)
{
    struct hash_key secret;
    env->random(env, &secret, sizeof secret);
    pthread_mutex_init(&room->lock, NULL);
    map_init(&room->queues, count_max, &secret);
    room->count = 0;
    room->count_max = count_max;
    room->draining = false;
}

void waiting_fini(struct waiting_room *room)
{
    assert(!room->queues.count);
    map_fini(&room->queues);
    pthread_mutex_destroy(&room->lock);
}

uint32_t waiting_count(const struct waiting_room *room)
{
    return atomic_load_explicit(&room->count, memory_order_relaxed);
}

/* --- queues: under the lock -------------------------------------------------------------------------------------------------- */

static enum err queue_make(struct waiting_room *room, struct slice key, struct waiting_queue **ret_queue)
{
    struct waiting_queue *q = mem_zalloc(sizeof *q + key.size);
    if (!q)
        return ERR_NOMEM;
    q->key_size = (uint32_t)key.size;
    if (key.size)
        memcpy(q->key, key.data, key.size);
    enum err e = map_put(&room->queues, slice_of(q->key, key.size), q, NULL);
    if (e) {
        mem_free(q);
        return e;
    }
    *ret_queue = q;
    return OK;
}

static enum err queue_find(struct waiting_room *room, struct slice key, struct waiting_queue **ret_queue)
{
    *ret_queue = map_get(&room->queues, key);
    return *ret_queue ? OK : queue_make(room, key, ret_queue);
}

static void queue_append(struct waiting_queue *q, struct waiter *w)
{
    w->queue = q;
    w->prev = q->last;
    w->next = NULL;
    if (q->last)
        q->last->next = w;
    else
        q->first = w;
    q->last = w;
}

static void wake(struct waiter *w);

/* Takes the waiter out; whoever is first now has its turn. */
static void queue_remove(struct waiter *w)
{
    struct waiting_queue *q = w->queue;
    bool was_first = q->first == w;
    *(w->prev ? &w->prev->next : &q->first) = w->next;
    *(w->next ? &w->next->prev : &q->last) = w->prev;
    if (q->first) {
        if (was_first)
            wake(q->first);
        return;
    }
    map_remove(&w->room->queues, slice_of(q->key, q->key_size));
    mem_free(q);
}

/* --- attempts: on the call's loop ---------------------------------------------------------------------------------------------- */

/* Takes the lock along and gives it back. */
static void leave(struct waiter *w, enum waiting_end end)
{
    queue_remove(w);
    w->state = LEFT;
    atomic_fetch_sub_explicit(&w->room->count, 1, memory_order_relaxed);
    pthread_mutex_unlock(&w->room->lock);
    timer_stop(w->call->loop, &w->timer);
    w->call->on_cancel = NULL;
    w->end(w, end);
}

static bool has_given_up(const struct waiter *w)
{
    return w->cancelled || w->timed_out;
}

/* Locked at the begin, not at the end. */
static void finish(struct waiter *w, enum waiting_outcome outcome)
{
    if (outcome == WAITING_SERVED) {
        leave(w, WAITING_END_SERVED);
    } else if (has_given_up(w)) {
        leave(w, w->cancelled ? WAITING_END_CANCELLED : WAITING_END_TIMEOUT);
    } else {
        w->state = IDLE;
        pthread_mutex_unlock(&w->room->lock);
    }
}

static bool tries_again(const struct waiter *w, enum waiting_outcome outcome)
{
    return outcome == WAITING_MISSED && w->again && !has_given_up(w);
}

/* Locked at the begin, not at the end. The waiter may be gone then. */
static void attempt(struct waiter *w)
{
    enum waiting_outcome outcome;
    w->state = ATTEMPTING;
    do {
        w->again = false;
        pthread_mutex_unlock(&w->room->lock);
        outcome = w->attempt(w);
        if (outcome == WAITING_PENDING)
            return;
        pthread_mutex_lock(&w->room->lock);
    } while (tries_again(w, outcome));
    finish(w, outcome);
}

void waiting_settle(struct waiter *w, enum waiting_outcome outcome)
{
    assert(outcome != WAITING_PENDING);
    pthread_mutex_lock(&w->room->lock);
    if (tries_again(w, outcome))
        attempt(w);
    else
        finish(w, outcome);
}

static bool has_its_turn(const struct waiter *w)
{
    return w->queue->first == w && !w->cancelled;
}

static void arrived(struct call *call)
{
    struct waiter *w = call->driver;
    pthread_mutex_lock(&w->room->lock);
    if (has_its_turn(w))
        attempt(w);
    else
        finish(w, WAITING_MISSED);
}

static void post(struct waiter *w)
{
    w->state = POSTED;
    call_hop(w->call, arrived);
}

/* Locked. */
static void wake(struct waiter *w)
{
    if (w->state == ATTEMPTING)
        w->again = true;
    if (w->state == IDLE)
        post(w);
}

/* --- giving up: on the call's loop --------------------------------------------------------------------------------------------- */

static void give_up(struct waiter *w, bool *why)
{
    pthread_mutex_lock(&w->room->lock);
    *why = true;
    if (w->state == IDLE)
        finish(w, WAITING_MISSED);
    else
        pthread_mutex_unlock(&w->room->lock);
}

static void cancelled(struct call *call)
{
    struct waiter *w = call->driver;
    give_up(w, &w->cancelled);
}

static void fired(struct timer *timer)
{
    struct waiter *w = (struct waiter *)((char *)timer - offsetof(struct waiter, timer));
    give_up(w, &w->timed_out);
}

/* Locked. */
static void drain_queue(struct waiting_queue *q)
{
    for (struct waiter *w = q->first; w; w = w->next) {
        w->timed_out = true;
        wake(w);
    }
}

void waiting_drain(struct waiting_room *room)
{
    void *q;
    pthread_mutex_lock(&room->lock);
    room->draining = true;
    for (uint32_t at = 0; map_next(&room->queues, &at, NULL, &q);)
        drain_queue(q);
    pthread_mutex_unlock(&room->lock);
}

/* --- coming -------------------------------------------------------------------------------------------------------------------- */

static enum err too_many(const struct waiting_room *room, struct diag *diag)
{
    diag_set(diag, ERR_WAITING_LIMIT, "%u calls of the namespace wait already, more are not taken", room->count_max);
    return ERR_WAITING_LIMIT;
}

/* Locked. */
static enum err enter(struct waiting_room *room, struct waiter *w)
{
    struct waiting_queue *q;
    if (waiting_count(room) >= room->count_max)
        return too_many(room, &w->call->diag);
    enum err e = queue_find(room, w->key, &q);
    if (e)
        return e;
    w->room = room;
    w->state = IDLE;
    w->timed_out = room->draining;
    queue_append(q, w);
    /* Before the first attempt looks: whoever puts something later sees the count (waiting_notify). */
    atomic_fetch_add(&room->count, 1);
    return OK;
}

enum err waiting_enter(struct waiting_room *room, struct waiter *w)
{
    struct call *call = w->call;
    pthread_mutex_lock(&room->lock);
    enum err e = enter(room, w);
    if (e) {
        pthread_mutex_unlock(&room->lock);
        return e;
    }
    w->timer = (struct timer){.fire = fired};
    timer_start(call->loop, &w->timer, loop_now_ns(call->loop) + (uint64_t)w->timeout_ms * 1000000);
    call->driver = w;
    call->on_cancel = cancelled;
    if (has_its_turn(w))
        attempt(w);
    else if (has_given_up(w))
        finish(w, WAITING_MISSED);
    else
        pthread_mutex_unlock(&room->lock);
    return OK;
}

void waiting_notify(struct waiting_room *room, struct slice key)
{
    if (!atomic_load(&room->count))
        return;
    pthread_mutex_lock(&room->lock);
    struct waiting_queue *q = map_get(&room->queues, key);
    if (q)
        wake(q->first);
    pthread_mutex_unlock(&room->lock);
}
