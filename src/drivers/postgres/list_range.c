/* GetRange, Trim. */
#include "drivers/postgres/list.h"
#include "prism/list/v1/list_range.ops.h"

static enum err put_get_range(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct list_get_range_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_int8(&p, request->start);
    postgres_put_int8(&p, request->end);
    postgres_put_int8(&p, LIMIT_PAGE_ITEMS);
    postgres_put_int8(&p, LIMIT_PAGE_BYTES);
    return postgres_put(u, STATEMENT_LIST_RANGE, &p);
}

/* Values behind the first row, as long as they fit the page. */
static enum err take_values(struct postgres_operation *o, const PGresult *r, struct pb_array *values)
{
    struct page page = page_largest();
    enum err e = OK;
    for (int row = 1; row < PQntuples(r) && !e; row++) {
        struct slice value = postgres_bytes(r, row, 0);
        if (!page_take(&page, value.size))
            break;
        e = postgres_add_slice(o, values, value);
    }
    return e;
}

static enum err take_get_range(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    const struct list_get_range_request *request = o->call->request;
    struct list_get_range_response *response = postgres_response(o);
    (void)index;
    response->length = (uint64_t)postgres_int8(r, 0, 1);
    enum err e = take_values(o, r, &response->values);
    struct span span = span_clamp(request->start, request->end, response->length);
    response->has_next_start = response->values.count < span.count;
    response->next_start = response->has_next_start ? (int64_t)(span.first + response->values.count) : 0;
    return e;
}

static void get_range(struct backend *backend, struct call *call, const struct list_get_range_request *request)
{
    postgres_plain(backend, call, CLASS_HEAVY, sizeof(struct list_get_range_response), put_get_range, take_get_range,
                   collection_check_key(request->key, &call->diag));
}

static enum err put_trim(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct list_trim_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_int8(&p, request->start);
    postgres_put_int8(&p, request->end);
    return postgres_put(u, STATEMENT_LIST_TRIM, &p);
}

static enum err take_trim(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct list_trim_response *response = postgres_response(o);
    (void)index;
    response->removed = (uint64_t)postgres_int8(r, 0, 0);
    response->length = (uint64_t)postgres_int8(r, 0, 1);
    return OK;
}

static void trim(struct backend *backend, struct call *call, const struct list_trim_request *request)
{
    postgres_plain(backend, call, CLASS_WRITE, sizeof(struct list_trim_response), put_trim, take_trim,
                   collection_check_key(request->key, &call->diag));
}

const struct list_range_ops postgres_list_range = {.get_range = get_range, .trim = trim};
