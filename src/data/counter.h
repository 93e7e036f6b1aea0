/* Rules of the counter interface that every driver shares. Source of the semantics: proto/prism/counter/v1. */
#ifndef PRISM_DATA_COUNTER_H
#define PRISM_DATA_COUNTER_H

#include "data/collection.h"
#include "prism/counter/v1/counter_basic.pb.h"

/* Key and delta of Add and AddAndGet (one layout), checked. ERR_KEY_INVALID, ERR_TTL_REQUIRED. */
enum err counter_check_add(struct call *, const struct counter_add_and_get_request *);
/* ERR_COUNTER_OVERFLOW where the sum does not fit 64 bits. */
enum err counter_sum(int64_t value, int64_t delta, struct diag *, int64_t *ret_sum);
/* The answer of Add or AddAndGet by the call's method, in its arena. NULL: out of memory. */
const void *counter_answer(struct call *, int64_t sum);
/* The same made before the work: *ret_sum is where the sum belongs. */
const void *counter_answer_room(struct call *, int64_t **ret_sum);

#endif
