/* Set, Get, Delete, Exists. Sets without a condition and Gets are done together with those of other callers. */
#include <stdlib.h>

#include "drivers/postgres/items.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"

/* --- set --------------------------------------------------------------------------------------------------------------------- */

struct set_operation {
    struct postgres_operation operation;
    struct postgres_write write;
    struct keyvalue_set_response response;
};

static struct set_operation *set_of(struct postgres_operation *o)
{
    return (struct set_operation *)o;
}

static enum err put_set(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct postgres_write *w = &set_of(o)->write;
    bool free = w->write.expected.what == KV_EXPECT_ANYTHING;
    struct postgres_params p = free ? postgres_write_params(u, w) : postgres_conditional_params(o, u, w);
    return postgres_put(u, free ? STATEMENT_SET : STATEMENT_WRITE, &p);
}

static enum err take_set(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    const struct kv_expected *expected = &set_of(o)->write.write.expected;
    (void)index;
    if (expected->what != KV_EXPECT_ANYTHING && !postgres_bool(r, 0, 0))
        return kv_version_mismatch(expected, postgres_bytes(r, 0, 2), &o->call->diag);
    return OK;
}

/* By key, so that two groups never wait for each other; of one key the last comes first. */
static int by_key(const void *a, const void *b)
{
    const struct set_operation *x = *(struct set_operation *const *)a, *y = *(struct set_operation *const *)b;
    int order = slice_cmp(x->write.write.key, y->write.write.key);
    return order ? order : (x->operation.index < y->operation.index) - (x->operation.index > y->operation.index);
}

/* Of Sets of one key at the same time one comes last: that is the one that is written. */
static enum err put_sets(struct postgres_unit *u)
{
    struct set_operation **sorted = arena_array(&u->lane->arena, struct set_operation *, u->count);
    const struct postgres_write **writes = arena_array(&u->lane->arena, const struct postgres_write *, u->count);
    uint32_t count = 0;
    if (!sorted || !writes)
        return ERR_NOMEM;
    for (unsigned i = 0; i < u->count; i++)
        sorted[i] = set_of(u->members[i]);
    qsort(sorted, u->count, sizeof *sorted, by_key);
    for (unsigned i = 0; i < u->count; i++)
        if (!count || !slice_eq(writes[count - 1]->write.key, sorted[i]->write.write.key))
            writes[count++] = &sorted[i]->write;
    struct postgres_params p = postgres_write_many_params(u, writes, count);
    return postgres_put(u, STATEMENT_SET_MANY, &p);
}

static enum err take_sets(struct postgres_unit *u, const PGresult *r)
{
    (void)u, (void)r;
    return OK;
}

static const struct postgres_group sets = {put_sets, take_sets};

static void set(struct backend *backend, struct call *call, const struct keyvalue_set_request *request)
{
    struct set_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_WRITE);
    if (!o)
        return;
    struct kv_write *w = &o->write.write;
    enum err e = kv_write_make(call, request->key, request->value, &request->tags, request->ttl, o->operation.now_ms,
                               &call->diag, "", w);
    if (!e)
        e = postgres_new_version(&o->operation, &o->write.version);
    if (e) {
        postgres_finish(&o->operation, e);
        return;
    }
    w->expected = kv_if_version(request->has_if_version, request->if_version);
    o->response.version = o->write.version;
    o->operation.response = &o->response;
    o->operation.put = put_set;
    o->operation.take = take_set;
    o->operation.group = request->has_if_version ? NULL : &sets;
    o->operation.bytes = request->key.size + request->value.size;
    postgres_note_forever(o->operation.store, w);
    postgres_submit(&o->operation);
}

/* --- get --------------------------------------------------------------------------------------------------------------------- */

struct get_operation {
    struct postgres_operation operation;
    struct slice key;
    struct keyvalue_get_response response;
};

static struct get_operation *get_of(struct postgres_operation *o)
{
    return (struct get_operation *)o;
}

