#include "prism/keyvalue/v1/keyvalue_transactional.ops.h"

#include "drivers/memory/internal.h"

enum { CONFLICT_RETRY_MS = 10 };

static void begin_transaction(struct backend *backend, struct call *call,
                              const struct keyvalue_begin_transaction_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct keyvalue_begin_transaction_response response = {0};
    uint8_t *id = arena_alloc(call->arena, TRANSACTION_ID_BYTES);
    int64_t idle_ms;
    enum err e = id ? kv_transaction_idle(r->idle_timeout, &call->diag, &idle_ms) : ERR_NOMEM;
    if (!e)
        e = memory_transaction_begin(&m->transactions, call, idle_ms, id);
    if (e == ERR_TRANSACTION_LIMIT)
        diag_set(&call->diag, e, "namespace %s has %u open transactions, as many as it takes", call->ns->name,
                 call->ns->transactions_max);
    response.transaction_id = slice_of(id, TRANSACTION_ID_BYTES);
    memory_answer(call, e, &response);
}

/* --- writes ------------------------------------------------------------------------------------------------------------------ */

static enum err write_in(struct memory *m, struct call *call, struct slice id, struct slice key, struct version *v)
{
    struct transaction *x;
    enum err e = memory_transaction_acquire(&m->transactions, call, id, &x);
    if (e) {
        memory_version_unref(v);
        return e;
    }
    e = memory_transaction_write(&m->transactions, x, key, v);
    memory_transaction_release(&m->transactions, x);
    if (e == ERR_TRANSACTION_TOO_LARGE)
        diag_set(&call->diag, e, "a transaction writes at most %d keys and %d bytes", LIMIT_TRANSACTION_KEYS,
                 LIMIT_TRANSACTION_BYTES);
    return e;
}

static void set_in_transaction(struct backend *backend, struct call *call,
                               const struct keyvalue_set_in_transaction_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct keyvalue_set_in_transaction_response response = {0};
    struct kv_write w;
    enum err e = kv_write_make(call, r->key, r->value, &r->tags, r->ttl, store_now_ms(&m->store), &call->diag, "", &w);
    if (!e) {
        struct version *v = memory_version_new(w.value, w.tags, w.expires_ms);
        e = v ? write_in(m, call, r->transaction_id, r->key, v) : ERR_NOMEM;
    }
    memory_answer(call, e, &response);
}

/* --- reads: own writes first, then the snapshot ------------------------------------------------------------------------------ */

static bool own_is_there(const struct memory *m, const struct change *own)
{
    return own->version && !version_is_expired(own->version, store_now_ms(&m->store));
}

static enum err read_own(const struct memory *m, struct call *call, struct slice key, const struct change *own,
                         struct kv_item *ret_item, bool *ret_found)
{
    *ret_found = own_is_there(m, own);
    if (!*ret_found)
        return OK;
    struct kv_item borrowed = {.key = key,
                               .value = version_value(own->version),
                               .tags = version_tags(own->version),
                               .expires_ms = own->version->expires_ms};
    return kv_item_copy(&borrowed, call->arena, ret_item);
}

static enum err read_in(struct memory *m, struct call *call, struct transaction *x, struct slice key,
                        struct kv_item *ret_item, bool *ret_found)
{
    const struct change *own = memory_transaction_own(x, key);
    if (own)
        return read_own(m, call, key, own, ret_item, ret_found);
    return memory_get(&m->store, key, x->snapshot, SIZE_MAX, call->arena, ret_item, ret_found);
}

static enum err fill(const struct kv_item *item, struct arena *arena,
                     struct keyvalue_get_in_transaction_response *response)
{
    struct keyvalue_get_response r;
    enum err e = kv_fill_get(item, arena, &r);
    if (!e)
        *response = (struct keyvalue_get_in_transaction_response){
            .found = r.found, .value = r.value, .version = r.version, .expires_at = r.expires_at, .tags = r.tags};
    return e;
}

