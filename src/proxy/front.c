/* A call of the server on its way in, and the driver's answers on their way out; in the order of events from the end, as C wants
 * it: on_start, on_message, then answer_send and answer_end, then on_finished. */
#include "proxy/front.h"

#include "base/limits.h"
#include "proxy/measure.h"
#include "proxy/nearest.h"

/* --- answers: from the driver to the network --------------------------------------------------------------------------------- */

static enum call_flow answer_send(struct call *call, const void *message)
{
    return rpc_send(passage_of(call)->rpc, message) == FLOW_GO ? CALL_GO : CALL_HOLD;
}

static void answer_end(struct call *call, enum err e)
{
    struct passage *p = passage_of(call);
    stages_leave(p, e);
    p->rpc->diag = call->diag;
    rpc_finish(p->rpc, e);
}

static const struct call_sink sink = {.send = answer_send, .end = answer_end};

/* --- the namespace ----------------------------------------------------------------------------------------------------------- */

static enum err namespace_missing(struct rpc_call *rpc)
{
    return diag_set(&rpc->diag, ERR_NAMESPACE_MISSING, "%s", err_row(ERR_NAMESPACE_MISSING)->text);
}

static enum err namespace_unknown(const struct front *front, struct rpc_call *rpc)
{
    struct nearest near = {.word = rpc->namespace_name};
    for (uint32_t i = 0; i < front->snapshot->count; i++)
        nearest_offer(&near, slice_str(front->snapshot->namespaces[i].ns.name));
    int shown = rpc->namespace_name.size < LIMIT_NAMESPACE_NAME_BYTES ? (int)rpc->namespace_name.size
                                                                      : LIMIT_NAMESPACE_NAME_BYTES;
    diag_set(&rpc->diag, ERR_NAMESPACE_UNKNOWN,
             near.best.data ? "there is no namespace `%.*s`: did you mean `%.*s`?" : "there is no namespace `%.*s`%.*s",
             shown, (const char *)rpc->namespace_name.data, SLICE_ARG(near.best));
    diag_resource(&rpc->diag, "namespace",
                  arena_printf(rpc->arena, "%.*s", shown, (const char *)rpc->namespace_name.data));
    if (near.best.data)
        diag_meta(&rpc->diag, "did_you_mean", "%.*s", SLICE_ARG(near.best));
    return ERR_NAMESPACE_UNKNOWN;
}

/* Calls ask twice, and one after the other for the same: hashing its name each time cost more than finding the key. */
static struct proxy_namespace *look_up(struct front *front, struct slice name)
{
    if (front->recent && slice_eq(name, slice_str(front->recent->ns.name)))
        return front->recent;
    struct proxy_namespace *ns = snapshot_find(front->snapshot, name);
    if (ns)
        front->recent = ns;
    return ns;
}

static enum err find_namespace(struct front *front, struct rpc_call *rpc, struct proxy_namespace **ret_ns)
{
    if (!rpc->namespace_name.size)
        return namespace_missing(rpc);
    *ret_ns = look_up(front, rpc->namespace_name);
    return *ret_ns ? OK : namespace_unknown(front, rpc);
}

/* --- the call ---------------------------------------------------------------------------------------------------------------- */

static const struct method *method_of(const struct front_interface *interface, const struct pb_method *pb)
{
    return &methods[interface->row->method_first + (uint32_t)(pb - interface->row->service->methods)];
}

static void fill(struct passage *p, struct rpc_call *rpc, const struct front_interface *interface,
                 struct proxy_namespace *ns)
{
    p->rpc = rpc;
    p->front = interface->front;
    p->stages = ns->stages;
    p->call = (struct call){
        .method = method_of(interface, rpc->method),
        .ns = lease_begin(&ns->leases[loop_id(rpc->loop)], &ns->ns),
        .who = {.name = ""},
        .loop = rpc->loop,
        .arena = rpc->arena,
        .deadline_ns = rpc->deadline_ns,
        .idempotency_key = rpc_metadata(rpc, "prism-idempotency-key"),
        .request_id = rpc->request_id,
        .traceparent = rpc->traceparent,
        .sink = &sink,
    };
    diag_init(&p->call.diag, rpc->arena);
}

