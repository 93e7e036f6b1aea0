/* prism.admin.v1.ProxyAdmin on the metrics port: what this process serves, and reloading its configuration. */
#include "base/limits.h"
#include "base/mem.h"
#include "google/protobuf/timestamp.pb.h"
#include "prism/admin/v1/proxy_admin.pb.h"
#include "proxy/condition.h"
#include "proxy/internal.h"

static bool set_time(struct arena *arena, int64_t ms, struct google_protobuf_timestamp **field)
{
    *field = pb_new(&google_protobuf_timestamp_pb, arena);
    if (!*field)
        return false;
    (*field)->seconds = ms / 1000;
    (*field)->nanos = (int32_t)(ms % 1000) * 1000000;
    return true;
}

static bool add_text(struct arena *arena, struct pb_array *list, struct slice text)
{
    struct slice *item = pb_array_add(list, sizeof *item, arena);
    if (item)
        *item = text;
    return item;
}

static bool add_interfaces(struct arena *arena, struct pb_array *list, const struct driver *driver)
{
    for (enum interface i = 0; i < INTERFACE_COUNT; i++)
        if ((!driver || driver->implements[i]) && !add_text(arena, list, slice_str(interfaces[i].id)))
            return false;
    return true;
}

/* --- GetStatus --------------------------------------------------------------------------------------------------------------- */

static enum err get_status(struct proxy *p, struct rpc_call *rpc, const void *request)
{
    (void)request;
    struct admin_get_status_response r = {
        .version = slice_str(p->options.version),
        .listen = slice_str(worker_address(p->workers[0])),
        .metrics_listen = slice_str(rpc_server_address(p->server)),
        .config_file = slice_str(p->options.source.file),
        .workers = p->worker_count,
        .draining = p->state != PROXY_SERVING,
        .config_error = slice_str(p->config_error),
    };
    if (!set_time(rpc->arena, p->started_ms, &r.started_at) ||
        !set_time(rpc->arena, p->snapshot->loaded_ms, &r.config_loaded_at))
        return ERR_NOMEM;
    rpc_send(rpc, &r);
    return OK;
}

/* --- namespaces -------------------------------------------------------------------------------------------------------------- */

static struct admin_guard *new_guard(struct arena *arena, const struct namespace *ns)
{
    struct admin_guard *g = pb_new(&admin_guard_pb, arena);
    if (!g)
        return NULL;
    struct guard_stats s;
    guard_read_stats(ns->guard, &ns->guard_settings, &s);
    g->breaker = slice_str(breaker_state_name(s.breaker));
    g->retry_after_ms = s.retry_after_ms;
    g->opened = s.opened;
    g->in_flight = s.in_flight;
    g->queued = s.queued;
    g->calls = s.calls;
    g->retries = s.retries;
    g->retries_denied = s.retries_denied;
    g->refused_open = s.refused_open;
    g->refused_full = s.refused_full;
    g->failures = s.failures;
    g->shared_reads = s.shared;
    return g;
}

static enum err fill_status(struct arena *arena, const struct namespace *ns, struct admin_namespace_status *status)
{
    struct diag diag;
    diag_init(&diag, arena);
    status->name = slice_str(ns->name);
    status->backend = slice_str(ns->backend_name);
    status->driver = slice_str(ns->backend->driver->name);
    status->description = ns->config->description;
    enum condition condition = namespace_condition(ns, &diag);
    status->healthy = condition == CONDITION_OK;
    status->reason = status->healthy ? SLICE_EMPTY : slice_str(diag_message(&diag));
    status->state = slice_str(condition_name(condition));
    if (ns->guard && !(status->guard = new_guard(arena, ns)))
        return ERR_NOMEM;
    return add_interfaces(arena, &status->interfaces, ns->backend->driver) ? OK : ERR_NOMEM;
}

static struct admin_namespace_status *new_status(struct arena *arena, const struct namespace *ns)
{
    struct admin_namespace_status *status = pb_new(&admin_namespace_status_pb, arena);
    return status && !fill_status(arena, ns, status) ? status : NULL;
}

static enum err list_namespaces(struct proxy *p, struct rpc_call *rpc, const void *request)
{
    (void)request;
    struct admin_list_namespaces_response r = {0};
    for (uint32_t i = 0; i < p->snapshot->count; i++) {
        struct admin_namespace_status **item = pb_array_add(&r.namespaces, sizeof *item, rpc->arena);
        if (!item || !(*item = new_status(rpc->arena, &p->snapshot->namespaces[i].ns)))
            return ERR_NOMEM;
    }
    rpc_send(rpc, &r);
    return OK;
}

struct stats_target {
    struct arena *arena;
    struct pb_array *stats;
    bool lost;
};

static void add_stat(void *context, const char *name, uint64_t value)
{
    struct stats_target *t = context;
    struct admin_describe_namespace_response_stats_entry **item = pb_array_add(t->stats, sizeof *item, t->arena);
    if (item)
        *item = pb_new(&admin_describe_namespace_response_stats_entry_pb, t->arena);
    char *text = arena_printf(t->arena, "%llu", (unsigned long long)value);
    t->lost |= !item || !*item || !text;
    if (t->lost)
        return;
    (*item)->key = slice_str(name);
    (*item)->value = slice_str(text);
}

