/* BatchSet, BatchGet, BatchDelete: one transaction for the items of a call, and a status for each. A broken rule or a version that
 * does not match fails its item alone; failing storage fails the call and leaves none of it. */
#include "drivers/sqlite/store.h"
#include "prism/keyvalue/v1/keyvalue_batch.ops.h"

/* Errors that concern one item; all others concern the call. */
static bool is_of_item(enum err e)
{
    switch (e) {
    case ERR_KEY_INVALID:
    case ERR_FIELD_INVALID:
    case ERR_MESSAGE_TOO_LARGE:
    case ERR_TTL_INVALID:
    case ERR_TTL_REQUIRED:
    case ERR_VERSION_MISMATCH:
    case ERR_RESOURCE_EXHAUSTED:
        return true;
    default:
        return false;
    }
}

/* A result of result_size bytes for each item, in one array; pointers to them make the field. */
static void *make_results(struct arena *arena, uint32_t count, size_t result_size, struct pb_array *ret_field)
{
    uint8_t *results = arena_zalloc_array(arena, count, result_size);
    void **pointers = arena_array(arena, void *, count);
    if (!results || !pointers)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        pointers[i] = results + i * result_size;
    *ret_field = (struct pb_array){.items = pointers, .count = count, .capacity = count};
    return results;
}

/* --- set -------------------------------------------------------------------------------------------------------------------- */

struct set_item {
    struct kv_write write;
    enum err err;
    struct diag diag;
};
struct set_operation {
    struct sqlite_operation operation;
    struct set_item *items;
};

static enum err set_one(struct sqlite_operation *o, struct set_item *item, uint32_t index,
                        struct keyvalue_batch_set_result *result)
{
    enum err e = item->err;
    if (!e)
        e = sqlite_item_check(o, item->write.key, &item->write.expected, &item->diag);
    if (!e)
        e = sqlite_item_write(o, &item->write, &result->version);
    if (e && !is_of_item(e))
        return e;
    result->status = kv_batch_status(index, e, &item->diag, o->call->arena);
    return result->status ? OK : ERR_NOMEM;
}

static enum err run_set(struct sqlite_operation *o)
{
    const struct keyvalue_batch_set_request *request = o->call->request;
    struct set_operation *set = (struct set_operation *)o;
    struct arena *arena = o->call->arena;
    struct keyvalue_batch_set_response *response = arena_new(arena, struct keyvalue_batch_set_response);
    struct keyvalue_batch_set_result *results =
        response ? make_results(arena, request->items.count, sizeof *results, &response->results) : NULL;
    if (!results)
        return ERR_NOMEM;
    enum err e = OK;
    for (uint32_t i = 0; i < request->items.count && !e; i++) {
        e = set_one(o, &set->items[i], i, &results[i]);
        response->succeeded += !e && !results[i].status->code;
    }
    o->response = response;
    return e;
}

static void check_item(struct sqlite_operation *o, const struct keyvalue_batch_set_item *asked, uint32_t index,
                       int64_t now_ms, struct set_item *item)
{
    char prefix[32];
    sqlite3_snprintf(sizeof prefix, prefix, "items[%u].", index);
    diag_init(&item->diag, o->call->arena);
    item->err = kv_write_make(o->call, asked->key, asked->value, &asked->tags, asked->ttl, now_ms, &item->diag, prefix,
                              &item->write);
    item->write.expected = kv_if_version(asked->has_if_version, asked->if_version);
    o->bytes += asked->key.size + asked->value.size;
}

static void batch_set(struct backend *backend, struct call *call, const struct keyvalue_batch_set_request *request)
{
    struct set_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_set);
    if (!o)
        return;
    int64_t now_ms = sqlite_now_ms(o->operation.store);
    o->operation.several = true;
    o->items = arena_array(call->arena, struct set_item, request->items.count);
    if (!o->items) {
        sqlite_reject(&o->operation, ERR_NOMEM);
        return;
    }
    for (uint32_t i = 0; i < request->items.count; i++)
        check_item(&o->operation, PB_AT(request->items, struct keyvalue_batch_set_item *, i), i, now_ms, &o->items[i]);
    sqlite_write(&o->operation);
}

/* --- get -------------------------------------------------------------------------------------------------------------------- */

struct get_operation {
    struct sqlite_operation operation;
    size_t room; /* bytes that the answer may still take */
    uint32_t found;
};

