/* One unary call that blocks its thread by turning the loop: for command line programs. */
#include "rpc/client_internal.h"

struct unary {
    struct arena *arena;
    struct diag *diag;
    struct slice response;
    bool has_response;
    bool done;
    enum err err;
};

void client_copy_diag(struct diag *to, const struct diag *from)
{
    if (!to)
        return;
    diag_set(to, from->err, "%s", diag_message(from));
    for (const struct diag_item *i = from->fields; i; i = i->next)
        diag_field(to, i->name, "%s", i->value);
    for (const struct diag_item *i = from->metadata; i; i = i->next)
        diag_meta(to, i->name, "%s", i->value);
    for (const struct diag_item *i = from->preconditions; i; i = i->next)
        diag_precondition(to, i->name, "%s", i->value);
    if (from->resource_type)
        diag_resource(to, from->resource_type, from->resource_name);
    to->retry_after_ms = from->retry_after_ms;
}

static void on_message(struct rpc_client_call *call, struct slice message)
{
    struct unary *u = rpc_client_call_user(call);
    u->has_response = true;
    if (!arena_copy(u->arena, message, &u->response))
        u->err = ERR_NOMEM;
}

static void on_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct unary *u = rpc_client_call_user(call);
    u->done = true;
    if (status) {
        u->err = diag->err ? diag->err : err_from_grpc(status);
        client_copy_diag(u->diag, diag);
    } else if (!u->has_response) {
        u->err = diag_set(u->diag, ERR_INTERNAL, "the server sent no message");
    }
}

enum err rpc_client_unary(struct rpc_client *client, const struct rpc_client_call_options *options,
                          struct slice request, struct arena *arena, struct diag *diag, struct slice *ret_response)
{
    static const struct rpc_client_events events = {.on_message = on_message, .on_end = on_end};
    struct unary u = {.arena = arena, .diag = diag};
    struct rpc_client_call *call;
    enum err e = rpc_client_call(client, options, &events, &u, &call);
    if (e)
        return diag_set(diag, e, "%s: %s", options->path, err_row(e)->text);
    rpc_client_send(call, request);
    rpc_client_send_end(call);
    while (!u.done)
        loop_turn(client->loop, true);
    if (!u.err)
        *ret_response = u.response;
    return u.err;
}
