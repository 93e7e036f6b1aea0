#include "drivers/postgres/operation.h"

#include <ctype.h>

#include "drivers/postgres/store.h"

void *postgres_operation_new(struct backend *backend, struct call *call, size_t size, enum postgres_class class)
{
    struct postgres_operation *o = arena_zalloc(call->arena, size);
    if (!o) {
        diag_set(&call->diag, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
        call_end(call, ERR_NOMEM);
        return NULL;
    }
    o->store = postgres_store(backend);
    o->call = call;
    o->class = class;
    o->now_ms = postgres_now_ms(o->store);
    call->driver = o;
    return o;
}

enum err postgres_gone(const struct call *call)
{
    return call->deadline_ns != UINT64_MAX &&
                   loop_env(call->loop)->monotonic_ns(loop_env(call->loop)) >= call->deadline_ns
               ? ERR_DEADLINE_EXCEEDED
               : ERR_CANCELLED;
}

/* --- answering --------------------------------------------------------------------------------------------------------------- */

static void refuse(struct postgres_operation *o, enum err e)
{
    struct diag *d = &o->call->diag;
    if (d->err != e)
        diag_set(d, e, "%s", err_row(e)->text);
    if (e == ERR_TRANSACTION_CONFLICT)
        d->retry_after_ms = RETRY_AFTER_CONFLICT_MS;
    call_end(o->call, e);
}

static void cancelled(struct call *);

void postgres_finish(struct postgres_operation *o, enum err e)
{
    if (o->call->on_cancel == cancelled)
        o->call->on_cancel = NULL;
    o->outcome = e;
    if (!e && o->committed && !o->replayed)
        o->committed(o);
    if (o->answer)
        o->answer(o);
    else if (e)
        refuse(o, e);
    else if (o->replayed)
        idem_replay(o->call, &o->idem, o->replay_fingerprint, o->replay_response);
    else
        call_reply(o->call, o->response);
}

/* What is in flight goes on without it. */
static void cancelled(struct call *call)
{
    struct postgres_operation *o = call->driver;
    call->on_cancel = NULL;
    postgres_pool_leave(o);
    postgres_finish(o, postgres_gone(call));
}

/* --- trace ------------------------------------------------------------------------------------------------------------------- */

/* 00-<32 hex digits>-<16>-<2>: what stands between is nothing that SQL could read. */
static bool is_traceparent(struct slice s)
{
    if (s.size != 55)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        bool hyphen = i == 2 || i == 35 || i == 52;
        if (hyphen ? s.data[i] != '-' : !isxdigit(s.data[i]))
            return false;
    }
    return true;
}

/* Source: sqlcommenter; W3C Trace Context, sampled flag. */
static void add_comment(struct postgres_operation *o)
{
    struct slice trace = o->call->traceparent;
    if (!o->store->settings.trace_comments || !is_traceparent(trace))
        return;
    bool sampled = strchr("13579bdfBDF", trace.data[54]) != NULL;
    if (sampled)
        o->comment = arena_printf(o->call->arena, "/*traceparent='%.*s'*/", SLICE_ARG(trace));
}

/* --- sending ----------------------------------------------------------------------------------------------------------------- */

struct postgres_worker *postgres_worker_of(struct postgres_store *store, struct loop *loop)
{
    struct postgres_worker *w = &store->workers[loop_id(loop)];
    const struct postgres_settings *s = &store->settings;
    if (atomic_load_explicit(&w->loop, memory_order_relaxed))
        return w;
    w->store = store;
    postgres_pool_init(&w->primary, loop, &store->primary, &store->upkeep, s->lanes_min, s->lanes_max,
                       s->statement_timeout_ms);
    if (store->has_standby)
        postgres_pool_init(&w->standby, loop, &store->standby, &store->upkeep, s->lanes_min, s->lanes_max,
                           s->statement_timeout_ms);
    store->env->random(store->env, &w->epoch, sizeof w->epoch);
    postgres_transactions_init(w);
    atomic_store(&w->loop, loop);
    return w;
}

static struct postgres_pool *pool_for(struct postgres_worker *w, const struct postgres_operation *o)
{
    bool elsewhere = o->class != CLASS_WRITE && w->store->has_standby && !atomic_load(&w->store->standby.down);
    return elsewhere ? &w->standby : &w->primary;
}

static void submit_to(struct postgres_pool *pool, struct postgres_operation *o)
{
    enum err e = postgres_pool_submit(pool, o, &o->call->diag);
    if (e)
        postgres_finish(o, e);
    else
        o->call->on_cancel = cancelled;
}

enum err postgres_submit_quietly(struct postgres_operation *o)
{
    struct postgres_worker *w = postgres_worker_of(o->store, o->call->loop);
    return postgres_pool_submit(pool_for(w, o), o, &o->call->diag);
}

void postgres_submit(struct postgres_operation *o)
{
    struct call *call = o->call;
    struct postgres_worker *w = postgres_worker_of(o->store, call->loop);
    enum err e = o->class == CLASS_WRITE ? idem_begin(call, o->now_ms, &o->idem) : OK;
    if (!e)
        add_comment(o);
    if (e)
        postgres_finish(o, e);
    else
        submit_to(pool_for(w, o), o);
}

void postgres_submit_primary(struct postgres_operation *o)
{
    submit_to(&postgres_worker_of(o->store, o->call->loop)->primary, o);
}

enum err postgres_new_version(struct postgres_operation *o, struct slice *ret_version)
{
    struct postgres_worker *w = postgres_worker_of(o->store, o->call->loop);
    uint8_t *bytes = arena_alloc(o->call->arena, POSTGRES_VERSION_BYTES);
    if (!bytes)
        return ERR_NOMEM;
    w->count++;
    memcpy(bytes, &w->epoch, sizeof w->epoch);
    memcpy(bytes + sizeof w->epoch, &w->count, sizeof w->count);
    *ret_version = slice_of(bytes, POSTGRES_VERSION_BYTES);
    return OK;
}
