/* One shard: what it is made of, in the order of its life. */
#include "streamer/shard.h"

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "streamer/broker_internal.h"

/* --- who owns what ------------------------------------------------------------------------------------------------------------ */

struct shard *shard_of_partition(const struct broker *b, const struct kafka_uuid *topic, uint32_t partition)
{
    if (b->shard_count == 1)
        return b->shards;
    uint64_t id;
    memcpy(&id, topic->bytes, sizeof id);
    return &b->shards[(hash_mix(id) + partition) % b->shard_count];
}

/* Ledgers are made by it (groups_move.c): its values do not change. */
uint32_t shard_index_of_group(struct slice group, uint32_t shards)
{
    return shards == 1 ? 0 : crc32c(0, group.data, group.size) % shards;
}

struct shard *shard_of_group(const struct broker *b, struct slice group)
{
    return &b->shards[shard_index_of_group(group, b->shard_count)];
}

struct shard *shard_of_catalog(const struct broker *b)
{
    return b->shards;
}

/* --- making ------------------------------------------------------------------------------------------------------------------- */

enum err shard_init(struct shard *s, struct broker *b, unsigned index)
{
    s->broker = b;
    s->index = index;
    s->pool = b->pool;
    s->log = b->options.log;
    s->measure = b->measure;
    struct broker_settings *settings;
    enum err e = settings_new(b, &b->options.settings, &settings);
    if (e)
        return e;
    s->settings = settings;
    e = loop_new(b->options.env, index, &s->loop);
    if (!e)
        e = requests_new(s, &s->requests);
    return e ? e
             : connections_new(s, (b->options.connections_max + b->shard_count - 1) / b->shard_count, &s->connections);
}

enum err shard_open(struct shard *s, struct diag *diag)
{
    const struct journal_options options = {.loop = s->loop, .pool = s->pool, .shard = s->index};
    enum err e = journal_open(s->broker->store, &options, &s->journal);
    if (!e)
        e = partitions_open(s, diag);
    return e ? e : groups_open(s, diag);
}

enum err shard_serve(struct shard *s, const char *address, struct diag *diag)
{
    return connections_listen(s->connections, address, diag);
}

void shard_fini(struct shard *s)
{
    connections_free(s->connections);
    requests_free(s->requests);
    groups_free(s);
    topics_unref(s->topics);
    settings_unref(s->settings);
    if (s->loop)
        loop_free(s->loop);
}

/* --- topics that change ------------------------------------------------------------------------------------------------------- */

void shard_topic_changed(struct shard *s, const struct topic *was, const struct topic *now)
{
    enum err e = partitions_change(s, was, now);
    if (e)
        log_error(s->log, "partitions of a topic are without service", LOG_STR("topic", now ? now->name : was->name),
                  LOG_ERR(e));
    groups_change(s, was, now);
}
