#include "drivers/memory/records.h"

#include <assert.h>

#include "base/mem.h"

enum {
    ROOM_BYTES = 64,        /* of the answers of all methods but batches and failed comparisons */
    BOOKKEEPING_BYTES = 64, /* of malloc and the map's slot */
    DROPPED_AT_ONCE = 4,    /* expired ones, by each new one */
};

/* --- life -------------------------------------------------------------------------------------------------------------------- */

void memory_records_init(struct records *records, struct store *store)
{
    records->store = store;
    for (unsigned i = 0; i < STRIPES; i++) {
        struct stripe *s = &records->stripes[i];
        *s = (struct stripe){.end = &s->oldest};
        pthread_mutex_init(&s->lock, NULL);
        map_init(&s->by_key, LIMIT_IDEMPOTENCY_KEYS / STRIPES, &store->secret);
    }
}

static size_t cost_of(const struct record *r)
{
    return sizeof *r + r->key_size + r->room + BOOKKEEPING_BYTES;
}

static void unlink_record(struct stripe *s, struct record *r)
{
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    else
        s->end = r->link;
}

void memory_records_give_up(struct records *records, struct stripe *s, struct record *r)
{
    if (r->link)
        unlink_record(s, r);
    map_remove(&s->by_key, record_key(r));
    memory_refund(records->store, cost_of(r));
    mem_free(r);
}

void memory_records_fini(struct records *records)
{
    for (unsigned i = 0; i < STRIPES; i++) {
        struct stripe *s = &records->stripes[i];
        while (s->oldest)
            memory_records_give_up(records, s, s->oldest);
        map_fini(&s->by_key);
        pthread_mutex_destroy(&s->lock);
    }
}

/* --- a call ------------------------------------------------------------------------------------------------------------------ */

struct stripe *memory_records_lock(struct records *records, const struct idem *idem)
{
    uint64_t hash = store_hash(records->store, idem->key);
    struct stripe *s = &records->stripes[hash_mix(hash) % STRIPES];
    pthread_mutex_lock(&s->lock);
    return s;
}

void memory_records_unlock(struct stripe *s)
{
    pthread_mutex_unlock(&s->lock);
}

const struct record *memory_records_find(const struct stripe *s, const struct idem *idem, int64_t now_ms)
{
    const struct record *r = map_get(&s->by_key, idem->key);
    return r && r->expires_ms > now_ms ? r : NULL;
}

static void make_room(struct records *records, struct stripe *s, int64_t now_ms)
{
    for (int i = 0; i < DROPPED_AT_ONCE && s->oldest && s->oldest->expires_ms <= now_ms; i++)
        memory_records_give_up(records, s, s->oldest);
    while (s->by_key.count >= s->by_key.count_max)
        memory_records_give_up(records, s, s->oldest);
}

static struct record *allocate(const struct idem *idem, size_t room)
{
    struct record *r = mem_alloc(sizeof *r + idem->key.size + room);
    if (!r)
        return NULL;
    *r = (struct record){.fingerprint = idem->fingerprint,
                         .expires_ms = idem->expires_ms,
                         .key_size = (uint32_t)idem->key.size,
                         .room = (uint32_t)room};
    memcpy(r->bytes, idem->key.data, idem->key.size);
    return r;
}

enum err memory_records_begin(struct records *records, struct stripe *s, const struct idem *idem, int64_t now_ms,
                              struct record **ret_record)
{
    struct record *expired = map_get(&s->by_key, idem->key);
    if (expired)
        memory_records_give_up(records, s, expired);
    make_room(records, s, now_ms);
    struct record *r = allocate(idem, ROOM_BYTES);
    if (!r)
        return ERR_NOMEM;
    if (!memory_charge(records->store, cost_of(r), 0)) {
        mem_free(r);
        return ERR_STORE_FULL;
    }
    if (map_put(&s->by_key, record_key(r), r, NULL)) {
        memory_refund(records->store, cost_of(r));
        mem_free(r);
        return ERR_NOMEM;
    }
    *ret_record = r;
    return OK;
}

/* The map borrows the key, so it must look away while the record moves. Putting it back cannot fail: its slot is free. */
static struct record *widen(struct records *records, struct stripe *s, struct record *r, size_t room)
{
    size_t more = room - r->room;
    if (room > UINT32_MAX || !memory_charge(records->store, more, 0))
        return NULL;
    map_remove(&s->by_key, record_key(r));
    struct record *wider = mem_realloc(r, sizeof *r + r->key_size + room);
    if (wider)
        wider->room = (uint32_t)room;
    else
        memory_refund(records->store, more);
    struct record *now = wider ? wider : r;
    enum err e = map_put(&s->by_key, record_key(now), now, NULL);
    assert(!e);
    (void)e;
    return wider;
}

bool memory_records_keep(struct records *records, struct stripe *s, struct record *r, struct slice response)
{
    struct record *wide = response.size <= r->room ? r : widen(records, s, r, response.size);
    if (!wide) {
        memory_records_give_up(records, s, r);
        return false;
    }
    wide->response_size = (uint32_t)response.size;
    if (response.size)
        memcpy(wide->bytes + wide->key_size, response.data, response.size);
    wide->link = s->end;
    *s->end = wide;
    s->end = &wide->next;
    return true;
}

uint64_t memory_records_count(struct records *records)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < STRIPES; i++) {
        struct stripe *s = &records->stripes[i];
        pthread_mutex_lock(&s->lock);
        count += s->by_key.count;
        pthread_mutex_unlock(&s->lock);
    }
    return count;
}
