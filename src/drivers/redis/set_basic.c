/* Add, Remove, Contains, Clear; GetSize, IsMember; GetRandomMember, PopRandomMember. Pages of members: set_operations.c. */
#include "data/set.h"
#include "drivers/redis/set.h"
#include "prism/set/v1/set_basic.ops.h"
#include "prism/set/v1/set_cardinality.ops.h"
#include "prism/set/v1/set_random.ops.h"

static uint64_t number(const struct resp *result, uint32_t index)
{
    return (uint64_t)resp_at(result, index)->integer;
}

static void put_members(struct redis_part *p, const struct pb_array *members)
{
    for (uint32_t i = 0; p && i < members->count; i++)
        resp_put(&p->command->words, PB_AT(*members, struct slice, i));
}

/* --- add, remove, clear --------------------------------------------------------------------------------------------------------- */

static void add_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct set_add_response){.added = number(result, 0)});
}

static void add(struct backend *backend, struct call *call, const struct set_add_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, add_answered);
    if (!o)
        return;
    enum err e = set_check_add(call, r);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SET_MODEL, "add", r->key);
    put_members(p, &r->members);
    redis_part_send(o, p, e);
}

static void remove_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct set_remove_response){.removed = number(result, 0)});
}

static void remove_members(struct backend *backend, struct call *call, const struct set_remove_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, remove_answered);
    if (!o)
        return;
    enum err e = set_check_members(call, r->key, &r->members);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SET_MODEL, "remove", r->key);
    put_members(p, &r->members);
    redis_part_send(o, p, e);
}

static void clear_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct set_clear_response){.removed = number(result, 0)});
}

static void clear(struct backend *backend, struct call *call, const struct set_clear_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, clear_answered);
    if (o)
        redis_method_send(o, REDIS_SET_MODEL, "clear", r->key, collection_check_key(r->key, &call->diag));
}

/* --- looking -------------------------------------------------------------------------------------------------------------------- */

static void contains_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct set_contains_response){.contains = number(result, 0)});
}

static void contains(struct backend *backend, struct call *call, const struct set_contains_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, contains_answered);
    if (!o)
        return;
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e)
        e = collection_check_member(r->member, &call->diag, "member");
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SET_MODEL, "has", r->key);
    if (p)
        resp_put(&p->command->words, r->member);
    redis_part_send(o, p, e);
}

static void is_member_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (!result)
        return;
    bool *present = arena_array(o->call->arena, bool, result->count + 1);
    for (uint32_t i = 0; present && i < result->count; i++)
        present[i] = number(result, i);
    struct set_is_member_response response = {
        .present = {.items = present, .count = result->count, .capacity = result->count}};
    redis_reply(o, present ? OK : ERR_NOMEM, &response);
}

static void is_member(struct backend *backend, struct call *call, const struct set_is_member_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, is_member_answered);
    if (!o)
        return;
    enum err e = set_check_members(call, r->key, &r->members);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SET_MODEL, "has", r->key);
    put_members(p, &r->members);
    redis_part_send(o, p, e);
}

static void size_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct set_get_size_response){.size = number(result, 0)});
}

static void get_size(struct backend *backend, struct call *call, const struct set_get_size_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, size_answered);
    if (o)
        redis_method_send(o, REDIS_SET_MODEL, "size", r->key, collection_check_key(r->key, &call->diag));
}

/* --- at random ------------------------------------------------------------------------------------------------------------------ */

static void answer_random(struct redis_operation *o, uint32_t members_at)
{
    const struct resp *result = redis_method_result(o);
    if (!result)
        return;
    struct set_pop_random_member_response *response = set_random_answer(o->call, result->count + 1);
    for (uint32_t i = members_at; response && i < result->count; i++)
        ((struct slice *)response->members.items)[response->members.count++] = resp_at(result, i)->text;
    if (response && members_at)
        response->size = number(result, 0);
    redis_reply(o, response ? OK : ERR_NOMEM, response);
}

static void random_answered(struct redis_operation *o)
{
    answer_random(o, 0);
}

static void pop_answered(struct redis_operation *o)
{
    answer_random(o, 1);
}

static void send_random(struct redis_operation *o, const char *method, struct slice key, uint32_t asked)
{
    struct call *call = o->call;
    uint32_t count = 0;
    enum err e = collection_check_key(key, &call->diag);
    if (!e)
        e = collection_count(asked, &call->diag, &count);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SET_MODEL, method, key);
    if (p)
        resp_put_integer(&p->command->words, count);
    redis_part_send(o, p, e);
}

static void get_random_member(struct backend *backend, struct call *call, const struct set_get_random_member_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, random_answered);
    if (o)
        send_random(o, "random", r->key, r->count);
}

static void pop_random_member(struct backend *backend, struct call *call, const struct set_pop_random_member_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, pop_answered);
    if (o)
        send_random(o, "pop_random", r->key, r->count);
}

const struct set_basic_ops redis_set_basic = {
    .add = add, .remove = remove_members, .contains = contains, .get_members = redis_set_get_members, .clear = clear};
const struct set_cardinality_ops redis_set_cardinality = {.get_size = get_size, .is_member = is_member};
const struct set_random_ops redis_set_random = {.get_random_member = get_random_member,
                                                .pop_random_member = pop_random_member};
