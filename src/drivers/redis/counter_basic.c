/* Add, AddAndGet, Get, Clear. Values travel as text: Lua's numbers have 53 bits. */
#include "data/counter.h"
#include "drivers/redis/operation.h"
#include "prism/counter/v1/counter_basic.ops.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t value_of(const struct resp *result)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", SLICE_ARG(resp_at(result, 1)->text));
    return strtoll(text, NULL, 10);
}

static void add_answered(struct redis_operation *o)
{
    const struct counter_add_and_get_request *r = o->call->request;
    const struct resp *result = redis_method_result(o);
    if (!result)
        return;
    int64_t value = value_of(result), sum;
    bool added = resp_at(result, 0)->integer;
    enum err e = added ? OK : counter_sum(value, r->delta, &o->call->diag, &sum);
    const void *response = e ? NULL : counter_answer(o->call, value);
    redis_reply(o, e ? e : response ? OK : ERR_NOMEM, response);
}

static void begin_add(struct backend *backend, struct call *call)
{
    const struct counter_add_and_get_request *r = call->request;
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, add_answered);
    if (!o)
        return;
    enum err e = counter_check_add(call, r);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_COUNTER, "add", r->key);
    if (p)
        resp_put_integer(&p->command->words, r->delta);
    redis_part_send(o, p, e);
}

static void add(struct backend *backend, struct call *call, const struct counter_add_request *request)
{
    (void)request;
    begin_add(backend, call);
}

static void add_and_get(struct backend *backend, struct call *call, const struct counter_add_and_get_request *request)
{
    (void)request;
    begin_add(backend, call);
}

static void get_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct counter_get_response){.value = value_of(result)});
}

static void get(struct backend *backend, struct call *call, const struct counter_get_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, get_answered);
    if (o)
        redis_method_send(o, REDIS_COUNTER, "get", r->key, collection_check_key(r->key, &call->diag));
}

static void clear_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct counter_clear_response){.value = value_of(result)});
}

static void clear(struct backend *backend, struct call *call, const struct counter_clear_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, clear_answered);
    if (o)
        redis_method_send(o, REDIS_COUNTER, "clear", r->key, collection_check_key(r->key, &call->diag));
}

const struct counter_basic_ops redis_counter_basic = {
    .add = add, .add_and_get = add_and_get, .get = get, .clear = clear};
