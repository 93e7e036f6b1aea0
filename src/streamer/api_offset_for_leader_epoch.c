/* OffsetForLeaderEpoch: where an epoch ended. There is one epoch until there is replication: it has not ended. */
#include "streamer/api.h"
#include "streamer/ask.h"

#define PARTITION_IN struct kafka_offset_for_leader_epoch_request_partition
#define PARTITION_OUT struct kafka_offset_for_leader_epoch_response_partition
#define TOPIC_IN struct kafka_offset_for_leader_epoch_request_topic
#define TOPIC_OUT struct kafka_offset_for_leader_epoch_response_topic

struct item {
    struct ask_item ask; /* first */
    int32_t asked, current;
    int32_t epoch; /* -1: none of ours */
    int64_t end;
};

static void answer(struct ask_item *ask)
{
    struct item *i = (struct item *)ask;
    ask->error = ask_check_epoch(i->current);
    bool ours = !ask->error && i->asked == PARTITION_EPOCH;
    i->epoch = ours ? PARTITION_EPOCH : -1;
    i->end = ours ? journal_log_stable(ask->part_of.partition->log) : -1;
}

static uint32_t tell(const struct ask *ask, const TOPIC_IN *in, uint32_t n, TOPIC_OUT *out)
{
    out->topic = in->topic;
    out->partitions.items = arena_array(&ask->request->arena, PARTITION_OUT, in->partitions.count + 1);
    out->partitions.count = out->partitions.items ? in->partitions.count : 0;
    for (uint32_t i = 0; i < out->partitions.count; i++) {
        const struct item *item = (const struct item *)ask_item(ask, n + i);
        out->partitions.items[i] = (PARTITION_OUT){.partition = in->partitions.items[i].partition,
                                                   .error_code = (int16_t)item->ask.error,
                                                   .leader_epoch = item->epoch,
                                                   .end_offset = item->end};
    }
    return n + in->partitions.count;
}

static void reply(struct ask *ask)
{
    const struct kafka_offset_for_leader_epoch_request *in = ask->request->body;
    struct kafka_offset_for_leader_epoch_response out = kafka_offset_for_leader_epoch_response_default;
    out.topics.items = arena_array(&ask->request->arena, TOPIC_OUT, in->topics.count + 1);
    out.topics.count = out.topics.items ? in->topics.count : 0;
    for (uint32_t t = 0, n = 0; t < out.topics.count; t++)
        n = tell(ask, &in->topics.items[t], n, &out.topics.items[t]);
    request_reply(ask->request, &out);
}

static void add(struct ask *ask, struct slice topic, const PARTITION_IN *in)
{
    struct item *i = (struct item *)ask_add(ask, topic, in->partition);
    i->asked = in->leader_epoch;
    i->current = in->current_leader_epoch;
    i->epoch = -1;
    i->end = -1;
}

void api_offset_for_leader_epoch(struct request *r)
{
    const struct kafka_offset_for_leader_epoch_request *in = r->body;
    uint32_t count = 0;
    for (uint32_t t = 0; t < in->topics.count; t++)
        count += in->topics.items[t].partitions.count;
    struct ask *ask = ask_new(r, sizeof(struct item), count, answer, reply);
    for (uint32_t t = 0; ask && t < in->topics.count; t++)
        for (uint32_t n = 0; n < in->topics.items[t].partitions.count; n++)
            add(ask, in->topics.items[t].topic, &in->topics.items[t].partitions.items[n]);
    if (ask)
        ask_go(ask);
}
