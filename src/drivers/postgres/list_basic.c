/* PushLeft, PushRight, PopLeft, PopRight, Clear. */
#include "drivers/postgres/list.h"
#include "prism/list/v1/list_basic.ops.h"

/* --- push -------------------------------------------------------------------------------------------------------------------- */

struct push_operation {
    struct postgres_operation operation;
    struct list_push push;
    struct list_push_left_response response; /* PushRight's is alike */
};

static enum err put_push(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct list_push *push = &((struct push_operation *)o)->push;
    struct postgres_params p = postgres_key_params(u, push->key);
    struct postgres_array values = postgres_slices(u, push->values);
    postgres_put_bool(&p, push->end == LIST_LEFT);
    postgres_put_array(&p, &values);
    postgres_put_int8(&p, LIMIT_COLLECTION_ITEMS);
    return postgres_put(u, STATEMENT_LIST_PUSH, &p);
}

static enum err take_push(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct push_operation *push = (struct push_operation *)o;
    uint64_t size = (uint64_t)postgres_int8(r, 0, 1);
    (void)index;
    if (!postgres_bool(r, 0, 0))
        return list_check_room(size, push->push.values->count, &o->call->diag);
    push->response.length = size;
    return OK;
}

static size_t bytes_of(const struct pb_array *values)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < values->count; i++)
        bytes += PB_AT(*values, struct slice, i).size;
    return bytes;
}

static void push(struct backend *backend, struct call *call)
{
    struct push_operation *push = postgres_operation_new(backend, call, sizeof *push, CLASS_WRITE);
    if (!push)
        return;
    enum err e = list_push_make(call, &push->push);
    push->operation.bytes = e ? 0 : bytes_of(push->push.values);
    push->operation.committed = postgres_list_grew;
    push->operation.response = &push->response;
    postgres_submit_checked(&push->operation, put_push, take_push, e);
}

static void push_left(struct backend *backend, struct call *call, const struct list_push_left_request *request)
{
    (void)request;
    push(backend, call);
}

static void push_right(struct backend *backend, struct call *call, const struct list_push_right_request *request)
{
    (void)request;
    push(backend, call);
}

/* --- pop --------------------------------------------------------------------------------------------------------------------- */

struct pop_operation {
    struct postgres_operation operation;
    struct list_pop pop;
};

enum err postgres_put_pop(struct postgres_unit *u, const struct list_pop *pop)
{
    struct postgres_params p = postgres_key_params(u, pop->key);
    postgres_put_bool(&p, pop->end == LIST_LEFT);
    postgres_put_int8(&p, pop->count);
    postgres_put_int8(&p, LIMIT_PAGE_BYTES);
    return postgres_put(u, STATEMENT_LIST_POP, &p);
}

static enum err put_pop(struct postgres_operation *o, struct postgres_unit *u)
{
    return postgres_put_pop(u, &((struct pop_operation *)o)->pop);
}

static enum err take_pop(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct list_pop_left_response *response = postgres_response(o);
    enum err e = OK;
    (void)index;
    response->values.count = 0;
    for (int row = 0; row < PQntuples(r) && !e; row++)
        e = postgres_add_slice(o, &response->values, postgres_bytes(r, row, 0));
    response->length = PQntuples(r) ? (uint64_t)postgres_int8(r, 0, 1) : 0;
    return e;
}

static void pop(struct backend *backend, struct call *call)
{
    struct pop_operation *pop = postgres_operation_new(backend, call, sizeof *pop, CLASS_WRITE);
    if (!pop)
        return;
    enum err e = list_pop_make(call, &pop->pop);
    if (!e && !(pop->operation.response = list_pop_answer(call, pop->pop.count)))
        e = ERR_NOMEM;
    postgres_submit_checked(&pop->operation, put_pop, take_pop, e);
}

static void pop_left(struct backend *backend, struct call *call, const struct list_pop_left_request *request)
{
    (void)request;
    pop(backend, call);
}

static void pop_right(struct backend *backend, struct call *call, const struct list_pop_right_request *request)
{
    (void)request;
    pop(backend, call);
}

static void clear(struct backend *backend, struct call *call, const struct list_clear_request *request)
{
    postgres_clear(backend, call, POSTGRES_LIST, request->key);
}

const struct list_basic_ops postgres_list_basic = {
    .push_left = push_left, .push_right = push_right, .pop_left = pop_left, .pop_right = pop_right, .clear = clear};
