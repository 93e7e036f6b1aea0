#include "prism/keyvalue/v1/keyvalue_cas.ops.h"

#include "drivers/memory/internal.h"

/* What is there instead, from a version that is still referenced. */
static enum err describe_current(const struct memory *m, struct call *call, const struct outcome *o,
                                 struct keyvalue_compare_and_swap_response *response)
{
    response->found = o->current;
    if (!o->current)
        return OK;
    if (!arena_copy(call->arena, version_value(o->current), &response->current_value))
        return ERR_NOMEM;
    return memory_token_slice(&m->store, o->token, call->arena, &response->version);
}

static enum err swap(struct memory *m, struct call *call, const struct kv_write *w, int64_t now_ms, uint8_t *token,
                     struct keyvalue_compare_and_swap_response *response)
{
    struct outcome o;
    enum err e = memory_put(&m->store, w, now_ms, &o);
    if (e)
        return e;
    if (!o.met) {
        e = describe_current(m, call, &o, response);
        memory_version_unref(o.current);
        return e;
    }
    memory_token(&m->store, o.token, token);
    response->swapped = true;
    response->version = slice_of(token, TOKEN_BYTES);
    return OK;
}

static enum err swap_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                          const void **ret_response)
{
    const struct keyvalue_compare_and_swap_request *r = request;
    struct keyvalue_compare_and_swap_response *response =
        arena_new(call->arena, struct keyvalue_compare_and_swap_response);
    uint8_t *token = arena_alloc(call->arena, TOKEN_BYTES);
    struct kv_write w;
    if (!response || !token)
        return ERR_NOMEM;
    enum err e = kv_write_make(call, r->key, r->value, &r->tags, r->ttl, now_ms, &call->diag, "", &w);
    if (!e)
        e = kv_expected_swap(r, &call->diag, &w.expected);
    if (!e)
        e = swap(m, call, &w, now_ms, token, response);
    if (!e)
        *ret_response = response;
    return e;
}

static void compare_and_swap(struct backend *backend, struct call *call,
                             const struct keyvalue_compare_and_swap_request *r)
{
    memory_mutate(backend, call, r, swap_once);
}

static enum err delete_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                            const void **ret_response)
{
    const struct keyvalue_compare_and_delete_request *r = request;
    struct keyvalue_compare_and_delete_response *response =
        arena_new(call->arena, struct keyvalue_compare_and_delete_response);
    uint8_t *token = arena_alloc(call->arena, TOKEN_BYTES);
    struct kv_expected expected;
    struct outcome o;
    if (!response || !token)
        return ERR_NOMEM;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = kv_expected_delete(r, &call->diag, &expected);
    if (!e)
        e = memory_remove(&m->store, r->key, &expected, now_ms, &o);
    if (e)
        return e;
    response->deleted = o.met;
    response->found = !o.met && o.current;
    if (response->found) {
        memory_token(&m->store, o.token, token);
        response->version = slice_of(token, TOKEN_BYTES);
    }
    memory_version_unref(o.current);
    *ret_response = response;
    return OK;
}

static void compare_and_delete(struct backend *backend, struct call *call,
                               const struct keyvalue_compare_and_delete_request *r)
{
    memory_mutate(backend, call, r, delete_once);
}

const struct keyvalue_cas_ops memory_keyvalue_cas = {.compare_and_swap = compare_and_swap,
                                                     .compare_and_delete = compare_and_delete};
