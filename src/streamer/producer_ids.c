#include "streamer/producer_ids.h"

#include <endian.h>
#include <stddef.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "journal/ledger.h"
#include "streamer/broker.h"
#include "streamer/partition.h"

#define KIND SLICE("PIDS")
enum { PATH_BYTES = 4096 };

struct producer_ids {
    struct shard *shard;
    int64_t next, end; /* the block */
    struct producer_id_ask *waiting, **waiting_end;
    /* A block that was asked for: it goes to shard 0 and comes back. */
    struct task task;
    bool asked;
    enum err error;
    int64_t block;
    /* Of shard 0. */
    struct ledger *ledger;
    int64_t reserved; /* ids below are taken; durable, or on their way */
    int64_t durable;
    struct producer_ids *askers, **askers_end; /* other shards, and this one */
    struct producer_ids *next_asker;
    struct ledger_append append;
    bool appending;
};

/* --- shard 0: reserving ----------------------------------------------------------------------------------------------------- */

static void block_came(struct task *);

/* All that have asked before it was written get a block each. */
static void hand_out(struct producer_ids *first, struct producer_ids *askers, enum err e, int64_t block)
{
    while (askers) {
        struct producer_ids *to = askers;
        askers = to->next_asker;
        to->error = e;
        to->block = block;
        block += LIMIT_PRODUCER_ID_BLOCK;
        to->task.run = block_came;
        if (to == first)
            loop_defer(to->shard->loop, &to->task);
        else
            shard_post(to->shard, &to->task);
    }
}

static void reserve(struct producer_ids *first);

static struct producer_ids *take_askers(struct producer_ids *first)
{
    struct producer_ids *askers = first->askers;
    first->askers = NULL;
    first->askers_end = &first->askers;
    return askers;
}

/* Those that came while it was written wait for the next writing. */
static void reserved(struct ledger_append *append, enum err e)
{
    struct producer_ids *first = (struct producer_ids *)((char *)append - offsetof(struct producer_ids, append));
    struct producer_ids *askers = first->askers, *later = NULL;
    int64_t block = first->durable;
    first->appending = false;
    if (e) {
        first->reserved = first->durable;
        hand_out(first, take_askers(first), e, 0);
        return;
    }
    uint32_t count = (uint32_t)((first->reserved - first->durable) / LIMIT_PRODUCER_ID_BLOCK);
    struct producer_ids **link = &first->askers;
    for (uint32_t i = 0; i < count && *link; i++)
        link = &(*link)->next_asker;
    later = *link;
    *link = NULL;
    first->askers = later;
    if (!later)
        first->askers_end = &first->askers;
    first->durable = first->reserved;
    hand_out(first, askers, OK, block);
    reserve(first);
}

static uint32_t count_askers(const struct producer_ids *first)
{
    uint32_t count = 0;
    for (const struct producer_ids *a = first->askers; a; a = a->next_asker)
        count++;
    return count;
}

static void reserve(struct producer_ids *first)
{
    if (first->appending || !first->askers)
        return;
    first->reserved = first->durable + (int64_t)count_askers(first) * LIMIT_PRODUCER_ID_BLOCK;
    uint64_t entry = htole64((uint64_t)first->reserved);
    first->append.done = reserved;
    first->appending = true;
    enum err e = ledger_append(first->ledger, slice_of(&entry, sizeof entry), &first->append);
    if (!e)
        return;
    first->appending = false;
    first->reserved = first->durable;
    hand_out(first, take_askers(first), e, 0);
}

static struct producer_ids *ids_of(struct task *task)
{
    return (struct producer_ids *)((char *)task - offsetof(struct producer_ids, task));
}

static void block_asked(struct task *task)
{
    struct producer_ids *asker = ids_of(task);
    struct producer_ids *first = shard_of_catalog(asker->shard->broker)->partitions->ids;
    asker->next_asker = NULL;
    *first->askers_end = asker;
    first->askers_end = &asker->next_asker;
    reserve(first);
}

