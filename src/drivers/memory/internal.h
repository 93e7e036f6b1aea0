/* The opened driver, and how its operations answer. */
#ifndef PRISM_DRIVERS_MEMORY_INTERNAL_H
#define PRISM_DRIVERS_MEMORY_INTERNAL_H

#include "drivers/memory/records.h"
#include "drivers/memory/transactions.h"

struct memory {
    struct backend base;
    struct store store;
    struct records records;
    struct transactions transactions;
};

/* Does a mutation and gives its answer, which lives in the call's arena. */
typedef enum err memory_mutation_fn(struct memory *, struct call *, const void *request, int64_t now_ms,
                                    const void **ret_response);
/* Does it at most once for an idempotency key, and completes the call. memory/mutate.c */
void memory_mutate(struct backend *, struct call *, const void *request, memory_mutation_fn *);
/* Completes a call with its answer or its error. */
void memory_answer(struct call *, enum err, const void *response);
/* A version token in the arena. */
enum err memory_token_slice(const struct store *, uint64_t token, struct arena *, struct slice *ret_token);

/* Of an outcome that was not met: ERR_VERSION_MISMATCH with both versions. Lets go of what the outcome holds. */
enum err memory_mismatch(const struct store *, struct outcome *, const struct kv_expected *, struct diag *);

extern const struct keyvalue_basic_ops memory_keyvalue_basic;
extern const struct keyvalue_batch_ops memory_keyvalue_batch;
extern const struct keyvalue_cas_ops memory_keyvalue_cas;
extern const struct keyvalue_scan_ops memory_keyvalue_scan;
extern const struct keyvalue_transactional_ops memory_keyvalue_transactional;
extern const struct keyvalue_ttl_ops memory_keyvalue_ttl;

#endif
