/* Set, Get, Delete, Exists. */
#include "drivers/sqlite/store.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"

struct set_operation {
    struct sqlite_operation operation;
    struct kv_write write;
};

static enum err run_set(struct sqlite_operation *o)
{
    const struct kv_write *write = &((struct set_operation *)o)->write;
    struct keyvalue_set_response *response = arena_new(o->call->arena, struct keyvalue_set_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_item_check(o, write->key, &write->expected, &o->call->diag);
    return e ? e : sqlite_item_write(o, write, &response->version);
}

static void set(struct backend *backend, struct call *call, const struct keyvalue_set_request *request)
{
    struct set_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_set);
    if (!o)
        return;
    int64_t now_ms = sqlite_now_ms(o->operation.store);
    enum err e = kv_write_make(call, request->key, request->value, &request->tags, request->ttl, now_ms, &call->diag,
                               "", &o->write);
    if (e) {
        sqlite_reject(&o->operation, e);
        return;
    }
    o->write.expected = kv_if_version(request->has_if_version, request->if_version);
    o->operation.bytes = request->key.size + request->value.size;
    sqlite_write(&o->operation);
}

static enum err run_get(struct sqlite_operation *o)
{
    const struct keyvalue_get_request *request = o->call->request;
    struct arena *arena = o->call->arena;
    struct keyvalue_get_response *response = arena_new(arena, struct keyvalue_get_response);
    struct sqlite_row row;
    struct kv_item item;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_item_get(o->connection, request->key, o->now_ms, arena, &row);
    if (!e && row.found)
        e = sqlite_row_item(&o->store->versions, &row, request->key, arena, &item);
    return e ? e : kv_fill_get(row.found ? &item : NULL, arena, response);
}

static enum err run_exists(struct sqlite_operation *o)
{
    const struct keyvalue_exists_request *request = o->call->request;
    struct keyvalue_exists_response *response = arena_new(o->call->arena, struct keyvalue_exists_response);
    struct sqlite_row row;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_item_head(o->connection, request->key, o->now_ms, &row);
    if (!e)
        response->exists = row.found;
    return e;
}

static enum err run_delete(struct sqlite_operation *o)
{
    const struct keyvalue_delete_request *request = o->call->request;
    struct keyvalue_delete_response *response = arena_new(o->call->arena, struct keyvalue_delete_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    struct kv_expected expected = kv_if_version(request->has_if_version, request->if_version);
    enum err e = sqlite_item_check(o, request->key, &expected, &o->call->diag);
    return e ? e : sqlite_item_delete(o->store, request->key, o->now_ms, &response->existed);
}

static void get(struct backend *backend, struct call *call, const struct keyvalue_get_request *request)
{
    sqlite_read_key(backend, call, request->key, run_get);
}

static void exists(struct backend *backend, struct call *call, const struct keyvalue_exists_request *request)
{
    sqlite_read_key(backend, call, request->key, run_exists);
}

static void delete (struct backend *backend, struct call *call, const struct keyvalue_delete_request *request)
{
    sqlite_write_key(backend, call, request->key, run_delete);
}

const struct keyvalue_basic_ops sqlite_keyvalue_basic = {.set = set, .get = get, .delete = delete, .exists = exists};
