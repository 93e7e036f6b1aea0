#include "streamer/partition.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "kafka/batch.h"
#include "streamer/broker.h"
#include "streamer/fetch_session.h"
#include "streamer/partition_internal.h"
#include "streamer/produce.h"

/* --- what the journal has to know of batches -------------------------------------------------------------------------------- */

static bool measure(const uint8_t *header, struct journal_entry *ret_entry)
{
    struct batch_header h;
    if (batch_read_header(header, &h))
        return false;
    *ret_entry = (struct journal_entry){.size = h.size,
                                        .first_offset = h.base_offset,
                                        .last_offset = batch_last_offset(&h),
                                        .max_time_ms = h.max_time_ms,
                                        .epoch = h.leader_epoch};
    return true;
}

static bool verify(struct slice entry)
{
    return batch_crc_ok(entry);
}

const struct journal_format partition_format = {
    .header_bytes = BATCH_HEADER_BYTES,
    .entry_bytes_max = LIMIT_STREAM_BATCH_BYTES_MAX,
    .measure = measure,
    .verify = verify,
};

/* --- finding ---------------------------------------------------------------------------------------------------------------- */

static struct partition_key key_of(const struct kafka_uuid *topic, uint32_t index)
{
    return (struct partition_key){.topic = *topic, .index = index};
}

static struct slice key_slice(const struct partition_key *key)
{
    return slice_of(key, sizeof *key);
}

struct partition *partition_find(const struct shard *shard, const struct kafka_uuid *topic, uint32_t index)
{
    struct partition_key key = key_of(topic, index);
    return shard->partitions ? map_get(&shard->partitions->by_key, key_slice(&key)) : NULL;
}

struct partition *partition_ref(struct partition *p)
{
    p->refs++;
    return p;
}

void partition_unref(struct partition *p)
{
    if (!p || --p->refs > 0)
        return;
    assert(!p->readable.first && !p->repeated && !p->unsaved);
    producers_fini(&p->producers);
    topic_unref(p->topic);
    mem_free(p);
}

/* --- a life ----------------------------------------------------------------------------------------------------------------- */

static struct journal_log_options options_of(const struct partition *p)
{
    return (struct journal_log_options){.segment_bytes = partition_setting(p, TOPIC_SEGMENT_BYTES),
                                        .segment_ms = partition_setting(p, TOPIC_SEGMENT_MS),
                                        .retention_bytes = partition_setting(p, TOPIC_RETENTION_BYTES),
                                        .retention_ms = partition_setting(p, TOPIC_RETENTION_MS),
                                        .logged = partition_setting(p, TOPIC_DURABILITY) == DURABILITY_FLUSH,
                                        .replay_from = p->replay_from,
                                        .context = (void *)p};
}

static struct journal_key journal_key_of(const struct partition *p)
{
    struct journal_key key = {.partition = p->index};
    memcpy(key.id, p->topic->id.bytes, sizeof key.id);
    return key;
}

static struct partition *make(struct partitions *ps, const struct topic *topic, uint32_t index)
{
    struct partition *p = mem_zalloc(sizeof *p);
    if (!p)
        return NULL;
    p->shard = ps->shard;
    p->topic = topic_ref(topic);
    p->index = index;
    p->refs = 1;
    p->failed = KAFKA_KAFKA_STORAGE_ERROR; /* until its log is open */
    p->repeated_end = &p->repeated;
    p->key = key_of(&topic->id, index);
    producers_init(&p->producers, &ps->producers);
    return p;
}

/* The end may lie below what its producers remember: the machine lost power before those batches were on disk. */
static void settle_producers(struct partition *p)
{
    if (journal_log_end(p->log) >= p->replay_from)
        return;
    producers_cut_end(&p->producers, journal_log_end(p->log));
    p->shard->partitions->saved_ahead = true;
}

static void log_failure(const struct partition *p, enum err e)
{
    log_error(p->shard->log, "a partition cannot be opened", LOG_STR("topic", p->topic->name),
              LOG_INT("partition", p->index), LOG_ERR(e));
}

static enum err open_log(struct partition *p)
{
    struct journal_key key = journal_key_of(p);
    struct journal_log_options options = options_of(p);
    enum err e = journal_log_open(p->shard->journal, &key, &options, &p->log);
    if (!e)
        e = p->learning;
    if (e == ERR_NOMEM)
        return e;
    if (e) {
        log_failure(p, e);
        return OK;
    }
    p->failed = KAFKA_NONE;
    settle_producers(p);
    return OK;
}

static enum err open_partition(struct partitions *ps, const struct topic *topic, uint32_t index)
{
    struct partition *p = make(ps, topic, index);
    if (!p)
        return ERR_NOMEM;
    enum err e = map_put(&ps->by_key, key_slice(&p->key), p, NULL);
    if (e) {
        partition_unref(p);
        return e;
    }
    e = partition_load_producers(p);
    return e ? e : open_log(p);
}

