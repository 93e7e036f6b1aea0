/* BlockingPopLeft, BlockingPopRight.
 *
 *   loop: enter the room ──▶ attempt ──▶ writer: pop ──▶ loop: settled ──▶ served, or waiting for the next push
 *
 * The writer does not run the pop of a call that has been cancelled, and what it has popped is answered: cancelling after that
 * comes too late. An attempt that finds nothing leaves no answer for its idempotency key. */
#include "drivers/sqlite/list.h"
#include "prism/list/v1/list_blocking.ops.h"

struct blocking_pop {
    struct sqlite_operation operation;
    struct waiter waiter;
    struct list_pop pop;
    struct list_blocking_pop_left_response response;
};

static struct blocking_pop *of(struct waiter *w)
{
    return (struct blocking_pop *)((char *)w - offsetof(struct blocking_pop, waiter));
}

static enum err run_pop(struct sqlite_operation *o)
{
    struct blocking_pop *p = (struct blocking_pop *)o;
    struct slice room;
    struct pb_array values = {.items = &room, .capacity = 1};
    uint64_t length;
    enum err e = sqlite_list_pop(o, &p->pop, &values, &length);
    if (e || !values.count)
        return e;
    p->response = (struct list_blocking_pop_left_response){.found = true, .value = PB_AT(values, struct slice, 0)};
    o->response = &p->response;
    return OK;
}

/* Not run because the call is over: the room ends it as soon as it hears of that. */
static bool is_over(enum err e)
{
    return e == ERR_CANCELLED || e == ERR_DEADLINE_EXCEEDED;
}

static void settled(struct sqlite_operation *o)
{
    struct blocking_pop *p = (struct blocking_pop *)o;
    bool has_answer = (o->outcome && !is_over(o->outcome)) || o->replayed || o->response;
    waiting_settle(&p->waiter, has_answer ? WAITING_SERVED : WAITING_MISSED);
}

static enum waiting_outcome attempt(struct waiter *w)
{
    struct sqlite_operation *o = &of(w)->operation;
    o->outcome = OK;
    enum err e = sqlite_write_begun(o);
    if (!e)
        return WAITING_PENDING; /* it is the writer's now */
    o->outcome = e;
    return WAITING_SERVED;
}

static void end(struct waiter *w, enum waiting_end how)
{
    struct blocking_pop *p = of(w);
    if (how == WAITING_END_SERVED)
        sqlite_reply(&p->operation);
    else if (how == WAITING_END_TIMEOUT)
        call_reply(p->operation.call, &p->response);
    else
        sqlite_refuse(&p->operation, ERR_CANCELLED);
}

static enum err make(struct blocking_pop *p, struct call *call)
{
    struct sqlite_operation *o = &p->operation;
    p->waiter = (struct waiter){.call = call, .attempt = attempt, .end = end};
    o->several = true;
    o->answer = settled;
    enum err e = list_pop_make(call, &p->pop);
    if (!e)
        e = list_timeout(call, &p->waiter.timeout_ms);
    if (!e)
        e = idem_begin(call, sqlite_now_ms(o->store), &o->idem);
    p->waiter.key = p->pop.key;
    return e;
}

static void blocking_pop(struct backend *backend, struct call *call)
{
    struct blocking_pop *p = sqlite_operation_new(backend, call, sizeof *p, run_pop);
    if (!p)
        return;
    enum err e = make(p, call);
    if (!e)
        e = waiting_enter(&p->operation.store->pops, &p->waiter);
    if (e)
        sqlite_refuse(&p->operation, e);
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

const struct list_blocking_ops sqlite_list_blocking = {.blocking_pop_left = blocking_pop_left,
                                                       .blocking_pop_right = blocking_pop_right};
