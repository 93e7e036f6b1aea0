/* Additions that fit 64 bits, and their answers. */
#include "data/counter.h"

#include <stddef.h>

_Static_assert(sizeof(struct counter_add_response) <= offsetof(struct counter_add_and_get_response, value),
               "taken for each other");
_Static_assert(offsetof(struct counter_add_request, delta) == offsetof(struct counter_add_and_get_request, delta),
               "taken for each other");

enum err counter_check_add(struct call *call, const struct counter_add_and_get_request *r)
{
    enum err e = collection_check_key(r->key, &call->diag);
    return e ? e : collection_check_keep(call->ns, &call->diag);
}

enum err counter_sum(int64_t value, int64_t delta, struct diag *diag, int64_t *ret_sum)
{
    int64_t sum;
    if (!__builtin_add_overflow(value, delta, &sum)) {
        *ret_sum = sum;
        return OK;
    }
    diag_set(diag, ERR_COUNTER_OVERFLOW, "%lld and %lld have a sum that does not fit 64 bits; nothing was added",
             (long long)value, (long long)delta);
    diag_field(diag, "delta", "is %lld, the counter is at %lld", (long long)delta, (long long)value);
    diag_meta(diag, "value", "%lld", (long long)value);
    return ERR_COUNTER_OVERFLOW;
}

/* Add's answer is the empty beginning of the other one. */
const void *counter_answer_room(struct call *call, int64_t **ret_sum)
{
    struct counter_add_and_get_response *answer = arena_new(call->arena, struct counter_add_and_get_response);
    if (answer)
        *ret_sum = &answer->value;
    return answer;
}

const void *counter_answer(struct call *call, int64_t sum)
{
    int64_t *place;
    const void *answer = counter_answer_room(call, &place);
    if (answer)
        *place = sum;
    return answer;
}
