/* health, status, namespace: what the proxy says about itself. */
#include "cli.h"
#include "grpc/health/v1/health.pb.h"
#include "prism/admin/v1/proxy_admin.pb.h"

enum err run_health(struct cli *cli)
{
    struct grpc_health_v1_health_check_request request = {.service = SLICE_EMPTY};
    struct grpc_health_v1_health_check_response *response;
    const struct pb_method *method = method_named(&grpc_health_v1_health_service, "Check");
    enum err e = cli_call(cli, SIDE_DATA, method, &request, (void **)&response);
    if (e)
        return e;
    bool serving = response->status == GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVING;
    if (cli->output != OUTPUT_TABLE)
        e = cli_print(cli, method->output, response);
    else
        printf("%s%s%s at %s\n", cli_paint(cli, serving ? STYLE_GOOD : STYLE_BAD), serving ? "serving" : "not serving",
               cli_paint(cli, STYLE_OFF), cli_address(cli, SIDE_DATA));
    if (e || serving)
        return e;
    return diag_set(&cli->diag, ERR_UNAVAILABLE, "the proxy answers, but does not serve (it may be draining)");
}

enum err cli_ask(struct cli *cli, const char *name, const void *request, void **ret_response)
{
    return cli_call(cli, SIDE_ADMIN, method_named(&admin_proxy_admin_service, name), request, ret_response);
}

static void row2(struct grid *g, const char *name, const char *value)
{
    if (value && *value)
        grid_row(g, (const char *const[]){name, value});
}

enum err run_status(struct cli *cli)
{
    struct admin_get_status_request request = {.unknown = {0}};
    struct admin_get_status_response *s;
    enum err e = cli_ask(cli, "GetStatus", &request, (void **)&s);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &admin_get_status_response_pb, s);
    struct arena *a = &cli->arena;
    struct grid g;
    grid_init(&g, cli, a, (const char *const[]){"WHAT", "VALUE"}, 2);
    row2(&g, "version", show_bytes(a, s->version));
    row2(&g, "state", s->draining ? "draining" : "serving");
    row2(&g, "data address", show_bytes(a, s->listen));
    row2(&g, "admin address", show_bytes(a, s->metrics_listen));
    row2(&g, "started", show_time(a, s->started_at));
    row2(&g, "configuration", s->config_file.size ? show_bytes(a, s->config_file) : "built in");
    row2(&g, "loaded", show_time(a, s->config_loaded_at));
    row2(&g, "last reload", show_bytes(a, s->config_error));
    row2(&g, "workers", arena_printf(a, "%u", s->workers));
    grid_print(&g, false);
    return OK;
}

const char *show_joined(struct arena *arena, const struct pb_array *names)
{
    const char *text = "";
    for (uint32_t i = 0; text && i < names->count; i++)
        text = arena_printf(arena, "%s%s%.*s", text, i ? " " : "", SLICE_ARG(PB_AT(*names, struct slice, i)));
    return text ? text : "";
}

static const char *health_word(struct cli *cli, const struct admin_namespace_status *ns)
{
    if (ns->healthy)
        return "yes";
    const char *text = arena_printf(&cli->arena, "no: %s", show_bytes(&cli->arena, ns->reason));
    return text ? text : "no";
}

enum err run_namespace_list(struct cli *cli)
{
    struct admin_list_namespaces_request request = {.unknown = {0}};
    struct admin_list_namespaces_response *response;
    enum err e = cli_ask(cli, "ListNamespaces", &request, (void **)&response);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &admin_list_namespaces_response_pb, response);
    struct grid g;
    grid_init(&g, cli, &cli->arena, (const char *const[]){"NAME", "DRIVER", "BACKEND", "HEALTHY", "DESCRIPTION"}, 5);
    for (uint32_t i = 0; i < response->namespaces.count; i++) {
        const struct admin_namespace_status *ns = PB_AT(response->namespaces, struct admin_namespace_status *, i);
        grid_row(&g, (const char *const[]){show_bytes(&cli->arena, ns->name), show_bytes(&cli->arena, ns->driver),
                                           show_bytes(&cli->arena, ns->backend), health_word(cli, ns),
                                           show_bytes(&cli->arena, ns->description)});
    }
    grid_print(&g, true);
    return OK;
}

static enum err print_config(struct cli *cli, const struct config_namespace *config)
{
    struct pb_json_options options = {.proto_names = true, .mask = true};
    struct buf json, yaml;
    buf_init(&json, LIMIT_CALL_ARENA_BYTES);
    buf_init(&yaml, LIMIT_CALL_ARENA_BYTES);
    enum err e = pb_json_write(&config_namespace_pb, config, &options, &json);
    if (!e)
        yaml_from_json(buf_slice(&json), &yaml);
    e = e ? e : buf_err(&yaml);
    if (!e)
        printf("\n%sconfiguration%s\n%.*s", cli_paint(cli, STYLE_BOLD), cli_paint(cli, STYLE_OFF), (int)yaml.size,
               (const char *)yaml.data);
    buf_fini(&json);
    buf_fini(&yaml);
    return e;
}

static enum err print_namespace(struct cli *cli, const struct admin_describe_namespace_response *r)
{
    struct arena *a = &cli->arena;
    struct grid g;
    grid_init(&g, cli, a, (const char *const[]){"WHAT", "VALUE"}, 2);
    if (r->status) {
        row2(&g, "name", show_bytes(a, r->status->name));
        row2(&g, "description", show_bytes(a, r->status->description));
        row2(&g, "driver", show_bytes(a, r->status->driver));
        row2(&g, "backend", show_bytes(a, r->status->backend));
        row2(&g, "healthy", health_word(cli, r->status));
        row2(&g, "interfaces", show_joined(a, &r->status->interfaces));
    }
    for (uint32_t i = 0; i < r->stats.count; i++) {
        const struct admin_describe_namespace_response_stats_entry *stat =
            PB_AT(r->stats, struct admin_describe_namespace_response_stats_entry *, i);
        row2(&g, show_bytes(a, stat->key), show_bytes(a, stat->value));
    }
    grid_print(&g, false);
    return r->config ? print_config(cli, r->config) : OK;
}

enum err run_namespace_describe(struct cli *cli)
{
    const char *name = cli_argument(cli, 0) ? cli_argument(cli, 0) : cli_option(cli, "namespace");
    struct admin_describe_namespace_request request = {.name = slice_str(name)};
    struct admin_describe_namespace_response *response;
    enum err e = cli_ask(cli, "DescribeNamespace", &request, (void **)&response);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &admin_describe_namespace_response_pb, response);
    return print_namespace(cli, response);
}
