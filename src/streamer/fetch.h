/* A fetch: reads what is there of several partitions, and waits for more where that is too little.
 *
 *            ┌───────────────── woken: enough, the time is up, the connection has ended ◀────────────┐
 *            ▼                                                                                       │
 *   ──▶ reading ──▶ enough, an error, no time left, or nothing to wait for? ── no ──▶ waiting (purgatory.h)
 *       (cold bytes: in the pool)                   └─ yes ──▶ done
 *
 * Records are never read here: an item has a range of a file, which the connection sends. All that is done on a partition is
 * done by its shard: reading and waiting are rounds of a scatter. A range is held, on its shard, from reading to
 * fetch_release.
 *
 * Bounds: bytes of all items; the first that has anything gives one batch even if that is larger (KIP-74). */
#ifndef PRISM_STREAMER_FETCH_H
#define PRISM_STREAMER_FETCH_H

#include "streamer/fetch_session.h"
#include "streamer/partition.h"
#include "streamer/request.h"
#include "streamer/scatter.h"

struct fetch_item {
    struct scatter_item part_of; /* first */
    struct fetch_wish wish;
    struct fetch_entry *entry; /* of the session; NULL: there is none */
    /* Outcome of reading. */
    enum kafka_error error;
    int64_t end, start;
    struct journal_range range;
    uint64_t size;               /* of the range, as far as it is used */
    struct request_range sent;   /* what the answer names */
    struct partition *partition; /* a reference, during a round that waits */
    uint64_t grown;              /* partition->readable when it was read */
    struct watch watch;
};

/* What a fetch does on one shard. */
struct fetch_part {
    struct fetch *fetch;
    struct scatter_part *part;
    struct work work;
    struct delayed delayed;
    struct task stop, tell;        /* between the shards: wait no longer; something has happened */
    struct fetch_release *release; /* of another shard: to give its ranges back with */
    bool waiting, stopping;
};

struct fetch {
    struct request *request;
    struct fetch_session *session;
    struct fetch_item *items;
    uint32_t count;
    struct scatter scatter;
    uint64_t bytes_min, bytes_max; /* of the answer */
    uint64_t due_ns;
    uint64_t found; /* bytes of the last reading */
    bool failed;    /* an item has an error: the answer goes at once */
    bool woken;
    bool waits;
    void (*done)(struct fetch *);
};

/* Items that are known were added to the scatter. false: no memory. `done` comes once, perhaps from inside. */
bool fetch_start(struct fetch *) __attribute__((warn_unused_result));
/* The connection has ended: done comes soon. */
void fetch_abandon(struct fetch *);
/* After done, when the ranges are not needed any more. */
void fetch_release(struct fetch *);

#endif
