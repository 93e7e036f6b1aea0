/* The opened driver, and how its operations answer. */
#ifndef PRISM_DRIVERS_MEMORY_INTERNAL_H
#define PRISM_DRIVERS_MEMORY_INTERNAL_H

#include "data/waiting.h"
#include "drivers/memory/records.h"
#include "drivers/memory/shelf.h"
#include "drivers/memory/transactions.h"

struct memory {
    struct backend base;
    struct store store;
    struct records records;
    struct transactions transactions;
    struct shelf shelves[SHELF_KINDS];
    struct waiting_room waiting; /* blocking pops, by key of their list */
};

/* Does a mutation and gives its answer, which lives in the call's arena. NULL where nothing was done and nothing shall be kept. */
typedef enum err memory_mutation_fn(struct memory *, struct call *, const void *request, int64_t now_ms,
                                    const void **ret_response);
/* Does it at most once for an idempotency key, and completes the call. memory/mutate.c */
void memory_mutate(struct backend *, struct call *, const void *request, memory_mutation_fn *);
/* How it went, before the call is completed. */
struct settled {
    struct idem idem; /* from idem_begin */
    enum err err;
    const void *response;
    bool replayed; /* stored and fingerprint are those of an earlier call */
    uint64_t fingerprint;
    struct slice stored;
};
/* The two halves of memory_mutate, for those who do something in between. */
void memory_mutate_once(struct memory *, struct call *, memory_mutation_fn *, struct settled *);
void memory_settled_answer(struct call *, const struct settled *);
/* Completes a call with its answer or its error. */
void memory_answer(struct call *, enum err, const void *response);
/* A version token in the arena. */
enum err memory_token_slice(const struct store *, uint64_t token, struct arena *, struct slice *ret_token);

struct list_pop;
struct list_pop_left_response;
/* Pops as asked, from a list that may not exist; memory/list_basic.c. The answer has room for the values. */
enum err memory_list_pop(struct memory *, struct call *, const struct list_pop *,
                         struct list_pop_left_response *answer);

/* A call that changes one collection: its shelf, the locked bay and the box. */
struct visit {
    struct shelf *shelf;
    struct bay *bay;
    struct box *box; /* NULL: there is no such collection */
};
static inline struct visit visit_begin(struct memory *m, enum shelf_kind kind, struct slice key)
{
    struct visit v = {.shelf = &m->shelves[kind], .bay = memory_bay_lock(&m->shelves[kind], key)};
    v.box = memory_box_find(v.bay, key);
    return v;
}
/* The whole collection, or NULL: the caller frees it after visit_end. */
static inline struct box *visit_take(struct visit *v)
{
    struct box *taken = v->box;
    if (taken)
        memory_box_take(v->bay, taken);
    v->box = NULL;
    return taken;
}
/* Throws away what has become empty. */
static inline void visit_end(struct visit *v)
{
    if (v->box)
        memory_box_tidy(v->shelf, v->bay, v->box);
    memory_bay_unlock(v->bay);
}

/* The first member of a set behind `after`; of all where that is empty. memory/set_basic.c */
struct member *memory_set_from(const struct ranked *, struct slice after);

/* Of an outcome that was not met: ERR_VERSION_MISMATCH with both versions. Lets go of what the outcome holds. */
enum err memory_mismatch(const struct store *, struct outcome *, const struct kv_expected *, struct diag *);

extern const struct counter_basic_ops memory_counter_basic;
extern const struct keyvalue_basic_ops memory_keyvalue_basic;
extern const struct keyvalue_batch_ops memory_keyvalue_batch;
extern const struct keyvalue_cas_ops memory_keyvalue_cas;
extern const struct keyvalue_scan_ops memory_keyvalue_scan;
extern const struct keyvalue_transactional_ops memory_keyvalue_transactional;
extern const struct keyvalue_ttl_ops memory_keyvalue_ttl;
extern const struct list_basic_ops memory_list_basic;
extern const struct list_blocking_ops memory_list_blocking;
extern const struct list_indexing_ops memory_list_indexing;
extern const struct list_range_ops memory_list_range;
extern const struct set_basic_ops memory_set_basic;
extern const struct set_cardinality_ops memory_set_cardinality;
extern const struct set_operations_ops memory_set_operations;
extern const struct set_random_ops memory_set_random;
extern const struct sortedset_basic_ops memory_sortedset_basic;
extern const struct sortedset_lex_ops memory_sortedset_lex;
extern const struct sortedset_operations_ops memory_sortedset_operations;
extern const struct sortedset_range_ops memory_sortedset_range;
extern const struct sortedset_rank_ops memory_sortedset_rank;

#endif
