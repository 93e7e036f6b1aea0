/* Who calls: the identity of a verified TLS client certificate, else nobody in particular. */
#include "proxy/stage.h"

static enum stage_verdict enter(struct passage *p)
{
    p->call.who.name = p->rpc->peer_identity ? p->rpc->peer_identity : "";
    return STAGE_NEXT;
}

const struct stage stage_identify = {.name = "identify", .enter = enter};
