/* BlockingPopLeft, BlockingPopRight.
 *
 *   enter the room ──▶ attempt: a pop is sent ──▶ settled ──▶ served, or waiting for the next push
 *
 * A push through this proxy wakes who waits as soon as it is committed. What another proxy pushes is found by looking again, every
 * LIMIT_POSTGRES_LOOK_MS for the first waiter of each list: NOTIFY would take a lock of the whole server in each commit that pushes.
 * What has been popped is answered: cancelling after that comes too late. An attempt that finds nothing leaves no answer for its
 * idempotency key. */
#include "data/waiting.h"
#include "drivers/postgres/list.h"
#include "prism/list/v1/list_blocking.ops.h"

struct blocking_pop {
    struct postgres_operation operation;
    struct waiter waiter;
    struct timer look; /* again */
    struct list_pop pop;
    struct list_blocking_pop_left_response response;
};

static struct blocking_pop *of(struct waiter *w)
{
    return (struct blocking_pop *)((char *)w - offsetof(struct blocking_pop, waiter));
}

/* --- an attempt -------------------------------------------------------------------------------------------------------------- */

static enum err put_pop(struct postgres_operation *o, struct postgres_unit *u)
{
    return postgres_put_pop(u, &((struct blocking_pop *)o)->pop);
}

static enum err take_pop(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct blocking_pop *p = (struct blocking_pop *)o;
    (void)index;
    if (!PQntuples(r))
        return OK;
    p->response.found = true;
    o->response = &p->response;
    return arena_copy(o->call->arena, postgres_bytes(r, 0, 0), &p->response.value) ? OK : ERR_NOMEM;
}

static void settled(struct postgres_operation *o)
{
    struct blocking_pop *p = (struct blocking_pop *)o;
    waiting_settle(&p->waiter, o->outcome || o->replayed || o->response ? WAITING_SERVED : WAITING_MISSED);
}

static enum waiting_outcome attempt(struct waiter *w)
{
    struct postgres_operation *o = &of(w)->operation;
    o->outcome = postgres_submit_quietly(o);
    return o->outcome ? WAITING_SERVED : WAITING_PENDING;
}

/* --- waiting ----------------------------------------------------------------------------------------------------------------- */

static void look_again(struct timer *t)
{
    struct blocking_pop *p = (struct blocking_pop *)((char *)t - offsetof(struct blocking_pop, look));
    struct loop *loop = p->operation.call->loop;
    timer_start(loop, t, loop_now_ns(loop) + (uint64_t)LIMIT_POSTGRES_LOOK_MS * 1000000);
    waiting_notify(&p->operation.store->pops, p->pop.key);
}

static void end(struct waiter *w, enum waiting_end how)
{
    struct blocking_pop *p = of(w);
    struct postgres_operation *o = &p->operation;
    timer_stop(o->call->loop, &p->look);
    o->answer = NULL;
    if (how == WAITING_END_TIMEOUT)
        o->response = &p->response;
    postgres_finish(o, how == WAITING_END_CANCELLED ? postgres_gone(o->call)
                       : how == WAITING_END_TIMEOUT ? OK
                                                    : o->outcome);
}

static enum err make(struct blocking_pop *p, struct call *call)
{
    struct postgres_operation *o = &p->operation;
    p->waiter = (struct waiter){.call = call, .attempt = attempt, .end = end};
    p->look.fire = look_again;
    o->put = put_pop;
    o->take = take_pop;
    o->answer = settled;
    enum err e = list_pop_make(call, &p->pop);
    if (!e)
        e = list_timeout(call, &p->waiter.timeout_ms);
    if (!e)
        e = idem_begin(call, o->now_ms, &o->idem);
    p->waiter.key = p->pop.key;
    return e;
}

static void blocking_pop(struct backend *backend, struct call *call)
{
    struct blocking_pop *p = postgres_operation_new(backend, call, sizeof *p, CLASS_WRITE);
    if (!p)
        return;
    enum err e = make(p, call);
    if (!e) {
        timer_start(call->loop, &p->look, loop_now_ns(call->loop) + (uint64_t)LIMIT_POSTGRES_LOOK_MS * 1000000);
        e = waiting_enter(&p->operation.store->pops, &p->waiter);
    }
    if (!e)
        return;
    timer_stop(call->loop, &p->look);
    p->operation.answer = NULL;
    postgres_finish(&p->operation, e);
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

const struct list_blocking_ops postgres_list_blocking = {.blocking_pop_left = blocking_pop_left,
                                                         .blocking_pop_right = blocking_pop_right};

/* Pushes and Insert begin with the key. */
void postgres_list_grew(struct postgres_operation *o)
{
    const struct list_insert_request *request = o->call->request;
    waiting_notify(&o->store->pops, request->key);
}
