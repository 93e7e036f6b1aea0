/* The driver's table, and its life. */
#include "drivers/memory/memory.h"

#include "base/mem.h"
#include "drivers/memory/internal.h"

static uint64_t bytes_max(const struct backend_open *o)
{
    const struct config_memory_options *of_backend = o->backend ? o->backend->memory : NULL;
    const struct config_memory_options *of_namespace = o->ns ? o->ns->memory : NULL;
    if (of_namespace && of_namespace->max_bytes)
        return of_namespace->max_bytes;
    return of_backend && of_backend->max_bytes ? of_backend->max_bytes : LIMIT_MEMORY_BYTES;
}

static enum err memory_open(const struct backend_open *o, struct backend **ret_backend)
{
    struct memory *m = mem_zalloc(sizeof *m);
    if (!m)
        return diag_set(o->diag, ERR_NOMEM, "no memory for namespace %s", o->namespace_name);
    m->base.driver = &driver_memory;
    memory_store_init(&m->store, o->env, bytes_max(o));
    memory_records_init(&m->records, &m->store);
    memory_transactions_init(&m->transactions, &m->store);
    for (enum shelf_kind kind = 0; kind < SHELF_KINDS; kind++)
        memory_shelf_init(&m->shelves[kind], kind, &m->store);
    waiting_init(&m->waiting, o->env, LIMIT_WAITING_POPS);
    *ret_backend = &m->base;
    return OK;
}

static void drain(struct backend *backend)
{
    struct memory *m = (struct memory *)backend;
    waiting_drain(&m->waiting);
}

static void memory_close(struct backend *backend)
{
    struct memory *m = (struct memory *)backend;
    waiting_fini(&m->waiting);
    for (enum shelf_kind kind = 0; kind < SHELF_KINDS; kind++)
        memory_shelf_fini(&m->shelves[kind]);
    memory_transactions_fini(&m->transactions);
    memory_records_fini(&m->records);
    memory_store_fini(&m->store);
    mem_free(m);
}

static enum err memory_probe(struct backend *backend, struct diag *diag)
{
    (void)backend, (void)diag;
    return OK;
}

/* --- figures ----------------------------------------------------------------------------------------------------------------- */

enum { SWEPT_BY_STATS = 256 };

struct totals {
    uint64_t keys, keys_forever, expired, history;
};

static struct totals count_shards(struct store *s)
{
    struct totals t = {0};
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &s->shards[i];
        memory_lock(shard);
        t.keys += shard->keys;
        t.keys_forever += shard->keys_forever;
        t.expired += shard->expired;
        t.history += shard->history_count;
        memory_unlock(shard);
    }
    return t;
}

static void transaction_stats(struct transactions *t, backend_stat_fn *fn, void *context)
{
    pthread_mutex_lock(&t->lock);
    uint64_t open = t->by_id.count, timed_out = t->timed_out;
    pthread_mutex_unlock(&t->lock);
    fn(context, "transactions_open", open);
    fn(context, "transactions_timed_out", timed_out);
    fn(context, "transaction_conflicts", atomic_load_explicit(&t->conflicts, memory_order_relaxed));
}

static void collection_stats(struct memory *m, backend_stat_fn *fn, void *context)
{
    static const char *const names[SHELF_KINDS] = {"lists", "sets", "sorted_sets", "counters"};
    for (enum shelf_kind kind = 0; kind < SHELF_KINDS; kind++)
        fn(context, names[kind], memory_shelf_count(&m->shelves[kind]));
    fn(context, "pops_waiting", waiting_count(&m->waiting));
}

static void memory_stats(struct backend *backend, backend_stat_fn *fn, void *context)
{
    struct memory *m = (struct memory *)backend;
    memory_transactions_sweep(&m->transactions);
    memory_sweep(&m->store, store_now_ms(&m->store), SWEPT_BY_STATS);
    struct totals t = count_shards(&m->store);
    fn(context, "keys", t.keys);
    fn(context, "keys_without_ttl", t.keys_forever);
    fn(context, "keys_expired", t.expired);
    fn(context, "keys_with_history", t.history);
    fn(context, "bytes", atomic_load_explicit(&m->store.bytes, memory_order_relaxed));
    fn(context, "bytes_max", m->store.bytes_max);
    fn(context, "idempotency_records", memory_records_count(&m->records));
    transaction_stats(&m->transactions, fn, context);
    collection_stats(m, fn, context);
}

const struct driver driver_memory = {
    .name = "memory",
    .summary = "In this process: fast, ordered where scanned, gone when the process ends",
    .durable = false,
    .ordered_scan = true,
    .expires = true,
    .implements = {[INTERFACE_COUNTER_BASIC] = &memory_counter_basic,
                   [INTERFACE_KEYVALUE_BASIC] = &memory_keyvalue_basic,
                   [INTERFACE_KEYVALUE_BATCH] = &memory_keyvalue_batch,
                   [INTERFACE_KEYVALUE_CAS] = &memory_keyvalue_cas,
                   [INTERFACE_KEYVALUE_SCAN] = &memory_keyvalue_scan,
                   [INTERFACE_KEYVALUE_TRANSACTIONAL] = &memory_keyvalue_transactional,
                   [INTERFACE_KEYVALUE_TTL] = &memory_keyvalue_ttl,
                   [INTERFACE_LIST_BASIC] = &memory_list_basic,
                   [INTERFACE_LIST_BLOCKING] = &memory_list_blocking,
                   [INTERFACE_LIST_INDEXING] = &memory_list_indexing,
                   [INTERFACE_LIST_RANGE] = &memory_list_range,
                   [INTERFACE_SET_BASIC] = &memory_set_basic,
                   [INTERFACE_SET_CARDINALITY] = &memory_set_cardinality,
                   [INTERFACE_SET_OPERATIONS] = &memory_set_operations,
                   [INTERFACE_SET_RANDOM] = &memory_set_random,
                   [INTERFACE_SORTEDSET_BASIC] = &memory_sortedset_basic,
                   [INTERFACE_SORTEDSET_LEX] = &memory_sortedset_lex,
                   [INTERFACE_SORTEDSET_OPERATIONS] = &memory_sortedset_operations,
                   [INTERFACE_SORTEDSET_RANGE] = &memory_sortedset_range,
                   [INTERFACE_SORTEDSET_RANK] = &memory_sortedset_rank},
    .open = memory_open,
    .drain = drain,
    .close = memory_close,
    .probe = memory_probe,
    .stats = memory_stats,
};
