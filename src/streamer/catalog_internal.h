/* What catalog.c (life) and catalog_change.c (the rules) share. Private to them. */
#ifndef PRISM_STREAMER_CATALOG_INTERNAL_H
#define PRISM_STREAMER_CATALOG_INTERNAL_H

#include "base/uuid.h"
#include "journal/ledger.h"
#include "streamer/broker.h"
#include "streamer/catalog.h"
#include "streamer/catalog_entry.h"

/* Changes that are written together: what they lead to, before it is in effect. */
struct draft {
    struct topic_change *changes; /* room for all that are asked for */
    uint32_t count;
    struct map by_name; /* name → struct topic_change */
    uint64_t partitions;
    uint32_t topics;
};

struct catalog {
    struct broker *broker;
    struct shard *shard;
    struct ledger *ledger;
    struct hash_key secret;
    struct kafka_uuid cluster;
    char cluster_text[24];
    struct topics *topics;
    struct topics *next; /* those that are being written */
    struct topic_config defaults;
    struct catalog_request *waiting, **waiting_last;
    struct catalog_request *running; /* those of the draft */
    struct draft draft;
    struct buf entry;
    struct ledger_append append;
    struct publication *publications; /* one a shard */
    uint32_t publications_left;
    bool busy; /* a draft is on its way */
    struct task step;
    bool step_due;
    void (*closed)(void *context);
    void *closed_context;
};

/* catalog_change.c: works one change into the draft: its error, its topic, and a record of the entry. */
enum err draft_init(struct catalog *, uint32_t changes_max) __attribute__((warn_unused_result));
void draft_fini(struct catalog *);
void draft_apply(struct catalog *, struct catalog_change *);

#endif
