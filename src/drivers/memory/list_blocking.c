/* Pops that wait (data/waiting.h has the states). An attempt is a pop as any other, under the call's idempotency record where it has
 * one; of two calls with one key the one that comes second to a value is given the first one's. */
#include "prism/list/v1/list_blocking.ops.h"

#include "data/list.h"
#include "drivers/memory/internal.h"

struct blocked {
    struct waiter waiter; /* the first member */
    struct memory *memory;
    struct list_pop pop;
    struct settled settled;
    struct list_pop_left_response *popped;
    struct list_blocking_pop_left_response response;
};

static struct blocked *blocked_of(struct call *call)
{
    return call->driver;
}

/* No answer where there is no value: then nothing is kept. */
static enum err pop_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                         const void **ret_response)
{
    struct blocked *b = blocked_of(call);
    (void)request, (void)now_ms;
    enum err e = memory_list_pop(m, call, &b->pop, b->popped);
    if (e || !b->popped->values.count)
        return e;
    b->response =
        (struct list_blocking_pop_left_response){.found = true, .value = PB_AT(b->popped->values, struct slice, 0)};
    *ret_response = &b->response;
    return OK;
}

static enum waiting_outcome attempt(struct waiter *w)
{
    struct blocked *b = (struct blocked *)w;
    struct settled *s = &b->settled;
    memory_mutate_once(b->memory, w->call, pop_once, s);
    return s->err || s->response || s->replayed ? WAITING_SERVED : WAITING_MISSED;
}

/* Looks once more for an answer of an earlier call with the same key; an answer without a value is not kept: nothing was done. */
static enum err nothing_came(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                             const void **ret_response)
{
    (void)m, (void)call, (void)request, (void)now_ms, (void)ret_response;
    return OK;
}

static void end_without(struct blocked *b, struct call *call)
{
    struct settled *s = &b->settled;
    memory_mutate_once(b->memory, call, nothing_came, s);
    if (!s->replayed)
        s->response = &b->response;
    memory_settled_answer(call, s);
}

static void end(struct waiter *w, enum waiting_end how)
{
    struct blocked *b = (struct blocked *)w;
    if (how == WAITING_END_SERVED)
        memory_settled_answer(w->call, &b->settled);
    else if (how == WAITING_END_TIMEOUT)
        end_without(b, w->call);
    else
        call_end(w->call, ERR_CANCELLED);
}

static enum err begin(struct blocked *b, struct call *call)
{
    enum err e = list_pop_make(call, &b->pop);
    if (!e)
        e = list_timeout(call, &b->waiter.timeout_ms);
    if (!e)
        e = idem_begin(call, store_now_ms(&b->memory->store), &b->settled.idem);
    if (!e && !(b->popped = list_pop_answer(call, 1)))
        e = ERR_NOMEM;
    b->waiter.call = call;
    b->waiter.key = b->pop.key;
    b->waiter.attempt = attempt;
    b->waiter.end = end;
    return e ? e : waiting_enter(&b->memory->waiting, &b->waiter);
}

static void pop(struct backend *backend, struct call *call)
{
    struct blocked *b = arena_new(call->arena, struct blocked);
    if (!b) {
        call_end(call, ERR_NOMEM);
        return;
    }
    b->memory = (struct memory *)backend;
    enum err e = begin(b, call);
    if (e)
        call_end(call, e);
}

static void blocking_pop_left(struct backend *backend, struct call *call,
                              const struct list_blocking_pop_left_request *r)
{
    (void)r;
    pop(backend, call);
}

static void blocking_pop_right(struct backend *backend, struct call *call,
                               const struct list_blocking_pop_right_request *r)
{
    (void)r;
    pop(backend, call);
}

const struct list_blocking_ops memory_list_blocking = {.blocking_pop_left = blocking_pop_left,
                                                       .blocking_pop_right = blocking_pop_right};
