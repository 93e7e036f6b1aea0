/* All topics at one moment: immutable, so that every shard reads its own reference without a lock. The catalog makes a new one
 * for each change (catalog.h); a topic that did not change is shared by both.
 *
 * Thread: any; counts are atomic, all else is written before it is shared. */
#ifndef PRISM_STREAMER_TOPICS_H
#define PRISM_STREAMER_TOPICS_H

#include <stdatomic.h>

#include "base/map.h"
#include "kafka/codec.h"
#include "streamer/topic_config.h"

struct topic {
    atomic_uint refs;
    struct kafka_uuid id; /* never used again for another */
    struct slice name;    /* in this allocation, with a NUL behind it */
    uint32_t partitions;  /* 0 to partitions - 1 */
    bool internal;        /* not for clients to write to */
    struct topic_config config;
};

struct topics {
    atomic_uint refs;
    uint64_t version;            /* one more with each change */
    const struct topic **sorted; /* by name; a reference each */
    uint32_t count;
    uint64_t partitions; /* of all of them */
    struct map by_name;
    struct map by_id;
};

/* NULL: there is none. Valid as long as the topics; topic_ref to keep one. */
const struct topic *topics_find(const struct topics *, struct slice name);
const struct topic *topics_find_id(const struct topics *, const struct kafka_uuid *id);
const struct topic *topic_ref(const struct topic *);
void topic_unref(const struct topic *); /* NULL is fine */
const struct topics *topics_ref(const struct topics *);
void topics_unref(const struct topics *); /* NULL is fine */

/* A topic on its own; one reference. NULL: out of memory. */
struct topic *topic_new(const struct kafka_uuid *id, struct slice name, uint32_t partitions,
                        const struct topic_config *) __attribute__((warn_unused_result));

/* One topic that changes: `was` NULL: it is new; `now` NULL: it goes. Both have the same id. */
struct topic_change {
    const struct topic *was, *now;
};
/* No topics; one reference. */
enum err topics_new(const struct hash_key *, struct topics **ret_topics) __attribute__((warn_unused_result));
/* Another one with these changes; one reference. ERR_NOMEM. */
enum err topics_changed(const struct topics *, const struct hash_key *, const struct topic_change *, uint32_t count,
                        struct topics **ret_topics) __attribute__((warn_unused_result));

/* While nobody else has it (the ledger is read): changed in place, without order; then topics_replayed sorts. */
enum err topics_replay(struct topics *, const struct topic_change *) __attribute__((warn_unused_result));
enum err topics_replayed(struct topics *) __attribute__((warn_unused_result));

/* Kafka's rule: 1 to 249 of letters, digits, '.', '_', '-', not "." nor "..". */
bool topic_name_valid(struct slice name);
static inline bool kafka_uuid_is_zero(const struct kafka_uuid *id)
{
    static const struct kafka_uuid zero;
    return memcmp(id, &zero, sizeof zero) == 0;
}

#endif