static void on_start(struct rpc_call *rpc)
{
    const struct front_interface *interface = rpc->context;
    struct proxy_namespace *ns = NULL;
    enum err e = find_namespace(interface->front, rpc, &ns);
    struct passage *p = e ? NULL : arena_new(rpc->arena, struct passage);
    if (!p) {
        rpc_finish(rpc, e ? e : ERR_NOMEM);
        return;
    }
    fill(p, rpc, interface, ns);
    rpc->user = p;
}

/* All data methods so far take one message. */
static void on_message(struct rpc_call *rpc, const struct rpc_message *message)
{
    struct passage *p = rpc->user;
    p->message = *message;
    stages_enter(p);
}

static void on_end(struct rpc_call *rpc)
{
    (void)rpc;
}

static void on_ready(struct rpc_call *rpc)
{
    struct passage *p = rpc->user;
    if (p->call.on_resume)
        p->call.on_resume(&p->call);
}

/* Before the message has come nobody else knows of the call: it ends here. */
static void on_cancel(struct rpc_call *rpc, enum err e)
{
    struct passage *p = rpc->user;
    if (p->call.request)
        call_cancel(&p->call);
    else
        rpc_finish(rpc, e);
}

static const struct rpc_handlers handlers = {
    .on_start = on_start, .on_message = on_message, .on_end = on_end, .on_ready = on_ready, .on_cancel = on_cancel};

/* --- what the server asks ---------------------------------------------------------------------------------------------------- */

static uint32_t message_limit(void *context, struct rpc_call *rpc)
{
    const struct proxy_namespace *ns = look_up(context, rpc->namespace_name);
    return ns && rpc->method->service->interface_id ? ns->ns.message_bytes : LIMIT_MESSAGE_BYTES;
}

/* The last that is heard of a call of any service: figures, log line, and the namespace is let go. */
static void on_finished(void *context, struct rpc_call *rpc, enum err e, uint64_t bytes_in, uint64_t bytes_out)
{
    struct front *front = context;
    struct passage *p = rpc->method->service->interface_id ? rpc->user : NULL;
    struct namespace *ns = p ? p->call.ns : NULL;
    measure_call(front->measure, rpc, ns, e, bytes_in, bytes_out);
    access_log(front->log, front->snapshot, rpc, ns, e);
    if (ns)
        lease_end(&((struct proxy_namespace *)ns)->leases[loop_id(front->loop)], ns);
}

static void on_offence(void *context, const struct rpc_offence *offence)
{
    struct front *front = context;
    access_log_offence(front->log, front->snapshot, &front->offence_lines, offence, loop_now_ns(front->loop));
}

/* --- making one -------------------------------------------------------------------------------------------------------------- */

void front_init(struct front *front, struct loop *loop, struct snapshot *snapshot,
                const struct driver_registry *drivers, uint32_t calls_max)
{
    *front = (struct front){.loop = loop, .snapshot = snapshot, .drivers = drivers, .calls_max = calls_max};
    for (enum interface i = 0; i < INTERFACE_COUNT; i++)
        front->interfaces[i] = (struct front_interface){front, &interfaces[i]};
}

void front_fini(struct front *front)
{
    if (front->snapshot)
        snapshot_leave(front->snapshot, loop_id(front->loop));
    snapshot_unref(front->snapshot);
    front->snapshot = NULL;
    front->recent = NULL;
}

struct rpc_server_options front_server_options(struct front *front)
{
    return (struct rpc_server_options){.loop = front->loop,
                                       .message_bytes_max = LIMIT_MESSAGE_BYTES,
                                       .message_limit = message_limit,
                                       .on_finished = on_finished,
                                       .on_offence = on_offence,
                                       .context = front};
}

enum err front_serve(struct front *front, struct rpc_server *server)
{
    enum err e = OK;
    for (enum interface i = 0; i < INTERFACE_COUNT && !e; i++)
        e = rpc_server_add(server, interfaces[i].service, &handlers, &front->interfaces[i]);
    return e;
}

void front_swap(struct front *front, struct snapshot *snapshot)
{
    struct snapshot *old = front->snapshot;
    front->snapshot = snapshot;
    front->recent = NULL;
    snapshot_leave(old, loop_id(front->loop));
    snapshot_unref(old);
}