/* By way of JSON, whose writer masks secrets. */
static enum err masked_copy(struct rpc_call *rpc, const struct config_namespace *config,
                            struct config_namespace **ret_copy)
{
    struct buf json;
    struct slice text;
    buf_init(&json, LIMIT_MESSAGE_BYTES);
    enum err e = pb_json_write(&config_namespace_pb, config, &(struct pb_json_options){.mask = true}, &json);
    if (!e && !arena_copy(rpc->arena, buf_slice(&json), &text))
        e = ERR_NOMEM;
    buf_fini(&json);
    void *copy;
    if (!e)
        e = pb_json_read(&config_namespace_pb, text, &(struct pb_json_options){0}, rpc->arena, &rpc->diag, &copy);
    if (!e)
        *ret_copy = copy;
    return e;
}

static enum err describe_namespace(struct proxy *p, struct rpc_call *rpc, const void *request)
{
    struct slice name = ((const struct admin_describe_namespace_request *)request)->name;
    const struct proxy_namespace *found = snapshot_find(p->snapshot, name);
    if (!found)
        return diag_set(&rpc->diag, ERR_NAMESPACE_UNKNOWN, "there is no namespace `%.*s`",
                        name.size < 64 ? (int)name.size : 64, (const char *)name.data);
    struct backend *backend = found->ns.backend;
    struct admin_describe_namespace_response r = {.status = new_status(rpc->arena, &found->ns)};
    struct stats_target target = {rpc->arena, &r.stats, false};
    if (backend->driver->stats)
        backend->driver->stats(backend, add_stat, &target);
    if (!r.status || target.lost)
        return ERR_NOMEM;
    enum err e = masked_copy(rpc, found->ns.config, &r.config);
    if (!e)
        rpc_send(rpc, &r);
    return e;
}

/* --- backends ---------------------------------------------------------------------------------------------------------------- */

static bool add_users(struct arena *arena, const struct config_proxy_config *root, const struct driver *driver,
                      struct pb_array *list)
{
    for (uint32_t i = 0; i < root->backends.count; i++) {
        const struct config_proxy_config_backends_entry *entry =
            PB_AT(root->backends, struct config_proxy_config_backends_entry *, i);
        if (slice_eq(entry->value->type, slice_str(driver->name)) && !add_text(arena, list, entry->key))
            return false;
    }
    return true;
}

static struct admin_driver_status *new_driver(struct arena *arena, const struct config_proxy_config *root,
                                              const struct driver *driver)
{
    struct admin_driver_status *d = pb_new(&admin_driver_status_pb, arena);
    if (!d)
        return NULL;
    d->name = slice_str(driver->name);
    d->summary = slice_str(driver->summary);
    d->durable = driver->durable;
    d->ordered_scan = driver->ordered_scan;
    return add_interfaces(arena, &d->interfaces, driver) && add_users(arena, root, driver, &d->backends) ? d : NULL;
}

static enum err list_backends(struct proxy *p, struct rpc_call *rpc, const void *request)
{
    (void)request;
    const struct driver_registry *drivers = p->options.source.drivers;
    struct admin_list_backends_response r = {0};
    bool good = add_interfaces(rpc->arena, &r.interfaces, NULL);
    for (size_t i = 0; i < drivers->count && good; i++) {
        struct admin_driver_status **item = pb_array_add(&r.drivers, sizeof *item, rpc->arena);
        good = item && (*item = new_driver(rpc->arena, p->snapshot->config->root, drivers->drivers[i]));
    }
    if (good)
        rpc_send(rpc, &r);
    return good ? OK : ERR_NOMEM;
}

/* --- ReloadConfig ------------------------------------------------------------------------------------------------------------ */

/* A call that waits for a reload; in its arena. */
struct reload_call {
    struct pending pending; /* the first member */
    struct reload_waiter waiter;
    struct rpc_call *rpc;
};

static void forget_reload(struct proxy *p, struct pending *pending)
{
    reload_forget(p, &((struct reload_call *)pending)->waiter);
}

static enum err send_changes(struct rpc_call *rpc, const struct reload_result *result)
{
    struct admin_reload_config_response r = {.namespaces_added = result->changes.added,
                                             .namespaces_changed = result->changes.changed,
                                             .namespaces_removed = result->changes.removed,
                                             .writes_under_way = result->writes_under_way};
    for (uint32_t i = 0; result->needs_restart[i]; i++)
        if (!add_text(rpc->arena, &r.needs_restart, slice_str(result->needs_restart[i])))
            return ERR_NOMEM;
    rpc_send(rpc, &r);
    return OK;
}

