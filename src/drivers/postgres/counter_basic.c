/* Add, AddAndGet, Get, Clear. A counter that is cleared has no row. */
#include "data/counter.h"
#include "drivers/postgres/collection.h"
#include "prism/counter/v1/counter_basic.ops.h"

/* Add's request is alike: data/counter.c. */
static enum err put_add(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct counter_add_and_get_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_int8(&p, request->delta);
    return postgres_put(u, STATEMENT_COUNTER_ADD, &p);
}

static enum err take_add(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    const struct counter_add_and_get_request *request = o->call->request;
    int64_t ignored;
    (void)index;
    if (!postgres_bool(r, 0, 0))
        return counter_sum(postgres_int8(r, 0, 1), request->delta, &o->call->diag, &ignored);
    o->response = counter_answer(o->call, postgres_int8(r, 0, 1));
    return o->response ? OK : ERR_NOMEM;
}

static void add_and_get(struct backend *backend, struct call *call, const struct counter_add_and_get_request *request)
{
    postgres_plain(backend, call, CLASS_WRITE, sizeof(struct counter_add_and_get_response), put_add, take_add,
                   counter_check_add(call, request));
}

static void add(struct backend *backend, struct call *call, const struct counter_add_request *request)
{
    (void)request;
    add_and_get(backend, call, call->request);
}

static enum err put_get(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct counter_get_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    return postgres_put(u, STATEMENT_COUNTER_GET, &p);
}

static enum err put_clear(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct counter_clear_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    return postgres_put(u, STATEMENT_COUNTER_CLEAR, &p);
}

/* Both answer the value alone. */
_Static_assert(sizeof(struct counter_get_response) == sizeof(struct counter_clear_response), "taken for each other");

static enum err take_value(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct counter_get_response *response = postgres_response(o);
    (void)index;
    response->value = PQntuples(r) ? postgres_int8(r, 0, 0) : 0;
    return OK;
}

static void get(struct backend *backend, struct call *call, const struct counter_get_request *request)
{
    postgres_plain(backend, call, CLASS_READ, sizeof(struct counter_get_response), put_get, take_value,
                   collection_check_key(request->key, &call->diag));
}

static void clear(struct backend *backend, struct call *call, const struct counter_clear_request *request)
{
    postgres_plain(backend, call, CLASS_WRITE, sizeof(struct counter_clear_response), put_clear, take_value,
                   collection_check_key(request->key, &call->diag));
}

const struct counter_basic_ops postgres_counter_basic = {
    .add = add, .add_and_get = add_and_get, .get = get, .clear = clear};