static void get_in_transaction(struct backend *backend, struct call *call,
                               const struct keyvalue_get_in_transaction_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct keyvalue_get_in_transaction_response response;
    struct transaction *x;
    struct kv_item item;
    bool found = false;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = memory_transaction_acquire(&m->transactions, call, r->transaction_id, &x);
    if (!e) {
        e = read_in(m, call, x, r->key, &item, &found);
        memory_transaction_release(&m->transactions, x);
    }
    if (!e)
        e = fill(found ? &item : NULL, call->arena, &response);
    memory_answer(call, e, &response);
}

static bool exists_in(struct memory *m, struct transaction *x, struct slice key)
{
    const struct change *own = memory_transaction_own(x, key);
    int64_t expires_ms;
    return own ? own_is_there(m, own) : memory_find_expiry(&m->store, key, x->snapshot, &expires_ms);
}

static void delete_in_transaction(struct backend *backend, struct call *call,
                                  const struct keyvalue_delete_in_transaction_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct keyvalue_delete_in_transaction_response response = {0};
    struct transaction *x;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = memory_transaction_acquire(&m->transactions, call, r->transaction_id, &x);
    if (!e) {
        response.existed = exists_in(m, x, r->key);
        e = memory_transaction_write(&m->transactions, x, r->key, NULL);
        memory_transaction_release(&m->transactions, x);
    }
    memory_answer(call, e, &response);
}

/* --- ends -------------------------------------------------------------------------------------------------------------------- */

static enum err conflict(struct memory *m, struct call *call)
{
    atomic_fetch_add_explicit(&m->transactions.conflicts, 1, memory_order_relaxed);
    diag_set(&call->diag, ERR_TRANSACTION_CONFLICT, "%s", err_row(ERR_TRANSACTION_CONFLICT)->text);
    call->diag.retry_after_ms = CONFLICT_RETRY_MS;
    return ERR_TRANSACTION_CONFLICT;
}

/* A conflict ends the transaction; without memory it stays open, and Commit may be tried again. */
static enum err commit_changes(struct memory *m, struct call *call, struct transaction *x, int64_t now_ms,
                               uint64_t *ret_seq)
{
    enum err e = x->count ? memory_commit(&m->store, x->changes, x->count, x->snapshot, now_ms, ret_seq) : OK;
    if (e && e != ERR_TRANSACTION_CONFLICT)
        return e;
    memory_transaction_end(&m->transactions, x);
    return e ? conflict(m, call) : OK;
}

static enum err commit_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                            const void **ret_response)
{
    const struct keyvalue_commit_request *r = request;
    struct keyvalue_commit_response *response = arena_new(call->arena, struct keyvalue_commit_response);
    uint8_t *token = arena_alloc(call->arena, TOKEN_BYTES);
    struct transaction *x;
    uint64_t seq = 0;
    if (!response || !token)
        return ERR_NOMEM;
    enum err e = memory_transaction_acquire(&m->transactions, call, r->transaction_id, &x);
    if (e)
        return e;
    e = commit_changes(m, call, x, now_ms, &seq);
    memory_transaction_release(&m->transactions, x);
    if (e)
        return e;
    memory_token(&m->store, seq, token);
    response->version = slice_of(token, seq ? TOKEN_BYTES : 0);
    *ret_response = response;
    return OK;
}

static void commit(struct backend *backend, struct call *call, const struct keyvalue_commit_request *r)
{
    memory_mutate(backend, call, r, commit_once);
}

static void rollback(struct backend *backend, struct call *call, const struct keyvalue_rollback_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct keyvalue_rollback_response response = {0};
    struct transaction *x;
    enum err e = memory_transaction_acquire(&m->transactions, call, r->transaction_id, &x);
    if (!e) {
        memory_transaction_end(&m->transactions, x);
        memory_transaction_release(&m->transactions, x);
    }
    memory_answer(call, e, &response);
}

const struct keyvalue_transactional_ops memory_keyvalue_transactional = {
    .begin_transaction = begin_transaction,
    .set_in_transaction = set_in_transaction,
    .get_in_transaction = get_in_transaction,
    .delete_in_transaction = delete_in_transaction,
    .commit = commit,
    .rollback = rollback,
};
