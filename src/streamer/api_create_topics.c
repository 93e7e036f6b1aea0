/* CreateTopics. Replicas and assignments are taken where they say what there is: one replica, on this node. */
#include "streamer/admin.h"
#include "streamer/api.h"
#include "streamer/broker.h"

#define ASKED struct kafka_create_topics_request_topic
#define TOLD struct kafka_create_topics_response_topic
#define CONFIG struct kafka_create_topics_response_config

enum { SOURCE_TOPIC = 1, SOURCE_DEFAULT = 5 };

/* --- the answer --------------------------------------------------------------------------------------------------------------- */

static bool tell_value(struct request *r, enum topic_setting setting, const struct topic *t, CONFIG *out)
{
    char text[64];
    struct buf value;
    buf_init_fixed(&value, text, sizeof text);
    topic_setting_print(setting, t->config.values[setting], &value);
    *out = (CONFIG){.name = slice_str(topic_settings[setting].name),
                    .config_source = t->config.given & 1u << setting ? SOURCE_TOPIC : SOURCE_DEFAULT};
    return arena_copy(&r->arena, buf_slice(&value), &out->value);
}

static bool tell_topic(struct request *r, const struct topic *t, TOLD *told)
{
    CONFIG *configs = arena_array(&r->arena, CONFIG, TOPIC_SETTING_COUNT);
    bool ok = configs;
    for (enum topic_setting i = 0; ok && i < TOPIC_SETTING_COUNT; i++)
        ok = tell_value(r, i, t, &configs[i]);
    told->topic_id = t->id;
    told->num_partitions = (int32_t)t->partitions;
    told->replication_factor = 1;
    told->configs.items = configs;
    told->configs.count = TOPIC_SETTING_COUNT;
    return ok;
}

static bool tell(struct request *r, const struct catalog_change *change, TOLD *told)
{
    *told = kafka_create_topics_response_topic_default;
    told->name = change->name;
    told->error_code = (int16_t)change->error;
    told->error_message = admin_reason(change);
    told->configs.items = KAFKA_EMPTY;
    return change->error || tell_topic(r, change->topic, told);
}

static void created(struct catalog_request *done)
{
    struct request *r = done->context;
    struct kafka_create_topics_response out = kafka_create_topics_response_default;
    TOLD *items = arena_array(&r->arena, TOLD, done->count + 1);
    bool ok = items;
    for (uint32_t i = 0; ok && i < done->count; i++)
        ok = tell(r, &done->changes[i], &items[i]);
    out.topics.items = items;
    out.topics.count = done->count;
    if (ok)
        request_reply(r, &out);
    else
        request_drop(r);
    admin_give_back(done);
}

/* --- the question ------------------------------------------------------------------------------------------------------------- */

static void refuse(struct catalog_change *change, enum kafka_error error, const char *reason)
{
    if (change->error)
        return;
    change->error = error;
    change->reason = reason;
}

/* Each partition once, from 0 on, on this node. */
static void check_assignments(const struct request *r, const ASKED *asked, struct catalog_change *change)
{
    int32_t node = broker_identity(r->shard->broker)->node_id;
    for (uint32_t i = 0; i < asked->assignments.count; i++) {
        const struct kafka_create_topics_request_assignment *a = &asked->assignments.items[i];
        if (a->partition_index != (int32_t)i || a->broker_ids.count != 1 || a->broker_ids.items[0] != node)
            refuse(change, KAFKA_INVALID_REPLICA_ASSIGNMENT,
                   "partitions are assigned from 0 on, each to this one node");
    }
    if (asked->num_partitions != -1 || asked->replication_factor != -1)
        refuse(change, KAFKA_INVALID_REQUEST, "with assignments both numbers are -1");
    change->partitions = asked->assignments.count;
}

static void check_numbers(const struct request *r, const ASKED *asked, struct catalog_change *change)
{
    if (asked->replication_factor != 1 && asked->replication_factor != -1)
        refuse(change, KAFKA_INVALID_REPLICATION_FACTOR, "there is one node: the replication factor is 1");
    if (asked->num_partitions < -1 || !asked->num_partitions)
        refuse(change, KAFKA_INVALID_PARTITIONS, "a topic has at least one partition");
    else if (asked->num_partitions == -1)
        change->partitions = r->shard->settings->partitions_default;
    else
        change->partitions = (uint32_t)asked->num_partitions;
}

static bool ask(struct request *r, const ASKED *asked, bool validate_only, struct catalog_change *change)
{
    *change = (struct catalog_change){.verb = CATALOG_CREATE, .name = asked->name, .validate_only = validate_only};
    if (asked->assignments.count)
        check_assignments(r, asked, change);
    else
        check_numbers(r, asked, change);
    if (!admin_settings(r, change, asked->configs.count))
        return false;
    for (uint32_t i = 0; i < asked->configs.count; i++)
        admin_set(r, change, asked->configs.items[i].name, asked->configs.items[i].value);
    return true;
}

void api_create_topics(struct request *r)
{
    const struct kafka_create_topics_request *in = r->body;
    struct catalog_request *creation = admin_request(r, in->topics.count, created);
    bool ok = creation;
    for (uint32_t i = 0; ok && i < in->topics.count; i++)
        ok = ask(r, &in->topics.items[i], in->validate_only, &creation->changes[i]);
    if (ok)
        catalog_submit(r->shard->broker, creation);
    else
        request_drop(r);
}
