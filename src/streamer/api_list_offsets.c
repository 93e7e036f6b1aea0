/* ListOffsets: the end, the start, or the first record at or after a time. */
#include "base/limits.h"
#include "kafka/batch.h"
#include "streamer/api.h"
#include "streamer/ask.h"
#include "streamer/offset_time.h"

#define PARTITION_IN struct kafka_list_offsets_request_partition
#define PARTITION_OUT struct kafka_list_offsets_response_partition
#define TOPIC_IN struct kafka_list_offsets_request_topic
#define TOPIC_OUT struct kafka_list_offsets_response_topic

enum { TIME_END = -1, TIME_START = -2, TIME_MAX = -3, TIME_LOCAL_START = -4, TIME_TIERED = -5 };

struct item {
    struct ask_item ask; /* first */
    int64_t asked_ms;
    int32_t epoch;
    int64_t offset, time_ms; /* -1: there is none */
};

static enum err find(struct journal_log *log, int64_t asked_ms, int64_t *ret_offset, int64_t *ret_time_ms)
{
    *ret_offset = *ret_time_ms = -1;
    switch (asked_ms) {
    case TIME_END:
        *ret_offset = journal_log_stable(log);
        return OK;
    case TIME_START:
    case TIME_LOCAL_START:
        *ret_offset = journal_log_start(log);
        return OK;
    case TIME_MAX:
        return offset_of_max_time(log, ret_offset, ret_time_ms);
    case TIME_TIERED:
        return OK;
    default:
        return offset_of_time(log, asked_ms, ret_offset, ret_time_ms);
    }
}

static void answer(struct ask_item *ask)
{
    struct item *i = (struct item *)ask;
    ask->error = ask_check_epoch(i->epoch);
    if (!ask->error)
        ask->error = kafka_error_of(find(ask->part_of.partition->log, i->asked_ms, &i->offset, &i->time_ms));
    if (ask->error)
        i->offset = i->time_ms = -1;
}

static PARTITION_OUT tell_one(struct item *i, int32_t index)
{
    PARTITION_OUT told = kafka_list_offsets_response_partition_default;
    told.partition_index = index;
    told.error_code = (int16_t)i->ask.error;
    told.offset = i->offset;
    told.timestamp = i->time_ms;
    told.leader_epoch = i->offset < 0 ? -1 : PARTITION_EPOCH;
    told.old_style_offsets.items = i->offset < 0 ? KAFKA_EMPTY : &i->offset;
    told.old_style_offsets.count = i->offset >= 0;
    return told;
}

static uint32_t tell(const struct ask *ask, const TOPIC_IN *in, uint32_t n, TOPIC_OUT *out)
{
    out->name = in->name;
    out->partitions.items = arena_array(&ask->request->arena, PARTITION_OUT, in->partitions.count + 1);
    out->partitions.count = out->partitions.items ? in->partitions.count : 0;
    for (uint32_t i = 0; i < out->partitions.count; i++)
        out->partitions.items[i] =
            tell_one((struct item *)ask_item(ask, n + i), in->partitions.items[i].partition_index);
    return n + in->partitions.count;
}

static void reply(struct ask *ask)
{
    const struct kafka_list_offsets_request *in = ask->request->body;
    struct kafka_list_offsets_response out = kafka_list_offsets_response_default;
    out.topics.items = arena_array(&ask->request->arena, TOPIC_OUT, in->topics.count + 1);
    out.topics.count = out.topics.items ? in->topics.count : 0;
    for (uint32_t t = 0, n = 0; t < out.topics.count; t++)
        n = tell(ask, &in->topics.items[t], n, &out.topics.items[t]);
    request_reply(ask->request, &out);
}

static void add(struct ask *ask, struct slice topic, const PARTITION_IN *in)
{
    struct item *i = (struct item *)ask_add(ask, topic, in->partition_index);
    i->asked_ms = in->timestamp;
    i->epoch = in->current_leader_epoch;
    i->offset = i->time_ms = -1;
}

void api_list_offsets(struct request *r)
{
    const struct kafka_list_offsets_request *in = r->body;
    uint32_t count = 0;
    for (uint32_t t = 0; t < in->topics.count; t++)
        count += in->topics.items[t].partitions.count;
    struct ask *ask = ask_new(r, sizeof(struct item), count, answer, reply);
    for (uint32_t t = 0; ask && t < in->topics.count; t++)
        for (uint32_t n = 0; n < in->topics.items[t].partitions.count; n++)
            add(ask, in->topics.items[t].name, &in->topics.items[t].partitions.items[n]);
    if (ask)
        ask_go(ask);
}
