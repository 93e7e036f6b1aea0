/* Produce: each partition's batch is an item (produce.h); the answer goes when all have ended. */
#include <stddef.h>

#include "streamer/api.h"
#include "streamer/produce.h"
#include "streamer/request.h"

#define TOPIC_IN struct kafka_produce_request_topic
#define TOPIC_OUT struct kafka_produce_response_topic
#define PARTITION_OUT struct kafka_produce_response_partition

struct producing {
    struct request *request;
    struct scatter scatter;
    struct produce_item *items;
    uint32_t count;
};

/* --- the answer ------------------------------------------------------------------------------------------------------------- */

static PARTITION_OUT tell(const struct produce_item *i, int32_t index)
{
    PARTITION_OUT told = kafka_produce_response_partition_default;
    told.index = index;
    told.error_code = (int16_t)i->error;
    told.base_offset = i->base_offset;
    told.log_append_time_ms = i->append_time_ms;
    told.log_start_offset = i->start_offset;
    told.error_message = slice_str(i->message);
    return told;
}

static bool tell_topic(struct request *r, const TOPIC_IN *in, const struct produce_item *items, TOPIC_OUT *out)
{
    out->name = in->name;
    out->partition_responses.count = in->partition_data.count;
    out->partition_responses.items = arena_array(&r->arena, PARTITION_OUT, in->partition_data.count + 1);
    for (uint32_t i = 0; out->partition_responses.items && i < in->partition_data.count; i++)
        out->partition_responses.items[i] = tell(&items[i], in->partition_data.items[i].index);
    return out->partition_responses.items;
}

static void reply(struct producing *all)
{
    struct request *r = all->request;
    const struct kafka_produce_request *in = r->body;
    const struct produce_item *items = all->items;
    struct kafka_produce_response out = kafka_produce_response_default;
    out.responses.count = in->topic_data.count;
    out.responses.items = arena_array(&r->arena, TOPIC_OUT, in->topic_data.count + 1);
    bool told = out.responses.items;
    for (uint32_t i = 0; told && i < in->topic_data.count; i++) {
        told = tell_topic(r, &in->topic_data.items[i], items, &out.responses.items[i]);
        items += in->topic_data.items[i].partition_data.count;
    }
    if (told)
        request_reply(r, &out);
    else
        request_drop(r);
}

/* Without acknowledgement there is no answer that could tell of an error: the connection's end does. As Kafka. */
static void reply_nothing(struct producing *all)
{
    for (uint32_t i = 0; i < all->count; i++)
        if (all->items[i].error) {
            request_drop(all->request);
            return;
        }
    request_reply_nothing(all->request);
}

static void produced(struct scatter *scatter)
{
    struct producing *all = (struct producing *)((char *)scatter - offsetof(struct producing, scatter));
    const struct kafka_produce_request *in = all->request->body;
    if (in->acks == 0)
        reply_nothing(all);
    else
        reply(all);
}

/* --- the work --------------------------------------------------------------------------------------------------------------- */

static void item_ended(struct produce_item *i)
{
    if (--i->part->pending == 0)
        scatter_finished(i->part);
}

/* One more is held back until all have begun: some end at once. */
static void run(struct scatter_part *part)
{
    part->pending = 1;
    for (struct scatter_item *i = part->items; i; i = i->next)
        part->pending++;
    for (struct scatter_item *i = part->items, *next; i; i = next) {
        struct produce_item *item = (struct produce_item *)i; /* its first member */
        next = i->next;
        item->part = part;
        produce_start(item);
    }
    if (--part->pending == 0)
        scatter_finished(part);
}

static enum kafka_error check_request(const struct kafka_produce_request *in)
{
    if (in->acks < -1 || in->acks > 1)
        return KAFKA_INVALID_REQUIRED_ACKS;
    return in->transactional_id.data ? KAFKA_INVALID_TXN_STATE : KAFKA_NONE;
}

static void item_init(struct produce_item *i, const struct request *r, const struct kafka_records *records,
                      int16_t acks)
{
    i->version = request_version(r);
    i->acks = acks;
    i->block = r->block;
    i->records = records->bytes;
    i->ended = item_ended;
    i->base_offset = i->append_time_ms = i->start_offset = -1;
}

static bool add_topic(struct producing *all, const TOPIC_IN *in, enum kafka_error refused)
{
    struct request *r = all->request;
    const struct topic *topic = topics_find(r->shard->topics, in->name);
    if (!refused && (!topic || topic->internal))
        refused = topic ? KAFKA_INVALID_TOPIC : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    for (uint32_t i = 0; i < in->partition_data.count; i++) {
        struct produce_item *item = &all->items[all->count++];
        item_init(item, r, &in->partition_data.items[i].records, ((const struct kafka_produce_request *)r->body)->acks);
        int32_t index = in->partition_data.items[i].index;
        item->error = !refused && (index < 0 || (uint32_t)index >= topic->partitions) ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                                                                                      : refused;
        if (!item->error && !scatter_add(&all->scatter, &item->part_of, &topic->id, (uint32_t)index))
            return false;
    }
    return true;
}

static uint32_t count_items(const struct kafka_produce_request *in)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < in->topic_data.count; i++)
        count += in->topic_data.items[i].partition_data.count;
    return count;
}

static bool add_topics(struct producing *all)
{
    const struct kafka_produce_request *in = all->request->body;
    enum kafka_error refused = check_request(in);
    all->items = arena_array(&all->request->arena, struct produce_item, count_items(in) + 1);
    bool added = all->items;
    for (uint32_t i = 0; added && i < in->topic_data.count; i++)
        added = add_topic(all, &in->topic_data.items[i], refused);
    return added;
}

void api_produce(struct request *r)
{
    struct producing *all = arena_new(&r->arena, struct producing);
    if (!all) {
        request_drop(r);
        return;
    }
    all->request = r;
    scatter_init(&all->scatter, r->shard, &r->arena, run, produced);
    if (add_topics(all))
        scatter_go(&all->scatter);
    else
        request_drop(r);
}
