/* CompareAndSwap, CompareAndDelete: compared and written by one function of the database, under the lock of the row. */
#include "drivers/postgres/items.h"
#include "prism/keyvalue/v1/keyvalue_cas.ops.h"

/* --- swap -------------------------------------------------------------------------------------------------------------------- */

struct swap_operation {
    struct postgres_operation operation;
    struct postgres_write write;
    struct keyvalue_compare_and_swap_response response;
};

static enum err put_swap(struct postgres_operation *o, struct postgres_unit *u)
{
    struct postgres_params p = postgres_conditional_params(o, u, &((struct swap_operation *)o)->write);
    return postgres_put(u, STATEMENT_WRITE, &p);
}

static enum err take_swap(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct swap_operation *s = (struct swap_operation *)o;
    struct arena *arena = o->call->arena;
    (void)index;
    s->response.swapped = postgres_bool(r, 0, 0);
    if (s->response.swapped) {
        s->response.version = s->write.version;
        return OK;
    }
    s->response.found = postgres_bool(r, 0, 1);
    return arena_copy(arena, postgres_bytes(r, 0, 2), &s->response.version) &&
                   arena_copy(arena, postgres_bytes(r, 0, 3), &s->response.current_value)
               ? OK
               : ERR_NOMEM;
}

static void compare_and_swap(struct backend *backend, struct call *call,
                             const struct keyvalue_compare_and_swap_request *request)
{
    struct swap_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_WRITE);
    if (!o)
        return;
    struct kv_write *w = &o->write.write;
    o->operation.response = &o->response;
    o->operation.put = put_swap;
    o->operation.take = take_swap;
    o->operation.bytes = request->key.size + request->value.size;
    enum err e = kv_write_make(call, request->key, request->value, &request->tags, request->ttl, o->operation.now_ms,
                               &call->diag, "", w);
    if (!e)
        e = kv_expected_swap(request, &call->diag, &w->expected);
    if (!e)
        e = postgres_new_version(&o->operation, &o->write.version);
    if (e)
        postgres_finish(&o->operation, e);
    else
        postgres_submit(&o->operation);
}

/* --- delete ------------------------------------------------------------------------------------------------------------------ */

struct delete_operation {
    struct postgres_operation operation;
    struct slice key;
    struct kv_expected expected;
    struct keyvalue_compare_and_delete_response response;
};

static enum err put_delete(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct delete_operation *d = (struct delete_operation *)o;
    struct postgres_params p = postgres_key_params(u, d->key);
    postgres_put_time(&p, o->now_ms);
    postgres_put_int2(&p, (int16_t)d->expected.what);
    postgres_put_bytes(&p, d->expected.bytes);
    return postgres_put(u, STATEMENT_DELETE, &p);
}

static enum err take_delete(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct delete_operation *d = (struct delete_operation *)o;
    (void)index;
    d->response.deleted = postgres_bool(r, 0, 0);
    if (d->response.deleted)
        return OK;
    d->response.found = postgres_bool(r, 0, 1);
    return arena_copy(o->call->arena, postgres_bytes(r, 0, 2), &d->response.version) ? OK : ERR_NOMEM;
}

static void compare_and_delete(struct backend *backend, struct call *call,
                               const struct keyvalue_compare_and_delete_request *request)
{
    struct delete_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_WRITE);
    if (!o)
        return;
    o->key = request->key;
    o->operation.response = &o->response;
    o->operation.put = put_delete;
    o->operation.take = take_delete;
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (!e)
        e = kv_expected_delete(request, &call->diag, &o->expected);
    if (e)
        postgres_finish(&o->operation, e);
    else
        postgres_submit(&o->operation);
}

const struct keyvalue_cas_ops postgres_keyvalue_cas = {.compare_and_swap = compare_and_swap,
                                                       .compare_and_delete = compare_and_delete};
