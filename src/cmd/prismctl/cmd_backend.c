/* backend list, health, stats, test: drivers, and how the stores behind namespaces are. */
#include "cli.h"
#include "prism/admin/v1/proxy_admin.pb.h"

/* --- list -------------------------------------------------------------------------------------------------------------------- */

static bool has_interface(const struct admin_driver_status *driver, struct slice id)
{
    for (uint32_t i = 0; i < driver->interfaces.count; i++)
        if (slice_eq(PB_AT(driver->interfaces, struct slice, i), id))
            return true;
    return false;
}

enum { DRIVERS_SHOWN = 14 };

/* Interfaces down, drivers across. */
static void print_matrix(struct cli *cli, const struct admin_list_backends_response *r)
{
    struct arena *a = &cli->arena;
    unsigned count = r->drivers.count < DRIVERS_SHOWN ? r->drivers.count : DRIVERS_SHOWN;
    const char *heads[DRIVERS_SHOWN + 1] = {"INTERFACE"}, *cells[DRIVERS_SHOWN + 1];
    struct grid g;
    for (unsigned d = 0; d < count; d++)
        heads[d + 1] = show_bytes(a, PB_AT(r->drivers, struct admin_driver_status *, d)->name);
    grid_init(&g, cli, a, heads, count + 1);
    for (uint32_t i = 0; i < r->interfaces.count; i++) {
        struct slice id = PB_AT(r->interfaces, struct slice, i);
        cells[0] = show_bytes(a, id);
        for (unsigned d = 0; d < count; d++)
            cells[d + 1] = has_interface(PB_AT(r->drivers, struct admin_driver_status *, d), id) ? "yes" : "-";
        grid_row(&g, cells);
    }
    grid_print(&g, true);
}

static void print_drivers(struct cli *cli, const struct admin_list_backends_response *r)
{
    struct arena *a = &cli->arena;
    struct grid g;
    grid_init(&g, cli, a, (const char *const[]){"DRIVER", "DURABLE", "ORDERED", "BACKENDS", "SUMMARY"}, 5);
    for (uint32_t i = 0; i < r->drivers.count; i++) {
        const struct admin_driver_status *d = PB_AT(r->drivers, struct admin_driver_status *, i);
        const char *backends = show_joined(a, &d->backends);
        grid_row(&g, (const char *const[]){show_bytes(a, d->name), d->durable ? "yes" : "no",
                                           d->ordered_scan ? "yes" : "no", *backends ? backends : "-",
                                           show_bytes(a, d->summary)});
    }
    grid_print(&g, true);
}

enum err run_backend_list(struct cli *cli)
{
    struct admin_list_backends_request request = {.unknown = {0}};
    struct admin_list_backends_response *response;
    enum err e = cli_ask(cli, "ListBackends", &request, (void **)&response);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &admin_list_backends_response_pb, response);
    print_drivers(cli, response);
    putchar('\n');
    print_matrix(cli, response);
    return OK;
}

/* --- health ------------------------------------------------------------------------------------------------------------------ */

/* "closed"; "open, tries again in 12.3 s"; "-": the driver is local. */
static const char *breaker_word(struct arena *a, const struct admin_guard *g)
{
    if (!g)
        return "-";
    const char *state = show_bytes(a, g->breaker);
    const char *text =
        g->retry_after_ms ? arena_printf(a, "%s, tries again in %.1f s", state, g->retry_after_ms / 1000.0) : state;
    return text ? text : state;
}

static bool has_namespace(const struct pb_array *all, struct slice name)
{
    for (uint32_t i = 0; i < all->count; i++)
        if (slice_eq(PB_AT(*all, struct admin_namespace_status *, i)->name, name))
            return true;
    return false;
}

static enum err nothing_named(struct cli *cli, const char *name)
{
    return diag_set(&cli->diag, ERR_NOT_FOUND,
                    "there is no namespace `%s`, and no namespace uses a backend of this name; see prismctl namespace "
                    "list",
                    name);
}

static enum err list_namespaces(struct cli *cli, struct admin_list_namespaces_response **ret_response)
{
    struct admin_list_namespaces_request request = {.unknown = {0}};
    return cli_ask(cli, "ListNamespaces", &request, (void **)ret_response);
}

/* Leaves out what the argument, where there is one, does not name: it is a namespace, or else the backend of some. */
static enum err chosen(struct cli *cli, struct admin_list_namespaces_response **ret_response)
{
    const char *name = cli_argument(cli, 0);
    enum err e = list_namespaces(cli, ret_response);
    if (e)
        return e;
    struct pb_array *all = &(*ret_response)->namespaces;
    struct admin_namespace_status **items = all->items;
    bool exact = name && has_namespace(all, slice_str(name));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < all->count; i++)
        if (!name || slice_eq(exact ? items[i]->name : items[i]->backend, slice_str(name)))
            items[kept++] = items[i];
    all->count = kept;
    return name && !kept ? nothing_named(cli, name) : OK;
}

static void print_health(struct cli *cli, const struct admin_list_namespaces_response *r)
{
    struct arena *a = &cli->arena;
    struct grid g;
    grid_init(&g, cli, a, (const char *const[]){"NAMESPACE", "BACKEND", "DRIVER", "STATE", "BREAKER", "REASON"}, 6);
    for (uint32_t i = 0; i < r->namespaces.count; i++) {
        const struct admin_namespace_status *ns = PB_AT(r->namespaces, struct admin_namespace_status *, i);
        grid_row(&g, (const char *const[]){show_bytes(a, ns->name), show_bytes(a, ns->backend),
                                           show_bytes(a, ns->driver), show_bytes(a, ns->state),
                                           breaker_word(a, ns->guard), show_bytes(a, ns->reason)});
    }
    grid_print(&g, true);
}

