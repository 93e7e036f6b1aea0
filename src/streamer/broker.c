/* Starting: what is opened, in its order. The end is in broker_stop.c. */
#include "streamer/broker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "streamer/broker_internal.h"
#include "streamer/groups.h"
#include "streamer/partition.h"

enum { POOL_THREADS = 4 }; /* for what blocks: flushes, cold reads, checkpoints */

const struct broker_settings broker_settings_default = {
    .auto_create_topics = true,
    .partitions_default = 1,
    .topic_defaults = TOPIC_CONFIG_DEFAULT,
    .offsets_retention_ms = LIMIT_STREAM_OFFSETS_RETENTION_MS,
    .producer_id_expiration_ms = LIMIT_PRODUCER_EXPIRY_MS,
    .group_session_timeout_min_ms = LIMIT_STREAM_SESSION_MIN_MS,
    .group_session_timeout_max_ms = LIMIT_STREAM_SESSION_MAX_MS,
    .group_initial_rebalance_delay_ms = LIMIT_STREAM_REBALANCE_DELAY_MS,
    .fetch_sessions_max = LIMIT_STREAM_FETCH_SESSIONS,
};

/* --- what others ask ---------------------------------------------------------------------------------------------------------- */

const char *broker_address(const struct broker *b)
{
    return b->address;
}

uint32_t broker_shards(const struct broker *b)
{
    return b->shard_count;
}

struct shard *broker_shard(const struct broker *b, uint32_t index)
{
    return &b->shards[index];
}

struct catalog *broker_catalog(const struct broker *b)
{
    return b->catalog;
}

const struct broker_identity *broker_identity(const struct broker *b)
{
    return &b->identity;
}

const char *broker_data_dir(const struct broker *b)
{
    return b->options.data_dir;
}

const struct env *broker_env(const struct broker *b)
{
    return b->options.env;
}

struct journal_store *broker_store(const struct broker *b)
{
    return b->store;
}

struct metrics *broker_metrics(const struct broker *b)
{
    return b->measure->metrics;
}

bool broker_path(const struct broker *b, const char *name, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/%s", b->options.data_dir, name);
    return n > 0 && (size_t)n < size;
}

/* --- opening ------------------------------------------------------------------------------------------------------------------ */

static enum err make_folders(struct broker *b, struct diag *diag)
{
    const struct env *env = b->options.env;
    char meta[4096];
    if (!broker_path(b, "meta", meta, sizeof meta))
        return diag_set(diag, ERR_FILE, "the path of the data folder is too long");
    enum err e = env->disk->mkdir(env, meta, 0700);
    return e ? diag_set(diag, e, "the data folder %s cannot be made or written", b->options.data_dir) : OK;
}

static enum err make_shards(struct broker *b)
{
    enum err e = pool_new(POOL_THREADS, &b->pool);
    b->shards = arena_array(&b->arena, struct shard, b->options.workers);
    b->threads = arena_array(&b->arena, pthread_t, b->options.workers);
    b->steps = arena_array(&b->arena, struct stop_step, b->options.workers);
    if (!b->shards || !b->threads || !b->steps)
        return e ? e : ERR_NOMEM;
    if (!e)
        e = stream_measure_new(b->options.workers, &b->measure);
    if (e)
        return e;
    b->shard_count = b->options.workers;
    for (uint32_t i = 0; i < b->shard_count && !e; i++)
        e = shard_init(&b->shards[i], b, i);
    return e;
}

static enum err open_catalog(struct broker *b, struct diag *diag)
{
    enum err e = catalog_open(b, diag, &b->catalog);
    for (uint32_t i = 0; i < b->shard_count && !e; i++)
        b->shards[i].topics = topics_ref(catalog_topics(b->catalog));
    return e;
}

static enum err open_store(struct broker *b, struct diag *diag)
{
    const struct journal_store_options options = {.env = b->options.env,
                                                  .folder = b->options.data_dir,
                                                  .format = &partition_format,
                                                  .replayed = partition_replayed};
    return journal_store_open(&options, diag, &b->store);
}

