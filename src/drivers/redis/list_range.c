/* GetRange, Trim. */
#include "drivers/redis/list.h"
#include "prism/list/v1/list_range.ops.h"

static void range_answered(struct redis_operation *o)
{
    enum { VALUES_AT = 3 };
    struct list_get_range_response response = {0};
    const struct resp *result = redis_method_result(o);
    if (!result)
        return;
    uint32_t count = result->count > VALUES_AT ? result->count - VALUES_AT : 0;
    int64_t first = resp_at(result, 1)->integer, in_range = resp_at(result, 2)->integer;
    struct slice *values = arena_array(o->call->arena, struct slice, count + 1);
    for (uint32_t i = 0; values && i < count; i++)
        values[i] = resp_at(result, VALUES_AT + i)->text;
    response.values = (struct pb_array){.items = values, .count = count, .capacity = count};
    response.length = (uint64_t)resp_at(result, 0)->integer;
    response.has_next_start = count < in_range;
    response.next_start = response.has_next_start ? first + count : 0;
    redis_reply(o, values ? OK : ERR_NOMEM, &response);
}

static void get_range(struct backend *backend, struct call *call, const struct list_get_range_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, range_answered);
    if (!o)
        return;
    enum err e = collection_check_key(r->key, &call->diag);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_LIST, "range", r->key);
    if (p) {
        resp_put_integer(&p->command->words, r->start);
        resp_put_integer(&p->command->words, r->end);
        resp_put_integer(&p->command->words, LIMIT_PAGE_BYTES);
        resp_put_integer(&p->command->words, LIMIT_PAGE_ITEMS);
        p->command->slow = true;
    }
    redis_part_send(o, p, e);
}

static void trim_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct list_trim_response){.removed = (uint64_t)resp_at(result, 0)->integer,
                                                         .length = (uint64_t)resp_at(result, 1)->integer});
}

static void trim(struct backend *backend, struct call *call, const struct list_trim_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, trim_answered);
    if (!o)
        return;
    enum err e = collection_check_key(r->key, &call->diag);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_LIST, "trim", r->key);
    if (p) {
        resp_put_integer(&p->command->words, r->start);
        resp_put_integer(&p->command->words, r->end);
    }
    redis_part_send(o, p, e);
}

const struct list_range_ops redis_list_range = {.get_range = get_range, .trim = trim};
