/* A shard: one loop on one thread with what it owns: connections, partitions, groups, a journal. Shards share nothing but
 * immutable things with counts (topics.h, settings); one reaches another by posting a task, in batches where it has many.
 *
 *   partition (topic, index) → shard_of_partition         group → shard_of_group         the catalog → shard 0
 *
 * With one worker all of these are the shard at hand and nothing is posted. Thread: the shard's, unless said otherwise. */
#ifndef PRISM_STREAMER_SHARD_H
#define PRISM_STREAMER_SHARD_H

#include "base/diag.h"
#include "base/log.h"
#include "rt/loop.h"
#include "streamer/topics.h"

struct broker;
struct broker_settings;
struct groups;
struct journal;
struct listener;
struct stream_measure;
struct partitions;
struct connections;
struct requests;

struct shard {
    struct broker *broker;
    unsigned index;
    struct loop *loop;
    struct pool *pool; /* of the process: for what blocks */
    struct log *log;
    struct stream_measure *measure;
    const struct broker_settings *settings; /* in effect here; replaced as a whole, a reference is held */
    const struct topics *topics;            /* in effect here; replaced as a whole, a reference is held */
    struct journal *journal;
    struct partitions *partitions; /* those that live here: partition.h */
    struct groups *groups;         /* those that live here: groups.h */
    struct connections *connections;
    struct requests *requests; /* memory of requests, kept for the next ones */
};

/* Thread: any. */
struct shard *shard_of_partition(const struct broker *, const struct kafka_uuid *topic, uint32_t partition);
struct shard *shard_of_group(const struct broker *, struct slice group);
uint32_t shard_index_of_group(struct slice group, uint32_t shards);
struct shard *shard_of_catalog(const struct broker *);

/* Runs the task on that shard's thread. Thread: any. */
static inline void shard_post(struct shard *s, struct task *task)
{
    loop_post(s->loop, task);
}

/* shard->topics has it already: its parts are told. was NULL: new; now NULL: gone. */
void shard_topic_changed(struct shard *, const struct topic *was, const struct topic *now);

/* --- what the shard asks of its parts, in the order of a life --------------------------------------------------------------
 *
 * partition.c. At start, before anything is served: opens those of the topics in shard->topics that live here. Blocks. */
enum err partitions_open(struct shard *, struct diag *) __attribute__((warn_unused_result));
/* A topic is new (was NULL), gone (now NULL), or has more partitions or other settings. shard->topics has it already. An error
 * leaves that topic's partitions here without service (KAFKA_STORAGE_ERROR), and is logged by the caller. */
enum err partitions_change(struct shard *, const struct topic *was, const struct topic *now)
    __attribute__((warn_unused_result));
/* Requests that wait are answered now (NOT_LEADER_OR_FOLLOWER for waiters, what is under way is finished); then closed comes
 * from the loop. The journal is closed by the shard afterwards. */
void partitions_close(struct shard *, void (*closed)(void *context), void *context);

/* groups.c: the same. A topic that is gone takes its offsets along. After groups_close who comes is refused, until groups_free. */
enum err groups_open(struct shard *, struct diag *) __attribute__((warn_unused_result));
void groups_change(struct shard *, const struct topic *was, const struct topic *now);
void groups_close(struct shard *, void (*closed)(void *context), void *context);
void groups_free(struct shard *); /* none is fine */

#endif
