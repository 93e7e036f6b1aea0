/* A partition: a log with what is kept in memory beside it: its producers, who waits for its bytes. It lives on one shard.
 *
 *   opened (partitions_open, partitions_change) ──▶ served ──▶ gone (topic deleted, or the broker stops)
 *
 * Once gone it takes and gives nothing; who waits is woken and finds that out; the memory goes with the last reference. A
 * partition whose log could not be opened is there too, `failed` says why, and the others are served.
 *
 * The state of producers is saved in a ledger of the shard (meta/producers-N.ledger), so that a start reads only batches behind
 * that; what lies behind is learnt from the batches themselves. Thread: the shard's. */
#ifndef PRISM_STREAMER_PARTITION_H
#define PRISM_STREAMER_PARTITION_H

#include "journal/journal.h"
#include "journal/ledger.h"
#include "streamer/producer.h"
#include "streamer/producer_ids.h"
#include "streamer/purgatory.h"
#include "streamer/shard.h"

struct produce_item;

enum { PARTITION_EPOCH = 0 }; /* leader epochs come with replication */

/* Of the shard's map. */
struct partition_key {
    struct kafka_uuid topic;
    uint32_t index;
};

struct partition {
    struct shard *shard;
    const struct topic *topic; /* a reference; replaced when its settings change */
    struct journal_log *log;   /* NULL: gone or failed */
    struct producers producers;
    struct growing readable; /* bytes that became readable since the start */
    struct produce_item
        *repeated; /* batches sent again whose first sending is not durable yet, in the order of offsets */
    struct produce_item **repeated_end;
    struct partition *next_unsaved;
    bool unsaved; /* in the list of those whose producers are to be saved */
    bool gone;
    enum kafka_error failed;
    uint32_t index;
    uint32_t refs;
    uint64_t records_in, bytes_in, bytes_out;
    int64_t replay_from; /* batches below are in what was saved of its producers */
    enum err learning;   /* at start: the first error of what was replayed */
    struct partition_key key;
};

struct partitions {
    struct shard *shard;
    struct map by_key;
    struct producer_pool producers;
    struct ledger *ledger;
    struct partition *unsaved;
    struct timer timer;       /* saves producers, forgets those that are idle */
    struct map saved;         /* at start: what the last run saved */
    bool saved_ahead;         /* at start: some of it is ahead of its log, and must not be believed again */
    uint32_t saving;          /* entries on their way to the ledger */
    uint32_t appending;       /* appends on their way */
    uint32_t fetches_waiting; /* partitions of fetches of this shard's connections that wait */
    struct fetch_sessions *sessions;
    struct producer_ids *ids;
    void (*saved_last)(struct partitions *);
    void (*closed)(void *context);
    void *closed_context;
};

/* NULL: not here, or gone, or the shard has closed. */
struct partition *partition_find(const struct shard *, const struct kafka_uuid *topic, uint32_t index);
struct partition *partition_ref(struct partition *);
void partition_unref(struct partition *); /* NULL is fine */
/* What a client is told of one that partition_find did not find, or found failed. */
static inline enum kafka_error partition_error(const struct partition *p)
{
    return !p || p->gone ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : p->failed;
}

/* Something was appended: its producers are saved before long. */
void partition_touched(struct partition *);
/* What was submitted has ended, well or badly: consumers and repeated batches are served. */
void partition_grown(struct partition *, uint64_t bytes);
void partition_append_failed(struct partition *, int64_t first_offset, enum err);
/* Appends of all partitions that have not ended yet; at 0 a shard that closes goes on. */
void partitions_appending(struct partitions *, int change);

/* For journal_store_options.replayed; its context is not used. */
void partition_replayed(void *context, struct journal_log *, const struct journal_entry *, struct slice header);
/* For journal_store_options.format. */
extern const struct journal_format partition_format;

static inline int64_t partition_setting(const struct partition *p, enum topic_setting setting)
{
    return p->topic->config.values[setting];
}

#endif
