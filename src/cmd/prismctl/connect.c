/* Connections and calls. A connection is made with the first call to a side and kept for the run. */
#include <assert.h>

#include "cli.h"
#include "rt/loop.h"

enum { CALL_TIMEOUT_S = 30, WAIT_GRACE_S = 5 /* from the server's answer to ours */ };

const struct pb_method *method_named(const struct pb_service *service, const char *name)
{
    for (uint32_t i = 0; i < service->method_count; i++)
        if (strcmp(service->methods[i].name, name) == 0)
            return &service->methods[i];
    assert(!"a method that the service has");
    return NULL;
}

const char *cli_address(const struct cli *cli, enum side side)
{
    return cli_option(cli, side == SIDE_ADMIN ? "admin-address" : "address");
}

static enum err make_tls(struct cli *cli)
{
    struct tls_options options = {
        .cert_file = cli_option(cli, "cert"),
        .key_file = cli_option(cli, "key"),
        .ca_file = cli_option(cli, "ca"),
        .insecure = cli_flag(cli, "insecure"),
    };
    if (!options.cert_file != !options.key_file)
        return diag_set(&cli->diag, ERR_USAGE, "--cert and --key belong together");
    return cli->tls ? OK : tls_client_new(&options, &cli->diag, &cli->tls);
}

static bool wants_tls(const struct cli *cli)
{
    return cli_flag(cli, "tls") || cli_flag(cli, "insecure") || cli_option(cli, "ca") || cli_option(cli, "cert");
}

enum err cli_client(struct cli *cli, enum side side, struct rpc_client **ret_client)
{
    cli->reached = side;
    if (!cli->clients[side]) {
        /* The operations port is plain: it listens where only this machine reaches it. */
        bool tls = side == SIDE_DATA && wants_tls(cli);
        enum err e = tls ? make_tls(cli) : OK;
        if (!e && !cli->loop)
            e = loop_new(env_real(), 0, &cli->loop);
        struct rpc_client_options options = {.loop = cli->loop,
                                             .address = cli_address(cli, side),
                                             .tls = tls ? cli->tls : NULL,
                                             .waits = cli_flag(cli, "wait")};
        e = e ? e : rpc_client_new(&options, &cli->diag, &cli->clients[side]);
        if (e)
            return e;
    }
    *ret_client = cli->clients[side];
    return OK;
}

void cli_disconnect(struct cli *cli)
{
    for (unsigned i = 0; i < SIDE_COUNT; i++)
        if (cli->clients[i])
            rpc_client_free(cli->clients[i]);
    while (cli->loop && loop_turn(cli->loop, false))
        ;
    tls_unref(cli->tls);
    if (cli->loop)
        loop_free(cli->loop);
}

static enum err add_given(struct cli *cli, struct http_header *headers, size_t *count)
{
    const char *pair;
    for (unsigned i = 0; (pair = cli_option_at(cli, "metadata", i)); i++) {
        const char *equals = strchr(pair, '=');
        if (!equals || equals == pair)
            return diag_set(&cli->diag, ERR_USAGE, "--metadata takes KEY=VALUE, not \"%s\"", pair);
        if (*count == METADATA_MAX)
            return diag_set(&cli->diag, ERR_USAGE, "more than %d pieces of metadata", METADATA_MAX);
        char *name = arena_printf(&cli->arena, "%.*s", (int)(equals - pair), pair);
        if (!name)
            return ERR_NOMEM;
        for (char *c = name; *c; c++)
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
        headers[(*count)++] = (struct http_header){slice_str(name), slice_str(equals + 1)};
    }
    return OK;
}

/* Of a command that lets the server wait; 0: it does not. */
static int64_t waits_ns(const struct cli *cli)
{
    const struct command *c = cli->args.command;
    for (const struct option *o = c ? c->options : NULL; o && o->name; o++)
        if (strcmp(o->name, "block") == 0)
            return cli_duration_ns(cli, "block");
    return 0;
}

