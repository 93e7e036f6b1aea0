#include "prism/keyvalue/v1/keyvalue_basic.ops.h"

#include "drivers/memory/internal.h"

/* The answer's memory is made before the work, so that what has been done is never answered with an error. */
static enum err set_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                         const void **ret_response)
{
    const struct keyvalue_set_request *r = request;
    struct keyvalue_set_response *response = arena_new(call->arena, struct keyvalue_set_response);
    uint8_t *token = arena_alloc(call->arena, TOKEN_BYTES);
    struct kv_write w;
    struct outcome o;
    if (!response || !token)
        return ERR_NOMEM;
    enum err e = kv_write_make(call, r->key, r->value, &r->tags, r->ttl, now_ms, &call->diag, "", &w);
    if (e)
        return e;
    w.expected = kv_if_version(r->has_if_version, r->if_version);
    e = memory_put(&m->store, &w, now_ms, &o);
    if (e)
        return e;
    if (!o.met)
        return memory_mismatch(&m->store, &o, &w.expected, &call->diag);
    memory_token(&m->store, o.token, token);
    response->version = slice_of(token, TOKEN_BYTES);
    *ret_response = response;
    return OK;
}

static void set(struct backend *backend, struct call *call, const struct keyvalue_set_request *r)
{
    memory_mutate(backend, call, r, set_once);
}

static void get(struct backend *backend, struct call *call, const struct keyvalue_get_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct keyvalue_get_response response;
    struct kv_item item;
    bool found;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = memory_get(&m->store, r->key, SNAPSHOT_NOW, SIZE_MAX, call->arena, &item, &found);
    if (!e)
        e = kv_fill_get(found ? &item : NULL, call->arena, &response);
    memory_answer(call, e, &response);
}

static enum err delete_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                            const void **ret_response)
{
    const struct keyvalue_delete_request *r = request;
    struct keyvalue_delete_response *response = arena_new(call->arena, struct keyvalue_delete_response);
    struct kv_expected expected = kv_if_version(r->has_if_version, r->if_version);
    struct outcome o;
    if (!response)
        return ERR_NOMEM;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = memory_remove(&m->store, r->key, &expected, now_ms, &o);
    if (e)
        return e;
    if (!o.met)
        return memory_mismatch(&m->store, &o, &expected, &call->diag);
    response->existed = o.existed;
    *ret_response = response;
    return OK;
}

static void delete (struct backend *backend, struct call *call, const struct keyvalue_delete_request *r)
{
    memory_mutate(backend, call, r, delete_once);
}

static void exists(struct backend *backend, struct call *call, const struct keyvalue_exists_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct keyvalue_exists_response response = {0};
    int64_t expires_ms;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        response.exists = memory_find_expiry(&m->store, r->key, SNAPSHOT_NOW, &expires_ms);
    memory_answer(call, e, &response);
}

const struct keyvalue_basic_ops memory_keyvalue_basic = {.set = set, .get = get, .delete = delete, .exists = exists};
