/* A store: one namespace's backend. What the files of this folder share; nobody else includes it.
 *
 * Each loop has a worker: its pools, its open transactions, its versions. Nothing of it is shared with other loops, but for the
 * transactions that callers of other loops use (transaction.h). The connectors and the upkeep have a thread each. */
#ifndef PRISM_DRIVERS_POSTGRES_STORE_H
#define PRISM_DRIVERS_POSTGRES_STORE_H

#include "base/limits.h"
#include "base/map.h"
#include "data/waiting.h"
#include "drivers/postgres/pool.h"

struct postgres_transaction;

enum { POSTGRES_VERSION_BYTES = 16, RETRY_AFTER_CONFLICT_MS = 10 };

struct postgres_settings {
    char schema[POSTGRES_SCHEMA_NAME_MAX + 1];
    int64_t connect_timeout_ms, statement_timeout_ms, sweep_ms;
    unsigned lanes_min, lanes_max; /* of a loop */
    unsigned transactions;         /* of the namespace */
    bool trace_comments;
};

struct postgres_worker {
    struct postgres_store *store;
    _Atomic(struct loop *) loop; /* NULL: no call has come on it yet */
    struct postgres_pool primary, standby;
    uint64_t epoch, count;   /* versions: a random name of this worker, and a count */
    struct map transactions; /* by id */
    struct postgres_transaction *all;
};

struct postgres_store {
    struct backend backend;
    const struct env *env;
    struct log *log;
    char *namespace_name;
    struct postgres_settings settings;
    struct postgres_connector primary, standby;
    bool has_standby;
    struct postgres_upkeep upkeep;
    unsigned loops;
    struct postgres_worker *workers;
    atomic_uint transactions;     /* open */
    struct waiting_room pops;     /* blocking ones */
    atomic_uint_fast64_t forever; /* writes without a time to live */
};

static inline struct postgres_store *postgres_store(struct backend *backend)
{
    return (struct postgres_store *)backend;
}
static inline int64_t postgres_now_ms(const struct postgres_store *store)
{
    return (int64_t)(store->env->realtime_ns(store->env) / 1000000);
}
/* The worker of the call's loop, made when it is first needed. */
struct postgres_worker *postgres_worker_of(struct postgres_store *, struct loop *);

/* settings.c. ERR_CONFIG_INVALID. */
enum err postgres_settings_read(const struct backend_open *, struct diag *, struct postgres_settings *ret_settings);
/* What struct driver calls check. */
enum err postgres_settings_check(const struct config_backend *, struct diag *);
/* Of the primary, or where standby of the replica. */
enum err postgres_settings_address(const struct config_backend *, bool standby, const char *namespace_name,
                                   struct postgres_problem *, struct postgres_address *ret_address);

/* idempotency.c: an operation under its key, in three steps. */
extern const struct postgres_unit_events postgres_idem_events;
void postgres_idem_put(struct postgres_unit *);
/* Of STATEMENT_ANSWER_GET: a kept answer goes to the operation's replay. */
enum err postgres_take_answer(struct postgres_operation *, const PGresult *);
/* Of STATEMENT_ANSWER_KEEP. */
struct postgres_params postgres_answer_params(const struct postgres_unit *, const struct idem *, struct slice response);

/* transactions.c */
void postgres_transactions_init(struct postgres_worker *);
void postgres_transactions_fini(struct postgres_worker *); /* rolls back what is open */

/* The interfaces. */
extern const struct keyvalue_basic_ops postgres_keyvalue_basic;
extern const struct keyvalue_batch_ops postgres_keyvalue_batch;
extern const struct keyvalue_cas_ops postgres_keyvalue_cas;
extern const struct keyvalue_scan_ops postgres_keyvalue_scan;
extern const struct keyvalue_transactional_ops postgres_keyvalue_transactional;
extern const struct keyvalue_ttl_ops postgres_keyvalue_ttl;
extern const struct list_basic_ops postgres_list_basic;
extern const struct list_blocking_ops postgres_list_blocking;
extern const struct list_indexing_ops postgres_list_indexing;
extern const struct list_range_ops postgres_list_range;
extern const struct set_basic_ops postgres_set_basic;
extern const struct set_cardinality_ops postgres_set_cardinality;
extern const struct set_operations_ops postgres_set_operations;
extern const struct set_random_ops postgres_set_random;
extern const struct sortedset_basic_ops postgres_sortedset_basic;
extern const struct sortedset_lex_ops postgres_sortedset_lex;
extern const struct sortedset_operations_ops postgres_sortedset_operations;
extern const struct sortedset_range_ops postgres_sortedset_range;
extern const struct sortedset_rank_ops postgres_sortedset_rank;
extern const struct counter_basic_ops postgres_counter_basic;

#endif
