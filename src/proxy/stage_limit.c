/* Refuses calls past what the proxy takes at the same time, before anything is made for them. Each loop has its share, so that no
 * counter is contended; and once the time to drain is over, nothing new begins. */
#include "proxy/front.h"
#include "proxy/stage.h"

enum { RETRY_AFTER_MS = 100 };

static enum stage_verdict refuse(struct passage *p, enum err e, const char *why)
{
    diag_set(&p->call.diag, e, "%s", why);
    p->call.diag.retry_after_ms = RETRY_AFTER_MS;
    call_end(&p->call, e);
    return STAGE_DONE;
}

static enum stage_verdict enter(struct passage *p)
{
    struct front *front = p->front;
    if (front->closed)
        return refuse(p, ERR_DRAINING, err_row(ERR_DRAINING)->text);
    if (front->calls_in_flight >= front->calls_max)
        return refuse(p, ERR_TOO_MANY_CALLS, err_row(ERR_TOO_MANY_CALLS)->text);
    front->calls_in_flight++;
    return STAGE_NEXT;
}

static void leave(struct passage *p, enum err e)
{
    (void)e;
    p->front->calls_in_flight--;
}

const struct stage stage_limit = {.name = "limit", .enter = enter, .leave = leave};
