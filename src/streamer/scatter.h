/* Work on partitions that live on several shards: each shard gets its items at once, on its thread, and gives them back.
 *
 *   scatter_init(&s, shard, arena, run, done);
 *   scatter_add(&s, &item->part_of, &topic_id, index);        each item; false: out of memory
 *   scatter_go(&s);
 *      run(part)                  on the thread of part->shard, once for each shard that has items; it calls
 *      scatter_finished(part)     then or later, on that thread
 *      done(&s)                   on the first shard's thread, when all parts have finished; never from inside scatter_go
 *                                 unless all parts live there and have finished by then
 *
 * The same scatter may go again from done on, with the same items and another run. With one worker nothing is posted: run and done
 * are plain calls. Memory is the request's; other shards' threads do not allocate from its arena. */
#ifndef PRISM_STREAMER_SCATTER_H
#define PRISM_STREAMER_SCATTER_H

#include "base/arena.h"
#include "streamer/shard.h"

struct scatter_item {
    struct scatter_item *next;   /* of the same part */
    struct partition *partition; /* for run: looked up there, NULL: it is not there */
    struct kafka_uuid topic;
    uint32_t index;
};

struct scatter_part {
    struct task task;
    struct scatter_part *next;
    struct scatter *scatter;
    struct shard *shard;
    struct scatter_item *items, **items_end;
    uint32_t pending; /* for run */
    void *context;    /* for run */
};

struct scatter {
    struct shard *shard; /* where it began */
    struct arena *arena;
    void (*run)(struct scatter_part *);
    void (*done)(struct scatter *);
    struct scatter_part *parts;
    struct scatter_part here; /* of the shard itself: most have no other */
    uint32_t waiting;
};

void scatter_init(struct scatter *, struct shard *, struct arena *, void (*run)(struct scatter_part *),
                  void (*done)(struct scatter *));
bool scatter_add(struct scatter *, struct scatter_item *, const struct kafka_uuid *topic, uint32_t index)
    __attribute__((warn_unused_result));
void scatter_go(struct scatter *);
void scatter_finished(struct scatter_part *);

#endif
