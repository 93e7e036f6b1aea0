/* DescribeProducers: what partitions remember of their idempotent producers. */
#include "base/mem.h"
#include "streamer/api.h"
#include "streamer/ask.h"

#define PARTITION_OUT struct kafka_describe_producers_response_partition
#define PRODUCER_OUT struct kafka_describe_producers_response_producer
#define TOPIC_IN struct kafka_describe_producers_request_topic
#define TOPIC_OUT struct kafka_describe_producers_response_topic

/* The list is made where the partition lives, which is no place to take memory of the request's. */
struct item {
    struct ask_item ask; /* first */
    PRODUCER_OUT *producers;
    uint32_t count;
};

static PRODUCER_OUT describe(const struct producer *p, const struct producer_batch *newest)
{
    PRODUCER_OUT out = kafka_describe_producers_response_producer_default;
    out.producer_id = p->id;
    out.producer_epoch = p->epoch;
    out.last_sequence = sequence_add(newest->first_sequence, newest->delta);
    out.last_timestamp = p->used_ms;
    out.coordinator_epoch = -1;
    return out;
}

static void answer(struct ask_item *ask)
{
    struct item *i = (struct item *)ask;
    const struct producers *all = &ask->part_of.partition->producers;
    i->producers = mem_alloc((all->by_id.count + 1) * sizeof *i->producers);
    if (!i->producers) {
        ask->error = KAFKA_UNKNOWN_SERVER_ERROR;
        return;
    }
    for (const struct producer *p = all->oldest; p; p = p->next) {
        const struct producer_batch *newest = producer_newest(p);
        if (newest)
            i->producers[i->count++] = describe(p, newest);
    }
}

static uint32_t tell(const struct ask *ask, const TOPIC_IN *in, uint32_t n, TOPIC_OUT *out)
{
    out->name = in->name;
    out->partitions.items = arena_array(&ask->request->arena, PARTITION_OUT, in->partition_indexes.count + 1);
    out->partitions.count = out->partitions.items ? in->partition_indexes.count : 0;
    for (uint32_t i = 0; i < out->partitions.count; i++) {
        const struct item *item = (const struct item *)ask_item(ask, n + i);
        PARTITION_OUT told = kafka_describe_producers_response_partition_default;
        told.partition_index = in->partition_indexes.items[i];
        told.error_code = (int16_t)item->ask.error;
        told.active_producers.items = item->count ? item->producers : KAFKA_EMPTY;
        told.active_producers.count = item->count;
        out->partitions.items[i] = told;
    }
    return n + in->partition_indexes.count;
}

static void reply(struct ask *ask)
{
    const struct kafka_describe_producers_request *in = ask->request->body;
    struct kafka_describe_producers_response out = kafka_describe_producers_response_default;
    out.topics.items = arena_array(&ask->request->arena, TOPIC_OUT, in->topics.count + 1);
    out.topics.count = out.topics.items ? in->topics.count : 0;
    for (uint32_t t = 0, n = 0; t < out.topics.count; t++)
        n = tell(ask, &in->topics.items[t], n, &out.topics.items[t]);
    request_reply(ask->request, &out);
}

/* Not before the answer has gone: `ended` comes after that. */
static void ended(struct request *r)
{
    const struct ask *ask = r->context;
    for (uint32_t n = 0; n < ask->count; n++)
        mem_free(((struct item *)ask_item(ask, n))->producers);
}

void api_describe_producers(struct request *r)
{
    const struct kafka_describe_producers_request *in = r->body;
    uint32_t count = 0;
    for (uint32_t t = 0; t < in->topics.count; t++)
        count += in->topics.items[t].partition_indexes.count;
    struct ask *ask = ask_new(r, sizeof(struct item), count, answer, reply);
    if (!ask)
        return;
    r->context = ask;
    r->ended = ended;
    for (uint32_t t = 0; t < in->topics.count; t++)
        for (uint32_t n = 0; n < in->topics.items[t].partition_indexes.count; n++)
            ask_add(ask, in->topics.items[t].name, in->topics.items[t].partition_indexes.items[n]);
    ask_go(ask);
}
