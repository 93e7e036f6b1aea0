/* Set, Get, Delete, Exists. */
#include "drivers/redis/operation.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"

/* --- set and delete ---------------------------------------------------------------------------------------------------------- */

struct write_operation {
    struct redis_operation operation;
    struct kv_write write;
};

static void set_answered(struct redis_operation *o)
{
    const struct kv_write *write = &((struct write_operation *)o)->write;
    struct keyvalue_set_response response = {0};
    const struct resp *result;
    if (!redis_only_result(o, &result))
        return;
    if (resp_at(result, 0)->integer != REDIS_DONE) {
        redis_operation_fail(o, redis_change_error(result, &write->expected, &o->call->diag));
        return;
    }
    response.version = resp_at(result, 1)->text;
    call_reply(o->call, &response);
}

static void set(struct backend *backend, struct call *call, const struct keyvalue_set_request *r)
{
    struct write_operation *o = redis_mutation_new(backend, call, sizeof *o, set_answered);
    if (!o)
        return;
    enum err e =
        kv_write_make(call, r->key, r->value, &r->tags, r->ttl, o->operation.now_ms, &call->diag, "", &o->write);
    if (e) {
        redis_operation_fail(&o->operation, e);
        return;
    }
    o->write.expected = kv_if_version(r->has_if_version, r->if_version);
    redis_apply_one(
        &o->operation,
        &(struct redis_change){.kind = REDIS_SET, .key = r->key, .expected = o->write.expected, .write = &o->write},
        false);
}

static void delete_answered(struct redis_operation *o)
{
    const struct kv_expected *expected = &((struct write_operation *)o)->write.expected;
    struct keyvalue_delete_response response = {0};
    const struct resp *result;
    if (!redis_only_result(o, &result))
        return;
    if (resp_at(result, 0)->integer != REDIS_DONE) {
        redis_operation_fail(o, redis_change_error(result, expected, &o->call->diag));
        return;
    }
    response.existed = resp_at(result, 1)->integer;
    call_reply(o->call, &response);
}

static void delete (struct backend *backend, struct call *call, const struct keyvalue_delete_request *r)
{
    struct write_operation *o = redis_mutation_new(backend, call, sizeof *o, delete_answered);
    if (!o)
        return;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (e) {
        redis_operation_fail(&o->operation, e);
        return;
    }
    o->write.expected = kv_if_version(r->has_if_version, r->if_version);
    redis_apply_one(&o->operation,
                    &(struct redis_change){.kind = REDIS_DELETE, .key = r->key, .expected = o->write.expected}, false);
}

/* --- get and exists: commands of the server, no script ----------------------------------------------------------------------- */

static void get_answered(struct redis_operation *o)
{
    const struct keyvalue_get_request *r = o->call->request;
    const struct resp *reply = &redis_only_part(o)->reply;
    struct keyvalue_get_response response = {0};
    struct kv_item item;
    bool found = reply->kind == RESP_TEXT;
    enum err e = found ? redis_unpack(reply->text, r->key, &item) : OK;
    if (!e)
        e = kv_fill_get(found && item.expires_ms > o->now_ms ? &item : NULL, o->call->arena, &response);
    if (e)
        redis_operation_fail(o, e);
    else
        call_reply(o->call, &response);
}

static void exists_answered(struct redis_operation *o)
{
    const struct resp *reply = &redis_only_part(o)->reply;
    struct keyvalue_exists_response response = {0};
    struct kv_item item;
    enum err e = reply->text.size ? redis_unpack(reply->text, SLICE_EMPTY, &item) : OK;
    if (e) {
        redis_operation_fail(o, e);
        return;
    }
    response.exists = reply->text.size && item.expires_ms > o->now_ms;
    call_reply(o->call, &response);
}

static void get(struct backend *backend, struct call *call, const struct keyvalue_get_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, get_answered);
    if (o)
        redis_read_value(o, r->key, false);
}

static void exists(struct backend *backend, struct call *call, const struct keyvalue_exists_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, exists_answered);
    if (o)
        redis_read_value(o, r->key, true);
}

const struct keyvalue_basic_ops redis_keyvalue_basic = {.set = set, .get = get, .delete = delete, .exists = exists};
