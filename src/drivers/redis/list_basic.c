/* PushLeft, PushRight, PopLeft, PopRight, Clear. */
#include "drivers/redis/list.h"
#include "prism/list/v1/list_basic.ops.h"

/* --- push ----------------------------------------------------------------------------------------------------------------------- */

struct push_operation {
    struct redis_operation operation;
    struct list_push push;
};

/* Those who wait at this gateway are told at once, those at others by the server. */
static void push_answered(struct redis_operation *o)
{
    const struct list_push *push = &((struct push_operation *)o)->push;
    const struct resp *result = redis_method_result(o);
    if (!result)
        return;
    struct list_push_left_response response = {.length = (uint64_t)resp_at(result, 0)->integer};
    enum err e = OK;
    if (result->count > 1)
        e = list_check_room((uint64_t)resp_at(result, 1)->integer, push->values->count, &o->call->diag);
    else
        waiting_notify(&o->backend->pops, push->key);
    redis_reply(o, e, &response);
}

static void push(struct backend *backend, struct call *call)
{
    struct push_operation *o = redis_mutation_new(backend, call, sizeof *o, push_answered);
    if (!o)
        return;
    enum err e = list_push_make(call, &o->push);
    struct redis_part *p = e ? NULL : redis_part_method(&o->operation, REDIS_LIST, "push", o->push.key);
    if (p) {
        resp_put(&p->command->words, o->push.end == LIST_LEFT ? SLICE("LPUSH") : SLICE("RPUSH"));
        for (uint32_t i = 0; i < o->push.values->count; i++)
            resp_put(&p->command->words, PB_AT(*o->push.values, struct slice, i));
    }
    redis_part_send(&o->operation, p, e);
}

static void push_left(struct backend *backend, struct call *call, const struct list_push_left_request *request)
{
    (void)request;
    push(backend, call);
}

static void push_right(struct backend *backend, struct call *call, const struct list_push_right_request *request)
{
    (void)request;
    push(backend, call);
}

/* --- pop ------------------------------------------------------------------------------------------------------------------------ */

static void pop_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (!result)
        return;
    struct list_pop_left_response *response = list_pop_answer(o->call, result->count ? result->count : 1);
    if (response) {
        response->length = (uint64_t)resp_at(result, 0)->integer;
        for (uint32_t i = 1; i < result->count; i++)
            ((struct slice *)response->values.items)[response->values.count++] = resp_at(result, i)->text;
    }
    redis_reply(o, response ? OK : ERR_NOMEM, response);
}

static void pop(struct backend *backend, struct call *call)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, pop_answered);
    struct list_pop pop;
    if (!o)
        return;
    enum err e = list_pop_make(call, &pop);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_LIST, "pop", pop.key);
    if (p) {
        resp_put(&p->command->words, pop.end == LIST_LEFT ? SLICE("LPOP") : SLICE("RPOP"));
        resp_put_integer(&p->command->words, pop.count);
        resp_put_integer(&p->command->words, LIMIT_PAGE_BYTES);
        p->command->slow = pop.count > 1;
    }
    redis_part_send(o, p, e);
}

static void pop_left(struct backend *backend, struct call *call, const struct list_pop_left_request *request)
{
    (void)request;
    pop(backend, call);
}

static void pop_right(struct backend *backend, struct call *call, const struct list_pop_right_request *request)
{
    (void)request;
    pop(backend, call);
}

/* --- clear ---------------------------------------------------------------------------------------------------------------------- */

static void clear_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct list_clear_response){.removed = (uint64_t)resp_at(result, 0)->integer});
}

static void clear(struct backend *backend, struct call *call, const struct list_clear_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, clear_answered);
    if (o)
        redis_method_send(o, REDIS_LIST, "clear", r->key, collection_check_key(r->key, &call->diag));
}

const struct list_basic_ops redis_list_basic = {
    .push_left = push_left, .push_right = push_right, .pop_left = pop_left, .pop_right = pop_right, .clear = clear};
