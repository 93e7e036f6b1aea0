/* Batches: every item alone, in order. All memory of the answer is made before the first item is written, so an item that has been
 * written is always reported as written. */
#include "prism/keyvalue/v1/keyvalue_batch.ops.h"

#include <stdio.h>

#include "drivers/memory/internal.h"

/* results: an array of count pointers to messages of item_size bytes, which begin with pb_unknown and the status. */
static void **make_results(struct arena *arena, uint32_t count, size_t item_size, struct pb_array *ret_array)
{
    void **pointers = arena_array(arena, void *, count);
    uint8_t *items = arena_zalloc_array(arena, count, item_size);
    if (!pointers || !items)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        pointers[i] = items + i * item_size;
    *ret_array = (struct pb_array){.items = pointers, .count = count, .capacity = count};
    return pointers;
}

/* --- BatchSet ---------------------------------------------------------------------------------------------------------------- */

static enum err set_item(struct memory *m, struct call *call, const struct keyvalue_batch_set_item *item,
                         uint32_t index, int64_t now_ms, struct diag *diag, uint8_t *token)
{
    char prefix[32];
    struct kv_write w;
    struct outcome o;
    snprintf(prefix, sizeof prefix, "items[%u].", index);
    enum err e = kv_write_make(call, item->key, item->value, &item->tags, item->ttl, now_ms, diag, prefix, &w);
    if (e)
        return e;
    w.expected = kv_if_version(item->has_if_version, item->if_version);
    e = memory_put(&m->store, &w, now_ms, &o);
    if (e)
        return e;
    if (!o.met)
        return memory_mismatch(&m->store, &o, &w.expected, diag);
    memory_token(&m->store, o.token, token);
    return OK;
}

static enum err set_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                         const void **ret_response)
{
    const struct keyvalue_batch_set_request *r = request;
    uint32_t count = r->items.count;
    enum err e = kv_check_batch(count, "items", &call->diag);
    if (e)
        return e;
    struct keyvalue_batch_set_response *response = arena_new(call->arena, struct keyvalue_batch_set_response);
    struct common_batch_item_status *statuses = arena_array(call->arena, struct common_batch_item_status, count);
    uint8_t *tokens = arena_zalloc_array(call->arena, count, TOKEN_BYTES);
    if (!response || !statuses || !tokens ||
        !make_results(call->arena, count, sizeof(struct keyvalue_batch_set_result), &response->results))
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct keyvalue_batch_set_result *result = PB_AT(response->results, struct keyvalue_batch_set_result *, i);
        struct diag diag;
        diag_init(&diag, call->arena);
        e = set_item(m, call, PB_AT(r->items, struct keyvalue_batch_set_item *, i), i, now_ms, &diag,
                     tokens + i * TOKEN_BYTES);
        result->status = &statuses[i];
        kv_batch_status_set(result->status, i, e, &diag);
        if (!e)
            result->version = slice_of(tokens + i * TOKEN_BYTES, TOKEN_BYTES);
        response->succeeded += !e;
    }
    *ret_response = response;
    return OK;
}

static void batch_set(struct backend *backend, struct call *call, const struct keyvalue_batch_set_request *r)
{
    memory_mutate(backend, call, r, set_once);
}

/* --- BatchGet ---------------------------------------------------------------------------------------------------------------- */

enum { RESULT_FRAMING_BYTES = 32 };

struct budget {
    size_t left;
    bool spent; /* something has been found: from now on the budget counts */
};

static enum err get_item(struct memory *m, struct call *call, struct slice key, struct diag *diag,
                         struct budget *budget, struct keyvalue_get_response *response)
{
    struct kv_item item;
    bool found;
    enum err e = kv_check_key(key, diag, "keys");
    if (!e)
        e = memory_get(&m->store, key, SNAPSHOT_NOW, budget->spent ? budget->left : SIZE_MAX, call->arena, &item,
                       &found);
    if (e == ERR_RESOURCE_EXHAUSTED)
        return diag_set(diag, e, "does not fit the message limit of the answer; ask for it again");
    if (!e)
        e = kv_fill_get(found ? &item : NULL, call->arena, response);
    if (e || !found)
        return e;
    size_t bytes = kv_item_bytes(&item);
    budget->left -= bytes < budget->left ? bytes : budget->left;
    budget->spent = true;
    return OK;
}

