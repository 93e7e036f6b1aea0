#include "prism/keyvalue/v1/keyvalue_ttl.ops.h"

#include "drivers/memory/internal.h"

static enum err expire_now(struct memory *m, struct slice key, int64_t now_ms,
                           struct keyvalue_expire_response *response)
{
    struct kv_expected anything = {.what = KV_EXPECT_ANYTHING};
    struct outcome o;
    enum err e = memory_remove(&m->store, key, &anything, now_ms, &o);
    if (!e)
        response->existed = o.existed;
    return e;
}

/* The timestamp is made before the work. */
static enum err expire_later(struct memory *m, struct call *call, struct slice key, int64_t expires_ms, int64_t now_ms,
                             struct keyvalue_expire_response *response)
{
    enum err e;
    int64_t before;
    struct google_protobuf_timestamp *expires_at = kv_timestamp(expires_ms, call->arena, &e);
    if (!e)
        e = memory_touch(&m->store, key, expires_ms, now_ms, &response->existed, &before);
    if (!e && response->existed)
        response->expires_at = expires_at;
    return e;
}

static enum err expire_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                            const void **ret_response)
{
    const struct keyvalue_expire_request *r = request;
    struct keyvalue_expire_response *response = arena_new(call->arena, struct keyvalue_expire_response);
    bool delete;
    int64_t expires_ms;
    if (!response)
        return ERR_NOMEM;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = kv_expire(call->ns, r->ttl, now_ms, &call->diag, &delete, &expires_ms);
    if (!e)
        e = delete ? expire_now(m, r->key, now_ms, response)
                   : expire_later(m, call, r->key, expires_ms, now_ms, response);
    if (!e)
        *ret_response = response;
    return e;
}

static void expire(struct backend *backend, struct call *call, const struct keyvalue_expire_request *r)
{
    memory_mutate(backend, call, r, expire_once);
}

static void get_ttl(struct backend *backend, struct call *call, const struct keyvalue_get_ttl_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct keyvalue_get_ttl_response response = {0};
    int64_t expires_ms;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        response.exists = memory_find_expiry(&m->store, r->key, SNAPSHOT_NOW, &expires_ms);
    if (!e && response.exists)
        response.expires_at = kv_timestamp(expires_ms, call->arena, &e);
    memory_answer(call, e, &response);
}

static enum err persist_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                             const void **ret_response)
{
    const struct keyvalue_persist_request *r = request;
    struct keyvalue_persist_response *response = arena_new(call->arena, struct keyvalue_persist_response);
    int64_t before = KV_NEVER;
    if (!response)
        return ERR_NOMEM;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = kv_check_persist(call->ns, &call->diag);
    if (!e)
        e = memory_touch(&m->store, r->key, KV_NEVER, now_ms, &response->existed, &before);
    if (e)
        return e;
    response->removed = before != KV_NEVER;
    *ret_response = response;
    return OK;
}

static void persist(struct backend *backend, struct call *call, const struct keyvalue_persist_request *r)
{
    memory_mutate(backend, call, r, persist_once);
}

const struct keyvalue_ttl_ops memory_keyvalue_ttl = {.expire = expire, .get_ttl = get_ttl, .persist = persist};