/* Of an item that is there. The first always fits: a namespace that stores a value can answer it. */
static enum err fill_found(struct get_operation *get, const struct sqlite_row *row, struct slice key, bool first,
                           struct keyvalue_get_response *response, struct diag *d)
{
    struct arena *arena = get->operation.call->arena;
    struct kv_item item;
    enum err e = sqlite_row_item(&get->operation.store->versions, row, key, arena, &item);
    if (e)
        return e;
    size_t bytes = kv_item_bytes(&item);
    if (bytes > get->room && !first)
        return diag_set(d, ERR_RESOURCE_EXHAUSTED, "does not fit the message limit of this answer; ask for it again");
    get->room -= bytes < get->room ? bytes : get->room;
    get->found++;
    return kv_fill_get(&item, arena, response);
}

static enum err get_one(struct sqlite_operation *o, struct slice key, uint32_t index,
                        struct keyvalue_batch_get_result *result)
{
    struct get_operation *get = (struct get_operation *)o;
    struct arena *arena = o->call->arena;
    struct sqlite_row row = {0};
    struct diag d;
    diag_init(&d, arena);
    result->item = arena_new(arena, struct keyvalue_get_response);
    if (!result->item)
        return ERR_NOMEM;
    enum err e = kv_check_key(key, &d, "keys");
    if (!e)
        e = sqlite_item_get(o->connection, key, o->now_ms, arena, &row);
    if (!e && row.found)
        e = fill_found(get, &row, key, !get->found, result->item, &d);
    if (e && !is_of_item(e))
        return e;
    if (e)
        result->item = NULL;
    result->status = kv_batch_status(index, e, &d, arena);
    return result->status ? OK : ERR_NOMEM;
}

static enum err run_get(struct sqlite_operation *o)
{
    const struct keyvalue_batch_get_request *request = o->call->request;
    struct arena *arena = o->call->arena;
    struct keyvalue_batch_get_response *response = arena_new(arena, struct keyvalue_batch_get_response);
    struct keyvalue_batch_get_result *results =
        response ? make_results(arena, request->keys.count, sizeof *results, &response->results) : NULL;
    if (!results)
        return ERR_NOMEM;
    enum err e = OK;
    for (uint32_t i = 0; i < request->keys.count && !e; i++)
        e = get_one(o, PB_AT(request->keys, struct slice, i), i, &results[i]);
    response->found = ((struct get_operation *)o)->found;
    o->response = response;
    return e;
}

static void batch_get(struct backend *backend, struct call *call, const struct keyvalue_batch_get_request *request)
{
    (void)request;
    struct get_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_get);
    if (!o)
        return;
    o->operation.heavy = true;
    o->room = call->ns->message_bytes;
    sqlite_read(&o->operation);
}

/* --- delete ----------------------------------------------------------------------------------------------------------------- */

static enum err delete_one(struct sqlite_operation *o, struct slice key, uint32_t index,
                           struct keyvalue_batch_delete_result *result)
{
    struct diag d;
    diag_init(&d, o->call->arena);
    enum err e = kv_check_key(key, &d, "keys");
    if (!e)
        e = sqlite_item_delete(o->store, key, o->now_ms, &result->existed);
    if (e && !is_of_item(e))
        return e;
    result->status = kv_batch_status(index, e, &d, o->call->arena);
    return result->status ? OK : ERR_NOMEM;
}

static enum err run_delete(struct sqlite_operation *o)
{
    const struct keyvalue_batch_delete_request *request = o->call->request;
    struct arena *arena = o->call->arena;
    struct keyvalue_batch_delete_response *response = arena_new(arena, struct keyvalue_batch_delete_response);
    struct keyvalue_batch_delete_result *results =
        response ? make_results(arena, request->keys.count, sizeof *results, &response->results) : NULL;
    if (!results)
        return ERR_NOMEM;
    enum err e = OK;
    for (uint32_t i = 0; i < request->keys.count && !e; i++) {
        e = delete_one(o, PB_AT(request->keys, struct slice, i), i, &results[i]);
        response->succeeded += !e && !results[i].status->code;
    }
    o->response = response;
    return e;
}

static void batch_delete(struct backend *backend, struct call *call,
                         const struct keyvalue_batch_delete_request *request)
{
    (void)request;
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_delete);
    if (!o)
        return;
    o->several = true;
    sqlite_write(o);
}

const struct keyvalue_batch_ops sqlite_keyvalue_batch = {
    .batch_set = batch_set, .batch_get = batch_get, .batch_delete = batch_delete};
