/* BeginTransaction … Commit, Rollback. Reads see the snapshot and the transaction's own writes; nothing is written before Commit, which
 * locks the rows of all its keys, writes them under one version, and commits. PostgreSQL answers 40001 where another write to one of
 * them came after the snapshot. */
#include "drivers/postgres/transaction.h"
#include "prism/keyvalue/v1/keyvalue_transactional.ops.h"

/* --- begin ------------------------------------------------------------------------------------------------------------------- */

struct begin_step {
    struct postgres_step step;
    uint8_t id[POSTGRES_TRANSACTION_ID_BYTES];
    struct keyvalue_begin_transaction_response response;
};

static void begin_transaction(struct backend *backend, struct call *call,
                              const struct keyvalue_begin_transaction_request *request)
{
    struct begin_step *s = postgres_step_new(backend, call, sizeof *s);
    int64_t idle_ms;
    if (!s)
        return;
    s->response.transaction_id = slice_of(s->id, sizeof s->id);
    s->step.operation.response = &s->response;
    enum err e = kv_transaction_idle(request->idle_timeout, &call->diag, &idle_ms);
    if (e)
        postgres_finish(&s->step.operation, e);
    else
        postgres_transaction_begin(&s->step, idle_ms, s->id);
}

/* --- set --------------------------------------------------------------------------------------------------------------------- */

struct set_step {
    struct postgres_step step;
    struct kv_write write;
    struct keyvalue_set_in_transaction_response response;
};

static void run_set(struct postgres_step *s, struct postgres_transaction *t)
{
    const struct kv_write *w = &((struct set_step *)s)->write;
    postgres_step_end(s, postgres_transaction_note(t, w, false, &s->operation.call->diag));
}

static void set_in_transaction(struct backend *backend, struct call *call,
                               const struct keyvalue_set_in_transaction_request *request)
{
    struct set_step *s = postgres_step_new(backend, call, sizeof *s);
    if (!s)
        return;
    s->step.id = request->transaction_id;
    s->step.run = run_set;
    s->step.operation.response = &s->response;
    enum err e = kv_write_make(call, request->key, request->value, &request->tags, request->ttl,
                               s->step.operation.now_ms, &call->diag, "", &s->write);
    if (e)
        postgres_finish(&s->step.operation, e);
    else
        postgres_step_submit(&s->step);
}

/* --- get --------------------------------------------------------------------------------------------------------------------- */

struct get_step {
    struct postgres_step step;
    struct slice key;
    struct keyvalue_get_in_transaction_response response;
};

static enum err fill(struct get_step *s, const struct kv_item *borrowed)
{
    struct arena *arena = s->step.operation.call->arena;
    struct kv_item item;
    struct keyvalue_get_response filled;
    enum err e = kv_item_copy(borrowed, arena, &item);
    if (!e)
        e = kv_fill_get(&item, arena, &filled);
    if (!e)
        s->response = (struct keyvalue_get_in_transaction_response){.found = filled.found,
                                                                    .value = filled.value,
                                                                    .version = filled.version,
                                                                    .expires_at = filled.expires_at,
                                                                    .tags = filled.tags};
    return e;
}

static enum err take_get(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct get_step *s = (struct get_step *)o;
    (void)index;
    if (!PQntuples(r))
        return OK;
    struct kv_item item = postgres_row_item(r, 0, 0, s->key);
    return fill(s, &item);
}

static bool is_live(const struct postgres_pending *p, int64_t now_ms)
{
    return !p->deleted && p->write.write.expires_ms > now_ms;
}

/* Reads a row of the snapshot. */
static void ask(struct postgres_step *s, struct postgres_transaction *t, enum postgres_statement statement,
                struct slice key)
{
    struct postgres_unit *u = postgres_step_unit(s, t);
    if (!u) {
        postgres_step_end(s, ERR_NOMEM);
        return;
    }
    struct postgres_params p = postgres_key_params(u, key);
    postgres_put_time(&p, s->operation.now_ms);
    postgres_step_send(u, postgres_put(u, statement, &p));
}