static enum err fill_get(struct postgres_operation *o, const PGresult *r, int row, int column)
{
    struct kv_item borrowed = postgres_row_item(r, row, column, get_of(o)->key), item;
    enum err e = kv_item_copy(&borrowed, o->call->arena, &item);
    return e ? e : kv_fill_get(&item, o->call->arena, &get_of(o)->response);
}

static enum err put_get(struct postgres_operation *o, struct postgres_unit *u)
{
    struct postgres_params p = postgres_key_params(u, get_of(o)->key);
    postgres_put_time(&p, o->now_ms);
    return postgres_put(u, STATEMENT_GET, &p);
}

static enum err take_get(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    (void)index;
    return PQntuples(r) ? fill_get(o, r, 0, 0) : OK;
}

static enum err put_gets(struct postgres_unit *u)
{
    struct slice *keys = arena_array(&u->lane->arena, struct slice, u->count);
    int64_t now_ms = 0;
    if (!keys)
        return ERR_NOMEM;
    for (unsigned i = 0; i < u->count; i++) {
        keys[i] = get_of(u->members[i])->key;
        now_ms = u->members[i]->now_ms > now_ms ? u->members[i]->now_ms : now_ms;
    }
    struct postgres_params p = postgres_keys_params(u, keys, u->count);
    postgres_put_time(&p, now_ms);
    return postgres_put(u, STATEMENT_GET_MANY, &p);
}

static enum err take_gets(struct postgres_unit *u, const PGresult *r)
{
    for (int row = 0; row < PQntuples(r); row++) {
        int64_t n = postgres_int8(r, row, 0);
        if (n < 1 || n > u->count)
            return ERR_BACKEND_LOST;
        struct postgres_operation *o = u->members[n - 1];
        if (o)
            o->outcome = fill_get(o, r, row, 1);
    }
    return OK;
}

static const struct postgres_group gets = {put_gets, take_gets};

static void get(struct backend *backend, struct call *call, const struct keyvalue_get_request *request)
{
    struct get_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_READ);
    if (!o)
        return;
    o->key = request->key;
    o->operation.response = &o->response;
    o->operation.put = put_get;
    o->operation.take = take_get;
    o->operation.group = &gets;
    enum err e = kv_check_key(request->key, &call->diag, "key");
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
    struct keyvalue_delete_response response;
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
    if (!postgres_bool(r, 0, 0))
        return kv_version_mismatch(&d->expected, postgres_bytes(r, 0, 2), &o->call->diag);
    d->response.existed = postgres_bool(r, 0, 1);
    return OK;
}

static void delete (struct backend *backend, struct call *call, const struct keyvalue_delete_request *request)
{
    struct delete_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_WRITE);
    if (!o)
        return;
    o->key = request->key;
    o->expected = kv_if_version(request->has_if_version, request->if_version);
    o->operation.response = &o->response;
    o->operation.put = put_delete;
    o->operation.take = take_delete;
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (e)
        postgres_finish(&o->operation, e);
    else
        postgres_submit(&o->operation);
}

/* --- exists ------------------------------------------------------------------------------------------------------------------ */

struct exists_operation {
    struct postgres_operation operation;
    struct slice key;
    struct keyvalue_exists_response response;
};

static enum err put_exists(struct postgres_operation *o, struct postgres_unit *u)
{
    struct postgres_params p = postgres_key_params(u, ((struct exists_operation *)o)->key);
    postgres_put_time(&p, o->now_ms);
    return postgres_put(u, STATEMENT_HEAD, &p);
}

static enum err take_exists(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    (void)index;
    ((struct exists_operation *)o)->response.exists = PQntuples(r) > 0;
    return OK;
}

static void exists(struct backend *backend, struct call *call, const struct keyvalue_exists_request *request)
{
    struct exists_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_READ);
    if (!o)
        return;
    o->key = request->key;
    o->operation.response = &o->response;
    o->operation.put = put_exists;
    o->operation.take = take_exists;
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (e)
        postgres_finish(&o->operation, e);
    else
        postgres_submit(&o->operation);
}

const struct keyvalue_basic_ops postgres_keyvalue_basic = {.set = set, .get = get, .delete = delete, .exists = exists};
