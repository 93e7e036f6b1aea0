/* Set, Get, Delete, Exists. */
#include "drivers/redis/operation.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"

/* --- set and delete ---------------------------------------------------------------------------------------------------------- */

struct write_operation {
    struct redis_operation operation;
    struct kv_write write;
    struct slice version; /* of what was put */
};

static void set_applied(struct redis_operation *o)
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

static void apply_set(struct write_operation *o)
{
    o->operation.answer = set_applied;
    redis_apply_one(&o->operation,
                    &(struct redis_change){
                        .kind = REDIS_SET, .key = o->write.key, .expected = o->write.expected, .write = &o->write},
                    false);
}

/* The short way (scripts.c), or the long way where it was not open. */
static void set_put(struct redis_operation *o)
{
    struct write_operation *w = (struct write_operation *)o;
    struct keyvalue_set_response response = {.version = w->version};
    if (redis_only_part(o)->reply.integer) {
        call_reply(o->call, &response);
        return;
    }
    redis_operation_renew(o);
    apply_set(w);
}

static enum err make_put(struct write_operation *o)
{
    struct redis_operation *operation = &o->operation;
    const struct kv_write *write = &o->write;
    struct arena *arena = operation->call->arena;
    const struct redis_layout *layout = &operation->backend->layout;
    struct slice name, packed;
    enum err e = redis_value_name(layout, write->key, arena, &name);
    if (!e)
        e = redis_pack_next(&operation->backend->versions, write, arena, &packed);
    struct redis_part *p = e ? NULL : redis_part_new(operation, redis_bucket_of(layout, write->key));
    if (!p)
        return e ? e : ERR_NOMEM;
    redis_command_put(p->command, name);
    resp_put(&p->command->words, packed);
    if (write->expires_ms != KV_NEVER) {
        resp_put_integer(&p->command->words, redis_ttl_ms(write->expires_ms, operation->now_ms));
        resp_put_integer(&p->command->words, write->expires_ms);
    }
    o->version = redis_version_of(packed);
    return OK;
}

static void put(struct write_operation *o)
{
    o->operation.answer = set_put;
    enum err e = make_put(o);
    if (e)
        redis_operation_fail(&o->operation, e);
    else
        redis_operation_send(&o->operation);
}

static void set(struct backend *backend, struct call *call, const struct keyvalue_set_request *r)
{
    struct write_operation *o = redis_mutation_new(backend, call, sizeof *o, set_applied);
    if (!o)
        return;
    enum err e =
        kv_write_make(call, r->key, r->value, &r->tags, r->ttl, o->operation.now_ms, &call->diag, "", &o->write);
    if (e) {
        redis_operation_fail(&o->operation, e);
        return;
    }
    o->write.expected = kv_if_version(r->has_if_version, r->if_version);
    if (o->write.expected.what == KV_EXPECT_ANYTHING && !o->operation.idem.used)
        put(o);
    else
        apply_set(o);
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
