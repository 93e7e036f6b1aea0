/* GetRange, Trim. */
#include "drivers/sqlite/list.h"
#include "prism/list/v1/list_range.ops.h"

static enum err run_get_range(struct sqlite_operation *o)
{
    const struct list_get_range_request *request = o->call->request;
    struct list_get_range_response *response = arena_new(o->call->arena, struct list_get_range_response);
    struct sqlite_collection list;
    struct page page = page_largest();
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_list_find(o->connection, request->key, &list);
    if (e)
        return e;
    struct span span = span_clamp(request->start, request->end, list.size);
    response->length = list.size;
    e = sqlite_list_read(o->connection, &list, span, o->call->arena, &page, &response->values);
    response->has_next_start = response->values.count < span.count;
    response->next_start = response->has_next_start ? (int64_t)(span.first + response->values.count) : 0;
    return e;
}

static void get_range(struct backend *backend, struct call *call, const struct list_get_range_request *request)
{
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_get_range);
    if (!o)
        return;
    o->heavy = true;
    sqlite_read_checked(o, collection_check_key(request->key, &call->diag));
}

/* What stays is not empty. */
static enum err cut(struct sqlite_connection *c, const struct sqlite_collection *list, struct span stays)
{
    int64_t first = 0, last = 0;
    uint64_t removed;
    enum err e = sqlite_list_position(c, list, stays.first, &first);
    if (!e)
        e = sqlite_list_position(c, list, stays.first + stays.count - 1, &last);
    if (!e)
        e = sqlite_list_change(c, STATEMENT_LIST_REMOVE_BELOW, list, first, &removed);
    return e ? e : sqlite_list_change(c, STATEMENT_LIST_REMOVE_ABOVE, list, last, &removed);
}

static enum err run_trim(struct sqlite_operation *o)
{
    const struct list_trim_request *request = o->call->request;
    struct list_trim_response *response = arena_new(o->call->arena, struct list_trim_response);
    struct sqlite_connection *c = o->connection;
    struct sqlite_collection list;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_list_find(c, request->key, &list);
    if (e || !list.id)
        return e;
    struct span stays = span_clamp(request->start, request->end, list.size);
    if (!stays.count)
        return sqlite_collection_clear(c, SQLITE_LIST, STATEMENT_LIST_CLEAR, request->key, &response->removed);
    response->removed = list.size - stays.count;
    response->length = stays.count;
    e = cut(c, &list, stays);
    return e ? e : sqlite_collection_resize(c, &list, stays.count);
}

static void trim(struct backend *backend, struct call *call, const struct list_trim_request *request)
{
    sqlite_write_plain(backend, call, run_trim, collection_check_key(request->key, &call->diag));
}

const struct list_range_ops sqlite_list_range = {.get_range = get_range, .trim = trim};
