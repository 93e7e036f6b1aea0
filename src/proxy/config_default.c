/* Defaults: what a configuration does not say. Kept here alone; proto/prism/config/v1 tells them to people. */
#include <unistd.h>

#include "base/limits.h"
#include "google/protobuf/duration.pb.h"
#include "proxy/config.h"

/* Namespaces of a configuration that names none: something to use at once. */
static const struct {
    const char *name, *backend, *description;
} built_in[] = {
    {"default", "sqlite", "Durable key-value data in a SQLite file below data_dir."},
    {"memory", "memory", "Key-value data in memory; gone when the process ends."},
    {"demo", "sqlite", "The records that the first `make run` imports."},
};

static void text_default(struct slice *field, const char *given, const char *otherwise)
{
    if (given)
        *field = slice_str(given);
    else if (!field->size)
        *field = slice_str(otherwise);
}

static uint32_t cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > LIMIT_WORKERS ? LIMIT_WORKERS : (uint32_t)n;
}

/* Makes a sub-message where there is none. NULL: out of memory. */
static void *present(struct arena *arena, const struct pb_message *table, void *field)
{
    void **message = field;
    if (!*message)
        *message = pb_new(table, arena);
    return *message;
}

static bool duration_default(struct arena *arena, struct google_protobuf_duration **field, int64_t ms)
{
    if (*field)
        return true;
    *field = pb_new(&google_protobuf_duration_pb, arena);
    if (!*field)
        return false;
    (*field)->seconds = ms / 1000;
    (*field)->nanos = (int32_t)(ms % 1000) * 1000000;
    return true;
}

static bool add_namespace(struct arena *arena, struct config_proxy_config *root, size_t i)
{
    struct config_namespace **item = pb_array_add(&root->namespaces, sizeof *item, arena);
    struct config_namespace *ns = item ? pb_new(&config_namespace_pb, arena) : NULL;
    if (!ns)
        return false;
    ns->name = slice_str(built_in[i].name);
    ns->backend = slice_str(built_in[i].backend);
    ns->description = slice_str(built_in[i].description);
    *item = ns;
    return true;
}

static bool add_built_in(struct arena *arena, struct config_proxy_config *root)
{
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        if (!add_namespace(arena, root, i))
            return false;
    return true;
}

static bool complete_namespace(struct arena *arena, struct config_namespace *ns)
{
    struct config_namespace_limits *limits = present(arena, &config_namespace_limits_pb, &ns->limits);
    struct config_ttl *ttl = present(arena, &config_ttl_pb, &ns->ttl);
    struct config_idempotency *idempotency = present(arena, &config_idempotency_pb, &ns->idempotency);
    if (!limits || !ttl || !idempotency)
        return false;
    if (!limits->message_bytes)
        limits->message_bytes = LIMIT_MESSAGE_BYTES;
    if (!limits->transactions)
        limits->transactions = LIMIT_TRANSACTIONS_OPEN;
    if (!ttl->has_allow_infinite)
        ttl->allow_infinite = ttl->has_allow_infinite = true;
    return duration_default(arena, &idempotency->retention, LIMIT_IDEMPOTENCY_RETENTION_MS);
}

static bool complete_log(const struct config_source *source, struct arena *arena, struct config_proxy_config *root)
{
    struct config_log *log = present(arena, &config_log_pb, &root->log);
    if (!log)
        return false;
    text_default(&log->level, source->log_level, "info");
    return true;
}

static bool complete_transport(struct arena *arena, struct config_proxy_config *root)
{
    struct config_transport *transport = present(arena, &config_transport_pb, &root->transport);
    if (!transport)
        return false;
    text_default(&transport->congestion_control, NULL, "system");
    return duration_default(arena, &transport->spin, 0);
}

/* Half of what the process takes, so that one client alone never takes all. */
static uint32_t connections_per_client(void)
{
    long files = sysconf(_SC_OPEN_MAX);
    long half = files > 0 && files / 2 < LIMIT_CONNECTIONS ? files / 4 : LIMIT_CONNECTIONS / 2;
    return half < LIMIT_CONNECTIONS_PER_CLIENT ? (uint32_t)half : LIMIT_CONNECTIONS_PER_CLIENT;
}

static bool complete_clients(struct arena *arena, struct config_proxy_config *root)
{
    struct config_client_limits *clients = present(arena, &config_client_limits_pb, &root->clients);
    if (!clients)
        return false;
    if (!clients->connections_per_address)
        clients->connections_per_address = connections_per_client();
    if (!clients->connections_per_identity)
        clients->connections_per_identity = connections_per_client();
    if (!clients->calls)
        clients->calls = LIMIT_CALLS_PER_CLIENT;
    if (!clients->output_bytes)
        clients->output_bytes = LIMIT_OUTPUT_PER_CLIENT_BYTES;
    return true;
}

static bool complete_connections(struct arena *arena, struct config_proxy_config *root)
{
    struct config_connections *c = present(arena, &config_connections_pb, &root->connections);
    return c && duration_default(arena, &c->keepalive_interval, LIMIT_KEEPALIVE_MS) &&
           duration_default(arena, &c->keepalive_timeout, LIMIT_KEEPALIVE_TIMEOUT_MS);
}

bool config_complete(const struct config_source *source, struct config *config)
{
    struct config_proxy_config *root = config->root;
    text_default(&root->listen, source->listen, "127.0.0.1:8980");
    text_default(&root->metrics_listen, source->metrics_listen, "127.0.0.1:9090");
    text_default(&root->data_dir, source->data_dir, "./prism-data");
    if (source->workers || !root->workers)
        root->workers = source->workers ? source->workers : cores();
    if (!root->namespaces.count && !add_built_in(&config->arena, root))
        return false;
    for (uint32_t i = 0; i < root->namespaces.count; i++)
        if (!complete_namespace(&config->arena, PB_AT(root->namespaces, struct config_namespace *, i)))
            return false;
    return complete_transport(&config->arena, root) && complete_log(source, &config->arena, root) &&
           complete_clients(&config->arena, root) && complete_connections(&config->arena, root) &&
           duration_default(&config->arena, &root->drain_timeout, LIMIT_DRAIN_MS);
}
