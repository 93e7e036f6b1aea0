/* BeginTransaction … Commit, Rollback. Reads see the snapshot and the transaction's own writes; nothing is written before Commit,
 * which the writer runs like any other operation: check every key, then write them all under one version. */
#include "drivers/sqlite/transaction.h"
#include "prism/keyvalue/v1/keyvalue_transactional.ops.h"

/* --- begin ------------------------------------------------------------------------------------------------------------------ */

struct begin_operation {
    struct sqlite_operation operation;
    int64_t idle_ms;
};

static enum err run_begin(struct sqlite_operation *o)
{
    struct keyvalue_begin_transaction_response *response =
        arena_new(o->call->arena, struct keyvalue_begin_transaction_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    return sqlite_transaction_begin(o, ((struct begin_operation *)o)->idle_ms, &response->transaction_id);
}

static void begin_transaction(struct backend *backend, struct call *call,
                              const struct keyvalue_begin_transaction_request *request)
{
    struct begin_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_begin);
    if (!o)
        return;
    o->operation.heavy = true; /* may open a connection */
    enum err e = kv_transaction_idle(request->idle_timeout, &call->diag, &o->idle_ms);
    if (e)
        sqlite_reject(&o->operation, e);
    else
        sqlite_read(&o->operation);
}

/* --- within ----------------------------------------------------------------------------------------------------------------- */

struct set_operation {
    struct sqlite_operation operation;
    struct kv_write write;
};

static enum err run_set(struct sqlite_operation *o)
{
    const struct keyvalue_set_in_transaction_request *request = o->call->request;
    const struct kv_write *write = &((struct set_operation *)o)->write;
    struct sqlite_transaction *t;
    o->response = arena_new(o->call->arena, struct keyvalue_set_in_transaction_response);
    if (!o->response)
        return ERR_NOMEM;
    enum err e = sqlite_transaction_enter(o, request->transaction_id, false, &t);
    if (e)
        return e;
    e = sqlite_transaction_note(t, write, false, &o->call->diag);
    sqlite_transaction_leave(o->store, t, false);
    return e;
}

static void set_in_transaction(struct backend *backend, struct call *call,
                               const struct keyvalue_set_in_transaction_request *request)
{
    struct set_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_set);
    if (!o)
        return;
    int64_t now_ms = sqlite_now_ms(o->operation.store);
    enum err e = kv_write_make(call, request->key, request->value, &request->tags, request->ttl, now_ms, &call->diag,
                               "", &o->write);
    if (e)
        sqlite_reject(&o->operation, e);
    else
        sqlite_read(&o->operation);
}

/* What the transaction itself wrote: copied, as a later write may take its place before this answer is sent. */
static enum err own_write(const struct sqlite_pending *p, int64_t now_ms, struct arena *arena, struct kv_item *ret_item,
                          bool *ret_found)
{
    const struct kv_write *w = &p->write;
    *ret_found = !p->deleted && w->expires_ms > now_ms;
    struct kv_item item = {.key = w->key, .value = w->value, .tags = w->tags, .expires_ms = w->expires_ms};
    return *ret_found ? kv_item_copy(&item, arena, ret_item) : OK;
}

static enum err snapshot_item(struct sqlite_operation *o, struct sqlite_transaction *t, struct slice key,
                              struct kv_item *ret_item, bool *ret_found)
{
    struct sqlite_row row;
    enum err e = sqlite_item_get(t->connection, key, o->now_ms, o->call->arena, &row);
    if (!e && row.found)
        e = sqlite_row_item(&o->store->versions, &row, key, o->call->arena, ret_item);
    if (!e)
        *ret_found = row.found;
    return e;
}

/* *ret_item has no meaning where *ret_found is false. */
static enum err look(struct sqlite_operation *o, struct slice id, struct slice key, struct kv_item *ret_item,
                     bool *ret_found)
{
    struct sqlite_transaction *t;
    enum err e = sqlite_transaction_enter(o, id, false, &t);
    if (e)
        return e;
    const struct sqlite_pending *own = sqlite_transaction_find(t, key);
    e = own ? own_write(own, o->now_ms, o->call->arena, ret_item, ret_found)
            : snapshot_item(o, t, key, ret_item, ret_found);
    sqlite_transaction_leave(o->store, t, false);
    return e;
}

static enum err run_get(struct sqlite_operation *o)
{
    const struct keyvalue_get_in_transaction_request *request = o->call->request;
    struct keyvalue_get_in_transaction_response *response =
        arena_new(o->call->arena, struct keyvalue_get_in_transaction_response);
    struct keyvalue_get_response filled;
    struct kv_item item;
    bool found;
    if (!response)
        return ERR_NOMEM;
    enum err e = look(o, request->transaction_id, request->key, &item, &found);
    if (!e)
        e = kv_fill_get(found ? &item : NULL, o->call->arena, &filled);
    if (e)
        return e;
    *response = (struct keyvalue_get_in_transaction_response){.found = filled.found,
                                                              .value = filled.value,
                                                              .version = filled.version,
                                                              .expires_at = filled.expires_at,
                                                              .tags = filled.tags};
    o->response = response;
    return OK;
}

