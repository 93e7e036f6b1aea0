/* DescribeLogDirs: one folder, the sizes of partitions in it, and of its disk. No array of topics: all of them. */
#include "streamer/api.h"
#include "streamer/ask.h"
#include "streamer/broker.h"
#include "streamer/request.h"

#define DIR_OUT struct kafka_describe_log_dirs_response_dir
#define PARTITION_OUT struct kafka_describe_log_dirs_response_partition
#define TOPIC_IN struct kafka_describe_log_dirs_request_topic
#define TOPIC_OUT struct kafka_describe_log_dirs_response_topic

struct item {
    struct ask_item ask; /* first */
    int64_t size;
};

/* What is asked for; all topics are listed here where the request names none. In the request's arena. */
struct wanted {
    struct work work; /* looks at the disk, in the pool */
    struct ask *ask;
    TOPIC_IN *topics;
    uint32_t count;
    uint32_t partitions; /* of all */
    int64_t usable_bytes;
};

static void answer(struct ask_item *ask)
{
    struct journal_log_status status;
    journal_log_status(ask->part_of.partition->log, &status);
    ((struct item *)ask)->size = (int64_t)status.bytes;
}

/* Partitions that are not there are left out, as by Kafka. */
static bool tell(const struct ask *ask, const TOPIC_IN *in, uint32_t n, TOPIC_OUT *out)
{
    out->name = in->topic;
    out->partitions.items = arena_array(&ask->request->arena, PARTITION_OUT, in->partitions.count + 1);
    for (uint32_t i = 0; out->partitions.items && i < in->partitions.count; i++) {
        const struct item *item = (const struct item *)ask_item(ask, n + i);
        if (!item->ask.error)
            out->partitions.items[out->partitions.count++] =
                (PARTITION_OUT){.partition_index = in->partitions.items[i], .partition_size = item->size};
    }
    return out->partitions.items;
}

static void reply(struct ask *ask)
{
    const struct wanted *wanted = ask->request->context;
    struct kafka_describe_log_dirs_response out = kafka_describe_log_dirs_response_default;
    DIR_OUT dir = kafka_describe_log_dirs_response_dir_default;
    dir.log_dir = slice_str(broker_data_dir(ask->request->shard->broker));
    dir.usable_bytes = wanted->usable_bytes;
    dir.topics.items = arena_array(&ask->request->arena, TOPIC_OUT, wanted->count + 1);
    dir.topics.count = wanted->count;
    bool ok = dir.topics.items;
    for (uint32_t t = 0, n = 0; ok && t < wanted->count; t++) {
        ok = tell(ask, &wanted->topics[t], n, &dir.topics.items[t]);
        n += wanted->topics[t].partitions.count;
    }
    out.results.items = &dir;
    out.results.count = 1;
    if (ok)
        request_reply(ask->request, &out);
    else
        request_drop(ask->request);
}

/* --- what is wanted ----------------------------------------------------------------------------------------------------------- */

static bool all_partitions(struct request *r, const struct topic *t, TOPIC_IN *out)
{
    int32_t *items = arena_array(&r->arena, int32_t, t->partitions);
    for (uint32_t i = 0; items && i < t->partitions; i++)
        items[i] = (int32_t)i;
    *out = (TOPIC_IN){.topic = t->name, .partitions = {items, t->partitions}};
    return items;
}

static bool want_all(struct request *r, struct wanted *w)
{
    const struct topics *topics = topics_ref(r->shard->topics);
    bool ok = (w->topics = arena_array(&r->arena, TOPIC_IN, topics->count + 1));
    for (uint32_t i = 0; ok && i < topics->count; i++)
        ok = all_partitions(r, topics->sorted[i], &w->topics[i]) &&
             arena_copy(&r->arena, topics->sorted[i]->name, &w->topics[i].topic);
    w->count = topics->count;
    topics_unref(topics);
    return ok;
}

static bool want(struct request *r, struct wanted *w)
{
    const struct kafka_describe_log_dirs_request *in = r->body;
    w->topics = in->topics.items;
    w->count = in->topics.count;
    if (!in->topics.items && !want_all(r, w))
        return false;
    for (uint32_t i = 0; i < w->count; i++)
        w->partitions += w->topics[i].partitions.count;
    return true;
}

static void add_all(struct wanted *w)
{
    for (uint32_t t = 0; t < w->count; t++)
        for (uint32_t i = 0; i < w->topics[t].partitions.count; i++)
            ask_add(w->ask, w->topics[t].topic, w->topics[t].partitions.items[i]);
}

/* Thread: the pool's. */
static void look(struct work *work)
{
    struct wanted *w = (struct wanted *)work;
    const struct broker *b = w->ask->request->shard->broker;
    uint64_t usable;
    if (!broker_env(b)->disk->space(broker_env(b), broker_data_dir(b), &usable))
        w->usable_bytes = (int64_t)usable;
}

static void looked(struct work *work)
{
    struct wanted *w = (struct wanted *)work;
    add_all(w);
    ask_go(w->ask);
}

void api_describe_log_dirs(struct request *r)
{
    struct wanted *w = arena_new(&r->arena, struct wanted);
    if (!w || !want(r, w)) {
        request_drop(r);
        return;
    }
    w->work.run = look;
    w->work.done = looked;
    w->usable_bytes = -1;
    r->context = w;
    w->ask = ask_new(r, sizeof(struct item), w->partitions, answer, reply);
    if (w->ask)
        pool_submit(r->shard->pool, r->shard->loop, &w->work);
}
