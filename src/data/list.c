/* Pushes, pops, positions and timeouts of lists, as every driver takes them. */
#include "data/list.h"

#include <stddef.h>

#include "data/keyvalue.h"

/* --- requests and answers of one layout ---------------------------------------------------------------------------------------- */

#define SAME_LAYOUT(a, b, member)                                                                                      \
    _Static_assert(offsetof(struct a, member) == offsetof(struct b, member) && sizeof(struct a) == sizeof(struct b),   \
                   "taken for each other")
SAME_LAYOUT(list_push_left_request, list_push_right_request, values);
SAME_LAYOUT(list_pop_left_request, list_pop_right_request, count);
SAME_LAYOUT(list_pop_left_response, list_pop_right_response, values);
SAME_LAYOUT(list_pop_left_response, list_pop_right_response, length);
SAME_LAYOUT(list_blocking_pop_left_request, list_blocking_pop_right_request, timeout);
SAME_LAYOUT(list_blocking_pop_left_response, list_blocking_pop_right_response, value);

static enum err value_too_large(struct call *call, const char *field, size_t size)
{
    size_t max = call->ns->message_bytes;
    diag_set(&call->diag, ERR_MESSAGE_TOO_LARGE, "%s has %zu bytes, the namespace takes at most %zu", field, size, max);
    diag_field(&call->diag, field, "has %zu bytes, must have at most %zu", size, max);
    return ERR_MESSAGE_TOO_LARGE;
}

enum err list_check_value(struct call *call, struct slice value)
{
    enum err e = value.size > call->ns->message_bytes ? value_too_large(call, "value", value.size) : OK;
    return e ? e : collection_check_keep(call->ns, &call->diag);
}

static enum err check_values(struct call *call, const struct pb_array *values)
{
    enum err e = kv_check_batch(values->count, "values", &call->diag);
    for (uint32_t i = 0; !e && i < values->count; i++)
        if (PB_AT(*values, struct slice, i).size > call->ns->message_bytes)
            e = value_too_large(call, "values", PB_AT(*values, struct slice, i).size);
    return e;
}

enum err list_push_make(struct call *call, struct list_push *ret_push)
{
    const struct list_push_left_request *r = call->request;
    bool right = call->method->pb->input == &list_push_right_request_pb;
    struct list_push push = {.end = right ? LIST_RIGHT : LIST_LEFT, .key = r->key, .values = &r->values};
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e)
        e = check_values(call, &r->values);
    if (!e)
        e = collection_check_keep(call->ns, &call->diag);
    if (!e)
        *ret_push = push;
    return e;
}

enum err list_pop_make(struct call *call, struct list_pop *ret_pop)
{
    const struct pb_message *input = call->method->pb->input;
    struct list_pop pop = {.end = LIST_LEFT, .count = 1};
    enum err e = OK;
    if (input == &list_pop_right_request_pb || input == &list_blocking_pop_right_request_pb)
        pop.end = LIST_RIGHT;
    if (input == &list_pop_left_request_pb || input == &list_pop_right_request_pb) {
        const struct list_pop_left_request *r = call->request;
        pop.key = r->key;
        e = collection_count(r->count, &call->diag, &pop.count);
    } else {
        pop.key = ((const struct list_blocking_pop_left_request *)call->request)->key;
    }
    if (!e)
        e = collection_check_key(pop.key, &call->diag);
    if (!e)
        *ret_pop = pop;
    return e;
}

struct list_pop_left_response *list_pop_answer(struct call *call, uint32_t values_max)
{
    struct list_pop_left_response *answer = arena_new(call->arena, struct list_pop_left_response);
    if (!answer)
        return NULL;
    answer->values.items = arena_array(call->arena, struct slice, values_max);
    answer->values.capacity = values_max;
    return answer->values.items ? answer : NULL;
}

/* --- positions ------------------------------------------------------------------------------------------------------------------ */

enum err list_out_of_range(int64_t index, uint64_t length, struct diag *diag)
{
    diag_set(diag, ERR_INDEX_OUT_OF_RANGE, "index %lld lies outside the list, which has %llu values", (long long)index,
             (unsigned long long)length);
    diag_field(diag, "index", "is %lld, the list has %llu values", (long long)index, (unsigned long long)length);
    diag_meta(diag, "length", "%llu", (unsigned long long)length);
    return ERR_INDEX_OUT_OF_RANGE;
}

enum err list_insert_position(int64_t index, uint64_t length, struct diag *diag, uint64_t *ret_position)
{
    if (index >= 0 && (uint64_t)index == length) {
        *ret_position = length;
        return OK;
    }
    return span_index(index, length, ret_position) ? OK : list_out_of_range(index, length, diag);
}

enum err list_check_room(uint64_t length, uint64_t more, struct diag *diag)
{
    if (length + more <= LIMIT_COLLECTION_ITEMS)
        return OK;
    diag_set(diag, ERR_STORE_FULL, "a list takes at most %d values, this one has %llu", LIMIT_COLLECTION_ITEMS,
             (unsigned long long)length);
    return ERR_STORE_FULL;
}

static enum err remove_index(const struct list_remove_request *r, struct diag *diag, struct list_remove *ret_remove)
{
    if (r->count)
        return collection_invalid(diag, "count", "must be 0 with index, which removes one value");
    *ret_remove = (struct list_remove){.by_index = true, .index = r->index};
    return OK;
}

enum err list_remove_make(const struct list_remove_request *r, struct diag *diag, struct list_remove *ret_remove)
{
    if (r->what_case == LIST_REMOVE_REQUEST_INDEX)
        return remove_index(r, diag, ret_remove);
    if (r->what_case != LIST_REMOVE_REQUEST_VALUE)
        return collection_invalid(diag, "what", "needs one of index, value");
    uint64_t most = r->count < 0 ? 0 - (uint64_t)r->count : (uint64_t)r->count;
    *ret_remove = (struct list_remove){.value = r->value, .most = most ? most : UINT64_MAX, .from_last = r->count < 0};
    return OK;
}

/* --- waiting -------------------------------------------------------------------------------------------------------------------- */

enum err list_timeout(struct call *call, int64_t *ret_timeout_ms)
{
    const struct list_blocking_pop_left_request *r = call->request;
    if (!r->timeout) {
        *ret_timeout_ms = LIMIT_DEADLINE_MAX_MS;
        return OK;
    }
    int64_t ms;
    if (kv_duration_ms(r->timeout, &ms))
        return collection_invalid(&call->diag, "timeout", "is not a valid duration");
    if (ms <= 0)
        return collection_invalid(&call->diag, "timeout", "must be above 0");
    *ret_timeout_ms = ms < LIMIT_DEADLINE_MAX_MS ? ms : LIMIT_DEADLINE_MAX_MS;
    return OK;
}