static void get_in_transaction(struct backend *backend, struct call *call,
                               const struct keyvalue_get_in_transaction_request *request)
{
    sqlite_read_key(backend, call, request->key, run_get);
}

static enum err delete_key(struct sqlite_operation *o, struct sqlite_transaction *t, struct slice key,
                           bool *ret_existed)
{
    struct sqlite_row row = {0};
    const struct sqlite_pending *own = sqlite_transaction_find(t, key);
    enum err e = own ? OK : sqlite_item_head(t->connection, key, o->now_ms, &row);
    if (e)
        return e;
    *ret_existed = own ? !own->deleted && own->write.expires_ms > o->now_ms : row.found;
    struct kv_write write = {.key = key, .expires_ms = KV_NEVER};
    return sqlite_transaction_note(t, &write, true, &o->call->diag);
}

static enum err run_delete(struct sqlite_operation *o)
{
    const struct keyvalue_delete_in_transaction_request *request = o->call->request;
    struct keyvalue_delete_in_transaction_response *response =
        arena_new(o->call->arena, struct keyvalue_delete_in_transaction_response);
    struct sqlite_transaction *t;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_transaction_enter(o, request->transaction_id, false, &t);
    if (e)
        return e;
    e = delete_key(o, t, request->key, &response->existed);
    sqlite_transaction_leave(o->store, t, false);
    return e;
}

static void delete_in_transaction(struct backend *backend, struct call *call,
                                  const struct keyvalue_delete_in_transaction_request *request)
{
    sqlite_read_key(backend, call, request->key, run_delete);
}

/* --- commit: writer's thread ------------------------------------------------------------------------------------------------ */

static enum err apply(struct sqlite_operation *o, const struct sqlite_pending *p, int64_t version)
{
    bool existed;
    if (p->deleted)
        return sqlite_item_delete(o->store, p->write.key, o->now_ms, &existed);
    return sqlite_item_put(o->store, &p->write, version);
}

static enum err apply_all(struct sqlite_operation *o, const struct sqlite_transaction *t, struct slice *ret_version)
{
    struct sqlite_versions *versions = &o->store->versions;
    int64_t version = 0;
    enum err e = sqlite_version_next(versions, &o->call->diag, &version);
    for (const struct sqlite_pending *p = t->first; p && !e; p = p->next)
        e = sqlite_transaction_check(o, t, p);
    for (const struct sqlite_pending *p = t->first; p && !e; p = p->next)
        e = apply(o, p, version);
    return e ? e : sqlite_version_token(versions, version, o->call->arena, ret_version);
}

/* Whatever becomes of it, the transaction has ended afterwards. */
static enum err run_commit(struct sqlite_operation *o)
{
    const struct keyvalue_commit_request *request = o->call->request;
    struct keyvalue_commit_response *response = arena_new(o->call->arena, struct keyvalue_commit_response);
    struct sqlite_transaction *t;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_transaction_enter(o, request->transaction_id, true, &t);
    if (e)
        return e;
    if (t->first)
        e = apply_all(o, t, &response->version);
    sqlite_transaction_leave(o->store, t, true);
    return e;
}

static void commit(struct backend *backend, struct call *call, const struct keyvalue_commit_request *request)
{
    (void)request;
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_commit);
    if (!o)
        return;
    o->several = true;
    sqlite_write(o);
}

/* --- rollback --------------------------------------------------------------------------------------------------------------- */

static enum err run_rollback(struct sqlite_operation *o)
{
    const struct keyvalue_rollback_request *request = o->call->request;
    struct sqlite_transaction *t;
    o->response = arena_new(o->call->arena, struct keyvalue_rollback_response);
    if (!o->response)
        return ERR_NOMEM;
    enum err e = sqlite_transaction_enter(o, request->transaction_id, true, &t);
    if (!e)
        sqlite_transaction_leave(o->store, t, true);
    return e;
}

static void rollback(struct backend *backend, struct call *call, const struct keyvalue_rollback_request *request)
{
    (void)request;
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_rollback);
    if (o)
        sqlite_read(o);
}

const struct keyvalue_transactional_ops sqlite_keyvalue_transactional = {.begin_transaction = begin_transaction,
                                                                         .set_in_transaction = set_in_transaction,
                                                                         .get_in_transaction = get_in_transaction,
                                                                         .delete_in_transaction = delete_in_transaction,
                                                                         .commit = commit,
                                                                         .rollback = rollback};
