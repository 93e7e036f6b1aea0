/* Expire, GetTTL, Persist. None of them changes a version. */
#include "drivers/sqlite/store.h"
#include "prism/keyvalue/v1/keyvalue_ttl.ops.h"

struct expire_operation {
    struct sqlite_operation operation;
    bool delete_now;
    int64_t expires_ms;
};

static enum err set_expiry(struct sqlite_operation *o, struct slice key, int64_t expires_ms,
                           struct keyvalue_expire_response *response)
{
    enum err e;
    struct google_protobuf_timestamp *at = kv_timestamp(expires_ms, o->call->arena, &e);
    if (!e)
        e = sqlite_item_expire(o->store, key, o->now_ms, expires_ms, &response->existed);
    if (!e && response->existed)
        response->expires_at = at;
    return e;
}

static enum err run_expire(struct sqlite_operation *o)
{
    const struct keyvalue_expire_request *request = o->call->request;
    const struct expire_operation *expire = (const struct expire_operation *)o;
    struct keyvalue_expire_response *response = arena_new(o->call->arena, struct keyvalue_expire_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    if (expire->delete_now)
        return sqlite_item_delete(o->store, request->key, o->now_ms, &response->existed);
    return set_expiry(o, request->key, expire->expires_ms, response);
}

static void expire(struct backend *backend, struct call *call, const struct keyvalue_expire_request *request)
{
    struct expire_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_expire);
    if (!o)
        return;
    int64_t now_ms = sqlite_now_ms(o->operation.store);
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (!e)
        e = kv_expire(call->ns, request->ttl, now_ms, &call->diag, &o->delete_now, &o->expires_ms);
    if (e)
        sqlite_reject(&o->operation, e);
    else
        sqlite_write(&o->operation);
}

static enum err run_get_ttl(struct sqlite_operation *o)
{
    const struct keyvalue_get_ttl_request *request = o->call->request;
    struct keyvalue_get_ttl_response *response = arena_new(o->call->arena, struct keyvalue_get_ttl_response);
    struct sqlite_row row;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_item_head(o->connection, request->key, o->now_ms, &row);
    if (!e && row.found) {
        response->exists = true;
        response->expires_at = kv_timestamp(row.expires_ms, o->call->arena, &e);
    }
    return e;
}

static enum err run_persist(struct sqlite_operation *o)
{
    const struct keyvalue_persist_request *request = o->call->request;
    struct keyvalue_persist_response *response = arena_new(o->call->arena, struct keyvalue_persist_response);
    struct sqlite_row row;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_item_head(o->connection, request->key, o->now_ms, &row);
    if (!e)
        e = sqlite_item_persist(o->store, request->key, o->now_ms, &response->removed);
    if (!e)
        response->existed = row.found;
    return e;
}

static void get_ttl(struct backend *backend, struct call *call, const struct keyvalue_get_ttl_request *request)
{
    sqlite_read_key(backend, call, request->key, run_get_ttl);
}

static void persist(struct backend *backend, struct call *call, const struct keyvalue_persist_request *request)
{
    enum err e = kv_check_persist(call->ns, &call->diag);
    if (e)
        call_end(call, e);
    else
        sqlite_write_key(backend, call, request->key, run_persist);
}

const struct keyvalue_ttl_ops sqlite_keyvalue_ttl = {.expire = expire, .get_ttl = get_ttl, .persist = persist};