static enum err explain(struct rpc_call *rpc, const struct reload_result *result)
{
    if (result->err == ERR_CONFIG_INVALID)
        return config_report_diag(result->report, &rpc->diag);
    return diag_set(&rpc->diag, result->err, "%s", diag_message(result->diag));
}

static void reloaded(struct reload_waiter *w, const struct reload_result *result)
{
    struct rpc_call *rpc = ((struct reload_call *)((char *)w - offsetof(struct reload_call, waiter)))->rpc;
    rpc_finish(rpc, result->err ? explain(rpc, result) : send_changes(rpc, result));
}

static void reload_config(struct proxy *p, struct rpc_call *rpc)
{
    struct reload_call *c = p->state == PROXY_SERVING ? arena_new(rpc->arena, struct reload_call) : NULL;
    if (!c) {
        rpc_finish(rpc, p->state == PROXY_SERVING ? ERR_NOMEM : ERR_DRAINING);
        return;
    }
    *c = (struct reload_call){{forget_reload}, {.done = reloaded}, rpc};
    rpc->user = c;
    reload_begin(p, &c->waiter);
}

/* --- ReloadConfig{validate_only}: reads and checks, opens nothing ------------------------------------------------------------- */

struct validation {
    struct pending pending; /* the first member */
    struct work work;
    struct proxy *proxy;
    struct rpc_call *rpc; /* NULL: nobody waits any more */
    struct arena arena;
    struct config_report report;
    enum err err;
};

static struct validation *validation_of(struct work *work)
{
    return (struct validation *)((char *)work - offsetof(struct validation, work));
}

static void forget_validation(struct proxy *p, struct pending *pending)
{
    (void)p;
    ((struct validation *)pending)->rpc = NULL;
}

static void run_validation(struct work *work)
{
    struct validation *v = validation_of(work);
    struct config *config;
    v->err = config_load(&v->proxy->options.source, &v->report, &config);
    if (!v->err)
        config_free(config);
}

static void validated(struct work *work)
{
    struct validation *v = validation_of(work);
    struct rpc_call *rpc = v->rpc;
    if (rpc) {
        const struct reload_result result = {
            .err = v->err, .report = &v->report, .diag = &(struct diag){.err = v->err}};
        rpc->user = NULL;
        rpc_finish(rpc, v->err ? explain(rpc, &result) : send_changes(rpc, &result));
    }
    struct proxy *p = v->proxy;
    arena_fini(&v->arena);
    mem_free(v);
    proxy_less_busy(p);
}

static void validate_config(struct proxy *p, struct rpc_call *rpc)
{
    struct validation *v = mem_zalloc(sizeof *v);
    if (!v) {
        rpc_finish(rpc, ERR_NOMEM);
        return;
    }
    v->pending.forget = forget_validation;
    v->work = (struct work){.run = run_validation, .done = validated};
    v->proxy = p;
    v->rpc = rpc;
    arena_init(&v->arena, LIMIT_CONFIG_ARENA_BYTES);
    config_report_init(&v->report, &v->arena, p->options.source.file);
    rpc->user = v;
    p->busy++;
    pool_submit(p->pool, p->loop, &v->work);
}

/* --- dispatch ---------------------------------------------------------------------------------------------------------------- */

struct operation {
    const char *name;
    enum err (*answer)(struct proxy *, struct rpc_call *, const void *request);
};

static const struct operation operations[] = {
    {"GetStatus", get_status},
    {"ListNamespaces", list_namespaces},
    {"DescribeNamespace", describe_namespace},
    {"ListBackends", list_backends},
};

static bool is_validation(const void *request)
{
    return ((const struct admin_reload_config_request *)request)->validate_only;
}

static void run_operation(struct proxy *p, struct rpc_call *rpc, const void *request)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(operations[i].name, rpc->method->name) == 0) {
            rpc_finish(rpc, operations[i].answer(p, rpc, request));
            return;
        }
    }
    if (strcmp(rpc->method->name, "TestBackend") == 0)
        admin_test_backend(p, rpc, request);
    else if (is_validation(request))
        validate_config(p, rpc);
    else
        reload_config(p, rpc);
}

static void on_message(struct rpc_call *rpc, const struct rpc_message *message)
{
    void *request;
    enum err e = rpc_decode(rpc, message, &request);
    if (!e)
        e = pb_validate(rpc->method->input, request, &rpc->diag);
    if (e)
        rpc_finish(rpc, e);
    else
        run_operation(rpc->context, rpc, request);
}

static void on_end(struct rpc_call *rpc)
{
    (void)rpc;
}

/* Only ReloadConfig and TestBackend wait; all else is answered at once. */
static void on_cancel(struct rpc_call *rpc, enum err e)
{
    struct pending *pending = rpc->user;
    if (pending)
        pending->forget(rpc->context, pending);
    rpc_finish(rpc, e);
}

static const struct rpc_handlers handlers = {.on_message = on_message, .on_end = on_end, .on_cancel = on_cancel};

enum err admin_serve(struct proxy *p)
{
    return served_add(&p->served, p->server, &admin_proxy_admin_service, &handlers, p);
}
