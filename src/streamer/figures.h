/* What every shard has to tell: gathered by asking each on its own thread, for metrics and health. Nothing is counted on the hot path
 * for it that is not counted anyway. Thread: the asker's loop; what came back is the asker's. */
#ifndef PRISM_STREAMER_FIGURES_H
#define PRISM_STREAMER_FIGURES_H

#include "base/arena.h"
#include "journal/journal.h"
#include "streamer/broker.h"
#include "streamer/connection.h"

struct partition_figures {
    const struct topic *topic; /* a reference */
    uint32_t index;
    int64_t start, end; /* what consumers may see */
    uint64_t bytes;     /* on disk */
    uint64_t records_in, bytes_in, bytes_out;
    bool failed;
};

/* How far a group has read a partition. */
struct offset_figures {
    struct slice group;
    struct kafka_uuid topic;
    uint32_t partition;
    int64_t offset;
};

struct group_figures {
    struct slice group;
    const char *state;
    uint32_t members;
};

struct figures;

struct shard_figures {
    struct task task;
    struct figures *all;
    struct shard *shard;
    struct arena arena;
    enum err err; /* ERR_NOMEM: some are missing */
    struct connections_counts connections;
    struct journal_status journal;
    const struct topics *topics; /* a reference */
    struct partition_figures *partitions;
    uint32_t partition_count;
    struct group_figures *groups;
    uint32_t group_count;
    struct offset_figures *offsets;
    uint32_t offset_count;
};

struct figures {
    struct broker *broker;
    struct loop *asker;
    void (*done)(struct figures *);
    void *context;
    struct shard_figures *shards;
    uint32_t shard_count;
    uint32_t left;
};

/* All fields but shards are set by it. ERR_NOMEM: done does not come. The broker must not be stopped before it has. */
enum err figures_ask(struct broker *, struct loop *asker, void (*done)(struct figures *), void *context,
                     struct figures **ret_figures) __attribute__((warn_unused_result));
void figures_free(struct figures *);

/* Whether it is well; else the first reason, in words. */
const char *figures_trouble(const struct figures *);
/* In the Prometheus text format, behind the families of broker_metrics. */
void figures_write(const struct figures *, struct buf *out);
/* Rows of docs/reference/memorystreamer-metrics.md. */
void figures_reference(struct buf *out);

#endif
