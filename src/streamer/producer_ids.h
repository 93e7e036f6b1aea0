/* Ids of producers, never given twice: shard 0 writes to a ledger up to where they are taken (meta/producer-ids.ledger), a block at a
 * time, and hands blocks to the shards, which give out ids from memory. What a crash leaves of a block is never used.
 *
 *   ask ──▶ of the shard's block ─────────────────────────────────────────▶ done
 *      └──▶ no block: waits ──▶ shard 0: reserves ──▶ ledger ──▶ block ──▶ done
 *
 * Thread: the shard's that asks. */
#ifndef PRISM_STREAMER_PRODUCER_IDS_H
#define PRISM_STREAMER_PRODUCER_IDS_H

#include "base/diag.h"
#include "rt/loop.h"

struct shard;
struct producer_ids;

struct producer_id_ask {
    struct producer_id_ask *next;
    void (*done)(struct producer_id_ask *, enum err, int64_t id);
};

/* Of shard 0 with the ledger. Blocks. */
enum err producer_ids_open(struct shard *, struct diag *, struct producer_ids **ret_ids)
    __attribute__((warn_unused_result));
/* done comes once, perhaps from inside. */
void producer_ids_ask(struct producer_ids *, struct producer_id_ask *);
/* Nobody asks any more; closed comes from the loop, or from inside. */
void producer_ids_close(struct producer_ids *, void (*closed)(void *context), void *context);

#endif