/* --- a shard ---------------------------------------------------------------------------------------------------------------- */

static void ask_for_block(struct producer_ids *ids)
{
    struct shard *first = shard_of_catalog(ids->shard->broker);
    ids->asked = true;
    ids->task.run = block_asked;
    if (first == ids->shard)
        block_asked(&ids->task);
    else
        shard_post(first, &ids->task);
}

static void give(struct producer_ids *ids)
{
    while (ids->waiting && ids->next < ids->end) {
        struct producer_id_ask *ask = ids->waiting;
        ids->waiting = ask->next;
        if (!ids->waiting)
            ids->waiting_end = &ids->waiting;
        ask->done(ask, OK, ids->next++);
    }
    if (ids->waiting && !ids->asked)
        ask_for_block(ids);
}

static void fail(struct producer_ids *ids, enum err e)
{
    struct producer_id_ask *waiting = ids->waiting;
    ids->waiting = NULL;
    ids->waiting_end = &ids->waiting;
    while (waiting) {
        struct producer_id_ask *ask = waiting;
        waiting = ask->next;
        ask->done(ask, e, -1);
    }
}

static void block_came(struct task *task)
{
    struct producer_ids *ids = ids_of(task);
    ids->asked = false;
    if (ids->error) {
        fail(ids, ids->error);
        return;
    }
    ids->next = ids->block;
    ids->end = ids->block + LIMIT_PRODUCER_ID_BLOCK;
    give(ids);
}

void producer_ids_ask(struct producer_ids *ids, struct producer_id_ask *ask)
{
    ask->next = NULL;
    *ids->waiting_end = ask;
    ids->waiting_end = &ask->next;
    give(ids);
}

/* --- opening and closing ----------------------------------------------------------------------------------------------------- */

static enum err apply(void *context, struct slice entry)
{
    struct producer_ids *ids = context;
    uint64_t end;
    if (entry.size != sizeof end)
        return ERR_CORRUPT;
    memcpy(&end, entry.data, sizeof end);
    end = le64toh(end);
    if (end > INT64_MAX / 2)
        return ERR_CORRUPT;
    if ((int64_t)end > ids->durable)
        ids->durable = (int64_t)end;
    return OK;
}

static void snapshot(void *context, struct ledger_snapshot *to)
{
    const struct producer_ids *ids = context;
    uint64_t end = htole64((uint64_t)(ids->appending ? ids->reserved : ids->durable));
    ledger_snapshot_put(to, slice_of(&end, sizeof end));
}

static enum err open_ledger(struct producer_ids *ids, struct diag *diag)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/meta/producer-ids.ledger", broker_data_dir(ids->shard->broker));
    struct ledger_options options = {.env = loop_env(ids->shard->loop),
                                     .loop = ids->shard->loop,
                                     .pool = ids->shard->pool,
                                     .path = path,
                                     .kind = KIND,
                                     .apply = apply,
                                     .snapshot = snapshot,
                                     .context = ids};
    return ledger_open(&options, diag, &ids->ledger);
}

enum err producer_ids_open(struct shard *shard, struct diag *diag, struct producer_ids **ret_ids)
{
    struct producer_ids *ids = mem_zalloc(sizeof *ids);
    if (!ids)
        return ERR_NOMEM;
    ids->shard = shard;
    ids->waiting_end = &ids->waiting;
    ids->askers_end = &ids->askers;
    enum err e = shard == shard_of_catalog(shard->broker) ? open_ledger(ids, diag) : OK;
    if (e)
        mem_free(ids);
    else
        *ret_ids = ids;
    return e;
}

void producer_ids_close(struct producer_ids *ids, void (*closed)(void *context), void *context)
{
    struct ledger *ledger = ids ? ids->ledger : NULL;
    mem_free(ids);
    if (ledger)
        ledger_close(ledger, closed, context);
    else
        closed(context);
}
