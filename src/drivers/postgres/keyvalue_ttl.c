/* Expire, GetTTL, Persist. None of them changes a version. */
#include "drivers/postgres/items.h"
#include "prism/keyvalue/v1/keyvalue_ttl.ops.h"

/* --- expire ------------------------------------------------------------------------------------------------------------------ */

struct expire_operation {
    struct postgres_operation operation;
    struct slice key;
    bool delete_now;
    int64_t expires_ms;
    struct google_protobuf_timestamp *at;
    struct keyvalue_expire_response response;
};

static enum err put_expire(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct expire_operation *x = (struct expire_operation *)o;
    struct postgres_params p = postgres_key_params(u, x->key);
    if (x->delete_now) {
        postgres_put_time(&p, o->now_ms);
        postgres_put_int2(&p, KV_EXPECT_ANYTHING);
        postgres_put_bytes(&p, SLICE_EMPTY);
        return postgres_put(u, STATEMENT_DELETE, &p);
    }
    postgres_put_time(&p, x->expires_ms);
    postgres_put_time(&p, o->now_ms);
    return postgres_put(u, STATEMENT_EXPIRE, &p);
}

static enum err take_expire(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct expire_operation *x = (struct expire_operation *)o;
    (void)index;
    x->response.existed = x->delete_now ? postgres_bool(r, 0, 1) : PQntuples(r) > 0;
    x->response.expires_at = x->response.existed && !x->delete_now ? x->at : NULL;
    return OK;
}

static void expire(struct backend *backend, struct call *call, const struct keyvalue_expire_request *request)
{
    struct expire_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_WRITE);
    if (!o)
        return;
    o->key = request->key;
    o->operation.response = &o->response;
    o->operation.put = put_expire;
    o->operation.take = take_expire;
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (!e)
        e = kv_expire(call->ns, request->ttl, o->operation.now_ms, &call->diag, &o->delete_now, &o->expires_ms);
    if (!e && !o->delete_now)
        o->at = kv_timestamp(o->expires_ms, call->arena, &e);
    if (e)
        postgres_finish(&o->operation, e);
    else
        postgres_submit(&o->operation);
}

/* --- get ttl ----------------------------------------------------------------------------------------------------------------- */

struct get_ttl_operation {
    struct postgres_operation operation;
    struct slice key;
    struct keyvalue_get_ttl_response response;
};

static enum err put_get_ttl(struct postgres_operation *o, struct postgres_unit *u)
{
    struct postgres_params p = postgres_key_params(u, ((struct get_ttl_operation *)o)->key);
    postgres_put_time(&p, o->now_ms);
    return postgres_put(u, STATEMENT_HEAD, &p);
}

static enum err take_get_ttl(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct keyvalue_get_ttl_response *response = &((struct get_ttl_operation *)o)->response;
    enum err e = OK;
    (void)index;
    if (!PQntuples(r))
        return OK;
    response->exists = true;
    response->expires_at = kv_timestamp(postgres_time_ms(r, 0, 0), o->call->arena, &e);
    return e;
}

static void get_ttl(struct backend *backend, struct call *call, const struct keyvalue_get_ttl_request *request)
{
    struct get_ttl_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_READ);
    if (!o)
        return;
    o->key = request->key;
    o->operation.response = &o->response;
    o->operation.put = put_get_ttl;
    o->operation.take = take_get_ttl;
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (e)
        postgres_finish(&o->operation, e);
    else
        postgres_submit(&o->operation);
}

/* --- persist ----------------------------------------------------------------------------------------------------------------- */

struct persist_operation {
    struct postgres_operation operation;
    struct slice key;
    struct keyvalue_persist_response response;
};

static enum err put_persist(struct postgres_operation *o, struct postgres_unit *u)
{
    struct postgres_params p = postgres_key_params(u, ((struct persist_operation *)o)->key);
    postgres_put_time(&p, o->now_ms);
    return postgres_put(u, STATEMENT_PERSIST, &p);
}

static enum err take_persist(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct keyvalue_persist_response *response = &((struct persist_operation *)o)->response;
    (void)index;
    response->existed = postgres_bool(r, 0, 0);
    response->removed = postgres_bool(r, 0, 1);
    return OK;
}

static void persist(struct backend *backend, struct call *call, const struct keyvalue_persist_request *request)
{
    struct persist_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_WRITE);
    if (!o)
        return;
    o->key = request->key;
    o->operation.response = &o->response;
    o->operation.put = put_persist;
    o->operation.take = take_persist;
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (!e)
        e = kv_check_persist(call->ns, &call->diag);
    if (e)
        postgres_finish(&o->operation, e);
    else
        postgres_submit(&o->operation);
}

const struct keyvalue_ttl_ops postgres_keyvalue_ttl = {.expire = expire, .get_ttl = get_ttl, .persist = persist};
