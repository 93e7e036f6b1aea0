/* Get, Set, Insert, Remove: values by their position. */
#include "drivers/redis/list.h"
#include "prism/list/v1/list_indexing.ops.h"

void redis_put_marker(struct redis_operation *o, struct resp_command *words)
{
    uint8_t *bytes = arena_alloc(words->arena, REDIS_VERSION_BYTES);
    words->failed |= !bytes;
    if (!bytes)
        return;
    redis_version_next(&o->backend->versions, bytes);
    resp_put(words, slice_of(bytes, REDIS_VERSION_BYTES));
}

/* --- get ------------------------------------------------------------------------------------------------------------------------ */

static void get_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct list_get_response){.found = result->count, .value = resp_at(result, 0)->text});
}

static void get(struct backend *backend, struct call *call, const struct list_get_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, get_answered);
    if (!o)
        return;
    enum err e = collection_check_key(r->key, &call->diag);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_LIST, "get", r->key);
    if (p)
        resp_put_integer(&p->command->words, r->index);
    redis_part_send(o, p, e);
}

/* --- set and insert ------------------------------------------------------------------------------------------------------------- */

static enum err check(struct call *call, struct slice key, struct slice value)
{
    enum err e = collection_check_key(key, &call->diag);
    return e ? e : list_check_value(call, value);
}

static void set_answered(struct redis_operation *o)
{
    const struct list_set_request *r = o->call->request;
    struct list_set_response response = {0};
    const struct resp *result = redis_method_result(o);
    if (!result)
        return;
    bool outside = resp_at(result, 0)->integer < 0;
    enum err e = outside ? list_out_of_range(r->index, (uint64_t)resp_at(result, 1)->integer, &o->call->diag) : OK;
    redis_reply(o, e, &response);
}

static void set(struct backend *backend, struct call *call, const struct list_set_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, set_answered);
    if (!o)
        return;
    enum err e = check(call, r->key, r->value);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_LIST, "set", r->key);
    if (p) {
        resp_put_integer(&p->command->words, r->index);
        resp_put(&p->command->words, r->value);
    }
    redis_part_send(o, p, e);
}

static void insert_answered(struct redis_operation *o)
{
    const struct list_insert_request *r = o->call->request;
    const struct resp *result = redis_method_result(o);
    if (!result)
        return;
    int64_t length = resp_at(result, 0)->integer;
    uint64_t before = (uint64_t)resp_at(result, 1)->integer;
    enum err e = length == -1   ? list_out_of_range(r->index, before, &o->call->diag)
                 : length == -2 ? list_check_room(before, 1, &o->call->diag)
                                : OK;
    if (!e)
        waiting_notify(&o->backend->pops, r->key);
    redis_reply(o, e, &(struct list_insert_response){.length = (uint64_t)length});
}

static void insert(struct backend *backend, struct call *call, const struct list_insert_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, insert_answered);
    if (!o)
        return;
    enum err e = check(call, r->key, r->value);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_LIST, "insert", r->key);
    if (p) {
        resp_put_integer(&p->command->words, r->index);
        resp_put(&p->command->words, r->value);
        redis_put_marker(o, &p->command->words);
    }
    redis_part_send(o, p, e);
}

/* --- remove --------------------------------------------------------------------------------------------------------------------- */

static void remove_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct list_remove_response){.removed = (uint64_t)resp_at(result, 0)->integer,
                                                           .length = (uint64_t)resp_at(result, 1)->integer,
                                                           .value = resp_at(result, 2)->text});
}

/* Count as LREM takes it: below 0 from the last, 0 all. More than a list can have is as good as all. */
static int64_t lrem_count(const struct list_remove *remove)
{
    if (remove->most > LIMIT_COLLECTION_ITEMS)
        return remove->from_last ? -(int64_t)LIMIT_COLLECTION_ITEMS : 0;
    return remove->from_last ? -(int64_t)remove->most : (int64_t)remove->most;
}

static void put_remove(struct redis_operation *o, struct resp_command *words, const struct list_remove *remove)
{
    resp_put_integer(words, remove->by_index ? remove->index : lrem_count(remove));
    if (remove->by_index)
        redis_put_marker(o, words);
    else
        resp_put(words, remove->value);
}

static void remove_values(struct backend *backend, struct call *call, const struct list_remove_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, remove_answered);
    struct list_remove remove = {0};
    if (!o)
        return;
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e)
        e = list_remove_make(r, &call->diag, &remove);
    struct redis_part *p =
        e ? NULL : redis_part_method(o, REDIS_LIST, remove.by_index ? "remove_at" : "remove", r->key);
    if (p)
        put_remove(o, &p->command->words, &remove);
    redis_part_send(o, p, e);
}

const struct list_indexing_ops redis_list_indexing = {
    .get = get, .set = set, .insert = insert, .remove = remove_values};