/* All logs that the catalog knows are opened before the store may remove the others. */
static enum err open_shards(struct broker *b, struct diag *diag)
{
    enum err e = groups_move(b, diag);
    for (uint32_t i = 0; i < b->shard_count && !e; i++)
        e = shard_open(&b->shards[i], diag);
    return e ? e : journal_store_recovered(b->store, diag);
}

/* The first finds the port where it is 0; the others share it. */
static enum err listen_everywhere(struct broker *b, struct diag *diag)
{
    enum err e = OK;
    for (uint32_t i = 0; i < b->shard_count && !e; i++) {
        e = shard_serve(&b->shards[i], i ? b->address : b->options.listen, diag);
        if (!e && !i && !(b->address = arena_strdup(&b->arena, connections_address(b->shards[0].connections))))
            e = ERR_NOMEM;
    }
    return e;
}

/* "HOST:PORT", "[::1]:PORT". Where all addresses are listened on, clients are told of the loopback: whoever serves others says
 * what they are to connect to. */
static enum err take_identity(struct broker *b, struct diag *diag)
{
    const char *address = b->options.advertised_listen ? b->options.advertised_listen : b->address;
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || strncmp(address, "unix:", 5) == 0)
        return diag_set(diag, ERR_ADDRESS_INVALID, "clients cannot be told of %s: it is not HOST:PORT", address);
    struct slice host = slice_of(address, (size_t)(colon - address));
    if (host.size > 2 && host.data[0] == '[')
        host = slice_of(host.data + 1, host.size - 2);
    if (slice_eq(host, SLICE("0.0.0.0")) || slice_eq(host, SLICE("::")))
        host = SLICE("127.0.0.1");
    b->identity = (struct broker_identity){.node_id = b->options.node_id,
                                           .host = host,
                                           .port = (int32_t)strtol(colon + 1, NULL, 10),
                                           .cluster_id = catalog_cluster_id(b->catalog)};
    return OK;
}

static char *copied(struct broker *b, const char *text)
{
    return text ? arena_strdup(&b->arena, text) : NULL;
}

static enum err copy_options(struct broker *b, const struct broker_options *options)
{
    b->options = *options;
    b->options.data_dir = copied(b, options->data_dir);
    b->options.listen = copied(b, options->listen);
    b->options.advertised_listen = copied(b, options->advertised_listen);
    if (!b->options.data_dir || !b->options.listen)
        return ERR_NOMEM;
    return options->advertised_listen && !b->options.advertised_listen ? ERR_NOMEM : OK;
}

static enum err open_all(struct broker *b, const struct broker_options *options, struct diag *diag)
{
    enum err e = copy_options(b, options);
    if (!e)
        e = make_folders(b, diag);
    if (!e)
        e = make_shards(b);
    if (!e)
        e = open_store(b, diag);
    if (!e)
        e = open_catalog(b, diag);
    if (!e)
        e = open_shards(b, diag);
    if (!e)
        e = listen_everywhere(b, diag);
    return e ? e : take_identity(b, diag);
}

enum err broker_open(const struct broker_options *options, struct diag *diag, struct broker **ret_broker)
{
    struct broker *b = mem_zalloc(sizeof *b);
    if (!b)
        return ERR_NOMEM;
    arena_init(&b->arena, 16 << 20);
    enum err e = open_all(b, options, diag);
    if (e)
        broker_close(b);
    else
        *ret_broker = b;
    return e;
}

/* --- threads ------------------------------------------------------------------------------------------------------------------ */

static void *run(void *context)
{
    struct shard *s = context;
    loop_run(s->loop);
    return NULL;
}

enum err broker_start(struct broker *b)
{
    int error = 0;
    for (uint32_t i = 0; i < b->shard_count && !error; i++) {
        error = pthread_create(&b->threads[i], NULL, run, &b->shards[i]);
        b->threads_started += !error;
    }
    return err_from_errno(error);
}
