/* Metadata: the broker, topics, their partitions. Topics that are asked for by name and are not there are made first, where the
 * settings and the client say so; the answer has them then. */
#include "streamer/admin.h"
#include "streamer/api.h"
#include "streamer/broker.h"
#include "streamer/catalog.h"
#include "streamer/request.h"

#define ASKED struct kafka_metadata_request_topic
#define TOLD struct kafka_metadata_response_topic
#define PARTITION struct kafka_metadata_response_partition

/* --- the answer --------------------------------------------------------------------------------------------------------------- */

/* All partitions have the same leader and replicas: one array for all. */
static bool tell_partitions(struct request *r, const struct topic *t, TOLD *told)
{
    int32_t *node = arena_new(&r->arena, int32_t);
    PARTITION *items = arena_array(&r->arena, PARTITION, t->partitions);
    if (!node || !items)
        return false;
    *node = broker_identity(r->shard->broker)->node_id;
    for (uint32_t i = 0; i < t->partitions; i++)
        items[i] = (PARTITION){.partition_index = (int32_t)i,
                               .leader_id = *node,
                               .leader_epoch = 0,
                               .replica_nodes = {node, 1},
                               .isr_nodes = {node, 1},
                               .offline_replicas = {KAFKA_EMPTY, 0}};
    told->partitions.items = items;
    told->partitions.count = t->partitions;
    return true;
}

static bool tell_topic(struct request *r, const struct topic *t, TOLD *told)
{
    told->name = t->name;
    told->topic_id = t->id;
    told->is_internal = t->internal;
    return tell_partitions(r, t, told);
}

static enum kafka_error why_missing(const ASKED *asked)
{
    if (!asked->name.data)
        return KAFKA_UNKNOWN_TOPIC_ID;
    return topic_name_valid(asked->name) ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_INVALID_TOPIC;
}

static const struct topic *find(const struct request *r, const ASKED *asked)
{
    const struct topics *topics = r->shard->topics;
    return asked->name.data ? topics_find(topics, asked->name) : topics_find_id(topics, &asked->topic_id);
}

static bool tell_asked(struct request *r, const ASKED *asked, TOLD *told)
{
    const struct topic *t = find(r, asked);
    *told = kafka_metadata_response_topic_default;
    if (t)
        return tell_topic(r, t, told);
    told->error_code = (int16_t)why_missing(asked);
    told->name = asked->name.data || request_version(r) >= 12 ? asked->name : SLICE("");
    told->topic_id = asked->topic_id;
    told->partitions.items = KAFKA_EMPTY;
    return true;
}

static bool wants_all(const struct request *r)
{
    const struct kafka_metadata_request *in = r->body;
    return !in->topics.items || (request_version(r) == 0 && !in->topics.count);
}

static bool tell_topics(struct request *r, struct kafka_metadata_response *out)
{
    const struct kafka_metadata_request *in = r->body;
    const struct topics *topics = r->shard->topics;
    bool all = wants_all(r), ok = true;
    uint32_t count = all ? topics->count : in->topics.count;
    TOLD *items = arena_array(&r->arena, TOLD, count + 1);
    for (uint32_t i = 0; items && i < count && ok; i++) {
        items[i] = kafka_metadata_response_topic_default;
        ok = all ? tell_topic(r, topics->sorted[i], &items[i]) : tell_asked(r, &in->topics.items[i], &items[i]);
    }
    out->topics.items = items;
    out->topics.count = count;
    return items && ok;
}

static void answer(struct request *r)
{
    const struct broker_identity *who = broker_identity(r->shard->broker);
    struct kafka_metadata_response_broker node = {.node_id = who->node_id, .host = who->host, .port = who->port};
    struct kafka_metadata_response out = kafka_metadata_response_default;
    out.brokers.items = &node;
    out.brokers.count = 1;
    out.cluster_id = who->cluster_id;
    out.controller_id = who->node_id;
    if (tell_topics(r, &out))
        request_reply(r, &out);
    else
        request_drop(r);
}

/* --- topics that are made by being asked for ---------------------------------------------------------------------------------- */

static void made(struct catalog_request *made)
{
    admin_give_back(made);
    answer(made->context);
}

static bool is_to_make(const struct request *r, const ASKED *asked)
{
    return asked->name.data && topic_name_valid(asked->name) && !find(r, asked);
}

static uint32_t count_to_make(const struct request *r)
{
    const struct kafka_metadata_request *in = r->body;
    uint32_t count = 0;
    if (!r->shard->settings->auto_create_topics || !in->allow_auto_topic_creation || wants_all(r))
        return 0;
    for (uint32_t i = 0; i < in->topics.count; i++)
        count += is_to_make(r, &in->topics.items[i]);
    return count;
}

static void make(struct request *r, uint32_t count)
{
    const struct kafka_metadata_request *in = r->body;
    struct catalog_request *creation = admin_request(r, count, made);
    if (!creation) {
        request_drop(r);
        return;
    }
    struct catalog_change *change = creation->changes;
    for (uint32_t i = 0; i < in->topics.count; i++)
        if (is_to_make(r, &in->topics.items[i]))
            *change++ = (struct catalog_change){.verb = CATALOG_CREATE,
                                                .name = in->topics.items[i].name,
                                                .partitions = r->shard->settings->partitions_default};
    catalog_submit(r->shard->broker, creation);
}

void api_metadata(struct request *r)
{
    uint32_t count = count_to_make(r);
    if (count)
        make(r, count);
    else
        answer(r);
}
