/* Appending one batch to one partition: api_produce.c has one item for each partition of a request.
 *
 *   asked ──produce_start──▶ submitted ──journal──▶ ended            refused: ended at once, with an error
 *                      └──▶ repeated: waits until its first sending is durable ──▶ ended with the offset that it got then
 *
 * The batch is checked by its header and checksum, stamped where it lies, and written from there. Its records are never looked
 * at. Thread: the partition's shard. */
#ifndef PRISM_STREAMER_PRODUCE_H
#define PRISM_STREAMER_PRODUCE_H

#include "kafka/batch.h"
#include "streamer/partition.h"
#include "streamer/scatter.h"

struct produce_item {
    struct scatter_item part_of; /* first */
    struct scatter_part *part;
    struct slice records; /* of the request's own block */
    struct block *block;  /* where they lie; NULL: they stay there until it has ended */
    int16_t version;      /* of the request */
    int16_t acks;
    void (*ended)(struct produce_item *);
    /* Answers. */
    enum kafka_error error;
    const char *message; /* NULL: the error says all */
    int64_t base_offset, append_time_ms, start_offset;
    /* On its way. */
    struct partition *partition; /* a reference while it is under way */
    struct journal_append append;
    struct produce_item *next_repeated;
    int64_t last_offset;
};

/* Why these bytes are not taken; KAFKA_NONE: they are one whole batch that a producer may send. */
enum kafka_error produce_check(struct slice records, int16_t version, int64_t batch_bytes_max,
                               struct batch_header *ret_header, const char **ret_message);
/* `ended` comes once, perhaps from inside. */
void produce_start(struct produce_item *);

/* Of a partition: the stable offset has moved; or it never will. */
void produce_answer_repeated(struct partition *);
void produce_fail_repeated(struct partition *, enum kafka_error);

#endif