enum err cli_call_options(struct cli *cli, const char *path, struct rpc_client_call_options *ret_options)
{
    struct http_header *headers = arena_array(&cli->arena, struct http_header, METADATA_MAX + 2);
    if (!headers)
        return ERR_NOMEM;
    size_t count = 0;
    headers[count++] = (struct http_header){SLICE("prism-namespace"), slice_str(cli_option(cli, "namespace"))};
    const struct command *c = cli->args.command;
    for (const struct option *o = c ? c->options : NULL; o && o->name; o++)
        if (strcmp(o->name, "idempotency-key") == 0 && cli_option(cli, o->name))
            headers[count++] =
                (struct http_header){SLICE("prism-idempotency-key"), slice_str(cli_option(cli, o->name))};
    enum err e = add_given(cli, headers, &count);
    if (e)
        return e;
    int64_t timeout_ns = cli_duration_ns(cli, "timeout");
    if (!timeout_ns && waits_ns(cli))
        timeout_ns = waits_ns(cli) + WAIT_GRACE_S * INT64_C(1000000000);
    *ret_options = (struct rpc_client_call_options){
        .path = path, .metadata = headers, .metadata_count = count, .timeout_ns = (uint64_t)timeout_ns};
    return OK;
}

static void tell(const struct cli *cli, enum side side, const char *path, uint64_t start_ns, enum err e)
{
    if (cli->verbose)
        fprintf(stderr, "prismctl: %s%s: %s, %.1f ms\n", cli_address(cli, side), path, e ? err_name(e) : "OK",
                (double)(env_real()->monotonic_ns(env_real()) - start_ns) / 1e6);
}

enum err cli_call(struct cli *cli, enum side side, const struct pb_method *method, const void *request,
                  void **ret_response)
{
    struct rpc_client *client;
    struct rpc_client_call_options options;
    struct slice response;
    struct buf encoded;
    uint64_t start_ns = env_real()->monotonic_ns(env_real());
    enum err e = cli_client(cli, side, &client);
    if (!e)
        e = cli_call_options(cli, method->path, &options);
    if (e)
        return e;
    if (!options.timeout_ns)
        options.timeout_ns = (uint64_t)CALL_TIMEOUT_S * 1000000000;
    buf_init(&encoded, LIMIT_MESSAGE_BYTES_MAX);
    e = pb_encode_buf(method->input, request, &encoded);
    cli->called = true;
    if (!e)
        e = rpc_client_unary(client, &options, buf_slice(&encoded), &cli->arena, &cli->diag, &response);
    buf_fini(&encoded);
    tell(cli, side, method->path, start_ns, e);
    return e ? e : pb_decode(method->output, response, &cli->arena, &pb_limits_default, ret_response);
}

/* A call whose messages are handed over as they come. */
struct stream {
    struct cli *cli;
    stream_message_fn *on_message;
    void *context;
    enum err err; /* of on_message, or of the call */
    bool failed;  /* on_message said so: what the server says afterwards does not count */
    bool done;
};

static void stream_message(struct rpc_client_call *call, struct slice message)
{
    struct stream *s = rpc_client_call_user(call);
    if (s->failed)
        return;
    s->err = s->on_message(s->context, message);
    s->failed = s->err != OK;
    if (s->failed)
        rpc_client_cancel(call);
}

static void copy_diag(struct diag *to, const struct diag *from)
{
    diag_set(to, from->err, "%s", diag_message(from));
    for (const struct diag_item *i = from->fields; i; i = i->next)
        diag_field(to, i->name, "%s", i->value);
    to->retry_after_ms = from->retry_after_ms;
}

static void stream_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct stream *s = rpc_client_call_user(call);
    s->done = true;
    if (!status || s->failed)
        return;
    copy_diag(&s->cli->diag, diag);
    s->err = diag->err ? diag->err : err_from_grpc(status);
}

enum err cli_stream(struct cli *cli, enum side side, const char *path, const struct slice *requests,
                    size_t request_count, stream_message_fn *on_message, void *context)
{
    static const struct rpc_client_events events = {.on_message = stream_message, .on_end = stream_end};
    struct stream s = {.cli = cli, .on_message = on_message, .context = context};
    struct rpc_client *client;
    struct rpc_client_call *call;
    struct rpc_client_call_options options;
    uint64_t start_ns = env_real()->monotonic_ns(env_real());
    enum err e = cli_client(cli, side, &client);
    if (!e)
        e = cli_call_options(cli, path, &options);
    if (!e)
        e = rpc_client_call(client, &options, &events, &s, &call);
    if (e)
        return e;
    cli->called = true;
    for (size_t i = 0; i < request_count; i++)
        rpc_client_send(call, requests[i]);
    rpc_client_send_end(call);
    while (!s.done)
        loop_turn(cli->loop, true);
    tell(cli, side, path, start_ns, s.err);
    return s.err;
}
