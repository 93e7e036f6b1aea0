#include "data/slot.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"

/* --- when configuration is loaded -------------------------------------------------------------------------------------------- */

static enum err lacks(const struct slot_spec *spec, const struct namespace *ns, enum interface missing,
                      struct diag *diag)
{
    const struct driver *driver = ns->backend->driver;
    diag_set(diag, ERR_CONFIG_INVALID,
             "slot `%s` needs %s, which %s, the driver of namespace `%s`, does not offer; bind it to another namespace",
             spec->name, interfaces[missing].id, driver->name, ns->name);
    return ERR_CONFIG_INVALID;
}

enum err slot_bind(const struct slot_spec *spec, struct namespace *ns, struct diag *diag, struct slot *ret_slot)
{
    if (!ns && !spec->optional)
        return diag_set(diag, ERR_CONFIG_INVALID, "slot `%s` is not bound; name a namespace for it", spec->name);
    for (size_t i = 0; ns && i < spec->required_count; i++)
        if (!ns->backend->driver->implements[spec->required[i]])
            return lacks(spec, ns, spec->required[i], diag);
    *ret_slot = (struct slot){.spec = spec, .ns = ns ? namespace_ref(ns) : NULL};
    return OK;
}

void slot_unbind(struct slot *slot)
{
    if (slot->ns)
        namespace_unref(slot->ns);
    slot->ns = NULL;
}

bool slot_offers(const struct slot *slot, enum interface interface)
{
    return slot->ns && slot->ns->backend->driver->implements[interface];
}

/* --- child calls ------------------------------------------------------------------------------------------------------------- */

static void leave_parent(struct child *c)
{
    struct child **link = &c->parent->children;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
}

static enum call_flow child_send(struct call *call, const void *message)
{
    struct child *c = (struct child *)call;
    return c->events->on_message ? c->events->on_message(c, message) : CALL_GO;
}

static void child_end(struct call *call, enum err e)
{
    struct child *c = (struct child *)call;
    leave_parent(c);
    c->events->on_end(c, e);
    namespace_unref(call->ns);
    arena_fini(&c->arena);
    mem_free(c);
}

static const struct call_sink child_sink = {.send = child_send, .end = child_end};

static void inherit(struct child *c, const struct slot *slot, struct call *parent, const struct method *method)
{
    arena_init(&c->arena, LIMIT_CALL_ARENA_BYTES);
    c->call.method = method;
    c->call.ns = namespace_ref(slot->ns);
    c->call.who = parent->who;
    c->call.loop = parent->loop;
    c->call.arena = &c->arena;
    c->call.deadline_ns = parent->deadline_ns;
    c->call.request_id = parent->request_id;
    c->call.traceparent = parent->traceparent;
    c->call.sink = &child_sink;
    diag_init(&c->call.diag, &c->arena);
}

enum err slot_call(const struct slot *slot, struct call *parent, enum method_id id, const void *request,
                   const struct child_events *events, void *user)
{
    const struct method *method = &methods[id];
    assert(slot_offers(slot, method->interface) && !parent->ended);
    struct child *c = mem_zalloc(sizeof *c);
    if (!c)
        return ERR_NOMEM;
    inherit(c, slot, parent, method);
    c->call.request = request;
    c->parent = parent;
    c->slot = slot;
    c->events = events;
    c->user = user;
    c->next = parent->children;
    parent->children = c;
    struct backend *backend = slot->ns->backend;
    if (slot->ns->guard)
        guard_call(&c->call);
    else
        method->invoke(backend->driver->implements[method->interface], backend, &c->call, request);
    return OK;
}

void child_resume(struct child *c)
{
    void (*tell)(struct call *) = c->call.on_resume;
    c->call.on_resume = NULL;
    if (tell)
        tell(&c->call);
}

static struct child *not_told(const struct call *parent)
{
    struct child *c = parent->children;
    while (c && atomic_load_explicit(&c->call.cancelled, memory_order_relaxed))
        c = c->next;
    return c;
}

/* A cancelled child may end at once and take its siblings, even its parent with it. */
bool children_cancel(struct call *parent)
{
    bool ended = false;
    parent->ended_while = &ended;
    for (struct child *c = not_told(parent); c; c = ended ? NULL : not_told(parent))
        call_cancel(&c->call);
    if (!ended)
        parent->ended_while = NULL;
    return !ended;
}
