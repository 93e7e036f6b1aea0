/* From bytes to the method's request, checked against the rules of its proto. HTTP/JSON has been decoded by its reader already. */
#include "base/limits.h"
#include "proxy/stage.h"

static enum err decode(struct passage *p, void **ret_request)
{
    struct call *call = &p->call;
    if (p->message.decoded) {
        *ret_request = p->message.decoded;
        return OK;
    }
    const struct pb_limits limits = {.depth = LIMIT_PB_DEPTH,
                                     .bytes = (size_t)call->ns->message_bytes * LIMIT_DECODE_EXPANSION};
    const struct pb_message *input = call->method->pb->input;
    enum err e = pb_decode(input, p->message.raw, call->arena, &limits, ret_request);
    return e ? diag_set(&call->diag, e, "%s: %s", input->name, err_row(e)->text) : OK;
}

static enum stage_verdict enter(struct passage *p)
{
    struct call *call = &p->call;
    void *request;
    enum err e = decode(p, &request);
    if (!e)
        e = pb_validate(call->method->pb->input, request, &call->diag);
    if (e) {
        call_end(call, e);
        return STAGE_DONE;
    }
    call->request = request;
    call->request_raw = p->message.raw;
    return STAGE_NEXT;
}

const struct stage stage_decode = {.name = "decode", .enter = enter};
