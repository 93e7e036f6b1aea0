/* The catalog: which topics there are, durable. A state machine over a ledger (meta/catalog.ledger) that belongs to shard 0; each
 * change is checked against what is and what is on its way, written, and when it is durable a new struct topics goes to all shards. A
 * change is done when every shard has it: a client that was told of a topic can use it wherever it asks next.
 *
 *   asked ──check──▶ written (ledger) ──▶ topics of all shards ──▶ done
 *             └ refused: done with the reason, from the loop
 *
 * Thread: catalog_submit any; the rest shard 0's. */
#ifndef PRISM_STREAMER_CATALOG_H
#define PRISM_STREAMER_CATALOG_H

#include "base/diag.h"
#include "kafka/errors.h"
#include "rt/loop.h"
#include "streamer/topics.h"

struct broker;
struct catalog;
struct shard;

enum catalog_verb {
    CATALOG_CREATE,     /* name, partitions, config; answers the topic */
    CATALOG_DELETE,     /* name, or id where the name is empty */
    CATALOG_PARTITIONS, /* name, partitions: the new count */
    CATALOG_CONFIG,     /* name, settings, replace */
};

/* One setting that changes. */
struct catalog_setting {
    enum topic_setting setting;
    bool unset; /* back to the default */
    int64_t value;
};

/* One change to one topic; in the asker's memory until done. */
struct catalog_change {
    enum catalog_verb verb;
    struct slice name;
    struct kafka_uuid id;
    uint32_t partitions;
    const struct catalog_setting *settings; /* CREATE, CONFIG */
    uint32_t setting_count;
    bool replace; /* CONFIG: settings that are not named go back to their defaults */
    bool validate_only;
    /* The answer. Set before asking: the change is refused with it, unless another reason is found. */
    enum kafka_error error;
    const char *reason; /* NULL: the error says all */
    const struct topic
        *topic; /* a reference, which the asker gives back: as it is after the change, or would be; DELETE: as
                                  it was. NULL where it failed */
};

/* Several changes that are asked for together and are done together. Each succeeds or fails by itself. */
struct catalog_request {
    struct shard *shard; /* where done comes */
    struct catalog_change *changes;
    uint32_t count;
    void (*done)(struct catalog_request *);
    void *context;
    /* The catalog's. */
    struct task task;
    struct catalog_request *next;
};

void catalog_submit(struct broker *, struct catalog_request *);

/* Opening and closing, by the broker. Reads the ledger; the first topics are in effect everywhere when it returns. */
enum err catalog_open(struct broker *, struct diag *, struct catalog **ret_catalog) __attribute__((warn_unused_result));
const struct topics *catalog_topics(const struct catalog *); /* as of now; not a reference */
struct slice catalog_cluster_id(const struct catalog *);
void catalog_close(struct catalog *, void (*closed)(void *context), void *context);

#endif
