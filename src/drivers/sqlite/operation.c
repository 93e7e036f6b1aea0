#include "drivers/sqlite/operation.h"

#include <assert.h>
#include <stddef.h>

#include "drivers/sqlite/store.h"

void sqlite_operations_init(struct sqlite_operations *list)
{
    *list = (struct sqlite_operations){.end = &list->first};
}

void sqlite_operations_push(struct sqlite_operations *list, struct sqlite_operation *o)
{
    o->next = NULL;
    *list->end = o;
    list->end = &o->next;
    list->count++;
}

struct sqlite_operation *sqlite_operations_pop(struct sqlite_operations *list)
{
    struct sqlite_operation *o = list->first;
    if (!o)
        return NULL;
    list->first = o->next;
    if (!list->first)
        list->end = &list->first;
    list->count--;
    o->next = NULL;
    return o;
}

void *sqlite_operation_new(struct backend *backend, struct call *call, size_t size, sqlite_run_fn *run)
{
    struct sqlite_operation *o = arena_zalloc(call->arena, size);
    if (!o) {
        diag_set(&call->diag, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
        call_end(call, ERR_NOMEM);
        return NULL;
    }
    o->store = sqlite_store(backend);
    o->call = call;
    o->run = run;
    call->driver = o;
    return o;
}

void sqlite_refuse(struct sqlite_operation *o, enum err e)
{
    struct diag *d = &o->call->diag;
    assert(e);
    if (d->err != e)
        diag_set(d, e, "%s", err_row(e)->text);
    if (e == ERR_BACKEND_BUSY || e == ERR_TRANSACTION_LIMIT)
        d->retry_after_ms = RETRY_AFTER_BUSY_MS;
    call_end(o->call, e);
}

enum err sqlite_call_alive(const struct sqlite_store *store, const struct call *call)
{
    if (atomic_load_explicit(&call->cancelled, memory_order_relaxed))
        return ERR_CANCELLED;
    if (call->deadline_ns != UINT64_MAX && store->env->monotonic_ns(store->env) >= call->deadline_ns)
        return ERR_DEADLINE_EXCEEDED;
    return OK;
}

/* A statement was interrupted because nobody waits for it any more: that is what is said. */
static enum err interrupted(const struct sqlite_operation *o)
{
    enum err e = sqlite_call_alive(o->store, o->call);
    return e ? e : ERR_CANCELLED;
}

enum err sqlite_operation_run(struct sqlite_operation *o, sqlite_run_fn *run)
{
    struct diag *d = &o->call->diag;
    o->connection->code = SQLITE_OK;
    enum err e = sqlite_call_alive(o->store, o->call);
    if (!e)
        e = run(o);
    if (!e)
        return OK;
    if (o->connection->code == SQLITE_INTERRUPT)
        return interrupted(o);
    if (o->connection->code && d->err != e)
        sqlite_describe(o->connection, d, e);
    return e;
}

void sqlite_reject(struct sqlite_operation *o, enum err e)
{
    o->outcome = e;
    if (o->answer)
        o->answer(o);
    else
        sqlite_refuse(o, e);
}

static struct sqlite_operation *key_operation(struct backend *backend, struct call *call, struct slice key,
                                              sqlite_run_fn *run)
{
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run);
    enum err e = o ? kv_check_key(key, &call->diag, "key") : OK;
    if (!e)
        return o;
    sqlite_reject(o, e);
    return NULL;
}

void sqlite_read_key(struct backend *backend, struct call *call, struct slice key, sqlite_run_fn *run)
{
    struct sqlite_operation *o = key_operation(backend, call, key, run);
    if (o)
        sqlite_read(o);
}

void sqlite_write_key(struct backend *backend, struct call *call, struct slice key, sqlite_run_fn *run)
{
    struct sqlite_operation *o = key_operation(backend, call, key, run);
    if (o)
        sqlite_write(o);
}

void sqlite_reply(struct sqlite_operation *o)
{
    if (o->outcome)
        sqlite_refuse(o, o->outcome);
    else if (o->replayed)
        idem_replay(o->call, &o->idem, o->replay_fingerprint, o->replay_response);
    else
        call_reply(o->call, o->response);
}

/* On the loop: the leader's task was posted, the others of its chain come along. */
static void answer_chain(struct task *task)
{
    struct sqlite_operation *o = (struct sqlite_operation *)((char *)task - offsetof(struct sqlite_operation, task));
    while (o) {
        struct sqlite_operation *next = o->next;
        if (o->answer)
            o->answer(o);
        else
            sqlite_reply(o);
        o = next;
    }
}

static struct sqlite_operation *find_leader(struct sqlite_operation *leaders, const struct loop *loop)
{
    while (leaders && leaders->call->loop != loop)
        leaders = leaders->leader_next;
    return leaders;
}

void sqlite_complete(struct sqlite_operation *chain)
{
    struct sqlite_operation *leaders = NULL;
    while (chain) {
        struct sqlite_operation *o = chain, *leader = find_leader(leaders, o->call->loop);
        chain = o->next;
        o->next = NULL;
        if (leader) {
            *leader->tail = o;
            leader->tail = &o->next;
        } else {
            o->tail = &o->next;
            o->leader_next = leaders;
            leaders = o;
        }
    }
    while (leaders) {
        struct sqlite_operation *leader = leaders;
        leaders = leader->leader_next; /* before it is posted: then the call may be gone */
        leader->task.run = answer_chain;
        loop_post(leader->call->loop, &leader->task);
    }
}
