/* A question to several partitions, each of which answers at once: the shape of ListOffsets, DeleteRecords and their like.
 *
 *   struct ask *ask = ask_new(r, sizeof(struct my_item), count, answer, reply);       NULL: no memory; the request was dropped
 *   ask_add(ask, topic_name, index);                          for each partition, in the order of the request
 *   ask_go(ask);
 *      answer(item)       on the partition's shard, with item->part_of.partition there and served
 *      reply(ask)         on the request's shard; ask_item(ask, n): item->error, and what answer wrote */
#ifndef PRISM_STREAMER_ASK_H
#define PRISM_STREAMER_ASK_H

#include "streamer/partition.h"
#include "streamer/request.h"
#include "streamer/scatter.h"

struct ask_item {
    struct scatter_item part_of; /* first */
    enum kafka_error error;
};

struct ask {
    struct request *request;
    struct scatter scatter;
    uint8_t *items;
    size_t item_size;
    uint32_t count, count_max;
    bool no_memory;
    void (*answer)(struct ask_item *);
    void (*reply)(struct ask *);
};

/* Items begin with a struct ask_item and are zeroed. */
struct ask *ask_new(struct request *, size_t item_size, uint32_t count, void (*answer)(struct ask_item *),
                    void (*reply)(struct ask *)) __attribute__((warn_unused_result));
struct ask_item *ask_add(struct ask *, struct slice topic, int32_t index);
void ask_go(struct ask *);
/* In the order in which they were added. */
struct ask_item *ask_item(const struct ask *, uint32_t n);

/* What a request that names a leader epoch is told where that is not ours. */
static inline enum kafka_error ask_check_epoch(int32_t epoch)
{
    return epoch > PARTITION_EPOCH ? KAFKA_UNKNOWN_LEADER_EPOCH : KAFKA_NONE;
}

#endif
