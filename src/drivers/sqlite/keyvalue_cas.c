/* CompareAndSwap, CompareAndDelete: comparison and write are one step, as the writer runs one operation after the other. */
#include "drivers/sqlite/store.h"
#include "prism/keyvalue/v1/keyvalue_cas.ops.h"

/* The row as conditions see it. *ret_item has no meaning where the key is absent. */
static enum err current(struct sqlite_operation *o, struct slice key, struct kv_item *ret_item, bool *ret_found)
{
    struct sqlite_row row;
    enum err e = sqlite_item_get(o->connection, key, o->now_ms, o->call->arena, &row);
    if (!e && row.found)
        e = sqlite_row_item(&o->store->versions, &row, key, o->call->arena, ret_item);
    if (!e)
        *ret_found = row.found;
    return e;
}

/* --- swap ------------------------------------------------------------------------------------------------------------------- */

struct swap_operation {
    struct sqlite_operation operation;
    struct kv_write write;
};

static enum err run_swap(struct sqlite_operation *o)
{
    const struct kv_write *write = &((struct swap_operation *)o)->write;
    struct keyvalue_compare_and_swap_response *response =
        arena_new(o->call->arena, struct keyvalue_compare_and_swap_response);
    struct kv_item item;
    bool found;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = current(o, write->key, &item, &found);
    if (e)
        return e;
    response->swapped = kv_expected_holds(&write->expected, found ? &item : NULL);
    if (response->swapped)
        return sqlite_item_write(o, write, &response->version);
    response->found = found;
    if (found) {
        response->version = item.version;
        response->current_value = item.value;
    }
    return OK;
}

static void compare_and_swap(struct backend *backend, struct call *call,
                             const struct keyvalue_compare_and_swap_request *request)
{
    struct swap_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_swap);
    if (!o)
        return;
    int64_t now_ms = sqlite_now_ms(o->operation.store);
    enum err e = kv_write_make(call, request->key, request->value, &request->tags, request->ttl, now_ms, &call->diag,
                               "", &o->write);
    if (!e)
        e = kv_expected_swap(request, &call->diag, &o->write.expected);
    o->operation.bytes = request->key.size + request->value.size;
    if (e)
        sqlite_reject(&o->operation, e);
    else
        sqlite_write(&o->operation);
}

/* --- delete ----------------------------------------------------------------------------------------------------------------- */

struct delete_operation {
    struct sqlite_operation operation;
    struct kv_expected expected;
};

static enum err run_delete(struct sqlite_operation *o)
{
    const struct keyvalue_compare_and_delete_request *request = o->call->request;
    const struct kv_expected *expected = &((const struct delete_operation *)o)->expected;
    struct keyvalue_compare_and_delete_response *response =
        arena_new(o->call->arena, struct keyvalue_compare_and_delete_response);
    struct kv_item item;
    bool found;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = current(o, request->key, &item, &found);
    if (e)
        return e;
    if (kv_expected_holds(expected, found ? &item : NULL))
        return sqlite_item_delete(o->store, request->key, o->now_ms, &response->deleted);
    response->found = found;
    if (found)
        response->version = item.version;
    return OK;
}

static void compare_and_delete(struct backend *backend, struct call *call,
                               const struct keyvalue_compare_and_delete_request *request)
{
    struct delete_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_delete);
    if (!o)
        return;
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (!e)
        e = kv_expected_delete(request, &call->diag, &o->expected);
    if (e)
        sqlite_reject(&o->operation, e);
    else
        sqlite_write(&o->operation);
}

const struct keyvalue_cas_ops sqlite_keyvalue_cas = {.compare_and_swap = compare_and_swap,
                                                     .compare_and_delete = compare_and_delete};
