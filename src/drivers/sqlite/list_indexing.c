/* Get, Set, Insert, Remove. */
#include "drivers/sqlite/list.h"
#include "prism/list/v1/list_indexing.ops.h"

/* --- get ------------------------------------------------------------------------------------------------------------------------ */

static enum err value_at(struct sqlite_operation *o, const struct sqlite_collection *list, uint64_t index,
                         struct slice *ret_value)
{
    struct page page = page_largest();
    struct pb_array values = {0};
    enum err e = sqlite_list_read(o->connection, list, (struct span){index, 1}, o->call->arena, &page, &values);
    if (!e)
        *ret_value = PB_AT(values, struct slice, 0);
    return e;
}

static enum err run_get(struct sqlite_operation *o)
{
    const struct list_get_request *request = o->call->request;
    struct list_get_response *response = arena_new(o->call->arena, struct list_get_response);
    struct sqlite_collection list;
    uint64_t index;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_list_find(o->connection, request->key, &list);
    if (e || !span_index(request->index, list.size, &index))
        return e;
    response->found = true;
    return value_at(o, &list, index, &response->value);
}

static void get(struct backend *backend, struct call *call, const struct list_get_request *request)
{
    sqlite_read_plain(backend, call, run_get, collection_check_key(request->key, &call->diag));
}

/* --- set and insert ------------------------------------------------------------------------------------------------------------- */

static enum err replace(struct sqlite_connection *c, const struct sqlite_collection *list, uint64_t index,
                        struct slice value)
{
    int64_t position;
    sqlite3_stmt *s;
    enum err e = sqlite_list_position(c, list, index, &position);
    if (!e)
        e = sqlite_prepare_for(c, STATEMENT_LIST_SET, list, &s);
    if (e)
        return e;
    sqlite3_bind_int64(s, 2, position);
    sqlite_bind_slice(s, 3, value);
    return sqlite_finish(c, s);
}

static enum err run_set(struct sqlite_operation *o)
{
    const struct list_set_request *request = o->call->request;
    struct sqlite_collection list;
    uint64_t index;
    o->response = arena_new(o->call->arena, struct list_set_response);
    if (!o->response)
        return ERR_NOMEM;
    enum err e = sqlite_list_find(o->connection, request->key, &list);
    if (!e && !span_index(request->index, list.size, &index))
        e = list_out_of_range(request->index, list.size, &o->call->diag);
    return e ? e : replace(o->connection, &list, index, request->value);
}

static enum err run_insert(struct sqlite_operation *o)
{
    const struct list_insert_request *request = o->call->request;
    struct list_insert_response *response = arena_new(o->call->arena, struct list_insert_response);
    struct sqlite_collection list;
    uint64_t index = 0;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_collection_make(o->connection, SQLITE_LIST, request->key, &list);
    if (!e)
        e = list_insert_position(request->index, list.size, &o->call->diag, &index);
    if (!e)
        e = sqlite_list_insert(o, &list, index, request->value);
    response->length = list.size;
    return e;
}

static enum err check(struct call *call, struct slice key, struct slice value)
{
    enum err e = collection_check_key(key, &call->diag);
    return e ? e : list_check_value(call, value);
}

static void set(struct backend *backend, struct call *call, const struct list_set_request *request)
{
    sqlite_write_plain(backend, call, run_set, check(call, request->key, request->value));
}

static void insert(struct backend *backend, struct call *call, const struct list_insert_request *request)
{
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_insert);
    if (!o)
        return;
    o->bytes = request->value.size;
    o->committed = sqlite_list_grew;
    sqlite_write_checked(o, check(call, request->key, request->value));
}

/* --- remove --------------------------------------------------------------------------------------------------------------------- */

struct remove_operation {
    struct sqlite_operation operation;
    struct list_remove remove;
};

static enum err remove_at(struct sqlite_operation *o, const struct sqlite_collection *list, int64_t index,
                          struct list_remove_response *response)
{
    uint64_t at;
    int64_t position;
    if (!span_index(index, list->size, &at))
        return OK;
    enum err e = value_at(o, list, at, &response->value);
    if (!e)
        e = sqlite_list_position(o->connection, list, at, &position);
    return e ? e : sqlite_list_change(o->connection, STATEMENT_LIST_REMOVE, list, position, &response->removed);
}

static enum err remove_equal(struct sqlite_connection *c, const struct sqlite_collection *list,
                             const struct list_remove *remove, uint64_t *ret_removed)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare_for(
        c, remove->from_last ? STATEMENT_LIST_REMOVE_EQUAL_BACK : STATEMENT_LIST_REMOVE_EQUAL, list, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 2, remove->value);
    sqlite3_bind_int64(s, 3, remove->most > INT64_MAX ? -1 : (int64_t)remove->most);
    return sqlite_change(c, s, ret_removed);
}

static enum err run_remove(struct sqlite_operation *o)
{
    const struct list_remove_request *request = o->call->request;
    const struct list_remove *remove = &((struct remove_operation *)o)->remove;
    struct list_remove_response *response = arena_new(o->call->arena, struct list_remove_response);
    struct sqlite_collection list;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_list_find(o->connection, request->key, &list);
    if (!e && list.id)
        e = remove->by_index ? remove_at(o, &list, remove->index, response)
                             : remove_equal(o->connection, &list, remove, &response->removed);
    if (!e && response->removed)
        e = sqlite_collection_resize(o->connection, &list, list.size - response->removed);
    response->length = e ? 0 : list.size;
    return e;
}

static void remove_values(struct backend *backend, struct call *call, const struct list_remove_request *request)
{
    struct remove_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_remove);
    if (!o)
        return;
    enum err e = collection_check_key(request->key, &call->diag);
    sqlite_write_checked(&o->operation, e ? e : list_remove_make(request, &call->diag, &o->remove));
}

const struct list_indexing_ops sqlite_list_indexing = {
    .get = get, .set = set, .insert = insert, .remove = remove_values};
