/* What a partition remembers of its idempotent producers, so that a batch which is sent again is stored once.
 *
 * A producer numbers its records (sequence, 0 to 2^31 - 1 and then 0 again) under an id and an epoch. Of each we keep the epoch,
 * the sequence that must come next, and its last PRODUCER_BATCHES batches: as many as a client may have in flight, so each that
 * it can send again is found.
 *
 *   verdict = producers_check(&p, &claim, now_ms, &old);
 *     PRODUCER_APPEND      store it, then producers_note: which cannot fail
 *     PRODUCER_DUPLICATE   it lies in the log already; `old` says where. It may not be durable yet: wait for that
 *     others               the answer's error is producer_error(verdict)
 *
 *     epoch of the batch │ nothing known │ lower  │ same, sequence: next │ one of the last │ else         │ higher, 0 │ higher, else
 *     ───────────────────┼───────────────┼────────┼──────────────────────┼─────────────────┼──────────────┼───────────┼─────────────
 *     verdict            │ append        │ fenced │ append               │ duplicate       │ out of order │ append    │ out of order
 *
 * Nothing known: the producer is new, or was forgotten; any sequence is taken, as by Kafka since 2.4 (KIP-360).
 *
 * Bounds. A partition keeps LIMIT_PRODUCERS of them and a shard LIMIT_PRODUCERS_SHARD. Where there is no room the one of the
 * partition that has been idle for longest is forgotten, but none that was active in the last LIMIT_PRODUCER_FRESH_MS: it could
 * still repeat something. Then new ones are refused. Idle ones are forgotten after a time (producers_expire).
 *
 * Times are those of this broker's clock, never the client's. Sources: KIP-98, KIP-360, KIP-679. Thread: the shard's. */
#ifndef PRISM_STREAMER_PRODUCER_H
#define PRISM_STREAMER_PRODUCER_H

#include "base/buf.h"
#include "base/map.h"
#include "kafka/errors.h"

enum { PRODUCER_BATCHES = 5 };

/* Where a batch of a producer lies, and what it was numbered. */
struct producer_batch {
    int64_t first_offset;
    int64_t time_ms; /* the time that the broker gave it; -1: it gave none */
    int32_t first_sequence;
    int32_t delta; /* last less first: of offsets, and of sequences */
};

/* What a batch says of itself. */
struct producer_claim {
    int64_t id;
    int32_t first_sequence;
    int32_t delta;
    int16_t epoch;
};

struct producer {
    struct producer *previous, *next; /* by last use, longest ago first */
    int64_t id;
    int64_t used_ms;
    int32_t next_sequence;
    int16_t epoch;
    uint8_t count;  /* of batches */
    uint8_t newest; /* its place in the ring */
    struct producer_batch batches[PRODUCER_BATCHES];
};

/* Of all partitions of a shard. */
struct producer_pool {
    struct hash_key secret;
    uint32_t count, count_max;
    uint32_t partition_max;
};

struct producers {
    struct producer_pool *pool;
    struct map by_id;
    struct producer *oldest, *latest;
    struct producer *recent; /* of the last look-up: one producer sends many batches in a row */
};

enum producer_verdict {
    PRODUCER_APPEND,
    PRODUCER_DUPLICATE,
    PRODUCER_OUT_OF_ORDER,
    PRODUCER_FENCED,
    PRODUCER_NO_ROOM,
    PRODUCER_NO_MEMORY,
};

void producer_pool_init(struct producer_pool *, const struct hash_key *);

void producers_init(struct producers *, struct producer_pool *);
void producers_fini(struct producers *);

/* ret_old is written for PRODUCER_DUPLICATE alone. After PRODUCER_APPEND the place for the producer is there. */
enum producer_verdict producers_check(struct producers *, const struct producer_claim *, int64_t now_ms,
                                      struct producer_batch *ret_old) __attribute__((warn_unused_result));
enum kafka_error producer_error(enum producer_verdict);
/* The batch for which producers_check has just said PRODUCER_APPEND got these offsets. */
void producers_note(struct producers *, const struct producer_claim *, int64_t first_offset, int64_t time_ms,
                    int64_t now_ms);
/* A batch that was found in the log at start: taken as it is. ERR_NOMEM; without room the longest idle one is forgotten. */
enum err producers_learn(struct producers *, const struct producer_claim *, int64_t first_offset, int64_t time_ms,
                         int64_t now_ms) __attribute__((warn_unused_result));
/* What was noted at `offset` and above has not been stored after all: forgotten, and expected again. */
void producers_cut_end(struct producers *, int64_t offset);
/* Forgets those not used since before_ms. Costs as much as it forgets. */
void producers_expire(struct producers *, int64_t before_ms);
struct producer *producers_find(struct producers *, int64_t id);

static inline int32_t sequence_add(int32_t sequence, int32_t delta)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)delta) & INT32_MAX);
}

static inline const struct producer_batch *producer_newest(const struct producer *p)
{
    return p->count ? &p->batches[p->newest] : NULL;
}

/* --- on disk (producer_snapshot.c) ------------------------------------------------------------------------------------------ */

/* Everything that is known of batches below `offset`, the log's end at this moment. Errors stick to the buf. */
void producers_save(const struct producers *, int64_t offset, struct buf *);
/* Into an empty table. *ret_offset: from where on batches have to be learnt. ERR_CORRUPT: nothing was taken; ERR_NOMEM. */
enum err producers_load(struct producers *, struct slice, int64_t *ret_offset) __attribute__((warn_unused_result));

#endif
