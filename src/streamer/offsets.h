/* How far a group has read: an offset for each partition that it has committed, by the topic's id, so that a topic that was removed and
 * made again starts anew. In memory; group_store.h makes them durable first. Thread: the shard's. */
#ifndef PRISM_STREAMER_OFFSETS_H
#define PRISM_STREAMER_OFFSETS_H

#include "base/map.h"
#include "kafka/codec.h"

struct offset_key {
    struct kafka_uuid topic;
    int32_t partition;
};

struct offset {
    struct offset_key key;
    int32_t leader_epoch;
    uint32_t metadata_size;
    int64_t offset;
    int64_t committed_ms; /* UTC */
    int64_t expires_ms;   /* -1: with the group */
    uint8_t metadata[];
};

struct offsets {
    struct map by_key;
    uint32_t reserved; /* on their way to be stored */
    uint64_t *total;   /* of the shard */
};

void offsets_init(struct offsets *, const struct hash_key *, uint64_t *total);
void offsets_fini(struct offsets *);

/* NULL: none was committed. */
const struct offset *offsets_find(const struct offsets *, const struct offset_key *);
/* A copy of what is given; NULL: out of memory. Freed by offset_free, or taken by offsets_put. */
struct offset *offset_new(const struct offset *, struct slice metadata) __attribute__((warn_unused_result));
void offset_free(struct offset *);
/* Room for so many puts that then cannot fail. ERR_RESOURCE_EXHAUSTED, ERR_NOMEM. */
enum err offsets_reserve(struct offsets *, uint32_t more) __attribute__((warn_unused_result));
/* A reserved one is not put. */
void offsets_release(struct offsets *, uint32_t count);
/* In place of the one before; takes it. It was reserved. */
void offsets_put(struct offsets *, struct offset *);
void offsets_remove(struct offsets *, const struct offset_key *);
/* Those for which lost says so. Where memory is short, some stay. */
void offsets_remove_lost(struct offsets *, bool (*lost)(const void *context, const struct offset *),
                         const void *context);
static inline struct slice offset_metadata(const struct offset *o)
{
    return slice_of(o->metadata, o->metadata_size);
}
static inline bool offsets_next(const struct offsets *all, uint32_t *at, const struct offset **ret)
{
    return map_next(&all->by_key, at, NULL, (void **)(uintptr_t)ret);
}

#endif