static enum err get_all(struct memory *m, struct call *call, const struct pb_array *keys,
                        struct keyvalue_batch_get_response *response)
{
    uint32_t count = keys->count;
    struct common_batch_item_status *statuses = arena_array(call->arena, struct common_batch_item_status, count);
    struct keyvalue_get_response *items = arena_array(call->arena, struct keyvalue_get_response, count);
    if (!statuses || !items ||
        !make_results(call->arena, count, sizeof(struct keyvalue_batch_get_result), &response->results))
        return ERR_NOMEM;
    size_t framing = (size_t)count * RESULT_FRAMING_BYTES, limit = call->ns->message_bytes;
    struct budget budget = {.left = limit > framing ? limit - framing : 0};
    for (uint32_t i = 0; i < count; i++) {
        struct keyvalue_batch_get_result *result = PB_AT(response->results, struct keyvalue_batch_get_result *, i);
        struct diag diag;
        diag_init(&diag, call->arena);
        enum err e = get_item(m, call, PB_AT(*keys, struct slice, i), &diag, &budget, &items[i]);
        result->status = &statuses[i];
        kv_batch_status_set(result->status, i, e, &diag);
        if (!e)
            result->item = &items[i];
        response->found += !e && items[i].found;
    }
    return OK;
}

static void batch_get(struct backend *backend, struct call *call, const struct keyvalue_batch_get_request *r)
{
    struct keyvalue_batch_get_response response = {0};
    enum err e = kv_check_batch(r->keys.count, "keys", &call->diag);
    if (!e)
        e = get_all((struct memory *)backend, call, &r->keys, &response);
    memory_answer(call, e, &response);
}

/* --- BatchDelete ------------------------------------------------------------------------------------------------------------- */

static enum err delete_item(struct memory *m, struct slice key, int64_t now_ms, struct diag *diag, bool *ret_existed)
{
    struct kv_expected anything = {.what = KV_EXPECT_ANYTHING};
    struct outcome o = {0};
    enum err e = kv_check_key(key, diag, "keys");
    if (!e)
        e = memory_remove(&m->store, key, &anything, now_ms, &o);
    if (!e)
        *ret_existed = o.existed;
    return e;
}

static enum err delete_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                            const void **ret_response)
{
    const struct keyvalue_batch_delete_request *r = request;
    uint32_t count = r->keys.count;
    enum err e = kv_check_batch(count, "keys", &call->diag);
    if (e)
        return e;
    struct keyvalue_batch_delete_response *response = arena_new(call->arena, struct keyvalue_batch_delete_response);
    struct common_batch_item_status *statuses = arena_array(call->arena, struct common_batch_item_status, count);
    if (!response || !statuses ||
        !make_results(call->arena, count, sizeof(struct keyvalue_batch_delete_result), &response->results))
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct keyvalue_batch_delete_result *result =
            PB_AT(response->results, struct keyvalue_batch_delete_result *, i);
        struct diag diag;
        diag_init(&diag, call->arena);
        e = delete_item(m, PB_AT(r->keys, struct slice, i), now_ms, &diag, &result->existed);
        result->status = &statuses[i];
        kv_batch_status_set(result->status, i, e, &diag);
        response->succeeded += !e;
    }
    *ret_response = response;
    return OK;
}

static void batch_delete(struct backend *backend, struct call *call, const struct keyvalue_batch_delete_request *r)
{
    memory_mutate(backend, call, r, delete_once);
}

const struct keyvalue_batch_ops memory_keyvalue_batch = {
    .batch_set = batch_set, .batch_get = batch_get, .batch_delete = batch_delete};
