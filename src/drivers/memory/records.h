/* Idempotency records in memory: what a call with prism-idempotency-key was answered. A record's stripe stays locked from the look-up
 * until the record is kept or given up, so of two calls with one key the second waits for the first one's answer.
 *
 *   records_lock ──▶ found: replay ──────────────────────────────────▶ records_unlock
 *        └─────────▶ records_begin ──▶ work ──▶ records_keep | records_give_up ──▶ records_unlock
 *
 * Bounded in number (the oldest go) and, as part of the store, in bytes. */
#ifndef PRISM_DRIVERS_MEMORY_RECORDS_H
#define PRISM_DRIVERS_MEMORY_RECORDS_H

#include "base/map.h"
#include "drivers/memory/store.h"

enum { STRIPES = 16 };

struct record {
    struct record *next;  /* oldest first; only of kept ones */
    struct record **link; /* what points here; NULL: not kept yet */
    uint64_t fingerprint;
    int64_t expires_ms;
    uint32_t key_size;
    uint32_t response_size;
    uint32_t room;   /* for the response */
    uint8_t bytes[]; /* key, response */
};

struct stripe {
    pthread_mutex_t lock;
    struct map by_key;
    struct record *oldest;
    struct record **end;
};

struct records {
    struct store *store;
    struct stripe stripes[STRIPES];
};

void memory_records_init(struct records *, struct store *);
void memory_records_fini(struct records *);
struct stripe *memory_records_lock(struct records *, const struct idem *);
void memory_records_unlock(struct stripe *);
/* NULL: none, or expired. Locked, as are all below. */
const struct record *memory_records_find(const struct stripe *, const struct idem *, int64_t now_ms);
/* Makes room for a record, and drops the oldest ones where there are too many. ERR_NOMEM, ERR_STORE_FULL. */
enum err memory_records_begin(struct records *, struct stripe *, const struct idem *, int64_t now_ms,
                              struct record **ret_record);
/* false: a large response found no memory; the record is given up, the call has its answer all the same. */
bool memory_records_keep(struct records *, struct stripe *, struct record *, struct slice response);
void memory_records_give_up(struct records *, struct stripe *, struct record *);
uint64_t memory_records_count(struct records *);

static inline struct slice record_key(const struct record *r)
{
    return slice_of(r->bytes, r->key_size);
}

static inline struct slice record_response(const struct record *r)
{
    return slice_of(r->bytes + r->key_size, r->response_size);
}

#endif
