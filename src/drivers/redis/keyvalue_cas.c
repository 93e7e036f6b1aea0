/* CompareAndSwap, CompareAndDelete: comparison and write are one step of the server. */
#include "drivers/redis/operation.h"
#include "prism/keyvalue/v1/keyvalue_cas.ops.h"

struct cas_operation {
    struct redis_operation operation;
    struct kv_write write;
};

/* What is there instead. *ret_item has no meaning where nothing is. ERR_CORRUPT; or why a change could not be made. */
static enum err current(struct redis_operation *o, const struct resp *result, struct kv_item *ret_item, bool *ret_found)
{
    if (resp_at(result, 0)->integer == REDIS_FAILED)
        return redis_change_error(result, NULL, &o->call->diag);
    struct slice packed = resp_at(result, 1)->text;
    *ret_found = packed.size > 0;
    return *ret_found ? redis_unpack(packed, SLICE_EMPTY, ret_item) : OK;
}

static enum err fill_swap(struct redis_operation *o, const struct resp *result,
                          struct keyvalue_compare_and_swap_response *response)
{
    struct kv_item item;
    bool found = false;
    if (resp_at(result, 0)->integer == REDIS_DONE) {
        response->swapped = true;
        response->version = resp_at(result, 1)->text;
        return OK;
    }
    enum err e = current(o, result, &item, &found);
    if (e || !found)
        return e;
    response->found = true;
    response->version = item.version;
    response->current_value = item.value;
    return OK;
}

static void swap_answered(struct redis_operation *o)
{
    struct keyvalue_compare_and_swap_response response = {0};
    const struct resp *result;
    if (!redis_only_result(o, &result))
        return;
    enum err e = fill_swap(o, result, &response);
    if (e)
        redis_operation_fail(o, e);
    else
        call_reply(o->call, &response);
}

static void compare_and_swap(struct backend *backend, struct call *call,
                             const struct keyvalue_compare_and_swap_request *r)
{
    struct cas_operation *o = redis_mutation_new(backend, call, sizeof *o, swap_answered);
    if (!o)
        return;
    enum err e =
        kv_write_make(call, r->key, r->value, &r->tags, r->ttl, o->operation.now_ms, &call->diag, "", &o->write);
    if (!e)
        e = kv_expected_swap(r, &call->diag, &o->write.expected);
    if (e) {
        redis_operation_fail(&o->operation, e);
        return;
    }
    redis_apply_one(
        &o->operation,
        &(struct redis_change){.kind = REDIS_SWAP, .key = r->key, .expected = o->write.expected, .write = &o->write},
        true);
}

static enum err fill_delete(struct redis_operation *o, const struct resp *result,
                            struct keyvalue_compare_and_delete_response *response)
{
    struct kv_item item;
    if (resp_at(result, 0)->integer == REDIS_DONE) {
        response->deleted = resp_at(result, 1)->integer;
        return OK;
    }
    enum err e = current(o, result, &item, &response->found);
    if (!e && response->found)
        response->version = item.version;
    return e;
}

static void delete_answered(struct redis_operation *o)
{
    struct keyvalue_compare_and_delete_response response = {0};
    const struct resp *result;
    if (!redis_only_result(o, &result))
        return;
    enum err e = fill_delete(o, result, &response);
    if (e)
        redis_operation_fail(o, e);
    else
        call_reply(o->call, &response);
}

static void compare_and_delete(struct backend *backend, struct call *call,
                               const struct keyvalue_compare_and_delete_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, delete_answered);
    struct kv_expected expected;
    if (!o)
        return;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = kv_expected_delete(r, &call->diag, &expected);
    if (e)
        redis_operation_fail(o, e);
    else
        redis_apply_one(o, &(struct redis_change){.kind = REDIS_DELETE, .key = r->key, .expected = expected}, true);
}

const struct keyvalue_cas_ops redis_keyvalue_cas = {.compare_and_swap = compare_and_swap,
                                                    .compare_and_delete = compare_and_delete};
