/* BlockingPopLeft, BlockingPopRight (data/waiting.h has the states).
 *
 *   attempt ──▶ script: take ──value──▶ served
 *                   └──nothing──▶ watched (watch.h) ──▶ missed: until a push is heard of
 *
 * A value that comes for a caller who has gone meanwhile is put back where it was; with an idempotency key it is kept for the retry. */
#include "drivers/redis/list.h"
#include "drivers/redis/watch.h"
#include "prism/list/v1/list_blocking.ops.h"

struct blocking_pop {
    struct redis_operation operation; /* without parts: the room has the call's on_cancel */
    struct waiter waiter;
    struct redis_watched watched;
    struct redis_watcher *watcher;
    struct list_pop pop;
    struct arena arena; /* of an attempt */
    struct diag diag;
    enum err err;
    struct resp answer; /* {fingerprint or '', {1, value}} */
    bool starting;      /* an attempt that is done at once tells by what it returns */
    enum waiting_outcome outcome;
};

static struct blocking_pop *of(struct waiter *w)
{
    return (struct blocking_pop *)((char *)w - offsetof(struct blocking_pop, waiter));
}

static void settle(struct blocking_pop *p, enum waiting_outcome outcome)
{
    p->outcome = outcome;
    if (!p->starting)
        waiting_settle(&p->waiter, outcome);
}

static struct redis_command *new_command(struct blocking_pop *p, const char *method, redis_command_fn *done)
{
    struct redis_operation *o = &p->operation;
    struct redis_command *c = redis_command_new(o->local, &p->arena, &p->diag, p->watcher->bucket, done, p);
    if (!c)
        return NULL;
    o->now_ms = loop_realtime_ms(o->call->loop);
    redis_command_script(c, REDIS_LIST, o->now_ms);
    resp_put(&c->words, slice_str(method));
    redis_put_idempotency(o, &c->words);
    resp_put(&c->words, p->pop.key);
    return c;
}

/* --- putting back --------------------------------------------------------------------------------------------------------------- */

/* Whatever became of it, there is nothing for this caller. */
static void put_back_done(struct redis_command *c, enum err e, const struct resp *reply)
{
    struct blocking_pop *p = c->owner;
    (void)reply;
    if (!e)
        waiting_notify(&p->operation.backend->pops, p->pop.key);
    settle(p, WAITING_MISSED);
}

static void put_back(struct blocking_pop *p, struct slice value)
{
    struct redis_command *c = new_command(p, "push", put_back_done);
    if (!c) {
        settle(p, WAITING_MISSED);
        return;
    }
    resp_put(&c->words, p->pop.end == LIST_LEFT ? SLICE("LPUSH") : SLICE("RPUSH"));
    resp_put(&c->words, value);
    redis_send(c);
}

/* --- attempts ------------------------------------------------------------------------------------------------------------------- */

static void attempted(struct redis_command *c, enum err e, const struct resp *reply)
{
    struct blocking_pop *p = c->owner;
    const struct resp *result = e ? NULL : resp_at(reply, 1);
    p->err = e;
    if (e) {
        settle(p, WAITING_SERVED);
        return;
    }
    p->answer = *reply;
    if (!resp_at(result, 0)->integer) {
        redis_watch_from(p->watcher, resp_at(result, 1)->text);
        settle(p, WAITING_MISSED);
    } else if (atomic_load_explicit(&p->operation.call->cancelled, memory_order_relaxed) && !p->operation.idem.used) {
        put_back(p, resp_at(result, 1)->text);
    } else {
        settle(p, WAITING_SERVED);
    }
}

static enum waiting_outcome attempt(struct waiter *w)
{
    struct blocking_pop *p = of(w);
    arena_reset(&p->arena);
    diag_init(&p->diag, &p->arena);
    struct redis_command *c = new_command(p, "take", attempted);
    if (!c) {
        p->err = ERR_NOMEM;
        return WAITING_SERVED;
    }
    resp_put(&c->words, p->pop.end == LIST_LEFT ? SLICE("LPOP") : SLICE("RPOP"));
    p->starting = true;
    p->outcome = WAITING_PENDING;
    redis_send(c);
    p->starting = false;
    return p->outcome;
}

/* --- the end -------------------------------------------------------------------------------------------------------------------- */

static void answer(struct blocking_pop *p)
{
    struct redis_operation *o = &p->operation;
    struct redis_part part = {.reply = p->answer};
    const struct resp *result;
    if (p->err) {
        diag_set(&o->call->diag, p->err, "%s", diag_message(&p->diag));
        redis_operation_fail(o, p->err);
    } else if (redis_part_results(o, &part, &result)) {
        call_reply(o->call,
                   &(struct list_blocking_pop_left_response){.found = true, .value = resp_at(result, 1)->text});
    }
}

/* The value lies in the attempt's arena, which outlives the call's. */
static void end(struct waiter *w, enum waiting_end how)
{
    struct blocking_pop *p = of(w);
    struct call *call = w->call;
    struct arena arena = p->arena;
    redis_watch_leave(p->watcher, &p->watched);
    if (how == WAITING_END_SERVED)
        answer(p);
    else if (how == WAITING_END_TIMEOUT)
        call_reply(call, &(struct list_blocking_pop_left_response){0});
    else
        call_end(call, ERR_CANCELLED);
    arena_fini(&arena);
}

static enum err make(struct blocking_pop *p, struct call *call)
{
    struct redis_operation *o = &p->operation;
    p->waiter = (struct waiter){.call = call, .attempt = attempt, .end = end};
    enum err e = list_pop_make(call, &p->pop);
    if (!e)
        e = list_timeout(call, &p->waiter.timeout_ms);
    if (!e)
        p->watcher = redis_watcher_of(o->local, redis_bucket_of(&o->backend->layout, p->pop.key));
    p->waiter.key = p->watched.key = p->pop.key;
    return e ? e : p->watcher ? OK : ERR_NOMEM;
}

static void blocking_pop(struct backend *backend, struct call *call)
{
    struct blocking_pop *p = redis_mutation_new(backend, call, sizeof *p, NULL);
    if (!p)
        return;
    enum err e = make(p, call);
    if (!e) {
        arena_init(&p->arena, LIMIT_CALL_ARENA_BYTES);
        redis_watch_enter(p->watcher, &p->watched);
        e = waiting_enter(&p->operation.backend->pops, &p->waiter);
        if (e)
            redis_watch_leave(p->watcher, &p->watched);
    }
    if (e)
        redis_operation_fail(&p->operation, e);
}

static void blocking_pop_left(struct backend *backend, struct call *call,
                              const struct list_blocking_pop_left_request *request)
{
    (void)request;
    blocking_pop(backend, call);
}

static void blocking_pop_right(struct backend *backend, struct call *call,
                               const struct list_blocking_pop_right_request *request)
{
    (void)request;
    blocking_pop(backend, call);
}

const struct list_blocking_ops redis_list_blocking = {.blocking_pop_left = blocking_pop_left,
                                                      .blocking_pop_right = blocking_pop_right};
