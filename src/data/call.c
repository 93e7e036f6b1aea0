/* What happens to a call between the stage that hands it to a driver and its end (call.h has the states).
 *
 * Invariants: the sink's end is called once; nothing is sent after it; on_cancel is called at most once, and never after the
 * end. `ended` is the loop's own, only `cancelled` is read elsewhere. */
#include "data/call.h"

#include <assert.h>
#include <stdarg.h>

#include "data/slot.h"

static void complete(struct call *call, enum err e)
{
    assert(!call->ended && !call->children);
    call->ended = true;
    call->on_cancel = NULL;
    call->on_resume = NULL;
    if (call->ended_while)
        *call->ended_while = true;
    call->sink->end(call, e);
}

void call_reply(struct call *call, const void *response)
{
    assert(!call->ended);
    call->on_resume = NULL;
    call->sink->send(call, response);
    complete(call, OK);
}

enum call_flow call_send(struct call *call, const void *message)
{
    assert(!call->ended);
    return call->sink->send(call, message);
}

void call_end(struct call *call, enum err e)
{
    complete(call, e);
}

void call_fail(struct call *call, enum err e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(call->arena, format, args);
    va_end(args);
    diag_set(&call->diag, e, "%s", text ? text : err_row(e)->text);
    complete(call, e);
}

static void hop_arrived(struct task *task)
{
    struct call *call = (struct call *)((char *)task - offsetof(struct call, hop_task));
    void (*fn)(struct call *) = call->hop;
    call->hop = NULL;
    fn(call);
}

void call_hop(struct call *call, void (*fn)(struct call *))
{
    assert(!call->hop);
    call->hop = fn;
    call->hop_task.run = hop_arrived;
    loop_post(call->loop, &call->hop_task);
}

void call_cancel(struct call *call)
{
    if (call->ended || atomic_exchange_explicit(&call->cancelled, true, memory_order_relaxed))
        return;
    if (!children_cancel(call))
        return;
    void (*tell)(struct call *) = call->on_cancel;
    call->on_cancel = NULL;
    if (tell)
        tell(call);
}
