/* DeleteTopics: by name, or by id. */
#include "streamer/admin.h"
#include "streamer/api.h"

#define TOLD struct kafka_delete_topics_response_topic

static TOLD tell(const struct catalog_change *change)
{
    TOLD told = kafka_delete_topics_response_topic_default;
    told.name = change->topic ? change->topic->name : change->name;
    told.topic_id = change->topic ? change->topic->id : change->id;
    told.error_code = (int16_t)change->error;
    told.error_message = admin_reason(change);
    return told;
}

static void deleted(struct catalog_request *done)
{
    struct request *r = done->context;
    struct kafka_delete_topics_response out = kafka_delete_topics_response_default;
    TOLD *items = arena_array(&r->arena, TOLD, done->count + 1);
    for (uint32_t i = 0; items && i < done->count; i++)
        items[i] = tell(&done->changes[i]);
    out.responses.items = items;
    out.responses.count = done->count;
    if (items)
        request_reply(r, &out);
    else
        request_drop(r);
    admin_give_back(done);
}

void api_delete_topics(struct request *r)
{
    const struct kafka_delete_topics_request *in = r->body;
    bool by_name = request_version(r) < 6;
    uint32_t count = by_name ? in->topic_names.count : in->topics.count;
    struct catalog_request *deletion = admin_request(r, count, deleted);
    if (!deletion) {
        request_drop(r);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct catalog_change *change = &deletion->changes[i];
        change->verb = CATALOG_DELETE;
        change->name = by_name ? in->topic_names.items[i] : in->topics.items[i].name;
        if (!by_name)
            change->id = in->topics.items[i].topic_id;
    }
    catalog_submit(r->shard->broker, deletion);
}