enum err run_backend_health(struct cli *cli)
{
    struct admin_list_namespaces_response *r;
    enum err e = chosen(cli, &r);
    if (e)
        return e;
    uint32_t ill = 0;
    for (uint32_t i = 0; i < r->namespaces.count; i++)
        ill += !PB_AT(r->namespaces, struct admin_namespace_status *, i)->healthy;
    if (cli->output != OUTPUT_TABLE)
        e = cli_print(cli, &admin_list_namespaces_response_pb, r);
    else
        print_health(cli, r);
    if (e || !ill)
        return e;
    return diag_set(&cli->diag, ERR_UNAVAILABLE,
                    "%u of %u namespaces cannot use their backend; prismctl backend test NAME says where it fails", ill,
                    r->namespaces.count);
}

/* --- stats ------------------------------------------------------------------------------------------------------------------- */

static void stat_row(struct grid *g, const char *ns, const char *name, const char *value)
{
    grid_row(g, (const char *const[]){ns, name, value});
}

static void guard_rows(struct arena *a, struct grid *g, const char *ns, const struct admin_guard *guard)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"guard.opened", guard->opened},
                {"guard.in_flight", guard->in_flight},
                {"guard.queued", guard->queued},
                {"guard.calls", guard->calls},
                {"guard.retries", guard->retries},
                {"guard.retries_denied", guard->retries_denied},
                {"guard.refused_open", guard->refused_open},
                {"guard.refused_full", guard->refused_full},
                {"guard.failures", guard->failures},
                {"guard.shared_reads", guard->shared_reads}};
    stat_row(g, ns, "guard.breaker", breaker_word(a, guard));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        stat_row(g, ns, rows[i].name, arena_printf(a, "%llu", (unsigned long long)rows[i].value));
}

static void namespace_rows(struct arena *a, struct grid *g, const struct admin_describe_namespace_response *r)
{
    const char *ns = show_bytes(a, r->status->name);
    for (uint32_t i = 0; i < r->stats.count; i++) {
        const struct admin_describe_namespace_response_stats_entry *stat =
            PB_AT(r->stats, struct admin_describe_namespace_response_stats_entry *, i);
        stat_row(g, ns, show_bytes(a, stat->key), show_bytes(a, stat->value));
    }
    if (r->status->guard)
        guard_rows(a, g, ns, r->status->guard);
}

enum err run_backend_stats(struct cli *cli)
{
    struct admin_list_namespaces_response *all;
    struct grid g;
    enum err e = chosen(cli, &all);
    grid_init(&g, cli, &cli->arena, (const char *const[]){"NAMESPACE", "FIGURE", "VALUE"}, 3);
    for (uint32_t i = 0; !e && i < all->namespaces.count; i++) {
        struct admin_describe_namespace_request request = {
            .name = PB_AT(all->namespaces, struct admin_namespace_status *, i)->name};
        struct admin_describe_namespace_response *r;
        e = cli_ask(cli, "DescribeNamespace", &request, (void **)&r);
        if (!e && cli->output != OUTPUT_TABLE)
            e = cli_print_item(cli, &admin_describe_namespace_response_pb, r);
        else if (!e)
            namespace_rows(&cli->arena, &g, r);
    }
    if (!e && cli->output == OUTPUT_TABLE)
        grid_print(&g, true);
    return e;
}

/* --- test -------------------------------------------------------------------------------------------------------------------- */

static void print_test(struct cli *cli, const struct admin_test_backend_response *r)
{
    struct arena *a = &cli->arena;
    struct grid g;
    printf("backend %s (%s) of namespace %s\n", show_bytes(a, r->backend), show_bytes(a, r->driver),
           show_bytes(a, r->namespace));
    grid_init(&g, cli, a, (const char *const[]){"STEP", "RESULT", "TOOK"}, 3);
    for (uint32_t i = 0; i < r->steps.count; i++) {
        const struct admin_test_step *step = PB_AT(r->steps, struct admin_test_step *, i);
        grid_row(&g, (const char *const[]){show_bytes(a, step->name), "ok",
                                           arena_printf(a, "%.3f ms", (double)step->microseconds / 1000)});
    }
    grid_print(&g, true);
}

static enum err error_named(struct arena *a, struct slice name)
{
    enum err e = err_by_name(show_text(a, name));
    return e == ERR_COUNT ? ERR_UNAVAILABLE : e;
}

enum err run_backend_test(struct cli *cli)
{
    const char *name = cli_argument(cli, 0) ? cli_argument(cli, 0) : cli_option(cli, "namespace");
    struct admin_test_backend_request request = {.name = slice_str(name)};
    struct admin_test_backend_response *r;
    enum err e = cli_ask(cli, "TestBackend", &request, (void **)&r);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        e = cli_print(cli, &admin_test_backend_response_pb, r);
    else
        print_test(cli, r);
    if (e || !r->error.size)
        return e;
    return diag_set(&cli->diag, error_named(&cli->arena, r->error), "%s", show_text(&cli->arena, r->message));
}
