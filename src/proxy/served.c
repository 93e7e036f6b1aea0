/* Lists of services and of streams that wait. */
#include "proxy/served.h"

enum err served_add(struct served *s, struct rpc_server *server, const struct pb_service *service,
                    const struct rpc_handlers *handlers, void *context)
{
    if (s->count == SERVED_SERVICES_MAX)
        return ERR_RESOURCE_EXHAUSTED;
    enum err e = rpc_server_add(server, service, handlers, context);
    if (!e)
        s->services[s->count++] = service;
    return e;
}

const struct pb_service *served_find(const struct served *s, struct slice full_name)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (slice_eq(slice_str(s->services[i]->name), full_name))
            return s->services[i];
    return NULL;
}

void waiting_add(struct served *s, struct waiting *w)
{
    w->next = s->waiting;
    w->previous = &s->waiting;
    if (w->next)
        w->next->previous = &w->next;
    s->waiting = w;
}

void waiting_remove(struct waiting *w)
{
    *w->previous = w->next;
    if (w->next)
        w->next->previous = w->previous;
}

void served_drain(struct served *s)
{
    s->draining = true;
    while (s->waiting) {
        struct waiting *w = s->waiting;
        waiting_remove(w);
        w->drain(w);
    }
}