static void run_get(struct postgres_step *step, struct postgres_transaction *t)
{
    struct get_step *s = (struct get_step *)step;
    const struct postgres_pending *own = postgres_transaction_find(t, s->key);
    if (!own) {
        ask(step, t, STATEMENT_GET, s->key);
        return;
    }
    const struct kv_write *w = &own->write.write;
    struct kv_item item = {.key = w->key, .value = w->value, .tags = w->tags, .expires_ms = w->expires_ms};
    postgres_step_end(step, is_live(own, postgres_now_ms(step->operation.store)) ? fill(s, &item) : OK);
}

static void get_in_transaction(struct backend *backend, struct call *call,
                               const struct keyvalue_get_in_transaction_request *request)
{
    struct get_step *s = postgres_step_new(backend, call, sizeof *s);
    if (!s)
        return;
    s->key = request->key;
    s->step.id = request->transaction_id;
    s->step.run = run_get;
    s->step.operation.take = take_get;
    s->step.operation.response = &s->response;
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (e)
        postgres_finish(&s->step.operation, e);
    else
        postgres_step_submit(&s->step);
}

/* --- delete ------------------------------------------------------------------------------------------------------------------ */

struct delete_step {
    struct postgres_step step;
    struct slice key;
    struct keyvalue_delete_in_transaction_response response;
};

static enum err note_delete(struct delete_step *s, struct postgres_transaction *t)
{
    struct kv_write w = {.key = s->key, .expires_ms = KV_NEVER};
    return postgres_transaction_note(t, &w, true, &s->step.operation.call->diag);
}

static enum err take_delete(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    (void)index;
    ((struct delete_step *)o)->response.existed = PQntuples(r) > 0;
    return note_delete((struct delete_step *)o, ((struct postgres_step *)o)->transaction);
}

static void run_delete(struct postgres_step *step, struct postgres_transaction *t)
{
    struct delete_step *s = (struct delete_step *)step;
    const struct postgres_pending *own = postgres_transaction_find(t, s->key);
    if (!own) {
        ask(step, t, STATEMENT_HEAD, s->key);
        return;
    }
    s->response.existed = is_live(own, postgres_now_ms(step->operation.store));
    postgres_step_end(step, note_delete(s, t));
}

static void delete_in_transaction(struct backend *backend, struct call *call,
                                  const struct keyvalue_delete_in_transaction_request *request)
{
    struct delete_step *s = postgres_step_new(backend, call, sizeof *s);
    if (!s)
        return;
    s->key = request->key;
    s->step.id = request->transaction_id;
    s->step.run = run_delete;
    s->step.operation.take = take_delete;
    s->step.operation.response = &s->response;
    enum err e = kv_check_key(request->key, &call->diag, "key");
    if (e)
        postgres_finish(&s->step.operation, e);
    else
        postgres_step_submit(&s->step);
}

/* --- commit ------------------------------------------------------------------------------------------------------------------ */

struct commit_step {
    struct postgres_step step;
    struct slice version;
    struct keyvalue_commit_response response;
};

/* The pending writes apart: those that store, and the keys of all and of those that delete. */
struct changes {
    const struct postgres_write **writes;
    struct slice *keys, *deletes;
    uint32_t count, write_count, delete_count;
};

static enum err collect(const struct postgres_transaction *t, struct arena *arena, struct slice version,
                        struct changes *ret_changes)
{
    uint32_t count = t->pending.count;
    struct changes c = {.writes = arena_array(arena, const struct postgres_write *, count),
                        .keys = arena_array(arena, struct slice, count),
                        .deletes = arena_array(arena, struct slice, count)};
    if (!c.writes || !c.keys || !c.deletes)
        return ERR_NOMEM;
    for (struct postgres_pending *p = t->first_pending; p; p = p->next) {
        p->write.version = version;
        c.keys[c.count++] = p->write.write.key;
        if (p->deleted)
            c.deletes[c.delete_count++] = p->write.write.key;
        else
            c.writes[c.write_count++] = &p->write;
    }
    *ret_changes = c;
    return OK;
}

static enum err put_changes(struct postgres_unit *u, const struct changes *c)
{
    struct postgres_params p = postgres_keys_params(u, c->keys, c->count);
    enum err e = postgres_put(u, STATEMENT_LOCK_MANY, &p);
    if (!e && c->write_count) {
        p = postgres_write_many_params(u, c->writes, c->write_count);
        e = postgres_put(u, STATEMENT_SET_MANY, &p);
    }
    if (!e && c->delete_count) {
        p = postgres_keys_params(u, c->deletes, c->delete_count);
        postgres_put_null(&p);
        e = postgres_put(u, STATEMENT_DELETE_MANY, &p);
    }
    return e;
}

