#include "proxy/condition.h"

enum condition namespace_condition(const struct namespace *ns, struct diag *diag)
{
    enum err e = ns->backend->driver->probe(ns->backend, diag);
    if (!ns->guard)
        return e ? CONDITION_DOWN : CONDITION_OK;
    if (!e)
        e = guard_probe(ns->guard, &ns->guard_settings, diag);
    return e ? CONDITION_DEGRADED : CONDITION_OK;
}

const char *condition_name(enum condition condition)
{
    static const char *const names[] = {"ok", "degraded", "down"};
    return names[condition];
}
