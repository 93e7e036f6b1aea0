/* What broker.c (start), broker_stop.c and shard.c share. Private to them. */
#ifndef PRISM_STREAMER_BROKER_INTERNAL_H
#define PRISM_STREAMER_BROKER_INTERNAL_H

#include <pthread.h>

#include "journal/journal.h"
#include "streamer/broker.h"
#include "streamer/catalog.h"
#include "streamer/connection.h"
#include "streamer/requests.h"
#include "streamer/stream_measure.h"

/* A step of the end that every shard takes; the next one begins when all have. */
struct stop_step {
    struct task task;
    struct broker *broker;
    struct shard *shard;
};

struct broker {
    struct broker_options options;
    struct arena arena;
    struct pool *pool;
    struct shard *shards;
    uint32_t shard_count;
    pthread_t *threads;
    uint32_t threads_started;
    struct broker_identity identity;
    const char *address;
    struct catalog *catalog;
    struct journal_store *store;
    struct stream_measure *measure;
    /* The end. */
    uint32_t step; /* of the table in broker_stop.c */
    uint32_t steps_left;
    struct stop_step *steps; /* one a shard */
    uint64_t stop_deadline_ns;
    bool stopping, stopped;
    void (*on_stopped)(void *context);
    void *on_stopped_context;
};

/* broker_settings.c: copied, one reference. */
enum err settings_new(const struct broker *, const struct broker_settings *, struct broker_settings **ret_settings)
    __attribute__((warn_unused_result));
const struct broker_settings *settings_ref(const struct broker_settings *);
void settings_unref(const struct broker_settings *); /* NULL is fine */

/* shard.c: makes its loop and what is in memory; opens what is on disk; listens. */
enum err shard_init(struct shard *, struct broker *, unsigned index) __attribute__((warn_unused_result));
enum err shard_open(struct shard *, struct diag *) __attribute__((warn_unused_result));
enum err shard_serve(struct shard *, const char *address, struct diag *) __attribute__((warn_unused_result));
/* All that was opened has been closed. */
void shard_fini(struct shard *);

#endif
