/* Expire, GetTTL, Persist. None of them changes a version. */
#include "drivers/redis/operation.h"
#include "prism/keyvalue/v1/keyvalue_ttl.ops.h"

struct expire_operation {
    struct redis_operation operation;
    bool delete_now;
    int64_t expires_ms;
};

static void expire_answered(struct redis_operation *o)
{
    const struct expire_operation *expire = (struct expire_operation *)o;
    struct keyvalue_expire_response response = {0};
    const struct resp *result;
    enum err e = OK;
    if (!redis_only_result(o, &result))
        return;
    response.existed = resp_at(result, 1)->integer;
    if (response.existed && !expire->delete_now)
        response.expires_at = kv_timestamp(expire->expires_ms, o->call->arena, &e);
    if (e)
        redis_operation_fail(o, e);
    else
        call_reply(o->call, &response);
}

static void expire(struct backend *backend, struct call *call, const struct keyvalue_expire_request *r)
{
    struct expire_operation *o = redis_mutation_new(backend, call, sizeof *o, expire_answered);
    if (!o)
        return;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = kv_expire(call->ns, r->ttl, o->operation.now_ms, &call->diag, &o->delete_now, &o->expires_ms);
    if (e) {
        redis_operation_fail(&o->operation, e);
        return;
    }
    redis_apply_one(&o->operation,
                    &(struct redis_change){.kind = o->delete_now ? REDIS_DELETE : REDIS_EXPIRE,
                                           .key = r->key,
                                           .expires_ms = o->expires_ms},
                    true);
}

static void get_ttl_answered(struct redis_operation *o)
{
    const struct resp *reply = &redis_only_part(o)->reply;
    struct keyvalue_get_ttl_response response = {0};
    struct kv_item item;
    enum err e = reply->text.size ? redis_unpack(reply->text, SLICE_EMPTY, &item) : OK;
    if (!e && reply->text.size && item.expires_ms > o->now_ms) {
        response.exists = true;
        response.expires_at = kv_timestamp(item.expires_ms, o->call->arena, &e);
    }
    if (e)
        redis_operation_fail(o, e);
    else
        call_reply(o->call, &response);
}

static void get_ttl(struct backend *backend, struct call *call, const struct keyvalue_get_ttl_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, get_ttl_answered);
    if (o)
        redis_read_value(o, r->key, true);
}

static void persist_answered(struct redis_operation *o)
{
    const struct resp *result;
    if (!redis_only_result(o, &result))
        return;
    struct keyvalue_persist_response response = {.existed = resp_at(result, 1)->integer,
                                                 .removed = resp_at(result, 2)->integer};
    call_reply(o->call, &response);
}

static void persist(struct backend *backend, struct call *call, const struct keyvalue_persist_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, persist_answered);
    if (!o)
        return;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = kv_check_persist(call->ns, &call->diag);
    if (e)
        redis_operation_fail(o, e);
    else
        redis_apply_one(o, &(struct redis_change){.kind = REDIS_PERSIST, .key = r->key}, true);
}

const struct keyvalue_ttl_ops redis_keyvalue_ttl = {.expire = expire, .get_ttl = get_ttl, .persist = persist};