static enum err open_from(struct partitions *ps, const struct topic *topic, uint32_t first)
{
    enum err e = OK;
    for (uint32_t i = first; i < topic->partitions && e == OK; i++)
        if (shard_of_partition(ps->shard->broker, &topic->id, i) == ps->shard)
            e = open_partition(ps, topic, i);
    return e;
}

/* Nobody finds it any more; who waits is woken, and looks at `gone`. */
static void end_partition(struct partitions *ps, struct partition *p)
{
    map_remove(&ps->by_key, key_slice(&p->key));
    p->gone = true;
    if (p->log)
        journal_log_delete(p->log);
    p->log = NULL;
    producers_fini(&p->producers);
    produce_fail_repeated(p, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    growing_wake_all(&p->readable);
    partition_touched(p);
    partition_unref(p);
}

static void end_topic(struct partitions *ps, const struct topic *topic)
{
    for (uint32_t i = 0; i < topic->partitions; i++) {
        struct partition *p = partition_find(ps->shard, &topic->id, i);
        if (p)
            end_partition(ps, p);
    }
}

static void configure(struct partition *p, const struct topic *now)
{
    const struct topic *was = p->topic;
    p->topic = topic_ref(now);
    topic_unref(was);
    struct journal_log_options options = options_of(p);
    if (p->log)
        journal_log_configure(p->log, &options);
}

enum err partitions_change(struct shard *shard, const struct topic *was, const struct topic *now)
{
    struct partitions *ps = shard->partitions;
    if (!now) {
        end_topic(ps, was);
        return OK;
    }
    for (uint32_t i = 0; was && i < was->partitions; i++) {
        struct partition *p = partition_find(shard, &now->id, i);
        if (p)
            configure(p, now);
    }
    return open_from(ps, now, was ? was->partitions : 0);
}

/* --- all of a shard --------------------------------------------------------------------------------------------------------- */

static enum err open_all(struct partitions *ps)
{
    const struct topics *topics = ps->shard->topics;
    enum err e = OK;
    for (uint32_t i = 0; topics && i < topics->count && e == OK; i++)
        e = open_from(ps, topics->sorted[i], 0);
    return e;
}

static void nothing_more(void *context)
{
    (void)context;
}

static void free_all(struct partitions *ps)
{
    struct partition *p;
    producer_ids_close(ps->ids, nothing_more, NULL); /* there still after a failed opening alone */
    partitions_drop_unsaved(ps);
    for (uint32_t at = 0; map_next(&ps->by_key, &at, NULL, (void **)&p);) {
        p->log = NULL; /* the journal's */
        producers_fini(&p->producers);
        partition_unref(p);
    }
    map_fini(&ps->by_key);
    fetch_sessions_free(ps->sessions);
    ps->shard->partitions = NULL;
    mem_free(ps);
}

enum err partitions_open(struct shard *shard, struct diag *diag)
{
    struct partitions *ps = mem_zalloc(sizeof *ps);
    if (!ps)
        return ERR_NOMEM;
    struct hash_key secret;
    const struct env *env = loop_env(shard->loop);
    env->random(env, &secret, sizeof secret);
    ps->shard = shard;
    shard->partitions = ps;
    map_init(&ps->by_key, LIMIT_JOURNAL_LOGS, &secret);
    producer_pool_init(&ps->producers, &secret);
    enum err e = fetch_sessions_new(shard, &secret, &ps->sessions);
    if (!e)
        e = producer_ids_open(shard, diag, &ps->ids);
    if (!e)
        e = partitions_load_begin(ps);
    if (!e)
        e = open_all(ps);
    e = partitions_load_end(ps, e, diag);
    if (e)
        free_all(ps);
    return e;
}

static void ids_closed(void *context)
{
    struct partitions *ps = context;
    void (*closed)(void *) = ps->closed;
    void *closed_context = ps->closed_context;
    free_all(ps);
    closed(closed_context);
}

static void saved_all(struct partitions *ps)
{
    struct producer_ids *ids = ps->ids;
    ps->ids = NULL;
    producer_ids_close(ids, ids_closed, ps);
}

/* Requests that wait look again and find that they have to go. */
void partitions_close(struct shard *shard, void (*closed)(void *context), void *context)
{
    struct partitions *ps = shard->partitions;
    struct partition *p;
    ps->closed = closed;
    ps->closed_context = context;
    for (uint32_t at = 0; map_next(&ps->by_key, &at, NULL, (void **)&p);) {
        p->failed = KAFKA_NOT_LEADER_OR_FOLLOWER;
        growing_wake_all(&p->readable);
    }
    partitions_save_last(ps, saved_all);
}

/* --- growing ---------------------------------------------------------------------------------------------------------------- */

void partition_grown(struct partition *p, uint64_t bytes)
{
    if (p->gone)
        return;
    growing_add(&p->readable, bytes);
    if (p->repeated)
        produce_answer_repeated(p);
}

void partition_append_failed(struct partition *p, int64_t first_offset, enum err e)
{
    producers_cut_end(&p->producers, first_offset);
    partition_touched(p);
    produce_fail_repeated(p, kafka_error_of(e));
}
