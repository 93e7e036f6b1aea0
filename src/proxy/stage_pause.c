/* Refuses writes of a namespace that takes none for a while (pause_writes), so that its data can be moved. Reads go on. Clients that
 * repeat calls which end with UNAVAILABLE notice a delay. */
#include "pb/bootstrap/options.pb.h"
#include "proxy/stage.h"

enum { RETRY_AFTER_MS = 100 };

static bool writes(const struct pb_method *m)
{
    return m->mutation || m->permission == PERMISSION_WRITE;
}

static enum stage_verdict enter(struct passage *p)
{
    struct call *call = &p->call;
    if (!writes(call->method->pb))
        return STAGE_NEXT;
    diag_set(&call->diag, ERR_WRITES_PAUSED, "namespace `%s` takes no writes for a moment; try again", call->ns->name);
    call->diag.retry_after_ms = RETRY_AFTER_MS;
    call_end(call, ERR_WRITES_PAUSED);
    return STAGE_DONE;
}

const struct stage stage_pause = {.name = "pause", .enter = enter};
