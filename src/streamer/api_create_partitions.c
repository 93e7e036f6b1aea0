/* CreatePartitions: topics grow, they never shrink. */
#include "streamer/admin.h"
#include "streamer/api.h"
#include "streamer/broker.h"

#define ASKED struct kafka_create_partitions_request_topic
#define TOLD struct kafka_create_partitions_response_topic

static void grown(struct catalog_request *done)
{
    struct request *r = done->context;
    struct kafka_create_partitions_response out = kafka_create_partitions_response_default;
    TOLD *items = arena_array(&r->arena, TOLD, done->count + 1);
    for (uint32_t i = 0; items && i < done->count; i++)
        items[i] = (TOLD){done->changes[i].name, (int16_t)done->changes[i].error, admin_reason(&done->changes[i])};
    out.results.items = items;
    out.results.count = done->count;
    if (items)
        request_reply(r, &out);
    else
        request_drop(r);
    admin_give_back(done);
}

static bool are_here(const struct request *r, const ASKED *asked)
{
    int32_t node = broker_identity(r->shard->broker)->node_id;
    for (uint32_t i = 0; i < asked->assignments.count; i++) {
        const struct kafka_int32s *ids = &asked->assignments.items[i].broker_ids;
        if (ids->count != 1 || ids->items[0] != node)
            return false;
    }
    return true;
}

static struct catalog_change ask(const struct request *r, const ASKED *asked, bool validate_only)
{
    struct catalog_change change = {.verb = CATALOG_PARTITIONS, .name = asked->name, .validate_only = validate_only};
    if (!asked->name.size || asked->count < 1) {
        change.error = asked->name.size ? KAFKA_INVALID_PARTITIONS : KAFKA_INVALID_TOPIC;
        change.reason = asked->name.size ? "a topic has at least one partition" : "a topic has a name";
    } else if (!are_here(r, asked)) {
        change.error = KAFKA_INVALID_REPLICA_ASSIGNMENT;
        change.reason = "partitions are assigned to this one node";
    }
    change.partitions = (uint32_t)asked->count;
    return change;
}

void api_create_partitions(struct request *r)
{
    const struct kafka_create_partitions_request *in = r->body;
    struct catalog_request *growth = admin_request(r, in->topics.count, grown);
    if (!growth) {
        request_drop(r);
        return;
    }
    for (uint32_t i = 0; i < in->topics.count; i++)
        growth->changes[i] = ask(r, &in->topics.items[i], in->validate_only);
    catalog_submit(r->shard->broker, growth);
}
