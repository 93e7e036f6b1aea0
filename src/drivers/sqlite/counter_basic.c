/* Add, AddAndGet, Get, Clear. A counter that is cleared has no row. */
#include "data/counter.h"

#include "drivers/sqlite/collection.h"
#include "prism/counter/v1/counter_basic.ops.h"

static enum err read_number(struct sqlite_connection *c, struct slice key, int64_t *ret_value)
{
    sqlite3_stmt *s;
    bool row;
    enum err e = sqlite_prepare(c, STATEMENT_NUMBER_GET, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 1, key);
    e = sqlite_step(c, s, &row);
    if (!e)
        *ret_value = row ? sqlite3_column_int64(s, 0) : 0;
    sqlite_reset(s);
    return e;
}

static enum err write_number(struct sqlite_connection *c, struct slice key, int64_t value)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(c, STATEMENT_NUMBER_PUT, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 1, key);
    sqlite3_bind_int64(s, 2, value);
    return sqlite_finish(c, s);
}

static enum err run_add(struct sqlite_operation *o)
{
    const struct counter_add_and_get_request *request = o->call->request; /* Add's is alike: data/counter.c */
    int64_t value, sum;
    enum err e = read_number(o->connection, request->key, &value);
    if (!e)
        e = counter_sum(value, request->delta, &o->call->diag, &sum);
    if (!e && !(o->response = counter_answer(o->call, sum)))
        e = ERR_NOMEM;
    return e ? e : write_number(o->connection, request->key, sum);
}

static enum err run_get(struct sqlite_operation *o)
{
    const struct counter_get_request *request = o->call->request;
    struct counter_get_response *response = arena_new(o->call->arena, struct counter_get_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    return read_number(o->connection, request->key, &response->value);
}

static enum err run_clear(struct sqlite_operation *o)
{
    const struct counter_clear_request *request = o->call->request;
    struct counter_clear_response *response = arena_new(o->call->arena, struct counter_clear_response);
    sqlite3_stmt *s;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = read_number(o->connection, request->key, &response->value);
    if (!e)
        e = sqlite_prepare(o->connection, STATEMENT_NUMBER_CLEAR, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 1, request->key);
    return sqlite_finish(o->connection, s);
}

static void add(struct backend *backend, struct call *call, const struct counter_add_request *request)
{
    (void)request;
    sqlite_write_plain(backend, call, run_add, counter_check_add(call, call->request));
}

static void add_and_get(struct backend *backend, struct call *call, const struct counter_add_and_get_request *request)
{
    sqlite_write_plain(backend, call, run_add, counter_check_add(call, request));
}

static void get(struct backend *backend, struct call *call, const struct counter_get_request *request)
{
    sqlite_read_plain(backend, call, run_get, collection_check_key(request->key, &call->diag));
}

static void clear(struct backend *backend, struct call *call, const struct counter_clear_request *request)
{
    sqlite_write_plain(backend, call, run_clear, collection_check_key(request->key, &call->diag));
}

const struct counter_basic_ops sqlite_counter_basic = {
    .add = add, .add_and_get = add_and_get, .get = get, .clear = clear};
