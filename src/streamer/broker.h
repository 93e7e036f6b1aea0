/* The broker: data folder, shards, listeners; start and stop.
 *
 *   broker_open(&options, &diag, &broker);     recovers, opens, listens; blocks; nothing is served yet
 *   broker_start(broker);                      a thread a shard          (the deterministic twin turns broker_loop instead)
 *   broker_stop(broker, stopped, context);     no more connections or requests, what is under way is answered, flush, clean mark
 *   broker_close(broker);                      after stopped, or after a failed start
 *
 * Thread: the one that opened it; `stopped` comes on the control loop. */
#ifndef PRISM_STREAMER_BROKER_H
#define PRISM_STREAMER_BROKER_H

#include "base/diag.h"
#include "base/metrics.h"
#include "streamer/shard.h"

struct catalog;

/* What may change while it runs (broker_configure): immutable, counted. */
struct broker_settings {
    atomic_uint refs;
    bool auto_create_topics;
    uint32_t partitions_default;        /* of a topic whose creator does not say */
    struct topic_config topic_defaults; /* of what a topic does not set itself */
    int64_t offsets_retention_ms;       /* of a group without members */
    int64_t producer_id_expiration_ms;
    uint32_t group_session_timeout_min_ms, group_session_timeout_max_ms;
    uint32_t group_initial_rebalance_delay_ms;
    uint32_t fetch_sessions_max; /* a shard */
};

extern const struct broker_settings broker_settings_default;

struct broker_options {
    const struct env *env;
    struct loop *control; /* where `stopped` comes; turned by the caller */
    struct log *log;
    const char *data_dir;
    const char *listen;            /* "127.0.0.1:9092"; port 0: a free one */
    const char *advertised_listen; /* what clients are told to connect to; NULL: the real one */
    uint32_t workers;
    int32_t node_id;
    uint32_t connections_max;
    struct broker_settings settings;
};

enum err broker_open(const struct broker_options *, struct diag *, struct broker **ret_broker)
    __attribute__((warn_unused_result));
enum err broker_start(struct broker *) __attribute__((warn_unused_result));
void broker_stop(struct broker *, uint64_t deadline_ns, void (*stopped)(void *context), void *context);
void broker_close(struct broker *); /* NULL is fine */
/* Copies them; in effect on a shard when its task has run. What holds for topics by default stays as it was at the start. */
enum err broker_configure(struct broker *, const struct broker_settings *) __attribute__((warn_unused_result));

const char *broker_address(const struct broker *);
uint32_t broker_shards(const struct broker *);
struct shard *broker_shard(const struct broker *, uint32_t index);
struct catalog *broker_catalog(const struct broker *);
struct metrics *broker_metrics(const struct broker *);

/* Who this is, for Metadata, FindCoordinator, DescribeCluster. The same for the broker's life. Thread: any. */
struct broker_identity {
    int32_t node_id;
    struct slice host;
    int32_t port;
    struct slice cluster_id;
};
const struct broker_identity *broker_identity(const struct broker *);
const char *broker_data_dir(const struct broker *);
const struct env *broker_env(const struct broker *);
/* "DATA/name". false: it does not fit. */
bool broker_path(const struct broker *, const char *name, char *out, size_t size) __attribute__((warn_unused_result));
struct journal_store *broker_store(const struct broker *);

#endif
