/* Get, Set, Insert, Remove. */
#include "drivers/postgres/list.h"
#include "prism/list/v1/list_indexing.ops.h"

/* --- get --------------------------------------------------------------------------------------------------------------------- */

static enum err put_get(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct list_get_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_int8(&p, request->index);
    return postgres_put(u, STATEMENT_LIST_GET, &p);
}

static enum err take_get(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct list_get_response *response = postgres_response(o);
    (void)index;
    response->found = PQntuples(r) > 0;
    return !response->found || arena_copy(o->call->arena, postgres_bytes(r, 0, 0), &response->value) ? OK : ERR_NOMEM;
}

static void get(struct backend *backend, struct call *call, const struct list_get_request *request)
{
    postgres_plain(backend, call, CLASS_READ, sizeof(struct list_get_response), put_get, take_get,
                   collection_check_key(request->key, &call->diag));
}

/* --- set and insert ---------------------------------------------------------------------------------------------------------- */

static enum err check(struct call *call, struct slice key, struct slice value)
{
    enum err e = collection_check_key(key, &call->diag);
    return e ? e : list_check_value(call, value);
}

static enum err put_set(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct list_set_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_int8(&p, request->index);
    postgres_put_bytes(&p, request->value);
    return postgres_put(u, STATEMENT_LIST_SET, &p);
}

static enum err take_set(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    const struct list_set_request *request = o->call->request;
    (void)index;
    return postgres_bool(r, 0, 0) ? OK
                                  : list_out_of_range(request->index, (uint64_t)postgres_int8(r, 0, 1), &o->call->diag);
}

static void set(struct backend *backend, struct call *call, const struct list_set_request *request)
{
    postgres_plain(backend, call, CLASS_WRITE, sizeof(struct list_set_response), put_set, take_set,
                   check(call, request->key, request->value));
}

static enum err put_insert(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct list_insert_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_int8(&p, request->index);
    postgres_put_bytes(&p, request->value);
    postgres_put_int8(&p, LIMIT_COLLECTION_ITEMS);
    return postgres_put(u, STATEMENT_LIST_INSERT, &p);
}

static enum err take_insert(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    const struct list_insert_request *request = o->call->request;
    struct list_insert_response *response = postgres_response(o);
    uint64_t length = (uint64_t)postgres_int8(r, 0, 1), position;
    (void)index;
    response->length = length;
    if (postgres_bool(r, 0, 0))
        return OK;
    enum err e = list_insert_position(request->index, length, &o->call->diag, &position);
    return e ? e : list_check_room(length, 1, &o->call->diag);
}

static void insert(struct backend *backend, struct call *call, const struct list_insert_request *request)
{
    struct postgres_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_WRITE);
    if (!o)
        return;
    enum err e = check(call, request->key, request->value);
    o->bytes = request->value.size;
    o->committed = postgres_list_grew;
    o->response = arena_new(call->arena, struct list_insert_response);
    postgres_submit_checked(o, put_insert, take_insert, !e && !o->response ? ERR_NOMEM : e);
}

/* --- remove ------------------------------------------------------------------------------------------------------------------ */

struct remove_operation {
    struct postgres_operation operation;
    struct list_remove remove;
    struct list_remove_response response;
};

static enum err put_remove(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct list_remove_request *request = o->call->request;
    const struct list_remove *remove = &((struct remove_operation *)o)->remove;
    struct postgres_params p = postgres_key_params(u, request->key);
    if (remove->by_index) {
        postgres_put_int8(&p, remove->index);
        return postgres_put(u, STATEMENT_LIST_REMOVE_AT, &p);
    }
    postgres_put_bytes(&p, remove->value);
    postgres_put_int8(&p, remove->most > INT64_MAX ? INT64_MAX : (int64_t)remove->most);
    postgres_put_bool(&p, remove->from_last);
    return postgres_put(u, STATEMENT_LIST_REMOVE, &p);
}

static enum err take_remove(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct remove_operation *remove = (struct remove_operation *)o;
    (void)index;
    remove->response.removed = (uint64_t)postgres_int8(r, 0, 0);
    remove->response.length = (uint64_t)postgres_int8(r, 0, 1);
    if (!remove->remove.by_index || !remove->response.removed)
        return OK;
    return arena_copy(o->call->arena, postgres_bytes(r, 0, 2), &remove->response.value) ? OK : ERR_NOMEM;
}

static void remove_values(struct backend *backend, struct call *call, const struct list_remove_request *request)
{
    struct remove_operation *o = postgres_operation_new(backend, call, sizeof *o, CLASS_WRITE);
    if (!o)
        return;
    enum err e = collection_check_key(request->key, &call->diag);
    o->operation.response = &o->response;
    postgres_submit_checked(&o->operation, put_remove, take_remove,
                            e ? e : list_remove_make(request, &call->diag, &o->remove));
}

const struct list_indexing_ops postgres_list_indexing = {
    .get = get, .set = set, .insert = insert, .remove = remove_values};