static enum err put_answer(struct postgres_unit *u, struct commit_step *s)
{
    struct postgres_operation *o = &s->step.operation;
    struct slice encoded;
    if (!o->idem.used)
        return OK;
    enum err e = idem_response(o->call, &s->response, &encoded);
    if (e)
        return e;
    struct postgres_params p = postgres_answer_params(u, &o->idem, encoded);
    return postgres_put(u, STATEMENT_ANSWER_KEEP, &p);
}

static void committed(struct postgres_step *s, struct postgres_transaction *t, enum err e)
{
    if (e == ERR_ABORTED) /* a deadlock: somebody else was first, as well */
        e = ERR_TRANSACTION_CONFLICT;
    postgres_step_end(s, e);
    postgres_transaction_over(t, e != OK);
}

/* Whatever becomes of it, nobody else gets in any more. */
static void run_commit(struct postgres_step *step, struct postgres_transaction *t)
{
    static const struct postgres_params none;
    struct commit_step *s = (struct commit_step *)step;
    struct changes c;
    postgres_transaction_unlist(t);
    struct postgres_unit *u = postgres_step_unit(step, t);
    enum err e = u ? collect(t, &t->lane->arena, s->version, &c) : ERR_NOMEM;
    if (e) {
        committed(step, t, e);
        return;
    }
    if (c.count)
        s->response.version = s->version;
    e = c.count ? put_changes(u, &c) : OK;
    if (!e)
        e = put_answer(u, s);
    postgres_step_send(u, e ? e : postgres_put(u, STATEMENT_COMMIT, &none));
}

/* A retry finds what the first Commit with its key has answered. */
static enum err put_look(struct postgres_operation *o, struct postgres_unit *u)
{
    struct postgres_params p = postgres_key_params(u, o->idem.key);
    postgres_put_time(&p, o->now_ms);
    return postgres_put(u, STATEMENT_ANSWER_GET, &p);
}

static enum err take_look(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    (void)index;
    return postgres_take_answer(o, r);
}

static void looked(struct postgres_operation *o)
{
    o->answer = NULL;
    o->take = NULL;
    if (o->outcome || o->replayed)
        postgres_finish(o, o->outcome);
    else
        postgres_step_submit((struct postgres_step *)o);
}

static void commit(struct backend *backend, struct call *call, const struct keyvalue_commit_request *request)
{
    struct commit_step *s = postgres_step_new(backend, call, sizeof *s);
    if (!s)
        return;
    struct postgres_operation *o = &s->step.operation;
    s->step.id = request->transaction_id;
    s->step.run = run_commit;
    s->step.done = committed;
    o->response = &s->response;
    enum err e = postgres_new_version(o, &s->version);
    if (!e)
        e = idem_begin(call, o->now_ms, &o->idem);
    if (e) {
        postgres_finish(o, e);
    } else if (o->idem.used) {
        o->put = put_look;
        o->take = take_look;
        o->answer = looked;
        postgres_submit_primary(o);
    } else {
        postgres_step_submit(&s->step);
    }
}

/* --- rollback ---------------------------------------------------------------------------------------------------------------- */

struct rollback_step {
    struct postgres_step step;
    struct keyvalue_rollback_response response;
};

/* Nothing has been written: it is over before the server knows. */
static void run_rollback(struct postgres_step *s, struct postgres_transaction *t)
{
    postgres_transaction_unlist(t);
    postgres_step_end(s, OK);
    postgres_transaction_over(t, true);
}

static void rollback(struct backend *backend, struct call *call, const struct keyvalue_rollback_request *request)
{
    struct rollback_step *s = postgres_step_new(backend, call, sizeof *s);
    if (!s)
        return;
    s->step.id = request->transaction_id;
    s->step.run = run_rollback;
    s->step.operation.response = &s->response;
    postgres_step_submit(&s->step);
}

const struct keyvalue_transactional_ops postgres_keyvalue_transactional = {.begin_transaction = begin_transaction,
                                                                           .set_in_transaction = set_in_transaction,
                                                                           .get_in_transaction = get_in_transaction,
                                                                           .delete_in_transaction =
                                                                               delete_in_transaction,
                                                                           .commit = commit,
                                                                           .rollback = rollback};
