/* What the catalog writes into its ledger: records of the state that a change leads to, several in an entry. Names of settings and
 * words are written as text, so that their numbers may change from version to version.
 *
 *   'C' cluster id 16                                                     once, the first
 *   'T' topic id 16, partitions u32, name, count u8, { setting, value }*  the topic is this now
 *   'D' topic id 16                                                       it is gone
 *
 * Little-endian; text is a size of one byte and its bytes. */
#ifndef PRISM_STREAMER_CATALOG_ENTRY_H
#define PRISM_STREAMER_CATALOG_ENTRY_H

#include "streamer/topics.h"

void catalog_put_cluster(struct buf *, const struct kafka_uuid *cluster);
void catalog_put_topic(struct buf *, const struct topic *);
void catalog_put_gone(struct buf *, const struct kafka_uuid *id);

struct catalog_visitor {
    void (*cluster)(void *context, const struct kafka_uuid *);
    enum err (*topic)(void *context, struct topic *); /* a reference, taken over */
    enum err (*gone)(void *context, const struct kafka_uuid *);
    void *context;
    const struct topic_config *defaults;
};
/* ERR_CORRUPT; ERR_SCHEMA_FUTURE: a record, a setting or a word that this version does not know; ERR_NOMEM; what the visitor says. */
enum err catalog_read_entry(struct slice entry, const struct catalog_visitor *) __attribute__((warn_unused_result));

#endif
