/* The last stage: finds the method among the operations of the namespace's driver and calls it. From here on the call is the
 * driver's, which completes it now or later. */
#include "proxy/front.h"
#include "proxy/stage.h"

static void list_interfaces(const struct driver *driver, struct buf *out)
{
    const char *separator = "";
    for (enum interface i = 0; i < INTERFACE_COUNT; i++) {
        if (!driver->implements[i])
            continue;
        buf_printf(out, "%s%s", separator, interfaces[i].id);
        separator = ", ";
    }
}

static void list_drivers(const struct driver_registry *drivers, enum interface interface, struct buf *out)
{
    const char *separator = "";
    for (size_t i = 0; i < drivers->count; i++) {
        if (!drivers->drivers[i]->implements[interface])
            continue;
        buf_printf(out, "%s%s", separator, drivers->drivers[i]->name);
        separator = ", ";
    }
}

/* What the backend can do instead, and who could do this. */
static void unsupported(struct passage *p)
{
    struct call *call = &p->call;
    enum interface wanted = call->method->interface;
    struct buf has, offered_by;
    buf_init(&has, 4096);
    buf_init(&offered_by, 4096);
    list_interfaces(call->ns->backend->driver, &has);
    list_drivers(p->front->drivers, wanted, &offered_by);
    diag_set(&call->diag, ERR_INTERFACE_UNSUPPORTED,
             "namespace `%s` is kept by %s, which does not offer %s but: %.*s. Drivers that offer it: %.*s",
             call->ns->name, call->ns->backend->driver->name, interfaces[wanted].id, SLICE_ARG(buf_slice(&has)),
             offered_by.size ? (int)offered_by.size : 4, offered_by.size ? (const char *)offered_by.data : "none");
    diag_meta(&call->diag, "interface", "%s", interfaces[wanted].id);
    diag_meta(&call->diag, "backend_interfaces", "%.*s", SLICE_ARG(buf_slice(&has)));
    diag_meta(&call->diag, "offered_by", "%.*s", SLICE_ARG(buf_slice(&offered_by)));
    buf_fini(&has);
    buf_fini(&offered_by);
    call_end(call, ERR_INTERFACE_UNSUPPORTED);
}

static enum stage_verdict enter(struct passage *p)
{
    struct call *call = &p->call;
    struct backend *backend = call->ns->backend;
    const void *ops = backend->driver->implements[call->method->interface];
    if (ops)
        call->method->invoke(ops, backend, call, call->request);
    else
        unsupported(p);
    return STAGE_DONE;
}

static enum stage_verdict enter_guard(struct passage *p)
{
    if (p->call.ns->backend->driver->implements[p->call.method->interface])
        guard_call(&p->call);
    else
        unsupported(p);
    return STAGE_DONE;
}

const struct stage stage_route = {.name = "route", .enter = enter};
const struct stage stage_guard = {.name = "guard", .enter = enter_guard};
