/* DeleteRecords: the start of partitions moves up; -1: to their end. */
#include "streamer/api.h"
#include "streamer/ask.h"

#define PARTITION_OUT struct kafka_delete_records_response_partition
#define TOPIC_IN struct kafka_delete_records_request_topic
#define TOPIC_OUT struct kafka_delete_records_response_topic

enum { OFFSET_END = -1 };

struct item {
    struct ask_item ask; /* first */
    int64_t offset, start;
};

static void answer(struct ask_item *ask)
{
    struct item *i = (struct item *)ask;
    struct journal_log *log = ask->part_of.partition->log;
    int64_t offset = i->offset == OFFSET_END ? journal_log_stable(log) : i->offset;
    enum err e = offset < 0 ? ERR_OUT_OF_RANGE : journal_log_cut_start(log, offset);
    ask->error = e == ERR_OUT_OF_RANGE ? KAFKA_OFFSET_OUT_OF_RANGE : kafka_error_of(e);
    i->start = journal_log_start(log);
}

static uint32_t tell(const struct ask *ask, const TOPIC_IN *in, uint32_t n, TOPIC_OUT *out)
{
    out->name = in->name;
    out->partitions.items = arena_array(&ask->request->arena, PARTITION_OUT, in->partitions.count + 1);
    out->partitions.count = out->partitions.items ? in->partitions.count : 0;
    for (uint32_t i = 0; i < out->partitions.count; i++) {
        const struct item *item = (const struct item *)ask_item(ask, n + i);
        out->partitions.items[i] = (PARTITION_OUT){.partition_index = in->partitions.items[i].partition_index,
                                                   .low_watermark = item->ask.error ? -1 : item->start,
                                                   .error_code = (int16_t)item->ask.error};
    }
    return n + in->partitions.count;
}

static void reply(struct ask *ask)
{
    const struct kafka_delete_records_request *in = ask->request->body;
    struct kafka_delete_records_response out = kafka_delete_records_response_default;
    out.topics.items = arena_array(&ask->request->arena, TOPIC_OUT, in->topics.count + 1);
    out.topics.count = out.topics.items ? in->topics.count : 0;
    for (uint32_t t = 0, n = 0; t < out.topics.count; t++)
        n = tell(ask, &in->topics.items[t], n, &out.topics.items[t]);
    request_reply(ask->request, &out);
}

static uint32_t count_partitions(const struct kafka_delete_records_request *in)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t < in->topics.count; t++)
        count += in->topics.items[t].partitions.count;
    return count;
}

void api_delete_records(struct request *r)
{
    const struct kafka_delete_records_request *in = r->body;
    struct ask *ask = ask_new(r, sizeof(struct item), count_partitions(in), answer, reply);
    for (uint32_t t = 0; ask && t < in->topics.count; t++)
        for (uint32_t n = 0; n < in->topics.items[t].partitions.count; n++) {
            const struct kafka_delete_records_request_partition *p = &in->topics.items[t].partitions.items[n];
            struct item *i = (struct item *)ask_add(ask, in->topics.items[t].name, p->partition_index);
            i->offset = p->offset;
        }
    if (ask)
        ask_go(ask);
}
