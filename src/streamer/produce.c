#include "streamer/produce.h"

#include <assert.h>
#include <stddef.h>

#include "base/limits.h"

enum { VERSION_BATCHES = 3, VERSION_ZSTD = 7 };

/* --- what is taken ---------------------------------------------------------------------------------------------------------- */

static enum kafka_error refuse(enum kafka_error error, const char *message, const char **ret_message)
{
    *ret_message = message;
    return error;
}

/* In the order in which Kafka finds out, so that clients are told the same. */
enum kafka_error produce_check(struct slice records, int16_t version, int64_t batch_bytes_max,
                               struct batch_header *ret_header, const char **ret_message)
{
    if (version < VERSION_BATCHES)
        return refuse(KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT, "Message sets of magic 0 and 1 are not taken.",
                      ret_message);
    if (!records.size)
        return refuse(KAFKA_INVALID_RECORD, "There must be one record batch a partition; there is none.", ret_message);
    enum kafka_error error = batch_read(records, ret_header);
    if (error)
        return refuse(error, NULL, ret_message);
    if (ret_header->size < records.size)
        return refuse(KAFKA_INVALID_RECORD, "There must be one record batch a partition; there are several.",
                      ret_message);
    if (ret_header->size > batch_bytes_max)
        return refuse(KAFKA_MESSAGE_TOO_LARGE, "The batch is larger than the topic's max.message.bytes.", ret_message);
    if (batch_codec(ret_header) == BATCH_ZSTD && version < VERSION_ZSTD)
        return refuse(KAFKA_UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Produce version 7.", ret_message);
    if (ret_header->attributes & BATCH_TRANSACTIONAL)
        return refuse(KAFKA_INVALID_TXN_STATE, "Transactions are not supported yet.", ret_message);
    error = batch_check_produced(ret_header);
    if (error)
        return refuse(error, "Offsets, sequence or flags of the batch are not those of a producer.", ret_message);
    if (ret_header->attributes & BATCH_APPEND_TIME)
        return refuse(KAFKA_INVALID_TIMESTAMP, "Only the broker gives a batch its append time.", ret_message);
    if (!batch_crc_ok(records))
        return refuse(KAFKA_CORRUPT_MESSAGE, NULL, ret_message);
    return KAFKA_NONE;
}

/* --- ending ----------------------------------------------------------------------------------------------------------------- */

static void end(struct produce_item *i, enum kafka_error error)
{
    struct partition *p = i->partition;
    i->error = error;
    i->partition = NULL;
    i->start_offset = p && p->log ? journal_log_start(p->log) : -1;
    if (error)
        i->base_offset = i->append_time_ms = -1;
    partition_unref(p);
    i->ended(i);
}

static void count(struct partition *p, const struct produce_item *i)
{
    p->records_in += (uint64_t)(i->last_offset - i->base_offset + 1);
    p->bytes_in += i->records.size;
}

static void append_done(struct journal_append *append, enum err e)
{
    struct produce_item *i = (struct produce_item *)((char *)append - offsetof(struct produce_item, append));
    struct partition *p = partition_ref(i->partition);
    struct partitions *all = p->shard->partitions;
    if (e) {
        partition_append_failed(p, append->first_offset, e);
        end(i, p->gone ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : kafka_error_of(e));
    } else {
        count(p, i);
        partition_grown(p, i->records.size);
        end(i, KAFKA_NONE);
    }
    partition_unref(p);
    partitions_appending(all, -1);
}

/* --- appending -------------------------------------------------------------------------------------------------------------- */

/* The request's block is its alone: stamping may write to it. */
static uint8_t *writable(struct slice bytes)
{
    return (uint8_t *)(uintptr_t)bytes.data;
}

static void stamp(struct produce_item *i, struct batch_header *h)
{
    struct partition *p = i->partition;
    i->base_offset = journal_log_end(p->log);
    i->last_offset = i->base_offset + h->last_offset_delta;
    batch_stamp(writable(i->records), i->base_offset, PARTITION_EPOCH);
    i->append_time_ms = -1;
    if (partition_setting(p, TOPIC_TIMESTAMP_TYPE) == TIMESTAMP_LOG_APPEND) {
        h->max_time_ms = i->append_time_ms = loop_realtime_ms(p->shard->loop);
        batch_stamp_time(writable(i->records), h->size, h->max_time_ms);
    }
}

static void submit(struct produce_item *i, const struct batch_header *h)
{
    struct partition *p = i->partition;
    bool flush = i->acks != 0 && partition_setting(p, TOPIC_DURABILITY) == DURABILITY_FLUSH;
    i->append = (struct journal_append){.log = p->log,
                                        .block = i->block ? block_ref(i->block) : NULL,
                                        .bytes = i->records,
                                        .first_offset = i->base_offset,
                                        .last_offset = i->last_offset,
                                        .max_time_ms = h->max_time_ms,
                                        .entries = 1,
                                        .epoch = PARTITION_EPOCH,
                                        .flush = flush,
                                        .done = append_done};
    partition_touched(p);
    partitions_appending(p->shard->partitions, 1);
    journal_submit(&i->append);
}

static struct producer_claim claim_of(const struct batch_header *h)
{
    return (struct producer_claim){.id = h->producer_id,
                                   .epoch = h->producer_epoch,
                                   .first_sequence = h->base_sequence,
                                   .delta = h->last_offset_delta};
}

/* Its first sending may still be on its way to the disk: the answer to this one promises no less. */
static void answer_repeated(struct produce_item *i, const struct producer_batch *old)
{
    struct partition *p = i->partition;
    i->base_offset = old->first_offset;
    i->last_offset = old->first_offset + old->delta;
    i->append_time_ms = old->time_ms;
    if (journal_log_stable(p->log) > i->last_offset) {
        end(i, KAFKA_NONE);
        return;
    }
    i->next_repeated = NULL;
    *p->repeated_end = i;
    p->repeated_end = &i->next_repeated;
}

static void append(struct produce_item *i, struct batch_header *h)
{
    struct partition *p = i->partition;
    struct producer_claim claim = claim_of(h);
    struct producer_batch old;
    int64_t now_ms = loop_realtime_ms(p->shard->loop);
    enum producer_verdict verdict =
        claim.id < 0 ? PRODUCER_APPEND : producers_check(&p->producers, &claim, now_ms, &old);
    if (verdict == PRODUCER_DUPLICATE) {
        answer_repeated(i, &old);
        return;
    }
    if (verdict != PRODUCER_APPEND) {
        end(i, producer_error(verdict));
        return;
    }
    stamp(i, h);
    if (claim.id >= 0)
        producers_note(&p->producers, &claim, i->base_offset, i->append_time_ms, now_ms);
    submit(i, h);
}

void produce_start(struct produce_item *i)
{
    struct partition *p = i->part_of.partition;
    struct batch_header h;
    enum kafka_error error = partition_error(p);
    i->partition = error ? NULL : partition_ref(p);
    if (!error)
        error = produce_check(i->records, i->version, partition_setting(p, TOPIC_MAX_MESSAGE_BYTES), &h, &i->message);
    if (error)
        end(i, error);
    else
        append(i, &h);
}

/* --- batches sent again ----------------------------------------------------------------------------------------------------- */

static struct produce_item *take_repeated(struct partition *p)
{
    struct produce_item *i = p->repeated;
    p->repeated = i->next_repeated;
    if (!p->repeated)
        p->repeated_end = &p->repeated;
    return i;
}

/* They need not be in the order of offsets, as different producers repeat different ones: each is looked at. */
void produce_answer_repeated(struct partition *p)
{
    struct produce_item *waiting = p->repeated;
    p->repeated = NULL;
    p->repeated_end = &p->repeated;
    while (waiting) {
        struct produce_item *i = waiting;
        waiting = i->next_repeated;
        if (journal_log_stable(p->log) > i->last_offset) {
            end(i, KAFKA_NONE);
            continue;
        }
        i->next_repeated = NULL;
        *p->repeated_end = i;
        p->repeated_end = &i->next_repeated;
    }
}

void produce_fail_repeated(struct partition *p, enum kafka_error error)
{
    while (p->repeated)
        end(take_repeated(p), error);
}
