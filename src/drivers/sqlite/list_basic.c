/* PushLeft, PushRight, PopLeft, PopRight, Clear. */
#include "drivers/sqlite/list.h"
#include "prism/list/v1/list_basic.ops.h"

/* --- push ----------------------------------------------------------------------------------------------------------------------- */

struct push_operation {
    struct sqlite_operation operation;
    struct list_push push;
};

static enum err run_push(struct sqlite_operation *o)
{
    struct list_push_left_response *response = arena_new(o->call->arena, struct list_push_left_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    return sqlite_list_push(o, &((struct push_operation *)o)->push, &response->length);
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
    struct push_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_push);
    if (!o)
        return;
    enum err e = list_push_make(call, &o->push);
    o->operation.bytes = e ? 0 : bytes_of(o->push.values);
    o->operation.committed = sqlite_list_grew;
    sqlite_write_checked(&o->operation, e);
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

/* --- pop ------------------------------------------------------------------------------------------------------------------------ */

struct pop_operation {
    struct sqlite_operation operation;
    struct list_pop pop;
};

static enum err run_pop(struct sqlite_operation *o)
{
    const struct list_pop *pop = &((struct pop_operation *)o)->pop;
    struct list_pop_left_response *response = list_pop_answer(o->call, pop->count);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    return sqlite_list_pop(o, pop, &response->values, &response->length);
}

static void pop(struct backend *backend, struct call *call)
{
    struct pop_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_pop);
    if (o)
        sqlite_write_checked(&o->operation, list_pop_make(call, &o->pop));
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

/* --- clear ---------------------------------------------------------------------------------------------------------------------- */

static enum err run_clear(struct sqlite_operation *o)
{
    const struct list_clear_request *request = o->call->request;
    struct list_clear_response *response = arena_new(o->call->arena, struct list_clear_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    return sqlite_collection_clear(o->connection, SQLITE_LIST, STATEMENT_LIST_CLEAR, request->key, &response->removed);
}

static void clear(struct backend *backend, struct call *call, const struct list_clear_request *request)
{
    sqlite_write_plain(backend, call, run_clear, collection_check_key(request->key, &call->diag));
}

const struct list_basic_ops sqlite_list_basic = {
    .push_left = push_left, .push_right = push_right, .pop_left = pop_left, .pop_right = pop_right, .clear = clear};
